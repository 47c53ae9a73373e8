//! What proves a finding, packed: each of very many connections can have one, with a dozen conditions and frames.

use std::borrow::{Borrow, Cow};
use std::sync::Arc;

use super::fact::Fact;
use super::finding::{Condition, Evidence, Outcome};
use super::short::Short;
use super::tape::{Reader, Tape, Told, Writer};
use crate::units::FrameNo;

/// A condition of a rule: its id in the catalogue, for example `M5`, and its sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement {
    /// Its id.
    pub id: &'static str,
    /// Its sentence.
    pub text: &'static str,
}

/// Which condition it is that was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Label {
    /// One of the catalogue.
    Rule(&'static Statement),
    /// One of a rule of the reader's own: its id and its sentence.
    Own(Box<(String, String)>),
}

/// Frames that something was decided on, in no certain order; mostly a few.
pub type FrameList = Short<FrameNo, 6>;

/// A condition as a rule applied it; readers get a [`Condition`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Which one.
    pub label: Label,
    /// What became of it.
    pub outcome: Outcome,
    /// The frames that it was decided on.
    pub frames: FrameList,
    /// The numbers.
    pub fact: Fact,
}

impl Applied {
    /// The condition's id.
    pub fn id(&self) -> &str {
        match &self.label {
            Label::Rule(statement) => statement.id,
            Label::Own(own) => &own.0,
        }
    }
}

impl From<Condition> for Applied {
    fn from(condition: Condition) -> Self {
        Self {
            label: Label::Own(Box::new((
                condition.id.into_owned(),
                condition.text.into_owned(),
            ))),
            outcome: condition.outcome,
            frames: condition.frames.into_iter().collect(),
            fact: condition.fact.into(),
        }
    }
}

/// A piece of evidence as a rule shows it; readers get an [`Evidence`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exhibit {
    /// The frame.
    pub frame: FrameNo,
    /// The part it plays.
    pub role: Fact,
    /// The fact taken from it.
    pub fact: Fact,
}

impl From<Evidence> for Exhibit {
    fn from(evidence: Evidence) -> Self {
        Self {
            frame: evidence.frame,
            role: evidence.role.into(),
            fact: evidence.fact.into(),
        }
    }
}

/// The conditions of a finding, in their order. They are taken apart when they are packed, and made again when they
/// are asked for.
#[derive(Debug, Clone, Default)]
pub struct Conditions {
    pub(super) rows: Arc<[PackedCondition]>,
    tape: Tape,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct PackedCondition {
    /// None of a rule of the reader's own: id and sentence stand on the tape.
    statement: Option<&'static Statement>,
    fact: Told,
    frames: u32,
    outcome: Outcome,
}

/// Whether both stand on their tapes in the same way.
impl PartialEq for PackedCondition {
    fn eq(&self, other: &Self) -> bool {
        let same = match (self.statement, other.statement) {
            (Some(one), Some(other)) => std::ptr::eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        };
        let whats = (self.frames, self.outcome) == (other.frames, other.outcome);
        same && whats && self.fact.is_like(other.fact)
    }
}

impl Conditions {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The conditions.
    pub fn iter(&self) -> impl Iterator<Item = Condition> {
        let mut tape = Reader::new(&self.tape);
        self.rows.iter().map(move |row| {
            let (id, text) = if let Some(Statement { id, text }) = row.statement {
                (Cow::Borrowed(*id), Cow::Borrowed(*text))
            } else {
                let [id, text] = [tape.text(), tape.text()].map(str::to_owned);
                (Cow::Owned(id), Cow::Owned(text))
            };
            Condition {
                id,
                text,
                outcome: row.outcome,
                frames: tape.frames(row.frames),
                fact: tape.fact(row.fact),
            }
        })
    }

    /// Those with one outcome.
    pub fn with(&self, outcome: Outcome) -> impl Iterator<Item = Condition> {
        self.iter().filter(move |c| c.outcome == outcome)
    }
}

impl<A: Borrow<Applied>> FromIterator<A> for Conditions {
    fn from_iter<I: IntoIterator<Item = A>>(conditions: I) -> Self {
        let conditions = conditions.into_iter();
        let mut tape = Writer::with_capacity(conditions.size_hint().0.saturating_mul(8));
        let rows = conditions.map(|condition| {
            let condition = condition.borrow();
            let statement = match &condition.label {
                Label::Rule(statement) => Some(*statement),
                Label::Own(own) => {
                    tape.text(&own.0);
                    tape.text(&own.1);
                    None
                }
            };
            let frames = tape.frames(condition.frames.as_slice());
            PackedCondition {
                statement,
                fact: tape.fact(&condition.fact),
                frames,
                outcome: condition.outcome,
            }
        });
        Self {
            rows: rows.collect(),
            tape: tape.finish(&Writer::default()),
        }
    }
}

impl FromIterator<Condition> for Conditions {
    fn from_iter<I: IntoIterator<Item = Condition>>(conditions: I) -> Self {
        conditions.into_iter().map(Applied::from).collect()
    }
}

impl PartialEq for Conditions {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Conditions {}

/// The evidence of a finding, in file order; packed as [`Conditions`] are, its frames in front of all else.
#[derive(Debug, Clone, Default)]
pub struct EvidenceList {
    pub(super) rows: Arc<[PackedEvidence]>,
    tape: Tape,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct PackedEvidence {
    role: Told,
    fact: Told,
}

/// Whether both stand on their tapes in the same way.
impl PartialEq for PackedEvidence {
    fn eq(&self, other: &Self) -> bool {
        self.role.is_like(other.role) && self.fact.is_like(other.fact)
    }
}

impl EvidenceList {
    /// How many frames there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Each frame with the part it plays.
    pub fn iter(&self) -> impl Iterator<Item = Evidence> {
        let mut tape = Reader::new(&self.tape);
        let frames = self.frames_of(&mut tape).into_iter();
        self.rows
            .iter()
            .zip(frames)
            .map(move |(row, frame)| Evidence {
                frame,
                role: tape.fact(row.role).into(),
                fact: tape.fact(row.fact),
            })
    }

    /// The frames alone.
    pub fn frames(&self) -> impl DoubleEndedIterator<Item = FrameNo> {
        self.frames_of(&mut Reader::new(&self.tape)).into_iter()
    }

    fn frames_of(&self, tape: &mut Reader<'_>) -> Vec<FrameNo> {
        self.rows.iter().map(|_| tape.frame()).collect()
    }
}

impl<E: Borrow<Exhibit>> FromIterator<E> for EvidenceList {
    fn from_iter<I: IntoIterator<Item = E>>(evidence: I) -> Self {
        let evidence = evidence.into_iter();
        let few = evidence.size_hint().0.saturating_mul(8);
        let (mut frames, mut facts) = (Writer::with_capacity(few), Writer::with_capacity(few));
        let rows = evidence.map(|exhibit| {
            let exhibit = exhibit.borrow();
            frames.frame(exhibit.frame);
            PackedEvidence {
                role: facts.fact(&exhibit.role),
                fact: facts.fact(&exhibit.fact),
            }
        });
        Self {
            rows: rows.collect(),
            tape: frames.finish(&facts),
        }
    }
}

impl FromIterator<Evidence> for EvidenceList {
    fn from_iter<I: IntoIterator<Item = Evidence>>(evidence: I) -> Self {
        evidence.into_iter().map(Exhibit::from).collect()
    }
}

impl PartialEq for EvidenceList {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for EvidenceList {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fact;

    #[test]
    fn what_was_packed_comes_back() {
        let condition = |id: Cow<'static, str>, frames: &[u32], fact: &str| Condition {
            id,
            text: "the bytes behind the FIN are one SMP FIN".into(),
            outcome: Outcome::Held,
            frames: frames.iter().copied().map(FrameNo).collect(),
            fact: fact.to_owned(),
        };
        let conditions = [
            condition("M1".into(), &[], ""),
            condition("a step".to_owned().into(), &[7, 3, u32::MAX], "ü = 16"),
            condition("M2".into(), &[4], "51022 - 51006 = 16"),
            Condition {
                text: "conn == 4".to_owned().into(),
                outcome: Outcome::Unknown,
                ..condition(String::new().into(), &[], "")
            },
        ];
        let packed: Conditions = conditions.iter().cloned().collect();
        assert_eq!(packed.len(), 4);
        assert!(packed.iter().eq(conditions.iter().cloned()));
        assert!(
            packed
                .with(Outcome::Unknown)
                .eq(conditions[3..].iter().cloned())
        );

        let evidence = |frame, role: Cow<'static, str>, fact: &str| Evidence {
            frame: FrameNo(frame),
            role,
            fact: fact.to_owned(),
        };
        let evidence = [
            evidence(9, "client TCP FIN".into(), "FIN.Seq 1000"),
            evidence(8, "Schritt 2 ä".to_owned().into(), ""),
            evidence(10, "RST".into(), "1001"),
        ];
        let packed: EvidenceList = evidence.iter().cloned().collect();
        assert!(packed.iter().eq(evidence));
        assert!(packed.frames().eq([9, 8, 10].map(FrameNo)));
    }

    #[test]
    fn facts_are_told_of_the_numbers_that_were_packed() {
        static STATEMENT: Statement = Statement {
            id: "M14",
            text: "the client took every packet",
        };
        let applied = |fact| Applied {
            label: Label::Rule(&STATEMENT),
            outcome: Outcome::Held,
            frames: (1..10).map(FrameNo).collect(),
            fact,
        };
        let facts = [
            fact!("no FIN"),
            fact!("{a} = {b}", a = u32::MAX, b = FrameNo(3)),
            "words".into(),
            fact!("{a}, {b}, {c}", a = -1_i64, b = i64::MAX, c = i64::MIN),
            Fact::told(0..40, |numbers, out| *out = format!("{numbers:?}")),
        ];
        let packed: Conditions = facts.clone().map(applied).into_iter().collect();
        for (condition, fact) in packed.iter().zip(&facts) {
            assert_eq!(condition.id, "M14");
            assert_eq!(condition.fact, fact.to_string());
            assert!(condition.frames.into_iter().eq((1..10).map(FrameNo)));
        }
        assert_eq!(packed.len(), facts.len());

        let exhibit = |fact: Fact| Exhibit {
            frame: FrameNo(7),
            role: fact.clone(),
            fact,
        };
        let packed: EvidenceList = facts.clone().map(exhibit).into_iter().collect();
        for (evidence, fact) in packed.iter().zip(&facts) {
            assert_eq!(evidence.role, evidence.fact);
            assert_eq!(evidence.fact, fact.to_string());
        }
    }
}
