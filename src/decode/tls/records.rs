//! Takes a direction's TLS stream apart: records, and the handshake messages in them, which may begin in one record
//! and end in a later one (RFC 5246 6.2.1, RFC 8446 5.1).

use std::ops::Range;

use super::hello::{CLIENT_HELLO, SERVER_HELLO};
use super::{RECORD_HEADER, RecordHeader, content, names};
use crate::decode::reader::Reader;
use crate::decode::walk::Stop;

/// Handshake type of Certificate.
pub const CERTIFICATE: u8 = 11;
/// Bytes of a handshake message's header: type and length.
pub const MESSAGE_HEADER: usize = 4;
/// Longest handshake message that is believed.
const MAX_MESSAGE: usize = 1 << 17;

/// A record of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its header.
    pub header: RecordHeader,
    /// Its bytes with the header, as far as they are there.
    pub range: Range<usize>,
    /// Some of its bytes are not there.
    pub cut: bool,
    /// What it carries cannot be read.
    pub encrypted: bool,
    /// The handshake messages in it, in whole or in part.
    pub pieces: Vec<Piece>,
}

impl Record {
    /// Its bytes without the header.
    pub fn body(&self) -> Range<usize> {
        let start = self.range.start.saturating_add(RECORD_HEADER);
        start.min(self.range.end)..self.range.end
    }
}

/// The part of a handshake message that lies in one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// The message, by its place in [`Stream::messages`].
    pub message: usize,
    /// The part, by its place in the message's ranges.
    pub part: usize,
}

/// A handshake message in clear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Handshake type; `None` while its header is not complete.
    pub kind: Option<u8>,
    /// Its bytes, header included.
    pub len: usize,
    /// Where they lie.
    pub ranges: Vec<Range<usize>>,
}

impl Message {
    /// Its name.
    pub fn name(&self) -> &'static str {
        self.kind
            .and_then(names::handshake)
            .unwrap_or("handshake message")
    }

    /// Bytes that are there.
    pub fn have(&self) -> usize {
        self.ranges.iter().map(Range::len).sum()
    }

    /// Whether all its bytes are there.
    pub fn is_whole(&self) -> bool {
        self.kind.is_some() && self.have() >= self.len
    }

    /// Bytes that are missing from it.
    fn left(&self) -> usize {
        self.len.saturating_sub(self.have())
    }
}

/// A stretch of a direction's TLS stream, taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stream {
    /// The records, in order.
    pub records: Vec<Record>,
    /// The handshake messages in clear, in order.
    pub messages: Vec<Message>,
    /// Why it stopped, if it did; positions count from the start of the stretch.
    pub stop: Option<Stop>,
}

impl Stream {
    /// Takes apart the stretch `bytes`, which begins with a record. With `encrypted`, a Change Cipher Spec stood
    /// before it.
    pub fn read(bytes: &[u8], mut encrypted: bool) -> Self {
        let mut stream = Self::default();
        let mut at = 0_usize;
        // The message that goes on in the next record.
        let mut open: Option<usize> = None;
        while at < bytes.len() {
            let rest = bytes.get(at..).unwrap_or_default();
            let Some(header) = RecordHeader::read(rest) else {
                stream.stop = Some(if rest.len() < RECORD_HEADER {
                    Stop::short(at, "a TLS record header")
                } else {
                    Stop::wrong(at, "no TLS record")
                });
                break;
            };
            let end = at
                .saturating_add(RECORD_HEADER)
                .saturating_add(usize::from(header.length));
            let mut record = Record {
                header,
                range: at..end.min(bytes.len()),
                cut: end > bytes.len(),
                encrypted: false,
                pieces: Vec::new(),
            };
            let body = bytes.get(record.body()).unwrap_or_default();
            match header.content {
                content::HANDSHAKE => {
                    let goes_on = match bytes.get(end..).map(RecordHeader::read) {
                        Some(Some(next)) => next.content == content::HANDSHAKE,
                        // Behind clear messages more of them may follow that are not part of the stretch.
                        _ => record.cut || !stream.messages.is_empty(),
                    };
                    let before = open.and_then(|at| stream.messages.get(at));
                    let plain = match before {
                        // A header that is split is read together with what stands before.
                        Some(message) if message.kind.is_none() => {
                            let mut whole = joined(bytes, &message.ranges);
                            whole.extend_from_slice(body);
                            is_plain(&whole, None, goes_on)
                        }
                        message => is_plain(body, message.map(Message::left), goes_on),
                    };
                    record.encrypted = encrypted || !plain;
                    if record.encrypted {
                        open = None;
                    } else {
                        open = stream.take(bytes, &mut record, open);
                    }
                }
                content::ALERT => {
                    record.encrypted = encrypted || body.len() != 2;
                    open = None;
                }
                content::CHANGE_CIPHER_SPEC => {
                    encrypted = true;
                    open = None;
                }
                _ => open = None,
            }
            if record.cut {
                stream.stop = Some(Stop::short(bytes.len(), "a TLS record"));
            }
            at = end;
            stream.records.push(record);
        }
        stream
    }

    /// Takes in the messages of a record; returns the one that is not complete at its end.
    fn take(
        &mut self,
        bytes: &[u8],
        record: &mut Record,
        mut open: Option<usize>,
    ) -> Option<usize> {
        let body = record.body();
        let mut at = body.start;
        while at < body.end {
            let number = open.unwrap_or_else(|| {
                self.messages.push(Message {
                    kind: None,
                    len: MESSAGE_HEADER,
                    ranges: Vec::new(),
                });
                self.messages.len().saturating_sub(1)
            });
            let message = self.messages.get_mut(number)?;
            // The header first: it may itself be split.
            let end = at.saturating_add(message.left()).min(body.end);
            match message.ranges.last_mut() {
                Some(last) if last.end == at => last.end = end,
                _ => message.ranges.push(at..end),
            }
            let part = message.ranges.len().saturating_sub(1);
            let piece = Piece {
                message: number,
                part,
            };
            if record.pieces.last() != Some(&piece) {
                record.pieces.push(piece);
            }
            at = end;
            if message.kind.is_none() && message.have() >= MESSAGE_HEADER {
                let head = joined(bytes, &message.ranges);
                let mut r = Reader::new(&head);
                message.kind = r.u8();
                message.len = MESSAGE_HEADER.saturating_add(r.u24_be().unwrap_or(0));
            }
            open = (!message.is_whole()).then_some(number);
        }
        open
    }

    /// The bytes of the record in which a message ends.
    pub fn last_record(&self, message: usize) -> Range<usize> {
        let holds = |record: &&Record| record.pieces.iter().any(|piece| piece.message == message);
        let record = self.records.iter().rfind(holds);
        record.map_or(0..0, |record| record.range.clone())
    }

    /// The bytes of a message, put together.
    pub fn bytes(&self, stream: &[u8], message: &Message) -> Vec<u8> {
        joined(stream, &message.ranges)
    }

    /// Each record that has any of `wanted`: its content type, and what is in it in words.
    pub fn words(&self, bytes: &[u8], wanted: &Range<usize>) -> Vec<(u8, Vec<String>)> {
        self.records_in(wanted)
            .map(|record| (record.header.content, self.record_words(bytes, record)))
            .collect()
    }

    /// The records that have any of `wanted`.
    pub fn records_in<'s>(
        &'s self,
        wanted: &Range<usize>,
    ) -> impl Iterator<Item = &'s Record> + use<'s> {
        let Range { start, end } = *wanted;
        self.records
            .iter()
            .filter(move |record| record.range.start < end && record.range.end > start)
    }

    fn record_words(&self, bytes: &[u8], record: &Record) -> Vec<String> {
        match record.header.content {
            content::HANDSHAKE if record.encrypted => {
                vec!["Encrypted Handshake Message".to_owned()]
            }
            content::HANDSHAKE => self.piece_names(record),
            content::ALERT if record.encrypted => vec!["Encrypted Alert".to_owned()],
            content::ALERT => match bytes.get(record.body()) {
                Some([_, alert]) => vec![format!("Alert {}", names::alert(*alert))],
                _ => vec!["Alert".to_owned()],
            },
            other => vec![names::content(other).to_owned()],
        }
    }

    /// The names of the messages in a record; those that go on in the next one, or cannot be completed, are parts.
    pub fn piece_names(&self, record: &Record) -> Vec<String> {
        let pieces = record.pieces.iter();
        pieces
            .filter_map(|piece| {
                let message = self.messages.get(piece.message)?;
                let last = piece.part.saturating_add(1) == message.ranges.len();
                Some(if last && (message.is_whole() || record.cut) {
                    message.name().to_owned()
                } else {
                    format!("{} (part)", message.name())
                })
            })
            .collect()
    }
}

fn joined(bytes: &[u8], ranges: &[Range<usize>]) -> Vec<u8> {
    let parts = ranges.iter();
    parts
        .flat_map(|range| bytes.get(range.clone()).unwrap_or_default())
        .copied()
        .collect()
}

/// Whether a record's bytes are handshake messages in clear: the rest of the one before, then known types whose
/// lengths fill the record, or go on in the next one.
fn is_plain(bytes: &[u8], open: Option<usize>, goes_on: bool) -> bool {
    let mut r = Reader::new(bytes);
    if let Some(left) = open {
        r.skip(left.min(r.left()));
    }
    while !r.is_empty() {
        let (Some(kind), Some(len)) = (r.u8(), r.u24_be()) else {
            return goes_on;
        };
        // Where nothing shows that the message goes on, only hellos and certificates are believed to be that long.
        let may_go_on = goes_on || matches!(kind, CLIENT_HELLO | SERVER_HELLO | CERTIFICATE);
        if names::handshake(kind).is_none() || (len > r.left() && !(may_go_on && len < MAX_MESSAGE))
        {
            return false;
        }
        r.skip(len.min(r.left()));
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(body: &[u8]) -> Vec<u8> {
        let mut out = vec![22, 3, 3];
        out.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        out.extend(body);
        out
    }

    fn certificate(len: u8) -> Vec<u8> {
        let mut out = vec![CERTIFICATE, 0, 0, len];
        out.extend(vec![7; usize::from(len)]);
        out
    }

    #[test]
    fn a_message_is_put_together_wherever_records_cut_it() {
        let mut flight = certificate(60);
        flight.extend([14, 0, 0, 0]);
        for first in 1..flight.len() {
            for second in [1, 3, 20] {
                let (a, rest) = flight.split_at(first);
                let (b, c) = rest.split_at(second.min(rest.len()));
                let bytes = [record(a), record(b), record(c)].concat();
                let stream = Stream::read(&bytes, false);
                assert_eq!(stream.stop, None);
                let kinds: Vec<_> = stream.messages.iter().map(|m| m.kind).collect();
                assert_eq!(kinds, [Some(11), Some(14)], "cut at {first} and {second}");
                assert!(stream.messages.iter().all(Message::is_whole));
                let whole = stream.bytes(&bytes, &stream.messages[0]);
                assert_eq!(whole, certificate(60));
            }
        }
    }

    #[test]
    fn encrypted_handshake_messages_are_not_taken_for_clear_ones() {
        // A Finished under AES-GCM begins with an explicit nonce of zeros, which reads as Hello Requests.
        let mut finished = vec![0; 8];
        finished.extend([0x9c; 32]);
        assert!(!is_plain(&finished, None, false));
        assert!(is_plain(&[14, 0, 0, 0], None, false));
        let bytes = [vec![20, 3, 3, 0, 1, 1], record(&[14, 0, 0, 0])].concat();
        let stream = Stream::read(&bytes, false);
        assert!(stream.records[1].encrypted && stream.messages.is_empty());
    }

    #[test]
    fn a_message_ends_where_another_kind_of_record_comes() {
        let bytes = [record(&certificate(60)[..30]), vec![21, 3, 3, 0, 2, 2, 40]].concat();
        let stream = Stream::read(&bytes, false);
        assert_eq!(stream.messages.len(), 1);
        assert!(!stream.messages[0].is_whole());
        assert_eq!(
            stream.words(&bytes, &(0..bytes.len())),
            [
                (22, vec!["Certificate (part)".to_owned()]),
                (21, vec!["Alert Handshake Failure".to_owned()])
            ]
        );
    }
}
