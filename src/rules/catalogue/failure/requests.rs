//! Closes and resets with a request or an attention outstanding.

use super::super::text::{count, duration};
use super::{AFTER_LOGIN, NO_RESET, RESET, end_evidence, ender_words};
use crate::rules::facts::{Facts, Lane, Seg, Work, end_of, frames_of};
use crate::rules::rule::{Check, Conclusion, Criterion, Rule, evidence};
use crate::store::{
    Applied, Confidence, Exhibit, PduFlags, PduRow, RequestEnd, RequestRow, Verdict,
};
use crate::units::{FrameNo, Side};

fn request_open(facts: &Facts<'_>) -> Check {
    lanes_with(facts, Work::Request, "request")
}

fn attention_open(facts: &Facts<'_>) -> Check {
    lanes_with(facts, Work::Attention, "attention")
}

fn lanes_with(facts: &Facts<'_>, work: Work, noun: &str) -> Check {
    let open: Vec<&Lane<'_>> = facts.outstanding().filter(|l| l.work == work).collect();
    let fact = || {
        let names: Vec<String> = open.iter().take(8).map(|l| l.name()).collect();
        format!("{}: {}", count(open.len(), noun), names.join(", "))
    };
    Check::holds_with(!open.is_empty(), fact).on(open.iter().flat_map(|lane| frames_of(lane)))
}

const REQUEST: Criterion = Criterion::new(
    "request",
    "A request has no complete answer when the connection ends",
    request_open,
);
const ATTENTION: Criterion = Criterion::new(
    "attention",
    "An attention has no acknowledgement when the connection ends",
    attention_open,
);

/// `rst-with-request`.
pub(in crate::rules) const RST_WITH_REQUEST: Rule = Rule::close(
    "rst-with-request",
    "Reset while a request was outstanding",
    Verdict::Fault,
    &[RESET, AFTER_LOGIN, REQUEST],
    conclude_request,
)
.only_where(|facts| facts.outstanding().next().is_some())
.says(
    "A request was sent, and the connection was reset before its answer was complete: work was lost.",
    "Look at the side that ended the connection: its error log, its process, at the client the driver's trace.",
    "Support guidance on intermittent network issues; [MS-TDS] 2.2.1",
);

/// `close-with-request`.
pub(in crate::rules) const CLOSE_WITH_REQUEST: Rule = Rule::close(
    "close-with-request",
    "Closed while a request was outstanding",
    Verdict::Fault,
    &[NO_RESET, AFTER_LOGIN, REQUEST],
    conclude_request,
)
.only_where(|facts| facts.outstanding().next().is_some())
.says(
    "A request was sent, and the connection was closed before its answer was complete.",
    "Look at the side that closed: a process that ended, an application that hung up.",
    "The third condition of the benign close, applied to a close without reset",
);

/// `rst-after-attention`.
pub(in crate::rules) const RST_AFTER_ATTENTION: Rule = Rule::close(
    "rst-after-attention",
    "Reset while an attention was outstanding",
    Verdict::Fault,
    &[RESET, AFTER_LOGIN, ATTENTION],
    conclude_request,
)
.only_where(|facts| facts.outstanding().next().is_some())
.says(
    "The client asked the server to cancel a request and the connection ended before the server confirmed it.",
    "Look why the server did not answer the cancel: blocked, overloaded, or gone.",
    "[MS-TDS] 2.2.1.7",
);

/// `close-after-attention`.
pub(in crate::rules) const CLOSE_AFTER_ATTENTION: Rule = Rule::close(
    "close-after-attention",
    "Closed while an attention was outstanding",
    Verdict::Fault,
    &[NO_RESET, AFTER_LOGIN, ATTENTION],
    conclude_request,
)
.only_where(|facts| facts.outstanding().next().is_some())
.says(
    "The client asked the server to cancel a request and the connection was closed before the server confirmed it.",
    "Look why the server did not answer the cancel: blocked, overloaded, or gone.",
    "[MS-TDS] 2.2.1.7; the third condition of the benign close",
);

/// Whether the reset that ended the connection is what its sender's own TCP makes: then it was the process there.
fn own_reset(facts: &Facts<'_>) -> &'static str {
    let own = |(side, seg): &(Side, Seg)| seg.flags.rst() && seg.side == *side;
    let Some((side, seg)) = facts.close.ender.filter(own) else {
        return "";
    };
    let next = facts.frames.sent_end.get(side).unwrap_or(0);
    match side {
        _ if !seg.flags.ack() || seg.pos != next => "",
        Side::Server => " (its process aborted it)",
        Side::Client => " (its driver or program aborted it)",
    }
}

/// The text with a capital first letter.
fn sentence(text: &str) -> String {
    let mut rest = text.chars();
    let first = rest.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(rest).collect()
}

/// An attention with its frame, how long after its request it was sent, and how long the client then waited.
fn attention_words(facts: &Facts<'_>, asked: Option<PduRow>, request: Option<FrameNo>) -> String {
    let Some(asked) = asked else {
        return "attention".to_owned();
    };
    let mut words = format!("attention in frame {}", asked.frame);
    if let Some(after) = request.and_then(|request| facts.between(request, asked.frame)) {
        words = format!("{words}, {} after its request", duration(after));
    }
    let end = facts.close.ender;
    if let Some(before) = end.and_then(|(_, end)| facts.between(asked.frame, end.no)) {
        words = format!("{words}, {} before the end", duration(before));
    }
    words
}

/// Of a request that the file shows to be answered, and that was outstanding all the same: where its answer ended.
fn too_late(lane: &Lane<'_>, request: &RequestRow) -> String {
    let ended = !matches!(request.end, RequestEnd::Outstanding | RequestEnd::Unknown);
    let all = lane.session.is_none_or(|session| session.outstanding == 0);
    let end = request.answer_last_frame.filter(|_| ended && all);
    end.map_or_else(String::new, |frame| {
        format!(" (its end in frame {frame} came too late)")
    })
}

fn conclude_request(facts: &Facts<'_>, _: &[Applied]) -> Conclusion {
    let requests = facts.last_requests();
    let mut parts = Vec::new();
    let mut proof: Vec<Exhibit> = Vec::new();
    for lane in facts.outstanding() {
        let request = requests.get(&lane.session.map(|s| s.id));
        let age = request
            .zip(facts.close.ender)
            .and_then(|(r, (_, end))| facts.between(r.first_frame, end.no))
            .map(|age| format!(", {} old", duration(age)))
            .unwrap_or_default();
        let bytes = request.map_or(0, |r| r.answer_bytes);
        let asked = *lane.last_data.get(Side::Client);
        let kind = if lane.work == Work::Attention {
            attention_words(facts, asked, request.map(|r| r.first_frame))
        } else {
            format!("{}{age}", request.map_or("request", |r| r.kind.name()))
        };
        let received = asked.is_some_and(|pdu| {
            let end = end_of(&pdu);
            facts
                .frames
                .acked
                .get(Side::Server)
                .is_some_and(|a| a >= end)
        });
        if parts.len() < 8 {
            let tcp = if received {
                ""
            } else {
                ", not acknowledged by TCP"
            };
            let on = lane.sid().map(|sid| format!("Sid {sid}: "));
            let late = request.map_or_else(String::new, |r| too_late(lane, r));
            let what = format!("{kind}, {bytes} bytes of answer{late}{tcp}");
            parts.push(on.map_or_else(|| sentence(&what), |on| on + &what));
        }
        if proof.len() < 64 {
            if let Some(request) = request {
                proof.push(evidence(
                    request.first_frame,
                    format!("request on {}", lane.name()),
                    request.kind.name(),
                ));
            }
            if let Some(pdu) = asked {
                proof.push(evidence(
                    pdu.frame,
                    format!("last packet of the client on {}", lane.name()),
                    "",
                ));
            }
            if let Some(pdu) = lane.reached {
                proof.push(evidence(
                    pdu.frame,
                    format!("last packet of the server on {}", lane.name()),
                    if pdu.flags.has(PduFlags::MESSAGE_END) {
                        "EOM"
                    } else {
                        "no EOM"
                    },
                ));
            }
        }
    }
    proof.extend(end_evidence(facts));
    let text = format!(
        "Work was outstanding when {}{}. {}.",
        ender_words(facts),
        own_reset(facts),
        parts.join("; ")
    );
    Conclusion::new(Verdict::Fault, Confidence::Proven, text).with_evidence(proof)
}
