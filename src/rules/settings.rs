//! The thresholds of the rules and which rules are on; every threshold has a name, a default and a source.

use std::collections::BTreeSet;
use std::fmt;

use crate::settings::{nearest, span_or_seconds};

/// What a threshold counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A plain number.
    Count,
    /// Nanoseconds; written with a unit, for example `30s` or `200ms`.
    Time,
}

macro_rules! thresholds {
    ($($(#[$doc:meta])* $key:ident, $name:literal, $unit:ident, $default:expr, $source:literal;)*) => {
        /// A threshold of the rules (catalogue, section 2).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Threshold {
            $($(#[$doc])* $key,)*
        }

        impl Threshold {
            /// All thresholds.
            pub const ALL: &'static [Self] = &[$(Self::$key,)*];

            /// Its name in settings: the rule's id, a dot, and what it limits.
            pub fn name(self) -> &'static str {
                match self { $(Self::$key => $name,)* }
            }

            /// The thresholds of a rule.
            pub fn of_rule(id: &str) -> impl Iterator<Item = Self> {
                let of = move |t: &Self| t.name().split_once('.').is_some_and(|(rule, _)| rule == id);
                Self::ALL.iter().copied().filter(of)
            }

            /// A value of it as settings take it, exactly.
            pub fn written(self, value: i64) -> String {
                let units = [("s", S), ("ms", MS), ("us", 1000)];
                let whole = units.into_iter().find(|(_, ns)| value.checked_rem(*ns) == Some(0));
                match (self.unit(), whole) {
                    (Unit::Count, _) => value.to_string(),
                    (Unit::Time, Some((unit, ns))) => format!("{}{unit}", value / ns),
                    (Unit::Time, None) => format!("{value}ns"),
                }
            }

            /// What it counts.
            pub fn unit(self) -> Unit {
                match self { $(Self::$key => Unit::$unit,)* }
            }

            /// Its default: a number, or nanoseconds.
            pub fn default_value(self) -> i64 {
                match self { $(Self::$key => $default,)* }
            }

            /// Its smallest value that makes sense. Where nothing but a number from which on something is told is asked
            /// for, 0 would tell it of connections in which it never happened.
            pub fn least(self) -> i64 {
                match self {
                    // Up to so many frames: none.
                    Self::ShortConnection | Self::EarlyReset => 0,
                    // Fewer are not together.
                    Self::MassCloseConnections => 2,
                    _ => match self.unit() {
                        Unit::Count => 1,
                        Unit::Time => 0,
                    },
                }
            }

            /// Where the default comes from.
            pub fn source(self) -> &'static str {
                match self { $(Self::$key => $source,)* }
            }
        }
    };
}

const MS: i64 = 1_000_000;
const S: i64 = 1_000_000_000;

thresholds! {
    /// Unanswered keepalive probes from which on the connection counts as dead.
    KeepaliveProbes, "keepalive-timeout.probes", Count, 5, "Windows gives up after 10, older systems after 5";
    /// Shortest gap between unanswered probes.
    KeepaliveGapMin, "keepalive-timeout.gap-min", Time, 800 * MS, "measured gaps of 1.002 to 1.016 s";
    /// Longest gap between unanswered probes.
    KeepaliveGapMax, "keepalive-timeout.gap-max", Time, 1300 * MS, "measured gaps of 1.002 to 1.016 s";
    /// Idle time before the first probe.
    KeepaliveIdle, "keepalive-timeout.idle", Time, 30 * S, "default of SQL Server and its drivers";
    /// Retransmissions of one segment from which on the connection counts as dead.
    Retransmissions, "retransmit-timeout.retransmissions", Count, 5, "Windows sends data again 5 times";
    /// SYNs without an answer from which on it is a fault.
    SynAttempts, "syn-no-answer.attempts", Count, 2, "support guidance speaks of 3";
    /// How far the first reset of a benign close may be from what provoked it.
    LateReset, "mars-close-rst.late", Time, S, "own choice; at most one round trip was seen";
    /// How far back the benign close looks for trouble.
    LookBack, "mars-close-rst.look-back", Time, 30 * S, "one keepalive period";
    /// SYN to login answer.
    SlowLogin, "login-slow.total", Time, 2 * S, "the limit of Microsoft's network analyzer";
    /// Login timeout of the client.
    LoginTimeout, "login-timeout.timeout", Time, 15 * S, "default of Microsoft drivers";
    /// First byte of an answer.
    SlowResponse, "slow-response.notice", Time, S, "own choice";
    /// First byte of an answer, graver.
    SlowResponseWarn, "slow-response.warn", Time, 10 * S, "own choice";
    /// A sender without SMP window.
    WindowStall, "mars-window-stall.notice", Time, 200 * MS, "own choice";
    /// A sender without SMP window, graver.
    WindowStallWarn, "mars-window-stall.warn", Time, S, "own choice";
    /// A late TCP acknowledgement.
    SlowAck, "slow-ack.notice", Time, 500 * MS, "the limit of RFC 1122 for delayed acknowledgements";
    /// A TCP window of 0.
    ZeroWindow, "zero-window.notice", Time, S, "own choice";
    /// Connections that one server ends together.
    MassCloseConnections, "mass-close.connections", Count, 5, "own choice";
    /// The time within which it ends them.
    MassCloseWithin, "mass-close.within", Time, S, "own choice";
    /// How long a client port rests before it is used again.
    PortQuarantine, "port-reuse.quarantine", Time, 240 * S, "default of Windows";
    /// The client's command timeout.
    CommandTimeout, "attention-ok.command-timeout", Time, 30 * S, "default of Microsoft drivers";
    /// Difference of time to live from which on a reset is taken for another sender's.
    TtlDifference, "rst-middlebox.ttl", Count, 2, "1 is a change of path";
    /// Frames in a row of one side that the other end's file lacks.
    OneWayFrames, "one-way-loss.frames", Count, 5, "own choice; as many as probes without an answer";
    /// How long such a row lasts at least.
    OneWayLasting, "one-way-loss.lasting", Time, S, "own choice; one keepalive interval";
    /// Quiet time before a close that counts as idle.
    IdleClose, "close-idle.quiet", Time, 10 * S, "a close 10.36 s after the last keepalive is documented";
    /// How soon after the handshake a client gives up.
    GaveUp, "client-gave-up.within", Time, S, "support guidance";
    /// How long a client's SMP:FIN may wait for the server's.
    FinAnswer, "orphan-sid.answer", Time, S, "own choice";
    /// Sessions open at the end of the file from which on a number that never fell is told.
    OpenSids, "orphan-sid.open", Count, 64, "own choice; one driver keeps 41 open for 50 statements";
    /// Frames below which a connection from SYN to FIN counts as short.
    ShortConnection, "non-pooled.frames", Count, 30, "support guidance";
    /// Short connections of one client to one server from which on they are told.
    ShortConnections, "non-pooled.connections", Count, 20, "own choice; support guidance says many";
    /// Frames up to which a reset counts as early.
    EarlyReset, "rst-abort-client.early", Count, 6, "support guidance";
    /// Acknowledgements about 200 ms behind the data from which on they are told.
    DelayedAcks, "slow-ack.delayed", Count, 10, "own choice; Windows delays an acknowledgement by 200 ms";
    /// How near in time other answers of the server count for a full backlog.
    BacklogWithin, "syn-backlog.within", Time, 5 * S, "own choice";
}

/// Thresholds and switches of the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    values: Vec<i64>,
    off: BTreeSet<String>,
    skipped: Vec<(String, String)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            values: Threshold::ALL.iter().map(|t| t.default_value()).collect(),
            off: BTreeSet::new(),
            skipped: Vec::new(),
        }
    }
}

/// Why a setting was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingError {
    /// No threshold or rule has this name; the nearest one, if there is one.
    Unknown(String, Option<&'static str>),
    /// The value is not a number, or too small a one, or not a duration.
    Value(&'static str, String),
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name, near) => {
                write!(f, "no threshold or rule is named {name:?}")?;
                match near {
                    Some(near) => write!(f, "; did you mean {near:?}?"),
                    None => write!(f, "; `marstui rules list` shows them"),
                }
            }
            Self::Value(name, value) => {
                write!(f, "{name} cannot be {value:?}: it takes ")?;
                let threshold = Threshold::ALL.iter().find(|t| t.name() == *name);
                match threshold.map(|t| (t.unit(), t.least())) {
                    Some((Unit::Time, _)) => write!(f, "a duration such as 200ms, 1.5s or 2min"),
                    Some((Unit::Count, least)) => write!(f, "a whole number of at least {least}"),
                    None => write!(f, "on or off"),
                }
            }
        }
    }
}

impl std::error::Error for SettingError {}

impl Settings {
    /// A threshold's value: a number, or nanoseconds.
    pub fn get(&self, threshold: Threshold) -> i64 {
        let value = self.values.get(threshold as usize).copied();
        value.unwrap_or_else(|| threshold.default_value())
    }

    /// A threshold that counts.
    pub fn count(&self, threshold: Threshold) -> usize {
        usize::try_from(self.get(threshold)).unwrap_or(0)
    }

    /// Sets a threshold by its name, or switches a rule by its id (`on`, `off`).
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), SettingError> {
        if let Some(threshold) = Threshold::ALL.iter().find(|t| t.name() == name) {
            let parsed = match threshold.unit() {
                Unit::Count => value.trim().parse::<u32>().ok().map(i64::from),
                Unit::Time => span_or_seconds(value),
            };
            let parsed = parsed
                .filter(|parsed| *parsed >= threshold.least())
                .ok_or_else(|| SettingError::Value(threshold.name(), value.to_owned()))?;
            if let Some(slot) = self.values.get_mut(*threshold as usize) {
                *slot = parsed;
            }
            return Ok(());
        }
        let Some(rule) = super::rule(name) else {
            let thresholds = Threshold::ALL.iter().map(|t| t.name());
            let known = thresholds.chain(super::catalogue().iter().map(|rule| rule.id));
            let near = nearest(name, known);
            return Err(SettingError::Unknown(name.to_owned(), near));
        };
        match value.trim() {
            "on" | "true" => self.off.remove(rule.id),
            "off" | "false" => self.off.insert(rule.id.to_owned()),
            _ => return Err(SettingError::Value(rule.id, value.to_owned())),
        };
        Ok(())
    }

    /// Whether a rule is on.
    pub fn is_on(&self, rule: &str) -> bool {
        !self.off.contains(rule)
    }

    /// Takes a condition of a rule for held without checking it; a test shows with it that each one matters.
    #[doc(hidden)]
    pub fn skip_condition(&mut self, rule: &str, condition: &str) {
        self.skipped.push((rule.to_owned(), condition.to_owned()));
    }

    #[inline]
    pub(super) fn skips(&self, rule: &str, condition: &str) -> bool {
        let mut skipped = self.skipped.iter();
        skipped.any(|(of, skipped)| of == rule && skipped == condition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_set_by_name_and_mistakes_are_named() {
        let mut settings = Settings::default();
        settings.set("mars-close-rst.late", "250ms").unwrap();
        settings.set("keepalive-timeout.probes", "7").unwrap();
        settings.set("login-timeout.timeout", "1.5min").unwrap();
        assert_eq!(settings.get(Threshold::LateReset), 250_000_000);
        assert_eq!(settings.count(Threshold::KeepaliveProbes), 7);
        assert_eq!(settings.get(Threshold::LoginTimeout), 90_000_000_000);
        let wrong = settings.set("mars-close-rst.lte", "1s").unwrap_err();
        assert!(wrong.to_string().contains("mars-close-rst.late"), "{wrong}");
        assert!(settings.set("mars-close-rst.late", "soon").is_err());
        assert!(settings.set("keepalive-timeout.probes", "-1").is_err());
    }

    #[test]
    fn a_number_so_small_that_it_would_tell_of_what_never_happened_is_refused() {
        let mut settings = Settings::default();
        let error = settings
            .set("retransmit-timeout.retransmissions", "0")
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "retransmit-timeout.retransmissions cannot be \"0\": it takes a whole number of at least 1"
        );
        for threshold in Threshold::ALL {
            assert!(threshold.default_value() >= threshold.least());
            let typed = |value: i64| match threshold.unit() {
                Unit::Count => value.to_string(),
                Unit::Time => format!("{value}ns"),
            };
            let (least, below) = (typed(threshold.least()), typed(threshold.least() - 1));
            settings.set(threshold.name(), &below).unwrap_err();
            settings.set(threshold.name(), &least).unwrap();
            assert_eq!(settings.get(*threshold), threshold.least());
        }
    }

    #[test]
    fn every_threshold_is_one_of_a_rule_and_its_written_value_is_taken() {
        let rules = super::super::catalogue().iter();
        let listed: Vec<_> = rules.flat_map(|rule| Threshold::of_rule(rule.id)).collect();
        assert_eq!(listed.len(), Threshold::ALL.len());
        let mut settings = Settings::default();
        for threshold in listed {
            for more in [0, 1, 2_500, 1_500_000] {
                let value = threshold.default_value() + more;
                let written = threshold.written(value);
                settings.set(threshold.name(), &written).unwrap();
                assert_eq!(settings.get(threshold), value, "{written}");
            }
        }
    }

    #[test]
    fn rules_are_switched_by_their_id() {
        let mut settings = Settings::default();
        assert!(settings.is_on("slow-ack"));
        settings.set("slow-ack", "off").unwrap();
        assert!(!settings.is_on("slow-ack"));
        assert!(settings.set("slow-ack", "perhaps").is_err());
    }
}
