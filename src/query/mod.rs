//! The filter language over the registry of named fields, and find.
//!
//! A filter is parsed once ([`parse`]) and then asked in slices ([`Run`]). What the store's columns answer is
//! scanned block by block; a frame that must be decoded is decoded only if the columns leave its answer open. A
//! slice ends when its caller says so, so that a screen can go on answering keys in between.
//!
//! Fields that occur several times in a frame (one occurrence for each SMP packet) follow Wireshark: `==`, `<`, `in`
//! and `~` hold if one occurrence fits, `!=` if the field is there and no occurrence is equal.

mod ast;
mod column;
mod complete;
mod dissected;
mod error;
mod eval;
mod field;
pub mod find;
mod lexer;
mod literal;
mod parse;
mod run;
mod scan;
mod sparse;
mod table;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod under_cursor;
pub mod user_rules;
mod value;
mod wireshark;

use std::collections::BTreeMap;

pub use complete::{Candidate, complete, is_comparing_word};
pub use dissected::Dissected;
pub use error::ParseError;
pub use eval::{Decode, Eval, Event};
pub use run::{Progress, Run, run};
pub use sparse::Listed;
pub use table::{TableColumn, row as table_row};
pub use under_cursor::UnderCursor;
pub use wireshark::{frames_filter, to_wireshark};

use crate::settings::Named;
use crate::units::{FrameNo, Nanos};
use ast::{Node, What};
use eval::Moment;

/// What a filter's text may refer to besides fields.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context<'a> {
    /// The value under the cursor, for `%`.
    pub cursor: Option<UnderCursor<'a>>,
    /// Saved filters, for `@name`.
    pub saved: Option<&'a BTreeMap<String, Named>>,
    /// Time of the capture's first frame, for times of day.
    pub start: Option<Nanos>,
    /// Ids of the user's own rules; `None` where these are not known, so that a rule can have any name.
    pub own_rules: Option<&'a [String]>,
    /// Names of the earlier steps of a rule, whose fields are `name.field`.
    pub steps: &'a [String],
}

/// A filter, ready to be asked.
#[derive(Debug, Clone)]
pub struct Filter {
    text: String,
    root: Node,
    leaves: usize,
    hints: Vec<String>,
}

/// Reads a filter.
pub fn parse(text: &str, context: &Context<'_>) -> Result<Filter, ParseError> {
    parse::parse(text, context)
}

impl Filter {
    fn new(text: &str, mut root: Node, leaves: usize, hints: Vec<String>) -> Self {
        cheap_first(&mut root);
        Self {
            text: text.to_owned(),
            root,
            leaves,
            hints,
        }
    }

    /// The text that it was read from, with the value under the cursor written in the place of each `%`.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What may not be as it was meant, though it is no error.
    pub fn hints(&self) -> &[String] {
        &self.hints
    }

    /// Whether the store's columns answer it, so that no frame has to be decoded. (Addresses of frames that are
    /// not TCP are decoded all the same.)
    pub fn is_indexed(&self) -> bool {
        let mut indexed = true;
        self.root
            .leaves(&mut |leaf| indexed &= leaf.what.fields().iter().all(|f| f.column.is_some()));
        indexed
    }

    /// Whether it holds for a frame.
    pub fn matches(&self, eval: &Eval<'_>, frame: FrameNo) -> bool {
        self.matches_event(eval, Event { frame, pdu: None }, &[])
    }

    /// Whether it holds for an event of a rule whose earlier steps are bound to `bound`.
    pub fn matches_event(&self, eval: &Eval<'_>, event: Event, bound: &[Event]) -> bool {
        eval.store.frame(event.frame).is_some() && Moment::new(eval, event, bound).holds(&self.root)
    }
}

/// Puts the parts that the columns answer in front of those that need decoding.
fn cheap_first(node: &mut Node) {
    match node {
        Node::All(parts) | Node::Any(parts) => {
            parts.iter_mut().for_each(cheap_first);
            parts.sort_by_key(cost);
        }
        Node::Not(part) => cheap_first(part),
        Node::Leaf(_) => {}
    }
}

fn cost(node: &Node) -> u32 {
    let mut cost = 0;
    node.leaves(&mut |leaf| {
        let decoded = leaf.what.fields().iter().any(|f| f.column.is_none());
        let own = match (decoded, &leaf.what) {
            (true, _) => 1000,
            (false, What::Compare { .. } | What::NotZero(_)) => 10,
            (false, _) => 1,
        };
        cost = own.max(cost);
    });
    cost
}
