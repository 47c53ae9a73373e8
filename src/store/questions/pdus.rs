//! PDUs: by number, by frame, and along what one sender sent.

use crate::store::{FrameRow, PduRow, Store};
use crate::units::{ConnId, End, FrameNo, PduId, Side};

impl Store {
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

    /// The PDUs that a PDU's sender sent behind it on the same connection, among so many that follow it.
    pub fn sent_behind(
        &self,
        id: PduId,
        pdu: &PduRow,
        most: usize,
    ) -> impl Iterator<Item = (PduId, PduRow)> {
        let (conn, end) = (pdu.conn, pdu.end);
        self.pdus_from(PduId(id.0.saturating_add(1)))
            .take(most)
            .filter(move |(_, row)| row.conn == conn && row.end == end)
    }

    /// As [`Store::sent_behind`] of a frame: the PDUs that are completed behind it.
    pub fn sent_behind_frame(
        &self,
        no: FrameNo,
        row: &FrameRow,
        most: usize,
    ) -> impl Iterator<Item = (PduId, PduRow)> {
        let (conn, end) = (row.conn, row.end());
        self.pdus_from(self.first_pdu_from(FrameNo(no.0.saturating_add(1))))
            .take(most)
            .filter(move |(_, pdu)| Some(pdu.conn) == conn && pdu.end == end)
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

    /// The PDUs of an end of a connection outside SMP sessions, newest first.
    pub fn plain_pdus_back(&self, conn: ConnId, end: End) -> impl Iterator<Item = (PduId, PduRow)> {
        let last = self.conn(conn).and_then(|c| *c.last_plain_pdu.get(end));
        self.pdu_chain_back(last)
    }

    /// Which side sent a PDU.
    pub fn pdu_side(&self, pdu: &PduRow) -> Option<Side> {
        Some(self.conn(pdu.conn)?.side_of(pdu.end))
    }
}
