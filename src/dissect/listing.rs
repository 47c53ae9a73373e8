//! A frame in one line in the manner of Network Monitor's Description column: every PDU, with all its numbers.

use std::fmt::Write as _;

use super::Dissector;
use super::info;
use super::stream::Frames;
use super::tls::words as tls_records;
use crate::decode::sspi::{self, Token};
use crate::decode::tds::{self, message, packet_type};
use crate::decode::tls;
use crate::store::{ConnRow, FrameFlags, FrameRow, PduFlags, PduKind, PduRow, Store, TcpFlags};
use crate::units::{FrameNo, PduId};

/// The line of a frame; nothing is cut off.
pub fn line(dissector: &mut Dissector, frames: &mut Frames<'_>, no: FrameNo) -> String {
    let store = frames.store;
    let Some(row) = store.frame(no) else {
        return String::new();
    };
    let pdus: Vec<(PduId, PduRow)> = store.pdus_in(no).collect();
    let mut parts = Vec::new();
    for (id, pdu) in &pdus {
        // Parts of packets are listed as segments; what is missing may count to a frame that holds none of it.
        let missing = row.payload_len == 0 && pdu.kind == PduKind::Hidden;
        if missing || pdu.flags.has(PduFlags::UNFINISHED) {
            continue;
        }
        parts.push(pdu_text(dissector, frames, &row, *id, pdu));
    }
    let flags = row.tcp_flags;
    if parts.is_empty() || flags.fin() || flags.rst() || flags.syn() {
        parts.push(tcp_text(&row, store));
    }
    parts.join("; ")
}

/// Flags as letters, a dot for each that is clear: CWR, ECE, URG, ACK, PSH, RST, SYN, FIN.
pub fn flag_letters(flags: TcpFlags) -> String {
    [
        (0x80, 'C'),
        (0x40, 'E'),
        (0x20, 'U'),
        (0x10, 'A'),
        (0x08, 'P'),
        (0x04, 'R'),
        (0x02, 'S'),
        (0x01, 'F'),
    ]
    .into_iter()
    .map(|(bit, letter)| if flags.0 & bit == 0 { '.' } else { letter })
    .collect()
}

fn ports(row: &FrameRow, store: &Store) -> Option<(u16, u16)> {
    let conn = store.conn(row.conn?)?;
    let from = conn.ends.get(row.end()).port;
    let to = conn.ends.get(row.end().other()).port;
    Some((from, to))
}

fn tcp_text(row: &FrameRow, store: &Store) -> String {
    if !row.is_tcp() {
        return if row.flags.has(FrameFlags::UDP) {
            "UDP"
        } else if row.flags.has(FrameFlags::FRAGMENT) {
            "IPv4:Fragment"
        } else {
            "no IP"
        }
        .to_owned();
    }
    let mut out = "TCP:".to_owned();
    if row.flags.has(FrameFlags::BAD_CHECKSUM) {
        out.push_str(" [Bad CheckSum]");
    }
    if row.flags.has(FrameFlags::RETRANSMISSION) {
        out.push_str("[ReTransmit]");
    }
    if row.flags.has(FrameFlags::DUPLICATE) {
        out.push_str("[Copy]");
    }
    if row.flags.has(FrameFlags::KEEPALIVE) {
        out.push_str("[Keep alive]");
    }
    tcp_numbers(&mut out, row, store);
    out
}

fn tcp_numbers(out: &mut String, row: &FrameRow, store: &Store) {
    // Writing to a String cannot fail, here and below.
    let _ = write!(out, "Flags={}", flag_letters(row.tcp_flags));
    if let Some((from, to)) = ports(row, store) {
        let _ = write!(out, ", SrcPort={from}, DstPort={to}");
    }
    let _ = write!(
        out,
        ", PayloadLen={}, Seq={}, Ack={}, Win={}",
        row.payload_len, row.seq, row.ack, row.window
    );
}

fn version(conn: Option<&ConnRow>) -> String {
    let number = conn
        .and_then(|conn| conn.login.as_ref())
        .and_then(|login| login.tds_version)
        .unwrap_or(0x7400_0004);
    let name = tds::Version::from_number(number).map_or("?", tds::Version::name);
    format!("Version = {name} (0x{number:08x})")
}

fn smp_text(pdu: &PduRow) -> String {
    let name = match pdu.kind {
        PduKind::Syn => "SYN".to_owned(),
        PduKind::Ack => "ACK".to_owned(),
        PduKind::Fin => "FIN".to_owned(),
        PduKind::Data => "DATA".to_owned(),
        _ => format!("Flags 0x{:02x}", pdu.tds_type),
    };
    format!(
        "SMP:{name}, Sid = {}, Length = {}, SeqNum = {}, Wndw = {}",
        pdu.sid, pdu.len, pdu.seqnum, pdu.wndw
    )
}

fn pdu_text(
    dissector: &mut Dissector,
    frames: &mut Frames<'_>,
    row: &FrameRow,
    id: PduId,
    pdu: &PduRow,
) -> String {
    match pdu.kind {
        PduKind::Hidden => format!("Hidden:{} bytes are not in the file", pdu.len),
        PduKind::Unknown => format!("Data:Length = {}", pdu.len),
        PduKind::Tls => tls_text(tls_records(frames, &[id])),
        PduKind::Data => {
            let smp = smp_text(pdu);
            match tds_text(dissector, frames, row, id, pdu) {
                Some(tds) => format!("{tds}; {smp}"),
                None => smp,
            }
        }
        PduKind::Tds => tds_text(dissector, frames, row, id, pdu)
            .unwrap_or_else(|| format!("TDS:Length = {}", pdu.len)),
        _ => smp_text(pdu),
    }
}

fn tds_text(
    dissector: &mut Dissector,
    frames: &mut Frames<'_>,
    row: &FrameRow,
    id: PduId,
    pdu: &PduRow,
) -> Option<String> {
    if !pdu.flags.has(PduFlags::TDS_HEADER) {
        return None;
    }
    let store = frames.store;
    let conn = store.conn(pdu.conn);
    let head_len = pdu.smp_header_len().saturating_add(8);
    let head = frames.stretch(pdu, pdu.pos, head_len.min(pdu.len));
    let skip = usize::try_from(pdu.smp_header_len()).unwrap_or(0);
    let header = head.bytes.get(skip..).and_then(tds::Header::read);
    let index = dissector.index(frames, id)?;
    if pdu.flags.has(PduFlags::WRAPPED_TLS) {
        return Some(tls_text(tls_records(frames, &index.parts)));
    }
    let starts = pdu.flags.has(PduFlags::MESSAGE_START);
    let token = match pdu.tds_type {
        packet_type::SSPI => Some(index.head(frames, 8192).bytes),
        packet_type::TABULAR_RESULT if starts => {
            // A token stream that is one SSPI token: 0xED, its length, the token.
            let body = index.head(frames, 8192).bytes;
            match body.first() {
                Some(0xed) => body.get(3..).map(<[u8]>::to_vec),
                _ => None,
            }
        }
        _ => None,
    };
    if let Some(words) = token.as_deref().and_then(nlmp) {
        return Some(words);
    }
    let name = match pdu.tds_type {
        packet_type::TABULAR_RESULT if !starts => "Continuous Response",
        packet_type::RPC => "RPCRequest",
        kind => message::type_name(kind),
    };
    let mut out = format!("TDS:{name}, {}", version(conn));
    if let Some(header) = header {
        let _ = write!(
            out,
            ", SPID = {}, PacketID = {}",
            header.spid, header.packet_id
        );
    }
    out.push_str(", ");
    tcp_numbers(&mut out, row, store);
    let words = match pdu.tds_type {
        packet_type::SQL_BATCH | packet_type::RPC | packet_type::TRANSACTION_MANAGER if starts => {
            info::pdu(dissector, frames, id)
        }
        _ => String::new(),
    };
    if !words.is_empty() {
        let _ = write!(out, ", {words}");
    }
    Some(out)
}

/// TLS records in the listing's words: neighbouring handshake records are one layer.
fn tls_text(records: Vec<(u8, Vec<String>)>) -> String {
    let mut layers: Vec<(u8, Vec<String>)> = Vec::new();
    for (content, words) in records {
        match layers.last_mut() {
            Some((last, known)) if *last == content => known.extend(words),
            _ => layers.push((content, words)),
        }
    }
    let layers: Vec<String> = layers
        .into_iter()
        .enumerate()
        .map(|(at, (content, words))| {
            let number = at.saturating_add(1);
            let words = match content {
                tls::content::HANDSHAKE => format!("HandShake: {}.", words.join(". ")),
                tls::content::CHANGE_CIPHER_SPEC => "Cipher Change Spec".to_owned(),
                _ => words.join(", "),
            };
            format!("TLS Rec Layer-{number} {words}")
        })
        .collect();
    format!("TLS:{}", layers.join("; "))
}

/// An NTLM message in the listing's words.
fn nlmp(token: &[u8]) -> Option<String> {
    Some(match sspi::recognise(token) {
        Token::Ntlm(1) => "NLMP:NTLM NEGOTIATE MESSAGE".to_owned(),
        Token::Ntlm(2) => "NLMP:NTLM CHALLENGE MESSAGE".to_owned(),
        Token::Ntlm(3) => {
            let (domain, user, workstation, v2) = sspi::authenticate_names(token)?;
            format!(
                "NLMP:NTLM AUTHENTICATE MESSAGE Version:NTLM {}, Domain: {}, User: {}, Workstation: {}",
                if v2 { "v2" } else { "v1" },
                info::short(&domain),
                info::short(&user),
                info::short(&workstation)
            )
        }
        Token::Kerberos => "KerberosV5".to_owned(),
        Token::Spnego => "SPNEGO".to_owned(),
        Token::Ntlm(_) | Token::Unknown => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_letters_in_fixed_places() {
        assert_eq!(flag_letters(TcpFlags(0xc2)), "CE....S.");
        assert_eq!(flag_letters(TcpFlags(0x11)), "...A...F");
        assert_eq!(flag_letters(TcpFlags(0x14)), "...A.R..");
    }
}
