//! A bounded look into DER: tag, length, content (X.690), enough for tokens of SPNEGO and Kerberos.

use std::ops::Range;

use super::reader::Reader;

/// Most values that are read of one level.
const MAX_ITEMS: usize = 64;

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// The tag byte (tags of several bytes are not used here).
    pub tag: u8,
    /// Its content, cut to what is there.
    pub content: &'a [u8],
    /// Position of the content.
    pub content_at: usize,
    /// Tag, length and content.
    pub range: Range<usize>,
}

impl<'a> Tlv<'a> {
    /// Reads one value.
    pub fn read(r: &mut Reader<'a>) -> Option<Self> {
        let start = r.position();
        let tag = r.u8()?;
        let len = match r.u8()? {
            len @ 0..=0x7f => usize::from(len),
            form if (0x81..=0x84).contains(&form) => {
                let bytes = r.take(usize::from(form & 0x0f))?;
                bytes
                    .iter()
                    .fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte))
            }
            _ => return None,
        };
        let (part, _) = r.sub_lax(len);
        Some(Self {
            tag,
            content: part.rest(),
            content_at: part.position(),
            range: start..r.position(),
        })
    }

    /// The values of one level, at most 64.
    pub fn list(data: &'a [u8], at: usize) -> Vec<Self> {
        let mut r = Reader::at(data, at);
        let mut found = Vec::new();
        while found.len() < MAX_ITEMS
            && let Some(tlv) = Self::read(&mut r)
        {
            found.push(tlv);
        }
        found
    }

    /// The first value whose tag is the last of `tags`, each inside the first value of the tag before.
    pub fn path(data: &'a [u8], at: usize, tags: &[u8]) -> Option<Self> {
        let mut found: Option<Self> = None;
        for tag in tags {
            let (data, at) = found
                .as_ref()
                .map_or((data, at), |tlv| (tlv.content, tlv.content_at));
            found = Some(
                Self::list(data, at)
                    .into_iter()
                    .find(|tlv| tlv.tag == *tag)?,
            );
        }
        found
    }
}

/// An object identifier in dotted form.
pub fn oid(content: &[u8]) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut value = 0_u64;
    for byte in content {
        value = value << 7 & u64::MAX >> 1 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            if parts.is_empty() {
                let first = (value / 40).min(2);
                parts.push(first.to_string());
                value = value.saturating_sub(first.saturating_mul(40));
            }
            parts.push(value.to_string());
            value = 0;
        }
    }
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_and_paths_read() {
        assert_eq!(
            oid(&[0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 2, 0x0a]),
            "1.3.6.1.4.1.311.2.2.10"
        );
        let data = [0x30, 5, 0xa1, 3, 0x0a, 1, 2];
        let state = Tlv::path(&data, 100, &[0x30, 0xa1, 0x0a]).unwrap();
        assert_eq!((state.content, state.range), (&[2_u8][..], 104..107));
        assert_eq!(Tlv::path(&data, 0, &[0x30, 0xa2]), None);
    }

    #[test]
    fn lengths_beyond_the_bytes_are_cut() {
        let tlv = Tlv::read(&mut Reader::new(&[0x04, 0x84, 0xff, 0xff, 0xff, 0xff, 1])).unwrap();
        assert_eq!(tlv.content, [1]);
    }
}
