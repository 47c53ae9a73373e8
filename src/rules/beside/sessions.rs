//! Sessions beside the close: stalls, sessions closed or left open, packets against the specification.

use super::stated;
use crate::rules::catalogue::{
    MARS_SID_CLOSE, ORPHAN_SID, SMP_VIOLATION, WINDOW_STALL, count, duration, times,
};
use crate::rules::facts::{Facts, start_of};
use crate::rules::rule::{MOST_FRAMES, evidence};
use crate::rules::settings::Threshold;
use crate::store::{Confidence, Finding, PduRow, Severity, Verdict};
use crate::units::{FrameNo, Sid, Side};

pub(super) fn stalls(facts: &Facts<'_>) -> Option<Finding> {
    let limit = facts.settings.get(Threshold::WindowStall);
    let mut proof = Vec::new();
    let mut n = 0_u64;
    let mut total = 0_i64;
    let mut longest: (i64, Option<(Sid, Side)>) = (0, None);
    for session in facts.store.conn_sessions(facts.conn.id) {
        for side in Side::BOTH {
            let stall = session.stall(facts.conn.end_of(side));
            if stall.longest_ns < limit {
                continue;
            }
            n = n.saturating_add(u64::from(stall.count));
            total = total.saturating_add(stall.total_ns);
            if stall.longest_ns > longest.0 {
                longest = (stall.longest_ns, Some((session.sid, side)));
            }
            if let Some(frame) = stall.longest_frame.filter(|_| proof.len() < MOST_FRAMES) {
                proof.push(evidence(
                    frame,
                    format!("Sid {}: the {} may send again", session.sid, side.word()),
                    format!("after {}", duration(stall.longest_ns)),
                ));
            }
        }
    }
    let (sid, side) = longest.1?;
    let grave = longest.0 >= facts.settings.get(Threshold::WindowStallWarn);
    let much = if grave { "long " } else { "" };
    let mut finding = stated(
        facts,
        &WINDOW_STALL,
        Verdict::Notice,
        format!(
            "The {} stood still {} for {much}want of SMP window, {} in all, longest {} on Sid {sid}: the {} did not take what had arrived.",
            side.word(),
            times(n),
            duration(total),
            duration(longest.0),
            side.other().word()
        ),
        proof,
    );
    if let Some(trip) = facts.round_trip(side) {
        finding.notes.push(format!(
            "a window costs about one round trip, here {}",
            duration(trip)
        ));
    }
    Some(finding)
}

pub(super) fn sids_closed(facts: &Facts<'_>) -> Option<Finding> {
    let c0 = facts.streams.c0?;
    let mut proof = Vec::new();
    let mut n = 0_usize;
    for lane in &facts.lanes {
        let (Some(client), Some(server)) = (lane.client_fin, lane.server_fin) else {
            continue;
        };
        let ends_with_connection = start_of(&client) >= c0 && facts.close.ender.is_some();
        if ends_with_connection {
            continue;
        }
        n = n.saturating_add(1);
        if proof.len() < MOST_FRAMES / 2 {
            proof.push(evidence(
                client.frame,
                format!("client SMP:FIN Sid {}", client.sid),
                "",
            ));
            proof.push(evidence(
                server.frame,
                format!("server SMP:FIN Sid {}", server.sid),
                "",
            ));
        }
    }
    (n > 0).then(|| {
        stated(
            facts,
            &MARS_SID_CLOSE,
            Verdict::Normal,
            format!(
                "{} closed while the connection went on.",
                count(n, "session")
            ),
            proof,
        )
    })
}

/// Client SMP:FINs before the close that the server left unanswered although it went on sending for a while.
fn unanswered_fins(facts: &Facts<'_>) -> Vec<PduRow> {
    let limit = facts.settings.get(Threshold::FinAnswer);
    let heard = facts.frames.last_sent(Side::Server);
    let closing = facts.streams.c0.filter(|_| facts.close.ender.is_some());
    facts
        .last_lives()
        .filter(|lane| lane.server_fin.is_none())
        .filter_map(|lane| lane.client_fin)
        .filter(|fin| closing.is_none_or(|c0| start_of(fin) < c0))
        .filter(|fin| {
            let went_on = heard.and_then(|heard| facts.between(fin.frame, heard));
            went_on.is_some_and(|went_on| went_on >= limit)
        })
        .collect()
}

pub(super) fn orphans(facts: &Facts<'_>) -> Option<Finding> {
    let unanswered = unanswered_fins(facts);
    if let Some(first) = unanswered.first() {
        let proof = unanswered
            .iter()
            .take(MOST_FRAMES)
            .map(|fin| {
                evidence(
                    fin.frame,
                    format!("client SMP:FIN Sid {}", fin.sid),
                    "no answer",
                )
            })
            .collect();
        return Some(stated(
            facts,
            &ORPHAN_SID,
            Verdict::Notice,
            format!(
                "{} of the client without an answer of the server, first on Sid {}.",
                count(unanswered.len(), "SMP:FIN"),
                first.sid
            ),
            proof,
        ));
    }
    if facts.close.ender.is_none() {
        return growing(facts);
    }
    let open: Vec<_> = facts.left_open().collect();
    if open.len() < 2 && open.iter().all(|lane| lane.server_fin.is_none()) {
        return None;
    }
    let proof = open
        .iter()
        .take(MOST_FRAMES)
        .filter_map(|lane| lane.session)
        .map(|s| evidence(s.last_frame, format!("last packet of Sid {}", s.sid), ""))
        .collect();
    Some(stated(
        facts,
        &ORPHAN_SID,
        Verdict::Notice,
        format!(
            "{} left open by the client when the connection ended. {}",
            count(open.len(), "session"),
            OpenOverTime::of(facts).words(facts)
        ),
        proof,
    ))
}

/// Sessions of a connection that goes on to the end of the file, where their number never fell and is large.
fn growing(facts: &Facts<'_>) -> Option<Finding> {
    let over_time = OpenOverTime::of(facts);
    let (_, now) = over_time.changes.last()?;
    if over_time.fell || *now < facts.settings.count(Threshold::OpenSids) {
        return None;
    }
    let proof = over_time
        .samples()
        .map(|(frame, open)| evidence(*frame, "session opened", format!("{open} open")));
    let mut finding = stated(
        facts,
        &ORPHAN_SID,
        Verdict::Notice,
        format!(
            "{} open at the end of the file. {}",
            count(*now, "session"),
            over_time.words(facts)
        ),
        proof.collect(),
    );
    finding.confidence = Confidence::Possible;
    Some(finding)
}

/// How many sessions were open, from each opening and each SMP:FIN of the client on.
struct OpenOverTime {
    changes: Vec<(FrameNo, usize)>,
    /// The number fell at least once before the connection closed.
    fell: bool,
}

/// So many numbers of open sessions are told.
const SAMPLES: usize = 5;

impl OpenOverTime {
    fn of(facts: &Facts<'_>) -> Self {
        let client = facts.conn.end_of(Side::Client);
        let mut events: Vec<(FrameNo, bool)> = Vec::new();
        for session in facts.store.conn_sessions(facts.conn.id) {
            events.push((session.open_frame, true));
            let fin = session.ends.get(client).fin_pdu;
            // The closing row of SMP:FINs is the end itself.
            let fin = fin.and_then(|id| facts.store.pdu(id)).filter(|fin| {
                let closing = facts.streams.c0.filter(|_| facts.close.ender.is_some());
                closing.is_none_or(|c0| start_of(fin) < c0)
            });
            events.extend(fin.map(|fin| (fin.frame, false)));
        }
        events.sort_unstable();
        let mut open = 0_usize;
        let mut fell = false;
        let mut changes = Vec::with_capacity(events.len());
        for (frame, opens) in events {
            open = if opens {
                open.saturating_add(1)
            } else {
                open.saturating_sub(1)
            };
            fell |= !opens;
            changes.push((frame, open));
        }
        Self { changes, fell }
    }

    /// A few of the numbers, the last among them.
    fn samples(&self) -> impl Iterator<Item = &(FrameNo, usize)> {
        let last = self.changes.len().saturating_sub(1);
        let step = self.changes.len().div_ceil(SAMPLES).max(1);
        let all = self.changes.iter().enumerate();
        all.filter(move |(at, _)| at % step == 0 || *at == last)
            .map(|(_, change)| change)
    }

    fn words(&self, facts: &Facts<'_>) -> String {
        let told: Vec<String> = self
            .samples()
            .map(|(frame, open)| {
                let after = facts.between(facts.conn.first_frame, *frame);
                let after = after.map_or_else(String::new, |ns| format!(" after {}", duration(ns)));
                format!("{open}{after} (frame {frame})")
            })
            .collect();
        let leak = if self.fell || self.changes.len() < 3 {
            ""
        } else {
            "; the number never fell, as with a leak"
        };
        format!("Open sessions over time: {}{leak}.", told.join(", "))
    }
}

/// The summary of grave violations; where bytes are missing they may be the capture's fault.
pub(super) fn violations(facts: &Facts<'_>) -> Option<Finding> {
    let found: Vec<_> = facts
        .violations()
        .filter(|v| v.severity == Severity::Error)
        .take(1000)
        .collect();
    let first = found.first()?;
    let complete = facts.missing_bytes() == 0 && facts.conn.from_start() && !facts.frames.cut;
    let proof = found
        .iter()
        .take(MOST_FRAMES)
        .map(|v| evidence(v.frame, format!("check {:?}", v.check), v.fact.to_string()))
        .collect();
    let mut finding = stated(
        facts,
        &SMP_VIOLATION,
        if complete {
            Verdict::Fault
        } else {
            Verdict::Undecided
        },
        format!(
            "{} against the SMP specification; first {:?} in frame {}: {}.",
            count(found.len(), "packet"),
            first.check,
            first.frame,
            first.fact
        ),
        proof,
    );
    if !complete {
        finding.confidence = Confidence::Possible;
    }
    if let Some(((_, end), last)) = facts.close.ender.zip(found.last())
        && let Some(gap) = facts.between(last.frame, end.no)
        && gap.unsigned_abs() <= SOON
    {
        finding.notes.push(format!(
            "the connection ended {} later (frame {}), probably because of it",
            duration(gap),
            end.no
        ));
    }
    Some(finding)
}

/// An end as soon as this behind a violation was probably caused by it, in nanoseconds.
const SOON: u64 = 1_000_000_000;
