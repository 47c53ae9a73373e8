//! What the program writes to the terminal per key, against the budgets of the design, at both design sizes.

use crate::support::pty::Terminal;

/// Budgets in bytes: size, cursor within the page, scroll (average), page and far jump, first screen.
const BUDGETS: [((u16, u16), [usize; 4]); 2] = [
    ((80, 24), [300, 700, 1800, 3000]),
    ((160, 48), [600, 900, 4000, 7000]),
];

/// Bytes written for a key.
fn cost(term: &mut Terminal, key: &str) -> usize {
    let before = term.written();
    term.press(key);
    term.written() - before
}

/// Bytes written for a key, over several.
fn average(term: &mut Terminal, key: &str, times: usize) -> usize {
    let start = term.written();
    for _ in 0..times {
        term.press(key);
    }
    (term.written() - start) / times
}

#[test]
fn keys_stay_within_their_budgets() {
    let mut report = String::new();
    let mut broken = Vec::new();
    for (size, [cursor, scroll, page, first]) in BUDGETS {
        let mut term = Terminal::start(size, &["--demo", "--no-state"], &[]);
        // The sentence that sums the capture up.
        term.wait_for("1 benign");
        let opened = term.written();
        // Over a page around the close of the page's connection.
        term.press(":93704\r");
        let rows = usize::from(size.1) * 2 / 5;
        let within = average(&mut term, "k", rows / 2 - 1);
        let scrolled = average(&mut term, "k", rows * 2);
        // Requests and answers, where row, tree and bytes of each frame have nothing in common.
        term.press(":93665\r");
        term.press("o");
        let mixed = average(&mut term, "k", rows * 2);
        let paged = cost(&mut term, "\x1b[5~");
        let jumped = cost(&mut term, "gg").max(cost(&mut term, "G"));
        for (what, bytes, budget) in [
            ("first screen", opened, first),
            ("cursor within the page", within, cursor),
            ("scroll, average", scrolled, scroll),
            ("scroll over requests and answers", mixed, scroll * 2),
            ("page", paged, page),
            ("far jump", jumped, page),
        ] {
            let line = format!("{}x{} {what}: {bytes} of {budget} B\n", size.0, size.1);
            report.push_str(&line);
            if bytes > budget {
                broken.push(line);
            }
        }
        term.press("q");
        term.end();
    }
    eprintln!("{report}");
    assert!(
        broken.is_empty(),
        "over budget:\n{}\nall:\n{report}",
        broken.concat()
    );
}
