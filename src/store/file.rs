//! The rows of files and interfaces, and what is wrong with them.

use crate::units::{FileOffset, FrameNo, Holds};

/// Something wrong with the capture file itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: usize,
    /// Position in the file.
    pub offset: FileOffset,
    /// The frame at or before it.
    pub frame: Option<FrameNo>,
    /// What is wrong.
    pub what: String,
}

/// An interface of a capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceRow {
    /// The file that declares it.
    pub file: usize,
    /// Its number within its section of its file.
    pub local: u32,
    /// The section within its file.
    pub section: u32,
    /// Link type (LINKTYPE_ number).
    pub link_type: u32,
    /// Snap length, 0 for none.
    pub snap_len: u32,
    /// Time units per second of its frames' time stamps in the file.
    pub ticks_per_second: u64,
    /// Its name.
    pub name: Option<String>,
    /// What is listed under it.
    pub holds: Holds,
}

/// A file of the capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRow {
    /// Its position in the list of files.
    pub index: usize,
    /// Its path as given.
    pub path: String,
    /// `pcap`, `pcapng`, `netmon` …, with the compression where there is one.
    pub format: &'static str,
    /// Its size in bytes; of the only file, if that is standard input or grows, as much as has been read.
    pub bytes: u64,
    /// Frames read from it so far.
    pub frames: u64,
}

/// Which end a capture was taken on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum View {
    /// The client's host.
    Client,
    /// The server's host.
    Server,
    /// Somewhere between, or both.
    Middle,
    /// Nothing tells.
    #[default]
    Unknown,
}

impl View {
    /// The word in reports; `None` where it is not known.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Client => Some("client"),
            Self::Server => Some("server"),
            Self::Middle => Some("middle"),
            Self::Unknown => None,
        }
    }
}
