//! Bytes that can be read at any position: a file, or a capture that is part of the program.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Where a capture's bytes come from.
#[derive(Debug)]
pub(super) enum Source {
    /// A file, read at positions (never mapped: a file that is cut short under us is an error, not a signal).
    File(File),
    /// Bytes in memory.
    Bytes(Vec<u8>),
}

impl Source {
    /// Reads at a position until `buf` is full or the source ends; returns the bytes read.
    pub(super) fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Self::File(file) => read_file(file, buf, offset),
            Self::Bytes(bytes) => {
                let rest = usize::try_from(offset)
                    .ok()
                    .and_then(|offset| bytes.get(offset..))
                    .unwrap_or_default();
                let len = rest.len().min(buf.len());
                if let (Some(to), Some(from)) = (buf.get_mut(..len), rest.get(..len)) {
                    to.copy_from_slice(from);
                }
                Ok(len)
            }
        }
    }

    /// Its size now.
    pub(super) fn size(&self) -> io::Result<u64> {
        match self {
            Self::File(file) => Ok(file.metadata()?.len()),
            Self::Bytes(bytes) => Ok(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
        }
    }
}

fn read_file(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
        let at = offset.saturating_add(u64::try_from(done).unwrap_or(u64::MAX));
        match file.read_at(rest, at) {
            Ok(0) => break,
            Ok(n) => done = done.saturating_add(n),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(done)
}
