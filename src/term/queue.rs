//! The loop: waits for what the one queue brings, takes in all that is there, and says when the screen is due.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{never, select};

use super::input::{Input, Signal};
use super::screen::Screen;
use super::{PROGRESS, Session};
use crate::app::{Effect, Event, update};
use crate::exit::Exit;
use crate::store::Batch;

/// Waiting events are taken in for as long before a draw, so that a flood cannot hold the screen back.
const DRAINED: Duration = Duration::from_millis(6);

/// What the queue brought.
enum Came {
    Input(Input),
    Signal(Signal),
    Batch(Option<Box<Batch>>),
    Notice(Event),
    /// It is time to draw what the index brought.
    Time,
    /// Nothing waits: time for a slice of work.
    Idle,
}

impl Session {
    pub(super) fn run(&mut self, screen: &mut Screen) -> Exit {
        loop {
            let now = Instant::now();
            let waits = self.next_draw().is_some_and(|until| now < until);
            let panes_due = self.panes_behind && self.pace.due(now).is_none();
            if panes_due || (self.stale && !waits) {
                self.draw(screen);
            }
            if !self.app.has_work() {
                self.searches.go_on(&self.app);
            }
            let Some(mut came) = self.wait() else {
                return Exit::Fine;
            };
            let start = Instant::now();
            loop {
                if let Some(exit) = self.take(came, screen) {
                    return exit;
                }
                match self.poll() {
                    Some(next) if start.elapsed() < DRAINED => came = next,
                    Some(next) => {
                        if let Some(exit) = self.take(next, screen) {
                            return exit;
                        }
                        break;
                    }
                    None => break,
                }
            }
        }
    }

    /// Whether the store can change. A job that holds it keeps the rows of the index waiting in their bounded
    /// channel.
    fn is_free(&self) -> bool {
        Arc::strong_count(&self.app.store) == 1
    }

    /// Waits for the next thing; `None` when nothing can come any more.
    fn wait(&self) -> Option<Came> {
        if let Some(came) = self.poll() {
            return Some(came);
        }
        let nothing = never();
        let batches = match &self.batches {
            Some(batches) if self.is_free() => batches,
            _ => &nothing,
        };
        let panes = if self.panes_behind {
            self.pace.due(Instant::now())
        } else {
            None
        };
        let due = [panes, self.next_draw()].into_iter().flatten().min();
        let due = due.map_or_else(never, crossbeam_channel::at);
        let slice = if self.app.has_work() && self.is_free() {
            crossbeam_channel::after(Duration::ZERO)
        } else {
            never()
        };
        select! {
            recv(self.inputs) -> input => input.ok().map(Came::Input),
            recv(self.signals) -> signal => signal.ok().map(Came::Signal),
            recv(batches) -> batch => Some(Came::Batch(batch.ok().map(Box::new))),
            recv(self.noticed) -> notice => notice.ok().map(Came::Notice),
            recv(due) -> _ => Some(Came::Time),
            recv(slice) -> _ => Some(Came::Idle),
        }
    }

    /// Until when what has changed waits to be drawn.
    fn next_draw(&self) -> Option<Instant> {
        let progress = self
            .waiting_progress
            .then(|| self.drawn.checked_add(PROGRESS))
            .flatten();
        progress.or(self.held_back.filter(|_| self.stale))
    }

    /// What is waiting already; keys first.
    fn poll(&self) -> Option<Came> {
        if let Ok(input) = self.inputs.try_recv() {
            return Some(Came::Input(input));
        }
        if let Ok(signal) = self.signals.try_recv() {
            return Some(Came::Signal(signal));
        }
        if let Ok(notice) = self.noticed.try_recv() {
            return Some(Came::Notice(notice));
        }
        let batches = self.batches.as_ref().filter(|_| self.is_free())?;
        batches
            .try_recv()
            .ok()
            .map(|batch| Came::Batch(Some(Box::new(batch))))
    }

    /// Takes one thing in; returns how the program ends, if it ends.
    fn take(&mut self, came: Came, screen: &mut Screen) -> Option<Exit> {
        let mut can_wait = false;
        // When a key came.
        let mut key = None;
        let event = match came {
            Came::Input(Input::Event(event)) => {
                if matches!(event, Event::Key(_)) {
                    screen.count_key();
                    key = Some(Instant::now());
                }
                #[cfg(debug_assertions)]
                if let Event::Key(key) = event {
                    super::guard::panic_if_asked(key);
                }
                event
            }
            Came::Input(Input::Gone) | Came::Signal(Signal::End) => {
                return Some(Exit::Interrupted);
            }
            Came::Signal(Signal::Suspend) => {
                screen.suspend();
                Event::Resumed
            }
            Came::Batch(Some(batch)) => {
                can_wait = true;
                Event::Batch(batch)
            }
            Came::Batch(None) => {
                self.batches = None;
                Event::Indexed(self.app.store.progress().stopped.clone())
            }
            Came::Notice(event) => {
                if let Event::Found { job, done, .. } = event {
                    self.searches.ended(job, done);
                    self.held_back = None;
                    can_wait = !done;
                }
                event
            }
            Came::Idle => {
                can_wait = true;
                Event::Work
            }
            Came::Time => return None,
        };
        let working = self.app.has_work();
        let full = self.app.visible().len() >= self.app.page();
        let cursor = self.app.list.cursor;
        let effects = update(&mut self.app, event);
        let moved = self.app.list.cursor != cursor;
        if let Some(when) = key {
            let searches = |effect: &Effect| matches!(effect, Effect::Search(_));
            let leads_on = moved || effects.iter().any(searches);
            self.pace.set_slow(self.app.settings.low_bandwidth);
            self.pace.key(when, leads_on);
        }
        // Rows behind a full page, and verdicts still to come, change only numbers: they can wait.
        can_wait &= full && !moved && (!working || self.app.has_work());
        self.waiting_progress = can_wait && (self.waiting_progress || !self.stale);
        self.stale = true;
        effects
            .into_iter()
            .find_map(|effect| self.carry_out(effect, screen))
    }
}
