//! The one gate between texts of a capture and the terminal: nothing that a terminal would act on gets through.

use std::fmt::Write as _;

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::units::hidden;

/// The text with control characters written out (`\x1b`), and characters that reorder or hide text as dots. Where
/// only ASCII can be shown, arrows become `<` and `>`, and everything else a question mark.
pub fn safe_text(text: &str, ascii: bool) -> Cow<'_, str> {
    if text.chars().all(|c| is_plain(c, ascii)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len().saturating_add(8));
    for c in text.chars() {
        if is_plain(c, ascii) {
            out.push(c);
        } else if c.is_control() {
            push_escape(&mut out, c);
        } else if is_hidden(c) {
            out.push('.');
        } else {
            out.push(match c {
                '\u{2190}' => '<',
                '\u{2192}' => '>',
                _ => '?',
            });
        }
    }
    Cow::Owned(out)
}

fn is_plain(c: char, ascii: bool) -> bool {
    match c {
        ' '..='~' => true,
        _ if ascii => false,
        _ => !c.is_control() && !is_hidden(c),
    }
}

fn push_escape(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        _ => {
            let code = u32::from(c);
            let _ = write!(out, "\\x{code:02x}");
        }
    }
}

/// Characters that take no cell of their own or change the order of others, lone combining characters among them.
fn is_hidden(c: char) -> bool {
    hidden::is_hidden(c) || c.width().unwrap_or(0) == 0
}

/// Cells that a safe text takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// As much of a safe text as fits; what was cut ends in `~`.
pub fn cut(text: &str, cells: usize) -> Cow<'_, str> {
    if width(text) <= cells {
        return Cow::Borrowed(text);
    }
    let mut used = 0_usize;
    let mut out = String::new();
    for c in text.chars() {
        let w = c.width().unwrap_or(0);
        if used.saturating_add(w) >= cells {
            break;
        }
        used = used.saturating_add(w);
        out.push(c);
    }
    if cells > 0 {
        out.push('~');
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escape_sequences_and_marks_of_direction_are_written_out() {
        assert_eq!(safe_text("a\x1b[31mb", false), "a\\x1b[31mb");
        assert_eq!(safe_text("\u{9b}2J\x07\n", false), "\\x9b2J\\x07\\n");
        assert_eq!(safe_text("drop\u{202e}txt", false), "drop.txt");
        assert_eq!(safe_text("größe", false), "größe");
        assert_eq!(safe_text("größe 表", true), "gr??e ?");
        assert_eq!(safe_text("C→S", true), "C>S");
        assert!(matches!(safe_text("plain", true), Cow::Borrowed(_)));
    }

    #[test]
    fn wide_characters_are_cut_on_cell_borders() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdef", 4), "abc~");
        assert_eq!(cut("表表表", 4), "表~");
        assert_eq!(cut("表表表", 5), "表表~");
        assert_eq!(cut("ab", 0), "");
    }

    proptest! {
        #[test]
        fn nothing_that_a_terminal_acts_on_gets_through(text in any::<String>(), ascii in any::<bool>(), cells in 0usize..40) {
            let safe = safe_text(&text, ascii);
            let has_control = safe.chars().any(char::is_control);
            prop_assert!(!has_control);
            if ascii {
                prop_assert!(safe.is_ascii());
            }
            prop_assert!(width(&cut(&safe, cells)) <= cells);
        }
    }
}
