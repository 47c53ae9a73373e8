//! Constants in filters: what a word or a text means for a field's type.

use std::fmt::Write as _;
use std::net::IpAddr;

use jiff::civil;
use jiff::tz::TimeZone;

use super::field::{FieldRef, Ty};
use super::value::{IpRange, Val};
use crate::settings::{nearest, span_or_seconds};
use crate::units::Nanos;

/// A constant as written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Lit {
    Word(String),
    Text(String),
}

impl Lit {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Word(t) | Self::Text(t) => t,
        }
    }
}

/// A constant as its field understands it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Const {
    Val(Val),
    Net(IpRange),
}

/// A constant that does not fit: why, and the word that may have been meant.
pub(super) type Misfit = (String, Option<String>);

/// What a constant means for a field.
pub(super) fn constant(lit: &Lit, field: &FieldRef, start: Option<Nanos>) -> Result<Const, Misfit> {
    let text = lit.text();
    let misfit = || {
        (
            format!(
                "`{text}` does not fit: {} takes {}",
                field.name,
                field.ty.takes()
            ),
            None,
        )
    };
    let words = field.words();
    if field.ty.is_number()
        && let Some((code, _)) = words.iter().find(|(_, w)| same_word(w, text))
    {
        return Ok(Const::Val(Val::Num(*code)));
    }
    let val = match field.ty {
        Ty::Int | Ty::Seq => number(text).map(Val::Num),
        Ty::Float => text.parse().ok().map(Val::Float),
        Ty::Bool => match text.to_ascii_lowercase().as_str() {
            "true" | "set" | "yes" => Some(Val::Num(1)),
            "false" | "not set" | "no" => Some(Val::Num(0)),
            other => number(other).map(|n| Val::Num(i128::from(n != 0))),
        },
        Ty::Span => span(text).map(Val::Num),
        Ty::Time => time(text, start).map(Val::Num),
        Ty::Text => Some(Val::Text(text.to_owned())),
        Ty::Bytes => match lit {
            Lit::Word(word) => bytes(word).map(Val::Bytes),
            Lit::Text(t) => Some(Val::Bytes(t.as_bytes().to_vec())),
        },
        Ty::Ip => return ip(text).map(Const::Net).ok_or_else(misfit),
        Ty::Presence => None,
        Ty::Word(_) => {
            let known: Vec<_> = words.iter().map(|(_, w)| *w).collect();
            let near = nearest(text, known.iter().copied()).map(str::to_owned);
            // A line of the screen has no room for both.
            let message = match near {
                Some(_) => format!("no {} `{text}`", field.name),
                None => format!("no {} `{text}`; there are {}", field.name, known.join(", ")),
            };
            return Err((message, near));
        }
    };
    val.map(Const::Val).ok_or_else(|| {
        let hint = nearest(text, words.iter().map(|(_, w)| *w)).map(str::to_owned);
        let (mut message, _) = misfit();
        if let Some((_, word)) = words.first().filter(|_| field.ty.is_number()) {
            let _ = write!(message, ", or a word of its own, such as `{word}`");
        }
        (message, hint)
    })
}

/// Words are the same whatever their letter case, and whatever stands between their parts.
fn same_word(a: &str, b: &str) -> bool {
    let plain = |c: char| {
        if matches!(c, '_' | ' ' | '-') {
            '-'
        } else {
            c.to_ascii_lowercase()
        }
    };
    a.chars().map(plain).eq(b.chars().map(plain))
}

/// A whole number: decimal, `0x`, `0b`, or with a unit of size (`kB`, `MB`, `KiB`, `MiB`).
pub(super) fn number(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let n: i128 = if let Some(hex) = lower.strip_prefix("0x") {
        i128::from(u64::from_str_radix(hex, 16).ok()?)
    } else if let Some(bits) = lower.strip_prefix("0b").filter(|b| !b.is_empty()) {
        i128::from(u64::from_str_radix(bits, 2).ok()?)
    } else {
        const UNITS: &[(&str, u64)] = &[
            ("kib", 1 << 10),
            ("mib", 1 << 20),
            ("gib", 1 << 30),
            ("kb", 1_000),
            ("mb", 1_000_000),
            ("gb", 1_000_000_000),
            ("b", 1),
        ];
        let (digits, unit) = UNITS
            .iter()
            .find_map(|(unit, n)| Some((lower.strip_suffix(unit)?, *n)))
            .unwrap_or((&lower, 1));
        i128::from(digits.parse::<u64>().ok()?.checked_mul(unit)?)
    };
    Some(if negative { n.checked_neg()? } else { n })
}

/// A span of time in nanoseconds: with its unit, or in seconds.
pub(super) fn span(text: &str) -> Option<i128> {
    span_or_seconds(text).map(i128::from)
}

/// A moment: date and time (UTC where nothing else is said), the time of day of the capture's first day, or
/// seconds since 1970.
fn time(text: &str, start: Option<Nanos>) -> Option<i128> {
    if let Ok(stamp) = text.parse::<jiff::Timestamp>() {
        return Some(stamp.as_nanosecond());
    }
    let spaced = text.replacen(' ', "T", 1);
    if let Ok(moment) = spaced.parse::<civil::DateTime>() {
        return utc(moment);
    }
    let clock = if text.matches(':').count() == 1 {
        format!("{text}:00")
    } else {
        text.to_owned()
    };
    if let Ok(clock) = clock.parse::<civil::Time>() {
        let first = jiff::Timestamp::from_nanosecond(i128::from(start?.0)).ok()?;
        return utc(TimeZone::UTC.to_datetime(first).date().to_datetime(clock));
    }
    let has_unit = text.contains(char::is_alphabetic);
    span(text).filter(|_| !has_unit)
}

fn utc(moment: civil::DateTime) -> Option<i128> {
    Some(TimeZone::UTC.to_timestamp(moment).ok()?.as_nanosecond())
}

fn ip(text: &str) -> Option<IpRange> {
    match text.split_once('/') {
        None => text.parse().ok().map(IpRange::one),
        Some((address, prefix)) => {
            IpRange::net(address.parse::<IpAddr>().ok()?, prefix.parse().ok()?)
        }
    }
}

/// Bytes as hex, with or without colons between them.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits: String = text.chars().filter(|c| *c != ':').collect();
    if !digits.len().is_multiple_of(2) || digits.is_empty() || !digits.is_ascii() {
        return None;
    }
    (0..digits.len() / 2)
        .map(|i| {
            let at = i.saturating_mul(2);
            u8::from_str_radix(digits.get(at..at.saturating_add(2))?, 16).ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_units() {
        let cases = [
            ("0x1f", Some(31)),
            ("0b101", Some(5)),
            ("12kB", Some(12_000)),
            ("2MiB", Some(2 << 20)),
            ("-3", Some(-3)),
            ("0x", None),
            ("kB", None),
            ("12furlongs", None),
            ("99999999999999999999", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(number(text), wanted, "{text}");
        }
    }

    #[test]
    fn times_are_dates_or_clocks_or_seconds() {
        let start = Some(Nanos(1_773_480_672_024_000_000)); // 2026-03-14T09:31:12.024Z
        let full = 1_773_480_672_024_000_000;
        let cases = [
            ("2026-03-14T09:31:12.024Z", Some(full)),
            ("2026-03-14T10:31:12.024+01:00", Some(full)),
            ("2026-03-14T09:31:12.024", Some(full)),
            ("2026-03-14 09:31:12.024", Some(full)),
            ("09:31:12.024", Some(full)),
            ("09:31", Some(1_773_480_660_000_000_000)),
            ("1773480672.024", Some(full)),
            ("yesterday", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(time(text, start), wanted, "{text}");
        }
    }

    #[test]
    fn bytes_are_pairs_of_digits() {
        assert_eq!(bytes("53:01:00"), Some(vec![0x53, 1, 0]));
        assert_eq!(bytes("5301"), Some(vec![0x53, 1]));
        assert_eq!(bytes("530"), None);
        assert_eq!(bytes("zz"), None);
    }
}
