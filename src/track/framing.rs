//! Cuts one direction's stream into PDUs: SMP packets, TDS packets, TLS records, and ranges that cannot be read.

mod pdu;
mod search;

use crate::decode::smp;
use crate::decode::tds;
use crate::decode::tls::RecordHeader;
use crate::store::{PduFlags, PduKind};
use crate::units::{End, FrameNo, Sid, SmpSeq};

use super::order::{At, Content, Piece, length};
use super::recognise::{
    Class, Known, certain_plain, confirmed_smp, first_bytes, plausible, right_direction,
};

pub(super) use pdu::OpenPdu;
use pdu::{Begin, smp_kind, walkable_smp};
use search::Lost;

/// Bytes in front of a TDS packet that say whether it stands inside SMP.
const BEFORE: usize = smp::HEADER_LEN;
/// As many bytes decide what begins at a PDU border, at most.
const HEAD: usize = 32;

/// What is known of a Sid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SidState {
    /// No packet of it was seen.
    Unknown,
    /// It has a session; the last SEQNUM is not certain.
    Unsure,
    /// The SEQNUM of its last DATA.
    At(SmpSeq),
}

/// What the layers above do with what was cut of what an end sends.
pub(super) trait Sink {
    fn end(&self) -> End;
    fn known(&self) -> Known;
    /// Whether the stream was recognised.
    fn is_proven(&self) -> bool;
    /// What is known of a Sid's numbers in what this end sends.
    fn sid_state(&self, sid: Sid) -> SidState;
    /// A TDS or SQL Server TLS stream was recognised by what this end sent.
    fn prove(&mut self, class_type: Option<u8>);
    /// A header was read.
    fn open(&mut self, pdu: &mut OpenPdu, tds: Option<tds::Header>);
    /// An SMP header was read behind another PDU of a stream that carries SMP, so that less has to be looked at.
    fn open_smp(&mut self, pdu: &mut OpenPdu);
    /// Bytes of the body, or none, which `left` does not count any more; where it counts none the PDU is complete.
    fn body(&mut self, pdu: &mut OpenPdu, bytes: &[u8]);
    /// So many bytes of the body are not in the file.
    fn body_hidden(&mut self, pdu: &mut OpenPdu, len: usize);
    /// Nothing more comes, and the PDU is not complete, as is known with frame `done`.
    fn unfinished(&mut self, pdu: &mut OpenPdu, done: FrameNo);
    /// A range whose PDU borders are not known begins: what comes before says nothing about what follows.
    /// `view` are the bytes there; empty if they are missing.
    fn lost(&mut self, view: &[u8]);
    /// More bytes are missing, among them possibly whole PDUs.
    fn hole(&mut self);
    /// This range could not be read, as is known with frame `done`.
    fn unread(&mut self, row: Unread, done: FrameNo);
}

/// A range of the stream without PDU borders.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unread {
    pub(super) pos: u64,
    pub(super) len: u64,
    pub(super) hidden: bool,
    /// A packet begins with it.
    pub(super) unfinished: bool,
    pub(super) first_frame: FrameNo,
}

#[derive(Debug, Default)]
enum Mode {
    /// Inside the PDU at hand while it has bytes left, else at the border of the next.
    #[default]
    Cut,
    /// In the header of the next, which did not end in the segment it began in.
    Header(Head),
    Lost(Box<Lost>),
    Other,
}

/// What is there of a header.
#[derive(Debug, Default)]
struct Head {
    begin: Begin,
    bytes: Vec<u8>,
}

/// One direction's place in its stream.
#[derive(Debug, Default)]
pub(super) struct Framer {
    mode: Mode,
    /// The PDU at hand, or the last one.
    pdu: OpenPdu,
    /// SMP was seen in this direction.
    smp: bool,
    resynced: bool,
    /// The frame with which the last bytes were there, if there were any and they do not end a PDU.
    latest: FrameNo,
}

/// The first bytes, so many or as many as there are, and those behind them.
#[inline]
fn split(data: &[u8], n: usize) -> (&[u8], &[u8]) {
    data.split_at_checked(n).unwrap_or((data, &[]))
}

impl Framer {
    /// Whether what this direction carries is of no interest.
    pub(super) fn is_other(&self) -> bool {
        matches!(self.mode, Mode::Other)
    }

    /// Takes the next piece of the stream.
    #[inline]
    pub(super) fn piece(&mut self, piece: &Piece<'_>, sink: &mut impl Sink) {
        match piece.content {
            Content::Bytes(data) => self.take_usual(data, piece, sink),
            Content::Hidden(len) => self.hidden(piece.pos, len, &piece.at, sink),
        }
    }

    /// Takes in a piece of one PDU, as most are: it ends with the piece at the latest. What is different goes elsewhere
    /// before anything is done with the bytes, so that nothing has to be kept for it meanwhile.
    #[expect(
        clippy::inline_always,
        reason = "what is usual of a piece is not to be taken apart"
    )]
    #[inline(always)]
    fn take_usual(&mut self, data: &[u8], piece: &Piece<'_>, sink: &mut impl Sink) {
        let mut left = self.pdu.left;
        let mut body = data;
        if left > 0 && !data.is_empty() {
            self.pdu.is_held_by(piece.at.frame);
        } else if let Some(begun) = self.begin_usual(data, piece, sink) {
            (left, body) = begun;
        } else {
            self.latest = piece.at.done;
            return self.take(data, piece, sink);
        }
        let pdu = &mut self.pdu;
        let Some(behind) = left.checked_sub(body.len()) else {
            pdu.left = left;
            self.latest = piece.at.done;
            return self.take_begun(body, piece, sink);
        };
        pdu.left = behind;
        sink.body(pdu, body);
        if pdu.left > 0 {
            self.latest = piece.at.done;
        }
    }

    /// Begins an SMP packet whose header is as most are; returns the length of its body and what stands behind the header.
    #[expect(
        clippy::inline_always,
        reason = "what is usual of a piece is not to be taken apart"
    )]
    #[inline(always)]
    fn begin_usual<'a>(
        &mut self,
        data: &'a [u8],
        piece: &Piece<'_>,
        sink: &mut impl Sink,
    ) -> Option<(usize, &'a [u8])> {
        let (kind, header, rest) = self.usual_header(data)?;
        let begin = Begin::of(data, piece);
        let left = self.pdu.begin_smp(kind, header, sink.end(), begin);
        sink.open_smp(&mut self.pdu);
        Some((left, rest))
    }

    /// Takes in the last bytes of a piece, PDU by PDU. A PDU ends with its last byte, be that in its header.
    #[inline(never)]
    fn take(&mut self, mut data: &[u8], piece: &Piece<'_>, sink: &mut impl Sink) {
        loop {
            let mut left = self.pdu.left;
            if left > 0 {
                if !data.is_empty() {
                    self.pdu.is_held_by(piece.at.frame);
                }
            } else if let Some(begun) = self.begin_usual(data, piece, sink) {
                (left, data) = begun;
            } else {
                let begun;
                (begun, data) = self.outside(data, piece, sink);
                if !begun {
                    if data.is_empty() {
                        return;
                    }
                    continue;
                }
                left = self.pdu.left;
            }
            data = self.body(left, data, sink);
            if data.is_empty() {
                return;
            }
        }
    }

    /// Hands over what there is of the PDU at hand, which has so much left; returns what stands behind it.
    fn body<'a>(&mut self, left: usize, data: &'a [u8], sink: &mut impl Sink) -> &'a [u8] {
        // Where it goes on behind the piece, all of that is its.
        let (bytes, rest) = data.split_at_checked(left).unwrap_or((data, &[]));
        let pdu = &mut self.pdu;
        pdu.left = left.saturating_sub(bytes.len());
        sink.body(pdu, bytes);
        rest
    }

    /// As [`Framer::take`], right behind the header of a PDU or in it.
    #[inline(never)]
    fn take_begun(&mut self, data: &[u8], piece: &Piece<'_>, sink: &mut impl Sink) {
        if !data.is_empty() {
            self.pdu.is_held_by(piece.at.frame);
        }
        let rest = self.body(self.pdu.left, data, sink);
        if !rest.is_empty() {
            self.take(rest, piece, sink);
        }
    }

    /// At the border of a PDU the usual case: an SMP header that lies whole in this segment, and what follows it.
    #[inline]
    fn usual_header<'a>(&self, data: &'a [u8]) -> Option<(PduKind, smp::Header, &'a [u8])> {
        let header = walkable_smp(data)?;
        let kind = smp_kind(header.flags)?;
        let rest = data.get(smp::HEADER_LEN..)?;
        let is_usual = matches!(self.mode, Mode::Cut) && self.smp;
        is_usual.then_some((kind, header, rest))
    }

    /// Takes bytes that do not lie inside a PDU. Says whether one has begun with them, and returns what is left of them
    /// then.
    #[cold]
    fn outside<'a>(
        &mut self,
        data: &'a [u8],
        piece: &Piece<'_>,
        sink: &mut impl Sink,
    ) -> (bool, &'a [u8]) {
        match &mut self.mode {
            _ if data.is_empty() => {}
            Mode::Cut => return self.border(data, piece, sink),
            Mode::Header(head) => {
                let head = std::mem::take(head);
                self.mode = Mode::Cut;
                return (false, self.header_goes_on(head, data, piece, sink));
            }
            Mode::Lost(_) => self.search(data, piece, sink),
            Mode::Other => {}
        }
        (false, &[])
    }

    /// Takes what begins at the border of a PDU, as [`Framer::outside`].
    fn border<'a>(
        &mut self,
        data: &'a [u8],
        piece: &Piece<'_>,
        sink: &mut impl Sink,
    ) -> (bool, &'a [u8]) {
        let begin = Begin::of(data, piece);
        let class = self.classify(begin, data, &[], false, sink);
        if matches!(class, Class::Need(_)) {
            let bytes = data.to_vec();
            self.mode = Mode::Header(Head { begin, bytes });
            return (false, &[]);
        }
        match self.enter(begin, class, data, sink) {
            Some(used) => (true, split(data, used).1),
            None => (false, data),
        }
    }

    /// Takes what a header needs of the bytes behind its first ones, and what it begins with them; returns those behind.
    fn header_goes_on<'a>(
        &mut self,
        mut head: Head,
        mut data: &'a [u8],
        piece: &Piece<'_>,
        sink: &mut impl Sink,
    ) -> &'a [u8] {
        loop {
            match self.classify(head.begin, &head.bytes, data, false, sink) {
                Class::Need(_) if data.is_empty() => {
                    self.mode = Mode::Header(head);
                    return data;
                }
                Class::Need(need) => {
                    let want = need.min(HEAD).saturating_sub(head.bytes.len()).max(1);
                    let (part, rest) = split(data, want);
                    head.bytes.extend_from_slice(part);
                    head.begin.frame = head.begin.frame.min(piece.at.frame);
                    data = rest;
                }
                class => {
                    self.enter_with_head(head, class, &piece.at, sink);
                    return data;
                }
            }
        }
    }

    /// As [`Framer::enter`] where the header was collected over segments; what was collected beyond it is body.
    fn enter_with_head(&mut self, head: Head, class: Class, at: &At, sink: &mut impl Sink) {
        let Head { begin, bytes } = head;
        let used = self.enter(begin, class, &bytes, sink);
        let rest = split(&bytes, used.unwrap_or(0)).1;
        let read = length(&bytes).saturating_sub(length(rest));
        let starts_segment = used.is_none() && begin.starts_segment;
        let piece = Piece::of(rest, begin.pos.saturating_add(read), *at, starts_segment);
        if used.is_some() {
            self.take_begun(rest, &piece, sink);
        } else {
            self.take(rest, &piece, sink);
        }
    }

    /// Goes on with what begins here. Returns how many bytes the header has, if it is that of a PDU.
    fn enter(
        &mut self,
        begin: Begin,
        class: Class,
        view: &[u8],
        sink: &mut impl Sink,
    ) -> Option<usize> {
        let mut tds_header = None;
        self.pdu = match class {
            Class::Smp(header) => {
                self.smp = true;
                OpenPdu::any_smp(header, sink.end(), begin)
            }
            Class::Tds(header) => {
                tds_header = Some(header);
                OpenPdu::tds(header, sink.end(), begin)
            }
            Class::Tls(header) => OpenPdu::tls(header, sink.end(), begin),
            Class::Other => {
                self.mode = Mode::Other;
                return None;
            }
            Class::Unknown | Class::Need(_) => {
                self.resynced = false;
                self.lose(begin.pos, begin.frame, view, sink);
                return None;
            }
        };
        let used = self.pdu.come();
        self.open(tds_header, sink);
        usize::try_from(used).ok()
    }

    /// The header of the PDU at hand was read.
    fn open(&mut self, tds: Option<tds::Header>, sink: &mut impl Sink) {
        if std::mem::take(&mut self.resynced) {
            self.pdu.row.flags.set(PduFlags::RESYNCED);
        }
        if !sink.is_proven() {
            sink.prove(tds.map(|h| h.kind));
        }
        sink.open(&mut self.pdu, tds);
    }

    #[cold]
    fn lose(&mut self, from: u64, first_frame: FrameNo, view: &[u8], sink: &mut impl Sink) {
        sink.lost(view);
        self.mode = Mode::Lost(Box::new(Lost {
            from,
            hidden: false,
            hidden_to: from,
            first_frame,
            carry: Vec::new(),
            looked_at: 0,
            carry_starts_segment: false,
        }));
    }

    #[cold]
    fn hidden(&mut self, pos: u64, len: u64, at: &At, sink: &mut impl Sink) {
        let (mut pos, mut len) = (pos, len);
        if let Mode::Header(head) = &mut self.mode {
            let head = std::mem::take(head);
            self.mode = Mode::Cut;
            let class = self.classify(head.begin, &head.bytes, &[], true, sink);
            self.enter_with_head(head, class, at, sink);
        }
        let pdu = &mut self.pdu;
        if pdu.left > 0 {
            let part = pdu.left.min(usize::try_from(len).unwrap_or(usize::MAX));
            pdu.row.flags.set(PduFlags::BODY_HIDDEN);
            sink.body_hidden(pdu, part);
            pdu.left = pdu.left.saturating_sub(part);
            if pdu.left == 0 {
                sink.body(pdu, &[]);
            }
            let part = u64::try_from(part).unwrap_or(u64::MAX);
            pos = pos.saturating_add(part);
            len = len.saturating_sub(part);
        }
        if len == 0 {
            return;
        }
        if matches!(self.mode, Mode::Cut) {
            self.lose(pos, at.frame, &[], sink);
        }
        if let Mode::Lost(lost) = &mut self.mode {
            lost.hidden = true;
            lost.hidden_to = pos.saturating_add(len);
            lost.carry.clear();
            lost.looked_at = 0;
            sink.hole();
        }
    }

    /// Nothing more comes: `next` is the position behind the last byte, `done` the frame with which that is known.
    pub(super) fn end(&mut self, next: u64, done: FrameNo, sink: &mut impl Sink) {
        let unread = match std::mem::replace(&mut self.mode, Mode::Other) {
            Mode::Cut if self.pdu.left > 0 => {
                let hidden = self.pdu.row.flags.has(PduFlags::BODY_HIDDEN);
                let done = if hidden { done } else { self.latest };
                sink.unfinished(&mut self.pdu, done);
                None
            }
            Mode::Cut | Mode::Other => None,
            Mode::Header(head) => Some(Unread {
                pos: head.begin.pos,
                len: length(&head.bytes),
                hidden: false,
                unfinished: true,
                first_frame: head.begin.frame,
            }),
            Mode::Lost(lost) => Some(Unread {
                pos: lost.from,
                len: next.saturating_sub(lost.from),
                hidden: lost.hidden,
                unfinished: false,
                first_frame: lost.first_frame,
            }),
        };
        if let Some(unread) = unread.filter(|u| u.len > 0)
            && sink.is_proven()
        {
            // What closes the connection holds none of these bytes.
            let done = if unread.hidden { done } else { self.latest };
            sink.unread(unread, done);
        }
    }

    /// Says what begins with `view`; `rest` follows it in the same segment.
    fn classify(
        &self,
        begin: Begin,
        view: &[u8],
        rest: &[u8],
        no_more: bool,
        sink: &impl Sink,
    ) -> Class {
        let short = |need: usize| {
            if no_more {
                Class::Unknown
            } else {
                Class::Need(need)
            }
        };
        let Some(first) = view.first().copied() else {
            return Class::Need(1);
        };
        if self.smp {
            if first != smp::SMID {
                return Class::Unknown;
            }
            return match walkable_smp(view) {
                Some(header) => Class::Smp(header),
                None if view.len() < smp::HEADER_LEN => short(smp::HEADER_LEN),
                None => Class::Unknown,
            };
        }
        let known = sink.known();
        if !known.proven {
            return first_bytes(sink.end(), view, rest, no_more, known, begin.pos == 0);
        }
        match first {
            smp::SMID => {
                let Some(header) = smp::Header::read(view) else {
                    return short(smp::HEADER_LEN);
                };
                let expected = known.smp || known.mars == Some(true);
                if header.is_legal()
                    && (expected || confirmed_smp(&header, view, rest, no_more) == Some(true))
                {
                    Class::Smp(header)
                } else {
                    Class::Unknown
                }
            }
            0x14..=0x17 => {
                if view.len() < 5 {
                    return short(5);
                }
                RecordHeader::read(view).map_or(Class::Unknown, Class::Tls)
            }
            _ => {
                let Some(header) = tds::Header::read(view) else {
                    return short(tds::HEADER_LEN);
                };
                // Where the file begins late, its first bytes are in the middle of anything.
                let is_late = begin.pos == 0 && !known.from_start;
                let is_certain = || {
                    let segment = [view, rest].concat();
                    matches!(certain_plain(sink.end(), &segment, known), Class::Tds(_))
                };
                let fits = plausible(header) && right_direction(sink.end(), header.kind, known);
                if fits && (!is_late || is_certain()) {
                    Class::Tds(header)
                } else {
                    Class::Unknown
                }
            }
        }
    }
}
