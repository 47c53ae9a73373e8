//! The table of keys in the README is the table in the code.

use std::path::Path;

const BEGIN: &str = "<!-- keys -->";
const END: &str = "<!-- /keys -->";

#[test]
fn the_readme_lists_the_keys_of_the_command_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let table = marstui::app::command::markdown();
    let from = readme.find(BEGIN).unwrap() + BEGIN.len();
    let to = readme.find(END).unwrap();
    let wanted = format!("\n{table}");
    if std::env::var_os("UPDATE_README").is_some() {
        let text = format!("{}{wanted}{}", &readme[..from], &readme[to..]);
        std::fs::write(&path, text).unwrap();
        return;
    }
    assert!(
        readme[from..to] == wanted,
        "the table of keys in README.md is old; run this test with UPDATE_README=1"
    );
}
