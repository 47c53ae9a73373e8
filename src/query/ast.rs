//! A filter as a tree, checked against the types of its fields.

use std::cmp::Ordering;

use super::field::FieldRef;
use super::value::{Test, Val};

/// A condition.
#[derive(Debug, Clone)]
pub(super) enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Leaf(Leaf),
}

/// A condition without parts.
#[derive(Debug, Clone)]
pub(super) struct Leaf {
    /// Its number in the filter, by which what is prepared for it is found.
    pub(super) id: usize,
    pub(super) what: What,
}

/// What a leaf asks.
#[derive(Debug, Clone)]
pub(super) enum What {
    /// A field's occurrences against constants.
    Test {
        field: FieldRef,
        test: Test,
        quant: Quant,
    },
    /// The field occurs.
    Present(FieldRef),
    /// Two expressions.
    Compare {
        left: Expr,
        op: Op,
        right: Expr,
        quant: Quant,
        /// Both sides are sequence numbers, whose order wraps.
        wrap: bool,
    },
    /// Bits of a number are set (`tcp.flags & 0x14`): the result is not 0.
    NotZero(Expr),
}

/// How many occurrences of a field a test asks for; none of them holds for a field that does not occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quant {
    /// At least one.
    Any,
    /// The field occurs, and every occurrence.
    Every,
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Op {
    /// Whether it holds for two values that stand in this order.
    pub(super) fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Eq => order == Ordering::Equal,
            Self::Ne => order != Ordering::Equal,
            Self::Lt => order == Ordering::Less,
            Self::Le => order != Ordering::Greater,
            Self::Gt => order == Ordering::Greater,
            Self::Ge => order != Ordering::Less,
        }
    }
}

/// Arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Calc {
    Add,
    Sub,
    /// From one sequence number to another, the shorter way round.
    Distance,
    Mul,
    Div,
    And,
}

/// A function of a field's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Func {
    /// Bytes or characters of each value.
    Len,
    /// How often the field occurs.
    Count,
    Lower,
    Upper,
}

/// Something with values.
#[derive(Debug, Clone)]
pub(super) enum Expr {
    Const(Val),
    Field(FieldRef),
    /// A field of an event that an earlier step of a rule is bound to.
    Bound(usize, FieldRef),
    /// Arithmetic; the last value says whether the result wraps at 2^32.
    Calc(Box<Expr>, Calc, Box<Expr>, bool),
    Func(Func, FieldRef),
    /// Bytes `from..from + len` of each value.
    Slice(FieldRef, usize, usize),
}

impl Expr {
    /// The fields it reads of the frame at hand.
    pub(super) fn fields<'a>(&'a self, out: &mut Vec<&'a FieldRef>) {
        match self {
            Self::Field(f) | Self::Func(_, f) | Self::Slice(f, ..) => out.push(f),
            Self::Calc(left, _, right, _) => {
                left.fields(out);
                right.fields(out);
            }
            Self::Const(_) | Self::Bound(..) => {}
        }
    }

    /// Whether it reads an event of an earlier step.
    fn is_bound(&self) -> bool {
        match self {
            Self::Bound(..) => true,
            Self::Calc(left, _, right, _) => left.is_bound() || right.is_bound(),
            _ => false,
        }
    }

    /// Whether it counts occurrences, so that none of them is a value too.
    fn counts(&self) -> bool {
        match self {
            Self::Func(Func::Count, _) => true,
            Self::Calc(left, _, right, _) => left.counts() || right.counts(),
            _ => false,
        }
    }
}

impl What {
    /// The fields it reads of the frame at hand.
    pub(super) fn fields(&self) -> Vec<&FieldRef> {
        let mut out = Vec::new();
        match self {
            Self::Test { field, .. } | Self::Present(field) => out.push(field),
            Self::Compare { left, right, .. } => {
                left.fields(&mut out);
                right.fields(&mut out);
            }
            Self::NotZero(expr) => expr.fields(&mut out),
        }
        out
    }

    /// Whether it reads an event of an earlier step.
    pub(super) fn is_bound(&self) -> bool {
        match self {
            Self::Compare { left, right, .. } => left.is_bound() || right.is_bound(),
            Self::NotZero(expr) => expr.is_bound(),
            _ => false,
        }
    }

    /// Whether it counts occurrences, so that it can hold where a field does not occur.
    pub(super) fn counts(&self) -> bool {
        match self {
            Self::Compare { left, right, .. } => left.counts() || right.counts(),
            Self::NotZero(expr) => expr.counts(),
            _ => false,
        }
    }
}

impl Node {
    /// Calls `f` with each leaf.
    pub(super) fn leaves<'a>(&'a self, f: &mut impl FnMut(&'a Leaf)) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|p| p.leaves(f)),
            Self::Not(part) => part.leaves(f),
            Self::Leaf(leaf) => f(leaf),
        }
    }
}
