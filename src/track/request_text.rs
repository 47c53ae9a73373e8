//! What a request says in a few words: the beginning of its SQL text, its procedure, its transaction request; and
//! whether its headers are sound.

use std::borrow::Cow;
use std::hash::Hasher;
use std::sync::Arc;

use rustc_hash::FxHasher;

use super::TEXT_CHARS;
use crate::decode::reader::Reader;
use crate::decode::registry::word;
use crate::decode::tds::type_info::utf16;
use crate::store::{HeaderCheck, RequestKind};
use crate::units::TextId;

/// Bytes from which ALL_HEADERS can be told from text.
const TELLING: usize = 10;

/// Texts of requests, which come again and again: each stays for the next that says the same, until another takes
/// its place.
#[derive(Debug, Default)]
pub(super) struct Texts {
    places: Vec<Option<(TextId, Arc<str>)>>,
    /// So many have a number.
    count: u32,
    new: Vec<Arc<str>>,
}

impl Texts {
    const PLACES: usize = 1024;

    /// The text of a request by the first bytes of its message; `cut` says that they are not all that there were.
    pub(super) fn of(&mut self, kind: RequestKind, head: &[u8], cut: bool) -> TextId {
        if cut && head.len() < TELLING {
            return TextId::EMPTY;
        }
        let body = head.get(all_headers_len(head)..).unwrap_or_default();
        let text = match kind {
            RequestKind::SqlBatch => Some(self.first_chars(body)),
            RequestKind::Rpc => self.procedure(body),
            RequestKind::TransactionManager => self.transaction(body),
            RequestKind::BulkLoad => None,
        };
        text.unwrap_or(TextId::EMPTY)
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
            let name = word("tds.rpc.proc_id", u64::from(id));
            return Some(self.words(name, || format!("ProcID {id}")));
        }
        let bytes = usize::from(chars).saturating_mul(2);
        let have = r.left().min(bytes);
        r.take(have).map(|name| self.first_chars(name))
    }

    fn transaction(&mut self, body: &[u8]) -> Option<TextId> {
        let kind = Reader::new(body).u16_le()?;
        let name = word("tds.transmgr", u64::from(kind));
        Some(self.words(name, || format!("transaction request {kind}")))
    }

    /// A name that is known, else what stands for it.
    fn words(&mut self, name: Option<&str>, unknown: impl FnOnce() -> String) -> TextId {
        let words = name.map_or_else(|| Cow::Owned(unknown()), Cow::Borrowed);
        let is_same = |text: &str| text == words;
        self.kept(words.as_bytes(), is_same, || words.as_ref().into())
    }

    fn first_chars(&mut self, utf16le: &[u8]) -> TextId {
        // Two units per character at most.
        let bytes = utf16le
            .get(..TEXT_CHARS.saturating_mul(4))
            .unwrap_or(utf16le);
        let is_same = |text: &str| is_plainly(text, bytes);
        self.kept(bytes, is_same, || first_chars(bytes).into())
    }

    /// The number of a text: that which it has if it is still in its place, which `bytes` tell.
    #[inline]
    fn kept(
        &mut self,
        bytes: &[u8],
        is_same: impl FnOnce(&str) -> bool,
        text: impl FnOnce() -> Arc<str>,
    ) -> TextId {
        let mut hasher = FxHasher::default();
        hasher.write(bytes);
        if self.places.is_empty() {
            self.places.resize(Self::PLACES, None);
        }
        let place = usize::try_from(hasher.finish() >> 32).unwrap_or(0) % Self::PLACES;
        let place = self.places.get_mut(place);
        if let Some(Some((id, text))) = &place
            && is_same(text)
        {
            return *id;
        }
        let text = text();
        if text.is_empty() {
            return TextId::EMPTY;
        }
        self.count = self.count.saturating_add(1);
        let id = TextId(self.count);
        self.new.push(Arc::clone(&text));
        if let Some(place) = place {
            *place = Some((id, text));
        }
        id
    }
}

/// Whether the first characters of UTF-16LE bytes are this text, where both are ASCII.
fn is_plainly(text: &str, utf16le: &[u8]) -> bool {
    let (pairs, _) = utf16le.as_chunks::<2>();
    let differ = |bits, (byte, pair): (u8, &[u8; 2])| {
        let byte = u16::from(byte);
        bits | (byte & 0x80) | (byte ^ u16::from_le_bytes(*pair))
    };
    text.len() == pairs.len().min(TEXT_CHARS) && text.bytes().zip(pairs).fold(0, differ) == 0
}

/// Checks ALL_HEADERS at the start of a message by the bytes that are there.
pub(super) fn headers(head: &[u8]) -> HeaderCheck {
    walk_headers(head).unwrap_or_default()
}

fn walk_headers(head: &[u8]) -> Option<HeaderCheck> {
    let mut r = Reader::new(head);
    let total = r.u32_le()?;
    let mut at = 4_u32;
    let mut found = HeaderCheck::NoDescriptor;
    while at < total {
        let len = r.u32_le()?;
        let kind = r.u16_le()?;
        at = at.saturating_add(len);
        if len < 6 || at > total {
            return Some(HeaderCheck::Total);
        }
        let mut data = r.sub(usize::try_from(len.saturating_sub(6)).ok()?)?;
        if kind == 2 {
            let count = data.skip(8).and_then(|()| data.u32_le());
            found = match count {
                Some(count) if len == 18 => HeaderCheck::Sound(count),
                _ => HeaderCheck::DescriptorLength,
            };
        }
    }
    Some(found)
}

fn first_chars(utf16le: &[u8]) -> String {
    let mut text = utf16(utf16le);
    if text.len() > TEXT_CHARS
        && let Some((behind, _)) = text.char_indices().nth(TEXT_CHARS)
    {
        text.truncate(behind);
    }
    text
}

/// Bytes of ALL_HEADERS ([MS-TDS] 2.2.5.3); 0 where the message has none (before 7.2).
fn all_headers_len(head: &[u8]) -> usize {
    let mut r = Reader::new(head);
    let total = r.u32_le();
    let first = r.u32_le();
    let kind = r.u16_le();
    match (total, first, kind) {
        (Some(total), Some(first), Some(1..=3))
            if first >= 6 && first.checked_add(4).is_some_and(|least| least <= total) =>
        {
            usize::try_from(total).unwrap_or(usize::MAX)
        }
        (Some(4), _, _) => 4,
        _ => 0,
    }
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
        for first in words {
            let ids = [(); 2].map(|()| texts.of(RequestKind::SqlBatch, &units(first), false));
            all.extend(texts.take_new());
            let [text, again] = ids.map(|id| Arc::clone(&all[id.index()]));
            assert_eq!((&*text, &*again), (&*kept(first), &*kept(first)));
            assert_eq!(ids[0] == ids[1], first.is_ascii());
            for second in words {
                let same = first.is_ascii() && kept(first) == kept(second);
                assert_eq!(is_plainly(&text, &units(second)), same, "{first}, {second}");
            }
        }
    }
}
