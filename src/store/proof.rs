//! What proves a finding, packed: each of very many connections can have one, with a dozen conditions and frames.

use std::borrow::Cow;

use super::finding::{Condition, Evidence, Outcome};
use crate::units::FrameNo;

/// The conditions of a finding, in their order. They are taken apart when they are packed, and made again when they
/// are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Conditions {
    rows: Box<[PackedCondition]>,
    /// The frames of all of them.
    frames: Box<[FrameNo]>,
    /// Their facts, and what of them is no text of the catalogue.
    text: Box<str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct PackedCondition {
    id: Label,
    text: Label,
    fact: usize,
    frames: u32,
    outcome: Outcome,
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
        let mut frames = self.frames.iter().copied();
        let mut text = &*self.text;
        self.rows.iter().map(move |row| Condition {
            id: row.id.unpack(&mut text),
            text: row.text.unpack(&mut text),
            outcome: row.outcome,
            frames: (0..row.frames).map_while(|_| frames.next()).collect(),
            fact: front(&mut text, row.fact).to_owned(),
        })
    }

    /// Those with one outcome.
    pub fn with(&self, outcome: Outcome) -> impl Iterator<Item = Condition> {
        self.iter().filter(move |c| c.outcome == outcome)
    }
}

impl FromIterator<Condition> for Conditions {
    fn from_iter<I: IntoIterator<Item = Condition>>(conditions: I) -> Self {
        let (mut frames, mut text) = (Vec::new(), String::new());
        let rows = conditions.into_iter().map(|condition| {
            let before = frames.len();
            frames.extend(condition.frames);
            PackedCondition {
                id: Label::pack(condition.id, &mut text),
                text: Label::pack(condition.text, &mut text),
                fact: keep(&condition.fact, &mut text),
                frames: u32::try_from(frames.len().saturating_sub(before)).unwrap_or(u32::MAX),
                outcome: condition.outcome,
            }
        });
        Self {
            rows: rows.collect(),
            frames: frames.into(),
            text: text.into(),
        }
    }
}

/// The evidence of a finding, in file order; packed as [`Conditions`] are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EvidenceList {
    rows: Box<[PackedEvidence]>,
    text: Box<str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct PackedEvidence {
    role: Label,
    fact: usize,
    frame: FrameNo,
}

impl EvidenceList {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Each frame with the part it plays.
    pub fn iter(&self) -> impl Iterator<Item = Evidence> {
        let mut text = &*self.text;
        self.rows.iter().map(move |row| Evidence {
            frame: row.frame,
            role: row.role.unpack(&mut text),
            fact: front(&mut text, row.fact).to_owned(),
        })
    }

    /// The frames alone.
    pub fn frames(&self) -> impl DoubleEndedIterator<Item = FrameNo> {
        self.rows.iter().map(|row| row.frame)
    }
}

impl FromIterator<Evidence> for EvidenceList {
    fn from_iter<I: IntoIterator<Item = Evidence>>(evidence: I) -> Self {
        let mut text = String::new();
        let rows = evidence.into_iter().map(|evidence| PackedEvidence {
            role: Label::pack(evidence.role, &mut text),
            fact: keep(&evidence.fact, &mut text),
            frame: evidence.frame,
        });
        Self {
            rows: rows.collect(),
            text: text.into(),
        }
    }
}

/// A text of the catalogue, or so many bytes of the text at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Label {
    Static(&'static str),
    Kept(usize),
}

impl Label {
    fn pack(label: Cow<'static, str>, text: &mut String) -> Self {
        match label {
            Cow::Borrowed(label) => Self::Static(label),
            Cow::Owned(label) => Self::Kept(keep(&label, text)),
        }
    }

    fn unpack(self, text: &mut &str) -> Cow<'static, str> {
        match self {
            Self::Static(label) => label.into(),
            Self::Kept(len) => front(text, len).to_owned().into(),
        }
    }
}

/// Adds a part to a text; returns its length.
fn keep(part: &str, text: &mut String) -> usize {
    text.push_str(part);
    part.len()
}

/// Takes so many bytes off the front of a text.
fn front<'t>(text: &mut &'t str, len: usize) -> &'t str {
    let (front, rest) = text.split_at_checked(len).unwrap_or((text, ""));
    *text = rest;
    front
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
