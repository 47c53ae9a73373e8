//! Closes that are as they should be (catalogue, section 4), and those that only look like it.

use rustc_hash::FxHashMap;

use super::failure::end_evidence;
use super::mars::{CONDITIONS, close_evidence, hidden_control};
use super::text::duration;
use crate::rules::facts::{Doubt, Facts, Lane, Seg, Stage, Work};
use crate::rules::rule::{Check, Conclusion, Criterion, Rule, evidence};
use crate::rules::settings::Threshold;
use crate::store::{Condition, Confidence, Evidence, Outcome, Protocol, Verdict};
use crate::units::{FrameNo, Side};

fn no_reset(facts: &Facts<'_>) -> Check {
    let resets = facts.close_resets();
    Check::holds(resets.is_empty(), "").on(resets)
}

fn client_fin_first(facts: &Facts<'_>) -> Check {
    if facts.close.unsure {
        return Check::unknown("the client's last bytes, perhaps with a FIN, are not in the file");
    }
    let by_client = facts.close.closed_by(Side::Client)
        && facts.close.ender.is_some_and(|(_, seg)| seg.flags.fin());
    Check::holds(by_client, "").on(facts.close.tf.iter().map(|seg| seg.no))
}

fn server_fin_too(facts: &Facts<'_>) -> Check {
    let fins = facts.close.server_fins.iter().map(|seg| seg.no);
    if facts.close.server_fins.is_empty() {
        return Check::unknown("the server's FIN is not in the file");
    }
    Check::held("").on(fins)
}

fn fin_acknowledged(facts: &Facts<'_>) -> Check {
    let want = facts.close.f.map(|f| f.saturating_add(1));
    let acked = *facts.frames.acked.get(Side::Server);
    if want.is_some() && acked >= want {
        let frame = want.and_then(|want| facts.frames.acked_in(Side::Server, want));
        return Check::held("").on(frame);
    }
    Check::unknown("no segment of the server acknowledges the client's FIN")
}

/// The condition of the benign close with an id, so that both rules say the same about it.
const fn mars_condition(at: usize) -> Criterion {
    let mut rest = CONDITIONS;
    let mut n = 0;
    loop {
        match rest {
            [first, tail @ ..] => {
                if n == at {
                    return *first;
                }
                rest = tail;
                n += 1;
            }
            [] => return NO_RESET,
        }
    }
}

const NO_RESET: Criterion = Criterion::new("no-reset", "No reset is part of the close", no_reset);
const CLIENT_FIRST: Criterion = Criterion::new(
    "client-first",
    "The client's FIN was first",
    client_fin_first,
);
const SERVER_TOO: Criterion = Criterion::new(
    "server-fin",
    "The server sent its FIN as well",
    server_fin_too,
);
const M1: Criterion = mars_condition(0);
const M2: Criterion = mars_condition(1);
const M3: Criterion = mars_condition(2);
const M4: Criterion = mars_condition(3);
const M14: Criterion = mars_condition(13);

/// `mars-close-clean`.
pub(in crate::rules) const MARS_CLOSE_CLEAN: Rule = Rule::close(
    "mars-close-clean",
    "Clean MARS close",
    Verdict::Normal,
    &[NO_RESET, M1, M2, M3, M4, M14, CLIENT_FIRST, SERVER_TOO],
    conclude_clean,
)
.with_unknowns()
.says(
    "The client closed every session, then the connection, and the server did the same.",
    "Nothing to do.",
    "[MC-SMP] 3.1.4.4; Catalogue 4",
);

fn conclude_clean(facts: &Facts<'_>, conditions: &[Condition]) -> Conclusion {
    let unknown = unknown_ids(conditions);
    let grave = conditions.iter().any(|c| {
        c.outcome == Outcome::Unknown && !(c.id == "M2" && hidden_control(facts).is_none())
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
    conclusion
}

fn unknown_ids(conditions: &[Condition]) -> Vec<&str> {
    conditions
        .iter()
        .filter(|c| c.outcome == Outcome::Unknown)
        .map(|c| c.id.as_ref())
        .collect()
}

/// The note on sessions whose SMP:FIN the server never answered.
fn unanswered_fins(facts: &Facts<'_>) -> Option<String> {
    let open = |lane: &&Lane<'_>| lane.client_fin.is_some() && lane.server_fin.is_none();
    let n = facts.lanes.iter().filter(open).count();
    (n > 0).then(|| format!("orphan-sid: {n} SMP:FINs of the client without an answer"))
}

fn packets_left(facts: &Facts<'_>) -> Check {
    let failed = super::failed_mars_conditions(facts);
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

fn conclude_unread(facts: &Facts<'_>, _: &[Condition]) -> Conclusion {
    Conclusion::new(
        Verdict::Notice,
        Confidence::Likely,
        "The client closed every session and the connection without taking the last packets of an answer.",
    )
    .with_evidence(close_evidence(facts))
}

fn bytes_present(facts: &Facts<'_>) -> Check {
    let missing = facts.missing_bytes();
    if missing > 0 {
        return Check::unknown(format!("{missing} bytes are not in the file"));
    }
    let answered = facts.lanes.iter().any(|lane| lane.work == Work::Answered);
    if !facts.conn.from_start() && !answered {
        return Check::unknown("the file begins later, and no complete answer is in it");
    }
    Check::held("")
}

fn nothing_left(facts: &Facts<'_>) -> Check {
    if !facts.encrypted {
        return match M3.check {
            crate::rules::rule::Probe::Facts(check) => check(facts),
            crate::rules::rule::Probe::Gathered => Check::unknown(""),
        };
    }
    // Inside TLS the last record of data must be the server's, and the client must have it.
    let last = |side| *facts.frames.last_payload.get(side);
    let (client, server) = (last(Side::Client), last(Side::Server));
    let alerts_only = facts
        .close
        .reached
        .zip(*facts.frames.sent_end.get(Side::Server));
    let reached = alerts_only.is_some_and(|(reached, sent)| sent <= reached);
    match (client, server) {
        (Some(c), Some(s)) if (s.no > c.no || closing_alert(facts, &c)) && reached => {
            Check::held("contents encrypted: the last record of data is the server's").on([s.no])
        }
        _ => Check::unknown("contents encrypted: the client may have waited for an answer"),
    }
}

/// Whether a client segment holds nothing but a TLS alert.
fn closing_alert(facts: &Facts<'_>, seg: &Seg) -> bool {
    let mut any = false;
    for (_, pdu) in facts.store.pdus_in(seg.no) {
        any = true;
        if pdu.kind != crate::store::PduKind::Tls || pdu.tds_type != 21 {
            return false;
        }
    }
    any
}

const NOTHING_LEFT: Criterion = Criterion::new(
    "answered",
    "No request and no attention is outstanding",
    nothing_left,
);
const COMPLETE: Criterion = Criterion::new(
    "complete",
    "No bytes of the connection are missing from the file",
    bytes_present,
);
const ACKED: Criterion = Criterion::new(
    "acknowledged",
    "The server acknowledged the client's FIN",
    fin_acknowledged,
);

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
fn acknowledgements(facts: &Facts<'_>) -> Vec<Evidence> {
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

fn conclude_4way(facts: &Facts<'_>, conditions: &[Condition]) -> Conclusion {
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
            if facts.encrypted || all_but_last {
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
    let open = facts
        .lanes
        .iter()
        .filter(|l| l.session.is_some() && l.last_life && l.client_fin.is_none())
        .count();
    if open > 0 {
        conclusion
            .notes
            .push(format!("orphan-sid: {open} left open; FreeTDS closes so"));
    }
    conclusion
}

fn quiet_before(facts: &Facts<'_>) -> Check {
    let Some(tf) = facts.close.tf.first() else {
        return Check::failed("no FIN of the client");
    };
    let last = facts
        .frames
        .last_payload
        .0
        .iter()
        .flatten()
        .map(|s| s.time)
        .max();
    let Some(last) = last else {
        // A request may have been waiting since before the file began.
        return Check::failed("no payload in the file").on([tf.no]);
    };
    let quiet = tf.time.since(last);
    let runs = facts.frames.probe_runs();
    let answered = runs.iter().rev().find(|run| {
        run.last.no < tf.no && run.last.time >= last && run.heard.is_some_and(|h| h < tf.no)
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

fn conclude_idle(facts: &Facts<'_>, _: &[Condition]) -> Conclusion {
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
    let late: FxHashMap<_, _> = facts
        .frames
        .late
        .get(Side::Server)
        .iter()
        .rev()
        .filter(|seg| seg.next > a.saturating_sub(1) && (seg.len == 0 || seg.flags.fin()))
        .filter_map(|seg| seg.ack.map(|ack| (ack, seg.no)))
        .collect();
    for reset in &facts.close.resets {
        let answered = late.get(&reset.pos).is_some_and(|no| *no < reset.no);
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
            "Each reset answers a late segment of the server without data",
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

fn conclude_after_close(facts: &Facts<'_>, _: &[Condition]) -> Conclusion {
    Conclusion::new(
        Verdict::Normal,
        Confidence::Proven,
        "The client had closed; its resets answer the server's last segments.",
    )
    .with_evidence(end_evidence(facts))
}

fn reset_instead(facts: &Facts<'_>) -> Check {
    let no_fin = facts.close.tf.is_empty() && facts.close.server_fins.is_empty();
    let [reset] = facts.close.resets.as_slice() else {
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
        .and_then(|first| super::mars::trouble_before(facts, first))
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

fn conclude_abortive(facts: &Facts<'_>, _: &[Condition]) -> Conclusion {
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

fn conclude_probe(facts: &Facts<'_>, _: &[Condition]) -> Conclusion {
    Conclusion::new(
        Verdict::Normal,
        Confidence::Proven,
        "The connection was made and ended without any data.",
    )
    .with_evidence(end_evidence(facts))
}
