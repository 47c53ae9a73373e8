//! What the benchmarks share: the program and the generator are built, and the capture is made.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use color_eyre::eyre::{Result, bail};

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn target(name: &str) -> PathBuf {
    // This program is in target/PROFILE/examples.
    let here = std::env::current_exe().unwrap_or_default();
    let profile = here
        .parent()
        .and_then(Path::parent)
        .unwrap_or(Path::new("."));
    profile.join(name)
}

/// Builds the program and the generator in the profile that this one has.
pub fn build() -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(project()).args([
        "build",
        "--bin",
        "marstui",
        "--example",
        "make-fixtures",
    ]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    if !command.status()?.success() {
        bail!("the program to measure does not build");
    }
    Ok(())
}

/// The capture of a size, made if it is not there yet; `kind` is one of the generator's words.
pub fn make(kind: &str, size: &str, format: &str) -> Result<PathBuf> {
    let folder = project().join("tests/bench/data");
    fs::create_dir_all(&folder)?;
    let file = folder.join(format!("{kind}.{size}.{format}"));
    if !file.exists() {
        let status = Command::new(target("examples/make-fixtures"))
            .args([kind, size])
            .arg(&file)
            .status()?;
        if !status.success() {
            bail!("the generator could not make {}", file.display());
        }
    }
    Ok(file)
}
