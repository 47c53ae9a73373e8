//! One direction of a connection: its PDUs redacted in stream order, so that every frame that carries a byte, the
//! first time or again, gets the same stand-in for it.
//!
//! Bounds: [`MAX_MESSAGE`] bytes of a message are taken apart, the rest is zeroed; [`KEPT`] bytes behind the frame at
//! hand are kept for retransmissions, older ones are zeroed.

use std::collections::{BTreeMap, HashMap};

use super::mask::Mask;
use super::names::Names;
use super::{login, request, result, tls};
use crate::capture::FrameSource;
use crate::decode::smp;
use crate::decode::tds::version::Version;
use crate::decode::tds::{self, packet_type};
use crate::export::error::ExportError;
use crate::store::{ConnRow, FrameFlags, FrameRow, PduFlags, PduKind, PduRow, Store};
use crate::units::{End, PduId, SessionId, Side, TcpSeq};

/// The longest message that is taken apart.
const MAX_MESSAGE: usize = 32 << 20;
/// Redacted bytes that are kept.
const KEPT: usize = 64 << 20;

/// One direction's redacted PDUs.
pub(super) struct Stream {
    base: Option<TcpSeq>,
    /// The direction's PDUs in stream order.
    pdus: Vec<PduId>,
    next: usize,
    done: BTreeMap<u64, Vec<u8>>,
    kept: usize,
    columns: HashMap<Option<SessionId>, result::Columns>,
    encrypted: bool,
    smp: bool,
}

/// What a direction needs to read its bytes again.
pub(super) struct Bytes<'a> {
    pub(super) store: &'a Store,
    pub(super) source: &'a dyn FrameSource,
}

impl Stream {
    pub(super) fn new(store: &Store, conn: &ConnRow, end: End, mut pdus: Vec<PduId>) -> Self {
        pdus.sort_by_key(|id| store.pdu(*id).map(|p| p.pos));
        Self {
            base: *conn.base_seq.get(end),
            pdus,
            next: 0,
            done: BTreeMap::new(),
            kept: 0,
            columns: HashMap::new(),
            encrypted: false,
            smp: conn.smp_seen,
        }
    }

    /// Fills the copy of a frame's payload.
    pub(super) fn payload(
        &mut self,
        bytes: &Bytes<'_>,
        version: Version,
        frame: &FrameRow,
        original: &[u8],
        copy: &mut [u8],
        names: &mut Names,
    ) -> Result<(), ExportError> {
        let Some(from) = self.position(frame) else {
            return Ok(());
        };
        let to = from.saturating_add(as_u64(copy.len()));
        while let Some(id) = self.pdus.get(self.next).copied() {
            let Some(pdu) = bytes.store.pdu(id) else {
                break;
            };
            if pdu.pos.0 >= to {
                break;
            }
            if !self.done.contains_key(&pdu.pos.0) {
                self.redact(bytes, version, self.next, &pdu, names)?;
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
        self.tail(bytes.store, from, original, copy);
        self.forget();
        Ok(())
    }

    /// Where a frame's payload stands in the stream.
    fn position(&self, frame: &FrameRow) -> Option<u64> {
        let base = self.base?;
        // The stream position nearest to what was done last has the same low 32 bits.
        let near = self.done.keys().next_back().copied().unwrap_or(0);
        let low = frame.seq.diff(base.plus(low32(near)));
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
        let is_smp = self.smp && smp::Header::read(rest).is_some_and(|h| h.is_legal());
        let is_tds = !self.smp && tds::Header::read(rest).is_some_and(|h| h.is_plausible());
        let keep = match (is_smp, is_tds) {
            (true, _) => smp::HEADER_LEN.saturating_add(tds::HEADER_LEN),
            (false, true) => tds::HEADER_LEN,
            _ => 0,
        };
        let keep = keep.min(rest.len());
        let end = begin.saturating_add(keep);
        if let (Some(from), Some(to)) = (original.get(begin..end), copy.get_mut(begin..end)) {
            to.copy_from_slice(from);
        }
    }

    fn forget(&mut self) {
        while self.kept > KEPT {
            let Some((_, old)) = self.done.pop_first() else {
                return;
            };
            self.kept = self.kept.saturating_sub(old.len());
        }
    }

    fn keep(&mut self, pos: u64, redacted: Vec<u8>) {
        self.kept = self.kept.saturating_add(redacted.len());
        self.done.insert(pos, redacted);
    }

    /// Redacts a PDU, and with it the message that it begins.
    fn redact(
        &mut self,
        bytes: &Bytes<'_>,
        version: Version,
        index: usize,
        pdu: &PduRow,
        names: &mut Names,
    ) -> Result<(), ExportError> {
        match pdu.kind {
            PduKind::Data | PduKind::Tds if pdu.carries_tds() => {
                self.message(bytes, version, index, pdu, names)
            }
            PduKind::Tls => {
                let (original, have) = bytes.read(pdu)?;
                let mut copy = vec![0; original.len()];
                if let (Some(from), Some(to)) = (original.get(..have), copy.get_mut(..have)) {
                    tls::records(&mut Mask::new(from, to), names, &mut self.encrypted);
                }
                self.keep(pdu.pos.0, copy);
                Ok(())
            }
            kind => {
                let (original, have) = bytes.read(pdu)?;
                let mut copy = vec![0; original.len()];
                let header = if kind.is_smp() { smp::HEADER_LEN } else { 0 };
                Mask::new(&original, &mut copy).keep(header.min(have));
                self.keep(pdu.pos.0, copy);
                Ok(())
            }
        }
    }

    fn message(
        &mut self,
        bytes: &Bytes<'_>,
        version: Version,
        index: usize,
        first: &PduRow,
        names: &mut Names,
    ) -> Result<(), ExportError> {
        let mut parts = Vec::new();
        let mut body = Vec::new();
        let mut known = None;
        for id in self.pdus.get(index..).unwrap_or_default() {
            let Some(pdu) = bytes.store.pdu(*id) else {
                break;
            };
            if pdu.session != first.session || !pdu.carries_tds() {
                continue;
            }
            if !parts.is_empty() && pdu.flags.has(PduFlags::MESSAGE_START) {
                break;
            }
            let (original, have) = bytes.read(&pdu)?;
            let head = header_len(&pdu);
            let at = body.len();
            body.extend_from_slice(original.get(head..).unwrap_or_default());
            if have < original.len() && known.is_none() {
                known = Some(at.saturating_add(have.saturating_sub(head)));
            }
            parts.push((
                pdu.pos.0,
                original.get(..head.min(have)).unwrap_or_default().to_vec(),
                original.len(),
            ));
            if pdu.flags.has(PduFlags::MESSAGE_END) || body.len() > MAX_MESSAGE {
                break;
            }
        }
        let known = known.unwrap_or(body.len()).min(MAX_MESSAGE);
        let mut copy = vec![0; body.len()];
        if first.flags.has(PduFlags::MESSAGE_START)
            && let (Some(from), Some(to)) = (body.get(..known), copy.get_mut(..known))
        {
            let side = bytes.store.pdu_side(first);
            let columns = self.columns.entry(first.session).or_default();
            let mut mask = Mask::new(from, to);
            if first.flags.has(PduFlags::WRAPPED_TLS) {
                tls::records(&mut mask, names, &mut self.encrypted);
            } else {
                body_of(first, side, &mut mask, names, columns, version);
            }
        }
        let mut at = 0_usize;
        for (pos, head, len) in parts {
            let take = len.saturating_sub(head.len());
            let end = at.saturating_add(take);
            let mut redacted = head;
            redacted.extend_from_slice(copy.get(at..end).unwrap_or_default());
            redacted.resize(len, 0);
            at = end;
            self.keep(pos, redacted);
        }
        Ok(())
    }
}

/// Redacts a message by its type.
fn body_of(
    pdu: &PduRow,
    side: Option<Side>,
    mask: &mut Mask<'_>,
    names: &mut Names,
    columns: &mut result::Columns,
    version: Version,
) {
    match pdu.tds_type {
        packet_type::PRELOGIN => login::prelogin(mask, names),
        // The answer to PRELOGIN has no token that begins with 0, where its VERSION option stands.
        packet_type::TABULAR_RESULT if mask.peek() == Some(0) && side != Some(Side::Client) => {
            login::prelogin(mask, names);
        }
        packet_type::TABULAR_RESULT | packet_type::BULK_LOAD => {
            result::tokens(mask, names, columns, version);
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

impl Bytes<'_> {
    /// A PDU's bytes, zeros where the file does not hold them; and how many from its start on are real.
    fn read(&self, pdu: &PduRow) -> Result<(Vec<u8>, usize), ExportError> {
        let len = usize::try_from(pdu.len).unwrap_or(0);
        let mut out = vec![0; len.min(MAX_MESSAGE)];
        let mut pieces: Vec<(usize, usize)> = Vec::new();
        let Some(base) = self
            .store
            .conn(pdu.conn)
            .and_then(|c| *c.base_seq.get(pdu.end))
        else {
            return Ok((out, 0));
        };
        let seq = base.plus(low32(pdu.pos.0));
        let mut buf = Vec::new();
        let mut at = Some(pdu.frame);
        while let Some(no) = at.filter(|no| *no >= pdu.first_frame) {
            let Some(frame) = self.store.frame(no) else {
                break;
            };
            at = frame.prev.filter(|prev| *prev < no);
            if frame.end() != pdu.end || !carries_stream(&frame) {
                continue;
            }
            let (start, skip) = match i64::from(frame.seq.diff(seq)) {
                ahead if ahead >= 0 => (usize::try_from(ahead).unwrap_or(usize::MAX), 0),
                behind => (
                    0,
                    usize::try_from(behind.unsigned_abs()).unwrap_or(usize::MAX),
                ),
            };
            if start >= out.len() || skip >= usize::try_from(frame.payload_len).unwrap_or(0) {
                continue;
            }
            self.source
                .read_frame(frame.interface, frame.offset, frame.captured, &mut buf)
                .map_err(ExportError::Read)?;
            let payload = payload_of(&frame, &buf).get(skip..).unwrap_or_default();
            let n = payload.len().min(out.len().saturating_sub(start));
            let end = start.saturating_add(n);
            if let (Some(from), Some(to)) = (payload.get(..n), out.get_mut(start..end)) {
                to.copy_from_slice(from);
                pieces.push((start, end));
            }
        }
        pieces.sort_unstable();
        let mut have = 0;
        for (start, end) in pieces {
            if start > have {
                break;
            }
            have = have.max(end);
        }
        Ok((out, have))
    }
}

/// Whether a frame's payload is part of its direction's stream.
fn carries_stream(frame: &FrameRow) -> bool {
    frame.payload_len > 0
        && frame.is_tcp()
        && !frame.flags.has(FrameFlags::NOT_IN_STREAM)
        && !frame.flags.has(FrameFlags::DUPLICATE)
}

/// The payload in a frame's bytes, without padding behind the packet.
fn payload_of<'a>(frame: &FrameRow, bytes: &'a [u8]) -> &'a [u8] {
    let start = usize::from(frame.payload_offset);
    let len = usize::try_from(frame.payload_len).unwrap_or(0);
    let end = start.saturating_add(len).min(bytes.len());
    bytes.get(start..end).unwrap_or_default()
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
