//! TDS messages across PDUs: which packets one consists of, and decoding any part of it without reading the rest.

use std::ops::Range;
use std::sync::Arc;

use super::request;
use super::stream::{Frames, Gathered};
use super::version::Spoken;
use crate::decode::field::{Field, Value};
use crate::decode::tds::columns::Column;
use crate::decode::tds::message::{self as decode, Context, Message};
use crate::decode::tds::skim::Skim;
use crate::decode::tds::{HEADER_LEN, packet_type, sql_secret};
use crate::store::{PduFlags, PduKind, PduRow, Store};
use crate::units::{PduId, Side, StreamPos};

/// Most packets of a message that are found backwards and forwards.
const MAX_PARTS: usize = 1 << 20;
/// PDUs looked at for the packets behind the one at hand.
const LOOK_AHEAD: usize = 1 << 18;
/// Bytes of a message that are decoded at once where its start must be known: requests, login.
const WHOLE_BYTES: usize = 1 << 20;
/// Bytes read beyond a packet to complete what begins in it, and before it for what began earlier.
const BORDER_BYTES: usize = 64 << 10;

/// Bytes of a request that are looked through for secrets.
const MAX_SECRETS: u64 = 16 << 20;

/// Where decoding can begin for a packet of a long answer.
#[derive(Debug, Clone)]
struct Start {
    /// The token that the packet's first byte belongs to.
    open_at: u64,
    /// The first token that begins in the packet.
    first: Option<u64>,
    /// Columns in force at its first byte.
    columns: Option<Arc<Vec<Column>>>,
    /// The stream could be followed up to here.
    sure: bool,
    /// Tokens that begin in the packet: token and how many in a row.
    tokens: Vec<(u8, u32)>,
}

/// Runs of tokens that are kept for a packet's summary.
const MAX_RUNS: usize = 12;

/// A TDS message: its packets, and how far it was skimmed.
#[derive(Debug)]
pub struct Index {
    /// Packet type.
    pub kind: u8,
    /// The PDUs that carry it, in order.
    pub parts: Vec<PduId>,
    /// Position of each part's body in the message, and behind the last.
    offsets: Vec<u64>,
    /// The first part begins the message.
    pub has_start: bool,
    /// The last part ends it.
    pub has_end: bool,
    /// Its body is a flight of a TLS handshake.
    pub wrapped_tls: bool,
    context: Context,
    starts: Vec<Start>,
    skim: Skim,
    secrets: Option<Secrets>,
}

/// What of a request's body is secret.
#[derive(Debug, Default)]
struct Secrets {
    /// So many bytes of it were read; bytes are missing behind them.
    read: u64,
    /// Ranges of these.
    ranges: Vec<Range<u64>>,
    /// A word of secrets is among them: what is behind the missing bytes may belong to it.
    tells: bool,
}

/// Counts a token in runs of the same.
pub fn count_token(runs: &mut Vec<(u8, u32)>, token: u8) {
    if let Some((_, count)) = runs.last_mut().filter(|(last, _)| *last == token) {
        *count = count.saturating_add(1);
    } else if runs.len() < MAX_RUNS {
        runs.push((token, 1));
    }
}

/// Bytes of the body that a PDU carries: its TDS packet without SMP and TDS headers.
fn body_len(pdu: &PduRow) -> u32 {
    let headers = u32::try_from(HEADER_LEN)
        .unwrap_or(8)
        .saturating_add(pdu.smp_header_len());
    pdu.len.saturating_sub(headers)
}

/// The first bytes of the body that one PDU carries, at most `limit`.
pub fn body(frames: &mut Frames<'_>, pdu: &PduRow, limit: u32) -> Gathered {
    frames.stretch(pdu, body_pos(pdu), body_len(pdu).min(limit))
}

/// Whether a packet stands directly behind another in one message: no packet of the session, and no bytes of the
/// stream, may be missing between them.
fn continues(before: &PduRow, behind: &PduRow) -> bool {
    let adjacent = match behind.kind {
        PduKind::Data => behind.seqnum.diff(before.seqnum) == 1,
        _ => !behind.flags.has(PduFlags::RESYNCED),
    };
    before.carries_tds()
        && behind.carries_tds()
        && before.kind == behind.kind
        && before.tds_type == behind.tds_type
        && adjacent
}

fn body_pos(pdu: &PduRow) -> StreamPos {
    let headers = u64::from(pdu.smp_header_len()).saturating_add(8);
    StreamPos(pdu.pos.0.saturating_add(headers))
}

impl Index {
    /// The message that a PDU carries a packet of.
    pub fn find(store: &Store, id: PduId, spoken: Spoken) -> Option<Self> {
        let pdu = store.pdu(id).filter(PduRow::carries_tds)?;
        let conn = store.conn(pdu.conn)?;
        let mut parts = vec![id];
        let mut has_start = pdu.flags.has(PduFlags::MESSAGE_START);
        if !has_start {
            let mut behind = pdu;
            for (before, row) in store.pdu_chain_back(pdu.prev).take(MAX_PARTS) {
                if row.kind.is_control() {
                    continue;
                }
                if row.flags.has(PduFlags::MESSAGE_END) || !continues(&row, &behind) {
                    break;
                }
                behind = row;
                parts.push(before);
                if row.flags.has(PduFlags::MESSAGE_START) {
                    has_start = true;
                    break;
                }
            }
            parts.reverse();
        }
        let mut has_end = pdu.flags.has(PduFlags::MESSAGE_END);
        if !has_end {
            let rest = store
                .sent_behind(id, &pdu, LOOK_AHEAD)
                .filter(|(_, row)| row.session == pdu.session && !row.kind.is_control());
            let mut before = pdu;
            for (after, row) in rest {
                if row.flags.has(PduFlags::MESSAGE_START) || !continues(&before, &row) {
                    break;
                }
                before = row;
                parts.push(after);
                if row.flags.has(PduFlags::MESSAGE_END) {
                    has_end = true;
                    break;
                }
            }
        }
        let mut offsets = vec![0_u64];
        let mut at = 0_u64;
        for part in &parts {
            let len = store.pdu(*part).map_or(0, |pdu| body_len(&pdu));
            at = at.saturating_add(u64::from(len));
            offsets.push(at);
        }
        let context = Context {
            version: spoken.version,
            column_encryption: spoken.features.column_encryption,
            ranks: spoken.features.ranks,
            from_server: conn.side_of(pdu.end) == Side::Server,
            ..Context::default()
        };
        Some(Self {
            kind: pdu.tds_type,
            parts,
            offsets,
            has_start,
            has_end,
            wrapped_tls: pdu.flags.has(PduFlags::WRAPPED_TLS),
            starts: Vec::new(),
            skim: Skim::new(context.clone()),
            secrets: None,
            context,
        })
    }

    /// The place of a PDU among the packets, from 0.
    pub fn place(&self, id: PduId) -> Option<usize> {
        self.parts.binary_search(&id).ok()
    }

    /// Bytes of the whole body, as far as its packets are known.
    pub fn body_len(&self) -> u64 {
        self.offsets.last().copied().unwrap_or(0)
    }

    /// What it cost to come as far as it has been read: packets that were skimmed, or looked through for secrets.
    pub fn effort(&self) -> usize {
        if self.secrets.is_some() {
            return self.parts.len();
        }
        self.starts.len()
    }

    /// The range of a part in the body.
    fn range(&self, part: usize) -> (u64, u64) {
        let at = |i| self.offsets.get(i).copied().unwrap_or(u64::MAX);
        (at(part), at(part.saturating_add(1)))
    }

    /// Whether the message is a token stream, which can be decoded from its middle.
    pub fn is_answer(&self) -> bool {
        !self.wrapped_tls
            && matches!(
                self.kind,
                packet_type::TABULAR_RESULT | packet_type::BULK_LOAD
            )
    }

    /// Skims the message up to and including a part.
    fn skim_to(&mut self, frames: &mut Frames<'_>, part: usize) {
        while self.starts.len() <= part {
            let here = self.starts.len();
            let (begin, end) = self.range(here);
            let mut start = Start {
                open_at: self.skim.token_at(),
                first: None,
                columns: self.skim.columns().cloned(),
                sure: !self.skim.failed() && (self.has_start || here > 0),
                tokens: Vec::new(),
            };
            if here == 0 && !self.has_start {
                self.skim.give_up();
            }
            if !self.skim.failed() {
                let body = self.body(frames, here);
                self.skim.feed(&body.bytes, |token| {
                    if token.at >= begin && token.at < end {
                        start.first.get_or_insert(token.at);
                    }
                    count_token(&mut start.tokens, token.token);
                });
                if !body.is_whole() {
                    self.skim.give_up();
                }
            }
            self.starts.push(start);
        }
    }

    /// The body bytes of one part.
    fn body(&self, frames: &mut Frames<'_>, part: usize) -> Gathered {
        let Some(pdu) = self.parts.get(part).and_then(|id| frames.store.pdu(*id)) else {
            return Gathered::default();
        };
        frames.stretch(&pdu.clone(), body_pos(&pdu), body_len(&pdu))
    }

    /// Body bytes from a position on, up to another, and where they lie.
    fn bytes(&self, frames: &mut Frames<'_>, from: u64, to: u64) -> Gathered {
        let mut out = Gathered::default();
        let first = self
            .offsets
            .partition_point(|at| *at <= from)
            .saturating_sub(1);
        for part in first..self.parts.len() {
            let (begin, end) = self.range(part);
            if begin >= to {
                break;
            }
            let body = self.body(frames, part);
            let start = to_size(from.saturating_sub(begin));
            let stop = to_size(to.min(end).saturating_sub(begin));
            let have = body.bytes.len().min(stop);
            if start < have {
                out.append(&body, start..have);
            }
            if have < stop {
                out.wanted = out.wanted.saturating_add(stop.saturating_sub(have));
                break;
            }
        }
        out
    }

    /// Decodes what lies in one part (or, for requests and logins, the whole message), or all of it.
    pub fn decode(
        &mut self,
        frames: &mut Frames<'_>,
        part: usize,
        max_rows: usize,
        whole: bool,
    ) -> Decoded {
        let total = self.body_len();
        let limit = u64::try_from(WHOLE_BYTES).unwrap_or(u64::MAX);
        let mut context = self.context.clone();
        context.max_rows = max_rows;
        if whole || !self.is_answer() || self.parts.len() == 1 {
            let to = if whole { total } else { total.min(limit) };
            let bytes = self.bytes(frames, 0, to.min(limit.saturating_mul(8)));
            return Decoded::new(self.kind, &bytes, 0, &context, total, self.has_start);
        }
        self.skim_to(frames, part);
        let (begin, end) = self.range(part);
        let border = u64::try_from(BORDER_BYTES).unwrap_or(u64::MAX);
        let start = self.starts.get(part).cloned();
        let Some(start) = start.filter(|start| start.sure) else {
            let bytes = self.bytes(frames, begin, end);
            return Decoded::new(self.kind, &bytes, begin, &context, total, false);
        };
        let near = begin.saturating_sub(start.open_at) <= border;
        let from = if near {
            Some(start.open_at)
        } else {
            start.first
        };
        let Some(from) = from else {
            let bytes = self.bytes(frames, begin, end);
            return Decoded::inside_value(&bytes, begin, start.open_at);
        };
        context.columns = start.columns;
        context.until = usize::try_from(end).ok();
        let bytes = self.bytes(frames, from, end.saturating_add(border).min(total));
        let mut decoded = Decoded::new(self.kind, &bytes, from, &context, total, true);
        if !near {
            decoded.value_before = Some((begin, from, start.open_at));
        }
        decoded
    }

    /// The tokens that begin in a part: token and how many in a row; and whether it begins inside one.
    pub fn tokens(
        &mut self,
        frames: &mut Frames<'_>,
        part: usize,
    ) -> Option<(Vec<(u8, u32)>, bool)> {
        if !self.is_answer() {
            return None;
        }
        self.skim_to(frames, part);
        let (begin, _) = self.range(part);
        let start = self.starts.get(part)?;
        start
            .sure
            .then(|| (start.tokens.clone(), start.open_at < begin))
    }

    /// What of a part of a request is secret, counted from the part's first byte: what is secret in its text, and what
    /// may be of what stands behind bytes which are not in the file.
    pub fn secret_parts(&mut self, frames: &mut Frames<'_>, part: usize) -> Vec<Range<u32>> {
        let (begin, end) = self.range(part);
        let secrets = match self.secrets.take() {
            Some(secrets) => secrets,
            None => self.find_secrets(frames),
        };
        let short = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        let here = |range: &Range<u64>| {
            let from = range.start.max(begin).saturating_sub(begin);
            let to = range.end.min(end).saturating_sub(begin);
            (from < to).then(|| short(from)..short(to))
        };
        let mut found: Vec<_> = secrets.ranges.iter().filter_map(here).collect();
        if secrets.read <= begin && !secrets.tells && begin < MAX_SECRETS {
            let body = self.body(frames, part).bytes;
            found.extend(request::of_piece(self.kind, &body));
            let have = u64::try_from(body.len()).unwrap_or(u64::MAX);
            found.push(short(have)..short(end.saturating_sub(begin)));
        } else {
            found.extend(here(&(secrets.read..end)));
        }
        self.secrets = Some(secrets);
        found
    }

    /// The bytes of the body, if it has its beginning and none of them are missing; not of a very long one.
    pub fn whole_body(&self, frames: &mut Frames<'_>) -> Option<Vec<u8>> {
        if !self.has_start || self.body_len() > MAX_SECRETS {
            return None;
        }
        let bytes = self.bytes(frames, 0, self.body_len());
        bytes.is_whole().then_some(bytes.bytes)
    }

    fn find_secrets(&self, frames: &mut Frames<'_>) -> Secrets {
        if !self.has_start {
            return Secrets::default();
        }
        let bytes = self.bytes(frames, 0, self.body_len().min(MAX_SECRETS));
        let wide = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let found = secrets_of_request(self.kind, &bytes.bytes, &self.context);
        Secrets {
            read: wide(bytes.bytes.len()),
            tells: sql_secret::may_be_in(&bytes.bytes),
            ranges: found
                .into_iter()
                .map(|range| wide(range.start)..wide(range.end))
                .collect(),
        }
    }

    /// The first bytes of the body, at most so many.
    pub fn head(&self, frames: &mut Frames<'_>, len: usize) -> Gathered {
        let to = u64::try_from(len).unwrap_or(u64::MAX).min(self.body_len());
        self.bytes(frames, 0, to)
    }

    /// The context in which its bytes are to be read.
    pub fn context(&self) -> &Context {
        &self.context
    }
}

/// What is secret in the body of a request, of which the first bytes are there. Where something may be and the body
/// cannot be read to its end, all is from there on.
pub fn secrets_of_request(kind: u8, body: &[u8], context: &Context) -> Vec<Range<usize>> {
    if !sql_secret::may_be_in(body) {
        return Vec::new();
    }
    let context = Context {
        max_rows: 0,
        ..context.clone()
    };
    let message = decode::decode(kind, body, 0, &context);
    let mut found = Vec::new();
    for field in &message.fields {
        field.walk(&mut |field| {
            if matches!(field.value, Value::Secret(_)) {
                found.extend(field.spans.iter().map(|span| span.bytes.clone()));
            }
        });
    }
    if let Some(stop) = message.stop {
        found.push(stop.at..body.len());
    }
    found
}

/// A decoded stretch of a message, its fields placed in frames.
#[derive(Debug, Default)]
pub struct Decoded {
    /// Fields, text and grids.
    pub message: Message,
    /// A value that began long before fills the part up to a position: part's start, position, value's start.
    pub value_before: Option<(u64, u64, u64)>,
    /// Bytes of the message are not in the file.
    pub missing: bool,
    /// Bytes of the message that were left unread because it is long.
    pub unread: u64,
}

impl Decoded {
    /// Of the bytes of a message from a position on.
    pub fn new(
        kind: u8,
        bytes: &Gathered,
        from: u64,
        context: &Context,
        total: u64,
        has_start: bool,
    ) -> Self {
        let base = to_size(from);
        let mut message = if has_start {
            decode::decode(kind, &bytes.bytes, base, context)
        } else {
            headless(bytes, base)
        };
        let behind = from.saturating_add(u64::try_from(bytes.bytes.len()).unwrap_or(0));
        // A stop at the end of what was read is none if the message goes on: the rest is only not read.
        if message.stop.as_ref().is_some_and(|stop| stop.short)
            && behind < total
            && bytes.is_whole()
        {
            message.fields.retain(|field| field.name != "tds.stop");
        }
        place(&mut message, bytes, base);
        Self {
            message,
            value_before: None,
            missing: !bytes.is_whole(),
            unread: if has_start && bytes.is_whole() && context.until.is_none() {
                total.saturating_sub(behind)
            } else {
                0
            },
        }
    }

    /// Of fields that were placed already.
    pub fn of_fields(fields: Vec<Field>, missing: bool) -> Self {
        Self {
            message: Message {
                fields,
                ..Message::default()
            },
            missing,
            ..Self::default()
        }
    }

    fn inside_value(bytes: &Gathered, begin: u64, open_at: u64) -> Self {
        let end = begin.saturating_add(u64::try_from(bytes.bytes.len()).unwrap_or(0));
        Self {
            missing: !bytes.is_whole(),
            unread: 0,
            value_before: Some((begin, end, open_at)),
            message: Message::default(),
        }
    }
}

/// A stretch whose start is not in the capture: its tokens cannot be told apart.
fn headless(bytes: &Gathered, base: usize) -> Message {
    let end = base.saturating_add(bytes.bytes.len());
    Message {
        fields: vec![
            Field::new("tds.stop", "not decoded", Value::None)
                .text("the message's beginning is not in the capture")
                .at(base..end),
        ],
        ..Message::default()
    }
}

fn place(message: &mut Message, bytes: &Gathered, base: usize) {
    let spans = |range: std::ops::Range<usize>| {
        bytes.spans(range.start.saturating_sub(base)..range.end.saturating_sub(base))
    };
    for field in &mut message.fields {
        field.place(&spans);
    }
}

fn to_size(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
