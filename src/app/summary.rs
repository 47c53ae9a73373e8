//! The sentence that sums a capture up once it is indexed.

use std::cell::LazyCell;
use std::fmt::Write as _;

use super::App;
use crate::app::command::Command;
use crate::store::{ConnRow, FrameRow, Protocol, Store, Verdict};
use crate::units::FrameNo;
use crate::units::words::counted;

/// The frame of the gravest finding: the first fault, else the first that asks for most attention.
pub fn gravest(store: &Store) -> Option<FrameNo> {
    store
        .findings()
        .iter()
        .filter(|f| f.verdict != Verdict::Normal)
        .filter_map(|f| Some((f.verdict.weight(), f.decisive_frame()?)))
        .max_by_key(|(weight, frame)| (*weight, std::cmp::Reverse(*frame)))
        .map(|(_, frame)| frame)
}

/// `3 connections, 2 MARS, 5 resets: 1 fault, 4 benign; findings: 1 fault, 2 benign. e goes to the fault, F lists all`;
/// in a narrow window without the verdicts of the resets, then with shorter words, and at last without what weighs
/// least. A finding may be about several resets, or about none: one number is not told by the other.
pub fn summary(app: &App) -> String {
    let verdicts = verdicts(&app.store);
    let filter = filter(app);
    if verdicts.is_empty() {
        let facts = facts(app, Resets::Counted, String::new);
        return format!("{filter}{facts}, no findings");
    }
    // Of very many findings they are counted once, not for each form of the text.
    let judged = LazyCell::new(|| reset_verdicts(&app.store, app.density.resets()).join(", "));
    let room = usize::from(app.size.0.saturating_sub(2));
    let said = |shown: usize, resets: Resets, roomy| {
        let told = verdicts.get(..shown).unwrap_or_default().join(", ");
        let more = if shown < verdicts.len() {
            " and others"
        } else {
            ""
        };
        let way = way_on(app, roomy);
        // Beside the number of resets it must be said what is counted.
        let counted = if resets != Resets::Unsaid && app.density.resets() > 0 {
            "; findings"
        } else {
            ""
        };
        let facts = facts(app, resets, || judged.clone());
        format!("{filter}{facts}{counted}: {told}{more}. {way}")
    };
    let all = verdicts.len();
    let shorter = (1..all).rev().map(|shown| (shown, Resets::Unsaid, false));
    let mut forms = [
        (all, Resets::Judged, true),
        (all, Resets::Judged, false),
        (all, Resets::Counted, true),
        (all, Resets::Counted, false),
        (all, Resets::Unsaid, false),
    ]
    .into_iter()
    .chain(shorter)
    .map(|(shown, resets, roomy)| said(shown, resets, roomy));
    forms
        .find(|text| text.chars().count() <= room)
        .unwrap_or_else(|| said(1, Resets::Unsaid, false))
}

/// That a filter is on, which may be one from an earlier run: the message hides where that stands otherwise.
fn filter(app: &App) -> String {
    if app.filter.is_empty() {
        return String::new();
    }
    let named = format!("filter {} is on; ", app.filter);
    if named.chars().count() <= usize::from(app.size.0 / 3) {
        named
    } else {
        "filter on; ".to_owned()
    }
}

/// What the summary says about the resets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resets {
    /// How many there are of each verdict.
    Judged,
    /// How many there are.
    Counted,
    Unsaid,
}

/// Connections, how many of them are SQL Server's and MARS, and how many resets there are.
fn facts(app: &App, said: Resets, judged: impl Fn() -> String) -> String {
    let store = &app.store;
    let conns = store.conns();
    let count = |holds: &dyn Fn(&ConnRow) -> bool| conns.iter().filter(|c| holds(c)).count();
    let sql = count(&|c| c.protocol != Protocol::Other);
    let mars = count(&|c| c.mars == Some(true));
    // A live capture is judged before its end.
    let so_far = if app.jobs.indexing { "so far " } else { "" };
    let mut out = format!("{so_far}{}", counted(conns.len(), "connection"));
    if sql == 0 && !conns.is_empty() {
        out.push_str(", no SQL Server seen");
    } else {
        if sql != conns.len() && app.size.0 >= 110 {
            let _ = write!(out, ", {sql} SQL Server");
        }
        let _ = write!(out, ", {mars} MARS");
    }
    let resets = app.density.resets();
    if said != Resets::Unsaid && resets > 0 {
        let _ = write!(out, ", {}", counted(resets, "reset"));
    }
    if said == Resets::Judged && resets > 0 {
        let _ = write!(out, ": {}", judged());
    }
    out
}

/// How many resets bear each verdict, as the letters in the list say it, the gravest first; those that no finding is
/// about are named last.
fn reset_verdicts(store: &Store, resets: usize) -> Vec<String> {
    let mut of = [0_usize; Verdict::ALL.len()];
    for (no, finding) in store.marked_by_findings() {
        let is_reset = |f: &FrameRow| f.is_tcp() && f.tcp_flags.rst();
        let verdict = store.finding(finding).map(|f| f.verdict);
        let at = Verdict::ALL.iter().position(|v| Some(*v) == verdict);
        if let Some(n) = at.and_then(|at| of.get_mut(at))
            && store.frame(no).is_some_and(|f| is_reset(&f))
        {
            *n = n.saturating_add(1);
        }
    }
    let judged = of.iter().fold(0, |sum: usize, n| sum.saturating_add(*n));
    let mut told = told(|verdict| {
        let at = Verdict::ALL.iter().position(|v| *v == verdict);
        at.and_then(|at| of.get(at)).copied().unwrap_or_default()
    });
    let others = resets.saturating_sub(judged);
    if others > 0 {
        told.push(format!("{others} without a finding"));
    }
    told
}

/// How many findings there are of each verdict, the gravest first; what is normal is not counted.
fn verdicts(store: &Store) -> Vec<String> {
    told(|verdict| {
        let findings = store.findings().iter();
        findings
            .filter(|f| f.verdict == verdict && verdict != Verdict::Normal)
            .count()
    })
}

/// The verdicts that occur, with their numbers, the gravest first.
fn told(of: impl Fn(Verdict) -> usize) -> Vec<String> {
    [
        (Verdict::Fault, "fault", "faults"),
        (Verdict::Undecided, "undecided", "undecided"),
        (Verdict::LikelyBenign, "likely benign", "likely benign"),
        (Verdict::Benign, "benign", "benign"),
        (Verdict::Notice, "notice", "notices"),
        (Verdict::Normal, "normal", "normal"),
    ]
    .into_iter()
    .map(|(verdict, one, many)| (of(verdict), one, many))
    .filter(|(n, ..)| *n > 0)
    .map(|(n, one, many)| format!("{n} {}", if n == 1 { one } else { many }))
    .collect()
}

fn way_on(app: &App, roomy: bool) -> String {
    let to = if app
        .store
        .findings()
        .iter()
        .any(|f| f.verdict == Verdict::Fault)
    {
        "fault"
    } else {
        "finding"
    };
    let (next, all) = (
        app.key_of(Command::NextFinding),
        app.key_of(Command::Findings),
    );
    if roomy {
        format!("{next} goes to the {to}, {all} lists all")
    } else {
        format!("{next}: {to}, {all}: all")
    }
}

#[cfg(test)]
mod tests {
    use super::summary;
    use crate::app::testing::{app, finding, read};
    use crate::store::Verdict;

    /// What the summary says in a window of that width; one reset, marked by a finding of that verdict, if any.
    fn said(width: u16, verdict: Option<Verdict>) -> String {
        let mut app = app(width, 48);
        read(&mut app);
        app.with_store(|store| {
            store.clear_findings();
            store.add_findings(
                verdict
                    .map(|verdict| {
                        let mut finding = finding();
                        finding.verdict = verdict;
                        finding
                    })
                    .into_iter()
                    .collect(),
            );
        });
        summary(&app)
    }

    #[test]
    fn resets_are_told_by_their_verdicts_where_there_is_room() {
        let wide = said(160, Some(Verdict::Fault));
        assert!(
            wide.contains("1 reset: 1 fault; findings: 1 fault. e goes to the fault"),
            "{wide}"
        );
        let wide = said(160, Some(Verdict::Benign));
        assert!(
            wide.contains("1 reset: 1 benign; findings: 1 benign"),
            "{wide}"
        );
        let narrow = said(74, Some(Verdict::Benign));
        assert!(narrow.contains("1 reset; findings: 1 benign"), "{narrow}");
    }

    #[test]
    fn a_filter_that_hides_frames_is_said_with_the_summary() {
        let mut app = app(80, 24);
        app.filter = "sid == 5".to_owned();
        let text = summary(&app);
        assert!(
            text.starts_with("filter sid == 5 is on; 1 connection"),
            "{text}"
        );
        assert!(text.chars().count() <= 78, "{text}");
        app.filter = "frame in 1..2 or frame in 3..4 or frame in 5..6".to_owned();
        let text = summary(&app);
        assert!(text.starts_with("filter on; 1 connection"), "{text}");
        assert!(text.chars().count() <= 78, "{text}");
    }

    #[test]
    fn a_reset_that_no_finding_is_about_is_not_passed_over() {
        let text = said(160, None);
        assert!(text.ends_with("1 reset, no findings"), "{text}");
        let mut app = app(160, 48);
        read(&mut app);
        app.with_store(|store| {
            store.clear_findings();
            let mut other = finding();
            other.marks.clear();
            store.add_findings(vec![other]);
        });
        let text = summary(&app);
        assert!(
            text.contains("1 reset: 1 without a finding; findings: 1"),
            "{text}"
        );
    }
}
