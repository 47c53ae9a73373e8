//! Resets that their sender did not send, and packets against the specification before a reset.

use super::{RESET, end_evidence};
use crate::rules::facts::{Facts, Seg};
use crate::rules::rule::{Check, Conclusion, Criterion, Rule, Scope, evidence};
use crate::store::{Applied, CheckId, Confidence, Exhibit, Severity, Verdict, ViolationRow};
use crate::units::{FrameNo, Side};

fn other_sender(facts: &Facts<'_>) -> Check {
    if facts.close.ended_by_foreign()
        && let Some((_, seg)) = facts.close.ender
    {
        return Check::held(foreign_sign(facts, &seg)).on([seg.no]);
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

/// By what a reset shows that another than its alleged sender made it.
pub(in crate::rules) fn foreign_sign(facts: &Facts<'_>, seg: &Seg) -> String {
    let side = seg.side.word();
    match facts.frames.usual_ttl(seg) {
        Some(mode) if mode.abs_diff(seg.ttl) > 1 => {
            let ttl = seg.ttl;
            format!("its time to live is {ttl}, that of the {side}'s segments {mode}")
        }
        _ => format!("the file of the {side}'s end does not show it being sent"),
    }
}

/// Condition 2 of the catalogue. It proves what the first condition suspects, and is no need.
fn neither_sent(facts: &Facts<'_>) -> Check {
    if !facts.ends.both {
        return Check::unknown("could not be checked: the files show one end of the connection");
    }
    let frames = || facts.ends.unsent.0.iter().flatten().copied();
    if facts.ends.neither_sent() {
        let text = Side::BOTH.map(|side| {
            let first = facts.ends.unsent.get(side).first();
            let frame = first.map_or_else(String::new, FrameNo::to_string);
            format!(
                "frame {frame} names the {} and is not in its file",
                side.word()
            )
        });
        return Check::held(text.join("; ")).on(frames());
    }
    let missing = Side::BOTH.map(|side| facts.ends.unsent.get(side).len());
    let fact = match missing {
        [0, 0] => "not so: the files of both ends show who sent each reset".to_owned(),
        [_, 0] => {
            "for one direction only: the client's file lacks a reset that names it".to_owned()
        }
        _ => "for one direction only: the server's file lacks a reset that names it".to_owned(),
    };
    Check::unknown(fact).on(frames())
}

/// `rst-middlebox`.
pub(in crate::rules) const RST_MIDDLEBOX: Rule = Rule::close(
    "rst-middlebox",
    "Reset by a device on the path",
    Verdict::Fault,
    &[
        Criterion::new(
            "sender",
            "The reset is not its sender's: by its time to live, by the files of both ends, or by a sequence number that nothing explains",
            other_sender,
        ),
        Criterion::new(
            "both-ends",
            "As proof: each end got a reset that names the other, and neither end's file shows it being sent",
            neither_sent,
        ),
    ],
    conclude_middlebox,
)
.with_unknowns()
.only_where(|facts| !facts.close.foreign.is_empty() || facts.close.stray.is_some())
.says(
    "Suspected: a firewall, load balancer or other device made the reset in the name of one end.",
    "Compare with a capture of the other end: a reset that was never sent there proves it. Ask for the device's logs.",
    "Support guidance on intermittent network issues; RFC 5961",
);

fn conclude_middlebox(facts: &Facts<'_>, _: &[Applied]) -> Conclusion {
    let seg = facts
        .close
        .ender
        .filter(|_| facts.close.ended_by_foreign())
        .map(|(_, seg)| seg)
        .or(facts.close.stray);
    let proved = facts.ends.neither_sent();
    let text = seg.map_or(String::new(), |seg| {
        let (no, side) = (seg.no, seg.side.word());
        if proved {
            format!(
                "The reset in frame {no} says it comes from the {side}, but the files of both ends show that neither end sent a reset: a device on the path made it."
            )
        } else {
            let sign = if facts.close.ended_by_foreign() {
                foreign_sign(facts, &seg)
            } else {
                "its number is none that this end would send".to_owned()
            };
            format!(
                "The reset in frame {no} says it comes from the {side}, but {sign}: suspected to be made by a device on the path."
            )
        }
    });
    let confidence = if proved {
        Confidence::Proven
    } else {
        Confidence::Likely
    };
    let mut conclusion =
        Conclusion::new(Verdict::Fault, confidence, text).with_evidence(end_evidence(facts));
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

/// Condition 4 of the catalogue: an idle timer's round value in spite of keepalives, a note only.
pub(super) fn idle_note(facts: &Facts<'_>) -> Option<String> {
    let (_, seg) = facts.close.ender.filter(|(_, seg)| seg.flags.rst())?;
    if facts.frames.probes.is_empty() {
        return None;
    }
    let last = facts.frames.last_with_payload()?;
    let idle = facts.passed_since(last.no, seg.no)? / 1_000_000_000;
    [60, 300, 350, 900, 1800, 3600]
        .into_iter()
        .find(|round: &i64| idle.abs_diff(*round) <= 2)
        .map(|round| format!("device idle timer: the connection was quiet for about {round} s"))
}

/// A reset whose time to live is off by 1: no sign of another sender, but of another path.
pub(in crate::rules) fn path_note(facts: &Facts<'_>) -> Option<String> {
    let resets = facts.close.resets.iter().chain(&facts.close.server_resets);
    let off = |seg: &&Seg| facts.frames.ttl_off_by(seg) == Some(1);
    let seg = { resets }.find(off)?;
    Some(format!(
        "the time to live of the reset in frame {} is off by 1: another path",
        seg.no
    ))
}

/// `rst-ignored`.
pub(in crate::rules) const RST_IGNORED: Rule = Rule::gathered(
    "rst-ignored",
    "Reset without effect",
    Scope::Connection,
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

/// Packets against the specification within the last second before the end, where the whole connection is in the file
/// or what they break does not depend on that.
pub(in crate::rules) fn grave_violations<'a>(facts: &Facts<'a>) -> Vec<&'a ViolationRow> {
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
.only_where(|facts| facts.violations().next().is_some())
.says(
    "A packet breaks the rules of the session protocol; a peer may drop the connection for it.",
    "Look at the driver named in the login, and whether something on the path changes bytes.",
    "[MC-SMP] 2.2.1 and 3.1.5",
);

fn conclude_violation(facts: &Facts<'_>, _: &[Applied]) -> Conclusion {
    let found = grave_violations(facts);
    let mut proof: Vec<Exhibit> = found
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
