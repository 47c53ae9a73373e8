//! Capture files: opening them, reading their frames in order and by position, finding the IP packet, and writing.

mod chunk;

pub use chunk::{Chunk, Damage, FrameSource, Interface, RecordMeta};
