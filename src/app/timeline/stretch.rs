//! The frames of a connection in a stretch of the file, each with the PDUs that are completed in it.

use crate::store::{ConnRow, FrameRow, PduRow, Store};
use crate::units::FrameNo;

/// Frames whose PDUs are looked up together.
const BLOCK: usize = 4096;
/// A connection that has one of so many of the stretch's frames is looked for in all of them, which costs less than to go from
/// each of its frames to the one before.
const SPARSE: usize = 8;

/// Frames by number, first and last.
pub(super) type Stretch = (FrameNo, FrameNo);

/// The most frames that a connection can have in a stretch.
pub(super) fn most(conn: &ConnRow, (first, last): Stretch) -> usize {
    let wide = last.0.saturating_sub(first.0).saturating_add(1);
    usize::try_from(wide.min(conn.frames)).unwrap_or(0)
}

/// Calls `f` with the frames of a connection in a stretch, in file order, each with its PDUs.
pub(super) fn each_frame(
    store: &Store,
    conn: &ConnRow,
    (first, last): Stretch,
    f: impl FnMut(FrameNo, &FrameRow, &[PduRow]),
) {
    let first = first.max(conn.first_frame);
    let last = last.min(conn.last_frame);
    let Some(wide) = last.0.checked_sub(first.0) else {
        return;
    };
    let wide = usize::try_from(wide).unwrap_or(usize::MAX);
    let frames = usize::try_from(conn.frames).unwrap_or(usize::MAX);
    if wide / SPARSE <= frames {
        each_in_blocks(store, conn, (first, last), f);
    } else {
        each_of_chain(store, conn, (first, last), f);
    }
}

/// Looks at all frames and PDUs of the stretch.
fn each_in_blocks(
    store: &Store,
    conn: &ConnRow,
    (first, last): Stretch,
    mut f: impl FnMut(FrameNo, &FrameRow, &[PduRow]),
) {
    let mut pdus: Vec<PduRow> = Vec::new();
    let behind = last.index().saturating_add(1);
    for start in (first.index()..behind).step_by(BLOCK) {
        let from = FrameNo::from_index(start);
        let len = BLOCK.min(behind.saturating_sub(start));
        pdus.clear();
        store.each_pdu(from, len, |pdu| {
            if pdu.conn == conn.id {
                pdus.push(*pdu);
            }
        });
        if !store.pdus_are_in_order() {
            pdus.sort_by_key(|pdu| pdu.frame);
        }
        let mut rest = pdus.as_slice();
        store.each_frame(from, len, |no, row| {
            if row.conn == Some(conn.id) {
                let own = rest.iter().take_while(|pdu| pdu.frame <= no).count();
                if let Some((own, behind)) = rest.split_at_checked(own) {
                    rest = behind;
                    f(no, row, own);
                }
            }
        });
    }
}

/// Goes from the connection's last frame to those before.
fn each_of_chain(
    store: &Store,
    conn: &ConnRow,
    (first, last): Stretch,
    mut f: impl FnMut(FrameNo, &FrameRow, &[PduRow]),
) {
    let mut frames: Vec<_> = store
        .conn_frames_back(conn.id)
        .take_while(|(no, _)| *no >= first)
        .filter(|(no, _)| *no <= last)
        .collect();
    frames.reverse();
    for (no, row) in frames {
        let pdus = store.pdus_in(no).map(|(_, pdu)| pdu);
        let own: Vec<PduRow> = pdus.filter(|pdu| pdu.conn == conn.id).collect();
        f(no, &row, &own);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::testing::app;
    use crate::units::ConnId;

    #[test]
    fn both_ways_find_the_same_frames_with_the_same_packets() {
        let app = app(80, 24);
        let store = &app.store;
        let conn = store.conn(ConnId(0)).unwrap();
        for stretch in [(1, 12), (3, 7), (12, 12), (7, 3), (9, 40)] {
            let stretch = (FrameNo(stretch.0), FrameNo(stretch.1));
            let (mut blocks, mut chain, mut either) = (Vec::new(), Vec::new(), Vec::new());
            each_in_blocks(store, conn, stretch, |no, row, pdus| {
                blocks.push((no, *row, pdus.to_vec()));
            });
            each_of_chain(store, conn, stretch, |no, row, pdus| {
                chain.push((no, *row, pdus.to_vec()));
            });
            each_frame(store, conn, stretch, |no, row, pdus| {
                either.push((no, *row, pdus.to_vec()));
            });
            assert_eq!(blocks, chain);
            assert_eq!(blocks, either);
        }
    }
}
