//! Conditions M1 to M4: MARS, sessions closed, nothing outstanding, and the FIN behind the last SMP:FIN.

use super::Sids;
use crate::rules::facts::{
    CONTROL, Doubt, Facts, Lane, Pos, Unseen, Work, frames_of, off_from, start_of,
};
use crate::rules::rule::Check;
use crate::store::{FrameFlags, Protocol, fact};
use crate::units::Side;

pub(super) fn mars_in_use(facts: &Facts<'_>) -> Check {
    let prelogin = &facts.conn.prelogin;
    let said = [
        (Side::Client, prelogin.client_mars, prelogin.client_frame),
        (Side::Server, prelogin.server_mars, prelogin.server_frame),
    ];
    let frames = [prelogin.client_frame, prelogin.server_frame]
        .into_iter()
        .flatten();
    if let Some((side, ..)) = said.iter().find(|(_, mars, _)| *mars == Some(false)) {
        return Check::failed(format!("the {}'s PRELOGIN says MARS = 0", side.word())).on(frames);
    }
    let agreed = said.iter().all(|(_, mars, _)| *mars == Some(true));
    if facts.conn.smp_seen {
        let first = facts.lanes.iter().find_map(|l| l.session);
        let fact = if agreed {
            fact!("both PRELOGINs say MARS = 1, and SMP is used")
        } else {
            fact!("SMP is recognised by its content")
        };
        return Check::held(fact).on(frames.chain(first.map(|s| s.open_frame)));
    }
    if facts.conn.mars == Some(true) {
        let fact = if facts.encrypted {
            "both PRELOGINs say MARS = 1; SMP is inside TLS"
        } else {
            "both PRELOGINs say MARS = 1; no SMP packet can be read"
        };
        return Check::unknown(fact).on(frames);
    }
    let could_be = facts.frames.cut || facts.encrypted || !facts.conn.from_start();
    if facts.conn.mars.is_none()
        && (could_be && facts.conn.protocol != Protocol::Other
            || facts.frames.cut
                && facts
                    .conn
                    .tcp
                    .0
                    .iter()
                    .any(|tcp| tcp.bytes + tcp.missing_bytes > 0))
    {
        return Check::unknown("no PRELOGIN and no SMP packet can be read");
    }
    Check::failed("no SMP").on(frames)
}

pub(super) fn every_sid_closed(facts: &Facts<'_>) -> Check {
    let fins = &facts.streams.client_fins;
    let f = facts.close.f.or(facts.streams.e);
    let limit = f.unwrap_or(Pos::MAX);
    let frames = fins.iter().map(|fin| fin.pdu.frame);
    let open: Vec<&Lane<'_>> = facts
        .last_lives()
        .filter(|lane| lane.session.is_some())
        .filter(|lane| {
            lane.client_fin
                .is_none_or(|fin| start_of(&fin).saturating_add(CONTROL) > limit)
        })
        .collect();
    let hidden = hidden_control(facts);
    if facts.conn.smp_seen && !open.is_empty() || fins.is_empty() {
        let names = open.iter().filter_map(|l| l.sid()).collect::<Sids>().list();
        let fact = if open.is_empty() {
            "no SMP:FIN of the client".to_owned()
        } else {
            format!("no SMP:FIN of the client for {names}")
        };
        let frames = open.iter().filter_map(|l| l.session).map(|s| s.open_frame);
        let before = || open.iter().all(|lane| may_have_closed_before(facts, lane));
        let before = || (!open.is_empty() && before()).then(|| BEFORE_FILE.to_owned());
        return match hidden.or_else(before) {
            Some(why) => Check::unknown(format!("{fact}; {why}")),
            None => Check::failed(fact),
        }
        .on(frames);
    }
    let all = facts.lanes.iter().filter_map(Lane::sid);
    let all = all.collect::<Sids>().list();
    if !facts.conn.from_start() {
        return Check::unknown(format!(
            "{all} closed; the file lacks the TCP SYN, so there may be more"
        ))
        .on(frames);
    }
    match hidden {
        Some(why) => Check::unknown(format!("{all} closed; {why}")).on(frames),
        None => Check::held(all).on(frames),
    }
}

/// Whether the client may have closed a session, which the server closes in the file, before the file began: it shows
/// nothing that the client sent there.
pub(super) fn may_have_closed_before(facts: &Facts<'_>, lane: &Lane<'_>) -> bool {
    !facts.conn.from_start()
        && lane.client_fin.is_none()
        && lane.server_fin.is_some()
        && lane.last_data.get(Side::Client).is_none()
        && lane.session.is_some_and(|session| !session.syn_seen)
}

pub(super) const BEFORE_FILE: &str = "the file begins later, and it may have done so before";

const END_UNKNOWN: &str =
    "the client's FIN is not in the file, and nothing tells where its stream ends";

/// Whether client bytes that cannot be read leave room for an SMP:SYN or SMP:FIN, in words.
pub(in crate::rules) fn hidden_control(facts: &Facts<'_>) -> Option<String> {
    if let Some((pos, len)) = facts.streams.client_hides_control() {
        return Some(format!(
            "{len} bytes of the client from {} on cannot be read",
            facts.streams.seq(Side::Client, pos)
        ));
    }
    let decoded = *facts.streams.decoded_end.get(Side::Client);
    let known = facts
        .close
        .f
        .or(*facts.frames.sent_end.get(Side::Client))
        .unwrap_or(decoded);
    let tail = known.saturating_sub(decoded);
    if tail >= CONTROL {
        return Some(format!("the client's last {tail} bytes cannot be read"));
    }
    if facts.conn.smp_seen && facts.is_client_end_open() {
        return Some(END_UNKNOWN.to_owned());
    }
    (facts.conn.mars == Some(true) && !facts.conn.smp_seen && facts.frames.cut)
        .then(|| "frames are cut before the SMP header".to_owned())
}

pub(super) fn nothing_outstanding(facts: &Facts<'_>) -> Check {
    let failed: Vec<&Lane<'_>> = facts.outstanding().collect();
    if let Some(first) = failed.first() {
        let what = if first.work == Work::Attention {
            "an attention without its acknowledgement"
        } else {
            "a request without its complete answer"
        };
        let fact = if failed.len() == 1 {
            format!("{}: {what}", first.name())
        } else {
            format!(
                "{} sessions, the first is {}: {what}",
                failed.len(),
                first.name()
            )
        };
        return Check::failed(fact).on(failed.iter().flat_map(|lane| frames_of(lane)));
    }
    let unknown: Vec<&Lane<'_>> = facts
        .last_lives()
        .filter(|lane| matches!(lane.work, Work::Unknown(_)))
        .collect();
    if let Some(first) = unknown.first() {
        let why = match first.work {
            Work::Unknown(Doubt::LastMissing) => "its last packet is not in the file",
            Work::Unknown(Doubt::HeaderCut) => "its last packet is cut before the TDS header",
            Work::Unknown(Doubt::DoneCut) => {
                "its last packet ends the answer, but the DONE token is cut"
            }
            Work::Unknown(Doubt::NotTds) => "what stands behind its last packet is no TDS",
            _ => "it is encrypted",
        };
        return Check::unknown(format!("{}: {why}", first.name()))
            .on(unknown.iter().flat_map(|lane| frames_of(lane)));
    }
    match facts.unseen_request() {
        None => {}
        Some(Unseen::End) => return Check::unknown(END_UNKNOWN),
        Some(Unseen::Bytes { pos, len }) => {
            return Check::unknown(format!(
                "{len} bytes of the client from {} on cannot be read: room for another session with a request",
                facts.streams.seq(Side::Client, pos)
            ));
        }
    }
    let last = facts
        .last_lives()
        .filter_map(|lane| lane.reached)
        .max_by_key(|pdu| pdu.frame);
    let unused = facts.lanes.iter().all(|lane| lane.work == Work::Unused);
    if unused && !facts.conn.smp_seen && facts.conn.mars != Some(false) && facts.frames.cut {
        return Check::unknown("no packet can be read");
    }
    if facts.shows_late_unused() {
        return Check::unknown("the file begins later, and no answer is in it");
    }
    Check::held(last.map_or("nothing was asked".into(), |pdu| {
        fact!("the last answer ended in frame {frame}", frame = pdu.frame)
    }))
    .on(last.map(|pdu| pdu.frame))
}

pub(super) fn fin_follows(facts: &Facts<'_>) -> Check {
    let tf = facts.close.tf.iter().map(|seg| seg.no);
    let Some(f) = facts.close.f else {
        return Check::unknown("the client's FIN is not in the file");
    };
    if facts.close.two_fins {
        return Check::failed("two FINs of the client with different numbers").on(tf);
    }
    let Some(e) = facts.streams.e else {
        return if hidden_control(facts).is_some() {
            Check::unknown("no SMP:FIN of the client can be read").on(tf)
        } else {
            Check::failed("no SMP:FIN of the client").on(tf)
        };
    };
    let seq = |pos| facts.streams.seq(Side::Client, pos);
    if let Some(pdu) = facts.streams.client_after_e {
        return Check::failed(format!(
            "a packet of {} bytes follows the last SMP:FIN",
            pdu.len
        ))
        .on([pdu.frame].into_iter().chain(tf));
    }
    let beyond = facts.frames.late.get(Side::Client).iter().find(|seg| {
        let probe = FrameFlags::KEEPALIVE;
        let window_probe = FrameFlags::WINDOW_PROBE;
        seg.len > 0 && seg.end > f && !seg.marks.has(probe) && !seg.marks.has(window_probe)
    });
    if let Some(beyond) = beyond {
        let fact = format!("client bytes behind the FIN, up to {}", seq(beyond.end));
        return Check::failed(fact).on(tf.chain([beyond.no]));
    }
    if f == e {
        return Check::held(fact!(
            "FIN.Seq {fin} = end of the last SMP:FIN ({start} + 16)",
            fin = seq(f),
            start = seq(e.saturating_sub(CONTROL))
        ))
        .on(tf);
    }
    let visible = *facts.streams.decoded_end.get(Side::Client) > e;
    let hides = facts
        .streams
        .hidden
        .get(Side::Client)
        .iter()
        .any(|(pos, len)| pos.saturating_add(*len) > e);
    let fact = format!(
        "FIN.Seq {} = {}",
        seq(f),
        off_from("end of the last SMP:FIN", f.saturating_sub(e))
    );
    let in_file = facts
        .frames
        .late
        .get(Side::Client)
        .iter()
        .any(|seg| seg.len > 0 && seg.end > e);
    if hides || !visible && !in_file || facts.frames.cut && in_file {
        Check::unknown(format!("{fact}; what stands between cannot be read")).on(tf)
    } else {
        Check::failed(fact).on(tf)
    }
}
