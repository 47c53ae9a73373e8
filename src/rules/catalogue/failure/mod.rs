//! Failures on an established connection (catalogue, section 6), and the fall-backs for resets nothing explains.

mod dead;
mod fallback;
mod refused;
mod requests;
mod server;
mod strangers;

use super::mars::{echo_evidence, reset_fact};
use super::text::count;
use crate::rules::facts::{Facts, Seg, Stage, off_from};
use crate::rules::rule::{Check, Conclusion, Criterion, evidence};
use crate::store::{Confidence, Exhibit, Verdict, fact};
use crate::units::Side;

pub(in crate::rules) use dead::{KEEPALIVE_TIMEOUT, RETRANSMIT_TIMEOUT, ZERO_WINDOW};
pub(in crate::rules) use fallback::{RST_ABORT_CLIENT, RST_ABORT_SERVER, RST_SERVER_AFTER_CLOSE};
pub(in crate::rules) use refused::{
    RST_ODD_SEQ, RST_OPEN_SIDS, RST_UNREAD_DATA, SERVER_CLOSED_SID,
};
pub(in crate::rules) use requests::{
    CLOSE_AFTER_ATTENTION, CLOSE_WITH_REQUEST, RST_AFTER_ATTENTION, RST_WITH_REQUEST,
};
pub(in crate::rules) use server::{MARS_HEADER, RST_DATA_LOST, SERVER_ERROR, SERVER_FIN_FIRST};
pub(in crate::rules) use strangers::{
    RST_IGNORED, RST_MIDDLEBOX, SMP_VIOLATION, foreign_sign, grave_violations, path_note,
};

const RESET: Criterion = Criterion::new("reset", "A reset ends the connection", has_reset);
const NO_RESET: Criterion = Criterion::new(
    "no-reset",
    "The client closed the connection, and no reset is part of it",
    closed_without_reset,
);

fn has_reset(facts: &Facts<'_>) -> Check {
    let frames = &facts.close.reset_frames;
    Check::holds_with(
        !frames.is_empty(),
        || fact!("{resets}", n = frames.len(); resets = count(n, "reset")),
    )
    .on(frames.iter().copied())
}

fn closed_without_reset(facts: &Facts<'_>) -> Check {
    let closed = facts.close.closed_by(Side::Client)
        && facts.close.ender.is_some_and(|(_, seg)| seg.flags.fin());
    Check::holds(closed && facts.close.reset_frames.is_empty(), "")
}

fn after_login(facts: &Facts<'_>) -> Check {
    Check::holds(facts.stage == Stage::Ready, "stage: after login")
}

const AFTER_LOGIN: Criterion = Criterion::new("stage", "The login is over", after_login);

fn ender_words(facts: &Facts<'_>) -> String {
    match &facts.close.ender {
        Some((side, seg)) if seg.side != *side => format!(
            "the {} closed first: its FIN is not in the file, but the {} had it by frame {}",
            side.word(),
            seg.side.word(),
            seg.no
        ),
        Some((side, seg)) if seg.flags.rst() => format!(
            "the {} reset the connection in frame {}",
            side.word(),
            seg.no
        ),
        Some((side, seg)) => match facts.close.crossing(*side, seg) {
            Some(other) => format!(
                "both sides closed without the other's FIN, the {} in frame {} and the {} in frame {}",
                side.word(),
                seg.no,
                other.side.word(),
                other.no
            ),
            None => format!("the {} closed first in frame {}", side.word(), seg.no),
        },
        None => "the connection did not end in the file".to_owned(),
    }
}

/// FINs and resets with their numbers.
pub(in crate::rules) fn end_evidence(facts: &Facts<'_>) -> Vec<Exhibit> {
    let mut out = Vec::new();
    let f = facts.close.f;
    for (side, fins) in [
        (Side::Client, &facts.close.tf),
        (Side::Server, &facts.close.server_fins),
    ] {
        for fin in fins.iter().take(8) {
            let role = match side {
                Side::Client => fact!("client TCP FIN"),
                Side::Server => fact!("server TCP FIN"),
            };
            let fact = fact!("FIN.Ack {ack}", ack = fin.raw_ack);
            out.push(evidence(fin.no, role, fact));
        }
    }
    let resets = facts.close.resets.iter().chain(&facts.close.server_resets);
    for reset in resets.chain(&facts.close.foreign).take(64) {
        let (role, fact) = match reset.side {
            Side::Client => (fact!("client reset"), reset_fact(facts, reset, f)),
            Side::Server => (
                fact!("server reset"),
                server_reset_fact(facts, reset).into(),
            ),
        };
        out.push(evidence(reset.no, role, fact));
    }
    out.extend(echo_evidence(facts));
    out
}

fn server_reset_fact(facts: &Facts<'_>, reset: &Seg) -> String {
    let sent = facts.frames.sent_end.get(Side::Server);
    let relation = sent.map_or(String::new(), |end| {
        format!(
            " = {}",
            off_from("end of what the server sent", reset.pos.saturating_sub(end))
        )
    });
    let kind = if reset.flags.ack() { "with" } else { "without" };
    format!("{kind} ACK flag, RST.Seq {}{relation}", reset.seq)
}

fn client_reset(facts: &Facts<'_>) -> Check {
    let frames = facts.close.resets.iter().map(|r| r.no);
    Check::holds(!facts.close.resets.is_empty(), "").on(frames)
}

fn server_reset(facts: &Facts<'_>) -> Check {
    let frames = facts.close.server_resets.iter().map(|r| r.no);
    Check::holds(!facts.close.server_resets.is_empty(), "").on(frames)
}

const CLIENT_RESET: Criterion = Criterion::new("reset", "The client sent a reset", client_reset);

const SERVER_RESET: Criterion = Criterion::new("reset", "The server sent a reset", server_reset);

fn undecided(what: &'static str) -> Conclusion {
    Conclusion::new(Verdict::Undecided, Confidence::Possible, what)
}
