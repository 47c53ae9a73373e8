//! Looks for the place where PDUs go on, behind bytes that are missing or make no sense.

use crate::decode::smp;
use crate::decode::tds;
use crate::units::{FrameNo, SmpSeq};

use super::super::order::{At, Piece, length};
use super::super::recognise::{Class, Known, certain_plain, confirmed_smp};
use super::{BEFORE, Begin, Framer, Mode, SidState, Sink, Unread, split};

#[derive(Debug)]
pub(super) struct Lost {
    pub(super) from: u64,
    pub(super) hidden: bool,
    /// Position behind the last bytes that are not in the file.
    pub(super) hidden_to: u64,
    pub(super) first_frame: FrameNo,
    /// The last bytes seen: up to [`BEFORE`] that were looked at, and those that may begin a header.
    pub(super) carry: Vec<u8>,
    pub(super) looked_at: usize,
    pub(super) carry_starts_segment: bool,
}

/// Where the search found a header.
#[derive(Clone, Copy)]
struct Found<'a> {
    /// Position in the stream of the first byte of `view`.
    base: u64,
    /// Place of the header in `view`.
    at: usize,
    view: &'a [u8],
}

impl Framer {
    /// Looks for the next certain header.
    pub(super) fn search(&mut self, data: &[u8], piece: &Piece<'_>, sink: &mut impl Sink) {
        let Mode::Lost(lost) = &mut self.mode else {
            return;
        };
        let kept = std::mem::take(&mut lost.carry);
        let looked_at = std::mem::take(&mut lost.looked_at);
        let joined: Vec<u8>;
        let view: &[u8] = if kept.is_empty() {
            data
        } else {
            joined = [&kept, data].concat();
            &joined
        };
        let begin = Begin::of(data, piece);
        let base = begin.pos.saturating_sub(length(&kept));
        let starts_at = begin.starts_segment.then_some(kept.len());
        let kept_start = lost.carry_starts_segment && kept.len() > looked_at;
        let known = sink.known();
        let mut at = looked_at;
        loop {
            let segment_start = Some(at) == starts_at || (at == looked_at && kept_start);
            let candidate = view.get(at..).unwrap_or_default();
            let Some(first) = candidate.first() else {
                break;
            };
            let class = if *first == smp::SMID {
                certain_smp(candidate, segment_start, known, sink)
            } else if segment_start {
                certain_plain(sink.end(), candidate, known)
            } else {
                Class::Unknown
            };
            match class {
                Class::Unknown | Class::Other => {}
                Class::Need(_) => {
                    self.keep(view, at, segment_start);
                    return;
                }
                Class::Tds(header) if let Some((at, header)) = smp_before(view, at, header) => {
                    let place = Found { base, at, view };
                    self.found(Class::Smp(header), place, &piece.at, sink);
                    return;
                }
                Class::Tds(header) if follows_length(view, at, header) => {}
                found => {
                    self.found(found, Found { base, at, view }, &piece.at, sink);
                    return;
                }
            }
            // On to the next place where a header may begin.
            let next_smp = (known.smp || known.mars == Some(true))
                .then(|| {
                    let from = at.saturating_add(1);
                    memchr::memchr(smp::SMID, view.get(from..).unwrap_or_default())
                        .map(|i| from.saturating_add(i))
                })
                .flatten();
            let next_start = starts_at.filter(|s| *s > at);
            let Some(next) = next_smp.into_iter().chain(next_start).min() else {
                break;
            };
            at = next;
        }
        self.keep(view, view.len(), false);
    }

    /// Keeps of what was searched what stands from `at` on, and a little before it.
    fn keep(&mut self, view: &[u8], at: usize, starts_segment: bool) {
        if let Mode::Lost(lost) = &mut self.mode {
            let from = at.saturating_sub(BEFORE);
            lost.carry = view.get(from..).unwrap_or_default().to_vec();
            lost.looked_at = at.saturating_sub(from);
            lost.carry_starts_segment = starts_segment;
        }
    }

    /// A header was found at `view[at..]`: what stands before it is booked as unread, then on from there.
    fn found(&mut self, class: Class, place: Found<'_>, frame: &At, sink: &mut impl Sink) {
        let Found { base, at, view } = place;
        let pos = base.saturating_add(u64::try_from(at).unwrap_or(0));
        if let Mode::Lost(lost) = std::mem::take(&mut self.mode) {
            let len = pos.saturating_sub(lost.from);
            if pos > lost.hidden_to {
                // Among the bytes that were passed over there may be whole PDUs.
                sink.hole();
            }
            if !sink.known().proven {
                let kind = match class {
                    Class::Tds(header) => Some(header.kind),
                    _ => None,
                };
                sink.prove(kind);
            }
            if len > 0 {
                sink.unread(
                    Unread {
                        pos: lost.from,
                        len,
                        hidden: lost.hidden,
                        unfinished: false,
                        first_frame: lost.first_frame.min(frame.done),
                    },
                    frame.done,
                );
            }
        }
        self.resynced = true;
        let begin = Begin {
            pos,
            frame: frame.frame,
            starts_segment: false,
        };
        let header = view.get(at..).unwrap_or_default();
        let used = self.enter(begin, class, header, sink);
        let rest = split(header, used.unwrap_or(0)).1;
        let pos = pos.saturating_add(length(header).saturating_sub(length(rest)));
        let piece = Piece::of(rest, pos, *frame, false);
        if used.is_some() {
            self.take_begun(rest, &piece, sink);
        } else {
            self.take(rest, &piece, sink);
        }
    }
}

/// The SMP header of the DATA that a TDS packet stands in, right in front of it.
fn smp_before(view: &[u8], at: usize, tds: tds::Header) -> Option<(usize, smp::Header)> {
    let start = at.checked_sub(BEFORE)?;
    let header = smp::Header::read(view.get(start..at)?)?;
    let fits = header.length.checked_sub(16) == Some(u32::from(tds.length));
    (header.flags == smp::DATA && header.is_legal() && fits).then_some((start, header))
}

/// Whether an SMP header of which only LENGTH, SEQNUM and WNDW are there stands in front of a TDS packet: its Sid is not
/// known, and the packet is not one outside SMP.
fn follows_length(view: &[u8], at: usize, tds: tds::Header) -> bool {
    let tail = at.checked_sub(12).and_then(|start| view.get(start..at));
    let length = tail.and_then(<[u8]>::first_chunk::<4>);
    let inside = u32::from(tds.length).saturating_add(16);
    length.is_some_and(|bytes| u32::from_le_bytes(*bytes) == inside)
}

/// An SMP header that can be told from chance: behind a gap, or in a connection joined late.
fn certain_smp(view: &[u8], segment_start: bool, known: Known, sink: &impl Sink) -> Class {
    if known.mars == Some(false) {
        return Class::Unknown;
    }
    let Some(header) = smp::Header::read(view) else {
        // A few bytes at the end of a segment that could be the start of a header.
        let possible = view.get(1).is_none_or(|f| matches!(f, 1 | 2 | 4 | 8));
        return if possible {
            Class::Need(smp::HEADER_LEN)
        } else {
            Class::Unknown
        };
    };
    if !header.is_legal() {
        return Class::Unknown;
    }
    if header.flags == smp::DATA && view.len() < 24 {
        return if header.length >= 24 {
            Class::Need(24)
        } else {
            Class::Unknown
        };
    }
    let confirmed = confirmed_smp(&header, view, &[], false);
    if confirmed == Some(false) {
        return Class::Unknown;
    }
    if header.flags == smp::DATA {
        // The TDS header inside is as good as a second SMP header.
        return Class::Smp(header);
    }
    let follows = match sink.sid_state(header.sid) {
        SidState::At(last) => (0..=4096).contains(&header.seqnum.diff(last)),
        SidState::Unsure => true,
        SidState::Unknown => header.flags == smp::SYN && header.seqnum == SmpSeq(0),
    };
    if confirmed == Some(true) || (known.smp && follows) || (segment_start && follows) {
        Class::Smp(header)
    } else {
        Class::Unknown
    }
}
