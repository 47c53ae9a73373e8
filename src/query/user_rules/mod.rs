//! Rules of one's own: ordered steps, each a filter over one event, read from TOML and applied to every connection.
//!
//! A step's event is a TCP segment, an SMP packet or a TDS packet. Later steps can refer to the fields of earlier
//! ones by name (`fin.tcp.ack`); `within` limits the time between two steps, `same` keeps them on one Sid, and
//! `not_between` names what must not happen in between. Events are taken in file order.

mod apply;
mod file;

use std::fmt;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

pub use apply::{Applied, apply};

use super::Filter;
use crate::store::{Confidence, Verdict};

/// A rule that a user wrote.
#[derive(Debug, Clone)]
pub struct UserRule {
    /// Its id.
    pub id: String,
    /// What it is about, in a few words.
    pub title: String,
    /// What a match means.
    pub verdict: Verdict,
    /// How sure a match is.
    pub confidence: Confidence,
    /// The finding's text; `{step.field}` stands for a value.
    pub text: String,
    /// What it means, at length.
    pub meaning: String,
    /// What to do next.
    pub next: String,
    /// What all steps must have in common.
    pub same: Same,
    /// The longest time between the first step and any other, in nanoseconds.
    pub within: Option<i64>,
    /// The step whose frame carries the letter.
    pub mark: usize,
    /// The steps, in order; there is at least one.
    pub steps: Vec<Step>,
}

/// What all steps of a rule have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Same {
    /// The connection.
    #[default]
    Connection,
    /// The life of a Sid; TCP segments belong to every Sid of their connection.
    Sid,
}

/// The kind of event that a step is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// A TCP segment.
    Tcp,
    /// An SMP packet.
    Smp,
    /// A TDS packet.
    Tds,
}

impl EventKind {
    /// Its word in rule files.
    pub fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Smp => "smp",
            Self::Tds => "tds",
        }
    }
}

/// One step of a rule.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its name, by which later steps refer to it.
    pub name: String,
    /// What kind of event it is.
    pub event: EventKind,
    /// What the event must be like.
    pub filter: Filter,
    /// It may stand in front of the steps before it in the file.
    pub anywhere: bool,
    /// The longest time to the step before, in nanoseconds.
    pub within: Option<i64>,
    /// What no frame between the step before and this one may be like.
    pub not_between: Option<Filter>,
}

/// A mistake in a rule file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleError {
    /// The file, where there is one.
    pub file: Option<PathBuf>,
    /// Line, from 1; 0 where the whole file is meant.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong, with the nearest known name.
    pub message: String,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}:", file.display())?;
        }
        if self.line > 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        let blank = if self.file.is_some() || self.line > 0 {
            " "
        } else {
            ""
        };
        write!(f, "{blank}{}", self.message)
    }
}

impl std::error::Error for RuleError {}

/// Reads the rules in a text; all mistakes are reported together.
pub fn read(text: &str) -> Result<Vec<UserRule>, Vec<RuleError>> {
    file::read(text)
}

/// Reads a rule file.
pub fn load(path: &Path) -> Result<Vec<UserRule>, Vec<RuleError>> {
    let whole = |message: String| {
        vec![RuleError {
            file: Some(path.to_owned()),
            line: 0,
            column: 0,
            message,
        }]
    };
    let text =
        std::fs::read_to_string(path).map_err(|e| whole(format!("cannot read the rules: {e}")))?;
    read(&text).map_err(|errors| {
        errors
            .into_iter()
            .map(|e| RuleError {
                file: Some(path.to_owned()),
                ..e
            })
            .collect()
    })
}

/// Reads rule files, and those of a folder (`*.toml`, by name). What can be read counts; the mistakes of the rest
/// are returned beside it. A rule whose id was there before is a mistake.
pub fn load_all(files: &[PathBuf], folder: Option<&Path>) -> (Vec<UserRule>, Vec<RuleError>) {
    let mut paths = files.to_vec();
    let mut errors = Vec::new();
    if let Some(folder) = folder {
        match std::fs::read_dir(folder) {
            Ok(entries) => {
                let mut found: Vec<_> = entries
                    .filter_map(|e| Some(e.ok()?.path()))
                    .filter(|p| p.extension().is_some_and(|e| e == "toml"))
                    .collect();
                found.sort();
                paths.extend(found);
            }
            Err(e) => errors.push(RuleError {
                file: Some(folder.to_owned()),
                line: 0,
                column: 0,
                message: format!("cannot read the folder of rules: {e}"),
            }),
        }
    }
    let mut rules: Vec<UserRule> = Vec::new();
    for path in paths {
        match load(&path) {
            Ok(more) => {
                for rule in more {
                    if rules.iter().any(|r| r.id == rule.id) {
                        errors.push(RuleError {
                            file: Some(path.clone()),
                            line: 0,
                            column: 0,
                            message: format!("the rule `{}` is there already", rule.id),
                        });
                    } else {
                        rules.push(rule);
                    }
                }
            }
            Err(more) => errors.extend(more),
        }
    }
    (rules, errors)
}

impl UserRule {
    /// The rule in words, as `rules explain` prints it.
    pub fn explain(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{}: {}", self.id, self.title);
        let about = match self.same {
            Same::Connection => "a connection",
            Same::Sid => "a Sid",
        };
        let _ = writeln!(
            out,
            "about: {about}; verdict: {}, {}; a rule of your own",
            self.verdict.name(),
            self.confidence.name()
        );
        let _ = writeln!(out, "\nSteps");
        for step in &self.steps {
            let _ = writeln!(
                out,
                "  {:<13} {}: {}",
                step.name,
                step.event.word(),
                step.filter.text()
            );
            if step.anywhere {
                let _ = writeln!(out, "  {:<13} anywhere in the file", "");
            }
            if let Some(ns) = step.within {
                let _ = writeln!(out, "  {:<13} within {} of the step before", "", time(ns));
            }
            if let Some(filter) = &step.not_between {
                let _ = writeln!(
                    out,
                    "  {:<13} nothing in between with: {}",
                    "",
                    filter.text()
                );
            }
        }
        if let Some(ns) = self.within {
            let _ = writeln!(out, "  all within {} of the first step", time(ns));
        }
        for (head, text) in [
            ("What it means", &self.meaning),
            ("What to do next", &self.next),
        ] {
            if !text.is_empty() {
                let _ = writeln!(out, "\n{head}\n  {text}");
            }
        }
        out
    }
}

/// A span of time in its largest whole unit.
fn time(ns: i64) -> String {
    for (unit, name) in [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us")] {
        if ns % unit == 0 {
            return format!("{} {name}", ns / unit);
        }
    }
    format!("{ns} ns")
}

#[cfg(test)]
mod tests;
