//! Cuts a filter's text into tokens that know their place.

use super::ParseError;

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tok {
    /// A name, a number, an address, a time: what it means shows from where it stands.
    Word(String),
    /// Text in quotes.
    Text(String),
    /// An operator or a bracket.
    Sign(&'static str),
    /// A saved filter, `@name`.
    Saved(String),
    /// The end.
    End,
}

/// A token with its place in characters.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) tok: Tok,
    pub(super) at: usize,
    pub(super) len: usize,
}

/// Longest first, so that `!==` is not read as `!=`.
const SIGNS: &[&str] = &[
    "===", "!==", "==", "!=", "~=", "<=", ">=", "&&", "||", "..", "<", ">", "~", "!", "&", "+",
    "-", "*", "/", "%", "(", ")", "{", "}", "[", "]", ",", ":",
];

/// All tokens, the last of them `End`.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, ParseError> {
    let chars: Vec<char> = text.chars().collect();
    let mut lexer = Lexer {
        chars: &chars,
        at: 0,
    };
    let mut out = Vec::new();
    loop {
        let token = lexer.next()?;
        let done = token.tok == Tok::End;
        out.push(token);
        if done {
            return Ok(out);
        }
    }
}

struct Lexer<'a> {
    chars: &'a [char],
    at: usize,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at.saturating_add(ahead)).copied()
    }

    fn next(&mut self) -> Result<Token, ParseError> {
        while self.peek(0).is_some_and(char::is_whitespace) {
            self.at = self.at.saturating_add(1);
        }
        let start = self.at;
        let tok = match self.peek(0) {
            None => Tok::End,
            Some(quote @ ('"' | '\'')) => self.quoted(quote, false)?,
            Some('r') if self.peek(1) == Some('"') => {
                self.at = self.at.saturating_add(1);
                self.quoted('"', true)?
            }
            Some('@') => {
                self.at = self.at.saturating_add(1);
                Tok::Saved(self.word())
            }
            Some(c) if starts_word(c) => Tok::Word(self.word()),
            Some(':') if self.peek(1) == Some(':') => Tok::Word(self.word()),
            Some(c) => {
                let sign = SIGNS.iter().find(|s| {
                    s.chars()
                        .enumerate()
                        .all(|(i, want)| self.peek(i) == Some(want))
                });
                let Some(sign) = sign else {
                    let hint = match c {
                        '=' => "; `==` compares",
                        '|' => "; `or` joins two conditions",
                        _ => "",
                    };
                    return Err(ParseError::new(
                        start,
                        1,
                        format!("`{c}` means nothing here{hint}"),
                    ));
                };
                self.at = self.at.saturating_add(sign.chars().count());
                Tok::Sign(sign)
            }
        };
        Ok(Token {
            tok,
            at: start,
            len: self.at.saturating_sub(start),
        })
    }

    /// A name, number, address or time. Hyphens belong to it in rule ids (`close-4way`) and dates, and stand for
    /// minus elsewhere; a slash belongs to an address before a prefix length.
    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(c) = self.peek(0) {
            let next = self.peek(1);
            let goes_on = match c {
                _ if starts_word(c) => true,
                '.' => next.is_some_and(starts_word),
                ':' => next.is_some_and(|n| starts_word(n) || n == ':') || word.ends_with(':'),
                '-' => self.hyphen_joins(&word),
                '/' => {
                    next.is_some_and(|n| n.is_ascii_digit())
                        && word.parse::<std::net::IpAddr>().is_ok()
                }
                _ => false,
            };
            if !goes_on {
                break;
            }
            word.push(c);
            self.at = self.at.saturating_add(1);
        }
        word
    }

    fn hyphen_joins(&self, word: &str) -> bool {
        let part: String = self
            .chars
            .iter()
            .skip(self.at.saturating_add(1))
            .take_while(|c| starts_word(**c))
            .collect();
        let digits = |s: &str, n: usize| s.len() == n && s.bytes().all(|b| b.is_ascii_digit());
        let date = match word.split_once('-') {
            None => digits(word, 4) && digits(&part, 2),
            Some((year, month)) => {
                digits(year, 4)
                    && digits(month, 2)
                    && part.get(..2).is_some_and(|day| digits(day, 2))
            }
        };
        let id = word.starts_with(|c: char| c.is_alphabetic())
            && !word.contains('.')
            && part.contains(|c: char| c.is_alphabetic());
        date || id
    }

    /// Text in quotes. `\"`, `\\`, `\n`, `\r`, `\t`, `\0` and `\xhh` are what they are in Wireshark; any other
    /// backslash stays, so that patterns need no doubled ones.
    fn quoted(&mut self, quote: char, raw: bool) -> Result<Tok, ParseError> {
        let start = self.at;
        self.at = self.at.saturating_add(1);
        let mut text = String::new();
        loop {
            let Some(c) = self.peek(0) else {
                let len = self.at.saturating_sub(start);
                return Err(ParseError::new(
                    start,
                    len,
                    format!("the closing {quote} is missing"),
                ));
            };
            self.at = self.at.saturating_add(1);
            match c {
                c if c == quote => return Ok(Tok::Text(text)),
                '\\' if !raw => self.escape(&mut text),
                c => text.push(c),
            }
        }
    }

    fn escape(&mut self, text: &mut String) {
        let known = match self.peek(0) {
            Some(c @ ('"' | '\'')) => Some(c),
            Some('\\') => Some('\\'),
            Some('n') => Some('\n'),
            Some('r') => Some('\r'),
            Some('t') => Some('\t'),
            Some('0') => Some('\0'),
            Some('x') => {
                let code: String = self
                    .chars
                    .iter()
                    .skip(self.at.saturating_add(1))
                    .take(2)
                    .collect();
                match u8::from_str_radix(&code, 16) {
                    Ok(byte) if code.len() == 2 => {
                        self.at = self.at.saturating_add(2);
                        Some(char::from(byte))
                    }
                    _ => None,
                }
            }
            _ => None,
        };
        match known {
            Some(c) => {
                text.push(c);
                self.at = self.at.saturating_add(1);
            }
            None => text.push('\\'),
        }
    }
}

fn starts_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        tokens(text)
            .unwrap()
            .into_iter()
            .map(|t| match t.tok {
                Tok::Word(w) => w,
                Tok::Text(t) => format!("'{t}'"),
                Tok::Sign(s) => s.to_owned(),
                Tok::Saved(s) => format!("@{s}"),
                Tok::End => "END".to_owned(),
            })
            .collect()
    }

    #[test]
    fn words_take_what_belongs_to_them() {
        let cases: &[(&str, &[&str])] = &[
            (
                "finding==mars-close-rst",
                &["finding", "==", "mars-close-rst"],
            ),
            ("close-4way", &["close-4way"]),
            ("tcp.ack-16", &["tcp.ack", "-", "16"]),
            ("a.tcp.ack-b.tcp.ack", &["a.tcp.ack", "-", "b.tcp.ack"]),
            (
                "frame in 1040..1060",
                &["frame", "in", "1040", "..", "1060"],
            ),
            ("12.0..12.1", &["12.0", "..", "12.1"]),
            ("{FIN,T.RST}", &["{", "FIN", ",", "T.RST", "}"]),
            ("ip==10.0.0.0/8", &["ip", "==", "10.0.0.0/8"]),
            ("10/2", &["10", "/", "2"]),
            ("fe80::1", &["fe80::1"]),
            ("::1", &["::1"]),
            ("2026-03-14T09:31:12.5", &["2026-03-14T09:31:12.5"]),
            ("x[0:4]", &["x", "[", "0:4", "]"]),
            ("!smp&&@late", &["!", "smp", "&&", "@late"]),
            (r#"q ~ "a\.b\x41\"c""#, &["q", "~", r#"'a\.bA"c'"#]),
            (r#"r"a\n""#, &[r"'a\n'"]),
            ("100µs", &["100µs"]),
        ];
        for (text, wanted) in cases {
            let mut wanted: Vec<_> = wanted.iter().map(ToString::to_string).collect();
            wanted.push("END".to_owned());
            assert_eq!(words(text), wanted, "{text}");
        }
    }

    #[test]
    fn places_count_characters() {
        let tokens = tokens("é == \"ü\" x").unwrap();
        let places: Vec<_> = tokens.iter().map(|t| (t.at, t.len)).collect();
        assert_eq!(places, [(0, 1), (2, 2), (5, 3), (9, 1), (10, 0)]);
    }
}
