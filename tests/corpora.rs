//! The inputs that the fuzzer found interesting, through the same checks as there.

use std::fs;
use std::path::Path;

#[path = "fuzz/checks.rs"]
pub mod checks;

#[test]
fn what_the_fuzzer_found_interesting_breaks_nothing() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    for (name, check) in checks::ALL {
        let files = fs::read_dir(folder.join(name)).unwrap();
        let mut inputs = 0;
        for file in files {
            let path = file.unwrap().path();
            eprintln!("{}", path.display());
            check(&fs::read(&path).unwrap());
            inputs += 1;
        }
        assert!(inputs > 5, "{name}: only {inputs} inputs");
    }
}

#[test]
fn answers_are_followed_alike_wherever_they_are_cut() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    for name in ["skim", "answer"] {
        for file in fs::read_dir(folder.join(name)).unwrap() {
            let path = file.unwrap().path();
            eprintln!("{}", path.display());
            let mut input = fs::read(&path).unwrap();
            for at in 0..=u8::try_from(input.len().min(255)).unwrap() {
                input[0] = at;
                checks::skim(&input);
            }
        }
    }
}
