//! Numbers and errors as they stand in the texts of findings.

use crate::store::{ErrorRow, Number};

/// An ERROR of the server with all that it names: number, class, state, server and text.
pub(in crate::rules) fn error_words(error: &ErrorRow) -> String {
    let ErrorRow {
        number,
        class,
        state,
        text,
        server,
    } = error;
    let from = if server.is_empty() {
        String::new()
    } else {
        format!(", from {server}")
    };
    format!("error {number}, class {class}, state {state}{from}: {text}")
}

/// A signed duration with a unit that suits it.
pub(in crate::rules) fn duration(ns: i64) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let n = ns.unsigned_abs();
    let (unit, scale) = match n {
        0..1_000_000 => ("us", 1_000),
        1_000_000..1_000_000_000 => ("ms", 1_000_000),
        _ => ("s", 1_000_000_000),
    };
    let tenths = n.saturating_add(scale / 20) / (scale / 10);
    format!("{sign}{}.{} {unit}", tenths / 10, tenths % 10)
}

/// How often: `once`, `3 times`.
pub(in crate::rules) fn times(n: u64) -> String {
    if n == 1 {
        "once".to_owned()
    } else {
        format!("{n} times")
    }
}

/// A count with its noun: `1 request`, `2 requests`.
pub(in crate::rules) fn count(n: impl Number, noun: &str) -> String {
    match n.number() {
        1 => format!("1 {noun}"),
        n => format!("{n} {noun}s"),
    }
}
