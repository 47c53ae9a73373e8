//! TDS: the packet header, and the messages inside ([MS-TDS]).

mod cell;
pub mod collation;
pub mod columns;
mod envchange;
pub mod hiding;
pub mod login7;
pub mod message;
mod pieces;
pub mod prelogin;
pub mod requests;
pub mod skim;
pub mod sql_secret;
pub mod tokens;
pub mod tree_login;
mod tvp;
pub mod type_info;
pub mod values;
pub mod version;

pub use version::Version;

/// The port at which SQL Server's default instance listens: it settles cases that the bytes leave open.
pub const PORT: u16 = 1433;
/// Bytes of a TDS packet header.
pub const HEADER_LEN: usize = 8;
/// Status bit: last packet of its message.
pub const STATUS_EOM: u8 = 0x01;
/// Status bit: ignore this message.
pub const STATUS_IGNORE: u8 = 0x02;
/// Status bit: reset the session state first.
pub const STATUS_RESET: u8 = 0x08;
/// Status bit: reset the session state but keep the transaction.
pub const STATUS_RESET_SKIP_TRAN: u8 = 0x10;

/// TDS packet types ([MS-TDS] 2.2.3.1.1).
pub mod packet_type {
    /// SQL batch.
    pub const SQL_BATCH: u8 = 1;
    /// Login before TDS 7.
    pub const LOGIN_OLD: u8 = 2;
    /// Remote procedure call.
    pub const RPC: u8 = 3;
    /// Tabular result.
    pub const TABULAR_RESULT: u8 = 4;
    /// Attention.
    pub const ATTENTION: u8 = 6;
    /// Bulk load.
    pub const BULK_LOAD: u8 = 7;
    /// Federated authentication token.
    pub const FED_AUTH: u8 = 8;
    /// Transaction manager request.
    pub const TRANSACTION_MANAGER: u8 = 14;
    /// LOGIN7.
    pub const LOGIN7: u8 = 16;
    /// SSPI.
    pub const SSPI: u8 = 17;
    /// PRELOGIN.
    pub const PRELOGIN: u8 = 18;
}

/// A TDS packet header as it stands on the wire ([MS-TDS] 2.2.3.1; numbers big-endian).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Packet type.
    pub kind: u8,
    /// Status bits.
    pub status: u8,
    /// Bytes of the packet, header included.
    pub length: u16,
    /// The server's session id; clients send 0.
    pub spid: u16,
    /// Number of the packet in its message, modulo 256.
    pub packet_id: u8,
    /// Not used.
    pub window: u8,
}

impl Header {
    /// Reads a header; `None` if fewer than 8 bytes are there.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        bytes.first_chunk().map(|bytes| Self::of(*bytes))
    }

    /// The header that these bytes are.
    pub fn of(bytes: [u8; HEADER_LEN]) -> Self {
        let [
            kind,
            status,
            len_hi,
            len_lo,
            spid_hi,
            spid_lo,
            packet_id,
            window,
        ] = bytes;
        Self {
            kind,
            status,
            length: u16::from_be_bytes([len_hi, len_lo]),
            spid: u16::from_be_bytes([spid_hi, spid_lo]),
            packet_id,
            window,
        }
    }

    /// Whether type, status and length are those of a real packet, so that a stream can be walked by it.
    pub fn is_plausible(&self) -> bool {
        self.has_form() && self.length >= 8 && self.length <= 0x7fff
    }

    /// As [`Header::is_plausible`], inside an SMP packet with so many bytes of payload: what fills it may be longer than
    /// TDS allows.
    pub fn is_plausible_in(&self, payload: u32) -> bool {
        let fills = u32::from(self.length) == payload;
        self.is_plausible() || fills && self.length > 0x7fff && self.has_form()
    }

    fn has_form(self) -> bool {
        matches!(self.kind, 1..=4 | 6..=8 | 14 | 16..=18)
            && self.status & 0xe0 == 0
            && self.window == 0
    }

    /// Whether this is the last packet of its message.
    pub fn is_eom(&self) -> bool {
        self.status & STATUS_EOM != 0
    }
}
