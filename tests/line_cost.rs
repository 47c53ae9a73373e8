//! What the program writes to the terminal per key, against the budgets of the design, at both design sizes.
//!
//! Every page is one of a MARS connection, with requests, answers and SMP control packets: neighbouring frames
//! differ in row, tree and bytes.

use std::fmt::Write as _;

use crate::support::pty::Terminal;

/// Budgets in bytes: size, cursor within the page, scroll (average), page and far jump, first screen.
const BUDGETS: [((u16, u16), [usize; 4]); 2] = [
    ((80, 24), [300, 700, 1800, 3000]),
    ((160, 48), [600, 900, 4000, 7000]),
];

/// The only MARS connection of the demo.
const ONLY_MARS: &str = "&conn == 7\r";
/// Frames in the middle of pages of it: its login and first requests, requests and answers, its close.
const PAGES: [&str; 3] = [":6790\r", ":50000\r", ":93665\r"];

/// What a budget is for, what it is, and what was written.
struct Line {
    what: String,
    budget: usize,
    bytes: usize,
}

/// Bytes written for a key.
fn cost(term: &mut Terminal, key: &str) -> usize {
    let before = term.written();
    term.press(key);
    term.written() - before
}

/// Bytes written for a key, the average of so many.
fn average(term: &mut Terminal, key: &str, times: usize) -> usize {
    let all: usize = (0..times).map(|_| cost(term, key)).sum();
    all / times
}

fn measure(size: (u16, u16), [cursor, scroll, page, first]: [usize; 4]) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut note = |what: &str, budget, bytes| {
        let what = format!("{}x{} {what}", size.0, size.1);
        lines.push(Line {
            what,
            budget,
            bytes,
        });
    };
    let mut term = Terminal::start(size, &["--demo", "--no-state"], &[]);
    // The sentence that sums the capture up.
    term.wait_for("1 benign");
    note("first screen", first, term.written());
    term.press(ONLY_MARS);
    let rows = usize::from(size.1) * 2 / 5;
    for at in PAGES {
        // Far away first: a far jump puts its frame into the middle of the page.
        term.press("gg");
        note(&format!("far jump to {at:?}"), page, cost(&mut term, at));
        let what = |what: &str| format!("{what} around {at:?}");
        let within = average(&mut term, "k", rows / 2 - 2);
        note(&what("cursor within the page"), cursor, within);
        let scrolled = average(&mut term, "k", rows * 2);
        note(&what("scroll"), scroll, scrolled);
        note(&what("page"), page, cost(&mut term, "\x1b[5~"));
        note(&what("page"), page, cost(&mut term, "\x1b[6~"));
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
        let sign = if line.bytes > line.budget { "over" } else { "" };
        let _ = writeln!(
            report,
            "{}: {} of {} B {sign}",
            line.what, line.bytes, line.budget
        );
    }
    eprintln!("{report}");
    assert!(
        lines.iter().all(|line| line.bytes <= line.budget),
        "{report}"
    );
}

#[test]
fn a_rest_writes_nothing() {
    let mut term = Terminal::start((80, 24), &["--demo", "--no-state"], &[]);
    term.wait_for("1 benign");
    let before = term.written();
    std::thread::sleep(std::time::Duration::from_millis(2500));
    assert_eq!(term.written(), before);
    term.press("q");
    term.end();
}
