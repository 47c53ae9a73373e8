//! The file in which marks and position of a capture are kept, found by what the capture holds, not by its name.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use sha2::{Digest, Sha256};

use crate::app::Kept;
use crate::capture::Capture;

/// Bytes of the start and of the end that tell captures apart, with their sizes.
const SAMPLE: u64 = 64 * 1024;

/// The file for a capture; `None` where it is no file, or the system has no place for such files.
pub fn place(capture: &Capture) -> Option<PathBuf> {
    let folder = etcetera::choose_base_strategy().ok()?.state_dir()?;
    let mut hash = Sha256::new();
    for file in capture.files() {
        sample(file.path(), &mut hash).ok()?;
    }
    let mut name = String::new();
    for byte in hash.finalize().iter().take(16) {
        // Writing to a String cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    Some(folder.join("marstui").join(format!("{name}.json")))
}

fn sample(path: &Path, hash: &mut Sha256) -> std::io::Result<()> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    hash.update(size.to_le_bytes());
    let mut bytes = Vec::new();
    file.by_ref().take(SAMPLE).read_to_end(&mut bytes)?;
    hash.update(&bytes);
    file.seek(SeekFrom::Start(size.saturating_sub(SAMPLE)))?;
    bytes.clear();
    file.take(SAMPLE).read_to_end(&mut bytes)?;
    hash.update(&bytes);
    Ok(())
}

/// What was kept; nothing where there is no such file or it cannot be read.
pub fn read(place: &Path) -> Option<Kept> {
    serde_json::from_str(&fs::read_to_string(place).ok()?).ok()
}

/// Keeps it: written beside and renamed, so that a full disk leaves the old one.
pub fn write(place: &Path, kept: &Kept) -> std::io::Result<()> {
    let folder = place.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut part = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer_pretty(&mut part, kept)?;
    part.persist(place)?;
    Ok(())
}
