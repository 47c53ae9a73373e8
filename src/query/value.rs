//! Values that filters compare, and the tests that comparisons with constants are turned into.

use std::net::IpAddr;

use regex::Regex;

use super::ast::{Func, Op};
use super::eval::{apply, slice};
use crate::decode::field::Value as FieldValue;

/// A value of a field, or a constant.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Val {
    /// Any whole number: also flags (0, 1), codes, frames, and times and spans in nanoseconds.
    Num(i128),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    Ip(IpAddr),
}

impl Val {
    /// The value of a decoded field; `None` for headings and secrets, which nothing can be compared with.
    pub(super) fn of(value: &FieldValue) -> Option<Self> {
        Some(match value {
            FieldValue::None | FieldValue::Secret(_) => return None,
            FieldValue::UInt(n) | FieldValue::Hex(n, _) => Self::Num(i128::from(*n)),
            FieldValue::Int(n) | FieldValue::Time(n) | FieldValue::Span(n) => {
                Self::Num(i128::from(*n))
            }
            FieldValue::Bool(b) => Self::Num(i128::from(*b)),
            FieldValue::Float(n) => Self::Float(*n),
            FieldValue::Text(t) => Self::Text(t.clone()),
            FieldValue::Bytes(b) => Self::Bytes(b.clone()),
            FieldValue::Ip(ip) => Self::Ip(*ip),
            FieldValue::Frame(no) => Self::Num(i128::from(no.0)),
        })
    }
}

/// A set of whole numbers as inclusive ranges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ranges(pub(super) Vec<(i128, i128)>);

impl Ranges {
    pub(super) fn has(&self, n: i128) -> bool {
        self.0.iter().any(|(low, high)| *low <= n && n <= *high)
    }

    /// What is not in the set.
    pub(super) fn complement(&self) -> Self {
        let mut ranges = self.0.clone();
        ranges.sort_unstable();
        let mut out = Vec::new();
        let mut next = Some(i128::MIN);
        for (low, high) in ranges {
            let Some(from) = next else { break };
            if low > from {
                out.push((from, low.saturating_sub(1)));
            }
            if high >= from {
                next = high.checked_add(1);
            }
        }
        if let Some(from) = next {
            out.push((from, i128::MAX));
        }
        Self(out)
    }
}

/// Addresses from one to another of one family, inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IpRange {
    pub(super) v6: bool,
    pub(super) low: u128,
    pub(super) high: u128,
}

impl IpRange {
    pub(super) fn one(ip: IpAddr) -> Self {
        let (v6, n) = ip_number(ip);
        Self {
            v6,
            low: n,
            high: n,
        }
    }

    /// The addresses of `ip/prefix`.
    pub(super) fn net(ip: IpAddr, prefix: u32) -> Option<Self> {
        let (v6, n) = ip_number(ip);
        let bits: u32 = if v6 { 128 } else { 32 };
        let free = bits.checked_sub(prefix)?;
        let host = u128::MAX
            .checked_shr(128_u32.saturating_sub(free))
            .unwrap_or(0);
        Some(Self {
            v6,
            low: n & !host,
            high: n | host,
        })
    }

    pub(super) fn has(&self, ip: IpAddr) -> bool {
        let (v6, n) = ip_number(ip);
        v6 == self.v6 && self.low <= n && n <= self.high
    }
}

pub(super) fn ip_number(ip: IpAddr) -> (bool, u128) {
    match ip {
        IpAddr::V4(ip) => (false, u128::from(ip.to_bits())),
        IpAddr::V6(ip) => (true, ip.to_bits()),
    }
}

/// What a test looks at instead of the whole value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    /// Its text in one letter case.
    Case(Func),
    /// So many bytes or characters from a place on.
    Slice(usize, usize),
}

impl Part {
    fn of(self, value: &Val) -> Option<Val> {
        match self {
            Self::Case(func) => apply(func, value.clone()),
            Self::Slice(from, len) => slice(value, from, len),
        }
    }
}

/// A test of one value against constants.
#[derive(Debug, Clone)]
pub(super) enum Test {
    Num(Ranges),
    Float(Op, f64),
    Ip(Vec<IpRange>),
    /// One of these texts.
    Text(Vec<String>),
    TextContains(String),
    TextMatches(Regex),
    Bytes(Vec<Vec<u8>>),
    BytesContain(Vec<u8>),
    BytesMatch(regex::bytes::Regex),
    /// Of what a function or a slice makes of the value.
    Of(Part, Box<Test>),
    /// Holds where the inner test does not.
    Not(Box<Test>),
}

impl Test {
    pub(super) fn holds(&self, value: &Val) -> bool {
        match (self, value) {
            (Self::Num(ranges), Val::Num(n)) => ranges.has(*n),
            (Self::Float(op, wanted), Val::Float(n)) => {
                n.partial_cmp(wanted).is_some_and(|order| op.holds(order))
            }
            (Self::Ip(ranges), Val::Ip(ip)) => ranges.iter().any(|r| r.has(*ip)),
            (Self::Text(texts), Val::Text(t)) => texts.iter().any(|want| want == t),
            (Self::TextContains(part), Val::Text(t)) => t.contains(part.as_str()),
            (Self::TextMatches(pattern), Val::Text(t)) => pattern.is_match(t),
            (Self::Bytes(all), Val::Bytes(b)) => all.iter().any(|want| want == b),
            (Self::BytesContain(part), Val::Bytes(b)) => memchr::memmem::find(b, part).is_some(),
            (Self::BytesMatch(pattern), Val::Bytes(b)) => pattern.is_match(b),
            (Self::Of(part, inner), value) => {
                part.of(value).is_some_and(|value| inner.holds(&value))
            }
            (Self::Not(inner), value) => !inner.holds(value),
            _ => false,
        }
    }

    /// The test that holds where this one does not.
    pub(super) fn negated(self) -> Self {
        match self {
            Self::Num(ranges) => Self::Num(ranges.complement()),
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complement_has_what_the_set_has_not() {
        let set = Ranges(vec![(5, 9), (0, 3), (2, 6), (20, i128::MAX)]);
        let not = set.complement();
        for n in [-5, -1, 0, 3, 4, 9, 10, 19, 20, 1_000_000] {
            assert_ne!(set.has(n), not.has(n), "{n}");
        }
        assert_eq!(Ranges(vec![]).complement().0, [(i128::MIN, i128::MAX)]);
        assert_eq!(not.complement().complement(), not);
    }

    #[test]
    fn a_net_holds_its_addresses() {
        let net = IpRange::net("10.1.2.3".parse().unwrap(), 16).unwrap();
        assert!(net.has("10.1.255.255".parse().unwrap()));
        assert!(!net.has("10.2.0.0".parse().unwrap()));
        assert!(!net.has("::a01:203".parse().unwrap()));
        let all = IpRange::net("10.1.2.3".parse().unwrap(), 0).unwrap();
        assert!(all.has("255.0.0.1".parse().unwrap()));
        let one = IpRange::net("fe80::1".parse().unwrap(), 128).unwrap();
        assert_eq!(one, IpRange::one("fe80::1".parse().unwrap()));
        assert_eq!(IpRange::net("10.0.0.1".parse().unwrap(), 33), None);
    }
}
