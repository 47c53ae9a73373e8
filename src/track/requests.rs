//! Requests of one session (or of a connection without SMP) and the answers to them.
//!
//! A client sends its next request when the answer to the one before is complete, so answers belong to requests in
//! their order. Where packets are missing that rests on what cannot be missing; a request whose answer may lie in a
//! hole ends unknown, and no other answer is given to it.
//!
//! Bounds: [`MAX_OPEN`] requests under way.

use std::collections::VecDeque;

use crate::decode::tds;
use crate::decode::tds::packet_type as pt;
use crate::store::{HeaderCheck, RequestEnd, RequestKind, RequestRow};
use crate::units::{FrameNo, Nanos, PduId, SessionId, SmpSeq};

use super::framing::OpenPdu;
use super::order::At;
use super::out::Ctx;
use super::sender::Message;
use super::tokens::Outcome;

/// Requests of one chain whose answers have not ended.
const MAX_OPEN: usize = 64;

/// A request whose answer has not ended.
#[derive(Debug)]
struct Open {
    row: RequestRow,
    /// When its last packet was sent.
    sent: Option<Nanos>,
    /// Inside SMP: SEQNUM of its first DATA.
    number: Option<SmpSeq>,
}

/// The requests of one chain.
#[derive(Debug, Default)]
pub(super) struct Requests {
    open: VecDeque<Open>,
    last: Option<RequestRow>,
    attention: Option<FrameNo>,
    /// The answer at hand is not to any of them.
    stray: bool,
    /// Answers that came before their requests were complete in the file: SEQNUM of the last DATA that they answer.
    early: Option<SmpSeq>,
    /// The same outside SMP.
    early_plain: bool,
    /// Requests that began.
    pub(super) begun: u32,
    changed_open: bool,
    changed_last: bool,
}

/// Where a request begins.
pub(super) struct Start<'a> {
    pub(super) kind: RequestKind,
    pub(super) session: Option<SessionId>,
    pub(super) pdu: &'a OpenPdu,
    pub(super) id: PduId,
    pub(super) message: Option<&'a Message>,
    pub(super) at: At,
}

/// What a TDS packet type asks for.
pub(super) fn kind(packet_type: u8) -> Option<RequestKind> {
    match packet_type {
        pt::SQL_BATCH => Some(RequestKind::SqlBatch),
        pt::RPC => Some(RequestKind::Rpc),
        pt::BULK_LOAD => Some(RequestKind::BulkLoad),
        pt::TRANSACTION_MANAGER => Some(RequestKind::TransactionManager),
        _ => None,
    }
}

impl Requests {
    /// Requests whose answer has not ended.
    pub(super) fn outstanding(&self) -> u32 {
        u32::try_from(self.open.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn attention_outstanding(&self) -> bool {
        self.attention.is_some()
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
    }

    /// The client cancels what is under way.
    pub(super) fn attention(&mut self, at: At) {
        self.attention = Some(at.done);
        if let Some(request) = self.open.front_mut() {
            request.row.attention_frame = Some(at.done);
            self.changed_open = true;
        } else if let Some(last) = &mut self.last {
            last.attention_frame = Some(at.done);
            self.changed_last = true;
        }
    }

    /// The first packet of a request is complete.
    pub(super) fn begin(&mut self, start: &Start<'_>, ctx: &mut Ctx<'_>) {
        let Start { pdu, at, .. } = *start;
        if self.open.back().is_some_and(|r| !r.row.complete) {
            // Its end is missing, and with it whether it was sent at all.
            self.lose_track(ctx);
        }
        if self.open.len() >= MAX_OPEN
            && let Some(old) = self.open.pop_front()
        {
            self.retire_unknown(old, ctx);
        }
        let text = start
            .message
            .map_or_else(String::new, |m| m.text(start.kind));
        let reset = pdu.tds_status & (tds::STATUS_RESET | tds::STATUS_RESET_SKIP_TRAN) != 0;
        let row = RequestRow {
            id: ctx.out.new_request(),
            conn: ctx.row.id,
            session: start.session,
            kind: start.kind,
            text: text.into(),
            headers: start
                .message
                .map_or_else(HeaderCheck::default, Message::headers),
            first_frame: pdu.first_frame,
            last_frame: at.done,
            first_pdu: start.id,
            complete: false,
            ignored: false,
            reset_connection: reset,
            reset_acknowledged: false,
            answer_first_frame: None,
            answer_last_frame: None,
            answer_bytes: 0,
            start: start.message.map_or(at.time, Message::first_time),
            first_byte_ns: None,
            duration_ns: None,
            rows: None,
            error: None,
            done_status: None,
            attention_frame: None,
            attention_ack_frame: None,
            end: RequestEnd::Outstanding,
        };
        let number = pdu.kind.is_smp().then_some(pdu.seqnum);
        self.open.push_back(Open {
            row,
            sent: None,
            number,
        });
        self.begun = self.begun.saturating_add(1);
        self.changed_open = true;
        let early = match number {
            Some(number) => self.early.is_some_and(|e| number.at_or_before(e)),
            None => std::mem::take(&mut self.early_plain),
        };
        if early {
            self.lose_track(ctx);
        }
    }

    /// Another packet of the request being sent.
    pub(super) fn go_on(&mut self, at: At) {
        if let Some(request) = self.being_sent() {
            request.row.last_frame = at.done;
            self.changed_open = true;
        }
    }

    /// The request being sent is complete.
    pub(super) fn sent(&mut self, message: &Message, pdu: &OpenPdu, at: At) {
        let Some(Open { row, sent, .. }) = self.being_sent() else {
            return;
        };
        row.complete = true;
        row.last_frame = at.done;
        row.ignored = pdu.tds_status & tds::STATUS_IGNORE != 0;
        *sent = Some(at.time);
        if row.text.is_empty() {
            row.text = message.text(row.kind).into();
        }
        if row.headers == HeaderCheck::Unknown {
            row.headers = message.headers();
        }
        self.changed_open = true;
    }

    fn being_sent(&mut self) -> Option<&mut Open> {
        self.open.back_mut().filter(|r| !r.row.complete)
    }

    /// An answer begins, inside SMP by a server that has taken the client's DATA up to `taken`. `doubt` says that
    /// packets may be missing.
    pub(super) fn answer_begins(&mut self, taken: Option<SmpSeq>, doubt: bool, ctx: &mut Ctx<'_>) {
        self.stray = false;
        let Some(taken) = taken else {
            return;
        };
        let is_taken = |open: &Open| open.number.is_none_or(|n| n.at_or_before(taken));
        // One request at a time: when one in a later DATA is taken, the one before has been answered.
        while let (Some(first), Some(next)) = (self.open.front(), self.open.get(1))
            && first.number != next.number
            && is_taken(next)
            && let Some(old) = self.open.pop_front()
        {
            self.retire_unknown(old, ctx);
        }
        self.stray = doubt && self.open.front().is_some_and(|open| !is_taken(open));
    }

    /// An answer was complete before its request was.
    pub(super) fn note_early(&mut self, taken: Option<SmpSeq>) {
        match taken {
            Some(taken) => self.early = Some(taken),
            None => self.early_plain = true,
        }
    }

    /// A packet of the answer to the oldest request is complete. `begun` is when the message began.
    pub(super) fn answer(&mut self, pdu: &OpenPdu, begun: Nanos, whole: bool, at: At) {
        if self.stray {
            return;
        }
        let Some(Open { row, sent, .. }) = self.open.front_mut() else {
            return;
        };
        if row.answer_first_frame.is_none() {
            row.answer_first_frame = Some(pdu.first_frame);
            row.first_byte_ns = sent.filter(|_| whole).map(|sent| begun.since(sent));
        }
        row.answer_last_frame = Some(at.done);
        let header = if pdu.kind.is_smp() { 16 } else { 0 };
        row.answer_bytes = row
            .answer_bytes
            .saturating_add(u64::from(pdu.len.saturating_sub(header)));
        self.changed_open = true;
    }

    /// The answer to the oldest request is complete; `read` says that its last DONE was read. Returns whether there
    /// is such a request.
    pub(super) fn answered(
        &mut self,
        outcome: Outcome,
        read: bool,
        at: At,
        ctx: &mut Ctx<'_>,
    ) -> bool {
        if outcome.attention_ack {
            self.attention = None;
        }
        if self.stray {
            return false;
        }
        let Some(Open { mut row, .. }) = self.open.pop_front() else {
            if outcome.attention_ack
                && let Some(last) = &mut self.last
                && last.attention_frame.is_some()
            {
                last.attention_ack_frame = Some(at.done);
                self.changed_last = true;
            }
            return false;
        };
        row.rows = outcome.rows();
        row.done_status = outcome.last_done.filter(|_| read);
        row.duration_ns = Some(at.time.since(row.start));
        row.answer_last_frame = Some(at.done);
        if outcome.attention_ack {
            row.attention_ack_frame = Some(at.done);
        }
        row.end = match (&outcome.error, outcome.attention_ack) {
            (_, true) => RequestEnd::Attention,
            (Some(_), false) => RequestEnd::Error,
            (None, false) => RequestEnd::Done,
        };
        row.reset_acknowledged = outcome.reset_ack;
        row.error = outcome.error;
        self.retire(row, ctx);
        true
    }

    /// The answers to what is under way lie, or may lie, in a hole: what comes next does not belong to it.
    pub(super) fn lose_track(&mut self, ctx: &mut Ctx<'_>) {
        while let Some(old) = self.open.pop_front() {
            self.retire_unknown(old, ctx);
        }
        self.attention = None;
    }

    /// What comes next has nothing to do with the last request that was answered.
    pub(super) fn forget_last(&mut self, ctx: &mut Ctx<'_>) {
        if let Some(last) = self.last.take()
            && std::mem::take(&mut self.changed_last)
        {
            ctx.out.request_changed(last);
        }
    }

    /// Whether any request is under way.
    pub(super) fn is_any_open(&self) -> bool {
        !self.open.is_empty()
    }

    fn retire_unknown(&mut self, mut old: Open, ctx: &mut Ctx<'_>) {
        old.row.end = RequestEnd::Unknown;
        self.retire(old.row, ctx);
    }

    fn retire(&mut self, request: RequestRow, ctx: &mut Ctx<'_>) {
        if let Some(last) = self.last.replace(request)
            && self.changed_last
        {
            ctx.out.request_changed(last);
        }
        self.changed_last = true;
    }
}
