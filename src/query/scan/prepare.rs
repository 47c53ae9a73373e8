//! What is worked out once for each condition of a filter, before blocks are scanned.

use super::compare::is_numeric;
use super::fits::Fits;
use crate::query::ast::{Calc, Expr, Leaf, Node, Quant, What};
use crate::query::column::{
    AddrCol, Brief, Column, ConnTable, FrameCol, SparseCol, addr_each, of_sender,
};
use crate::query::field::FieldRef;
use crate::query::sparse::{self, Listed};
use crate::query::value::{Test, Val};
use crate::store::{ConnRow, Store};
use crate::units::{End, FrameNo};

/// How a condition is answered for a block.
#[derive(Debug, Clone)]
pub(super) enum Prepared {
    /// Frame by frame; where it needs decoding, the frames are left open.
    OneByOne,
    /// By the numbers of a column that has a scan.
    Numbers(Fits),
    /// By these frames, which are in order.
    Frames(Vec<FrameNo>),
    /// By what is the same for all frames of an end of a connection: for each connection, bit 0 says that it holds
    /// for frames of end A, bit 1 for those of end B.
    Senders(Vec<u8>),
    /// By the numbers of expressions.
    Expressions,
}

/// What the blocks of a filter are asked with.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    pub(super) leaves: Vec<Option<Prepared>>,
    pub(super) conns: ConnTable,
    pub(super) listed: Listed,
}

impl Facts {
    /// Those for the frames from `from` on.
    pub(super) fn of(root: &Node, leaves: usize, store: &Store, from: FrameNo) -> Self {
        let mut facts = Self {
            leaves: vec![None; leaves],
            listed: Listed::of_frames_from(from),
            ..Self::default()
        };
        let mut of_conns = false;
        root.leaves(&mut |leaf| {
            for field in leaf.what.fields() {
                of_conns |= matches!(field.column, Some(Column::Frame(_)));
            }
            if let Some(slot) = facts.leaves.get_mut(leaf.id) {
                *slot = Some(prepare(leaf, store, &facts.listed));
            }
        });
        if of_conns {
            facts.conns = ConnTable::of(store);
        }
        facts
    }
}

fn prepare(leaf: &Leaf, store: &Store, listed: &Listed) -> Prepared {
    match &leaf.what {
        What::Test { field, test, quant } => match test {
            Test::Num(ranges) => numbers(field, &Fits::of(ranges), *quant, store, listed),
            _ => values(field, test, *quant, store, listed),
        },
        What::Present(field) => match field.column {
            Some(Column::Addr(column)) => addresses(column, store, Quant::Any, |_| true),
            _ => numbers(field, &Fits::all(), Quant::Any, store, listed),
        },
        What::NotZero(Expr::Calc(left, Calc::And, right, wrap)) => {
            if let (Expr::Field(field), Expr::Const(Val::Num(bits))) = (&**left, &**right)
                && let Ok(bits) = i64::try_from(*bits)
                && is_numeric(&leaf.what)
            {
                let bits = if *wrap { bits & 0xffff_ffff } else { bits };
                return numbers(field, &Fits::Mask(bits), Quant::Any, store, listed);
            }
            expressions(&leaf.what)
        }
        what => expressions(what),
    }
}

fn expressions(what: &What) -> Prepared {
    if is_numeric(what) {
        Prepared::Expressions
    } else {
        Prepared::OneByOne
    }
}

/// A condition on a field whose values are numbers.
fn numbers(
    field: &FieldRef,
    fits: &Fits,
    quant: Quant,
    store: &Store,
    listed: &Listed,
) -> Prepared {
    match field.column {
        None | Some(Column::Addr(_)) => Prepared::OneByOne,
        Some(Column::Sparse(SparseCol::Sid)) => {
            let fits = |sid| fits.has(sid);
            Prepared::Frames(sparse::frames_of_sids(store, listed.from(), quant, fits))
        }
        Some(Column::Sparse(column)) => frames(listed.all(column, store), quant, |n| fits.has(n)),
        Some(Column::Frame(
            column @ (FrameCol::SrcPort | FrameCol::DstPort | FrameCol::Port | FrameCol::Side),
        )) => senders(store, quant, |conn, end, f| {
            of_sender(column, &Brief::of(conn), end, &mut |n| f(fits.has(n)));
        }),
        Some(_) => Prepared::Numbers(fits.clone()),
    }
}

/// A condition on a field whose values are not numbers.
fn values(field: &FieldRef, test: &Test, quant: Quant, store: &Store, listed: &Listed) -> Prepared {
    match field.column {
        Some(Column::Addr(column)) => addresses(column, store, quant, |v| test.holds(v)),
        Some(Column::Sparse(column)) => frames(listed.all(column, store), quant, |n| {
            sparse::value(column, n, store).is_some_and(|v| test.holds(&v))
        }),
        _ => Prepared::OneByOne,
    }
}

fn frames(list: &[(FrameNo, i64)], quant: Quant, fits: impl Fn(i64) -> bool) -> Prepared {
    let same_frame = list.chunk_by(|a, b| a.0 == b.0);
    let found = same_frame.filter_map(|values| {
        let mut fit = values.iter().map(|(_, n)| fits(*n));
        let holds = match quant {
            Quant::Any => fit.any(|fit| fit),
            Quant::Every => fit.all(|fit| fit),
        };
        holds.then_some(values.first()?.0)
    });
    Prepared::Frames(found.collect())
}

fn addresses(
    column: AddrCol,
    store: &Store,
    quant: Quant,
    fits: impl Fn(&Val) -> bool,
) -> Prepared {
    senders(store, quant, |conn, end, f| {
        addr_each(column, conn, end, &mut |ip| f(fits(&Val::Ip(ip))));
    })
}

/// What is the same for all frames of an end of a connection; `each` tells of each value whether it fits.
fn senders(
    store: &Store,
    quant: Quant,
    each: impl Fn(&ConnRow, End, &mut dyn FnMut(bool)),
) -> Prepared {
    let conns = store.conns().iter().map(|conn| {
        let holds = |end| {
            let (mut any, mut every) = (false, true);
            each(conn, end, &mut |fit| {
                any |= fit;
                every &= fit;
            });
            any && (quant == Quant::Any || every)
        };
        u8::from(holds(End::A)) | (u8::from(holds(End::B)) << 1)
    });
    Prepared::Senders(conns.collect())
}
