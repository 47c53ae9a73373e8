//! The one table of settings: names, kinds, defaults, meaning; it reads, checks and prints them.

use std::fmt::Write as _;

use super::{Limit, LimitValue, Named, Place, Problem, Settings, nearest, span_ns};

/// What a setting takes.
pub(super) enum Kind {
    Bool(fn(&mut Settings, bool)),
    Number(u32, u32, fn(&mut Settings, u32)),
    Word(&'static [&'static str], fn(&mut Settings, String)),
    Text(fn(&mut Settings, String)),
    Texts(fn(&mut Settings, Vec<Named>)),
}

/// One setting.
pub(super) struct Entry {
    pub(super) section: &'static str,
    pub(super) key: &'static str,
    pub(super) kind: Kind,
    /// The default as TOML; empty where there is none.
    default: &'static str,
    /// The variable that sets it.
    env: Option<&'static str>,
    what: &'static str,
}

/// A value as it was read, before it is checked against its kind.
pub(super) enum Raw {
    Bool(bool),
    Number(i64),
    Float(f64),
    Text(String),
    Texts(Vec<Named>),
}

/// The sections, with what stands in them.
pub(super) const SECTIONS: &[(&str, &str)] = &[
    ("view", "The screen."),
    (
        "keys",
        "Keys: a preset, and keys for single commands (`next-reset = [\"r\", \"x\"]`).",
    ),
    ("rules", "Rules: which run, and rules of your own."),
    ("export", "What `w` and `marstui export` offer."),
    (
        "filters",
        "Saved filters: `name = \"filter\"`; `@name` uses them.",
    ),
];

/// The formats of an export by name, in the order in which they are offered.
const EXPORT_FORMATS: &[&str] = &[
    "pcapng",
    "pcap",
    "text",
    "ticket",
    "ticket-text",
    "ladder",
    "csv",
    "json",
    "requests",
    "svg",
    "svg-lanes",
    "svg-ladder",
];

fn words(list: Vec<Named>) -> Vec<String> {
    list.into_iter().map(|n| n.text).collect()
}

fn not_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// All settings but key bindings, limits and saved filters, whose names are not fixed here.
pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        section: "view",
        key: "columns",
        kind: Kind::Texts(|s, v| s.view.columns = words(v)),
        default: "[]",
        env: None,
        what: "Columns of the frame list, from left to right; empty for the built-in set",
    },
    Entry {
        section: "view",
        key: "time",
        kind: Kind::Word(&["start", "ref", "utc", "local", "delta"], |s, v| {
            s.view.time = v;
        }),
        default: "\"start\"",
        env: None,
        what: "What the Time column shows",
    },
    Entry {
        section: "view",
        key: "delta",
        kind: Kind::Word(&["shown", "sid", "connection"], |s, v| s.view.delta = v),
        default: "\"shown\"",
        env: None,
        what: "Which earlier frame the d column counts from",
    },
    Entry {
        section: "view",
        key: "theme",
        kind: Kind::Word(&["dark", "light", "mono", "contrast"], |s, v| {
            s.view.theme = v;
        }),
        default: "\"dark\"",
        env: Some("MARSTUI_THEME"),
        what: "Colours",
    },
    Entry {
        section: "view",
        key: "theme-file",
        kind: Kind::Text(|s, v| s.view.theme_file = not_empty(v)),
        default: "\"\"",
        env: None,
        what: "A file beside this one with colours for named roles (`head = \"cyan bold\"`); empty for none",
    },
    Entry {
        section: "view",
        key: "glyphs",
        kind: Kind::Word(&["auto", "ascii", "unicode", "braille"], |s, v| {
            s.view.glyphs = v;
        }),
        default: "\"auto\"",
        env: Some("MARSTUI_GLYPHS"),
        what: "Characters of the timeline; auto is ASCII unless the locale is UTF-8",
    },
    Entry {
        section: "view",
        key: "color",
        kind: Kind::Word(&["auto", "never", "16", "256", "true"], |s, v| {
            s.view.color = v;
        }),
        default: "\"auto\"",
        env: Some("MARSTUI_COLOR"),
        what: "How many colours",
    },
    Entry {
        section: "view",
        key: "mouse",
        kind: Kind::Bool(|s, v| s.view.mouse = v),
        default: "false",
        env: Some("MARSTUI_MOUSE"),
        what: "Use the mouse; the terminal's own select-and-copy then needs Shift",
    },
    Entry {
        section: "view",
        key: "low-bandwidth",
        kind: Kind::Bool(|s, v| s.view.low_bandwidth = v),
        default: "false",
        env: Some("MARSTUI_LOW_BW"),
        what: "Write as little as possible, for slow lines",
    },
    Entry {
        section: "view",
        key: "sync-output",
        kind: Kind::Bool(|s, v| s.view.sync_output = v),
        default: "false",
        env: None,
        what: "Bracket each drawing by synchronised output (mode 2026)",
    },
    Entry {
        section: "view",
        key: "osc52",
        kind: Kind::Bool(|s, v| s.view.osc52 = v),
        default: "true",
        env: None,
        what: "Copies go to the terminal's clipboard (OSC 52)",
    },
    Entry {
        section: "view",
        key: "lane-gutter",
        kind: Kind::Bool(|s, v| s.view.lane_gutter = v),
        default: "true",
        env: None,
        what: "Lanes beside the frame list, where there is room",
    },
    Entry {
        section: "view",
        key: "gap-ms",
        kind: Kind::Number(1, 86_400_000, |s, v| s.view.gap_ms = v),
        default: "100",
        env: None,
        what: "Milliseconds from which a wait is a gap for `s` and `S`",
    },
    Entry {
        section: "view",
        key: "bytes-lines",
        kind: Kind::Number(0, 1000, |s, v| s.view.bytes_lines = v),
        default: "5",
        env: None,
        what: "Lines of a frame that the bytes pane shows unasked, `b` shows all; 0 for all that fit",
    },
    Entry {
        section: "view",
        key: "state",
        kind: Kind::Bool(|s, v| s.view.state = v),
        default: "true",
        env: None,
        what: "Keep marks, filter and position per capture",
    },
    Entry {
        section: "keys",
        key: "preset",
        kind: Kind::Word(&["vi", "less", "wireshark"], |s, v| s.keys.preset = v),
        default: "\"vi\"",
        env: None,
        what: "The set of keys that the commands start from",
    },
    Entry {
        section: "rules",
        key: "on",
        kind: Kind::Texts(|s, v| s.rules.on = v),
        default: "[]",
        env: None,
        what: "Rules to run although they are off by default",
    },
    Entry {
        section: "rules",
        key: "off",
        kind: Kind::Texts(|s, v| s.rules.off = v),
        default: "[]",
        env: None,
        what: "Rules not to run",
    },
    Entry {
        section: "rules",
        key: "files",
        kind: Kind::Texts(|s, v| s.rules.files = words(v)),
        default: "[]",
        env: None,
        what: "Files with rules of your own, as `--rules` takes them",
    },
    Entry {
        section: "rules",
        key: "folder",
        kind: Kind::Text(|s, v| s.rules.folder = not_empty(v)),
        default: "\"\"",
        env: None,
        what: "A folder whose *.toml files are rules of your own; empty for none",
    },
    Entry {
        section: "export",
        key: "folder",
        kind: Kind::Text(|s, v| s.export.folder = v),
        default: "\"\"",
        env: None,
        what: "The folder that files are offered in; empty for that of the capture",
    },
    Entry {
        section: "export",
        key: "format",
        kind: Kind::Word(EXPORT_FORMATS, |s, v| s.export.format = v),
        default: "\"pcapng\"",
        env: None,
        what: "The format that is offered first",
    },
    Entry {
        section: "export",
        key: "comments",
        kind: Kind::Bool(|s, v| s.export.comments = v),
        default: "true",
        env: None,
        what: "Findings and marks as packet comments (pcapng only)",
    },
    Entry {
        section: "export",
        key: "handshake",
        kind: Kind::Bool(|s, v| s.export.handshake = v),
        default: "true",
        env: None,
        what: "Add the TCP handshake and PRELOGIN of the connection",
    },
    Entry {
        section: "export",
        key: "redact",
        kind: Kind::Bool(|s, v| s.export.redact = v),
        default: "false",
        env: None,
        what: "Replace addresses, names and SQL text",
    },
];

/// The commented default config.
pub fn print_config() -> String {
    let mut out = String::from(
        "# marstui settings. Every line shows its default; remove the # to change it.\n\
         # Flags beat the environment, the environment beats this file.\n",
    );
    for (section, what) in SECTIONS {
        let _ = write!(out, "\n# {what}\n[{section}]\n");
        for entry in ENTRIES.iter().filter(|e| e.section == *section) {
            let _ = write!(out, "# {}", entry.what);
            if let Kind::Word(choices, _) = entry.kind {
                let _ = write!(out, " ({})", choices.join(", "));
            }
            if let Some(env) = entry.env {
                let _ = write!(out, "; environment: {env}");
            }
            let _ = writeln!(out, "\n#{} = {}", entry.key, entry.default);
        }
        match *section {
            "rules" => out.push_str(
                "\n# Thresholds of rules by name, as `marstui rules list` shows them.\n[rules.limits]\n\
                 #login-slow.total = \"2s\"\n",
            ),
            "keys" => out.push_str("#next-reset = [\"r\", \"x\"]\n"),
            "filters" => out.push_str("#closes = \"kind in {FIN, RST}\"\n"),
            _ => {}
        }
    }
    out
}

pub(super) fn find(section: &str, key: &str) -> Option<&'static Entry> {
    ENTRIES
        .iter()
        .find(|e| e.section == section && e.key == key)
}

pub(super) fn keys_of(section: &str) -> impl Iterator<Item = &'static str> {
    ENTRIES
        .iter()
        .filter(move |e| e.section == section)
        .map(|e| e.key)
}

/// Checks a value against its setting and takes it in; the error says what the setting takes.
pub(super) fn apply(settings: &mut Settings, entry: &Entry, value: Raw) -> Result<(), String> {
    match (&entry.kind, value) {
        (Kind::Bool(set), Raw::Bool(v)) => set(settings, v),
        (Kind::Number(min, max, set), Raw::Number(v)) => {
            let v = u32::try_from(v)
                .ok()
                .filter(|v| (min..=max).contains(&v))
                .ok_or_else(|| format!("`{}` is a number from {min} to {max}", entry.key))?;
            set(settings, v);
        }
        (Kind::Word(choices, set), value @ (Raw::Text(_) | Raw::Number(_) | Raw::Bool(_))) => {
            let word = match value {
                Raw::Text(t) => t,
                Raw::Number(n) => n.to_string(),
                Raw::Bool(b) => b.to_string(),
                Raw::Float(_) | Raw::Texts(_) => String::new(),
            };
            if !choices.contains(&word.as_str()) {
                let hint = nearest(&word, choices.iter().copied())
                    .map(|n| format!("; nearest: {n}"))
                    .unwrap_or_default();
                return Err(format!(
                    "`{}` is one of {}, not `{word}`{hint}",
                    entry.key,
                    choices.join(", ")
                ));
            }
            set(settings, word);
        }
        (Kind::Text(set), Raw::Text(v)) => set(settings, v),
        (Kind::Texts(set), Raw::Texts(v)) => set(settings, v),
        (kind, _) => return Err(format!("`{}` takes {}", entry.key, takes(kind))),
    }
    Ok(())
}

fn takes(kind: &Kind) -> &'static str {
    match kind {
        Kind::Bool(_) => "true or false",
        Kind::Number(..) => "a whole number",
        Kind::Word(..) => "one word",
        Kind::Text(_) => "a text",
        Kind::Texts(_) => "a list of texts",
    }
}

/// Reads a value that came as text (environment, `--set`, and the defaults above).
fn raw(kind: &Kind, text: &str, place: &Place) -> Raw {
    match kind {
        Kind::Bool(_) => match text {
            "1" | "true" | "on" | "yes" => Raw::Bool(true),
            "0" | "false" | "off" | "no" | "" => Raw::Bool(false),
            other => Raw::Text(other.to_owned()),
        },
        Kind::Number(..) => text
            .parse()
            .map_or_else(|_| Raw::Text(text.to_owned()), Raw::Number),
        Kind::Word(..) | Kind::Text(_) => Raw::Text(text.trim_matches('"').to_owned()),
        Kind::Texts(_) => Raw::Texts(
            text.trim_matches(['[', ']'])
                .split([',', ' '])
                .filter(|t| !t.is_empty())
                .map(|t| Named {
                    text: t.trim_matches('"').to_owned(),
                    place: place.clone(),
                })
                .collect(),
        ),
    }
}

pub(super) fn apply_defaults(settings: &mut Settings) {
    for entry in ENTRIES {
        let value = raw(&entry.kind, entry.default, &Place::Default);
        let done = apply(settings, entry, value);
        debug_assert!(done.is_ok(), "default of {}: {done:?}", entry.key);
    }
}

pub(super) fn apply_environment(
    settings: &mut Settings,
    env: impl Fn(&str) -> Option<String>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for entry in ENTRIES {
        let Some((name, text)) = entry.env.and_then(|name| Some((name, env(name)?))) else {
            continue;
        };
        let place = Place::Environment(name);
        if let Err(message) = apply(settings, entry, raw(&entry.kind, &text, &place)) {
            problems.push(Problem {
                file: None,
                place,
                message,
            });
        }
    }
    // Any value but an empty one switches colours off (no-color.org).
    if env("NO_COLOR").is_some_and(|v| !v.is_empty()) {
        "never".clone_into(&mut settings.view.color);
    }
    problems
}

pub(super) fn set(settings: &mut Settings, name: &str, value: &str) -> Result<(), Problem> {
    let problem = |message| Problem {
        file: None,
        place: Place::Flag,
        message,
    };
    if let Some(filter) = name.strip_prefix("filters.") {
        let named = Named {
            text: value.to_owned(),
            place: Place::Flag,
        };
        settings.filters.insert(filter.to_owned(), named);
        return Ok(());
    }
    let full = name.split_once('.').and_then(|(s, k)| find(s, k));
    let entry = full.or_else(|| ENTRIES.iter().find(|e| e.key == name));
    if let Some(entry) = entry {
        return apply(settings, entry, raw(&entry.kind, value, &Place::Flag)).map_err(problem);
    }
    let section = name.split('.').next().unwrap_or_default();
    let limit_name = name.strip_prefix("rules.limits.").unwrap_or(name);
    if limit_name == name && SECTIONS.iter().any(|(s, _)| *s == section) {
        let key = name.split_once('.').map_or(name, |(_, key)| key);
        let hint = nearest(key, keys_of(section))
            .map(|n| format!("; nearest: {section}.{n}"))
            .unwrap_or_default();
        return Err(problem(format!("no setting `{name}`{hint}")));
    }
    let value = limit_value(value).ok_or_else(|| {
        problem(format!(
            "`{name}`: `{value}` is neither a number nor a time"
        ))
    })?;
    let limit = Limit {
        value,
        place: Place::Flag,
    };
    settings.rules.limits.push((limit_name.to_owned(), limit));
    Ok(())
}

/// A threshold's value from text: a number, or a span of time with its unit.
pub(super) fn limit_value(text: &str) -> Option<LimitValue> {
    if let Some(ns) = span_ns(text) {
        return Some(LimitValue::Span(ns));
    }
    text.trim()
        .parse::<f64>()
        .ok()
        .filter(|n| n.is_finite())
        .map(LimitValue::Number)
}
