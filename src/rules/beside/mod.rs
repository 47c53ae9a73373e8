//! Findings on a connection beside its close: sessions, requests, single resets, quality of the capture.

mod network;
mod requests;
mod resets;
mod sessions;

use super::engine;
use super::facts::Facts;
use super::rule::{Check, Conclusion, Probe, Rule};
use crate::store::{Confidence, Exhibit, Finding, Outcome, Protocol, Verdict};
use crate::units::FrameNo;

/// Adds what there is to say about a connection beside its close, which may have told of packets against the
/// specification.
pub(super) fn gather(facts: &Facts<'_>, violations_told: bool, out: &mut Vec<Finding>) {
    let mut add = |finding: Option<Finding>| {
        if let Some(finding) = finding
            && facts.settings.is_on(&finding.rule)
        {
            out.push(finding);
        }
    };
    for ignored in &facts.close.ignored {
        add(Some(resets::rst_ignored(
            facts,
            ignored.reset.no,
            ignored.later,
        )));
    }
    add(resets::foreign_resets(facts));
    add(resets::earlier_connection(facts));
    if facts.conn.protocol != Protocol::Tds && !facts.conn.smp_seen {
        return;
    }
    add(requests::login_slow(facts));
    let told = requests::Told::of(facts);
    add(told.attentions(facts));
    add(told.slow_responses(facts));
    add(told.pool_resets(facts));
    add(sessions::stalls(facts));
    add(sessions::sids_closed(facts));
    add(sessions::orphans(facts));
    add(network::zero_windows(facts));
    add(network::one_direction(facts));
    add(network::file_gap(facts));
    add(network::slow_acks(facts));
    add(network::one_way_loss(facts));
    add(requests::reset_bits(facts));
    add(network::joined_late(facts));
    add(network::numbers_rewritten(facts));
    add(network::other_port(facts));
    if !violations_told {
        add(sessions::violations(facts));
    }
}

/// A finding beside the close; its condition is stated with the fact that it rests on. Of a rule that can also
/// decide the close, only what holds here is said.
fn stated(
    facts: &Facts<'_>,
    rule: &Rule,
    verdict: Verdict,
    text: String,
    proof: Vec<Exhibit>,
) -> Finding {
    let frames: Vec<FrameNo> = proof.iter().map(|e| e.frame).collect();
    let conclusion = Conclusion::new(verdict, Confidence::Proven, text).with_evidence(proof);
    let mut finding = engine::finding(rule, Some(facts.conn.id), conclusion);
    finding.conditions = rule
        .conditions
        .iter()
        .map(|c| match c.check {
            Probe::Gathered => c.with(Check::held("").on(frames.iter().copied())),
            Probe::Facts(check) => c.with(check(facts)),
        })
        .filter(|c| c.outcome == Outcome::Held || c.id() == "both-ends")
        .collect();
    finding
}
