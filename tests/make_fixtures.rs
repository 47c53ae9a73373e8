//! Makes the captures of `fixtures/` and their description: `cargo run --release --example make-fixtures`.
//! With `cases FOLDER` it writes every case of the tests there instead, to look at them with other tools.
#![allow(
    clippy::print_stdout,
    reason = "this program's output is for whoever started it"
)]

#[path = "support/synth/mod.rs"]
mod synth;

use std::fs;
use std::path::Path;

use color_eyre::eyre::{Result, WrapErr, bail};

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [] => make_fixtures(),
        ["cases", folder] => write_cases(Path::new(folder)),
        _ => bail!("usage: make-fixtures [cases FOLDER]"),
    }
}

fn make_fixtures() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let files = synth::fixtures::all();
    for file in &files {
        let path = folder.join(&file.name);
        fs::create_dir_all(path.parent().unwrap_or(&folder))?;
        write(&path, &packed(&file.name, &file.content)?)?;
    }
    write(
        &folder.join("README.md"),
        synth::fixtures::readme(&files).as_bytes(),
    )
}

/// A file's bytes on disk: names in `.zst` are compressed.
fn packed(name: &str, content: &[u8]) -> Result<Vec<u8>> {
    if Path::new(name).extension() == Some("zst".as_ref()) {
        return Ok(zstd::encode_all(content, 19)?);
    }
    Ok(content.to_vec())
}

fn write_cases(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let cases = [
        synth::cases::near_misses(),
        synth::cases::benign(),
        synth::cases::faults(),
    ];
    for case in cases.iter().flatten() {
        for form in case.forms {
            for view in case.views {
                let name = format!("{}.{form:?}.{}.pcapng", case.id, view.word());
                write(&folder.join(name), &case.capture(*form, *view).to_pcapng())?;
            }
        }
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).wrap_err_with(|| format!("could not write {}", path.display()))?;
    println!("{:>8} {}", bytes.len(), path.display());
    Ok(())
}
