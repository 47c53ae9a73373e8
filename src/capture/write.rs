//! Writers of capture files: frames byte for byte, with their times, lengths and interfaces.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};

use pcap_file::pcap::{PcapHeader, PcapTsResolution, PcapWriteError, RawPcapPacket};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption, InterfaceTsResolution,
};
use pcap_file::pcapng::blocks::opt_common::CommonOption;
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};
use pcap_file::pcapng::{PcapNgWriteError, PcapNgWriter as Blocks, RawBlock};
use pcap_file::{DataLink, Endianness};

use crate::units::Nanos;

const NANOS: i64 = 1_000_000_000;
const ENHANCED_PACKET: u32 = 6;
/// An option's length has 16 bits; longer comments are cut here.
const MAX_COMMENT: usize = 65_000;

/// What an interface block is to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InterfaceSpec<'a> {
    /// Link type (LINKTYPE_ number).
    pub link_type: u32,
    /// Snap length, 0 for none.
    pub snap_len: u32,
    /// Time units per second of the frames' source; they are written in the same units as far as nanoseconds
    /// reach.
    pub ticks_per_second: u64,
    /// Its name.
    pub name: Option<&'a str>,
}

/// A frame to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Capture time.
    pub time: Nanos,
    /// Bytes of the frame on the wire.
    pub wire: u32,
    /// Its bytes in the file.
    pub bytes: &'a [u8],
}

/// Writes pcapng: one section, any number of interfaces, comments on frames.
#[derive(Debug)]
pub struct PcapngWriter<W: Write> {
    blocks: Output<W>,
    /// Nanoseconds of one time unit, for each interface.
    units: Vec<i64>,
    block: Vec<u8>,
}

/// The crate's writer, which has no `Debug`.
struct Output<W: Write>(Blocks<W>);

impl<W: Write> fmt::Debug for Output<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Output")
    }
}

impl<W: Write> PcapngWriter<W> {
    /// Begins a file, with a comment on the whole of it.
    ///
    /// # Errors
    /// The output cannot be written to.
    pub fn new(output: W, comment: Option<&str>) -> io::Result<Self> {
        let mut options = vec![SectionHeaderOption::UserApplication(Cow::Borrowed(
            concat!("marstui ", env!("CARGO_PKG_VERSION")),
        ))];
        if let Some(comment) = comment {
            let comment = Cow::Borrowed(shortened(comment));
            options.push(SectionHeaderOption::Common(CommonOption::Comment(comment)));
        }
        let section = SectionHeaderBlock {
            endianness: Endianness::Little,
            options,
            ..SectionHeaderBlock::default()
        };
        Ok(Self {
            blocks: Output(Blocks::with_section_header(output, section).map_err(ng_error)?),
            units: Vec::new(),
            block: Vec::new(),
        })
    }

    /// Declares an interface and returns its number within the file.
    ///
    /// # Errors
    /// The output cannot be written to, or the link type has more than 16 bits.
    pub fn interface(&mut self, interface: &InterfaceSpec<'_>) -> io::Result<u32> {
        let (resolution, unit) = resolution(interface.ticks_per_second);
        let mut options = Vec::new();
        if let Some(name) = interface.name {
            let name = Cow::Borrowed(shortened(name));
            options.push(InterfaceDescriptionOption::IfName(name));
        }
        options.push(InterfaceDescriptionOption::IfTsResol(resolution));
        let block = InterfaceDescriptionBlock {
            linktype: DataLink::from(interface.link_type),
            snaplen: interface.snap_len,
            options,
        };
        self.blocks.0.write_pcapng_block(block).map_err(ng_error)?;
        let id = u32::try_from(self.units.len()).map_err(|_| invalid("too many interfaces"))?;
        self.units.push(unit);
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
        let unit = usize::try_from(interface)
            .ok()
            .and_then(|index| self.units.get(index))
            .ok_or_else(|| invalid("the interface was not declared"))?;
        // Times before 1970 cannot be told from times far in the future; they become 1970.
        let ticks = frame.time.0.max(0).checked_div(*unit).unwrap_or(0);
        let captured = u32::try_from(frame.bytes.len()).map_err(|_| invalid("frame too long"))?;
        let high = u32::try_from(ticks >> 32).unwrap_or(0);
        let low = u32::try_from(ticks & 0xffff_ffff).unwrap_or(0);
        self.block.clear();
        for field in [interface, high, low, captured, frame.wire] {
            self.block.extend_from_slice(&field.to_le_bytes());
        }
        padded(&mut self.block, frame.bytes);
        let fixed = self.block.len();
        for comment in comments {
            let comment = shortened(comment).as_bytes();
            let len = u16::try_from(comment.len()).unwrap_or(0);
            self.block.extend_from_slice(&1_u16.to_le_bytes());
            self.block.extend_from_slice(&len.to_le_bytes());
            padded(&mut self.block, comment);
        }
        if self.block.len() > fixed {
            self.block.extend_from_slice(&[0; 4]);
        }
        let total = u32::try_from(self.block.len().saturating_add(12))
            .map_err(|_| invalid("frame too long"))?;
        let block = RawBlock {
            type_: ENHANCED_PACKET,
            initial_len: total,
            body: Cow::Borrowed(&self.block),
            trailer_len: total,
        };
        self.blocks.0.write_raw_block(&block).map_err(ng_error)?;
        Ok(())
    }

    /// Ends the file and returns the output.
    pub fn finish(self) -> W {
        self.blocks.0.into_inner()
    }
}

/// Why frames cannot be written as pcap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PcapRefused {
    /// The frames have several link types.
    LinkTypes(Vec<u32>),
    /// There is no interface to take the link type from.
    Nothing,
}

impl fmt::Display for PcapRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LinkTypes(types) => {
                write!(f, "pcap holds frames of one link type; these have ")?;
                for (i, link_type) in types.iter().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    write!(f, "{comma}{link_type}")?;
                }
                write!(f, ": write pcapng instead")
            }
            Self::Nothing => write!(f, "there are no frames to write"),
        }
    }
}

impl std::error::Error for PcapRefused {}

/// The one link type and the time units that a pcap file of some interfaces' frames can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PcapShape {
    link_type: u32,
    snap_len: u32,
    nanoseconds: bool,
}

impl PcapShape {
    /// Finds out whether frames of these interfaces fit into one pcap file. Nanoseconds are used as soon as one
    /// interface needs them.
    ///
    /// # Errors
    /// They do not fit, and why.
    pub fn of<'a>(
        interfaces: impl IntoIterator<Item = InterfaceSpec<'a>>,
    ) -> Result<Self, PcapRefused> {
        let mut types = Vec::new();
        let mut snap_len = 0;
        let mut nanoseconds = false;
        for interface in interfaces {
            if !types.contains(&interface.link_type) {
                types.push(interface.link_type);
            }
            nanoseconds |= resolution(interface.ticks_per_second).1 < 1000;
            snap_len = snap_len.max(interface.snap_len);
        }
        match types.as_slice() {
            [link_type] => Ok(Self {
                link_type: *link_type,
                snap_len: if snap_len == 0 { 262_144 } else { snap_len },
                nanoseconds,
            }),
            [] => Err(PcapRefused::Nothing),
            _ => Err(PcapRefused::LinkTypes(types)),
        }
    }
}

/// Writes pcap: one link type, no comments.
#[derive(Debug)]
pub struct PcapWriter<W: Write> {
    output: pcap_file::pcap::PcapWriter<W>,
    nanoseconds: bool,
}

impl<W: Write> PcapWriter<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// The output cannot be written to.
    pub fn new(output: W, shape: PcapShape) -> io::Result<Self> {
        let header = PcapHeader {
            snaplen: shape.snap_len,
            datalink: DataLink::from(shape.link_type),
            ts_resolution: if shape.nanoseconds {
                PcapTsResolution::NanoSecond
            } else {
                PcapTsResolution::MicroSecond
            },
            endianness: Endianness::Little,
            ..PcapHeader::default()
        };
        Ok(Self {
            output: pcap_file::pcap::PcapWriter::with_header(output, header).map_err(pcap_error)?,
            nanoseconds: shape.nanoseconds,
        })
    }

    /// Writes a frame.
    ///
    /// # Errors
    /// The output cannot be written to, or the time lies outside of what pcap can hold (1970 to 2106).
    pub fn frame(&mut self, frame: &Frame<'_>) -> io::Result<()> {
        let seconds = u32::try_from(frame.time.0.div_euclid(NANOS)).map_err(|_| {
            invalid("pcap holds times from 1970 to 2106 only; write pcapng instead")
        })?;
        let nanos = u32::try_from(frame.time.0.rem_euclid(NANOS)).unwrap_or(0);
        let packet = RawPcapPacket {
            ts_sec: seconds,
            ts_frac: if self.nanoseconds {
                nanos
            } else {
                nanos / 1000
            },
            incl_len: u32::try_from(frame.bytes.len()).map_err(|_| invalid("frame too long"))?,
            orig_len: frame.wire,
            data: Cow::Borrowed(frame.bytes),
        };
        self.output.write_raw_packet(&packet).map_err(pcap_error)?;
        Ok(())
    }

    /// Ends the file and returns the output.
    pub fn finish(self) -> W {
        self.output.into_inner()
    }
}

/// The time resolution to write for a source's units per second, with the nanoseconds of one unit: the source's
/// own where it is a power of ten up to nanoseconds, else nanoseconds.
fn resolution(ticks_per_second: u64) -> (InterfaceTsResolution, i64) {
    match ticks_per_second {
        1 => (InterfaceTsResolution::SEC, NANOS),
        1_000 => (InterfaceTsResolution::MILLI, 1_000_000),
        1_000_000 => (InterfaceTsResolution::MICRO, 1_000),
        _ => (InterfaceTsResolution::NANO, 1),
    }
}

fn padded(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend_from_slice(bytes);
    to.resize(to.len().next_multiple_of(4), 0);
}

fn shortened(text: &str) -> &str {
    let mut end = text.len().min(MAX_COMMENT);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default()
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

/// The error of the output itself where there is one: its kind tells a full disk from others.
fn ng_error(error: PcapNgWriteError) -> io::Error {
    match error {
        PcapNgWriteError::Io(error) => error,
        other => io::Error::other(other),
    }
}

fn pcap_error(error: PcapWriteError) -> io::Error {
    match error {
        PcapWriteError::Io(error) | PcapWriteError::FieldWriteFailed(_, error) => error,
        other @ PcapWriteError::Validation(_) => io::Error::other(other),
    }
}
