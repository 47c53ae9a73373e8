//! Decodes the frames that the screen lacks: a line for each row in view, the tree for the cursor.

use crate::app::tree::Tree;
use crate::app::{Looked, Wanted};
use crate::capture::FrameSource;
use crate::dissect::{Dissector, Options};
use crate::store::Store;
use crate::units::FrameNo;

/// What a byte of a secret is shown as.
const BLANK: u8 = b'*';

/// Decodes what is wanted.
pub fn look(
    dissector: &mut Dissector,
    store: &Store,
    source: &dyn FrameSource,
    wanted: &Wanted,
) -> Looked {
    let lines = wanted
        .lines
        .iter()
        .map(|no| (*no, dissector.info_line(store, source, *no)))
        .collect();
    let packets = wanted
        .packets
        .iter()
        .map(|id| (*id, dissector.pdu_line(store, source, *id)))
        .collect();
    let tree = wanted
        .tree
        .and_then(|no| tree(dissector, store, source, no));
    Looked {
        lines,
        packets,
        tree,
    }
}

fn tree(
    dissector: &mut Dissector,
    store: &Store,
    source: &dyn FrameSource,
    no: FrameNo,
) -> Option<Tree> {
    let row = store.frame(no)?;
    let mut bytes = Vec::new();
    // A frame that cannot be read shows no bytes; the tree says why.
    let _ = source.read_frame(row.interface, row.offset, row.captured, &mut bytes);
    for range in dissector.secret_ranges(store, source, no) {
        if let Some(secret) = bytes.get_mut(range) {
            secret.fill(BLANK);
        }
    }
    let decoded = dissector.frame(store, source, no, &Options::default())?;
    Some(Tree {
        frame: no,
        fields: decoded.fields,
        bytes,
        complete: true,
    })
}
