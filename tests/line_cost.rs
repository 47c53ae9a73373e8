//! What the program writes to the terminal per key, against the budgets of the design, at both design sizes.
//!
//! Every page is one of a MARS connection, with requests, answers and SMP control packets: neighbouring frames
//! differ in row, tree and bytes. A screen that changes in many places cannot be written in few bytes: a changed
//! cell takes a byte, a gap between two of them the shorter of its cells and a move of 4 bytes, a further row a line
//! break, another look 3 bytes (back to plain) or 5 (a colour). Where that least leaves the budget no room, the budget cannot hold, and the test asks for no more than 15 %
//! above the least. That is so at 160x48, where the bytes pane shows 14 rows of 16 bytes: a request and its
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
/// Frames of it: its first requests, some in its middle, its close.
const PAGES: [&str; 3] = [":20000\r", ":50000\r", ":93665\r"];

/// What a budget is for, what it is, what was written, and the least that the change of the screen takes.
struct Line {
    what: String,
    budget: usize,
    bytes: usize,
    least: usize,
}

impl Line {
    fn allowed(&self) -> usize {
        self.budget.max(self.least * 23 / 20)
    }
}

/// The least number of bytes that turns one screen into another.
fn least(before: &[vt100::Cell], after: &[vt100::Cell], columns: u16) -> usize {
    let columns = usize::from(columns);
    let rows = before.chunks(columns).zip(after.chunks(columns));
    rows.map(|(before, after)| {
        let changed: Vec<usize> = (0..columns).filter(|x| before[*x] != after[*x]).collect();
        let gaps = changed
            .windows(2)
            .map(|pair| (pair[1] - pair[0] - 1).min(4));
        let line_break = if changed.is_empty() { 0 } else { 2 };
        let look = |x: usize| {
            let cell = &after[x];
            (cell.fgcolor(), cell.bold(), cell.dim(), cell.inverse())
        };
        let looks = changed
            .windows(2)
            .filter(|pair| look(pair[0]) != look(pair[1]));
        changed.len() + gaps.sum::<usize>() + 4 * looks.count() + line_break
    })
    .sum()
}

/// Bytes written by keys, and the least for what they changed, on average.
fn average(term: &mut Terminal, columns: u16, key: &str, times: usize) -> (usize, usize) {
    let (mut bytes, mut wanted) = (0, 0);
    for _ in 0..times {
        let (before, written) = (term.cells(), term.written());
        term.press(key);
        bytes += term.written() - written;
        wanted += least(&before, &term.cells(), columns);
    }
    (bytes / times, wanted / times)
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
    let mut note = |what: &str, budget, (bytes, least)| {
        let what = format!("{}x{} {}", size.0, size.1, what.trim_end());
        lines.push(Line {
            what,
            budget,
            bytes,
            least,
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
        note(&what("far jump"), page, average(&mut term, size.0, at, 1));
        note(
            &what("cursor within the page"),
            cursor,
            average(&mut term, size.0, "k", rows / 2 - 2),
        );
        let single = average(&mut term, size.0, "k", rows);
        note(&what("scroll"), scroll, single);
        // On a busy machine keys come one by one all the same.
        let bytes = held(&mut term, "k", rows * 2);
        note(&what("scroll, key held"), scroll, (bytes, single.1));
        note(
            &what("page up"),
            page,
            average(&mut term, size.0, "\x1b[5~", 1),
        );
        note(
            &what("page down"),
            page,
            average(&mut term, size.0, "\x1b[6~", 1),
        );
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
            "{}: {} of {} B, least {} B{}",
            line.what,
            line.bytes,
            line.budget,
            line.least,
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
