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
mod forms;
mod frame;
mod frame_table;
mod oddity;
mod packed_frame;
mod packed_pdu;
mod pdu;
mod pdu_table;
mod places;
mod proof;
mod questions;
mod request;
mod request_table;
mod session;
mod shapes;
mod short;
mod tape;

pub use batch::{Batch, LateAttention, Progress, RequestTimes, RowPool, Rows};
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
pub use forms::Forms;
pub use frame::{FrameFlags, FrameRow, TcpFlags};
pub use oddity::{Oddities, Oddity};
pub use packed_frame::{FramePacker, NewFrames};
pub use packed_pdu::{NewPdus, PduPacker};
pub use pdu::{PduFlags, PduKind, PduRow};
pub use proof::{Applied, Conditions, EvidenceList, Exhibit, FrameList, Label, Statement};
pub use request::{ErrorRow, HeaderCheck, RequestEnd, RequestKind, RequestRow, RequestSigns};
pub use session::{ClosedBy, SessionEnd, SessionRow, Stall, StallInfo};
pub use short::Short;

use std::sync::{Arc, OnceLock};

use crate::units::{ConnId, FrameNo, InterfaceId, RequestId, SessionId};
use finding_table::FindingTable;
use frame_table::FrameTable;
use pdu_table::PduTable;
use places::Places;
use request_table::RequestTable;

/// What belongs to one connection, so that asking for it does not search whole tables.
#[derive(Debug, Default)]
struct ConnLists {
    sessions: Short<SessionId, 3>,
    requests: Short<RequestId, 3>,
    request_signs: RequestSigns,
}

/// All rows of a capture. Batches of the indexing pass are appended to it; findings are added by the rules.
#[derive(Debug, Default)]
pub struct Store {
    frames: FrameTable,
    pdus: PduTable,
    conns: Vec<Arc<ConnRow>>,
    sessions: Vec<SessionRow>,
    requests: RequestTable,
    texts: Vec<Arc<str>>,
    violations: Vec<ViolationRow>,
    /// Their places in the order of frames, made when somebody asks for those of a frame.
    violations_by_frame: OnceLock<Vec<u32>>,
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
        for session in batch.sessions.iter_mut().filter(|s| s.stalls.is_none()) {
            // What was measured at one of several points the pass itself does not know.
            let known = self.sessions.get_mut(session.id.index());
            session.stalls = known.and_then(|known| known.stalls.take());
        }
        let sessions = batch.sessions.drain(..);
        upsert(&mut self.sessions, sessions, |row| row.id.index());
        for stall in &batch.stalls {
            if let Some(session) = self.sessions.get_mut(stall.session.index()) {
                session.add_stall(stall);
            }
        }
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
        for times in batch.request_times {
            if let Some(mut row) = self.request(times.request) {
                // What is not to be measured at all is not to be measured at one point either.
                row.first_byte_ns = row.first_byte_ns.and(times.first_byte_ns);
                row.duration_ns = row.duration_ns.and(times.duration_ns);
                self.lists_mut(row.conn).request_signs.note(&row);
                self.requests.put(&row);
            }
        }
        if !batch.violations.is_empty() {
            self.violations_by_frame.take();
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
            .map(|l| l.sessions.memory().saturating_add(l.requests.memory()));
        let tables = [
            self.frames.memory(),
            self.pdus.memory(),
            vec_memory(&self.conns),
            self.conns.len().saturating_mul(size_of::<ConnRow>()),
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

    /// All connections.
    pub fn conns(&self) -> &[Arc<ConnRow>] {
        &self.conns
    }

    /// A connection by its number.
    pub fn conn(&self, id: ConnId) -> Option<&ConnRow> {
        self.conns.get(id.index()).map(Arc::as_ref)
    }

    /// What the SMP checks found ([MC-SMP]; ids of the check list).
    pub fn violations(&self) -> &[ViolationRow] {
        &self.violations
    }

    /// What they found in a frame.
    pub fn violations_in(&self, frame: FrameNo) -> impl Iterator<Item = &ViolationRow> {
        let at = |place: &u32| self.violations.get(usize::try_from(*place).ok()?);
        let frame_of = move |place: &u32| at(place).map(|row| row.frame);
        let order = self.violations_by_frame.get_or_init(|| {
            let mut places: Vec<u32> = (0..).take(self.violations.len()).collect();
            places.sort_by_key(frame_of);
            places
        });
        let start = order.partition_point(|place| frame_of(place) < Some(frame));
        let behind = order.get(start..).unwrap_or_default().iter();
        behind
            .filter_map(at)
            .take_while(move |row| row.frame == frame)
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
