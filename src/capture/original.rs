//! Blocks and records as they stand in their file, for exports that take them over unchanged.

use std::io;

use super::chunk::{FrameSource, SideBlock};
use super::cut::{Options, Order, word};
use super::open::Capture;
use crate::units::{FileOffset, InterfaceId};

/// The header of a pcap file.
pub const PCAP_HEADER: usize = 24;
/// The header of a record of a pcap file.
pub const PCAP_RECORD: u64 = 16;
/// What stands before a frame's bytes in an enhanced packet block.
pub const PACKET_HEADER: usize = 28;
/// What stands before a frame's bytes in a simple packet block.
pub const SIMPLE_HEADER: u64 = 12;
/// What stands before the contents of a custom block, the longest of those that carry no frame.
pub const OTHER_HEADER: usize = 12;
/// The length that ends every block of pcapng.
pub const TRAILER: u64 = 4;

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const OLD_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;
const JOURNAL: u32 = 9;
const CUSTOM: u32 = 0x0bad;
/// Section and interface blocks longer than this are not taken over: nobody writes such options.
const MAX_BLOCK: u32 = 1 << 20;

/// An option of a block (pcapng 3.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockOption {
    /// What it says; 1 is a comment in every block.
    pub code: u16,
    /// Its value, without padding.
    pub value: Vec<u8>,
}

/// The kinds of blocks whose options are taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockKind {
    /// Section header block.
    Section,
    /// Interface description block.
    Interface,
    /// Enhanced packet block.
    Packet,
    /// Interface statistics block.
    Statistics,
}

/// The block that opens a section, or declares an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaration {
    /// Byte order of its section.
    pub order: Order,
    /// Its options, values in that order.
    pub options: Vec<BlockOption>,
}

/// A frame's packet block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketBlock<'a> {
    /// Byte order of its section.
    pub order: Order,
    /// Its interface, by the number within the section.
    pub interface: u32,
    /// Time stamp in the interface's units.
    pub ticks: u64,
    /// Bytes of the frame on the wire.
    pub wire: u32,
    /// The frame.
    pub bytes: &'a [u8],
    /// Its options, as they stand there.
    pub options: &'a [u8],
}

/// A block that carries no frame, although it is listed as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OtherBlock {
    /// Its type.
    pub kind: u32,
    /// The number of its maker, in custom blocks.
    pub maker: Option<u32>,
}

impl OtherBlock {
    /// Tells it by the 12 bytes in front of what is listed, `listed` bytes.
    pub fn before(bytes: &[u8], listed: u32) -> Option<Self> {
        let before = bytes.first_chunk::<OTHER_HEADER>()?;
        [Order::Little, Order::Big].into_iter().find_map(|order| {
            let [first, second, third] = [0, 4, 8].map(|at| word(before, at, order));
            if first == CUSTOM && Some(second) == listed.checked_add(16) {
                return Some(Self {
                    kind: CUSTOM,
                    maker: Some(third),
                });
            }
            let journal = second == JOURNAL && Some(third) == listed.checked_add(12);
            journal.then_some(Self {
                kind: JOURNAL,
                maker: None,
            })
        })
    }
}

impl Capture {
    /// The header of the section that declares an interface; `None` where the format has none.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn section(&self, interface: InterfaceId) -> io::Result<Option<Declaration>> {
        let Some(blocks) = self.known(interface).and_then(|known| known.blocks) else {
            return Ok(None);
        };
        self.declaration(interface, blocks.section, SECTION, 16)
    }

    /// The block that declares an interface; `None` where the format has none.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn interface_block(&self, interface: InterfaceId) -> io::Result<Option<Declaration>> {
        let (Some(blocks), Some(section)) = (
            self.known(interface).and_then(|known| known.blocks),
            self.section(interface)?,
        ) else {
            return Ok(None);
        };
        let found = self.declaration(interface, blocks.interface, INTERFACE, 8)?;
        Ok(found.filter(|found| found.order == section.order))
    }

    /// The first bytes of an interface's file: its header, if it is a pcap file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn file_header(&self, interface: InterfaceId) -> io::Result<Option<[u8; PCAP_HEADER]>> {
        let mut header = Vec::new();
        let len = u32::try_from(PCAP_HEADER).unwrap_or(0);
        self.read_frame(interface, FileOffset(0), len, &mut header)?;
        Ok(header.first_chunk().copied())
    }

    /// A block with `fixed` bytes between its first length and its options.
    fn declaration(
        &self,
        interface: InterfaceId,
        at: FileOffset,
        kind: u32,
        fixed: usize,
    ) -> io::Result<Option<Declaration>> {
        let mut bytes = Vec::new();
        self.read_frame(interface, at, 12, &mut bytes)?;
        let Some(header) = bytes.first_chunk::<12>().copied() else {
            return Ok(None);
        };
        let order = match (
            word(&header, 0, Order::Little),
            word(&header, 8, Order::Little),
        ) {
            (SECTION, 0x1a2b_3c4d) => Order::Little,
            (SECTION, _) => Order::Big,
            (first, _) if first == kind => Order::Little,
            _ => Order::Big,
        };
        let total = word(&header, 4, order);
        if word(&header, 0, order) != kind || total > MAX_BLOCK {
            return Ok(None);
        }
        self.read_frame(interface, at, total, &mut bytes)?;
        let end = bytes.len().saturating_sub(4);
        let options = bytes.get(fixed.saturating_add(8)..end).unwrap_or_default();
        let options = Options::new(options, order)
            .map(|(code, value)| BlockOption {
                code,
                value: value.to_vec(),
            })
            .collect();
        Ok(Some(Declaration { order, options }))
    }

    /// What stands between the two lengths of a block beside the frames; `None` where it is longer than any program
    /// writes it, or not there any more.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn side_block(&self, block: &SideBlock) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = self.files().get(block.file) else {
            return Ok(None);
        };
        if block.len > MAX_BLOCK {
            return Ok(None);
        }
        let mut bytes = vec![0; usize::try_from(block.len).unwrap_or(0)];
        let got = file.source().read_at(&mut bytes, block.offset.0)?;
        bytes.truncate(got);
        let whole = ends_as_it_begins(&bytes, block.order);
        let end = bytes.len().saturating_sub(4);
        Ok(bytes.get(8..end).filter(|_| whole).map(<[u8]>::to_vec))
    }

    /// Reads at a position of the file that declares an interface until `buf` is full or the file ends; returns the
    /// bytes read.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read_at(
        &self,
        interface: InterfaceId,
        from: FileOffset,
        buf: &mut [u8],
    ) -> io::Result<usize> {
        self.file_of(interface)?.source().read_at(buf, from.0)
    }
}

/// Bytes that a block occupies whose first bytes these are; `None` where that cannot be one.
pub fn block_len(start: &[u8], order: Order) -> Option<u64> {
    let header = start.first_chunk::<8>()?;
    let total = word(header, 4, order);
    (total >= 12 && total.is_multiple_of(4)).then_some(u64::from(total))
}

/// Options of a block, or records of a block of names, which are made alike: code and value.
pub fn block_options(bytes: &[u8], order: Order) -> impl Iterator<Item = (u16, &[u8])> {
    Options::new(bytes, order)
}

/// Reads the numbers that a block begins with.
pub fn block_numbers<const N: usize>(body: &[u8], order: Order) -> Option<[u32; N]> {
    let mut numbers = [0; N];
    let (words, _) = body.as_chunks::<4>();
    for (i, number) in numbers.iter_mut().enumerate() {
        *number = order.u32(*words.get(i)?);
    }
    Some(numbers)
}

/// Whether a block's two lengths agree.
pub fn ends_as_it_begins(block: &[u8], order: Order) -> bool {
    let behind = block
        .last_chunk::<4>()
        .map(|len| u64::from(order.u32(*len)));
    behind.is_some() && behind == block_len(block, order)
}

/// Whether a simple packet block begins here.
pub fn is_simple(start: &[u8], order: Order) -> bool {
    start
        .first_chunk::<4>()
        .is_some_and(|kind| order.u32(*kind) == SIMPLE_PACKET)
}

/// Whether a packet block with a time stamp begins here, of a frame with `captured` bytes.
pub fn is_packet(start: &[u8], order: Order, captured: u32) -> bool {
    start.first_chunk::<PACKET_HEADER>().is_some_and(|header| {
        matches!(word(header, 0, order), ENHANCED_PACKET | OLD_PACKET)
            && word(header, 20, order) == captured
    })
}

/// Takes a whole packet block apart; `None` where it is none, or not as long as it says in both places.
pub fn packet_block(block: &[u8], order: Order, captured: u32) -> Option<PacketBlock<'_>> {
    let header = block.first_chunk::<PACKET_HEADER>()?;
    let total = word(header, 4, order);
    let behind = block.last_chunk::<4>()?;
    let len = usize::try_from(captured).ok()?;
    if !is_packet(block, order, captured)
        || usize::try_from(total).ok()? != block.len()
        || order.u32(*behind) != total
    {
        return None;
    }
    let interface = if word(header, 0, order) == ENHANCED_PACKET {
        word(header, 8, order)
    } else {
        let number = header.get(8..).and_then(<[u8]>::first_chunk::<2>)?;
        u32::from(order.u16(*number))
    };
    let end = block.len().checked_sub(4)?;
    let frame = PACKET_HEADER.checked_add(len)?;
    let options = PACKET_HEADER.checked_add(len.next_multiple_of(4))?;
    Some(PacketBlock {
        order,
        interface,
        ticks: (u64::from(word(header, 12, order)) << 32) | u64::from(word(header, 16, order)),
        wire: word(header, 24, order),
        bytes: block.get(PACKET_HEADER..frame)?,
        options: block.get(options..end)?,
    })
}

impl PacketBlock<'_> {
    /// Its options one by one.
    pub fn each_option(&self) -> impl Iterator<Item = (u16, &[u8])> {
        Options::new(self.options, self.order)
    }

    /// Those of its options that have one of these codes and so many bytes, as they stand there.
    pub fn options_of(&self, wanted: &[(u16, usize)]) -> Vec<u8> {
        let mut kept = Vec::new();
        let options = self.each_option();
        for (code, value) in options.filter(|(code, value)| wanted.contains(&(*code, value.len())))
        {
            let len = u16::try_from(value.len()).unwrap_or(0);
            kept.extend(self.order.of16(code));
            kept.extend(self.order.of16(len));
            kept.extend_from_slice(value);
            kept.resize(kept.len().next_multiple_of(4), 0);
        }
        kept
    }
}

/// An option's value in another byte order. Texts and addresses stay as they are; so does what is not known.
pub fn in_order(kind: BlockKind, code: u16, value: &[u8], from: Order, to: Order) -> Vec<u8> {
    let mut value = value.to_vec();
    if from == to {
        return value;
    }
    // How long a number is, and how many there are.
    let (width, numbers) = match (kind, code) {
        // if_tzone; epb_flags, epb_queue; of a custom option the enterprise number (what follows is its maker's).
        (BlockKind::Interface, 10)
        | (BlockKind::Packet, 2 | 6)
        | (_, 2988 | 2989 | 19372 | 19373) => (4, 1),
        // isb_starttime and isb_endtime, the upper half first.
        (BlockKind::Statistics, 2 | 3) => (4, 2),
        // if_speed, if_tsoffset, if_txspeed, if_rxspeed; epb_dropcount, epb_packetid; counts of statistics.
        (BlockKind::Interface, 8 | 14 | 16 | 17)
        | (BlockKind::Packet, 4 | 5)
        | (BlockKind::Statistics, 4..=8) => (8, 1),
        _ => (1, 0),
    };
    for number in value.chunks_exact_mut(width).take(numbers) {
        number.reverse();
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_another_length_than_theirs_are_not_taken() {
        // Direction, direction with a text behind it, and packets lost.
        let options = [
            &[2, 0, 4, 0, 1, 0, 0, 0][..],
            &[2, 0, 12, 0, 1, 0, 0, 0],
            b"a secret",
            &[4, 0, 8, 0, 7, 0, 0, 0, 0, 0, 0, 0],
        ]
        .concat();
        let block = PacketBlock {
            order: Order::Little,
            interface: 0,
            ticks: 0,
            wire: 0,
            bytes: &[],
            options: &options,
        };
        let kept = block.options_of(&[(2, 4), (4, 8)]);
        assert_eq!(kept, [&options[..8], &options[24..]].concat());
    }
}
