//! What a request says in a few words: the beginning of its SQL text, its procedure, its transaction request; and
//! whether its headers are sound.

use crate::decode::reader::Reader;
use crate::decode::registry::word;
use crate::decode::tds::type_info::utf16;
use crate::store::{HeaderCheck, RequestKind};

/// Bytes from which ALL_HEADERS can be told from text.
const TELLING: usize = 10;

/// The text of a request by the first bytes of its message; `cut` says that they are not all that there were.
pub(super) fn text(kind: RequestKind, head: &[u8], cut: bool) -> String {
    if cut && head.len() < TELLING {
        return String::new();
    }
    let body = head.get(all_headers_len(head)..).unwrap_or_default();
    match kind {
        RequestKind::SqlBatch => first_chars(body),
        RequestKind::Rpc => procedure(body).unwrap_or_default(),
        RequestKind::TransactionManager => transaction(body).unwrap_or_default(),
        RequestKind::BulkLoad => String::new(),
    }
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
    // Two units per character at most.
    let bytes = utf16le
        .get(..super::TEXT_CHARS.saturating_mul(4))
        .unwrap_or(utf16le);
    let mut text = utf16(bytes);
    if text.len() > super::TEXT_CHARS
        && let Some((behind, _)) = text.char_indices().nth(super::TEXT_CHARS)
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

fn procedure(body: &[u8]) -> Option<String> {
    let mut r = Reader::new(body);
    let chars = r.u16_le()?;
    if chars == 0xffff {
        let id = r.u16_le()?;
        let name = word("tds.rpc.proc_id", u64::from(id));
        return Some(name.map_or_else(|| format!("ProcID {id}"), str::to_owned));
    }
    let bytes = usize::from(chars).saturating_mul(2);
    let have = r.left().min(bytes);
    r.take(have).map(first_chars)
}

fn transaction(body: &[u8]) -> Option<String> {
    let kind = Reader::new(body).u16_le()?;
    let name = word("tds.transmgr", u64::from(kind));
    Some(name.map_or_else(|| format!("transaction request {kind}"), str::to_owned))
}
