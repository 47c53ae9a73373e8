//! Logins that failed, came too late, were sent on, or were slow.

use super::super::text::{duration, error_words};
use super::{CLOSED, fault, start_and_end};
use crate::rules::facts::{Facts, Span, Stage};
use crate::rules::rule::{Check, Conclusion, Criterion, Rule, evidence};
use crate::rules::settings::Threshold;
use crate::store::{Auth, Confidence, Exhibit, PduKind, Protocol, Verdict};
use crate::units::{FrameNo, Nanos, Side};

fn login_error(facts: &Facts<'_>) -> Check {
    let login = facts.conn.login.as_deref();
    if let Some(login) = login
        && !login.accepted
        && let Some(error) = &login.error
    {
        return Check::held(error_words(error)).on(login.answer_frame);
    }
    let hidden = facts.encrypted
        && facts.stage == Stage::Login
        && facts.close.closed_by(Side::Server)
        && server_spoke_after_login(facts);
    if hidden {
        return Check::held("contents encrypted: the server answered the login and closed")
            .on(login.and_then(|l| l.login_frame));
    }
    Check::failed("no error in the login answer")
}

fn server_spoke_after_login(facts: &Facts<'_>) -> bool {
    let login = facts.conn.login.as_ref().and_then(|l| l.login_frame);
    let server = facts
        .frames
        .last_payload
        .get(Side::Server)
        .map(|seg| seg.no);
    login
        .zip(server)
        .is_some_and(|(login, server)| server > login)
}

/// `login-failed`.
pub(in crate::rules) const LOGIN_FAILED: Rule = Rule::close(
    "login-failed",
    "Login failed",
    Verdict::Fault,
    &[
        CLOSED,
        Criterion::new(
            "error",
            "The login answer holds an ERROR and no LOGINACK",
            login_error,
        ),
    ],
    |facts, _| {
        let error = facts.conn.login.as_ref().and_then(|l| l.error.as_deref());
        match error {
            Some(error) => fault(
                Confidence::Proven,
                format!("The server refused the login: {}", error_words(error)),
                facts,
            ),
            None => fault(
                Confidence::Possible,
                "The server answered the login inside TLS and closed: most likely it refused it.",
                facts,
            ),
        }
    },
)
.only_where(|facts| {
    facts
        .conn
        .login
        .as_deref()
        .is_some_and(|login| !login.accepted)
})
.says(
    "The server named the reason.",
    "Read number and text; the server's error log has the state with more detail.",
    "[MS-TDS] 2.2.7.10",
);

fn no_answer(facts: &Facts<'_>) -> Check {
    let answered = facts
        .conn
        .login
        .as_ref()
        .is_some_and(|l| l.answer_frame.is_some());
    let open = facts.stage < Stage::Ready && !answered && facts.conn.protocol == Protocol::Tds;
    let last = |side| facts.frames.last_payload.get(side).map(|seg| seg.no);
    if open && facts.frames.cut && last(Side::Server) > last(Side::Client) {
        return Check::unknown("what the server sent last is, or may be, cut");
    }
    Check::holds(
        open && facts.close.closed_by(Side::Client),
        facts.stage.word(),
    )
}

fn timed_out(facts: &Facts<'_>) -> Check {
    let last = facts
        .frames
        .last_payload
        .get(Side::Client)
        .map(|seg| seg.no);
    let gap = last
        .or(facts.conn.syn_frame)
        .zip(facts.close.ender)
        .and_then(|(from, (_, end))| facts.between(from, end.no));
    let limit = facts.settings.get(Threshold::LoginTimeout) / 5 * 4;
    Check::holds(
        gap.is_some_and(|gap| gap >= limit),
        gap.map_or(String::new(), duration),
    )
}

/// The step that the client waited for.
fn awaited(facts: &Facts<'_>) -> &'static str {
    let tls = facts.conn.tls.as_deref();
    let hello = tls.is_some_and(|t| t.server_hello.is_some());
    let auth = facts.conn.login.as_deref().and_then(|l| l.auth);
    let tds = |side| facts.conn.tds.get(facts.conn.end_of(side));
    let windows = matches!(auth, Some(Auth::Ntlm | Auth::Kerberos | Auth::Spnego));
    match facts.stage {
        Stage::Connect => "the TCP handshake",
        Stage::Prelogin => "the answer to PRELOGIN",
        Stage::Tls if hello => "the end of the TLS key exchange",
        Stage::Tls => "the ServerHello",
        Stage::Login if windows && tds(Side::Server).tabular_result == 0 => "the SSPI challenge",
        Stage::Login | Stage::Ready => "the login answer (LOGINACK)",
    }
}

/// `login-timeout`.
pub(in crate::rules) const LOGIN_TIMEOUT: Rule = Rule::close(
    "login-timeout",
    "Login timed out",
    Verdict::Fault,
    &[
        Criterion::new(
            "open",
            "The client ended the connection before the login was answered",
            no_answer,
        ),
        Criterion::new(
            "waited",
            "It had waited for most of the login timeout",
            timed_out,
        ),
    ],
    |facts, _| {
        let step = awaited(facts);
        fault(
            Confidence::Likely,
            format!("The client waited for {step} until its login timeout and gave up."),
            facts,
        )
    },
)
.only_where(|facts| facts.stage < Stage::Ready)
.says(
    "One step of the login took too long.",
    "Look at the server's load, and at domain controllers where the login uses Windows accounts.",
    "Support guidance on intermittent authentication issues",
);

fn answer_too_late(facts: &Facts<'_>) -> Check {
    let answer = facts
        .conn
        .login
        .as_ref()
        .filter(|l| l.accepted)
        .and_then(|l| l.answer_frame);
    let end = facts.close.ender.filter(|(side, _)| *side == Side::Client);
    match answer.zip(end) {
        Some((answer, (_, seg))) if answer > seg.no && !had_reached(facts, answer) => {
            Check::held("").on([seg.no, answer])
        }
        _ => Check::failed("no LOGINACK behind the client's end"),
    }
}

/// Whether the client acknowledges a frame of the server with what ended the connection: then the file only has the two
/// in the wrong order.
fn had_reached(facts: &Facts<'_>, frame: FrameNo) -> bool {
    let axis = *facts.streams.axes.get(Side::Server);
    let start = facts.store.frame(frame).zip(axis);
    let start = start.map(|(row, axis)| axis.pos(row.seq));
    facts
        .close
        .reached
        .zip(start)
        .is_some_and(|(reached, start)| reached > start)
}

/// `late-loginack`.
pub(in crate::rules) const LATE_LOGINACK: Rule = Rule::close(
    "late-loginack",
    "Login answered too late",
    Verdict::Fault,
    &[Criterion::new(
        "late",
        "The LOGINACK stands behind the client's FIN or reset",
        answer_too_late,
    )],
    |facts, _| {
        fault(
            Confidence::Proven,
            "The server accepted the login after the client had given up.",
            facts,
        )
    },
)
.says(
    "The server was slow: starved of threads, or waiting for a domain controller.",
    "Look at the server's load and at its domain controllers at that time.",
    "Support guidance on intermittent authentication issues",
);

fn routed(facts: &Facts<'_>) -> Check {
    let login = facts.conn.login.as_ref();
    let routed = login.is_some_and(|l| l.routed);
    let asked = || facts.store.conn_requests(facts.conn.id).next().is_some();
    Check::holds(routed && !asked(), "").on(login.and_then(|l| l.answer_frame))
}

/// `login-redirect`.
pub(in crate::rules) const LOGIN_REDIRECT: Rule = Rule::close(
    "login-redirect",
    "Sent on to another server",
    Verdict::Normal,
    &[
        CLOSED,
        Criterion::new(
            "routed",
            "The login answer routes the client elsewhere, and no request followed",
            routed,
        ),
    ],
    |facts, _| {
        Conclusion::new(
            Verdict::Normal,
            Confidence::Proven,
            "The server sent the client on to another server; the connection ends here.",
        )
        .with_evidence(start_and_end(facts))
    },
)
.only_where(|facts| {
    facts
        .conn
        .login
        .as_deref()
        .is_some_and(|login| login.routed)
})
.says(
    "Read-only routing, or a gateway in front of the database.",
    "Follow the client's next connection.",
    "[MS-TDS] 2.2.7.9, ENVCHANGE 20",
);

/// `login-slow`, gathered beside the closes.
pub(in crate::rules) const LOGIN_SLOW: Rule = Rule::gathered(
    "login-slow",
    "Slow login",
    crate::rules::rule::Scope::Connection,
    Verdict::Notice,
    &[Criterion::gathered(
        "slow",
        "From SYN to login answer it took longer than the limit",
    )],
)
.says(
    "The login succeeded, but slowly.",
    "Look at the largest step.",
    "Limit of Microsoft's network analyzer; steps as in Microsoft Learn, authentication trace",
);

/// Every step of a login up to its answer, in file order: those that stand in the connection's row, and those that
/// are found among its packets.
fn steps(facts: &Facts<'_>, limit: FrameNo) -> Vec<Exhibit> {
    let mut steps = start_and_end(facts);
    steps.extend(
        facts
            .conn
            .handshake_frame
            .map(|no| evidence(no, "ACK of the handshake", "")),
    );
    let packets = |side| {
        let all = facts
            .store
            .plain_pdus_back(facts.conn.id, facts.conn.end_of(side));
        let kept = all
            .map(|(_, pdu)| pdu)
            .filter(|pdu| pdu.frame <= limit && pdu.kind != PduKind::Hidden);
        let mut list: Vec<(FrameNo, u8)> = kept.map(|pdu| (pdu.frame, pdu.tds_type)).collect();
        list.reverse();
        list
    };
    let (client, server) = (packets(Side::Client), packets(Side::Server));
    let behind = |list: &[(FrameNo, u8)], from: FrameNo| {
        list.iter().map(|(no, _)| *no).find(|no| *no > from)
    };
    let login = facts.conn.login.as_deref().and_then(|l| l.login_frame);
    let before_login = |no: &FrameNo| login.is_none_or(|login| *no < login);
    if let Some(hello) = facts.conn.tls.as_ref().and_then(|t| t.server_hello)
        && let Some(key) = behind(&client, hello).filter(before_login)
    {
        steps.push(evidence(key, "key exchange", ""));
        let cipher = behind(&server, key).filter(before_login);
        steps.extend(cipher.map(|no| evidence(no, "change of cipher", "")));
    }
    let challenge = login.and_then(|login| behind(&server, login));
    if let Some(challenge) = challenge.filter(|no| *no < limit) {
        steps.push(evidence(challenge, "SSPI challenge", ""));
        let response = behind(&client, challenge);
        steps.extend(response.map(|no| evidence(no, "SSPI response", "")));
    }
    steps.retain(|step| step.frame <= limit);
    steps.sort_by_key(|step| step.frame);
    steps
}

/// The steps of a login with their times, where it was slow: text and evidence.
pub(in crate::rules) fn slow_login(facts: &Facts<'_>) -> Option<(String, Vec<Exhibit>)> {
    let login = facts.conn.login.as_ref()?;
    let syn = facts.conn.syn_frame?;
    let limit = login.answer_frame?;
    let Span { clock, ns: total } = facts.span(syn, limit)?;
    if total <= facts.settings.get(Threshold::SlowLogin) {
        return None;
    }
    // All steps by the clock that the whole is taken by.
    let time = |no: FrameNo| Some(facts.seen(no, clock)?.1);
    let start = time(syn)?;
    let steps = steps(facts, limit);
    let mut last: (Nanos, String) = (start, "SYN".to_owned());
    let mut largest: Option<(i64, String)> = None;
    for step in &steps {
        let Some(at) = time(step.frame) else { continue };
        let gap = at.since(last.0);
        if largest.as_ref().is_none_or(|(most, _)| gap > *most) {
            largest = Some((gap, format!("{} to {}", last.1, step.role)));
        }
        last = (at, step.role.to_string());
    }
    let (gap, name) = largest?;
    let text = format!(
        "The login took {}; the largest step was {name} with {}.",
        duration(total),
        duration(gap)
    );
    Some((text, steps))
}
