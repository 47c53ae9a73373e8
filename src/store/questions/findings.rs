//! What the rules found: added by them, and asked for by number, frame and connection.

use crate::store::finding_table::FindingTable;
use crate::store::{Finding, Store};
use crate::units::{ConnId, FindingId, FrameNo};

impl Store {
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

    /// As [`Store::marked_by_findings`], from a frame on.
    pub fn marked_from(&self, frame: FrameNo) -> impl Iterator<Item = (FrameNo, FindingId)> + '_ {
        self.findings.marked_from(frame)
    }

    /// Adds a remark to the finding that says how a connection ended.
    pub fn note_close(&mut self, conn: ConnId, note: String) {
        self.findings.note_close(conn, note);
    }

    /// The findings of a connection.
    pub fn conn_findings(&self, conn: ConnId) -> impl Iterator<Item = &Finding> {
        self.findings.of_conn(conn)
    }
}
