//! Secrets that stand in SQL text: passwords of logins, users, keys and linked servers, secrets of credentials,
//! connection strings in literals. Which words and procedures tell of them is in `table.rs`.
//!
//! A literal that is given to, or compared with, something that has one of the words in its name is a secret, and what
//! a word of secrets is followed by is hidden up to the next item, clause or statement: rather too much than too little.
//! What a literal leaves open, because the text ends or makes no sense, is secret to the end. Texts in texts, and
//! comments, are read as SQL too.

mod call;
mod compared;
mod given;
mod lexer;
mod rows;
mod scan;
mod table;
#[cfg(test)]
mod tests;

use std::ops::Range;

use scan::Found;

use super::type_info::utf16;
use crate::decode::field::{Field, Value, secret_words};
use crate::units::ranges::joined;

/// Secrets of one text that are told apart; behind them all is one.
const MOST: usize = 256;
/// Units of one text that are read; where a word of secrets is in it, what is behind them is secret.
const MOST_UNITS: usize = 1 << 20;

/// How a text is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// It is SQL.
    Statement,
    /// It is a value: SQL, or a connection string.
    Value,
}

/// How the characters of a text are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// UTF-16LE.
    Wide,
    /// Bytes of a code page, or UTF-8.
    Narrow,
}

/// What is secret in a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Secrets {
    /// Ranges of its bytes, in order; none touches another. Quotes stay outside.
    pub ranges: Vec<Range<usize>>,
    /// Variables that are given to, or compared with, what is secret, in small letters.
    pub variables: Vec<String>,
}

/// Whether anything in bytes may tell of secrets; most texts have nothing of it.
pub fn may_be_in(bytes: &[u8]) -> bool {
    table::is_in(bytes)
}

/// Whether what has a name is a secret by that: a parameter, a procedure whose arguments are.
pub fn is_name_of_secret(name: &str) -> bool {
    table::has_word(&name.to_ascii_lowercase())
}

/// The name in small letters that a procedure of the system has in every database, however it is qualified and quoted.
pub fn system_name(procedure: &str) -> String {
    let name = procedure.rsplit('.').next().unwrap_or(procedure);
    name.trim_matches(['[', ']', '"']).to_ascii_lowercase()
}

/// Whether a procedure's argument is a secret, by its place and the name it is given.
pub fn is_secret_argument(procedure: &str, place: usize, name: &str) -> bool {
    match table::call(&system_name(procedure)) {
        Some(table::Args::At(at)) => name.is_empty() && at == place,
        Some(table::Args::Named(at, known)) => {
            name.eq_ignore_ascii_case(known) || name.is_empty() && at == place
        }
        _ => false,
    }
}

/// What is secret in a text.
pub fn find(text: &[u8], width: Width, reading: Reading) -> Secrets {
    if !may_be_in(text) {
        return Secrets::default();
    }
    let (units, size): (Vec<u16>, _) = match width {
        Width::Wide => {
            let (pairs, _) = text.as_chunks::<2>();
            let units = pairs
                .iter()
                .take(MOST_UNITS)
                .map(|pair| u16::from_le_bytes(*pair));
            (units.collect(), 2_usize)
        }
        Width::Narrow => (
            text.iter()
                .take(MOST_UNITS)
                .map(|byte| u16::from(*byte))
                .collect(),
            1,
        ),
    };
    let mut found = Found::default();
    scan::text(&units, reading == Reading::Value, &mut found);
    let read = units.len().saturating_mul(size);
    let scaled =
        |range: &Range<usize>| range.start.saturating_mul(size)..range.end.saturating_mul(size);
    let mut ranges: Vec<_> = found.ranges.iter().map(scaled).collect();
    if units.len() >= MOST_UNITS {
        ranges.push(read..text.len());
    }
    Secrets {
        ranges: few(joined(ranges), text.len()),
        variables: found.variables,
    }
}

/// What of a piece of UTF-16LE text, of which nobody knows what stands before it, is no secret for sure: it is SQL, and
/// no literal begins or ends in it. Its first and last word may be parts of something.
pub fn harmless_piece(bytes: &[u8]) -> Range<usize> {
    let has_quote = bytes
        .windows(2)
        .any(|pair| matches!(pair, b"'\0" | b"\"\0"));
    if has_quote || may_be_in(bytes) {
        return 0..0;
    }
    // The piece may begin within a character.
    for skipped in 0..2 {
        let text = bytes.get(skipped..).unwrap_or_default();
        let (pairs, _) = text.as_chunks::<2>();
        let units: Vec<u16> = pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
        if let Some(range) = scan::sql_of_piece(&units) {
            let place = |at: usize| at.saturating_mul(2).saturating_add(skipped);
            return place(range.start)..place(range.end);
        }
    }
    0..0
}

/// A piece of UTF-16LE text with what may be secret in it replaced by words.
pub fn shown_piece(piece: &[u8]) -> String {
    let harmless = harmless_piece(piece);
    let hidden = [0..harmless.start, harmless.end..piece.len()];
    let hidden: Vec<_> = hidden
        .into_iter()
        .filter(|range| !range.is_empty())
        .collect();
    replaced(piece, &hidden, utf16)
}

/// UTF-16LE text with what is secret in it replaced by words.
pub fn shown(text: &[u8], reading: Reading) -> String {
    let secrets = find(text, Width::Wide, reading);
    replaced(text, &secrets.ranges, utf16)
}

/// A text with ranges of its bytes replaced by words; `print` makes text of the others. The ranges may reach beyond it.
pub fn replaced(text: &[u8], secrets: &[Range<usize>], print: impl Fn(&[u8]) -> String) -> String {
    let Some(last) = secrets.last() else {
        return print(text);
    };
    let mut out = String::new();
    let mut at = 0;
    for secret in secrets
        .iter()
        .take_while(|secret| secret.start < text.len())
    {
        out.push_str(&print(text.get(at..secret.start).unwrap_or_default()));
        out.push_str(&secret_words(secret.len()));
        at = secret.end;
    }
    if last.end < text.len() || at < text.len() {
        out.push_str(&print(text.get(at..).unwrap_or_default()));
    }
    out
}

/// A field for a secret in a text.
pub fn field(secret: &Range<usize>) -> Field {
    Field::new("tds.other", "secret", Value::Secret(secret.len()))
}

/// The first of them, and one for all that is behind these.
fn few(mut ranges: Vec<Range<usize>>, len: usize) -> Vec<Range<usize>> {
    if ranges.len() > MOST {
        ranges.truncate(MOST);
        if let Some(last) = ranges.last_mut() {
            last.end = len;
        }
    }
    ranges
}
