//! What TCP and the file show beside the close: closed windows, late acknowledgements, loss, missing bytes.

use super::stated;
use crate::decode::tds;
use crate::rules::catalogue::{
    FILE_GAP, MID_STREAM, NONSTANDARD_PORT, ONE_DIRECTION, ONE_WAY_LOSS, SEQ_REWRITTEN, SLOW_ACK,
    ZERO_WINDOW, count, duration,
};
use crate::rules::facts::{Facts, ResendRun};
use crate::rules::rule::{MOST_FRAMES, evidence};
use crate::rules::settings::Threshold;
use crate::store::{Exhibit, Finding, FrameFlags, Verdict, View};
use crate::units::Side;

pub(super) fn zero_windows(facts: &Facts<'_>) -> Option<Finding> {
    let limit = facts.settings.get(Threshold::ZeroWindow);
    let mut n = 0_usize;
    let mut longest: (i64, Side) = (0, Side::Client);
    let mut proof = Vec::new();
    for period in facts
        .frames
        .zero_windows
        .iter()
        .filter(|period| period.counts())
    {
        // A window that stays closed lasts to the end of the connection in the file.
        let length = match period.opened {
            Some(opened) => facts.between(period.start.no, opened.no),
            None => facts.to_last_frame(period.start.no),
        };
        let Some(length) = length.filter(|length| *length >= limit) else {
            continue;
        };
        n = n.saturating_add(1);
        if length > longest.0 {
            longest = (length, period.start.side);
        }
        if proof.len() < MOST_FRAMES {
            proof.push(evidence(
                period.start.no,
                format!("{} window 0", period.start.side.word()),
                match period.opened {
                    Some(opened) => format!("until frame {}, {}", opened.no, duration(length)),
                    None => format!("for {}, not opened again in the file", duration(length)),
                },
            ));
        }
    }
    (n > 0).then(|| {
        stated(
            facts,
            &ZERO_WINDOW,
            Verdict::Notice,
            format!(
                "TCP window 0 in {}, longest {} at the {}: it did not read what had arrived.",
                count(n, "period"),
                duration(longest.0),
                longest.1.word()
            ),
            proof,
        )
    })
}

pub(super) fn slow_acks(facts: &Facts<'_>) -> Option<Finding> {
    let all = &facts.frames.late_acks;
    let Some(longest) = all.iter().max_by_key(|late| late.after) else {
        return delayed_acks(facts);
    };
    let proof = all
        .iter()
        .take(MOST_FRAMES)
        .map(|late| {
            let fact = format!(
                "acknowledged in frame {} after {}",
                late.acked_in,
                duration(late.after)
            );
            evidence(
                late.data.no,
                format!("data of the {}", late.data.side.word()),
                fact,
            )
        })
        .collect();
    let sender = longest.data.side;
    let mut finding = stated(
        facts,
        &SLOW_ACK,
        Verdict::Notice,
        format!(
            "{} acknowledged late; the longest took {} for data of the {}.",
            count(all.len(), "segment"),
            duration(longest.after),
            sender.word()
        ),
        proof,
    );
    let (own, other) = (sender.word(), sender.other().word());
    let view = if facts.ends.both {
        // It is timed at the sender's end.
        match sender {
            Side::Client => View::Client,
            Side::Server => View::Server,
        }
    } else {
        facts.store.view().0
    };
    finding.notes.extend(match (view, sender) {
        (View::Client, Side::Client) | (View::Server, Side::Server) => Some(format!(
            "the file was taken at the {own}'s end: the time includes the way there and back"
        )),
        (View::Client, Side::Server) | (View::Server, Side::Client) => Some(format!(
            "the file was taken at the {other}'s own end: the data was there, and it was the {other} that did not acknowledge it (load, filter driver, virus scanner)"
        )),
        _ => None,
    });
    Some(finding)
}

/// Many acknowledgements about 200 ms behind their data: the receiver waits for a second segment that does not come.
fn delayed_acks(facts: &Facts<'_>) -> Option<Finding> {
    let (side, found) = Side::BOTH
        .map(|side| (side, facts.frames.delayed_acks.get(side)))
        .into_iter()
        .max_by_key(|(_, found)| found.count)?;
    let least = facts.settings.count(Threshold::DelayedAcks);
    let example = found.example.filter(|_| found.count >= least)?;
    let mut finding = stated(
        facts,
        &SLOW_ACK,
        Verdict::Notice,
        format!(
            "{} of the {} came about 200 ms after its data: delayed acknowledgements.",
            count(found.count, "acknowledgement"),
            side.word()
        ),
        vec![
            evidence(example.data.no, "data", ""),
            evidence(
                example.acked_in,
                "delayed acknowledgement",
                format!("{} later", duration(example.after)),
            ),
        ],
    );
    finding.notes.push(
        "harmless by itself; slow where the sender waits for it before it sends more (Nagle's algorithm)"
            .to_owned(),
    );
    Some(finding)
}

/// Data that one side sends again and again in vain while it goes on receiving new data from the other.
pub(super) fn one_way_loss(facts: &Facts<'_>) -> Option<Finding> {
    lost_between(facts).or_else(|| sent_in_vain(facts))
}

/// Frames in a row that one end's file shows and the other's does not.
fn lost_between(facts: &Facts<'_>) -> Option<Finding> {
    let row = facts.ends.lost.first()?;
    let most = MOST_FRAMES / 2;
    let lost = row.frames.iter().take(most);
    let lost = lost.map(|no| evidence(*no, "sent, not in the other end's file", ""));
    let arrived = row.arrived.iter().take(most);
    let arrived = arrived.map(|no| evidence(*no, "arrived meanwhile", ""));
    Some(stated(
        facts,
        &ONE_WAY_LOSS,
        Verdict::Fault,
        format!(
            "The {}'s file shows {} of it in a row, over {}, that never arrived at the {}, while {} of the {} came through: packets of one direction are lost.",
            row.side.word(),
            count(row.frames.len(), "frame"),
            duration(row.lasted),
            row.side.other().word(),
            row.arrived.len(),
            row.side.other().word()
        ),
        lost.chain(arrived).collect(),
    ))
}

/// The same as far as one end's file shows it.
fn sent_in_vain(facts: &Facts<'_>) -> Option<Finding> {
    let runs = facts.frames.resend_runs.iter().rev();
    let (run, meanwhile) = runs
        .filter(|run| {
            let acked = *facts.frames.acked.get(run.side.other());
            run.resent() >= 2 && acked.is_none_or(|acked| acked <= run.pos)
        })
        .find_map(|run| Some((run, came_meanwhile(facts, run)?)))?;
    let proof = run
        .segs
        .iter()
        .take(MOST_FRAMES)
        .map(|seg| {
            evidence(
                seg.no,
                "sent again, never acknowledged",
                format!("Seq {}", seg.seq),
            )
        })
        .collect();
    Some(stated(
        facts,
        &ONE_WAY_LOSS,
        Verdict::Fault,
        format!(
            "The {} sent the same data again {} times in vain, while {meanwhile}: packets of one direction are lost.",
            run.side.word(),
            run.resent(),
        ),
        proof,
    ))
}

/// What shows that the other direction was open behind the begin of a run, in words: new data, or the same data again
/// and again, though they were acknowledged.
fn came_meanwhile(facts: &Facts<'_>, run: &ResendRun) -> Option<String> {
    let begin = run.segs.first()?.no;
    let (frames, peer) = (&facts.frames, run.side.other());
    let at = frames.resent.iter().position(|seg| seg.no == begin);
    let fresh = at.and_then(|at| frames.fresh_behind.get(at)).copied();
    if fresh.unwrap_or(0) >= 2 {
        return Some(format!("new data of the {} kept coming", peer.word()));
    }
    let acked = (*frames.acked.get(run.side))?;
    let again = frames
        .resent
        .iter()
        .filter(|seg| seg.side == peer && seg.no > begin && seg.len > 0 && seg.end <= acked);
    let again = again.count();
    // A few are lost in any bad network, on both ways.
    (again >= 2 && run.resent() >= facts.settings.count(Threshold::Retransmissions)).then(|| {
        format!(
            "the {} sent again {again} times what had been acknowledged",
            peer.word()
        )
    })
}

pub(super) fn one_direction(facts: &Facts<'_>) -> Option<Finding> {
    facts.one_direction().then(|| {
        stated(
            facts,
            &ONE_DIRECTION,
            Verdict::Notice,
            "Only one direction of this connection is in the file.".to_owned(),
            vec![evidence(facts.conn.first_frame, "first frame", "")],
        )
    })
}

pub(super) fn file_gap(facts: &Facts<'_>) -> Option<Finding> {
    let missing = facts.missing_bytes();
    (missing > 0 && !facts.one_direction()).then(|| {
        stated(
            facts,
            &FILE_GAP,
            Verdict::Notice,
            format!("{missing} bytes of this connection are not in the file."),
            gaps(facts),
        )
    })
}

/// The first frames that show bytes to be missing before them; the connection's first frame if only its end does.
fn gaps(facts: &Facts<'_>) -> Vec<Exhibit> {
    let mut frames = Vec::new();
    facts.store.each_conn_frame_back(facts.conn.id, |no, row| {
        if row.flags.has(FrameFlags::GAP_BEFORE) {
            frames.push(no);
        }
        true
    });
    if frames.is_empty() {
        return vec![evidence(facts.conn.first_frame, "first frame", "")];
    }
    let first = frames.into_iter().rev().take(MOST_FRAMES);
    first
        .map(|no| evidence(no, "bytes missing before it", ""))
        .collect()
}

pub(super) fn joined_late(facts: &Facts<'_>) -> Option<Finding> {
    (!facts.conn.from_start()).then(|| {
        stated(
            facts,
            &MID_STREAM,
            Verdict::Normal,
            "The file begins after this connection was opened.".to_owned(),
            vec![evidence(facts.conn.first_frame, "first frame", "")],
        )
    })
}

pub(super) fn numbers_rewritten(facts: &Facts<'_>) -> Option<Finding> {
    facts.conn.apart.map(|_| {
        stated(
            facts,
            &SEQ_REWRITTEN,
            Verdict::Normal,
            "Another capture point shows these ends with other sequence numbers: a device between rewrites them, and each point's frames are a connection of their own here.".to_owned(),
            vec![evidence(facts.conn.first_frame, "first frame with these numbers", "")],
        )
    })
}

pub(super) fn other_port(facts: &Facts<'_>) -> Option<Finding> {
    let port = facts.conn.endpoint(Side::Server).port;
    (port != tds::PORT && !facts.conn.is_sybase()).then(|| {
        stated(
            facts,
            &NONSTANDARD_PORT,
            Verdict::Normal,
            format!("SQL Server answers on port {port}."),
            vec![evidence(facts.conn.first_frame, "first frame", "")],
        )
    })
}
