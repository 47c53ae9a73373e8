//! Connections that TCP did not make.

use super::super::text::count;
use super::{fault, start_and_end};
use crate::rules::facts::Facts;
use crate::rules::rule::{Check, Conclusion, Criterion, Rule, evidence};
use crate::rules::settings::Threshold;
use crate::store::{Applied, Confidence, Verdict};
use crate::units::{FrameNo, Side};

fn syns(facts: &Facts<'_>) -> Vec<FrameNo> {
    let own = facts.frames.syns.iter();
    own.filter(|s| !s.flags.ack() && !s.is_copy())
        .map(|s| s.no)
        .collect()
}

fn only_syns(facts: &Facts<'_>) -> Check {
    let server = facts.conn.tcp.get(facts.conn.end_of(Side::Server)).frames;
    let other = facts.conn.frames;
    let all = facts.frames.syns.len();
    let alone = server == 0 && u32::try_from(all).is_ok_and(|n| n == other);
    let syns = if alone { syns(facts) } else { Vec::new() };
    Check::holds_with(!syns.is_empty(), || count(syns.len(), "SYN")).on(syns)
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
.only_where(|facts| facts.conn.tcp.get(facts.conn.end_of(Side::Server)).frames == 0)
.says(
    "The server's host was not reached, or something drops the packets: firewall, wrong address, host down.",
    "Take a capture on the server: SYNs missing there were dropped on the way; SYNs there without answer point to its own firewall.",
    "Support guidance on TCP/IP connectivity",
);

fn conclude_no_answer(facts: &Facts<'_>, _: &[Applied]) -> Conclusion {
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
    out.notes.extend(arrival(facts));
    out.evidence = syns(facts)
        .into_iter()
        .take(20)
        .map(|frame| evidence(frame, "SYN without answer", ""))
        .collect();
    out
}

/// What a second capture point tells of SYNs without an answer, where there is one.
fn arrival(facts: &Facts<'_>) -> Option<String> {
    let rows = facts.frames.syns.iter();
    let rows: Vec<_> = rows.filter_map(|s| facts.store.frame(s.no)).collect();
    let first = rows.first()?;
    let elsewhere = rows.iter().any(|row| row.interface != first.interface);
    if elsewhere {
        return Some(
            "the SYNs are in the files of both capture points, and neither shows an answer: the host behind the second one dropped them (its firewall), or is down".to_owned(),
        );
    }
    let server = facts.conn.endpoint(Side::Server).ip;
    let points = facts.shared.points_at(server, first.time);
    let running = points.iter().any(|point| *point != first.interface);
    running.then(|| {
        "the file of the other capture point, which was running, does not have them: dropped on the way"
            .to_owned()
    })
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
.only_where(|facts| facts.conn.syn_ack_frame.is_none())
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
.only_where(|facts| facts.conn.syn_ack_frame.is_none())
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
        && facts.frames.last_payload.0.iter().all(Option::is_none)
        && facts.close.tf.is_empty()
        && facts.close.resets.is_empty();
    Check::holds(waits, "").on(conn.syn_frame.into_iter().chain(conn.syn_ack_frame))
}

fn time_passed(facts: &Facts<'_>) -> Check {
    let repeated = facts
        .frames
        .syns
        .iter()
        .filter(|s| s.flags.ack() && !s.is_copy())
        .count()
        > 1;
    let answered = facts.conn.syn_ack_frame;
    let over = answered
        .and_then(|no| facts.to_file_end(no))
        .is_some_and(|waited| waited >= facts.settings.get(Threshold::SlowAck));
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
.only_where(|facts| facts.conn.handshake_frame.is_none())
.says(
    "The server's answer does not reach the client, or the client's does not reach the server.",
    "Take a capture on the other side at the same time.",
    "RFC 9293 3.5",
);
