//! The explanation of a rule as text, printed from the rule itself.

use std::fmt::Write as _;

use super::catalogue::rule;
use super::settings::Threshold;

/// What a rule says, needs and means; `None` if there is no such rule.
pub fn explain(id: &str) -> Option<String> {
    let rule = rule(id)?;
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{}: {}", rule.id, rule.title);
    let _ = writeln!(
        out,
        "about: {}; usual verdict: {}",
        rule.scope.word(),
        rule.verdict.name()
    );
    let _ = writeln!(out, "\nConditions");
    for criterion in rule.conditions {
        let _ = writeln!(
            out,
            "  {:<13} {}",
            criterion.statement.id, criterion.statement.text
        );
    }
    let limits: Vec<Threshold> = Threshold::of_rule(rule.id).collect();
    if !limits.is_empty() {
        let _ = writeln!(out, "\nThresholds");
        for limit in limits {
            let value = limit.written(limit.default_value());
            let _ = writeln!(out, "  {} = {value} ({})", limit.name(), limit.source());
        }
    }
    for (head, text) in [
        ("What it means", rule.meaning),
        ("What to do next", rule.next),
        ("Source", rule.source),
    ] {
        if !text.is_empty() {
            let _ = writeln!(out, "\n{head}\n  {text}");
        }
    }
    Some(out)
}
