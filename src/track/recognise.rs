//! Tells by its first bytes what begins at a PDU border: SMP, TDS, TLS, or something that is none of them.

use crate::decode::smp;
use crate::decode::tds;
use crate::decode::tds::packet_type as pt;
use crate::decode::tls::RecordHeader;
use crate::decode::tls::hello::Hello;
use crate::units::End;

/// Bytes of a packet or record that goes on in the next segment, from which its header can be told from chance in a
/// stream that has shown nothing else: who sends more than fits into a segment fills it.
const TELLING: usize = 64;

/// What both directions of a connection have shown about what it carries.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Known {
    /// The connection's SYN is in the file.
    pub(super) from_start: bool,
    /// TDS was recognised.
    pub(super) proven: bool,
    /// One of the ports is SQL Server's.
    pub(super) sql_port: bool,
    /// The client, if it is known.
    pub(super) client: Option<End>,
    /// MARS agreed by both PRELOGINs, refused, or not known.
    pub(super) mars: Option<bool>,
    /// The login was accepted: with MARS everything behind it is SMP.
    pub(super) logged_in: bool,
    /// TLS records stand by themselves, not inside TDS packets: such a record was read.
    pub(super) bare_tls: bool,
    /// The version chosen is one whose handshake has no records of application data.
    pub(super) plain_handshake: bool,
    /// SMP was seen in either direction.
    pub(super) smp: bool,
    /// Packet size agreed, if known.
    pub(super) packet_size: Option<u32>,
    /// The server's SPID, if known.
    pub(super) spid: Option<u16>,
}

/// What begins at a PDU border.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// So many bytes are needed to tell.
    Need(usize),
    Smp(smp::Header),
    Tds(tds::Header),
    Tls(RecordHeader),
    /// Nothing that belongs here.
    Unknown,
    /// The connection carries something else.
    Other,
}

/// The first bytes of a connection that has not shown yet what it carries.
pub(super) fn first_bytes(
    end: End,
    view: &[u8],
    rest: &[u8],
    no_more: bool,
    known: Known,
    at_start: bool,
) -> Class {
    let opening = known.from_start && at_start;
    let nothing = if opening {
        Class::Other
    } else {
        Class::Unknown
    };
    if !opening {
        // Joined late or behind a gap: the search decides, which asks for more.
        return nothing;
    }
    let Some(first) = view.first().copied() else {
        return Class::Need(1);
    };
    if known.client.is_some_and(|client| client != end) {
        // SQL Server never speaks first; but the client's first words may be missing from the file.
        return Class::Unknown;
    }
    // The header itself must be in `view`, which is what gets used up; `rest` is only looked at.
    if view.len() < tds::HEADER_LEN && !no_more {
        return Class::Need(tds::HEADER_LEN);
    }
    match first {
        pt::PRELOGIN | pt::LOGIN7 | pt::LOGIN_OLD => {
            let need = 20;
            let whole;
            let view = if view.len() < need && !rest.is_empty() {
                whole = [view, rest].concat();
                &whole
            } else {
                view
            };
            if view.len() < need && !no_more {
                return Class::Need(need);
            }
            match tds::Header::read(view) {
                Some(header) if plausible(header) && opens(header, view) => Class::Tds(header),
                _ => nothing,
            }
        }
        smp::SMID => {
            if view.len() < smp::HEADER_LEN && !no_more {
                return Class::Need(smp::HEADER_LEN);
            }
            // Out of place here, which the checks say; but nothing else begins like this.
            match smp::Header::read(view) {
                Some(header)
                    if header.flags == smp::SYN
                        && header.is_legal()
                        && confirmed_smp(&header, view, rest, no_more) == Some(true) =>
                {
                    Class::Smp(header)
                }
                _ => nothing,
            }
        }
        0x16 => {
            let whole = [view, rest].concat();
            if whole.len() < 9 && !no_more {
                return Class::Need(9);
            }
            let Some(header) = RecordHeader::read(&whole) else {
                return nothing;
            };
            let strict = Hello::read_records(&whole).is_some_and(|hello| {
                hello.client && (known.sql_port || hello.alpn.iter().any(|a| a == "tds/8.0"))
            });
            if strict { Class::Tls(header) } else { nothing }
        }
        _ => nothing,
    }
}

/// Whether type, status and length are those of a TDS packet. An attention has no body, and some clients leave
/// old bytes behind its length.
pub(super) fn plausible(header: tds::Header) -> bool {
    let attention = header.kind == pt::ATTENTION && header.length == 8 && header.status & 0xe0 == 0;
    header.is_plausible() || attention
}

/// Whether what follows an SMP header confirms it: `None` if the file does not show it.
pub(super) fn confirmed_smp(
    header: &smp::Header,
    view: &[u8],
    rest: &[u8],
    no_more: bool,
) -> Option<bool> {
    let byte = |at: usize| {
        view.get(at)
            .or_else(|| rest.get(at.checked_sub(view.len())?))
            .copied()
    };
    if header.flags == smp::DATA && !no_more {
        let inner: Vec<u8> = (16..24).map_while(byte).collect();
        let inner = tds::Header::read(&inner)?;
        if !plausible(inner) || u32::from(inner.length) != header.length.saturating_sub(16) {
            return Some(false);
        }
    }
    let next = usize::try_from(header.length).ok()?;
    let all = view.len().saturating_add(rest.len());
    if all == next {
        return Some(true);
    }
    if header.flags == smp::DATA && all < next {
        return Some(true);
    }
    match (byte(next), byte(next.saturating_add(1))) {
        (Some(smp::SMID), Some(1 | 2 | 4 | 8) | None) => Some(true),
        (None, _) => None,
        _ => Some(false),
    }
}

/// Whether a TDS packet type is one that this end sends.
pub(super) fn right_direction(end: End, kind: u8, known: Known) -> bool {
    match known.client {
        // Both send PRELOGIN (the server in a TLS handshake); the server sends nothing but that and results.
        Some(client) if client == end => kind != pt::TABULAR_RESULT,
        Some(_) => matches!(kind, pt::TABULAR_RESULT | pt::PRELOGIN),
        None => true,
    }
}

/// Whether a client's first packet is a PRELOGIN or a login, by its body.
fn opens(header: tds::Header, packet: &[u8]) -> bool {
    let body = packet.get(tds::HEADER_LEN..).unwrap_or_default();
    match header.kind {
        // VERSION comes first, and its data lies behind the option table ([MS-TDS] 2.2.6.5).
        pt::PRELOGIN => {
            matches!(body, [0, hi, lo, 0, 4 | 6, ..]
                if (6..header.length).contains(&u16::from_be_bytes([*hi, *lo])))
        }
        pt::LOGIN7 => {
            let version = body.get(7).copied();
            let length = body.first_chunk::<4>().map(|b| u32::from_le_bytes(*b));
            let packet = u32::from(header.length.saturating_sub(8));
            matches!(version, Some(0x70..=0x7f | 0x04 | 0x08))
                && length.is_some_and(|len| len == packet || (len > packet && !header.is_eom()))
        }
        pt::LOGIN_OLD => (500..=600).contains(&header.length) && header.status <= 1,
        _ => false,
    }
}

/// Whether programs agree on such a packet size: powers of two, and the defaults and limits of some of them.
fn is_usual_size(length: u16) -> bool {
    let power = length.is_power_of_two() && (512..=0x4000).contains(&length);
    power || matches!(length, 8000 | 0x3fff | 0x7fff)
}

/// TDS or TLS at the start of a segment, behind a gap or in a connection joined late.
pub(super) fn certain_plain(end: End, view: &[u8], known: Known) -> Class {
    if known.smp || (known.mars == Some(true) && known.logged_in) {
        return Class::Unknown;
    }
    let segment = view.len();
    if let Some(header) = RecordHeader::read(view).filter(|h| (0x14..=0x17).contains(&h.content)) {
        let next = usize::from(header.length).saturating_add(5);
        let confirmed = match view.get(next..) {
            Some([]) => true,
            Some(more) => more.len() >= 5 && RecordHeader::read(more).is_some(),
            None => known.proven || segment >= TELLING,
        };
        let allowed = (known.proven || known.sql_port) && is_bare(header, known);
        return if confirmed && allowed && header.length > 0 {
            Class::Tls(header)
        } else {
            Class::Unknown
        };
    }
    let Some(header) = tds::Header::read(view) else {
        return Class::Unknown;
    };
    if !plausible(header) || !right_direction(end, header.kind, known) {
        return Class::Unknown;
    }
    let login_step = matches!(
        header.kind,
        pt::TABULAR_RESULT | pt::PRELOGIN | pt::LOGIN7 | pt::SSPI | pt::FED_AUTH
    );
    if known.mars == Some(true) && !login_step {
        return Class::Unknown;
    }
    let next = usize::from(header.length);
    let confirmed = match view.get(next..) {
        Some([]) => true,
        Some(more) => tds::Header::read(more).is_some_and(plausible),
        // The packet goes on in the next segment: only a full packet, or the last of its message, does.
        None => {
            (known.proven || segment >= TELLING)
                && (header.is_eom()
                    || known.packet_size.map_or_else(
                        || is_usual_size(header.length),
                        |size| size == u32::from(header.length),
                    ))
        }
    };
    let server = header.kind == pt::TABULAR_RESULT;
    let spid_fits = match (server, known.spid) {
        (true, Some(spid)) => header.spid == spid,
        (true, None) => true,
        (false, _) => header.spid == 0,
    };
    // Of a message's packets a server marks the last one, and nothing else ([MS-TDS] 2.2.3.1.2).
    let status_fits = !server || header.status <= tds::STATUS_EOM;
    if !confirmed || !spid_fits || !status_fits {
        return Class::Unknown;
    }
    // With MARS only the login's answer stands outside SMP.
    let expected = known.proven && !(server && known.mars == Some(true));
    if expected || looks_like_tds(header, view, known.sql_port) {
        Class::Tds(header)
    } else {
        Class::Unknown
    }
}

/// Whether a TLS record that begins a segment stands by itself. Until the handshake is over its records travel
/// inside TDS packets, and one of them may begin a segment too.
fn is_bare(header: RecordHeader, known: Known) -> bool {
    known.bare_tls || (header.content == 23 && (known.plain_handshake || !known.from_start))
}

/// Whether a packet's body fits its type; a stream that nothing else proves must show more than a header.
fn looks_like_tds(header: tds::Header, packet: &[u8], sql_port: bool) -> bool {
    let body = packet.get(tds::HEADER_LEN..).unwrap_or_default();
    let all_headers = matches!(body, [_, _, 0, 0, _, 0, 0, 0, 1..=3, 0, ..]);
    let first_packet = header.packet_id <= 1;
    match header.kind {
        pt::TABULAR_RESULT => {
            let token = matches!(
                body.first(),
                Some(
                    0x79
                    | 0x81
                    | 0xa3..=0xa5
                    | 0xa9..=0xae
                    | 0xd1..=0xd3
                    | 0xe3
                    | 0xe4
                    | 0xed
                    | 0xee
                    | 0xfd..=0xff,
                )
            );
            if first_packet {
                token
                    && (sql_port
                        || matches!(body, [0x81, _, 0, ..] | [0xe3 | 0xaa..=0xab | 0xfd..=0xff, ..]))
            } else {
                sql_port
            }
        }
        pt::SQL_BATCH => {
            all_headers || matches!(body, [1..=255, 0, 1..=255, 0, 1..=255, 0, 1..=255, 0, ..])
        }
        pt::RPC => {
            all_headers
                || matches!(
                    body,
                    [0xff, 0xff, 1..=15, 0, ..] | [1..=128, 0, 1..=255, 0, 1..=255, 0, ..]
                )
        }
        pt::TRANSACTION_MANAGER => all_headers,
        pt::BULK_LOAD => body.first() == Some(&0x81),
        pt::ATTENTION => header.length == 8 && sql_port,
        pt::PRELOGIN | pt::LOGIN7 => opens(header, packet),
        _ => false,
    }
}
