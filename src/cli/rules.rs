//! `marstui rules`.

use super::args::{RulesArgs, RulesCommand};
use super::failure::Failure;
use super::output;
use crate::exit::Exit;
use crate::rules;
use crate::settings::nearest;

/// Lists or explains rules.
pub fn run(args: &RulesArgs) -> Result<Exit, Failure> {
    match &args.command {
        RulesCommand::List => list(),
        RulesCommand::Explain { id } => explain(id),
    }
}

fn list() -> Result<Exit, Failure> {
    let width = rules::catalogue()
        .iter()
        .map(|r| r.id.len())
        .max()
        .unwrap_or(0);
    output::to_stdout(|out| {
        for rule in rules::catalogue() {
            writeln!(
                out,
                "{:<width$}  {:<12}  {}",
                rule.id,
                rule.verdict.name(),
                rule.title
            )?;
        }
        Ok(())
    })?;
    Ok(Exit::Fine)
}

fn explain(id: &str) -> Result<Exit, Failure> {
    let Some(text) = rules::explain(id) else {
        let near = nearest(id, rules::catalogue().iter().map(|r| r.id));
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
