//! Verdicts: every rule is a value with conditions and texts; the engine says which held, on which frames, with which
//! numbers. Precedence, conditions and thresholds are those of the catalogue of close and failure patterns.

mod across;
mod beside;
mod catalogue;
mod engine;
mod explain;
mod facts;
mod judge;
pub mod order;
mod rule;
mod settings;

pub use catalogue::{catalogue, rule};
pub use explain::explain;
pub use facts::{BothEnds, Facts};
pub use judge::{Judge, judge, judge_one};
pub use rule::{Check, Criterion, Probe, Rule, Scope};
pub use settings::{SettingError, Settings, Threshold, Unit};

#[cfg(test)]
mod tests;
