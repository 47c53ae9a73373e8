//! A new file that is written in large whole blocks. A long one goes past the system's cache where the system and
//! the disk allow that: nobody reads the file at once, writing it costs a third of the work, and it does not push out
//! of memory what is needed there.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use tempfile::NamedTempFile;

/// Bytes that are gathered before they are written: few calls of the system, and still in the processor's cache.
const GATHERED: usize = 1 << 20;
/// Memory, position and length of what goes past the cache are multiples of this, on every usual disk.
const BLOCK: usize = 4096;
/// Files at least so long go past the cache.
const LONG: u64 = 32 << 20;

/// A temporary file that is being filled from its beginning.
#[derive(Debug)]
pub(super) struct BlockFile {
    part: NamedTempFile,
    /// The same file, as it is written to.
    out: File,
    past_cache: bool,
    gathered: Vec<u8>,
    /// Where in `gathered` the multiple of [`BLOCK`] stands at which it is used.
    start: usize,
    len: usize,
    written: u64,
}

impl BlockFile {
    /// A new file in a folder that will have about `expected` bytes.
    pub(super) fn create(folder: &Path, expected: u64) -> io::Result<Self> {
        let part = temporary(folder)?;
        let gathered = vec![0; GATHERED.saturating_add(BLOCK)];
        let start = gathered.as_ptr().align_offset(BLOCK);
        let past_cache = if expected >= LONG && start < BLOCK {
            open_past_cache(part.path())
        } else {
            None
        };
        Ok(Self {
            past_cache: past_cache.is_some(),
            out: match past_cache {
                Some(out) => out,
                None => part.reopen()?,
            },
            part,
            gathered,
            start,
            len: 0,
            written: 0,
        })
    }

    /// Where the next bytes can be put, at least one; [`BlockFile::took`] says how many were.
    pub(super) fn room(&mut self) -> io::Result<&mut [u8]> {
        if self.len == GATHERED {
            self.write_gathered()?;
        }
        let from = self.start.saturating_add(self.len);
        let to = self.start.saturating_add(GATHERED);
        Ok(self.gathered.get_mut(from..to).unwrap_or_default())
    }

    /// So many bytes were put into the room.
    pub(super) fn took(&mut self, len: usize) {
        self.len = self.len.saturating_add(len).min(GATHERED);
    }

    /// Writes the rest and waits until all is on the disk; returns the file and its length.
    pub(super) fn finish(mut self) -> io::Result<(NamedTempFile, u64)> {
        let len = self.written.saturating_add(self.len as u64);
        if self.past_cache {
            // The last block has to be whole; what is too much of it is cut off again.
            let whole = self.len.next_multiple_of(BLOCK).min(GATHERED);
            let from = self.start.saturating_add(self.len);
            let to = self.start.saturating_add(whole);
            if let Some(rest) = self.gathered.get_mut(from..to) {
                rest.fill(0);
            }
            self.len = whole;
        }
        self.write_gathered()?;
        if self.written != len {
            self.out.set_len(len)?;
        }
        self.out.sync_data()?;
        Ok((self.part, len))
    }

    fn write_gathered(&mut self) -> io::Result<()> {
        let to = self.start.saturating_add(self.len);
        let bytes = self.gathered.get(self.start..to).unwrap_or_default();
        let mut done = self.out.write_all_at(bytes, self.written);
        if self.past_cache && done.is_err() {
            // Where the disk wants other multiples after all, and to learn what is wrong where it is something else.
            self.past_cache = false;
            self.out = self.part.reopen()?;
            done = self.out.write_all_at(bytes, self.written);
        }
        done?;
        self.written = self.written.saturating_add(self.len as u64);
        self.len = 0;
        Ok(())
    }
}

impl Write for BlockFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let room = self.room()?;
        let len = room.len().min(buf.len());
        if let (Some(to), Some(from)) = (room.get_mut(..len), buf.get(..len)) {
            to.copy_from_slice(from);
        }
        self.took(len);
        Ok(len)
    }

    /// Everything is written by [`BlockFile::finish`].
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".marstui-").suffix(".part");
    #[cfg(unix)]
    {
        use std::fs::Permissions;
        use std::os::unix::fs::PermissionsExt;
        // As any new file: the user's mask decides. The library's own choice would be for the owner alone.
        builder.permissions(Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// Opens a file for writing past the cache; `None` where that cannot be done.
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
fn open_past_cache(path: &Path) -> Option<File> {
    use std::os::unix::fs::OpenOptionsExt;
    /// `O_DIRECT` of open(2); its number is one of the few that are not the same on all processors.
    const PAST_CACHE: i32 = if cfg!(target_arch = "aarch64") {
        0o200_000
    } else {
        0o40_000
    };
    let mut options = File::options();
    options.write(true).custom_flags(PAST_CACHE).open(path).ok()
}

#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
fn open_past_cache(_: &Path) -> Option<File> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fills a file with pieces of uneven lengths and compares it with what went in.
    fn round_trip(expected: u64, len: usize) {
        let folder = tempfile::tempdir().unwrap();
        let mut file = BlockFile::create(folder.path(), expected).unwrap();
        let bytes: Vec<u8> = (0..=250).cycle().take(len).collect();
        let mut rest = &bytes[..];
        let mut piece = 1;
        while !rest.is_empty() {
            let n = piece.min(rest.len());
            if piece % 2 == 0 {
                file.write_all(&rest[..n]).unwrap();
                rest = &rest[n..];
            } else {
                let room = file.room().unwrap();
                let n = n.min(room.len());
                room[..n].copy_from_slice(&rest[..n]);
                file.took(n);
                rest = &rest[n..];
            }
            piece = piece * 3 % 300_007 + 1;
        }
        let (part, written) = file.finish().unwrap();
        assert_eq!(written, len as u64);
        assert!(std::fs::read(part.path()).unwrap() == bytes);
    }

    #[test]
    fn what_goes_in_is_in_the_file_whatever_its_length() {
        for expected in [0, LONG] {
            for len in [0, 1, BLOCK, BLOCK + 1, GATHERED, GATHERED + 5, 3 * GATHERED] {
                round_trip(expected, len);
            }
        }
    }

    #[test]
    fn a_file_that_cannot_go_past_the_cache_after_all_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = BlockFile::create(folder.path(), 0).unwrap();
        // As if it could: a handle that refuses every write stands for a disk with other blocks.
        file.past_cache = true;
        file.out = File::open(file.part.path()).unwrap();
        let bytes = vec![7; GATHERED + 9];
        file.write_all(&bytes).unwrap();
        let (part, written) = file.finish().unwrap();
        assert_eq!(written, bytes.len() as u64);
        assert!(std::fs::read(part.path()).unwrap() == bytes);
    }
}
