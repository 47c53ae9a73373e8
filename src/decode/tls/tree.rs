//! TLS records as trees: handshake messages, hellos, alerts, certificates.

use std::ops::Range;

use super::certificate;
use super::hello::{CLIENT_HELLO, Hello, SERVER_HELLO};
use super::records::{CERTIFICATE, Message, Piece, Record, Stream};
use super::{content, names};
use crate::decode::field::{Field, Span, UNPLACED, Value};
use crate::decode::walk::{Decoded, Step, Stop, Walk};

/// All records that are left.
pub fn records(w: &mut Walk<'_>) -> Step<()> {
    let bytes = w.r.rest();
    let base = w.at();
    let stream = Stream::read(bytes, false);
    let all = 0..bytes.len();
    let result = some(w, &stream, bytes, base, &all);
    w.r.skip(bytes.len());
    result
}

/// The records of a stretch that have any of `wanted`. What their handshake messages need of the records around them
/// is read from there.
pub fn within(bytes: &[u8], wanted: &Range<usize>, encrypted: bool) -> (Decoded, Stream) {
    let stream = Stream::read(bytes, encrypted);
    let mut w = Walk::new(bytes, 0);
    let result = some(&mut w, &stream, bytes, 0, wanted);
    (w.finish(result), stream)
}

fn some<'a>(
    w: &mut Walk<'a>,
    stream: &Stream,
    bytes: &'a [u8],
    base: usize,
    wanted: &Range<usize>,
) -> Step<()> {
    for record in stream.records_in(wanted) {
        let at = base.saturating_add(record.range.start);
        let part = bytes.get(record.range.clone()).unwrap_or_default();
        let words = w.with(part, at, |w| {
            w.group("tls.record", names::content(record.header.content), |w| {
                one(w, stream, record, bytes, base)
            })
        })?;
        w.say(words);
    }
    match &stream.stop {
        Some(stop) if wanted.contains(&stop.at) || stop.at == wanted.end => Err(Stop {
            at: base.saturating_add(stop.at),
            ..stop.clone()
        }),
        _ => Ok(()),
    }
}

fn one(
    w: &mut Walk<'_>,
    stream: &Stream,
    record: &Record,
    bytes: &[u8],
    base: usize,
) -> Step<String> {
    w.le("tls.record.content_type", "content type", 1)?;
    w.say(names::content(record.header.content));
    let version = w.hex_be("tls.record.version", "version", 2)?;
    w.say(version_name(version));
    w.be("tls.record.length", "length", 2)?;
    let at = w.at();
    let left = w.r.left();
    let range = at..at.saturating_add(left);
    let whole = |name, label: &'static str| Field::new(name, label, Value::None).at(range.clone());
    let words = match record.header.content {
        content::CHANGE_CIPHER_SPEC => {
            w.push(whole("tls.change_cipher_spec", "change cipher spec"));
            "what follows is encrypted".to_owned()
        }
        content::ALERT if !record.encrypted => return alert(w),
        content::HANDSHAKE if !record.encrypted => {
            for piece in &record.pieces {
                if let Some(message) = stream.messages.get(piece.message) {
                    w.push(piece_field(stream, message, *piece, bytes, base));
                }
            }
            stream.piece_names(record).join(", ")
        }
        content::HANDSHAKE => {
            w.push(whole("tls.encrypted", "encrypted handshake message"));
            "encrypted".to_owned()
        }
        _ => {
            let words = format!("{left} bytes");
            w.push(whole("tls.app_data", "encrypted data").text(words.clone()));
            words
        }
    };
    w.r.skip(left);
    Ok(words)
}

fn alert(w: &mut Walk<'_>) -> Step<String> {
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

/// The part of a message that lies in a record: the message itself where it ends, and before that how much of it is
/// here.
fn piece_field(
    stream: &Stream,
    message: &Message,
    piece: Piece,
    bytes: &[u8],
    base: usize,
) -> Field {
    let count = message.ranges.len();
    if piece.part.saturating_add(1) < count {
        let range = message.ranges.get(piece.part).cloned().unwrap_or_default();
        // The record counts, not the message's last byte: it is shown where the record ends.
        let last = stream.last_record(piece.message);
        let from: usize = message.ranges.iter().take(piece.part).map(Range::len).sum();
        let place =
            |range: Range<usize>| base.saturating_add(range.start)..base.saturating_add(range.end);
        return Field::new("tls.handshake.fragment", message.name(), Value::None)
            .text(format!(
                "part {} of {count}: bytes {from} to {} of {}",
                piece.part.saturating_add(1),
                from.saturating_add(range.len()).saturating_sub(1),
                message.len
            ))
            .at(place(range))
            .child(
                Field::new("tls.handshake.reassembled_in", "shown whole", Value::None)
                    .text("in the record where it ends")
                    .at(place(last)),
            );
    }
    let joined = stream.bytes(bytes, message);
    let mut field = message_field(message, &joined);
    if count > 1 {
        field.text = format!("put together from {count} records");
    }
    field.place(&|range| spans(message, range, base));
    field
}

/// Where a range of a message lies in the stretch.
fn spans(message: &Message, range: Range<usize>, base: usize) -> Vec<Span> {
    let mut found = Vec::new();
    let mut at = 0_usize;
    for part in &message.ranges {
        let behind = at.saturating_add(part.len());
        let (start, end) = (range.start.max(at), range.end.min(behind));
        if start < end || (range.is_empty() && (at..=behind).contains(&range.start)) {
            let shift = base.saturating_add(part.start);
            let place = |n: usize| shift.saturating_add(n.saturating_sub(at));
            found.push(Span {
                frame: UNPLACED,
                bytes: place(start)..place(end.max(start)),
            });
            if range.is_empty() {
                break;
            }
        }
        at = behind;
    }
    found
}

/// A handshake message, as far as its bytes are there.
fn message_field(message: &Message, bytes: &[u8]) -> Field {
    let label = message.name();
    let mut w = Walk::new(bytes, 0);
    let result = w.group("tls.handshake", label, |w| {
        w.le("tls.handshake.type", "type", 1)?;
        w.say(label);
        w.be("tls.handshake.length", "length", 3)?;
        let body = w.r;
        match message.kind {
            Some(CLIENT_HELLO | SERVER_HELLO) => {
                if let Some(hello) = Hello::read(bytes) {
                    hello_fields(w, &hello, 0, bytes.len());
                }
            }
            Some(CERTIFICATE) => certificate::chain(w, body),
            _ => {}
        }
        let rest = w.r.left();
        w.r.skip(rest);
        Ok(())
    });
    let fields = w.finish(result).fields;
    let field = fields.into_iter().next();
    field.unwrap_or_else(|| Field::new("tls.handshake", label, Value::None))
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
    fn alerts_are_named() {
        let mut w = Walk::new(&[21, 3, 3, 0, 2, 2, 70], 0);
        let result = records(&mut w);
        let decoded = w.finish(result);
        assert_eq!(decoded.stop, None);
        assert_eq!(decoded.fields[0].text, "Protocol Version");
    }
}
