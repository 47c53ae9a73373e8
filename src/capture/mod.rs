//! Capture files: opening them, reading their frames in order and by position, finding the IP packet, and writing.

mod chunk;
mod compress;
mod cut;
mod error;
mod file;
pub mod link;
mod open;
pub mod original;
mod reader;
mod source;
mod spool;
#[cfg(test)]
mod tests;
mod window;
pub mod write;

pub use chunk::{
    Blocks, Chunk, ChunkData, Damage, FrameSource, Interface, RecordMeta, SideBlock, SideKind,
};
pub use cut::Order;
pub use error::OpenError;
pub use open::{Capture, CaptureFile, OpenOptions};
pub use reader::ChunkReader;
pub use window::{Ahead, ReadAhead};
