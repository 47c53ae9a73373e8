//! Failures on an established connection (catalogue, section 6), and the fall-backs for resets nothing explains.

use super::mars::{close_evidence, hidden_control, reset_fact, trouble_before};
use super::text::{count, duration};
use crate::rules::facts::{Facts, Lane, ProbeRun, ResendRun, Seg, Stage, Work, frames_of};
use crate::rules::rule::{Check, Conclusion, Criterion, Rule, evidence};
use crate::rules::settings::Threshold;
use crate::store::{
    CheckId, Condition, Confidence, Evidence, PduFlags, Severity, Verdict, ViolationRow,
};
use crate::units::Side;

const RESET: Criterion = Criterion::new("reset", "A reset ends the connection", has_reset);
const NO_RESET: Criterion = Criterion::new(
    "no-reset",
    "The client closed the connection, and no reset is part of it",
    closed_without_reset,
);

fn has_reset(facts: &Facts<'_>) -> Check {
    let frames = facts.close_resets();
    Check::holds(!frames.is_empty(), count(frames.len(), "reset")).on(frames)
}

fn closed_without_reset(facts: &Facts<'_>) -> Check {
    let closed = facts.close.closed_by(Side::Client)
        && facts.close.ender.is_some_and(|(_, seg)| seg.flags.fin());
    Check::holds(closed && facts.close_resets().is_empty(), "")
}

fn after_login(facts: &Facts<'_>) -> Check {
    Check::holds(
        facts.stage == Stage::Ready,
        format!("stage: {}", facts.stage.word()),
    )
}

const AFTER_LOGIN: Criterion = Criterion::new("stage", "The login is over", after_login);

// ---- requests ----------------------------------------------------------------------------------------------

fn request_open(facts: &Facts<'_>) -> Check {
    lanes_with(facts, Work::Request, "request")
}

fn attention_open(facts: &Facts<'_>) -> Check {
    lanes_with(facts, Work::Attention, "attention")
}

fn lanes_with(facts: &Facts<'_>, work: Work, noun: &str) -> Check {
    let open: Vec<&Lane<'_>> = facts
        .lanes
        .iter()
        .filter(|l| l.last_life && l.work == work)
        .collect();
    let names: Vec<String> = open.iter().take(8).map(|l| l.name()).collect();
    let fact = if open.is_empty() {
        format!("no {noun}")
    } else {
        format!("{}: {}", count(open.len(), noun), names.join(", "))
    };
    Check::holds(!open.is_empty(), fact).on(open.iter().flat_map(|lane| frames_of(lane)))
}

const REQUEST: Criterion = Criterion::new(
    "request",
    "A request has no complete answer when the connection ends",
    request_open,
);
const ATTENTION: Criterion = Criterion::new(
    "attention",
    "An attention has no acknowledgement when the connection ends",
    attention_open,
);

/// `rst-with-request`.
pub(in crate::rules) const RST_WITH_REQUEST: Rule = Rule::close(
    "rst-with-request",
    "Reset while a request was outstanding",
    Verdict::Fault,
    &[RESET, AFTER_LOGIN, REQUEST],
    conclude_request,
)
.says(
    "A request was sent, and the connection was reset before its answer was complete: work was lost.",
    "Look at the side that ended the connection: its error log, its process, at the client the driver's trace.",
    "Support guidance on intermittent network issues; [MS-TDS] 2.2.1",
);

/// `close-with-request`.
pub(in crate::rules) const CLOSE_WITH_REQUEST: Rule = Rule::close(
    "close-with-request",
    "Closed while a request was outstanding",
    Verdict::Fault,
    &[NO_RESET, AFTER_LOGIN, REQUEST],
    conclude_request,
)
.says(
    "A request was sent, and the connection was closed before its answer was complete.",
    "Look at the side that closed: a process that ended, an application that hung up.",
    "The third condition of the benign close, applied to a close without reset",
);

/// `rst-after-attention`.
pub(in crate::rules) const RST_AFTER_ATTENTION: Rule = Rule::close(
    "rst-after-attention",
    "Reset while an attention was outstanding",
    Verdict::Fault,
    &[RESET, AFTER_LOGIN, ATTENTION],
    conclude_request,
)
.says(
    "The client asked the server to cancel a request and the connection ended before the server confirmed it.",
    "Look why the server did not answer the cancel: blocked, overloaded, or gone.",
    "[MS-TDS] 2.2.1.7",
);

/// `close-after-attention`.
pub(in crate::rules) const CLOSE_AFTER_ATTENTION: Rule = Rule::close(
    "close-after-attention",
    "Closed while an attention was outstanding",
    Verdict::Fault,
    &[NO_RESET, AFTER_LOGIN, ATTENTION],
    conclude_request,
)
.says(
    "The client asked the server to cancel a request and the connection was closed before the server confirmed it.",
    "Look why the server did not answer the cancel: blocked, overloaded, or gone.",
    "[MS-TDS] 2.2.1.7; the third condition of the benign close",
);

fn ender_words(facts: &Facts<'_>) -> String {
    match &facts.close.ender {
        Some((side, seg)) if seg.flags.rst() => format!(
            "the {} reset the connection in frame {}",
            side.word(),
            seg.no
        ),
        Some((side, seg)) => format!("the {} closed first in frame {}", side.word(), seg.no),
        None => "the connection did not end in the file".to_owned(),
    }
}

fn conclude_request(facts: &Facts<'_>, _: &[Condition]) -> Conclusion {
    let requests = facts.last_requests();
    let mut parts = Vec::new();
    let mut proof: Vec<Evidence> = Vec::new();
    let end_time = facts.close.ender.map(|(_, seg)| seg.time);
    for lane in facts.outstanding() {
        let request = requests.get(&lane.session.map(|s| s.id));
        let age = request
            .zip(end_time)
            .map(|(r, end)| format!(", {} old", duration(end.since(r.start))))
            .unwrap_or_default();
        let bytes = request.map_or(0, |r| r.answer_bytes);
        let kind = if lane.work == Work::Attention {
            "attention"
        } else {
            request.map_or("request", |r| r.kind.name())
        };
        let asked = *lane.last_data.get(Side::Client);
        let received = asked.is_some_and(|pdu| {
            let end = crate::rules::facts::end_of(pdu);
            facts
                .frames
                .acked
                .get(Side::Server)
                .is_some_and(|a| a >= end)
        });
        if parts.len() < 8 {
            let tcp = if received {
                ""
            } else {
                ", not acknowledged by TCP"
            };
            parts.push(format!(
                "{}: {kind}{age}, {bytes} bytes of answer{tcp}",
                lane.name()
            ));
        }
        if proof.len() < 64 {
            if let Some(request) = request {
                proof.push(evidence(
                    request.first_frame,
                    format!("request on {}", lane.name()),
                    request.kind.name(),
                ));
            }
            if let Some(pdu) = asked {
                proof.push(evidence(
                    pdu.frame,
                    format!("last packet of the client on {}", lane.name()),
                    "",
                ));
            }
            if let Some(pdu) = lane.reached {
                proof.push(evidence(
                    pdu.frame,
                    format!("last packet of the server on {}", lane.name()),
                    if pdu.flags.has(PduFlags::MESSAGE_END) {
                        "EOM"
                    } else {
                        "no EOM"
                    },
                ));
            }
        }
    }
    proof.extend(end_evidence(facts));
    let text = format!(
        "Work was outstanding when {}. {}.",
        ender_words(facts),
        parts.join("; ")
    );
    Conclusion::new(Verdict::Fault, Confidence::Proven, text).with_evidence(proof)
}

/// FINs and resets with their numbers.
pub(in crate::rules) fn end_evidence(facts: &Facts<'_>) -> Vec<Evidence> {
    let mut out = Vec::new();
    let f = facts.close.f;
    for (side, fins) in [
        (Side::Client, &facts.close.tf),
        (Side::Server, &facts.close.server_fins),
    ] {
        for fin in fins.iter().take(8) {
            out.push(evidence(
                fin.no,
                format!("{} TCP FIN", side.word()),
                format!("FIN.Ack {}", fin.raw_ack),
            ));
        }
    }
    let resets = facts.close.resets.iter().chain(&facts.close.server_resets);
    for reset in resets.chain(&facts.close.foreign).take(64) {
        let fact = if reset.side == Side::Client {
            reset_fact(facts, reset, f)
        } else {
            server_reset_fact(facts, reset)
        };
        out.push(evidence(
            reset.no,
            format!("{} reset", reset.side.word()),
            fact,
        ));
    }
    out
}

fn server_reset_fact(facts: &Facts<'_>, reset: &Seg) -> String {
    let sent = facts.frames.sent_end.get(Side::Server);
    let relation = sent.map_or(String::new(), |end| {
        format!(
            " = server's last byte {}",
            super::forms::signed(reset.pos.saturating_sub(end))
        )
    });
    let kind = if reset.flags.ack() { "with" } else { "without" };
    format!("{kind} ACK flag, RST.Seq {}{relation}", reset.seq)
}

// ---- dead connections --------------------------------------------------------------------------------------

/// The last run of keepalives that nobody answered.
fn dead_run(facts: &Facts<'_>) -> Option<ProbeRun> {
    let least = facts.settings.count(Threshold::KeepaliveProbes);
    // What the peer sends behind the reset comes too late.
    let given_up = |run: &ProbeRun| {
        let all = facts.close.resets.iter().chain(&facts.close.server_resets);
        let own = all.filter(|r| r.side == run.side && r.no > run.last.no);
        own.map(|r| r.no).min()
    };
    facts.frames.probe_runs().into_iter().rev().find(|run| {
        let silent = run
            .heard
            .is_none_or(|heard| given_up(run).is_some_and(|reset| reset < heard));
        silent && run.count >= least
    })
}

fn probes_unanswered(facts: &Facts<'_>) -> Check {
    match dead_run(facts) {
        Some(run) => Check::held(format!("{} probes of the {}", run.count, run.side.word()))
            .on([run.first.no, run.last.no]),
        None => Check::failed("no such run"),
    }
}

fn ended_by_prober(facts: &Facts<'_>) -> Check {
    let Some(run) = dead_run(facts) else {
        return Check::failed("no such run");
    };
    let all = facts.close.resets.iter().chain(&facts.close.server_resets);
    let own = all
        .clone()
        .find(|r| r.side == run.side && r.no > run.last.no);
    match own {
        Some(reset) => Check::held("its reset follows").on([reset.no]),
        None if all.count() == 0 && facts.close.ender.is_none() => {
            Check::held("the file ends").on([run.last.no])
        }
        None => Check::failed("something else follows"),
    }
}

fn even_gaps(facts: &Facts<'_>) -> Check {
    let Some(run) = dead_run(facts) else {
        return Check::failed("no such run");
    };
    let low = facts.settings.get(Threshold::KeepaliveGapMin);
    let high = facts.settings.get(Threshold::KeepaliveGapMax);
    let usual = run.shortest_gap >= low && run.longest_gap <= high;
    let even = run.shortest_gap > 0 && run.longest_gap <= run.shortest_gap.saturating_mul(3) / 2;
    let fact = format!(
        "{} to {}",
        duration(run.shortest_gap),
        duration(run.longest_gap)
    );
    Check::holds(usual || even, fact)
}

/// `keepalive-timeout`.
pub(in crate::rules) const KEEPALIVE_TIMEOUT: Rule = Rule::close(
    "keepalive-timeout",
    "Keepalives without an answer",
    Verdict::Fault,
    &[
        Criterion::new(
            "probes",
            "One side sent a row of keepalive probes and heard nothing",
            probes_unanswered,
        ),
        Criterion::new(
            "gaps",
            "The probes follow each other at the keepalive interval (1 s, or evenly)",
            even_gaps,
        ),
        Criterion::new(
            "end",
            "That side resets the connection then, or the file ends",
            ended_by_prober,
        ),
    ],
    conclude_keepalive,
)
.says(
    "One side asked whether the other is still there, got no answer and gave the connection up: the peer is gone, or packets are lost in one direction.",
    "Take a capture on the other side at the same time and look whether the probes arrive.",
    "Support guidance on intermittent network issues; Windows sends 10 probes 1 s apart, then resets",
);

fn conclude_keepalive(facts: &Facts<'_>, _: &[Condition]) -> Conclusion {
    let Some(run) = dead_run(facts) else {
        return undecided("keepalives without an answer");
    };
    let peer = run.side.other();
    let mut proof = Vec::new();
    if let Some(last) = facts
        .frames
        .last_sent
        .get(peer)
        .filter(|last| *last < run.first.no)
    {
        proof.push(evidence(
            last,
            format!("last segment of the {}", peer.word()),
            "",
        ));
    }
    let idle = facts
        .frames
        .last_payload
        .0
        .iter()
        .flatten()
        .map(|seg| seg.time)
        .max()
        .map(|last| run.first.time.since(last))
        .filter(|idle| *idle >= 0)
        .map(duration);
    proof.push(evidence(
        run.first.no,
        "first probe",
        idle.map_or(String::new(), |idle| format!("{idle} after the last data")),
    ));
    proof.push(evidence(
        run.last.no,
        "last probe",
        format!("probe {}", run.count),
    ));
    proof.extend(end_evidence(facts));
    let mut conclusion = Conclusion::new(
        Verdict::Fault,
        Confidence::Proven,
        format!(
            "The {} sent {} keepalive probes that the {} did not answer, and gave up.",
            run.side.word(),
            run.count,
            peer.word()
        ),
    )
    .with_evidence(proof);
    if run.count == 10 {
        conclusion
            .notes
            .push("exactly 10 probes are the signature of Windows".to_owned());
    }
    conclusion
}

/// A run of retransmissions that was given up, with the reset that did.
fn lost_segment<'f>(facts: &'f Facts<'_>) -> Option<(ResendRun, &'f Seg)> {
    let least = facts.settings.count(Threshold::Retransmissions);
    facts.frames.resend_runs().into_iter().find_map(|run| {
        let end = run.segs.last()?.no;
        let reset = facts
            .close
            .resets
            .iter()
            .chain(&facts.close.server_resets)
            .find(|r| r.side == run.side && r.flags.ack() && r.no > end)?;
        let acked = facts.frames.acked.get(run.side.other());
        let advanced = acked.is_some_and(|acked| acked > run.pos);
        (run.resent() >= least && !advanced).then_some((run, reset))
    })
}

fn sent_in_vain(facts: &Facts<'_>) -> Check {
    match lost_segment(facts) {
        Some((run, reset)) => Check::held(format!(
            "the {} sent {} again {} times, then reset the connection",
            run.side.word(),
            facts.streams.seq(run.side, run.pos),
            run.resent()
        ))
        .on(run.segs.iter().map(|s| s.no).chain([reset.no])),
        None => Check::failed("no such run"),
    }
}

fn growing_gaps(facts: &Facts<'_>) -> Check {
    let Some((run, _)) = lost_segment(facts) else {
        return Check::failed("no such run");
    };
    let gaps: Vec<i64> = run
        .segs
        .windows(2)
        .filter_map(|pair| match pair {
            [a, b] => Some(b.time.since(a.time)),
            _ => None,
        })
        .collect();
    // The very first repetition may be a probe for a lost tail and come earlier than doubling would have it.
    let doubling = gaps.windows(2).skip(1).all(|pair| match pair {
        [a, b] => {
            *a > 0
                && b.saturating_mul(10) >= a.saturating_mul(15)
                && b.saturating_mul(10) <= a.saturating_mul(26)
        }
        _ => true,
    });
    let shown: Vec<String> = gaps.iter().take(12).map(|g| duration(*g)).collect();
    Check::holds(doubling, shown.join(", "))
}

/// `retransmit-timeout`.
pub(in crate::rules) const RETRANSMIT_TIMEOUT: Rule = Rule::close(
    "retransmit-timeout",
    "Data sent again and again in vain",
    Verdict::Fault,
    &[
        Criterion::new(
            "resent",
            "One side sent the same bytes again, got no acknowledgement and reset the connection",
            sent_in_vain,
        ),
        Criterion::new("gaps", "The gaps grow by a factor of about 2", growing_gaps),
    ],
    conclude_resent,
)
.says(
    "Packets of one side do not arrive, or their acknowledgements do not come back.",
    "Take captures on both sides at once: a segment missing in the other file was dropped on the way.",
    "Support guidance on TCP/IP connectivity: Windows sends data again 5 times",
);

fn conclude_resent(facts: &Facts<'_>, _: &[Condition]) -> Conclusion {
    let Some((run, _)) = lost_segment(facts) else {
        return undecided("retransmissions in vain");
    };
    let mut proof: Vec<Evidence> = run
        .segs
        .iter()
        .take(20)
        .map(|seg| evidence(seg.no, "sent again", format!("Seq {}", seg.seq)))
        .collect();
    proof.extend(end_evidence(facts));
    Conclusion::new(
        Verdict::Fault,
        Confidence::Proven,
        format!(
            "The {} sent the same {} bytes again {} times without an acknowledgement and reset the connection.",
            run.side.word(),
            run.segs.first().map_or(0, |s| s.len),
            run.resent()
        ),
    )
    .with_evidence(proof)
}

fn window_closed(facts: &Facts<'_>) -> Check {
    let Some(first) = facts.close.first_reset() else {
        return Check::failed("no reset");
    };
    let inside = facts
        .frames
        .zero_windows
        .iter()
        .find(|z| z.start.no < first.no && z.opened.is_none_or(|o| o.no > first.no));
    match inside {
        Some(z) => Check::held(format!("the {}'s window was 0", z.start.side.word()))
            .on([z.start.no, first.no]),
        None => Check::failed("no window of 0 before the reset"),
    }
}

/// `zero-window`: as the reason of a reset. The same rule's notice on long periods is gathered beside the closes.
pub(in crate::rules) const ZERO_WINDOW: Rule = Rule::close(
    "zero-window",
    "TCP window of 0",
    Verdict::Fault,
    &[Criterion::new(
        "window",
        "A side's TCP window was 0 when the connection was reset",
        window_closed,
    )],
    conclude_zero_window,
)
.says(
    "The receiver did not read what had arrived: at the client a slow fetch, at the server a request that is not read.",
    "Look at the process that did not read: blocked, busy, or waiting for the user.",
    "RFC 9293 3.8.6",
);

fn conclude_zero_window(facts: &Facts<'_>, _: &[Condition]) -> Conclusion {
    let start = facts
        .frames
        .zero_windows
        .iter()
        .rev()
        .find(|z| facts.close.first_reset().is_some_and(|r| z.start.no < r.no));
    let mut proof: Vec<Evidence> = start
        .map(|z| evidence(z.start.no, format!("{} window 0", z.start.side.word()), ""))
        .into_iter()
        .collect();
    proof.extend(end_evidence(facts));
    Conclusion::new(
        Verdict::Fault,
        Confidence::Proven,
        format!(
            "The connection was reset while the TCP window of the {} was 0: {}.",
            start.map_or("receiver", |z| z.start.side.word()),
            ender_words(facts)
        ),
    )
    .with_evidence(proof)
}

// ---- resets of others --------------------------------------------------------------------------------------

fn other_sender(facts: &Facts<'_>) -> Check {
    if facts.close.ended_by_foreign()
        && let Some((side, seg)) = facts.close.ender
    {
        let mode = facts.frames.ttl.get(side).mode().unwrap_or(0);
        return Check::held(format!(
            "time to live {} of the reset, {mode} of the {}'s segments",
            seg.ttl,
            side.word()
        ))
        .on([seg.no]);
    }
    match facts.close.stray {
        Some(seg) => Check::held(format!(
            "RST.Seq {} is inside the window, but neither next nor acknowledged",
            seg.seq
        ))
        .on([seg.no]),
        None => Check::failed("every reset fits its sender"),
    }
}

/// `rst-middlebox`.
pub(in crate::rules) const RST_MIDDLEBOX: Rule = Rule::close(
    "rst-middlebox",
    "Reset by a device on the path",
    Verdict::Fault,
    &[Criterion::new(
        "sender",
        "The reset differs from its sender's segments: time to live, or a sequence number that nothing explains",
        other_sender,
    )],
    conclude_middlebox,
)
.says(
    "Suspected: a firewall, load balancer or other device made the reset in the name of one end.",
    "Compare with a capture of the other end: a reset that was never sent there proves it. Ask for the device's logs.",
    "Support guidance on intermittent network issues; RFC 5961",
);

fn conclude_middlebox(facts: &Facts<'_>, _: &[Condition]) -> Conclusion {
    let seg = facts
        .close
        .ender
        .filter(|_| facts.close.ended_by_foreign())
        .map(|(_, seg)| seg)
        .or(facts.close.stray);
    let text = seg.map_or(String::new(), |seg| {
        format!(
            "The reset in frame {} says it comes from the {}, but does not look like it: suspected to be made by a device on the path.",
            seg.no,
            seg.side.word()
        )
    });
    let mut conclusion = Conclusion::new(Verdict::Fault, Confidence::Likely, text)
        .with_evidence(end_evidence(facts));
    if let Some(note) = idle_note(facts) {
        conclusion.notes.push(note);
    }
    if facts.outstanding().next().is_some() {
        conclusion
            .notes
            .push("a request was outstanding".to_owned());
    }
    conclusion
}

/// Condition 4 of the catalogue: an idle timer's round value, a note only.
fn idle_note(facts: &Facts<'_>) -> Option<String> {
    let (_, seg) = facts.close.ender?;
    let last = facts
        .frames
        .last_payload
        .0
        .iter()
        .flatten()
        .map(|s| s.time)
        .max()?;
    let idle = seg.time.since(last) / 1_000_000_000;
    [60, 300, 350, 900, 1800, 3600]
        .into_iter()
        .find(|round: &i64| idle.abs_diff(*round) <= 2)
        .map(|round| format!("device idle timer: the connection was quiet for about {round} s"))
}

/// `rst-ignored`.
pub(in crate::rules) const RST_IGNORED: Rule = Rule::gathered(
    "rst-ignored",
    "Reset without effect",
    crate::rules::rule::Scope::Connection,
    Verdict::Fault,
    &[Criterion::gathered(
        "goes-on",
        "After the reset its alleged sender sends more than closing packets",
    )],
)
.says(
    "A reset was there, and its alleged sender went on as if nothing had happened: it did not send it.",
    "Suspect a device on the path that forges resets. Compare with a capture of the other end.",
    "RFC 5961; recorded captures with forged resets",
);

// ---- broken protocol ---------------------------------------------------------------------------------------

fn grave_violations<'a>(facts: &Facts<'a>) -> Vec<&'a ViolationRow> {
    let Some((_, end)) = facts.close.ender else {
        return Vec::new();
    };
    if !facts.conn.from_start() {
        return Vec::new();
    }
    let near = end.time.0.saturating_sub(1_000_000_000);
    facts
        .violations()
        .filter(|v| v.severity == Severity::Error)
        .filter(|v| facts.missing_bytes() == 0 || matches!(v.check, CheckId::H2 | CheckId::H4))
        .filter(|v| facts.store.frame(v.frame).is_some_and(|f| f.time.0 >= near))
        .collect()
}

fn violated(facts: &Facts<'_>) -> Check {
    let found = grave_violations(facts);
    match found.first() {
        Some(v) => {
            Check::held(format!("{:?}: {}", v.check, v.fact)).on(found.iter().map(|v| v.frame))
        }
        None => Check::failed("nothing against the specification right before the end"),
    }
}

/// `smp-violation`: with a reset. Its summary of a whole connection is gathered beside the closes.
pub(in crate::rules) const SMP_VIOLATION: Rule = Rule::close(
    "smp-violation",
    "SMP against its specification",
    Verdict::Fault,
    &[
        RESET,
        Criterion::new(
            "violation",
            "SMP packets break the specification right before the end",
            violated,
        ),
    ],
    conclude_violation,
)
.says(
    "A packet breaks the rules of the session protocol; a peer may drop the connection for it.",
    "Look at the driver named in the login, and whether something on the path changes bytes.",
    "[MC-SMP] 2.2.1 and 3.1.5",
);

fn conclude_violation(facts: &Facts<'_>, _: &[Condition]) -> Conclusion {
    let found = grave_violations(facts);
    let mut proof: Vec<Evidence> = found
        .iter()
        .take(20)
        .map(|v| evidence(v.frame, format!("check {:?}", v.check), v.fact.to_string()))
        .collect();
    proof.extend(end_evidence(facts));
    let first = found.first().map_or(String::new(), |v| {
        format!("{:?} in frame {}: {}", v.check, v.frame, v.fact)
    });
    Conclusion::new(
        Verdict::Fault,
        Confidence::Likely,
        format!("SMP was broken right before the reset, which it probably caused: {first}."),
    )
    .with_evidence(proof)
}

// ---- the server ends ---------------------------------------------------------------------------------------

fn server_ended(facts: &Facts<'_>) -> Check {
    let by_server = facts.close.closed_by(Side::Server);
    Check::holds(by_server, ender_words(facts)).on(facts.close.ender.map(|(_, seg)| seg.no))
}

fn login_sent(facts: &Facts<'_>) -> Check {
    Check::holds(facts.stage >= Stage::Login, facts.stage.word())
}

fn server_fin(facts: &Facts<'_>) -> Check {
    let fin = facts.close.closed_by(Side::Server)
        && facts.close.ender.is_some_and(|(_, seg)| seg.flags.fin());
    Check::holds(fin, ender_words(facts)).on(facts.close.ender.map(|(_, seg)| seg.no))
}

fn fatal_error(facts: &Facts<'_>) -> Check {
    let found = facts.lanes.iter().find_map(|lane| {
        lane.last_data
            .get(Side::Server)
            .filter(|pdu| pdu.flags.has(PduFlags::ERROR_FATAL))
    });
    match found {
        Some(pdu) => Check::held("").on([pdu.frame]),
        None => Check::failed("no error of class 20 or more in a last answer"),
    }
}

fn header_error(facts: &Facts<'_>) -> Check {
    let found = facts
        .last_requests()
        .into_values()
        .find(|r| r.error.as_ref().is_some_and(|e| e.0 == MARS_HEADER_ERROR));
    match found {
        Some(r) => Check::held(format!("error {MARS_HEADER_ERROR}"))
            .on([r.first_frame].into_iter().chain(r.answer_last_frame)),
        None => Check::failed(format!("no error {MARS_HEADER_ERROR}")),
    }
}

/// "MARS TDS header contained errors".
const MARS_HEADER_ERROR: i32 = 4011;

/// `mars-header-error`.
pub(in crate::rules) const MARS_HEADER: Rule = Rule::close(
    "mars-header-error",
    "The server found a broken MARS header",
    Verdict::Fault,
    &[
        Criterion::new("ender", "The server ended the connection", server_ended),
        Criterion::new("error", "The last answer reports error 4011", header_error),
    ],
    conclude_server_error,
)
.says(
    "The client sent a request whose header of transaction and outstanding requests was wrong: known as a driver bug.",
    "Update the client driver; look at ALL_HEADERS of the request named.",
    "SqlClient issue 85; [MS-TDS] 2.2.5.3",
);

/// `server-error-close`.
pub(in crate::rules) const SERVER_ERROR: Rule = Rule::close(
    "server-error-close",
    "The server named an error and closed",
    Verdict::Fault,
    &[
        Criterion::new(
            "error",
            "A last answer holds an ERROR of class 20 or more",
            fatal_error,
        ),
        Criterion::new("ender", "The server ended the connection", server_ended),
    ],
    conclude_server_error,
)
.says(
    "The server ended the connection on purpose and said why: session killed, shutdown, protocol error.",
    "Read the error's number and text; look into the server's error log at that time.",
    "[MS-TDS] 2.2.7.10",
);

fn conclude_server_error(facts: &Facts<'_>, _: &[Condition]) -> Conclusion {
    let error = facts
        .last_requests()
        .into_values()
        .filter_map(|r| r.error.as_ref().map(|e| (r, e)))
        .max_by_key(|(_, e)| e.1);
    let mut proof = Vec::new();
    let text = match error {
        Some((request, (number, class, text))) => {
            let frame = request.answer_last_frame.unwrap_or(request.last_frame);
            proof.push(evidence(
                frame,
                "answer with the error",
                format!("error {number}, class {class}"),
            ));
            format!(
                "The server reported error {number}, class {class} ({text}), then ended the connection."
            )
        }
        None => "The server reported a severe error, then ended the connection.".to_owned(),
    };
    proof.extend(end_evidence(facts));
    Conclusion::new(Verdict::Fault, Confidence::Proven, text).with_evidence(proof)
}

/// `server-fin-first`.
pub(in crate::rules) const SERVER_FIN_FIRST: Rule = Rule::close(
    "server-fin-first",
    "The server closed the connection",
    Verdict::Fault,
    &[
        Criterion::new("stage", "The login was sent at least", login_sent),
        Criterion::new(
            "fin",
            "The server's FIN was sent before it had one of the client",
            server_fin,
        ),
    ],
    conclude_server_fin,
)
.says(
    "In normal work the client closes. A server that closes first was stopped, killed the session, or its process ended.",
    "Look into the server's error log and at its restarts at that time.",
    "Microsoft Learn, Trace the network connection close sequence",
);

fn conclude_server_fin(facts: &Facts<'_>, _: &[Condition]) -> Conclusion {
    let open = facts.outstanding().count();
    let text = format!(
        "The server closed the connection: {}{}.",
        ender_words(facts),
        if open > 0 {
            ", with work outstanding"
        } else {
            ""
        }
    );
    Conclusion::new(Verdict::Fault, Confidence::Proven, text).with_evidence(end_evidence(facts))
}

fn client_reset(facts: &Facts<'_>) -> Check {
    let frames = facts.close.resets.iter().map(|r| r.no);
    Check::holds(!facts.close.resets.is_empty(), "").on(frames)
}

fn server_reset(facts: &Facts<'_>) -> Check {
    let frames = facts.close.server_resets.iter().map(|r| r.no);
    Check::holds(!facts.close.server_resets.is_empty(), "").on(frames)
}

const CLIENT_RESET: Criterion = Criterion::new("reset", "The client sent a reset", client_reset);
const SERVER_RESET: Criterion = Criterion::new("reset", "The server sent a reset", server_reset);

fn data_behind(facts: &Facts<'_>) -> Check {
    let Some(reached) = facts.close.reached else {
        return Check::failed("it is not known what the client had");
    };
    if !facts.streams.data_seen {
        return Check::failed("no data of the server is in the file");
    }
    let late = facts.streams.b.saturating_sub(reached);
    let fact = format!("{late} bytes");
    Check::holds(late > 0, fact).on(facts.close.ender.map(|(_, seg)| seg.no))
}

/// `rst-data-lost`.
pub(in crate::rules) const RST_DATA_LOST: Rule = Rule::close(
    "rst-data-lost",
    "Reset with the server's data on the way",
    Verdict::Fault,
    &[
        CLIENT_RESET,
        AFTER_LOGIN,
        Criterion::new(
            "data",
            "The server had sent data that the client's closing segment does not acknowledge",
            data_behind,
        ),
    ],
    conclude_data_lost,
)
.says(
    "The client closed without reading all of what the server sent; the answer was cut off.",
    "Look at the client: an application that hung up, a process that ended.",
    "RFC 1122 4.2.2.13",
);

fn conclude_data_lost(facts: &Facts<'_>, _: &[Condition]) -> Conclusion {
    let late = facts
        .close
        .reached
        .map_or(0, |reached| facts.streams.b.saturating_sub(reached));
    Conclusion::new(
        Verdict::Fault,
        Confidence::Proven,
        format!("The client closed while {late} bytes of the server's data were on the way; they were lost."),
    )
    .with_evidence(close_evidence(facts))
}

// ---- MARS closes that are not accepted ---------------------------------------------------------------------

fn undecided(what: &str) -> Conclusion {
    Conclusion::new(Verdict::Undecided, Confidence::Possible, what)
}

fn only_m14_failed(facts: &Facts<'_>) -> Check {
    let failed = super::failed_mars_conditions(facts);
    Check::holds(failed == ["M14"], failed.join(", "))
}

/// `rst-unread-data`.
pub(in crate::rules) const RST_UNREAD_DATA: Rule = Rule::close(
    "rst-unread-data",
    "Closed without taking the last packets",
    Verdict::Notice,
    &[
        CLIENT_RESET,
        Criterion::new(
            "unread",
            "Every answer was complete on the wire, but the client did not take all packets of it",
            only_m14_failed,
        ),
    ],
    conclude_unread,
)
.says(
    "The program closed the connection with rows unread. Nothing failed on the way, but the program did not look at its result.",
    "Ask the application's authors whether they read results to their end.",
    "Catalogue 3.3, condition M14",
);

fn conclude_unread(facts: &Facts<'_>, _: &[Condition]) -> Conclusion {
    Conclusion::new(
        Verdict::Notice,
        Confidence::Proven,
        "The client closed without having taken the last packets of an answer that was complete on the wire.",
    )
    .with_evidence(close_evidence(facts))
}

fn sid_not_closed_by_client(facts: &Facts<'_>) -> Check {
    let failed = super::failed_mars_conditions(facts);
    let hit: Vec<&str> = failed
        .into_iter()
        .filter(|id| matches!(*id, "M6" | "M13"))
        .collect();
    Check::holds(!hit.is_empty(), hit.join(", "))
}

/// `smp-server-closed-sid`.
pub(in crate::rules) const SERVER_CLOSED_SID: Rule = Rule::close(
    "smp-server-closed-sid",
    "The server closed a session of its own accord",
    Verdict::Notice,
    &[
        CLIENT_RESET,
        HAS_CLIENT_SMP_FIN,
        Criterion::new(
            "sid",
            "An SMP:FIN of the server is no answer to one of the client",
            sid_not_closed_by_client,
        ),
    ],
    conclude_server_sid,
)
.says(
    "The server ended a session that the client had not closed, or before it could know of the client's close.",
    "Look what ran on that Sid, and into the server's error log.",
    "[MC-SMP] 3.1.4.4",
);

fn conclude_server_sid(facts: &Facts<'_>, _: &[Condition]) -> Conclusion {
    Conclusion::new(
        Verdict::Notice,
        Confidence::Likely,
        "The server closed a session of its own accord; the reset that followed is not the benign one.",
    )
    .with_evidence(close_evidence(facts))
}

fn has_client_smp_fin(facts: &Facts<'_>) -> Check {
    let fins = &facts.streams.client_fins;
    Check::holds(!fins.is_empty(), count(fins.len(), "SMP:FIN"))
}

const HAS_CLIENT_SMP_FIN: Criterion = Criterion::new(
    "smp-fin",
    "The client closed at least one session by SMP:FIN",
    has_client_smp_fin,
);

fn sids_open(facts: &Facts<'_>) -> Check {
    let failed = super::failed_mars_conditions(facts);
    Check::holds(failed.contains(&"M2"), failed.join(", "))
}

/// `rst-open-sids`.
pub(in crate::rules) const RST_OPEN_SIDS: Rule = Rule::close(
    "rst-open-sids",
    "Reset with sessions left open",
    Verdict::Notice,
    &[
        CLIENT_RESET,
        HAS_CLIENT_SMP_FIN,
        Criterion::new("open", "A Sid has no SMP:FIN of the client", sids_open),
    ],
    conclude_open_sids,
)
.says(
    "The client closed the connection without closing every session first. Nothing was outstanding.",
    "Look which driver it is (login); a session left open at every close may be a leak in the program.",
    "[MC-SMP] 3.1.4.4; Catalogue 3.7, N03",
);

fn conclude_open_sids(facts: &Facts<'_>, _: &[Condition]) -> Conclusion {
    let open: Vec<&Lane<'_>> = facts
        .lanes
        .iter()
        .filter(|l| l.last_life && l.client_fin.is_none())
        .collect();
    let names: Vec<String> = open.iter().take(8).map(|l| l.name()).collect();
    let mut conclusion = Conclusion::new(
        if facts.all_answered() {
            Verdict::Notice
        } else {
            Verdict::Undecided
        },
        Confidence::Likely,
        format!(
            "The client reset the connection with {} left open: {}.",
            count(open.len(), "session"),
            names.join(", ")
        ),
    )
    .with_evidence(close_evidence(facts));
    if open.len() == 1 && super::failed_mars_conditions(facts) == ["M2"] {
        conclusion
            .notes
            .push("some drivers (FreeTDS) never FIN the last session".to_owned());
    }
    conclusion.notes.extend(state_notes(facts));
    conclusion
}

fn seq_unexplained(facts: &Facts<'_>) -> Check {
    let odd = super::forms::forms(facts)
        .into_iter()
        .find_map(|(reset, form)| match form {
            super::forms::Form::None { why, seq: true } => Some((reset.no, why)),
            _ => None,
        });
    match odd {
        Some((frame, why)) => Check::held(why).on([frame]),
        None => Check::failed("every sequence number is explained"),
    }
}

/// `rst-odd-seq`.
pub(in crate::rules) const RST_ODD_SEQ: Rule = Rule::close(
    "rst-odd-seq",
    "Reset with a sequence number that nothing explains",
    Verdict::Undecided,
    &[
        CLIENT_RESET,
        HAS_CLIENT_SMP_FIN,
        Criterion::new(
            "seq",
            "A reset's sequence number is none that a closing client gives it",
            seq_unexplained,
        ),
    ],
    conclude_fallback,
)
.says(
    "The close looks like a normal MARS close but for the number in a reset.",
    "Look whether the capture lost the segment that it answers; compare with the other end's capture.",
    "Catalogue 3.4",
);

// ---- fall-backs --------------------------------------------------------------------------------------------

fn server_aborts(facts: &Facts<'_>) -> Check {
    let first = facts.close.closed_by(Side::Server)
        && facts.close.ender.is_some_and(|(_, seg)| seg.flags.rst());
    Check::holds(first, ender_words(facts))
}

/// `rst-abort-server`.
pub(in crate::rules) const RST_ABORT_SERVER: Rule = Rule::close(
    "rst-abort-server",
    "The server reset the connection",
    Verdict::Fault,
    &[
        SERVER_RESET,
        Criterion::new(
            "first",
            "Neither FIN nor reset of the client stands before it",
            server_aborts,
        ),
    ],
    conclude_abort_server,
)
.says(
    "A server does not reset idle connections in normal work: its process ended, it aborted the connection, or a device did it in its name.",
    "Look into the server's error log; compare with a capture on the server.",
    "Support guidance on intermittent network issues",
);

fn conclude_abort_server(facts: &Facts<'_>, _: &[Condition]) -> Conclusion {
    let mut conclusion = Conclusion::new(
        Verdict::Fault,
        Confidence::Likely,
        format!(
            "The server reset the connection before the client closed: {}.",
            ender_words(facts)
        ),
    )
    .with_evidence(end_evidence(facts));
    conclusion.notes.extend(state_notes(facts));
    conclusion
}

/// `rst-server-after-close`.
pub(in crate::rules) const RST_SERVER_AFTER_CLOSE: Rule = Rule::close(
    "rst-server-after-close",
    "The server reset a connection that the client closed",
    Verdict::Undecided,
    &[SERVER_RESET],
    conclude_fallback,
)
.says(
    "The client had closed already; the server reset the connection instead of closing it as well.",
    "Look at the server's side of the close; nothing was outstanding as far as the file shows.",
    "Catalogue 6, fall-backs",
);

/// `rst-abort-client`.
pub(in crate::rules) const RST_ABORT_CLIENT: Rule = Rule::close(
    "rst-abort-client",
    "The client reset the connection",
    Verdict::Undecided,
    &[CLIENT_RESET],
    conclude_fallback,
)
.says(
    "The client reset the connection and no rule explains it. Nothing was outstanding as far as the file shows.",
    "Read the conditions that failed; look at the client's program and driver.",
    "Catalogue 6, fall-backs",
);

fn conclude_fallback(facts: &Facts<'_>, _: &[Condition]) -> Conclusion {
    let failed = super::failed_mars_conditions(facts);
    let why = if failed.is_empty() {
        String::new()
    } else {
        format!(" Not the benign MARS close: {} failed.", failed.join(", "))
    };
    let verdict = if facts.outstanding().next().is_some() {
        Verdict::Fault
    } else {
        Verdict::Undecided
    };
    let who = facts
        .close
        .first_reset()
        .map_or("a side", |seg| seg.side.word());
    let mut conclusion = Conclusion::new(
        verdict,
        Confidence::Possible,
        format!(
            "Reset by the {who} that nothing explains; {}.{why}",
            ender_words(facts)
        ),
    )
    .with_evidence(if facts.conn.smp_seen {
        close_evidence(facts)
    } else {
        end_evidence(facts)
    });
    conclusion.notes.extend(state_notes(facts));
    conclusion
}

/// What the fall-backs must still say: stage, open Sids, quiet time, trouble just before.
fn state_notes(facts: &Facts<'_>) -> Vec<String> {
    let mut notes = vec![format!("stage: {}", facts.stage.word())];
    let open = facts
        .lanes
        .iter()
        .filter(|l| l.session.is_some() && l.last_life && l.client_fin.is_none())
        .count();
    if facts.conn.smp_seen {
        notes.push(format!(
            "{} without SMP:FIN of the client",
            count(open, "session")
        ));
    }
    let last = facts
        .frames
        .last_payload
        .0
        .iter()
        .flatten()
        .max_by_key(|s| s.no);
    if let (Some(reset), Some(last)) = (facts.close.first_reset(), last) {
        notes.push(format!(
            "{} since the last payload (frame {})",
            duration(reset.time.since(last.time)),
            last.no
        ));
        let sent = facts.frames.sent_end.get(reset.side);
        if let Some(end) = sent {
            notes.push(format!(
                "RST.Seq = its sender's last byte {}",
                super::forms::signed(reset.pos.saturating_sub(*end))
            ));
        }
        if let Some((fact, _)) = trouble_before(facts, reset) {
            notes.push(fact);
        }
        if facts.conn.frames <= 6 {
            notes.push("the conversation has no more than 6 frames".to_owned());
        }
    }
    if let Some(hidden) = hidden_control(facts).filter(|_| facts.conn.smp_seen) {
        notes.push(hidden);
    }
    notes
}
