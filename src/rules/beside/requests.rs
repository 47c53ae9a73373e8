//! Requests beside the close: slow logins and answers, cancelled ones, uses of a pooled connection.

use super::stated;
use crate::rules::catalogue::{
    ATTENTION_OK, LOGIN_SLOW, POOL_RESET, SLOW_RESPONSE, TDS_VIOLATION, count, duration,
    slow_login, times,
};
use crate::rules::facts::Facts;
use crate::rules::rule::{MOST_FRAMES, evidence};
use crate::rules::settings::Threshold;
use crate::store::{Evidence, Finding, RequestRow, Verdict};
use crate::units::{FrameNo, Side};

pub(super) fn login_slow(facts: &Facts<'_>) -> Option<Finding> {
    let (text, proof) = slow_login(facts)?;
    Some(stated(facts, &LOGIN_SLOW, Verdict::Notice, text, proof))
}

/// Requests that satisfy a test, as evidence, with their number.
fn requests(
    facts: &Facts<'_>,
    test: impl Fn(&RequestRow) -> Option<(FrameNo, String)>,
    role: &'static str,
) -> (usize, Vec<Evidence>) {
    let mut n = 0_usize;
    let mut proof = Vec::new();
    for request in facts.store.conn_requests(facts.conn.id) {
        if let Some((frame, fact)) = test(request) {
            n = n.saturating_add(1);
            if proof.len() < MOST_FRAMES {
                let sid = request.session.and_then(|id| facts.store.session(id));
                let on = sid.map_or(String::new(), |s| format!("Sid {}: ", s.sid));
                proof.push(evidence(frame, role, format!("{on}{fact}")));
            }
        }
    }
    (n, proof)
}

pub(super) fn attentions(facts: &Facts<'_>) -> Option<Finding> {
    let timeout = facts.settings.get(Threshold::CommandTimeout);
    let mut by_timeout = 0_usize;
    let mut longest = 0_i64;
    let (n, proof) = {
        let test = |request: &RequestRow| {
            let attention = request.attention_frame?;
            request.attention_ack_frame?;
            let at = facts.store.frame(attention)?.time;
            let after = at.since(request.start);
            Some((
                attention,
                format!("attention {} after the request", duration(after)),
            ))
        };
        requests(facts, test, "attention, acknowledged")
    };
    for request in facts.store.conn_requests(facts.conn.id) {
        let at = request
            .attention_frame
            .filter(|_| request.attention_ack_frame.is_some())
            .and_then(|no| facts.store.frame(no));
        let Some(after) = at.map(|row| row.time.since(request.start)) else {
            continue;
        };
        longest = longest.max(after);
        let near = after.saturating_sub(timeout).abs() <= timeout / 20;
        by_timeout = by_timeout.saturating_add(usize::from(near));
    }
    if n == 0 {
        return None;
    }
    let tail = if by_timeout > 0 {
        format!(
            "; {by_timeout} after a command timeout of {}",
            duration(timeout)
        )
    } else {
        let at_most = if n == 1 { "" } else { "at most " };
        format!("; it had waited {at_most}{}", duration(longest))
    };
    Some(stated(
        facts,
        &ATTENTION_OK,
        Verdict::Notice,
        format!(
            "The client cancelled {}, and the server confirmed it{tail}.",
            count(n, "request")
        ),
        proof,
    ))
}

/// How long after a request its last byte was acknowledged without an answer: what comes on top is the server's time.
fn acknowledged_after(facts: &Facts<'_>, request: &RequestRow, answer: FrameNo) -> Option<i64> {
    let asked = facts.store.frame(request.last_frame)?;
    let end = asked.seq.plus(asked.payload_len);
    let mut found = None;
    let mut next = facts.store.frame(answer)?.prev;
    for _ in 0..1000 {
        let no = next.filter(|no| *no > request.last_frame)?;
        let row = facts.store.frame(no)?;
        let from_server = facts.conn.side_of(row.end()) == Side::Server;
        if from_server && row.tcp_flags.ack() && end.at_or_before(row.ack) {
            found = Some(row.time.since(asked.time));
        }
        next = row.prev;
        if next.is_none_or(|no| no <= request.last_frame) {
            break;
        }
    }
    found
}

pub(super) fn slow_responses(facts: &Facts<'_>) -> Option<Finding> {
    let limit = facts.settings.get(Threshold::SlowResponse);
    let test = |request: &RequestRow| {
        let gap = request.first_byte_ns.filter(|ns| *ns >= limit)?;
        let first = request.answer_first_frame?;
        let share = acknowledged_after(facts, request, first).map_or_else(String::new, |after| {
            format!(", TCP acknowledged the request after {}", duration(after))
        });
        Some((first, format!("{} to the first byte{share}", duration(gap))))
    };
    let (n, proof) = requests(facts, test, "first byte of a late answer");
    if n == 0 {
        return None;
    }
    let longest = facts
        .store
        .conn_requests(facts.conn.id)
        .filter_map(|r| r.first_byte_ns)
        .max()
        .unwrap_or(0);
    let grave = longest >= facts.settings.get(Threshold::SlowResponseWarn);
    let word = if grave { "very late" } else { "late" };
    Some(stated(
        facts,
        &SLOW_RESPONSE,
        Verdict::Notice,
        format!(
            "{} came {word}; the longest took {}.",
            count(n, "answer"),
            duration(longest)
        ),
        proof,
    ))
}

pub(super) fn pool_resets(facts: &Facts<'_>) -> Option<Finding> {
    let test = |request: &RequestRow| {
        request
            .reset_connection
            .then(|| (request.first_frame, request.kind.name().to_owned()))
    };
    let (n, proof) = requests(facts, test, "first request of a pooled use");
    if n == 0 {
        return None;
    }
    let mut finding = stated(
        facts,
        &POOL_RESET,
        Verdict::Normal,
        format!(
            "The pooled connection was taken from the pool {}.",
            times(u64::try_from(n).unwrap_or(u64::MAX))
        ),
        proof,
    );
    // The answer was read to its DONE, and the server did not say that it reset the session's state.
    let silent =
        |r: &&RequestRow| r.reset_connection && !r.reset_acknowledged && r.done_status.is_some();
    let all = facts.store.conn_requests(facts.conn.id);
    let silent: Vec<&RequestRow> = all.filter(silent).collect();
    if let Some(first) = silent.first() {
        finding.notes.push(format!(
            "{} without the server's confirmation (ENVCHANGE 18) in the answer, first that of frame {}",
            count(silent.len(), "reset"),
            first.first_frame
        ));
    }
    Some(finding)
}

/// Both reset bits at once, or one behind the first packet of a message.
pub(super) fn reset_bits(facts: &Facts<'_>) -> Option<Finding> {
    let client = facts.conn.end_of(Side::Client);
    if facts.conn.tds.get(client).wrong_reset_bits == 0 {
        return None;
    }
    let heads = facts
        .store
        .conn_sessions(facts.conn.id)
        .map(|s| s.ends.get(client).last_data);
    let plain = *facts.conn.last_plain_pdu.get(client);
    let mut proof = Vec::new();
    for head in heads.chain([plain]) {
        for (_, pdu) in facts.store.pdu_chain_back(head) {
            if pdu.wrong_reset_bits() && proof.len() < MOST_FRAMES {
                let fact = format!("status 0x{:02x}", pdu.tds_status);
                proof.push(evidence(pdu.frame, "packet with wrong reset bits", fact));
            }
        }
    }
    (!proof.is_empty()).then(|| {
        stated(
            facts,
            &TDS_VIOLATION,
            Verdict::Fault,
            "A request carries both reset bits, or one of them behind its first packet.".to_owned(),
            proof,
        )
    })
}
