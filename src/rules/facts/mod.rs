//! The facts of one finished connection: worked out once from the store, then asked by every rule.

mod clocks;
mod close;
mod ends;
mod forms;
mod frames;
mod hidden;
mod lanes;
mod sessions;
mod shared;
mod streams;
mod views;
mod walk;

use rustc_hash::FxHashMap;
use std::cell::OnceCell;

use super::settings::{Settings, Threshold};
use crate::store::{Applied, ConnRow, Encryption, RequestRow, Store, ViolationRow};
use crate::units::{FrameNo, Nanos, PerSide, SessionId, Side};

use clocks::Clocks;
pub(super) use clocks::{Clock, Span};
pub(super) use close::Close;
pub(super) use ends::Ends;
pub(super) use forms::{Form, forms, off_from, resets_in_question, signed};
pub(super) use frames::{Frames, Pos, ProbeRun, ResendRun, Seg, ZeroWindow};
pub(super) use hidden::Unseen;
pub(super) use lanes::{Doubt, Lane, Work, frames_of};
pub(super) use shared::Shared;
pub(super) use streams::{
    CONTROL, Streams, TailKind, TailPart, end_of, first_frame_reaching, start_of,
};
pub use views::BothEnds;
pub(super) use walk::Walker;

/// How far a connection came before it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// No payload yet.
    Connect,
    /// PRELOGIN was sent.
    Prelogin,
    /// The TLS handshake began.
    Tls,
    /// LOGIN7 was sent, or what must be it inside TLS.
    Login,
    /// Logged in, or joined later.
    Ready,
}

impl Stage {
    pub fn word(self) -> &'static str {
        match self {
            Self::Connect => "TCP handshake",
            Self::Prelogin => "PRELOGIN",
            Self::Tls => "TLS handshake",
            Self::Login => "login",
            Self::Ready => "after login",
        }
    }
}

/// The facts of one connection.
#[derive(Debug)]
pub struct Facts<'a> {
    pub(super) store: &'a Store,
    pub(super) settings: &'a Settings,
    pub(super) conn: &'a ConnRow,
    pub(super) shared: &'a Shared,
    /// What the files of both ends tell, where both are there.
    pub(super) ends: Ends,
    pub(super) frames: &'a Frames,
    pub(super) streams: Streams,
    pub(super) close: Close,
    pub(super) lanes: Vec<Lane<'a>>,
    /// Ends of what both sides are known to have sent.
    pub(super) known_end: PerSide<Pos>,
    /// The server's stream behind its last data, up to the last byte that is known of.
    pub(super) tail: Vec<TailPart>,
    pub(super) stage: Stage,
    /// Everything behind the login is encrypted.
    pub(super) encrypted: bool,
    /// The conditions of the benign close, once they were asked for.
    pub(super) mars_conditions: OnceCell<Vec<Applied>>,
    /// The form of each reset in question, once they were asked for.
    forms: OnceCell<Vec<Form>>,
    /// The clocks of several points, once a time was asked for.
    clocks: OnceCell<Box<Clocks>>,
}

impl<'a> Facts<'a> {
    /// Works out the facts of a connection; the walk over its frames is the walker's next.
    pub(super) fn new(
        store: &'a Store,
        conn: &'a ConnRow,
        settings: &'a Settings,
        shared: &'a Shared,
        walker: &'a mut Walker,
    ) -> Self {
        let sessions = sessions::read(store, conn);
        let streams = streams::read(store, conn, &sessions);
        // Without SMP:FINs all that closes on the client's side stands behind its FIN.
        let client = streams.axes.get(Side::Client);
        let behind_fin = client.map_or(Pos::MAX, |axis| axis.end().saturating_add(1));
        let from = PerSide([streams.c0.unwrap_or(behind_fin), streams.b]);
        let ends = ends::read(store, conn, &streams.axes, settings);
        let frames = walker.walk(
            store,
            conn,
            frames::Scale {
                axes: &streams.axes,
                ends: &ends,
            },
            from,
            settings.get(Threshold::SlowAck),
        );
        let close = close::read(store, conn, frames, &streams, &ends, settings);
        let known_end = known_end(frames, &streams);
        let encrypted = matches!(conn.encryption, Some(Encryption::Full | Encryption::Strict))
            && !conn.smp_seen;
        let bounds = lanes::Bounds {
            reached: close.reached,
            ended_in: close
                .ender
                .filter(|(side, _)| *side == Side::Server && !close.unsure)
                .map(|(_, seg)| seg.no),
            axes: &streams.axes,
            hidden: &streams.hidden,
            decoded_end: streams.decoded_end,
            begun: streams.client_begun.as_ref(),
            known_end: known_by_resets(frames, known_end),
            from_start: conn.from_start(),
        };
        let mut lanes = lanes::read(store, conn, &sessions, bounds);
        if encrypted {
            for lane in &mut lanes {
                lane.work = Work::Unknown(Doubt::Encrypted);
            }
        }
        let tail = streams.tail(*known_end.get(Side::Server));
        let gap = Side::BOTH.into_iter().any(|side| {
            conn.tcp.get(conn.end_of(side)).missing_bytes > 0
                || known_end.get(side) > streams.decoded_end.get(side)
        });
        let unread = !streams.hidden.get(Side::Client).is_empty();
        // What the file lacks, or is cut off, may be the login and all that followed it.
        let stage = match stage(conn, encrypted, frames) {
            early if (gap || unread) && early > Stage::Connect => Stage::Ready,
            stage => stage,
        };
        Self {
            store,
            settings,
            conn,
            shared,
            ends,
            frames,
            streams,
            close,
            lanes,
            known_end,
            tail,
            stage,
            encrypted,
            mars_conditions: OnceCell::new(),
            forms: OnceCell::new(),
            clocks: OnceCell::new(),
        }
    }

    /// Nanoseconds from one frame of the connection to another, if one clock saw both: the clocks of two hosts may be
    /// seconds apart.
    pub(super) fn between(&self, from: FrameNo, to: FrameNo) -> Option<i64> {
        Some(self.span(from, to)?.ns)
    }

    /// The same, with the clock that it is taken by: if it can be, the one near the sender of the first frame, who waits
    /// for all of it.
    pub(super) fn span(&self, from: FrameNo, to: FrameNo) -> Option<Span> {
        self.span_near(from, to, from)
    }

    /// Whether a frame of the connection stands before another, as a point saw them that saw both: the order of several
    /// files' frames is that of their clocks.
    pub(super) fn precedes(&self, first: FrameNo, second: FrameNo) -> Option<bool> {
        if !self.conn.copied {
            return Some(first < second);
        }
        let clock = self.span_near(first, second, second)?.clock;
        Some(self.seen(first, clock)?.0 < self.seen(second, clock)?.0)
    }

    /// The period with a window of 0 in which a reset stands.
    pub(super) fn window_closed_at(&self, reset: FrameNo) -> Option<&ZeroWindow> {
        let before = |seg: &Seg| self.precedes(seg.no, reset);
        self.frames.zero_windows.iter().find(|zero| {
            let opened = zero.opened.as_ref().and_then(before);
            before(&zero.start) != Some(false) && opened != Some(true)
        })
    }

    /// Nanoseconds that the sender of a frame let pass since another: by the clock, if it can be, near that sender.
    pub(super) fn passed_since(&self, from: FrameNo, to: FrameNo) -> Option<i64> {
        Some(self.span_near(from, to, to)?.ns)
    }

    /// Nanoseconds from a frame to one that it may have provoked: by the clock, if it can be, near the sender of that,
    /// to whom nothing counts that came behind it there.
    pub(super) fn provoked_after(&self, from: FrameNo, to: FrameNo) -> Option<i64> {
        let ns = self.passed_since(from, to)?;
        self.precedes(from, to)?.then_some(ns)
    }

    /// As [`Self::span`], by the clock near the sender of a frame.
    fn span_near(&self, from: FrameNo, to: FrameNo, near: FrameNo) -> Option<Span> {
        if self.conn.copied {
            let sender = self.conn.side_of(self.store.frame(near)?.end());
            return self.clocks().span(from, to, sender);
        }
        let time = |no| self.store.time_of(no);
        Some(Span {
            clock: Clock::Only,
            ns: time(to)?.since(time(from)?),
        })
    }

    /// A frame of the connection, or its copy, and when it was seen by a clock.
    pub(super) fn seen(&self, no: FrameNo, clock: Clock) -> Option<(FrameNo, Nanos)> {
        match clock {
            Clock::Only => Some((no, self.store.time_of(no)?)),
            Clock::Near(_) | Clock::Of(_) => self.clocks().seen(no, clock),
        }
    }

    /// Nanoseconds from a frame of the connection to the end of the capture by the same clock.
    pub(super) fn to_file_end(&self, from: FrameNo) -> Option<i64> {
        let row = self.store.frame(from)?;
        let end = if self.conn.copied {
            let end = self.shared.ends_at.get(&row.interface);
            end.copied()
        } else {
            self.shared.file_end
        };
        Some(end?.since(row.time))
    }

    /// Nanoseconds from a frame of the connection to its last one by the same clock.
    pub(super) fn to_last_frame(&self, from: FrameNo) -> Option<i64> {
        let row = self.store.frame(from)?;
        let last = self.store.last_seen(self.conn, row.interface)?;
        Some(last.since(row.time))
    }

    /// The smallest round trip of a side's data, by one clock.
    pub(super) fn round_trip(&self, side: Side) -> Option<i64> {
        if self.conn.copied {
            *self.frames.round_trip.get(side)
        } else {
            let end = self.conn.end_of(side);
            self.conn.tcp.get(end).round_trip_ns
        }
    }

    fn clocks(&self) -> &Clocks {
        let axes = &self.streams.axes;
        let read = || Box::new(Clocks::read(self.store, self.conn, axes, &self.ends));
        self.clocks.get_or_init(read)
    }

    /// What the SMP checks found on this connection.
    pub(super) fn violations(&self) -> impl Iterator<Item = &'a ViolationRow> {
        let all = self.store.violations();
        self.shared
            .violations_of(self.conn.id)
            .iter()
            .filter_map(|at| all.get(*at))
    }

    /// The last life of each Sid, and the lane without Sids.
    pub(super) fn last_lives(&self) -> impl Iterator<Item = &Lane<'a>> + Clone {
        self.lanes.iter().filter(|lane| lane.last_life)
    }

    /// The sessions that the client left open.
    pub(super) fn left_open(&self) -> impl Iterator<Item = &Lane<'a>> {
        self.last_lives()
            .filter(|lane| lane.session.is_some() && lane.client_fin.is_none())
    }

    /// The lanes with something outstanding for certain.
    pub(super) fn outstanding(&self) -> impl Iterator<Item = &Lane<'a>> {
        self.last_lives()
            .filter(|lane| matches!(lane.work, Work::Request | Work::Attention))
    }

    /// Whether every lane is known to have nothing outstanding.
    pub(super) fn all_answered(&self) -> bool {
        self.last_lives()
            .all(|lane| matches!(lane.work, Work::Answered | Work::Unused))
    }

    /// Whether it is known of every lane if something is outstanding.
    pub(super) fn knows_all_work(&self) -> bool {
        self.last_lives()
            .all(|lane| !matches!(lane.work, Work::Unknown(_)))
    }

    /// Bytes of either side that the file does not hold.
    pub(super) fn missing_bytes(&self) -> u64 {
        let missing = |side| self.conn.tcp.get(self.conn.end_of(side)).missing_bytes;
        missing(Side::Client).saturating_add(missing(Side::Server))
    }

    /// Whether only one direction of the connection is in the file although the other exists.
    pub(super) fn one_direction(&self) -> bool {
        let bytes = |side| self.conn.tcp.get(self.conn.end_of(side)).bytes;
        Side::BOTH.into_iter().any(|side| {
            let acked = *self.frames.acked.get(side.other());
            // Who asks something has logged in, and the server has answered that.
            let answered =
                side == Side::Server && self.conn.from_start() && self.stage == Stage::Ready;
            bytes(side) == 0
                && bytes(side.other()) > 0
                && (self.conn.tcp.get(self.conn.end_of(side)).frames == 0
                    || acked.is_some_and(|acked| acked > 1)
                    || answered)
        })
    }

    /// Whether both PRELOGINs (or a login without SMP behind it) say that MARS is off.
    pub(super) fn mars_known_off(&self) -> bool {
        self.conn.mars == Some(false) && !self.conn.smp_seen
    }

    /// The client is known, not assumed.
    pub(super) fn client_known(&self) -> bool {
        self.conn.client_evidence.is_some()
    }

    /// The last request of every lane that has one, for texts.
    pub(super) fn last_requests(&self) -> FxHashMap<Option<SessionId>, RequestRow> {
        self.store
            .conn_requests(self.conn.id)
            .map(|request| (request.session, request))
            .collect()
    }

    /// Nothing but control packets, holes and the FIN stand in the tail.
    pub(super) fn tail_fins(&self) -> impl Iterator<Item = &TailPart> {
        self.tail.iter().filter(|part| part.is_fin())
    }
}

/// Up to which position each side is known to have sent, by its own segments and by the peer's acknowledgements.
fn known_end(frames: &Frames, streams: &Streams) -> PerSide<Pos> {
    PerSide(Side::BOTH.map(|side| {
        let fin = frames.fins_of(side).map(|fin| fin.end).max();
        let sent = *frames.sent_end.get(side);
        let decoded = *streams.decoded_end.get(side);
        let acked = frames
            .acked
            .get(side.other())
            // The FIN itself takes a number.
            .map(|acked| fin.map_or(acked, |fin| acked.min(fin)));
        let own = sent.max(fin).unwrap_or(0).max(decoded);
        // A reset's number tells of bytes too, where no FIN says how many there are; one of them may be the FIN.
        let by_reset = frames
            .rsts
            .iter()
            .filter(|reset| reset.side == side && fin.is_none())
            .map(|reset| reset.pos)
            .max();
        let acked = acked.max(by_reset);
        match acked {
            // One more than was sent is an acknowledgement of a FIN that is not in the file.
            Some(acked) if acked > own.saturating_add(1) => acked,
            _ => own,
        }
    }))
}

/// The same by all that is acknowledged: what a side's own reset acknowledges it had, though no other segment says so.
fn known_by_resets(frames: &Frames, known_end: PerSide<Pos>) -> PerSide<Pos> {
    PerSide(Side::BOTH.map(|side| {
        let sent = frames.sent_end.get(side.other());
        let resets = frames
            .rsts
            .iter()
            .filter(|reset| reset.side == side.other() && sent.is_none_or(|end| reset.pos >= end));
        let own = *known_end.get(side);
        let acked = resets.filter_map(|reset| reset.ack).max();
        // One more than was sent is an acknowledgement of a FIN that is not in the file.
        acked
            .filter(|acked| *acked > own.saturating_add(1))
            .unwrap_or(own)
    }))
}

fn stage(conn: &ConnRow, encrypted: bool, frames: &Frames) -> Stage {
    let logged_in = conn.login.as_ref().is_some_and(|login| login.accepted);
    let requests = Side::BOTH.into_iter().any(|side| {
        let tds = conn.tds.get(conn.end_of(side));
        tds.sql_batch + tds.rpc + tds.bulk_load + tds.transaction_manager + tds.attention > 0
    });
    let server_sent = conn.tcp.get(conn.end_of(Side::Server)).bytes;
    if logged_in || requests || conn.smp_seen || !conn.from_start() {
        return Stage::Ready;
    }
    let login = conn.login.as_ref().is_some_and(|l| l.login_frame.is_some());
    if encrypted && login && answered_in_tls(conn, frames) {
        return Stage::Ready;
    }
    if login {
        return Stage::Login;
    }
    if conn.tls.as_ref().is_some_and(|t| t.client_hello.is_some()) {
        return Stage::Tls;
    }
    if conn.prelogin.client_frame.is_some() {
        return Stage::Prelogin;
    }
    let silent = server_sent == 0 && conn.tcp.get(conn.end_of(Side::Client)).bytes == 0;
    if silent { Stage::Connect } else { Stage::Ready }
}

/// Inside TLS a login that was answered, and went on, is taken for accepted: the client sent more behind the answer.
fn answered_in_tls(conn: &ConnRow, frames: &Frames) -> bool {
    let login = conn.login.as_ref().and_then(|l| l.login_frame);
    let client = frames.last_payload.get(Side::Client).map(|seg| seg.no);
    let server = frames.last_payload.get(Side::Server).map(|seg| seg.no);
    login
        .zip(client)
        .zip(server)
        .is_some_and(|((login, client), server)| client > login && server > login)
}
