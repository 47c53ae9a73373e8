//! In which order the other end saw the frames: inferred from acknowledgement numbers, each step with its reason.

use crate::store::{Store, View};
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

/// Merges what the other end sent, in its own order, with what arrived there, in the order it was sent here.
fn infer(pieces: &[Piece], here: Side) -> Vec<Step> {
    let there = here.other();
    let sent_there: Vec<&Piece> = pieces.iter().filter(|p| p.side == there).collect();
    let arrived: Vec<&Piece> = pieces.iter().filter(|p| p.side == here).collect();
    let mut out = Vec::with_capacity(pieces.len());
    let mut waiting = arrived.into_iter().peekable();
    for (at, piece) in sent_there.iter().enumerate() {
        while let Some(next) = waiting.peek() {
            let Some(step) =
                arrives_before(next, piece, sent_there.get(at..).unwrap_or(&[]), there)
            else {
                break;
            };
            out.push(step);
            waiting.next();
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
    for rest in waiting {
        let last = sent_there.iter().rev().find_map(|p| p.ack);
        let covered = last.is_some_and(|ack| rest.next.at_or_before(ack));
        out.push(Step {
            frame: rest.no,
            known: !covered && last.is_some() && rest.next != rest.start,
            reason: match last {
                Some(ack) if rest.next != rest.start => format!(
                    "ends at {}, and nothing of the {} acknowledges more than {ack}: it arrived after all of it",
                    rest.next,
                    there.word()
                ),
                _ => "nothing sent later by the other end tells; it arrived at the end".to_owned(),
            },
        });
    }
    out
}

/// Whether a frame arrived before the other end sent a piece, and why; `None` if it arrived later.
fn arrives_before(next: &Piece, piece: &Piece, later: &[&Piece], there: Side) -> Option<Step> {
    let empty = next.next == next.start;
    if let Some(ack) = piece.ack {
        if !empty {
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
        let answers_later = next
            .ack
            .is_some_and(|own| piece.next != piece.start && piece.next.at_or_before(own));
        return (!answers_later && next.start.before(ack)).then(|| Step {
            frame: next.no,
            known: false,
            reason: format!(
                "carries nothing; it was sent before bytes that frame {} acknowledges",
                piece.no
            ),
        });
    }
    if piece.bare_reset {
        // A reset without ACK flag takes its number from the segment that it answers.
        let answered = next.ack == Some(piece.start);
        if answered {
            return Some(Step {
                frame: next.no,
                known: true,
                reason: format!(
                    "acknowledges {}, the number of the reset in frame {} that answers it",
                    piece.start, piece.no
                ),
            });
        }
        let answered_by_later = later
            .iter()
            .skip(1)
            .any(|p| p.bare_reset && next.ack == Some(p.start));
        let acked_later = later.iter().skip(1).any(|p| {
            p.ack
                .is_some_and(|ack| !empty && next.next.at_or_before(ack))
        });
        return (!answered_by_later && !acked_later && empty).then(|| Step {
            frame: next.no,
            known: false,
            reason: format!(
                "stands before what the {} answers in frame {}",
                there.word(),
                piece.no
            ),
        });
    }
    None
}
