//! What a rule says about a frame, condition by condition, as part of the frame's tree.

use crate::decode::field::{Field, Value};
use crate::rules;
use crate::rules::order::{self, TwoOrders};
use crate::store::{Condition, Finding, Outcome, Store};
use crate::units::FrameNo;

/// The label of the sentence that a condition checked.
pub const CHECKED: &str = "checked";

/// Frames of a finding that are listed: each of the frames that it marks has the list in its tree.
const MOST_FRAMES: usize = 500;

/// The finding that marks a frame.
pub fn on(store: &Store, no: FrameNo) -> Option<Field> {
    let finding = store.finding_on(no)?;
    let few = finding.marks.len() <= MOST_FRAMES && finding.evidence.len() <= MOST_FRAMES;
    let orders = Some(finding)
        .filter(|finding| finding.close && few)
        .and_then(|finding| order::of_finding(store, finding));
    Some(field(finding).children(orders.as_ref().map(two_orders)))
}

/// The order of the frames here and at the other end, side by side, each step with its reason.
fn two_orders(orders: &TwoOrders) -> Field {
    let steps = orders
        .captured
        .iter()
        .zip(&orders.inferred)
        .map(|(here, step)| {
            let sure = if step.known { "known" } else { "inferred" };
            Field::new("", here.to_string(), Value::Frame(step.frame))
                .text(format!("{sure}: {}", step.reason))
                .link(step.frame)
        });
    Field::new("", "order", Value::None)
        .text(format!(
            "as captured, and as the {} must have seen it",
            orders.here.other().word()
        ))
        .children(steps)
}

fn field(finding: &Finding) -> Field {
    let mut field = Field::new(
        "finding",
        "Rule",
        Value::Text(finding.rule.clone().into_owned()),
    )
    .text(format!(
        "{}, {}: {}",
        finding.verdict.name(),
        finding.confidence.name(),
        finding.text
    ));
    // What failed comes first: it says why the close is no benign one. Then come the rule's own conditions.
    let is_own = |c: &Condition| {
        rules::rule(&finding.rule)
            .is_none_or(|r| r.conditions.iter().any(|own| own.statement.id == c.id))
    };
    let failed = finding.conditions.with(Outcome::Failed);
    field.children.extend(failed.map(condition));
    for own in [true, false] {
        for outcome in [Outcome::Unknown, Outcome::Held] {
            let all = finding.conditions.with(outcome);
            let chosen = all.filter(|c| is_own(c) == own).map(condition);
            field.children.extend(chosen);
        }
    }
    for evidence in finding.evidence.iter().take(MOST_FRAMES) {
        field.children.push(
            Field::new(
                "finding.condition",
                evidence.role,
                Value::Frame(evidence.frame),
            )
            .text(evidence.fact)
            .link(evidence.frame),
        );
    }
    let more = finding.evidence.len().saturating_sub(MOST_FRAMES);
    if more > 0 {
        field.children.push(
            Field::new("finding.condition", "more", Value::None)
                .text(format!("{more} more frames are evidence")),
        );
    }
    for note in &finding.notes {
        field.children.push(Field::new(
            "finding.condition",
            "note",
            Value::Text(note.clone()),
        ));
    }
    field
}

/// A condition's line shows the numbers that decided it, since they are the proof; the sentence that was checked
/// lies folded inside.
fn condition(condition: Condition) -> Field {
    let field = Field::new(
        "finding.condition",
        condition.id,
        Value::Text(condition.outcome.word().to_owned()),
    );
    let sentence = condition.text.into_owned();
    let mut field = if condition.fact.is_empty() {
        field.text(sentence)
    } else {
        field.text(condition.fact).child(Field::new(
            "finding.condition",
            CHECKED,
            Value::Text(sentence),
        ))
    };
    field.links = condition.frames;
    field
}
