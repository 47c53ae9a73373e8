//! Failures while a connection is made and logged in (catalogue, section 5).

use super::failure::end_evidence;
use super::text::{count, duration};
use crate::rules::facts::{Facts, Stage};
use crate::rules::rule::{Check, Conclusion, Criterion, Rule, evidence};
use crate::rules::settings::Threshold;
use crate::store::{Condition, Confidence, Evidence, Protocol, Verdict};
use crate::units::{FrameNo, Nanos, Side};

fn fault(confidence: Confidence, text: impl Into<String>, facts: &Facts<'_>) -> Conclusion {
    Conclusion::new(Verdict::Fault, confidence, text).with_evidence(start_and_end(facts))
}

/// Where the steps of the login stand, and how it ended.
fn start_and_end(facts: &Facts<'_>) -> Vec<Evidence> {
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
    let mut out: Vec<Evidence> = steps
        .into_iter()
        .filter_map(|(frame, role)| Some(evidence(frame?, role, "")))
        .collect();
    out.extend(end_evidence(facts));
    out
}

fn closed(facts: &Facts<'_>) -> Check {
    match &facts.close.ender {
        Some((side, seg)) => Check::held(format!("by the {}", side.word())).on([seg.no]),
        None => Check::failed("the connection does not end in the file"),
    }
}

const CLOSED: Criterion = Criterion::new("closed", "The connection ends in the file", closed);

// ---- TCP ---------------------------------------------------------------------------------------------------

fn syns(facts: &Facts<'_>) -> Vec<FrameNo> {
    let own = facts.frames.syns.iter();
    own.filter(|s| !s.flags.ack() && !s.is_copy())
        .map(|s| s.no)
        .collect()
}

fn only_syns(facts: &Facts<'_>) -> Check {
    let syns = syns(facts);
    let server = facts.conn.tcp.get(facts.conn.end_of(Side::Server)).frames;
    let other = facts.conn.frames;
    let all = facts.frames.syns.len();
    let alone = server == 0 && u32::try_from(all).is_ok_and(|n| n == other);
    Check::holds(!syns.is_empty() && alone, count(syns.len(), "SYN")).on(syns)
}

/// `syn-no-answer`.
pub(in crate::rules) const SYN_NO_ANSWER: Rule = Rule::close(
    "syn-no-answer",
    "No answer to the SYN",
    Verdict::Fault,
    &[Criterion::new(
        "syns",
        "The file holds SYNs of the client and nothing of the server",
        only_syns,
    )],
    conclude_no_answer,
)
.says(
    "The server's host was not reached, or something drops the packets: firewall, wrong address, host down.",
    "Take a capture on the server: SYNs missing there were dropped on the way; SYNs there without answer point to its own firewall.",
    "Support guidance on TCP/IP connectivity",
);

fn conclude_no_answer(facts: &Facts<'_>, _: &[Condition]) -> Conclusion {
    let n = syns(facts).len();
    if n < facts.settings.count(Threshold::SynAttempts) {
        return Conclusion::new(
            Verdict::Undecided,
            Confidence::Possible,
            "One SYN without an answer in the file; the answer may have come after its end.",
        )
        .with_evidence(start_and_end(facts));
    }
    let text = format!("{} were sent, and nothing came back.", count(n, "SYN"));
    let mut out = fault(Confidence::Proven, text, facts);
    out.evidence = syns(facts)
        .into_iter()
        .take(20)
        .map(|frame| evidence(frame, "SYN without answer", ""))
        .collect();
    out
}

fn refused(facts: &Facts<'_>) -> Check {
    let Some(syn) = facts.frames.syns.iter().find(|s| !s.flags.ack()) else {
        return Check::failed("no SYN");
    };
    if facts.conn.syn_ack_frame.is_some() {
        return Check::failed("the SYN was answered by SYN+ACK");
    }
    let want = syn.seq.plus(1);
    let reset = facts
        .close
        .server_resets
        .iter()
        .chain(facts.close.foreign.iter().filter(|r| r.side != syn.side))
        .find(|r| r.flags.ack() && r.seq.0 == 0 && r.raw_ack == want);
    match reset {
        Some(r) => {
            Check::held(format!("RST.Seq = 0, RST.Ack = SYN.Seq + 1 = {want}")).on([syn.no, r.no])
        }
        None => Check::failed("no reset that answers the SYN"),
    }
}

const REFUSED: Criterion = Criterion::new(
    "refused",
    "The SYN is answered by a reset with Seq 0 that acknowledges it",
    refused,
);

fn others_accepted(facts: &Facts<'_>) -> Check {
    let Some(at) = facts.frames.rsts.first().map(|r| r.time) else {
        return Check::failed("no reset");
    };
    let within = facts.settings.get(Threshold::BacklogWithin);
    let others = facts
        .shared
        .answered_syns(facts.conn.endpoint(Side::Server), at, within);
    Check::holds(
        others > 0,
        format!("{others} other SYNs of this server answered"),
    )
}

/// `syn-backlog`.
pub(in crate::rules) const SYN_BACKLOG: Rule = Rule::close(
    "syn-backlog",
    "Connection refused: backlog full",
    Verdict::Fault,
    &[
        REFUSED,
        Criterion::new(
            "others",
            "The same server answered other SYNs within seconds",
            others_accepted,
        ),
    ],
    |facts, _| {
        fault(
            Confidence::Likely,
            "The server refused this connection while it accepted others: its accept queue was full.",
            facts,
        )
    },
)
.says(
    "More clients connect at once than the server's accept queue holds.",
    "Look at connection storms and at pooling on the clients.",
    "CSS wiki, Server has a Connection Backlog",
);

/// `syn-refused`.
pub(in crate::rules) const SYN_REFUSED: Rule = Rule::close(
    "syn-refused",
    "Connection refused",
    Verdict::Fault,
    &[REFUSED],
    |facts, _| {
        fault(
            Confidence::Proven,
            "The server's host refused the connection: nobody listens on this port, or the backlog is full.",
            facts,
        )
    },
)
.says(
    "Nobody listens on the port, or the accept queue is full.",
    "Look whether SQL Server runs and on which port it listens.",
    "RFC 9293 3.10.7.1; CSS wiki, Server has a Connection Backlog",
);

fn no_third_step(facts: &Facts<'_>) -> Check {
    let conn = facts.conn;
    let waits = conn.syn_frame.is_some()
        && conn.syn_ack_frame.is_some()
        && conn.handshake_frame.is_none()
        && facts.close.server_fins.is_empty()
        && facts.frames.first_payload.0.iter().all(Option::is_none)
        && facts.close.tf.is_empty()
        && facts.close.resets.is_empty();
    Check::holds(waits, "").on(conn.syn_frame.into_iter().chain(conn.syn_ack_frame))
}

fn time_passed(facts: &Facts<'_>) -> Check {
    let answered = facts
        .conn
        .syn_ack_frame
        .and_then(|no| facts.store.frame(no))
        .map(|row| row.time);
    let repeated = facts
        .frames
        .syns
        .iter()
        .filter(|s| s.flags.ack() && !s.is_copy())
        .count()
        > 1;
    let over = answered
        .zip(facts.shared.file_end)
        .is_some_and(|(from, end)| end.since(from) >= facts.settings.get(Threshold::SlowAck));
    Check::holds(repeated || over || facts.close.ender.is_some(), "")
}

/// `handshake-incomplete`.
pub(in crate::rules) const HANDSHAKE_INCOMPLETE: Rule = Rule::close(
    "handshake-incomplete",
    "Handshake not completed",
    Verdict::Fault,
    &[
        Criterion::new(
            "third",
            "The server sent SYN+ACK, and the client's ACK is not in the file",
            no_third_step,
        ),
        Criterion::new("time", "There was time enough for it", time_passed),
    ],
    |facts, _| {
        fault(
            Confidence::Likely,
            "The server answered the SYN, and the client never completed the handshake.",
            facts,
        )
    },
)
.says(
    "The server's answer does not reach the client, or the client's does not reach the server.",
    "Take a capture on the other side at the same time.",
    "RFC 9293 3.5",
);

// ---- PRELOGIN, TLS -----------------------------------------------------------------------------------------

fn mars_refused(facts: &Facts<'_>) -> Check {
    let p = &facts.conn.prelogin;
    let refused = p.client_mars == Some(true) && p.server_mars == Some(false);
    Check::holds(refused, "").on(p.client_frame.into_iter().chain(p.server_frame))
}

fn no_login(facts: &Facts<'_>) -> Check {
    let login = facts.conn.login.as_ref().and_then(|l| l.login_frame);
    let none = login.is_none() && facts.close.closed_by(Side::Client) && facts.stage < Stage::Login;
    Check::holds(none, "").on(facts.close.ender.map(|(_, seg)| seg.no))
}

/// `mars-refused`.
pub(in crate::rules) const MARS_REFUSED: Rule = Rule::close(
    "mars-refused",
    "The server refused MARS",
    Verdict::Notice,
    &[
        Criterion::new(
            "refused",
            "The client asked for MARS, the server said no",
            mars_refused,
        ),
        Criterion::new("no-login", "The client closed without a login", no_login),
    ],
    |facts, _| {
        Conclusion::new(
            Verdict::Notice,
            Confidence::Proven,
            "The client asked for MARS, the server does not offer it, and the client gave up.",
        )
        .with_evidence(start_and_end(facts))
    },
)
.says(
    "The client insists on MARS and the server (or a proxy before it) does not support it.",
    "Switch MARS off in the connection string, or look at what answers on this port.",
    "[MS-TDS] 2.2.6.5",
);

fn prelogin_unanswered(facts: &Facts<'_>) -> Check {
    let p = &facts.conn.prelogin;
    let sent = *facts.frames.sent_end.get(Side::Server);
    Check::holds(p.client_frame.is_some() && sent.is_none(), "").on(p.client_frame)
}

fn waited(facts: &Facts<'_>) -> Check {
    let asked = facts
        .conn
        .prelogin
        .client_frame
        .and_then(|no| facts.store.frame(no));
    let end = facts
        .close
        .ender
        .map(|(_, seg)| seg.time)
        .or(facts.shared.file_end);
    let waited = asked.zip(end).map(|(row, end)| end.since(row.time));
    let limit = facts.settings.get(Threshold::SlowLogin);
    Check::holds(
        waited.is_some_and(|w| w >= limit) || facts.close.ender.is_some(),
        waited.map_or(String::new(), duration),
    )
}

/// `prelogin-no-response`.
pub(in crate::rules) const PRELOGIN_NO_RESPONSE: Rule = Rule::close(
    "prelogin-no-response",
    "No answer to PRELOGIN",
    Verdict::Fault,
    &[
        Criterion::new(
            "prelogin",
            "The client sent PRELOGIN, and the server sent no data",
            prelogin_unanswered,
        ),
        Criterion::new("time", "There was time enough for it", waited),
    ],
    |facts, _| {
        let acked = facts.frames.acked.get(Side::Server).is_some_and(|a| a > 1);
        let text = if acked {
            "The server's host acknowledged the PRELOGIN, but SQL Server did not answer it: starved of threads, or a filter on the host."
        } else {
            "The PRELOGIN was neither acknowledged nor answered: it was lost on the network."
        };
        fault(Confidence::Likely, text, facts)
    },
)
.says(
    "The connection stands, but SQL Server does not speak.",
    "Look at the server's load at that time (its log, its connectivity ring buffer).",
    "[MS-TDS] 3.3.5.1; support guidance on intermittent network issues",
);

fn stage_is_tls(facts: &Facts<'_>) -> Check {
    Check::holds(facts.stage == Stage::Tls, facts.stage.word())
}

fn stage_is_prelogin(facts: &Facts<'_>) -> Check {
    Check::holds(facts.stage == Stage::Prelogin, facts.stage.word())
}

/// `close-in-tls`.
pub(in crate::rules) const CLOSE_IN_TLS: Rule = Rule::close(
    "close-in-tls",
    "Closed during the TLS handshake",
    Verdict::Fault,
    &[
        CLOSED,
        Criterion::new(
            "stage",
            "The TLS handshake had begun, no login was sent",
            stage_is_tls,
        ),
    ],
    conclude_tls,
)
.says(
    "The two ends did not agree on encryption, or one does not trust the other's certificate.",
    "Compare TLS versions and cipher suites of both ends; look at the server's certificate.",
    "Support guidance on connections forcibly closed in TLS",
);

fn conclude_tls(facts: &Facts<'_>, _: &[Condition]) -> Conclusion {
    let by = facts.close.ender.map_or(Side::Client, |(side, _)| side);
    let tls = facts.conn.tls.as_deref();
    let alert = tls.and_then(|t| t.alert);
    let cipher = tls.and_then(|t| t.cipher);
    let hello = tls.and_then(|t| t.server_hello);
    let text = if let Some((end, level, what, frame)) = alert {
        format!(
            "The {} sent TLS alert {what} (level {level}) in frame {frame}; the connection was closed.",
            facts.conn.side_of(end).word()
        )
    } else if hello.is_none() && by == Side::Server {
        "The server closed after the ClientHello: no common TLS version or cipher suite, or no usable certificate.".to_owned()
    } else if cipher.is_some_and(|c| DHE_SUITES.contains(&c)) {
        "Closed after a ServerHello that chose a Diffie-Hellman suite (TLS_DHE): known not to work between some Windows versions.".to_owned()
    } else if hello.is_some() && by == Side::Client {
        "The client closed after the server's certificate: it probably does not accept it."
            .to_owned()
    } else {
        format!("The {} closed during the TLS handshake.", by.word())
    };
    fault(Confidence::Likely, text, facts)
}

/// TLS_DHE_RSA suites of AES in CBC and GCM mode (IANA numbers).
const DHE_SUITES: [u16; 6] = [0x0033, 0x0039, 0x0067, 0x006b, 0x009e, 0x009f];

/// `close-in-prelogin`.
pub(in crate::rules) const CLOSE_IN_PRELOGIN: Rule = Rule::close(
    "close-in-prelogin",
    "Closed after PRELOGIN",
    Verdict::Fault,
    &[
        CLOSED,
        Criterion::new("stage", "PRELOGIN was sent, and nothing followed", stage_is_prelogin),
    ],
    |facts, _| {
        let by = facts.close.ender.map_or("a side", |(side, _)| side.word());
        fault(
            Confidence::Likely,
            format!("The {by} ended the connection after PRELOGIN, before TLS or login."),
            facts,
        )
    },
)
.says(
    "Something about the first message made one side give up: encryption demands, version, or load.",
    "Compare the ENCRYPTION options of both PRELOGINs.",
    "Support guidance on connections forcibly closed in TLS",
);

fn gave_up(facts: &Facts<'_>) -> Check {
    let fin = facts.close.closed_by(Side::Client)
        && facts.close.ender.is_some_and(|(_, seg)| seg.flags.fin());
    let early = facts.stage == Stage::Prelogin && facts.conn.from_start();
    Check::holds(fin && early, facts.stage.word())
}

fn at_once(facts: &Facts<'_>) -> Check {
    let start = facts.conn.syn_frame.and_then(|no| facts.store.frame(no));
    let gap = start
        .zip(facts.close.ender)
        .map(|(row, (_, seg))| seg.time.since(row.time));
    let limit = facts.settings.get(Threshold::GaveUp);
    let calm = facts.frames.resent.is_empty() && facts.frames.probes.is_empty();
    Check::holds(
        gap.is_some_and(|gap| gap <= limit) && calm,
        gap.map_or(String::new(), duration),
    )
}

/// `client-gave-up`.
pub(in crate::rules) const CLIENT_GAVE_UP: Rule = Rule::close(
    "client-gave-up",
    "The client gave up at once",
    Verdict::Notice,
    &[
        Criterion::new("fin", "PRELOGIN was sent, then the client's FIN", gave_up),
        Criterion::new(
            "soon",
            "That was soon after the SYN, and nothing is wrong on the wire",
            at_once,
        ),
    ],
    |facts, _| {
        Conclusion::new(
            Verdict::Notice,
            Confidence::Possible,
            "The client closed right after the start although nothing was wrong: its time was spent before the SYN.",
        )
        .with_evidence(start_and_end(facts))
    },
)
.says(
    "A client whose timeout ran out before the connection stood closes at once.",
    "Look at the client: name resolution, ports, Kerberos tickets, load.",
    "Support guidance on intermittent network issues",
);

// ---- login -------------------------------------------------------------------------------------------------

fn login_error(facts: &Facts<'_>) -> Check {
    let login = facts.conn.login.as_deref();
    if let Some(login) = login
        && !login.accepted
        && let Some((number, class, text)) = &login.error
    {
        return Check::held(format!("error {number}, class {class}: {text}"))
            .on(login.answer_frame);
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
        let error = facts.conn.login.as_ref().and_then(|l| l.error.clone());
        match error {
            Some((number, class, text)) => fault(
                Confidence::Proven,
                format!("The server refused the login: error {number}, class {class}: {text}"),
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
        .map(|seg| seg.time);
    let start = facts
        .conn
        .syn_frame
        .and_then(|no| facts.store.frame(no))
        .map(|r| r.time);
    let gap = last
        .or(start)
        .zip(facts.close.ender)
        .map(|(from, (_, seg))| seg.time.since(from));
    let limit = facts.settings.get(Threshold::LoginTimeout) / 5 * 4;
    Check::holds(
        gap.is_some_and(|gap| gap >= limit),
        gap.map_or(String::new(), duration),
    )
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
        let step = match facts.stage {
            Stage::Connect => "the TCP handshake",
            Stage::Prelogin => "the PRELOGIN answer",
            Stage::Tls => "the server's part of the TLS handshake",
            Stage::Login | Stage::Ready => "the login answer",
        };
        fault(
            Confidence::Likely,
            format!("The client waited for {step} until its login timeout and gave up."),
            facts,
        )
    },
)
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
        Some((answer, (_, seg))) if answer > seg.no => Check::held("").on([seg.no, answer]),
        _ => Check::failed("no LOGINACK behind the client's end"),
    }
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
    let asked = facts.store.conn_requests(facts.conn.id).next().is_some();
    Check::holds(routed && !asked, "").on(login.and_then(|l| l.answer_frame))
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

/// The steps of a login with their times, where it was slow: text and evidence.
pub(in crate::rules) fn slow_login(facts: &Facts<'_>) -> Option<(String, Vec<Evidence>)> {
    let login = facts.conn.login.as_ref()?;
    let time = |no: FrameNo| facts.store.frame(no).map(|row| row.time);
    let start = time(facts.conn.syn_frame?)?;
    let total = time(login.answer_frame?)?.since(start);
    if total <= facts.settings.get(Threshold::SlowLogin) {
        return None;
    }
    let steps = start_and_end(facts);
    let limit = login.answer_frame?;
    let mut last: (Nanos, String) = (start, "SYN".to_owned());
    let mut largest: Option<(i64, String)> = None;
    for step in steps.iter().filter(|step| step.frame <= limit) {
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
    Some((
        text,
        steps.into_iter().filter(|s| s.frame <= limit).collect(),
    ))
}
