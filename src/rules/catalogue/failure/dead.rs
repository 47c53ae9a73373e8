//! Peers that are gone: keepalives and data in vain, a window that stays closed.

use super::super::text::duration;
use super::{end_evidence, ender_words, undecided};
use crate::rules::facts::{Facts, ProbeRun, ResendRun, Seg};
use crate::rules::rule::{Check, Conclusion, Criterion, Rule, evidence};
use crate::rules::settings::Threshold;
use crate::store::{Applied, Confidence, Exhibit, Verdict};
use crate::units::FrameNo;

/// The last run of keepalives that nobody answered; one that its side gave up before one that goes on.
fn dead_run(facts: &Facts<'_>) -> Option<ProbeRun> {
    let least = facts.settings.count(Threshold::KeepaliveProbes);
    let mut runs = facts.frames.probe_runs();
    // What the peer sends behind the reset comes too late.
    runs.retain(|run| {
        let silent = run
            .heard
            .is_none_or(|heard| given_up(facts, run).is_some_and(|reset| reset < heard));
        silent && run.count >= least
    });
    let ended = runs.iter().rfind(|run| given_up(facts, run).is_some());
    ended.or(runs.last()).copied()
}

/// The reset with which the probing side gave up.
fn given_up(facts: &Facts<'_>, run: &ProbeRun) -> Option<FrameNo> {
    let all = facts.close.resets.iter().chain(&facts.close.server_resets);
    let own = all.filter(|r| r.side == run.side && r.no > run.last.no);
    own.map(|r| r.no).min()
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
    let any_reset = facts.close.first_reset().is_some();
    match given_up(facts, &run) {
        Some(reset) => Check::held("its reset follows").on([reset]),
        None if !any_reset && facts.close.ender.is_none() => {
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
.only_where(|facts| !facts.frames.probes.is_empty())
.says(
    "One side asked whether the other is still there, got no answer and gave the connection up: the peer is gone, or packets are lost in one direction.",
    "Take a capture on the other side at the same time and look whether the probes arrive.",
    "Support guidance on intermittent network issues; Windows sends 10 probes 1 s apart, then resets",
);

fn conclude_keepalive(facts: &Facts<'_>, _: &[Applied]) -> Conclusion {
    let Some(run) = dead_run(facts) else {
        return undecided("keepalives without an answer");
    };
    let peer = run.side.other();
    let mut proof = Vec::new();
    if let Some(last) = facts
        .frames
        .last_sent(peer)
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
        .last_with_payload()
        .and_then(|last| facts.passed_since(last.no, run.first.no))
        .filter(|idle| *idle >= 0);
    proof.push(evidence(
        run.first.no,
        "first probe",
        idle.map_or(String::new(), |idle| {
            format!("{} after the last data", duration(idle))
        }),
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
    let usual = facts.settings.get(Threshold::KeepaliveIdle);
    if idle.is_some_and(|idle| idle.abs_diff(usual) <= 2_000_000_000) {
        conclusion.notes.push(format!(
            "the first probe came after the usual idle time of {}",
            duration(usual)
        ));
    }
    let probes = facts.frames.probes.iter().map(|probe| probe.seg);
    let of_run =
        |seg: &Seg| seg.side == run.side && seg.no >= run.first.no && seg.no <= run.last.no;
    conclusion
        .notes
        .extend(arrival_note(facts, probes.filter(of_run), "probes"));
    if run.count == 10 {
        conclusion
            .notes
            .push("exactly 10 probes are the signature of Windows".to_owned());
    }
    conclusion
}

/// What the other end's file has of some segments, where that is there.
fn arrival_note(facts: &Facts<'_>, segs: impl Iterator<Item = Seg>, what: &str) -> Option<String> {
    let (mut all, mut lost) = (0_usize, 0_usize);
    for seg in segs {
        all = all.saturating_add(1);
        lost = lost.saturating_add(usize::from(facts.ends.not_arrived.contains(&seg.no)));
    }
    facts.ends.both.then(|| match lost {
        0 => format!("the other end's file has all {all} {what}: its answers did not come back"),
        _ => format!("the other end's file lacks {lost} of the {all} {what}: dropped on the way, unless that capture had ended"),
    })
}

/// A run of retransmissions that the peer left unanswered, with the reset that gave it up; `None` where the file ends
/// with the run.
fn lost_segment<'f>(facts: &'f Facts<'_>) -> Option<(&'f ResendRun, Option<&'f Seg>)> {
    let least = facts.settings.count(Threshold::Retransmissions);
    facts.frames.resend_runs.iter().find_map(|run| {
        let (begin, end) = (run.segs.first()?, run.segs.last()?);
        let mut resets = facts.close.resets.iter().chain(&facts.close.server_resets);
        let reset = resets.find(|r| r.side == run.side && r.flags.ack() && r.no > end.no);
        let (peer, point) = (run.side.other(), reset.unwrap_or(end).point);
        // What the peer acknowledged, as far as it arrived.
        let acked = facts.frames.acked_at(peer, point);
        let advanced = acked.is_some_and(|acked| acked > run.pos);
        let silent = || {
            let heard = facts.frames.last_sent_at(peer, point);
            facts.close.ender.is_none() && heard.is_some_and(|heard| heard < begin.no)
        };
        let lost = run.resent() >= least && !advanced && (reset.is_some() || silent());
        lost.then_some((run, reset))
    })
}

/// How such a run ended, in words.
fn end_of_run(reset: Option<&Seg>) -> &'static str {
    match reset {
        Some(_) => "and reset the connection",
        None => "and heard nothing more up to the end of the file",
    }
}

fn sent_in_vain(facts: &Facts<'_>) -> Check {
    match lost_segment(facts) {
        Some((run, reset)) => Check::held(format!(
            "the {} sent {} again {} times, {}",
            run.side.word(),
            facts.streams.seq(run.side, run.pos),
            run.resent(),
            end_of_run(reset)
        ))
        .on(run.segs.iter().chain(reset).map(|seg| seg.no)),
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
            [a, b] => facts.between(a.no, b.no),
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
            "One side sent the same bytes again and got no acknowledgement until it reset the connection, or the file ends",
            sent_in_vain,
        ),
        Criterion::new("gaps", "The gaps grow by a factor of about 2", growing_gaps),
    ],
    conclude_resent,
)
.only_where(|facts| !facts.frames.resend_runs.is_empty())
.says(
    "Packets of one side do not arrive, or their acknowledgements do not come back.",
    "Take captures on both sides at once: a segment missing in the other file was dropped on the way.",
    "Support guidance on TCP/IP connectivity: Windows sends data again 5 times",
);

fn conclude_resent(facts: &Facts<'_>, _: &[Applied]) -> Conclusion {
    let Some((run, reset)) = lost_segment(facts) else {
        return undecided("retransmissions in vain");
    };
    let mut proof: Vec<Exhibit> = run
        .segs
        .iter()
        .take(20)
        .map(|seg| evidence(seg.no, "sent again", format!("Seq {}", seg.seq)))
        .collect();
    proof.extend(end_evidence(facts));
    let mut conclusion = Conclusion::new(
        Verdict::Fault,
        // The answer may have come behind the end of the file.
        reset.map_or(Confidence::Likely, |_| Confidence::Proven),
        format!(
            "The {} sent the same {} bytes again {} times without an acknowledgement {}.",
            run.side.word(),
            run.segs.first().map_or(0, |s| s.len),
            run.resent(),
            end_of_run(reset)
        ),
    )
    .with_evidence(proof);
    let sent = run.segs.iter().copied();
    conclusion
        .notes
        .extend(arrival_note(facts, sent, "repetitions"));
    conclusion
}

fn window_closed(facts: &Facts<'_>) -> Check {
    let Some(first) = facts.close.first_reset() else {
        return Check::failed("no reset");
    };
    match facts.window_closed_at(first.no) {
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
.only_where(|facts| !facts.frames.zero_windows.is_empty())
.says(
    "The receiver did not read what had arrived: at the client a slow fetch, at the server a request that is not read.",
    "Look at the process that did not read: blocked, busy, or waiting for the user.",
    "RFC 9293 3.8.6",
);

fn conclude_zero_window(facts: &Facts<'_>, _: &[Applied]) -> Conclusion {
    let reset = facts.close.first_reset();
    let start = reset.and_then(|reset| facts.window_closed_at(reset.no));
    let mut proof: Vec<Exhibit> = start
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
