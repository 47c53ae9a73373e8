//! Who ended the connection, with which FINs and resets, and which resets had no part in it.

use std::cell::OnceCell;

use rustc_hash::FxHashMap;

use super::ends::{Ends, PerPoint, Point};
use super::frames::{Frames, Pos, Ruler, Scale, Seg};
use super::streams::{CONTROL, Streams};
use crate::rules::settings::{Settings, Threshold};
use crate::store::{ConnRow, FrameFlags, PduKind, Store, TcpFlags};
use crate::units::{FrameNo, PerSide, Side, TcpSeq};

/// A reset that had no effect: its alleged sender went on.
#[derive(Debug, Clone, Copy)]
pub(in crate::rules) struct Ignored {
    pub reset: Seg,
    /// The later segment of the same sender.
    pub later: FrameNo,
}

/// A reset of a server that had nothing left to reset.
#[derive(Debug, Clone, Copy)]
pub(in crate::rules) struct Echo {
    pub reset: Seg,
    /// The segment of the client that it answers.
    pub answers: FrameNo,
}

/// How the connection ended.
#[derive(Debug, Default)]
pub(in crate::rules) struct Close {
    /// The client's FIN segments, in file order.
    pub tf: Vec<Seg>,
    /// Number of the client's FIN, as a position of its stream.
    pub f: Option<Pos>,
    /// Two FINs of the client have different numbers.
    pub two_fins: bool,
    /// The smallest acknowledgement of the client's FIN segments.
    pub a: Option<Pos>,
    pub server_fins: Vec<Seg>,
    /// The client's resets that the close is judged by, in file order.
    pub resets: Vec<Seg>,
    /// The server's resets, in file order.
    pub server_resets: Vec<Seg>,
    /// The frames of all resets of both sides that belong to the close, in file order.
    pub reset_frames: Vec<FrameNo>,
    /// The server's resets to segments of the client that came when both ends had closed: copies that the network made,
    /// or segments that others overtook. They have no part in the close.
    pub echoes: Vec<Echo>,
    pub ignored: Vec<Ignored>,
    /// The client's resets to a server that answered its SYN with the numbers of an earlier connection.
    pub earlier: Vec<Seg>,
    /// Resets with another sender's time to live.
    pub foreign: Vec<Seg>,
    /// A reset that no number of either side explains (condition 3 of `rst-middlebox`).
    pub stray: Option<Seg>,
    /// Who ended the connection, and the segment that did (for a foreign reset, who it says it is).
    pub ender: Option<(Side, Seg)>,
    /// The server's FIN acknowledges bytes of the client that are not in the file; one of them may be a FIN.
    pub unsure: bool,
    /// Position in the server's stream up to which the client had everything when it closed.
    pub reached: Option<Pos>,
}

impl Close {
    /// The first reset in file order, of either side.
    pub fn first_reset(&self) -> Option<&Seg> {
        self.resets
            .iter()
            .chain(&self.server_resets)
            .min_by_key(|seg| seg.no)
    }

    /// Whether a reset of foreign origin ended the connection.
    pub fn ended_by_foreign(&self) -> bool {
        self.ender
            .is_some_and(|(_, seg)| self.foreign.iter().any(|f| f.no == seg.no))
    }

    /// Which side closed first, foreign resets left aside.
    pub fn closed_by(&self, side: Side) -> bool {
        self.ender.is_some_and(|(ender, _)| ender == side)
            && !self.ended_by_foreign()
            && !self.unsure
    }

    /// The client's FIN that was sent without the server's FIN that ended the connection: neither knew of the other.
    pub fn crossing(&self, side: Side, ender: &Seg) -> Option<&Seg> {
        let server_fin = side == Side::Server && ender.flags.fin();
        let without = |fin: &&Seg| fin.ack.is_some_and(|ack| ack <= ender.end);
        self.tf.iter().find(without).filter(|_| server_fin)
    }

    /// The client's reset with ACK flag, if there is one.
    pub fn abort(&self) -> Option<&Seg> {
        self.resets.iter().find(|seg| seg.flags.ack())
    }
}

/// Finds out who closed and how.
pub(super) fn read(
    store: &Store,
    conn: &ConnRow,
    frames: &Frames,
    streams: &Streams,
    ends: &Ends,
    settings: &Settings,
) -> Close {
    let scale = Scale {
        axes: &streams.axes,
        ends,
    };
    let mut close = Close {
        tf: frames.fins_of(Side::Client).copied().collect(),
        server_fins: frames.fins_of(Side::Server).copied().collect(),
        ..Close::default()
    };
    close.f = close.tf.first().map(|fin| fin.end);
    close.two_fins = close.tf.iter().any(|fin| Some(fin.end) != close.f);
    close.a = close.tf.iter().filter_map(|fin| fin.ack).min();
    let earlier = stale_answers(store, conn, frames);
    let later = LaterData::read(store, conn, frames, streams, scale);
    // How far each side had sent when it aborted, at each point.
    let mut sent: PerSide<PerPoint<Option<Pos>>> = PerSide::default();
    for reset in &frames.rsts {
        if answers_earlier(store, reset, conn, &earlier) {
            close.earlier.push(*reset);
            continue;
        }
        let foreign = is_foreign(reset, frames, ends, settings);
        let sent = sent.get_mut(reset.side).get_mut(reset.point);
        let went_on = later.after(store, conn, reset, *sent, foreign, scale);
        // Its receiver sent nothing but resets from then on: it had its effect.
        let deadly = is_deadly(reset, frames);
        match went_on {
            Some(later) if !(foreign && deadly) => close.ignored.push(Ignored {
                reset: *reset,
                later,
            }),
            _ if foreign => close.foreign.push(*reset),
            _ if let Some(answers) = answers_when_closed(reset, &close, frames) => {
                close.echoes.push(Echo {
                    reset: *reset,
                    answers,
                });
            }
            _ => {
                close.reset_frames.push(reset.no);
                if reset.flags.ack() {
                    *sent = (*sent).max(Some(reset.pos));
                }
                match reset.side {
                    Side::Client => close.resets.push(*reset),
                    Side::Server => close.server_resets.push(*reset),
                }
            }
        }
    }
    let stray = frames.rsts.iter().take(64).find(|r| {
        close.ignored.iter().all(|i| i.reset.no != r.no)
            && close.earlier.iter().all(|e| e.no != r.no)
            && is_stray(r, store, conn, frames, streams, scale)
    });
    close.stray = stray.copied();
    close.ender = ender(&close, streams, frames);
    close.reached = reached(&close);
    close.unsure = close.tf.is_empty()
        && close.ender.is_some_and(|(side, seg)| {
            let sent = frames.sent_end.get(Side::Client).to_owned().max(streams.e);
            side == Side::Server
                && seg.flags.fin()
                && seg.ack.is_none_or(|ack| sent.is_none_or(|sent| ack > sent))
        });
    close
}

/// What the server acknowledged, without SYN, before it answered the client's SYN: numbers of an earlier connection.
fn stale_answers(store: &Store, conn: &ConnRow, frames: &Frames) -> Vec<(FrameNo, TcpSeq)> {
    let (Some(syn), Some(reset)) = (conn.syn_frame, frames.rsts.first()) else {
        return Vec::new();
    };
    let first = conn.first_pdu.and_then(|id| store.pdu(id));
    let first = first.map(|pdu| pdu.first_frame);
    let begun = first.into_iter().chain(conn.syn_ack_frame).min();
    if begun.is_some_and(|begun| begun < reset.no) {
        return Vec::new();
    }
    let from = store.frame(syn).map(|row| row.seq.plus(1));
    let mut out = Vec::new();
    let mut next = Some(reset.no);
    for _ in 0..64 {
        let Some((no, row)) = next.and_then(|no| Some((no, store.frame(no)?))) else {
            break;
        };
        let server = conn.side_of(row.end()) == Side::Server;
        if server && row.is_tcp() && row.tcp_flags == TcpFlags::ACK && Some(row.ack) != from {
            out.push((no, row.ack));
        }
        next = row.prev.filter(|prev| *prev >= syn);
    }
    out
}

/// Whether a reset of the client answers one of those, or something of an earlier connection that came before the answer
/// to its SYN and is not in the file: by its number it is not this connection's.
fn answers_earlier(
    store: &Store,
    reset: &Seg,
    conn: &ConnRow,
    stale: &[(FrameNo, TcpSeq)],
) -> bool {
    if reset.side != Side::Client
        || reset.flags.ack()
        || conn.syn_ack_frame.is_some_and(|answer| answer < reset.no)
    {
        return false;
    }
    let answers_stale = stale
        .iter()
        .any(|(no, ack)| *no < reset.no && *ack == reset.seq);
    let isn = conn.syn_frame.and_then(|syn| store.frame(syn));
    answers_stale || isn.is_some_and(|syn| !reset.seq.is_near(syn.seq))
}

/// Whether another than its alleged sender made a reset: its time to live is not that of the sender's other segments,
/// or both ends' files show that neither end sent the reset that the other one got.
fn is_foreign(reset: &Seg, frames: &Frames, ends: &Ends, settings: &Settings) -> bool {
    if !settings.is_on("rst-middlebox") {
        return false;
    }
    if ends.neither_sent() && ends.unsent.get(reset.side).contains(&reset.no) {
        return true;
    }
    let limit = settings.get(Threshold::TtlDifference);
    frames
        .ttl_off_by(reset)
        .is_some_and(|off| i64::from(off) >= limit)
}

/// The segment of the client that a bare reset of the server answers, if both ends had closed and the server had the
/// acknowledgement of its FIN by then: its socket was gone (RFC 9293 3.5.2, group 1, and 3.6).
fn answers_when_closed(reset: &Seg, close: &Close, frames: &Frames) -> Option<FrameNo> {
    if reset.side != Side::Server || reset.flags.ack() {
        return None;
    }
    let before = |side| {
        let late = frames.late.get(side).iter();
        late.chain(frames.fins_of(side))
            .filter(|seg| seg.no < reset.no)
    };
    let has = |side: Side, fin: Pos| before(side.other()).any(|seg| seg.ack > Some(fin));
    let fin = close.server_fins.first()?;
    if !has(Side::Client, close.f?) || !has(Side::Server, fin.end) {
        return None;
    }
    let answered = before(Side::Client).filter(|seg| seg.ack == Some(reset.pos));
    answered.map(|seg| seg.no).max()
}

/// Whether the receiver of a reset sent nothing but resets from then on.
fn is_deadly(reset: &Seg, frames: &Frames) -> bool {
    let receiver = frames.last_sent_at(reset.side.other(), reset.point);
    receiver.is_none_or(|last| last < reset.no)
}

/// What each side sends behind the first reset, as highest values from each frame on. Where both ends' files are
/// there, a reset is compared with what its own file shows behind it; any other copy of a transmission does not count.
#[derive(Default)]
struct LaterData {
    /// Frames with more than SMP control packets, and the highest position in them and later ones.
    data: PerSide<PerPoint<Vec<(FrameNo, Pos)>>>,
    /// Frames, and the highest acknowledgement in them and later ones.
    acks: PerSide<PerPoint<Vec<(FrameNo, Pos)>>>,
}

impl LaterData {
    fn read(
        store: &Store,
        conn: &ConnRow,
        frames: &Frames,
        streams: &Streams,
        scale: Scale<'_>,
    ) -> Self {
        let mut out = Self::default();
        let Some(first) = frames.rsts.first() else {
            return out;
        };
        let originals = Originals::new(store, conn, frames, scale);
        let mut ruler = Ruler::new(scale);
        for (no, row) in store.conn_frames_back(conn.id) {
            if no <= first.no {
                break;
            }
            if !row.is_tcp() || row.tcp_flags.rst() || row.tcp_flags.syn() {
                continue;
            }
            let seg = ruler.seg(no, &row, conn.side_of(row.end()));
            let is_copy = row.flags.has(FrameFlags::DUPLICATE);
            if is_copy && seg.point == Point::Only {
                continue;
            }
            let in_stream = !row.flags.has(FrameFlags::NOT_IN_STREAM);
            if originals.is_asked_for(&seg) && in_stream {
                let no = if is_copy {
                    originals.of(&seg)
                } else {
                    Some(no)
                };
                let content = no.map_or(seg, |no| Seg { no, ..seg });
                if !only_control(store, conn, &content, streams) {
                    push_highest(
                        out.data.get_mut(seg.side).get_mut(seg.point),
                        seg.no,
                        seg.pos,
                    );
                }
            }
            if let Some(ack) = seg.ack {
                push_highest(out.acks.get_mut(seg.side).get_mut(seg.point), no, ack);
            }
        }
        for side in Side::BOTH {
            let data = out.data.get_mut(side).values_mut();
            data.chain(out.acks.get_mut(side).values_mut())
                .for_each(|list| list.reverse());
        }
        out
    }

    /// A segment with which the sender of a reset goes on behind it, and behind what it had `sent` when it aborted
    /// the connection, if it did so before: a segment of less was on its way already.
    fn after(
        &self,
        store: &Store,
        conn: &ConnRow,
        reset: &Seg,
        sent: Option<Pos>,
        foreign: bool,
        scale: Scale<'_>,
    ) -> Option<FrameNo> {
        let data = self.data.get(reset.side).get(reset.point);
        let from = sent.map_or(reset.pos, |sent| sent.max(reset.pos));
        let by_data = highest_behind(data, reset.no).filter(|(_, pos)| *pos >= from);
        if by_data.is_some() || !foreign {
            return by_data.map(|(no, _)| no);
        }
        let before = acknowledged_before(store, conn, reset, scale)?;
        highest_behind(self.acks.get(reset.side).get(reset.point), reset.no)
            .filter(|(_, ack)| *ack > before)
            .map(|(no, _)| no)
    }
}

/// Finds the frame whose bytes were decoded for a copy of it: a copy itself has no packets.
struct Originals<'a> {
    store: &'a Store,
    conn: &'a ConnRow,
    scale: Scale<'a>,
    /// No segment in front of the lowest reset of its side can tell that the side went on.
    from: PerSide<Option<Pos>>,
    /// By side and place in its stream; looked for once there is a copy.
    found: OnceCell<FxHashMap<(Side, Pos, Pos), FrameNo>>,
}

impl<'a> Originals<'a> {
    fn new(store: &'a Store, conn: &'a ConnRow, frames: &Frames, scale: Scale<'a>) -> Self {
        let mut from: PerSide<Option<Pos>> = PerSide::default();
        for reset in &frames.rsts {
            let from = from.get_mut(reset.side);
            *from = Some(from.map_or(reset.pos, |from| from.min(reset.pos)));
        }
        Self {
            store,
            conn,
            scale,
            from,
            found: OnceCell::new(),
        }
    }

    /// Whether a segment has payload that a reset of its side can be compared with.
    fn is_asked_for(&self, seg: &Seg) -> bool {
        seg.len > 0 && self.from.get(seg.side).is_some_and(|from| seg.pos >= from)
    }

    fn of(&self, copy: &Seg) -> Option<FrameNo> {
        let found = self.found.get_or_init(|| {
            let mut ruler = Ruler::new(self.scale);
            let mut found = FxHashMap::default();
            for (no, row) in self.store.conn_frames_back(self.conn.id) {
                let side = self.conn.side_of(row.end());
                if row.is_tcp() && !row.flags.has(FrameFlags::DUPLICATE) {
                    let seg = ruler.seg(no, &row, side);
                    if self.is_asked_for(&seg) {
                        found.insert((side, seg.pos, seg.end), no);
                    }
                }
            }
            found
        });
        found.get(&(copy.side, copy.pos, copy.end)).copied()
    }
}

/// Adds an earlier frame to a list from back to front, with the highest value from it on.
fn push_highest(list: &mut Vec<(FrameNo, Pos)>, no: FrameNo, value: Pos) {
    let highest = list.last().map_or(value, |(_, later)| value.max(*later));
    list.push((no, highest));
}

/// The first entry behind a frame; its value is the highest from there on.
fn highest_behind(list: &[(FrameNo, Pos)], no: FrameNo) -> Option<(FrameNo, Pos)> {
    let at = list.partition_point(|(frame, _)| *frame <= no);
    list.get(at).copied()
}

/// What the alleged sender of a reset had acknowledged before, by its last segments before it.
fn acknowledged_before(
    store: &Store,
    conn: &ConnRow,
    reset: &Seg,
    scale: Scale<'_>,
) -> Option<Pos> {
    let mut next = store.frame(reset.no)?.prev;
    for _ in 0..1000 {
        let no = next?;
        let row = store.frame(no)?;
        let side = conn.side_of(row.end());
        if side == reset.side && row.is_tcp() && row.tcp_flags.ack() && !row.tcp_flags.rst() {
            return Seg::new(no, &row, side, scale).ack;
        }
        next = row.prev;
    }
    None
}

/// Whether a segment carries nothing but SMP control packets, or bytes of the closing row of SMP:FINs. What cannot
/// be read of it, as bytes before that are not in the file, may be some where there are as many sessions.
fn only_control(store: &Store, conn: &ConnRow, seg: &Seg, streams: &Streams) -> bool {
    let closing = match seg.side {
        Side::Client => streams
            .c0
            .zip(streams.e)
            .is_some_and(|(c0, e)| seg.pos >= c0 && seg.end <= e),
        Side::Server => {
            seg.pos >= streams.b
                && streams
                    .tail_pdus
                    .iter()
                    .all(|pdu| pdu.kind.is_control() || pdu.kind == PduKind::Hidden)
                && seg.end <= *streams.decoded_end.get(Side::Server)
        }
    };
    if closing {
        return true;
    }
    let mut covered: Pos = 0;
    for (_, pdu) in store.pdus_in(seg.no) {
        if pdu.kind.is_control() {
            covered = covered.saturating_add(Pos::from(pdu.len));
        } else if pdu.kind != PduKind::Hidden {
            return false;
        }
    }
    let unread: Pos = (streams.hidden.get(seg.side).iter())
        .map(|(pos, len)| {
            let end = seg.end.min(pos.saturating_add(*len));
            end.saturating_sub(seg.pos.max(*pos))
        })
        .filter(|overlap| *overlap > 0)
        .sum();
    let packets = usize::try_from(unread / CONTROL).unwrap_or(usize::MAX);
    let may_be =
        unread % CONTROL == 0 && store.conn_sessions(conn.id).take(packets).count() == packets;
    may_be && covered.saturating_add(unread) >= Pos::from(seg.len)
}

/// Condition 3 of `rst-middlebox`: inside the receiver's window, but neither what its sender would send next, nor
/// what the peer acknowledged, nor a border between the sender's segments that the peer may have acknowledged.
fn is_stray(
    reset: &Seg,
    store: &Store,
    conn: &ConnRow,
    frames: &Frames,
    streams: &Streams,
    scale: Scale<'_>,
) -> bool {
    let side = reset.side;
    if conn.tcp.get(conn.end_of(side)).missing_bytes > 0 {
        return false;
    }
    // Mostly it is a border between segments of the close itself, which were kept.
    let at_border = |seg: &Seg| [seg.pos, seg.end, seg.next].contains(&reset.pos);
    if frames.late.get(side).iter().any(at_border) {
        return false;
    }
    let (mut window, mut rcv_nxt) = (None, None);
    let mut seen = 0_u32;
    for (no, row) in store.conn_frames_back(conn.id) {
        if !row.is_tcp() || row.tcp_flags.rst() {
            continue;
        }
        seen = seen.saturating_add(1);
        if seen > 4000 {
            break;
        }
        let seg = Seg::new(no, &row, conn.side_of(row.end()), scale);
        if seg.side == side {
            if at_border(&seg) {
                return false;
            }
        } else if let Some(ack) = seg.ack {
            if ack == reset.pos {
                return false;
            }
            if no < reset.no {
                rcv_nxt = rcv_nxt.max(Some(ack));
                if window.is_none() {
                    window = Some(Pos::from(seg.window));
                }
            }
        }
    }
    // Right behind the last byte stands the FIN, also where the file lacks it.
    let end = *frames.sent_end.get(side);
    if end.is_some_and(|end| reset.pos == end || reset.pos == end.saturating_add(1)) {
        return false;
    }
    // Beyond all that was sent it can be a frame that the file lacks, unless the FIN tells where the stream ends.
    let ended = frames.fins_of(side).next().is_some();
    if !ended && end.is_some_and(|end| reset.pos > end) {
        return false;
    }
    // A border of the closing row of SMP:FINs may have been acknowledged by a segment lost before the capture.
    let on_border = streams
        .client_fins
        .iter()
        .any(|fin| side == Side::Client && (fin.pos == reset.pos || fin.end == reset.pos));
    if on_border || end.is_none() {
        return false;
    }
    rcv_nxt.zip(window).is_some_and(|(nxt, window)| {
        reset.pos > nxt && reset.pos < nxt.saturating_add(window.max(1))
    })
}

/// Who ended the connection: the first FIN or reset, unless it only answers the client's.
fn ender(close: &Close, streams: &Streams, frames: &Frames) -> Option<(Side, Seg)> {
    // A foreign reset ended the connection if its receiver sent nothing but resets from then on.
    let deadly = close.foreign.iter().find(|reset| is_deadly(reset, frames));
    if let Some(reset) = deadly {
        return Some((reset.side, *reset));
    }
    let first = close
        .tf
        .iter()
        .chain(&close.server_fins)
        .chain(&close.resets)
        .chain(&close.server_resets)
        .min_by_key(|seg| seg.no)?;
    let tf = close.tf.iter().min_by_key(|seg| seg.no);
    // A server FIN sent without having the client's, or acknowledged by it, came first whatever the file's order.
    let blind = close.server_fins.iter().find(|fin| {
        let without = fin.ack.zip(close.f).is_some_and(|(ack, f)| ack <= f);
        without || close.a.is_some_and(|a| fin.end < a)
    });
    if let Some(fin) = blind.filter(|_| first.flags.fin()) {
        return Some((Side::Server, *fin));
    }
    // The same of a reset that acknowledges less than the client's FIN.
    let aborts = close.server_resets.iter().find(|reset| {
        let without = reset.ack.zip(close.f).is_some_and(|(ack, f)| ack <= f);
        without && close.tf.first().is_some_and(|tf| tf.no == first.no)
    });
    if let Some(reset) = aborts {
        return Some((Side::Server, *reset));
    }
    if first.side == Side::Server && first.flags.fin() {
        let answers_tf = tf.is_some() && first.ack > close.f && close.f.is_some();
        if answers_tf {
            return tf.map(|seg| (Side::Client, *seg));
        }
    }
    if first.side == Side::Server {
        // Where the client's FIN is not in the file, the server's acknowledgement may tell that it had one.
        let end = frames.sent_end.get(Side::Client).to_owned().max(streams.e);
        let end = end.filter(|_| tf.is_none());
        let behind_fin = end.map(|end| end.saturating_add(1));
        let earlier = frames.late.get(Side::Server).iter();
        let mut acks = earlier.filter(|seg| seg.no < first.no).chain([first]);
        let had_fin = behind_fin.is_some() && acks.any(|seg| seg.ack == behind_fin);
        let side = if had_fin { Side::Client } else { Side::Server };
        return Some((side, *first));
    }
    let bare = first.side == Side::Client && first.flags.rst() && !first.flags.ack();
    match tf {
        Some(tf) if bare => Some((Side::Client, *tf)),
        _ => Some((first.side, *first)),
    }
}

/// How much of the server's stream the client had when it closed.
fn reached(close: &Close) -> Option<Pos> {
    let (side, _) = close.ender?;
    if side == Side::Server {
        return None;
    }
    close
        .a
        .or_else(|| close.resets.iter().find_map(|reset| reset.ack))
}
