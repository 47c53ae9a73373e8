//! Where the pass puts its rows until the next batch leaves: new rows in order, changed rows once.

use std::sync::Arc;

use super::names::Names;
use super::request_text::Texts;
use super::upper::What;
use crate::store::{
    Batch, CheckId, ConnRow, FrameFlags, FramePacker, FrameRow, PduPacker, PduRow, Phase, PhaseRow,
    RequestRow, RowPool, SessionRow, Severity, Stall, ViolationRow,
};
use crate::units::{ConnId, End, FrameNo, PduId, RequestId, SessionId, Sid};

/// Results of SMP checks that are kept per connection; further ones are dropped, so that a hostile capture
/// cannot fill memory with complaints.
pub(super) const MAX_VIOLATIONS: u32 = 1000;

/// Bytes of a TDS packet's header.
const TDS_HEADER: u32 = 8;

/// Phases kept per connection: those of the connection, and of its first sessions.
const MAX_PHASES: usize = 200;

/// The rows of the batch at hand, and the next numbers.
#[derive(Debug, Default)]
pub(super) struct Out {
    pub(super) batch: Batch,
    frames: FramePacker,
    pdus: PduPacker,
    conn_pool: RowPool<Arc<ConnRow>>,
    session_pool: RowPool<SessionRow>,
    request_pool: RowPool<RequestRow>,
    sessions: u32,
    /// Requests that began before this batch, whose rows it does not hold.
    earlier_requests: u32,
    /// Rows of such requests that have changed.
    changed_requests: Vec<RequestRow>,
    /// A PDU that makes no sense (a bad SMP header, or none at all) has come since this was last asked.
    pub(super) bad_pdu: bool,
    /// Names in logins so far.
    pub(super) names: Names,
    /// Texts of requests so far.
    pub(super) texts: Texts,
    /// Payload bytes that wait behind gaps, over all connections.
    pub(super) waiting: usize,
    /// Frames may be there twice, by several clocks, so that what times are taken from is marked.
    pub(super) marks_wanted: bool,
    /// The interface of the frame at hand.
    pub(super) interface: u32,
    /// What was marked with the frame at hand.
    pub(super) marks: Vec<Mark>,
    /// The stalls whose ends were marked since this was last asked, as the frame at hand tells them.
    pub(super) stalls: Vec<(StallId, Stall)>,
    /// Stalls that were marked so far.
    stall_count: u32,
    /// Of how many requests and stalls, over all connections, marks are looked for.
    pub(super) watched: usize,
    /// The requests whose rows were written again since this was last asked, where marks are wanted.
    pub(super) rewritten: Vec<RequestId>,
}

/// A time for which a sender stood still for want of window, or may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StallId(pub(super) u32);

/// What times are taken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timed {
    Request(RequestId),
    Stall(StallId),
}

/// A byte that a time is taken from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    pub(super) of: Timed,
    pub(super) what: What,
    /// Who sent it.
    pub(super) end: End,
    /// Its position in the stream.
    pub(super) pos: u64,
}

impl Out {
    /// The number that the frame at hand gets.
    pub(super) fn next_frame(&self) -> FrameNo {
        self.frames.next()
    }

    pub(super) fn frame_count(&self) -> u32 {
        self.frames.len()
    }

    #[expect(
        clippy::inline_always,
        reason = "what a usual frame says stays in registers from its bytes to its row"
    )]
    #[inline(always)]
    pub(super) fn push_frame(&mut self, row: FrameRow) {
        self.frames.push(row);
    }

    /// As [`Out::push_frame`], called from where frames come that are not most of them.
    #[inline(never)]
    pub(super) fn push_other(&mut self, row: FrameRow) {
        self.push_frame(row);
    }

    /// What the PDUs that came since this was last asked say of their frame.
    #[inline]
    pub(super) fn found_in_pdus(&mut self) -> FrameFlags {
        if self.bad_pdu {
            self.bad_pdu = false;
            return FrameFlags::BAD;
        }
        FrameFlags::default()
    }

    /// The number that the next PDU gets.
    pub(super) fn next_pdu(&self) -> PduId {
        self.pdus.next()
    }

    /// A PDU outside SMP.
    pub(super) fn push_pdu(&mut self, row: &PduRow) {
        self.pdus.push(row);
    }

    /// An SMP packet of a session, whose row need say neither that nor the connection.
    #[expect(
        clippy::inline_always,
        reason = "whoever has just filled in the row still has most of it in registers"
    )]
    #[inline(always)]
    pub(super) fn push_smp(&mut self, session: &SessionRow, row: &PduRow) {
        self.pdus.push_smp(session, row);
    }

    /// A session of a connection begins.
    pub(super) fn new_session(&mut self, conn: ConnId, sid: Sid) -> SessionId {
        let id = SessionId(self.sessions);
        self.sessions = self.sessions.saturating_add(1);
        self.pdus.begin_session(id, (conn, sid));
        id
    }

    /// Marks a packet's TDS header for what begins with it, or its last byte for what ends with it.
    #[inline]
    pub(super) fn mark(&mut self, request: RequestId, what: What, pdu: &PduRow) {
        if self.marks_wanted {
            self.put_mark(Timed::Request(request), what, pdu);
        }
    }

    /// A sender may stand still behind a packet.
    #[cold]
    pub(super) fn begin_stall(&mut self, pdu: &PduRow) -> StallId {
        let id = StallId(self.stall_count);
        self.stall_count = self.stall_count.wrapping_add(1);
        self.put_mark(Timed::Stall(id), What::Sent, pdu);
        id
    }

    /// A sender stands still no more, by a packet of the other end.
    pub(super) fn end_stall(&mut self, id: StallId, stall: Stall, pdu: &PduRow) {
        self.put_mark(Timed::Stall(id), What::End, pdu);
        self.stalls.push((id, stall));
    }

    #[cold]
    fn put_mark(&mut self, of: Timed, what: What, pdu: &PduRow) {
        let len = match what {
            What::Start | What::FirstByte => pdu.smp_header_len().saturating_add(TDS_HEADER),
            What::Sent | What::End => pdu.len,
        };
        let last = u64::from(len.min(pdu.len).saturating_sub(1));
        self.marks.push(Mark {
            of,
            what,
            end: pdu.end,
            pos: pdu.pos.0.saturating_add(last),
        });
    }

    /// The number that the next request gets.
    pub(super) fn next_request(&self) -> RequestId {
        let begun = u32::try_from(self.batch.requests.len()).unwrap_or(u32::MAX);
        RequestId(self.earlier_requests.saturating_add(begun))
    }

    /// A request begins. Its row stays where it is written now until the batch leaves.
    pub(super) fn push_request(&mut self, row: RequestRow) {
        self.batch.requests.push(row);
    }

    /// The row of a request that began in this batch.
    pub(super) fn request_mut(&mut self, id: RequestId) -> Option<&mut RequestRow> {
        let at = id.0.checked_sub(self.earlier_requests)?;
        self.batch.requests.get_mut(usize::try_from(at).ok()?)
    }

    /// Connections are handed over once for each batch, in the order of their numbers.
    pub(super) fn conn_changed(&mut self, row: Arc<ConnRow>) {
        self.batch.conns.push(row);
    }

    /// A session's row, at most once for each batch.
    pub(super) fn session_changed(&mut self, row: SessionRow) {
        self.batch.sessions.push(row);
    }

    /// The row of a request that began before this batch, at most once for each batch.
    pub(super) fn request_changed(&mut self, row: RequestRow) {
        if self.marks_wanted {
            self.rewritten.push(row.id);
        }
        self.changed_requests.push(row);
    }

    /// The batch.
    pub(super) fn take(&mut self) -> Batch {
        self.earlier_requests = self.next_request().0;
        let next = Batch {
            conns: self.conn_pool.rows(),
            sessions: self.session_pool.rows(),
            requests: self.request_pool.rows(),
            ..Batch::default()
        };
        let mut batch = std::mem::replace(&mut self.batch, next);
        batch.frames = self.frames.take();
        batch.pdus = self.pdus.take();
        batch.texts = self.texts.take_new();
        batch.sessions.sort_unstable_by_key(|row| row.id);
        batch.requests.append(&mut self.changed_requests);
        batch
    }
}

/// What the layers above the stream write to: the rows, and their connection's own row.
pub(super) struct Ctx<'a> {
    pub(super) out: &'a mut Out,
    pub(super) row: &'a mut ConnRow,
    pub(super) violations: &'a mut u32,
}

/// A broken check, before it has its place.
#[derive(Debug, Clone)]
pub(super) struct Broken {
    pub(super) check: CheckId,
    pub(super) severity: Severity,
    pub(super) fact: String,
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

impl Ctx<'_> {
    /// Notes a broken SMP check.
    pub(super) fn violation(
        &mut self,
        broken: Broken,
        frame: FrameNo,
        pdu: Option<PduId>,
        session: Option<SessionId>,
    ) {
        if *self.violations >= MAX_VIOLATIONS {
            return;
        }
        *self.violations = self.violations.saturating_add(1);
        self.out.batch.violations.push(ViolationRow {
            check: broken.check,
            severity: broken.severity,
            frame,
            pdu,
            conn: self.row.id,
            session,
            fact: broken.fact.into(),
        });
    }

    /// Notes where a phase begins; each phase of the connection, and each phase of a session, counts once.
    pub(super) fn phase(&mut self, phase: Phase, frame: FrameNo, sid: Option<Sid>) {
        let known = |row: &PhaseRow| row.phase == phase && row.sid == sid;
        if self.row.phases.len() >= MAX_PHASES || self.row.phases.iter().any(known) {
            return;
        }
        let phases = Arc::make_mut(&mut self.row.phases);
        if phases.is_empty() {
            // As many as a connection with few sessions has.
            phases.reserve(8);
        }
        phases.push(PhaseRow { phase, frame, sid });
    }
}
