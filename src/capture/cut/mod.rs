//! Cutting a stretch of bytes into records, one module per file format.

mod pcap;
mod pcapng;

use super::chunk::{Damage, Interface, RecordMeta};
use crate::units::{FileOffset, InterfaceId};

/// A record longer than this is taken for damage; the longest that capture programs write is 256 KiB.
pub(super) const MAX_RECORD: u32 = 16 << 20;

/// What a cutter fills.
#[derive(Debug)]
pub(super) struct Out<'a> {
    /// The file that is cut, by its position in the list of files.
    pub(super) file: usize,
    pub(super) records: &'a mut Vec<RecordMeta>,
    pub(super) interfaces: &'a mut Vec<Interface>,
    pub(super) problems: &'a mut Vec<Damage>,
    /// The number of the next interface declared, over all files.
    pub(super) next_interface: &'a mut u32,
}

impl Out<'_> {
    /// Takes note of something wrong.
    pub(super) fn problem(&mut self, offset: u64, what: impl Into<String>) {
        self.problems.push(Damage {
            file: self.file,
            offset: FileOffset(offset),
            records_before: self.records.len(),
            what: what.into(),
        });
    }

    /// Declares an interface and returns its number.
    pub(super) fn interface(&mut self, interface: Interface) -> InterfaceId {
        let id = InterfaceId(*self.next_interface);
        *self.next_interface = self.next_interface.saturating_add(1);
        self.interfaces.push(interface);
        id
    }
}

/// Why a cutter came to its stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stop {
    /// At least so many bytes, counted from the stop, are needed to go on.
    More(usize),
    /// So many bytes from the stop on hold no frame and need not be read.
    Skip(u64),
    /// What follows makes no sense.
    Damaged(String),
}

/// The state of cutting one file.
#[derive(Debug, Clone)]
pub(super) enum Cutter {
    Pcap(pcap::Pcap),
    PcapNg(pcapng::PcapNg),
}

/// What the first bytes of a file say about its format.
#[derive(Debug)]
pub(super) enum Detected {
    /// One that is read.
    Format(Cutter),
    /// One that is read, but its header is damaged.
    Broken(String),
    /// None of those that are read.
    Other,
}

impl Cutter {
    /// So many bytes from the start of a file are enough to tell its format.
    pub(super) const HEADER: usize = 32;

    /// Tells the format from a file's first bytes.
    pub(super) fn detect(start: &[u8]) -> Detected {
        match pcap::Pcap::detect(start) {
            Detected::Other => pcapng::PcapNg::detect(start),
            found => found,
        }
    }

    /// The format's name.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Pcap(_) => "pcap",
            Self::PcapNg(_) => "pcapng",
        }
    }

    /// Cuts records from `bytes`, which begin at position `base` of the file. Returns how many bytes are done
    /// with, and why it stopped there.
    pub(super) fn cut(&mut self, bytes: &[u8], base: u64, out: &mut Out<'_>) -> (usize, Stop) {
        match self {
            Self::Pcap(pcap) => pcap.cut(bytes, base, out),
            Self::PcapNg(pcapng) => pcapng.cut(bytes, base, out),
        }
    }
}

/// Byte order of a file or section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    fn u64(self, bytes: [u8; 8]) -> u64 {
        match self {
            Self::Little => u64::from_le_bytes(bytes),
            Self::Big => u64::from_be_bytes(bytes),
        }
    }
}

/// The number at `at` in a block of fixed size; `at` is a constant of the format, so that a block too short for
/// it cannot occur.
fn word<const N: usize>(block: &[u8; N], at: usize, order: Order) -> u32 {
    let bytes = block.get(at..).and_then(<[u8]>::first_chunk::<4>);
    bytes.map_or(0, |bytes| order.u32(*bytes))
}

fn to_u64(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

fn to_usize(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

fn to_u32(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
