//! In which order the other end saw the frames: inferred from acknowledgement numbers, each step with its reason.

use rustc_hash::FxHashMap;

use crate::store::{Finding, FrameFlags, Store, View};
use crate::units::{ConnId, FrameNo, Side, TcpSeq};

/// One frame in the order of the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The frame, by its number in this capture.
    pub frame: FrameNo,
    /// Whether numbers prove its place; else it follows from the frames before and behind it.
    pub known: bool,
    /// Why it stands here.
    pub reason: String,
}

/// The order in this capture and the order at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TwoOrders {
    /// The side that the capture was taken at, or that it is read from.
    pub here: Side,
    /// As captured.
    pub captured: Vec<FrameNo>,
    /// As the other end must have seen it.
    pub inferred: Vec<Step>,
}

/// A frame as far as its order matters.
#[derive(Debug, Clone, Copy)]
struct Piece {
    no: FrameNo,
    side: Side,
    start: TcpSeq,
    next: TcpSeq,
    ack: Option<TcpSeq>,
    bare_reset: bool,
}

/// The side that a capture shows: the one it was taken on; in between and where nothing tells, the server's.
pub fn captured_side(store: &Store) -> Side {
    match store.view().0 {
        View::Client => Side::Client,
        View::Server | View::Middle | View::Unknown => Side::Server,
    }
}

/// The order at the other end for some frames of a connection, given at which side they were captured.
pub fn at_other_end(
    store: &Store,
    conn: ConnId,
    frames: &[FrameNo],
    here: Side,
) -> Option<TwoOrders> {
    let row = store.conn(conn)?;
    let mut captured: Vec<FrameNo> = frames.to_vec();
    captured.sort_unstable();
    captured.dedup();
    let pieces: Vec<Piece> = captured
        .iter()
        .filter_map(|no| {
            let frame = store.frame(*no).filter(|f| f.conn == Some(conn))?;
            let flags = frame.tcp_flags;
            Some(Piece {
                no: *no,
                side: row.side_of(frame.end()),
                start: frame.seq,
                next: frame.next_seq(),
                ack: flags.ack().then_some(frame.ack),
                bare_reset: flags.rst() && !flags.ack(),
            })
        })
        .collect();
    let inferred = infer(&pieces, here);
    Some(TwoOrders {
        here,
        captured: pieces.iter().map(|p| p.no).collect(),
        inferred,
    })
}

/// The two orders of the frames that a finding names, from where the capture was taken; `None` where the other end's
/// frames are in the capture too, and nothing is to be inferred.
pub fn of_finding(store: &Store, finding: &Finding) -> Option<TwoOrders> {
    let frames = finding.frames();
    if at_several_points(store, &frames) {
        return None;
    }
    at_other_end(store, finding.conn?, &frames, captured_side(store))
}

/// Whether frames come from several interfaces, some of them copies of others.
fn at_several_points(store: &Store, frames: &[FrameNo]) -> bool {
    let mut interfaces = Vec::new();
    let mut copies = false;
    for row in frames.iter().filter_map(|no| store.frame(*no)) {
        if !interfaces.contains(&row.interface) {
            interfaces.push(row.interface);
        }
        copies |= row.flags.has(FrameFlags::DUPLICATE);
    }
    copies && interfaces.len() > 1
}

impl TwoOrders {
    /// Whether the other end saw the frames in another order than the capture shows.
    pub fn differ(&self) -> bool {
        !self
            .captured
            .iter()
            .eq(self.inferred.iter().map(|step| &step.frame))
    }
}

/// Merges what the other end sent, in its own order, with what arrived there, in the order it was sent here.
fn infer(pieces: &[Piece], here: Side) -> Vec<Step> {
    let there = here.other();
    let sent_there: Vec<&Piece> = pieces.iter().filter(|p| p.side == there).collect();
    let arrived: Vec<&Piece> = pieces.iter().filter(|p| p.side == here).collect();
    let answers = answered_by_resets(&sent_there, &arrived);
    let mut out = Vec::with_capacity(pieces.len());
    let mut next_arrival = 0;
    for piece in &sent_there {
        let answer = answers.get(&piece.no);
        while let Some(next) = arrived.get(next_arrival) {
            let step = match answer {
                Some(answer) if next_arrival <= answer.at => Some(answer.step(next, piece)),
                Some(_) => None,
                None => arrives_before(next, piece),
            };
            let Some(step) = step else { break };
            out.push(step);
            next_arrival = next_arrival.saturating_add(1);
        }
        out.push(Step {
            frame: piece.no,
            known: true,
            reason: format!(
                "sent by the {}, in the order of its own stream",
                there.word()
            ),
        });
    }
    for rest in arrived.get(next_arrival..).unwrap_or_default() {
        out.push(arrives_last(rest, sent_there.last().copied(), there));
    }
    out
}

/// The arrival that a reset without ACK flag answers.
#[derive(Debug, Clone, Copy)]
struct Answer {
    /// Its place among the arrivals.
    at: usize,
    frame: FrameNo,
    /// No other arrival has this acknowledgement number.
    only_one: bool,
}

impl Answer {
    fn step(&self, next: &Piece, reset: &Piece) -> Step {
        if next.no != self.frame {
            return Step {
                frame: next.no,
                known: self.only_one,
                reason: format!(
                    "sent before frame {}, which the reset in frame {} answers",
                    self.frame, reset.no
                ),
            };
        }
        Step {
            frame: next.no,
            known: self.only_one,
            reason: format!(
                "acknowledges {}, the number of the reset in frame {} that answers it",
                reset.start, reset.no
            ),
        }
    }
}

/// A reset without ACK flag takes its number from the acknowledgement of the segment that it answers. Where several
/// segments acknowledge the same, the resets with that number answer them in turn.
fn answered_by_resets(sent_there: &[&Piece], arrived: &[&Piece]) -> FxHashMap<FrameNo, Answer> {
    let mut by_number: FxHashMap<u32, Vec<usize>> = FxHashMap::default();
    for (at, piece) in arrived.iter().enumerate() {
        if let Some(ack) = piece.ack {
            by_number.entry(ack.0).or_default().push(at);
        }
    }
    let mut used: FxHashMap<u32, usize> = FxHashMap::default();
    let mut out = FxHashMap::default();
    for reset in sent_there.iter().filter(|p| p.bare_reset) {
        let turn = used.entry(reset.start.0).or_default();
        let candidates = by_number.get(&reset.start.0).map_or(&[][..], Vec::as_slice);
        if let Some(at) = candidates.get(*turn)
            && let Some(piece) = arrived.get(*at)
        {
            let answer = Answer {
                at: *at,
                frame: piece.no,
                only_one: candidates.len() == 1,
            };
            out.insert(reset.no, answer);
        }
        *turn = turn.saturating_add(1);
    }
    out
}

/// A frame that arrived behind all that the other end sent, and why.
fn arrives_last(rest: &Piece, last: Option<&Piece>, there: Side) -> Step {
    let step = |known, reason| Step {
        frame: rest.no,
        known,
        reason,
    };
    let Some(last) = last else {
        let reason = format!("the {} sent nothing in this range", there.word());
        return step(false, reason);
    };
    if last.next != last.start && rest.ack.is_some_and(|ack| last.next.at_or_before(ack)) {
        let reason = format!(
            "acknowledges {}, the end of frame {}: it was sent in answer to it",
            last.next, last.no
        );
        return step(true, reason);
    }
    if rest.bare_reset && last.ack == Some(rest.start) {
        let reason = format!(
            "its number is what frame {} acknowledges: it answers it",
            last.no
        );
        return step(true, reason);
    }
    match last.ack {
        Some(ack) if rest.next != rest.start && ack.before(rest.next) => step(
            true,
            format!(
                "ends at {}, and frame {}, the last of the {}, acknowledges only {ack}",
                rest.next,
                last.no,
                there.word()
            ),
        ),
        _ => step(
            false,
            "sent behind the frames before it, and nothing tells that it overtook them".to_owned(),
        ),
    }
}

/// Whether a frame arrived before the other end sent a piece, and why; `None` if it arrived later.
fn arrives_before(next: &Piece, piece: &Piece) -> Option<Step> {
    let ack = piece.ack?;
    if next.next != next.start {
        return next.next.at_or_before(ack).then(|| Step {
            frame: next.no,
            known: true,
            reason: format!(
                "ends at {}, and frame {} acknowledges {ack}: it had arrived before",
                next.next, piece.no
            ),
        });
    }
    // Without payload nothing acknowledges it; it comes no earlier than what it acknowledges was sent.
    let answers_piece = next
        .ack
        .is_some_and(|own| piece.next != piece.start && piece.next.at_or_before(own));
    (!answers_piece && next.start.before(ack)).then(|| Step {
        frame: next.no,
        known: false,
        reason: format!(
            "carries nothing; it was sent before bytes that frame {} acknowledges",
            piece.no
        ),
    })
}
