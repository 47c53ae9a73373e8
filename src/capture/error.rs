//! Why a capture cannot be opened, in words for the person who wanted to.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a capture cannot be opened.
#[derive(Debug)]
pub enum OpenError {
    /// There is no such file.
    Missing(PathBuf),
    /// The path is a folder.
    Folder(PathBuf),
    /// The file has no bytes.
    Empty(PathBuf),
    /// The file is none of the formats that are read; with its first bytes.
    NotACapture(PathBuf, Vec<u8>),
    /// The file begins like a capture and ends, or breaks, before its first record; with what is wrong.
    BrokenHeader(PathBuf, String),
    /// The system does not let it be read.
    Unreadable(PathBuf, io::Error),
    /// Standard input was asked for, and it is the terminal.
    Terminal,
    /// No file was named.
    Nothing,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(path) => write!(f, "{}: there is no such file", path.display()),
            Self::Folder(path) => write!(
                f,
                "{}: this is a folder; name the capture files in it",
                path.display()
            ),
            Self::Empty(path) => write!(
                f,
                "{}: the file is empty (0 bytes); if a capture is still being written, try again with --follow",
                path.display()
            ),
            Self::NotACapture(path, start) => {
                write!(f, "{}: not a capture file (it begins with", path.display())?;
                for byte in start.iter().take(8) {
                    write!(f, " {byte:02x}")?;
                }
                if path
                    .extension()
                    .is_some_and(|e| e.eq_ignore_ascii_case("etl"))
                {
                    return write!(
                        f,
                        "), but an event trace; convert it first: `etl2pcapng {0} out.pcapng` for traces of netsh, \
                         `pktmon etl2pcap {0} --out out.pcapng` for those of pktmon",
                        path.display()
                    );
                }
                write!(
                    f,
                    "); pcap, pcapng and Network Monitor files are read, also compressed with gzip, zstd or lz4"
                )
            }
            Self::BrokenHeader(path, what) => write!(f, "{}: {what}", path.display()),
            Self::Unreadable(path, error) => {
                write!(f, "{}: cannot be read: {error}", path.display())
            }
            Self::Terminal => write!(
                f,
                "standard input is this terminal, and no capture can be typed; send one into it \
                 (`tcpdump -w - | marstui -`), or name a file"
            ),
            Self::Nothing => write!(f, "no capture file was named"),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable(_, error) => Some(error),
            _ => None,
        }
    }
}
