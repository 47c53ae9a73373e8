//! What a request says in a few words: the beginning of its SQL text, its procedure, its transaction request; and
//! whether its headers are sound.

use std::hash::Hasher;
use std::sync::Arc;

use rustc_hash::FxHasher;

use super::TEXT_CHARS;
use crate::decode::reader::Reader;
use crate::decode::registry::word;
use crate::decode::tds::sql_secret::{self, Reading};
use crate::store::{HeaderCheck, RequestKind};
use crate::units::TextId;

/// Bytes from which ALL_HEADERS can be told from text.
const TELLING: usize = 10;

/// What a request says of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said {
    /// What it asks for, in a few words.
    pub(super) text: TextId,
    /// What its ALL_HEADERS say.
    pub(super) headers: HeaderCheck,
}

impl Said {
    /// Whether the rest of its message says nothing that is asked.
    pub(super) fn is_all(&self) -> bool {
        self.text != TextId::EMPTY && self.headers != HeaderCheck::Unknown
    }
}

/// Texts of requests, which come again and again: each stays for the next that says the same, until another takes
/// its place.
#[derive(Debug, Default)]
pub(super) struct Texts {
    places: Vec<Option<Kept>>,
    /// So many have a number.
    count: u32,
    new: Vec<Arc<str>>,
}

/// A text with the bytes that it stands for: an even number of them, or three for what has a name.
#[derive(Debug, Clone)]
struct Kept {
    id: TextId,
    bytes: Box<[u8]>,
}

impl Texts {
    const PLACES: usize = 1024;

    /// What the first bytes of a request's message say; `cut` says that they are not all that there were.
    #[expect(
        clippy::inline_always,
        reason = "asked once for most requests, where their bytes come"
    )]
    #[inline(always)]
    pub(super) fn said(&mut self, kind: RequestKind, head: &[u8], cut: bool) -> Said {
        let headers = Headers::of(head);
        let text = if cut && head.len() < TELLING {
            None
        } else {
            let body = head.get(headers.len..).unwrap_or_default();
            match kind {
                RequestKind::SqlBatch => Some(self.first_chars(body)),
                RequestKind::Rpc => self.procedure(body),
                RequestKind::TransactionManager => self.transaction(body),
                RequestKind::BulkLoad => None,
            }
        };
        Said {
            text: text.unwrap_or(TextId::EMPTY),
            headers: headers.check,
        }
    }

    /// Those that came since this was asked last.
    pub(super) fn take_new(&mut self) -> Vec<Arc<str>> {
        std::mem::take(&mut self.new)
    }

    fn procedure(&mut self, body: &[u8]) -> Option<TextId> {
        let mut r = Reader::new(body);
        let chars = r.u16_le()?;
        if chars == 0xffff {
            let id = r.u16_le()?;
            return Some(self.named("tds.rpc.proc_id", b'p', id, "ProcID"));
        }
        let bytes = usize::from(chars).saturating_mul(2);
        let have = r.left().min(bytes);
        r.take(have).map(|name| self.first_chars(name))
    }

    fn transaction(&mut self, body: &[u8]) -> Option<TextId> {
        let kind = Reader::new(body).u16_le()?;
        Some(self.named("tds.transmgr", b't', kind, "transaction request"))
    }

    /// What a number is called in a list of names, else what it is and the number.
    fn named(&mut self, list: &str, mark: u8, number: u16, what: &str) -> TextId {
        let [low, high] = number.to_le_bytes();
        self.kept(&[mark, low, high], |_| {
            let name = word(list, u64::from(number));
            name.map_or_else(|| format!("{what} {number}"), str::to_owned)
        })
    }

    #[inline]
    fn first_chars(&mut self, utf16le: &[u8]) -> TextId {
        // Two units per character at most.
        let bytes = utf16le
            .get(..TEXT_CHARS.saturating_mul(4))
            .unwrap_or(utf16le);
        // Half a unit says nothing.
        let whole = bytes.get(..bytes.len() & !1).unwrap_or(bytes);
        self.kept(whole, first_chars)
    }

    /// The number of the text that bytes stand for: that which it has if it is still in its place.
    #[inline]
    fn kept(&mut self, bytes: &[u8], text: impl FnOnce(&[u8]) -> String) -> TextId {
        let mut hasher = FxHasher::default();
        hasher.write(bytes);
        let place = usize::try_from(hasher.finish() >> 32).unwrap_or(0) % Self::PLACES;
        if let Some(Some(kept)) = self.places.get(place)
            && *kept.bytes == *bytes
        {
            return kept.id;
        }
        self.add(place, bytes, text(bytes))
    }

    /// A text that is not in its place, for which it has to be.
    #[cold]
    fn add(&mut self, place: usize, bytes: &[u8], text: String) -> TextId {
        if text.is_empty() {
            return TextId::EMPTY;
        }
        if self.places.is_empty() {
            self.places.resize(Self::PLACES, None);
        }
        self.count = self.count.saturating_add(1);
        let id = TextId(self.count);
        self.new.push(text.into());
        if let Some(place) = self.places.get_mut(place) {
            let bytes = bytes.into();
            *place = Some(Kept { id, bytes });
        }
        id
    }
}

/// ALL_HEADERS at the start of a message ([MS-TDS] 2.2.5.3), by the bytes that are there.
struct Headers {
    check: HeaderCheck,
    /// Their bytes; 0 where the message has none (before 7.2).
    len: usize,
}

impl Headers {
    fn of(head: &[u8]) -> Self {
        let Some((total, list)) = head.split_first_chunk() else {
            let check = HeaderCheck::Unknown;
            return Self { check, len: 0 };
        };
        let total = u32::from_le_bytes(*total);
        let left = total.saturating_sub(4);
        let len = if total == 4 || begins_with_header(list, left) {
            usize::try_from(total).unwrap_or(usize::MAX)
        } else {
            0
        };
        let check = check(list, left).unwrap_or_default();
        Self { check, len }
    }
}

/// Whether the first of headers with so many bytes is one, which tells them from text.
fn begins_with_header(list: &[u8], left: u32) -> bool {
    first_header(list)
        .is_some_and(|(len, kind, _)| (6..=left).contains(&len) && (1..=3).contains(&kind))
}

/// Checks headers of which so many bytes are left; `None` if not all of them are there.
fn check(mut list: &[u8], mut left: u32) -> Option<HeaderCheck> {
    let mut found = HeaderCheck::NoDescriptor;
    while left > 0 {
        let (len, kind, behind) = first_header(list)?;
        let data = usize::try_from(len).ok()?.checked_sub(6);
        let (Some(data), Some(later)) = (data, left.checked_sub(len)) else {
            return Some(HeaderCheck::Total);
        };
        let (data, behind) = behind.split_at_checked(data)?;
        if kind == 2 {
            found = match data {
                [_, _, _, _, _, _, _, _, count @ ..] if data.len() == 12 => {
                    let count = count.first_chunk().copied().unwrap_or_default();
                    HeaderCheck::Sound(u32::from_le_bytes(count))
                }
                _ => HeaderCheck::DescriptorLength,
            };
        }
        (left, list) = (later, behind);
    }
    Some(found)
}

/// The length and type of the first header, and what stands behind these.
#[inline]
fn first_header(list: &[u8]) -> Option<(u32, u16, &[u8])> {
    let ([a, b, c, d, low, high], behind) = list.split_first_chunk()?;
    let len = u32::from_le_bytes([*a, *b, *c, *d]);
    Some((len, u16::from_le_bytes([*low, *high]), behind))
}

fn first_chars(utf16le: &[u8]) -> String {
    let mut text = sql_secret::shown(utf16le, Reading::Statement);
    if text.len() > TEXT_CHARS
        && let Some((behind, _)) = text.char_indices().nth(TEXT_CHARS)
    {
        text.truncate(behind);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn a_text_that_comes_again_is_kept_once_and_no_other_is_taken_for_it() {
        let long = "select 1; ".repeat(30);
        let words = [
            "",
            "a",
            "select 1",
            "select 2",
            "Ã©",
            "é",
            "日本語",
            "\u{1f600}",
            &long,
            &long[..200],
            &long[..199],
        ];
        let kept = |text: &str| text.chars().take(TEXT_CHARS).collect::<String>();
        let mut texts = Texts::default();
        let mut all: Vec<Arc<str>> = vec!["".into()];
        let mut said = |kind, head: &[u8]| {
            let id = texts.said(kind, head, false).text;
            all.extend(texts.take_new());
            (id, Arc::clone(&all[id.index()]))
        };
        for first in words {
            for second in words {
                for text in [first, second] {
                    let (id, found) = said(RequestKind::SqlBatch, &units(text));
                    assert_eq!(*found, *kept(text));
                    assert_eq!(id, said(RequestKind::SqlBatch, &units(text)).0);
                }
            }
        }
        // A number with a name is not taken for the text that has its bytes.
        let name = said(RequestKind::TransactionManager, &[5, 0]);
        assert_eq!(name, said(RequestKind::TransactionManager, &[5, 0]));
        assert_ne!(name, said(RequestKind::SqlBatch, b"t\x05\0"));
    }

    #[test]
    fn headers_say_where_the_text_begins() {
        let descriptor = [[22, 0, 0, 0, 18, 0], [0, 0, 2, 0, 0, 0]].concat();
        let sound = [&descriptor[..], &[0; 6], &[1, 0, 0, 0]].concat();
        let of = |head: &[u8]| {
            let headers = Headers::of(head);
            (headers.check, headers.len)
        };
        assert_eq!(of(&sound), (HeaderCheck::Sound(1), 22));
        assert_eq!(of(&sound[..12]), (HeaderCheck::Unknown, 22));
        assert_eq!(of(&sound[..9]), (HeaderCheck::Unknown, 0));
        assert_eq!(of(&[4, 0, 0, 0]), (HeaderCheck::NoDescriptor, 4));
        // Text, of which the first characters are taken for numbers.
        assert_eq!(of(&units("select 1")).1, 0);
    }
}
