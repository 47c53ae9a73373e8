//! pcapng: one section, any number of interfaces, options and comments; blocks of another file as they are.

use std::io::{self, Write};

use super::{Frame, InterfaceSpec, invalid, units};
use crate::capture::Order;
use crate::capture::original::{
    BlockKind, BlockOption, Declaration, OtherBlock, PacketBlock, in_order,
};
use crate::units::Nanos;

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const SIMPLE_PACKET: u32 = 3;
const NAMES: u32 = 4;
const STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;
const KEYS: u32 = 10;
const MAGIC: u32 = 0x1a2b_3c4d;

/// Options (pcapng 3.5, 4.1, 4.2).
const COMMENT: u16 = 1;
const SECTION_PROGRAM: u16 = 4;
const INTERFACE_NAME: u16 = 2;
const INTERFACE_RESOLUTION: u16 = 9;
const INTERFACE_OFFSET: u16 = 14;
/// An option's length has 16 bits; longer comments are cut here.
const MAX_COMMENT: usize = 65_000;

/// This program, as the one that made a section.
const PROGRAM: &str = concat!("marstui ", env!("CARGO_PKG_VERSION"));

/// Writes pcapng.
#[derive(Debug)]
pub struct PcapngWriter<W: Write> {
    output: W,
    order: Order,
    interfaces: Vec<Clock>,
    /// What comes in front of a frame's bytes, or what comes behind them.
    piece: Vec<u8>,
}

/// How an interface counts time.
#[derive(Debug, Clone, Copy)]
struct Clock {
    ticks_per_second: u64,
    /// Seconds that are added to its time stamps.
    offset: i64,
}

impl Clock {
    /// The tick at a time, or the one before it where the clock's unit is a power of ten; else the first tick that is
    /// read as this time. Times that cannot be told become the earliest one.
    fn ticks(self, time: Nanos) -> u64 {
        let nanos = i128::from(time.0) - i128::from(self.offset) * 1_000_000_000;
        let nanos = u128::try_from(nanos).unwrap_or(0);
        let unit = 1_000_000_000_u64.checked_div(self.ticks_per_second);
        if let (Ok(nanos), Some(unit)) = (u64::try_from(nanos), unit)
            && unit.saturating_mul(self.ticks_per_second) == 1_000_000_000
        {
            return nanos.checked_div(unit).unwrap_or(0);
        }
        let ticks = nanos.saturating_mul(u128::from(self.ticks_per_second));
        u64::try_from(ticks.div_ceil(1_000_000_000)).unwrap_or(u64::MAX)
    }
}

impl<W: Write> PcapngWriter<W> {
    /// Begins a file, with a comment on the whole of it.
    ///
    /// # Errors
    /// The output cannot be written to.
    pub fn new(output: W, comment: Option<&str>) -> io::Result<Self> {
        let nothing = Declaration {
            order: Order::Little,
            options: Vec::new(),
        };
        Self::like(output, &nothing, comment)
    }

    /// Begins a file with the byte order and the options of another file's section, and a further comment.
    ///
    /// # Errors
    /// The output cannot be written to.
    pub fn like(output: W, section: &Declaration, comment: Option<&str>) -> io::Result<Self> {
        let order = section.order;
        let mut writer = Self {
            output,
            order,
            interfaces: Vec::new(),
            piece: Vec::new(),
        };
        let mut body = order.of32(MAGIC).to_vec();
        body.extend(order.of16(1));
        body.extend(order.of16(0));
        // Of unknown length.
        body.extend([0xff; 8]);
        let fixed = body.len();
        let named = section.options.iter().any(|o| o.code == SECTION_PROGRAM);
        if !named {
            option(&mut body, order, SECTION_PROGRAM, PROGRAM.as_bytes());
        }
        options(&mut body, order, &section.options);
        if let Some(comment) = comment {
            option(&mut body, order, COMMENT, shortened(comment).as_bytes());
        }
        end_options(&mut body, fixed);
        writer.block(SECTION, &body)?;
        Ok(writer)
    }

    /// Declares an interface and returns its number within the file.
    ///
    /// # Errors
    /// The output cannot be written to, or the link type has more than 16 bits.
    pub fn interface(&mut self, interface: &InterfaceSpec<'_>) -> io::Result<u32> {
        let ticks_per_second = units(interface.ticks_per_second);
        let mut options = Vec::new();
        if let Some(name) = interface.name {
            options.push(BlockOption {
                code: INTERFACE_NAME,
                value: shortened(name).as_bytes().to_vec(),
            });
        }
        // Powers of ten: the number of zeros.
        let exponent = u8::try_from(ticks_per_second.ilog10()).unwrap_or(9);
        options.push(BlockOption {
            code: INTERFACE_RESOLUTION,
            value: vec![exponent],
        });
        let clock = Clock {
            ticks_per_second,
            offset: 0,
        };
        self.declare(interface, &options, clock)
    }

    /// Declares an interface with the options of another file's block, its clock among them.
    ///
    /// # Errors
    /// As [`PcapngWriter::interface`].
    pub fn interface_like(
        &mut self,
        interface: &InterfaceSpec<'_>,
        block: &Declaration,
    ) -> io::Result<u32> {
        let options: Vec<_> = block
            .options
            .iter()
            .map(|o| BlockOption {
                code: o.code,
                value: in_order(
                    BlockKind::Interface,
                    o.code,
                    &o.value,
                    block.order,
                    self.order,
                ),
            })
            .collect();
        let offset = block
            .options
            .iter()
            .find(|o| o.code == INTERFACE_OFFSET)
            .and_then(|o| o.value.first_chunk::<8>());
        let clock = Clock {
            ticks_per_second: interface.ticks_per_second,
            offset: offset.map_or(0, |bytes| block.order.u64(*bytes).cast_signed()),
        };
        self.declare(interface, &options, clock)
    }

    fn declare(
        &mut self,
        interface: &InterfaceSpec<'_>,
        more: &[BlockOption],
        clock: Clock,
    ) -> io::Result<u32> {
        let order = self.order;
        let link_type = u16::try_from(interface.link_type)
            .map_err(|_| invalid("the link type does not fit into pcapng"))?;
        let mut body = order.of16(link_type).to_vec();
        body.extend(order.of16(0));
        body.extend(order.of32(interface.snap_len));
        let fixed = body.len();
        options(&mut body, order, more);
        end_options(&mut body, fixed);
        self.block(INTERFACE, &body)?;
        let id =
            u32::try_from(self.interfaces.len()).map_err(|_| invalid("too many interfaces"))?;
        self.interfaces.push(clock);
        Ok(id)
    }

    /// Writes a frame of an interface, with comments.
    ///
    /// # Errors
    /// The output cannot be written to, or the interface was not declared.
    pub fn frame<'c>(
        &mut self,
        interface: u32,
        frame: &Frame<'_>,
        comments: impl IntoIterator<Item = &'c str>,
    ) -> io::Result<()> {
        let clock = usize::try_from(interface)
            .ok()
            .and_then(|index| self.interfaces.get(index))
            .ok_or_else(|| invalid("the interface was not declared"))?;
        let block = PacketBlock {
            order: self.order,
            interface,
            ticks: clock.ticks(frame.time),
            wire: frame.wire,
            bytes: frame.bytes,
            options: &[],
        };
        self.packet(interface, &block, comments)
    }

    /// Writes a packet block of another file under an interface of this one: its time stamp, frame and options as
    /// they are, and further comments.
    ///
    /// # Errors
    /// The output cannot be written to.
    pub fn packet<'c>(
        &mut self,
        interface: u32,
        block: &PacketBlock<'_>,
        comments: impl IntoIterator<Item = &'c str>,
    ) -> io::Result<()> {
        let order = self.order;
        let captured = block.bytes.len();
        // Behind the frame: padding, options, the block's length.
        let mut behind = std::mem::take(&mut self.piece);
        behind.clear();
        behind.resize(captured.next_multiple_of(4).saturating_sub(captured), 0);
        let padding = behind.len();
        for (code, value) in block.each_option() {
            let value = in_order(BlockKind::Packet, code, value, block.order, order);
            option(&mut behind, order, code, &value);
        }
        for comment in comments {
            option(&mut behind, order, COMMENT, shortened(comment).as_bytes());
        }
        end_options(&mut behind, padding);
        let total = captured.saturating_add(behind.len()).saturating_add(32);
        let total = u32::try_from(total).map_err(|_| invalid("frame too long"))?;
        behind.extend(order.of32(total));
        let mut header = [0; 28];
        let fields = [
            ENHANCED_PACKET,
            total,
            interface,
            u32::try_from(block.ticks >> 32).unwrap_or(0),
            u32::try_from(block.ticks & 0xffff_ffff).unwrap_or(0),
            u32::try_from(captured).map_err(|_| invalid("frame too long"))?,
            block.wire,
        ];
        for (to, field) in header.chunks_exact_mut(4).zip(fields) {
            to.copy_from_slice(&order.of32(field));
        }
        self.output.write_all(&header)?;
        self.output.write_all(block.bytes)?;
        let written = self.output.write_all(&behind);
        self.piece = behind;
        written
    }

    /// Writes names of addresses: records of another file's block.
    ///
    /// # Errors
    /// The output cannot be written to.
    pub fn names(&mut self, records: &[(u16, Vec<u8>)]) -> io::Result<()> {
        let mut body = Vec::new();
        for (kind, value) in records {
            option(&mut body, self.order, *kind, value);
        }
        // Where the records end.
        body.extend([0; 4]);
        self.block(NAMES, &body)
    }

    /// Writes secrets for decrypting, of a kind (pcapng 4.7).
    ///
    /// # Errors
    /// The output cannot be written to.
    pub fn keys(&mut self, kind: u32, secrets: &[u8]) -> io::Result<()> {
        let len = u32::try_from(secrets.len()).map_err(|_| invalid("block too long"))?;
        let mut body = self.order.of32(kind).to_vec();
        body.extend(self.order.of32(len));
        body.extend_from_slice(secrets);
        body.resize(body.len().next_multiple_of(4), 0);
        self.block(KEYS, &body)
    }

    /// Writes what an interface of this file received and lost; `ticks` is the time, the upper half first.
    ///
    /// # Errors
    /// The output cannot be written to.
    pub fn statistics(
        &mut self,
        interface: u32,
        ticks: [u32; 2],
        said: &[BlockOption],
    ) -> io::Result<()> {
        let mut body = self.order.of32(interface).to_vec();
        for half in ticks {
            body.extend(self.order.of32(half));
        }
        let fixed = body.len();
        options(&mut body, self.order, said);
        end_options(&mut body, fixed);
        self.block(STATISTICS, &body)
    }

    /// Writes a packet block without a time, of the first interface.
    ///
    /// # Errors
    /// The output cannot be written to.
    pub fn timeless(&mut self, wire: u32, bytes: &[u8]) -> io::Result<()> {
        let mut body = self.order.of32(wire).to_vec();
        body.extend_from_slice(bytes);
        body.resize(body.len().next_multiple_of(4), 0);
        self.block(SIMPLE_PACKET, &body)
    }

    /// Writes a block that carries no frame.
    ///
    /// # Errors
    /// The output cannot be written to.
    pub fn other(&mut self, block: OtherBlock, contents: &[u8]) -> io::Result<()> {
        let maker = block.maker.map(|number| self.order.of32(number));
        let body = [maker.as_ref().map_or(&[][..], |m| m), contents].concat();
        self.block(block.kind, &body)
    }

    /// The byte order in which it writes.
    pub fn order(&self) -> Order {
        self.order
    }

    /// The output, between two blocks.
    pub fn output(&mut self) -> &mut W {
        &mut self.output
    }

    /// Ends the file and returns the output.
    pub fn finish(self) -> W {
        self.output
    }

    fn block(&mut self, kind: u32, body: &[u8]) -> io::Result<()> {
        let total =
            u32::try_from(body.len().saturating_add(12)).map_err(|_| invalid("block too long"))?;
        self.output.write_all(&self.order.of32(kind))?;
        self.output.write_all(&self.order.of32(total))?;
        self.output.write_all(body)?;
        self.output.write_all(&self.order.of32(total))
    }
}

fn options(to: &mut Vec<u8>, order: Order, options: &[BlockOption]) {
    for BlockOption { code, value } in options {
        option(to, order, *code, value);
    }
}

/// Appends an option, padded; one that is too long for its length field is left out.
fn option(to: &mut Vec<u8>, order: Order, code: u16, value: &[u8]) {
    let Ok(len) = u16::try_from(value.len()) else {
        return;
    };
    to.extend(order.of16(code));
    to.extend(order.of16(len));
    to.extend_from_slice(value);
    let padding = value.len().next_multiple_of(4).saturating_sub(value.len());
    to.resize(to.len().saturating_add(padding), 0);
}

/// Ends a list of options, if there are any behind the first `fixed` bytes.
fn end_options(body: &mut Vec<u8>, fixed: usize) {
    if body.len() > fixed {
        body.extend_from_slice(&[0; 4]);
    }
}

fn shortened(text: &str) -> &str {
    let mut end = text.len().min(MAX_COMMENT);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default()
}
