//! The store as it grows: what new rows change, and the work of the rules on them.

use std::sync::Arc;

use super::event::Effect;
use super::{App, Layer, Tone, summary};
use crate::query::user_rules::Applied;
use crate::rules::Judge;
use crate::store::Store;

/// Connections judged in one slice, so that keys are answered in between.
const CONNS_AT_ONCE: usize = 20;

impl App {
    /// Changes the store. A job may still hold it; the loop hands batches over only when none does.
    pub(super) fn with_store(&mut self, change: impl FnOnce(&mut Store)) {
        if let Some(store) = Arc::get_mut(&mut self.store) {
            change(store);
        } else {
            debug_assert!(false, "the loop waits until no job holds the store");
        }
    }

    /// The store has grown.
    pub(super) fn grown(&mut self) {
        let store = Arc::clone(&self.store);
        self.density.grow(&store);
        let (greatest, seen) = self.greatest_sid;
        let sessions = store.sessions();
        let new = sessions.iter().skip(seen).map(|session| session.sid).max();
        self.greatest_sid = (greatest.max(new), sessions.len());
        if !self.timeline.placed && store.frame_count() > 0 {
            self.show_time();
        }
        if let Some(Layer::Table(table)) = self.layers.last() {
            let mut table = table.clone();
            table.refresh(self);
            if let Some(Layer::Table(slot)) = self.layers.last_mut() {
                *slot = table;
            }
        }
    }

    /// All that there is for now was read: it is judged, and what is still to be put back finds its frames.
    pub(super) fn read_so_far(&mut self) -> Vec<Effect> {
        self.announce_damage();
        self.judge_anew();
        let mut effects = self.restore_kept();
        effects.extend(self.restore_carried());
        effects
    }

    /// Begins to judge; what the rules said before no longer counts.
    pub(super) fn judge_anew(&mut self) {
        self.judge = Some(Judge::new(self.rules.clone()));
        self.own_job = 0;
        self.own_found.clear();
    }

    /// A slice of the rules' work; when it was the last, the capture is summed up.
    pub(super) fn work(&mut self) -> Vec<Effect> {
        let Some(mut judge) = self.judge.take() else {
            return self.take_in_own();
        };
        let mut done = false;
        self.with_store(|store| done = judge.step(store, CONNS_AT_ONCE));
        if !done {
            self.judge = Some(judge);
            return Vec::new();
        }
        self.jobs.judged = true;
        self.forget_decoded();
        self.grown();
        if !self.moved {
            let text = summary(self);
            self.announce(Tone::Info, text);
        }
        let mut effects = self.search_again();
        if !self.own_rules.is_empty() {
            self.own_job = self.next_job();
            effects.push(Effect::ApplyRules(self.own_job));
        }
        effects
    }

    /// What the rules say can be asked for in a filter: it is asked again when they are done.
    fn search_again(&mut self) -> Vec<Effect> {
        if self.filter.is_empty() {
            Vec::new()
        } else {
            self.restart_filter()
        }
    }

    /// The user's rules were applied. Findings of an order that no longer counts are dropped.
    pub(super) fn rules_applied(&mut self, job: u64, applied: Applied) {
        if job != self.own_job {
            return;
        }
        let too_broad = applied.too_broad.iter().map(|(rule, conn)| {
            format!("the rule `{rule}` gave up on connection {conn}: its steps fit too many frames")
        });
        self.announce_mistakes(too_broad.collect());
        self.own_found = applied.findings;
    }

    /// Puts the findings of the user's rules into the store.
    fn take_in_own(&mut self) -> Vec<Effect> {
        let found = std::mem::take(&mut self.own_found);
        if found.is_empty() {
            return Vec::new();
        }
        self.with_store(|store| {
            for finding in found {
                store.add_finding(finding);
            }
        });
        self.forget_decoded();
        self.grown();
        self.search_again()
    }
}

#[cfg(test)]
mod own_rules {
    use super::*;
    use crate::app::event::Event;
    use crate::app::testing::{app, finding};
    use crate::app::update::update;
    use crate::query::user_rules;

    const RULE: &str = "[[rule]]\nid = \"mine\"\ntitle = \"t\"\nverdict = \"Fault\"\n\
                        [[rule.step]]\nevent = \"tcp\"\nwhere = \"tcp\"\n";

    fn judged() -> (App, u64) {
        let mut app = app(80, 24);
        app.own_rules = user_rules::read(RULE).unwrap();
        update(&mut app, Event::Indexed(None));
        let mut effects = Vec::new();
        while app.has_work() {
            effects.extend(update(&mut app, Event::Work));
        }
        let job = effects.iter().find_map(|e| match e {
            Effect::ApplyRules(job) => Some(*job),
            _ => None,
        });
        (app, job.unwrap())
    }

    fn applied() -> Applied {
        let mut found = finding();
        found.rule = "mine".into();
        Applied {
            findings: vec![found],
            ..Applied::default()
        }
    }

    fn mine(app: &App) -> usize {
        let findings = app.store.findings().iter();
        findings.filter(|f| f.rule == "mine").count()
    }

    #[test]
    fn findings_come_in_when_no_job_holds_the_store() {
        let (mut app, job) = judged();
        let held = Arc::clone(&app.store);
        update(&mut app, Event::RulesApplied(job, Box::new(applied())));
        assert!(!app.has_work(), "a job holds the store");
        drop(held);
        assert!(app.has_work());
        update(&mut app, Event::Work);
        assert_eq!(mine(&app), 1);
        assert!(!app.has_work());
    }

    #[test]
    fn the_rules_wait_while_an_export_holds_the_store() {
        let mut app = app(80, 24);
        let held = Arc::clone(&app.store);
        update(&mut app, Event::Indexed(None));
        assert!(!app.has_work());
        drop(held);
        assert!(app.has_work());
        while app.has_work() {
            update(&mut app, Event::Work);
        }
        assert!(app.judge.is_none());
    }

    #[test]
    fn findings_of_an_older_order_do_not_count() {
        let (mut app, job) = judged();
        update(&mut app, Event::RulesApplied(job + 1, Box::new(applied())));
        assert!(!app.has_work());
        update(&mut app, Event::Indexed(None));
        update(&mut app, Event::RulesApplied(job, Box::new(applied())));
        while app.has_work() {
            update(&mut app, Event::Work);
        }
        assert_eq!(mine(&app), 0);
    }
}
