//! Connections that the server ended, and data of the server that was lost.

use super::super::mars::close_evidence;
use super::super::text::{count, error_words};
use super::{AFTER_LOGIN, CLIENT_RESET, end_evidence, ender_words};
use crate::rules::facts::{Facts, Pos, Stage};
use crate::rules::rule::{Check, Conclusion, Criterion, Rule, evidence};
use crate::store::{Applied, Confidence, HeaderCheck, PduFlags, RequestRow, Verdict};
use crate::units::Side;

fn server_ended(facts: &Facts<'_>) -> Check {
    let by_server = facts.close.closed_by(Side::Server);
    Check::holds_with(by_server, || ender_words(facts)).on(facts.close.ender.map(|(_, seg)| seg.no))
}

fn login_sent(facts: &Facts<'_>) -> Check {
    Check::holds(facts.stage >= Stage::Login, facts.stage.word())
}

fn server_fin(facts: &Facts<'_>) -> Check {
    let fin = facts.close.closed_by(Side::Server)
        && facts.close.ender.is_some_and(|(_, seg)| seg.flags.fin());
    Check::holds_with(fin, || ender_words(facts)).on(facts.close.ender.map(|(_, seg)| seg.no))
}

fn fatal_error(facts: &Facts<'_>) -> Check {
    let found = facts.lanes.iter().find_map(|lane| {
        lane.last_data
            .get(Side::Server)
            .filter(|pdu| pdu.flags.has(PduFlags::ERROR_FATAL))
    });
    match found {
        Some(pdu) => Check::held("").on([pdu.frame]),
        None => Check::failed("no error of class 20 or more in a last answer"),
    }
}

fn header_error(facts: &Facts<'_>) -> Check {
    let found = facts.last_requests().into_values().find(|r| {
        r.error
            .as_ref()
            .is_some_and(|e| e.number == MARS_HEADER_ERROR)
    });
    match found {
        Some(r) => Check::held(format!("error {MARS_HEADER_ERROR}"))
            .on([r.first_frame].into_iter().chain(r.answer_last_frame)),
        None => Check::failed(format!("no error {MARS_HEADER_ERROR}")),
    }
}

/// What the catalogue wants to know of the request that the server refused. It is no need: the server said so itself.
fn headers_wrong(facts: &Facts<'_>) -> Check {
    let all = facts.last_requests();
    let refused = |r: &&RequestRow| {
        let error = r.error.as_ref();
        error.is_some_and(|e| e.number == MARS_HEADER_ERROR)
    };
    let Some(request) = all.values().find(refused) else {
        return Check::unknown("no request is known to have that error");
    };
    let sids = facts.store.conn_session_ids(facts.conn.id).len().max(1);
    let on = [request.first_frame];
    match request.headers {
        HeaderCheck::Unknown => Check::unknown("they are not in the file, or not readable"),
        HeaderCheck::Total => Check::held("the lengths of the headers do not sum up to the total"),
        HeaderCheck::NoDescriptor => Check::held("no header is a transaction descriptor"),
        HeaderCheck::DescriptorLength => Check::held("the transaction descriptor is not 18 bytes"),
        HeaderCheck::Sound(n) if n == 0 || usize::try_from(n).is_ok_and(|n| n > sids) => {
            Check::held(format!(
                "they count {} on {}",
                count(usize::try_from(n).unwrap_or(usize::MAX), "outstanding request"),
                count(sids, "session")
            ))
        }
        HeaderCheck::Sound(n) => Check::unknown(format!(
            "not seen: total and transaction descriptor are as they should be, and {n} outstanding is plausible"
        )),
    }
    .on(on)
}

/// "MARS TDS header contained errors".
const MARS_HEADER_ERROR: i32 = 4011;

/// `mars-header-error`.
pub(in crate::rules) const MARS_HEADER: Rule = Rule::close(
    "mars-header-error",
    "The server found a broken MARS header",
    Verdict::Fault,
    &[
        Criterion::new("ender", "The server ended the connection", server_ended),
        Criterion::new("error", "The last answer reports error 4011", header_error),
        Criterion::new(
            "headers",
            "As proof: the request's ALL_HEADERS are wrong in length, in the transaction descriptor or in its count",
            headers_wrong,
        ),
    ],
    conclude_server_error,
)
.with_unknowns()
.only_where(|facts| facts.close.closed_by(Side::Server))
.says(
    "The client sent a request whose header of transaction and outstanding requests was wrong: known as a driver bug.",
    "Update the client driver; look at ALL_HEADERS of the request named.",
    "SqlClient issue 85; [MS-TDS] 2.2.5.3",
);

/// `server-error-close`.
pub(in crate::rules) const SERVER_ERROR: Rule = Rule::close(
    "server-error-close",
    "The server named an error and closed",
    Verdict::Fault,
    &[
        Criterion::new(
            "error",
            "A last answer holds an ERROR of class 20 or more",
            fatal_error,
        ),
        Criterion::new("ender", "The server ended the connection", server_ended),
    ],
    conclude_server_error,
)
.only_where(|facts| facts.close.closed_by(Side::Server))
.says(
    "The server ended the connection on purpose and said why: session killed, shutdown, protocol error.",
    "Read the error's number and text; look into the server's error log at that time.",
    "[MS-TDS] 2.2.7.10",
);

fn conclude_server_error(facts: &Facts<'_>, _: &[Applied]) -> Conclusion {
    let error = facts
        .last_requests()
        .into_values()
        .filter_map(|mut r| r.error.take().map(|e| (r, e)))
        .max_by_key(|(_, e)| e.class);
    let mut proof = Vec::new();
    let text = match error {
        Some((request, error)) => {
            let frame = request.answer_last_frame.unwrap_or(request.last_frame);
            proof.push(evidence(
                request.first_frame,
                "request that it answers",
                request.kind.name(),
            ));
            proof.push(evidence(
                frame,
                "answer with the error",
                format!("error {}, class {}", error.number, error.class),
            ));
            format!(
                "The server reported an error, then ended the connection: {}",
                error_words(&error)
            )
        }
        None => "The server reported a severe error, then ended the connection.".to_owned(),
    };
    proof.extend(end_evidence(facts));
    Conclusion::new(Verdict::Fault, Confidence::Proven, text).with_evidence(proof)
}

/// `server-fin-first`.
pub(in crate::rules) const SERVER_FIN_FIRST: Rule = Rule::close(
    "server-fin-first",
    "The server closed the connection",
    Verdict::Fault,
    &[
        Criterion::new("stage", "The login was sent at least", login_sent),
        Criterion::new(
            "fin",
            "The server's FIN was sent before it had one of the client",
            server_fin,
        ),
    ],
    conclude_server_fin,
)
.only_where(|facts| facts.close.closed_by(Side::Server))
.says(
    "In normal work the client closes. A server that closes first was stopped, killed the session, or its process ended.",
    "Look into the server's error log and at its restarts at that time.",
    "Microsoft Learn, Trace the network connection close sequence",
);

fn conclude_server_fin(facts: &Facts<'_>, _: &[Applied]) -> Conclusion {
    let open = facts.outstanding().count();
    let text = format!(
        "The server closed the connection: {}{}.",
        ender_words(facts),
        if open > 0 {
            ", with work outstanding"
        } else {
            ""
        }
    );
    Conclusion::new(Verdict::Fault, Confidence::Proven, text).with_evidence(end_evidence(facts))
}

/// Bytes of the server's data that the closing segment of the client does not acknowledge.
fn bytes_lost(facts: &Facts<'_>) -> Option<Pos> {
    let reached = facts.close.reached?;
    // Where neither SMP nor TLS tells control from data, all is data.
    let all = facts.mars_known_off() && !facts.encrypted;
    let sent = facts.frames.sent_end.get(Side::Server).filter(|_| all);
    let data = facts.streams.data_seen.then_some(facts.streams.b);
    let end = data.max(sent)?;
    Some(end.saturating_sub(reached).max(0))
}

fn data_behind(facts: &Facts<'_>) -> Check {
    match bytes_lost(facts) {
        None => Check::failed("what the client had, or the server's data, is not known"),
        Some(late) => Check::holds_with(late > 0, || format!("{late} bytes"))
            .on(facts.close.ender.map(|(_, seg)| seg.no)),
    }
}

/// `rst-data-lost`.
pub(in crate::rules) const RST_DATA_LOST: Rule = Rule::close(
    "rst-data-lost",
    "Reset with the server's data on the way",
    Verdict::Fault,
    &[
        CLIENT_RESET,
        AFTER_LOGIN,
        Criterion::new(
            "data",
            "The server had sent data that the client's closing segment does not acknowledge",
            data_behind,
        ),
    ],
    conclude_data_lost,
)
.only_where(|facts| bytes_lost(facts).is_some_and(|late| late > 0))
.says(
    "The client closed without reading all of what the server sent; the answer was cut off.",
    "Look at the client: an application that hung up, a process that ended.",
    "RFC 1122 4.2.2.13",
);

fn conclude_data_lost(facts: &Facts<'_>, _: &[Applied]) -> Conclusion {
    let late = bytes_lost(facts).unwrap_or(0);
    Conclusion::new(
        Verdict::Fault,
        Confidence::Proven,
        format!("The client closed while {late} bytes of the server's data were on the way; they were lost."),
    )
    .with_evidence(close_evidence(facts))
}
