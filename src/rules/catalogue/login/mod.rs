//! Failures while a connection is made and logged in (catalogue, section 5).

mod answer;
mod connect;
mod encrypt;

use super::failure::end_evidence;
use crate::rules::facts::Facts;
use crate::rules::rule::{Check, Conclusion, Criterion, evidence};
use crate::store::{Confidence, Exhibit, Fact, Verdict};
use crate::units::Side;

pub(in crate::rules) use answer::{
    LATE_LOGINACK, LOGIN_FAILED, LOGIN_REDIRECT, LOGIN_SLOW, LOGIN_TIMEOUT, slow_login,
};
pub(in crate::rules) use connect::{HANDSHAKE_INCOMPLETE, SYN_BACKLOG, SYN_NO_ANSWER, SYN_REFUSED};
pub(in crate::rules) use encrypt::{
    CLIENT_GAVE_UP, CLOSE_IN_PRELOGIN, CLOSE_IN_TLS, MARS_REFUSED, PRELOGIN_NO_RESPONSE,
};

fn fault(confidence: Confidence, text: impl Into<Fact>, facts: &Facts<'_>) -> Conclusion {
    Conclusion::new(Verdict::Fault, confidence, text).with_evidence(start_and_end(facts))
}

/// Where the steps of the login stand, and how it ended.
fn start_and_end(facts: &Facts<'_>) -> Vec<Exhibit> {
    let conn = facts.conn;
    let tls = conn.tls.as_ref();
    let login = conn.login.as_ref();
    let steps = [
        (conn.syn_frame, "SYN"),
        (conn.syn_ack_frame, "SYN+ACK"),
        (conn.prelogin.client_frame, "PRELOGIN"),
        (conn.prelogin.server_frame, "PRELOGIN answer"),
        (tls.and_then(|t| t.client_hello), "ClientHello"),
        (tls.and_then(|t| t.server_hello), "ServerHello"),
        (login.and_then(|l| l.login_frame), "LOGIN7"),
        (login.and_then(|l| l.answer_frame), "login answer"),
    ];
    let mut out: Vec<Exhibit> = steps
        .into_iter()
        .filter_map(|(frame, role)| Some(evidence(frame?, role, "")))
        .collect();
    out.extend(end_evidence(facts));
    out
}

fn closed(facts: &Facts<'_>) -> Check {
    match &facts.close.ender {
        Some((Side::Client, seg)) => Check::held("by the client").on([seg.no]),
        Some((Side::Server, seg)) => Check::held("by the server").on([seg.no]),
        None => Check::failed("the connection does not end in the file"),
    }
}

const CLOSED: Criterion = Criterion::new("closed", "The connection ends in the file", closed);
