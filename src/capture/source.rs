//! Bytes that can be read at any position: a file, bytes in memory, or a stream that is copied to a file meanwhile.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use super::spool::Spool;

/// Where a capture's bytes come from.
#[derive(Debug)]
pub(super) enum Source {
    /// A file, read at positions (never mapped: a file that is cut short under us is an error, not a signal).
    File(File),
    /// Bytes in memory.
    Bytes(Vec<u8>),
    /// Standard input, or a compressed file that is being unpacked.
    Spool(Spool),
}

impl Source {
    /// Reads at a position until `buf` is full or the source ends, for now; returns the bytes read.
    pub(super) fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Self::File(file) => read_file(file, buf, offset),
            Self::Spool(spool) => spool.read_at(buf, offset),
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
            Self::Spool(spool) => Ok(spool.len()),
            Self::Bytes(bytes) => Ok(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
        }
    }

    /// Whether more bytes will come of themselves. If none stand behind `position` yet, waits for them at most
    /// `patience`.
    pub(super) fn growing(&self, position: u64, patience: Duration) -> bool {
        match self {
            Self::Spool(spool) => spool.wait(position, patience),
            Self::File(_) | Self::Bytes(_) => false,
        }
    }

    /// Why the stream behind it ended before its end.
    pub(super) fn error(&self) -> Option<String> {
        match self {
            Self::Spool(spool) => spool.error(),
            Self::File(_) | Self::Bytes(_) => None,
        }
    }

    /// An estimate of its size at the end.
    pub(super) fn expected(&self, at_opening: u64) -> u64 {
        match self {
            Self::Spool(spool) => spool.expected(),
            Self::File(_) | Self::Bytes(_) => at_opening,
        }
    }
}

/// Reads at a position until `buf` is full or the file ends.
pub(super) fn read_file(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
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
