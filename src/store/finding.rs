//! What a rule says: verdict, evidence and conditions. The rules fill it, everything else prints it.

use std::borrow::Cow;

use super::fact::Fact;
use super::proof::{Conditions, EvidenceList};
use crate::units::{ConnId, FindingId, FrameNo, SessionId};

/// What a finding means for the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Looks like a fault and is none; every condition was checked.
    Benign,
    /// As it should be.
    Normal,
    /// Most likely harmless, but something could not be checked.
    LikelyBenign,
    /// Worth knowing.
    Notice,
    /// A real failure.
    Fault,
    /// The capture does not say.
    Undecided,
}

impl Verdict {
    /// All verdicts.
    pub const ALL: [Self; 6] = [
        Self::Benign,
        Self::Normal,
        Self::LikelyBenign,
        Self::Notice,
        Self::Fault,
        Self::Undecided,
    ];

    /// The name as reports print it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Benign => "Benign",
            Self::Normal => "Normal",
            Self::LikelyBenign => "LikelyBenign",
            Self::Notice => "Notice",
            Self::Fault => "Fault",
            Self::Undecided => "Undecided",
        }
    }

    /// The letter in the gutter of the frame list; a space for `Normal`.
    pub fn letter(self) -> char {
        match self {
            Self::Benign => 'B',
            Self::Normal => ' ',
            Self::LikelyBenign => 'b',
            Self::Notice => 'n',
            Self::Fault => '!',
            Self::Undecided => '?',
        }
    }

    /// How much attention it asks for; the greater weight wins where two findings mark one frame.
    pub fn weight(self) -> u8 {
        match self {
            Self::Normal => 0,
            Self::Notice => 1,
            Self::Benign => 2,
            Self::LikelyBenign => 3,
            Self::Undecided => 4,
            Self::Fault => 5,
        }
    }
}

/// How sure a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// Some of it is a guess.
    Possible,
    /// A condition could not be checked.
    Likely,
    /// All conditions were checked on captured bytes.
    Proven,
}

impl Confidence {
    /// The name as reports print it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Possible => "possible",
            Self::Likely => "likely",
            Self::Proven => "proven",
        }
    }
}

/// What became of one condition of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Checked, and it holds.
    Held,
    /// Checked, and it does not hold.
    Failed,
    /// The capture does not hold what would be needed to check it.
    Unknown,
}

impl Outcome {
    /// The word in the decode pane.
    pub fn word(self) -> &'static str {
        match self {
            Self::Held => "yes",
            Self::Failed => "no",
            Self::Unknown => "unknown",
        }
    }
}

/// One condition of a rule, applied: its sentence, what came out, on which frames and with which numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The condition's id in the catalogue, for example `M5`.
    pub id: Cow<'static, str>,
    /// The sentence of the rule.
    pub text: Cow<'static, str>,
    /// What became of it.
    pub outcome: Outcome,
    /// The frames that it was decided on.
    pub frames: Vec<FrameNo>,
    /// The numbers, for example `51022 - 51006 = 16`; empty where there are none.
    pub fact: String,
}

/// One frame of the evidence, with the part that it plays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The frame.
    pub frame: FrameNo,
    /// The part it plays, for example `client TCP FIN`.
    pub role: Cow<'static, str>,
    /// The fact taken from it, for example `FIN.Ack 493774858`.
    pub fact: String,
}

/// The result of a rule on a connection, a session or the whole capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its number; set by the store.
    pub id: FindingId,
    /// The rule's id.
    pub rule: Cow<'static, str>,
    /// What it means.
    pub verdict: Verdict,
    /// How sure it is.
    pub confidence: Confidence,
    /// Whether this finding says how its connection ended; one finding per close does.
    pub close: bool,
    /// The connection it is about.
    pub conn: Option<ConnId>,
    /// The session it is about.
    pub session: Option<SessionId>,
    /// The frames that carry its letter in list and timeline (resets, or the deciding frame), in file order.
    pub marks: Vec<FrameNo>,
    /// Frames and the parts they play, in file order.
    pub evidence: EvidenceList,
    /// The rule's conditions, applied.
    pub conditions: Conditions,
    /// Further remarks, for example `loss-after-close`.
    pub notes: Vec<String>,
    /// What happened, in a sentence.
    pub text: Fact,
}

impl Finding {
    /// The frame to show first: the first mark, else the last piece of evidence.
    pub fn decisive_frame(&self) -> Option<FrameNo> {
        self.marks
            .first()
            .copied()
            .or_else(|| self.evidence.frames().next_back())
    }

    /// All frames that it names, in file order, each once.
    pub fn frames(&self) -> Vec<FrameNo> {
        let mut frames: Vec<_> = self
            .marks
            .iter()
            .copied()
            .chain(self.evidence.frames())
            .collect();
        frames.sort_unstable();
        frames.dedup();
        frames
    }
}
