//! What the tests of the pass share.

use super::tracker::Tracker;
use crate::capture::{Capture, Chunk};
use crate::store::Batch;

/// Lets a tracker take a capture in; a batch leaves behind every so many frames.
pub(super) fn in_batches(
    tracker: &mut Tracker,
    capture: &Capture,
    every: usize,
    mut leaves: impl FnMut(&Tracker, Batch),
) {
    let mut chunks = capture.chunks();
    while let Some(mut chunk) = chunks.next_chunk() {
        let interfaces = std::mem::take(&mut chunk.interfaces);
        tracker.chunk(&Chunk {
            interfaces,
            ..Chunk::default()
        });
        for records in chunk.records.chunks(every) {
            let mut data = Vec::new();
            let mut records = records.to_vec();
            for record in &mut records {
                let bytes = chunk.bytes(record);
                record.start = u32::try_from(data.len()).unwrap();
                data.extend_from_slice(bytes);
            }
            tracker.chunk(&Chunk {
                data: data.into(),
                records,
                ..Chunk::default()
            });
            let batch = tracker.take();
            leaves(tracker, batch);
        }
    }
}
