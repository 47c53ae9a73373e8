//! Runs a filter over a range of frames in slices, with progress, hits as they come, and a way to stop.

use super::eval::Eval;
use super::scan::{BLOCK, Bits, Block, Known, Scan};
use super::{Event, Filter};
use crate::query::eval::Moment;
use crate::units::FrameNo;

/// Blocks that are asked between two looks at the clock.
const AT_ONCE: usize = 64;
/// Blocks from which on starting threads costs less than it saves.
const WORTH_THREADS: usize = 16;
const MOST_THREADS: usize = 8;

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The first frame that has not been asked.
    pub next: FrameNo,
    /// Hits so far.
    pub hits: u64,
    /// Frames that had to be decoded so far.
    pub decoded: u64,
    /// All frames that the store has, within the run's range, were asked. While the index grows, a later slice
    /// may find more.
    pub done: bool,
}

/// A filter on its way through the frames. It holds no reference to the store, so that the store can grow between
/// two slices.
#[derive(Debug, Clone)]
pub struct Run {
    filter: Filter,
    scan: Scan,
    next: FrameNo,
    last: FrameNo,
    pending: Option<Pending>,
    hits: u64,
    decoded: u64,
}

/// What the columns say about a block.
struct Answer {
    first: FrameNo,
    behind: FrameNo,
    yes: Bits,
    open: Bits,
}

/// The rest of a block whose open frames are being decoded.
#[derive(Debug, Clone)]
struct Pending {
    first: FrameNo,
    frames: Vec<(u16, bool)>,
    at: usize,
    behind: FrameNo,
}

impl Run {
    /// A run over all frames.
    pub fn new(filter: Filter) -> Self {
        Self::over(filter, FrameNo(1), FrameNo(u32::MAX))
    }

    /// A run over the frames from `first` to `last`.
    pub fn over(filter: Filter, first: FrameNo, last: FrameNo) -> Self {
        Self {
            filter,
            scan: Scan::default(),
            next: first.max(FrameNo(1)),
            last,
            pending: None,
            hits: 0,
            decoded: 0,
        }
    }

    /// The filter.
    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    /// How far it has come.
    pub fn progress(&self, eval: &Eval<'_>) -> Progress {
        let end = eval.store.last_frame().unwrap_or(FrameNo(0)).min(self.last);
        Progress {
            next: self.next,
            hits: self.hits,
            decoded: self.decoded,
            done: self.pending.is_none() && self.next > end,
        }
    }

    /// Asks frames until `stop` says so or no frame is left; hits are handed over in file order.
    pub fn step(
        &mut self,
        eval: &Eval<'_>,
        stop: &mut dyn FnMut() -> bool,
        on_hits: &mut dyn FnMut(&[FrameNo]),
    ) -> Progress {
        self.scan
            .prepare(&self.filter.root, self.filter.leaves, eval.store, self.next);
        loop {
            if self.pending.is_some() {
                self.decode(eval, stop, on_hits);
            } else {
                self.blocks(eval, on_hits);
            }
            let progress = self.progress(eval);
            if progress.done || stop() {
                return progress;
            }
        }
    }

    /// Asks the columns about the next blocks, on several threads where there is much to ask. The blocks behind one
    /// with frames to decode have to wait.
    fn blocks(&mut self, eval: &Eval<'_>, on_hits: &mut dyn FnMut(&[FrameNo])) {
        let end = eval.store.last_frame().unwrap_or(FrameNo(0)).min(self.last);
        let one_by_one = eval.decode.is_some() && !self.filter.is_indexed();
        let at_once = if one_by_one { 1 } else { AT_ONCE };
        let mut starts = Vec::new();
        let mut next = self.next;
        while next <= end && starts.len() < at_once {
            starts.push(next);
            next = FrameNo::from_index(next.index().saturating_add(BLOCK));
        }
        for answer in self.ask(eval, &starts) {
            let sure = answer.open.is_empty() || eval.decode.is_none();
            let frame = |at: usize| FrameNo::from_index(answer.first.index().saturating_add(at));
            if sure {
                let mut found = Vec::new();
                if answer.open.is_empty() {
                    answer.yes.push_to(answer.first, &mut found);
                } else {
                    let all = answer.yes.or(&answer.open);
                    let holds = |at: usize| answer.yes.has(at) || self.asked(eval, frame(at));
                    found.extend(all.iter().filter(|at| holds(*at)).map(frame));
                }
                self.hand_over(&found, on_hits);
                self.next = answer.behind;
                continue;
            }
            let frames = answer
                .yes
                .or(&answer.open)
                .iter()
                .map(|at| (u16::try_from(at).unwrap_or(u16::MAX), answer.yes.has(at)))
                .collect();
            self.pending = Some(Pending {
                first: answer.first,
                frames,
                at: 0,
                behind: answer.behind,
            });
            return;
        }
    }

    /// The answers of the columns for blocks, in their order.
    fn ask(&self, eval: &Eval<'_>, starts: &[FrameNo]) -> Vec<Answer> {
        let threads = if starts.len() < WORTH_THREADS {
            1
        } else {
            std::thread::available_parallelism().map_or(1, |n| n.get().min(MOST_THREADS))
        };
        // The columns need no decoding, and a way to decode cannot be shared between threads.
        let (store, marked, ignored) = (eval.store, eval.marked, eval.ignored);
        let share = |starts: &[FrameNo]| -> Vec<Answer> {
            let eval = Eval {
                store,
                marked,
                ignored,
                listed: Some(self.scan.listed()),
                decode: None,
            };
            starts
                .iter()
                .filter_map(|first| self.ask_block(&eval, *first))
                .collect()
        };
        if threads <= 1 {
            return share(starts);
        }
        let (mine, others) = starts.split_at(starts.len().div_ceil(threads));
        std::thread::scope(|scope| {
            let jobs: Vec<_> = others
                .chunks(starts.len().div_ceil(threads))
                .map(|part| (part, scope.spawn(move || share(part))))
                .collect();
            let mut all = share(mine);
            for (part, job) in jobs {
                all.extend(job.join().unwrap_or_else(|_| share(part)));
            }
            all
        })
    }

    fn ask_block(&self, eval: &Eval<'_>, first: FrameNo) -> Option<Answer> {
        let block = Block::at(eval.store, first)?;
        let wanted = self.last.0.saturating_sub(first.0).saturating_add(1);
        let len = usize::try_from(wanted).unwrap_or(BLOCK).min(block.len);
        let mask = Bits::first(len);
        let Known { yes, open } = self.scan.ask(&self.filter.root, &block, eval, &mask);
        Some(Answer {
            first,
            behind: FrameNo::from_index(first.index().saturating_add(len)),
            yes,
            open,
        })
    }

    fn asked(&self, eval: &Eval<'_>, frame: FrameNo) -> bool {
        let event = Event { frame, pdu: None };
        let eval = Eval {
            listed: Some(self.scan.listed()),
            ..*eval
        };
        Moment::new(&eval, event, &[]).holds(&self.filter.root)
    }

    /// Decodes the open frames of a block.
    fn decode(
        &mut self,
        eval: &Eval<'_>,
        stop: &mut dyn FnMut() -> bool,
        on_hits: &mut dyn FnMut(&[FrameNo]),
    ) {
        let Some(mut pending) = self.pending.take() else {
            return;
        };
        let mut found = Vec::new();
        let mut stopped = false;
        while let Some((at, sure)) = pending.frames.get(pending.at).copied() {
            let frame = FrameNo::from_index(pending.first.index().saturating_add(at.into()));
            if !sure && stopped {
                break;
            }
            if !sure {
                self.decoded = self.decoded.saturating_add(1);
            }
            if sure || self.asked(eval, frame) {
                found.push(frame);
            }
            pending.at = pending.at.saturating_add(1);
            stopped = stopped || (!sure && stop());
        }
        self.hand_over(&found, on_hits);
        if pending.at < pending.frames.len() {
            let (at, _) = pending.frames.get(pending.at).copied().unwrap_or_default();
            self.next = FrameNo::from_index(pending.first.index().saturating_add(at.into()));
            self.pending = Some(pending);
        } else {
            self.next = pending.behind;
        }
    }

    fn hand_over(&mut self, found: &[FrameNo], on_hits: &mut dyn FnMut(&[FrameNo])) {
        if !found.is_empty() {
            self.hits = self.hits.saturating_add(found.len() as u64);
            on_hits(found);
        }
    }
}

/// Runs a filter over all frames of a store at once.
pub fn run(filter: &Filter, eval: &Eval<'_>) -> Vec<FrameNo> {
    let mut hits = Vec::new();
    Run::new(filter.clone()).step(eval, &mut || false, &mut |found| hits.extend(found));
    hits
}
