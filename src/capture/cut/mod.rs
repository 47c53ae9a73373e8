//! Cutting a stretch of bytes into records, one module per file format.

mod netmon;
mod pcap;
mod pcapng;

pub(super) use pcapng::{Options, comments};

use super::chunk::{Damage, Interface, RecordMeta, SideBlock};
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
    pub(super) side_blocks: &'a mut Vec<SideBlock>,
    pub(super) problems: &'a mut Vec<Damage>,
    /// The number of the next interface declared, over all files.
    pub(super) next_interface: &'a mut u32,
    /// So many more problems of this file are taken note of.
    pub(super) problems_left: &'a mut u32,
}

/// Problems of one file that are listed; a file of nothing but damage must not fill the memory with it.
pub(super) const MAX_PROBLEMS: u32 = 1000;
/// Interfaces of a capture that are told apart.
const MAX_INTERFACES: u32 = 1 << 16;

impl Out<'_> {
    /// Takes note of something wrong.
    pub(super) fn problem(&mut self, offset: u64, what: impl Into<String>) {
        let Some(left) = self.problems_left.checked_sub(1) else {
            return;
        };
        *self.problems_left = left;
        let what = if left == 0 {
            format!("more than {MAX_PROBLEMS} problems; from here on they are not listed")
        } else {
            what.into()
        };
        self.problems.push(Damage {
            file: self.file,
            offset: FileOffset(offset),
            records_before: self.records.len(),
            what,
        });
    }

    /// Whether no further interfaces are told apart.
    pub(super) fn interfaces_full(&self) -> bool {
        *self.next_interface >= MAX_INTERFACES
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
    /// So many show what follows is; at the end of the file it is taken as it is.
    Unsure(usize),
    /// Go on at this position of the file; what lies between need not be read.
    Jump(u64),
    /// There is nothing more in this file.
    End,
    /// What follows makes no sense.
    Damaged(String),
}

/// Whether bytes look like records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plausible {
    Yes,
    No,
    /// More bytes are needed to tell.
    Unsure,
}

/// What came of looking for the place where records go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Search {
    /// Here.
    Found(usize),
    /// Not before here.
    Nothing(usize),
}

/// A place that stays unsure although so many bytes follow it is not taken.
const SEARCH_AHEAD: usize = 512 << 10;

fn search(bytes: &[u8], plausible: impl Fn(&[u8]) -> Plausible) -> Search {
    let found = (0..bytes.len()).find_map(|at| {
        let rest = bytes.get(at..).unwrap_or_default();
        match plausible(rest) {
            Plausible::Yes => Some(Search::Found(at)),
            Plausible::Unsure if rest.len() < SEARCH_AHEAD => Some(Search::Nothing(at)),
            Plausible::Unsure | Plausible::No => None,
        }
    });
    found.unwrap_or(Search::Nothing(bytes.len()))
}

/// The state of cutting one file.
#[derive(Debug, Clone)]
pub(super) enum Cutter {
    Pcap(pcap::Pcap),
    PcapNg(pcapng::PcapNg),
    NetMon(Box<netmon::NetMon>),
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
            Detected::Other => {}
            found => return found,
        }
        match pcapng::PcapNg::detect(start) {
            Detected::Other => netmon::NetMon::detect(start),
            found => found,
        }
    }

    /// The format's name.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Pcap(_) => "pcap",
            Self::PcapNg(_) => "pcapng",
            Self::NetMon(_) => "netmon",
        }
    }

    /// Cuts records from `bytes`, which begin at position `base` of the file. Returns how many bytes are done
    /// with, and why it stopped there. `last` says that the file ends with them.
    pub(super) fn cut(
        &mut self,
        bytes: &[u8],
        base: u64,
        last: bool,
        out: &mut Out<'_>,
    ) -> (usize, Stop) {
        match self {
            Self::Pcap(pcap) => pcap.cut(bytes, base, out),
            Self::PcapNg(pcapng) => pcapng.cut(bytes, base, last, out),
            Self::NetMon(netmon) => netmon.cut(bytes, base, out),
        }
    }

    /// Tells that the file ended, with `left` bytes of an unfinished record at `position` that needs `wanted`.
    /// Returns where to go on, if anywhere.
    pub(super) fn end(
        &mut self,
        left: usize,
        wanted: usize,
        position: u64,
        out: &mut Out<'_>,
    ) -> Option<u64> {
        if let Self::NetMon(netmon) = self
            && let Some(next) = netmon.end(position, out)
        {
            return Some(next);
        }
        if left > 0 {
            out.problem(
                position,
                format!("the file ends within a record: {left} of its {wanted} bytes are there"),
            );
        }
        None
    }

    /// Looks, behind damage, for the place where records go on. `base` is the position of `bytes` in the file;
    /// `last` says that the file ends with them.
    pub(super) fn search(&self, bytes: &[u8], last: bool) -> Search {
        match self {
            Self::Pcap(pcap) => search(bytes, |rest| pcap.plausible(rest, last)),
            Self::PcapNg(pcapng) => search(bytes, |rest| pcapng.plausible(rest, last)),
            // Its records are found through a table; without one there is nothing to hold on to.
            Self::NetMon(_) => Search::Nothing(bytes.len()),
        }
    }
}

/// Byte order of a file or section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The lowest byte first.
    Little,
    /// The highest byte first.
    Big,
}

impl Order {
    pub(super) fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    pub(super) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    pub(super) fn u64(self, bytes: [u8; 8]) -> u64 {
        match self {
            Self::Little => u64::from_le_bytes(bytes),
            Self::Big => u64::from_be_bytes(bytes),
        }
    }

    pub(super) fn of16(self, n: u16) -> [u8; 2] {
        match self {
            Self::Little => n.to_le_bytes(),
            Self::Big => n.to_be_bytes(),
        }
    }

    pub(super) fn of32(self, n: u32) -> [u8; 4] {
        match self {
            Self::Little => n.to_le_bytes(),
            Self::Big => n.to_be_bytes(),
        }
    }
}

/// The number at `at` in a block of fixed size; `at` is a constant of the format, so that a block too short for
/// it cannot occur.
pub(super) fn word<const N: usize>(block: &[u8; N], at: usize, order: Order) -> u32 {
    number(block, at, |bytes| order.u32(bytes)).unwrap_or(0)
}

/// The number at `at`, if it is there; `read` knows the byte order.
fn number(bytes: &[u8], at: usize, read: impl Fn([u8; 4]) -> u32) -> Option<u32> {
    let bytes = bytes.get(at..).and_then(<[u8]>::first_chunk::<4>);
    bytes.map(|bytes| read(*bytes))
}

pub(super) fn to_u64(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

fn to_usize(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

fn to_u32(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
