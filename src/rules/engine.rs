//! The engine: checks the rules on closes in their order of precedence and makes the finding of the first that applies.

use super::catalogue::{
    MARS_CLOSE_NOFIN, MARS_CLOSE_RST, MARS_CONDITIONS, catalogue, echo_sentence,
    failed_mars_conditions, grave_violations,
};
use super::facts::Facts;
use super::rule::{Check, Conclusion, MOST_FRAMES, Probe, Rule, Scope};
use crate::decode::tds;
use crate::store::{Applied, Conditions, Confidence, Finding, Outcome, Protocol, Verdict};
use crate::units::{ConnId, FindingId, FrameNo, Side};

/// The conditions of the benign close on a connection, all of them, checked once.
pub(super) fn mars_conditions<'f>(facts: &'f Facts<'_>) -> &'f [Applied] {
    facts.mars_conditions.get_or_init(|| {
        MARS_CONDITIONS
            .iter()
            .map(|criterion| {
                if facts
                    .settings
                    .skips(MARS_CLOSE_RST.id, criterion.statement.id)
                {
                    return criterion.with(Check::held("not checked"));
                }
                match criterion.check {
                    Probe::Facts(check) => criterion.with(check(facts)),
                    Probe::Gathered => criterion.with(Check::unknown("")),
                }
            })
            .collect()
    })
}

/// Whether a rule applies: none of its conditions failed (and none is unknown, unless the rule bears it). They are
/// left in `conditions`, those of the benign close with the facts.
fn applies(rule: &Rule, facts: &Facts<'_>, conditions: &mut Vec<Applied>) -> bool {
    if is_mars_close(rule) {
        let is_it = facts.close.tf.is_empty() == (rule.id == MARS_CLOSE_NOFIN.id);
        let all = mars_conditions(facts);
        let failed = all.iter().any(|c| c.outcome == Outcome::Failed);
        return is_it && !facts.close.resets.is_empty() && !failed;
    }
    conditions.clear();
    for criterion in rule.conditions {
        let check = match criterion.check {
            _ if facts.settings.skips(rule.id, criterion.statement.id) => {
                Check::held("not checked")
            }
            Probe::Facts(check) => check(facts),
            Probe::Gathered => return false,
        };
        match check.outcome {
            Outcome::Failed => return false,
            Outcome::Unknown if !rule.unknown_is_enough => return false,
            _ => conditions.push(criterion.with(check)),
        }
    }
    true
}

fn is_mars_close(rule: &Rule) -> bool {
    rule.id == MARS_CLOSE_RST.id || rule.id == MARS_CLOSE_NOFIN.id
}

/// Rules that say something only about connections to SQL Server.
const SQL_ONLY: &[&str] = &[
    "server-fin-first",
    "rst-data-lost",
    "mars-close-clean",
    "close-unread-data",
    "close-idle",
    "close-4way",
];

/// Rules that say the same whichever end is the client.
const EITHER_WAY: &[&str] = &[
    "keepalive-timeout",
    "retransmit-timeout",
    "zero-window",
    "rst-middlebox",
];

/// How a connection ended: the finding of the first rule that applies.
pub(super) fn judge_close(facts: &mut Facts<'_>) -> Option<Finding> {
    let other = facts.conn.is_other() && !is_cut_sql_server(facts);
    let mut own = Vec::new();
    let (rule, conclusion) = catalogue()
        .iter()
        .filter(|rule| rule.scope == Scope::Close && facts.settings.is_on(rule.id))
        .filter(|rule| !(other && SQL_ONLY.contains(&rule.id)))
        .find_map(|rule| {
            let conclude = rule.conclude?;
            if !(rule.only_where)(facts) {
                debug_assert!(!applies(rule, facts, &mut own), "{} applies", rule.id);
                return None;
            }
            if !applies(rule, facts, &mut own) {
                return None;
            }
            let conditions = if is_mars_close(rule) {
                mars_conditions(facts)
            } else {
                &own
            };
            Some((rule, conclude(facts, conditions)))
        })?;
    let conditions = if is_mars_close(rule) {
        facts.mars_conditions.take().unwrap_or_default()
    } else {
        own
    };
    Some(close_finding(facts, rule, conditions, conclusion))
}

fn close_finding(
    facts: &Facts<'_>,
    rule: &Rule,
    mut conditions: Vec<Applied>,
    conclusion: Conclusion,
) -> Finding {
    let mut finding = finding(rule, Some(facts.conn.id), conclusion);
    finding.close = true;
    finding.marks = close_marks(facts);
    if let Some(echoes) = echo_sentence(facts) {
        finding.text = format!("{} {echoes}", finding.text).into();
    }
    let by_reset = !facts.close.reset_frames.is_empty() || facts.close.ended_by_foreign();
    if by_reset && !is_mars_close(rule) {
        attach_mars_conditions(facts, &mut conditions);
    }
    finding.conditions = conditions.iter().collect();
    if finding.verdict == Verdict::Fault
        && not_sql_server(facts)
        && rule.id.starts_with("rst-abort")
    {
        finding.verdict = Verdict::Undecided;
        finding
            .notes
            .push("not recognised as a SQL Server connection".to_owned());
    }
    cap(facts, &mut finding);
    finding
}

/// Whether neither content nor port tells of SQL Server.
fn not_sql_server(facts: &Facts<'_>) -> bool {
    facts.conn.is_other() && !has_sql_port(facts)
}

fn has_sql_port(facts: &Facts<'_>) -> bool {
    facts.conn.ends.0.iter().any(|end| end.port == tds::PORT)
}

/// Whether it is SQL Server by the port, and too little of each frame was captured to tell by the content.
fn is_cut_sql_server(facts: &Facts<'_>) -> bool {
    facts.frames.cut && has_sql_port(facts)
}

/// The frames that carry the letter of a close: its resets, else the segment that ended the connection; and the resets
/// that came when it was over.
fn close_marks(facts: &Facts<'_>) -> Vec<FrameNo> {
    let mut marks = facts.close.reset_frames.clone();
    if facts.close.ended_by_foreign() {
        marks.extend(facts.close.foreign.iter().map(|seg| seg.no));
    }
    if marks.is_empty() {
        let last = || Some(facts.conn.last_frame);
        marks.extend(facts.close.ender.map(|(_, seg)| seg.no).or_else(last));
    }
    marks.extend(facts.close.echoes.iter().map(|echo| echo.reset.no));
    marks.sort_unstable();
    marks
}

/// Adds the conditions of the benign close to a finding that stands in its place: failed first, then unknown.
fn attach_mars_conditions(facts: &Facts<'_>, conditions: &mut Vec<Applied>) {
    // Inside TLS no SMP packet can be seen: that none is there says nothing.
    if facts.conn.is_other() || facts.encrypted {
        return;
    }
    let failed = failed_mars_conditions(facts);
    let mut all: Vec<Applied> = mars_conditions(facts)
        .iter()
        .filter(|c| !conditions.iter().any(|own| own.id() == c.id()))
        .cloned()
        .collect();
    if failed.contains(&"M1") {
        all.retain(|c| c.id() == "M1");
    }
    all.sort_by_key(|c| match c.outcome {
        Outcome::Failed => 0,
        Outcome::Unknown => 1,
        Outcome::Held => 2,
    });
    conditions.extend(all);
}

/// Takes a verdict back, and says why.
fn undecide(finding: &mut Finding, why: &str) {
    finding.verdict = Verdict::Undecided;
    finding.confidence = Confidence::Possible;
    finding.notes.push(why.to_owned());
}

/// What the capture itself does not allow to claim (catalogue, section 7).
fn cap(facts: &Facts<'_>, finding: &mut Finding) {
    let rule = finding.rule.as_ref();
    let early = rule.starts_with("syn-") || rule == "handshake-incomplete";
    if facts.one_direction() && !early && finding.verdict != Verdict::Undecided {
        undecide(
            finding,
            "one-direction: only one direction of the connection is in the file",
        );
    }
    let harmless = matches!(
        finding.verdict,
        Verdict::Benign | Verdict::LikelyBenign | Verdict::Normal
    );
    let doubt = if !facts.close.foreign.is_empty() {
        Some(
            "a reset of another sender stands in the file, and nothing shows that it had no effect",
        )
    } else if facts.settings.is_on("smp-violation") && !grave_violations(facts).is_empty() {
        Some("SMP packets break the specification right before the end")
    } else {
        None
    };
    if let Some(doubt) = doubt.filter(|_| harmless) {
        undecide(finding, doubt);
    }
    if !facts.client_known()
        && finding.verdict != Verdict::Undecided
        && !EITHER_WAY.contains(&finding.rule.as_ref())
    {
        undecide(finding, "it is not known which end is the client");
    }
    if !facts.conn.from_start() {
        finding
            .notes
            .push("mid-stream: the file lacks the start of the connection".to_owned());
    }
    if facts.missing_bytes() > 0 {
        finding.notes.push(format!(
            "file-gap: {} bytes of the connection are not in the file",
            facts.missing_bytes()
        ));
    }
    if facts.frames.cut {
        finding.notes.push("snaplen: frames are cut".to_owned());
        if facts.conn.is_other() && finding.confidence == Confidence::Proven {
            finding.confidence = Confidence::Likely;
        }
    }
    if facts.frames.copies > 0 {
        finding.notes.push(match facts.frames.copies {
            1 => "dup-frames: one frame is a copy".to_owned(),
            copies => format!("dup-frames: {copies} frames are copies"),
        });
    }
    let port = facts.conn.endpoint(Side::Server).port;
    if port != tds::PORT && facts.conn.protocol == Protocol::Tds {
        finding.notes.push(format!("nonstandard-port: {port}"));
    }
}

/// A finding of a rule, with what the conclusion says.
pub(super) fn finding(rule: &Rule, conn: Option<ConnId>, conclusion: Conclusion) -> Finding {
    let mut evidence = conclusion.evidence;
    evidence.sort_by_key(|e| e.frame);
    evidence.truncate(MOST_FRAMES * 4);
    Finding {
        id: FindingId(0),
        rule: rule.id.into(),
        verdict: conclusion.verdict,
        confidence: conclusion.confidence,
        close: false,
        conn,
        session: None,
        marks: Vec::new(),
        evidence: evidence.iter().collect(),
        conditions: Conditions::default(),
        notes: conclusion.notes,
        text: conclusion.text,
    }
}
