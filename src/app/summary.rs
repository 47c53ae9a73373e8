//! The sentence that sums a capture up once it is indexed.

use std::fmt::Write as _;

use super::App;
use crate::app::command::Command;
use crate::store::{ConnRow, Protocol, Store, Verdict};
use crate::units::FrameNo;

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

/// `3 connections, 2 MARS, 5 resets; findings: 1 fault, 4 benign. e goes to the fault, F lists all`; in a narrow window
/// with shorter words, and at last without what weighs least. A finding may be about several resets, or about none: one
/// number is not told by the other.
pub fn summary(app: &App) -> String {
    let verdicts = verdicts(&app.store);
    if verdicts.is_empty() {
        return format!("{}, no findings", facts(app, true));
    }
    let room = usize::from(app.size.0.saturating_sub(2));
    let said = |shown: usize, resets, roomy| {
        let told = verdicts.get(..shown).unwrap_or_default().join(", ");
        let more = if shown < verdicts.len() {
            " and others"
        } else {
            ""
        };
        let way = way_on(app, roomy);
        // Beside the number of resets it must be said what is counted.
        let counted = if resets && app.density.resets() > 0 {
            "; findings"
        } else {
            ""
        };
        format!("{}{counted}: {told}{more}. {way}", facts(app, resets))
    };
    let all = verdicts.len();
    let shorter = (1..all).rev().map(|shown| (shown, false, false));
    let mut forms = [(all, true, true), (all, true, false), (all, false, false)]
        .into_iter()
        .chain(shorter)
        .map(|(shown, resets, roomy)| said(shown, resets, roomy));
    forms
        .find(|text| text.chars().count() <= room)
        .unwrap_or_else(|| said(1, false, false))
}

/// Connections, how many of them are SQL Server's and MARS, and how many resets there are.
fn facts(app: &App, with_resets: bool) -> String {
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
    if with_resets && resets > 0 {
        let _ = write!(out, ", {}", counted(resets, "reset"));
    }
    out
}

/// How many findings there are of each verdict, the gravest first.
fn verdicts(store: &Store) -> Vec<String> {
    let named = [
        (Verdict::Fault, "fault", "faults"),
        (Verdict::Undecided, "undecided", "undecided"),
        (Verdict::LikelyBenign, "likely benign", "likely benign"),
        (Verdict::Benign, "benign", "benign"),
        (Verdict::Notice, "notice", "notices"),
    ];
    let of = |verdict| {
        let findings = store.findings().iter();
        findings.filter(|f| f.verdict == verdict).count()
    };
    named
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

/// `1 frame`, `2 frames`.
pub fn counted(n: usize, what: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{n} {what}{s}")
}
