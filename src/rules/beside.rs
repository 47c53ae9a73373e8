//! Findings on a connection beside its close: sessions, requests, single resets, quality of the capture.

use super::catalogue::{
    ATTENTION_OK, FILE_GAP, LOGIN_SLOW, MARS_SID_CLOSE, MID_STREAM, NONSTANDARD_PORT,
    ONE_DIRECTION, ONE_WAY_LOSS, ORPHAN_SID, POOL_RESET, PORT_REUSE, RST_IGNORED, RST_MIDDLEBOX,
    SLOW_ACK, SLOW_RESPONSE, SMP_VIOLATION, TDS_VIOLATION, WINDOW_STALL, ZERO_WINDOW, count,
    duration, foreign_sign, slow_login,
};
use super::engine;
use super::facts::Facts;
use super::rule::{Check, Conclusion, MOST_FRAMES, Probe, Rule, evidence};
use super::settings::Threshold;
use crate::store::{
    Confidence, Evidence, Finding, Outcome, PduRow, Protocol, RequestRow, Severity, Verdict,
};
use crate::units::{FrameNo, Sid, Side};

/// Adds what there is to say about a connection beside its close.
pub(super) fn gather(facts: &Facts<'_>, out: &mut Vec<Finding>) {
    let mut add = |finding: Option<Finding>| {
        out.extend(finding.filter(|f| facts.settings.is_on(&f.rule)));
    };
    for ignored in &facts.close.ignored {
        add(Some(rst_ignored(facts, ignored.reset.no, ignored.later)));
    }
    add(foreign_resets(facts));
    add(earlier_connection(facts));
    if facts.conn.protocol != Protocol::Tds && !facts.conn.smp_seen {
        return;
    }
    add(login_slow(facts));
    add(attentions(facts));
    add(slow_responses(facts));
    add(pool_resets(facts));
    add(stalls(facts));
    add(sids_closed(facts));
    add(orphans(facts));
    add(zero_windows(facts));
    add(one_direction(facts));
    add(file_gap(facts));
    add(slow_acks(facts));
    add(one_way_loss(facts));
    add(reset_bits(facts));
    add(joined_late(facts));
    add(other_port(facts));
    let told = out.iter().any(|f| f.rule == SMP_VIOLATION.id);
    if !told && facts.settings.is_on(SMP_VIOLATION.id) {
        out.extend(violations(facts));
    }
}

/// A finding beside the close; its condition is stated with the fact that it rests on. Of a rule that can also
/// decide the close, only what holds here is said.
fn stated(
    facts: &Facts<'_>,
    rule: &Rule,
    verdict: Verdict,
    text: String,
    proof: Vec<Evidence>,
) -> Finding {
    let frames: Vec<FrameNo> = proof.iter().map(|e| e.frame).collect();
    let conclusion = Conclusion::new(verdict, Confidence::Proven, text).with_evidence(proof);
    let mut finding = engine::finding(rule, Some(facts.conn.id), conclusion);
    finding.conditions = rule
        .conditions
        .iter()
        .map(|c| match c.check {
            Probe::Gathered => c.with(Check::held("").on(frames.iter().copied())),
            Probe::Facts(check) => c.with(check(facts)),
        })
        .filter(|c| c.outcome == Outcome::Held || c.id == "both-ends")
        .collect();
    finding
}

fn rst_ignored(facts: &Facts<'_>, reset: FrameNo, later: FrameNo) -> Finding {
    let mut finding = stated(
        facts,
        &RST_IGNORED,
        Verdict::Fault,
        format!(
            "The reset in frame {reset} had no effect: its alleged sender goes on in frame {later}. Suspected to be forged on the path."
        ),
        vec![
            evidence(reset, "reset without effect", ""),
            evidence(later, "its alleged sender goes on", ""),
        ],
    );
    finding.confidence = Confidence::Likely;
    finding.marks = vec![reset];
    finding
}

/// Resets to a server that still knew an earlier connection of the same ports.
fn earlier_connection(facts: &Facts<'_>) -> Option<Finding> {
    let resets = &facts.close.earlier;
    let first = resets.first()?;
    let proof = resets.iter().take(MOST_FRAMES).map(|seg| {
        evidence(
            seg.no,
            "resets the earlier connection",
            format!("RST.Seq {}", seg.seq),
        )
    });
    let mut finding = stated(
        facts,
        &PORT_REUSE,
        Verdict::Notice,
        format!(
            "The server still knew an earlier connection of these ports: it answered the SYN with that one's numbers, and the client reset it in frame {}, then tried again.",
            first.no
        ),
        proof.collect(),
    );
    finding.marks = resets.iter().map(|seg| seg.no).collect();
    Some(finding)
}

/// Resets of foreign origin that did not end the connection.
fn foreign_resets(facts: &Facts<'_>) -> Option<Finding> {
    if facts.close.foreign.is_empty() || facts.close.ended_by_foreign() {
        return None;
    }
    let proof = facts
        .close
        .foreign
        .iter()
        .take(MOST_FRAMES)
        .map(|seg| evidence(seg.no, "reset of another sender", foreign_sign(facts, seg)))
        .collect();
    let mut finding = stated(
        facts,
        &RST_MIDDLEBOX,
        Verdict::Fault,
        format!(
            "{} that its alleged sender did not send, by all that the file shows: suspected to be made by a device on the path.",
            count(facts.close.foreign.len(), "reset")
        ),
        proof,
    );
    finding.confidence = Confidence::Likely;
    finding.marks = facts.close.foreign.iter().map(|seg| seg.no).collect();
    Some(finding)
}

fn login_slow(facts: &Facts<'_>) -> Option<Finding> {
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

fn attentions(facts: &Facts<'_>) -> Option<Finding> {
    let timeout = facts.settings.get(Threshold::CommandTimeout);
    let mut by_timeout = 0_usize;
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
        let near = at.is_some_and(|row| {
            let off = row.time.since(request.start).saturating_sub(timeout);
            off.abs() <= timeout / 20
        });
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
        String::new()
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

fn slow_responses(facts: &Facts<'_>) -> Option<Finding> {
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

fn pool_resets(facts: &Facts<'_>) -> Option<Finding> {
    let test = |request: &RequestRow| {
        request
            .reset_connection
            .then(|| (request.first_frame, request.kind.name().to_owned()))
    };
    let (n, proof) = requests(facts, test, "first request of a pooled use");
    (n > 0).then(|| {
        stated(
            facts,
            &POOL_RESET,
            Verdict::Normal,
            format!(
                "The pooled connection was taken from the pool {}.",
                count(n, "time")
            ),
            proof,
        )
    })
}

fn stalls(facts: &Facts<'_>) -> Option<Finding> {
    let limit = facts.settings.get(Threshold::WindowStall);
    let mut proof = Vec::new();
    let mut n = 0_u64;
    let mut total = 0_i64;
    let mut longest: (i64, Option<(Sid, Side)>) = (0, None);
    for session in facts.store.conn_sessions(facts.conn.id) {
        for side in Side::BOTH {
            let stall = session.stalls.get(facts.conn.end_of(side));
            if stall.longest_ns < limit {
                continue;
            }
            n = n.saturating_add(u64::from(stall.count));
            total = total.saturating_add(stall.total_ns);
            if stall.longest_ns > longest.0 {
                longest = (stall.longest_ns, Some((session.sid, side)));
            }
            if let Some(frame) = stall.longest_frame.filter(|_| proof.len() < MOST_FRAMES) {
                proof.push(evidence(
                    frame,
                    format!("Sid {}: the {} may send again", session.sid, side.word()),
                    format!("after {}", duration(stall.longest_ns)),
                ));
            }
        }
    }
    let (sid, side) = longest.1?;
    let grave = longest.0 >= facts.settings.get(Threshold::WindowStallWarn);
    let much = if grave { "long " } else { "" };
    let mut finding = stated(
        facts,
        &WINDOW_STALL,
        Verdict::Notice,
        format!(
            "The {} stood still {n} times for {much}want of SMP window, {} in all, longest {} on Sid {sid}: the {} did not take what had arrived.",
            side.word(),
            duration(total),
            duration(longest.0),
            side.other().word()
        ),
        proof,
    );
    let trip = facts.conn.tcp.get(facts.conn.end_of(side)).round_trip_ns;
    if let Some(trip) = trip {
        finding.notes.push(format!(
            "a window costs about one round trip, here {}",
            duration(trip)
        ));
    }
    Some(finding)
}

fn sids_closed(facts: &Facts<'_>) -> Option<Finding> {
    let c0 = facts.streams.c0?;
    let mut proof = Vec::new();
    let mut n = 0_usize;
    for lane in &facts.lanes {
        let (Some(client), Some(server)) = (lane.client_fin, lane.server_fin) else {
            continue;
        };
        let ends_with_connection =
            super::facts::start_of(&client) >= c0 && facts.close.ender.is_some();
        if ends_with_connection {
            continue;
        }
        n = n.saturating_add(1);
        if proof.len() < MOST_FRAMES / 2 {
            proof.push(evidence(
                client.frame,
                format!("client SMP:FIN Sid {}", client.sid),
                "",
            ));
            proof.push(evidence(
                server.frame,
                format!("server SMP:FIN Sid {}", server.sid),
                "",
            ));
        }
    }
    (n > 0).then(|| {
        stated(
            facts,
            &MARS_SID_CLOSE,
            Verdict::Normal,
            format!(
                "{} closed while the connection went on.",
                count(n, "session")
            ),
            proof,
        )
    })
}

/// Client SMP:FINs before the close that the server left unanswered although it went on sending for a while.
fn unanswered_fins(facts: &Facts<'_>) -> Vec<PduRow> {
    let limit = facts.settings.get(Threshold::FinAnswer);
    let heard = facts
        .frames
        .last_sent(Side::Server)
        .and_then(|no| facts.store.frame(no));
    let closing = facts.streams.c0.filter(|_| facts.close.ender.is_some());
    facts
        .lanes
        .iter()
        .filter(|lane| lane.last_life && lane.server_fin.is_none())
        .filter_map(|lane| lane.client_fin)
        .filter(|fin| closing.is_none_or(|c0| super::facts::start_of(fin) < c0))
        .filter(|fin| {
            let sent = facts.store.frame(fin.frame);
            heard
                .zip(sent)
                .is_some_and(|(heard, sent)| heard.time.since(sent.time) >= limit)
        })
        .collect()
}

fn orphans(facts: &Facts<'_>) -> Option<Finding> {
    let unanswered = unanswered_fins(facts);
    if let Some(first) = unanswered.first() {
        let proof = unanswered
            .iter()
            .take(MOST_FRAMES)
            .map(|fin| {
                evidence(
                    fin.frame,
                    format!("client SMP:FIN Sid {}", fin.sid),
                    "no answer",
                )
            })
            .collect();
        return Some(stated(
            facts,
            &ORPHAN_SID,
            Verdict::Notice,
            format!(
                "{} of the client without an answer of the server, first on Sid {}.",
                count(unanswered.len(), "SMP:FIN"),
                first.sid
            ),
            proof,
        ));
    }
    facts.close.ender?;
    let last = facts.lanes.iter().filter(|lane| lane.last_life);
    let open: Vec<_> = last
        .filter(|lane| lane.session.is_some())
        .filter(|lane| lane.client_fin.is_none())
        .collect();
    if open.len() < 2 && open.iter().all(|lane| lane.server_fin.is_none()) {
        return None;
    }
    let proof = open
        .iter()
        .take(MOST_FRAMES)
        .filter_map(|lane| lane.session)
        .map(|s| evidence(s.last_frame, format!("last packet of Sid {}", s.sid), ""))
        .collect();
    Some(stated(
        facts,
        &ORPHAN_SID,
        Verdict::Notice,
        format!(
            "{} left open by the client when the connection ended.",
            count(open.len(), "session")
        ),
        proof,
    ))
}

fn zero_windows(facts: &Facts<'_>) -> Option<Finding> {
    let limit = facts.settings.get(Threshold::ZeroWindow);
    let mut n = 0_usize;
    let mut longest: (i64, Side) = (0, Side::Client);
    let mut proof = Vec::new();
    for period in &facts.frames.zero_windows {
        let Some(opened) = period.opened else {
            continue;
        };
        let length = opened.time.since(period.start.time);
        if length < limit {
            continue;
        }
        n = n.saturating_add(1);
        if length > longest.0 {
            longest = (length, period.start.side);
        }
        if proof.len() < MOST_FRAMES {
            proof.push(evidence(
                period.start.no,
                format!("{} window 0", period.start.side.word()),
                format!("until frame {}, {}", opened.no, duration(length)),
            ));
        }
    }
    (n > 0).then(|| {
        stated(
            facts,
            &ZERO_WINDOW,
            Verdict::Notice,
            format!(
                "TCP window 0 in {}, longest {} at the {}: it did not read what had arrived.",
                count(n, "period"),
                duration(longest.0),
                longest.1.word()
            ),
            proof,
        )
    })
}

fn one_direction(facts: &Facts<'_>) -> Option<Finding> {
    facts.one_direction().then(|| {
        stated(
            facts,
            &ONE_DIRECTION,
            Verdict::Notice,
            "Only one direction of this connection is in the file.".to_owned(),
            vec![evidence(facts.conn.first_frame, "first frame", "")],
        )
    })
}

fn file_gap(facts: &Facts<'_>) -> Option<Finding> {
    let missing = facts.missing_bytes();
    (missing > 0 && !facts.one_direction()).then(|| {
        stated(
            facts,
            &FILE_GAP,
            Verdict::Notice,
            format!("{missing} bytes of this connection are not in the file."),
            vec![evidence(facts.conn.first_frame, "first frame", "")],
        )
    })
}

fn slow_acks(facts: &Facts<'_>) -> Option<Finding> {
    let all = &facts.frames.late_acks;
    let longest = all.iter().max_by_key(|late| late.after)?;
    let proof = all
        .iter()
        .take(MOST_FRAMES)
        .map(|late| {
            let fact = format!(
                "acknowledged in frame {} after {}",
                late.acked_in,
                duration(late.after)
            );
            evidence(
                late.data.no,
                format!("data of the {}", late.data.side.word()),
                fact,
            )
        })
        .collect();
    Some(stated(
        facts,
        &SLOW_ACK,
        Verdict::Notice,
        format!(
            "{} acknowledged late; the longest took {} for data of the {}.",
            count(all.len(), "segment"),
            duration(longest.after),
            longest.data.side.word()
        ),
        proof,
    ))
}

/// Data that one side sends again and again in vain while it goes on receiving new data from the other.
fn one_way_loss(facts: &Facts<'_>) -> Option<Finding> {
    lost_between(facts).or_else(|| sent_in_vain(facts))
}

/// Frames in a row that one end's file shows and the other's does not.
fn lost_between(facts: &Facts<'_>) -> Option<Finding> {
    let row = facts.ends.lost.first()?;
    let most = MOST_FRAMES / 2;
    let lost = row.frames.iter().take(most);
    let lost = lost.map(|no| evidence(*no, "sent, not in the other end's file", ""));
    let arrived = row.arrived.iter().take(most);
    let arrived = arrived.map(|no| evidence(*no, "arrived meanwhile", ""));
    Some(stated(
        facts,
        &ONE_WAY_LOSS,
        Verdict::Fault,
        format!(
            "The {}'s file shows {} of it in a row, over {}, that never arrived at the {}, while {} of the {} came through: packets of one direction are lost.",
            row.side.word(),
            count(row.frames.len(), "frame"),
            duration(row.lasted),
            row.side.other().word(),
            row.arrived.len(),
            row.side.other().word()
        ),
        lost.chain(arrived).collect(),
    ))
}

/// The same as far as one end's file shows it.
fn sent_in_vain(facts: &Facts<'_>) -> Option<Finding> {
    let runs = facts.frames.resend_runs();
    let run = runs.iter().rev().find(|run| {
        let first = run.segs.first().map(|seg| seg.no);
        let at = facts
            .frames
            .resent
            .iter()
            .position(|seg| Some(seg.no) == first);
        let fresh = at
            .and_then(|at| facts.frames.fresh_behind.get(at))
            .copied()
            .unwrap_or(0);
        let acked = *facts.frames.acked.get(run.side.other());
        run.resent() >= 2 && fresh >= 2 && acked.is_none_or(|acked| acked <= run.pos)
    })?;
    let proof = run
        .segs
        .iter()
        .take(MOST_FRAMES)
        .map(|seg| {
            evidence(
                seg.no,
                "sent again, never acknowledged",
                format!("Seq {}", seg.seq),
            )
        })
        .collect();
    Some(stated(
        facts,
        &ONE_WAY_LOSS,
        Verdict::Fault,
        format!(
            "The {} sent the same data again {} times in vain, while new data of the {} kept coming: packets of one direction are lost.",
            run.side.word(),
            run.resent(),
            run.side.other().word()
        ),
        proof,
    ))
}

/// Both reset bits at once, or one behind the first packet of a message.
fn reset_bits(facts: &Facts<'_>) -> Option<Finding> {
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

fn joined_late(facts: &Facts<'_>) -> Option<Finding> {
    (!facts.conn.from_start()).then(|| {
        stated(
            facts,
            &MID_STREAM,
            Verdict::Normal,
            "The file begins after this connection was opened.".to_owned(),
            vec![evidence(facts.conn.first_frame, "first frame", "")],
        )
    })
}

fn other_port(facts: &Facts<'_>) -> Option<Finding> {
    let port = facts.conn.endpoint(Side::Server).port;
    (port != 1433).then(|| {
        stated(
            facts,
            &NONSTANDARD_PORT,
            Verdict::Normal,
            format!("SQL Server answers on port {port}."),
            vec![evidence(facts.conn.first_frame, "first frame", "")],
        )
    })
}

/// The summary of grave violations; where bytes are missing they may be the capture's fault.
fn violations(facts: &Facts<'_>) -> Option<Finding> {
    let found: Vec<_> = facts
        .violations()
        .filter(|v| v.severity == Severity::Error)
        .take(1000)
        .collect();
    let first = found.first()?;
    let complete = facts.missing_bytes() == 0 && facts.conn.from_start() && !facts.frames.cut;
    let proof = found
        .iter()
        .take(MOST_FRAMES)
        .map(|v| evidence(v.frame, format!("check {:?}", v.check), v.fact.to_string()))
        .collect();
    let mut finding = stated(
        facts,
        &SMP_VIOLATION,
        if complete {
            Verdict::Fault
        } else {
            Verdict::Undecided
        },
        format!(
            "{} against the SMP specification; first {:?} in frame {}: {}.",
            count(found.len(), "packet"),
            first.check,
            first.frame,
            first.fact
        ),
        proof,
    );
    if !complete {
        finding.confidence = Confidence::Possible;
    }
    Some(finding)
}
