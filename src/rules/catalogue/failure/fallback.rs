//! What is left to say of a reset that no other rule explains.

use super::super::failed_mars_conditions;
use super::super::mars::{close_evidence, hidden_control, trouble_before, untaken};
use super::super::text::{count, duration};
use super::strangers::{idle_note, path_note};
use super::{CLIENT_RESET, SERVER_RESET, end_evidence, ender_words};
use crate::rules::facts::{Facts, off_from};
use crate::rules::rule::{Check, Conclusion, Criterion, Rule};
use crate::rules::settings::Threshold;
use crate::store::{Applied, Confidence, Verdict};
use crate::units::Side;

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

fn conclude_abort_server(facts: &Facts<'_>, _: &[Applied]) -> Conclusion {
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

fn not_by_client_reset(facts: &Facts<'_>) -> Check {
    let ender = facts.close.ender;
    let by_reset = ender.is_some_and(|(_, seg)| seg.side == Side::Client && seg.flags.rst());
    Check::holds(!by_reset, ender_words(facts))
}

/// `rst-server-after-close`.
pub(in crate::rules) const RST_SERVER_AFTER_CLOSE: Rule = Rule::close(
    "rst-server-after-close",
    "The server reset a connection that the client closed",
    Verdict::Undecided,
    &[
        SERVER_RESET,
        Criterion::new(
            "first",
            "It is not the client's reset that ended the connection",
            not_by_client_reset,
        ),
    ],
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
    "The client reset the connection, and no rule tells that this was harmless. Nothing was outstanding as far as the file shows.",
    "Read the conditions that failed; look at the client's program and driver.",
    "Catalogue 6, fall-backs",
);

pub(super) fn conclude_fallback(facts: &Facts<'_>, _: &[Applied]) -> Conclusion {
    let failed = failed_mars_conditions(facts);
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
    // A socket that is closed with data unread is reset, whether anything went wrong or not.
    let unread = facts.close.first_reset() == facts.close.abort() && failed.contains(&"M14");
    let what = if unread {
        format!(
            "Reset by the client, which closed with data unread ({}); TCP resets a connection that is closed so",
            untaken(facts)
        )
    } else {
        format!("Reset by the {who} that nothing explains")
    };
    let mut conclusion = Conclusion::new(
        verdict,
        Confidence::Possible,
        format!("{what}; {}.{why}", ender_words(facts)),
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
pub(super) fn state_notes(facts: &Facts<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    // Of a connection that shows nothing of SQL Server no login is known.
    if !facts.conn.is_other() {
        notes.push(format!("stage: {}", facts.stage.word()));
    }
    let open = facts.left_open().count();
    if facts.conn.smp_seen {
        notes.push(format!(
            "{} without SMP:FIN of the client",
            count(open, "session")
        ));
    }
    let last = facts.frames.last_with_payload();
    if let (Some(reset), Some(last)) = (facts.close.first_reset(), last) {
        notes.extend(facts.passed_since(last.no, reset.no).map(|ns| {
            format!(
                "{} since the last payload (frame {})",
                duration(ns),
                last.no
            )
        }));
        let sent = facts.frames.sent_end.get(reset.side);
        if let Some(end) = sent {
            notes.push(format!(
                "RST.Seq = {}",
                off_from(
                    "end of what its sender sent",
                    reset.pos.saturating_sub(*end)
                )
            ));
        }
        let peer = facts.frames.sent_end.get(reset.side.other());
        if let Some((ack, end)) = reset.ack.zip(*peer) {
            notes.push(format!(
                "RST.Ack = {}",
                off_from("end of what its receiver sent", ack.saturating_sub(end))
            ));
        }
        notes.extend(path_note(facts));
        notes.extend(idle_note(facts));
        if let Some((fact, _)) = trouble_before(facts, reset) {
            notes.push(fact);
        }
        let early = facts.settings.get(Threshold::EarlyReset);
        if i64::from(facts.conn.frames) <= early {
            notes.push(format!(
                "early reset: the conversation has no more than {early} frames"
            ));
        }
    }
    if let Some(hidden) = hidden_control(facts).filter(|_| facts.conn.smp_seen) {
        notes.push(hidden);
    }
    notes
}
