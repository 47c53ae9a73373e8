//! What the program writes to the terminal per action, against the budgets of the design, at both design sizes.
//!
//! Every page is one of a MARS connection, with requests, answers and SMP control packets: neighbouring frames
//! differ in row, tree and bytes. Counted is all that an action makes the program write until the screen rests.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::support::pty::{Change, Terminal};
use crate::support::shared_or_skip;

/// Budgets in bytes for a size.
#[derive(Clone, Copy)]
struct Budgets {
    size: (u16, u16),
    /// A step of the cursor within the page.
    cursor: usize,
    /// A step of the cursor, on average over as many as the page has rows, and of a key that is held down.
    scroll: usize,
    /// A page, or a jump far away.
    page: usize,
    first_screen: usize,
}

const BUDGETS: [Budgets; 2] = [
    Budgets {
        size: (80, 24),
        cursor: 300,
        scroll: 700,
        page: 1800,
        first_screen: 3000,
    },
    Budgets {
        size: (160, 48),
        cursor: 600,
        scroll: 900,
        page: 4000,
        first_screen: 7000,
    },
];

const UP: &str = "k";
const DOWN: &str = "j";
const PAGE_UP: &str = "\x1b[5~";
const PAGE_DOWN: &str = "\x1b[6~";

/// What progress may cost while a capture is read, in bytes a second.
const PROGRESS: usize = 40;

/// The only MARS connection of the demo.
const ONLY_MARS: &str = "&conn == 7\r";
/// Frames of it with pages of its traffic on both sides.
const IN_THE_MIDDLE: [&str; 2] = ["39853", "79119"];
/// Its close.
const CLOSE: &str = "93704";

/// What was written, and what may be.
struct Line {
    what: String,
    budget: usize,
    bytes: usize,
}

/// The measurements of one terminal.
struct Measured {
    term: Terminal,
    budgets: Budgets,
    lines: Vec<Line>,
}

impl Measured {
    fn start(budgets: Budgets, args: &[&str]) -> Self {
        Self {
            term: Terminal::start(budgets.size, args, &[]),
            budgets,
            lines: Vec::new(),
        }
    }

    fn rows(&self) -> usize {
        (usize::from(self.budgets.size.1) * 2).div_ceil(5)
    }

    fn note(&mut self, what: &str, budget: usize, bytes: usize) {
        let (w, h) = self.budgets.size;
        let what = format!("{w}x{h} {what}");
        self.lines.push(Line {
            what,
            budget,
            bytes,
        });
    }

    /// Bytes written for a key that is pressed and pressed again when the screen rests; on average.
    fn single(&mut self, what: &str, budget: usize, key: &str, times: usize) {
        let written = self.term.written();
        for _ in 0..times {
            let before = self.term.screen();
            self.term.press(key);
            assert_ne!(self.term.screen(), before, "{what}: nothing has changed");
        }
        let bytes = (self.term.written() - written) / times;
        self.note(what, budget, bytes);
    }

    /// Bytes written for the jump to a frame; its number stands in the status line already.
    fn far_jump(&mut self, to: &str) {
        self.term.press(to);
        let what = format!("far jump to {to}");
        self.single(&what, self.budgets.page, "G", 1);
    }

    /// Bytes written for a key that is held down. On a busy machine keys come one by one all the same.
    fn held(&mut self, what: &str, key: &str, times: usize) {
        let (written, before) = (self.term.written(), self.term.screen());
        for _ in 0..times {
            self.term.send(key);
            sleep(Duration::from_millis(30));
        }
        self.term.rest();
        assert_ne!(self.term.screen(), before, "{what}: nothing has changed");
        let bytes = (self.term.written() - written) / times;
        self.note(what, self.budgets.scroll, bytes);
    }

    /// So many steps within the page, then on across its edge, in a direction, and back by pages and with the key
    /// held.
    fn walk(&mut self, around: &str, within: usize, [there, back]: [&str; 2], pages: [&str; 2]) {
        let rows = self.rows();
        let Budgets {
            cursor,
            scroll,
            page,
            ..
        } = self.budgets;
        let what = |what: &str, key: &str| format!("{what} {key:?} around {around}");
        self.single(&what("cursor", there), cursor, there, within);
        self.single(&what("scroll", there), scroll, there, rows);
        self.held(&what("held", there), there, rows * 2);
        self.held(&what("held", back), back, rows * 2);
        self.single(&what("page", pages[0]), page, pages[0], 2);
        self.single(&what("page", pages[1]), page, pages[1], 2);
    }

    fn end(mut self) -> Vec<Line> {
        self.term.press("q");
        self.term.end();
        self.lines
    }
}

/// The demo's MARS connection: far jumps, and both ways from where they lead.
fn demo(budgets: Budgets) -> Vec<Line> {
    let mut measured = Measured::start(budgets, &["--demo", "--no-state"]);
    // The sentence that sums the capture up.
    measured.term.wait_for("1 benign");
    let bytes = measured.term.written();
    measured.note("first screen", budgets.first_screen, bytes);
    measured.term.press(ONLY_MARS);
    let (up, down) = ([PAGE_UP, PAGE_DOWN], [PAGE_DOWN, PAGE_UP]);
    let rows = measured.rows();
    // A far jump puts its frame into the middle of the page; the close stands at its end.
    let half = rows / 2 - 2;
    let [one, other] = IN_THE_MIDDLE;
    measured.far_jump(one);
    measured.walk(one, half, [UP, DOWN], up);
    measured.far_jump(other);
    measured.walk(other, half, [DOWN, UP], down);
    measured.far_jump(CLOSE);
    measured.walk(CLOSE, rows - 2, [UP, DOWN], up);
    measured.single("to the start", budgets.page, "gg", 1);
    measured.single("to the end", budgets.page, "G", 1);
    measured.end()
}

/// A recorded connection, with several sessions at work at the same time.
fn recorded(budgets: Budgets, file: &str) -> Vec<Line> {
    let mut measured = Measured::start(budgets, &[file, "--no-state"]);
    measured.term.wait_for("1 MARS");
    measured.far_jump("150");
    let half = measured.rows() / 2 - 2;
    measured.walk("150, recorded", half, [UP, DOWN], [PAGE_UP, PAGE_DOWN]);
    measured.single("end, recorded", budgets.page, "G", 1);
    measured.single("start, recorded", budgets.page, "gg", 1);
    measured.end()
}

fn assert_within(lines: &[Line]) {
    let mut report = String::new();
    for line in lines {
        let too_much = if line.bytes > line.budget {
            ": TOO MUCH"
        } else {
            ""
        };
        let (what, bytes, budget) = (&line.what, line.bytes, line.budget);
        let _ = writeln!(report, "{what}: {bytes} of {budget} B{too_much}");
    }
    eprintln!("{report}");
    assert!(
        lines.iter().all(|line| line.bytes <= line.budget),
        "{report}"
    );
}

#[test]
fn keys_stay_within_their_budgets_at_80x24() {
    assert_within(&demo(BUDGETS[0]));
}

#[test]
fn keys_stay_within_their_budgets_at_160x48() {
    assert_within(&demo(BUDGETS[1]));
}

#[test]
fn keys_stay_within_their_budgets_on_a_recorded_connection() {
    let Some(shared) = shared_or_skip("line cost of a recorded connection") else {
        return;
    };
    let file = shared.join("captures/recorded/b1-interleaved-odbc.client.pcapng");
    let file = file.to_string_lossy();
    let lines = BUDGETS
        .into_iter()
        .flat_map(|budgets| recorded(budgets, &file));
    assert_within(&lines.collect::<Vec<_>>());
}

#[test]
fn a_rest_writes_nothing() {
    let mut term = Terminal::start((80, 24), &["--demo", "--no-state"], &[]);
    term.wait_for("1 benign");
    let before = term.written();
    sleep(Duration::from_millis(2500));
    assert_eq!(term.written(), before);
    term.press("q");
    term.end();
}

/// As long before its end a pass may begin to sum up.
const SUMMED_UP: Duration = Duration::from_millis(500);

/// A capture that takes some seconds to be read, whatever the machine: the demo's, again and again, each time later.
fn long_capture(folder: &Path) -> PathBuf {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/demo.pcapng.zst");
    let mut bytes = zstd::decode_all(File::open(demo).unwrap()).unwrap();
    let path = folder.join("long.pcapng");
    let mut file = File::create(&path).unwrap();
    for _ in 0..30 {
        file.write_all(&bytes).unwrap();
        put_off(&mut bytes);
    }
    path
}

/// Lets the frames of a pcapng file stand a thousand seconds later; the demo counts in units of 100 ns.
fn put_off(bytes: &mut [u8]) {
    const ENHANCED_PACKET: u32 = 6;
    let mut block = bytes;
    while block.len() >= 8 {
        let word = |at: usize| u32::from_le_bytes(block[at..at + 4].try_into().unwrap());
        let (kind, len) = (word(0), word(4) as usize);
        if kind == ENHANCED_PACKET {
            let time = (u64::from(word(12)) << 32 | u64::from(word(16))) + 1000 * 10_000_000;
            let halves = time.rotate_left(32);
            block[12..20].copy_from_slice(&halves.to_le_bytes());
        }
        block = &mut block[len..];
    }
}

#[test]
fn progress_while_indexing_costs_next_to_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = long_capture(folder.path());
    let path = path.to_str().unwrap();
    for extra in [&[][..], &["--low-bandwidth"]] {
        let mut args = vec![path, "--no-state"];
        args.extend(extra);
        let mut term = Terminal::start((80, 24), &args, &[]);
        // The page is full, and its first frame decoded.
        while !(term.line(11).contains("  10 ") && term.line(17).contains("Frame")) {
            assert!(
                !term.screen().contains(" 4 MARS"),
                "read before it was seen"
            );
            sleep(Duration::from_millis(10));
        }
        sleep(Duration::from_millis(100));
        let (start, written) = (Instant::now(), term.written());
        let mut seen = String::new();
        while term.screen().contains("indexed ") {
            seen = term.line(22);
            sleep(Duration::from_millis(100));
        }
        // What the end of the reading writes, when the capture is summed up, does not count.
        let end = Instant::now().checked_sub(SUMMED_UP).unwrap();
        let changes = term.changes(written);
        let last = changes.iter().rfind(|c| c.at <= end);
        let cost = last.map_or(0, |last| last.end - written);
        let lasted = end.saturating_duration_since(start);
        let seconds = usize::try_from(lasted.as_secs()).unwrap() + 1;
        assert!(seen.contains("% ") && seen.contains("frames"), "{seen}");
        assert_eq!(seen.contains("MB/s"), extra.is_empty(), "{seen}");
        assert!(cost <= PROGRESS * seconds, "{cost} B in {seconds} s");
        term.wait_for(" 4 MARS");
        term.press("q");
        term.end();
    }
}

/// How long after a key the last bytes of its answer came.
fn last_answer(term: &mut Terminal, key: &str) -> (Duration, Vec<Change>) {
    let (start, from) = (Instant::now(), term.written());
    term.press(key);
    sleep(Duration::from_millis(200));
    let changes = term.changes(from);
    let last = changes.last().map_or(start, |change| change.at);
    (last.duration_since(start), changes)
}

#[test]
fn on_a_slow_line_the_panes_follow_the_list_after_a_rest() {
    let args = ["--demo", "--no-state", "--low-bandwidth"];
    let mut term = Terminal::start((80, 24), &args, &[]);
    term.wait_for("1 benign");
    term.press(ONLY_MARS);
    let (rest, changes) = last_answer(&mut term, DOWN);
    assert!(rest >= Duration::from_millis(140), "{rest:?}");
    // The list came first, in a piece of its own.
    assert!(changes.len() >= 2, "{} pieces", changes.len());
    // Keys that follow each other sooner are answered by the list alone; the panes are drawn once, at the end.
    term.press("39853");
    term.press("G");
    let written = term.written();
    for _ in 0..4 {
        term.send(UP);
        sleep(Duration::from_millis(70));
    }
    term.rest();
    sleep(Duration::from_millis(200));
    let held = term.written() - written;
    term.press(":set low-bandwidth off\r");
    let written = term.written();
    for _ in 0..4 {
        term.send(UP);
        sleep(Duration::from_millis(70));
    }
    term.rest();
    let all = term.written() - written;
    assert!(held < all, "{held} B, and {all} B without");
    term.press("q");
    term.end();
}
