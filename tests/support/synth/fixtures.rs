//! The files of `fixtures/`: what each holds, what it shows, and what is to be expected of it.

use super::cases::{self, Case};
use super::seed;

/// A file of `fixtures/`.
pub struct Fixture {
    /// Its path below `fixtures/`.
    pub name: String,
    /// What it shows.
    pub shows: String,
    /// What a reader has to say of it.
    pub expected: String,
    /// The capture file, not compressed.
    pub content: Vec<u8>,
}

/// All files.
pub fn all() -> Vec<Fixture> {
    let mut files = vec![
        Fixture {
            name: "demo.pcapng.zst".to_owned(),
            shows: "the page's connection as its server saw it, among the traffic of others".to_owned(),
            expected: "`mars-close-rst`: Benign, proven by frames 93689, 93691, 93692, 93704".to_owned(),
            content: seed::server_view().to_pcapng(),
        },
        Fixture {
            name: "seed-client.pcapng.zst".to_owned(),
            shows: "the same connection as its client saw it, with the times that the page gives: frame 12361 is \
                    253.8 µs before frame 12352"
                .to_owned(),
            expected: "`mars-close-rst`: Benign, proven by frames 12346, 12352, 12361, 12374".to_owned(),
            content: seed::client_view().to_pcapng(),
        },
    ];
    files.extend(
        cases::near_misses()
            .iter()
            .chain(&cases::told_by_all())
            .map(|case| case_file("near-misses", case)),
    );
    files.extend(cases::benign().iter().map(|case| case_file("closes", case)));
    files.extend(cases::rules().into_iter().map(|case| Fixture {
        name: format!("rules/{}.pcapng.zst", case.rule),
        shows: case.what.to_owned(),
        expected: format!("`{}`: {}", case.rule, case.verdict.name()),
        content: (case.triggers)().to_pcapng(),
    }));
    files
}

/// A case in its first form, as the server saw it (if it did).
fn case_file(folder: &str, case: &Case) -> Fixture {
    let view = *case.views.last().expect("a case can be seen somewhere");
    let accepted: Vec<_> = case
        .expect
        .accepted
        .iter()
        .map(|(rule, verdict)| match *rule {
            "" => verdict.name().to_owned(),
            rule => format!("`{rule}`: {}", verdict.name()),
        })
        .collect();
    let also = case
        .expect
        .also
        .iter()
        .map(|(_, rule, verdict)| format!("; and `{rule}`: {}", verdict.name()));
    Fixture {
        name: format!("{folder}/{}.pcapng.zst", case.id),
        shows: format!("{} ({} view)", case.what, view.word()),
        expected: accepted.join(" or ") + &also.collect::<String>(),
        content: case.capture(case.forms[0], view).to_pcapng(),
    }
}

/// `fixtures/README.md`.
pub fn readme(files: &[Fixture]) -> String {
    let line = |f: &Fixture| format!("| `{}` | {} | {} |\n", f.name, f.shows, f.expected);
    let table: String = files.iter().map(line).collect();
    format!("{README}{table}")
}

const README: &str = include_str!("readme.md");
