//! SMP packets ([MC-SMP] 2.2) as bytes.

pub const SYN: u8 = 1;
pub const ACK: u8 = 2;
pub const FIN: u8 = 4;
pub const DATA: u8 = 8;

/// The window that every known implementation opens a session with.
pub const WINDOW: u32 = 4;

/// One SMP packet; LENGTH follows from the data.
pub fn packet(flags: u8, sid: u16, seq_num: u32, wndw: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(16 + data.len());
    bytes.extend([0x53, flags]);
    bytes.extend(sid.to_le_bytes());
    bytes.extend(u32::try_from(16 + data.len()).unwrap().to_le_bytes());
    bytes.extend(seq_num.to_le_bytes());
    bytes.extend(wndw.to_le_bytes());
    bytes.extend(data);
    bytes
}
