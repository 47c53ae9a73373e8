//! What the user wishes, from flags, environment and config file: rules, thresholds, saved filters.

use std::path::{Path, PathBuf};

use super::args::RuleArgs;
use super::failure::Failure;
use super::output;
use crate::capture::Capture;
use crate::exit::Exit;
use crate::query;
use crate::query::user_rules::{self, UserRule};
use crate::rules;
use crate::settings::{LimitValue, Place, Problem, Settings};
use crate::store::Store;
use crate::units::FrameNo;

/// Settings of the whole program, and those of the rules made from them.
#[derive(Debug, Default)]
pub struct Wishes {
    /// Everything that can be set.
    pub settings: Settings,
    /// Thresholds and switches of the rules.
    pub rules: rules::Settings,
    /// Rules of the user's own.
    pub own: Vec<UserRule>,
    /// Mistakes in the file, the environment and the rule files that it names; what they are about is left at its
    /// default.
    pub problems: Vec<String>,
}

impl Wishes {
    /// As [`Wishes::read`]; mistakes are said at once.
    pub fn new(args: &RuleArgs) -> Result<Self, Failure> {
        let wishes = Self::read(args)?;
        for problem in &wishes.problems {
            output::say(&format!("marstui: {problem}"));
        }
        Ok(wishes)
    }

    /// Reads config file and environment, then the flags. What is wrong in the file or the environment is kept for
    /// the user and left at its default; a wrong flag is wrong usage.
    pub fn read(args: &RuleArgs) -> Result<Self, Failure> {
        let env = |name: &str| std::env::var(name).ok();
        let (settings, found) = Settings::load(args.config.as_deref(), env);
        let unread = |p: &&Problem| p.file.is_some() && p.place == Place::Default;
        if let Some(why) = found.iter().find(unread).filter(|_| args.config.is_some()) {
            return Err(Failure::new(Exit::CannotRead, format!("marstui: {why}")));
        }
        let mut problems: Vec<_> = found.iter().map(ToString::to_string).collect();
        let mut rules = rules::Settings::default();
        for (name, limit) in &settings.rules.limits {
            let value = match limit.value {
                LimitValue::Number(n) => n.to_string(),
                LimitValue::Span(ns) => format!("{ns}ns"),
            };
            if let Err(error) = rules.set(name, &value) {
                problems.push(format!("[rules] {}: {error}", limit.place));
            }
        }
        for (list, value) in [(&settings.rules.off, "off"), (&settings.rules.on, "on")] {
            for rule in list {
                if let Err(error) = rules.set(&rule.text, value) {
                    problems.push(format!("[rules] {}: {error}", rule.place));
                }
            }
        }
        for flag in &args.set {
            let Some((name, value)) = flag.split_once('=') else {
                return Err(Failure::usage(format!(
                    "marstui: --set {flag}: write it as NAME=VALUE, for example mars-close-rst.late=2s"
                )));
            };
            rules
                .set(name.trim(), value)
                .map_err(|error| Failure::usage(format!("marstui: --set {flag}: {error}")))?;
        }
        let own = own_rules(args, &settings, &mut problems)?;
        Ok(Self {
            settings,
            rules,
            own,
            problems,
        })
    }

    /// The frames that a filter leaves.
    pub fn filtered(
        &self,
        store: &Store,
        capture: &Capture,
        text: &str,
    ) -> Result<Vec<FrameNo>, Failure> {
        let own: Vec<_> = self.own.iter().map(|rule| rule.id.clone()).collect();
        let context = query::Context {
            own_rules: Some(&own),
            saved: Some(&self.settings.filters),
            start: store.start_time(),
            ..query::Context::default()
        };
        let filter = query::parse(text, &context).map_err(|error| {
            let mark = "^".repeat(error.length.max(1));
            let pad = " ".repeat(error.column);
            Failure::usage(format!("marstui: filter: {error}\n  {text}\n  {pad}{mark}"))
        })?;
        for hint in filter.hints() {
            output::say(&format!("marstui: filter: {hint}"));
        }
        let decode = query::Dissected::new(capture);
        let eval = query::Eval {
            decode: Some(&decode),
            ..query::Eval::of(store)
        };
        Ok(query::run(&filter, &eval))
    }
}

/// The rules of the user's own: those of flags, then those that the settings name. A mistake in a file named on the
/// command line is wrong usage; one in a file of the settings is said, and the other files count.
fn own_rules(
    args: &RuleArgs,
    settings: &Settings,
    problems: &mut Vec<String>,
) -> Result<Vec<UserRule>, Failure> {
    let (mut rules, errors) = user_rules::load_all(&args.own, None);
    if !errors.is_empty() {
        let exit = if errors.iter().all(|e| e.line == 0) {
            Exit::CannotRead
        } else {
            Exit::Usage
        };
        let lines: Vec<_> = errors.iter().map(|e| format!("marstui: {e}")).collect();
        return Err(Failure::new(exit, lines.join("\n")));
    }
    let files: Vec<PathBuf> = settings.rules.files.iter().map(PathBuf::from).collect();
    let folder = settings.rules.folder.as_deref().map(Path::new);
    let (more, errors) = user_rules::load_all(&files, folder);
    problems.extend(errors.iter().map(ToString::to_string));
    for rule in more {
        if rules.iter().all(|known| known.id != rule.id) {
            rules.push(rule);
        }
    }
    Ok(rules)
}
