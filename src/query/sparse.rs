//! Columns that few frames have: findings, broken SMP checks and requests. They are listed, not scanned. So is what
//! only a walk over all packets tells: the time since the frame before of a session.

use super::column::{CHECKS, SparseCol};
use super::value::Val;
use crate::store::{CheckId, RequestEnd, RequestRow, Severity, Store, Verdict};
use crate::units::{FrameNo, Nanos, PduId};

/// Calls `f` with each frame and value of a column that few frames have.
pub(super) fn sparse_each(column: SparseCol, store: &Store, f: &mut dyn FnMut(FrameNo, Val)) {
    match column {
        SparseCol::Finding => {
            for finding in store.findings() {
                for frame in finding.frames() {
                    f(frame, Val::Text(finding.rule.clone().into_owned()));
                }
            }
        }
        SparseCol::Verdict => {
            for (frame, id) in store.marked_by_findings() {
                if let Some(finding) = store.finding(id) {
                    f(frame, num(verdict_code(finding.verdict)));
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
                f(row.frame, num(code));
            }
        }
        SparseCol::DeltaSid => deltas(store, f),
        _ => {
            for request in store.requests() {
                let Some(value) = request_value(column, request) else {
                    continue;
                };
                for frame in request_frames(column, request) {
                    f(frame, num(value));
                }
            }
        }
    }
}

/// The time since the frame before of the same session, for each session of each frame; 0 for its first frame.
fn deltas(store: &Store, f: &mut dyn FnMut(FrameNo, Val)) {
    // For each session its latest frame and the one before that.
    let mut latest: Vec<Option<(FrameNo, Nanos)>> = vec![None; store.sessions().len()];
    for (_, pdu) in store.pdus_from(PduId(0)) {
        let (Some(session), Some(frame)) = (pdu.session, store.frame(pdu.frame)) else {
            continue;
        };
        let Some(slot) = latest.get_mut(session.index()) else {
            continue;
        };
        let before = slot.replace((pdu.frame, frame.time));
        match before {
            // A second packet in the same frame has nothing to add.
            Some((no, _)) if no == pdu.frame => {}
            Some((_, time)) => f(pdu.frame, num(frame.time.since(time))),
            None => f(pdu.frame, num(0)),
        }
    }
}

fn num(n: i64) -> Val {
    Val::Num(i128::from(n))
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
fn request_frames(column: SparseCol, request: &RequestRow) -> Vec<FrameNo> {
    let asked = [Some(request.first_frame), Some(request.last_frame)];
    let answered = [request.answer_first_frame, request.answer_last_frame];
    let ends = match column {
        SparseCol::ResponseIn => [asked, [None; 2]],
        SparseCol::RequestIn | SparseCol::ResponseTime => [answered, [None; 2]],
        _ => [asked, answered],
    };
    let mut frames: Vec<_> = ends.into_iter().flatten().flatten().collect();
    frames.sort_unstable();
    frames.dedup();
    frames
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
