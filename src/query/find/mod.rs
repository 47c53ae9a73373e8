//! Find: text, patterns and bytes in what PDUs carry, also across their borders, or frames by a filter.
//!
//! Text is looked for as UTF-16 (as TDS carries it) and as bytes, whatever the letter case, in the messages of each
//! session: headers between the parts of a message do not stand in the way. Bytes are looked for in each direction's
//! stream with its headers. Secrets are never found. A text or bytes of any length are found across borders, what a
//! pattern takes as far as it begins in the last 4096 bytes before one.

mod needle;

pub use needle::{Needle, Text};

use std::collections::HashMap;

use regex::Regex;

use super::dissected::Dissected;
use super::eval::Eval;
use super::run::{Progress, Run};
use crate::decode::{smp, tds};
use crate::store::{PduFlags, PduKind, PduRow, Store};
use crate::units::{ConnId, End, FrameNo, PduId, SessionId};

/// Bytes of a PDU's predecessor that are kept, so that a pattern that spans their border is found.
const KEPT: usize = 4096;
/// Streams whose ends are kept; when there are more, those of ended messages are gone anyway.
const MOST_STREAMS: usize = 4096;
/// What belongs together: a direction of a session for messages, a direction of a connection for streams.
type Stream = (ConnId, End, Option<SessionId>);

/// A search on its way through the PDUs. It holds no reference to the store.
#[derive(Debug)]
pub struct Find {
    kind: Kind,
    next: PduId,
    hits: u64,
    read: u64,
    last_hit: Option<FrameNo>,
    tails: HashMap<Stream, Vec<u8>>,
}

#[derive(Debug)]
enum Kind {
    Filter(Box<Run>),
    Text(Text),
    Pattern(Regex),
    Bytes(Vec<u8>),
}

impl Find {
    /// A search over the whole capture.
    pub fn new(needle: Needle) -> Self {
        Self {
            kind: match needle {
                Needle::Filter(filter) => Kind::Filter(Box::new(Run::new(*filter))),
                Needle::Text(pattern) => Kind::Text(pattern),
                Needle::Pattern(pattern) => Kind::Pattern(pattern),
                Needle::Bytes(bytes) => Kind::Bytes(bytes),
            },
            next: PduId(0),
            hits: 0,
            read: 0,
            last_hit: None,
            tails: HashMap::new(),
        }
    }

    /// Looks on until `stop` says so or nothing is left. Frames with a hit are handed over in file order, each once:
    /// the frame in which what was found is complete.
    pub fn step(
        &mut self,
        eval: &Eval<'_>,
        decoder: &Dissected<'_>,
        stop: &mut dyn FnMut() -> bool,
        on_hits: &mut dyn FnMut(&[FrameNo]),
    ) -> Progress {
        if let Kind::Filter(run) = &mut self.kind {
            let eval = Eval {
                decode: Some(decoder),
                ..*eval
            };
            return run.step(&eval, stop, on_hits);
        }
        while let Some(pdu) = eval.store.pdu(self.next) {
            let id = self.next;
            self.next = PduId(self.next.0.saturating_add(1));
            if self.look(eval, decoder, id, &pdu) && self.last_hit != Some(pdu.frame) {
                self.last_hit = Some(pdu.frame);
                self.hits = self.hits.saturating_add(1);
                on_hits(&[pdu.frame]);
            }
            if stop() {
                break;
            }
        }
        let next = eval.store.pdu(self.next);
        Progress {
            next: next.map_or_else(
                || FrameNo::from_index(eval.store.frame_count()),
                |pdu| pdu.frame,
            ),
            hits: self.hits,
            decoded: self.read,
            done: next.is_none(),
        }
    }

    /// Whether something is complete in this PDU.
    fn look(&mut self, eval: &Eval<'_>, decoder: &Dissected<'_>, id: PduId, pdu: &PduRow) -> bool {
        let body = !matches!(self.kind, Kind::Bytes(_));
        let searchable = if body {
            pdu.carries_tds() || pdu.kind == PduKind::Unknown
        } else {
            !matches!(pdu.kind, PduKind::Hidden | PduKind::Tls)
        };
        let mut stream = (pdu.conn, pdu.end, pdu.session.filter(|_| body));
        if body && pdu.flags.has(PduFlags::MESSAGE_START) || pdu.kind == PduKind::Hidden {
            self.tails.remove(&stream);
        }
        if !searchable {
            return false;
        }
        self.read = self.read.saturating_add(1);
        let Some(mut bytes) = decoder.bytes(eval.store, id, body) else {
            self.tails.remove(&stream);
            return false;
        };
        let whole = usize::try_from(headless_len(pdu, body)).unwrap_or(usize::MAX);
        let cut = bytes.len() < whole;
        if body
            && pdu.kind == PduKind::Unknown
            && let Some((session, headers)) = begun(eval.store, pdu, &bytes)
        {
            stream.2 = session;
            bytes.drain(..headers);
        }
        let mut window = self.tails.remove(&stream).unwrap_or_default();
        let old = window.len();
        window.extend_from_slice(&bytes);
        let found = match &self.kind {
            Kind::Text(text) => text.ends_behind(&window, old),
            Kind::Bytes(needle) => {
                // One that began earlier and ends too early says nothing about the next.
                let from = old.saturating_sub(needle.len().saturating_sub(1));
                let rest = window.get(from..).unwrap_or_default();
                memchr::memmem::find(rest, needle).is_some()
            }
            Kind::Pattern(pattern) => matches_text(pattern, &window, old),
            Kind::Filter(_) => false,
        };
        let ended = body && pdu.flags.has(PduFlags::MESSAGE_END);
        if !cut && !ended {
            if self.tails.len() >= MOST_STREAMS {
                self.tails.clear();
            }
            let skip = window.len().saturating_sub(self.kept());
            window.drain(..skip);
            self.tails.insert(stream, window);
        }
        found
    }

    /// Bytes of a stream that are kept for what spans the border to the next PDU.
    fn kept(&self) -> usize {
        match &self.kind {
            Kind::Text(text) => text.longest(),
            Kind::Bytes(needle) => needle.len(),
            Kind::Pattern(_) | Kind::Filter(_) => KEPT,
        }
    }
}

/// The session of a packet that begins and whose end is not in the file, and the length of its headers, where those
/// can be read.
fn begun(store: &Store, pdu: &PduRow, bytes: &[u8]) -> Option<(Option<SessionId>, usize)> {
    if !pdu.flags.has(PduFlags::UNFINISHED) {
        return None;
    }
    let (session, smp_len) = match smp::Header::read(bytes) {
        Some(header) if bytes.first() == Some(&smp::SMID) => {
            let session = store.session_at(pdu.conn, header.sid, pdu.frame)?;
            (Some(session.id), smp::HEADER_LEN)
        }
        _ => (None, 0),
    };
    let headers = smp_len.saturating_add(tds::HEADER_LEN);
    (bytes.len() > headers).then_some((session, headers))
}

/// Bytes of a PDU that a search should get, if none are missing.
fn headless_len(pdu: &PduRow, body: bool) -> u32 {
    if body && pdu.carries_tds() {
        pdu.len
            .saturating_sub(pdu.smp_header_len())
            .saturating_sub(8)
    } else {
        pdu.len
    }
}

/// Whether a pattern matches behind the first `old` bytes, read as UTF-16 (from even and odd places) or as bytes.
fn matches_text(pattern: &Regex, window: &[u8], old: usize) -> bool {
    let wide = |from: usize| {
        let (pairs, _) = window.get(from..).unwrap_or_default().as_chunks();
        let units: Vec<u16> = pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
        // A unit of which one byte is new is new.
        let before = old.saturating_sub(from) / 2;
        let old = String::from_utf16_lossy(units.get(..before).unwrap_or(&units)).len();
        ends_behind(pattern, &String::from_utf16_lossy(&units), old)
    };
    let narrow = || {
        let text: String = window.iter().map(|b| char::from(*b)).collect();
        let before = text.chars().take(old);
        ends_behind(pattern, &text, before.map(char::len_utf8).sum())
    };
    wide(0) || wide(1) || narrow()
}

fn ends_behind(pattern: &Regex, text: &str, old: usize) -> bool {
    pattern.find_iter(text).any(|found| found.end() > old)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_count_only_what_ends_in_the_new_bytes() {
        let pattern = Regex::new("(?i)ord.rs").unwrap();
        let utf16: Vec<u8> = "the Orders"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert!(matches_text(&pattern, &utf16, 12));
        assert!(!matches_text(&pattern, &utf16, 20));
        assert!(matches_text(&pattern, b"xORDERS", 3));
        assert!(!matches_text(&pattern, b"ORDERSx", 6));
    }
}
