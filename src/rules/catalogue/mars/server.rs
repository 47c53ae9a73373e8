//! Conditions M5 to M7, M9, M13 and M14: what the server sent last, and that the client took all of it.

use std::fmt::Write;

use super::client::{BEFORE_FILE, may_have_closed_before};
use super::{MOST_LISTED, Sids, hidden_control};
use crate::rules::catalogue::count;
use crate::rules::facts::{
    CONTROL, Facts, Lane, Pos, Seg, TailKind, off_from, resets_in_question, start_of,
};
use crate::rules::rule::Check;
use crate::store::{Fact, FrameList, Number, Numbers, PduKind, PduRow, Short, fact};
use crate::units::{FrameNo, Sid, Side, SmpSeq, TcpSeq};

pub(super) fn tail_is_control(facts: &Facts<'_>) -> Check {
    let a = facts
        .close
        .a
        .or_else(|| facts.close.abort().and_then(|r| r.ack));
    let seq = |pos| facts.streams.seq(Side::Server, pos);
    let mut fins = 0_usize;
    let mut holes = 0_usize;
    let mut unknown = None;
    let mut frames = FrameList::default();
    for part in &facts.tail {
        match (part.kind, part.pdu) {
            (TailKind::Pdu, Some(pdu)) => {
                frames.push(pdu.frame);
                let control = matches!(pdu.kind, PduKind::Fin | PduKind::Ack) && pdu.len == 16;
                if !control {
                    return Check::failed(format!(
                        "a packet of {} bytes that is no SMP:FIN and no SMP:ACK stands at {}",
                        pdu.len,
                        seq(part.pos)
                    ))
                    .on([pdu.frame]);
                }
                fins = fins.saturating_add(usize::from(pdu.kind == PduKind::Fin));
            }
            (TailKind::Hole, _) => holes = holes.saturating_add(1),
            _ => {
                unknown = Some(format!(
                    "{} bytes of the server from {} on cannot be read",
                    part.end.saturating_sub(part.pos),
                    seq(part.pos)
                ));
            }
        }
    }
    let frames = frames.as_slice().iter().copied();
    let known = facts.tail.last().map_or(facts.streams.b, |part| part.end);
    let beyond = resets_in_question(facts)
        .filter_map(|r| r.ack)
        .any(|ack| ack > known.saturating_add(1));
    if beyond {
        unknown = Some("a reset acknowledges server bytes that are not in the file".to_owned());
    }
    if let Some(why) = unknown {
        return Check::unknown(why).on(frames);
    }
    if fins == 0 && holes == 0 {
        return Check::failed("no SMP:FIN of the server behind its last data").on(frames);
    }
    let on_border = a.is_none_or(|a| {
        a <= facts.streams.b
            || facts.tail.iter().any(|part| part.end == a)
            || facts
                .close
                .server_fins
                .iter()
                .any(|fin| fin.end.saturating_add(1) == a)
    });
    if !on_border {
        return Check::failed("FIN.Ack stands inside a packet of the server").on(frames);
    }
    Check::held(fact!(
        "{bytes} bytes in {packets}{hole_note}, {fins} SMP:FIN",
        bytes = known.saturating_sub(facts.streams.b), n = facts.tail.len(), holes = holes, fins = fins;
        packets = count(n, "control packet"), hole_note = match holes {
            0 => String::new(),
            holes => format!(", {holes} of them not in the file"),
        }
    ))
    .on(frames)
}

pub(super) fn tail_names_closed(facts: &Facts<'_>) -> Check {
    let fins = facts.streams.client_fins.iter();
    let closed: Sids = fins.map(|fin| fin.pdu.sid).collect();
    let mut named: Short<bool, MOST_LISTED> = closed.all().map(|_| false).collect();
    for part in facts.tail_fins() {
        let Some(pdu) = part.pdu else { continue };
        let place = closed.place(pdu.sid);
        let Some(named) = place.and_then(|at| named.as_mut_slice().get_mut(at)) else {
            let fact = format!(
                "SMP:FIN for Sid {}, which the client did not close",
                pdu.sid
            );
            let why = hidden_control(facts).or_else(|| closed_before_file(facts, pdu.sid));
            return match why {
                Some(why) => Check::unknown(format!("{fact}; {why}")),
                None => Check::failed(fact),
            }
            .on([pdu.frame]);
        };
        if std::mem::replace(named, true) {
            return Check::failed(format!("two SMP:FINs for Sid {}", pdu.sid)).on([pdu.frame]);
        }
    }
    let named = closed
        .all()
        .zip(named.as_slice())
        .filter(|(_, named)| **named);
    let named: Sids = named.map(|(sid, _)| sid).collect();
    let frames = facts
        .tail_fins()
        .filter_map(|part| part.pdu)
        .map(|p| p.frame);
    Check::held(if named.all().next().is_none() {
        fact!("none is readable")
    } else {
        named.list()
    })
    .on(frames)
}

/// Whether the client may have closed a session before the file began, in words.
fn closed_before_file(facts: &Facts<'_>, sid: Sid) -> Option<String> {
    let mut lanes = facts.last_lives().filter(|lane| lane.sid() == Some(sid));
    let may_have = lanes.all(|lane| may_have_closed_before(facts, lane));
    (may_have && !facts.conn.from_start()).then(|| BEFORE_FILE.to_owned())
}

const DATA_END: &str = "end of the last data";

pub(super) fn all_data_acknowledged(facts: &Facts<'_>) -> Check {
    let tf = facts.close.tf.iter().map(|seg| seg.no);
    // Of a client that sent no FIN its reset tells.
    let by_reset = facts.close.abort().and_then(|reset| reset.ack);
    let Some(a) = facts.close.a.or(by_reset) else {
        return Check::unknown("the client's FIN is not in the file");
    };
    let late = facts.streams.b.saturating_sub(a);
    let seq = |pos| facts.streams.seq(Side::Server, pos);
    if !facts.streams.data_seen && !facts.conn.from_start() {
        return Check::unknown("no data of the server is in the file").on(tf);
    }
    let by_fin = facts.close.a.is_some();
    if late > 0 {
        let name = if by_fin { "FIN.Ack" } else { "RST.Ack" };
        return Check::failed(format!(
            "{late} bytes of data stand behind {name} {}",
            seq(a)
        ))
        .on(tf);
    }
    let ack = seq(a);
    let off = late.saturating_neg();
    let fact = if by_fin {
        fact!("FIN.Ack {ack} = {end}", ack = ack, off = off; end = off_from(DATA_END, off))
    } else {
        fact!("RST.Ack {ack} = {end}", ack = ack, off = off; end = off_from(DATA_END, off))
    };
    Check::held(fact).on(tf)
}

pub(super) fn client_first(facts: &Facts<'_>) -> Check {
    let a = facts.close.a;
    let f = facts.close.f.or(facts.streams.e);
    for fin in &facts.close.server_fins {
        let early = a.is_some_and(|a| fin.end < a);
        let blind = fin.ack.zip(f).is_some_and(|(ack, f)| ack <= f);
        if early || blind {
            return Check::failed(if blind {
                "the server's FIN was sent without having the client's".to_owned()
            } else {
                "the client's FIN acknowledges the server's".to_owned()
            })
            .on([fin.no]);
        }
    }
    if let Some(reset) = facts
        .close
        .server_resets
        .iter()
        .find(|r| !is_straggler(facts, r))
    {
        return Check::failed("the server reset the connection, and not in answer to a late segment of the closing client").on([reset.no]);
    }
    let frames = facts.close.server_fins.iter().map(|fin| fin.no);
    Check::held(if facts.close.server_fins.is_empty() {
        fact!("no FIN of the server")
    } else {
        fact!("the server's FIN acknowledges the client's")
    })
    .on(frames)
}

/// A bare reset of the server behind a client reset, in answer to a segment of the closing client.
pub(super) fn is_straggler(facts: &Facts<'_>, reset: &Seg) -> bool {
    let after_client = facts.close.resets.iter().any(|r| r.no < reset.no);
    let c0 = facts.streams.c0.unwrap_or(Pos::MAX);
    let answers = facts
        .frames
        .late
        .get(Side::Client)
        .iter()
        .any(|seg| seg.next >= c0 && seg.ack == Some(reset.pos));
    !reset.flags.ack() && after_client && answers
}

/// An SMP:FIN of the server whose session the client closed as well.
struct Answer {
    /// Its place among the sessions.
    lane: usize,
    client: PduRow,
    server: PduRow,
}

impl Answer {
    /// What a segment that carries it acknowledges at least, if it answers the client's.
    fn needs(&self) -> Pos {
        start_of(&self.client).saturating_add(CONTROL)
    }

    fn end(&self) -> Pos {
        start_of(&self.server).saturating_add(CONTROL)
    }
}

pub(super) fn fins_are_answers(facts: &Facts<'_>) -> Check {
    let pair = |(lane, row): (usize, &Lane<'_>)| {
        let (client, server) = row.client_fin.zip(row.server_fin)?;
        Some(Answer {
            lane,
            client,
            server,
        })
    };
    let answers = facts.lanes.iter().enumerate().filter_map(pair);
    let frames: FrameList = answers.clone().map(|answer| answer.server.frame).collect();
    let (late, earlier): (Vec<_>, Vec<_>) =
        answers.partition(|answer| start_of(&answer.server) >= facts.streams.b);
    let axis = *facts.streams.axes.get(Side::Client);
    let blind = earlier.into_iter().find_map(|answer| {
        let row = facts.store.frame(answer.server.first_frame)?;
        let blind = axis.is_some_and(|axis| axis.pos(row.ack) < answer.needs());
        blind.then_some((answer.server.first_frame, row.ack, answer))
    });
    let early = blind.into_iter().chain(blindly_sent(facts, late));
    if let Some((frame, ack, answer)) = early.min_by_key(|(_, _, answer)| answer.lane) {
        return Check::failed(format!(
            "the server's SMP:FIN of Sid {} acknowledges {ack}, the client's ends at {}",
            answer.server.sid,
            facts.streams.seq(Side::Client, answer.needs())
        ))
        .on([frame, answer.client.frame]);
    }
    Check::held("").on(frames.as_slice().iter().copied())
}

/// Of some SMP:FINs of the server's tail the first, by its session, that a segment carries which does not have the
/// client's. All segments that carry it count.
fn blindly_sent(facts: &Facts<'_>, mut answers: Vec<Answer>) -> Option<(FrameNo, TcpSeq, Answer)> {
    answers.sort_by_key(|answer| start_of(&answer.server));
    // The session, the place among the answers, the frame and what it acknowledges.
    let mut found: Option<(usize, usize, FrameNo, TcpSeq)> = None;
    for seg in facts.frames.late.get(Side::Server) {
        let Some(ack) = seg.ack.filter(|_| seg.len > 0) else {
            continue;
        };
        let first = answers.partition_point(|answer| answer.end() <= seg.pos);
        let carried = answers.iter().enumerate().skip(first);
        for (at, answer) in carried.take_while(|(_, a)| start_of(&a.server) < seg.end) {
            let blind = seg.no >= answer.server.first_frame && ack < answer.needs();
            if blind && found.is_none_or(|(lane, ..)| answer.lane < lane) {
                found = Some((answer.lane, at, seg.no, seg.raw_ack));
            }
        }
    }
    let (_, at, frame, ack) = found?;
    Some((frame, ack, answers.swap_remove(at)))
}

/// SEQNUMs of the last packet that the client took of a session, by its SMP:FIN, and of the last that the server sent.
fn taken_and_sent(lane: &Lane<'_>) -> Option<(PduRow, SmpSeq, SmpSeq)> {
    let (fin, session) = (lane.client_fin?, lane.session?);
    let taken = fin.wndw.minus(session.initial_window.0);
    let visible = lane.last_data.get(Side::Server).map(|pdu| pdu.seqnum);
    let told = lane.server_fin.map(|fin| fin.seqnum);
    let sent = match (visible, told) {
        (Some(seen), Some(told)) if told.diff(seen) > 0 => told,
        (Some(seen), _) => seen,
        (None, Some(told)) => told,
        (None, None) => SmpSeq(0),
    };
    Some((fin, taken, sent))
}

/// How many packets the client left on which Sids, in words.
pub(in crate::rules) fn untaken(facts: &Facts<'_>) -> String {
    let lanes = facts.last_lives();
    let left: Vec<(Sid, i32)> = lanes
        .filter_map(taken_and_sent)
        .map(|(fin, taken, sent)| (fin.sid, sent.diff(taken)))
        .filter(|(_, left)| *left > 0)
        .collect();
    let shown = left.iter().take(8).map(|(sid, left)| {
        let word = if *left == 1 { "packet" } else { "packets" };
        format!("{left} {word} on Sid {sid}")
    });
    let shown: Vec<String> = shown.collect();
    match left.len().saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and on {more} more", shown.join(", ")),
    }
}

/// Sids whose arithmetic is written out.
const MOST_TOLD: usize = 8;

pub(super) fn drained(facts: &Facts<'_>) -> Check {
    let mut unknown = None;
    // The numbers of each Sid that is written out, then how many are not.
    let mut told = Numbers::default();
    let mut frames = FrameList::default();
    for lane in facts.last_lives() {
        let Some((fin, taken, sent)) = taken_and_sent(lane) else {
            continue;
        };
        let window = fin.wndw.minus(taken.0);
        if taken == sent {
            if frames.as_slice().len() < MOST_TOLD {
                told.extend([
                    fin.sid.number(),
                    fin.wndw.number(),
                    window.number(),
                    sent.number(),
                ]);
            }
            frames.push(fin.frame);
            continue;
        }
        if lane.server_fin.is_none() && taken.diff(sent) > 0 {
            unknown = Some((
                fin,
                format!(
                    "Sid {}: the client took packet {taken}, the last in the file is {sent}",
                    fin.sid
                ),
            ));
            continue;
        }
        return Check::failed(format!(
            "Sid {}: WNDW {} - {window} = {taken}, but the server sent {sent}: {} not taken",
            fin.sid,
            fin.wndw,
            sent.diff(taken)
        ))
        .on([fin.frame]
            .into_iter()
            .chain(lane.server_fin.map(|f| f.frame)));
    }
    match unknown {
        Some((fin, why)) => Check::unknown(why).on([fin.frame]),
        None if facts.streams.client_fins.is_empty() => {
            Check::unknown("no SMP:FIN of the client can be read")
        }
        None => {
            let frames = frames.as_slice();
            told.push(frames.len().saturating_sub(MOST_TOLD).number());
            Check::held(Fact::Told(tell_taken, told)).on(frames.iter().copied())
        }
    }
}

fn tell_taken(numbers: &[i64], out: &mut String) {
    let (lanes, more) = numbers.as_chunks();
    for (at, [sid, wndw, window, sent]) in lanes.iter().enumerate() {
        let before = if at == 0 { "" } else { "; " };
        // Writing to a String cannot fail.
        let _ = write!(out, "{before}Sid {sid}: {wndw} - {window} = {sent}");
    }
    if let Some(more) = more.first().filter(|more| **more > 0) {
        let _ = write!(out, "; and {more} more");
    }
}
