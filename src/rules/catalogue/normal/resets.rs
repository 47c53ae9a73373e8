//! Resets of connections without MARS that mean no harm, and connections without any data.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::super::failure::end_evidence;
use super::super::mars::trouble_before;
use super::{CLIENT_FIRST, COMPLETE, NOTHING_LEFT};
use crate::rules::facts::{Facts, Stage};
use crate::rules::rule::{Check, Conclusion, Criterion, Rule};
use crate::store::{Applied, Confidence, Verdict};
use crate::units::{FrameNo, Side};

fn mars_off(facts: &Facts<'_>) -> Check {
    if facts.mars_known_off() {
        return Check::held("MARS is known to be off");
    }
    if no_payload_sent(facts) {
        return Check::held("no payload was sent at all");
    }
    Check::failed("it is not known that MARS is off")
}

/// Whether the numbers prove that neither side sent payload, whatever the file lacks.
fn no_payload_sent(facts: &Facts<'_>) -> bool {
    let none = |side: Side| {
        facts.frames.sent_end.get(side).is_none()
            && facts
                .frames
                .acked
                .get(side.other())
                .is_none_or(|acked| acked <= 1)
            && facts.frames.fins_of(side).all(|fin| fin.end == 0)
            && facts
                .frames
                .rsts
                .iter()
                .filter(|r| r.side == side)
                .all(|r| r.pos <= 1)
    };
    facts.conn.syn_frame.is_some() && none(Side::Client) && none(Side::Server)
}

const MARS_OFF: Criterion = Criterion::new(
    "mars-off",
    "MARS is known to be off, or no payload was sent at all",
    mars_off,
);

fn resets_answer(facts: &Facts<'_>) -> Check {
    let (Some(a), Some(f)) = (facts.close.a, facts.close.f) else {
        return Check::failed("no FIN of the client");
    };
    if facts.close.resets.is_empty() || !facts.close.server_resets.is_empty() {
        return Check::failed("no reset of the client, or one of the server");
    }
    // By what they acknowledge, the late segments that no reset answers yet; a copy on the network is answered too.
    let mut late: FxHashMap<_, VecDeque<FrameNo>> = FxHashMap::default();
    let all = facts.frames.late.get(Side::Server).iter();
    for seg in all.filter(|seg| seg.next >= a && (seg.len == 0 || seg.flags.fin())) {
        if let Some(ack) = seg.ack {
            late.entry(ack).or_default().push_back(seg.no);
        }
    }
    for reset in facts.close.resets.iter().filter(|reset| !reset.is_copy()) {
        let waiting = late.get_mut(&reset.pos);
        let answered = waiting.is_some_and(|waiting| {
            let before = waiting.front().is_some_and(|no| *no < reset.no);
            // Where the file has copies, two resets may be one that nothing tells from another.
            if before && facts.frames.copies == 0 {
                waiting.pop_front();
            }
            before
        });
        if reset.flags.ack() || !answered || reset.pos > f.saturating_add(1) {
            return Check::failed(format!("frame {} answers no late segment", reset.no))
                .on([reset.no]);
        }
    }
    Check::held("").on(facts.close.resets.iter().map(|r| r.no))
}

/// `rst-after-close`.
pub(in crate::rules) const RST_AFTER_CLOSE: Rule = Rule::close(
    "rst-after-close",
    "Reset behind a close",
    Verdict::Normal,
    &[
        MARS_OFF,
        CLIENT_FIRST,
        NOTHING_LEFT,
        COMPLETE,
        Criterion::new(
            "answers",
            "Each reset answers a late segment of the server without data, no two the same",
            resets_answer,
        ),
    ],
    conclude_after_close,
)
.says(
    "The client had closed its socket; TCP answered the server's last segments with resets. Nothing was lost.",
    "Nothing to do.",
    "Support guidance on intermittent network issues; RFC 9293 3.5.2",
);

fn conclude_after_close(facts: &Facts<'_>, _: &[Applied]) -> Conclusion {
    Conclusion::new(
        Verdict::Normal,
        Confidence::Proven,
        "The client had closed; its resets answer the server's last segments.",
    )
    .with_evidence(end_evidence(facts))
}

fn reset_instead(facts: &Facts<'_>) -> Check {
    let no_fin = facts.close.tf.is_empty() && facts.close.server_fins.is_empty();
    let mut resets = facts.close.resets.iter().filter(|reset| !reset.is_copy());
    let (Some(reset), None) = (resets.next(), resets.next()) else {
        return Check::failed("not exactly one reset of the client");
    };
    let next = facts.frames.sent_end.get(Side::Client).unwrap_or(0);
    let fits = no_fin
        && reset.flags.ack()
        && reset.pos == next
        && facts.close.server_resets.is_empty()
        && facts.close.closed_by(Side::Client);
    Check::holds(fits, "").on([reset.no])
}

fn calm(facts: &Facts<'_>) -> Check {
    match facts
        .close
        .first_reset()
        .and_then(|first| trouble_before(facts, first))
    {
        Some((fact, frames)) => Check::failed(fact).on(frames),
        None => Check::held(""),
    }
}

fn ready(facts: &Facts<'_>) -> Check {
    Check::holds(facts.stage == Stage::Ready && !facts.encrypted, "")
}

/// `close-rst-abortive`.
pub(in crate::rules) const CLOSE_ABORTIVE: Rule = Rule::close(
    "close-rst-abortive",
    "Closed by a reset instead of a FIN",
    Verdict::LikelyBenign,
    &[
        MARS_OFF,
        Criterion::new("stage", "The login is over and readable", ready),
        Criterion::new(
            "reset",
            "One reset of the client stands where its FIN would be",
            reset_instead,
        ),
        NOTHING_LEFT,
        COMPLETE,
        Criterion::new("calm", "Nothing was wrong just before", calm),
    ],
    conclude_abortive,
)
.says(
    "Some drivers and health probes close by a reset. Nothing was outstanding.",
    "Nothing to do, unless the application misses something.",
    "Support guidance on intermittent network issues; Microsoft Learn, close sequence",
);

fn conclude_abortive(facts: &Facts<'_>, _: &[Applied]) -> Conclusion {
    Conclusion::new(
        Verdict::LikelyBenign,
        Confidence::Likely,
        "The client closed by a reset instead of a FIN, with nothing outstanding.",
    )
    .with_evidence(end_evidence(facts))
}

fn handshake(facts: &Facts<'_>) -> Check {
    let frames = [
        facts.conn.syn_frame,
        facts.conn.syn_ack_frame,
        facts.conn.handshake_frame,
    ];
    Check::holds(frames.iter().all(Option::is_some), "").on(frames.into_iter().flatten())
}

fn no_payload(facts: &Facts<'_>) -> Check {
    Check::holds(no_payload_sent(facts), "")
}

fn client_ended(facts: &Facts<'_>) -> Check {
    Check::holds(facts.close.closed_by(Side::Client), "")
        .on(facts.close.ender.map(|(_, seg)| seg.no))
}

/// `probe-connection`.
pub(in crate::rules) const PROBE_CONNECTION: Rule = Rule::close(
    "probe-connection",
    "Connection without any data",
    Verdict::Normal,
    &[
        Criterion::new("handshake", "The TCP handshake is in the file", handshake),
        Criterion::new("payload", "Neither side sent payload", no_payload),
        Criterion::new("ender", "The client ended it", client_ended),
    ],
    conclude_probe,
)
.says(
    "A port check, or a client that had no time left when the connection was made.",
    "If users see timeouts at that time, look at what the client did before its SYN (name resolution, ports).",
    "Support guidance on intermittent network issues",
);

fn conclude_probe(facts: &Facts<'_>, _: &[Applied]) -> Conclusion {
    Conclusion::new(
        Verdict::Normal,
        Confidence::Proven,
        "The connection was made and ended without any data.",
    )
    .with_evidence(end_evidence(facts))
}
