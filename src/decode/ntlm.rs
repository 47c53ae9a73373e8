//! NTLM messages: names in clear, challenge and responses masked ([MS-NLMP] 2.2.1).

use super::field::{Field, Value};
use super::reader::Reader;
use super::tds::type_info::utf16;
use super::walk::{Step, Walk};

/// What every message begins with.
pub(super) const MAGIC: &[u8] = b"NTLMSSP\0";

/// Where a message begins in a token.
pub(super) fn start(token: &[u8]) -> Option<usize> {
    memchr::memmem::find(token, MAGIC)
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

pub(super) fn message(w: &mut Walk<'_>) -> Step<()> {
    let message = w.r.rest();
    let base = w.at();
    w.group("ntlmssp", "NTLM", |w| {
        w.r.skip(MAGIC.len());
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
    let message = token.get(start(token)?..)?;
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
