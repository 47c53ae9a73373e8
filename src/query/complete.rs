//! What may stand where the cursor is in a filter that is being typed.

use super::Context;
use super::field::{self, FieldRef, Ty};
use super::lexer::{Tok, tokens};

/// Most candidates that are offered.
const MOST: usize = 50;

/// Something that may stand at the cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The text.
    pub text: String,
    /// Characters in front of what it replaces.
    pub start: usize,
    /// Characters that it replaces.
    pub length: usize,
    /// What it means; empty where the text says it.
    pub what: String,
}

/// The candidates for the word at the cursor (characters in front of it): fields where one may stand, words of the
/// field where a value may, operators behind an operand, saved filters behind `@`. Those that begin with what is
/// typed come first.
pub fn complete(text: &str, cursor: usize, context: &Context<'_>) -> Vec<Candidate> {
    let before: Vec<char> = text.chars().take(cursor).collect();
    let typed = before
        .iter()
        .rev()
        .take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '@'))
        .count();
    let start = before.len().saturating_sub(typed);
    let word: String = before.iter().skip(start).collect();
    let head: String = before.iter().take(start).collect();
    let Ok(tokens) = tokens(&head) else {
        return Vec::new();
    };
    let words: Vec<Tok> = tokens
        .into_iter()
        .map(|t| t.tok)
        .filter(|t| *t != Tok::End)
        .collect();

    let offers = if let Some(name) = word.strip_prefix('@') {
        let saved = context.saved.into_iter().flatten();
        let named = saved.map(|(n, filter)| (n.clone(), filter.text.clone()));
        return matching(
            name,
            named,
            start.saturating_add(1),
            typed.saturating_sub(1),
        );
    } else {
        offers(&words)
    };
    matching(&word, offers, start, typed)
}

fn matching(
    typed: &str,
    offers: impl IntoIterator<Item = (String, String)>,
    start: usize,
    length: usize,
) -> Vec<Candidate> {
    let typed = typed.to_lowercase();
    let mut found: Vec<(bool, Candidate)> = offers
        .into_iter()
        .filter_map(|(text, what)| {
            let lower = text.trim_matches('"').to_lowercase();
            let begins = lower.starts_with(&typed);
            (begins || (typed.len() > 1 && lower.contains(&typed))).then_some((
                !begins,
                Candidate {
                    text,
                    start,
                    length,
                    what,
                },
            ))
        })
        .collect();
    found.sort_by_key(|(later, _)| *later);
    found.into_iter().take(MOST).map(|(_, c)| c).collect()
}

/// What may follow the tokens.
fn offers(words: &[Tok]) -> Vec<(String, String)> {
    match words.last() {
        None | Some(Tok::Sign("(" | "!" | "&&" | "||" | "+" | "-" | "*" | "/" | "&")) => fields(),
        Some(Tok::Word(w)) if matches!(w.as_str(), "and" | "or" | "not") => fields(),
        Some(tok) if is_comparison(tok) => match words.iter().rev().nth(1) {
            Some(Tok::Word(name)) => values(name),
            _ => fields(),
        },
        Some(Tok::Sign("{" | "," | "..")) => {
            let set = words
                .iter()
                .rposition(|t| matches!(t, Tok::Word(w) if w == "in"));
            let name = set.and_then(|at| words.get(at.checked_sub(1)?));
            match name {
                Some(Tok::Word(name)) => values(name),
                _ => Vec::new(),
            }
        }
        Some(Tok::Word(name)) => operators(field::find(name)),
        Some(_) => operators(None),
    }
}

fn is_comparison(tok: &Tok) -> bool {
    match tok {
        Tok::Sign(s) => matches!(
            *s,
            "==" | "!=" | "<" | "<=" | ">" | ">=" | "~" | "~=" | "===" | "!=="
        ),
        Tok::Word(word) => is_comparing_word(word),
        _ => false,
    }
}

/// Whether a word compares what stands before it with what stands behind.
pub fn is_comparing_word(word: &str) -> bool {
    matches!(
        word,
        "in" | "eq" | "ne" | "lt" | "le" | "gt" | "ge" | "contains" | "matches"
    )
}

fn fields() -> Vec<(String, String)> {
    let fields = field::names().map(|(n, what)| (n.to_owned(), what.to_owned()));
    fields
        .chain([("not".to_owned(), "the contrary".to_owned())])
        .collect()
}

fn values(name: &str) -> Vec<(String, String)> {
    let Some(field) = field::find(name) else {
        return Vec::new();
    };
    if field.ty == Ty::Bool {
        return ["1", "0"].map(|v| (v.to_owned(), String::new())).to_vec();
    }
    let quoted = |word: &str| {
        let plain = word
            .chars()
            .all(|c| c.is_alphanumeric() || "_.-".contains(c));
        if plain {
            word.to_owned()
        } else {
            format!("\"{word}\"")
        }
    };
    let own_words = matches!(field.ty, Ty::Word(_));
    field
        .words()
        .into_iter()
        .map(|(code, word)| {
            let what = if own_words {
                String::new()
            } else {
                code.to_string()
            };
            (quoted(word), what)
        })
        .collect()
}

fn operators(field: Option<FieldRef>) -> Vec<(String, String)> {
    let all: &[(&str, &str)] = match field.map(|f| f.ty) {
        None | Some(Ty::Presence) => &[],
        Some(Ty::Text | Ty::Bytes) => &[
            ("==", "equal"),
            ("!=", "none is equal"),
            ("contains", "has this in it"),
            ("~", "matches the pattern, in any letter case"),
            ("in", "one of {…}"),
        ],
        Some(Ty::Ip) => &[
            ("==", "equal, or in the net"),
            ("!=", "none is equal"),
            ("in", "one of {…}"),
        ],
        Some(Ty::Word(_)) => &[
            ("==", "equal"),
            ("!=", "none is equal"),
            ("in", "one of {…}"),
            ("~", "matches the pattern"),
        ],
        Some(_) => &[
            ("==", "equal"),
            ("!=", "none is equal"),
            ("<", "less"),
            ("<=", "less or equal"),
            (">", "greater"),
            (">=", "greater or equal"),
            ("in", "one of {…}, or a..b"),
        ],
    };
    all.iter()
        .chain(&[("and", "both"), ("or", "one of them")])
        .map(|(op, what)| ((*op).to_owned(), (*what).to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::settings::{Named, Place};

    fn first(text: &str) -> Option<(String, usize, usize)> {
        let found = complete(text, text.chars().count(), &Context::default());
        found.first().map(|c| (c.text.clone(), c.start, c.length))
    }

    fn check(typed: &str, text: &str, start: usize, length: usize) {
        let wanted = (text.to_owned(), start, length);
        assert_eq!(first(typed), Some(wanted), "{typed}");
    }

    #[test]
    fn what_fits_at_the_cursor_is_offered() {
        check("sid == 5 and ki", "kind", 13, 2);
        check("smp.flags.fi", "smp.flags.fin", 0, 12);
        check("kind == F", "FIN", 8, 1);
        check("kind in {FIN, t.r", "T.RST", 14, 3);
        check("tds.type == rem", "\"Remote Procedure Call\"", 12, 3);
        check("sid == 5 o", "or", 9, 1);
        check("tds.query con", "contains", 10, 3);
        assert_eq!(first("tds.query contains \"ab"), None);
        check("not (side == se", "server", 13, 2);
        let fields = complete("", 0, &Context::default());
        assert_eq!(fields.len(), MOST);
    }

    #[test]
    fn saved_filters_follow_the_at_sign() {
        let named = Named {
            text: "kind == FIN".to_owned(),
            place: Place::Default,
        };
        let saved = BTreeMap::from([("closes".to_owned(), named)]);
        let context = Context {
            saved: Some(&saved),
            ..Context::default()
        };
        let found = complete("sid == 1 or @cl", 15, &context);
        assert_eq!(found[0].text, "closes");
        assert_eq!((found[0].start, found[0].length), (13, 2));
    }
}
