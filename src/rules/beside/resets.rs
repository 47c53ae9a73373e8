//! Single resets that had no part in the close: without effect, of another sender, of an earlier connection.

use super::stated;
use crate::rules::catalogue::{PORT_REUSE, RST_IGNORED, RST_MIDDLEBOX, count, foreign_sign};
use crate::rules::facts::Facts;
use crate::rules::rule::{MOST_FRAMES, evidence};
use crate::store::{Confidence, Finding, Verdict};
use crate::units::FrameNo;

pub(super) fn rst_ignored(facts: &Facts<'_>, reset: FrameNo, later: FrameNo) -> Finding {
    let mut finding = stated(
        facts,
        &RST_IGNORED,
        Verdict::Fault,
        format!(
            "The reset in frame {reset} had no effect: its alleged sender goes on in frame {later}. Suspected to be forged on the path."
        ),
        vec![
            evidence(reset, "reset without effect", ""),
            evidence(later, "its alleged sender goes on", ""),
        ],
    );
    finding.confidence = Confidence::Likely;
    finding.marks = vec![reset];
    finding
}

/// Resets of foreign origin that did not end the connection.
pub(super) fn foreign_resets(facts: &Facts<'_>) -> Option<Finding> {
    if facts.close.foreign.is_empty() || facts.close.ended_by_foreign() {
        return None;
    }
    let proof = facts
        .close
        .foreign
        .iter()
        .take(MOST_FRAMES)
        .map(|seg| evidence(seg.no, "reset of another sender", foreign_sign(facts, seg)))
        .collect();
    let mut finding = stated(
        facts,
        &RST_MIDDLEBOX,
        Verdict::Fault,
        format!(
            "{} that its alleged sender did not send, by all that the file shows: suspected to be made by a device on the path.",
            count(facts.close.foreign.len(), "reset")
        ),
        proof,
    );
    finding.confidence = Confidence::Likely;
    finding.marks = facts.close.foreign.iter().map(|seg| seg.no).collect();
    Some(finding)
}

/// Resets to a server that still knew an earlier connection of the same ports.
pub(super) fn earlier_connection(facts: &Facts<'_>) -> Option<Finding> {
    let resets = &facts.close.earlier;
    let first = resets.first()?;
    let proof = resets.iter().take(MOST_FRAMES).map(|seg| {
        evidence(
            seg.no,
            "resets the earlier connection",
            format!("RST.Seq {}", seg.seq),
        )
    });
    let mut finding = stated(
        facts,
        &PORT_REUSE,
        Verdict::Notice,
        format!(
            "The server still knew an earlier connection of these ports: before the SYN was answered, something with that one's numbers came, which the client reset in frame {}.",
            first.no
        ),
        proof.collect(),
    );
    finding.marks = resets.iter().map(|seg| seg.no).collect();
    Some(finding)
}
