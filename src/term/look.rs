//! Decodes the frames that the screen lacks: a line for each row in view, the tree for the cursor.

use crate::app::tree::Tree;
use crate::app::{Looked, Wanted};
use crate::capture::FrameSource;
use crate::decode::field::{Field, Value};
use crate::store::Store;
use crate::units::FrameNo;

/// Decodes what is wanted.
pub fn look(store: &Store, source: &dyn FrameSource, wanted: &Wanted) -> Looked {
    let lines = wanted
        .lines
        .iter()
        .map(|no| (*no, line(store, *no)))
        .collect();
    let tree = wanted.tree.and_then(|no| tree(store, source, no));
    Looked { lines, tree }
}

fn line(store: &Store, no: FrameNo) -> String {
    let Some(frame) = store.frame(no) else {
        return String::new();
    };
    if !frame.is_tcp() {
        return String::new();
    }
    format!("seq {} ack {} win {}", frame.seq, frame.ack, frame.window)
}

fn tree(store: &Store, source: &dyn FrameSource, no: FrameNo) -> Option<Tree> {
    let frame = store.frame(no)?;
    let mut bytes = Vec::new();
    let read = source.read_frame(frame.interface, frame.offset, frame.captured, &mut bytes);
    let mut fields = vec![
        Field::new("frame", "Frame", Value::UInt(u64::from(no.0))).text(format!(
            "{} B captured, {} B on the wire",
            frame.captured, frame.wire
        )),
    ];
    if let Err(error) = read {
        fields.push(Field::new("", "not readable", Value::None).text(error.to_string()));
    }
    if frame.is_tcp() {
        fields.push(
            Field::new("tcp", "TCP", Value::None)
                .child(Field::new(
                    "tcp.seq",
                    "seq",
                    Value::UInt(u64::from(frame.seq.0)),
                ))
                .child(Field::new(
                    "tcp.ack",
                    "ack",
                    Value::UInt(u64::from(frame.ack.0)),
                )),
        );
    }
    Some(Tree {
        frame: no,
        fields,
        bytes,
        complete: true,
    })
}
