//! The indexed frame store: tables of rows and the questions asked of them; it does not know how rows came to be.

mod batch;
mod calm;
mod check;
pub(crate) mod chunks;
mod conn;
mod fact;
mod few;
mod file;
mod filling;
mod finding;
mod finding_table;
mod frame;
mod frame_table;
mod oddity;
mod packed_frame;
mod packed_pdu;
mod pdu;
mod pdu_table;
mod places;
mod proof;
mod request;
mod request_table;
mod session;
mod shapes;
mod short;

pub use batch::{Batch, LateAttention, Progress, RowPool, Rows};
pub use calm::{Calm, CalmEnd};
pub use check::{CheckId, Severity, ViolationRow};
pub use conn::{
    Auth, ConnRow, Encryption, Endpoint, LoginInfo, Phase, PhaseRow, PreloginInfo, Protocol,
    SmpCounts, TcpStats, TdsCounts, TlsInfo, TlsOffer, relative_seq,
};
pub(crate) use fact::fact;
pub use fact::{Fact, Number, Numbers, Tell};
pub use file::{FileRow, InterfaceRow, Problem, View};
pub use finding::{Condition, Confidence, Evidence, Finding, Outcome, Verdict};
pub use frame::{FrameFlags, FrameRow, TcpFlags};
pub use oddity::{Oddities, Oddity};
pub use packed_frame::{FramePacker, NewFrames};
pub use packed_pdu::{NewPdus, PduPacker};
pub use pdu::{PduFlags, PduKind, PduRow};
pub use proof::{Applied, Conditions, EvidenceList, Exhibit, FrameList, Label, Statement};
pub use request::{ErrorRow, HeaderCheck, RequestEnd, RequestKind, RequestRow, RequestSigns};
pub use session::{ClosedBy, SessionEnd, SessionRow, StallInfo};
pub use short::Short;

use std::sync::Arc;

use crate::units::{
    ConnId, End, FindingId, FrameNo, InterfaceId, Nanos, PduId, RequestId, SessionId, Sid, Side,
    TextId,
};
use finding_table::FindingTable;
use frame_table::FrameTable;
use pdu_table::PduTable;
use places::Places;
use request_table::RequestTable;

/// What belongs to one connection, so that asking for it does not search whole tables.
#[derive(Debug, Default)]
struct ConnLists {
    sessions: Vec<SessionId>,
    requests: Vec<RequestId>,
    request_signs: RequestSigns,
}

/// All rows of a capture. Batches of the indexing pass are appended to it; findings are added by the rules.
#[derive(Debug, Default)]
pub struct Store {
    frames: FrameTable,
    pdus: PduTable,
    conns: Vec<ConnRow>,
    sessions: Vec<SessionRow>,
    requests: RequestTable,
    texts: Vec<Arc<str>>,
    violations: Vec<ViolationRow>,
    problems: Vec<Problem>,
    interfaces: Vec<InterfaceRow>,
    files: Vec<FileRow>,
    places: Places,
    findings: FindingTable,
    by_conn: Vec<ConnLists>,
    view: Option<(View, Vec<String>)>,
    progress: Progress,
}

impl Store {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a batch of the indexing pass: new rows are appended, changed rows replace the older ones.
    pub fn append(&mut self, mut batch: Batch) {
        self.interfaces.extend(batch.interfaces);
        upsert(&mut self.files, batch.files, |row| row.index);
        let before = self.frames.len();
        self.frames.append(batch.frames);
        if self.files.len() > 1 {
            self.frames.each(before, usize::MAX, |_, frame| {
                let interface = self.interfaces.get(frame.interface.index());
                let file = interface.map_or(usize::MAX, |row| row.file);
                self.places.push(file, self.files.len());
            });
        }
        self.pdus.append(batch.pdus);
        upsert(&mut self.conns, batch.conns.drain(..), |row| row.id.index());
        for session in batch.sessions.iter() {
            if session.id.index() >= self.sessions.len() {
                self.lists_mut(session.conn).sessions.push(session.id);
            }
        }
        let sessions = batch.sessions.drain(..);
        upsert(&mut self.sessions, sessions, |row| row.id.index());
        for request in batch.requests.iter() {
            let is_new = request.id.index() >= self.requests.len();
            let lists = self.lists_mut(request.conn);
            lists.request_signs.note(request);
            if is_new {
                lists.requests.push(request.id);
            }
            self.requests.put(request);
        }
        self.texts.extend(batch.texts);
        for late in batch.late_attentions {
            if let Some(mut row) = self.request(late.request) {
                row.attention_frame = late.attention.or(row.attention_frame);
                row.attention_ack_frame = late.acknowledgement.or(row.attention_ack_frame);
                self.lists_mut(row.conn).request_signs.note(&row);
                self.requests.put(&row);
            }
        }
        self.violations.extend(batch.violations);
        self.problems.extend(batch.problems);
        if batch.view.is_some() {
            self.view = batch.view;
        }
        self.progress = batch.progress;
        if self.progress.complete {
            // Nothing more comes: what the tables hold in reserve is not needed any more.
            self.frames.shrink_to_fit();
            self.pdus.shrink_to_fit();
            self.requests.shrink_to_fit();
            self.conns.shrink_to_fit();
            self.sessions.shrink_to_fit();
            self.texts.shrink_to_fit();
            self.violations.shrink_to_fit();
            for lists in &mut self.by_conn {
                lists.sessions.shrink_to_fit();
                lists.requests.shrink_to_fit();
            }
        }
    }

    /// Bytes that the tables hold, without texts and lists inside rows.
    pub fn memory(&self) -> u64 {
        let lists = self
            .by_conn
            .iter()
            .map(|l| vec_memory(&l.sessions).saturating_add(vec_memory(&l.requests)));
        let tables = [
            self.frames.memory(),
            self.pdus.memory(),
            vec_memory(&self.conns),
            vec_memory(&self.sessions),
            self.requests.memory(),
            vec_memory(&self.texts),
            vec_memory(&self.violations),
            vec_memory(&self.problems),
            vec_memory(&self.interfaces),
            self.findings.memory(),
            vec_memory(&self.by_conn),
        ];
        let bytes: usize = tables.into_iter().chain(lists).sum();
        bytes as u64
    }

    /// Number of frames indexed so far.
    pub fn frame_count(&self) -> usize {
        self.frames.len()
    }

    /// What is odd about the frames.
    pub fn oddities(&self) -> &Oddities {
        self.frames.oddities()
    }

    /// A frame by its number.
    pub fn frame(&self, no: FrameNo) -> Option<FrameRow> {
        self.frames.get(no.index())
    }

    /// When a frame was captured.
    #[inline]
    pub fn time_of(&self, no: FrameNo) -> Option<Nanos> {
        self.frames.visit(no.index(), |row| Some(row.time))
    }

    /// All frames from `from` on, in file order, with their numbers.
    pub fn frames_from(&self, from: FrameNo) -> impl Iterator<Item = (FrameNo, FrameRow)> {
        let start = from.index().min(self.frames.len());
        self.frames
            .iter_from(start)
            .enumerate()
            .map(move |(i, row)| (FrameNo::from_index(start.saturating_add(i)), row))
    }

    /// Calls `f` with so many frames from a number on. Much faster than [`Store::frames_from`] where only a few
    /// fields of each row are looked at.
    #[expect(
        clippy::inline_always,
        reason = "in a scan's loop only what the scan looks at is unpacked"
    )]
    #[inline(always)]
    pub fn each_frame(&self, from: FrameNo, len: usize, mut f: impl FnMut(FrameNo, &FrameRow)) {
        self.frames.each(from.index(), len, |index, row| {
            f(FrameNo::from_index(index), row);
        });
    }

    /// The last frame's number, if there is one.
    pub fn last_frame(&self) -> Option<FrameNo> {
        self.frames.len().checked_sub(1).map(FrameNo::from_index)
    }

    /// Time of the first frame.
    pub fn start_time(&self) -> Option<Nanos> {
        self.frame(FrameNo(1)).map(|f| f.time)
    }

    /// The last frame at or before a time, by file order; where times go backwards, the last such frame.
    pub fn frame_at(&self, time: Nanos) -> Option<FrameNo> {
        let mut low = 0;
        let mut high = self.frames.len();
        while low < high {
            let mid = low.midpoint(high);
            if self.frames.get(mid).is_some_and(|f| f.time <= time) {
                low = mid.saturating_add(1);
            } else {
                high = mid;
            }
        }
        low.checked_sub(1).map(FrameNo::from_index)
    }

    /// The frames of a connection from its last to its first.
    pub fn conn_frames_back(&self, conn: ConnId) -> impl Iterator<Item = (FrameNo, FrameRow)> {
        self.frames_back(self.conn(conn).map(|c| c.last_frame))
    }

    /// A frame and those of its connection before it, from the last to the first.
    fn frames_back(&self, from: Option<FrameNo>) -> impl Iterator<Item = (FrameNo, FrameRow)> {
        let mut next = from;
        std::iter::from_fn(move || {
            let no = next?;
            let row = self.frame(no)?;
            next = row.prev.filter(|prev| *prev < no);
            Some((no, row))
        })
    }

    /// Calls `f` with the frames of a connection from its last to its first, for as long as it says so.
    #[expect(clippy::inline_always, reason = "only what `f` looks at is unpacked")]
    #[inline(always)]
    pub fn each_conn_frame_back(
        &self,
        conn: ConnId,
        mut f: impl FnMut(FrameNo, &FrameRow) -> bool,
    ) {
        let mut next = self.conn(conn).map(|c| c.last_frame);
        while let Some(no) = next {
            next = self.frames.visit(no.index(), |row| {
                let on = f(no, row);
                row.prev.filter(|prev| on && *prev < no)
            });
        }
    }

    /// The frames of a connection in file order.
    pub fn conn_frames(&self, conn: ConnId) -> Vec<FrameNo> {
        let mut frames: Vec<_> = self.conn_frames_back(conn).map(|(no, _)| no).collect();
        frames.reverse();
        frames
    }

    /// The frames in front of the one that completes a PDU that carry bytes of it, the nearest first: of its sender, with
    /// payload.
    pub fn parts_of(&self, pdu: &PduRow) -> impl Iterator<Item = FrameNo> {
        let (first, end) = (pdu.first_frame, pdu.end);
        self.frames_back(Some(pdu.frame))
            .skip(1)
            .take_while(move |(no, _)| *no >= first)
            .filter(move |(_, row)| row.end() == end && row.payload_len > 0)
            .map(|(no, _)| no)
    }

    /// Number of PDUs so far.
    pub fn pdu_count(&self) -> usize {
        self.pdus.len()
    }

    /// A PDU by its number.
    pub fn pdu(&self, id: PduId) -> Option<PduRow> {
        self.pdus.get(id.index())
    }

    /// The PDUs that are completed in a frame, in stream order.
    pub fn pdus_in(&self, frame: FrameNo) -> impl Iterator<Item = (PduId, PduRow)> {
        self.pdus.of_frame(frame)
    }

    /// Calls `f` with the PDUs that are completed in so many frames from a number on, as [`Store::each_frame`] does
    /// with frames. Those that a later frame revealed come last.
    #[expect(
        clippy::inline_always,
        reason = "in a scan's loop only what the scan looks at is unpacked"
    )]
    #[inline(always)]
    pub fn each_pdu(&self, from: FrameNo, len: usize, f: impl FnMut(&PduRow)) {
        let behind = FrameNo::from_index(from.index().saturating_add(len));
        self.pdus.each(from, behind, f);
    }

    /// Whether no PDU came late, so that all are numbered in the order of their frames.
    pub fn pdus_are_in_order(&self) -> bool {
        self.pdus.is_in_order()
    }

    /// The PDUs that are completed behind a frame, in order of completion.
    pub fn pdus_behind(&self, frame: FrameNo) -> impl Iterator<Item = PduRow> {
        let next = FrameNo(frame.0.saturating_add(1));
        let pdus = self.pdus.iter_from(self.pdus.first_from(next));
        pdus.filter(move |pdu| pdu.frame > frame)
    }

    /// PDUs from `from` on, in order of completion.
    pub fn pdus_from(&self, from: PduId) -> impl Iterator<Item = (PduId, PduRow)> {
        let start = from.index().min(self.pdus.len());
        self.pdus
            .iter_from(start)
            .enumerate()
            .map(move |(i, row)| (PduId::from_index(start.saturating_add(i)), row))
    }

    /// The first PDU that is completed in a frame or behind it.
    pub fn first_pdu_from(&self, frame: FrameNo) -> PduId {
        PduId::from_index(self.pdus.first_from(frame))
    }

    /// The chain of PDUs of one sender in one session (or one connection without SMP), from `last` backwards.
    pub fn pdu_chain_back(&self, last: Option<PduId>) -> impl Iterator<Item = (PduId, PduRow)> {
        let mut next = last;
        std::iter::from_fn(move || {
            let id = next?;
            let row = self.pdu(id)?;
            next = row.prev.filter(|prev| *prev < id);
            Some((id, row))
        })
    }

    /// All connections.
    pub fn conns(&self) -> &[ConnRow] {
        &self.conns
    }

    /// A connection by its number.
    pub fn conn(&self, id: ConnId) -> Option<&ConnRow> {
        self.conns.get(id.index())
    }

    /// All sessions (lives of Sids).
    pub fn sessions(&self) -> &[SessionRow] {
        &self.sessions
    }

    /// A session by its number.
    pub fn session(&self, id: SessionId) -> Option<&SessionRow> {
        self.sessions.get(id.index())
    }

    /// The sessions of a connection, in order of opening.
    pub fn conn_sessions(&self, conn: ConnId) -> impl Iterator<Item = &SessionRow> {
        self.lists(conn)
            .map_or(&[][..], |l| &l.sessions)
            .iter()
            .filter_map(|id| self.session(*id))
    }

    /// The session of a Sid that is alive at, or was last alive before, a frame.
    pub fn session_at(&self, conn: ConnId, sid: Sid, frame: FrameNo) -> Option<&SessionRow> {
        self.conn_sessions(conn)
            .filter(|s| s.sid == sid && s.open_frame <= frame)
            .last()
    }

    /// Number of requests so far.
    pub fn request_count(&self) -> usize {
        self.requests.len()
    }

    /// All requests, in order of their first frame.
    pub fn requests(&self) -> impl Iterator<Item = RequestRow> {
        (0..self.requests.len()).filter_map(|index| self.requests.get(index))
    }

    /// Calls `f` with all requests, in order of their first frame. Much faster than [`Store::requests`] where only a
    /// few fields of each row are looked at.
    #[expect(clippy::inline_always, reason = "only what `f` looks at is unpacked")]
    #[inline(always)]
    pub fn each_request(&self, mut f: impl FnMut(&RequestRow)) {
        for index in 0..self.requests.len() {
            self.requests.visit(index, &mut f);
        }
    }

    /// The requests that began before a frame or in it, the latest first.
    pub fn requests_back(&self, frame: FrameNo) -> impl Iterator<Item = RequestRow> {
        let begun = 0..self.requests.begun_at(frame);
        begun.rev().filter_map(|index| self.requests.get(index))
    }

    /// A request by its number.
    pub fn request(&self, id: RequestId) -> Option<RequestRow> {
        self.requests.get(id.index())
    }

    /// A text of requests.
    pub fn text(&self, id: TextId) -> &str {
        let text = id.index().checked_sub(1).and_then(|at| self.texts.get(at));
        text.map_or("", |text| text)
    }

    /// The requests of a connection, in order of their first frame.
    pub fn conn_requests(&self, conn: ConnId) -> impl DoubleEndedIterator<Item = RequestRow> {
        let ids = self.request_ids(conn).iter();
        ids.filter_map(|id| self.request(*id))
    }

    /// Calls `f` with the requests of a connection, in order of their first frame. Much faster than
    /// [`Store::conn_requests`] where only a few fields of each row are looked at.
    #[expect(clippy::inline_always, reason = "only what `f` looks at is unpacked")]
    #[inline(always)]
    pub fn each_conn_request(&self, conn: ConnId, mut f: impl FnMut(&RequestRow)) {
        for id in self.request_ids(conn) {
            self.requests.visit(id.index(), &mut f);
        }
    }

    /// What of the requests of a connection is rare or worth a remark.
    pub fn request_signs(&self, conn: ConnId) -> RequestSigns {
        self.lists(conn)
            .map(|l| l.request_signs)
            .unwrap_or_default()
    }

    fn request_ids(&self, conn: ConnId) -> &[RequestId] {
        self.lists(conn).map_or(&[][..], |l| &l.requests)
    }

    /// The requests of a connection that were under way at a frame: sent at or before it, at least in part, and not
    /// answered to the end before or in it.
    pub fn outstanding_at(&self, conn: ConnId, frame: FrameNo) -> impl Iterator<Item = RequestRow> {
        self.conn_requests(conn)
            .filter(move |request| request.first_frame <= frame)
            .filter(move |request| match request.end {
                RequestEnd::Outstanding => true,
                // Its answer lies in a gap: where it ended is not known.
                RequestEnd::Unknown => false,
                RequestEnd::Done | RequestEnd::Error | RequestEnd::Attention => {
                    request.answer_last_frame.is_none_or(|last| last > frame)
                }
            })
    }

    /// What the SMP checks found ([MC-SMP]; ids of the check list).
    pub fn violations(&self) -> &[ViolationRow] {
        &self.violations
    }

    /// What is wrong with the file itself.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The interfaces of all files and sections.
    pub fn interfaces(&self) -> &[InterfaceRow] {
        &self.interfaces
    }

    /// An interface by its number.
    pub fn interface(&self, id: InterfaceId) -> Option<&InterfaceRow> {
        self.interfaces.get(id.index())
    }

    /// The files that the capture consists of.
    pub fn files(&self) -> &[FileRow] {
        &self.files
    }

    /// The file that a frame stands in, and its number within it; the first is 1.
    pub fn place(&self, no: FrameNo) -> Option<(&FileRow, FrameNo)> {
        let interface = self.interface(self.frame(no)?.interface)?;
        let file = self.files.get(interface.file)?;
        if self.files.len() == 1 {
            return Some((file, no));
        }
        let number = self
            .places
            .number(no.index(), interface.file, &self.interfaces, |start| {
                self.frames.iter_from(start).map(|row| row.interface)
            })?;
        Some((file, FrameNo(number)))
    }

    /// How far the indexing pass has come.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Which end the capture was taken on, with the evidence.
    pub fn view(&self) -> (View, &[String]) {
        self.view
            .as_ref()
            .map_or((View::Unknown, &[]), |(view, why)| (*view, why))
    }

    /// Which side sent a frame, where its connection's client is known or assumed.
    pub fn side(&self, frame: &FrameRow) -> Option<Side> {
        let conn = self.conn(frame.conn?)?;
        Some(conn.side_of(frame.end()))
    }

    /// Which side sent a PDU.
    pub fn pdu_side(&self, pdu: &PduRow) -> Option<Side> {
        Some(self.conn(pdu.conn)?.side_of(pdu.end))
    }

    /// All findings.
    pub fn findings(&self) -> &[Finding] {
        self.findings.all()
    }

    /// A finding by its number.
    pub fn finding(&self, id: FindingId) -> Option<&Finding> {
        self.findings.get(id)
    }

    /// Adds a finding; its `id` is set here. The frames it marks point to it from then on, unless an earlier
    /// finding of equal or greater weight holds them.
    pub fn add_finding(&mut self, finding: Finding) -> FindingId {
        self.findings.add(finding)
    }

    /// Adds findings in their order.
    pub fn add_findings(&mut self, findings: Vec<Finding>) {
        self.findings.extend(findings);
    }

    /// Forgets all findings, before the rules are run anew.
    pub fn clear_findings(&mut self) {
        self.findings = FindingTable::default();
    }

    /// The finding that marks a frame (a reset, or the deciding frame of a finding without one).
    pub fn finding_on(&self, frame: FrameNo) -> Option<&Finding> {
        self.findings.on(frame)
    }

    /// The finding whose letter stands before a frame: the one that marks it, else the gravest that marks no frame
    /// and that this one decided.
    pub fn finding_shown_on(&self, frame: FrameNo) -> Option<&Finding> {
        self.findings.shown_on(frame)
    }

    /// The frames that findings mark, in file order, with their findings.
    pub fn marked_by_findings(&self) -> impl DoubleEndedIterator<Item = (FrameNo, FindingId)> + '_ {
        self.findings.marked()
    }

    /// Adds a remark to the finding that says how a connection ended.
    pub fn note_close(&mut self, conn: ConnId, note: String) {
        self.findings.note_close(conn, note);
    }

    /// The findings of a connection.
    pub fn conn_findings(&self, conn: ConnId) -> impl Iterator<Item = &Finding> {
        self.findings.of_conn(conn)
    }

    fn lists(&self, conn: ConnId) -> Option<&ConnLists> {
        self.by_conn.get(conn.index())
    }

    fn lists_mut(&mut self, conn: ConnId) -> &mut ConnLists {
        let index = conn.index();
        if index >= self.by_conn.len() {
            self.by_conn
                .resize_with(index.saturating_add(1), ConnLists::default);
        }
        // The line above made room for it.
        #[expect(clippy::indexing_slicing, reason = "resized just above")]
        &mut self.by_conn[index]
    }

    /// The PDUs of an end of a connection outside SMP sessions, newest first.
    pub fn plain_pdus_back(&self, conn: ConnId, end: End) -> impl Iterator<Item = (PduId, PduRow)> {
        let last = self.conn(conn).and_then(|c| *c.last_plain_pdu.get(end));
        self.pdu_chain_back(last)
    }
}

fn vec_memory<T>(table: &Vec<T>) -> usize {
    table.capacity().saturating_mul(size_of::<T>())
}

/// Replaces rows that exist and appends those that are new. Rows come in the order of their numbers, so that a
/// new row's number is always the next free one; a row that would leave a hole is dropped.
fn upsert<T>(table: &mut Vec<T>, rows: impl IntoIterator<Item = T>, index: impl Fn(&T) -> usize) {
    for row in rows {
        let at = index(&row);
        if let Some(slot) = table.get_mut(at) {
            *slot = row;
        } else if at == table.len() {
            table.push(row);
        } else {
            debug_assert!(false, "rows arrive in the order of their numbers");
        }
    }
}
