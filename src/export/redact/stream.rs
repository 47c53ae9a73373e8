//! One direction of a connection: its PDUs redacted in stream order, so that every frame that carries a byte, the
//! first time or again, gets the same stand-in for it.
//!
//! Bounds: answers and bulk loads are taken apart window by window, so that they may have any length; a single token
//! of more than [`MAX_WINDOW`] bytes, and what follows that much of any other message, is zeroed. Stand-ins are kept for
//! [`KEPT`] bytes behind the frame at hand; bytes sent again after that are zeroed.

use std::collections::{BTreeMap, HashMap};

use super::mask::Mask;
use super::names::Names;
use super::{login, request, result, tls};
use crate::decode::smp;
use crate::decode::tds::tokens::token;
use crate::decode::tds::version::Version;
use crate::decode::tds::{self, packet_type};
use crate::dissect::stream::Frames;
use crate::store::{ConnRow, FrameRow, PduFlags, PduKind, PduRow, Store};
use crate::units::{End, PduId, SessionId, Side, TcpSeq};

/// So much of an answer is taken apart at once, as long as no token is longer.
const WINDOW: usize = 1 << 20;
/// The longest token, and the longest message of any other kind, that is taken apart.
const MAX_WINDOW: usize = 64 << 20;
/// Redacted bytes that are kept behind the frame at hand; a TCP window is hardly ever larger.
const KEPT: u64 = 16 << 20;

/// One direction's redacted PDUs.
pub(super) struct Stream {
    base: Option<TcpSeq>,
    /// The direction's PDUs in stream order.
    pdus: Vec<PduId>,
    next: usize,
    done: BTreeMap<u64, Vec<u8>>,
    open: HashMap<Option<SessionId>, Open>,
    columns: HashMap<Option<SessionId>, result::Columns>,
    agreed: result::Agreed,
    handshake: tls::Handshake,
    smp: bool,
}

/// A message that goes on behind what is redacted of it.
struct Open {
    /// The PDU, by its place in the list, in which the next token begins.
    index: usize,
    /// What is done of that PDU, headers included.
    done: Vec<u8>,
}

/// A PDU's part of a message.
struct Part {
    index: usize,
    pos: u64,
    /// Redacted already: headers, or what stands before the window.
    head: Vec<u8>,
    /// Where the rest begins in the window.
    at: usize,
    /// Bytes of the PDU.
    len: usize,
}

/// A stretch of a message, put together from its PDUs.
#[derive(Default)]
struct Window {
    parts: Vec<Part>,
    body: Vec<u8>,
    /// So much of the body is in the file, from its start on.
    known: Option<usize>,
    /// There is no more of the message.
    ended: bool,
}

impl Window {
    /// Bytes of the body that are the first PDU's.
    fn of_first(&self) -> usize {
        let first = self.parts.first();
        first.map_or(0, |part| part.len.saturating_sub(part.head.len()))
    }

    fn known(&self) -> usize {
        self.known.unwrap_or(self.body.len())
    }
}

impl Stream {
    pub(super) fn new(store: &Store, conn: &ConnRow, end: End, mut pdus: Vec<PduId>) -> Self {
        pdus.sort_by_key(|id| store.pdu(*id).map(|p| p.pos));
        Self {
            base: *conn.base_seq.get(end),
            pdus,
            next: 0,
            done: BTreeMap::new(),
            open: HashMap::new(),
            columns: HashMap::new(),
            agreed: result::Agreed::default(),
            handshake: tls::Handshake::default(),
            smp: conn.smp_seen,
        }
    }

    /// Fills the copy of a frame's payload.
    pub(super) fn payload(
        &mut self,
        frames: &mut Frames<'_>,
        version: Version,
        frame: &FrameRow,
        original: &[u8],
        copy: &mut [u8],
        names: &mut Names,
    ) {
        let Some(from) = self.position(frames.store, frame) else {
            return;
        };
        let to = from.saturating_add(as_u64(copy.len()));
        while let Some(id) = self.pdus.get(self.next).copied() {
            let Some(pdu) = frames.store.pdu(id) else {
                break;
            };
            if pdu.pos.0 >= to {
                break;
            }
            if !self.done.contains_key(&pdu.pos.0) {
                self.redact(frames, version, self.next, &pdu, names);
            }
            self.next = self.next.saturating_add(1);
        }
        // The PDU that begins before the frame may reach into it.
        let first = self
            .done
            .range(..=from)
            .next_back()
            .map_or(from, |(pos, _)| *pos);
        for (pos, redacted) in self.done.range(first..to) {
            copy_overlap(*pos, redacted, from, copy);
        }
        self.tail(frames.store, from, original, copy);
        self.forget(from);
    }

    /// Where a frame's payload stands in the stream: frames come in the order of the file, so that it is near the
    /// next PDU.
    fn position(&self, store: &Store, frame: &FrameRow) -> Option<u64> {
        let base = self.base?;
        let next = self.pdus.get(self.next).or(self.pdus.last());
        let near = next
            .and_then(|id| store.pdu(*id))
            .map_or(0, |pdu| pdu.pos.0);
        let first = if frame.tcp_flags.syn() {
            frame.seq.plus(1)
        } else {
            frame.seq
        };
        // The position nearest to that has the same low 32 bits.
        let low = first.diff(base.plus(low32(near)));
        near.checked_add_signed(i64::from(low))
    }

    /// Headers of a PDU that the file does not hold to its end.
    fn tail(&self, store: &Store, from: u64, original: &[u8], copy: &mut [u8]) {
        let last = self.pdus.last().and_then(|id| store.pdu(*id));
        let Some(begin) = last
            .map(|p| p.end_pos().0)
            .and_then(|end| end.checked_sub(from))
        else {
            return;
        };
        let Ok(begin) = usize::try_from(begin) else {
            return;
        };
        let Some(rest) = original.get(begin..).filter(|rest| !rest.is_empty()) else {
            return;
        };
        let end = begin.saturating_add(self.headers_of_unfinished(rest));
        if let (Some(from), Some(to)) = (original.get(begin..end), copy.get_mut(begin..end)) {
            to.copy_from_slice(from);
        }
    }

    /// Bytes of the headers that an unfinished PDU begins with: that one was begun is a fact.
    fn headers_of_unfinished(&self, bytes: &[u8]) -> usize {
        let is_smp = self.smp && smp::Header::read(bytes).is_some_and(|h| h.is_legal());
        let is_tds = !self.smp && tds::Header::read(bytes).is_some_and(|h| h.is_plausible());
        let headers = match (is_smp, is_tds) {
            (true, _) => smp::HEADER_LEN.saturating_add(tds::HEADER_LEN),
            (false, true) => tds::HEADER_LEN,
            _ => 0,
        };
        headers.min(bytes.len())
    }

    fn forget(&mut self, from: u64) {
        while let Some(first) = self.done.first_entry() {
            let end = first.key().saturating_add(as_u64(first.get().len()));
            if end.saturating_add(KEPT) > from {
                return;
            }
            first.remove();
        }
    }

    /// Redacts a PDU, and with it the message that it begins, or a window of that.
    fn redact(
        &mut self,
        frames: &mut Frames<'_>,
        version: Version,
        index: usize,
        pdu: &PduRow,
        names: &mut Names,
    ) {
        if pdu.carries_tds() && matches!(pdu.kind, PduKind::Data | PduKind::Tds) {
            self.message(frames, version, index, pdu, names);
            return;
        }
        let (original, have) = read(frames, pdu);
        let mut copy = vec![0; original.len()];
        if let (Some(from), Some(to)) = (original.get(..have), copy.get_mut(..have)) {
            let mut mask = Mask::new(from, to);
            match pdu.kind {
                PduKind::Tls => tls::records(&mut mask, names, &mut self.handshake),
                kind if kind.is_smp() => drop(mask.keep(smp::HEADER_LEN.min(have))),
                _ => drop(mask.keep(self.headers_of_unfinished(from))),
            }
        }
        self.done.insert(pdu.pos.0, copy);
    }

    fn message(
        &mut self,
        frames: &mut Frames<'_>,
        version: Version,
        index: usize,
        first: &PduRow,
        names: &mut Names,
    ) {
        let begun = self
            .open
            .remove(&first.session)
            .filter(|o| o.index == index);
        let starts = first.flags.has(PduFlags::MESSAGE_START);
        if begun.is_none() && !starts {
            // The middle of something that is not understood.
            let window = self.window(frames, index, first, None, 0);
            let nothing = vec![0; window.body.len()];
            self.finish(window, &nothing, usize::MAX);
            return;
        }
        let before = begun.map(|open| open.done);
        let mut limit = if is_tokens(first) { WINDOW } else { MAX_WINDOW };
        loop {
            let window = self.window(frames, index, first, before.as_deref(), limit);
            let mut copy = vec![0; window.body.len()];
            let known = window.known();
            let whole = window.ended || known < window.body.len();
            let (Some(from), Some(to)) = (window.body.get(..known), copy.get_mut(..known)) else {
                return;
            };
            let mut mask = Mask::new(from, to);
            let side = frames.store.pdu_side(first);
            let mut done = usize::MAX;
            if before.is_none() && is_text(first, &mask) {
                // Nothing of it is kept.
            } else if first.flags.has(PduFlags::WRAPPED_TLS) {
                tls::records(&mut mask, names, &mut self.handshake);
            } else if is_tokens(first) && !is_prelogin_answer(&mask, side) {
                let columns = self.columns.entry(first.session).or_default();
                columns.agreed = self.agreed;
                let understood = result::tokens(&mut mask, names, columns, version, whole);
                self.agreed = columns.agreed;
                if !whole {
                    done = understood;
                }
            } else {
                body_of(first, side, &mut mask, names, version);
            }
            // A token that begins in the first PDU does not end in the window.
            let stuck = done < window.of_first();
            if stuck && limit < MAX_WINDOW {
                limit = limit.saturating_mul(4);
                continue;
            }
            // A token beyond all bounds: nothing that follows is understood.
            let done = if stuck { usize::MAX } else { done };
            if let Some(open) = self.finish(window, &copy, done) {
                self.open.insert(first.session, open);
            }
            return;
        }
    }

    /// Puts a message together from a PDU on, until its end or until there is more than `limit`. `before` is what is
    /// redacted of the first PDU already.
    fn window(
        &self,
        frames: &mut Frames<'_>,
        index: usize,
        first: &PduRow,
        before: Option<&[u8]>,
        limit: usize,
    ) -> Window {
        let mut window = Window {
            ended: true,
            ..Window::default()
        };
        for (i, id) in self.pdus.iter().enumerate().skip(index) {
            let Some(pdu) = frames.store.pdu(*id) else {
                break;
            };
            if pdu.session != first.session || !pdu.carries_tds() {
                continue;
            }
            if !window.parts.is_empty() && pdu.flags.has(PduFlags::MESSAGE_START) {
                break;
            }
            let (original, have) = read(frames, &pdu);
            let head = match before {
                Some(done) if window.parts.is_empty() => done.to_vec(),
                _ => original
                    .get(..header_len(&pdu).min(have))
                    .unwrap_or_default()
                    .to_vec(),
            };
            let at = window.body.len();
            window
                .body
                .extend_from_slice(original.get(head.len()..).unwrap_or_default());
            if have < original.len() && window.known.is_none() {
                window.known = Some(at.saturating_add(have.saturating_sub(head.len())));
            }
            window.parts.push(Part {
                index: i,
                pos: pdu.pos.0,
                head,
                at,
                len: original.len(),
            });
            if pdu.flags.has(PduFlags::MESSAGE_END) {
                break;
            }
            if window.body.len() > limit {
                window.ended = false;
                break;
            }
        }
        window
    }

    /// Keeps the PDUs of a window up to `done` bytes of its body; returns where the message goes on.
    fn finish(&mut self, window: Window, copy: &[u8], done: usize) -> Option<Open> {
        for part in window.parts {
            let rest = part.len.saturating_sub(part.head.len());
            let end = part.at.saturating_add(rest);
            let mut redacted = part.head;
            if end > done {
                redacted.extend_from_slice(copy.get(part.at..done).unwrap_or_default());
                return Some(Open {
                    index: part.index,
                    done: redacted,
                });
            }
            redacted.extend_from_slice(copy.get(part.at..end).unwrap_or_default());
            redacted.resize(part.len, 0);
            self.done.insert(part.pos, redacted);
        }
        None
    }
}

/// Whether a message consists of tokens.
fn is_tokens(pdu: &PduRow) -> bool {
    matches!(
        pdu.tds_type,
        packet_type::TABULAR_RESULT | packet_type::BULK_LOAD
    )
}

/// Whether a bulk load has no columns but is one long text or image, behind its length ([MS-TDS] 2.2.6.1).
fn is_text(pdu: &PduRow, mask: &Mask<'_>) -> bool {
    pdu.tds_type == packet_type::BULK_LOAD && mask.peek() != Some(token::COLMETADATA)
}

/// The answer to PRELOGIN has no token that begins with 0, where its VERSION option stands.
fn is_prelogin_answer(mask: &Mask<'_>, side: Option<Side>) -> bool {
    mask.peek() == Some(0) && side != Some(Side::Client)
}

/// Redacts a message by its type.
fn body_of(
    pdu: &PduRow,
    side: Option<Side>,
    mask: &mut Mask<'_>,
    names: &mut Names,
    version: Version,
) {
    match pdu.tds_type {
        packet_type::PRELOGIN => login::prelogin(mask, names),
        // Other answers consist of tokens.
        packet_type::TABULAR_RESULT if is_prelogin_answer(mask, side) => {
            login::prelogin(mask, names);
        }
        packet_type::LOGIN7 => login::login7(mask, names),
        packet_type::SSPI => login::sspi(mask),
        packet_type::SQL_BATCH => request::sql_batch(mask, names, version),
        packet_type::RPC => request::rpc(mask, names, version),
        packet_type::TRANSACTION_MANAGER => request::transaction(mask, version),
        packet_type::FED_AUTH => drop(mask.keep(4)),
        _ => {}
    }
}

fn header_len(pdu: &PduRow) -> usize {
    usize::try_from(pdu.smp_header_len())
        .unwrap_or(0)
        .saturating_add(tds::HEADER_LEN)
}

/// A PDU's bytes, zeros where the file does not hold them; and how many from its start on are real.
fn read(frames: &mut Frames<'_>, pdu: &PduRow) -> (Vec<u8>, usize) {
    let wanted = pdu.len.min(u32::try_from(MAX_WINDOW).unwrap_or(u32::MAX));
    let gathered = frames.stretch(pdu, pdu.pos, wanted);
    let have = gathered.bytes.len();
    let mut bytes = gathered.bytes;
    bytes.resize(gathered.wanted, 0);
    (bytes, have)
}

fn copy_overlap(pos: u64, redacted: &[u8], from: u64, copy: &mut [u8]) {
    let (skip, start) = if pos >= from {
        (
            0,
            usize::try_from(pos.saturating_sub(from)).unwrap_or(usize::MAX),
        )
    } else {
        (
            usize::try_from(from.saturating_sub(pos)).unwrap_or(usize::MAX),
            0,
        )
    };
    let Some(source) = redacted.get(skip..) else {
        return;
    };
    let Some(to) = copy.get_mut(start..) else {
        return;
    };
    let n = source.len().min(to.len());
    if let (Some(to), Some(source)) = (to.get_mut(..n), source.get(..n)) {
        to.copy_from_slice(source);
    }
}

fn low32(pos: u64) -> u32 {
    u32::try_from(pos & 0xffff_ffff).unwrap_or(0)
}

fn as_u64(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// The PDUs of connections, by direction, in one walk over all PDUs.
pub(super) fn pdus_by_direction(
    store: &Store,
    wanted: impl Fn(crate::units::ConnId) -> bool,
) -> HashMap<(crate::units::ConnId, End), Vec<PduId>> {
    let mut out: HashMap<_, Vec<PduId>> = HashMap::new();
    for (id, pdu) in store.pdus_from(PduId(0)) {
        if wanted(pdu.conn) {
            out.entry((pdu.conn, pdu.end)).or_default().push(id);
        }
    }
    out
}

/// The TDS version of a connection, for the shapes of its messages.
pub(super) fn version_of(conn: &ConnRow) -> Version {
    let known = conn
        .login
        .as_ref()
        .and_then(|l| l.tds_version)
        .and_then(Version::from_number);
    known.unwrap_or_else(|| Version::assumed_for_server(conn.prelogin.server_major))
}
