//! Comparisons of expressions over a block: each part of an expression is worked out for all frames at once.

use super::bits::Bits;
use super::block::Block;
use super::columns::chosen;
use crate::query::ast::{Calc, Expr, Func, Op, Quant, What};
use crate::query::column::{
    Column, ConnTable, Each, FrameAt, FrameCol, PduCol, SparseCol, frame_each, frame_kinds,
    pdu_kind, pdu_value,
};
use crate::query::eval::{Eval, MOST_PAIRS, calculate_numbers, order_numbers};
use crate::query::sparse::Listed;
use crate::query::value::Val;

/// What expressions are worked out from.
pub(super) struct Given<'a, 'b> {
    pub(super) block: &'a Block<'b>,
    pub(super) eval: &'a Eval<'a>,
    pub(super) conns: &'a ConnTable,
    pub(super) listed: &'a Listed,
}

/// The numbers that an expression has in each frame of a block.
enum Numbers {
    /// One and the same everywhere.
    Same(i128),
    /// In the order of frames; for each frame, where its numbers end.
    Each { all: Vec<i128>, ends: Vec<usize> },
}

/// Whether a condition is about numbers of columns alone, so that [`Given::holds`] answers it.
pub(super) fn is_numeric(what: &What) -> bool {
    fn numeric(expr: &Expr) -> bool {
        match expr {
            Expr::Const(value) => matches!(value, Val::Num(_)),
            Expr::Field(field) => field.column.is_some_and(is_number),
            Expr::Func(Func::Count, field) => field
                .column
                .is_some_and(|c| is_number(c) || matches!(c, Column::Sparse(_))),
            Expr::Calc(left, _, right, _) => numeric(left) && numeric(right),
            Expr::Func(..) | Expr::Bound(..) | Expr::Slice(..) => false,
        }
    }
    match what {
        What::Compare { left, right, .. } => numeric(left) && numeric(right),
        What::NotZero(expr) => numeric(expr),
        What::Test { .. } | What::Present(_) => false,
    }
}

/// All pairs of numbers, or as many as are looked at.
fn pairs<'n>(left: &'n [i128], right: &'n [i128]) -> impl Iterator<Item = (i128, i128)> + 'n {
    left.iter()
        .flat_map(|l| right.iter().map(move |r| (*l, *r)))
        .take(MOST_PAIRS)
}

/// Whether a column's values are numbers.
fn is_number(column: Column) -> bool {
    !matches!(column, Column::Addr(_) | Column::Sparse(SparseCol::Finding))
}

impl Given<'_, '_> {
    /// The frames for which a numeric condition holds.
    pub(super) fn holds(&self, what: &What) -> Bits {
        match what {
            What::Compare {
                left,
                op,
                right,
                quant,
                wrap,
            } => {
                let (left, right) = (self.numbers(left), self.numbers(right));
                self.compare(&left, *op, &right, *quant, *wrap)
            }
            What::NotZero(expr) => {
                let zero = Numbers::Same(0);
                self.compare(&self.numbers(expr), Op::Ne, &zero, Quant::Any, false)
            }
            What::Test { .. } | What::Present(_) => Bits::none(),
        }
    }

    fn compare(&self, left: &Numbers, op: Op, right: &Numbers, quant: Quant, wrap: bool) -> Bits {
        let holds = |l: i128, r: i128| op.holds(order_numbers(l, r, wrap));
        let mut bits = Bits::none();
        for at in 0..self.block.len {
            let (left, right) = (left.at(at), right.at(at));
            let fit = match (left, right) {
                (&[l], &[r]) => holds(l, r),
                ([], _) | (_, []) => false,
                _ => {
                    let mut pairs = pairs(left, right);
                    match quant {
                        Quant::Any => pairs.any(|(l, r)| holds(l, r)),
                        Quant::Every => pairs.all(|(l, r)| holds(l, r)),
                    }
                }
            };
            bits.set_if(at, fit);
        }
        bits
    }

    fn numbers(&self, expr: &Expr) -> Numbers {
        match expr {
            Expr::Const(Val::Num(n)) => Numbers::Same(*n),
            Expr::Field(field) => field.column.map_or_else(Numbers::none, |c| self.column(c)),
            Expr::Func(Func::Count, field) => {
                let mut counts = vec![0_u32; self.block.len];
                if let Some(column) = field.column {
                    self.each(column, &mut |at, _| {
                        if let Some(count) = counts.get_mut(at) {
                            *count = count.saturating_add(1);
                        }
                    });
                }
                self.one_each(|at| i128::from(counts.get(at).copied().unwrap_or(0)))
            }
            Expr::Calc(left, calc, right, wrap) => {
                let (left, right) = (self.numbers(left), self.numbers(right));
                self.calculate(&left, *calc, &right, *wrap)
            }
            Expr::Const(_) | Expr::Func(..) | Expr::Bound(..) | Expr::Slice(..) => Numbers::none(),
        }
    }

    fn calculate(&self, left: &Numbers, calc: Calc, right: &Numbers, wrap: bool) -> Numbers {
        let (mut all, mut ends) = (Vec::new(), Vec::with_capacity(self.block.len));
        for at in 0..self.block.len {
            let calculated = pairs(left.at(at), right.at(at));
            all.extend(calculated.filter_map(|(l, r)| calculate_numbers(l, calc, r, wrap)));
            ends.push(all.len());
        }
        Numbers::Each { all, ends }
    }

    fn one_each(&self, number: impl Fn(usize) -> i128) -> Numbers {
        Numbers::Each {
            all: (0..self.block.len).map(number).collect(),
            ends: (1..=self.block.len).collect(),
        }
    }

    fn column(&self, column: Column) -> Numbers {
        let mut found = Found::default();
        self.each(column, &mut |at, n| found.add(at, n));
        found.numbers(self.block.len)
    }

    /// Calls `f` with each number of a column and the place of its frame.
    fn each(&self, column: Column, f: &mut dyn FnMut(usize, i64)) {
        let block = self.block;
        match column {
            Column::Frame(column) => column.with(&mut FrameValues { given: self, f }),
            Column::Pdu(column) => column.with(&mut PduValues { given: self, f }),
            Column::Kind => {
                block.each_pdu(|at, pdu| f(at, pdu_kind(pdu)));
                let with_pdus = block.pdu_bits(|_| true);
                block.each_frame(|at, _, row, _| {
                    frame_kinds(row, !with_pdus.has(at), &mut |kind| f(at, kind));
                });
            }
            Column::Size => {
                block.each_pdu(|at, pdu| f(at, i64::from(pdu.len)));
                let with_pdus = block.pdu_bits(|_| true);
                block.each_frame(|at, _, row, _| {
                    if row.is_tcp() && !with_pdus.has(at) {
                        f(at, i64::from(row.payload_len));
                    }
                });
            }
            Column::User(column) => {
                let chosen = chosen(column, block, self.eval);
                (0..block.len).for_each(|at| f(at, i64::from(chosen.has(at))));
            }
            Column::Sparse(column) => {
                let behind = block.frame(block.len);
                let values = self
                    .listed
                    .between(block.store, column, block.first, behind);
                for (frame, value) in values {
                    if let Some(at) = block.position(*frame) {
                        f(at, *value);
                    }
                }
            }
            Column::Addr(_) => {}
        }
    }
}

impl Numbers {
    fn none() -> Self {
        Self::Each {
            all: Vec::new(),
            ends: Vec::new(),
        }
    }

    #[inline]
    fn at(&self, at: usize) -> &[i128] {
        match self {
            Self::Same(n) => std::slice::from_ref(n),
            Self::Each { all, ends } => {
                let start = at.checked_sub(1).and_then(|at| ends.get(at));
                let end = ends.get(at).copied().unwrap_or(0);
                all.get(start.copied().unwrap_or(0)..end)
                    .unwrap_or_default()
            }
        }
    }
}

/// Numbers as they are found, each with the place of its frame.
#[derive(Default)]
struct Found {
    all: Vec<i128>,
    places: Vec<u32>,
    last: u32,
    out_of_order: bool,
}

impl Found {
    #[inline]
    fn add(&mut self, at: usize, number: i64) {
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        self.out_of_order |= self.last > at;
        self.last = at;
        self.all.push(i128::from(number));
        self.places.push(at);
    }

    fn numbers(mut self, len: usize) -> Numbers {
        if self.out_of_order {
            let mut pairs: Vec<_> = self.places.iter().zip(&self.all).collect();
            pairs.sort_by_key(|(at, _)| **at);
            let (places, all) = pairs.into_iter().unzip();
            (self.places, self.all) = (places, all);
        }
        let mut ends = Vec::with_capacity(len);
        for (index, at) in self.places.iter().enumerate() {
            // The frames up to this one end here.
            let at = usize::try_from(*at).unwrap_or(usize::MAX).min(len);
            if ends.len() < at {
                ends.resize(at, index);
            }
        }
        ends.resize(len, self.all.len());
        Numbers::Each {
            all: self.all,
            ends,
        }
    }
}

/// Gathers the values of a frame column; compiled once for each.
struct FrameValues<'a, 'b, 'c> {
    given: &'a Given<'b, 'c>,
    f: &'a mut dyn FnMut(usize, i64),
}

impl Each<FrameCol, ()> for FrameValues<'_, '_, '_> {
    #[inline]
    fn run(&mut self, column: impl Fn() -> FrameCol + Copy) {
        let store = self.given.block.store;
        let start = store.start_time().map_or(0, |t| t.0);
        let conns = self.given.conns;
        self.given.block.each_frame(|at, no, row, before| {
            let here = FrameAt {
                store,
                conns,
                no,
                row: *row,
                before,
                start,
            };
            frame_each(column(), &here, &mut |n| (self.f)(at, n));
        });
    }
}

/// Gathers the values of a PDU column; compiled once for each.
struct PduValues<'a, 'b, 'c> {
    given: &'a Given<'b, 'c>,
    f: &'a mut dyn FnMut(usize, i64),
}

impl Each<PduCol, ()> for PduValues<'_, '_, '_> {
    #[inline]
    fn run(&mut self, column: impl Fn() -> PduCol + Copy) {
        let store = self.given.block.store;
        self.given.block.each_pdu(|at, pdu| {
            if let Some(n) = pdu_value(column(), store, pdu) {
                (self.f)(at, n);
            }
        });
    }
}
