//! Closes of MARS connections that are not the benign one, by the condition that failed.

use super::super::failed_mars_conditions;
use super::super::mars::{close_evidence, untaken};
use super::super::text::count;
use super::CLIENT_RESET;
use super::fallback::{conclude_fallback, state_notes};
use crate::rules::facts::{Facts, Form, Lane, forms};
use crate::rules::rule::{Check, Conclusion, Criterion, Rule};
use crate::store::{Applied, Confidence, Verdict};

fn only_m14_failed(facts: &Facts<'_>) -> Check {
    let failed = failed_mars_conditions(facts);
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

fn conclude_unread(facts: &Facts<'_>, _: &[Applied]) -> Conclusion {
    let (verdict, confidence, complete) = if facts.knows_all_work() {
        let complete = "that was complete on the wire";
        (Verdict::Notice, Confidence::Proven, complete)
    } else {
        let complete = "of which the file does not tell whether it was complete";
        (Verdict::Undecided, Confidence::Possible, complete)
    };
    let left = untaken(facts);
    let text = format!(
        "The client closed without having taken all packets of an answer {complete}: {left}."
    );
    Conclusion::new(verdict, confidence, text).with_evidence(close_evidence(facts))
}

fn sid_not_closed_by_client(facts: &Facts<'_>) -> Check {
    let failed = failed_mars_conditions(facts);
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

fn conclude_server_sid(facts: &Facts<'_>, _: &[Applied]) -> Conclusion {
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
    let failed = failed_mars_conditions(facts);
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

fn conclude_open_sids(facts: &Facts<'_>, _: &[Applied]) -> Conclusion {
    let open: Vec<&Lane<'_>> = facts
        .last_lives()
        .filter(|l| l.client_fin.is_none())
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
    if open.len() == 1 && failed_mars_conditions(facts) == ["M2"] {
        conclusion
            .notes
            .push("some drivers (FreeTDS) never FIN the last session".to_owned());
    }
    conclusion.notes.extend(state_notes(facts));
    conclusion
}

fn seq_unexplained(facts: &Facts<'_>) -> Check {
    let odd = forms(facts).find_map(|(reset, form)| match form {
        Form::None { why, seq: true } => Some((reset.no, why)),
        _ => None,
    });
    match odd {
        Some((frame, why)) => Check::held(why.clone()).on([frame]),
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
