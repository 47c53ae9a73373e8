//! Requests beside the close: slow logins and answers, cancelled ones, uses of a pooled connection.

use super::stated;
use crate::rules::catalogue::{
    ATTENTION_OK, LOGIN_SLOW, POOL_RESET, SLOW_RESPONSE, TDS_VIOLATION, count, duration,
    slow_login, times,
};
use crate::rules::facts::Facts;
use crate::rules::rule::{MOST_FRAMES, evidence};
use crate::rules::settings::Threshold;
use crate::store::{Exhibit, Finding, RequestEnd, RequestRow, Verdict};
use crate::units::{FrameNo, RequestId, Side};

pub(super) fn login_slow(facts: &Facts<'_>) -> Option<Finding> {
    let (text, proof) = slow_login(facts)?;
    Some(stated(facts, &LOGIN_SLOW, Verdict::Notice, text, proof))
}

/// What is told of the requests of a connection, gathered in one walk over them.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// With an attention that the server acknowledged.
    cancelled: Vec<RequestId>,
    /// Answered late.
    late: Vec<RequestId>,
    /// First requests of a pooled use.
    pooled: Vec<RequestId>,
    /// How many of those were answered to their DONE without the server saying that it reset the session's state, and
    /// the frame of the first.
    unconfirmed: usize,
    first_unconfirmed: Option<FrameNo>,
}

impl Told {
    pub(super) fn of(facts: &Facts<'_>) -> Self {
        let limit = facts.settings.get(Threshold::SlowResponse);
        let signs = facts.store.request_signs(facts.conn.id);
        let waited = signs.longest_first_byte_ns.is_some_and(|ns| ns >= limit);
        let mut told = Self::default();
        if !(signs.cancelled || signs.reset_connection || waited) {
            return told;
        }
        facts.store.each_conn_request(facts.conn.id, |request| {
            if request.attention_frame.is_some() && request.attention_ack_frame.is_some() {
                told.cancelled.push(request.id);
            }
            let late = request.first_byte_ns.is_some_and(|ns| ns >= limit);
            if late && request.answer_first_frame.is_some() {
                told.late.push(request.id);
            }
            if request.reset_connection {
                told.pooled.push(request.id);
                if !request.reset_acknowledged && request.done_status.is_some() {
                    told.unconfirmed = told.unconfirmed.saturating_add(1);
                    told.first_unconfirmed.get_or_insert(request.first_frame);
                }
            }
        });
        told
    }

    pub(super) fn attentions(&self, facts: &Facts<'_>) -> Option<Finding> {
        let timeout = facts.settings.get(Threshold::CommandTimeout);
        let mut by_timeout = 0_usize;
        let mut longest: Option<i64> = None;
        let mut too_late = 0_usize;
        let mut proof = Vec::new();
        for id in &self.cancelled {
            let Some((request, attention, after)) = cancelled(facts, *id) else {
                continue;
            };
            let after_words = after.map_or_else(String::new, |ns| format!("{} ", duration(ns)));
            let mut fact = format!("attention {after_words}after the request");
            if request.end == RequestEnd::Attention {
                longest = longest.max(after);
                let near = after.is_some_and(|ns| ns.saturating_sub(timeout).abs() <= timeout / 20);
                by_timeout = by_timeout.saturating_add(usize::from(near));
            } else {
                too_late = too_late.saturating_add(1);
                fact.push_str(", behind its complete answer");
            }
            if proof.len() < MOST_FRAMES {
                let role = "attention, acknowledged";
                proof.push(on_sid(facts, &request, attention, role, &fact));
            }
        }
        let n = self.cancelled.len().saturating_sub(too_late);
        if proof.is_empty() {
            return None;
        }
        if n == 0 {
            let text = format!(
                "The client sent {} behind a complete answer, and the server confirmed it; nothing was cancelled.",
                count(too_late, "attention")
            );
            return Some(stated(facts, &ATTENTION_OK, Verdict::Notice, text, proof));
        }
        let tail = if by_timeout > 0 {
            format!(
                "; {by_timeout} after a command timeout of {}",
                duration(timeout)
            )
        } else if let Some(longest) = longest {
            let at_most = if n == 1 { "" } else { "at most " };
            format!("; it had waited {at_most}{}", duration(longest))
        } else {
            String::new()
        };
        let text = format!(
            "The client cancelled {}, and the server confirmed it{tail}.",
            count(n, "request")
        );
        let mut finding = stated(facts, &ATTENTION_OK, Verdict::Notice, text, proof);
        if too_late > 0 {
            finding.notes.push(format!(
                "{} behind a complete answer cancelled nothing",
                count(too_late, "attention")
            ));
        }
        Some(finding)
    }

    pub(super) fn slow_responses(&self, facts: &Facts<'_>) -> Option<Finding> {
        if self.late.is_empty() {
            return None;
        }
        let proof = shown(facts, &self.late).filter_map(|request| {
            let first = request.answer_first_frame?;
            let wait = duration(request.first_byte_ns?);
            let acknowledged = acknowledged_after(facts, &request, first);
            let share = acknowledged.map_or_else(String::new, |after| {
                format!(", TCP acknowledged the request after {}", duration(after))
            });
            let fact = format!("{wait} to the first byte{share}");
            let role = "first byte of a late answer";
            Some(on_sid(facts, &request, first, role, &fact))
        });
        let waits = self
            .late
            .iter()
            .filter_map(|id| facts.store.request(*id)?.first_byte_ns);
        let longest = waits.max().unwrap_or(0);
        let grave = longest >= facts.settings.get(Threshold::SlowResponseWarn);
        let word = if grave { "very late" } else { "late" };
        Some(stated(
            facts,
            &SLOW_RESPONSE,
            Verdict::Notice,
            format!(
                "{} came {word}; the longest took {}.",
                count(self.late.len(), "answer"),
                duration(longest)
            ),
            proof.collect(),
        ))
    }

    pub(super) fn pool_resets(&self, facts: &Facts<'_>) -> Option<Finding> {
        if self.pooled.is_empty() {
            return None;
        }
        let proof = shown(facts, &self.pooled).map(|request| {
            let role = "first request of a pooled use";
            on_sid(
                facts,
                &request,
                request.first_frame,
                role,
                request.kind.name(),
            )
        });
        let uses = u64::try_from(self.pooled.len()).unwrap_or(u64::MAX);
        let mut finding = stated(
            facts,
            &POOL_RESET,
            Verdict::Normal,
            format!(
                "The pooled connection was taken from the pool {}.",
                times(uses)
            ),
            proof.collect(),
        );
        if let Some(first) = self.first_unconfirmed {
            finding.notes.push(format!(
                "{} without the server's confirmation (ENVCHANGE 18) in the answer, first that of frame {first}",
                count(self.unconfirmed, "reset"),
            ));
        }
        Some(finding)
    }
}

/// The first of some requests, as many as evidence names.
fn shown<'f>(facts: &'f Facts<'_>, ids: &'f [RequestId]) -> impl Iterator<Item = RequestRow> {
    let ids = ids.iter().take(MOST_FRAMES);
    ids.filter_map(|id| facts.store.request(*id))
}

/// Evidence about a request, with its Sid if it has one.
fn on_sid(
    facts: &Facts<'_>,
    request: &RequestRow,
    frame: FrameNo,
    role: &'static str,
    fact: &str,
) -> Exhibit {
    let session = request.session.and_then(|id| facts.store.session(id));
    let on = session.map_or(String::new(), |s| format!("Sid {}: ", s.sid));
    evidence(frame, role, format!("{on}{fact}"))
}

/// A cancelled request, the frame of the attention, and how long after the request that came, if that can be told.
fn cancelled(facts: &Facts<'_>, id: RequestId) -> Option<(RequestRow, FrameNo, Option<i64>)> {
    let request = facts.store.request(id)?;
    let attention = request.attention_frame?;
    let after = facts.between(request.first_frame, attention);
    Some((request, attention, after))
}

/// How long after a request its last byte was acknowledged without an answer: what comes on top is the server's time.
fn acknowledged_after(facts: &Facts<'_>, request: &RequestRow, answer: FrameNo) -> Option<i64> {
    // All by the clock that the whole is taken by.
    let clock = facts.span(request.last_frame, answer)?.clock;
    let (asked_in, asked_at) = facts.seen(request.last_frame, clock)?;
    let (answered_in, _) = facts.seen(answer, clock)?;
    let asked = facts.store.frame(asked_in)?;
    let end = asked.seq.plus(asked.payload_len);
    let mut found = None;
    let mut next = facts.store.frame(answered_in)?.prev;
    for _ in 0..1000 {
        let no = next.filter(|no| *no > asked_in)?;
        let row = facts.store.frame(no)?;
        let from_server = facts.conn.side_of(row.end()) == Side::Server;
        if from_server
            && row.interface == asked.interface
            && row.tcp_flags.ack()
            && end.at_or_before(row.ack)
        {
            found = Some(row.time.since(asked_at));
        }
        next = row.prev;
        if next.is_none_or(|no| no <= asked_in) {
            break;
        }
    }
    found
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
