//! The table of findings, with what leads to them: the frames that they mark or that decided them, and their connection.

use std::collections::BTreeMap;

use super::finding::{Finding, Verdict};
use super::short::Short;
use super::vec_memory;
use crate::units::{ConnId, FindingId, FrameNo};

/// The findings in the order in which the rules told them.
#[derive(Debug, Default)]
pub(super) struct FindingTable {
    rows: Vec<Finding>,
    /// Those of each connection.
    of_conn: Vec<Short<FindingId, 3>>,
    /// The frames that they mark.
    decisive: BTreeMap<FrameNo, FindingId>,
    /// The frames that decided findings which mark none.
    deciding: BTreeMap<FrameNo, FindingId>,
}

impl FindingTable {
    pub(super) fn all(&self) -> &[Finding] {
        &self.rows
    }

    pub(super) fn get(&self, id: FindingId) -> Option<&Finding> {
        self.rows.get(id.index())
    }

    /// Bytes that the table holds.
    pub(super) fn memory(&self) -> usize {
        let lists = self.of_conn.iter().map(Short::memory);
        let tables = [vec_memory(&self.rows), vec_memory(&self.of_conn)];
        tables.into_iter().chain(lists).sum()
    }

    /// Adds a finding and sets its number.
    pub(super) fn add(&mut self, finding: Finding) -> FindingId {
        let id = FindingId::from_index(self.rows.len());
        self.rows.push(finding);
        self.place(id);
        id
    }

    /// Adds findings in their order, without copying them where there are none yet.
    pub(super) fn extend(&mut self, findings: Vec<Finding>) {
        let first = self.rows.len();
        if self.rows.is_empty() {
            self.rows = findings;
        } else {
            self.rows.extend(findings);
        }
        for index in first..self.rows.len() {
            self.place(FindingId::from_index(index));
        }
    }

    /// Sets a finding's number and lets frames and connection point to it. A frame stays with an earlier finding of
    /// equal or greater weight.
    fn place(&mut self, id: FindingId) {
        if let Some(finding) = self.rows.get_mut(id.index()) {
            finding.id = id;
        }
        let Some(finding) = self.rows.get(id.index()) else {
            return;
        };
        let outweighs = |old: Option<&FindingId>| {
            let old = old.and_then(|old| self.rows.get(old.index()));
            old.is_none_or(|old| old.verdict.weight() < finding.verdict.weight())
        };
        for frame in &finding.marks {
            if outweighs(self.decisive.get(frame)) {
                self.decisive.insert(*frame, id);
            }
        }
        if finding.marks.is_empty()
            && finding.verdict != Verdict::Normal
            && let Some(frame) = finding.decisive_frame()
            && outweighs(self.deciding.get(&frame))
        {
            self.deciding.insert(frame, id);
        }
        if let Some(conn) = finding.conn {
            let conns = self.of_conn.len().max(conn.index().saturating_add(1));
            self.of_conn.resize_with(conns, Short::default);
            if let Some(of_conn) = self.of_conn.get_mut(conn.index()) {
                of_conn.push(id);
            }
        }
    }

    /// The finding that marks a frame.
    pub(super) fn on(&self, frame: FrameNo) -> Option<&Finding> {
        self.get(*self.decisive.get(&frame)?)
    }

    /// The finding that marks a frame, else the gravest that marks none and that this one decided.
    pub(super) fn shown_on(&self, frame: FrameNo) -> Option<&Finding> {
        self.on(frame)
            .or_else(|| self.get(*self.deciding.get(&frame)?))
    }

    /// The frames that findings mark, in file order, with their findings.
    pub(super) fn marked(&self) -> impl DoubleEndedIterator<Item = (FrameNo, FindingId)> + '_ {
        self.decisive.iter().map(|(frame, id)| (*frame, *id))
    }

    /// As [`Self::marked`], from a frame on.
    pub(super) fn marked_from(
        &self,
        frame: FrameNo,
    ) -> impl Iterator<Item = (FrameNo, FindingId)> + '_ {
        let behind = self.decisive.range(frame..);
        behind.map(|(frame, id)| (*frame, *id))
    }

    /// Adds a remark to the finding that says how a connection ended.
    pub(super) fn note_close(&mut self, conn: ConnId, note: String) {
        let close = self.of_conn(conn).find(|f| f.close).map(|f| f.id);
        if let Some(finding) = close.and_then(|id| self.rows.get_mut(id.index())) {
            finding.notes.push(note);
        }
    }

    /// The findings of a connection.
    pub(super) fn of_conn(&self, conn: ConnId) -> impl Iterator<Item = &Finding> {
        let ids = self.of_conn.get(conn.index());
        let ids = ids.map_or(&[][..], Short::as_slice).iter();
        ids.filter_map(|id| self.get(*id))
    }
}
