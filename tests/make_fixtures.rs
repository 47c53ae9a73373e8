//! Makes the captures of `fixtures/` and their description: `cargo run --release --example make-fixtures`.
#![allow(
    clippy::print_stdout,
    reason = "this program's output is for whoever started it"
)]

#[path = "support/synth/mod.rs"]
mod synth;

use std::fs;
use std::path::Path;

use color_eyre::eyre::{Result, WrapErr};

fn main() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    fs::create_dir_all(&folder)?;
    let files = synth::fixtures::all();
    for file in &files {
        let bytes = file.bytes();
        let path = folder.join(file.name);
        fs::write(&path, &bytes).wrap_err_with(|| format!("could not write {}", path.display()))?;
        println!("{:>8} {}", bytes.len(), file.name);
    }
    fs::write(folder.join("README.md"), synth::fixtures::readme(&files))?;
    Ok(())
}
