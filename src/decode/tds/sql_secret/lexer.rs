//! Tokens of Transact-SQL, as far as it matters where literals begin and end. What does not end goes on to the end of
//! the text.

use std::ops::Range;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A word, a name without quotes, a variable.
    Word,
    /// A name in brackets.
    Bracket,
    /// `'text'`, with or without N in front of it.
    Text,
    /// `"text"`: a name, or a text where QUOTED_IDENTIFIER is off.
    Quoted,
    /// `0x…`.
    Binary,
    /// A number.
    Number,
    /// A comment of either kind.
    Comment,
    /// Any other character.
    Sign(u16),
}

/// A token, in units of the text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: u32,
    pub(super) end: u32,
    /// What of it is left without quotes, brackets and prefix.
    inner: (u32, u32),
}

impl Token {
    /// What stands between its quotes or brackets, or behind its prefix.
    pub(super) fn inside(&self) -> Range<usize> {
        size(self.inner.0)..size(self.inner.1)
    }

    /// All of it.
    pub(super) fn whole(&self) -> Range<usize> {
        size(self.start)..size(self.end)
    }

    /// Whether it is a text or a name that may be one.
    pub(super) fn is_text(&self) -> bool {
        matches!(self.kind, Kind::Text | Kind::Quoted)
    }

    /// Whether it is a word or a name, in quotes or not.
    pub(super) fn is_name(&self) -> bool {
        matches!(self.kind, Kind::Word | Kind::Bracket | Kind::Quoted)
    }

    /// Whether it is this character.
    pub(super) fn is(&self, sign: char) -> bool {
        self.kind == Kind::Sign(unit(sign))
    }
}

pub(super) fn unit(sign: char) -> u16 {
    u16::try_from(u32::from(sign)).unwrap_or(0)
}

fn size(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// Quotes of typography and of wide forms: no quotes for SQL Server, but whoever wrote them meant some.
pub(super) fn is_fine_quote(unit: u16) -> bool {
    matches!(
        unit,
        0x2018..=0x201f | 0xff02 | 0xff07 | 0x00ab | 0x00bb | 0x60 | 0xb4
    )
}

fn is_space(unit: u16) -> bool {
    matches!(unit, 0..=0x20 | 0x7f..=0xa0 | 0x2000..=0x200b | 0x2028 | 0x2029 | 0x3000 | 0xfeff)
}

/// Whether a unit may stand in a word.
pub(super) fn is_word(unit: u16) -> bool {
    match u8::try_from(unit) {
        Ok(byte) if byte < 0x80 => {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'@' | b'#' | b'$')
        }
        _ => !is_space(unit) && !is_fine_quote(unit),
    }
}

fn is_digit(unit: u16) -> bool {
    (unit_of(b'0')..=unit_of(b'9')).contains(&unit)
}

fn is_hex(unit: u16) -> bool {
    u8::try_from(unit).is_ok_and(|byte| byte.is_ascii_hexdigit())
}

fn unit_of(byte: u8) -> u16 {
    u16::from(byte)
}

/// The tokens of a text.
pub(super) fn tokens(units: &[u16]) -> Vec<Token> {
    let mut lexer = Lexer { units, at: 0 };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.token() {
        tokens.push(token);
    }
    tokens
}

struct Lexer<'a> {
    units: &'a [u16],
    at: usize,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> Option<u16> {
        self.units.get(self.at.saturating_add(ahead)).copied()
    }

    fn sees(&self, ahead: usize, sign: char) -> bool {
        self.peek(ahead) == Some(unit(sign))
    }

    fn skip(&mut self, count: usize) {
        self.at = self.at.saturating_add(count).min(self.units.len());
    }

    fn skip_while(&mut self, fits: impl Fn(u16) -> bool) {
        while self.peek(0).is_some_and(&fits) {
            self.skip(1);
        }
    }

    fn token(&mut self) -> Option<Token> {
        self.skip_while(is_space);
        let start = self.at;
        let first = self.peek(0)?;
        let national =
            matches!(char::from_u32(first.into()), Some('n' | 'N')) && self.sees(1, '\'');
        let (kind, inner) = match char::from_u32(first.into()) {
            _ if national => {
                self.skip(1);
                (Kind::Text, self.quoted('\''))
            }
            Some('\'') => (Kind::Text, self.quoted('\'')),
            Some('"') => (Kind::Quoted, self.quoted('"')),
            Some('[') => (Kind::Bracket, self.quoted(']')),
            Some('-') if self.sees(1, '-') => (Kind::Comment, self.line()),
            Some('/') if self.sees(1, '*') => (Kind::Comment, self.block()),
            Some('0') if self.sees(1, 'x') || self.sees(1, 'X') => (Kind::Binary, self.binary()),
            _ if is_digit(first) => {
                self.skip_while(|unit| is_word(unit) || unit == unit_of(b'.'));
                (Kind::Number, start..self.at)
            }
            _ if is_word(first) => {
                self.skip_while(is_word);
                (Kind::Word, start..self.at)
            }
            _ => {
                self.skip(1);
                (Kind::Sign(first), start..self.at)
            }
        };
        let short = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Some(Token {
            kind,
            start: short(start),
            end: short(self.at),
            inner: (short(inner.start), short(inner.end)),
        })
    }

    /// Behind a quote up to the one that ends it; two of them stand for one.
    fn quoted(&mut self, end: char) -> Range<usize> {
        self.skip(1);
        let start = self.at;
        loop {
            self.skip_while(|other| other != unit(end));
            if !self.sees(1, end) {
                break;
            }
            self.skip(2);
        }
        let inner = start..self.at;
        self.skip(1);
        inner
    }

    fn line(&mut self) -> Range<usize> {
        self.skip(2);
        let start = self.at;
        self.skip_while(|unit| unit != 10 && unit != 13);
        start..self.at
    }

    /// A comment with others in it.
    fn block(&mut self) -> Range<usize> {
        self.skip(2);
        let start = self.at;
        let mut depth = 1_usize;
        while self.peek(0).is_some() {
            if self.sees(0, '*') && self.sees(1, '/') {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    break;
                }
                self.skip(1);
            } else if self.sees(0, '/') && self.sees(1, '*') {
                depth = depth.saturating_add(1);
                self.skip(1);
            }
            self.skip(1);
        }
        let inner = start..self.at;
        self.skip(2);
        inner
    }

    /// Digits behind `0x`; a backslash at the end of a line goes on in the next.
    fn binary(&mut self) -> Range<usize> {
        self.skip(2);
        let start = self.at;
        loop {
            self.skip_while(is_hex);
            let goes_on = self.sees(0, '\\') && (self.sees(1, '\n') || self.sees(1, '\r'));
            if !goes_on {
                break;
            }
            self.skip(1);
            self.skip_while(|unit| unit == 10 || unit == 13);
        }
        // What is no digit belongs to no number: it is taken along.
        self.skip_while(is_word);
        start..self.at
    }
}
