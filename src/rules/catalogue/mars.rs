//! The benign reset at the end of a MARS connection: its fifteen conditions, and what follows from them.

use rustc_hash::FxHashSet;

use super::forms::{Form, forms, resets_in_question, signed};
use crate::rules::facts::{
    CONTROL, Doubt, Facts, Lane, Pos, Seg, TailKind, Work, frames_of, start_of,
};
use crate::rules::rule::{Check, Conclusion, Criterion, Rule, evidence};
use crate::rules::settings::Threshold;
use crate::store::{
    Condition, Confidence, Evidence, FrameFlags, Outcome, PduFlags, PduKind, PduRow, Protocol,
    Verdict,
};
use crate::units::{FrameNo, Nanos, Side, SmpSeq};

/// The conditions M1 to M15 of the catalogue, 3.3.
pub(in crate::rules) const CONDITIONS: &[Criterion] = &[
    Criterion::new(
        "M1",
        "The connection uses MARS: both PRELOGINs agreed on it, or SMP is recognised by its content",
        mars_in_use,
    ),
    Criterion::new(
        "M2",
        "Every Sid has an SMP:FIN of the client before its TCP FIN",
        every_sid_closed,
    ),
    Criterion::new(
        "M3",
        "No request and no attention is outstanding on any Sid",
        nothing_outstanding,
    ),
    Criterion::new(
        "M4",
        "Nothing but the TCP FIN follows the last SMP:FIN of the client",
        fin_follows,
    ),
    Criterion::new(
        "M5",
        "Behind its last data the server sent only SMP control packets, and FIN.Ack is one of their borders",
        tail_is_control,
    ),
    Criterion::new(
        "M6",
        "Every late SMP:FIN of the server names a Sid that the client closed, each once",
        tail_names_closed,
    ),
    Criterion::new(
        "M7",
        "The client's FIN acknowledges every data byte of the server",
        all_data_acknowledged,
    ),
    Criterion::new(
        "M8",
        "Every reset has a form that a closing client gives it",
        resets_fit,
    ),
    Criterion::new(
        "M9",
        "The client closed first: no FIN and no reset of the server without the client's",
        client_first,
    ),
    Criterion::new(
        "M10",
        "Nothing was wrong just before: no keepalives or data in vain, no closed TCP window",
        calm_before,
    ),
    Criterion::new(
        "M11",
        "The resets have the time to live of the client's other segments",
        same_ttl,
    ),
    Criterion::new(
        "M12",
        "What provoked each reset stands before it in the file",
        provoked_before,
    ),
    Criterion::new(
        "M13",
        "Each SMP:FIN of the server is an answer: sent with the client's SMP:FIN of that Sid received",
        fins_are_answers,
    ),
    Criterion::new(
        "M14",
        "Drained: the client took every DATA packet of the server on every Sid",
        drained,
    ),
    Criterion::new(
        "M15",
        "The first reset follows within the time limit of what provoked it",
        in_time,
    ),
];

/// `mars-close-rst`: the benign reset.
pub(in crate::rules) const MARS_CLOSE_RST: Rule = Rule::close(
    "mars-close-rst",
    "Benign MARS close reset",
    Verdict::Benign,
    CONDITIONS,
    conclude,
)
.with_unknowns()
.says(
    "The client closed every session and then the connection; the server's SMP:FINs reached a socket that was closed already, and TCP answered with a reset. Nothing was lost.",
    "Nothing to do. Look elsewhere for the trouble.",
    "Microsoft CSS wiki, Normal MARS Closing Connection; [MC-SMP] 3.1; recorded captures of three drivers",
);

/// `mars-close-rst-nofin`: the same with the client's TCP FIN not in the file.
pub(in crate::rules) const MARS_CLOSE_NOFIN: Rule = Rule::close(
    "mars-close-rst-nofin",
    "MARS close reset without the client's FIN",
    Verdict::LikelyBenign,
    CONDITIONS,
    conclude_nofin,
)
.with_unknowns()
.says(
    "The client closed every session, and a reset ended the connection; its TCP FIN was not sent, or is not in the file.",
    "Look whether the capture lost frames; with the FIN in the file the close can be proved.",
    "Variants V8 and V11 of the benign close; own measurements on Linux",
);

fn list(sids: impl IntoIterator<Item = u16>) -> String {
    let mut all: Vec<u16> = sids.into_iter().collect();
    all.sort_unstable();
    all.dedup();
    let shown: Vec<String> = all.iter().take(8).map(u16::to_string).collect();
    let more = all.len().saturating_sub(shown.len());
    let word = if all.len() == 1 { "Sid" } else { "Sids" };
    let tail = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("{word} {}{tail}", shown.join(", "))
}

fn mars_in_use(facts: &Facts<'_>) -> Check {
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
            "both PRELOGINs say MARS = 1, and SMP is used"
        } else {
            "SMP is recognised by its content"
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

fn every_sid_closed(facts: &Facts<'_>) -> Check {
    let fins = &facts.streams.client_fins;
    let f = facts.close.f.or(facts.streams.e);
    let limit = f.unwrap_or(Pos::MAX);
    let frames = fins.iter().map(|fin| fin.pdu.frame);
    let open: Vec<&Lane<'_>> = facts
        .lanes
        .iter()
        .filter(|lane| lane.last_life && lane.session.is_some())
        .filter(|lane| {
            lane.client_fin
                .is_none_or(|fin| start_of(fin).saturating_add(CONTROL) > limit)
        })
        .collect();
    let hidden = hidden_control(facts);
    if facts.conn.smp_seen && !open.is_empty() || fins.is_empty() {
        let names = list(open.iter().filter_map(|l| l.sid()).map(|s| s.0));
        let fact = if open.is_empty() {
            "no SMP:FIN of the client".to_owned()
        } else {
            format!("no SMP:FIN of the client for {names}")
        };
        let frames = open.iter().filter_map(|l| l.session).map(|s| s.open_frame);
        return match hidden {
            Some(why) => Check::unknown(format!("{fact}; {why}")),
            None => Check::failed(fact),
        }
        .on(frames);
    }
    let all = list(facts.lanes.iter().filter_map(Lane::sid).map(|s| s.0));
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
    (facts.conn.mars == Some(true) && !facts.conn.smp_seen && facts.frames.cut)
        .then(|| "frames are cut before the SMP header".to_owned())
}

fn nothing_outstanding(facts: &Facts<'_>) -> Check {
    let judged = facts.lanes.iter().filter(|lane| lane.last_life);
    let failed: Vec<&Lane<'_>> = judged
        .clone()
        .filter(|lane| matches!(lane.work, Work::Request | Work::Attention))
        .collect();
    if let Some(first) = failed.first() {
        let what = if first.work == Work::Attention {
            "an attention without its acknowledgement"
        } else {
            "a request without its complete answer"
        };
        let fact = if failed.len() == 1 {
            format!("{}: {what}", first.name())
        } else {
            format!("{} lanes, first {}: {what}", failed.len(), first.name())
        };
        return Check::failed(fact).on(failed.iter().flat_map(|lane| frames_of(lane)));
    }
    let unknown: Vec<&Lane<'_>> = judged
        .clone()
        .filter(|lane| matches!(lane.work, Work::Unknown(_)))
        .collect();
    if let Some(first) = unknown.first() {
        let why = match first.work {
            Work::Unknown(Doubt::LastMissing) => "its last packet is not in the file",
            Work::Unknown(Doubt::HeaderCut) => "its last packet is cut before the TDS header",
            Work::Unknown(Doubt::DoneCut) => {
                "its last packet ends the answer, but the DONE token is cut"
            }
            _ => "it is encrypted",
        };
        return Check::unknown(format!("{}: {why}", first.name()))
            .on(unknown.iter().flat_map(|lane| frames_of(lane)));
    }
    let last = judged
        .filter_map(|lane| lane.reached)
        .max_by_key(|pdu| pdu.frame);
    let unused = facts.lanes.iter().all(|lane| lane.work == Work::Unused);
    if unused && !facts.conn.smp_seen && facts.conn.mars != Some(false) && facts.frames.cut {
        return Check::unknown("no packet can be read");
    }
    Check::held(last.map_or_else(
        || "nothing was asked".to_owned(),
        |pdu| format!("the last answer ended in frame {}", pdu.frame),
    ))
    .on(last.map(|pdu| pdu.frame))
}

fn fin_follows(facts: &Facts<'_>) -> Check {
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
        return Check::held(format!(
            "FIN.Seq {} = end of the last SMP:FIN ({} + 16)",
            seq(f),
            seq(e.saturating_sub(CONTROL))
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
        "FIN.Seq {} = end of the last SMP:FIN {}",
        seq(f),
        signed(f.saturating_sub(e))
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

fn tail_is_control(facts: &Facts<'_>) -> Check {
    let a = facts
        .close
        .a
        .or_else(|| facts.close.abort().and_then(|r| r.ack));
    let seq = |pos| facts.streams.seq(Side::Server, pos);
    let mut fins = 0_usize;
    let mut holes = 0_usize;
    let mut unknown = None;
    let mut frames = Vec::new();
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
    let resets = resets_in_question(facts);
    let known = facts.tail.last().map_or(facts.streams.b, |part| part.end);
    let beyond = resets
        .iter()
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
    let hole_note = if holes > 0 {
        format!(", {holes} of them not in the file")
    } else {
        String::new()
    };
    Check::held(format!(
        "{} bytes in {} control packets{hole_note}, {fins} SMP:FIN",
        known.saturating_sub(facts.streams.b),
        facts.tail.len(),
    ))
    .on(frames)
}

fn tail_names_closed(facts: &Facts<'_>) -> Check {
    let closed: FxHashSet<u16> = facts
        .streams
        .client_fins
        .iter()
        .map(|fin| fin.pdu.sid.0)
        .collect();
    let mut seen = FxHashSet::default();
    for part in facts.tail_fins() {
        let Some(pdu) = part.pdu else { continue };
        if !closed.contains(&pdu.sid.0) {
            let fact = format!(
                "SMP:FIN for Sid {}, which the client did not close",
                pdu.sid
            );
            return match hidden_control(facts) {
                Some(why) => Check::unknown(format!("{fact}; {why}")),
                None => Check::failed(fact),
            }
            .on([pdu.frame]);
        }
        if !seen.insert(pdu.sid.0) {
            return Check::failed(format!("two SMP:FINs for Sid {}", pdu.sid)).on([pdu.frame]);
        }
    }
    let frames = facts
        .tail_fins()
        .filter_map(|part| part.pdu)
        .map(|p| p.frame);
    Check::held(if seen.is_empty() {
        "none is readable".to_owned()
    } else {
        list(seen)
    })
    .on(frames)
}

fn all_data_acknowledged(facts: &Facts<'_>) -> Check {
    let tf = facts.close.tf.iter().map(|seg| seg.no);
    let a = facts
        .close
        .a
        .or_else(|| facts.close.abort().and_then(|r| r.ack));
    let Some(a) = a else {
        return Check::unknown("the client's FIN is not in the file");
    };
    let late = facts.streams.b.saturating_sub(a);
    let seq = |pos| facts.streams.seq(Side::Server, pos);
    if !facts.streams.data_seen && !facts.conn.from_start() {
        return Check::unknown("no data of the server is in the file").on(tf);
    }
    if late > 0 {
        return Check::failed(format!(
            "{late} bytes of data stand behind FIN.Ack {}",
            seq(a)
        ))
        .on(tf);
    }
    Check::held(format!(
        "FIN.Ack {} = end of the last data {}",
        seq(a),
        signed(late.saturating_neg())
    ))
    .on(tf)
}

fn resets_fit(facts: &Facts<'_>) -> Check {
    let forms = forms(facts);
    if forms.is_empty() {
        return Check::failed("no reset of the client");
    }
    let mut aborts: Vec<(Pos, Option<Pos>)> = forms
        .iter()
        .filter(|(r, _)| r.flags.ack())
        .map(|(r, _)| (r.pos, r.ack))
        .collect();
    aborts.sort_unstable();
    aborts.dedup();
    if aborts.len() > 1 {
        return Check::failed("two resets with ACK flag and different numbers").on(forms
            .iter()
            .filter(|(r, _)| r.flags.ack())
            .map(|(r, _)| r.no));
    }
    let misfit = forms.iter().find_map(|(reset, form)| match form {
        Form::None { why, .. } => Some((reset.no, why)),
        _ => None,
    });
    if let Some((frame, why)) = misfit {
        return Check::failed(format!("frame {frame}: {why}")).on([frame]);
    }
    if let Some((reset, Form::Unknown(why))) =
        forms.iter().find(|(_, f)| matches!(f, Form::Unknown(_)))
    {
        return Check::unknown(format!("frame {}: {why}", reset.no)).on([reset.no]);
    }
    Check::held(describe_forms(facts, &forms)).on(forms.iter().map(|(r, _)| r.no))
}

/// The forms in numbers, as they stand in a ticket.
fn describe_forms(facts: &Facts<'_>, forms: &[(&Seg, Form)]) -> String {
    let Some((reset, form)) = forms.first() else {
        return String::new();
    };
    let f = facts.close.f.or(facts.streams.e).unwrap_or(reset.pos);
    let off = reset.pos.saturating_sub(f);
    let first = match form {
        Form::W { bytes, .. } => {
            format!("form W: RST.Seq = FIN.Seq + 1, RST.Ack = FIN.Ack + {bytes}")
        }
        Form::U { .. } => "form U: RST.Seq = FIN.Seq + 1, RST.Ack = FIN.Ack".to_owned(),
        Form::InsteadOfFin { .. } => format!(
            "reset with ACK flag, RST.Seq = end of the last SMP:FIN {}",
            signed(off)
        ),
        Form::L { by } => format!(
            "form L: RST.Seq = FIN.Seq {} = Ack of frame {by}",
            signed(off)
        ),
        Form::None { .. } | Form::Unknown(_) => String::new(),
    };
    match forms.len() {
        1 => first,
        n => format!("{first}; {n} resets"),
    }
}

fn client_first(facts: &Facts<'_>) -> Check {
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
        return Check::failed("a reset of the server that answers no straggler").on([reset.no]);
    }
    let frames = facts.close.server_fins.iter().map(|fin| fin.no);
    Check::held(if facts.close.server_fins.is_empty() {
        "no FIN of the server"
    } else {
        "the server's FIN acknowledges the client's"
    })
    .on(frames)
}

/// A bare reset of the server behind a client reset, in answer to a segment of the closing client.
fn is_straggler(facts: &Facts<'_>, reset: &Seg) -> bool {
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

fn calm_before(facts: &Facts<'_>) -> Check {
    let resets = resets_in_question(facts);
    let Some(first) = resets.first() else {
        return Check::held("no reset");
    };
    trouble_before(facts, first).map_or_else(
        || Check::held("nothing found"),
        |(fact, frames)| Check::failed(fact).on(frames),
    )
}

/// Keepalives or data in vain, or a closed window, right before a frame.
pub(in crate::rules) fn trouble_before(
    facts: &Facts<'_>,
    first: &Seg,
) -> Option<(String, Vec<FrameNo>)> {
    let back = facts.settings.get(Threshold::LookBack);
    let since = Nanos(first.time.0.saturating_sub(back));
    let recent = |seg: &Seg| seg.no < first.no && seg.time >= since;
    for run in facts.frames.probe_runs() {
        let vain = run.count.saturating_sub(usize::from(run.answered));
        if vain >= facts.settings.count(Threshold::KeepaliveProbes) && recent(&run.last) {
            return Some((
                format!(
                    "{vain} keepalives of the {} without an answer",
                    run.side.word()
                ),
                vec![run.first.no, run.last.no],
            ));
        }
    }
    for run in facts.frames.resend_runs() {
        let count = run.segs.iter().filter(|seg| recent(seg)).count();
        let count = count.min(run.resent());
        if count >= facts.settings.count(Threshold::Retransmissions) {
            return Some((
                format!(
                    "the {} sent one segment again {count} times",
                    run.side.word()
                ),
                run.segs.iter().map(|seg| seg.no).collect(),
            ));
        }
    }
    facts
        .frames
        .zero_windows
        .iter()
        .find(|z| z.start.no < first.no && z.opened.is_none_or(|o| o.no > first.no))
        .map(|z| {
            (
                format!("the {}'s TCP window was 0", z.start.side.word()),
                vec![z.start.no],
            )
        })
}

fn same_ttl(facts: &Facts<'_>) -> Check {
    let Some(mode) = facts.frames.ttl.get(Side::Client).mode() else {
        return Check::unknown("no other segment of the client is in the file");
    };
    let resets = resets_in_question(facts);
    match resets.iter().find(|r| r.ttl.abs_diff(mode) > 1) {
        Some(reset) => Check::failed(format!(
            "time to live {} of the reset, {mode} of the client's segments",
            reset.ttl
        ))
        .on([reset.no]),
        None => Check::held(format!("time to live {mode}")).on(resets.iter().map(|r| r.no)),
    }
}

fn provoked_before(facts: &Facts<'_>) -> Check {
    let mut frames = Vec::new();
    let mut unknown = None;
    for (reset, form) in forms(facts) {
        let by = match form {
            Form::W { by, .. } | Form::U { by } | Form::InsteadOfFin { by } => by,
            Form::L { by } => Some(by),
            Form::None { .. } => continue,
            Form::Unknown(_) => None,
        };
        match by {
            Some(by) if by < reset.no => frames.push(by),
            Some(by) => {
                return Check::failed(format!(
                    "frame {} stands before frame {by}, which it would answer",
                    reset.no
                ))
                .on([reset.no, by]);
            }
            None => unknown = Some(reset.no),
        }
    }
    match unknown {
        Some(reset) => {
            Check::unknown(format!("what provoked frame {reset} is not in the file")).on([reset])
        }
        None => Check::held("").on(frames),
    }
}

fn fins_are_answers(facts: &Facts<'_>) -> Check {
    let mut frames = Vec::new();
    let late = facts.frames.late.get(Side::Server);
    for lane in &facts.lanes {
        let (Some(client), Some(server)) = (lane.client_fin, lane.server_fin) else {
            continue;
        };
        let need = start_of(client).saturating_add(CONTROL);
        let (pos, end) = (start_of(server), start_of(server).saturating_add(CONTROL));
        let early = if pos >= facts.streams.b {
            // Every segment that carries it.
            let first = late.partition_point(|seg| seg.no < server.first_frame);
            late.iter()
                .skip(first)
                .filter(|seg| seg.len > 0 && seg.pos < end && seg.end > pos)
                .find(|seg| seg.ack.is_some_and(|ack| ack < need))
                .map(|seg| (seg.no, seg.raw_ack))
        } else {
            let axis = *facts.streams.axes.get(Side::Client);
            facts
                .store
                .frame(server.first_frame)
                .filter(|row| axis.is_some_and(|axis| axis.pos(row.ack) < need))
                .map(|row| (server.first_frame, row.ack))
        };
        if let Some((frame, ack)) = early {
            return Check::failed(format!(
                "the server's SMP:FIN of Sid {} acknowledges {ack}, the client's ends at {}",
                server.sid,
                facts.streams.seq(Side::Client, need)
            ))
            .on([frame, client.frame]);
        }
        frames.push(server.frame);
    }
    Check::held("").on(frames)
}

fn drained(facts: &Facts<'_>) -> Check {
    let mut unknown = None;
    let mut facts_told = Vec::new();
    let mut frames = Vec::new();
    for lane in facts.lanes.iter().filter(|lane| lane.last_life) {
        let (Some(fin), Some(session)) = (lane.client_fin, lane.session) else {
            continue;
        };
        let window = session.initial_window;
        let taken = fin.wndw.minus(window.0);
        let visible = lane.last_data.get(Side::Server).map(|pdu| pdu.seqnum);
        let told = lane.server_fin.map(|fin| fin.seqnum);
        let sent = match (visible, told) {
            (Some(seen), Some(told)) if told.diff(seen) > 0 => told,
            (Some(seen), _) => seen,
            (None, Some(told)) => told,
            (None, None) => SmpSeq(0),
        };
        if taken == sent {
            if facts_told.len() < 4 {
                facts_told.push(format!("Sid {}: {} - {window} = {sent}", fin.sid, fin.wndw));
            }
            frames.push(fin.frame);
            continue;
        }
        if told.is_none() && taken.diff(sent) > 0 {
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
        None => Check::held(facts_told.join("; ")).on(frames),
    }
}

fn in_time(facts: &Facts<'_>) -> Check {
    let resets = resets_in_question(facts);
    let Some(first) = resets.first() else {
        return Check::held("no reset");
    };
    let b = facts.streams.b;
    let server = facts.frames.late.get(Side::Server).iter();
    let nearest = facts
        .close
        .tf
        .iter()
        .chain(server.filter(|seg| seg.pos >= b))
        .filter(|seg| seg.no < first.no)
        .min_by_key(|seg| first.time.since(seg.time).unsigned_abs());
    let Some(nearest) = nearest else {
        return Check::unknown("nothing of the close stands before the first reset");
    };
    let gap = first.time.since(nearest.time);
    let limit = facts.settings.get(Threshold::LateReset);
    let fact = format!("{} after frame {}", super::text::duration(gap), nearest.no);
    if gap.unsigned_abs() <= limit.unsigned_abs() {
        Check::held(fact).on([nearest.no, first.no])
    } else {
        Check::unknown(fact).on([nearest.no, first.no])
    }
}

/// The evidence of a close of a MARS connection, in file order.
pub(in crate::rules) fn close_evidence(facts: &Facts<'_>) -> Vec<Evidence> {
    let mut out = Vec::new();
    let smp = |pdu: &PduRow| format!("SEQNUM {}, WNDW {}", pdu.seqnum, pdu.wndw);
    for fin in facts.streams.client_fins.iter().rev().take(64) {
        let role = format!("client SMP:FIN Sid {}", fin.pdu.sid);
        out.push(evidence(fin.pdu.frame, role, smp(fin.pdu)));
    }
    for tf in facts.close.tf.iter().take(8) {
        let number = facts.streams.seq(Side::Client, tf.end);
        out.push(evidence(
            tf.no,
            "client TCP FIN",
            format!("FIN.Seq {number}, FIN.Ack {}", tf.raw_ack),
        ));
    }
    for pdu in facts.tail.iter().filter_map(|part| part.pdu).take(64) {
        let (role, fact) = match pdu.kind {
            PduKind::Fin => (format!("server SMP:FIN Sid {}", pdu.sid), smp(pdu)),
            PduKind::Ack => (format!("server SMP:ACK Sid {}", pdu.sid), smp(pdu)),
            _ => ("server packet".to_owned(), format!("{} bytes", pdu.len)),
        };
        out.push(evidence(pdu.frame, role, fact));
    }
    for fin in facts.close.server_fins.iter().take(8) {
        out.push(evidence(
            fin.no,
            "server TCP FIN",
            format!("Ack {}", fin.raw_ack),
        ));
    }
    let f = facts.close.f.or(facts.streams.e);
    for reset in resets_in_question(facts).into_iter().take(64) {
        out.push(evidence(
            reset.no,
            "client reset",
            reset_fact(facts, reset, f),
        ));
    }
    for reset in facts.close.server_resets.iter().take(64) {
        out.push(evidence(
            reset.no,
            "server reset",
            format!("RST.Seq {}", reset.seq),
        ));
    }
    out.sort_by_key(|e| e.frame);
    out.dedup();
    out
}

/// The arithmetic of a reset against the client's FIN.
pub(in crate::rules) fn reset_fact(facts: &Facts<'_>, reset: &Seg, f: Option<Pos>) -> String {
    let seq = match f {
        Some(f) => format!(
            "RST.Seq = FIN.Seq {} = {}",
            signed(reset.pos.saturating_sub(f)),
            reset.seq
        ),
        None => format!("RST.Seq {}", reset.seq),
    };
    match (reset.ack, facts.close.a) {
        (Some(ack), Some(a)) => format!(
            "{seq}; RST.Ack = FIN.Ack {} = {}",
            signed(ack.saturating_sub(a)),
            reset.raw_ack
        ),
        (Some(_), None) => format!("{seq}; RST.Ack {}", reset.raw_ack),
        _ => seq,
    }
}

/// Whether unknown conditions leave the close undecided (catalogue, 3.3).
fn too_unknown(facts: &Facts<'_>, conditions: &[Condition]) -> Option<&'static str> {
    let unknown = |id: &str| {
        conditions
            .iter()
            .any(|c| c.id == id && c.outcome == Outcome::Unknown)
    };
    if unknown("M3")
        && facts.lanes.iter().any(|lane| {
            lane.last_life
                && matches!(
                    lane.work,
                    Work::Unknown(Doubt::LastMissing | Doubt::HeaderCut | Doubt::Encrypted)
                )
        })
    {
        return Some(
            "the last data of a session is not in the file, or is cut before its header; an unfinished answer would look the same",
        );
    }
    if unknown("M3") && !facts.conn.smp_seen {
        return Some("no SMP packet can be read");
    }
    if facts.streams.client_fins.is_empty() {
        return Some("no SMP:FIN of the client can be read");
    }
    let abort_tells = forms(facts)
        .iter()
        .any(|(_, form)| matches!(form, Form::W { .. }));
    if facts.tail_fins().next().is_none() && !abort_tells {
        return Some("no SMP:FIN of the server can be read");
    }
    (!facts.client_known()).then_some("it is not known which end is the client")
}

fn names(conditions: &[Condition], outcome: Outcome) -> String {
    let ids: Vec<&str> = conditions
        .iter()
        .filter(|c| c.outcome == outcome)
        .map(|c| c.id.as_ref())
        .collect();
    ids.join(", ")
}

fn conclude(facts: &Facts<'_>, conditions: &[Condition]) -> Conclusion {
    decide(facts, conditions, Verdict::Benign)
}

fn conclude_nofin(facts: &Facts<'_>, conditions: &[Condition]) -> Conclusion {
    decide(facts, conditions, Verdict::LikelyBenign)
}

fn decide(facts: &Facts<'_>, conditions: &[Condition], best: Verdict) -> Conclusion {
    let unknown = names(conditions, Outcome::Unknown);
    let forms = forms(facts);
    let form = describe_forms(facts, &forms);
    let sids = list(facts.streams.client_fins.iter().map(|fin| fin.pdu.sid.0));
    let mut conclusion = if unknown.is_empty() && best == Verdict::Benign {
        Conclusion::new(
            Verdict::Benign,
            Confidence::Proven,
            format!(
                "Normal MARS close, the reset is benign: {sids} closed, nothing outstanding, {form}."
            ),
        )
    } else if let Some(why) = too_unknown(facts, conditions) {
        Conclusion::new(
            Verdict::Undecided,
            Confidence::Possible,
            format!("Looks like a normal MARS close, but {why}. Unknown: {unknown}."),
        )
    } else {
        Conclusion::new(
            Verdict::LikelyBenign,
            Confidence::Likely,
            format!("Most likely a normal MARS close: {form}. Unknown: {unknown}."),
        )
    };
    conclusion.evidence = close_evidence(facts);
    add_notes(facts, &mut conclusion);
    conclusion
}

/// Remarks that change nothing, and the error before the close that lowers the verdict (N20).
fn add_notes(facts: &Facts<'_>, conclusion: &mut Conclusion) {
    let fatal = facts.lanes.iter().find_map(|lane| {
        lane.reached.filter(|pdu| {
            lane.last_life
                && (pdu.flags.has(PduFlags::ERROR_FATAL) || pdu.flags.has(PduFlags::DONE_SRVERROR))
        })
    });
    if let Some(pdu) = fatal {
        conclusion.verdict = match conclusion.verdict {
            Verdict::Benign | Verdict::LikelyBenign => Verdict::Notice,
            other => other,
        };
        conclusion.notes.push(format!(
            "error-before-close: the last answer on Sid {} (frame {}) reports a severe error",
            pdu.sid, pdu.frame
        ));
        conclusion
            .evidence
            .push(evidence(pdu.frame, "answer with a severe error", ""));
    }
    let resent_late = facts
        .frames
        .resent
        .iter()
        .any(|seg| seg.side == Side::Server && seg.pos >= facts.streams.b);
    if resent_late {
        conclusion
            .notes
            .push("loss-after-close: the server sent closing packets again".to_owned());
    }
    for run in facts.frames.resend_runs() {
        if (3..=4).contains(&run.resent()) && conclusion.notes.len() < 16 {
            conclusion.notes.push(format!(
                "the {} sent one segment again {} times (frame {})",
                run.side.word(),
                run.resent(),
                run.segs.first().map_or(0, |seg| seg.no.0)
            ));
        }
    }
    for lane in facts.lanes.iter().filter(|lane| lane.last_life) {
        let (Some(client), Some(server), Some(session)) =
            (lane.client_fin, lane.server_fin, lane.session)
        else {
            continue;
        };
        if server.wndw.minus(session.initial_window.0) != client.seqnum
            && conclusion.notes.len() < 16
        {
            conclusion.notes.push(format!(
                "Sid {}: the server's SMP:FIN (WNDW {}) does not cover the client's last packet {}",
                client.sid, server.wndw, client.seqnum
            ));
        }
    }
}
