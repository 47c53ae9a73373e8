//! Connections that ended between PRELOGIN and login.

use super::super::text::duration;
use super::{CLOSED, fault, start_and_end};
use crate::decode::tls::names;
use crate::rules::facts::{Facts, Stage};
use crate::rules::rule::{Check, Conclusion, Criterion, Rule};
use crate::rules::settings::Threshold;
use crate::store::{Applied, Confidence, TlsOffer, Verdict};
use crate::units::Side;

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
.only_where(|facts| facts.stage < Stage::Login)
.says(
    "The client insists on MARS and the server (or a proxy before it) does not support it.",
    "Switch MARS off in the connection string, or look at what answers on this port.",
    "[MS-TDS] 2.2.6.5",
);

fn prelogin_unanswered(facts: &Facts<'_>) -> Check {
    let p = &facts.conn.prelogin;
    let sent = *facts.frames.sent_end.get(Side::Server);
    // Where bytes are missing from the file, the answer may be among them.
    let early = facts.stage == Stage::Prelogin;
    Check::holds(p.client_frame.is_some() && sent.is_none() && early, "").on(p.client_frame)
}

fn waited(facts: &Facts<'_>) -> Check {
    let asked = facts.conn.prelogin.client_frame;
    let waited = asked.and_then(|asked| match facts.close.ender {
        Some((_, end)) => facts.between(asked, end.no),
        None => facts.to_file_end(asked),
    });
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
.only_where(|facts| facts.stage == Stage::Prelogin)
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
.only_where(|facts| facts.stage == Stage::Tls)
.says(
    "The two ends did not agree on encryption, or one does not trust the other's certificate.",
    "Compare TLS versions and cipher suites of both ends; look at the server's certificate.",
    "Support guidance on connections forcibly closed in TLS",
);

fn conclude_tls(facts: &Facts<'_>, _: &[Applied]) -> Conclusion {
    let by = facts.close.ender.map_or(Side::Client, |(side, _)| side);
    let tls = facts.conn.tls.as_deref();
    let alert = tls.and_then(|t| t.alert);
    let cipher = tls.and_then(|t| t.cipher);
    let hello = tls.and_then(|t| t.server_hello);
    let text = if let Some((end, level, what, frame)) = alert {
        format!(
            "The {} sent the TLS alert {} ({what}, level {level}) in frame {frame}; the connection was closed.",
            facts.conn.side_of(end).word(),
            names::alert(what)
        )
    } else if hello.is_none() && by == Side::Server {
        format!(
            "The server closed after the ClientHello: no common TLS version or cipher suite, or no usable certificate. {}",
            tls.and_then(|t| t.offer.as_ref()).map_or_else(
                || "What the client offers cannot be read.".to_owned(),
                offered
            )
        )
    } else if cipher
        .and_then(names::cipher)
        .is_some_and(|suite| suite.starts_with("TLS_DHE_"))
    {
        "Closed after a ServerHello that chose a Diffie-Hellman suite (TLS_DHE): known not to work between some Windows versions.".to_owned()
    } else if hello.is_some() && by == Side::Client {
        "The client closed after the server's certificate: it probably does not accept it."
            .to_owned()
    } else {
        format!("The {} closed during the TLS handshake.", by.word())
    };
    let mut conclusion = fault(Confidence::Likely, text, facts);
    let offer = tls.and_then(|t| t.offer.as_ref());
    if let Some(offer) = offer.filter(|_| alert.is_some() || by == Side::Client) {
        conclusion.notes.push(offered(offer));
    }
    conclusion
}

/// More cipher suites than this are only counted.
const MOST_SUITES: usize = 24;

/// The versions and cipher suites of a ClientHello.
fn offered(offer: &TlsOffer) -> String {
    let version = |v: &u16| names::version(*v).map_or_else(|| format!("0x{v:04x}"), str::to_owned);
    let versions: Vec<_> = offer.versions.iter().map(version).collect();
    let up_to = if versions.len() == 1 { "up to " } else { "" };
    let suites = offer.ciphers.iter().take(MOST_SUITES);
    let suites: Vec<_> = suites.map(|c| names::cipher_or_number(*c)).collect();
    let more = match offer.ciphers.len().saturating_sub(suites.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let suites = match suites.join(", ") {
        cut if cut.is_empty() => String::new(),
        suites => format!(" with {suites}{more}"),
    };
    format!("The client offers {up_to}{}{suites}.", versions.join(", "))
}

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
.only_where(|facts| facts.stage == Stage::Prelogin)
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
    let start = facts.conn.syn_frame.zip(facts.close.ender);
    let gap = start.and_then(|(syn, (_, end))| facts.between(syn, end.no));
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
.only_where(|facts| facts.stage == Stage::Prelogin)
.says(
    "A client whose timeout ran out before the connection stood closes at once.",
    "Look at the client: name resolution, ports, Kerberos tickets, load.",
    "Support guidance on intermittent network issues",
);
