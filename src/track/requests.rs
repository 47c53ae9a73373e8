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
use crate::store::{HeaderCheck, LateAttention, PduRow, RequestEnd, RequestKind, RequestRow};
use crate::units::{FrameNo, Nanos, PduId, RequestId, SessionId, SmpSeq, TextId};

use super::order::At;
use super::out::{Ctx, Out};
use super::sender::Message;
use super::tokens::Outcome;
use super::upper::What;

/// Requests of one chain whose answers have not ended.
const MAX_OPEN: usize = 64;

/// A request whose answer has not ended.
#[derive(Debug)]
struct Open {
    row: Row,
    /// What it is, where its first packet did not say all that is asked.
    untold: Option<RequestKind>,
    /// The request was sent to its end.
    complete: bool,
    /// When its last packet was sent.
    sent: Option<Nanos>,
    /// Inside SMP: SEQNUM of its first DATA.
    number: Option<SmpSeq>,
}

/// What has come of an answer.
#[derive(Debug)]
struct Answer {
    first_frame: FrameNo,
    last_frame: FrameNo,
    bytes: u64,
    first_byte_ns: Option<i64>,
    /// The row does not say so yet.
    changed: bool,
}

impl Answer {
    fn note(&self, row: &mut RequestRow) {
        row.answer_first_frame = Some(self.first_frame);
        row.answer_last_frame = Some(self.last_frame);
        row.answer_bytes = self.bytes;
        row.first_byte_ns = self.first_byte_ns;
    }
}

/// Where the row of a request under way is: in the batch at hand if it began there, else here.
#[derive(Debug)]
struct Row {
    id: RequestId,
    kept: Option<Box<RequestRow>>,
    /// What is kept has changed since the batch before.
    changed: bool,
}

impl Row {
    /// Changes the row.
    fn change(&mut self, out: &mut Out, change: impl FnOnce(&mut RequestRow)) {
        if let Some(row) = &mut self.kept {
            self.changed = true;
            change(row);
        } else if let Some(row) = out.request_mut(self.id) {
            change(row);
        }
    }

    /// The batch leaves: what it takes along is kept, for what changes later.
    fn flush(&mut self, out: &mut Out) {
        match &self.kept {
            Some(row) if std::mem::take(&mut self.changed) => {
                out.request_changed(RequestRow::clone(row));
            }
            Some(_) => {}
            None => self.kept = out.request_mut(self.id).map(|row| Box::new(row.clone())),
        }
    }

    /// The request is over.
    #[inline]
    fn end(self, out: &mut Out) {
        if let Some(row) = self.kept
            && self.changed
        {
            out.request_changed(*row);
        }
    }
}

/// The last request that is over.
#[derive(Debug, Clone, Copy)]
struct Last {
    id: RequestId,
    /// There was an attention to it.
    cancelled: bool,
}

/// The requests of one chain.
#[derive(Debug, Default)]
pub(super) struct Requests {
    open: VecDeque<Open>,
    /// What has come of the answer to the oldest of them, if anything has.
    answer: Option<Answer>,
    last: Option<Last>,
    attention: Option<FrameNo>,
    /// The answer at hand is not to any of them.
    stray: bool,
    /// Answers that came before their requests were complete in the file: SEQNUM of the last DATA that they answer.
    early: Option<SmpSeq>,
    /// The same outside SMP.
    early_plain: bool,
    /// Requests that began.
    pub(super) begun: u32,
}

/// Where a request begins.
pub(super) struct Start<'a> {
    pub(super) kind: RequestKind,
    pub(super) session: Option<SessionId>,
    pub(super) pdu: &'a PduRow,
    pub(super) id: PduId,
    /// Its first packet is its last.
    pub(super) complete: bool,
    pub(super) message: &'a Message,
    /// The first bytes of the message, where they are needed.
    pub(super) head: &'a [u8],
    pub(super) at: &'a At,
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

    /// Puts the changed rows into the batch, which leaves.
    pub(super) fn flush(&mut self, ctx: &mut Ctx<'_>) {
        self.note_answer(ctx.out);
        for request in &mut self.open {
            request.row.flush(ctx.out);
        }
    }

    /// Puts into the oldest request's row what has come of its answer.
    fn note_answer(&mut self, out: &mut Out) {
        if let Some(answer) = self.answer.as_mut().filter(|answer| answer.changed)
            && let Some(request) = self.open.front_mut()
        {
            answer.changed = false;
            request.row.change(out, |row| answer.note(row));
        }
    }

    /// The client cancels what is under way.
    pub(super) fn attention(&mut self, at: At, ctx: &mut Ctx<'_>) {
        self.attention = Some(at.done);
        if let Some(request) = self.open.front_mut() {
            let row = &mut request.row;
            row.change(ctx.out, |row| row.attention_frame = Some(at.done));
        } else if let Some(last) = &mut self.last {
            last.cancelled = true;
            ctx.out.batch.late_attentions.push(LateAttention {
                request: last.id,
                attention: Some(at.done),
                acknowledgement: None,
            });
        }
    }

    /// The first packet of a request is complete.
    #[expect(
        clippy::inline_always,
        reason = "where it begins is asked in one place"
    )]
    #[inline(always)]
    pub(super) fn begin(&mut self, start: &Start<'_>, ctx: &mut Ctx<'_>) {
        let Start {
            pdu, at, complete, ..
        } = *start;
        if self.open.back().is_some_and(|r| !r.complete) {
            // Its end is missing, and with it whether it was sent at all.
            self.lose_track(ctx);
        }
        if self.open.len() >= MAX_OPEN {
            self.retire_unknown(ctx);
        }
        let texts = &mut ctx.out.texts;
        let said = start.message.says(start.kind, start.head, texts);
        let is_untold = !said.is_all();
        let reset = pdu.tds_status & (tds::STATUS_RESET | tds::STATUS_RESET_SKIP_TRAN) != 0;
        let number = pdu.kind.is_smp().then_some(pdu.seqnum);
        let early = match number {
            Some(number) => self.early.is_some_and(|e| number.at_or_before(e)),
            None => std::mem::take(&mut self.early_plain),
        };
        let complete = complete && !early;
        let id = ctx.out.next_request();
        ctx.out.push_request(RequestRow {
            id,
            conn: ctx.row.id,
            session: start.session,
            kind: start.kind,
            text: said.text,
            headers: said.headers,
            first_frame: pdu.first_frame,
            last_frame: at.done,
            first_pdu: start.id,
            complete,
            ignored: complete && pdu.tds_status & tds::STATUS_IGNORE != 0,
            reset_connection: reset,
            reset_acknowledged: false,
            answer_first_frame: None,
            answer_last_frame: None,
            answer_bytes: 0,
            start: start.message.first_time,
            first_byte_ns: None,
            duration_ns: None,
            rows: None,
            error: None,
            done_status: None,
            attention_frame: None,
            attention_ack_frame: None,
            end: RequestEnd::Outstanding,
        });
        ctx.out.mark(id, What::Start, pdu);
        if complete {
            ctx.out.mark(id, What::Sent, pdu);
        }
        let row = Row {
            id,
            kept: None,
            changed: false,
        };
        self.open.push_back(Open {
            row,
            untold: is_untold.then_some(start.kind),
            complete,
            sent: complete.then_some(at.time),
            number,
        });
        self.begun = self.begun.saturating_add(1);
        if early {
            self.lose_track(ctx);
        }
    }

    /// Another packet of the request being sent.
    pub(super) fn go_on(&mut self, at: At, ctx: &mut Ctx<'_>) {
        if let Some(request) = self.being_sent() {
            request.row.change(ctx.out, |row| row.last_frame = at.done);
        }
    }

    /// The request being sent, which has several packets, is complete.
    pub(super) fn sent(
        &mut self,
        (message, head): (&Message, &[u8]),
        pdu: &PduRow,
        at: At,
        ctx: &mut Ctx<'_>,
    ) {
        let Some(request) = self.being_sent() else {
            return;
        };
        request.complete = true;
        request.sent = Some(at.time);
        ctx.out.mark(request.row.id, What::Sent, pdu);
        let untold = request.untold;
        let said = untold.map(|kind| message.says(kind, head, &mut ctx.out.texts));
        request.row.change(ctx.out, |row| {
            row.complete = true;
            row.last_frame = at.done;
            row.ignored = pdu.tds_status & tds::STATUS_IGNORE != 0;
            let Some(said) = said else {
                return;
            };
            if row.text == TextId::EMPTY {
                row.text = said.text;
            }
            if row.headers == HeaderCheck::Unknown {
                row.headers = said.headers;
            }
        });
    }

    fn being_sent(&mut self) -> Option<&mut Open> {
        self.open.back_mut().filter(|r| !r.complete)
    }

    /// An answer begins with a packet, inside SMP by a server that has taken the client's DATA up to `taken`. `doubt` says
    /// that packets may be missing.
    pub(super) fn answer_begins(
        &mut self,
        pdu: &PduRow,
        taken: Option<SmpSeq>,
        doubt: bool,
        ctx: &mut Ctx<'_>,
    ) {
        self.stray = false;
        if let Some(taken) = taken {
            self.place_answer(taken, doubt, ctx);
        }
        if let Some(request) = self.open.front()
            && self.answer.is_none()
            && !self.stray
        {
            ctx.out.mark(request.row.id, What::FirstByte, pdu);
        }
    }

    /// Finds the request that an answer is to, by what the server has taken.
    fn place_answer(&mut self, taken: SmpSeq, doubt: bool, ctx: &mut Ctx<'_>) {
        let is_taken = |open: &Open| open.number.is_none_or(|n| n.at_or_before(taken));
        // One request at a time: when one in a later DATA is taken, the one before has been answered, in what is missing.
        // With nothing missing the client has sent several, and the server answers them one after the other.
        while doubt
            && let (Some(first), Some(next)) = (self.open.front(), self.open.get(1))
            && first.number != next.number
            && is_taken(next)
        {
            self.retire_unknown(ctx);
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
    #[expect(
        clippy::inline_always,
        reason = "most packets are those of answers, and what is done with them is not to be taken apart"
    )]
    #[inline(always)]
    pub(super) fn answer(&mut self, pdu: &PduRow, begun: Nanos, whole: bool, at: &At) {
        if self.stray {
            return;
        }
        if self.answer.is_none() {
            let Some(Open { sent, .. }) = self.open.front() else {
                return;
            };
            self.answer = Some(Answer {
                first_frame: pdu.first_frame,
                last_frame: at.done,
                bytes: 0,
                first_byte_ns: sent.filter(|_| whole).map(|sent| begun.since(sent)),
                changed: true,
            });
        }
        let Some(answer) = &mut self.answer else {
            return;
        };
        // No packet is shorter than its header, and no file has so many bytes that they do not fit.
        let bytes = u64::from(pdu.len.wrapping_sub(pdu.smp_header_len()));
        answer.last_frame = at.done;
        answer.bytes = answer.bytes.wrapping_add(bytes);
        answer.changed = true;
    }

    /// The answer to the oldest request is complete with a packet; `read` says that its last DONE was read. Returns whether there
    /// is such a request.
    #[expect(clippy::inline_always, reason = "asked in one place")]
    #[inline(always)]
    pub(super) fn answered(
        &mut self,
        outcome: &mut Outcome,
        read: bool,
        pdu: &PduRow,
        at: At,
        ctx: &mut Ctx<'_>,
    ) -> bool {
        let cancelled = outcome.attention_ack;
        // An end that cannot be read may be the acknowledgement.
        if cancelled || !read {
            self.attention = None;
        }
        if self.stray {
            return false;
        }
        if self.open.is_empty() {
            if let Some(last) = self.last.filter(|last| cancelled && last.cancelled) {
                ctx.out.batch.late_attentions.push(LateAttention {
                    request: last.id,
                    attention: None,
                    acknowledgement: Some(at.done),
                });
            }
            return false;
        }
        if let Some(request) = self.open.front() {
            ctx.out.mark(request.row.id, What::End, pdu);
        }
        self.retire(ctx, |row| {
            row.rows = outcome.rows();
            row.done_status = outcome.last_done.filter(|_| read);
            row.duration_ns = Some(at.time.since(row.start));
            row.answer_last_frame = Some(at.done);
            if cancelled {
                row.attention_ack_frame = Some(at.done);
            }
            row.end = if cancelled {
                RequestEnd::Attention
            } else if outcome.failed || outcome.error.is_some() {
                RequestEnd::Error
            } else {
                RequestEnd::Done
            };
            row.reset_acknowledged = outcome.reset_ack;
            row.error = outcome.error.take();
        });
        true
    }

    /// The answers to what is under way lie, or may lie, in a hole: what comes next does not belong to it.
    pub(super) fn lose_track(&mut self, ctx: &mut Ctx<'_>) {
        while !self.open.is_empty() {
            self.retire_unknown(ctx);
        }
        self.attention = None;
    }

    /// What comes next has nothing to do with the last request that was answered.
    pub(super) fn forget_last(&mut self) {
        self.last = None;
    }

    /// Whether any request is under way.
    pub(super) fn is_any_open(&self) -> bool {
        !self.open.is_empty()
    }

    fn retire_unknown(&mut self, ctx: &mut Ctx<'_>) {
        self.retire(ctx, |row| row.end = RequestEnd::Unknown);
    }

    /// The oldest request is over; `conclude` puts into its row what became of it.
    fn retire(&mut self, ctx: &mut Ctx<'_>, conclude: impl FnOnce(&mut RequestRow)) {
        let answer = self.answer.take();
        let Some(request) = self.open.front_mut() else {
            return;
        };
        let mut cancelled = false;
        request.row.change(ctx.out, |row| {
            if let Some(answer) = answer {
                answer.note(row);
            }
            conclude(row);
            cancelled = row.attention_frame.is_some();
        });
        self.last = Some(Last {
            id: request.row.id,
            cancelled,
        });
        if let Some(request) = self.open.pop_front()
            && request.row.kept.is_some()
        {
            request.row.end(ctx.out);
        }
    }
}

#[cfg(test)]
mod tests;
