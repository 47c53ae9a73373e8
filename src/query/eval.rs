//! Asks one frame, or one event of a rule, whether a filter holds for it.

use std::cell::OnceCell;
use std::cmp::Ordering;

use super::ast::{Calc, Expr, Func, Leaf, Node, Op, Quant, What};
use super::column::{
    self, Column, FrameAt, PduCol, SparseCol, UserCol, addr_each, frame_each, frame_kinds,
    pdu_kind, pdu_value,
};
use super::field::FieldRef;
use super::sparse::{self, Listed};
use super::value::Val;
use crate::decode::field::Field;
use crate::store::{PduRow, Store};
use crate::units::{FrameNo, PduId};

/// Values of one field that are looked at; a frame with more is not told apart by them.
const MOST_VALUES: usize = 10_000;
/// Pairs of values that a comparison of two fields looks at.
pub(super) const MOST_PAIRS: usize = 100_000;

/// Gives the fields that are not in the store.
pub trait Decode {
    /// The decoded fields of a frame, or of one PDU that is completed in it.
    fn fields(&self, store: &Store, frame: FrameNo, pdu: Option<PduId>) -> Vec<Field>;

    /// The TCP payload of a frame as far as it is in the file, secrets as zeros.
    fn payload(&self, store: &Store, frame: FrameNo) -> Option<Vec<u8>> {
        let _ = (store, frame);
        None
    }
}

/// What filters are asked about.
#[derive(Clone, Copy)]
pub struct Eval<'a> {
    /// The capture.
    pub store: &'a Store,
    /// Frames marked by the user, as ranges in file order, both ends included.
    pub marked: &'a [(u32, u32)],
    /// Frames ignored by the user, likewise.
    pub ignored: &'a [(u32, u32)],
    /// Lists that many frames are asked with; without them, each frame looks through what the lists are made from.
    pub listed: Option<&'a Listed>,
    /// Decodes frames; without it, fields that are not in the store do not occur.
    pub decode: Option<&'a dyn Decode>,
}

impl<'a> Eval<'a> {
    /// A capture without marks and without a way to decode frames.
    pub fn of(store: &'a Store) -> Self {
        Self {
            store,
            marked: &[],
            ignored: &[],
            listed: None,
            decode: None,
        }
    }
}

/// A frame, or one PDU that is completed in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// The frame.
    pub frame: FrameNo,
    /// The PDU; without one, all PDUs of the frame count.
    pub pdu: Option<PduId>,
}

/// An event while it is being asked; it is decoded at most once.
pub(super) struct Moment<'a> {
    eval: &'a Eval<'a>,
    event: Event,
    /// What earlier steps of a rule are bound to.
    bound: &'a [Event],
    tree: OnceCell<Vec<Field>>,
}

impl<'a> Moment<'a> {
    pub(super) fn new(eval: &'a Eval<'a>, event: Event, bound: &'a [Event]) -> Self {
        Self {
            eval,
            event,
            bound,
            tree: OnceCell::new(),
        }
    }

    pub(super) fn holds(&self, node: &Node) -> bool {
        match node {
            Node::All(parts) => parts.iter().all(|p| self.holds(p)),
            Node::Any(parts) => parts.iter().any(|p| self.holds(p)),
            Node::Not(part) => !self.holds(part),
            Node::Leaf(leaf) => self.leaf(leaf),
        }
    }

    fn leaf(&self, leaf: &Leaf) -> bool {
        match &leaf.what {
            What::Test { field, test, quant } => {
                let values = self.values(field);
                match quant {
                    Quant::Any => values.iter().any(|v| test.holds(v)),
                    Quant::Every => !values.is_empty() && values.iter().all(|v| test.holds(v)),
                }
            }
            What::Present(field) => self.present(field),
            What::Compare {
                left,
                op,
                right,
                quant,
                wrap,
            } => compare(&self.expr(left), *op, &self.expr(right), *quant, *wrap),
            What::NotZero(expr) => self
                .expr(expr)
                .iter()
                .any(|v| matches!(v, Val::Num(n) if *n != 0)),
        }
    }

    fn expr(&self, expr: &Expr) -> Vec<Val> {
        match expr {
            Expr::Const(value) => vec![value.clone()],
            Expr::Field(field) => self.values(field),
            Expr::Bound(step, field) => match self.bound.get(*step) {
                Some(event) => Self::new(self.eval, *event, &[]).values(field),
                None => Vec::new(),
            },
            Expr::Calc(left, calc, right, wrap) => {
                let (left, right) = (self.expr(left), self.expr(right));
                left.iter()
                    .flat_map(|l| right.iter().map(move |r| (l, r)))
                    .take(MOST_PAIRS)
                    .filter_map(|(l, r)| calculate(l, *calc, r, *wrap))
                    .collect()
            }
            Expr::Func(Func::Count, field) => {
                vec![Val::Num(self.values(field).len() as i128)]
            }
            Expr::Func(func, field) => self
                .values(field)
                .into_iter()
                .filter_map(|v| apply(*func, v))
                .collect(),
            Expr::Slice(field, from, len) => self
                .values(field)
                .iter()
                .filter_map(|v| slice(v, *from, *len))
                .collect(),
        }
    }

    /// The values of a field, in stream order.
    pub(super) fn values(&self, field: &FieldRef) -> Vec<Val> {
        let mut out = Vec::new();
        let known = field.column.is_some_and(|c| self.column(c, &mut out));
        if !known {
            self.tree_values(field, &mut out);
        }
        out
    }

    fn present(&self, field: &FieldRef) -> bool {
        let mut out = Vec::new();
        match field.column {
            Some(column) if self.column(column, &mut out) => !out.is_empty(),
            None if field.is_payload() => !self.values(field).is_empty(),
            _ => self.in_tree(field),
        }
    }

    /// Takes the values from the store; `false` where the store does not know them.
    fn column(&self, column: Column, out: &mut Vec<Val>) -> bool {
        let store = self.eval.store;
        let Some(at) = FrameAt::new(store, self.event.frame) else {
            return true;
        };
        let mut num = |n: i64| out.push(Val::Num(i128::from(n)));
        match column {
            Column::Frame(column) => frame_each(column, &at, &mut num),
            Column::Pdu(column) => {
                for (_, pdu) in self.pdus() {
                    if let Some(n) = pdu_value(column, store, &pdu) {
                        num(n);
                    }
                }
            }
            Column::Kind => {
                for (_, pdu) in self.pdus() {
                    num(pdu_kind(&pdu));
                }
                if self.event.pdu.is_none() {
                    let bare = self.pdus().next().is_none();
                    frame_kinds(&at.row, bare, &mut num);
                }
            }
            Column::Size => {
                for (_, pdu) in self.pdus() {
                    num(i64::from(pdu.len));
                }
                if out.is_empty() && at.row.is_tcp() {
                    out.push(Val::Num(i128::from(at.row.payload_len)));
                }
            }
            Column::Addr(column) => {
                let Some(conn) = at.row.conn.and_then(|c| store.conn(c)) else {
                    return at.row.flags.has(crate::store::FrameFlags::NOT_IP);
                };
                addr_each(column, conn, at.row.end(), &mut |ip| out.push(Val::Ip(ip)));
            }
            Column::Sparse(column) => self.sparse(column, out),
            Column::User(column) => {
                let ranges = match column {
                    UserCol::Marked | UserCol::FrameMarked => self.eval.marked,
                    UserCol::Ignored | UserCol::FrameIgnored => self.eval.ignored,
                };
                num(i64::from(in_ranges(ranges, self.event.frame)));
            }
        }
        true
    }

    fn sparse(&self, column: SparseCol, out: &mut Vec<Val>) {
        let wanted = self.event.frame;
        let store = self.eval.store;
        let behind = FrameNo(wanted.0.saturating_add(1));
        let by_pdu = matches!(column, SparseCol::Sid | SparseCol::DeltaSid);
        let of_pdu = by_pdu && self.event.pdu.is_some();
        if let Some(listed) = self.eval.listed.filter(|_| !of_pdu) {
            let values = listed.between(store, column, wanted, behind);
            let values = values.iter().map(|(_, value)| *value);
            out.extend(values.filter_map(|value| sparse::value(column, value, store)));
        } else if of_pdu && column == SparseCol::Sid {
            let sids = self.pdus().filter_map(|(_, pdu)| sparse::sid_of(&pdu));
            out.extend(sids.map(|sid| Val::Num(i128::from(sid))));
        } else if column == SparseCol::DeltaSid {
            out.extend(self.deltas().map(|ns| Val::Num(i128::from(ns))));
        } else {
            let list = sparse::list(column, store, wanted);
            let here = list.iter().filter(|(frame, _)| *frame == wanted);
            out.extend(here.filter_map(|(_, value)| sparse::value(column, *value, store)));
        }
    }

    /// The time since the frame before of each session that the event belongs to; 0 for its first frame.
    fn deltas(&self) -> impl Iterator<Item = i64> {
        let store = self.eval.store;
        let here = store.frame(self.event.frame);
        let mut sessions = Vec::new();
        for (_, pdu) in self.pdus() {
            sessions.extend(pdu.session.filter(|session| !sessions.contains(session)));
        }
        sessions.into_iter().filter_map(move |session| {
            let here = here.as_ref()?;
            let opened = store.session(session)?.open_frame;
            let mut at = here.prev.filter(|no| *no >= opened);
            while let Some(no) = at {
                let row = store.frame(no)?;
                if store
                    .pdus_in(no)
                    .any(|(_, pdu)| pdu.session == Some(session))
                {
                    return Some(here.time.since(row.time));
                }
                at = row.prev.filter(|no| *no >= opened);
            }
            Some(0)
        })
    }

    fn pdus(&self) -> impl Iterator<Item = (PduId, PduRow)> {
        let only = self.event.pdu;
        self.eval
            .store
            .pdus_in(self.event.frame)
            .filter(move |(id, _)| only.is_none_or(|only| only == *id))
    }

    fn tree(&self) -> &[Field] {
        self.tree.get_or_init(|| {
            self.eval.decode.map_or_else(Vec::new, |decode| {
                decode.fields(self.eval.store, self.event.frame, self.event.pdu)
            })
        })
    }

    fn tree_values(&self, field: &FieldRef, out: &mut Vec<Val>) {
        if field.is_payload() {
            let (store, frame) = (self.eval.store, self.event.frame);
            let payload = self.eval.decode.and_then(|d| d.payload(store, frame));
            return out.extend(payload.map(Val::Bytes));
        }
        let single = [field.name];
        let names = match field.tree_names() {
            [] => &single[..],
            many => many,
        };
        for name in names {
            for top in self.tree() {
                collect(top, name, &mut |found| {
                    if out.len() < MOST_VALUES {
                        out.extend(Val::of(&found.value));
                        if field.name == "tds.proc" && !found.text.is_empty() {
                            out.push(Val::Text(found.text.clone()));
                        }
                    }
                });
            }
        }
    }

    fn in_tree(&self, field: &FieldRef) -> bool {
        let single = [field.name];
        let names = match field.tree_names() {
            [] => &single[..],
            many => many,
        };
        let protocol = !field.name.contains('.');
        let mut found = false;
        for top in self.tree() {
            walk(top, &mut |f| {
                found |= names.contains(&f.name)
                    || (protocol
                        && f.name
                            .strip_prefix(field.name)
                            .is_some_and(|rest| rest.starts_with('.')));
            });
        }
        found
    }
}

/// Calls `f` with each field of a tree, depth first.
fn walk<'t>(field: &'t Field, f: &mut impl FnMut(&'t Field)) {
    f(field);
    for child in &field.children {
        walk(child, f);
    }
}

fn collect<'t>(field: &'t Field, name: &str, f: &mut impl FnMut(&'t Field)) {
    walk(field, &mut |found| {
        if found.name == name {
            f(found);
        }
    });
}

/// Whether a frame is in ranges that are in file order and do not overlap.
pub(super) fn in_ranges(ranges: &[(u32, u32)], frame: FrameNo) -> bool {
    let at = ranges.partition_point(|(_, last)| *last < frame.0);
    ranges.get(at).is_some_and(|(first, _)| *first <= frame.0)
}

fn compare(left: &[Val], op: Op, right: &[Val], quant: Quant, wrap: bool) -> bool {
    let mut pairs = left
        .iter()
        .flat_map(|l| right.iter().map(move |r| (l, r)))
        .take(MOST_PAIRS);
    let holds = |(l, r): (&Val, &Val)| order(l, r, wrap).is_some_and(|o| op.holds(o));
    match quant {
        Quant::Any => pairs.any(holds),
        Quant::Every => !left.is_empty() && !right.is_empty() && pairs.all(holds),
    }
}

fn order(left: &Val, right: &Val, wrap: bool) -> Option<Ordering> {
    match (left, right) {
        (Val::Num(l), Val::Num(r)) => Some(order_numbers(*l, *r, wrap)),
        (Val::Float(l), Val::Float(r)) => l.partial_cmp(r),
        (Val::Float(l), Val::Num(r)) => l.partial_cmp(&to_float(*r)),
        (Val::Num(l), Val::Float(r)) => to_float(*l).partial_cmp(r),
        (Val::Text(l), Val::Text(r)) => Some(l.cmp(r)),
        (Val::Bytes(l), Val::Bytes(r)) => Some(l.cmp(r)),
        (Val::Ip(l), Val::Ip(r)) => Some(l.cmp(r)),
        _ => None,
    }
}

/// The order of two numbers, or of two sequence numbers.
pub(super) fn order_numbers(l: i128, r: i128, wrap: bool) -> Ordering {
    if wrap {
        let distance = low_word(l).wrapping_sub(low_word(r)).cast_signed();
        distance.cmp(&0)
    } else {
        l.cmp(&r)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a comparison with a float is not exact anyway"
)]
fn to_float(n: i128) -> f64 {
    n as f64
}

/// A number modulo 2^32.
fn low_word(n: i128) -> u32 {
    u32::try_from(n.rem_euclid(1 << 32)).unwrap_or(0)
}

fn calculate(left: &Val, calc: Calc, right: &Val, wrap: bool) -> Option<Val> {
    let (Val::Num(l), Val::Num(r)) = (left, right) else {
        return None;
    };
    calculate_numbers(*l, calc, *r, wrap).map(Val::Num)
}

pub(super) fn calculate_numbers(l: i128, calc: Calc, r: i128, wrap: bool) -> Option<i128> {
    let n = match calc {
        Calc::Add => l.checked_add(r),
        Calc::Sub => l.checked_sub(r),
        Calc::Distance => Some(i128::from(
            low_word(l).wrapping_sub(low_word(r)).cast_signed(),
        )),
        Calc::Mul => l.checked_mul(r),
        Calc::Div => l.checked_div(r),
        Calc::And => Some(l & r),
    }?;
    Some(if wrap { i128::from(low_word(n)) } else { n })
}

pub(super) fn apply(func: Func, value: Val) -> Option<Val> {
    Some(match (func, value) {
        (Func::Len, Val::Text(t)) => Val::Num(t.chars().count() as i128),
        (Func::Len, Val::Bytes(b)) => Val::Num(b.len() as i128),
        (Func::Lower, Val::Text(t)) => Val::Text(t.to_lowercase()),
        (Func::Upper, Val::Text(t)) => Val::Text(t.to_uppercase()),
        _ => return None,
    })
}

/// A part of a value; nothing where the value is shorter.
pub(super) fn slice(value: &Val, from: usize, len: usize) -> Option<Val> {
    let end = from.checked_add(len)?;
    match value {
        Val::Bytes(b) => Some(Val::Bytes(b.get(from..end)?.to_vec())),
        Val::Text(t) => {
            let part: String = t.chars().skip(from).take(len).collect();
            (part.chars().count() == len).then_some(Val::Text(part))
        }
        _ => None,
    }
}

/// Whether a PDU column belongs to TDS packets, for what a frame can hold.
pub(super) fn may_hold(field: &FieldRef, pdu: &PduRow) -> bool {
    if super::field::is_tds(field.name) {
        column::may_hold_tds(pdu)
    } else {
        !matches!(super::field::pdu_column(field), Some(PduCol::Smp)) || pdu.kind.is_smp()
    }
}
