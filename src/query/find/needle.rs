//! What is looked for, as the user types it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::OnceLock;

use regex::{Regex, RegexBuilder};

use crate::query::{Context, Filter, ParseError, parse};

/// Bytes that a compiled pattern may take.
const PATTERN_SIZE: usize = 4 << 20;
/// Characters of a text; a longer one would be read as a whole again for each packet.
const MOST_CHARS: usize = 1024;
/// No letter with an upper and a lower case stands behind.
const LAST_LETTER: u32 = 0x1_e943;

/// What is looked for.
#[derive(Debug, Clone)]
pub enum Needle {
    /// Text in messages.
    Text(Text),
    /// A pattern in messages (`re:`).
    Pattern(Regex),
    /// Bytes in streams (`hex:`).
    Bytes(Vec<u8>),
    /// Frames that a filter selects.
    Filter(Box<Filter>),
}

/// A text in all its forms: as UTF-16, UTF-8 and Latin-1, in any letter case.
#[derive(Debug, Clone)]
pub struct Text {
    forms: regex::bytes::Regex,
    /// No form has more bytes.
    longest: usize,
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
        Text::new(text).map(Self::Text).map_err(|why| {
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

impl Text {
    fn new(text: &str) -> Result<Self, String> {
        let too_long = || "the text is too long to look for".to_owned();
        if text.chars().count() > MOST_CHARS {
            return Err(too_long());
        }
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
        let mut forms = Vec::new();
        let mut longest = 0;
        for encode in [&utf16 as &dyn Fn(char) -> Option<Vec<u8>>, &utf8, &latin] {
            if let Some((form, len)) = form(text, encode) {
                longest = len.max(longest);
                if !forms.contains(&form) {
                    forms.push(form);
                }
            }
        }
        let forms = regex::bytes::RegexBuilder::new(&forms.join("|"))
            .unicode(false)
            .size_limit(PATTERN_SIZE)
            .build()
            .map_err(|_| too_long())?;
        Ok(Self { forms, longest })
    }

    /// Bytes that the longest form has.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// Whether the text stands in bytes, and ends behind the first `old` of them.
    pub(super) fn ends_behind(&self, bytes: &[u8], old: usize) -> bool {
        // Forms overlap: the search goes on behind the first byte of one that ends too early.
        let mut from = old.saturating_sub(self.longest);
        while let Some(found) = self.forms.find_at(bytes, from) {
            if found.end() > old {
                return true;
            }
            from = found.start().saturating_add(1);
        }
        false
    }
}

/// A pattern for the bytes of a text in one encoding, and how many bytes it takes at most; `None` if a letter of the
/// text is not in the encoding in any case.
fn form(text: &str, encode: &dyn Fn(char) -> Option<Vec<u8>>) -> Option<(String, usize)> {
    let letter = |c: char| -> (Vec<String>, usize) {
        let (mut forms, mut longest) = (Vec::new(), 0);
        for bytes in same_letter(c).into_iter().filter_map(encode) {
            longest = bytes.len().max(longest);
            let mut form = String::new();
            for byte in bytes {
                let _ = write!(form, "\\x{byte:02x}");
            }
            forms.push(form);
        }
        (forms, longest)
    };
    let (mut pattern, mut longest) = (String::new(), 0_usize);
    for c in text.chars() {
        let (mut forms, mut len) = letter(c);
        // Some letters are several in the other case: ß is SS.
        let upper: Vec<char> = c.to_uppercase().collect();
        if upper.len() > 1 {
            let letters: Vec<_> = upper.iter().map(|c| letter(*c)).collect();
            if letters.iter().all(|(forms, _)| !forms.is_empty()) {
                let groups = letters.iter().map(|(f, _)| format!("(?:{})", f.join("|")));
                forms.push(groups.collect());
                len = len.max(letters.iter().map(|(_, len)| len).sum());
            }
        }
        if forms.is_empty() {
            return None;
        }
        let _ = write!(pattern, "(?:{})", forms.join("|"));
        longest = longest.saturating_add(len);
    }
    Some((pattern, longest))
}

/// The characters that are the same letter in another case, and the character itself: k, K and the sign of Kelvin;
/// i, I and the dotless and the dotted one of Turkish.
fn same_letter(c: char) -> Vec<char> {
    static LETTERS: OnceLock<HashMap<char, Vec<char>>> = OnceLock::new();
    let letters = LETTERS.get_or_init(|| {
        let mut letters: HashMap<char, Vec<char>> = HashMap::new();
        for c in (0..=LAST_LETTER).filter_map(char::from_u32) {
            letters.entry(base(c)).or_default().push(c);
        }
        letters.retain(|_, same| same.len() > 1);
        letters
    });
    let same = letters.get(&base(c)).filter(|same| same.contains(&c));
    same.cloned().unwrap_or_else(|| vec![c])
}

/// What all cases of a letter have in common: its lower case.
fn base(c: char) -> char {
    let single = |mut all: std::char::ToUppercase| all.next().filter(|_| all.next().is_none());
    let upper = single(c.to_uppercase()).unwrap_or(c);
    // The dotted capital I becomes an i and a dot.
    upper.to_lowercase().next().unwrap_or(c)
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
        assert!(pattern.ends_behind(&utf16("xx ÜBER yy"), 0));
        assert!(pattern.ends_behind("die über uns".as_bytes(), 0));
        assert!(pattern.ends_behind(b"\xfcBER", 0));
        assert!(!pattern.ends_behind(&utf16("uber"), 0));
        let mut odd = vec![7];
        odd.extend(utf16("über"));
        assert!(pattern.ends_behind(&odd, 0), "alignment does not matter");
    }

    #[test]
    fn letters_have_more_than_two_cases_in_some_scripts() {
        let finds = |typed: &str, there: &str| {
            let Needle::Text(text) = needle(typed) else {
                panic!("no text");
            };
            let utf16: Vec<u8> = there.encode_utf16().flat_map(u16::to_le_bytes).collect();
            (
                text.ends_behind(&utf16, 0),
                text.ends_behind(there.as_bytes(), 0),
            )
        };
        let both = (true, true);
        for (typed, there) in [
            ("straße", "STRASSE"),
            ("straße", "STRAẞE"),
            ("STRAẞE", "straße"),
            ("istanbul", "İSTANBUL"),
            ("ISPARTA", "ısparta"),
            ("İzmir", "izmir"),
            ("ΟΔΟΣ", "οδος"),
            ("οδοσ", "ΟΔΟΣ"),
            ("kelvin", "\u{212a}ELVIN"),
            ("\u{10428}x", "\u{10400}X"),
            ("ﬁn", "FIN"),
        ] {
            assert_eq!(finds(typed, there), both, "{typed} in {there}");
        }
        assert_eq!(finds("straße", "strase"), (false, false));
        assert_eq!(finds("x", "y"), (false, false));
    }

    #[test]
    fn forms_that_overlap_are_all_found() {
        let Needle::Text(text) = needle("anan") else {
            panic!("no text");
        };
        assert!(text.ends_behind(b"bananan", 5));
        assert!(text.ends_behind(b"bananan", 6));
        assert!(!text.ends_behind(b"bananan", 7));
    }
}
