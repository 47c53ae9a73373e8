//! `marstui rules`.

use std::path::Path;

use super::args::{RulesArgs, RulesCommand};
use super::failure::Failure;
use super::output;
use super::wishes::Wishes;
use crate::exit::Exit;
use crate::query::user_rules::{self, UserRule};
use crate::rules::{self, Threshold};
use crate::settings::nearest;

/// Lists, explains or checks rules.
pub fn run(args: &RulesArgs) -> Result<Exit, Failure> {
    match &args.command {
        RulesCommand::List(rules) => list(&Wishes::new(rules)?),
        RulesCommand::Explain { id, rules } => explain(id, &Wishes::new(rules)?.own),
        RulesCommand::Check { file } => check(file),
    }
}

/// One line for each rule, and below it one for each of its thresholds, as they are set.
fn list(wishes: &Wishes) -> Result<Exit, Failure> {
    let built_in = rules::catalogue()
        .iter()
        .map(|r| (r.id, r.verdict.name(), r.title));
    let of_the_user = wishes
        .own
        .iter()
        .map(|r| (r.id.as_str(), r.verdict.name(), r.title.as_str()));
    let all: Vec<_> = built_in.chain(of_the_user).collect();
    let width = all.iter().map(|(id, ..)| id.len()).max().unwrap_or(0);
    output::to_stdout(|out| {
        for (id, verdict, title) in &all {
            writeln!(out, "{id:<width$}  {verdict:<12}  {title}")?;
            for threshold in Threshold::of_rule(id) {
                let value = threshold.written(wishes.rules.get(threshold));
                writeln!(out, "  {} = {value}", threshold.name())?;
            }
        }
        Ok(())
    })?;
    Ok(Exit::Fine)
}

fn explain(id: &str, own: &[UserRule]) -> Result<Exit, Failure> {
    let text = match own.iter().find(|rule| rule.id == id) {
        Some(rule) => Some(rule.explain()),
        None => rules::explain(id),
    };
    let Some(text) = text else {
        let built_in = rules::catalogue().iter().map(|r| r.id);
        let near = nearest(id, built_in.chain(own.iter().map(|r| r.id.as_str())));
        let hint = near.map_or_else(
            || "`marstui rules list` shows all".to_owned(),
            |near| format!("nearest: {near}"),
        );
        return Err(Failure::usage(format!(
            "marstui rules: no rule is named `{id}`; {hint}"
        )));
    };
    output::to_stdout(|out| out.write_all(text.as_bytes()))?;
    Ok(Exit::Fine)
}

/// Says what is wrong in a rule file, or which rules it holds.
fn check(file: &Path) -> Result<Exit, Failure> {
    match user_rules::load(file) {
        Ok(rules) => {
            output::to_stdout(|out| {
                for rule in &rules {
                    let steps = rule.steps.len();
                    let word = if steps == 1 { "step" } else { "steps" };
                    writeln!(out, "{}: {steps} {word}, {}", rule.id, rule.verdict.name())?;
                }
                Ok(())
            })?;
            Ok(Exit::Fine)
        }
        Err(errors) => {
            let unreadable = errors.iter().any(|e| e.line == 0);
            let lines: Vec<_> = errors.iter().map(|e| format!("marstui: {e}")).collect();
            let exit = if unreadable {
                Exit::CannotRead
            } else {
                Exit::Usage
            };
            Err(Failure::new(exit, lines.join("\n")))
        }
    }
}
