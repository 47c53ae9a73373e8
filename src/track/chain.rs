//! TDS messages of one session (or of a connection without SMP): packets to messages, requests to answers.
//!
//! Bounds: [`HEAD`] bytes of a request, [`LOGIN_HEAD`] of a login step, [`MAX_OPEN`] requests under way per chain.

use std::collections::VecDeque;

use crate::decode::tds;
use crate::decode::tds::packet_type as pt;
use crate::store::{
    CheckId, PduFlags, Phase, RequestEnd, RequestKind, RequestRow, SessionRow, Severity,
};
use crate::units::{End, FrameNo, Nanos, PduId, PerEnd, SessionId, SmpSeq};

use super::framing::OpenPdu;
use super::login::{self, LoginState};
use super::order::At;
use super::out::{Broken, Ctx};
use super::request_text;
use super::tokens::{Walker, done};

/// Bytes kept of a request, for its text.
const HEAD: usize = 2048;
/// Bytes kept of PRELOGIN, LOGIN7 and handshake messages.
const LOGIN_HEAD: usize = 16 << 10;
/// Requests of one chain whose answers have not ended.
const MAX_OPEN: usize = 64;

/// A TDS message being sent.
#[derive(Debug)]
pub(super) struct Message {
    kind: u8,
    first_frame: FrameNo,
    first_time: Nanos,
    head: Vec<u8>,
    /// Bytes are missing in `head`: nothing more is added.
    head_cut: bool,
    last_packet_id: u8,
    /// Body bytes that go to the token walk.
    walked: bool,
    /// Body bytes of a PRELOGIN, login or wrapped TLS flight.
    login_step: bool,
    /// Its first packet is there and not complete yet.
    starts: bool,
    bytes: u64,
}

/// One sender's part of a chain.
#[derive(Debug, Default)]
pub(super) struct ChainEnd {
    pub(super) last_pdu: Option<PduId>,
    message: Option<Message>,
    /// The last packet's header was not readable, or packets may be missing.
    pub(super) unsure: bool,
    /// Inside SMP: bytes left of the TDS packet at hand, and the header as far as it came.
    packet_left: u32,
    header: Vec<u8>,
    /// Status bits of the packet at hand, which need not be those of the first one in its DATA.
    status: u8,
    in_packet: bool,
    pub(super) smp: SmpEnd,
}

impl ChainEnd {
    /// A sender at the start of a session; `unsure` where the start is not in the file.
    pub(super) fn starting(smp: SmpEnd, unsure: bool) -> Self {
        Self {
            unsure,
            smp,
            ..Self::default()
        }
    }
}

/// One side of an SMP session, for the checks.
#[derive(Debug, Clone, Copy)]
pub(super) struct SmpEnd {
    /// SEQNUM of the last DATA.
    pub(super) seq: SmpSeq,
    /// The last WNDW.
    pub(super) wnd: SmpSeq,
    /// The numbers are certain.
    pub(super) synced: bool,
    pub(super) fin: bool,
    /// The holes of its direction that the numbers take account of.
    pub(super) holes: u32,
    /// Stands still for want of window since then.
    pub(super) blocked: Option<Nanos>,
    /// Has used the last slot of its window once: not a sender that stops one earlier.
    pub(super) used_last_slot: bool,
    /// DATA sent.
    pub(super) sent: u64,
}

impl Default for SmpEnd {
    fn default() -> Self {
        Self {
            seq: SmpSeq(0),
            wnd: SmpSeq(4),
            synced: false,
            fin: false,
            holes: 0,
            blocked: None,
            used_last_slot: false,
            sent: 0,
        }
    }
}

/// A request whose answer has not ended.
#[derive(Debug)]
struct Open {
    row: RequestRow,
    /// When its last packet was sent.
    sent: Option<Nanos>,
}

/// The packets of one session, or of a connection outside SMP.
#[derive(Debug, Default)]
pub(super) struct Chain {
    pub(super) session: Option<SessionRow>,
    pub(super) ends: PerEnd<ChainEnd>,
    open: VecDeque<Open>,
    last: Option<RequestRow>,
    walker: Option<Box<Walker>>,
    attention: Option<FrameNo>,
    /// Holes of the server's direction when the oldest open request was sent.
    request_holes: u32,
    pub(super) changed: bool,
    /// Stands in the list of chains with changed rows.
    pub(super) listed: bool,
    changed_open: bool,
    changed_last: bool,
}

/// Who sends, where it stands in the file, and what the connection knows at that point.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) end: End,
    pub(super) at: At,
    pub(super) around: Around,
}

/// What a chain needs to know of its connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around {
    pub(super) client: Option<End>,
    /// Holes of the server's direction so far.
    pub(super) server_holes: u32,
    /// The client has acknowledged bytes of the server that were not seen (yet).
    pub(super) server_behind: bool,
}

impl Chain {
    /// The chain of a new session.
    pub(super) fn starting(session: SessionRow, ends: PerEnd<ChainEnd>) -> Self {
        Self {
            session: Some(session),
            ends,
            changed: true,
            ..Self::default()
        }
    }

    fn session_id(&self) -> Option<SessionId> {
        self.session.as_ref().map(|s| s.id)
    }

    /// Requests whose answer has not ended.
    pub(super) fn outstanding(&self) -> u32 {
        u32::try_from(self.open.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn attention_outstanding(&self) -> bool {
        self.attention.is_some()
    }

    /// Whether a sender is inside a message.
    pub(super) fn in_message(&self, end: End) -> bool {
        self.ends.get(end).message.is_some()
    }

    /// Puts the changed rows into the batch.
    pub(super) fn flush(&mut self, ctx: &mut Ctx<'_>) {
        if std::mem::take(&mut self.changed_open) {
            for request in &self.open {
                ctx.out.request_changed(request.row.clone());
            }
        }
        if std::mem::take(&mut self.changed_last)
            && let Some(last) = &self.last
        {
            ctx.out.request_changed(last.clone());
        }
        if std::mem::take(&mut self.changed) {
            let outstanding = self.outstanding();
            let attention = self.attention_outstanding();
            if let Some(session) = &mut self.session {
                session.outstanding = outstanding;
                session.attention_outstanding = attention;
                ctx.out.session_changed(session.clone());
            }
        }
    }

    /// A TDS packet begins.
    pub(super) fn packet_start(
        &mut self,
        moment: Moment,
        header: tds::Header,
        pdu: &mut OpenPdu,
        login: &LoginState,
        ctx: &mut Ctx<'_>,
    ) {
        let Moment { end, at, around } = moment;
        let session = self.session_id();
        let from_client = around.client.map(|client| client == end);
        let side = self.ends.get_mut(end);
        side.status = header.status;
        let unsure = std::mem::take(&mut side.unsure);
        if let Some(message) = &mut side.message {
            let follows = header.packet_id == message.last_packet_id.wrapping_add(1);
            let same = header.kind == message.kind;
            if same && (follows || !(unsure && header.packet_id <= 1)) {
                if !follows && !unsure {
                    let fact = format!(
                        "PacketID {} after {}",
                        header.packet_id, message.last_packet_id
                    );
                    ctx.violation(warn(CheckId::P3, fact), at.frame, None, session);
                }
                message.last_packet_id = header.packet_id;
                if unsure && !follows {
                    message.head_cut = true;
                    if let Some(walker) = self.walker.as_mut().filter(|_| message.walked) {
                        walker.give_up();
                    }
                }
                return;
            }
            if !unsure {
                let fact = format!(
                    "packet of type {} inside a message of type {}",
                    header.kind, message.kind
                );
                ctx.violation(warn(CheckId::P3, fact), at.frame, None, session);
            }
        }
        // Behind a gap or in a connection joined late the message may have begun before.
        let joined = unsure && header.packet_id > 1;
        let server_answer = header.kind == pt::TABULAR_RESULT && from_client != Some(true);
        let login_step = match header.kind {
            pt::PRELOGIN | pt::LOGIN7 => true,
            pt::TABULAR_RESULT => server_answer && login.awaits_prelogin(),
            _ => false,
        };
        let to_walk = server_answer && !login_step;
        side.message = Some(Message {
            kind: header.kind,
            first_frame: pdu.first_frame,
            first_time: at.time,
            head: Vec::new(),
            head_cut: joined,
            last_packet_id: header.packet_id,
            walked: to_walk,
            login_step,
            starts: !joined,
            bytes: 0,
        });
        if !joined {
            pdu.flags.set(PduFlags::MESSAGE_START);
        }
        if to_walk {
            let walker = self.walker.get_or_insert_with(|| Box::new(Walker::new()));
            if unsure {
                // What was counted so far may belong to an answer whose end lies in the gap.
                walker.take_outcome();
            }
            walker.begin(login.version(), login.column_encryption);
            if joined {
                walker.give_up();
            }
        }
    }

    /// Bytes of a TDS packet's body.
    pub(super) fn packet_body(&mut self, end: End, bytes: &[u8]) {
        let side = self.ends.get_mut(end);
        let Some(message) = &mut side.message else {
            return;
        };
        let len = u64::try_from(bytes.len()).unwrap_or(0);
        message.bytes = message.bytes.saturating_add(len);
        if message.walked {
            if let Some(walker) = &mut self.walker {
                walker.feed(bytes);
            }
            return;
        }
        let limit = match message.kind {
            pt::SQL_BATCH | pt::RPC | pt::TRANSACTION_MANAGER => HEAD,
            _ if message.login_step => LOGIN_HEAD,
            _ => 0,
        };
        if !message.head_cut && message.head.len() < limit {
            let room = limit.saturating_sub(message.head.len());
            message
                .head
                .extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        }
    }

    /// Bytes of a TDS packet's body that are not in the file.
    pub(super) fn packet_hidden(&mut self, end: End) {
        let side = self.ends.get_mut(end);
        if let Some(message) = &mut side.message {
            message.head_cut = true;
            if message.walked
                && let Some(walker) = &mut self.walker
            {
                walker.give_up();
            }
        }
    }

    /// Inside SMP: bytes of DATA payload. They are read as a stream of TDS packets, whatever their borders.
    pub(super) fn data_body(
        &mut self,
        moment: Moment,
        pdu: &mut OpenPdu,
        mut bytes: &[u8],
        login: &mut LoginState,
        ctx: &mut Ctx<'_>,
    ) {
        let Moment { end, at, .. } = moment;
        while !bytes.is_empty() {
            let side = self.ends.get_mut(end);
            if side.packet_left > 0 {
                let left = usize::try_from(side.packet_left).unwrap_or(usize::MAX);
                let n = left.min(bytes.len());
                side.packet_left = side
                    .packet_left
                    .saturating_sub(u32::try_from(n).unwrap_or(u32::MAX));
                let (body, rest) = bytes.split_at_checked(n).unwrap_or((bytes, &[]));
                self.packet_body(end, body);
                bytes = rest;
                continue;
            }
            if side.in_packet {
                // Another packet in the same DATA: the one before is over.
                let next = ctx.out.next_pdu();
                self.packet_end(moment, pdu, next, login, ctx);
            }
            let side = self.ends.get_mut(end);
            let want = tds::HEADER_LEN.saturating_sub(side.header.len());
            let (part, rest) = bytes.split_at_checked(want).unwrap_or((bytes, &[]));
            side.header.extend_from_slice(part);
            bytes = rest;
            let Some(header) = tds::Header::read(&side.header) else {
                return;
            };
            side.header.clear();
            if !header.is_plausible() {
                // Not TDS: the rest of this DATA cannot be walked.
                let fact = format!(
                    "payload begins with type {}, length {}",
                    header.kind, header.length
                );
                let check = if header.kind == crate::decode::smp::SMID {
                    error(CheckId::P2, fact)
                } else {
                    warn(CheckId::P1, fact)
                };
                side.unsure = true;
                let session = self.session_id();
                ctx.violation(check, at.frame, None, session);
                pdu.flags.set(PduFlags::BODY_HIDDEN);
                return;
            }
            side.packet_left = u32::from(header.length).saturating_sub(8);
            side.in_packet = true;
            if !pdu.flags.has(PduFlags::TDS_HEADER) {
                pdu.flags.set(PduFlags::TDS_HEADER);
                pdu.tds_type = header.kind;
                pdu.tds_status = header.status;
                if u32::from(header.length) != pdu.len.saturating_sub(16) {
                    let fact = format!(
                        "TDS packet of {} bytes in a DATA with {}",
                        header.length,
                        pdu.len.saturating_sub(16)
                    );
                    let session = self.session_id();
                    ctx.violation(warn(CheckId::P1, fact), at.frame, None, session);
                }
            }
            self.packet_start(moment, header, pdu, login, ctx);
        }
    }

    /// Inside SMP: `len` bytes of DATA payload are not in the file.
    pub(super) fn data_hidden(&mut self, end: End, pdu: &mut OpenPdu, len: u32) {
        let side = self.ends.get_mut(end);
        if side.in_packet {
            side.packet_left = side.packet_left.saturating_sub(len);
        } else {
            // The TDS header itself is hidden.
            side.header.clear();
            side.unsure = true;
            pdu.flags.set(PduFlags::BODY_HIDDEN);
        }
        self.packet_hidden(end);
    }

    /// Inside SMP: a DATA is complete.
    pub(super) fn data_end(
        &mut self,
        moment: Moment,
        pdu: &mut OpenPdu,
        id: PduId,
        login: &mut LoginState,
        ctx: &mut Ctx<'_>,
    ) {
        let Moment { end, .. } = moment;
        let side = self.ends.get_mut(end);
        if side.in_packet && side.packet_left == 0 {
            self.packet_end(moment, pdu, id, login, ctx);
        }
    }

    /// A TDS packet is complete; status and type are those of its header.
    pub(super) fn packet_end(
        &mut self,
        moment: Moment,
        pdu: &mut OpenPdu,
        id: PduId,
        login: &mut LoginState,
        ctx: &mut Ctx<'_>,
    ) {
        let Moment { end, at, around } = moment;
        let side = self.ends.get_mut(end);
        side.in_packet = false;
        let Some(message) = &mut side.message else {
            return;
        };
        let eom = side.status & tds::STATUS_EOM != 0;
        let starts = std::mem::take(&mut message.starts);
        if message.login_step && login::is_wrapped_tls(&message.head) {
            pdu.flags.set(PduFlags::WRAPPED_TLS);
        }
        let (kind, walked, begun) = (message.kind, message.walked, Some(message.first_time));
        let from_client = around.client.map(|client| client == end);
        if from_client != Some(false) && starts {
            self.request_begins(kind, moment, pdu, id, ctx);
        } else if from_client != Some(false) {
            self.request_goes_on(kind, at);
        }
        if walked {
            self.answer_goes_on(pdu, begun, at, login, ctx);
        }
        if eom {
            self.message_end(end, pdu, at, login, ctx);
        }
        self.changed = true;
    }

    fn request_begins(
        &mut self,
        kind: u8,
        moment: Moment,
        pdu: &OpenPdu,
        id: PduId,
        ctx: &mut Ctx<'_>,
    ) {
        let Moment { end, at, around } = moment;
        if kind == pt::ATTENTION {
            self.attention = Some(at.done);
            if let Some(request) = self.open.front_mut() {
                request.row.attention_frame = Some(at.done);
                self.changed_open = true;
            } else if let Some(last) = &mut self.last {
                last.attention_frame = Some(at.done);
                self.changed_last = true;
            }
            return;
        }
        let kind = match kind {
            pt::SQL_BATCH => RequestKind::SqlBatch,
            pt::RPC => RequestKind::Rpc,
            pt::BULK_LOAD => RequestKind::BulkLoad,
            pt::TRANSACTION_MANAGER => RequestKind::TransactionManager,
            _ => return,
        };
        let unseen = around.server_behind || around.server_holes != self.request_holes;
        if !self.open.is_empty() && unseen {
            // A client sends the next request only when the one before is answered: its answer lies in a gap.
            if let Some(walker) = &mut self.walker {
                walker.take_outcome();
            }
            while let Some(mut old) = self.open.pop_front() {
                old.row.end = RequestEnd::Unknown;
                self.retire(old.row, ctx);
            }
        }
        if self.open.len() >= MAX_OPEN
            && let Some(mut old) = self.open.pop_front()
        {
            old.row.end = RequestEnd::Unknown;
            self.retire(old.row, ctx);
        }
        self.request_holes = around.server_holes;
        let message = self.ends.get(end).message.as_ref();
        let text = message.map_or_else(String::new, |m| request_text::text(kind, &m.head));
        let reset = pdu.tds_status & (tds::STATUS_RESET | tds::STATUS_RESET_SKIP_TRAN) != 0;
        let row = RequestRow {
            id: ctx.out.new_request(),
            conn: ctx.row.id,
            session: self.session.as_ref().map(|s| s.id),
            kind,
            text: text.into(),
            first_frame: pdu.first_frame,
            last_frame: at.done,
            first_pdu: id,
            complete: false,
            ignored: false,
            reset_connection: reset,
            answer_first_frame: None,
            answer_last_frame: None,
            answer_bytes: 0,
            start: message.map_or(at.time, |m| m.first_time),
            first_byte_ns: None,
            duration_ns: None,
            rows: None,
            error: None,
            done_status: None,
            attention_frame: None,
            attention_ack_frame: None,
            end: RequestEnd::Outstanding,
        };
        self.open.push_back(Open { row, sent: None });
        if let Some(session) = &mut self.session {
            session.requests = session.requests.saturating_add(1);
        }
        self.changed_open = true;
        ctx.phase(
            Phase::Commands,
            at.done,
            self.session.as_ref().map(|s| s.sid),
        );
    }

    fn request_goes_on(&mut self, kind: u8, at: At) {
        if matches!(
            kind,
            pt::SQL_BATCH | pt::RPC | pt::BULK_LOAD | pt::TRANSACTION_MANAGER
        ) && let Some(request) = self.open.back_mut().filter(|r| !r.row.complete)
        {
            request.row.last_frame = at.done;
            self.changed_open = true;
        }
    }

    fn retire(&mut self, request: RequestRow, ctx: &mut Ctx<'_>) {
        if let Some(last) = self.last.replace(request)
            && self.changed_last
        {
            ctx.out.request_changed(last);
        }
        self.changed_last = true;
    }

    /// A packet of an answer is complete.
    fn answer_goes_on(
        &mut self,
        pdu: &mut OpenPdu,
        message_time: Option<Nanos>,
        at: At,
        login: &mut LoginState,
        ctx: &mut Ctx<'_>,
    ) {
        let Some(walker) = &mut self.walker else {
            return;
        };
        for note in std::mem::take(&mut walker.outcome.notes) {
            login.token(note, at, ctx);
        }
        if let Some(class) = walker.outcome.worst_class.take() {
            pdu.flags.set(PduFlags::ERROR);
            if class >= 20 {
                pdu.flags.set(PduFlags::ERROR_FATAL);
            }
        }
        if let Some(Open { row: request, sent }) = self.open.front_mut() {
            if request.answer_first_frame.is_none() {
                request.answer_first_frame = Some(pdu.first_frame);
                let begun = message_time.unwrap_or(at.time);
                request.first_byte_ns = sent.map(|sent| begun.since(sent));
            }
            request.answer_last_frame = Some(at.done);
            let header = if pdu.kind.is_smp() { 16 } else { 0 };
            request.answer_bytes = request
                .answer_bytes
                .saturating_add(u64::from(pdu.len.saturating_sub(header)));
            self.changed_open = true;
        }
    }

    /// The packet with EOM is complete.
    fn message_end(
        &mut self,
        end: End,
        pdu: &mut OpenPdu,
        at: At,
        login: &mut LoginState,
        ctx: &mut Ctx<'_>,
    ) {
        pdu.flags.set(PduFlags::MESSAGE_END);
        let Some(message) = self.ends.get_mut(end).message.take() else {
            return;
        };
        let wrapped = pdu.flags.has(PduFlags::WRAPPED_TLS);
        login::count(ctx.row, end, message.kind, message.login_step, wrapped);
        match message.kind {
            pt::SQL_BATCH | pt::RPC | pt::BULK_LOAD | pt::TRANSACTION_MANAGER => {
                if let Some(Open { row: request, sent }) =
                    self.open.back_mut().filter(|r| !r.row.complete)
                {
                    request.complete = true;
                    request.last_frame = at.done;
                    request.ignored = pdu.tds_status & tds::STATUS_IGNORE != 0;
                    *sent = Some(at.time);
                    if message.bytes > 0 && request.text.is_empty() {
                        request.text = request_text::text(request.kind, &message.head).into();
                    }
                    self.changed_open = true;
                }
            }
            _ if message.walked => self.answer_end(pdu, at, login, ctx),
            _ => login.message(
                end,
                message.kind,
                &message.head,
                wrapped,
                message.first_frame,
                at,
                ctx,
            ),
        }
    }

    fn answer_end(&mut self, pdu: &mut OpenPdu, at: At, login: &mut LoginState, ctx: &mut Ctx<'_>) {
        let Some(walker) = &mut self.walker else {
            return;
        };
        let read = walker.end();
        let last = walker.outcome.last_done.filter(|_| read);
        if let Some(status) = last {
            pdu.flags.set(PduFlags::DONE_READ);
            for (bit, flag) in [
                (done::MORE, PduFlags::DONE_MORE),
                (done::ATTN, PduFlags::DONE_ATTN),
                (done::SRVERROR, PduFlags::DONE_SRVERROR),
            ] {
                if status & bit != 0 {
                    pdu.flags.set(flag);
                }
            }
        }
        if pdu.flags.has(PduFlags::DONE_MORE) {
            return;
        }
        pdu.flags.set(PduFlags::ANSWER_END);
        let outcome = walker.take_outcome();
        login.answer(&outcome, at, ctx);
        if outcome.attention_ack {
            self.attention = None;
        }
        if let Some(Open {
            row: mut request, ..
        }) = self.open.pop_front()
        {
            request.rows = outcome.rows();
            request.done_status = outcome.last_done.filter(|_| read);
            request.duration_ns = Some(at.time.since(request.start));
            request.answer_last_frame = Some(at.done);
            if outcome.attention_ack {
                request.attention_ack_frame = Some(at.done);
            }
            request.end = match (&outcome.error, outcome.attention_ack) {
                (_, true) => RequestEnd::Attention,
                (Some(_), false) => RequestEnd::Error,
                (None, false) => RequestEnd::Done,
            };
            request.error = outcome.error;
            self.retire(request, ctx);
        } else if outcome.attention_ack
            && let Some(last) = &mut self.last
        {
            last.attention_ack_frame = Some(at.done);
            self.changed_last = true;
        }
    }
}

/// A check broken in a way that implementations tolerate.
pub(super) fn warn(check: CheckId, fact: String) -> Broken {
    Broken {
        check,
        severity: Severity::Warn,
        fact,
    }
}

/// A check broken against the specification.
pub(super) fn error(check: CheckId, fact: String) -> Broken {
    Broken {
        check,
        severity: Severity::Error,
        fact,
    }
}

/// Something worth a remark.
pub(super) fn note(check: CheckId, fact: String) -> Broken {
    Broken {
        check,
        severity: Severity::Note,
        fact,
    }
}
