//! Goes through the tokens of a text, and through the texts and comments in it, and marks what is secret.

use std::ops::Range;

use super::lexer::{self, Kind, Token, is_fine_quote, is_word, unit};
use super::rows::Columns;
use super::table::{self, Role};

/// Texts in texts that are told apart; what is deeper is hidden whole if a word of secrets is in it.
const DEPTH: usize = 4;
/// Tokens that are looked at before and behind a word for what belongs to it.
pub(super) const AROUND: usize = 512;
/// Units of a name that are looked at.
const NAME: usize = 256;
/// Digits from which a number may be a secret; shorter ones count something, or are flags.
pub(super) const LONG_NUMBER: usize = 4;

/// What was found, in places of the outermost text.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) ranges: Vec<Range<usize>>,
    /// Variables that stand for secrets, in small letters.
    pub(super) variables: Vec<String>,
}

/// A text, or what stands in one: its units, and their places in the outermost.
struct Inner {
    units: Vec<u16>,
    places: Vec<usize>,
}

/// How long what follows a word of secrets is secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Armed {
    No,
    /// Up to the next item or part of the statement, at this depth of parentheses.
    Item(usize),
    /// Up to the next statement.
    Statement,
}

/// A text on its way.
pub(super) struct Scan<'a> {
    pub(super) units: &'a [u16],
    /// Places of the units in the outermost text, and behind the last; without them the units are that text.
    pub(super) places: Option<&'a [usize]>,
    /// The text is a value: a connection string, as well as SQL.
    pub(super) value: bool,
    pub(super) level: usize,
    pub(super) tokens: Vec<Token>,
    pub(super) armed: Armed,
    pub(super) depth: usize,
    /// What the statement inserts into, if it inserts rows.
    pub(super) columns: Option<Columns>,
    /// Behind BETWEEN: the next AND ends nothing.
    pub(super) between: bool,
    /// Tokens that begin before are hidden already.
    pub(super) done: usize,
    /// Variables that were found to stand for secrets: what is given to them is one.
    pub(super) carriers: &'a [String],
    pub(super) found: &'a mut Found,
}

/// Times that a text is read: what is given to a variable that stands for a secret may be another variable.
const ROUNDS: usize = 4;

/// Marks the secrets of a text.
pub(super) fn text(units: &[u16], value: bool, found: &mut Found) {
    let mut carriers = Vec::new();
    for _ in 0..ROUNDS {
        run(units, None, value, 0, &carriers, found);
        found.variables.sort();
        found.variables.dedup();
        if found.variables.len() == carriers.len() {
            break;
        }
        carriers.clone_from(&found.variables);
    }
}

/// As [`text`], of a text within others; whether what follows it is secret too.
fn run(
    units: &[u16],
    places: Option<&[usize]>,
    value: bool,
    level: usize,
    carriers: &[String],
    found: &mut Found,
) -> bool {
    let mut scan = Scan {
        units,
        places,
        value,
        level,
        tokens: lexer::tokens(units),
        armed: Armed::No,
        depth: 0,
        columns: None,
        between: false,
        done: 0,
        carriers,
        found,
    };
    for at in 0..scan.tokens.len() {
        if let Some(token) = scan.token(at)
            && token.whole().start >= scan.done
        {
            scan.step(at, token);
        }
    }
    scan.armed != Armed::No
}

/// The tokens of a piece of text between its first and its last, if one of them shows that it is SQL, and none is a
/// literal.
pub(super) fn sql_of_piece(units: &[u16]) -> Option<Range<usize>> {
    let tokens = lexer::tokens(units);
    let [first, inner @ .., last] = tokens.as_slice() else {
        return None;
    };
    let is_sql = inner.iter().any(|token| {
        let name = units.get(token.inside()).unwrap_or_default();
        let name = String::from_utf16_lossy(name).to_ascii_lowercase();
        token.kind == Kind::Word && table::role(&name) != Role::Other
    });
    let literal = tokens.iter().any(|token| match token.kind {
        Kind::Text | Kind::Quoted | Kind::Binary | Kind::Comment => true,
        Kind::Number => token.inside().len() >= LONG_NUMBER,
        _ => false,
    });
    (is_sql && !literal).then(|| first.whole().end..last.whole().start)
}

impl Scan<'_> {
    pub(super) fn token(&self, at: usize) -> Option<Token> {
        self.tokens.get(at).copied()
    }

    /// The token before another, comments left out.
    pub(super) fn before(&self, at: usize) -> Option<(usize, Token)> {
        let before = self.tokens.get(..at)?.iter().enumerate().rev();
        let mut before = before
            .take(AROUND)
            .filter(|(_, token)| token.kind != Kind::Comment);
        before.next().map(|(at, token)| (at, *token))
    }

    /// The token behind another, comments left out.
    pub(super) fn behind(&self, at: usize) -> Option<(usize, Token)> {
        let from = at.saturating_add(1);
        let behind = self.tokens.get(from..)?.iter().enumerate();
        let mut behind = behind
            .take(AROUND)
            .filter(|(_, token)| token.kind != Kind::Comment);
        behind
            .next()
            .map(|(at, token)| (from.saturating_add(at), *token))
    }

    /// The name that a token is, in small letters.
    pub(super) fn name(&self, token: Token) -> String {
        let units = self.units.get(token.inside()).unwrap_or_default();
        let units = units.get(..NAME).unwrap_or(units);
        String::from_utf16_lossy(units).to_ascii_lowercase()
    }

    pub(super) fn is_word(&self, token: Token, words: &[&str]) -> bool {
        token.kind == Kind::Word && words.contains(&self.name(token).as_str())
    }

    /// Marks a range of units.
    pub(super) fn hide(&mut self, range: Range<usize>) {
        let place = |at: usize| match self.places {
            Some(places) => places.get(at).or(places.last()).copied().unwrap_or(at),
            None => at,
        };
        let range = place(range.start)..place(range.end);
        if !range.is_empty() {
            self.found.ranges.push(range);
        }
    }

    /// Marks a literal. One that does not end where it should hides all that follows: nobody knows where it ends.
    pub(super) fn hide_literal(&mut self, token: Token) {
        let inside = token.inside();
        let end = token.whole().end;
        let broken = token.is_text() && self.units.get(end).is_some_and(|unit| is_word(*unit));
        if broken {
            self.hide_rest(inside.start);
        } else {
            self.hide(inside);
        }
    }

    fn hide_rest(&mut self, from: usize) {
        self.hide(from..self.units.len());
        self.done = usize::MAX;
    }

    fn step(&mut self, at: usize, token: Token) {
        match token.kind {
            Kind::Comment => {
                self.inside(token, true);
            }
            Kind::Text | Kind::Quoted if self.armed != Armed::No => self.hide_literal(token),
            Kind::Quoted if table::has_word(&self.name(token)) && !self.has_literal(token) => {
                self.word(at, token);
            }
            Kind::Text | Kind::Quoted => self.text(at, token),
            Kind::Binary if self.armed != Armed::No => self.hide(token.inside()),
            Kind::Number if self.armed != Armed::No && self.is_compared(at) => {
                self.hide_number(token);
            }
            Kind::Binary | Kind::Number => {}
            Kind::Word | Kind::Bracket => self.name_or_keyword(at, token),
            Kind::Sign(sign) if self.armed != Armed::No && is_fine_quote(sign) => {
                self.hide_rest(token.whole().end);
            }
            Kind::Sign(_) => self.sign(token),
        }
    }

    /// A text, or a name in double quotes, that is no secret by what stands before it.
    fn text(&mut self, at: usize, token: Token) {
        let called = Some(token).filter(|token| token.kind == Kind::Quoted);
        if let Some(args) = called.and_then(|token| table::call(&self.name(token))) {
            self.call(at, args);
        } else if self.inside(token, true) {
            self.arm();
        }
    }

    fn sign(&mut self, token: Token) {
        if let Some(columns) = &mut self.columns {
            columns.take(token, self.depth);
        }
        if token.is('(') {
            self.depth = self.depth.saturating_add(1);
        } else if token.is(')') {
            self.depth = self.depth.saturating_sub(1);
            if let Armed::Item(depth) = self.armed {
                self.armed = Armed::Item(depth.min(self.depth));
            }
        } else if token.is(';') {
            self.armed = Armed::No;
            self.columns = None;
        } else if token.is(',') && self.armed == Armed::Item(0) && self.depth == 0 {
            self.armed = Armed::No;
        }
    }

    pub(super) fn arm(&mut self) {
        if self.armed != Armed::Statement {
            self.armed = Armed::Item(self.depth);
            self.between = false;
        }
    }

    fn name_or_keyword(&mut self, at: usize, token: Token) {
        let name = self.name(token);
        if table::has_word(&name) {
            return self.word(at, token);
        }
        if let Some(args) = table::call(&name) {
            return self.call(at, args);
        }
        if token.kind == Kind::Word {
            self.keyword(at, &name);
        }
    }

    fn keyword(&mut self, at: usize, name: &str) {
        if name.starts_with('@') && self.armed != Armed::No {
            self.found.variables.push(name.to_owned());
            return;
        }
        if self.carriers.iter().any(|carrier| carrier == name) && self.is_given(at) {
            return self.arm();
        }
        // REVERT WITH COOKIE = 0x...
        let with = |(_, token)| self.is_word(token, &["with"]);
        if name == "cookie" && self.before(at).is_some_and(with) {
            return self.arm();
        }
        let is_item = matches!(self.armed, Armed::Item(_));
        if self.inserts_at(at, name, is_item) {
            return;
        }
        match table::role(name) {
            Role::Statement => {
                self.armed = Armed::No;
                self.columns = (name == "insert").then(|| Columns::behind(self.depth));
            }
            Role::Clause => {
                if name == "and" && std::mem::take(&mut self.between) {
                    return;
                }
                if let Armed::Item(depth) = self.armed
                    && self.depth <= depth
                {
                    self.armed = Armed::No;
                }
            }
            Role::Other => self.between |= name == "between" && is_item,
        }
    }

    /// A name with a word of secrets in it.
    fn word(&mut self, at: usize, token: Token) {
        if let Some(columns) = &mut self.columns
            && columns.has(self.depth)
        {
            columns.secret.push(columns.place);
            return;
        }
        self.compared_before(at);
        if self.is_called(at) {
            self.armed = Armed::Statement;
        } else {
            self.arm();
        }
        if self.value {
            self.in_connection_string(at);
        }
        self.bare_text(at, token);
    }

    /// Whether a text in double quotes has something in it that may be a literal itself.
    fn has_literal(&self, token: Token) -> bool {
        let units = self.units.get(token.inside()).unwrap_or_default();
        units
            .iter()
            .any(|here| *here == unit('=') || *here == unit('\''))
    }

    /// Marks what is secret in a text or comment; whether what follows it is secret too.
    fn inside(&mut self, token: Token, value: bool) -> bool {
        let units = self.units.get(token.inside()).unwrap_or_default();
        let bytes: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        if !table::is_in(&bytes) {
            return false;
        }
        if self.level >= DEPTH {
            self.hide(token.inside());
            return true;
        }
        let quote = match token.kind {
            Kind::Text => Some(unit('\'')),
            Kind::Quoted => Some(unit('"')),
            _ => None,
        };
        let inner = self.inner(token.inside(), quote);
        let level = self.level.saturating_add(1);
        let (places, carriers) = (Some(inner.places.as_slice()), self.carriers);
        run(&inner.units, places, value, level, carriers, self.found) && token.kind != Kind::Comment
    }

    /// What stands in a text: two quotes are one of it.
    fn inner(&self, range: Range<usize>, quote: Option<u16>) -> Inner {
        let mut inner = Inner {
            units: Vec::with_capacity(range.len()),
            places: Vec::with_capacity(range.len().saturating_add(1)),
        };
        let place = |at: usize| match self.places {
            Some(places) => places.get(at).copied().unwrap_or(at),
            None => at,
        };
        let mut doubled = false;
        for at in range.clone() {
            let Some(here) = self.units.get(at).copied() else {
                break;
            };
            if doubled {
                doubled = false;
                continue;
            }
            doubled = quote == Some(here);
            inner.units.push(here);
            inner.places.push(place(at));
        }
        inner.places.push(place(range.end));
        inner
    }
}
