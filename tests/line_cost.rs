//! What the program writes to the terminal per key, against the budgets of the design, at both design sizes.
//!
//! Every page is one of a MARS connection, with requests, answers and SMP control packets: neighbouring frames
//! differ in row, tree and bytes. Where single keys change more cells of the screen than the budget has bytes, the
//! budget cannot hold, because no terminal takes a cell in less than a byte; then the test asks for little more than
//! the cells themselves. That is so at 160x48, where the bytes pane shows 14 rows of 16 bytes: a request and its
//! answer have next to no byte in common there.

use std::fmt::Write as _;
use std::thread::sleep;
use std::time::Duration;

use crate::support::pty::Terminal;

/// Budgets in bytes: size, cursor within the page, scroll (average), page and far jump, first screen.
const BUDGETS: [((u16, u16), [usize; 4]); 2] = [
    ((80, 24), [300, 700, 1800, 3000]),
    ((160, 48), [600, 900, 4000, 7000]),
];

/// The only MARS connection of the demo.
const ONLY_MARS: &str = "&conn == 7\r";
/// Frames of it: its login and first requests, requests and answers, its close.
const PAGES: [&str; 3] = [":18200\r", ":50000\r", ":93665\r"];

/// What a budget is for, what it is, what was written, and how many cells changed.
struct Line {
    what: String,
    budget: usize,
    bytes: usize,
    cells: usize,
}

impl Line {
    fn allowed(&self) -> usize {
        // Escape sequences between the runs of changed cells come on top of these.
        self.budget.max(if self.cells > self.budget {
            self.cells * 3 / 2
        } else {
            0
        })
    }
}

/// Bytes written and cells changed by keys, on average.
fn average(term: &mut Terminal, key: &str, times: usize) -> (usize, usize) {
    let (mut bytes, mut cells) = (0, 0);
    for _ in 0..times {
        let (before, written) = (term.cells(), term.written());
        term.press(key);
        bytes += term.written() - written;
        let after = term.cells();
        cells += before.iter().zip(&after).filter(|(a, b)| a != b).count();
    }
    (bytes / times, cells / times)
}

/// Bytes written for a key that is held down.
fn held(term: &mut Terminal, key: &str, times: usize) -> usize {
    let written = term.written();
    for _ in 0..times {
        term.send(key);
        sleep(Duration::from_millis(30));
    }
    term.rest();
    (term.written() - written) / times
}

fn measure(size: (u16, u16), [cursor, scroll, page, first]: [usize; 4]) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut note = |what: &str, budget, (bytes, cells)| {
        let what = format!("{}x{} {}", size.0, size.1, what.trim_end());
        lines.push(Line {
            what,
            budget,
            bytes,
            cells,
        });
    };
    let mut term = Terminal::start(size, &["--demo", "--no-state"], &[]);
    // The sentence that sums the capture up.
    term.wait_for("1 benign");
    note("first screen", first, (term.written(), 0));
    term.press(ONLY_MARS);
    let rows = usize::from(size.1) * 2 / 5;
    for at in PAGES {
        let what = |what: &str| format!("{what} around {at}");
        // Far away first: a far jump puts its frame into the middle of the page.
        term.press("gg");
        note(&what("far jump"), page, average(&mut term, at, 1));
        note(
            &what("cursor within the page"),
            cursor,
            average(&mut term, "k", rows / 2 - 2),
        );
        note(&what("scroll"), scroll, average(&mut term, "k", rows));
        note(
            &what("scroll, key held"),
            scroll,
            (held(&mut term, "k", rows * 2), 0),
        );
        note(&what("page up"), page, average(&mut term, "\x1b[5~", 1));
        note(&what("page down"), page, average(&mut term, "\x1b[6~", 1));
    }
    term.press("q");
    term.end();
    lines
}

#[test]
fn keys_stay_within_their_budgets() {
    let lines: Vec<Line> = BUDGETS
        .into_iter()
        .flat_map(|(size, budgets)| measure(size, budgets))
        .collect();
    let mut report = String::new();
    for line in &lines {
        let _ = writeln!(
            report,
            "{}: {} of {} B, {} cells changed{}",
            line.what,
            line.bytes,
            line.budget,
            line.cells,
            if line.bytes > line.allowed() {
                ": TOO MUCH"
            } else {
                ""
            }
        );
    }
    eprintln!("{report}");
    assert!(
        lines.iter().all(|line| line.bytes <= line.allowed()),
        "{report}"
    );
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
