//! Closes that are as they should be (catalogue, section 4), and those that only look like it.

mod orderly;
mod resets;
mod sessions;

use super::mars::CONDITIONS;
use crate::rules::facts::{Facts, Seg, Work};
use crate::rules::rule::{Check, Criterion};
use crate::store::{Applied, Outcome, PduKind};
use crate::units::Side;

pub(in crate::rules) use orderly::{CLOSE_4WAY, CLOSE_IDLE};
pub(in crate::rules) use resets::{CLOSE_ABORTIVE, PROBE_CONNECTION, RST_AFTER_CLOSE};
pub(in crate::rules) use sessions::{CLOSE_UNREAD, MARS_CLOSE_CLEAN};

fn no_reset(facts: &Facts<'_>) -> Check {
    let resets = &facts.close.reset_frames;
    Check::holds(resets.is_empty(), "").on(resets.iter().copied())
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

fn unknown_ids(conditions: &[Applied]) -> Vec<&str> {
    conditions
        .iter()
        .filter(|c| c.outcome == Outcome::Unknown)
        .map(Applied::id)
        .collect()
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
        if pdu.kind != PduKind::Tls || pdu.tds_type != 21 {
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
