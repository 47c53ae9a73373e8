//! TCP options.

use etherparse::{TcpOptionElement, TcpOptionReadError, TcpOptionsIterator};

use super::Segment;
use crate::units::TcpSeq;

/// The TCP options that say something about the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TcpOptions {
    /// Maximum segment size.
    pub mss: Option<u16>,
    /// Window scale: the power of two.
    pub window_scale: Option<u8>,
    /// Selective acknowledgements are permitted.
    pub sack_permitted: bool,
    /// First selective acknowledgement: left and right edge.
    pub sack: Option<(TcpSeq, TcpSeq)>,
    /// Time stamps: own, echoed.
    pub timestamps: Option<(u32, u32)>,
}

impl TcpOptions {
    fn take(&mut self, option: &TcpOptionElement) {
        match *option {
            TcpOptionElement::MaximumSegmentSize(mss) => self.mss = Some(mss),
            TcpOptionElement::WindowScale(power) => self.window_scale = Some(power),
            TcpOptionElement::SelectiveAcknowledgementPermitted => self.sack_permitted = true,
            TcpOptionElement::SelectiveAcknowledgement((left, right), _) => {
                self.sack = Some((TcpSeq(left), TcpSeq(right)));
            }
            TcpOptionElement::Timestamp(own, echoed) => self.timestamps = Some((own, echoed)),
            TcpOptionElement::Noop => {}
        }
    }
}

/// Reads the TCP options of a segment, as far as they are there and make sense.
pub fn tcp_options(segment: &Segment, frame: &[u8]) -> TcpOptions {
    let mut found = TcpOptions::default();
    let mut rest = segment.header(frame).get(20..).unwrap_or_default();
    while !rest.is_empty() {
        let mut options = TcpOptionsIterator::from_slice(rest);
        match options.next() {
            Some(Ok(option)) => {
                found.take(&option);
                rest = options.rest();
            }
            // The iterator stops at options that it does not know; their length leads to the next one.
            Some(Err(TcpOptionReadError::UnknownId(_))) => {
                let len = rest.get(1).map_or(0, |len| usize::from(*len));
                rest = rest.get(len.max(2)..).unwrap_or_default();
            }
            Some(Err(_)) | None => break,
        }
    }
    found
}
