//! Answers a filter for a block of frames from the store's columns, one bit for each frame.
//!
//! Each condition yields two sets of frames: those for which it holds, and those for which the columns do not say.
//! `and`, `or` and `not` join them as three-valued logic does, so that a frame is decoded only if its answer is open.

mod bits;
mod block;
mod columns;
mod compare;
mod fits;
mod prepare;

pub(super) use bits::{BLOCK, Bits};
pub(super) use block::Block;

use super::ast::{Leaf, Node, Quant, What};
use super::column::Column;
use super::eval::{Eval, Event, Moment, may_hold};
use super::field::{FieldRef, is_tds};
use super::sparse::Listed;
use crate::store::Store;
use crate::units::FrameNo;
use columns::{
    Wanted, address_bits, frame_bits, kind_bits, pdu_bits, sender_bits, size_bits, user_bits,
};
use compare::Given;
use prepare::{Facts, Prepared};

/// What is known of a condition: the frames for which it holds, and those for which the columns do not say.
pub(super) struct Known {
    pub(super) yes: Bits,
    pub(super) open: Bits,
}

impl Known {
    fn sure(yes: Bits) -> Self {
        Self {
            yes,
            open: Bits::none(),
        }
    }
}

/// A filter's tree with what is prepared for its leaves.
#[derive(Debug, Clone, Default)]
pub(super) struct Scan {
    facts: Facts,
    /// How far the store had come when that was done: frames, connections, packets, findings, requests.
    seen: Option<[usize; 5]>,
}

impl Scan {
    /// Works out what the leaves need of the store as it is now, to be asked about the frames from `from` on.
    pub(super) fn prepare(&mut self, root: &Node, leaves: usize, store: &Store, from: FrameNo) {
        let seen = [
            store.frame_count(),
            store.conns().len(),
            store.pdu_count(),
            store.findings().len(),
            store.request_count(),
        ];
        if self.seen != Some(seen) {
            self.seen = Some(seen);
            self.facts = Facts::of(root, leaves, store, from);
        }
    }

    /// The lists of columns that few frames have.
    pub(super) fn listed(&self) -> &Listed {
        &self.facts.listed
    }

    /// Asks a block about the frames in `mask`.
    pub(super) fn ask(
        &self,
        node: &Node,
        block: &Block<'_>,
        eval: &Eval<'_>,
        mask: &Bits,
    ) -> Known {
        match node {
            Node::All(parts) => {
                let mut yes = mask.clone();
                let mut open = Bits::none();
                for part in parts {
                    let left = yes.or(&open);
                    if left.is_empty() {
                        break;
                    }
                    let known = self.ask(part, block, eval, &left);
                    let possible = known.yes.or(&known.open);
                    open = left.and(&possible).without(&yes.and(&known.yes));
                    yes = yes.and(&known.yes);
                }
                Known { yes, open }
            }
            Node::Any(parts) => {
                let mut yes = Bits::none();
                let mut open = Bits::none();
                for part in parts {
                    let left = mask.without(&yes);
                    if left.is_empty() {
                        break;
                    }
                    let known = self.ask(part, block, eval, &left);
                    yes = yes.or(&known.yes);
                    open = open.or(&known.open).without(&yes);
                }
                Known { yes, open }
            }
            Node::Not(part) => {
                let known = self.ask(part, block, eval, mask);
                Known {
                    yes: mask.without(&known.yes).without(&known.open),
                    open: known.open,
                }
            }
            Node::Leaf(leaf) => {
                let known = self.leaf(leaf, block, eval, mask);
                Known {
                    yes: known.yes.and(mask),
                    open: known.open.and(mask),
                }
            }
        }
    }

    fn leaf(&self, leaf: &Leaf, block: &Block<'_>, eval: &Eval<'_>, mask: &Bits) -> Known {
        let (column, every) = match &leaf.what {
            What::Test { field, quant, .. } => (field.column, *quant == Quant::Every),
            What::Present(field) => (field.column, false),
            What::NotZero(expr) => {
                let mut fields = Vec::new();
                expr.fields(&mut fields);
                (fields.first().and_then(|field| field.column), false)
            }
            What::Compare { .. } => (None, false),
        };
        let Some(Some(prepared)) = self.facts.leaves.get(leaf.id) else {
            return Self::one_by_one(leaf, block, eval, mask);
        };
        match (prepared, column) {
            (Prepared::Frames(frames), _) => {
                let mut bits = Bits::none();
                let start = frames.partition_point(|f| *f < block.first);
                for frame in frames.iter().skip(start) {
                    match block.position(*frame) {
                        Some(at) => bits.set(at),
                        None => break,
                    }
                }
                Known::sure(bits)
            }
            (Prepared::Senders(senders), Some(Column::Addr(_))) => {
                let (yes, open) = address_bits(senders, block, mask);
                Known { yes, open }
            }
            (Prepared::Senders(senders), _) => Known::sure(sender_bits(senders, block, mask)),
            (Prepared::Numbers(fits), Some(column)) => {
                let wanted = Wanted { fits, every };
                Known::sure(match column {
                    Column::Frame(column) => {
                        frame_bits(column, &self.facts.conns, wanted, block, mask)
                    }
                    Column::Pdu(column) => pdu_bits(column, wanted, block),
                    Column::Kind => kind_bits(wanted, block, mask),
                    Column::Size => size_bits(wanted, block),
                    Column::User(column) => user_bits(column, wanted, block, eval),
                    Column::Addr(_) | Column::Sparse(_) => {
                        return Self::one_by_one(leaf, block, eval, mask);
                    }
                })
            }
            (Prepared::Expressions, _) => {
                let given = Given {
                    block,
                    eval,
                    conns: &self.facts.conns,
                    listed: &self.facts.listed,
                };
                Known::sure(given.holds(&leaf.what))
            }
            (Prepared::OneByOne | Prepared::Numbers(_), _) => {
                Self::one_by_one(leaf, block, eval, mask)
            }
        }
    }

    /// A leaf that is asked frame by frame. Where it needs decoding, the frames are left open.
    fn one_by_one(leaf: &Leaf, block: &Block<'_>, eval: &Eval<'_>, mask: &Bits) -> Known {
        let fields = leaf.what.fields();
        let mut decoded = fields.iter().filter(|f| f.column.is_none()).peekable();
        if decoded.peek().is_some() {
            // Without a value of each field there is nothing to compare; only counting needs none.
            let open = if leaf.what.counts() {
                mask.clone()
            } else {
                decoded.fold(mask.clone(), |open, f| block_may_hold(f, block, &open))
            };
            return Known {
                yes: Bits::none(),
                open,
            };
        }
        let node = Node::Leaf(leaf.clone());
        let open = if fields
            .iter()
            .any(|f| matches!(f.column, Some(Column::Addr(_))))
        {
            address_bits(&[], block, mask).1
        } else {
            Bits::none()
        };
        let mut yes = Bits::none();
        for at in mask.without(&open).iter() {
            let event = Event {
                frame: block.frame(at),
                pdu: None,
            };
            let moment = Moment::new(eval, event, &[]);
            yes.set_if(at, moment.holds(&node));
        }
        Known { yes, open }
    }
}

/// The frames in which a decoded field can occur at all.
fn block_may_hold(field: &FieldRef, block: &Block<'_>, mask: &Bits) -> Bits {
    if is_tds(field.name) {
        block.pdu_bits(|pdu| may_hold(field, pdu)).and(mask)
    } else if field.is_payload() {
        block.frame_bits(mask, |_, row, _| row.payload_len > 0)
    } else {
        mask.clone()
    }
}
