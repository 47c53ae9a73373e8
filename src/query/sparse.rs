//! Columns that few frames have: findings, broken SMP checks and requests. They are listed, not scanned. So is what
//! only a walk over all packets tells: the Sids that a frame carries bytes of, and the time since the frame before of a
//! session.

use std::sync::OnceLock;

use super::ast::Quant;
use super::column::{CHECKS, SparseCol};
use super::scan::BLOCK;
use super::value::Val;
use crate::store::{CheckId, PduRow, RequestEnd, RequestRow, Severity, Store, Verdict};
use crate::units::{FindingId, FrameNo};

/// Frames whose packets are looked at together.
const STRETCH: usize = BLOCK;

/// The values of a column, each with its frame, in the order of frames.
pub(super) type List = Vec<(FrameNo, i64)>;

/// The lists of columns, each made when it is first asked for. They belong to a store as it is now: one that has grown
/// needs new ones.
#[derive(Debug, Clone)]
pub struct Listed {
    lists: [OnceLock<List>; SparseCol::ALL.len()],
    from: FrameNo,
}

/// Lists of all frames.
impl Default for Listed {
    fn default() -> Self {
        Self::of_frames_from(FrameNo(1))
    }
}

impl Listed {
    /// Lists for whoever does not ask about the frames before one.
    pub(super) fn of_frames_from(from: FrameNo) -> Self {
        let lists = <[OnceLock<List>; SparseCol::ALL.len()]>::default();
        Self { lists, from }
    }

    /// The first frame that is asked about.
    pub(super) fn from(&self) -> FrameNo {
        self.from
    }

    /// The values of a column.
    pub(super) fn all(&self, column: SparseCol, store: &Store) -> &[(FrameNo, i64)] {
        match self.lists.get(column as usize) {
            Some(slot) => slot.get_or_init(|| list(column, store, self.from)),
            None => &[],
        }
    }

    /// The values on the frames from one to another (not included).
    pub(super) fn between(
        &self,
        store: &Store,
        column: SparseCol,
        first: FrameNo,
        behind: FrameNo,
    ) -> &[(FrameNo, i64)] {
        let list = self.all(column, store);
        let from = list.partition_point(|(frame, _)| *frame < first);
        let rest = list.get(from..).unwrap_or_default();
        rest.get(..rest.partition_point(|(frame, _)| *frame < behind))
            .unwrap_or_default()
    }
}

/// The values of a column in the order of frames; those of frames before `from` may be missing.
pub(super) fn list(column: SparseCol, store: &Store, from: FrameNo) -> List {
    let mut list = List::new();
    let mut push = |frame, value| list.push((frame, value));
    sparse_each(column, store, from, &mut push);
    if column == SparseCol::Sid {
        // Packets of one Sid that meet in a frame say the same.
        list.sort_unstable();
        list.dedup();
    } else if !list.is_sorted_by_key(|(frame, _)| *frame) {
        list.sort_by_key(|(frame, _)| *frame);
    }
    list
}

/// What a value of a column's list stands for: findings are listed by their numbers.
pub(super) fn value(column: SparseCol, value: i64, store: &Store) -> Option<Val> {
    if column != SparseCol::Finding {
        return Some(Val::Num(i128::from(value)));
    }
    let finding = store.finding(FindingId(u32::try_from(value).ok()?))?;
    Some(Val::Text(finding.rule.clone().into_owned()))
}

/// Calls `f` with each frame and value of a column; what needs a walk over all packets may begin at `from`.
fn sparse_each(column: SparseCol, store: &Store, from: FrameNo, f: &mut dyn FnMut(FrameNo, i64)) {
    match column {
        SparseCol::Finding => {
            for finding in store.findings() {
                for frame in finding.frames() {
                    f(frame, i64::from(finding.id.0));
                }
            }
        }
        SparseCol::Verdict => {
            for (frame, id) in store.marked_by_findings() {
                if let Some(finding) = store.finding(id) {
                    f(frame, verdict_code(finding.verdict));
                }
            }
        }
        SparseCol::Analysis | SparseCol::CheckId | SparseCol::Severity => {
            for row in store.violations() {
                let code = match column {
                    SparseCol::Analysis => 1,
                    SparseCol::CheckId => check_code(row.check),
                    _ => severity_code(row.severity),
                };
                f(row.frame, code);
            }
        }
        SparseCol::Sid => sids(store, from, |_| true, f),
        SparseCol::DeltaSid => deltas(store, f),
        _ => {
            store.each_request(|request| {
                let Some(value) = request_value(column, request) else {
                    return;
                };
                for frame in request_frames(column, request) {
                    f(frame, value);
                }
            });
        }
    }
}

/// The Sid of a packet, also of one that does not end.
pub(super) fn sid_of(pdu: &PduRow) -> Option<i64> {
    (pdu.kind.is_smp() || pdu.session.is_some()).then(|| i64::from(pdu.sid.0))
}

/// The Sids of the packets that frames carry bytes of, from a frame on: of those that they complete, and of one that a
/// later frame completes. Only those that are `wanted`.
fn sids(
    store: &Store,
    from: FrameNo,
    wanted: impl Fn(i64) -> bool,
    f: &mut dyn FnMut(FrameNo, i64),
) {
    let len = store.frame_count().saturating_sub(from.index());
    store.each_pdu(from, len, |pdu| {
        let Some(sid) = sid_of(pdu).filter(|sid| wanted(*sid)) else {
            return;
        };
        if pdu.first_frame < pdu.frame {
            let parts = store.parts_of(pdu).take_while(|frame| *frame >= from);
            parts.for_each(|frame| f(frame, sid));
        }
        f(pdu.frame, sid);
    });
}

/// The frames from one on that carry bytes of a Sid that fits, or of no other. There are many, so that they are ticked
/// off instead of listed and sorted.
pub(super) fn frames_of_sids(
    store: &Store,
    from: FrameNo,
    quant: Quant,
    fits: impl Fn(i64) -> bool,
) -> Vec<FrameNo> {
    let mut found = vec![false; store.frame_count().saturating_sub(from.index())];
    let mut tick = |wanted: &dyn Fn(i64) -> bool, as_found| {
        sids(store, from, wanted, &mut |frame, _| {
            let at = frame.index().wrapping_sub(from.index());
            if let Some(place) = found.get_mut(at) {
                *place = as_found;
            }
        });
    };
    tick(&fits, true);
    if quant == Quant::Every {
        tick(&|sid| !fits(sid), false);
    }
    let frames = (from.0..).map(FrameNo).zip(&found);
    frames
        .filter(|(_, found)| **found)
        .map(|(frame, _)| frame)
        .collect()
}

/// The time since the frame before of the same session, for each session of each frame; 0 for its first frame.
fn deltas(store: &Store, f: &mut dyn FnMut(FrameNo, i64)) {
    // For each session its latest frame and the time of that.
    let mut latest = vec![(FrameNo(0), 0); store.sessions().len()];
    let mut here = (FrameNo(0), 0);
    let mut take = |pdu: &PduRow| {
        let slot = pdu.session.and_then(|id| latest.get_mut(id.index()));
        let Some(slot) = slot else { return };
        if here.0 != pdu.frame {
            here = (pdu.frame, store.time_of(pdu.frame).map_or(0, |time| time.0));
        }
        let before = std::mem::replace(slot, here);
        // A second packet in the same frame has nothing to add.
        if before.0 == FrameNo(0) {
            f(pdu.frame, 0);
        } else if before.0 != pdu.frame {
            f(pdu.frame, here.1.saturating_sub(before.1));
        }
    };
    if store.pdus_are_in_order() {
        store.each_pdu(FrameNo(1), store.frame_count(), &mut take);
    } else {
        let mut pdus = Vec::new();
        for start in (0..store.frame_count()).step_by(STRETCH) {
            let first = FrameNo::from_index(start);
            store.each_pdu(first, STRETCH, |pdu| pdus.push(*pdu));
            pdus.sort_by_key(|pdu| pdu.frame);
            pdus.drain(..).for_each(|pdu| take(&pdu));
        }
    }
}

fn request_value(column: SparseCol, request: &RequestRow) -> Option<i64> {
    match column {
        SparseCol::Request => Some(i64::from(request.id.0)),
        SparseCol::Duration => request.duration_ns,
        SparseCol::FirstByte | SparseCol::ResponseTime => request.first_byte_ns,
        SparseCol::Rows => request.rows.and_then(|r| i64::try_from(r).ok()),
        SparseCol::RequestEnd => Some(match request.end {
            RequestEnd::Done => 0,
            RequestEnd::Error => 1,
            RequestEnd::Attention => 2,
            RequestEnd::Outstanding => 3,
            RequestEnd::Unknown => 4,
        }),
        SparseCol::RequestIn => Some(i64::from(request.first_frame.0)),
        SparseCol::ResponseIn => request.answer_first_frame.map(|f| i64::from(f.0)),
        _ => None,
    }
}

/// The frames that a request's values stand on: those where it and its answer begin and end.
fn request_frames(column: SparseCol, request: &RequestRow) -> impl Iterator<Item = FrameNo> {
    let asked = [Some(request.first_frame), Some(request.last_frame)];
    let answered = [request.answer_first_frame, request.answer_last_frame];
    let ends = match column {
        SparseCol::ResponseIn => [asked, [None; 2]],
        SparseCol::RequestIn | SparseCol::ResponseTime => [answered, [None; 2]],
        _ => [asked, answered],
    };
    let [[a, b], [c, d]] = ends;
    let mut frames = [a, b, c, d];
    frames.sort_unstable();
    let mut last = None;
    frames.into_iter().flatten().filter(move |frame| {
        let new = last != Some(*frame);
        last = Some(*frame);
        new
    })
}

fn verdict_code(verdict: Verdict) -> i64 {
    match verdict {
        Verdict::Benign => 0,
        Verdict::Normal => 1,
        Verdict::LikelyBenign => 2,
        Verdict::Notice => 3,
        Verdict::Fault => 4,
        Verdict::Undecided => 5,
    }
}

fn severity_code(severity: Severity) -> i64 {
    match severity {
        Severity::Note => 0,
        Severity::Warn => 1,
        Severity::Error => 2,
    }
}

fn check_code(check: CheckId) -> i64 {
    let name = format!("{check:?}");
    CHECKS
        .iter()
        .find(|(_, word)| *word == name)
        .map_or(-1, |(code, _)| *code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::column::{Column, words};

    #[test]
    fn codes_have_words() {
        for (check, code) in [(CheckId::H1, 0), (CheckId::W1, 17), (CheckId::M1, 33)] {
            assert_eq!(check_code(check), code);
        }
        for (code, verdict) in Verdict::ALL.iter().enumerate() {
            let words = words(Column::Sparse(SparseCol::Verdict));
            assert_eq!(words[code].1, verdict.name());
            assert_eq!(words[code].0, verdict_code(*verdict));
        }
    }
}
