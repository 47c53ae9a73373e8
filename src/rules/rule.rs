//! What a rule is: a value with its conditions and its texts, from which everything that is printed about it comes.

use super::facts::Facts;
use crate::store::{
    Applied, Confidence, Exhibit, Fact, FrameList, Label, Outcome, Statement, Verdict,
};
use crate::units::FrameNo;

/// What a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// How a connection ended; one finding per close.
    Close,
    /// A connection, beside its close.
    Connection,
    /// The sessions of a connection.
    Session,
    /// Several connections, or the capture itself.
    Capture,
}

impl Scope {
    /// The word in lists of rules.
    pub fn word(self) -> &'static str {
        match self {
            Self::Close => "close",
            Self::Connection => "connection",
            Self::Session => "session",
            Self::Capture => "capture",
        }
    }
}

/// What became of a condition on one connection, on which frames and with which numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Held, failed or unknown.
    pub outcome: Outcome,
    /// The frames that it was decided on.
    pub frames: FrameList,
    /// The numbers; empty where there are none.
    pub fact: Fact,
}

impl Check {
    /// The condition holds.
    pub(super) fn held(fact: impl Into<Fact>) -> Self {
        Self::new(Outcome::Held, fact)
    }

    /// The condition does not hold.
    pub(super) fn failed(fact: impl Into<Fact>) -> Self {
        Self::new(Outcome::Failed, fact)
    }

    /// The capture does not tell.
    pub(super) fn unknown(fact: impl Into<Fact>) -> Self {
        Self::new(Outcome::Unknown, fact)
    }

    /// Held or failed.
    pub(super) fn holds(holds: bool, fact: impl Into<Fact>) -> Self {
        Self::new(
            if holds {
                Outcome::Held
            } else {
                Outcome::Failed
            },
            fact,
        )
    }

    /// Held or failed; what a rule that does not apply would say is never told, and not made.
    pub(super) fn holds_with<F>(holds: bool, fact: impl FnOnce() -> F) -> Self
    where
        F: Into<Fact>,
    {
        if holds {
            Self::held(fact())
        } else {
            Self::failed("")
        }
    }

    fn new(outcome: Outcome, fact: impl Into<Fact>) -> Self {
        Self {
            outcome,
            frames: FrameList::default(),
            fact: fact.into(),
        }
    }

    /// Names the frames that it was decided on, each once (the first few where there are many).
    #[must_use]
    pub(super) fn on(mut self, frames: impl IntoIterator<Item = FrameNo>) -> Self {
        for frame in frames.into_iter().take(MOST_FRAMES) {
            if !self.frames.as_slice().contains(&frame) {
                self.frames.push(frame);
            }
        }
        self
    }
}

/// A condition or a list of evidence names no more frames than a reader would look at.
pub(super) const MOST_FRAMES: usize = 64;

/// How a condition is checked.
#[derive(Debug, Clone, Copy)]
pub enum Probe {
    /// On the facts of one connection.
    Facts(fn(&Facts<'_>) -> Check),
    /// Where the rule's rows are gathered; the sentence says on what.
    Gathered,
}

/// A named condition of a rule.
#[derive(Debug, Clone, Copy)]
pub struct Criterion {
    /// Its id and its sentence.
    pub statement: Statement,
    /// Its check.
    pub check: Probe,
}

/// What a rule says about a connection whose conditions were checked.
#[derive(Debug, Clone)]
pub(super) struct Conclusion {
    pub verdict: Verdict,
    pub confidence: Confidence,
    pub evidence: Vec<Exhibit>,
    pub notes: Vec<String>,
    pub text: Fact,
}

impl Conclusion {
    pub(super) fn new(verdict: Verdict, confidence: Confidence, text: impl Into<Fact>) -> Self {
        Self {
            verdict,
            confidence,
            evidence: Vec::new(),
            notes: Vec::new(),
            text: text.into(),
        }
    }

    pub(super) fn with_evidence(mut self, evidence: Vec<Exhibit>) -> Self {
        self.evidence.extend(evidence);
        self
    }
}

/// How the conclusion is drawn once no condition failed (or, for rules that say so, in spite of one).
pub(super) type Conclude = fn(&Facts<'_>, &[Applied]) -> Conclusion;

/// A rule of the catalogue.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Its id, as reports print it.
    pub id: &'static str,
    /// Its name in words.
    pub title: &'static str,
    /// What it looks at.
    pub scope: Scope,
    /// Its conditions.
    pub conditions: &'static [Criterion],
    /// Its usual verdict; the finding's own verdict governs.
    pub verdict: Verdict,
    /// What it means for the reader.
    pub meaning: &'static str,
    /// What to do next.
    pub next: &'static str,
    /// Where it comes from.
    pub source: &'static str,
    pub(super) unknown_is_enough: bool,
    pub(super) only_where: fn(&Facts<'_>) -> bool,
    pub(super) conclude: Option<Conclude>,
}

impl Rule {
    /// A rule that is decided on the facts of one connection's close.
    pub(super) const fn close(
        id: &'static str,
        title: &'static str,
        verdict: Verdict,
        conditions: &'static [Criterion],
        conclude: Conclude,
    ) -> Self {
        Self {
            conclude: Some(conclude),
            ..Self::gathered(id, title, Scope::Close, verdict, conditions)
        }
    }

    /// A rule whose conditions are checked where its rows are gathered, beside the closes.
    pub(super) const fn gathered(
        id: &'static str,
        title: &'static str,
        scope: Scope,
        verdict: Verdict,
        conditions: &'static [Criterion],
    ) -> Self {
        Self {
            id,
            title,
            scope,
            conditions,
            verdict,
            meaning: "",
            next: "",
            source: "",
            unknown_is_enough: false,
            only_where: |_| true,
            conclude: None,
        }
    }

    /// Adds what it means, what to do next and where it comes from.
    pub(super) const fn says(
        mut self,
        meaning: &'static str,
        next: &'static str,
        source: &'static str,
    ) -> Self {
        self.meaning = meaning;
        self.next = next;
        self.source = source;
        self
    }

    /// Says where alone the rule can apply, by a fact that is quickly asked: where it is not so, a condition fails.
    pub(super) const fn only_where(mut self, sign: fn(&Facts<'_>) -> bool) -> Self {
        self.only_where = sign;
        self
    }

    /// Lets the rule apply while conditions are unknown; its conclusion lowers the verdict then.
    pub(super) const fn with_unknowns(mut self) -> Self {
        self.unknown_is_enough = true;
        self
    }
}

impl Criterion {
    /// A condition that is checked on the facts of one connection.
    pub(super) const fn new(
        id: &'static str,
        text: &'static str,
        check: fn(&Facts<'_>) -> Check,
    ) -> Self {
        Self {
            statement: Statement { id, text },
            check: Probe::Facts(check),
        }
    }

    /// A condition that is checked where the rule's rows are gathered.
    pub(super) const fn gathered(id: &'static str, text: &'static str) -> Self {
        Self {
            statement: Statement { id, text },
            check: Probe::Gathered,
        }
    }

    /// The condition as it came out.
    pub(super) fn with(&'static self, check: Check) -> Applied {
        Applied {
            label: Label::Rule(&self.statement),
            outcome: check.outcome,
            frames: check.frames,
            fact: check.fact,
        }
    }
}

/// A piece of evidence.
pub(super) fn evidence(frame: FrameNo, role: impl Into<Fact>, fact: impl Into<Fact>) -> Exhibit {
    Exhibit {
        frame,
        role: role.into(),
        fact: fact.into(),
    }
}
