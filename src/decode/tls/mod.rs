//! TLS as far as it is visible without keys: records, hellos, alerts, certificates (RFC 5246, RFC 8446).

mod certificate;
pub mod hello;
pub mod names;
pub mod records;
pub mod tree;

use crate::decode::reader::Reader;

/// Record content types.
pub mod content {
    /// Change Cipher Spec.
    pub const CHANGE_CIPHER_SPEC: u8 = 20;
    /// Alert.
    pub const ALERT: u8 = 21;
    /// Handshake.
    pub const HANDSHAKE: u8 = 22;
    /// Application Data.
    pub const APPLICATION_DATA: u8 = 23;
    /// Heartbeat.
    pub const HEARTBEAT: u8 = 24;
}

/// Bytes of a record header.
pub const RECORD_HEADER: usize = 5;
/// The longest record, with room for encryption (RFC 5246 6.2.3).
pub const MAX_RECORD: u16 = 16384 + 2048;

/// The header of a TLS record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordHeader {
    /// Content type.
    pub content: u8,
    /// Version as written, for example 0x0303.
    pub version: u16,
    /// Bytes that follow the header.
    pub length: u16,
}

impl RecordHeader {
    /// Reads a record header; `None` if too few bytes are there or they cannot be one.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut r = Reader::new(bytes);
        let header = Self {
            content: r.u8()?,
            version: r.u16_be()?,
            length: r.u16_be()?,
        };
        let plausible = (20..=24).contains(&header.content)
            && (0x0300..=0x0304).contains(&header.version)
            && header.length <= MAX_RECORD;
        plausible.then_some(header)
    }
}
