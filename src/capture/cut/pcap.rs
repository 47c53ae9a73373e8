//! Records of pcap files: both byte orders, micro- and nanoseconds, and the "modified" kind with longer headers.

use super::{
    Cutter, Detected, MAX_RECORD, Order, Out, Plausible, Stop, number, to_u32, to_u64, to_usize,
    word,
};
use crate::capture::chunk::{Interface, RecordMeta};
use crate::units::{FileOffset, Holds, InterfaceId, Nanos};

const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;

/// What the file header says, and the interface once it is declared.
#[derive(Debug, Clone)]
pub(in crate::capture) struct Pcap {
    order: Order,
    /// Nanoseconds of one unit of the fraction.
    unit: i64,
    /// Bytes of a record's header; the "modified" kind has eight more.
    record_header: usize,
    snap_len: u32,
    link_type: u32,
    interface: Option<InterfaceId>,
    /// Seconds of the last record, to tell records from other bytes behind damage.
    last_seconds: Option<u32>,
}

/// The longest record that capture programs write where no snap length says more.
const USUAL_MAX: u32 = 256 << 10;
/// So many record headers in a row are taken for more than chance.
const CHAIN: usize = 3;
/// Records that are further from the one before than this, in seconds, are odd.
const NEAR: u32 = 7 * 24 * 3600;

impl Pcap {
    pub(super) fn detect(start: &[u8]) -> Detected {
        let Some(magic) = start.first_chunk::<4>() else {
            return Detected::Other;
        };
        let (unit, record_header) = match (u32::from_le_bytes(*magic), u32::from_be_bytes(*magic)) {
            (0xa1b2_c3d4, _) | (_, 0xa1b2_c3d4) => (1000, RECORD_HEADER),
            (0xa1b2_3c4d, _) | (_, 0xa1b2_3c4d) => (1, RECORD_HEADER),
            (0xa1b2_cd34, _) | (_, 0xa1b2_cd34) => (1000, RECORD_HEADER + 8),
            _ => return Detected::Other,
        };
        let order = if magic.first() == Some(&0xa1) {
            Order::Big
        } else {
            Order::Little
        };
        let Some(header) = start.first_chunk::<FILE_HEADER>() else {
            return Detected::Broken(format!(
                "the file ends within the pcap file header: {} of {FILE_HEADER} bytes are there",
                start.len()
            ));
        };
        Detected::Format(Cutter::Pcap(Self {
            order,
            unit,
            record_header,
            snap_len: word(header, 16, order),
            // The bits above tell the length of the frame check sequence.
            link_type: word(header, 20, order) & 0x03ff_ffff,
            interface: None,
            last_seconds: None,
        }))
    }

    pub(super) fn cut(&mut self, bytes: &[u8], base: u64, out: &mut Out<'_>) -> (usize, Stop) {
        let mut at = 0;
        let interface = if let Some(interface) = self.interface {
            interface
        } else {
            if bytes.len() < FILE_HEADER {
                return (0, Stop::More(FILE_HEADER));
            }
            at = FILE_HEADER;
            *self.interface.insert(out.interface(Interface {
                file: out.file,
                section: 0,
                local: 0,
                link_type: self.link_type,
                snap_len: self.snap_len,
                ticks_per_second: if self.unit == 1 {
                    1_000_000_000
                } else {
                    1_000_000
                },
                name: None,
                holds: Holds::Frames,
                blocks: None,
            }))
        };
        // The record before, if its length may be wrong.
        let mut before = None;
        loop {
            let behind = match self.order {
                Order::Little => self.records(bytes, at, base, interface, out, u32::from_le_bytes),
                Order::Big => self.records(bytes, at, base, interface, out, u32::from_be_bytes),
            };
            if behind > at {
                (at, before) = (behind, None);
            }
            let rest = bytes.get(at..).unwrap_or_default();
            let Some(bytes_of_header) = rest.first_chunk::<RECORD_HEADER>() else {
                return (at, Stop::More(self.record_header));
            };
            let header = Header::new(bytes_of_header, self.order);
            let len = self.record_header.saturating_add(to_usize(header.captured));
            if let Some(what) = self.damage(&header, rest.get(len..)) {
                let Some((begin, found)) =
                    before.and_then(|before| Some((before, self.inside(bytes, before, at)?)))
                else {
                    return (at, Stop::Damaged(what));
                };
                out.records.pop();
                out.problem(
                    base.saturating_add(to_u64(begin)),
                    format!(
                        "a record with a wrong length: other records stand in it, the first {} bytes on",
                        found.saturating_sub(begin)
                    ),
                );
                self.last_seconds = None;
                before = None;
                at = found;
                continue;
            }
            if rest.len() < len {
                return (at, Stop::More(len));
            }
            let start = at.saturating_add(self.record_header);
            self.last_seconds = Some(header.seconds);
            out.records.push(RecordMeta {
                start: to_u32(start),
                captured: header.captured,
                wire: header.wire,
                offset: FileOffset(base.saturating_add(to_u64(start))),
                time: self.time(header.seconds, header.fraction),
                interface,
            });
            // Two lengths that agree are not both wrong: what is damaged stands behind that record.
            before = (header.captured != header.wire).then_some(at);
            at = at.saturating_add(len);
        }
    }

    /// Why a header cannot be a record's. One that is merely odd (its time, or a length on the wire below that in
    /// the file) is one as long as another may follow: such files exist.
    #[inline]
    fn damage(&self, header: &Header, behind: Option<&[u8]>) -> Option<String> {
        if self.is_impossible(header) {
            return Some(if header.captured == 0 {
                "zeros where a record should begin".to_owned()
            } else {
                format!(
                    "a record of {} bytes, which no capture program writes",
                    header.captured
                )
            });
        }
        let far = self
            .last_seconds
            .is_some_and(|last| last.abs_diff(header.seconds) > NEAR);
        if !far && header.wire >= header.captured && header.fraction < self.one_second() {
            return None;
        }
        // Headers read some bytes too late can go on like that for ever, where a frame's two lengths are the same.
        if far && header.wire > MAX_RECORD {
            return Some("a record header that makes no sense".to_owned());
        }
        let next = behind?.first_chunk::<RECORD_HEADER>()?;
        self.is_impossible(&Header::new(next, self.order))
            .then(|| "a record header that makes no sense".to_owned())
    }

    /// Takes in whole frames whose records are in order, as many as come one behind the other from `at` on, and returns
    /// where the first other record begins. [`Self::cut`] can take in these as well, but looks for more. `read` reads
    /// a number in the byte order of the file.
    fn records(
        &mut self,
        bytes: &[u8],
        mut at: usize,
        base: u64,
        interface: InterfaceId,
        out: &mut Out<'_>,
        read: impl Fn([u8; 4]) -> u32,
    ) -> usize {
        let (limit, one_second) = (self.limit(), self.one_second());
        while let Some(rest) = bytes.get(at..)
            && let Some(header) = rest.first_chunk::<RECORD_HEADER>()
            && let [seconds, fraction, captured, wire] =
                [0, 4, 8, 12].map(|at| number(header, at, &read).unwrap_or(0))
            && (1..=limit).contains(&captured)
            && captured == wire
            && fraction < one_second
            && self
                .last_seconds
                .is_some_and(|last| last.abs_diff(seconds) <= NEAR)
            && let len = self.record_header.saturating_add(to_usize(captured))
            && len <= rest.len()
        {
            let start = at.saturating_add(self.record_header);
            self.last_seconds = Some(seconds);
            out.records.push(RecordMeta {
                start: to_u32(start),
                captured,
                wire,
                offset: FileOffset(base.saturating_add(to_u64(start))),
                time: self.time(seconds, fraction),
                interface,
            });
            at = at.saturating_add(len);
        }
        at
    }

    fn is_impossible(&self, header: &Header) -> bool {
        header.captured > self.limit()
            || (header.seconds, header.captured, header.wire) == (0, 0, 0)
    }

    /// Where records begin between the record header at `before` and the damage at `at`: then it was the header
    /// at `before` that was wrong.
    fn inside(&self, bytes: &[u8], before: usize, at: usize) -> Option<usize> {
        (before.saturating_add(1)..at).find(|candidate| {
            let rest = bytes.get(*candidate..).unwrap_or_default();
            self.plausible(rest, false) == Plausible::Yes
        })
    }

    fn one_second(&self) -> u32 {
        match self.unit {
            1 => 1_000_000_000,
            _ => 1_000_000,
        }
    }

    /// A fraction beyond a second is added as it is: the record is worth more than the complaint.
    fn time(&self, seconds: u32, fraction: u32) -> Nanos {
        let seconds = i64::from(seconds).saturating_mul(1_000_000_000);
        Nanos(seconds.saturating_add(i64::from(fraction).saturating_mul(self.unit)))
    }

    fn limit(&self) -> u32 {
        self.snap_len.clamp(USUAL_MAX, MAX_RECORD)
    }

    /// Whether a chain of records begins here.
    pub(super) fn plausible(&self, bytes: &[u8], last: bool) -> Plausible {
        let mut rest = bytes;
        let mut before: Option<u32> = None;
        for _ in 0..CHAIN {
            let Some(header) = rest.first_chunk::<RECORD_HEADER>() else {
                return match (last, rest.len() == bytes.len()) {
                    (false, _) => Plausible::Unsure,
                    // A single header at the very end proves nothing unless its record ends there, too.
                    (true, false) if rest.is_empty() => Plausible::Yes,
                    (true, _) => Plausible::No,
                };
            };
            let header = Header::new(header, self.order);
            let sane = header.fraction < self.one_second()
                && header.captured > 0
                && header.captured <= self.limit()
                && header.wire >= header.captured
                && header.wire <= MAX_RECORD
                && before.is_none_or(|before| before.abs_diff(header.seconds) <= NEAR);
            if !sane {
                return Plausible::No;
            }
            before = Some(header.seconds);
            let len = self.record_header.saturating_add(to_usize(header.captured));
            match rest.get(len..) {
                Some(next) => rest = next,
                None if last => return Plausible::No,
                None => return Plausible::Unsure,
            }
        }
        Plausible::Yes
    }
}

/// The part of a record's header that all kinds have.
#[derive(Debug, Clone, Copy)]
struct Header {
    seconds: u32,
    fraction: u32,
    captured: u32,
    wire: u32,
}

impl Header {
    #[inline]
    fn new(bytes: &[u8; RECORD_HEADER], order: Order) -> Self {
        Self {
            seconds: word(bytes, 0, order),
            fraction: word(bytes, 4, order),
            captured: word(bytes, 8, order),
            wire: word(bytes, 12, order),
        }
    }
}
