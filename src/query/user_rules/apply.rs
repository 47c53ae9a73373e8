//! Applies a user's rules to the connections of a store.

use std::cell::Cell;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

use super::file::places;
use super::{EventKind, Same, Step, UserRule};
use crate::query::ast::{Node, Quant, What};
use crate::query::eval::{Eval, Event, Moment};
use crate::query::run::Run;
use crate::query::sparse::Listed;
use crate::query::value::Val;
use crate::query::{Filter, field};
use crate::store::{Condition, Evidence, Finding, Outcome};
use crate::units::{ConnId, FindingId, FrameNo, SessionId};

/// Questions asked of one connection by one rule; a rule that needs more is too broad.
const MOST_QUESTIONS: u32 = 1_000_000;
/// Findings of one rule on one connection.
const MOST_FINDINGS: usize = 1_000;

/// What came of applying rules.
#[derive(Debug, Default)]
pub struct Applied {
    /// The findings, rule by rule, connection by connection.
    pub findings: Vec<Finding>,
    /// Rules that gave up on connections, because their steps fit too many events.
    pub too_broad: Vec<(String, ConnId)>,
    /// `stop` said so before all was done.
    pub stopped: bool,
}

/// Applies rules to all connections. `stop` is asked now and then.
pub fn apply(rules: &[UserRule], eval: &Eval<'_>, stop: &mut dyn FnMut() -> bool) -> Applied {
    let mut applied = Applied::default();
    let listed = Listed::default();
    let eval = &Eval {
        listed: Some(&listed),
        ..*eval
    };
    for rule in rules {
        let Some(steps) = candidates(rule, eval, stop) else {
            applied.stopped = true;
            return applied;
        };
        let empty = Vec::new();
        let Some(first) = steps.first() else {
            continue;
        };
        for conn in first.keys() {
            if stop() {
                applied.stopped = true;
                return applied;
            }
            let lists: Vec<&[Event]> = steps
                .iter()
                .map(|s| s.get(conn).unwrap_or(&empty).as_slice())
                .collect();
            if lists.iter().any(|l| l.is_empty()) {
                continue;
            }
            let mut search = Search {
                rule,
                eval,
                lists,
                bound: Vec::new(),
                used: HashSet::new(),
                questions: Cell::new(0),
            };
            applied.findings.extend(search.all(*conn));
            if search.questions.get() >= MOST_QUESTIONS {
                applied.too_broad.push((rule.id.clone(), *conn));
            }
        }
    }
    applied
}

/// The events that may be each step, by connection: those for which the parts of its filter hold that do not refer
/// to other steps.
fn candidates(
    rule: &UserRule,
    eval: &Eval<'_>,
    stop: &mut dyn FnMut() -> bool,
) -> Option<Vec<BTreeMap<ConnId, Vec<Event>>>> {
    let mut all = Vec::new();
    for step in &rule.steps {
        let own = step.filter.part(is_free);
        let frames = likely_frames(step.event, &own, eval, stop)?;
        let mut events: BTreeMap<ConnId, Vec<Event>> = BTreeMap::new();
        for (at, frame) in frames.into_iter().enumerate() {
            if at % 4096 == 0 && stop() {
                return None;
            }
            let Some(conn) = eval.store.frame(frame).and_then(|f| f.conn) else {
                continue;
            };
            for event in events_in(step.event, frame, eval) {
                if own.matches_event(eval, event, &[]) {
                    events.entry(conn).or_default().push(event);
                }
            }
        }
        all.push(events);
    }
    Some(all)
}

/// Frames that hold all events for which a filter holds, and perhaps others. A filter that holds for one packet of a
/// frame holds for the frame, unless it denies something, which another packet of the frame may have.
fn likely_frames(
    event: EventKind,
    own: &Filter,
    eval: &Eval<'_>,
    stop: &mut dyn FnMut() -> bool,
) -> Option<Vec<FrameNo>> {
    let plain = if event == EventKind::Tcp {
        own.clone()
    } else {
        own.part(is_plain)
    };
    let mut frames = Vec::new();
    let mut stopped = false;
    let mut run = Run::new(plain);
    let progress = run.step(
        eval,
        &mut || {
            stopped = stop();
            stopped
        },
        &mut |hits| frames.extend_from_slice(hits),
    );
    progress.done.then_some(frames)
}

fn events_in(kind: EventKind, frame: FrameNo, eval: &Eval<'_>) -> Vec<Event> {
    if kind == EventKind::Tcp {
        let tcp = eval.store.frame(frame).is_some_and(|row| row.is_tcp());
        return tcp
            .then_some(Event { frame, pdu: None })
            .into_iter()
            .collect();
    }
    let pdus = eval.store.pdus_in(frame);
    pdus.filter(|(_, pdu)| match kind {
        EventKind::Smp => pdu.kind.is_smp(),
        EventKind::Tds => pdu.carries_tds(),
        EventKind::Tcp => false,
    })
    .map(|(id, _)| Event {
        frame,
        pdu: Some(id),
    })
    .collect()
}

/// The search for a rule's steps among the events of one connection.
struct Search<'a> {
    rule: &'a UserRule,
    eval: &'a Eval<'a>,
    lists: Vec<&'a [Event]>,
    bound: Vec<Event>,
    /// Events that a match has already used, with their step.
    used: HashSet<(usize, FrameNo, Option<u32>)>,
    questions: Cell<u32>,
}

impl Search<'_> {
    fn all(&mut self, conn: ConnId) -> Vec<Finding> {
        let mut findings = Vec::new();
        while findings.len() < MOST_FINDINGS && self.step(0) {
            for (step, event) in self.bound.iter().enumerate() {
                self.used.insert(key(step, *event));
            }
            findings.push(self.finding(conn));
            self.bound.clear();
        }
        findings
    }

    /// Counts a question; `true` when there were too many.
    fn tired(&self) -> bool {
        let asked = self.questions.get().saturating_add(1);
        self.questions.set(asked);
        asked >= MOST_QUESTIONS
    }

    /// Binds a step and those behind it; `false` if nothing fits.
    fn step(&mut self, at: usize) -> bool {
        let Some(step) = self.rule.steps.get(at) else {
            return true;
        };
        let list = self.lists.get(at).copied().unwrap_or_default();
        let from = match self.bound.last() {
            Some(before) if !step.anywhere => list.partition_point(|e| !follows(*before, *e)),
            _ => 0,
        };
        for event in list.iter().skip(from).copied() {
            if self.tired() {
                return false;
            }
            if self.used.contains(&key(at, event)) {
                continue;
            }
            if !step.anywhere && self.too_late(step, event) {
                break;
            }
            if self.fits(step, event) {
                self.bound.push(event);
                if self.step(at.saturating_add(1)) {
                    return true;
                }
                self.bound.pop();
            }
        }
        false
    }

    /// Whether an event, and so every later one of the file, is too far away. Clocks may run backwards, so that only
    /// a distance far beyond the limit ends the search.
    fn too_late(&self, step: &Step, event: Event) -> bool {
        const SLACK: i64 = 10;
        let limit = |before: Option<&Event>, within: Option<i64>| match (before, within) {
            (Some(before), Some(within)) => {
                self.distance(*before, event) > within.saturating_mul(SLACK)
            }
            _ => false,
        };
        limit(self.bound.last(), step.within) || limit(self.bound.first(), self.rule.within)
    }

    /// Nanoseconds from one event to another; negative where the clock ran backwards.
    fn distance(&self, from: Event, to: Event) -> i64 {
        let store = self.eval.store;
        match (store.time_of(from.frame), store.time_of(to.frame)) {
            (Some(from), Some(to)) => to.since(from),
            _ => i64::MAX,
        }
    }

    fn fits(&self, step: &Step, event: Event) -> bool {
        if self.bound.contains(&event) {
            return false;
        }
        let near = |other: Option<&Event>, within: Option<i64>| match (other, within) {
            (Some(other), Some(within)) => self.distance(*other, event).saturating_abs() <= within,
            _ => true,
        };
        if !near(self.bound.last(), step.within) || !near(self.bound.first(), self.rule.within) {
            return false;
        }
        if self.rule.same == Same::Sid
            && let (Some(mine), Some(theirs)) = (self.session(event), self.bound_session())
            && mine != theirs
        {
            return false;
        }
        step.filter.matches_event(self.eval, event, &self.bound)
            && step
                .not_between
                .as_ref()
                .is_none_or(|not| self.none_between(not, event))
    }

    fn session(&self, event: Event) -> Option<SessionId> {
        self.eval.store.pdu(event.pdu?)?.session
    }

    fn bound_session(&self) -> Option<SessionId> {
        self.bound.iter().find_map(|e| self.session(*e))
    }

    /// Whether no frame between the step before and an event is like this; on one Sid, no packet of the Sid.
    fn none_between(&self, not: &Filter, event: Event) -> bool {
        let Some(before) = self.bound.last() else {
            return true;
        };
        let (low, high) = (before.frame.min(event.frame), before.frame.max(event.frame));
        let session = match self.rule.same {
            Same::Sid => self.session(event).or_else(|| self.bound_session()),
            Same::Connection => None,
        };
        let mut next = self.eval.store.frame(high).and_then(|f| f.prev);
        while let Some(frame) = next.filter(|f| *f > low) {
            if self.tired() {
                return false;
            }
            let found = match session {
                None => not.matches_event(self.eval, Event { frame, pdu: None }, &self.bound),
                Some(session) => self
                    .eval
                    .store
                    .pdus_in(frame)
                    .filter(|(_, pdu)| pdu.session == Some(session))
                    .any(|(id, _)| {
                        let pdu = Some(id);
                        not.matches_event(self.eval, Event { frame, pdu }, &self.bound)
                    }),
            };
            if found {
                return false;
            }
            next = self.eval.store.frame(frame).and_then(|f| f.prev);
        }
        true
    }

    fn finding(&self, conn: ConnId) -> Finding {
        let named = || self.rule.steps.iter().zip(&self.bound);
        let mut evidence: Vec<Evidence> = named()
            .map(|(step, event)| Evidence {
                frame: event.frame,
                role: step.name.clone().into(),
                fact: String::new(),
            })
            .collect();
        evidence.sort_by_key(|e| e.frame);
        let marked = self.bound.get(self.rule.mark).or(self.bound.last());
        Finding {
            id: FindingId(0),
            rule: self.rule.id.clone().into(),
            verdict: self.rule.verdict,
            confidence: self.rule.confidence,
            close: false,
            conn: Some(conn),
            session: match self.rule.same {
                Same::Sid => self.bound_session(),
                Same::Connection => None,
            },
            marks: marked.map(|e| e.frame).into_iter().collect(),
            evidence: evidence.into_iter().collect(),
            conditions: named()
                .map(|(step, event)| Condition {
                    id: step.name.clone().into(),
                    text: step.filter.text().to_owned().into(),
                    outcome: Outcome::Held,
                    frames: vec![event.frame],
                    fact: String::new(),
                })
                .collect(),
            notes: vec!["a rule of your own".to_owned()],
            text: self.text().into(),
        }
    }

    /// The rule's text with the values of its places.
    fn text(&self) -> String {
        let template = if self.rule.text.is_empty() {
            &self.rule.title
        } else {
            &self.rule.text
        };
        let mut out = template.clone();
        for place in places(template) {
            let value = place.split_once('.').and_then(|(step, name)| {
                let at = self.rule.steps.iter().position(|s| s.name == step)?;
                self.value(*self.bound.get(at)?, name)
            });
            let value = value.unwrap_or_else(|| "?".to_owned());
            out = out.replace(&format!("{{{place}}}"), &value);
        }
        out
    }

    /// A field's values as text.
    fn value(&self, event: Event, name: &str) -> Option<String> {
        if name == "frame" {
            return Some(event.frame.to_string());
        }
        let field = field::find(name)?;
        let values = Moment::new(self.eval, event, &[]).values(&field);
        let words = field.words();
        let mut out = String::new();
        for value in &values {
            if !out.is_empty() {
                out.push(' ');
            }
            let word = match value {
                Val::Num(n) => words.iter().find(|(code, _)| code == n),
                _ => None,
            };
            // Writing to a string cannot fail.
            let _ = match (word, value, field.ty) {
                (Some((_, word)), ..) => write!(out, "{word}"),
                (None, Val::Num(n), field::Ty::Span) => {
                    write!(
                        out,
                        "{}",
                        super::time(i64::try_from(*n).unwrap_or(i64::MAX))
                    )
                }
                (None, Val::Num(n), _) => write!(out, "{n}"),
                (None, Val::Float(n), _) => write!(out, "{n}"),
                (None, Val::Text(t), _) => write!(out, "{t}"),
                (None, Val::Ip(ip), _) => write!(out, "{ip}"),
                (None, Val::Bytes(b), _) => write!(out, "{} bytes", b.len()),
            };
        }
        (!out.is_empty()).then_some(out)
    }
}

fn key(step: usize, event: Event) -> (usize, FrameNo, Option<u32>) {
    (step, event.frame, event.pdu.map(|p| p.0))
}

/// Whether an event stands behind another. A segment and the packets that it completes happen together: either may
/// be the earlier step.
fn follows(before: Event, event: Event) -> bool {
    match event.frame.cmp(&before.frame) {
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => match (before.pdu, event.pdu) {
            (Some(before), Some(event)) => event > before,
            (None, None) => false,
            _ => true,
        },
    }
}

impl Filter {
    /// The conditions joined by `and` that may be kept by themselves; without any it holds for everything.
    fn part(&self, keep: impl Fn(&Node) -> bool) -> Self {
        let parts = match &self.root {
            Node::All(parts) => parts.iter().filter(|p| keep(p)).cloned().collect(),
            other if keep(other) => vec![other.clone()],
            _ => Vec::new(),
        };
        Self {
            root: Node::All(parts),
            ..self.clone()
        }
    }
}

/// Whether a condition does not refer to other steps.
fn is_free(node: &Node) -> bool {
    let mut free = true;
    node.leaves(&mut |leaf| free &= !leaf.what.is_bound());
    free
}

/// Whether a condition that holds for one packet holds for the frame around it, whatever else is in the frame.
fn is_plain(node: &Node) -> bool {
    match node {
        Node::All(parts) | Node::Any(parts) => parts.iter().all(is_plain),
        Node::Not(_) => false,
        Node::Leaf(leaf) => match &leaf.what {
            What::Test { quant, .. } => *quant == Quant::Any,
            What::Compare { quant, .. } => *quant == Quant::Any && !leaf.what.counts(),
            What::NotZero(_) => !leaf.what.counts(),
            What::Present(_) => true,
        },
    }
}
