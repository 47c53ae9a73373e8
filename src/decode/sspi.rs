//! SSPI tokens: NTLM, SPNEGO and Kerberos as far as they are readable ([MS-NLMP] 2.2.1, RFC 4178, RFC 4120).
//! Challenges and responses are secrets: they let a password be guessed offline.

use super::der::{Tlv, oid};
use super::field::{Field, Value};
use super::reader::Reader;
use super::registry;
use super::tds::type_info::utf16;
use super::walk::{Step, Walk};

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

const NTLM_MAGIC: &[u8] = b"NTLMSSP\0";
const OID_NTLM: &[u8] = &[0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 2, 0x0a];
const OID_KERBEROS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2];
const OID_KERBEROS_MS: &[u8] = &[0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 1, 2, 2];
const OID_SPNEGO: &[u8] = &[0x2b, 6, 1, 5, 5, 2];

/// Recognises a token.
pub fn recognise(bytes: &[u8]) -> Token {
    if let Some(at) = ntlm_start(bytes) {
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

fn ntlm_start(bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, NTLM_MAGIC)
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
            if ntlm_start(bytes).is_none() && len > 0 {
                // Nothing is known of it, so nothing of it is shown.
                w.push(
                    Field::new("tds.sspi.buffer", "token", Value::Secret(len))
                        .at(base..base.saturating_add(len)),
                );
            }
        }
    }
    let result = match ntlm_start(bytes) {
        Some(at) => {
            let message = bytes.get(at..).unwrap_or_default();
            w.with(message, base.saturating_add(at), ntlm)
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
    if ntlm_start(bytes).is_none() {
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

/// Where a field of an NTLM message stands: {length u16, allocated u16, offset u32}.
struct Slot {
    len: usize,
    offset: usize,
}

fn slot(message: &[u8], at: usize) -> Option<Slot> {
    let mut r = Reader::new(message.get(at..)?);
    let len = usize::from(r.u16_le()?);
    r.u16_le()?;
    let offset = usize::try_from(r.u32_le()?).ok()?;
    Some(Slot { len, offset })
}

/// NTLM negotiate flag: texts are UTF-16LE.
const UNICODE: u64 = 0x0000_0001;

fn ntlm(w: &mut Walk<'_>) -> Step<()> {
    let message = w.r.rest();
    let base = w.at();
    w.group("ntlmssp", "NTLM", |w| {
        w.r.skip(NTLM_MAGIC.len());
        let kind = w.le("ntlmssp.messagetype", "message", 4)?;
        w.say(match kind {
            1 => "NEGOTIATE",
            2 => "CHALLENGE",
            3 => "AUTHENTICATE",
            _ => "unknown",
        });
        match kind {
            1 => {
                w.hex("ntlmssp.negotiateflags", "flags", 4)?;
                version(w, message, base, 32);
            }
            2 => challenge(w, message, base),
            3 => authenticate(w, message, base),
            _ => {}
        }
        Ok(())
    })
}

fn flags_at(w: &mut Walk<'_>, message: &[u8], base: usize, at: usize) -> u64 {
    let Some(flags) = message
        .get(at..)
        .and_then(|rest| Reader::new(rest).u32_le())
    else {
        return 0;
    };
    let start = base.saturating_add(at);
    w.push(
        Field::new(
            "ntlmssp.negotiateflags",
            "flags",
            Value::Hex(u64::from(flags), 8),
        )
        .at(start..start.saturating_add(4)),
    );
    u64::from(flags)
}

fn challenge(w: &mut Walk<'_>, message: &[u8], base: usize) {
    let flags = flags_at(w, message, base, 20);
    text(
        w,
        message,
        base,
        12,
        flags,
        "ntlmssp.challenge.target_name",
        "target",
    );
    secret(
        w,
        base,
        message.len(),
        24,
        8,
        "ntlmssp.ntlmserverchallenge",
        "challenge",
    );
    if let Some(info) = slot(message, 40) {
        target_info(w, message, base, &info);
    }
    version(w, message, base, 48);
}

fn authenticate(w: &mut Walk<'_>, message: &[u8], base: usize) {
    let flags = flags_at(w, message, base, 60);
    text(w, message, base, 28, flags, "ntlmssp.auth.domain", "domain");
    text(w, message, base, 36, flags, "ntlmssp.auth.username", "user");
    text(
        w,
        message,
        base,
        44,
        flags,
        "ntlmssp.auth.hostname",
        "workstation",
    );
    for (at, label) in [
        (12, "LM response"),
        (20, "NT response"),
        (52, "session key"),
    ] {
        if let Some(part) = slot(message, at).filter(|part| part.len > 0) {
            secret(
                w,
                base,
                message.len(),
                part.offset,
                part.len,
                "ntlmssp.auth.response",
                label,
            );
            if at == 20 {
                w.say(if part.len > 24 { "NTLM v2" } else { "NTLM v1" });
            }
        }
    }
    // The MIC is there unless the payload begins before its place ends.
    let payload = [12, 20, 28, 36, 44, 52]
        .into_iter()
        .filter_map(|at| slot(message, at))
        .filter(|part| part.len > 0)
        .map(|part| part.offset)
        .min()
        .unwrap_or(0);
    if payload >= 72 {
        version(w, message, base, 64);
    }
    if payload >= 88 {
        secret(
            w,
            base,
            message.len(),
            72,
            16,
            "ntlmssp.auth.response",
            "MIC",
        );
    }
}

/// Domain, user and workstation of an AUTHENTICATE message, and whether the response is of version 2.
pub fn authenticate_names(token: &[u8]) -> Option<(String, String, String, bool)> {
    let message = token.get(ntlm_start(token)?..)?;
    let mut r = Reader::new(message.get(8..)?);
    if r.u32_le()? != 3 {
        return None;
    }
    let flags = message
        .get(60..)
        .and_then(|rest| Reader::new(rest).u32_le())
        .map_or(UNICODE, u64::from);
    let read = |at| {
        slot(message, at)
            .and_then(|part| part_bytes(message, &part))
            .map(|bytes| string(bytes, flags))
            .unwrap_or_default()
    };
    let v2 = slot(message, 20).is_some_and(|part| part.len > 24);
    Some((read(28), read(36), read(44), v2))
}

fn part_bytes<'m>(message: &'m [u8], part: &Slot) -> Option<&'m [u8]> {
    message.get(part.offset..part.offset.checked_add(part.len)?)
}

fn string(bytes: &[u8], flags: u64) -> String {
    if flags & UNICODE == 0 {
        String::from_utf8_lossy(bytes).into_owned()
    } else {
        utf16(bytes)
    }
}

fn text(
    w: &mut Walk<'_>,
    message: &[u8],
    base: usize,
    at: usize,
    flags: u64,
    name: &'static str,
    label: &'static str,
) {
    let Some(part) = slot(message, at).filter(|part| part.len > 0) else {
        return;
    };
    if let Some(bytes) = part_bytes(message, &part) {
        let start = base.saturating_add(part.offset);
        w.push(
            Field::new(name, label, Value::Text(string(bytes, flags)))
                .at(start..start.saturating_add(part.len)),
        );
    }
}

fn secret(
    w: &mut Walk<'_>,
    base: usize,
    total: usize,
    at: usize,
    len: usize,
    name: &'static str,
    label: &'static str,
) {
    let start = at.min(total);
    let end = at.saturating_add(len).min(total);
    if start < end {
        w.push(
            Field::new(name, label, Value::Secret(end.saturating_sub(start)))
                .at(base.saturating_add(start)..base.saturating_add(end)),
        );
    }
}

fn version(w: &mut Walk<'_>, message: &[u8], base: usize, at: usize) {
    let Some(mut r) = message.get(at..at.saturating_add(8)).map(Reader::new) else {
        return;
    };
    let (Some(major), Some(minor), Some(build)) = (r.u8(), r.u8(), r.u16_le()) else {
        return;
    };
    if major == 0 {
        return;
    }
    let start = base.saturating_add(at);
    w.push(
        Field::new(
            "ntlmssp.version",
            "version",
            Value::Text(format!("Windows {major}.{minor}.{build}")),
        )
        .at(start..start.saturating_add(8)),
    );
}

fn target_info(w: &mut Walk<'_>, message: &[u8], base: usize, info: &Slot) {
    let Some(bytes) = part_bytes(message, info) else {
        return;
    };
    let mut r = Reader::at(bytes, base.saturating_add(info.offset));
    while let (Some(id), Some(len)) = (r.u16_le(), r.u16_le()) {
        let Some(data) = r.take(usize::from(len)) else {
            return;
        };
        let label = match id {
            0 => return,
            1 => "NetBIOS computer",
            2 => "NetBIOS domain",
            3 => "DNS computer",
            4 => "DNS domain",
            5 => "DNS tree",
            9 => "target SPN",
            // Flags, time and channel bindings go into the response.
            _ => continue,
        };
        w.push(
            Field::new("ntlmssp.target_info", label, Value::Text(utf16(data)))
                .at(r.last(usize::from(len))),
        );
    }
}
