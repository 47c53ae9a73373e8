//! Times as the list shows them: exact to the capture's unit, never rounded; and times as a user types them.

use jiff::Timestamp;
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;

use crate::settings::span_or_seconds;
use crate::units::Nanos;

const NS: i64 = 1_000_000_000;

/// What the Time column shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimeFormat {
    /// Seconds since the first frame.
    #[default]
    Start,
    /// Seconds since the time reference.
    Reference,
    /// Time of day, UTC.
    Utc,
    /// Time of day where the program runs.
    Local,
    /// Seconds since the frame before.
    Delta,
}

impl TimeFormat {
    /// All, in the order of the key.
    pub const ALL: [Self; 5] = [
        Self::Start,
        Self::Reference,
        Self::Utc,
        Self::Local,
        Self::Delta,
    ];

    /// The next one.
    #[must_use]
    pub fn next(self) -> Self {
        let at = Self::ALL.iter().position(|f| *f == self).unwrap_or(0);
        Self::ALL
            .iter()
            .cycle()
            .nth(at.saturating_add(1))
            .copied()
            .unwrap_or_default()
    }

    /// Its name in settings and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Reference => "ref",
            Self::Utc => "utc",
            Self::Local => "local",
            Self::Delta => "delta",
        }
    }

    /// The column's heading.
    pub fn heading(self) -> &'static str {
        match self {
            Self::Start => "Time(s)",
            Self::Reference => "Ref(s)",
            Self::Utc => "UTC",
            Self::Local => "Local",
            Self::Delta => "Delta(s)",
        }
    }

    /// The format with a name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|f| f.name() == name)
    }
}

/// What the d column counts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeltaFrom {
    /// The shown frame before.
    #[default]
    Shown,
    /// The frame before of the same Sid.
    Sid,
    /// The frame before of the same connection.
    Conn,
}

impl DeltaFrom {
    /// The one with a name.
    pub fn by_name(name: &str) -> Option<Self> {
        match name {
            "shown" => Some(Self::Shown),
            "sid" => Some(Self::Sid),
            "connection" => Some(Self::Conn),
            _ => None,
        }
    }

    /// Its name in settings.
    pub fn short(self) -> &'static str {
        match self {
            Self::Shown => "shown",
            Self::Sid => "sid",
            Self::Conn => "connection",
        }
    }

    /// The next one.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::Shown => Self::Sid,
            Self::Sid => Self::Conn,
            Self::Conn => Self::Shown,
        }
    }

    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Shown => "the previous shown frame",
            Self::Sid => "the previous frame of the Sid",
            Self::Conn => "the previous frame of the connection",
        }
    }
}

/// Decimals that show a time stamp unit completely.
pub fn decimals(ticks_per_second: u64) -> usize {
    let mut power = 1_u64;
    for digits in 0..9 {
        if power >= ticks_per_second && power.checked_rem(ticks_per_second.max(1)) == Some(0) {
            return digits;
        }
        power = power.saturating_mul(10);
    }
    9
}

/// A span in seconds with a fixed number of decimals; further digits are cut, not rounded.
pub fn seconds(ns: i64, decimals: usize) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let ns = ns.unsigned_abs();
    let whole = ns / NS.unsigned_abs();
    let fraction = format!("{:09}", ns % NS.unsigned_abs());
    let fraction = fraction.get(..decimals.min(9)).unwrap_or_default();
    if fraction.is_empty() {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{fraction}")
    }
}

/// A time of day with a fixed number of decimals.
pub fn time_of_day(time: Nanos, decimals: usize, local: bool) -> String {
    let Ok(stamp) = Timestamp::from_nanosecond(i128::from(time.0)) else {
        return "?".to_string();
    };
    let zone = if local {
        TimeZone::system()
    } else {
        TimeZone::UTC
    };
    let civil = zone.to_datetime(stamp);
    let fraction = format!("{:09}", civil.subsec_nanosecond());
    let fraction = fraction.get(..decimals.min(9)).unwrap_or_default();
    let dot = if fraction.is_empty() { "" } else { "." };
    format!(
        "{:02}:{:02}:{:02}{dot}{fraction}",
        civil.hour(),
        civil.minute(),
        civil.second()
    )
}

/// A date and time, UTC.
pub fn date_time(time: Nanos, decimals: usize) -> String {
    let Ok(stamp) = Timestamp::from_nanosecond(i128::from(time.0)) else {
        return "?".to_string();
    };
    let date = TimeZone::UTC.to_datetime(stamp).date();
    format!("{date} {} UTC", time_of_day(time, decimals, false))
}

/// A span as a person says it: `0.4 us`, `12.34 ms`, `1.23 s`, `3 m 20 s`; four digits at most, cut.
pub fn span(ns: i64) -> String {
    span_with(ns, short)
}

/// As [`span`], with all four digits, so that a column of them lines up and none seems less exact than the others.
pub fn column_span(ns: i64) -> String {
    span_with(ns, four_digits)
}

fn span_with(ns: i64, number: fn(u64, u64) -> String) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let n = ns.unsigned_abs();
    let text = match n {
        0..1_000 => format!("{n} ns"),
        1_000..1_000_000 => format!("{} us", number(n, 1_000)),
        1_000_000..1_000_000_000 => format!("{} ms", number(n, 1_000_000)),
        1_000_000_000..100_000_000_000 => format!("{} s", number(n, 1_000_000_000)),
        _ => {
            let s = n / 1_000_000_000;
            if s < 3600 {
                format!("{} m {:02} s", s / 60, s % 60)
            } else {
                format!("{} h {:02} m", s / 3600, s / 60 % 60)
            }
        }
    };
    format!("{sign}{text}")
}

/// A span in milliseconds in at most six characters (seven with a sign): cut, not rounded, from a second on in seconds.
pub fn delta(ns: i64) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let n = ns.unsigned_abs();
    let text = if n < 1_000_000_000 {
        let text = seconds(i64::try_from(n.saturating_mul(1000)).unwrap_or(i64::MAX), 3);
        text.get(..5)
            .unwrap_or(&text)
            .trim_end_matches('.')
            .to_string()
    } else if n < 10_000_000_000_000 {
        format!("{}s", short(n, 1_000_000_000))
    } else {
        format!("{}h", short(n, 3_600_000_000_000))
    };
    format!("{sign}{text}")
}

/// `n / unit` with up to four digits, without zeros at the end.
fn short(n: u64, unit: u64) -> String {
    let text = four_digits(n, unit);
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// `n / unit` with four digits, cut.
fn four_digits(n: u64, unit: u64) -> String {
    let whole = n.checked_div(unit).unwrap_or_default();
    let milli = n
        .checked_rem(unit)
        .unwrap_or_default()
        .saturating_mul(1000)
        .checked_div(unit)
        .unwrap_or_default();
    match whole {
        0..10 => format!("{whole}.{milli:03}"),
        10..100 => format!("{whole}.{:02}", milli / 10),
        100..1000 => format!("{whole}.{}", milli / 100),
        _ => whole.to_string(),
    }
}

/// A time that the user typed, as a point in time.
///
/// `12.024` counts from the first frame (or the reference), `+5ms` and `-2s` from the cursor, `09:31:12.024` is a
/// time of day on the capture's first day, `2026-03-14T09:31` a date. Times of day and dates are UTC, or local
/// when the Time column shows local time.
pub fn parse(text: &str, base: Nanos, cursor: Nanos, local: bool) -> Result<Nanos, String> {
    let text = text.trim();
    let wrong =
        || format!("no time: {text}; write 12.024, +5ms, -2s, 09:31:12.024 or 2026-03-14T09:31");
    if let Some(rest) = text.strip_prefix('+') {
        return Ok(Nanos(
            cursor.0.saturating_add(parse_span(rest).ok_or_else(wrong)?),
        ));
    }
    if let Some(rest) = text.strip_prefix('-') {
        return Ok(Nanos(
            cursor.0.saturating_sub(parse_span(rest).ok_or_else(wrong)?),
        ));
    }
    let zone = if local {
        TimeZone::system()
    } else {
        TimeZone::UTC
    };
    let point = |civil: DateTime| {
        let stamp = zone.to_timestamp(civil).map_err(|_| wrong())?;
        i64::try_from(stamp.as_nanosecond())
            .map(Nanos)
            .map_err(|_| wrong())
    };
    if text.contains('T') || text.matches('-').count() == 2 {
        return point(text.parse::<DateTime>().map_err(|_| wrong())?);
    }
    if text.contains(':') {
        let time: Time = text.parse().map_err(|_| wrong())?;
        let first = Timestamp::from_nanosecond(i128::from(base.0)).map_err(|_| wrong())?;
        let first = zone.to_datetime(first).date();
        return point(first.to_datetime(time));
    }
    Ok(Nanos(
        base.0.saturating_add(parse_span(text).ok_or_else(wrong)?),
    ))
}

/// A span such as `5ms`, `1.5s`, `250us`, `2m`, `12`; without a unit it is seconds.
fn parse_span(text: &str) -> Option<i64> {
    let text = text.trim();
    let minutes = text.strip_suffix('m').map(|number| format!("{number}min"));
    span_or_seconds(minutes.as_deref().unwrap_or(text)).filter(|_| !text.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_in_a_column_keep_the_zeros_that_others_lose() {
        for (ns, said, in_column) in [
            (7_380_000, "7.38 ms", "7.380 ms"),
            (645_000_000, "645 ms", "645.0 ms"),
            (12_000, "12 us", "12.00 us"),
            (999, "999 ns", "999 ns"),
            (-4_700_000, "-4.7 ms", "-4.700 ms"),
            (200_000_000_000, "3 m 20 s", "3 m 20 s"),
        ] {
            assert_eq!(
                (span(ns).as_str(), column_span(ns).as_str()),
                (said, in_column)
            );
        }
    }

    #[test]
    fn seconds_are_cut_and_keep_their_sign() {
        assert_eq!(seconds(569_917_317_800, 7), "569.9173178");
        assert_eq!(seconds(-253_800, 7), "-0.0002538");
        assert_eq!(seconds(1_999_999_999, 0), "1");
        assert_eq!(decimals(1_000_000), 6);
        assert_eq!(decimals(10_000_000), 7);
        assert_eq!(decimals(1_000_000_000), 9);
        assert_eq!(decimals(3), 9);
        assert_eq!(decimals(1), 0);
    }

    #[test]
    fn deltas_stay_within_their_column() {
        for (ns, text) in [
            (100_000, "0.100"),
            (3_200_000, "3.200"),
            (33_245_000, "33.24"),
            (333_299_000, "333.2"),
            (1_234_000_000, "1.234s"),
            (-253_800, "-0.253"),
            (7_200_000_000_000, "7200s"),
        ] {
            assert_eq!(delta(ns), text);
        }
    }

    #[test]
    fn typed_times_are_understood_or_refused_with_examples() {
        let base = Nanos(1_773_480_672_000_000_000); // 2026-03-14T09:31:12Z
        let cursor = Nanos(base.0 + 5 * NS);
        let at = |text| parse(text, base, cursor, false);
        assert_eq!(at("12.024"), Ok(Nanos(base.0 + 12_024_000_000)));
        assert_eq!(at("+5ms"), Ok(Nanos(cursor.0 + 5_000_000)));
        assert_eq!(at("-2s"), Ok(Nanos(cursor.0 - 2 * NS)));
        assert_eq!(at("09:31:12.024"), Ok(Nanos(base.0 + 24_000_000)));
        assert_eq!(at("2026-03-14T09:31"), Ok(Nanos(base.0 - 12 * NS)));
        assert!(at("soon").unwrap_err().contains("+5ms"));
        assert_eq!(at("+1.5m"), Ok(Nanos(cursor.0 + 90 * NS)));
        assert!(at("").is_err());
        assert!(at("--5s").is_err());
    }
}
