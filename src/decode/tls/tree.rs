//! TLS records as trees: handshake messages, hellos, alerts, certificates.

use super::certificate;
use super::hello::{CLIENT_HELLO, Hello, SERVER_HELLO};
use super::{RECORD_HEADER, RecordHeader, content, names};
use crate::decode::field::{Field, Value};
use crate::decode::reader::Reader;
use crate::decode::walk::{Step, Stop, Walk};

/// Handshake type of Certificate.
const CERTIFICATE: u8 = 11;

/// All records that are left.
pub fn records(w: &mut Walk<'_>) -> Step<()> {
    let mut encrypted = false;
    while !w.r.is_empty() {
        let Some(header) = RecordHeader::read(w.r.rest()) else {
            return Err(if w.r.left() < RECORD_HEADER {
                Stop::short(w.at(), "a TLS record header")
            } else {
                Stop::wrong(w.at(), "no TLS record")
            });
        };
        let words = w.group("tls.record", names::content(header.content), |w| {
            record(w, header, encrypted)
        })?;
        w.say(words);
        encrypted |= header.content == content::CHANGE_CIPHER_SPEC;
    }
    Ok(())
}

fn record(w: &mut Walk<'_>, header: RecordHeader, encrypted: bool) -> Step<String> {
    w.le("tls.record.content_type", "content type", 1)?;
    w.say(names::content(header.content));
    let version = w.hex_be("tls.record.version", "version", 2)?;
    w.say(version_name(version));
    let len = w.be("tls.record.length", "length", 2)?;
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    let (part, cut) = w.r.sub_lax(len);
    let bytes = part.rest();
    let whole = std::mem::replace(&mut w.r, part);
    let result = body(w, header.content, bytes, encrypted, cut);
    w.r = whole;
    let words = result?;
    if cut {
        return Err(Stop::short(w.at(), "a TLS record"));
    }
    Ok(words)
}

fn body(w: &mut Walk<'_>, kind: u8, bytes: &[u8], encrypted: bool, cut: bool) -> Step<String> {
    let at = w.at();
    let range = at..at.saturating_add(bytes.len());
    match kind {
        content::CHANGE_CIPHER_SPEC => {
            w.push(
                Field::new("tls.change_cipher_spec", "change cipher spec", Value::None).at(range),
            );
            Ok("what follows is encrypted".to_owned())
        }
        content::ALERT if bytes.len() == 2 && !encrypted => {
            let level = w.le("tls.alert_message.level", "level", 1)?;
            w.say(match level {
                1 => "warning",
                2 => "fatal",
                _ => "unknown",
            });
            let alert = w.le("tls.alert_message.desc", "alert", 1)?;
            let name = u8::try_from(alert).map_or("", names::alert);
            w.say(name);
            Ok(name.to_owned())
        }
        content::HANDSHAKE if !encrypted && is_plain(bytes, cut) => handshake(w),
        content::HANDSHAKE => {
            w.push(
                Field::new("tls.encrypted", "encrypted handshake message", Value::None).at(range),
            );
            Ok("encrypted".to_owned())
        }
        _ => {
            w.push(
                Field::new("tls.app_data", "encrypted data", Value::None)
                    .text(format!("{} bytes", bytes.len()))
                    .at(range),
            );
            Ok(format!("{} bytes", bytes.len()))
        }
    }
}

/// Whether a record's bytes are handshake messages in clear: known types whose lengths fill the record.
pub fn is_plain(bytes: &[u8], cut: bool) -> bool {
    let mut r = Reader::new(bytes);
    while !r.is_empty() {
        let (Some(kind), Some(len)) = (r.u8(), r.u24_be()) else {
            return cut;
        };
        // Only hellos and certificates are long enough to go on in the next record.
        let may_go_on = cut || matches!(kind, CLIENT_HELLO | SERVER_HELLO | CERTIFICATE);
        if names::handshake(kind).is_none() || (len > r.left() && !(may_go_on && len < 1 << 17)) {
            return false;
        }
        r.skip(len.min(r.left()));
    }
    true
}

/// The names of the handshake messages of a record, or nothing if they are encrypted.
pub fn handshake_names(bytes: &[u8], cut: bool) -> Vec<&'static str> {
    let mut found = Vec::new();
    if !is_plain(bytes, cut) {
        return found;
    }
    let mut r = Reader::new(bytes);
    while let (Some(kind), Some(len)) = (r.u8(), r.u24_be()) {
        found.extend(names::handshake(kind));
        r.skip(len.min(r.left()));
    }
    found
}

fn handshake(w: &mut Walk<'_>) -> Step<String> {
    let mut words = Vec::new();
    while let Some(kind) = w.r.peek() {
        let label = names::handshake(kind).unwrap_or("handshake message");
        words.push(label);
        let message = w.r.rest();
        w.group("tls.handshake", label, |w| {
            let base = w.at();
            w.le("tls.handshake.type", "type", 1)?;
            w.say(label);
            let len = w.be("tls.handshake.length", "length", 3)?;
            let (part, _) = w.r.sub_lax(usize::try_from(len).unwrap_or(usize::MAX));
            match kind {
                CLIENT_HELLO | SERVER_HELLO => {
                    if let Some(hello) = Hello::read(message) {
                        hello_fields(w, &hello, base, message.len());
                    }
                }
                CERTIFICATE => certificate::chain(w, part),
                _ => {}
            }
            Ok(())
        })?;
    }
    Ok(words.join(", "))
}

fn version_name(number: u64) -> &'static str {
    u16::try_from(number)
        .ok()
        .and_then(names::version)
        .unwrap_or("unknown")
}

fn hello_fields(w: &mut Walk<'_>, hello: &Hello, base: usize, len: usize) {
    // Type, length, version: the random begins at 6.
    let at = |start: usize, len: usize| {
        let start = base.saturating_add(start);
        start..start.saturating_add(len)
    };
    // A hello that was cut before its random shows nothing of what was not read.
    if len < 38 {
        return;
    }
    w.push(
        Field::new(
            "tls.handshake.version",
            "version",
            Value::Hex(u64::from(hello.legacy_version), 4),
        )
        .text(version_name(u64::from(hello.legacy_version)))
        .at(at(4, 2)),
    );
    let remark = if hello.is_retry() {
        "asks for another Client Hello"
    } else if hello.is_downgrade() {
        "marks that a newer version was not chosen"
    } else {
        ""
    };
    w.push(
        Field::new(
            "tls.handshake.random",
            "random",
            Value::Bytes(hello.random.to_vec()),
        )
        .text(remark)
        .at(at(6, 32)),
    );
    if !hello.session_id.is_empty() {
        w.push(
            Field::new(
                "tls.handshake.session_id",
                "session id",
                Value::Bytes(hello.session_id.clone()),
            )
            .at(at(39, hello.session_id.len())),
        );
    }
    for cipher in &hello.ciphers {
        let mut field = Field::new(
            "tls.handshake.ciphersuite",
            "cipher suite",
            Value::Hex(u64::from(*cipher), 4),
        );
        field.text = match names::cipher(*cipher) {
            Some(name) => name.to_owned(),
            None if names::is_grease(*cipher) => "GREASE".to_owned(),
            None => String::new(),
        };
        w.push(field);
    }
    if let Some(name) = &hello.sni {
        w.push(Field::new(
            "tls.handshake.extensions_server_name",
            "server name",
            Value::Text(name.clone()),
        ));
    }
    for name in &hello.alpn {
        w.push(Field::new(
            "tls.handshake.extensions_alpn_str",
            "application protocol",
            Value::Text(name.clone()),
        ));
    }
    for version in &hello.versions {
        w.push(
            Field::new(
                "tls.handshake.extensions.supported_version",
                "supported version",
                Value::Hex(u64::from(*version), 4),
            )
            .text(version_name(u64::from(*version))),
        );
    }
    for group in &hello.groups {
        w.push(
            Field::new(
                "tls.handshake.extensions_supported_group",
                "group",
                Value::UInt(u64::from(*group)),
            )
            .text(names::group(*group).unwrap_or_default()),
        );
    }
    for (kind, data) in &hello.extensions {
        let start = base.saturating_add(data.start).saturating_sub(4);
        w.push(
            Field::new(
                "tls.handshake.extension.type",
                "extension",
                Value::UInt(u64::from(*kind)),
            )
            .text(names::extension(*kind))
            .at(start..base.saturating_add(data.end)),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encrypted_handshake_messages_are_not_taken_for_clear_ones() {
        // A Finished under AES-GCM begins with an explicit nonce of zeros, which reads as Hello Requests.
        let mut finished = vec![0; 8];
        finished.extend([0x9c; 32]);
        assert!(!is_plain(&finished, false));
        assert!(is_plain(&[14, 0, 0, 0], false));
    }

    #[test]
    fn alerts_are_named() {
        let mut w = Walk::new(&[21, 3, 3, 0, 2, 2, 70], 0);
        let result = records(&mut w);
        let decoded = w.finish(result);
        assert_eq!(decoded.stop, None);
        assert_eq!(decoded.fields[0].text, "Protocol Version");
    }
}
