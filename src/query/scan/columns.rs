//! Scans of the store's columns: which frames of a block have a value that fits.

use super::bits::Bits;
use super::block::Block;
use super::fits::Fits;
use crate::query::column::{
    ConnTable, Each, FrameAt, FrameCol, PduCol, UserCol, frame_each, frame_kinds, pdu_kind,
    pdu_value,
};
use crate::query::eval::Eval;
use crate::store::{FrameFlags, FrameRow};
use crate::units::End;

/// What is asked of a column's values.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) fits: &'a Fits,
    /// Every value must fit, not only one of them.
    pub(super) every: bool,
}

/// Frames with values that fit, and frames with values that do not.
struct Sides {
    yes: Bits,
    no: Bits,
}

impl Sides {
    fn none() -> Self {
        let (yes, no) = (Bits::none(), Bits::none());
        Self { yes, no }
    }

    #[inline]
    fn note(&mut self, at: usize, fit: bool) {
        self.yes.set_if(at, fit);
        self.no.set_if(at, !fit);
    }

    fn wanted(self, every: bool) -> Bits {
        if every {
            self.yes.without(&self.no)
        } else {
            self.yes
        }
    }
}

/// A scan of the frames' rows, compiled once for each column.
struct FrameScan<'a, 'b> {
    block: &'a Block<'b>,
    conns: &'a ConnTable,
    wanted: Wanted<'a>,
    mask: &'a Bits,
}

pub(super) fn frame_bits(
    column: FrameCol,
    conns: &ConnTable,
    wanted: Wanted<'_>,
    block: &Block<'_>,
    mask: &Bits,
) -> Bits {
    column.with(&mut FrameScan {
        block,
        conns,
        wanted,
        mask,
    })
}

impl Each<FrameCol, Bits> for FrameScan<'_, '_> {
    #[inline]
    fn run(&mut self, column: impl Fn() -> FrameCol + Copy) -> Bits {
        let Wanted { fits, every } = self.wanted;
        let store = self.block.store;
        let start = store.start_time().map_or(0, |t| t.0);
        self.block.frame_bits(self.mask, |no, row, before| {
            let here = FrameAt {
                store,
                conns: self.conns,
                no,
                row: *row,
                before,
                start,
            };
            let (mut any, mut all) = (false, true);
            frame_each(column(), &here, &mut |n| {
                let fit = fits.has(n);
                any |= fit;
                all &= fit;
            });
            any && (all || !every)
        })
    }
}

/// The frames of TCP connections that are sent by an end that fits; bit 0 stands for end A, bit 1 for end B.
pub(super) fn sender_bits(senders: &[u8], block: &Block<'_>, mask: &Bits) -> Bits {
    block.frame_bits(mask, |_, row, _| row.is_tcp() && sender_fits(senders, row))
}

#[inline]
fn sender_fits(senders: &[u8], row: &FrameRow) -> bool {
    let bits = row.conn.and_then(|conn| senders.get(conn.index()));
    let bit = match row.end() {
        End::A => 1,
        End::B => 2,
    };
    bits.copied().unwrap_or(0) & bit != 0
}

/// By the addresses of connections: the frames that fit, and those that the columns say nothing about. Frames
/// without a connection may be IP all the same (UDP, fragments).
pub(super) fn address_bits(senders: &[u8], block: &Block<'_>, mask: &Bits) -> (Bits, Bits) {
    let (mut yes, mut open) = (Bits::none(), Bits::none());
    block.each_frame(|at, _, row, _| {
        yes.set_if(at, sender_fits(senders, row));
        open.set_if(at, row.conn.is_none() && !row.flags.has(FrameFlags::NOT_IP));
    });
    (yes.and(mask), open.and(mask))
}

/// A scan of the PDUs' rows, compiled once for each column.
struct PduScan<'a, 'b> {
    block: &'a Block<'b>,
    wanted: Wanted<'a>,
}

pub(super) fn pdu_bits(column: PduCol, wanted: Wanted<'_>, block: &Block<'_>) -> Bits {
    column.with(&mut PduScan { block, wanted })
}

impl Each<PduCol, Bits> for PduScan<'_, '_> {
    #[inline]
    fn run(&mut self, column: impl Fn() -> PduCol + Copy) -> Bits {
        let Wanted { fits, every } = self.wanted;
        let mut sides = Sides::none();
        self.block.each_pdu(|at, pdu| {
            let value = pdu_value(column(), self.block.store, pdu);
            let fit = value.is_some_and(|n| fits.has(n));
            sides.yes.set_if(at, fit);
            if every {
                sides.no.set_if(at, value.is_some() && !fit);
            }
        });
        sides.wanted(every)
    }
}

pub(super) fn kind_bits(wanted: Wanted<'_>, block: &Block<'_>, mask: &Bits) -> Bits {
    let codes = wanted.fits.codes();
    let bit = |code: i64| 1_u64 << (code.cast_unsigned() & 63);
    let mut sides = Sides::none();
    block.each_pdu(|at, pdu| sides.note(at, codes & bit(pdu_kind(pdu)) != 0));
    let with_pdus = sides.yes.or(&sides.no);
    // Which frames have a kind of their own among these.
    let own = |codes: u64| {
        let first = block.first.0;
        block.frame_bits(mask, |no, row, _| {
            let mut kinds = 0;
            let at = usize::try_from(no.0.wrapping_sub(first)).unwrap_or(usize::MAX);
            frame_kinds(row, !with_pdus.has(at), &mut |code| kinds |= bit(code));
            kinds & codes != 0
        })
    };
    let yes = sides.yes.or(&own(codes));
    if wanted.every {
        yes.without(&sides.no.or(&own(!codes)))
    } else {
        yes
    }
}

pub(super) fn size_bits(wanted: Wanted<'_>, block: &Block<'_>) -> Bits {
    let fits = |n: u32| wanted.fits.has(i64::from(n));
    let mut sides = Sides::none();
    block.each_pdu(|at, pdu| sides.note(at, fits(pdu.len)));
    let with_pdus = sides.yes.or(&sides.no);
    let bare = Bits::first(block.len).without(&with_pdus);
    let bare = block.frame_bits(&bare, |_, row, _| row.is_tcp() && fits(row.payload_len));
    sides.wanted(wanted.every).or(&bare)
}

pub(super) fn user_bits(
    column: UserCol,
    wanted: Wanted<'_>,
    block: &Block<'_>,
    eval: &Eval<'_>,
) -> Bits {
    let all = Bits::first(block.len);
    let chosen = chosen(column, block, eval);
    let pick = |fit: bool, bits: Bits| if fit { bits } else { Bits::none() };
    let yes = pick(wanted.fits.has(1), chosen.clone());
    yes.or(&pick(wanted.fits.has(0), all.without(&chosen)))
}

/// The frames that the user marked or ignored.
pub(super) fn chosen(column: UserCol, block: &Block<'_>, eval: &Eval<'_>) -> Bits {
    let ranges = match column {
        UserCol::Marked | UserCol::FrameMarked => eval.marked,
        UserCol::Ignored | UserCol::FrameIgnored => eval.ignored,
    };
    let mut bits = Bits::none();
    let start = block.first.0;
    let from = ranges.partition_point(|(_, last)| *last < start);
    for (first, last) in ranges.get(from..).unwrap_or_default() {
        let place = |no: u32| usize::try_from(no.saturating_sub(start)).unwrap_or(usize::MAX);
        if place(*first) >= block.len {
            break;
        }
        let behind = place(*last).saturating_add(1).min(block.len);
        bits.set_range(place(*first), behind);
    }
    bits
}
