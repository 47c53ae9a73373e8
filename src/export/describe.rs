//! A frame in one line, as the listing's last column shows it: the PDUs that end in it, else the TCP header.

use crate::decode::tds::packet_type;
use crate::store::{FrameFlags, FrameRow, PduFlags, PduKind, PduRow, Store, TcpFlags};
use crate::units::FrameNo;

/// The description of a frame. Every PDU of the frame is named, nothing is cut off.
pub(super) fn describe(store: &Store, no: FrameNo, frame: &FrameRow) -> String {
    let mut parts: Vec<String> = store.pdus_in(no).map(|(_, pdu)| pdu_text(pdu)).collect();
    if parts.is_empty() || frame.tcp_flags.fin() || frame.tcp_flags.rst() || frame.tcp_flags.syn() {
        parts.push(tcp_text(store, frame));
    }
    parts.join("; ")
}

fn pdu_text(pdu: &PduRow) -> String {
    let smp = |name: &str| {
        format!(
            "SMP:{name}, Sid = {}, Length = {}, SeqNum = {}, Wndw = {}",
            pdu.sid, pdu.len, pdu.seqnum, pdu.wndw
        )
    };
    match pdu.kind {
        PduKind::Syn => smp("SYN"),
        PduKind::Ack => smp("ACK"),
        PduKind::Fin => smp("FIN"),
        PduKind::BadSmp => smp(&format!("flags 0x{:02x}", pdu.tds_type)),
        PduKind::Data => format!("{}, {}", tds_name(pdu), smp("DATA")),
        PduKind::Tds => format!("{}, Length = {}", tds_name(pdu), pdu.len),
        PduKind::Tls => format!("TLS:{}, Length = {}", tls_name(pdu.tds_type), pdu.len),
        PduKind::Hidden => format!("Hidden:{} bytes are not in the file", pdu.len),
        PduKind::Unknown => format!("Data:Length = {}", pdu.len),
    }
}

fn tds_name(pdu: &PduRow) -> String {
    if pdu.flags.has(PduFlags::WRAPPED_TLS) {
        return "TDS:TLS handshake".into();
    }
    if !pdu.flags.has(PduFlags::TDS_HEADER) {
        return "TDS:header not in the file".into();
    }
    let starts = pdu.flags.has(PduFlags::MESSAGE_START);
    let name = match pdu.tds_type {
        packet_type::SQL_BATCH => "SQLBatch",
        packet_type::RPC => "RPCRequest",
        packet_type::TABULAR_RESULT if starts => "Response",
        packet_type::TABULAR_RESULT => return "TDS:Continuous Response".into(),
        packet_type::ATTENTION => "Attention",
        packet_type::BULK_LOAD => "BulkLoad",
        packet_type::FED_AUTH => "FedAuthToken",
        packet_type::TRANSACTION_MANAGER => "TransactionManager",
        packet_type::LOGIN7 => "Login7",
        packet_type::SSPI => "SSPI",
        packet_type::PRELOGIN => "Prelogin",
        other => return format!("TDS:type {other}"),
    };
    let part = if starts { "" } else { ", continued" };
    format!("TDS:{name}{part}")
}

fn tls_name(content_type: u8) -> String {
    match content_type {
        20 => "Change Cipher Spec".into(),
        21 => "Alert".into(),
        22 => "Handshake".into(),
        23 => "Application Data".into(),
        other => format!("record type {other}"),
    }
}

/// The TCP header as the reference page shows it, with full sequence numbers.
pub(super) fn tcp_text(store: &Store, frame: &FrameRow) -> String {
    if !frame.is_tcp() {
        let what = if frame.flags.has(FrameFlags::UDP) {
            "UDP"
        } else if frame.flags.has(FrameFlags::NOT_IP) {
            "no IP"
        } else if frame.flags.has(FrameFlags::FRAGMENT) {
            "IP fragment"
        } else {
            "IP"
        };
        return format!("{what}, Length = {}", frame.wire);
    }
    let bad = if frame.flags.has(FrameFlags::BAD_CHECKSUM) {
        " [Bad CheckSum]"
    } else {
        ""
    };
    let ports = frame
        .conn
        .and_then(|id| store.conn(id))
        .map_or_else(String::new, |conn| {
            let (from, to) = (
                conn.ends.get(frame.end()),
                conn.ends.get(frame.end().other()),
            );
            format!(", SrcPort={}, DstPort={}", from.port, to.port)
        });
    format!(
        "TCP:{bad}Flags={}{ports}, PayloadLen={}, Seq={}, Ack={}, Win={}{}",
        flag_dots(frame.tcp_flags),
        frame.payload_len,
        frame.seq,
        frame.ack,
        frame.window,
        remark(frame.flags)
    )
}

/// TCP flags as eight places, a dot for each that is clear: `...A.R..`.
fn flag_dots(flags: TcpFlags) -> String {
    "CEUAPRSF"
        .chars()
        .enumerate()
        .map(|(i, letter)| {
            if flags.0 & (0x80 >> i) == 0 {
                '.'
            } else {
                letter
            }
        })
        .collect()
}

fn remark(flags: FrameFlags) -> String {
    let known = [
        (FrameFlags::RETRANSMISSION, " [retransmission]"),
        (FrameFlags::OUT_OF_ORDER, " [out of order]"),
        (FrameFlags::DUPLICATE, " [copy of another frame]"),
        (FrameFlags::KEEPALIVE, " [keepalive]"),
        (FrameFlags::KEEPALIVE_ANSWER, " [answer to a keepalive]"),
        (FrameFlags::WINDOW_PROBE, " [window probe]"),
        (FrameFlags::CUT, " [cut by the snap length]"),
    ];
    let set = known.iter().filter(|(flag, _)| flags.has(*flag));
    set.map(|(_, words)| *words).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tcp_flags_stand_in_their_places() {
        assert_eq!(flag_dots(TcpFlags(0x14)), "...A.R..");
        assert_eq!(flag_dots(TcpFlags(0xc2)), "CE....S.");
        assert_eq!(flag_dots(TcpFlags(0x52)), ".E.A..S.");
        assert_eq!(flag_dots(TcpFlags(0x118)), "...AP...");
    }
}
