//! Records of pcap files: both byte orders, micro- and nanoseconds, and the "modified" kind with longer headers.

use super::{
    Cutter, Detected, MAX_RECORD, Order, Out, Plausible, Stop, to_u32, to_u64, to_usize, word,
};
use crate::capture::chunk::{Interface, RecordMeta};
use crate::units::{FileOffset, InterfaceId, Nanos};

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
/// Records stand no further than this from the one before, in seconds, when looked for behind damage.
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
            }))
        };
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let Some(header) = rest.first_chunk::<RECORD_HEADER>() else {
                return (at, Stop::More(self.record_header));
            };
            let captured = word(header, 8, self.order);
            if captured > self.limit() {
                return (
                    at,
                    Stop::Damaged(format!(
                        "a record of {captured} bytes, which no capture program writes"
                    )),
                );
            }
            let len = self.record_header.saturating_add(to_usize(captured));
            if rest.len() < len {
                return (at, Stop::More(len));
            }
            let start = at.saturating_add(self.record_header);
            let seconds = word(header, 0, self.order);
            self.last_seconds = Some(seconds);
            out.records.push(RecordMeta {
                start: to_u32(start),
                captured,
                wire: word(header, 12, self.order),
                offset: FileOffset(base.saturating_add(to_u64(start))),
                time: self.time(seconds, word(header, 4, self.order)),
                interface,
            });
            at = at.saturating_add(len);
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
        let mut before = self.last_seconds;
        for _ in 0..CHAIN {
            let Some(header) = rest.first_chunk::<RECORD_HEADER>() else {
                return match (last, rest.len() == bytes.len()) {
                    (false, _) => Plausible::Unsure,
                    // A single header at the very end proves nothing unless its record ends there, too.
                    (true, false) if rest.is_empty() => Plausible::Yes,
                    (true, _) => Plausible::No,
                };
            };
            let seconds = word(header, 0, self.order);
            let captured = word(header, 8, self.order);
            let wire = word(header, 12, self.order);
            let one_second = match self.unit {
                1 => 1_000_000_000,
                _ => 1_000_000,
            };
            let sane = word(header, 4, self.order) < one_second
                && captured > 0
                && captured <= self.limit()
                && wire >= captured
                && wire <= MAX_RECORD
                && before.is_none_or(|before| before.abs_diff(seconds) <= NEAR);
            if !sane {
                return Plausible::No;
            }
            before = Some(seconds);
            let len = self.record_header.saturating_add(to_usize(captured));
            match rest.get(len..) {
                Some(next) => rest = next,
                None if last => return Plausible::No,
                None => return Plausible::Unsure,
            }
        }
        Plausible::Yes
    }
}
