//! The 16-byte SMP header ([MC-SMP] 2.2.1; all numbers little-endian).

use crate::units::{Sid, SmpSeq};

/// The first byte of every SMP packet.
pub const SMID: u8 = 0x53;
/// Bytes of the header, and of a whole control packet.
pub const HEADER_LEN: usize = 16;
/// FLAGS of SYN.
pub const SYN: u8 = 0x01;
/// FLAGS of ACK.
pub const ACK: u8 = 0x02;
/// FLAGS of FIN.
pub const FIN: u8 = 0x04;
/// FLAGS of DATA.
pub const DATA: u8 = 0x08;
/// The largest DATA that holds one TDS packet of the largest size ([MS-TDS] 2.2.3.1.3).
pub const MAX_DATA_LEN: u32 = 16 + 32767;

/// An SMP header as it stands on the wire, not checked beyond SMID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// SYN, ACK, FIN, DATA; legal values have exactly one bit set.
    pub flags: u8,
    /// Session id.
    pub sid: Sid,
    /// Bytes of the whole packet, header included.
    pub length: u32,
    /// SEQNUM.
    pub seqnum: SmpSeq,
    /// WNDW.
    pub wndw: SmpSeq,
}

impl Header {
    /// Reads a header; `None` if fewer than 16 bytes are there or SMID is wrong.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let [smid, flags, s0, s1, rest @ ..] = *bytes.first_chunk::<HEADER_LEN>()?;
        let [l0, l1, l2, l3, n0, n1, n2, n3, w0, w1, w2, w3] = rest;
        (smid == SMID).then(|| Self {
            flags,
            sid: Sid(u16::from_le_bytes([s0, s1])),
            length: u32::from_le_bytes([l0, l1, l2, l3]),
            seqnum: SmpSeq(u32::from_le_bytes([n0, n1, n2, n3])),
            wndw: SmpSeq(u32::from_le_bytes([w0, w1, w2, w3])),
        })
    }

    /// The header's bytes.
    pub fn to_bytes(self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        let fields = std::iter::once(SMID)
            .chain([self.flags])
            .chain(self.sid.0.to_le_bytes())
            .chain(self.length.to_le_bytes())
            .chain(self.seqnum.0.to_le_bytes())
            .chain(self.wndw.0.to_le_bytes());
        for (slot, byte) in out.iter_mut().zip(fields) {
            *slot = byte;
        }
        out
    }

    /// Whether FLAGS and LENGTH are legal ([MC-SMP] 2.2.1 to 2.2.5): enough to go on walking the stream.
    pub fn is_legal(&self) -> bool {
        match self.flags {
            SYN | ACK | FIN => self.length == 16,
            DATA => (16..=MAX_DATA_LEN).contains(&self.length),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_the_specification_read_back() {
        let ack = [0x53, 2, 5, 0, 0x10, 0, 0, 0, 0x10, 0, 0, 0, 0x12, 0, 0, 0];
        let header = Header::read(&ack).unwrap();
        assert_eq!(
            (header.flags, header.sid, header.seqnum, header.wndw),
            (ACK, Sid(5), SmpSeq(16), SmpSeq(18))
        );
        assert!(header.is_legal());
        assert_eq!(header.to_bytes(), ack);
        for len in 0..16 {
            assert_eq!(Header::read(&ack[..len]), None);
        }
    }
}
