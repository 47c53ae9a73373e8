//! Writers of capture files: frames byte for byte, with their times, lengths and interfaces.

mod pcap;
mod pcapng;

use std::io;

use crate::units::Nanos;

pub use pcap::{PcapRefused, PcapShape, PcapWriter};
pub use pcapng::PcapngWriter;

/// What an interface block is to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InterfaceSpec<'a> {
    /// Link type (LINKTYPE_ number).
    pub link_type: u32,
    /// Snap length, 0 for none.
    pub snap_len: u32,
    /// Time units per second of the frames' source; they are written in the same units as far as nanoseconds
    /// reach.
    pub ticks_per_second: u64,
    /// Its name.
    pub name: Option<&'a str>,
}

/// A frame to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Capture time.
    pub time: Nanos,
    /// Bytes of the frame on the wire.
    pub wire: u32,
    /// Its bytes in the file.
    pub bytes: &'a [u8],
}

/// The time units per second to write for a source's: the source's own where they are a power of ten up to
/// nanoseconds, else nanoseconds.
fn units(ticks_per_second: u64) -> u64 {
    match ticks_per_second {
        1 | 1_000 | 1_000_000 => ticks_per_second,
        _ => 1_000_000_000,
    }
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}
