//! Reading one file from its first record to its last, in stretches, over damage and through growth.

use std::io;
use std::time::Duration;

use super::chunk::{Chunk, Pool};
use super::cut::{Cutter, Detected, MAX_PROBLEMS, Out, Search, Stop, to_u64};
use super::open::CaptureFile;
use super::window::{Window, Windows};

/// Bytes read at once: large enough to make reading cheap, small enough to stay in the processor's cache.
pub(super) const STRETCH: usize = 256 << 10;
/// So long a reader waits for bytes that are still arriving before it lets its caller look around.
const PATIENCE: Duration = Duration::from_millis(20);

/// What one step of reading gave.
#[derive(Debug)]
pub(super) enum Step {
    /// Records, interfaces or problems.
    Chunk(Chunk),
    /// Nothing in this stretch, but there are more.
    Busy,
    /// Nothing yet; more will come of itself.
    Waiting,
    /// Nothing now; the file may grow.
    Idle,
    /// Nothing more.
    Done,
}

/// Where reading stands within one file.
#[derive(Debug)]
pub(super) struct FileReader {
    /// The file, by its position in the list of files.
    file: usize,
    /// Whether its end is only the end for now.
    follow: bool,
    cutter: Option<Cutter>,
    /// Position of the next byte to read.
    next: u64,
    /// Bytes read so far, each time anew.
    read: u64,
    /// What was read of it from `next` on already.
    ahead: Windows,
    /// Bytes in front of `next` that are not done with.
    carry: Vec<u8>,
    /// The carried bytes have not been looked at as the last ones of the file.
    fresh: bool,
    /// Bytes that the record at the start of `carry` needs in all.
    wanted: usize,
    /// Position of damage behind which records are looked for.
    searching: Option<u64>,
    done: bool,
    problems_left: u32,
    /// Records of the last stretch: about as many are in the next.
    records: usize,
}

impl FileReader {
    pub(super) fn new(file: usize, follow: bool) -> Self {
        Self {
            file,
            follow,
            cutter: None,
            next: 0,
            read: 0,
            ahead: Windows::default(),
            carry: Vec::new(),
            fresh: false,
            wanted: 0,
            searching: None,
            done: false,
            problems_left: MAX_PROBLEMS,
            records: 0,
        }
    }

    /// How many of the file's bytes are read.
    pub(super) fn progress(&self, file: &CaptureFile) -> u64 {
        match self.cutter {
            // Reads its frame table, at the end, first, and some of its frames again.
            Some(Cutter::NetMon(_)) => self.read.min(file.expected_bytes()),
            _ => self.next,
        }
    }

    /// Reads on to the next records, interfaces or problems.
    pub(super) fn step(
        &mut self,
        file: &CaptureFile,
        pool: &Pool,
        next_interface: &mut u32,
    ) -> Step {
        while !self.done {
            let window = self.window(file, pool);
            let mut chunk = Chunk::default();
            chunk
                .records
                .reserve(self.records.saturating_add(self.records / 8));
            let mut problems_left = self.problems_left;
            let mut out = Out {
                file: self.file,
                records: &mut chunk.records,
                interfaces: &mut chunk.interfaces,
                side_blocks: &mut chunk.side_blocks,
                problems: &mut chunk.problems,
                next_interface,
                problems_left: &mut problems_left,
            };
            let window = match window {
                Ok(window) => window,
                Err(error) => {
                    out.problem(self.next, format!("cannot be read on: {error}"));
                    self.done = true;
                    return Step::Chunk(chunk);
                }
            };
            let got = window.len();
            let (buf, used) = window.behind(&self.carry);
            let base = self.next.saturating_sub(to_u64(self.carry.len()));
            self.next = self.next.saturating_add(to_u64(got));
            self.read = self.read.saturating_add(to_u64(got));
            if got == 0 && !self.fresh {
                pool.put(buf);
                if let Some(pause) = self.pause(file) {
                    if matches!(pause, Step::Chunk(_)) {
                        continue;
                    }
                    return pause;
                }
                self.end(base, file, &mut out);
                self.problems_left = problems_left;
                if chunk.problems.is_empty() {
                    continue;
                }
                return Step::Chunk(chunk);
            }
            self.fresh = false;
            let last =
                got == 0 && !self.follow && !file.source().growing(self.next, Duration::ZERO);
            let bytes = buf.get(used.clone()).unwrap_or_default();
            self.look_at(bytes, base, last, &mut out);
            self.problems_left = problems_left;
            if chunk.records.is_empty()
                && chunk.interfaces.is_empty()
                && chunk.side_blocks.is_empty()
                && chunk.problems.is_empty()
            {
                pool.put(buf);
                // Looking for records behind damage can take long.
                if self.searching.is_some() {
                    return Step::Busy;
                }
            } else {
                self.records = chunk.records.len();
                chunk.data = pool.data(buf, used);
                return Step::Chunk(chunk);
            }
        }
        Step::Done
    }

    /// The next bytes, with room in front for those that are carried.
    fn window(&mut self, file: &CaptureFile, pool: &Pool) -> io::Result<Window> {
        let carried = self.carry.len();
        if let Some(window) = self.ahead.next_at(self.next, carried) {
            return Ok(window);
        }
        let size = STRETCH.max(self.wanted.saturating_sub(carried));
        Window::read(file.source(), pool, self.next, carried, size)
    }

    /// Where reading will stand when so many bytes more are read; `None` if it may well go on elsewhere, or wait.
    pub(super) fn behind(&self, bytes: u64, file: &CaptureFile) -> Option<u64> {
        let reads_on = matches!(self.cutter, Some(Cutter::Pcap(_) | Cutter::PcapNg(_)));
        let plain = reads_on && self.searching.is_none() && !self.done && !file.is_stream();
        let behind = self.next.saturating_add(bytes);
        (plain && behind < file.size()).then_some(behind)
    }

    /// Takes over what was read ahead.
    pub(super) fn offer(&mut self, windows: Windows) {
        self.ahead = windows;
    }

    /// At the end of what is there: whether there is reason not to call it the file's end. A chunk means that
    /// reading can go on at once.
    fn pause(&self, file: &CaptureFile) -> Option<Step> {
        if file.source().growing(self.next, PATIENCE) {
            let more = file.source().size().is_ok_and(|size| size > self.next);
            return Some(if more {
                Step::Chunk(Chunk::default())
            } else {
                Step::Waiting
            });
        }
        // A file that was cut short or written anew is not the one that was followed.
        let whole = file.source().size().is_ok_and(|size| size >= self.next);
        (self.follow && whole).then_some(Step::Idle)
    }

    /// The file has ended; says what is missing, and goes on elsewhere in it if the format can.
    fn end(&mut self, base: u64, file: &CaptureFile, out: &mut Out<'_>) {
        let left = self.carry.len();
        if self.searching.is_none() && self.resume(base, out) {
            return;
        }
        let next = match (&mut self.cutter, self.searching) {
            (_, Some(damage)) => {
                out.problem(
                    damage,
                    "no record was found behind the damage, up to the end of the file",
                );
                None
            }
            (Some(cutter), None) => cutter.end(left, self.wanted, base, out),
            (None, None) => None,
        };
        self.carry.clear();
        self.wanted = 0;
        if let Some(next) = next {
            self.next = next;
            return;
        }
        self.done = true;
        if let Some(error) = file.source().error() {
            out.problem(
                base,
                format!("the rest cannot be unpacked or received: {error}"),
            );
        }
        if let (Ok(now), false) = (file.source().size(), file.is_stream())
            && now < file.size().max(base)
        {
            out.problem(
                now,
                format!(
                    "the file became shorter while it was open: {now} of {} bytes are there",
                    file.size().max(base)
                ),
            );
        }
    }

    /// Where records stand in what was taken for a last record that is cut, its length was wrong.
    fn resume(&mut self, base: u64, out: &mut Out<'_>) -> bool {
        let Some(cutter) = &self.cutter else {
            return false;
        };
        let inside = self.carry.get(1..).unwrap_or_default();
        let Search::Found(at) = cutter.search(inside, true) else {
            return false;
        };
        out.problem(
            base,
            format!(
                "a record with a wrong length ({} bytes, beyond the end of the file)",
                self.wanted
            ),
        );
        self.searching = Some(base);
        self.read_again_from(base.saturating_add(to_u64(at)).saturating_add(1));
        true
    }

    /// Takes in bytes that begin at `base` in the file; `last` says that no more will come.
    fn look_at(&mut self, bytes: &[u8], base: u64, last: bool, out: &mut Out<'_>) {
        if self.cutter.is_none() {
            match Cutter::detect(bytes) {
                Detected::Format(cutter) => self.cutter = Some(cutter),
                // It was one when it was opened.
                Detected::Broken(_) | Detected::Other => {
                    out.problem(base, "the file has been replaced while it was open");
                    self.done = true;
                    return;
                }
            }
        }
        let Some(cutter) = &mut self.cutter else {
            return;
        };
        if let Some(damage) = self.searching {
            match cutter.search(bytes, last) {
                Search::Found(at) => {
                    let position = base.saturating_add(to_u64(at));
                    out.problem(
                        position,
                        format!(
                            "records are found again here, {} bytes behind the damage",
                            position.saturating_sub(damage)
                        ),
                    );
                    self.searching = None;
                    self.read_again_from(position);
                }
                Search::Nothing(at) => {
                    self.keep(bytes, at);
                    self.fresh = !last && at < bytes.len();
                }
            }
            return;
        }
        let (consumed, stop) = cutter.cut(bytes, base, last, out);
        let position = base.saturating_add(to_u64(consumed));
        self.wanted = 0;
        match stop {
            Stop::More(wanted) => {
                self.wanted = wanted;
                self.keep(bytes, consumed);
            }
            Stop::Unsure(wanted) => {
                self.wanted = wanted;
                self.keep(bytes, consumed);
                self.fresh = !last;
            }
            Stop::Jump(to) => self.read_again_from(to),
            Stop::End => self.done = true,
            Stop::Damaged(what) => {
                out.problem(position, what);
                self.searching = Some(position);
                self.read_again_from(position.saturating_add(1));
            }
        }
    }

    /// Goes on at a position. Where there is much damage, reading a stretch anew is cheaper than carrying along
    /// what may be a very long buffer.
    fn read_again_from(&mut self, position: u64) {
        self.next = position;
        self.carry.clear();
        self.fresh = false;
    }

    fn keep(&mut self, bytes: &[u8], from: usize) {
        self.carry.clear();
        let rest = bytes.get(from..).unwrap_or_default();
        self.carry.extend_from_slice(rest);
    }
}
