//! Carries out what the state of the screen asks for.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::screen::Screen;
use super::search::Searches;
use super::{Session, work};
use crate::app::export_form::Order;
use crate::app::{Effect, Event, update};
use crate::capture::{Capture, OpenOptions};
use crate::dissect::Dissector;
use crate::exit::Exit;
use crate::track;

/// A search that was just started may answer within this time before the screen is drawn without its hits: one draw
/// instead of two.
const QUICK_ANSWER: Duration = Duration::from_millis(12);

impl Session {
    /// Reads a capture in place of the one before: the same files with other times, or growing. What is still
    /// under way of the old one is stopped.
    fn read_anew(&mut self, capture: Capture) {
        self.indexing.stop();
        self.stop_rules.store(true, Ordering::Relaxed);
        self.capture = capture;
        self.dissector = Dissector::new();
        match Searches::new(self.capture.clone(), self.tell.clone()) {
            Ok(searches) => self.searches = searches,
            Err(error) => {
                let text = format!("a thread cannot be started: {error}");
                update(&mut self.app, Event::Message(Err(text)));
            }
        }
        self.started = Instant::now();
        self.indexing = track::start(self.capture.clone(), track::Options::default());
        self.batches = Some(self.indexing.batches.clone());
    }

    fn ordered(&self, order: Box<Order>) -> work::Ordered {
        work::Ordered {
            store: Arc::clone(&self.app.store),
            capture: self.capture.clone(),
            order,
            rules: self.app.rules.clone(),
        }
    }

    pub(super) fn carry_out(&mut self, effect: Effect, screen: &mut Screen) -> Option<Exit> {
        match effect {
            Effect::Quit => return Some(Exit::Fine),
            Effect::Suspend => {
                screen.suspend();
                update(&mut self.app, Event::Resumed);
            }
            Effect::Clear => screen.forget(),
            Effect::Decode(command, count) => {
                self.look(&self.app.wanted());
                let effects = update(&mut self.app, Event::Run(command, count));
                return effects
                    .into_iter()
                    .find_map(|effect| self.carry_out(effect, screen));
            }
            Effect::Mouse(on) => screen.use_mouse(on),
            Effect::Copy(text) => {
                if let Err(error) = screen.copy(&text) {
                    update(&mut self.app, Event::Message(Err(format!("copy: {error}"))));
                }
            }
            Effect::StopIndexing => self.indexing.stop(),
            Effect::Shift(file, ns) => self.read_anew(self.capture.shifted(file, ns)),
            Effect::FollowFile => {
                let paths: Vec<_> = self
                    .capture
                    .files()
                    .iter()
                    .map(|f| f.path().to_owned())
                    .collect();
                match Capture::open(&paths, &OpenOptions { follow: true }) {
                    Ok(capture) => self.read_anew(capture),
                    Err(error) => {
                        // What was read before is read again.
                        self.read_anew(self.capture.clone());
                        update(&mut self.app, Event::Message(Err(error.to_string())));
                    }
                }
            }
            Effect::ApplyRules(job) => {
                self.stop_rules.store(true, Ordering::Relaxed);
                self.stop_rules = Arc::new(AtomicBool::new(false));
                work::apply_rules(
                    Arc::clone(&self.app.store),
                    self.capture.clone(),
                    self.app.own_rules.clone(),
                    job,
                    Arc::clone(&self.stop_rules),
                    self.tell.clone(),
                );
            }
            Effect::Export(order) => {
                self.stop_export.store(false, Ordering::Relaxed);
                self.exporting = work::export(
                    self.ordered(order),
                    Arc::clone(&self.stop_export),
                    self.tell.clone(),
                );
            }
            Effect::ExportText(order) => {
                work::export_text(self.ordered(order), self.tell.clone());
            }
            Effect::Foresee(number, order) => {
                work::foresee(self.ordered(order), number, self.tell.clone());
            }
            Effect::WriteList {
                list,
                path,
                replace,
            } => {
                let result = list.save(Path::new(&path), &self.capture, replace);
                update(&mut self.app, Event::ListWritten(path, result));
            }
            Effect::Keep {
                section,
                key,
                value,
            } => {
                let result = self.config.keep(section, &key, &value);
                update(&mut self.app, Event::Kept(result));
            }
            Effect::StopExport => self.stop_export.store(true, Ordering::Relaxed),
            Effect::Search(search) => {
                self.searches.start(*search);
                self.held_back = Instant::now().checked_add(QUICK_ANSWER);
            }
            Effect::StopSearch(job) => self.searches.stop(job),
        }
        None
    }
}
