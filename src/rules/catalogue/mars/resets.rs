//! Conditions M8, M10 to M12 and M15: the resets themselves, what provoked them, and the calm before.

use std::fmt::Write;

use crate::rules::catalogue::duration;
use crate::rules::facts::{Facts, Form, Seg, forms, off_from, resets_in_question};
use crate::rules::rule::Check;
use crate::rules::settings::Threshold;
use crate::store::{Fact, FrameList, Number, fact};
use crate::units::{FrameNo, Side};

pub(super) fn resets_fit(facts: &Facts<'_>) -> Check {
    let mut forms = forms(facts);
    if forms.clone().next().is_none() {
        return Check::failed("no reset of the client");
    }
    let aborts = resets_in_question(facts).filter(|r| r.flags.ack());
    let numbers = |reset: &Seg| (reset.pos, reset.ack);
    let first = aborts.clone().next().map(numbers);
    if aborts.clone().any(|r| Some(numbers(r)) != first) {
        return Check::failed("two resets with ACK flag and different numbers")
            .on(aborts.map(|r| r.no));
    }
    let misfit = forms.clone().find_map(|(reset, form)| match form {
        Form::None { why, .. } => Some((reset.no, why)),
        _ => None,
    });
    if let Some((frame, why)) = misfit {
        return Check::failed(format!("frame {frame}: {why}")).on([frame]);
    }
    let unknown = forms.find_map(|(reset, form)| match form {
        Form::Unknown(why) => Some((reset.no, why)),
        _ => None,
    });
    if let Some((frame, why)) = unknown {
        return Check::unknown(format!("frame {frame}: {why}")).on([frame]);
    }
    let fact = Fact::told(form_numbers(facts), tell_forms);
    Check::held(fact).on(resets_in_question(facts).map(|r| r.no))
}

/// Which sentence tells the form of a reset.
mod sentence {
    pub(super) const NOT_KNOWN: i64 = 0;
    pub(super) const W: i64 = 1;
    pub(super) const U: i64 = 2;
    pub(super) const INSTEAD_OF_FIN: i64 = 3;
    pub(super) const L: i64 = 4;
}

/// The forms of the resets in numbers: the sentence for the first one that can be read, the two numbers in it, and how
/// many resets there are.
pub(super) fn form_numbers(facts: &Facts<'_>) -> [i64; 4] {
    let end = facts.close.f.or(facts.streams.e);
    let told = forms(facts).find_map(|(reset, form)| {
        let off = reset.pos.saturating_sub(end.unwrap_or(reset.pos));
        match *form {
            Form::W { bytes, .. } => Some((sentence::W, bytes, 0)),
            Form::U { .. } => Some((sentence::U, 0, 0)),
            Form::InsteadOfFin { .. } => Some((sentence::INSTEAD_OF_FIN, off, 0)),
            Form::L { by } => Some((sentence::L, off, by.number())),
            Form::None { .. } | Form::Unknown(_) => None,
        }
    });
    let (sentence, bytes, by) = told.unwrap_or((sentence::NOT_KNOWN, 0, 0));
    // What several points of the way show, or both ends' files, was sent once.
    let sent = forms(facts).filter(|(reset, _)| !reset.is_copy()).count();
    [sentence, bytes, by, sent.number()]
}

/// The forms as they stand in a ticket.
pub(super) fn tell_forms(numbers: &[i64], out: &mut String) {
    let [sentence, bytes, by, n] = *numbers else {
        return;
    };
    // Writing to a String cannot fail.
    let _ = match sentence {
        sentence::W => write!(
            out,
            "form W: RST.Seq = FIN.Seq + 1, RST.Ack = FIN.Ack + {bytes}"
        ),
        sentence::U => write!(out, "form U: RST.Seq = FIN.Seq + 1, RST.Ack = FIN.Ack"),
        sentence::INSTEAD_OF_FIN => write!(
            out,
            "reset with ACK flag, RST.Seq = {}",
            off_from("end of the last SMP:FIN", bytes)
        ),
        sentence::L => write!(
            out,
            "form L: RST.Seq = {} = Ack of frame {by}",
            off_from("FIN.Seq", bytes)
        ),
        _ if n == 1 => write!(out, "a reset whose form is not known"),
        _ => write!(out, "{n} resets whose form is not known"),
    };
    if n != 1 && sentence != sentence::NOT_KNOWN {
        let _ = write!(out, "; {n} resets");
    }
}

pub(super) fn calm_before(facts: &Facts<'_>) -> Check {
    let Some(first) = resets_in_question(facts).next() else {
        return Check::held("no reset of the client");
    };
    trouble_before(facts, first).map_or_else(
        || Check::held(fact!("nothing found")),
        |(fact, frames)| Check::failed(fact).on(frames),
    )
}

/// Keepalives or data in vain, or a closed window, right before a frame.
pub(in crate::rules) fn trouble_before(
    facts: &Facts<'_>,
    first: &Seg,
) -> Option<(String, Vec<FrameNo>)> {
    let back = facts.settings.get(Threshold::LookBack);
    // What no clock saw together may have been right before.
    let near = |seg: &Seg| facts.between(seg.no, first.no).is_none_or(|ns| ns <= back);
    let before = |seg: &Seg| facts.precedes(seg.no, first.no) != Some(false);
    let recent = |seg: &Seg| before(seg) && near(seg);
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
    for run in &facts.frames.resend_runs {
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
    facts.window_closed_at(first.no).map(|z| {
        (
            format!("the {}'s TCP window was 0", z.start.side.word()),
            vec![z.start.no],
        )
    })
}

pub(super) fn same_sender(facts: &Facts<'_>) -> Check {
    let resets = resets_in_question(facts);
    let mut usual = None;
    for reset in resets.clone() {
        let (Some(mode), Some(off)) = (
            facts.frames.usual_ttl(reset),
            facts.frames.ttl_off_by(reset),
        ) else {
            return Check::unknown("no other segment of the client is in the file");
        };
        if off > 1 {
            return Check::failed(format!(
                "time to live {} of the reset, {mode} of the client's segments",
                reset.ttl
            ))
            .on([reset.no]);
        }
        usual = usual.or(Some(mode));
    }
    // The frame may have been lost to that capture, so it is no proof that another made it.
    let denied = facts.ends.denied.get(Side::Client);
    if let Some(reset) = resets.clone().find(|reset| denied.contains(&reset.no)) {
        return Check::unknown("the file of the client's end does not show it being sent")
            .on([reset.no]);
    }
    let fact = usual.map_or("".into(), |mode| fact!("time to live {mode}", mode = mode));
    Check::held(fact).on(resets.map(|r| r.no))
}

pub(super) fn provoked_before(facts: &Facts<'_>) -> Check {
    let mut frames = FrameList::default();
    let mut unknown = None;
    for (reset, form) in forms(facts) {
        let by = match *form {
            Form::W { by, .. } | Form::U { by } | Form::InsteadOfFin { by } => by,
            Form::L { by } => Some(by),
            Form::None { .. } => continue,
            Form::Unknown(_) => None,
        };
        match by {
            // Several resets may answer one frame; it is named once.
            Some(by) if by < reset.no => {
                if frames.as_slice().last() != Some(&by) {
                    frames.push(by);
                }
            }
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
        None => Check::held("").on(frames.as_slice().iter().copied()),
    }
}

pub(super) fn in_time(facts: &Facts<'_>) -> Check {
    let Some(first) = resets_in_question(facts).next() else {
        return Check::held("no reset of the client");
    };
    let b = facts.streams.b;
    let server = facts.frames.late.get(Side::Server).iter();
    let nearest = facts
        .close
        .tf
        .iter()
        .chain(server.filter(|seg| seg.pos >= b))
        .filter_map(|seg| Some((seg, facts.provoked_after(seg.no, first.no)?)))
        .min_by_key(|(_, gap)| gap.unsigned_abs());
    let Some((nearest, gap)) = nearest else {
        return Check::unknown("nothing of the close stands before the first reset");
    };
    let limit = facts.settings.get(Threshold::LateReset);
    let fact = fact!(
        "{time} after frame {frame}", gap = gap, frame = nearest.no;
        time = duration(gap)
    );
    if gap.unsigned_abs() <= limit.unsigned_abs() {
        Check::held(fact).on([nearest.no, first.no])
    } else {
        Check::unknown(fact).on([nearest.no, first.no])
    }
}
