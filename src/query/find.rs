//! Find: text, patterns and bytes in what PDUs carry, also across their borders, or frames by a filter.
//!
//! Text is looked for as UTF-16 (as TDS carries it) and as bytes, whatever the letter case, in the messages of each
//! session: headers between the parts of a message do not stand in the way. Bytes are looked for in each direction's
//! stream with its headers. Secrets are never found.

use std::collections::HashMap;
use std::fmt::Write as _;

use regex::{Regex, RegexBuilder};

use super::dissected::Dissected;
use super::eval::Eval;
use super::run::{Progress, Run};
use super::{Context, Filter, ParseError, parse};
use crate::store::{PduFlags, PduKind, PduRow};
use crate::units::{ConnId, End, FrameNo, PduId, SessionId};

/// Bytes of a PDU's predecessor that are kept, so that what spans their border is found.
const KEPT: usize = 4096;
/// Streams whose ends are kept; when there are more, those of ended messages are gone anyway.
const MOST_STREAMS: usize = 4096;
/// Bytes that a compiled pattern may take.
const PATTERN_SIZE: usize = 4 << 20;

/// What is looked for.
#[derive(Debug, Clone)]
pub enum Needle {
    /// Text in messages.
    Text(regex::bytes::Regex),
    /// A pattern in messages (`re:`).
    Pattern(Regex),
    /// Bytes in streams (`hex:`).
    Bytes(Vec<u8>),
    /// Frames that a filter selects.
    Filter(Box<Filter>),
}

impl Needle {
    /// Reads what the user typed: `re:PATTERN`, `hex:53 04`, `filter:FILTER`, `"text"`, a filter with an operator in
    /// it, and else text.
    pub fn parse(typed: &str, context: &Context<'_>) -> Result<Self, ParseError> {
        let text = typed.trim();
        let lead = typed.chars().take_while(|c| c.is_whitespace()).count();
        let behind = |prefix: &str| {
            let rest = text.strip_prefix(prefix)?;
            Some((rest, lead.saturating_add(prefix.chars().count())))
        };
        if let Some((pattern, at)) = behind("re:") {
            return pattern_of(pattern)
                .map(Self::Pattern)
                .map_err(|why| ParseError::new(at, pattern.chars().count(), why));
        }
        if let Some((digits, at)) = behind("hex:") {
            return hex(digits).map(Self::Bytes).ok_or_else(|| {
                let len = digits.chars().count();
                ParseError::new(at, len, "bytes are pairs of hex digits: hex:53 04")
            });
        }
        if let Some((filter, at)) = behind("filter:") {
            return parse(filter, context)
                .map(|f| Self::Filter(Box::new(f)))
                .map_err(|e| ParseError {
                    column: e.column.saturating_add(at),
                    ..e
                });
        }
        let quoted = text
            .strip_prefix('"')
            .and_then(|t| t.strip_suffix('"'))
            .filter(|t| !t.is_empty());
        if quoted.is_none() && text.contains(|c: char| c.is_whitespace() || "=<>~!@".contains(c)) {
            match parse(text, context) {
                Ok(filter) => return Ok(Self::Filter(Box::new(filter))),
                // A field that is only mistyped was meant as one.
                Err(error) if error.nearest.is_some() && has_comparison(text) => {
                    return Err(ParseError {
                        column: error.column.saturating_add(lead),
                        ..error
                    });
                }
                Err(_) => {}
            }
        }
        let text = quoted.unwrap_or(text);
        if text.is_empty() {
            return Err(ParseError::new(lead, 0, "nothing to look for"));
        }
        text_pattern(text).map(Self::Text).map_err(|why| {
            let len = typed.chars().count().saturating_sub(lead);
            ParseError::new(lead, len, why)
        })
    }
}

fn has_comparison(text: &str) -> bool {
    ["==", "!=", "<", ">", "~", " in "]
        .iter()
        .any(|sign| text.contains(sign))
}

fn pattern_of(pattern: &str) -> Result<Regex, String> {
    if pattern.is_empty() {
        return Err("the pattern is empty".to_owned());
    }
    RegexBuilder::new(pattern)
        .case_insensitive(true)
        .size_limit(PATTERN_SIZE)
        .build()
        .map_err(|e| {
            let text = e.to_string();
            let last = text.lines().next_back().unwrap_or_default();
            format!("no pattern: {}", last.trim_start_matches("error: "))
        })
}

fn hex(digits: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = digits
        .chars()
        .filter(|c| !c.is_whitespace() && *c != ':')
        .map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()))
        .collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    (!digits.is_empty() && pairs.remainder().is_empty()).then(|| {
        pairs
            .map(|pair| pair.iter().fold(0, |byte, d| (byte << 4) | d))
            .collect()
    })
}

/// A pattern that finds a text as UTF-16, as UTF-8 and as Latin-1, in any letter case.
fn text_pattern(text: &str) -> Result<regex::bytes::Regex, String> {
    let encode = |bytes: &dyn Fn(char) -> Option<Vec<u8>>| -> Option<String> {
        let mut pattern = String::new();
        for c in text.chars() {
            let mut forms: Vec<String> = Vec::new();
            let cases = [c]
                .into_iter()
                .chain(c.to_lowercase())
                .chain(c.to_uppercase());
            for form in cases {
                let mut escaped = String::new();
                for byte in bytes(form)? {
                    let _ = write!(escaped, "\\x{byte:02x}");
                }
                if !forms.contains(&escaped) {
                    forms.push(escaped);
                }
            }
            let _ = write!(pattern, "(?:{})", forms.join("|"));
        }
        Some(pattern)
    };
    let utf16 = |c: char| {
        let mut units = [0; 2];
        let units = c.encode_utf16(&mut units);
        Some(units.iter().flat_map(|u| u.to_le_bytes()).collect())
    };
    let utf8 = |c: char| {
        let mut bytes = [0; 4];
        Some(c.encode_utf8(&mut bytes).as_bytes().to_vec())
    };
    let latin = |c: char| u8::try_from(u32::from(c)).ok().map(|b| vec![b]);
    let mut forms: Vec<String> = [encode(&utf16), encode(&utf8), encode(&latin)]
        .into_iter()
        .flatten()
        .collect();
    forms.dedup();
    regex::bytes::RegexBuilder::new(&forms.join("|"))
        .unicode(false)
        .size_limit(PATTERN_SIZE)
        .build()
        .map_err(|_| "the text is too long to look for".to_owned())
}

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
    Text(regex::bytes::Regex),
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
        let stream = (pdu.conn, pdu.end, pdu.session.filter(|_| body));
        if body && pdu.flags.has(PduFlags::MESSAGE_START) || pdu.kind == PduKind::Hidden {
            self.tails.remove(&stream);
        }
        if !searchable {
            return false;
        }
        self.read = self.read.saturating_add(1);
        let Some(bytes) = decoder.bytes(eval.store, id, body) else {
            self.tails.remove(&stream);
            return false;
        };
        let mut window = self.tails.remove(&stream).unwrap_or_default();
        let old = window.len();
        window.extend_from_slice(&bytes);
        let found = match &self.kind {
            Kind::Text(pattern) => pattern.find_iter(&window).any(|m| m.end() > old),
            Kind::Bytes(needle) => memchr::memmem::find_iter(&window, needle)
                .any(|at| at.saturating_add(needle.len()) > old),
            Kind::Pattern(pattern) => matches_text(pattern, &window, old),
            Kind::Filter(_) => false,
        };
        let whole = headless_len(pdu, body);
        let cut = bytes.len() < usize::try_from(whole).unwrap_or(usize::MAX);
        let ended = body && pdu.flags.has(PduFlags::MESSAGE_END);
        if !cut && !ended {
            if self.tails.len() >= MOST_STREAMS {
                self.tails.clear();
            }
            let skip = window.len().saturating_sub(KEPT);
            window.drain(..skip);
            self.tails.insert(stream, window);
        }
        found
    }
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
        let units: Vec<u16> = window
            .get(from..)
            .unwrap_or_default()
            .chunks_exact(2)
            .map(|pair| {
                pair.iter()
                    .rev()
                    .fold(0, |unit, b| (unit << 8) | u16::from(*b))
            })
            .collect();
        let text = String::from_utf16_lossy(&units);
        pattern.find_iter(&text).any(|m| {
            let before = text.get(..m.end()).unwrap_or_default();
            let end = before.encode_utf16().count().saturating_mul(2);
            end.saturating_add(from) > old
        })
    };
    let narrow = || {
        let text: String = window.iter().map(|b| char::from(*b)).collect();
        pattern
            .find_iter(&text)
            .any(|m| text.get(..m.end()).unwrap_or_default().chars().count() > old)
    };
    wide(0) || wide(1) || narrow()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needle(text: &str) -> Needle {
        Needle::parse(text, &Context::default()).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn what_is_typed_is_text_unless_it_says_otherwise() {
        assert!(matches!(needle("orders"), Needle::Text(_)));
        assert!(matches!(needle("smp"), Needle::Text(_)));
        assert!(matches!(needle("select 5"), Needle::Text(_)));
        assert!(matches!(needle("a == b"), Needle::Text(_)));
        assert!(matches!(needle("\"sid == 5\""), Needle::Text(_)));
        assert!(matches!(needle("sid == 5"), Needle::Filter(_)));
        assert!(matches!(needle("not smp"), Needle::Filter(_)));
        assert!(matches!(needle("filter:smp"), Needle::Filter(_)));
        assert!(matches!(needle("re:ord.rs"), Needle::Pattern(_)));
        assert!(matches!(needle("hex:53 04"), Needle::Bytes(b) if b == [0x53, 4]));
        assert!(matches!(needle("hex:53:04ff"), Needle::Bytes(b) if b == [0x53, 4, 0xff]));
    }

    #[test]
    fn mistakes_point_at_their_place() {
        let error = |text| Needle::parse(text, &Context::default()).unwrap_err();
        assert_eq!(error("re:(").column, 3);
        assert_eq!(error("hex:5").column, 4);
        assert_eq!(error(" filter:sidd == 5").column, 8);
        assert_eq!(error("filter:sidd == 5").nearest.as_deref(), Some("sid"));
        assert_eq!(error("  ").message, "nothing to look for");
        assert_eq!(error(" sidd == 5").column, 1);
        assert_eq!(
            error("sid == 5 and knid == FIN").nearest.as_deref(),
            Some("kind")
        );
    }

    #[test]
    fn text_is_found_in_all_its_forms() {
        let Needle::Text(pattern) = needle("Über") else {
            panic!("no text");
        };
        let utf16 = |t: &str| -> Vec<u8> { t.encode_utf16().flat_map(u16::to_le_bytes).collect() };
        assert!(pattern.is_match(&utf16("xx ÜBER yy")));
        assert!(pattern.is_match("die über uns".as_bytes()));
        assert!(pattern.is_match(b"\xfcBER"));
        assert!(!pattern.is_match(&utf16("uber")));
        let mut odd = vec![7];
        odd.extend(utf16("über"));
        assert!(pattern.is_match(&odd), "alignment does not matter");
    }

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
