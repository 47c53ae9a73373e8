//! One TCP connection: which end is the client, what each segment is, its counts, and its streams.

mod overtaken;
mod probes;
mod remains;
mod side;
mod usual;
mod way;
mod which;

use std::sync::Arc;

use crate::decode::net::{Checksum, Segment, tcp_checksum};
use crate::decode::tds;
use crate::store::{
    ConnRow, Endpoint, FrameFlags, FrameRow, Phase, PreloginInfo, Protocol, SmpCounts, TcpFlags,
    TcpStats, TdsCounts,
};
use crate::units::{ConnId, End, FrameNo, Nanos, PerEnd, TcpSeq};

use super::calm::Watch;
use super::copies::Copies;
use super::order::{At, Carried, Feed, Order};
use super::out::{Ctx, Out};
use super::upper::{Deep, Passed};
use super::view::Evidence;
use overtaken::Overtaken;
use remains::{uses_sql_port, ways};
use which::Points;

pub(super) use remains::Remains;
pub(super) use side::Side;
pub(super) use way::Way;

/// Frames per direction whose TCP checksum is computed: enough to see whether the sender's card fills it in.
const CHECKSUMS: u8 = 32;

/// One incarnation of a 4-tuple.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) row: ConnRow,
    points: Points,
    /// Of the segments of each end.
    ways: PerEnd<Way>,
    sides: PerEnd<Side>,
    deep: Option<Box<Deep>>,
    /// Only its segments are counted (any more): it carries something else, or it has ended.
    left: bool,
    /// One end uses SQL Server's port.
    sql_port: bool,
    /// See [`Conn::is_steady`].
    steady: bool,
    violations: u32,
    closed_by: Option<FrameNo>,
    /// A RST came, or a FIN from both ends.
    pub(super) is_over: bool,
    /// It has its place among those that are over.
    pub(super) is_among_over: bool,
    /// Nothing more is to be read in it: it gives its place back once its row is handed over.
    pub(super) let_go: bool,
    /// What the server acknowledged of an earlier connection when it was sent a SYN.
    earlier: Option<TcpSeq>,
    listed: bool,
    /// What an end sent is waited for, as the other one has answered it.
    overtaken: Option<Overtaken>,
    pub(super) evidence: Evidence,
    pub(super) watch: Watch,
    ended: bool,
}

/// A frame on its way through its connection.
pub(super) struct Incoming<'a> {
    pub(super) segment: &'a Segment,
    pub(super) frame: &'a [u8],
    /// The segment's payload, as far as it is in the file.
    pub(super) payload: &'a [u8],
    pub(super) no: FrameNo,
    pub(super) time: Nanos,
    pub(super) interface: u32,
    /// So many transmissions of a direction are kept to find their copies on another interface; 0 where the capture has
    /// one.
    pub(super) far: u32,
    /// A part of a fragmented packet: its checksum says nothing.
    pub(super) fragment: bool,
}

impl Incoming<'_> {
    /// The capture has more than one interface.
    #[inline]
    pub(super) fn several_interfaces(&self) -> bool {
        self.far > 0
    }

    fn flags(&self) -> TcpFlags {
        TcpFlags(self.segment.flags)
    }

    fn at(&self) -> At {
        At {
            frame: self.no,
            done: self.no,
            time: self.time,
        }
    }
}

impl Conn {
    pub(super) fn new(id: ConnId, incarnation: u32, incoming: &Incoming<'_>) -> Self {
        let segment = incoming.segment;
        let ends = PerEnd([
            Endpoint {
                ip: segment.ip.src,
                port: segment.src_port,
            },
            Endpoint {
                ip: segment.ip.dst,
                port: segment.dst_port,
            },
        ]);
        let (client, client_evidence) = by_port(&ends);
        let (ways, sql_port) = (ways(&ends), uses_sql_port(&ends));
        Self {
            row: ConnRow {
                id,
                ends,
                client,
                client_evidence,
                incarnation,
                apart: None,
                first_frame: incoming.no,
                last_frame: incoming.no,
                frames: 0,
                first_time: incoming.time,
                last_time: incoming.time,
                protocol: Protocol::Other,
                mars: None,
                smp_seen: false,
                encryption: None,
                syn_frame: None,
                syn_ack_frame: None,
                handshake_frame: None,
                base_seq: PerEnd::default(),
                tcp: PerEnd([TcpStats::default(); 2]),
                smp: PerEnd([SmpCounts::default(); 2]),
                tds: PerEnd([TdsCounts::default(); 2]),
                prelogin: PreloginInfo::default(),
                tls: None,
                login: None,
                phases: Arc::default(),
                last_plain_pdu: PerEnd::default(),
                first_pdu: None,
                copied: false,
                calm: Box::default(),
            },
            points: Points::default(),
            ways,
            sides: PerEnd(End::BOTH.map(Side::new)),
            deep: None,
            left: false,
            sql_port,
            steady: false,
            violations: 0,
            closed_by: None,
            is_over: false,
            is_among_over: false,
            let_go: false,
            earlier: None,
            listed: false,
            overtaken: None,
            evidence: Evidence::default(),
            watch: Watch::default(),
            ended: false,
        }
    }

    fn has_payload(&self) -> bool {
        self.deep.is_some() || self.left
    }

    /// The last of its frames so far; the default if there is none.
    #[inline]
    pub(super) fn last_frame(&self) -> FrameNo {
        let [a, b] = &self.sides.0;
        a.last.max(b.last)
    }

    /// Takes in a segment; returns what was found out about its frame.
    #[inline(never)]
    pub(super) fn segment(
        &mut self,
        end: End,
        incoming: &Incoming<'_>,
        out: &mut Out,
    ) -> FrameFlags {
        if let Some(found) = self.goes_on(end, incoming, out) {
            return found;
        }
        let mut found = sent_by(end);
        self.step(end, incoming, out, &mut found);
        found
    }

    /// Takes note of a frame that was taken in, with all that was found out about it.
    #[inline(never)]
    pub(super) fn note(&mut self, end: End, incoming: &Incoming<'_>, row: FrameRow) {
        self.note_news(incoming.no, row, incoming.several_interfaces());
        self.count(end, incoming);
        self.steady = self.is_steady();
    }

    /// What a frame says that is not like those before.
    #[inline(never)]
    pub(super) fn note_news(&mut self, no: FrameNo, row: FrameRow, several_interfaces: bool) {
        let end = row.end();
        self.evidence
            .frame(self.row.side_of(end), row, several_interfaces);
        self.watch.frame(&self.row, &self.sides, no, row);
        if !row.flags.has(FrameFlags::DUPLICATE) && !row.tcp_flags.rst() {
            self.sides.get_mut(end).ttl = Some(row.ttl);
        }
    }

    #[inline]
    pub(super) fn count(&mut self, end: End, incoming: &Incoming<'_>) {
        self.row.last_time = incoming.time;
        let side = self.sides.get_mut(end);
        // No more than all frames of the capture, whose number has 32 bits.
        side.stats.frames = side.stats.frames.wrapping_add(1);
        side.last = incoming.no;
        if incoming.segment.payload_len > 0 {
            side.last_payload = incoming.no;
        }
    }

    /// Takes note of when payload of an end passed the point of the frame at hand, where the capture has several. Of a
    /// segment that just goes on that is done with its piece. It takes numbers, so that all of them can stay in registers
    /// where this is not called.
    #[cold]
    #[inline(never)]
    fn pass(&mut self, end: End, seq: TcpSeq, len: u32, time: Nanos, out: &mut Out) {
        self.row.copied |= self.sides.get(end).copies.elsewhere;
        let Some(deep) = self.deep.as_mut().filter(|_| out.marks_wanted && len > 0) else {
            return;
        };
        let from = self.sides.get(end).order.position(seq);
        let until = from.and_then(|from| u64::try_from(from.saturating_add(len.into())).ok());
        if let Some((from, until)) = from.zip(until) {
            let frame = Passed {
                interface: out.interface,
                time,
                from: u64::try_from(from).unwrap_or(0),
                until,
            };
            deep.pass(end, frame, self.row.copied, out);
        }
    }

    /// As [`Conn::pass`], of a frame that was taken in.
    pub(super) fn pass_frame(
        &mut self,
        end: End,
        incoming: &Incoming<'_>,
        found: FrameFlags,
        out: &mut Out,
    ) {
        if !found.has(FrameFlags::NOT_IN_STREAM) {
            let segment = incoming.segment;
            let seq = segment.seq.plus(u32::from(incoming.flags().syn()));
            self.pass(end, seq, segment.payload_len, incoming.time, out);
        }
    }

    /// What a segment may be in all, step by step.
    #[inline(never)]
    fn step(&mut self, end: End, incoming: &Incoming<'_>, out: &mut Out, found: &mut FrameFlags) {
        if !incoming.segment.has_flags() {
            return;
        }
        self.points.add(incoming.interface);
        let side = self.sides.get_mut(end);
        if side.copies.is_copy(incoming) {
            found.set(FrameFlags::DUPLICATE);
            self.row.copied |= side.copies.elsewhere;
            return;
        }
        found.set(checksum(&mut side.checksums, incoming));
        if self.is_of_earlier(end, incoming) {
            return;
        }
        self.handshake(end, incoming, out, found);
        self.acknowledgement(end, incoming, out, found);
        self.window(end, incoming, found);
        if !self.probe(end, incoming, found) {
            self.payload(end, incoming, out, found);
        }
        self.look_for_overtaken(incoming, out);
        self.close(end, incoming, out, found);
        self.row
            .base_seq
            .get_mut(end)
            .clone_from(&self.sides.get(end).order.base());
    }

    /// SYN and SYN+ACK, the frame that completes the handshake, and who is the client.
    fn handshake(
        &mut self,
        end: End,
        incoming: &Incoming<'_>,
        out: &mut Out,
        found: &mut FrameFlags,
    ) {
        let flags = incoming.flags();
        let side = self.sides.get_mut(end);
        if flags.syn() {
            if side.isn == Some(incoming.segment.seq) {
                side.repeats_bare(incoming, found);
            }
            side.isn = Some(incoming.segment.seq);
            side.order.syn(incoming.segment.seq);
            if flags.ack() {
                self.row.syn_ack_frame.get_or_insert(incoming.no);
                if self.row.syn_frame.is_none() {
                    self.set_client(end.other(), "the other end answers its SYN");
                }
            } else {
                self.row.syn_frame.get_or_insert(incoming.no);
                self.set_client(end, "it sends the SYN");
            }
            let no = incoming.no;
            self.ctx(out).phase(Phase::Connect, no, None);
        } else {
            side.order.joined(incoming.segment.seq);
            if incoming.segment.payload_len == 0 && !flags.rst() {
                side.order.claim(incoming.segment.seq);
            }
            if self.row.syn_ack_frame.is_some()
                && self.row.handshake_frame.is_none()
                && flags.ack()
                && !flags.rst()
                && end == self.row.client
            {
                self.row.handshake_frame = Some(incoming.no);
            }
        }
    }

    fn set_client(&mut self, end: End, why: &'static str) {
        self.row.client = end;
        self.row.client_evidence = Some(why);
        // What was noted of the sides was noted of client and server.
        for side in &mut self.sides.0 {
            side.ttl = None;
        }
    }

    fn ctx<'a>(&'a mut self, out: &'a mut Out) -> Ctx<'a> {
        Ctx {
            out,
            row: &mut self.row,
            violations: &mut self.violations,
        }
    }

    fn acknowledgement(
        &mut self,
        end: End,
        incoming: &Incoming<'_>,
        out: &mut Out,
        found: &mut FrameFlags,
    ) {
        // What a reset acknowledges proves nothing about the stream: a forged one may say anything.
        if !incoming.flags().ack() || incoming.flags().rst() {
            return;
        }
        let ack = incoming.segment.ack;
        let sender = end.other();
        let (side, peer) = self.sides.get_both_mut(end);
        if side.acknowledges_more(ack) {
            if !incoming.flags().syn() {
                self.watch.look_back(side, peer, ack);
            }
            side.last_ack = Some(ack);
            self.watch.acked(peer, incoming.time);
        }
        self.sides.get_mut(sender).round_trip(ack, incoming.time);
        self.sides.get_mut(sender).order.acknowledged(ack);
        self.look_for_more_acknowledged(sender, incoming, out);
        let order = &self.sides.get(sender).order;
        let with_data = incoming.segment.payload_len > 0 && order.reached(ack) > order.next();
        if order.has_gap(with_data) {
            if !self.is_waiting_for(sender) {
                found.set(FrameFlags::GAP_BEFORE);
            }
            if !self.waits_for_overtaken(sender, incoming) {
                let at = incoming.at();
                self.feed(sender, out, |order, total, sink| {
                    order.declare_due(with_data, at, total, sink);
                });
            }
        }
    }

    fn payload(
        &mut self,
        end: End,
        incoming: &Incoming<'_>,
        out: &mut Out,
        found: &mut FrameFlags,
    ) {
        let segment = incoming.segment;
        if segment.payload_len == 0 {
            return;
        }
        if incoming.flags().rst() {
            found.set(FrameFlags::NOT_IN_STREAM);
            return;
        }
        let seq = segment.seq.plus(u32::from(incoming.flags().syn()));
        let at = incoming.at();
        let len = segment.payload_len;
        let all_acked = self.sides.get(end).order.is_acked();
        let accepted = self.feed(end, out, |order, total, sink| {
            let carried = Carried {
                seq,
                len,
                payload: incoming.payload,
                ack: segment.ack,
            };
            order.accept(carried, at, total, sink)
        });
        found.set(accepted.flags);
        let side = self.sides.get_mut(end);
        let stats = &mut side.stats;
        if accepted.flags.has(FrameFlags::RETRANSMISSION) {
            stats.retransmissions = stats.retransmissions.saturating_add(1);
            side.timed = None;
        } else if accepted.flags.has(FrameFlags::OUT_OF_ORDER) {
            stats.out_of_order = stats.out_of_order.saturating_add(1);
        } else if accepted.fresh > 0 {
            side.sends(seq.plus(len), incoming.time, all_acked);
        }
    }

    fn close(&mut self, end: End, incoming: &Incoming<'_>, out: &mut Out, found: &mut FrameFlags) {
        let flags = incoming.flags();
        let no = incoming.no;
        if flags.rst() {
            self.closed_by.get_or_insert(no);
            self.ctx(out).phase(Phase::Reset, no, None);
        } else if flags.fin() {
            self.closed_by.get_or_insert(no);
            let segment = incoming.segment;
            let behind = segment
                .seq
                .plus(u32::from(flags.syn()))
                .plus(segment.payload_len);
            let side = self.sides.get_mut(end);
            if side.order.has_fin_at(behind) {
                side.repeats_bare(incoming, found);
            }
            side.order.fin(behind);
            self.ctx(out).phase(Phase::Closing, no, None);
        }
        let mut sides = self.sides.0.iter();
        self.is_over |= flags.rst() || sides.all(|side| side.order.fin_seen());
    }

    /// Lets a direction's order hand pieces to the layers above.
    fn feed<R>(
        &mut self,
        end: End,
        out: &mut Out,
        act: impl FnOnce(&mut Order, &mut usize, Feed<'_>) -> R,
    ) -> R {
        let mut waiting = out.waiting;
        if self.left {
            let order = &mut self.sides.get_mut(end).order;
            let result = act(order, &mut waiting, &mut |_| {});
            out.waiting = waiting;
            return result;
        }
        let behind_ack = self.behind_ack();
        let deep = (self.deep).get_or_insert_with(|| Box::new(Deep::new(self.sql_port)));
        deep.set_behind_ack(behind_ack);
        let mut ctx = Ctx {
            out,
            row: &mut self.row,
            violations: &mut self.violations,
        };
        let order = &mut self.sides.get_mut(end).order;
        let mut is_other = false;
        let result = act(order, &mut waiting, &mut |piece| {
            is_other = is_other || deep.piece(end, &piece, &mut ctx);
        });
        // A segment that just goes on comes where all is there that was acknowledged.
        deep.set_behind_ack(PerEnd::default());
        out.waiting = waiting;
        if is_other {
            self.leave();
        }
        result
    }

    /// Looks no more at its payload.
    #[cold]
    fn leave(&mut self) {
        self.left = true;
        self.deep = None;
    }

    /// Of each end, whether bytes were acknowledged that were not seen (yet).
    fn behind_ack(&self) -> PerEnd<bool> {
        let [side_a, side_b] = &self.sides.0;
        PerEnd([side_a.order.behind_ack(), side_b.order.behind_ack()])
    }

    /// Nothing more comes for this connection; returns whether that changes any row.
    pub(super) fn end(&mut self, now: FrameNo, out: &mut Out) -> bool {
        if std::mem::replace(&mut self.ended, true) {
            return false;
        }
        for side in &mut self.sides.0 {
            side.copies = Copies::default();
        }
        if !self.has_payload() {
            self.leave();
            return false;
        }
        let last = self.last_frame();
        let at = At {
            frame: last,
            done: now.min(last),
            time: self.row.last_time,
        };
        self.wait_no_more(at, out);
        for end in End::BOTH {
            self.feed(end, out, |order, total, sink| order.finish(at, total, sink));
        }
        let [a, b] = &self.sides.0;
        let next = PerEnd([a.order.next(), b.order.next()]);
        let behind_ack = PerEnd([a.order.lacks_an_end(), b.order.lacks_an_end()]);
        let closed_by = self.closed_by;
        let mut ctx = Ctx {
            out,
            row: &mut self.row,
            violations: &mut self.violations,
        };
        if let Some(deep) = &mut self.deep {
            deep.set_behind_ack(behind_ack);
            deep.end(next, closed_by, at, &mut ctx);
        }
        self.leave();
        true
    }

    /// Puts the connection, which has this place, on the list of those with changed rows, unless it stands there.
    #[inline]
    pub(super) fn list(&mut self, place: usize, changed: &mut Vec<(ConnId, usize)>) {
        if !self.listed {
            self.listed = true;
            changed.push((self.row.id, place));
        }
    }

    /// Puts the changed rows into the batch; returns its own.
    pub(super) fn flush(&mut self, out: &mut Out) -> Arc<ConnRow> {
        self.listed = false;
        self.row.last_frame = self.last_frame();
        let [a, b] = &self.sides.0;
        self.row.frames = a.stats.frames.saturating_add(b.stats.frames);
        self.row.tcp = PerEnd([a.tcp(), b.tcp()]);
        self.row.calm = self.watch.told().into();
        let mut ctx = Ctx {
            out,
            row: &mut self.row,
            violations: &mut self.violations,
        };
        if let Some(deep) = &mut self.deep {
            deep.flush(&mut ctx);
        }
        let row = Arc::new(self.row.clone());
        out.conn_changed(Arc::clone(&row));
        row
    }
}

/// Before anything else tells, the port does: the client uses the higher one if the other is SQL Server's.
fn by_port(ends: &PerEnd<Endpoint>) -> (End, Option<&'static str>) {
    let [a, b] = &ends.0;
    match (a.port == tds::PORT, b.port == tds::PORT) {
        (true, false) => (End::B, Some("the other end uses port 1433")),
        (false, true) => (End::A, Some("the other end uses port 1433")),
        _ if a.port < b.port => (End::B, None),
        _ => (End::A, None),
    }
}

/// Which end sent a frame.
fn sent_by(end: End) -> FrameFlags {
    match end {
        End::A => FrameFlags::default(),
        End::B => FrameFlags::FROM_B,
    }
}

#[expect(
    clippy::inline_always,
    reason = "what a usual frame says stays in registers from its bytes to its row"
)]
#[inline(always)]
fn checksum(done: &mut u8, incoming: &Incoming<'_>) -> FrameFlags {
    if *done >= CHECKSUMS || incoming.fragment {
        return FrameFlags::default();
    }
    let result = match tcp_checksum(incoming.segment, incoming.frame) {
        Checksum::Good => FrameFlags::GOOD_CHECKSUM,
        Checksum::Bad => FrameFlags::BAD_CHECKSUM,
        Checksum::CannotTell => return FrameFlags::default(),
    };
    *done = done.saturating_add(1);
    result
}
