//! The forms that a reset of a closing client may take (catalogue, 3.4), found for each reset of a connection.

use super::{Facts, Pos, Seg, TailKind, first_frame_reaching};
use crate::units::{FrameNo, Side};

/// Which form a reset has, and what provoked it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::rules) enum Form {
    /// Reset with ACK flag that acknowledges control packets behind the FIN's acknowledgement.
    W { bytes: Pos, by: Option<FrameNo> },
    /// Reset with ACK flag right behind the FIN: server SMP:FINs lay unread.
    U { by: Option<FrameNo> },
    /// Reset without ACK flag that answers a late segment of the server.
    L { by: FrameNo },
    /// Reset with ACK flag instead of a FIN.
    InsteadOfFin { by: Option<FrameNo> },
    /// No form fits, and why; `seq` tells that it is the sequence number that nothing explains.
    None { why: String, seq: bool },
    /// The file does not hold what would be needed.
    Unknown(String),
}

/// What resets without ACK flag are compared with.
#[derive(Debug, Default)]
struct Tail {
    /// One entry for each acknowledgement number, in the order of these.
    provokers: Vec<(Pos, Provokers)>,
    /// The first of the late segments among them.
    first_late: Option<FrameNo>,
    /// Bytes of it are missing from the file.
    has_holes: bool,
}

/// The earliest server segments with one acknowledgement number.
#[derive(Debug, Clone, Copy)]
struct Provokers {
    any: FrameNo,
    late: Option<FrameNo>,
}

/// The resets that the close is judged by; where only resets of foreign origin are left, those of the client.
pub(in crate::rules) fn resets_in_question<'f>(
    facts: &'f Facts<'_>,
) -> impl Iterator<Item = &'f Seg> + Clone {
    let own = &facts.close.resets;
    let foreign = facts.close.foreign.iter();
    own.iter()
        .chain(foreign.filter(|seg| own.is_empty() && seg.side == Side::Client))
}

/// Every reset in question with its form, in file order.
pub(in crate::rules) fn forms<'f>(
    facts: &'f Facts<'_>,
) -> impl Iterator<Item = (&'f Seg, &'f Form)> + Clone {
    let forms = facts.forms.get_or_init(|| find_forms(facts));
    resets_in_question(facts).zip(forms)
}

fn find_forms(facts: &Facts<'_>) -> Vec<Form> {
    let resets = resets_in_question(facts);
    let has_abort = resets.clone().any(|r| r.flags.ack());
    // Only what a reset without ACK flag answers is looked for among them.
    let bare = resets.clone().any(|r| !r.flags.ack());
    let tail = if bare { tail(facts) } else { Tail::default() };
    resets
        .enumerate()
        .map(|(at, reset)| {
            if reset.len > 0 || reset.flags.fin() || reset.flags.syn() {
                no("it carries payload, SYN or FIN")
            } else if reset.flags.ack() {
                abort_form(facts, reset)
            } else {
                bare_form(facts, reset, &tail, at == 0, has_abort)
            }
        })
        .collect()
}

fn no(why: impl Into<String>) -> Form {
    Form::None {
        why: why.into(),
        seq: false,
    }
}

fn no_seq(why: impl Into<String>) -> Form {
    Form::None {
        why: why.into(),
        seq: true,
    }
}

fn tail(facts: &Facts<'_>) -> Tail {
    let provokers = provokers(facts);
    Tail {
        first_late: provokers.iter().filter_map(|(_, p)| p.late).min(),
        has_holes: facts.tail.iter().any(|part| part.kind != TailKind::Pdu),
        provokers,
    }
}

fn provokers(facts: &Facts<'_>) -> Vec<(Pos, Provokers)> {
    let b = facts.streams.b;
    let from = facts.close.a.unwrap_or(b).max(b);
    let late = facts.frames.late.get(Side::Server).iter();
    let tail = late.filter(|seg| seg.pos >= b || seg.end > b);
    let mut out: Vec<(Pos, Provokers)> = tail
        .filter_map(|seg| {
            let late = (seg.len > 0 && seg.end > from) || seg.flags.fin();
            let late = late.then_some(seg.no);
            Some((seg.ack?, Provokers { any: seg.no, late }))
        })
        .collect();
    out.sort_by_key(|(ack, _)| *ack);
    out.dedup_by(|(ack, next), (first_ack, first)| {
        let same = ack == first_ack;
        if same {
            first.late = first.late.or(next.late);
        }
        same
    });
    out
}

/// Forms W and U, and the reset instead of a FIN.
fn abort_form(facts: &Facts<'_>, reset: &Seg) -> Form {
    let Some(ack) = reset.ack else {
        return Form::Unknown("the server's numbers are not known".to_owned());
    };
    let (Some(f), Some(a)) = (facts.close.f, facts.close.a) else {
        return abort_without_fin(facts, reset, ack);
    };
    if reset.pos != f.saturating_add(1) {
        let off = reset.pos.saturating_sub(f);
        return no_seq(format!("RST.Seq = FIN.Seq {}, not + 1", signed(off)));
    }
    if ack == a {
        let by = facts
            .tail_fins()
            .filter(|part| part.end <= a)
            .find_map(|part| reaching(facts, part.end));
        let hole = || {
            facts
                .tail
                .iter()
                .any(|p| p.kind != TailKind::Pdu && p.pos < a)
        };
        return match by {
            Some(frame) => Form::U { by: Some(frame) },
            None if hole() => Form::U { by: None },
            None => no("RST.Ack = FIN.Ack, and no server SMP:FIN lay unread then"),
        };
    }
    let (bytes, fin_bytes) = beyond(facts, a, ack);
    if bytes <= 0 || bytes % 16 != 0 {
        return no(format!(
            "RST.Ack = FIN.Ack {}, which is no number of control packets",
            signed(ack.saturating_sub(a))
        ));
    }
    let known = facts.tail.last().map_or(facts.streams.b, |part| part.end);
    if ack.saturating_sub(fin_bytes) > known {
        return Form::Unknown("it acknowledges bytes that are not in the file".to_owned());
    }
    let by = facts
        .tail_fins()
        .filter(|part| part.pos >= a && part.end <= ack)
        .find_map(|part| reaching(facts, part.end));
    let hole = facts
        .tail
        .iter()
        .any(|p| p.kind != TailKind::Pdu && p.pos < ack && p.end > a);
    match by {
        None if !hole => no("it acknowledges no server SMP:FIN behind FIN.Ack"),
        by => Form::W { bytes, by },
    }
}

/// Bytes that a reset acknowledges beyond the FIN's acknowledgement; the server's FIN, if acknowledged, apart.
fn beyond(facts: &Facts<'_>, a: Pos, ack: Pos) -> (Pos, Pos) {
    let over_fin = facts
        .close
        .server_fins
        .iter()
        .any(|fin| fin.end.saturating_add(1) == ack);
    let fin = Pos::from(over_fin);
    (ack.saturating_sub(a).saturating_sub(fin), fin)
}

/// A reset with ACK flag while the client's FIN is not in the file: instead of it, or behind a lost one.
fn abort_without_fin(facts: &Facts<'_>, reset: &Seg, ack: Pos) -> Form {
    let Some(e) = facts.streams.e else {
        return Form::Unknown("neither FIN nor SMP:FIN of the client is in the file".to_owned());
    };
    let off = reset.pos.saturating_sub(e);
    if !(0..=1).contains(&off) {
        return no_seq(format!("RST.Seq = end of the last SMP:FIN {}", signed(off)));
    }
    let (_, fin_bytes) = beyond(facts, ack, ack);
    let border = ack.saturating_sub(fin_bytes);
    let on_border = border == facts.streams.b || facts.tail.iter().any(|part| part.end == border);
    if !on_border {
        let known = facts.tail.last().map_or(facts.streams.b, |part| part.end);
        let hidden = facts.tail.iter().any(|p| p.kind == TailKind::Hidden);
        if border > known || hidden {
            return Form::Unknown("it acknowledges bytes that are not in the file".to_owned());
        }
        return no("RST.Ack is no border of the server's control packets");
    }
    let by = facts
        .tail_fins()
        .filter(|part| part.end <= border)
        .find_map(|part| reaching(facts, part.end));
    let hole = facts
        .tail
        .iter()
        .any(|p| p.kind != TailKind::Pdu && p.end <= border);
    match by {
        None if !hole => no("it acknowledges no server SMP:FIN"),
        by => Form::InsteadOfFin { by },
    }
}

fn reaching(facts: &Facts<'_>, end: Pos) -> Option<FrameNo> {
    first_frame_reaching(facts.frames.late.get(Side::Server), end)
}

/// Form L and the resets that follow.
fn bare_form(facts: &Facts<'_>, reset: &Seg, tail: &Tail, first: bool, has_abort: bool) -> Form {
    let end = facts.close.f.or(facts.streams.e);
    let Some(f) = end else {
        return Form::Unknown("neither FIN nor SMP:FIN of the client is in the file".to_owned());
    };
    if reset.pos > f.saturating_add(1) {
        let off = reset.pos.saturating_sub(f);
        return no_seq(format!("RST.Seq = FIN.Seq {}", signed(off)));
    }
    // What answers the last request acknowledges it, and so does all that the server sends behind the answer. Of the
    // control packets behind the request any may have been lost on the way, not only the closing ones.
    if reset.pos < facts.streams.asked && (first || !has_abort) {
        let off = reset.pos.saturating_sub(f);
        return no_seq(format!(
            "RST.Seq = FIN.Seq {}, before the end of the client's last request",
            signed(off)
        ));
    }
    let provokers = &tail.provokers;
    let found = provokers.binary_search_by_key(&reset.pos, |(ack, _)| *ack);
    let found = found.ok().and_then(|at| provokers.get(at));
    let found = found.map(|(_, found)| found);
    let before = |no: &FrameNo| *no < reset.no;
    if let Some(late) = found.and_then(|p| p.late).filter(before) {
        return Form::L { by: late };
    }
    // The first reset answers data or the FIN. Where its own was lost on the way, such a segment stands before it.
    let late_before = tail.first_late.is_some_and(|late| late < reset.no);
    if let Some(found) = found.filter(|_| !first || late_before)
        && (before(&found.any) || !hides_answered(facts, reset, tail))
    {
        return Form::L { by: found.any };
    }
    if hides_answered(facts, reset, tail) {
        return Form::Unknown("what it answers is not in the file".to_owned());
    }
    match found {
        None => no_seq(format!("no late server segment acknowledges {}", reset.seq)),
        Some(Provokers {
            late: Some(late), ..
        }) => Form::L { by: *late },
        Some(found) => no_seq(format!(
            "the first reset answers neither a control packet behind FIN.Ack nor the server's FIN (frame {} has none)",
            found.any
        )),
    }
}

/// Whether the segment that a bare reset answers may be one that the file lacks: bytes of the server's tail are
/// missing, and its number is one that the server can have acknowledged.
fn hides_answered(facts: &Facts<'_>, reset: &Seg, tail: &Tail) -> bool {
    if !tail.has_holes {
        return false;
    }
    let streams = &facts.streams;
    let fins = &streams.client_fins;
    let end = facts.close.f.or(streams.e);
    fins.iter().any(|fin| fin.end == reset.pos)
        || streams.c0 == Some(reset.pos)
        || end.is_some_and(|end| reset.pos == end.saturating_add(1))
}

/// `FIN.Seq + 16`, `FIN.Seq - 16`, or `FIN.Seq` alone.
pub(in crate::rules) fn off_from(name: &str, n: Pos) -> String {
    match n {
        0 => name.to_owned(),
        n => format!("{name} {}", signed(n)),
    }
}

/// `+ 16` or `- 16`.
pub(in crate::rules) fn signed(n: Pos) -> String {
    if n < 0 {
        format!("- {}", n.unsigned_abs())
    } else {
        format!("+ {n}")
    }
}
