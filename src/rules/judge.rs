//! Runs all rules over a store, at once or in slices between which the screen stays alive.

use std::sync::Arc;

use super::across::Across;
use super::beside;
use super::catalogue::SMP_VIOLATION;
use super::engine;
use super::facts::{Facts, Shared, Walker};
use super::settings::Settings;
use crate::store::{ConnRow, Finding, Forms, Store};
use crate::units::ConnId;

/// With fewer connections a second thread saves nothing that one would notice.
const WORTH_A_THREAD: usize = 256;

/// So many connections are judged before their findings are put to the others: those of a thread of its own are there
/// twice meanwhile.
const AT_ONCE: usize = 16_384;

/// Judges every connection of a finished capture; the findings stand in the store afterwards.
pub fn judge(store: &mut Store, settings: &Settings) {
    store.clear_findings();
    let mut judged = Judged::default();
    let shared = Shared::new(store);
    for conns in store.conns().chunks(AT_ONCE) {
        if conns.len() < WORTH_A_THREAD {
            judged.part(store, conns, settings, &shared);
            continue;
        }
        let (first, second) = conns.split_at(conns.len() / 2);
        let of_second = || {
            let mut judged = Judged::default();
            judged.part(store, second, settings, &shared);
            judged
        };
        std::thread::scope(|scope| {
            let other = scope.spawn(of_second);
            judged.part(store, first, settings, &shared);
            // Where the thread panicked, the same will happen here, where it is caught.
            let other = other.join().unwrap_or_else(|_| of_second());
            judged.findings.extend(other.findings);
            judged.across.merge(other.across);
        });
    }
    store.add_findings(judged.findings);
    finish(store, &mut judged.across, settings);
}

/// Adds what is said across connections.
fn finish(store: &mut Store, across: &mut Across, settings: &Settings) {
    let finished = across.finish(store, settings);
    for finding in finished.findings {
        store.add_finding(finding);
    }
    for (conn, note) in finished.explained {
        store.note_close(conn, note);
    }
}

/// The findings of some connections, in their order, and what was kept of them.
#[derive(Default)]
struct Judged {
    findings: Vec<Finding>,
    across: Across,
    forms: Forms,
}

impl Judged {
    /// Judges the next connections.
    fn part(
        &mut self,
        store: &Store,
        conns: &[Arc<ConnRow>],
        settings: &Settings,
        shared: &Shared,
    ) {
        let mut walker = Walker::default();
        for conn in conns {
            let mut facts = Facts::new(store, conn, settings, shared, &mut walker);
            let before = self.findings.len();
            judge_connection(&mut facts, &mut self.across, &mut self.findings);
            let new = self.findings.iter_mut().skip(before);
            new.for_each(|finding| self.forms.share(finding));
        }
    }
}

/// The rules' way over a capture, taken in slices.
#[derive(Debug)]
pub struct Judge {
    settings: Settings,
    shared: Option<Shared>,
    across: Across,
    forms: Forms,
    walker: Walker,
    next: usize,
    done: bool,
}

impl Judge {
    /// Starts over: the first step forgets the store's findings.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            shared: None,
            across: Across::default(),
            forms: Forms::default(),
            walker: Walker::default(),
            next: 0,
            done: false,
        }
    }

    /// Judges the next connections, at most `max_conns` of them. Returns whether everything is judged.
    pub fn step(&mut self, store: &mut Store, max_conns: usize) -> bool {
        if self.done {
            return true;
        }
        if self.shared.is_none() {
            store.clear_findings();
        }
        let shared = self.shared.get_or_insert_with(|| Shared::new(store));
        let mut findings = Vec::new();
        for _ in 0..max_conns.max(1) {
            let Some(conn) = store.conns().get(self.next) else {
                finish(store, &mut self.across, &self.settings);
                self.walker = Walker::default();
                self.done = true;
                return true;
            };
            self.next = self.next.saturating_add(1);
            let mut facts = Facts::new(store, conn, &self.settings, shared, &mut self.walker);
            judge_connection(&mut facts, &mut self.across, &mut findings);
            drop(facts);
            for mut finding in findings.drain(..) {
                self.forms.share(&mut finding);
                store.add_finding(finding);
            }
        }
        false
    }

    /// How many connections are judged.
    pub fn judged(&self) -> usize {
        self.next
    }
}

/// Adds the finding of the close, then those beside it.
fn judge_connection(facts: &mut Facts<'_>, across: &mut Across, out: &mut Vec<Finding>) {
    let before = out.len();
    out.extend(engine::judge_close(facts));
    let close = out.get(before);
    across.note(facts, close);
    let told = close.is_some_and(|close| close.rule == SMP_VIOLATION.id);
    beside::gather(facts, told, out);
}

/// Judges one connection without storing anything, for tests and for looking again with other settings.
pub fn judge_one(store: &Store, conn: ConnId, settings: &Settings) -> Vec<Finding> {
    let shared = Shared::new(store);
    let mut walker = Walker::default();
    store.conn(conn).map_or_else(Vec::new, |conn| {
        let mut facts = Facts::new(store, conn, settings, &shared, &mut walker);
        let mut findings = Vec::new();
        judge_connection(&mut facts, &mut Across::default(), &mut findings);
        findings
    })
}
