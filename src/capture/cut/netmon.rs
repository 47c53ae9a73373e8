//! Frames of Network Monitor files (1.x and 2.0 to 2.3), found through the frame table at the file's end.
//!
//! A conversion of a `netsh trace` holds one event of the Windows tracing system per record. Where that is a frame
//! seen by the packet capture driver, the frame inside is what is listed; the other events are listed without
//! decoding, so that the numbers are those of other programs.

use std::collections::HashMap;

use super::{Cutter, Detected, MAX_RECORD, Order, Out, Stop, to_u32, to_u64, to_usize, word};
use crate::capture::chunk::{Interface, RecordMeta};
use crate::capture::link::link_type;
use crate::units::{FileOffset, Holds, InterfaceId, Nanos};

/// Bytes of the file header that have a meaning.
const FILE_HEADER: u64 = 72;
/// Where the first record stands in most files.
const USUAL_FIRST_RECORD: u64 = 128;
/// Entries of the frame table that are held at once.
const TABLE_PIECE: usize = 16 << 10;
/// Interfaces are made from what the frames say; beyond this many they share the last one.
const MAX_INTERFACES: usize = 4096;

/// Media type of events of the Windows tracing system.
const MEDIA_EVENT: u16 = 0xffe0;
/// Microsoft-Windows-NDIS-PacketCapture, {2ed6006e-4729-4609-b423-3ee7bcd678ef}.
const PACKET_CAPTURE: [u8; 16] = [
    0x6e, 0x00, 0xd6, 0x2e, 0x29, 0x47, 0x09, 0x46, 0xb4, 0x23, 0x3e, 0xe7, 0xbc, 0xd6, 0x78, 0xef,
];
/// Header of an event, and the nine bytes between it and the event's data.
const EVENT_HEADER: usize = 80;
const EVENT_FIXED: usize = EVENT_HEADER + 9;

/// The state of reading a file.
#[derive(Debug, Clone)]
pub(in crate::capture) struct NetMon {
    version: Version,
    /// Media type of the file, for versions whose records have none of their own.
    media: u16,
    start: i64,
    /// The part of the frame table that has not been read yet.
    table: (u64, u64),
    /// Where the frame table begins, or would.
    table_start: u64,
    /// Position behind the last record that was read.
    behind: u64,
    /// Positions of the next records, the next one last.
    next: Vec<u32>,
    state: State,
    interfaces: HashMap<(u32, u32), InterfaceId>,
    last_interface: Option<InterfaceId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Begin,
    Table,
    Records,
    /// The frame table is not in the file; records are read one after the other.
    Sequence,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    V1,
    V2(u8),
}

impl Version {
    /// Bytes before a record's data.
    fn header(self) -> usize {
        match self {
            Self::V1 => 8,
            Self::V2(_) => 16,
        }
    }

    /// Bytes behind a record's data: media type, process, time.
    fn trailer(self) -> usize {
        match self {
            Self::V1 | Self::V2(0) => 0,
            Self::V2(1) => 2,
            Self::V2(2) => 6,
            Self::V2(_) => 15,
        }
    }

    fn ticks_per_second(self) -> u64 {
        match self {
            Self::V1 => 1_000,
            Self::V2(0..=2) => 1_000_000,
            Self::V2(_) => 10_000_000,
        }
    }
}

impl NetMon {
    pub(super) fn detect(start: &[u8]) -> Detected {
        let version = match start {
            [b'R', b'T', b'S', b'S', _, 1, ..] => Version::V1,
            [b'G', b'M', b'B', b'U', minor, 2, ..] => Version::V2(*minor),
            [b'R', b'T', b'S', b'S', ..] | [b'G', b'M', b'B', b'U', ..] => {
                return Detected::Broken(
                    "a Network Monitor file of a version that is not read (1.x and 2.x are)"
                        .to_owned(),
                );
            }
            _ => return Detected::Other,
        };
        let Some(header) = start.first_chunk::<32>() else {
            return Detected::Broken(format!(
                "the file ends within the Network Monitor file header: {} of {FILE_HEADER} bytes are there",
                start.len()
            ));
        };
        let order = Order::Little;
        let table = u64::from(word(header, 24, order));
        let length = u64::from(word(header, 28, order));
        Detected::Format(Cutter::NetMon(Box::new(Self {
            version,
            media: half(header, 6),
            start: start_time(header),
            table: (table, table.saturating_add(length)),
            table_start: table,
            behind: FILE_HEADER,
            next: Vec::new(),
            state: State::Begin,
            interfaces: HashMap::new(),
            last_interface: None,
        })))
    }

    pub(super) fn cut(&mut self, bytes: &[u8], base: u64, out: &mut Out<'_>) -> (usize, Stop) {
        match self.state {
            State::Begin => {
                self.state = State::Table;
                (0, Stop::Jump(self.table.0))
            }
            State::Table => self.read_table(bytes),
            State::Records => (0, self.records(bytes, base, out)),
            State::Sequence => self.sequence(bytes, base, out),
        }
    }

    /// The file ended where more was wanted. Returns where to go on.
    pub(super) fn end(&mut self, position: u64, out: &mut Out<'_>) -> Option<u64> {
        match self.state {
            State::Begin | State::Table => {
                out.problem(
                    position,
                    "the frame table is not wholly in the file; the frames are read one after the other",
                );
                self.state = State::Sequence;
                Some(self.behind)
            }
            State::Records => {
                out.problem(
                    position,
                    "the frame table names a record that is not wholly in the file",
                );
                self.next.pop();
                match self.go_on() {
                    Stop::Jump(next) => Some(next),
                    _ => None,
                }
            }
            State::Sequence => None,
        }
    }

    /// Where the next record, or else the next part of the table, stands.
    fn go_on(&mut self) -> Stop {
        if let Some(next) = self.next.last() {
            return Stop::Jump(u64::from(*next));
        }
        self.state = State::Table;
        if self.table_left() == 0 {
            Stop::End
        } else {
            Stop::Jump(self.table.0)
        }
    }

    fn table_left(&self) -> u64 {
        self.table.1.saturating_sub(self.table.0) / 4
    }

    fn read_table(&mut self, bytes: &[u8]) -> (usize, Stop) {
        let left = self.table_left();
        if left == 0 {
            return (0, Stop::End);
        }
        let entries = bytes.chunks_exact(4).take(TABLE_PIECE);
        let entries = entries.take(usize::try_from(left).unwrap_or(usize::MAX));
        self.next = entries
            .filter_map(<[u8]>::first_chunk::<4>)
            .map(|entry| u32::from_le_bytes(*entry))
            .collect();
        if self.next.is_empty() {
            return (0, Stop::More(4));
        }
        let read = to_u64(self.next.len()).saturating_mul(4);
        self.table.0 = self.table.0.saturating_add(read);
        self.next.reverse();
        self.state = State::Records;
        (0, self.go_on())
    }

    /// Takes the records that the table names as long as they lie within `bytes`.
    fn records(&mut self, bytes: &[u8], base: u64, out: &mut Out<'_>) -> Stop {
        while let Some(next) = self.next.last().copied().map(u64::from) {
            let at = next
                .checked_sub(base)
                .and_then(|at| usize::try_from(at).ok())
                .filter(|at| *at < bytes.len());
            let Some(at) = at else {
                return Stop::Jump(next);
            };
            let rest = bytes.get(at..).unwrap_or_default();
            match self.record(rest, at, base, out) {
                Ok(_) => {
                    self.next.pop();
                }
                // From the record on, so that a stretch read from there is sure to hold it.
                Err(Stop::More(_)) if at > 0 => return Stop::Jump(next),
                Err(Stop::Damaged(what)) => {
                    out.problem(next, what);
                    self.next.pop();
                }
                Err(stop) => return stop,
            }
        }
        self.go_on()
    }

    fn sequence(&mut self, bytes: &[u8], base: u64, out: &mut Out<'_>) -> (usize, Stop) {
        let mut at = 0;
        if base == FILE_HEADER {
            match bytes.first_chunk::<16>() {
                Some([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]) => {
                    return (0, Stop::Jump(USUAL_FIRST_RECORD));
                }
                Some(_) => {}
                None => return (0, Stop::More(16)),
            }
        }
        loop {
            // What there is of the table is no record.
            if base.saturating_add(to_u64(at)) >= self.table_start {
                return (at, Stop::End);
            }
            let rest = bytes.get(at..).unwrap_or_default();
            match self.record(rest, at, base, out) {
                Ok(len) => at = at.saturating_add(len),
                Err(stop) => return (at, stop),
            }
        }
    }

    fn record(
        &mut self,
        rest: &[u8],
        at: usize,
        base: u64,
        out: &mut Out<'_>,
    ) -> Result<usize, Stop> {
        let order = Order::Little;
        let before = self.version.header();
        let (delta, wire, captured) = match self.version {
            Version::V1 => {
                let header = rest.first_chunk::<8>().ok_or(Stop::More(before))?;
                (
                    i64::from(word(header, 0, order)).saturating_mul(1_000_000),
                    u32::from(half(header, 4)),
                    u32::from(half(header, 6)),
                )
            }
            Version::V2(_) => {
                let header = rest.first_chunk::<16>().ok_or(Stop::More(before))?;
                let ticks = header.first_chunk::<8>().map_or(0, |n| order.u64(*n));
                (
                    i64::try_from(ticks.saturating_mul(1000)).unwrap_or(i64::MAX),
                    word(header, 8, order),
                    word(header, 12, order),
                )
            }
        };
        if captured > MAX_RECORD {
            return Err(Stop::Damaged(format!(
                "a record of {captured} bytes, which no capture program writes"
            )));
        }
        let end = before.saturating_add(to_usize(captured));
        let len = end.saturating_add(self.version.trailer());
        let (Some(data), Some(trailer)) = (rest.get(before..end), rest.get(end..len)) else {
            return Err(Stop::More(len));
        };
        let position = base.saturating_add(to_u64(at));
        self.behind = position.saturating_add(to_u64(len));
        let media = trailer
            .first_chunk::<2>()
            .map_or(self.media, |n| order.u16(*n));
        let time = trailer
            .get(6..)
            .and_then(<[u8]>::first_chunk::<8>)
            .map_or(self.start.saturating_add(delta), |n| {
                file_time(order.u64(*n))
            });
        let seen = Seen::new(media, data);
        let (interface, inside, captured) = match seen {
            Some(seen) => (
                self.interface(seen.link, seen.adapter, out),
                seen.start,
                seen.len,
            ),
            None => (self.interface(media_link(media), 0, out), 0, captured),
        };
        let start = at.saturating_add(before).saturating_add(inside);
        out.records.push(RecordMeta {
            start: to_u32(start),
            captured,
            wire: if seen.is_some() { captured } else { wire },
            offset: FileOffset(base.saturating_add(to_u64(start))),
            time: Nanos(time),
            interface,
        });
        Ok(len)
    }

    fn interface(&mut self, link: u32, adapter: u32, out: &mut Out<'_>) -> InterfaceId {
        if let Some(id) = self.interfaces.get(&(link, adapter)) {
            return *id;
        }
        if let Some(last) = self.last_interface
            && self.interfaces.len() >= MAX_INTERFACES
        {
            return last;
        }
        let id = out.interface(Interface {
            file: out.file,
            section: 0,
            local: to_u32(self.interfaces.len()),
            link_type: link,
            snap_len: 0,
            ticks_per_second: self.version.ticks_per_second(),
            name: (adapter != 0).then(|| format!("adapter {adapter}")),
            holds: Holds::Frames,
            blocks: None,
        });
        self.interfaces.insert((link, adapter), id);
        self.last_interface = Some(id);
        id
    }
}

/// A frame inside an event of the packet capture driver.
#[derive(Debug, Clone, Copy)]
struct Seen {
    link: u32,
    adapter: u32,
    start: usize,
    len: u32,
}

impl Seen {
    fn new(media: u16, event: &[u8]) -> Option<Self> {
        let order = Order::Little;
        let header = event.first_chunk::<EVENT_FIXED>()?;
        if media != MEDIA_EVENT || header.get(24..40)? != PACKET_CAPTURE {
            return None;
        }
        let keyword = header.get(48..56)?.first_chunk::<8>()?;
        let keyword = order.u64(*keyword);
        // Bit 30: begins a frame. The middle of a frame in several events is not one.
        if keyword & (1 << 30) == 0 {
            return None;
        }
        let link = match keyword {
            k if k & 1 != 0 => link_type::ETHERNET,
            k if k & (1 << 9 | 1 << 15) != 0 => link_type::RAW,
            k if k & (1 << 16) != 0 => link_type::IEEE802_11,
            _ => return None,
        };
        // Extended data may stand in between; the event's own data ends the record.
        let user_len = usize::from(half(header, EVENT_HEADER + 6));
        let user_start = event.len().checked_sub(user_len)?;
        let user = event.get(user_start..)?;
        let fragment = match half(header, 40) {
            1001 => 8,
            1003 => switch_fragment(user)?,
            _ => return None,
        };
        let claimed = order.u32(*user.get(fragment..)?.first_chunk::<4>()?);
        let start = fragment.checked_add(4)?;
        let there = to_u32(user.len().checked_sub(start)?);
        Some(Self {
            link,
            adapter: word(user.first_chunk::<8>()?, 4, order),
            start: user_start.checked_add(start)?,
            len: claimed.min(there),
        })
    }
}

/// Events of a virtual switch name the source port with three texts, then count the destinations.
fn switch_fragment(user: &[u8]) -> Option<usize> {
    let mut at = 12;
    for _ in 0..3 {
        let units = user.get(at..)?.chunks_exact(2);
        let len = units.take_while(|unit| *unit != [0, 0]).count();
        at = len.checked_add(1)?.checked_mul(2)?.checked_add(at)?;
    }
    at.checked_add(4)
}

/// The link type of a media type; what is not taken apart gets a number that says so.
fn media_link(media: u16) -> u32 {
    match media {
        1 => link_type::ETHERNET,
        8..=12 => link_type::RAW,
        // Files that came from pcap keep the link type.
        0xe000..=0xefff => u32::from(media & 0x0fff),
        _ => link_type::NONE,
    }
}

/// Time of the capture's start: a Windows SYSTEMTIME of the capturing host, whose time zone is not told; taken
/// as UTC.
fn start_time(header: &[u8; 32]) -> i64 {
    let [year, month, day] = [8, 10, 14].map(|at| i64::from(half(header, at)));
    let [hour, minute, second, milli] = [16, 18, 20, 22].map(|at| i64::from(half(header, at)));
    let minutes = days(year, month, day)
        .saturating_mul(24)
        .saturating_add(hour)
        .saturating_mul(60)
        .saturating_add(minute);
    let millis = minutes
        .saturating_mul(60)
        .saturating_add(second)
        .saturating_mul(1000)
        .saturating_add(milli);
    millis.saturating_mul(1_000_000)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. Years have 16 bits, so nothing overflows.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March put the leap day last.
    let shifted = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let of_year = (153 * month + 2) / 5 + day - 1;
    let before =
        shifted * 365 + shifted.div_euclid(4) - shifted.div_euclid(100) + shifted.div_euclid(400);
    before + of_year - 719_468
}

/// Nanoseconds since 1970 of a Windows FILETIME (units of 100 ns since 1601).
fn file_time(ticks: u64) -> i64 {
    let since_1970 = i128::from(ticks) - 116_444_736_000_000_000;
    i64::try_from(since_1970.saturating_mul(100)).unwrap_or(i64::MAX)
}

fn half<const N: usize>(block: &[u8; N], at: usize) -> u16 {
    let bytes = block.get(at..).and_then(<[u8]>::first_chunk::<2>);
    bytes.map_or(0, |bytes| u16::from_le_bytes(*bytes))
}
