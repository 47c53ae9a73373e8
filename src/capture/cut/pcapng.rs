//! Blocks of pcapng files: sections in both byte orders, interfaces with their clocks, packets of all three kinds.
//!
//! The interface block is read here too, and tolerantly: one option that is not as it should be (a name that is
//! not UTF-8, an address of odd length, picoseconds) must not cost the frames behind it.

mod clock;
mod options;

use super::{
    Cutter, Detected, MAX_RECORD, Order, Out, Plausible, Stop, number, to_u32, to_u64, to_usize,
    word,
};
use crate::capture::chunk::{Blocks, Interface, RecordMeta, SideBlock, SideKind};
use crate::capture::link::link_type;
use crate::units::{FileOffset, Holds, Nanos};

use clock::{Clock, Scale, scale};
pub(in crate::capture) use options::{Options, comments};

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE: u32 = 3;
const NAMES: u32 = 4;
const STATISTICS: u32 = 5;
const ENHANCED: u32 = 6;
const JOURNAL: u32 = 9;
const KEYS: u32 = 10;
const CUSTOM: u32 = 0x0bad;
const CUSTOM_NOT_COPIED: u32 = 0x4000_0bad;

/// Interfaces of a section that are told apart.
const MAX_OF_SECTION: usize = 1 << 17;

/// Type, length in front, length behind.
const FRAMING: usize = 12;
/// Block header and fixed fields of an enhanced packet block, and of the older packet block.
const PACKET_HEADER: usize = 28;

/// The state of the current section.
#[derive(Debug, Clone)]
pub(in crate::capture) struct PcapNg {
    order: Order,
    /// Number of the section; `None` before the first.
    section: Option<u32>,
    /// Where it begins.
    section_at: FileOffset,
    interfaces: Vec<Clock>,
    /// Take what is listed without belonging to an interface.
    nowhere: Vec<(Holds, Clock)>,
    /// Time of the packet before: simple packet blocks have none of their own.
    last_time: Nanos,
    /// It was said that packets have no time.
    said_timeless: bool,
}

impl PcapNg {
    pub(super) fn detect(start: &[u8]) -> Detected {
        let Some((kind, rest)) = start.split_first_chunk::<4>() else {
            return Detected::Other;
        };
        if u32::from_le_bytes(*kind) != SECTION {
            return Detected::Other;
        }
        let Some(magic) = rest.get(4..).and_then(<[u8]>::first_chunk::<4>) else {
            return Detected::Broken(format!(
                "the file ends within the pcapng section header: {} of 28 bytes are there",
                start.len()
            ));
        };
        if byte_order(*magic).is_none() {
            return Detected::Broken(
                "begins like pcapng, but the byte-order magic at byte 8 is wrong; a copy in text mode does this"
                    .to_owned(),
            );
        }
        Detected::Format(Cutter::PcapNg(Self {
            order: Order::Little,
            section: None,
            section_at: FileOffset(0),
            interfaces: Vec::new(),
            nowhere: Vec::new(),
            last_time: Nanos(0),
            said_timeless: false,
        }))
    }

    /// `last` says that the file ends with these bytes.
    pub(super) fn cut(
        &mut self,
        bytes: &[u8],
        base: u64,
        last: bool,
        out: &mut Out<'_>,
    ) -> (usize, Stop) {
        let mut at = 0;
        loop {
            at = match self.order {
                Order::Little => self.packets(bytes, at, base, out, u32::from_le_bytes),
                Order::Big => self.packets(bytes, at, base, out, u32::from_be_bytes),
            };
            let rest = bytes.get(at..).unwrap_or_default();
            let position = base.saturating_add(to_u64(at));
            match self.block(rest, (to_u32(at), position), last, out) {
                Ok(len) => at = at.saturating_add(len),
                Err(stop) => return (at, stop),
            }
        }
    }

    /// Takes in enhanced packet blocks in which nothing is out of order, as many as come one behind the other from
    /// `at` on, and returns where the first other block begins. [`Self::block`] can take in these as well, but looks
    /// for more. `read` reads a number in the byte order of the section.
    fn packets(
        &mut self,
        bytes: &[u8],
        at: usize,
        base: u64,
        out: &mut Out<'_>,
        read: impl Fn([u8; 4]) -> u32,
    ) -> usize {
        let number = |bytes: &[u8], at| number(bytes, at, &read);
        let mut rest = bytes.get(at..).unwrap_or_default();
        // No stretch and no file is so long that a place in it could wrap.
        let mut start = to_u32(at.saturating_add(PACKET_HEADER));
        while let Some(header) = rest.first_chunk::<PACKET_HEADER>()
            && number(header, 0) == Some(ENHANCED)
            && let Some(total) = number(header, 4)
            && (to_u32(PACKET_HEADER + 4)..=MAX_RECORD).contains(&total)
            && total.is_multiple_of(4)
            && let Some((block, behind)) = rest.split_at_checked(to_usize(total))
            && block.last_chunk::<4>().map(|end| read(*end)) == Some(total)
            && let Some(captured) = number(header, 20)
            && captured <= total.saturating_sub(to_u32(PACKET_HEADER + 4))
            && let Some(clock) = number(header, 8).and_then(|id| self.interfaces.get(to_usize(id)))
        {
            let word = |at| number(header, at).unwrap_or(0);
            out.records.push(RecordMeta {
                start,
                captured,
                wire: word(24),
                offset: FileOffset(base.wrapping_add(u64::from(start))),
                time: clock.time((u64::from(word(12)) << 32) | u64::from(word(16))),
                interface: clock.id,
            });
            rest = behind;
            start = start.wrapping_add(total);
        }
        let behind = bytes.len().saturating_sub(rest.len());
        if behind > at {
            self.last_time = out.records.last().map_or(self.last_time, |last| last.time);
        }
        behind
    }

    /// Takes in the block that `rest` begins with; `start` is its place in the chunk, `position` in the file.
    fn block(
        &mut self,
        rest: &[u8],
        (start, position): (u32, u64),
        last: bool,
        out: &mut Out<'_>,
    ) -> Result<usize, Stop> {
        let header = rest.first_chunk::<8>().ok_or(Stop::More(FRAMING))?;
        let kind = word(header, 0, self.order);
        if kind == SECTION {
            let magic = rest.get(8..).and_then(<[u8]>::first_chunk::<4>);
            let order = byte_order(*magic.ok_or(Stop::More(FRAMING))?);
            self.order = order.ok_or_else(|| {
                Stop::Damaged("a section header with a wrong byte-order magic".to_owned())
            })?;
        }
        let total = word(header, 4, self.order);
        if total < 12 || !total.is_multiple_of(4) {
            return Err(Stop::Damaged(format!(
                "a block of type {kind:#x} with the impossible length {total}"
            )));
        }
        if total > MAX_RECORD {
            return Err(Stop::Damaged(format!(
                "a block of type {kind:#x} and {total} bytes, which no capture program writes"
            )));
        }
        let len = to_usize(total);
        let block = rest.get(..len).ok_or(Stop::More(len))?;
        if block.last_chunk::<4>().map(|end| self.order.u32(*end)) != Some(total) {
            let what = format!(
                "a block of type {kind:#x} whose lengths in front ({total}) and behind disagree"
            );
            // Where another block follows, the length in front is the right one.
            let behind = rest.get(len..).unwrap_or_default();
            match self.plausible(behind, false) {
                Plausible::No => return Err(Stop::Damaged(what)),
                Plausible::Unsure if !last => {
                    let wanted = behind.len().saturating_mul(2).saturating_add(FRAMING);
                    return Err(Stop::Unsure(len.saturating_add(wanted)));
                }
                Plausible::Yes | Plausible::Unsure => out.problem(position, what),
            }
        }
        let Some(body) = block.get(8..len.saturating_sub(4)) else {
            return Ok(len);
        };
        match kind {
            ENHANCED | PACKET => self.packet(kind, block, start, position, out),
            SIMPLE => self.simple_packet(body, start, position, out),
            SECTION => {
                self.section = Some(self.section.map_or(0, |n| n.saturating_add(1)));
                self.section_at = FileOffset(position);
                self.interfaces.clear();
            }
            INTERFACE => self.interface(body, position, out),
            // Other programs count these among the frames.
            JOURNAL => self.other(body, 0, Holds::Blocks, (start, position), out),
            CUSTOM => self.other(body, 4, Holds::Blocks, (start, position), out),
            CUSTOM_NOT_COPIED => self.other(body, 4, Holds::BlocksToLeave, (start, position), out),
            NAMES => self.side(SideKind::Names, total, position, out),
            STATISTICS => self.side(SideKind::Statistics, total, position, out),
            KEYS => self.side(SideKind::Keys, total, position, out),
            _ => {}
        }
        Ok(len)
    }

    /// What says something beside the frames: where it stands.
    fn side(&self, kind: SideKind, len: u32, position: u64, out: &mut Out<'_>) {
        out.side_blocks.push(SideBlock {
            file: out.file,
            section: self.section.unwrap_or(0),
            order: self.order,
            kind,
            offset: FileOffset(position),
            len,
        });
    }

    /// What is listed as a frame and is none; its first `skipped` bytes say what it is. With its position in the
    /// stretch and in the file.
    fn other(
        &mut self,
        body: &[u8],
        skipped: u32,
        holds: Holds,
        (start, position): (u32, u64),
        out: &mut Out<'_>,
    ) {
        let len = to_u32(body.len()).saturating_sub(skipped);
        let before = skipped.saturating_add(8);
        let record = RecordMeta {
            start: start.saturating_add(before),
            captured: len,
            wire: len,
            offset: FileOffset(position.saturating_add(u64::from(before))),
            time: self.last_time,
            interface: self.nowhere(holds, out).id,
        };
        out.records.push(record);
    }

    /// The interface of what belongs to none.
    fn nowhere(&mut self, holds: Holds, out: &mut Out<'_>) -> Clock {
        if let Some((_, clock)) = self.nowhere.iter().find(|(of, _)| *of == holds) {
            return *clock;
        }
        let clock = Clock {
            id: out.interface(Interface {
                file: out.file,
                section: self.section.unwrap_or(0),
                local: u32::MAX,
                link_type: link_type::NONE,
                snap_len: 0,
                ticks_per_second: 1_000_000,
                name: None,
                holds,
                blocks: None,
            }),
            snap_len: 0,
            scale: Scale::Times(1000),
            offset: 0,
        };
        self.nowhere.push((holds, clock));
        clock
    }

    /// Whether a block begins here, and another one (or nothing) follows it.
    pub(super) fn plausible(&self, bytes: &[u8], last: bool) -> Plausible {
        let mut rest = bytes;
        for _ in 0..2 {
            if rest.is_empty() && last && rest.len() < bytes.len() {
                return Plausible::Yes;
            }
            let unsure = if last {
                Plausible::No
            } else {
                Plausible::Unsure
            };
            let Some(header) = rest.first_chunk::<8>() else {
                return unsure;
            };
            let kind = word(header, 0, self.order);
            let order = match rest.get(8..).and_then(<[u8]>::first_chunk::<4>) {
                Some(magic) if kind == SECTION => match byte_order(*magic) {
                    Some(order) => order,
                    None => return Plausible::No,
                },
                _ => self.order,
            };
            let total = word(header, 4, order);
            let known = matches!(kind, 1..=10 | CUSTOM | CUSTOM_NOT_COPIED | SECTION);
            if !known || total < 12 || !total.is_multiple_of(4) || total > MAX_RECORD {
                return Plausible::No;
            }
            let len = to_usize(total);
            let Some(block) = rest.get(..len) else {
                return unsure;
            };
            if block.last_chunk::<4>().map(|end| order.u32(*end)) != Some(total) {
                return Plausible::No;
            }
            rest = rest.get(len..).unwrap_or_default();
        }
        Plausible::Yes
    }

    /// Enhanced packet block, and packet block, which has the interface's number in 16 bits and is else alike.
    fn packet(&mut self, kind: u32, block: &[u8], start: u32, position: u64, out: &mut Out<'_>) {
        let Some(header) = block.first_chunk::<PACKET_HEADER>() else {
            return out.problem(position, "a packet block too short for its fields");
        };
        let order = self.order;
        let local = if kind == ENHANCED {
            word(header, 8, order)
        } else {
            let number = header.get(8..).and_then(<[u8]>::first_chunk::<2>);
            u32::from(number.map_or(0, |n| order.u16(*n)))
        };
        let captured = word(header, 20, order);
        let room = to_u32(block.len().saturating_sub(PACKET_HEADER + 4));
        if captured > room {
            out.problem(
                position,
                format!("a packet block that holds {room} bytes and claims {captured}"),
            );
        }
        let clock = if let Some(clock) = self.interfaces.get(to_usize(local)) {
            *clock
        } else {
            out.problem(
                position,
                format!("a packet of interface {local}, which its section does not declare"),
            );
            self.nowhere(Holds::Frames, out)
        };
        let ticks = (u64::from(word(header, 12, order)) << 32) | u64::from(word(header, 16, order));
        self.last_time = clock.time(ticks);
        out.records.push(RecordMeta {
            start: start.saturating_add(to_u32(PACKET_HEADER)),
            captured: captured.min(room),
            wire: word(header, 24, order),
            offset: FileOffset(position.saturating_add(to_u64(PACKET_HEADER))),
            time: self.last_time,
            interface: clock.id,
        });
    }

    /// Simple packet block: the section's first interface, no time.
    fn simple_packet(&mut self, body: &[u8], start: u32, position: u64, out: &mut Out<'_>) {
        let Some((wire, data)) = body.split_first_chunk::<4>() else {
            return out.problem(position, "a simple packet block without a length");
        };
        let wire = self.order.u32(*wire);
        let Some(clock) = self.interfaces.first() else {
            return out.problem(
                position,
                "a simple packet block in a section without interfaces",
            );
        };
        if !std::mem::replace(&mut self.said_timeless, true) {
            out.problem(
                position,
                "simple packet blocks hold no times: from here on such frames show the time of the frame before",
            );
        }
        let limit = match clock.snap_len {
            0 => wire,
            snap => wire.min(snap),
        };
        out.records.push(RecordMeta {
            start: start.saturating_add(12),
            captured: limit.min(to_u32(data.len())),
            wire,
            offset: FileOffset(position.saturating_add(12)),
            time: self.last_time,
            interface: clock.id,
        });
    }

    fn interface(&mut self, body: &[u8], position: u64, out: &mut Out<'_>) {
        let Some((fixed, options)) = body.split_first_chunk::<8>() else {
            return out.problem(position, "an interface block too short for its fields");
        };
        let order = self.order;
        let link_type = fixed.first_chunk::<2>().map_or(0, |n| order.u16(*n));
        let snap_len = word(fixed, 4, order);
        let mut name = None;
        let mut resolution = (Scale::Times(1000), 1_000_000);
        let mut offset = 0;
        for (code, value) in Options::new(options, order) {
            match code {
                2 => name = Some(String::from_utf8_lossy(value).into_owned()),
                9 => match value.first().and_then(|exponent| scale(*exponent)) {
                    Some(found) => resolution = found,
                    None => out.problem(
                        position,
                        "an interface whose time resolution cannot be read; microseconds are assumed",
                    ),
                },
                14 => {
                    if let Some(seconds) = value.first_chunk::<8>() {
                        offset = order.u64(*seconds).cast_signed().saturating_mul(1_000_000_000);
                    }
                }
                _ => {}
            }
        }
        let (scale, ticks_per_second) = resolution;
        let id = if out.interfaces_full() {
            out.problem(
                position,
                "too many interfaces; the frames of this one are listed without decoding",
            );
            self.nowhere(Holds::Frames, out).id
        } else {
            out.interface(Interface {
                file: out.file,
                section: self.section.unwrap_or(0),
                local: to_u32(self.interfaces.len()),
                link_type: u32::from(link_type),
                snap_len,
                ticks_per_second,
                name,
                holds: Holds::Frames,
                blocks: Some(Blocks {
                    section: self.section_at,
                    interface: FileOffset(position),
                }),
            })
        };
        self.declare(Clock {
            id,
            snap_len,
            scale,
            offset,
        });
    }

    /// Counts an interface of the section; beyond a number that no section has, packets find none.
    fn declare(&mut self, clock: Clock) {
        if self.interfaces.len() < MAX_OF_SECTION {
            self.interfaces.push(clock);
        }
    }
}

fn byte_order(magic: [u8; 4]) -> Option<Order> {
    match magic {
        [0x1a, 0x2b, 0x3c, 0x4d] => Some(Order::Big),
        [0x4d, 0x3c, 0x2b, 0x1a] => Some(Order::Little),
        _ => None,
    }
}
