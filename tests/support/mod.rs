//! What several tests need: where recorded captures lie, and how a test says that it was skipped.

pub mod asking;
pub mod exporting;
pub mod pty;
pub mod synth;

use std::path::{Path, PathBuf};

/// The folder with the recorded captures and the specifications, if this machine has it.
pub fn shared() -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared");
    folder.is_dir().then_some(folder)
}

/// The truth files of the recorded captures, in the order of their names.
pub fn truth_files(shared: &Path) -> Vec<PathBuf> {
    let folder = shared.join("captures/recorded");
    let mut truths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(".truth.json"))
        .collect();
    truths.sort();
    truths
}

/// The folder with the recorded captures. Without it the test is skipped, and says so; in CI that is a failure.
pub fn shared_or_skip(test: &str) -> Option<PathBuf> {
    let folder = shared();
    if folder.is_none() {
        skip(
            test,
            "the folder ../shared with recorded captures is not there",
        );
    }
    folder
}

/// Says that a test was skipped and why; in CI, where everything must be there, it fails instead.
pub fn skip(test: &str, why: &str) {
    assert!(
        std::env::var_os("CI").is_none(),
        "{test} may not be skipped in CI: {why}"
    );
    eprintln!("skipped: {test}: {why}");
}
