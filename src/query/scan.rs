//! Answers a filter for a block of frames from the store's columns, one bit for each frame.
//!
//! Each condition yields two sets of frames: those for which it holds, and those for which the columns do not say.
//! `and`, `or` and `not` join them as three-valued logic does, so that a frame is decoded only if its answer is open.

use super::ast::{Leaf, Node, Quant, What};
use super::bits::{BLOCK, Bits};
use super::column::{
    AddrCol, Column, Each, FrameAt, FrameCol, PduCol, SparseCol, UserCol, addr_each, frame_each,
    frame_kinds, pdu_kind, pdu_value,
};
use super::eval::{Eval, Event, Moment, in_ranges, may_hold};
use super::field::{FieldRef, is_tds};
use super::sparse::sparse_each;
use super::value::{Ranges, Test, Val};
use crate::store::{FrameFlags, FrameRow, PduRow, Store};
use crate::units::{End, FrameNo, PduId};

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

/// A stretch of frames with the PDUs that are completed in them.
pub(super) struct Block<'a> {
    store: &'a Store,
    pub(super) first: FrameNo,
    pub(super) len: usize,
    pdus: (PduId, PduId),
}

impl<'a> Block<'a> {
    /// The frames from `from` on, as many as a block holds; `None` behind the last one.
    pub(super) fn at(store: &'a Store, from: FrameNo) -> Option<Self> {
        let len = store.frame_count().checked_sub(from.index())?.min(BLOCK);
        let behind = FrameNo::from_index(from.index().saturating_add(len));
        (len > 0).then(|| Self {
            store,
            first: from,
            len,
            pdus: (store.first_pdu_from(from), store.first_pdu_from(behind)),
        })
    }

    /// Calls `f` with each frame and its place in the block.
    #[inline]
    fn each_frame(&self, mut f: impl FnMut(usize, FrameNo, &FrameRow)) {
        let first = self.first.index();
        self.store.each_frame(self.first, self.len, |no, row| {
            f(no.index().wrapping_sub(first), no, row);
        });
    }

    /// Calls `f` with each PDU and the place of its frame in the block.
    #[inline]
    fn each_pdu(&self, mut f: impl FnMut(usize, &PduRow)) {
        let first = self.first.index();
        self.store.each_pdu(self.pdus.0, self.pdus.1, |pdu| {
            f(pdu.frame.index().wrapping_sub(first), pdu);
        });
    }

    pub(super) fn frame(&self, at: usize) -> FrameNo {
        FrameNo::from_index(self.first.index().saturating_add(at))
    }

    fn position(&self, frame: FrameNo) -> Option<usize> {
        let at = frame.index().checked_sub(self.first.index())?;
        (at < self.len).then_some(at)
    }

    /// The frames whose completed PDUs fit.
    fn pdu_bits(&self, mut fits: impl FnMut(&PduRow) -> bool) -> Bits {
        let mut bits = Bits::none();
        self.each_pdu(|at, pdu| {
            if fits(pdu) {
                bits.set(at);
            }
        });
        bits
    }
}

/// What is worked out once for a leaf, before its blocks are scanned.
#[derive(Debug, Clone, Default)]
enum Prepared {
    #[default]
    Nothing,
    /// The frames for which it holds, in order.
    Frames(Vec<FrameNo>),
    /// For each connection: bit 0, it holds for frames of end A; bit 1, for those of end B.
    Conns(Vec<u8>),
}

/// A filter's tree with what is prepared for its leaves.
#[derive(Debug, Clone, Default)]
pub(super) struct Scan {
    prepared: Vec<Prepared>,
    /// How far the store had come when that was done: connections, packets, findings, requests.
    seen: [usize; 4],
}

impl Scan {
    /// Works out what the leaves need of the store as it is now.
    pub(super) fn prepare(&mut self, root: &Node, leaves: usize, store: &Store) {
        let seen = [
            store.conns().len(),
            store.pdu_count(),
            store.findings().len(),
            store.requests().len(),
        ];
        if !self.prepared.is_empty() && seen == self.seen {
            return;
        }
        self.seen = seen;
        self.prepared = vec![Prepared::Nothing; leaves];
        root.leaves(&mut |leaf| {
            let prepared = prepare(leaf, store);
            if let Some(slot) = self.prepared.get_mut(leaf.id) {
                *slot = prepared;
            }
        });
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
        let everything = Test::Num(Ranges(vec![(i128::MIN, i128::MAX)]));
        let (field, test, quant) = match &leaf.what {
            What::Test { field, test, quant } => (field, test, *quant),
            What::Present(field) => (field, &everything, Quant::Any),
            What::Compare { .. } | What::NotZero(_) => {
                return compared(leaf, block, eval, mask);
            }
        };
        let ranges = ranges(test);
        match (field.column, self.prepared.get(leaf.id)) {
            (None, _) => Known {
                yes: Bits::none(),
                open: block_may_hold(field, block, mask),
            },
            (Some(Column::Sparse(_)), Some(Prepared::Frames(frames))) => {
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
            (Some(Column::Addr(_)), Some(Prepared::Conns(conns))) => addr_bits(conns, block, mask),
            (Some(column), _) => match (column, ranges) {
                (Column::Frame(column), Some(ranges)) => {
                    Known::sure(frame_bits(column, &ranges, quant, block, eval.store, mask))
                }
                (Column::Pdu(column), Some(ranges)) => {
                    Known::sure(pdu_bits(column, &ranges, quant, block, eval.store))
                }
                (Column::Kind, Some(ranges)) => Known::sure(kind_bits(&ranges, quant, block)),
                (Column::Size, Some(ranges)) => Known::sure(size_bits(&ranges, quant, block)),
                (Column::User(column), Some(ranges)) => {
                    Known::sure(user_bits(column, &ranges, block, eval))
                }
                // A column without a scan of its own: each frame is asked by itself.
                _ => compared(leaf, block, eval, mask),
            },
        }
    }
}

/// The numbers of a test as the columns have them; `None` for other tests.
fn ranges(test: &Test) -> Option<Vec<(i64, i64)>> {
    let Test::Num(Ranges(ranges)) = test else {
        return None;
    };
    let narrow = |n: i128| i64::try_from(n).unwrap_or(if n < 0 { i64::MIN } else { i64::MAX });
    Some(
        ranges
            .iter()
            .filter(|(low, high)| {
                low <= high && *high >= i128::from(i64::MIN) && *low <= i128::from(i64::MAX)
            })
            .map(|(low, high)| (narrow(*low), narrow(*high)))
            .collect(),
    )
}

/// A leaf that is asked frame by frame. Where it needs decoding, the frames are left open.
fn compared(leaf: &Leaf, block: &Block<'_>, eval: &Eval<'_>, mask: &Bits) -> Known {
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
    let mut yes = Bits::none();
    for at in mask.iter() {
        let event = Event {
            frame: block.frame(at),
            pdu: None,
        };
        if Moment::new(eval, event, &[]).holds(&node) {
            yes.set(at);
        }
    }
    Known::sure(yes)
}

/// The frames in which a decoded field can occur at all.
fn block_may_hold(field: &FieldRef, block: &Block<'_>, mask: &Bits) -> Bits {
    if is_tds(field.name) {
        block.pdu_bits(|pdu| may_hold(field, pdu)).and(mask)
    } else {
        mask.clone()
    }
}

fn prepare(leaf: &Leaf, store: &Store) -> Prepared {
    let everything = |_: &Val| true;
    match &leaf.what {
        What::Test { field, test, quant } => match field.column {
            Some(Column::Sparse(column)) => sparse(column, store, *quant, |v| test.holds(v)),
            Some(Column::Addr(column)) => addresses(column, store, *quant, |v| test.holds(v)),
            _ => Prepared::Nothing,
        },
        What::Present(field) => match field.column {
            Some(Column::Sparse(column)) => sparse(column, store, Quant::Any, everything),
            Some(Column::Addr(column)) => addresses(column, store, Quant::Any, everything),
            _ => Prepared::Nothing,
        },
        _ => Prepared::Nothing,
    }
}

fn sparse(column: SparseCol, store: &Store, quant: Quant, fits: impl Fn(&Val) -> bool) -> Prepared {
    let mut yes = Vec::new();
    let mut no = Vec::new();
    sparse_each(column, store, &mut |frame, value| {
        if fits(&value) {
            yes.push(frame);
        } else {
            no.push(frame);
        }
    });
    yes.sort_unstable();
    yes.dedup();
    if quant == Quant::Every {
        no.sort_unstable();
        yes.retain(|frame| no.binary_search(frame).is_err());
    }
    Prepared::Frames(yes)
}

fn addresses(
    column: AddrCol,
    store: &Store,
    quant: Quant,
    fits: impl Fn(&Val) -> bool,
) -> Prepared {
    let conns = store.conns().iter().map(|conn| {
        let side = |end| {
            let (mut any, mut every) = (false, true);
            addr_each(column, conn, end, &mut |ip| {
                let fit = fits(&Val::Ip(ip));
                any |= fit;
                every &= fit;
            });
            any && (quant == Quant::Any || every)
        };
        u8::from(side(End::A)) | (u8::from(side(End::B)) << 1)
    });
    Prepared::Conns(conns.collect())
}

/// Frames without a connection may be IP all the same (UDP, fragments): those are left open.
fn addr_bits(conns: &[u8], block: &Block<'_>, mask: &Bits) -> Known {
    let mut yes = Bits::none();
    let mut open = Bits::none();
    block.each_frame(|at, _, row| match row.conn {
        Some(conn) => {
            let bits = conns.get(conn.index()).copied().unwrap_or(0);
            let bit = match row.end() {
                End::A => bits & 1,
                End::B => bits & 2,
            };
            if bit != 0 {
                yes.set(at);
            }
        }
        None if !row.flags.has(FrameFlags::NOT_IP) => open.set(at),
        None => {}
    });
    let (yes, open) = (yes.and(mask), open.and(mask));
    Known { yes, open }
}

/// A scan of the frames' rows, compiled once for each column.
struct FrameScan<'a, 'b> {
    block: &'a Block<'b>,
    store: &'a Store,
    ranges: &'a [(i64, i64)],
    every: bool,
    mask: &'a Bits,
}

fn frame_bits(
    column: FrameCol,
    ranges: &[(i64, i64)],
    quant: Quant,
    block: &Block<'_>,
    store: &Store,
    mask: &Bits,
) -> Bits {
    column.with(&mut FrameScan {
        block,
        store,
        ranges,
        every: quant == Quant::Every,
        mask,
    })
}

impl Each<FrameCol, Bits> for FrameScan<'_, '_> {
    #[inline]
    fn run(&mut self, column: impl Fn() -> FrameCol + Copy) -> Bits {
        if let [(low, high)] = *self.ranges {
            return self.scan(column, |n| low <= n && n <= high);
        }
        let ranges = self.ranges;
        self.scan(column, |n| ranges.iter().any(|(l, h)| *l <= n && n <= *h))
    }
}

impl FrameScan<'_, '_> {
    #[inline]
    fn scan(&self, column: impl Fn() -> FrameCol, fits: impl Fn(i64) -> bool) -> Bits {
        let mut bits = Bits::none();
        let start = self.store.start_time().map_or(0, |t| t.0);
        let before = self.block.first.0.checked_sub(1).map(FrameNo);
        let mut before = before.and_then(|no| self.store.frame(no)).map(|f| f.time.0);
        self.block.each_frame(|at, no, row| {
            let here = FrameAt {
                store: self.store,
                no,
                row: *row,
                before,
                start,
            };
            let (mut any, mut every) = (false, true);
            if self.mask.has(at) {
                frame_each(column(), &here, &mut |n| {
                    let fit = fits(n);
                    any |= fit;
                    every &= fit;
                });
            }
            if any && (every || !self.every) {
                bits.set(at);
            }
            before = Some(row.time.0);
        });
        bits
    }
}

/// A scan of the PDUs' rows, compiled once for each column.
struct PduScan<'a, 'b> {
    block: &'a Block<'b>,
    store: &'a Store,
    ranges: &'a [(i64, i64)],
}

fn pdu_bits(
    column: PduCol,
    ranges: &[(i64, i64)],
    quant: Quant,
    block: &Block<'_>,
    store: &Store,
) -> Bits {
    let (yes, no) = column.with(&mut PduScan {
        block,
        store,
        ranges,
    });
    match quant {
        Quant::Any => yes,
        Quant::Every => yes.without(&no),
    }
}

impl Each<PduCol, (Bits, Bits)> for PduScan<'_, '_> {
    #[inline]
    fn run(&mut self, column: impl Fn() -> PduCol + Copy) -> (Bits, Bits) {
        if let [(low, high)] = *self.ranges {
            return self.scan(column, |n| low <= n && n <= high);
        }
        let ranges = self.ranges;
        self.scan(column, |n| ranges.iter().any(|(l, h)| *l <= n && n <= *h))
    }
}

impl PduScan<'_, '_> {
    #[inline]
    fn scan(&self, column: impl Fn() -> PduCol, fits: impl Fn(i64) -> bool) -> (Bits, Bits) {
        let (mut yes, mut no) = (Bits::none(), Bits::none());
        self.block.each_pdu(|at, pdu| {
            if let Some(n) = pdu_value(column(), self.store, pdu) {
                if fits(n) {
                    yes.set(at);
                } else {
                    no.set(at);
                }
            }
        });
        (yes, no)
    }
}

fn kind_bits(ranges: &[(i64, i64)], quant: Quant, block: &Block<'_>) -> Bits {
    let fits = |n: i64| ranges.iter().any(|(l, h)| *l <= n && n <= *h);
    let (mut yes, mut no) = (Bits::none(), Bits::none());
    block.each_pdu(|at, pdu| {
        if fits(pdu_kind(pdu)) {
            yes.set(at);
        } else {
            no.set(at);
        }
    });
    let with_pdus = yes.or(&no);
    block.each_frame(|at, _, row| {
        frame_kinds(row, !with_pdus.has(at), &mut |n| {
            if fits(n) {
                yes.set(at);
            } else {
                no.set(at);
            }
        });
    });
    match quant {
        Quant::Any => yes,
        Quant::Every => yes.without(&no),
    }
}

fn size_bits(ranges: &[(i64, i64)], quant: Quant, block: &Block<'_>) -> Bits {
    let fits = |n: u32| {
        let n = i64::from(n);
        ranges.iter().any(|(l, h)| *l <= n && n <= *h)
    };
    let mut yes = block.pdu_bits(|pdu| fits(pdu.len));
    let no = block.pdu_bits(|pdu| !fits(pdu.len));
    block.each_frame(|at, _, row| {
        if row.is_tcp() && !yes.has(at) && !no.has(at) && fits(row.payload_len) {
            yes.set(at);
        }
    });
    match quant {
        Quant::Any => yes,
        Quant::Every => yes.without(&no),
    }
}

fn user_bits(column: UserCol, ranges: &[(i64, i64)], block: &Block<'_>, eval: &Eval<'_>) -> Bits {
    let frames = match column {
        UserCol::Marked | UserCol::FrameMarked => eval.marked,
        UserCol::Ignored | UserCol::FrameIgnored => eval.ignored,
    };
    let fits = |n: i64| ranges.iter().any(|(l, h)| *l <= n && n <= *h);
    let mut bits = Bits::none();
    for at in 0..block.len {
        if fits(i64::from(in_ranges(frames, block.frame(at)))) {
            bits.set(at);
        }
    }
    bits
}
