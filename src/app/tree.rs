//! The decode pane: a frame as a tree of fields, which nodes are open, and the lines that come of it.

use std::collections::HashMap;

use crate::decode::field::{Field, Value};
use crate::dissect::{CHECKED, render};
use crate::store::{Finding, Store};
use crate::units::FrameNo;

/// Lines that a tree is turned into at most.
const MOST_LINES: usize = 100_000;

/// A decoded frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    /// The frame.
    pub frame: FrameNo,
    /// Its layers.
    pub fields: Vec<Field>,
    /// Its bytes, as far as they are in the file; secrets are blanked.
    pub bytes: Vec<u8>,
    /// Nothing has changed since that would show more.
    pub complete: bool,
}

impl Tree {
    /// Appends which part the frame plays in a finding that marks another frame.
    pub(super) fn add_findings(&mut self, store: &Store) {
        if store.finding_on(self.frame).is_some() {
            return;
        }
        let conn = store.frame(self.frame).and_then(|f| f.conn);
        let about = store.finding_shown_on(self.frame).or_else(|| {
            store
                .conn_findings(conn?)
                .find(|f| f.evidence.frames().any(|frame| frame == self.frame))
        });
        if let Some(finding) = about {
            let decided = finding.decisive_frame();
            let mut field = Field::new(RULE, "Rule", Value::Text(finding.rule.to_string())).text(
                if decided == Some(self.frame) {
                    told(finding)
                } else {
                    part(finding, self.frame)
                },
            );
            if let Some(frame) = decided.filter(|frame| *frame != self.frame) {
                field = field.link(frame);
            }
            // Before the first layer above TCP, so that both are on screen.
            let at = self.fields.iter().position(|f| !is_low(f));
            self.fields.insert(at.unwrap_or(self.fields.len()), field);
        }
    }
}

/// Whether a top-level node is a layer that says nothing about sessions: frame, Ethernet, IP, TCP.
fn is_low(field: &Field) -> bool {
    let label = field.label.to_ascii_lowercase();
    [
        "frame", "eth", "linux", "null", "raw", "ip", "tcp", "vlan", "802.1q",
    ]
    .iter()
    .any(|low| label.starts_with(low))
}

/// The name of the node that shows a rule; its conditions' names begin with it.
const RULE: &str = "finding";
/// Lines are not broken into shorter ones than this.
const LEAST_WIDTH: usize = 20;
/// A field takes no more further lines than this.
const MOST_PARTS: usize = 8;
/// From this width on, a condition's line says what was checked, before the numbers that decided it; in a narrower pane
/// the conditions of a rule would not fit a page.
const ROOMY: usize = 110;

/// The sentence of a condition that was checked.
fn checked(condition: &Field) -> Option<&str> {
    let child = condition.children.iter().find(|c| c.label == CHECKED)?;
    match &child.value {
        Value::Text(sentence) => Some(sentence),
        _ => None,
    }
}

fn told(finding: &Finding) -> String {
    format!(
        "{}, {}: {}",
        finding.verdict.name(),
        finding.confidence.name(),
        finding.text
    )
}

fn part(finding: &Finding, frame: FrameNo) -> String {
    let roles: Vec<_> = finding
        .evidence
        .iter()
        .filter(|e| e.frame == frame)
        .map(|e| e.role)
        .collect();
    format!(
        "{}, {}; this frame: {}",
        finding.verdict.name(),
        finding.confidence.name(),
        roles.join(", ")
    )
}

/// Columns in front of a line's words.
pub fn indent(depth: usize) -> usize {
    depth.min(12).saturating_mul(2).saturating_add(3)
}

/// A text in lines of at most so many columns, broken between words; the further ones are indented.
fn broken(text: &str, columns: usize) -> Vec<String> {
    // What stands in brackets is one word.
    let text = text.replace("[frame ", "[frame\u{a0}");
    let mut out = Vec::new();
    let mut line = String::new();
    let mut used = 0_usize;
    for word in text.split(' ') {
        let long = word.chars().count();
        if used > 0
            && used.saturating_add(long).saturating_add(1) > columns
            && out.len() < MOST_PARTS
        {
            out.push(std::mem::replace(&mut line, "  ".to_owned()));
            used = 2;
        } else if used > 0 {
            line.push(' ');
            used = used.saturating_add(1);
        }
        line.push_str(word);
        used = used.saturating_add(long);
    }
    out.push(line);
    for line in &mut out {
        *line = line.replace('\u{a0}', " ");
    }
    out
}

/// What tells a node from its neighbours.
fn key_of(field: &Field) -> &str {
    if field.name.is_empty() {
        field.label.as_ref()
    } else {
        field.name
    }
}

/// A line of the pane.
#[derive(Debug, Clone)]
pub struct TreeLine<'a> {
    /// Depth; top-level nodes have 0.
    pub depth: usize,
    /// The field.
    pub field: &'a Field,
    /// Which node it is, the same from frame to frame.
    pub path: String,
    /// Whether it is open; `None` for a leaf.
    pub open: Option<bool>,
    /// What stands on this line, where the field takes several.
    pub part: Option<String>,
    /// It goes on with the field of the line before.
    pub goes_on: bool,
}

/// What the user did with the tree; it holds from frame to frame.
#[derive(Debug, Clone, Default)]
pub struct TreeView {
    folds: HashMap<String, bool>,
    /// The line under the cursor.
    pub cursor: usize,
    /// The first line on screen.
    pub top: usize,
    /// The user chose the line; it is not only the most telling one of a frame that the list came to.
    pub chosen: bool,
    /// Columns of the pane; 0 while it has none.
    pub width: usize,
    /// Lines of the pane.
    pub(super) height: usize,
}

impl TreeView {
    /// Whether a node is open: as the user left it, else rules, SMP, TDS and whatever they hold one level deep.
    pub fn is_open(&self, path: &str, depth: usize, field: &Field) -> bool {
        if let Some(open) = self.folds.get(path) {
            return *open;
        }
        match depth {
            0 => !is_low(field),
            _ => false,
        }
    }

    /// The lines of a tree as it is folded now.
    pub fn lines<'a>(&self, tree: &'a Tree) -> Vec<TreeLine<'a>> {
        let mut out = Vec::new();
        self.walk(&tree.fields, 0, "", &mut out);
        out
    }

    fn walk<'a>(
        &self,
        fields: &'a [Field],
        depth: usize,
        above: &str,
        out: &mut Vec<TreeLine<'a>>,
    ) {
        let mut seen: HashMap<&str, usize> = HashMap::new();
        for field in fields {
            if out.len() >= MOST_LINES {
                return;
            }
            let key = key_of(field);
            let nth = seen.entry(key).or_default();
            *nth = nth.saturating_add(1);
            let path = format!("{above}/{key}#{nth}");
            let open = (!field.children.is_empty()).then(|| self.is_open(&path, depth, field));
            let mut parts = self.parts(depth, field).into_iter();
            let first = parts.next();
            out.push(TreeLine {
                depth,
                field,
                path: path.clone(),
                open,
                part: first,
                goes_on: false,
            });
            for part in parts {
                out.push(TreeLine {
                    depth,
                    field,
                    path: path.clone(),
                    open: None,
                    part: Some(part),
                    goes_on: true,
                });
            }
            if open == Some(true) {
                self.walk(&field.children, depth.saturating_add(1), &path, out);
            }
        }
    }

    /// What a rule says is read to its end: its lines are broken at the pane's width, all others are cut.
    fn parts(&self, depth: usize, field: &Field) -> Vec<String> {
        if !field.name.starts_with(RULE) || self.width == 0 {
            return Vec::new();
        }
        let room = self.width.saturating_sub(indent(depth));
        let line = match checked(field).filter(|_| self.width >= ROOMY) {
            Some(sentence) => {
                let mut whole = field.clone();
                whole.text = format!("{sentence}: {}", field.text);
                render::line(&whole)
            }
            None => render::line(field),
        };
        broken(&line, room.max(LEAST_WIDTH))
    }

    /// Opens or closes a node.
    pub fn fold(&mut self, path: &str, open: bool) {
        self.folds.insert(path.to_string(), open);
    }

    /// Opens what holds a node, given by positions among children from the top, and puts the cursor on it.
    pub(super) fn show(&mut self, tree: &Tree, way: &[usize], height: usize) {
        let mut fields: &[Field] = &tree.fields;
        let mut path = String::new();
        for (depth, at) in way.iter().enumerate() {
            let Some(field) = fields.get(*at) else {
                return;
            };
            let key = key_of(field);
            let before = fields.iter().take(*at).filter(|f| key_of(f) == key).count();
            path = format!("{path}/{key}#{}", before.saturating_add(1));
            if depth.saturating_add(1) < way.len() && !self.is_open(&path, depth, field) {
                self.fold(&path, true);
            }
            fields = &field.children;
        }
        let lines = self.lines(tree);
        if let Some(to) = lines.iter().position(|line| line.path == path) {
            let count = lines.len();
            self.cursor = to;
            self.step(count, height, 0);
        }
    }

    /// A new frame's tree has come: shows its most telling part.
    pub(super) fn arrive(&mut self, tree: &Tree, height: usize) {
        let lines = self.lines(tree);
        let telling = lines
            .iter()
            .position(|l| l.field.name == RULE)
            .or_else(|| {
                lines.iter().position(|l| {
                    l.depth == 0 && self.is_open(&l.path, 0, l.field) && l.open.is_some()
                })
            })
            .or_else(|| lines.iter().rposition(|l| l.depth == 0))
            .unwrap_or(0);
        self.cursor = telling;
        self.chosen = false;
        self.top = if lines.len() <= height || telling.saturating_add(2) < height {
            0
        } else {
            telling.saturating_sub(usize::from(height > 3 || lines.len() < 4))
        };
        let most = lines.len().saturating_sub(height);
        self.top = self.top.min(most);
    }

    /// The tree of the same frame has come anew, for example with what the rules say of it: the field that the user
    /// chose stays under the cursor and in its place on screen.
    pub(super) fn come_again(&mut self, before: &Tree, tree: &Tree, height: usize) {
        match self.place_in(before, tree).filter(|_| self.chosen) {
            Some(to) => {
                let above = self.cursor.saturating_sub(self.top);
                let most = self.lines(tree).len().saturating_sub(height);
                self.cursor = to;
                self.top = to.saturating_sub(above).min(most);
            }
            None => self.arrive(tree, height),
        }
    }

    /// Where a tree has the line that is under the cursor in another one.
    fn place_in(&self, before: &Tree, tree: &Tree) -> Option<usize> {
        let lines = self.lines(before);
        let chosen = lines.get(self.cursor)?;
        let of_field = |line: &TreeLine<'_>| line.path == chosen.path;
        let part = self.cursor.checked_sub(lines.iter().position(&of_field)?)?;
        let lines = self.lines(tree);
        let parts = lines.iter().filter(|line| of_field(line)).count();
        let first = lines.iter().position(of_field)?;
        Some(first.saturating_add(part.min(parts.saturating_sub(1))))
    }

    /// Fills a pane of another height, with the cursor in it.
    pub(super) fn fit(&mut self, lines: usize, height: usize) {
        self.top = self.top.min(lines.saturating_sub(height));
        self.show_cursor(height);
    }

    fn show_cursor(&mut self, height: usize) {
        let height = height.max(1);
        if self.cursor < self.top {
            self.top = self.cursor;
        } else if self.cursor >= self.top.saturating_add(height) {
            self.top = self.cursor.saturating_sub(height).saturating_add(1);
        }
    }

    /// Moves the cursor by lines and keeps it on screen.
    pub fn step(&mut self, lines: usize, height: usize, by: i64) {
        self.chosen = true;
        let last = i64::try_from(lines.saturating_sub(1)).unwrap_or(i64::MAX);
        let now = i64::try_from(self.cursor).unwrap_or(0);
        let to = now.saturating_add(by).clamp(0, last);
        self.cursor = usize::try_from(to).unwrap_or(0);
        self.show_cursor(height);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_rule_says_is_broken_between_words_and_loses_none() {
        let text = "Rule  rst-with-request  (Fault, proven: Work was outstanding when the server reset the connection.)";
        let lines = broken(text, 40);
        assert!(lines.iter().all(|line| line.chars().count() <= 40));
        assert_eq!(lines.len(), 3);
        let words = |text: &str| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(words(&lines.join(" ")), words(text));
        assert_eq!(broken("short", 40), ["short"]);
    }

    #[test]
    fn only_rules_take_several_lines() {
        let text = "word ".repeat(30);
        let field = |name| Field::new(name, "label", Value::None).text(text.clone());
        let tree = Tree {
            frame: FrameNo(1),
            fields: vec![field(RULE), field("tcp.options")],
            bytes: Vec::new(),
            complete: true,
        };
        let view = TreeView {
            width: 60,
            ..TreeView::default()
        };
        let lines = view.lines(&tree);
        assert_eq!(lines.len(), 4);
        assert!(lines[1].goes_on && lines[1].field.name == RULE);
        assert!(lines[3].part.is_none());
    }
}
