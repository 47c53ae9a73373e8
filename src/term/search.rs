//! Searches in slices between events, so that keys are answered while they run.

use std::time::{Duration, Instant};

use crate::app::{App, Event, Search};
use crate::query::find::Find;
use crate::query::{Dissected, Eval};
use crate::store::Store;

/// How long a slice takes.
const SLICE: Duration = Duration::from_millis(4);

/// The searches that run, and those that have seen all frames so far and wait for more.
#[derive(Debug, Default)]
pub struct Searches {
    running: Vec<Job>,
}

#[derive(Debug)]
struct Job {
    number: u64,
    find: Find,
    /// Frames of the store when it had seen them all.
    seen: Option<usize>,
}

impl Searches {
    /// Starts a search.
    pub fn start(&mut self, search: Search) {
        self.running.push(Job {
            number: search.job,
            find: Find::new(search.needle),
            seen: None,
        });
    }

    /// Forgets a search.
    pub fn stop(&mut self, number: u64) {
        self.running.retain(|job| job.number != number);
    }

    /// Whether a search has frames to ask.
    pub fn are_busy(&self, store: &Store) -> bool {
        self.running
            .iter()
            .any(|job| job.seen != Some(store.frame_count()))
    }

    /// A slice of the first search that has frames to ask; what came of it.
    pub fn step(&mut self, app: &App, decoder: &Dissected<'_>) -> Vec<Event> {
        let count = app.store.frame_count();
        let Some(job) = self.running.iter_mut().find(|job| job.seen != Some(count)) else {
            return Vec::new();
        };
        let ranges = |set: &crate::export::FrameSet| -> Vec<(u32, u32)> {
            set.ranges().map(|(a, b)| (a.0, b.0)).collect()
        };
        let (marked, ignored) = (ranges(&app.marks), ranges(&app.ignored));
        let eval = Eval {
            store: &app.store,
            marked: &marked,
            ignored: &ignored,
            decode: Some(decoder),
        };
        let end = Instant::now() + SLICE;
        let mut frames = Vec::new();
        let progress = job
            .find
            .step(&eval, decoder, &mut || Instant::now() >= end, &mut |hits| {
                frames.extend(hits);
            });
        if progress.done {
            job.seen = Some(count);
        }
        vec![Event::Found {
            job: job.number,
            frames,
            asked: u64::from(progress.next.0.saturating_sub(1)),
            done: progress.done,
        }]
    }
}
