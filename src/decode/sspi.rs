//! SSPI tokens: NTLM, SPNEGO and Kerberos as far as they are readable ([MS-NLMP] 2.2.1, RFC 4178, RFC 4120).
//! Challenges and responses are secrets: they let a password be guessed offline.

use super::der::{Tlv, oid};
use super::field::{Field, Value};
use super::ntlm;
use super::reader::Reader;
use super::registry;
use super::walk::{Step, Walk};

pub use super::ntlm::authenticate_names;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Token {
    /// NTLM, with or without SPNEGO around; the message type (1 to 3).
    Ntlm(u32),
    /// Kerberos, with or without SPNEGO around.
    Kerberos,
    /// SPNEGO whose mechanism is not visible.
    Spnego,
    /// None of these.
    Unknown,
}

const OID_NTLM: &[u8] = &[0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 2, 0x0a];
const OID_KERBEROS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2];
const OID_KERBEROS_MS: &[u8] = &[0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 1, 2, 2];
const OID_SPNEGO: &[u8] = &[0x2b, 6, 1, 5, 5, 2];

/// Recognises a token.
pub fn recognise(bytes: &[u8]) -> Token {
    if let Some(at) = ntlm::start(bytes) {
        let kind = bytes
            .get(at.saturating_add(8)..)
            .and_then(|rest| Reader::new(rest).u32_le());
        return Token::Ntlm(kind.unwrap_or(0));
    }
    if memchr::memmem::find(bytes, OID_KERBEROS).is_some()
        || memchr::memmem::find(bytes, OID_KERBEROS_MS).is_some()
    {
        return Token::Kerberos;
    }
    match bytes.first() {
        Some(0xa0..=0xa3) => Token::Spnego,
        Some(0x60) if memchr::memmem::find(bytes, OID_SPNEGO).is_some() => Token::Spnego,
        _ => Token::Unknown,
    }
}

/// The ranges of a token that hold secrets.
pub fn secret_ranges(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut w = Walk::new(bytes, 0);
    let result = fields(&mut w);
    let mut ranges = Vec::new();
    for field in &w.finish(result).fields {
        field.walk(&mut |field| {
            if matches!(field.value, Value::Secret(_)) {
                ranges.extend(field.spans.iter().map(|span| span.bytes.clone()));
            }
        });
    }
    ranges
}

/// The fields of a token: all bytes that are left.
pub fn fields(w: &mut Walk<'_>) -> Step<()> {
    let bytes = w.r.rest();
    let base = w.at();
    let len = bytes.len();
    match bytes.first() {
        Some(0x60 | 0xa0..=0xa3) => spnego(w, bytes, base),
        _ => {
            if ntlm::start(bytes).is_none() && len > 0 {
                // Nothing is known of it, so nothing of it is shown.
                w.push(
                    Field::new("tds.sspi.buffer", "token", Value::Secret(len))
                        .at(base..base.saturating_add(len)),
                );
            }
        }
    }
    let result = match ntlm::start(bytes) {
        Some(at) => {
            let message = bytes.get(at..).unwrap_or_default();
            w.with(message, base.saturating_add(at), ntlm::message)
        }
        None => Ok(()),
    };
    w.r.skip(len);
    result
}

fn spnego(w: &mut Walk<'_>, bytes: &[u8], base: usize) {
    let end = base.saturating_add(bytes.len());
    let is_kerberos = bytes
        .get(..24)
        .is_some_and(|head| memchr::memmem::find(head, OID_KERBEROS).is_some());
    if bytes.first() == Some(&0x60) && is_kerberos {
        kerberos(w, bytes, base);
        return;
    }
    let mut field = Field::new("spnego", "SPNEGO", Value::None).at(base..end);
    let mut mechanisms = Vec::new();
    let mut state = None;
    let mut stack = vec![(bytes, base, 0_u8)];
    // Depth first over the constructed values; tokens inside octet strings are looked at by their own decoders.
    while let Some((data, at, depth)) = stack.pop() {
        for tlv in Tlv::list(data, at) {
            match tlv.tag {
                0x06 if tlv.content != OID_SPNEGO => {
                    mechanisms.push((oid_name(tlv.content), tlv.range.clone()));
                }
                0x0a => state = tlv.content.first().map(|value| (*value, tlv.range.clone())),
                tag if tag & 0x20 != 0 && depth < 8 => {
                    stack.push((tlv.content, tlv.content_at, depth.saturating_add(1)));
                }
                _ => {}
            }
        }
    }
    for (name, range) in mechanisms {
        field
            .children
            .push(Field::new("spnego.mech", "mechanism", Value::Text(name)).at(range));
    }
    if let Some((value, range)) = state {
        let value = u64::from(value);
        let word = registry::word("spnego.state", value).unwrap_or_default();
        field = field.text(word);
        field.children.push(
            Field::new("spnego.state", "state", Value::UInt(value))
                .text(word)
                .at(range),
        );
    }
    w.push(field);
    if ntlm::start(bytes).is_none() {
        match memchr::memmem::find(bytes, OID_KERBEROS).filter(|at| {
            bytes
                .get(at.saturating_add(OID_KERBEROS.len())..)
                .is_some_and(|rest| matches!(rest, [1..=3, 0, ..]))
        }) {
            Some(_) => kerberos(w, bytes, base),
            None => {
                w.push(
                    Field::new("tds.sspi.buffer", "token", Value::Secret(bytes.len()))
                        .at(base..end),
                );
            }
        }
    }
}

fn oid_name(content: &[u8]) -> String {
    match content {
        OID_NTLM => "NTLM".to_owned(),
        OID_KERBEROS => "Kerberos".to_owned(),
        OID_KERBEROS_MS => "Kerberos (Microsoft)".to_owned(),
        _ => oid(content),
    }
}

/// What a Kerberos token shows: which message it is, realm and service, an error code; tickets are secrets.
fn kerberos(w: &mut Walk<'_>, bytes: &[u8], base: usize) {
    let Some(at) = memchr::memmem::find(bytes, OID_KERBEROS) else {
        return;
    };
    let start = at.saturating_add(OID_KERBEROS.len());
    let Some((head, message)) = bytes.get(start..).and_then(|rest| rest.split_at_checked(2)) else {
        return;
    };
    let kind = match head {
        [1, 0] => "AP-REQ",
        [2, 0] => "AP-REP",
        [3, 0] => "KRB-ERROR",
        _ => "token",
    };
    let from = base.saturating_add(start);
    let end = base.saturating_add(bytes.len());
    let mut field = Field::new("kerberos", "Kerberos", Value::Text(kind.to_owned())).at(from..end);
    let inner_at = from.saturating_add(2);
    let strings = |path: &[u8], at: usize| general_strings(path, at);
    match kind {
        "AP-REQ" => {
            // [APPLICATION 14] SEQUENCE { [3] Ticket: [APPLICATION 1] SEQUENCE { [1] realm, [2] sname, [3] secret } }
            let ticket = Tlv::path(message, inner_at, &[0x6e, 0x30, 0xa3, 0x61, 0x30]);
            if let Some(ticket) = ticket {
                push_names(
                    &mut field,
                    ticket.content,
                    ticket.content_at,
                    0xa1,
                    0xa2,
                    strings,
                );
            }
        }
        "KRB-ERROR" => {
            let error = Tlv::path(message, inner_at, &[0x7e, 0x30]);
            if let Some(error) = error {
                push_names(
                    &mut field,
                    error.content,
                    error.content_at,
                    0xa9,
                    0xaa,
                    strings,
                );
                let code = Tlv::path(error.content, error.content_at, &[0xa6, 0x02]);
                if let Some(code) = code {
                    let value = code
                        .content
                        .iter()
                        .take(8)
                        .fold(0, |sum, byte| sum << 8 | u64::from(*byte));
                    field.children.push(
                        Field::new("kerberos.error", "error", Value::UInt(value)).at(code.range),
                    );
                }
            }
        }
        _ => {}
    }
    if kind != "KRB-ERROR" {
        field.children.push(
            Field::new("tds.sspi.buffer", "token", Value::Secret(message.len())).at(inner_at..end),
        );
    }
    w.push(field);
}

fn push_names(
    field: &mut Field,
    content: &[u8],
    at: usize,
    realm_tag: u8,
    name_tag: u8,
    strings: impl Fn(&[u8], usize) -> Option<(String, std::ops::Range<usize>)>,
) {
    for tlv in Tlv::list(content, at) {
        let (name, label) = if tlv.tag == realm_tag {
            ("kerberos.realm", "realm")
        } else if tlv.tag == name_tag {
            ("kerberos.sname", "service")
        } else {
            continue;
        };
        if let Some((text, range)) = strings(tlv.content, tlv.content_at) {
            field
                .children
                .push(Field::new(name, label, Value::Text(text)).at(range));
        }
    }
}

/// The GeneralStrings inside a value, joined by `/` as in a service name.
fn general_strings(content: &[u8], at: usize) -> Option<(String, std::ops::Range<usize>)> {
    let mut parts = Vec::new();
    let mut stack = vec![(content, at, 0_u8)];
    while let Some((data, at, depth)) = stack.pop() {
        for tlv in Tlv::list(data, at) {
            if tlv.tag == 0x1b {
                parts.push(String::from_utf8_lossy(tlv.content).into_owned());
            } else if tlv.tag & 0x20 != 0 && depth < 4 {
                stack.push((tlv.content, tlv.content_at, depth.saturating_add(1)));
            }
        }
    }
    let end = at.saturating_add(content.len());
    (!parts.is_empty()).then(|| (parts.join("/"), at..end))
}
