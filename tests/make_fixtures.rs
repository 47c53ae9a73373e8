//! Makes the captures of `fixtures/` and their description: `cargo run --release --example make-fixtures`.
//! With `cases FOLDER` it writes every case of the tests there instead, to look at them with other tools; with
//! `big SIZE FILE` a capture for measurements (`500M`, `4G`; pcap or pcapng by the file's name), with `short SIZE FILE`
//! one of as many connections as possible.
#![allow(
    clippy::print_stdout,
    reason = "this program's output is for whoever started it"
)]

#[path = "support/synth/mod.rs"]
mod synth;

use std::fs;
use std::path::Path;

use color_eyre::eyre::{Result, WrapErr, bail};
use synth::big::Talk;
use synth::file::Format;

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [] => make_fixtures(),
        ["cases", folder] => write_cases(Path::new(folder)),
        ["big", size, file] => write_big(size, Path::new(file), Talk::Long),
        ["short", size, file] => write_big(size, Path::new(file), Talk::Short),
        _ => bail!("usage: make-fixtures [cases FOLDER | big SIZE FILE | short SIZE FILE]"),
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
        synth::cases::told_by_all(),
        synth::cases::benign(),
    ];
    for case in cases.iter().flatten() {
        for form in case.forms {
            for view in case.views {
                let name = format!("{}.{form:?}.{}.pcapng", case.id, view.word());
                write(&folder.join(name), &case.capture(*form, *view).to_pcapng())?;
            }
        }
    }
    for case in synth::cases::rules() {
        let name = |what: &str| folder.join(format!("{}{what}.pcapng", case.rule));
        write(&name(""), &(case.triggers)().to_pcapng())?;
        write(&name(".nearly"), &(case.nearly)().to_pcapng())?;
    }
    let ports = synth::cases::reused_ports(12);
    write(&folder.join("port-reuse.many.pcapng"), &ports.to_pcapng())
}

fn write_big(size: &str, path: &Path, talk: Talk) -> Result<()> {
    let (number, unit) = match size.strip_suffix(['k', 'M', 'G']) {
        Some(number) if size.ends_with('k') => (number, 1_000),
        Some(number) if size.ends_with('M') => (number, 1_000_000),
        Some(number) => (number, 1_000_000_000),
        None => (size, 1),
    };
    let size = number
        .parse::<u64>()
        .wrap_err_with(|| format!("{size} is no size; write for example 500M or 1G"))?
        * unit;
    let format = match path.extension().and_then(|e| e.to_str()) {
        Some("pcap") => Format::Pcap,
        Some("pcapng") => Format::Pcapng,
        _ => bail!("the file's name has to end in .pcap or .pcapng"),
    };
    let file =
        fs::File::create(path).wrap_err_with(|| format!("could not make {}", path.display()))?;
    let mix = synth::big::write(&mut std::io::BufWriter::new(file), format, size, talk)?;
    println!("{mix:?}");
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).wrap_err_with(|| format!("could not write {}", path.display()))?;
    println!("{:>8} {}", bytes.len(), path.display());
    Ok(())
}
