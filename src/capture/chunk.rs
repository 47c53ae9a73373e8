//! The types in which frames leave this layer: chunks of records in file order, and single frames by position.

use std::collections::VecDeque;
use std::io;
use std::ops::{Deref, Range};
use std::sync::{Arc, Mutex, PoisonError};

use super::cut::Order;
use crate::units::{FileOffset, Holds, InterfaceId, Nanos};

/// One captured frame within a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordMeta {
    /// Position of the frame's bytes in the chunk's data.
    pub start: u32,
    /// Bytes of the frame in the file.
    pub captured: u32,
    /// Bytes of the frame on the wire.
    pub wire: u32,
    /// Position of the frame's bytes in its file.
    pub offset: FileOffset,
    /// Capture time.
    pub time: Nanos,
    /// Interface, numbered over all files and sections.
    pub interface: InterfaceId,
}

/// Records cut from one stretch of a capture, in file order. The reading thread makes them, the tracking thread
/// takes them apart.
#[derive(Debug, Default)]
pub struct Chunk {
    /// The stretch's bytes.
    pub data: ChunkData,
    /// The frames in it.
    pub records: Vec<RecordMeta>,
    /// Interfaces declared in it; their numbers continue those of the chunks before.
    pub interfaces: Vec<Interface>,
    /// Blocks in it that say something beside the frames.
    pub side_blocks: Vec<SideBlock>,
    /// What is wrong with it.
    pub problems: Vec<Damage>,
    /// Bytes of all files read so far, this chunk included.
    pub bytes_done: u64,
    /// Bytes there are in all, as far as is known.
    pub bytes_total: u64,
    /// All that has arrived so far is read, and more may come of itself (standard input, a file being unpacked).
    pub caught_up: bool,
}

impl Chunk {
    /// The bytes of one of its records.
    pub fn bytes(&self, record: &RecordMeta) -> &[u8] {
        let start = usize::try_from(record.start).unwrap_or(usize::MAX);
        let len = usize::try_from(record.captured).unwrap_or(0);
        self.data
            .get(start..start.saturating_add(len))
            .unwrap_or_else(nothing)
    }
}

/// No bytes, where there should be some.
#[cold]
fn nothing<'a>() -> &'a [u8] {
    &[]
}

/// A chunk's bytes. Their memory goes back to the reader when it is dropped, on whatever thread: a fresh buffer
/// for every chunk would cost as much as reading does.
#[derive(Debug, Default)]
pub struct ChunkData {
    /// Always as long as it was made; `used` says what of it counts.
    buf: Vec<u8>,
    used: Range<usize>,
    pool: Option<Pool>,
}

impl Deref for ChunkData {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.buf.get(self.used.clone()).unwrap_or_default()
    }
}

impl From<Vec<u8>> for ChunkData {
    fn from(buf: Vec<u8>) -> Self {
        Self {
            used: 0..buf.len(),
            buf,
            pool: None,
        }
    }
}

impl Drop for ChunkData {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.put(std::mem::take(&mut self.buf));
        }
    }
}

/// Buffers that wait to be filled again, the one that waits longest first: what is still in the processor's cache as it
/// was read is filled slower. (Going round four buffers instead of filling one again and again saves a twentieth of the
/// processor time of an index on one thread, measured.)
#[derive(Debug, Clone, Default)]
pub(super) struct Pool(Arc<Mutex<VecDeque<Vec<u8>>>>);

impl Pool {
    /// A new buffer is made where fewer wait.
    const FEW: usize = 3;
    /// No more than this many buffers wait; the others are freed.
    const WAITING: usize = 16;
    /// Buffers that had to grow beyond this are freed, so that one huge record does not cost memory for good.
    const KEEP: usize = 1 << 20;

    /// A buffer of at least `size` bytes with whatever content.
    pub(super) fn take(&self, size: usize) -> Vec<u8> {
        let waiting = {
            let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let enough = waiting.len() >= Self::FEW;
            enough.then(|| waiting.pop_front()).flatten()
        };
        // A new one comes zeroed from the system, which is cheaper than growing one that is too small.
        waiting
            .filter(|buf| buf.len() >= size)
            .unwrap_or_else(|| vec![0; size])
    }

    /// A buffer of this pool, of which a part is used.
    pub(super) fn data(&self, buf: Vec<u8>, used: Range<usize>) -> ChunkData {
        ChunkData {
            used,
            buf,
            pool: Some(self.clone()),
        }
    }

    /// Takes a buffer back.
    pub(super) fn put(&self, buf: Vec<u8>) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < Self::WAITING && buf.len() <= Self::KEEP {
            waiting.push_back(buf);
        }
    }
}

/// An interface as its file declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// The file, by its position in the list of files.
    pub file: usize,
    /// The section within the file.
    pub section: u32,
    /// Its number within the section.
    pub local: u32,
    /// Link type (LINKTYPE_ number).
    pub link_type: u32,
    /// Snap length, 0 for none.
    pub snap_len: u32,
    /// Time units per second of its time stamps.
    pub ticks_per_second: u64,
    /// Its name.
    pub name: Option<String>,
    /// What is listed under it.
    pub holds: Holds,
    /// Where it is declared, in pcapng.
    pub blocks: Option<Blocks>,
}

/// Where the blocks stand that declare an interface (pcapng).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocks {
    /// Position of its section's header.
    pub section: FileOffset,
    /// Position of its own block.
    pub interface: FileOffset,
}

/// Where a block stands that says something beside the frames (pcapng): names of addresses, statistics, TLS keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SideBlock {
    /// The file, by its position in the list of files.
    pub file: usize,
    /// The section within the file.
    pub section: u32,
    /// Byte order of its section.
    pub order: Order,
    /// What it says.
    pub kind: SideKind,
    /// Position in the file.
    pub offset: FileOffset,
    /// Its bytes.
    pub len: u32,
}

/// What a block says beside the frames (pcapng 4.5, 4.6, 4.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SideKind {
    /// Names of addresses.
    Names,
    /// What an interface received and lost.
    Statistics,
    /// Secrets for decrypting the frames.
    Keys,
}

/// Damage found in a file; what stands before it is usable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file, by its position in the list of files.
    pub file: usize,
    /// Position in the file.
    pub offset: FileOffset,
    /// Records of this chunk that stand before it.
    pub records_before: usize,
    /// What is wrong.
    pub what: String,
}

/// Reads one frame's bytes again, for those on screen, in reports and in exports.
pub trait FrameSource: Send + Sync {
    /// Reads `captured` bytes at `offset` of the file that declares `interface` into `buf`, which is cleared
    /// first. Fewer bytes come only if the file is shorter than it was.
    fn read_frame(
        &self,
        interface: InterfaceId,
        offset: FileOffset,
        captured: u32,
        buf: &mut Vec<u8>,
    ) -> io::Result<()>;

    /// The comments that the file holds on a frame; most formats have none.
    fn comments(
        &self,
        interface: InterfaceId,
        offset: FileOffset,
        captured: u32,
    ) -> io::Result<Vec<String>> {
        let _ = (interface, offset, captured);
        Ok(Vec::new())
    }

    /// The link type of an interface.
    fn link_type(&self, interface: InterfaceId) -> Option<u32>;
}
