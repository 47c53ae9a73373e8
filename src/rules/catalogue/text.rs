//! Numbers as they stand in the texts of findings.

/// A signed duration with a unit that suits it.
pub(in crate::rules) fn duration(ns: i64) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let n = ns.unsigned_abs();
    let (unit, scale) = match n {
        0..1_000_000 => ("us", 1_000),
        1_000_000..1_000_000_000 => ("ms", 1_000_000),
        _ => ("s", 1_000_000_000),
    };
    let whole = n / scale;
    let tenths = (n % scale) / (scale / 10);
    format!("{sign}{whole}.{tenths} {unit}")
}

/// A count with its noun: `1 request`, `2 requests`.
pub(in crate::rules) fn count(n: usize, noun: &str) -> String {
    if n == 1 {
        format!("1 {noun}")
    } else {
        format!("{n} {noun}s")
    }
}
