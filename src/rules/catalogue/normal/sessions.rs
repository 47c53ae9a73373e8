//! Closes of MARS connections without a reset: every session closed, with all packets taken or not.

use super::super::failed_mars_conditions;
use super::super::mars::{abandoned, close_evidence, hidden_control};
use super::{CLIENT_FIRST, M1, M2, M3, M4, M14, NO_RESET, SERVER_TOO, unknown_ids};
use crate::rules::facts::{Doubt, Facts, Lane, Work};
use crate::rules::rule::{Check, Conclusion, Criterion, Rule};
use crate::store::{Applied, Confidence, Outcome, Verdict};
use crate::units::Side;

/// `mars-close-clean`.
pub(in crate::rules) const MARS_CLOSE_CLEAN: Rule = Rule::close(
    "mars-close-clean",
    "Clean MARS close",
    Verdict::Normal,
    &[
        NO_RESET,
        M1,
        M2,
        M3,
        M4,
        M14,
        Criterion::new(
            "received",
            "The client acknowledged all data of the server",
            data_received,
        ),
        CLIENT_FIRST,
        SERVER_TOO,
    ],
    conclude_clean,
)
.with_unknowns()
.says(
    "The client closed every session, then the connection, and the server did the same.",
    "Nothing to do.",
    "[MC-SMP] 3.1.4.4; Catalogue 4",
);

fn data_received(facts: &Facts<'_>) -> Check {
    let acked = facts.frames.acked.get(Side::Client).unwrap_or(0);
    match facts.streams.b.saturating_sub(acked) {
        ..=0 => Check::held(""),
        late => Check::unknown(format!(
            "{late} bytes of data are not acknowledged in the file"
        )),
    }
}

fn conclude_clean(facts: &Facts<'_>, conditions: &[Applied]) -> Conclusion {
    let unknown = unknown_ids(conditions);
    let grave = conditions.iter().any(|c| {
        c.outcome == Outcome::Unknown && !(c.id() == "M2" && hidden_control(facts).is_none())
    });
    let done_only = unknown == ["M3"]
        && facts
            .lanes
            .iter()
            .all(|lane| !matches!(lane.work, Work::Unknown(doubt) if doubt != Doubt::DoneCut));
    let mut conclusion = if unknown.is_empty() {
        Conclusion::new(
            Verdict::Normal,
            Confidence::Proven,
            "The client closed every session and the connection; nothing was outstanding.",
        )
    } else if grave && !done_only {
        Conclusion::new(
            Verdict::Undecided,
            Confidence::Possible,
            format!(
                "Looks like a clean MARS close. Unknown: {}.",
                unknown.join(", ")
            ),
        )
    } else {
        Conclusion::new(
            Verdict::Normal,
            Confidence::Likely,
            format!(
                "A clean MARS close as far as the file shows. Unknown: {}.",
                unknown.join(", ")
            ),
        )
    };
    conclusion.evidence = close_evidence(facts);
    conclusion.notes.extend(unanswered_fins(facts));
    conclusion.notes.extend(abandoned(facts));
    conclusion
}

/// The note on sessions whose SMP:FIN the server never answered.
fn unanswered_fins(facts: &Facts<'_>) -> Option<String> {
    let open = |lane: &&Lane<'_>| lane.client_fin.is_some() && lane.server_fin.is_none();
    let n = facts.lanes.iter().filter(open).count();
    (n > 0).then(|| format!("orphan-sid: {n} SMP:FINs of the client without an answer"))
}

fn packets_left(facts: &Facts<'_>) -> Check {
    let failed = failed_mars_conditions(facts);
    Check::holds(failed.contains(&"M14"), "")
}

/// `close-unread-data`.
pub(in crate::rules) const CLOSE_UNREAD: Rule = Rule::close(
    "close-unread-data",
    "Closed without taking the last packets",
    Verdict::Notice,
    &[
        NO_RESET,
        M1,
        M2,
        M3,
        M4,
        CLIENT_FIRST,
        Criterion::new(
            "unread",
            "The client did not take every packet of an answer",
            packets_left,
        ),
    ],
    conclude_unread,
)
.with_unknowns()
.says(
    "The program closed the connection with rows unread; no reset followed.",
    "Ask the application's authors whether they read results to their end.",
    "Catalogue 4",
);

fn conclude_unread(facts: &Facts<'_>, _: &[Applied]) -> Conclusion {
    Conclusion::new(
        Verdict::Notice,
        Confidence::Likely,
        "The client closed every session and the connection without taking the last packets of an answer.",
    )
    .with_evidence(close_evidence(facts))
}
