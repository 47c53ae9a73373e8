//! The sentence that sums a capture up once it is indexed.

use std::fmt::Write as _;

use super::App;
use super::keymap::Keymap;
use crate::app::command::Command;
use crate::store::{Protocol, Store, Verdict};
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

/// `3 connections, 2 MARS; 1 fault, 4 benign. e goes to the fault, F lists all`.
pub fn summary(app: &App) -> String {
    let store = &app.store;
    let conns = store.conns().len();
    let sql = store
        .conns()
        .iter()
        .filter(|c| c.protocol == Protocol::Tds)
        .count();
    let mars = store
        .conns()
        .iter()
        .filter(|c| c.mars == Some(true))
        .count();
    // A live capture is judged before its end.
    let so_far = if app.jobs.indexing { "so far " } else { "" };
    let mut out = format!("{so_far}{}", counted(conns, "connection"));
    let roomy = app.size.0 >= 110;
    if sql != conns && roomy {
        let _ = write!(out, ", {sql} SQL Server");
    }
    let _ = write!(out, ", {mars} MARS");
    let mut parts = Vec::new();
    for (verdict, one, many) in [
        (Verdict::Fault, "fault", "faults"),
        (Verdict::Undecided, "undecided", "undecided"),
        (Verdict::LikelyBenign, "likely benign", "likely benign"),
        (Verdict::Benign, "benign", "benign"),
        (Verdict::Notice, "notice", "notices"),
    ] {
        let n = store
            .findings()
            .iter()
            .filter(|f| f.verdict == verdict)
            .count();
        if n > 0 {
            parts.push(format!("{n} {}", if n == 1 { one } else { many }));
        }
    }
    if parts.is_empty() {
        out.push_str(", no findings");
        return out;
    }
    let _ = write!(
        out,
        "; {}. {}",
        parts.join(", "),
        way_on(store, &app.keymap, roomy)
    );
    out
}

fn way_on(store: &Store, keymap: &Keymap, roomy: bool) -> String {
    let key = |command| {
        keymap
            .keys_of(command)
            .into_iter()
            .next()
            .unwrap_or_default()
    };
    let to = if store.findings().iter().any(|f| f.verdict == Verdict::Fault) {
        "fault"
    } else {
        "finding"
    };
    if !roomy {
        return format!(
            "{}: {to}, {}: all",
            key(Command::NextFinding),
            key(Command::Findings)
        );
    }
    format!(
        "{} goes to the {to}, {} lists all",
        key(Command::NextFinding),
        key(Command::Findings)
    )
}

/// `1 frame`, `2 frames`.
pub fn counted(n: usize, what: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{n} {what}{s}")
}
