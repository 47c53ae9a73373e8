//! What `%` stands for in a filter: the value under the cursor.

use super::complete::is_comparing_word;
use super::lexer::{Tok, Token};
use super::wireshark::quoted;

/// The value under the cursor.
#[derive(Debug, Clone, Copy)]
pub enum UnderCursor<'a> {
    /// One value, whatever it is compared with.
    Value(&'a str),
    /// What a row says of some fields, by their names.
    Row(&'a [(&'a str, String)]),
}

impl<'a> UnderCursor<'a> {
    /// The value of a `%` behind these tokens; `None` if the row does not say what it is compared with.
    pub(super) fn behind(self, tokens: &[Token]) -> Option<&'a str> {
        match self {
            Self::Value(value) => Some(value),
            Self::Row(row) => {
                let field = tokens.iter().rev().find_map(field)?;
                let (_, value) = row.iter().find(|(name, _)| *name == field)?;
                Some(value)
            }
        }
    }

    /// A filter's text with the value in the place of each `%`; `None` without any.
    pub(super) fn written_into(self, text: &str, tokens: &[Token]) -> Option<String> {
        let mut out = String::new();
        let mut chars = text.chars();
        let mut done = 0;
        for (index, token) in tokens.iter().enumerate() {
            if token.tok != Tok::Sign("%") {
                continue;
            }
            let before = tokens.get(..index).unwrap_or_default();
            let value = self.behind(before)?;
            out.extend(chars.by_ref().take(token.at.saturating_sub(done)));
            out.push_str(&written(value));
            chars.by_ref().take(token.len).for_each(drop);
            done = token.at.saturating_add(token.len);
        }
        out.extend(chars);
        (done > 0).then_some(out)
    }
}

/// The field that a token names.
fn field(token: &Token) -> Option<&str> {
    match &token.tok {
        Tok::Word(word) if word.starts_with(char::is_alphabetic) && !is_comparing_word(word) => {
            Some(word)
        }
        _ => None,
    }
}

/// A value as it stands in a filter.
fn written(value: &str) -> String {
    let is_in_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if !value.is_empty() && value.chars().all(is_in_word) {
        value.to_owned()
    } else {
        quoted(value)
    }
}
