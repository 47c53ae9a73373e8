//! Tests of the catalogue as a whole: what every rule must say, and that names lead to it.

use super::*;
use crate::store::{Outcome, Verdict};

#[test]
fn every_rule_says_what_it_means_what_to_do_and_where_it_comes_from() {
    for rule in catalogue() {
        let id = rule.id;
        assert!(!rule.conditions.is_empty(), "{id} has no conditions");
        assert!(!rule.title.is_empty(), "{id} has no title");
        assert!(!rule.meaning.is_empty(), "{id} does not say what it means");
        assert!(!rule.next.is_empty(), "{id} does not say what to do");
        assert!(!rule.source.is_empty(), "{id} has no source");
        let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(id.chars().all(known), "{id} is no id");
    }
}

#[test]
fn ids_of_rules_and_of_their_conditions_are_unique() {
    for (at, rule) in catalogue().iter().enumerate() {
        let twice = catalogue()
            .iter()
            .skip(at + 1)
            .any(|other| other.id == rule.id);
        assert!(!twice, "{} is there twice", rule.id);
        for (at, criterion) in rule.conditions.iter().enumerate() {
            let twice = rule
                .conditions
                .iter()
                .skip(at + 1)
                .any(|other| other.statement.id == criterion.statement.id);
            assert!(!twice, "{} has {} twice", rule.id, criterion.statement.id);
        }
    }
}

#[test]
fn explanations_hold_every_condition_and_threshold_of_the_rule() {
    for rule in catalogue() {
        let text = explain(rule.id).unwrap();
        for criterion in rule.conditions {
            assert!(
                text.contains(criterion.statement.id) && text.contains(criterion.statement.text),
                "{text}"
            );
        }
        assert!(text.contains(rule.meaning) && text.contains(rule.next));
    }
    assert!(
        explain("keepalive-timeout")
            .unwrap()
            .contains("keepalive-timeout.probes = 5")
    );
    assert_eq!(explain("no-such-rule"), None);
}

#[test]
fn every_threshold_belongs_to_a_rule() {
    for threshold in Threshold::ALL {
        let owner = threshold.name().split_once('.').unwrap().0;
        assert!(rule(owner).is_some(), "{}", threshold.name());
    }
}

#[test]
fn the_benign_reset_stands_behind_every_fault_in_precedence() {
    let place = |id: &str| catalogue().iter().position(|rule| rule.id == id).unwrap();
    let benign = place("mars-close-rst");
    for fault in [
        "keepalive-timeout",
        "retransmit-timeout",
        "rst-middlebox",
        "smp-violation",
        "rst-after-attention",
        "rst-with-request",
        "server-fin-first",
        "rst-data-lost",
    ] {
        assert!(place(fault) < benign, "{fault}");
        assert_eq!(rule(fault).unwrap().verdict, Verdict::Fault);
    }
}

#[test]
fn an_empty_store_has_no_findings() {
    let mut store = crate::store::Store::new();
    let mut judge = Judge::new(Settings::default());
    assert!(judge.step(&mut store, 1));
    assert!(store.findings().is_empty());
    assert_eq!(judge.judged(), 0);
    assert_eq!(Outcome::Unknown.word(), "unknown");
}
