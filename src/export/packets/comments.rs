//! What is said about frames: that they are marked, what findings say of them, and the conditions that they decide.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::export::job::Job;
use crate::store::Finding;
use crate::units::FrameNo;

/// The comments of an export.
pub(super) struct Comments<'a> {
    job: &'a Job<'a>,
    by_frame: BTreeMap<FrameNo, Vec<&'a Finding>>,
}

impl<'a> Comments<'a> {
    pub(super) fn new(job: &'a Job<'a>) -> Self {
        let mut by_frame: BTreeMap<FrameNo, Vec<&Finding>> = BTreeMap::new();
        let wanted = job.store.findings().iter().filter(|_| job.options.comments);
        for finding in wanted {
            for no in finding.frames() {
                if job.plan.frames.contains(no) {
                    by_frame.entry(no).or_default().push(finding);
                }
            }
        }
        Self { job, by_frame }
    }

    /// The first frame from `no` on of which something is said.
    pub(super) fn from(&self, no: FrameNo) -> Option<FrameNo> {
        let of_findings = self.by_frame.range(no..).next().map(|(no, _)| *no);
        let marked = self.job.options.marks.from(no);
        let marked = marked.filter(|_| self.job.options.comments);
        of_findings.into_iter().chain(marked).min()
    }

    /// What is said of a frame.
    pub(super) fn on(&self, no: FrameNo) -> Vec<String> {
        let mut out = Vec::new();
        if self.job.options.comments && self.job.options.marks.contains(no) {
            out.push(format!("marked; frame {no} of the original"));
        }
        let facts = self.job.options.redact.is_none();
        let findings = self.by_frame.get(&no).map_or(&[][..], Vec::as_slice);
        out.extend(
            findings
                .iter()
                .filter_map(|f| finding_comment(f, no, facts)),
        );
        out
    }
}

/// With `facts`, numbers and texts from the capture too.
fn finding_comment(finding: &Finding, no: FrameNo, facts: bool) -> Option<String> {
    let role = finding.evidence.iter().find(|e| e.frame == no);
    // They stand in file order, and can be as many as the frames.
    let marked = finding.marks.binary_search(&no).is_ok();
    if role.is_none() && !marked {
        return None;
    }
    let mut text = format!(
        "[{}] {}: {}, {}",
        finding.verdict.letter(),
        finding.rule,
        finding.verdict.name(),
        finding.confidence.name()
    );
    if let Some(role) = role {
        let _ = write!(text, "; {}", role.role);
        if facts {
            let _ = write!(text, " {}", role.fact);
        }
    }
    if marked && facts {
        let _ = write!(text, "\n{}", finding.text);
    }
    for condition in finding.conditions.iter().filter(|c| c.frames.contains(&no)) {
        let _ = write!(
            text,
            "\n{} {}: {}",
            condition.id,
            condition.outcome.word(),
            condition.text
        );
        if facts {
            let _ = write!(text, " {}", condition.fact);
        }
    }
    Some(text)
}
