//! The benign reset at the end of a MARS connection: its fifteen conditions, and what follows from them.

mod client;
mod resets;
mod server;

use std::fmt::Write;

use super::failure::path_note;
use crate::rules::facts::{
    Doubt, Facts, Form, Pos, Seg, TailPart, Unseen, Work, forms, off_from, resets_in_question,
};
use crate::rules::rule::{Conclusion, Criterion, Rule, evidence};
use crate::store::{
    Applied, Confidence, Exhibit, Fact, Number, Numbers, Outcome, PduFlags, PduKind, PduRow, Short,
    Verdict, fact,
};
use crate::units::runs::runs;
use crate::units::{Sid, Side};

use client::{every_sid_closed, fin_follows, mars_in_use, nothing_outstanding};
use resets::{
    calm_before, form_numbers, in_time, provoked_before, resets_fit, same_sender, tell_forms,
};
use server::{
    all_data_acknowledged, client_first, drained, fins_are_answers, tail_is_control,
    tail_names_closed,
};

pub(in crate::rules) use client::hidden_control;
pub(in crate::rules) use resets::trouble_before;
pub(in crate::rules) use server::untaken;

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
        "The resets are the client's: by their time to live, and by its end's file where that is there",
        same_sender,
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

/// So many Sids, or long runs of them, are told.
const MOST_LISTED: usize = 8;

/// Sids in their order, each once.
#[derive(Default)]
struct Sids(Short<u16, MOST_LISTED>);

impl Sids {
    fn all(&self) -> impl Iterator<Item = Sid> {
        self.0.as_slice().iter().copied().map(Sid)
    }

    /// Which of them a Sid is.
    fn place(&self, sid: Sid) -> Option<usize> {
        self.0.as_slice().binary_search(&sid.0).ok()
    }

    /// Those that are listed, each, or the first of a run and, below zero, the last; then how many are not.
    fn numbers(&self) -> Numbers {
        let mut out = Numbers::default();
        let mut more = 0_i64;
        for (at, (first, last)) in runs(self.0.as_slice()).enumerate() {
            if at >= MOST_LISTED {
                let run = last.saturating_sub(first).number().saturating_add(1);
                more = more.saturating_add(run);
                continue;
            }
            out.push(first.number());
            if last > first {
                out.push(last.number().saturating_neg());
            }
        }
        out.push(more);
        out
    }

    fn list(&self) -> Fact {
        Fact::Told(tell_sids, self.numbers())
    }
}

impl FromIterator<Sid> for Sids {
    fn from_iter<I: IntoIterator<Item = Sid>>(sids: I) -> Self {
        let mut all: Short<u16, MOST_LISTED> = sids.into_iter().map(|sid| sid.0).collect();
        all.sort_dedup();
        Self(all)
    }
}

fn tell_sids(numbers: &[i64], out: &mut String) {
    let [sids @ .., more] = numbers else { return };
    out.push_str(if sids.len() == 1 { "Sid " } else { "Sids " });
    for (at, sid) in sids.iter().enumerate() {
        // The last of a run stands below zero; Sid 0 is never one.
        let before = match (at, *sid < 0) {
            (0, _) => "",
            (_, true) => "-",
            (_, false) => ", ",
        };
        // Writing to a String cannot fail.
        let _ = write!(out, "{before}{}", sid.unsigned_abs());
    }
    if *more > 0 {
        let _ = write!(out, " and {more} more");
    }
}

/// The evidence of a close of a MARS connection, in file order.
pub(in crate::rules) fn close_evidence(facts: &Facts<'_>) -> Vec<Exhibit> {
    // One for each SMP:FIN of the client and of the server, the FINs and a reset.
    let most = facts.streams.client_fins.len().min(64);
    let mut out = Vec::with_capacity(most.saturating_mul(2).saturating_add(3));
    let smp = |pdu: &PduRow| {
        fact!(
            "SEQNUM {seqnum}, WNDW {wndw}",
            seqnum = pdu.seqnum,
            wndw = pdu.wndw
        )
    };
    for fin in facts.streams.client_fins.iter().rev().take(64) {
        let role = fact!("client SMP:FIN Sid {sid}", sid = fin.pdu.sid);
        out.push(evidence(fin.pdu.frame, role, smp(&fin.pdu)));
    }
    for tf in facts.close.tf.iter().take(8) {
        let number = facts.streams.seq(Side::Client, tf.end);
        let fact = fact!(
            "FIN.Seq {number}, FIN.Ack {ack}",
            number = number,
            ack = tf.raw_ack
        );
        out.push(evidence(tf.no, fact!("client TCP FIN"), fact));
    }
    // Where nothing tells the last data from what follows, late is what the client's FIN does not acknowledge.
    let late = |part: &&TailPart| {
        let hidden = part.pdu.is_some_and(|pdu| pdu.kind == PduKind::Tls);
        !hidden || facts.close.a.is_none_or(|a| part.end > a)
    };
    let tail = facts.tail.iter().filter(late);
    for pdu in tail.filter_map(|part| part.pdu).take(64) {
        let (role, fact) = match pdu.kind {
            PduKind::Fin => (fact!("server SMP:FIN Sid {sid}", sid = pdu.sid), smp(&pdu)),
            PduKind::Ack => (fact!("server SMP:ACK Sid {sid}", sid = pdu.sid), smp(&pdu)),
            PduKind::Tls => (
                fact!("server TLS record"),
                fact!("{len} bytes", len = pdu.len),
            ),
            _ => (fact!("server packet"), fact!("{len} bytes", len = pdu.len)),
        };
        out.push(evidence(pdu.frame, role, fact));
    }
    for fin in facts.close.server_fins.iter().take(8) {
        let fact = fact!("Ack {ack}", ack = fin.raw_ack);
        out.push(evidence(fin.no, fact!("server TCP FIN"), fact));
    }
    let f = facts.close.f.or(facts.streams.e);
    for reset in resets_in_question(facts).take(64) {
        let fact = reset_fact(facts, reset, f);
        out.push(evidence(reset.no, fact!("client reset"), fact));
    }
    for reset in facts.close.server_resets.iter().take(64) {
        let fact = fact!("RST.Seq {seq}", seq = reset.seq);
        out.push(evidence(reset.no, fact!("server reset"), fact));
    }
    out.extend(echo_evidence(facts));
    out.sort_by_key(|e| e.frame);
    out.dedup();
    out
}

/// The resets that the server sent when the connection was over.
pub(in crate::rules) fn echo_evidence(facts: &Facts<'_>) -> impl Iterator<Item = Exhibit> {
    facts.close.echoes.iter().take(64).map(|echo| {
        let fact = fact!(
            "RST.Seq {seq} = Ack of frame {frame}, which came when both ends had closed",
            seq = echo.reset.seq,
            frame = echo.answers
        );
        evidence(echo.reset.no, fact!("server reset"), fact)
    })
}

/// What there is to say of these beside the close.
pub(in crate::rules) fn echo_sentence(facts: &Facts<'_>) -> Option<String> {
    let told = match facts.close.echoes.len() {
        0 => return None,
        1 => "The server's reset only answers".to_owned(),
        n => format!("The server's {n} resets only answer"),
    };
    Some(format!("{told} what came when both ends had closed."))
}

/// The arithmetic of a reset against the client's FIN.
pub(in crate::rules) fn reset_fact(facts: &Facts<'_>, reset: &Seg, f: Option<Pos>) -> Fact {
    let (seq, ack) = (reset.seq, reset.raw_ack);
    let off = f.map(|f| reset.pos.saturating_sub(f));
    let off_ack = reset.ack.zip(facts.close.a);
    let off_ack = off_ack.map(|(ack, a)| ack.saturating_sub(a));
    match (off, reset.ack, off_ack) {
        (Some(off), Some(_), Some(off_ack)) => fact!(
            "RST.Seq = {own} = {seq}; RST.Ack = {peer} = {ack}",
            off = off, seq = seq, off_ack = off_ack, ack = ack;
            own = off_from("FIN.Seq", off), peer = off_from("FIN.Ack", off_ack)
        ),
        (Some(off), Some(_), None) => fact!(
            "RST.Seq = {own} = {seq}; RST.Ack {ack}", off = off, seq = seq, ack = ack;
            own = off_from("FIN.Seq", off)
        ),
        (Some(off), None, _) => fact!(
            "RST.Seq = {own} = {seq}", off = off, seq = seq;
            own = off_from("FIN.Seq", off)
        ),
        (None, Some(_), Some(off_ack)) => fact!(
            "RST.Seq {seq}; RST.Ack = {peer} = {ack}", seq = seq, off_ack = off_ack, ack = ack;
            peer = off_from("FIN.Ack", off_ack)
        ),
        (None, Some(_), None) => fact!("RST.Seq {seq}; RST.Ack {ack}", seq = seq, ack = ack),
        (None, None, _) => fact!("RST.Seq {seq}", seq = seq),
    }
}

/// Whether unknown conditions leave the close undecided (catalogue, 3.3).
fn too_unknown(facts: &Facts<'_>, conditions: &[Applied]) -> Option<&'static str> {
    let unknown = |id: &str| {
        conditions
            .iter()
            .any(|c| c.id() == id && c.outcome == Outcome::Unknown)
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
    if unknown("M3")
        && let Some(unseen) = facts.unseen_request()
    {
        return Some(match unseen {
            Unseen::Bytes { .. } => {
                "the client may have sent a request that is not in the file, on a session of which nothing else is"
            }
            Unseen::End => {
                "where the client's stream ends is not known, and a request may have been the last that it sent"
            }
        });
    }
    if unknown("M3") && !facts.conn.smp_seen {
        return Some("no SMP packet can be read");
    }
    if unknown("M3") && facts.shows_late_unused() {
        return Some(
            "the file begins behind all answers; one that did not end would look the same",
        );
    }
    if facts.streams.client_fins.is_empty() {
        return Some("no SMP:FIN of the client can be read");
    }
    let abort_tells = forms(facts).any(|(_, form)| matches!(form, Form::W { .. }));
    if facts.tail_fins().next().is_none() && !abort_tells {
        return Some("no SMP:FIN of the server can be read");
    }
    (!facts.client_known()).then_some("it is not known which end is the client")
}

fn names(conditions: &[Applied], outcome: Outcome) -> String {
    let ids: Vec<&str> = conditions
        .iter()
        .filter(|c| c.outcome == outcome)
        .map(Applied::id)
        .collect();
    ids.join(", ")
}

fn conclude(facts: &Facts<'_>, conditions: &[Applied]) -> Conclusion {
    decide(facts, conditions, Verdict::Benign)
}

fn conclude_nofin(facts: &Facts<'_>, conditions: &[Applied]) -> Conclusion {
    decide(facts, conditions, Verdict::LikelyBenign)
}

fn decide(facts: &Facts<'_>, conditions: &[Applied], best: Verdict) -> Conclusion {
    let unknown = names(conditions, Outcome::Unknown);
    let forms = form_numbers(facts);
    let form = Fact::told(forms, tell_forms);
    let mut conclusion = if unknown.is_empty() && best == Verdict::Benign {
        let fins = facts.streams.client_fins.iter();
        let sids: Sids = fins.map(|fin| fin.pdu.sid).collect();
        let sids = sids.numbers();
        let numbers = forms.into_iter().chain(sids.as_slice().iter().copied());
        Conclusion::new(
            Verdict::Benign,
            Confidence::Proven,
            Fact::told(numbers, tell_benign),
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

fn tell_benign(numbers: &[i64], out: &mut String) {
    let Some((forms, sids)) = numbers.split_first_chunk::<4>() else {
        return;
    };
    out.push_str("Normal MARS close, the reset is benign: ");
    tell_sids(sids, out);
    out.push_str(" closed, nothing outstanding, ");
    tell_forms(forms, out);
    out.push('.');
}

/// The note on a Sid that the client closed with a request or an attention outstanding, and opened again: the last packet of
/// its last life decides (M3), but the earlier one was not answered.
pub(in crate::rules) fn abandoned(facts: &Facts<'_>) -> Option<String> {
    let mut earlier = facts.lanes.iter().filter(|lane| !lane.last_life);
    let lane = earlier.find(|lane| matches!(lane.work, Work::Request | Work::Attention))?;
    let asked = (*lane.last_data.get(Side::Client))?;
    Some(format!(
        "{} was closed once before without a complete answer to frame {}, and opened again",
        lane.name(),
        asked.frame
    ))
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
        if matches!(conclusion.verdict, Verdict::Benign | Verdict::LikelyBenign) {
            conclusion.verdict = Verdict::Notice;
            conclusion.text = Fact::from(format!(
                "Closed like a normal MARS close, but behind a severe error: the last answer on Sid {} (frame {}) reports it.",
                pdu.sid, pdu.frame
            ));
        }
        conclusion.notes.push(format!(
            "error-before-close: the last answer on Sid {} (frame {}) reports a severe error",
            pdu.sid, pdu.frame
        ));
        conclusion
            .evidence
            .push(evidence(pdu.frame, "answer with a severe error", ""));
    }
    conclusion.notes.extend(abandoned(facts));
    conclusion.notes.extend(path_note(facts));
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
    for run in &facts.frames.resend_runs {
        if (3..=4).contains(&run.resent()) && conclusion.notes.len() < 16 {
            conclusion.notes.push(format!(
                "the {} sent one segment again {} times (frame {})",
                run.side.word(),
                run.resent(),
                run.segs.first().map_or(0, |seg| seg.no.0)
            ));
        }
    }
    for lane in facts.last_lives() {
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
