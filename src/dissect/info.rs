//! A frame in a few words, for the list: read from the rows, and from the first bytes of what it carries.

use std::fmt::Write as _;

use super::message::{Index, count_token};
use super::packed::{self, Packed};
use super::render::safe;
use super::request::is_request;
use super::stream::Frames;
use super::tree::{later_pdu, pdu_name};
use super::{Dissector, handles};
use crate::decode::sspi::{self, Token};
use crate::decode::tds::message::Context;
use crate::decode::tds::prelogin::Prelogin;
use crate::decode::tds::skim::Skim;
use crate::decode::tds::{self, message, packet_type, requests, sql_secret, tokens, tree_login};
use crate::decode::tls;
use crate::store::{FrameFlags, FrameRow, PduFlags, PduKind, PduRow, Store, Verdict};
use crate::units::words::counted;
use crate::units::{FrameNo, PduId, Side};

/// Most characters of SQL text in a line.
const MAX_TEXT: usize = 120;
/// Bytes of a request that are read for its line.
const HEAD_BYTES: usize = 8192;
/// PDUs of a frame that are named; the others are counted.
const MAX_PDUS: usize = 4;

/// The line of a frame.
pub fn line(dissector: &mut Dissector, frames: &mut Frames<'_>, no: FrameNo) -> String {
    let store = frames.store;
    let Some(row) = store.frame(no) else {
        return String::new();
    };
    let mut parts: Vec<String> = Vec::new();
    if row.tcp_flags.rst() || row.tcp_flags.syn() || row.tcp_flags.fin() {
        parts.push(tcp(store, no, &row));
    }
    let ids: Vec<PduId> = store
        .pdus_in(no)
        .map(|(id, _)| id)
        .take(MAX_PDUS.saturating_add(1))
        .collect();
    for id in ids.iter().take(MAX_PDUS) {
        parts.push(pdu(dissector, frames, *id));
    }
    if ids.len() > MAX_PDUS {
        let more = store.pdus_in(no).count().saturating_sub(MAX_PDUS);
        parts.push(format!("+{more}"));
    }
    if parts.is_empty() {
        parts.push(tcp(store, no, &row));
    }
    parts.join("; ")
}

/// The words for a frame's TCP segment.
fn tcp(store: &Store, no: FrameNo, row: &FrameRow) -> String {
    let who = store.side(row).map_or("", Side::word);
    let flags = row.tcp_flags;
    if row.flags.has(FrameFlags::NOT_IP) {
        return "not IP".to_owned();
    }
    if row.flags.has(FrameFlags::UDP) {
        return "UDP".to_owned();
    }
    if !row.is_tcp() {
        return if row.flags.has(FrameFlags::FRAGMENT) {
            "IP fragment"
        } else {
            "not TCP"
        }
        .to_owned();
    }
    if flags.rst() {
        let kind = if flags.ack() { "RST,ACK" } else { "RST" };
        return match store.finding_on(no) {
            Some(finding) => {
                let verdict = match finding.verdict {
                    Verdict::LikelyBenign => "likely benign".to_owned(),
                    other => other.name().to_lowercase(),
                };
                format!("TCP {kind} from {who}: {verdict}")
            }
            None => format!("TCP {kind} from {who}"),
        };
    }
    if flags.syn() {
        return if flags.ack() {
            format!("TCP SYN,ACK from {who}")
        } else {
            format!("TCP SYN from {who}")
        };
    }
    if flags.fin() {
        return format!("TCP FIN,ACK from {who}");
    }
    for (flag, words) in [
        (FrameFlags::DUPLICATE, "copy of a frame"),
        (FrameFlags::KEEPALIVE_ANSWER, "keepalive answered"),
        (FrameFlags::KEEPALIVE, "keepalive"),
        (FrameFlags::WINDOW_PROBE, "probe of a closed window"),
        (FrameFlags::RETRANSMISSION, "retransmission"),
    ] {
        if row.flags.has(flag) {
            return words.to_owned();
        }
    }
    if row.payload_len > 0 {
        return match later_pdu(store, no, row) {
            Some((_, pdu)) => format!("part of {} in {}", pdu_name(&pdu), pdu.frame),
            None => counted(row.payload_len, "byte"),
        };
    }
    if row.flags.has(FrameFlags::ZERO_WINDOW) {
        return "TCP window 0".to_owned();
    }
    "TCP ACK".to_owned()
}

/// What is said of bytes that are no whole packet.
pub fn unread(pdu: &PduRow) -> String {
    if pdu.flags.has(PduFlags::UNFINISHED) {
        format!("{} of {}", counted(pdu.len, "byte"), pdu_name(pdu))
    } else {
        format!("{} of no known protocol", counted(pdu.len, "byte"))
    }
}

/// What a PDU is and carries.
pub fn pdu(dissector: &mut Dissector, frames: &mut Frames<'_>, id: PduId) -> String {
    let store = frames.store;
    let Some(pdu) = store.pdu(id) else {
        return String::new();
    };
    match pdu.kind {
        PduKind::Syn => format!("open session {}", pdu.sid),
        PduKind::Ack => format!("window {}", pdu.wndw),
        PduKind::Fin => format!("close session {}", pdu.sid),
        PduKind::BadSmp => format!("SMP with FLAGS 0x{:02x}", pdu.tds_type),
        PduKind::Hidden if pdu.len == 1 => "1 byte is not in the file".to_owned(),
        PduKind::Hidden => format!("{} bytes are not in the file", pdu.len),
        PduKind::Unknown => unread(&pdu),
        PduKind::Tls => tls_line(frames, id, &pdu),
        PduKind::Data | PduKind::Tds => {
            if let Some(packed) = packed::of(dissector, frames, id, &pdu) {
                return packed_line(dissector, frames, &pdu, &packed);
            }
            if !pdu.flags.has(PduFlags::TDS_HEADER) {
                return "TDS packet whose header is not in the file".to_owned();
            }
            tds_line(dissector, frames, id, &pdu).unwrap_or_else(|| pdu_name(&pdu))
        }
    }
}

fn tls_line(frames: &mut Frames<'_>, id: PduId, pdu: &PduRow) -> String {
    if pdu.tds_type == tls::content::APPLICATION_DATA {
        return format!("TLS data, {}", counted(pdu.len, "byte"));
    }
    let words = tls_words(frames, &[id]);
    if words.is_empty() {
        format!("TLS {}", tls::names::content(pdu.tds_type))
    } else {
        format!("TLS {words}")
    }
}

/// The records of PDUs in words.
fn tls_words(frames: &mut Frames<'_>, ids: &[PduId]) -> String {
    super::tls::words(frames, ids)
        .into_iter()
        .flat_map(|(_, words)| words)
        .collect::<Vec<_>>()
        .join(", ")
}

fn tds_line(
    dissector: &mut Dissector,
    frames: &mut Frames<'_>,
    id: PduId,
    pdu: &PduRow,
) -> Option<String> {
    let index = dissector.index(frames, id)?;
    let part = index.place(id)?;
    if pdu.tds_type == packet_type::ATTENTION {
        return Some("Attention".to_owned());
    }
    if part > 0
        && !matches!(
            pdu.tds_type,
            packet_type::TABULAR_RESULT | packet_type::BULK_LOAD
        )
    {
        let last = if pdu.flags.has(PduFlags::MESSAGE_END) {
            ", last"
        } else {
            ""
        };
        return Some(format!(
            "{} packet {}{last}",
            message::type_name(pdu.tds_type),
            part.saturating_add(1)
        ));
    }
    let line = if pdu.flags.has(PduFlags::WRAPPED_TLS) {
        format!("TLS {}", tls_words(frames, &index.parts))
    } else {
        match pdu.tds_type {
            packet_type::TABULAR_RESULT => answer_line(index, frames, part, pdu),
            packet_type::BULK_LOAD => format!("BulkLoad {}", answer_line(index, frames, part, pdu)),
            kind if is_request(kind) && !index.has_start => {
                let piece = index.head(frames, HEAD_BYTES).bytes;
                piece_line(kind, &piece)
            }
            kind => {
                let body = index.head(frames, HEAD_BYTES).bytes;
                let context = index.context().clone();
                request_line(dissector, frames, pdu, kind, &body, &context)
            }
        }
    };
    let ignored = pdu.tds_status & tds::STATUS_IGNORE != 0 && pdu.tds_type != 4;
    Some(if ignored {
        format!("{line} (taken back)")
    } else {
        line
    })
}

/// A piece of a request whose beginning is not in the file.
fn piece_line(kind: u8, piece: &[u8]) -> String {
    let mut line = message::type_name(kind).to_owned();
    if kind == packet_type::SQL_BATCH {
        line.push(' ');
        line.push_str(&short(&sql_secret::shown_piece(piece)));
    }
    line
}

/// The messages in a DATA whose TDS packets are not one each.
fn packed_line(
    dissector: &mut Dissector,
    frames: &mut Frames<'_>,
    pdu: &PduRow,
    packed: &Packed,
) -> String {
    let spoken = dissector.spoken(frames, pdu.conn);
    let context = packed::context(frames.store, pdu, spoken, 0);
    let mut lines = Vec::new();
    for message in packed.messages.iter().take(MAX_PDUS) {
        let kind = message.packets.first().map_or(0, |p| p.header.kind);
        let body = packed.body(message);
        lines.push(match kind {
            _ if !message.has_start => format!("more of {}", message::type_name(kind)),
            packet_type::TABULAR_RESULT | packet_type::BULK_LOAD => {
                let mut runs = Vec::new();
                let mut skim = Skim::new(context.clone());
                skim.feed(&body.bytes, |token| count_token(&mut runs, token.token));
                format!("{} {}", message::type_name(kind), token_words(&runs))
            }
            kind => request_line(dissector, frames, pdu, kind, &body.bytes, &context),
        });
    }
    lines.join(" | ")
}

fn request_line(
    dissector: &mut Dissector,
    frames: &mut Frames<'_>,
    pdu: &PduRow,
    kind: u8,
    body: &[u8],
    context: &Context,
) -> String {
    match kind {
        packet_type::SQL_BATCH => {
            format!("SQLBatch {}", short(&requests::batch_text(body, 400)))
        }
        packet_type::RPC => match requests::first_call(body, context) {
            Some((call, whole)) => call_line(dissector, frames, pdu, &call, whole),
            None => "RPC".to_owned(),
        },
        packet_type::TRANSACTION_MANAGER => requests::transaction_kind(body)
            .unwrap_or("TransactionManager")
            .to_owned(),
        packet_type::PRELOGIN => prelogin_words(body),
        packet_type::LOGIN7 => login_words(frames.store, pdu),
        packet_type::SSPI => match sspi_words(body) {
            Some(words) => format!("SSPI {words}"),
            None => "SSPI".to_owned(),
        },
        packet_type::FED_AUTH => "FedAuthToken".to_owned(),
        _ => message::type_name(kind).to_owned(),
    }
}

/// A procedure call: its name, the number of its parameters, and the statement that it carries or runs.
fn call_line(
    dissector: &mut Dissector,
    frames: &mut Frames<'_>,
    pdu: &PduRow,
    call: &requests::Call,
    whole: bool,
) -> String {
    let mut line = format!("RPC {}", short(&call.procedure));
    let count = call.parameters.len();
    if count > 0 || !whole {
        let plural = if count == 1 { "param" } else { "params" };
        let or_more = if whole { "" } else { "+" };
        // Writing to a String cannot fail.
        let _ = write!(line, " ({count}{or_more} {plural})");
    }
    let statement = handles::statement(call).map(str::to_owned).or_else(|| {
        let before = pdu.first_frame;
        handles::origin(dissector, frames, pdu.conn, before, call).map(|origin| origin.text)
    });
    if let Some(statement) = statement {
        line.push(' ');
        line.push_str(&short(&statement));
    }
    line
}

fn prelogin_words(body: &[u8]) -> String {
    let Some(prelogin) = Prelogin::read(body) else {
        return "Prelogin".to_owned();
    };
    let mut words = "Prelogin".to_owned();
    if let Some(mars) = prelogin.mars {
        words.push_str(if mars == 1 { " MARS on" } else { " MARS off" });
    }
    if let Some(encryption) = prelogin.encryption {
        words.push_str(match encryption & 0x1f {
            0 => ", encryption off",
            1 => ", encryption on",
            2 => ", no encryption",
            3 => ", encryption required",
            _ => "",
        });
    }
    words
}

fn login_words(store: &Store, pdu: &PduRow) -> String {
    let login = store.conn(pdu.conn).and_then(|conn| conn.login.clone());
    let Some(login) = login else {
        return "Login7".to_owned();
    };
    let mut words = "Login7".to_owned();
    for part in [&login.user, &login.host, &login.app].into_iter().flatten() {
        words.push(' ');
        words.push_str(&short(part));
    }
    words
}

/// What an SSPI token is, in words.
pub fn sspi_words(body: &[u8]) -> Option<String> {
    Some(match sspi::recognise(body) {
        Token::Ntlm(1) => "NTLM NEGOTIATE".to_owned(),
        Token::Ntlm(2) => "NTLM CHALLENGE".to_owned(),
        Token::Ntlm(3) => match sspi::authenticate_names(body) {
            Some((domain, user, ..)) => {
                format!("NTLM AUTHENTICATE {}\\{}", short(&domain), short(&user))
            }
            None => "NTLM AUTHENTICATE".to_owned(),
        },
        Token::Ntlm(_) => "NTLM".to_owned(),
        Token::Kerberos => "Kerberos".to_owned(),
        Token::Spnego => "SPNEGO".to_owned(),
        Token::Unknown => return None,
    })
}

fn answer_line(index: &mut Index, frames: &mut Frames<'_>, part: usize, pdu: &PduRow) -> String {
    if part == 0 && pdu.tds_type == packet_type::TABULAR_RESULT {
        let head = index.head(frames, 64);
        if tree_login::is_prelogin_reply(&head.bytes) || Prelogin::read(&head.bytes).is_some() {
            return format!("{} reply", prelogin_words(&head.bytes));
        }
    }
    let Some((runs, inside)) = index.tokens(frames, part) else {
        return message::type_name(pdu.tds_type).to_owned();
    };
    let mut words = token_words(&runs);
    if runs.is_empty() {
        "more of a row".clone_into(&mut words);
    } else if inside && part > 0 && runs.first().is_some_and(|(token, _)| !is_row(*token)) {
        words = format!("rest of a row, {words}");
    }
    if pdu.flags.has(PduFlags::ERROR)
        && let Some(request) = super::pdu::request_of(frames.store, pdu)
        && let Some(error) = &request.error
    {
        // Writing to a String cannot fail.
        let _ = write!(
            words,
            ": {} class {} {}",
            error.number,
            error.class,
            short(&error.text)
        );
    }
    words
}

fn is_row(token: u8) -> bool {
    matches!(token, tokens::token::ROW | tokens::token::NBCROW)
}

/// Runs of tokens in words: `COLMETADATA ROW x11 DONE`.
fn token_words(runs: &[(u8, u32)]) -> String {
    let mut words: Vec<String> = Vec::new();
    for (token, count) in runs {
        let name = tokens::name(*token).map_or_else(|| format!("0x{token:02x}"), str::to_owned);
        words.push(if *count > 1 {
            format!("{name} x{count}")
        } else {
            name
        });
    }
    words.join(" ")
}

/// Text of the capture in one safe line of bounded length.
pub fn short(text: &str) -> String {
    let mut out = String::new();
    let mut space = false;
    for (taken, c) in text.trim().chars().enumerate() {
        if taken >= MAX_TEXT {
            out.push_str("...");
            break;
        }
        if c.is_whitespace() {
            space = true;
            continue;
        }
        if space {
            out.push(' ');
            space = false;
        }
        out.push(c);
    }
    safe(&out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_one_line_of_bounded_length() {
        assert_eq!(short("  select\r\n\t1 "), "select 1");
        assert_eq!(short(&"x".repeat(500)).len(), MAX_TEXT + 3);
        assert_eq!(short("a\u{1b}b"), "a\\x1bb");
    }

    #[test]
    fn runs_of_tokens_are_counted() {
        assert_eq!(
            token_words(&[(0x81, 1), (0xd1, 11), (0xfd, 1)]),
            "COLMETADATA ROW x11 DONE"
        );
    }
}
