//! The TCP close with four segments, and that of an idle connection.

use super::super::failure::end_evidence;
use super::super::text::duration;
use super::{ACKED, CLIENT_FIRST, COMPLETE, NO_RESET, NOTHING_LEFT, SERVER_TOO, unknown_ids};
use crate::rules::facts::{Facts, Stage};
use crate::rules::rule::{Check, Conclusion, Criterion, Rule, evidence};
use crate::rules::settings::Threshold;
use crate::store::{Applied, Confidence, Exhibit, Protocol, Verdict};
use crate::units::{FrameNo, Side};

fn last_acknowledgement(facts: &Facts<'_>) -> Check {
    let Some(fin) = facts.close.server_fins.first() else {
        return Check::unknown("the server's FIN is not in the file");
    };
    match last_ack(facts) {
        Some(no) => Check::held("").on([no]),
        None => {
            Check::unknown("no segment of the client acknowledges the server's FIN").on([fin.no])
        }
    }
}

/// The client's segment that acknowledges the server's FIN.
fn last_ack(facts: &Facts<'_>) -> Option<FrameNo> {
    let fin = facts.close.server_fins.first()?;
    facts.frames.acked_in(Side::Client, fin.next)
}

const LAST_ACK: Criterion = Criterion::new(
    LAST_ACK_ID,
    "The client acknowledged the server's FIN",
    last_acknowledgement,
);
const LAST_ACK_ID: &str = "last-ack";

/// The two acknowledgements of a close, as evidence.
fn acknowledgements(facts: &Facts<'_>) -> Vec<Exhibit> {
    let server = facts
        .close
        .f
        .and_then(|f| facts.frames.acked_in(Side::Server, f.saturating_add(1)));
    let roles = [
        (server, "the server acknowledges the client's FIN"),
        (last_ack(facts), "the client acknowledges the server's FIN"),
    ];
    roles
        .into_iter()
        .filter_map(|(frame, role)| Some(evidence(frame?, role, "")))
        .collect()
}

/// `close-4way`.
pub(in crate::rules) const CLOSE_4WAY: Rule = Rule::close(
    "close-4way",
    "Normal TCP close",
    Verdict::Normal,
    &[
        NO_RESET,
        CLIENT_FIRST,
        NOTHING_LEFT,
        ACKED,
        SERVER_TOO,
        LAST_ACK,
        COMPLETE,
    ],
    conclude_4way,
)
.with_unknowns()
.says(
    "The client closed, the server closed as well, nothing was outstanding.",
    "Nothing to do.",
    "Microsoft Learn, Trace the network connection close sequence",
);

fn conclude_4way(facts: &Facts<'_>, conditions: &[Applied]) -> Conclusion {
    let mut unknown = unknown_ids(conditions);
    // Everything was done when the last acknowledgement was due; that it is not in the file changes nothing.
    let all_but_last = unknown == [LAST_ACK_ID];
    unknown.retain(|id| *id != LAST_ACK_ID);
    let early = facts.conn.protocol == Protocol::Tds && facts.stage < Stage::Ready;
    let mut conclusion = if early {
        Conclusion::new(
            Verdict::Undecided,
            Confidence::Possible,
            format!(
                "The client closed before the login was answered (stage: {}).",
                facts.stage.word()
            ),
        )
    } else if unknown.is_empty() {
        Conclusion::new(
            Verdict::Normal,
            if facts.encrypted || all_but_last || may_have_other_sessions(facts) {
                Confidence::Likely
            } else {
                Confidence::Proven
            },
            "Normal close: the client's FIN first, the server's FIN, nothing outstanding.",
        )
    } else {
        Conclusion::new(
            Verdict::Undecided,
            Confidence::Possible,
            format!(
                "Looks like a normal close. Unknown: {}.",
                unknown.join(", ")
            ),
        )
    };
    conclusion.evidence = end_evidence(facts);
    conclusion.evidence.extend(acknowledgements(facts));
    let open = facts.left_open().count();
    if open > 0 {
        conclusion
            .notes
            .push(format!("orphan-sid: {open} left open; FreeTDS closes so"));
    }
    if may_have_other_sessions(facts) {
        conclusion.notes.push(
            "sessions opened before the file begins may have left something outstanding".to_owned(),
        );
    }
    conclusion
}

/// Whether sessions that the file does not show may have been open when the client closed.
fn may_have_other_sessions(facts: &Facts<'_>) -> bool {
    facts.conn.smp_seen && !facts.conn.from_start()
}

fn quiet_before(facts: &Facts<'_>) -> Check {
    let Some(tf) = facts.close.tf.first() else {
        return Check::failed("no FIN of the client");
    };
    let Some(last) = facts.frames.last_with_payload() else {
        // A request may have been waiting since before the file began.
        return Check::failed("no payload in the file").on([tf.no]);
    };
    let Some(quiet) = facts.passed_since(last.no, tf.no) else {
        return Check::failed("no clock saw both the last payload and the FIN")
            .on([last.no, tf.no]);
    };
    let runs = facts.frames.probe_runs();
    let answered = runs.iter().rev().find(|run| {
        run.last.no < tf.no && run.last.no > last.no && run.heard.is_some_and(|h| h < tf.no)
    });
    Check::holds(
        quiet >= facts.settings.get(Threshold::IdleClose) && answered.is_some(),
        format!("{} without data", duration(quiet)),
    )
    .on(answered.map(|run| run.last.no))
}

/// `close-idle`.
pub(in crate::rules) const CLOSE_IDLE: Rule = Rule::close(
    "close-idle",
    "Normal close of an idle connection",
    Verdict::Normal,
    &[
        NO_RESET,
        CLIENT_FIRST,
        NOTHING_LEFT,
        ACKED,
        SERVER_TOO,
        Criterion::new(
            "quiet",
            "It was quiet before, and keepalives were answered",
            quiet_before,
        ),
    ],
    conclude_idle,
)
.says(
    "An idle or pooled connection was closed.",
    "Nothing to do.",
    "Microsoft Learn, Trace the network connection close sequence; pools trim after minutes of idleness",
);

fn conclude_idle(facts: &Facts<'_>, _: &[Applied]) -> Conclusion {
    let confidence = if facts.conn.from_start() {
        Confidence::Proven
    } else {
        Confidence::Likely
    };
    Conclusion::new(
        Verdict::Normal,
        confidence,
        "Idle or pooled connection closed by the client.",
    )
    .with_evidence(end_evidence(facts))
}
