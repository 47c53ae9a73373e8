//! pcap: one link type, no comments.

use std::fmt;
use std::io::{self, Write};

use pcap_file::pcap::{PcapHeader, PcapTsResolution, PcapWriteError};
use pcap_file::{DataLink, Endianness};

use super::{Frame, InterfaceSpec, invalid, units};
use crate::capture::Order;
use crate::capture::original::PCAP_HEADER;

const NANOS: i64 = 1_000_000_000;

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
            nanoseconds |= units(interface.ticks_per_second) > 1_000_000;
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

/// Writes pcap.
#[derive(Debug)]
pub struct PcapWriter<W: Write> {
    output: W,
    order: Order,
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
        Self::with(output, header)
    }

    /// Begins a file with the header of another one, whose records can then be taken over as they are.
    ///
    /// # Errors
    /// The output cannot be written to, or the header is none that can be written.
    pub fn like(output: W, header: &[u8; PCAP_HEADER]) -> io::Result<Self> {
        let (_, header) = PcapHeader::from_slice(header).map_err(io::Error::other)?;
        Self::with(output, header)
    }

    fn with(mut output: W, header: PcapHeader) -> io::Result<Self> {
        header.write_to(&mut output).map_err(pcap_error)?;
        Ok(Self {
            output,
            order: match header.endianness {
                Endianness::Little => Order::Little,
                Endianness::Big => Order::Big,
            },
            nanoseconds: header.ts_resolution == PcapTsResolution::NanoSecond,
        })
    }

    /// The output, between two records.
    pub fn output(&mut self) -> &mut W {
        &mut self.output
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
        let fraction = if self.nanoseconds {
            nanos
        } else {
            nanos / 1000
        };
        let captured = u32::try_from(frame.bytes.len()).map_err(|_| invalid("frame too long"))?;
        let mut header = [0; 16];
        let fields = [seconds, fraction, captured, frame.wire];
        for (to, field) in header.chunks_exact_mut(4).zip(fields) {
            to.copy_from_slice(&self.order.of32(field));
        }
        self.output.write_all(&header)?;
        self.output.write_all(frame.bytes)
    }

    /// Ends the file and returns the output.
    pub fn finish(self) -> W {
        self.output
    }
}

/// The error of the output itself where there is one: its kind tells a full disk from others.
fn pcap_error(error: PcapWriteError) -> io::Error {
    match error {
        PcapWriteError::Io(error) | PcapWriteError::FieldWriteFailed(_, error) => error,
        other @ PcapWriteError::Validation(_) => io::Error::other(other),
    }
}
