//! The direction of dependencies, checked on the sources: one crate cannot let the compiler do it.

use std::fs;
use std::path::{Path, PathBuf};

/// What each layer may use. `main`, `lib`, `cli` and `exit` stand above all.
const ALLOWED: &[(&str, &[&str])] = &[
    ("units", &[]),
    ("settings", &["units"]),
    ("capture", &["units"]),
    ("decode", &["units"]),
    ("store", &["units"]),
    ("track", &["units", "capture", "decode", "store"]),
    (
        "rules",
        &["units", "settings", "capture", "decode", "store", "track"],
    ),
    (
        "dissect",
        &[
            "units", "settings", "capture", "decode", "store", "track", "rules",
        ],
    ),
    (
        "query",
        &[
            "units", "settings", "capture", "decode", "store", "track", "rules", "dissect",
        ],
    ),
    (
        "report",
        &[
            "units", "settings", "capture", "decode", "store", "track", "rules", "dissect",
            "query", "exit",
        ],
    ),
    (
        "export",
        &[
            "units", "settings", "capture", "decode", "store", "track", "rules", "dissect",
            "query", "report",
        ],
    ),
    (
        "app",
        &[
            "units", "settings", "capture", "decode", "store", "track", "rules", "dissect",
            "query", "export", "report",
        ],
    ),
    (
        "ui",
        &[
            "units", "settings", "decode", "store", "rules", "dissect", "query", "export",
            "report", "app",
        ],
    ),
    (
        "term",
        &[
            "units", "settings", "capture", "decode", "store", "track", "rules", "dissect",
            "query", "export", "report", "app", "ui", "exit",
        ],
    ),
];

/// Crates that may appear only in the layers named.
const FENCED: &[(&str, &[&str])] = &[
    ("ratatui", &["ui", "term"]),
    ("crossterm", &["term"]),
    ("pcap_file", &["capture"]),
    ("etherparse", &["capture", "decode"]),
    ("color_eyre", &["term", "cli"]),
];

#[test]
fn imports_follow_the_arrows() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut broken = Vec::new();
    let mut seen = 0;
    for (layer, allowed) in ALLOWED {
        for file in sources(&src.join(layer)) {
            seen += 1;
            let text = fs::read_to_string(&file).unwrap();
            for used in used_layers(&text) {
                if used != *layer && !allowed.contains(&used.as_str()) {
                    broken.push(format!("{} uses `{used}`", file.display()));
                }
            }
            for (krate, layers) in FENCED {
                let named = text.contains(&format!("{krate}::"));
                if named && !layers.contains(layer) {
                    broken.push(format!("{} uses the crate `{krate}`", file.display()));
                }
            }
        }
    }
    assert!(seen >= ALLOWED.len(), "only {seen} source files found");
    assert!(
        broken.is_empty(),
        "imports against the arrows:\n{}",
        broken.join("\n")
    );
}

/// The first path segments behind `crate::`, also inside `use crate::{…}`.
fn used_layers(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 1;
            let mut name = String::new();
            let mut at_name = true;
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 1 => {
                        found.push(std::mem::take(&mut name));
                        at_name = true;
                        continue;
                    }
                    ':' if depth == 1 => at_name = false,
                    c if depth == 1 && at_name && !c.is_whitespace() => name.push(c),
                    _ => {}
                }
                if depth == 0 {
                    found.push(name);
                    break;
                }
            }
        } else {
            found.push(
                rest.chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect(),
            );
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

#[test]
fn the_check_sees_grouped_imports() {
    let text = "use crate::{units::Sid, app::{App, Event}, ui};\nuse crate::term::run;";
    assert_eq!(used_layers(text), ["units", "app", "ui", "term"]);
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files
}
