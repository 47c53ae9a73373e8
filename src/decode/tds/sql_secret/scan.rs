//! Goes through the tokens of a text, and through the texts and comments in it, and marks what is secret.

use std::ops::Range;

use super::lexer::{self, Kind, Token, is_fine_quote, is_word, unit};
use super::table::{self, Args, Role};

/// Texts in texts that are told apart; what is deeper is hidden whole if a word of secrets is in it.
const DEPTH: usize = 4;
/// Tokens that are looked at before and behind a word for what belongs to it.
const AROUND: usize = 512;
/// Units of a name that are looked at.
const NAME: usize = 256;
/// Digits from which a number may be a secret; shorter ones count something, or are flags.
const LONG_NUMBER: usize = 4;

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
enum Armed {
    No,
    /// Up to the next item or part of the statement, at this depth of parentheses.
    Item(usize),
    /// Up to the next statement.
    Statement,
}

struct Scan<'a> {
    units: &'a [u16],
    /// Places of the units in the outermost text, and behind the last; without them the units are that text.
    places: Option<&'a [usize]>,
    /// The text is a value: a connection string, as well as SQL.
    value: bool,
    level: usize,
    tokens: Vec<Token>,
    armed: Armed,
    depth: usize,
    /// What the statement inserts into, if it inserts rows.
    columns: Option<Columns>,
    /// Behind BETWEEN: the next AND ends nothing.
    between: bool,
    /// Tokens that begin before are hidden already.
    done: usize,
    found: &'a mut Found,
}

/// Marks the secrets of a text.
pub(super) fn text(units: &[u16], value: bool, found: &mut Found) {
    run(units, None, value, 0, found);
}

/// As [`text`], of a text within others; whether what follows it is secret too.
fn run(
    units: &[u16],
    places: Option<&[usize]>,
    value: bool,
    level: usize,
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
    fn token(&self, at: usize) -> Option<Token> {
        self.tokens.get(at).copied()
    }

    /// The token before another, comments left out.
    fn before(&self, at: usize) -> Option<(usize, Token)> {
        let before = self.tokens.get(..at)?.iter().enumerate().rev();
        let mut before = before
            .take(AROUND)
            .filter(|(_, token)| token.kind != Kind::Comment);
        before.next().map(|(at, token)| (at, *token))
    }

    /// The token behind another, comments left out.
    fn behind(&self, at: usize) -> Option<(usize, Token)> {
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
    fn name(&self, token: Token) -> String {
        let units = self.units.get(token.inside()).unwrap_or_default();
        let units = units.get(..NAME).unwrap_or(units);
        String::from_utf16_lossy(units).to_ascii_lowercase()
    }

    fn is_word(&self, token: Token, words: &[&str]) -> bool {
        token.kind == Kind::Word && words.contains(&self.name(token).as_str())
    }

    /// Marks a range of units.
    fn hide(&mut self, range: Range<usize>) {
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
    fn hide_literal(&mut self, token: Token) {
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
            Kind::Text | Kind::Quoted => {
                if self.inside(token, true) {
                    self.arm();
                }
            }
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

    fn arm(&mut self) {
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

    /// Whether rows begin here that are inserted into a column, or a table, whose name has a word of secrets in it; what
    /// is inserted is marked.
    fn inserts_at(&mut self, at: usize, name: &str, is_item: bool) -> bool {
        let Some(columns) = &self.columns else {
            return false;
        };
        let behind_list = self.before(at).is_some_and(|(_, token)| token.is(')'));
        let values = name == "values";
        if !values && !(behind_list && matches!(name, "select" | "exec" | "execute")) {
            return false;
        }
        if is_item || !columns.secret.is_empty() && !(values && columns.are_few()) {
            self.armed = Armed::Statement;
            return true;
        }
        if let Some(columns) = self
            .columns
            .take()
            .filter(|columns| !columns.secret.is_empty())
        {
            self.rows(at, &columns);
        }
        values
    }

    /// Marks what rows have for columns that are secret; of a row that does not fit the columns, all.
    fn rows(&mut self, at: usize, columns: &Columns) {
        let mut row = Row::default();
        for here in at.saturating_add(1)..self.tokens.len() {
            let Some(token) = self.token(here) else {
                return;
            };
            if !row.take(here, token) {
                break;
            }
            if row.is_over() {
                self.row(&row, columns);
                row = Row::default();
            }
        }
        self.row(&row, columns);
    }

    fn row(&mut self, row: &Row, columns: &Columns) {
        let fits = row.depth > 0 || row.place.saturating_add(1) == columns.count;
        for (place, at) in &row.literals {
            let Some(token) = self
                .token(*at)
                .filter(|_| !fits || columns.secret.contains(place))
            else {
                continue;
            };
            match token.kind {
                Kind::Text | Kind::Quoted => self.hide_literal(token),
                Kind::Binary => self.hide(token.inside()),
                Kind::Number => self.hide_number(token),
                _ => {
                    let name = self.name(token);
                    if name.starts_with('@') {
                        self.found.variables.push(name);
                    }
                }
            }
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

    /// Whether a name is that of a procedure which is executed.
    fn is_called(&self, at: usize) -> bool {
        let mut at = at;
        // Server, database, owner.
        for _ in 0..3 {
            let Some((dot, _)) = self.before(at).filter(|(_, token)| token.is('.')) else {
                break;
            };
            at = dot;
            if let Some((name, _)) = self.before(at).filter(|(_, token)| token.is_name()) {
                at = name;
            }
        }
        if let Some((sign, _)) = self.before(at).filter(|(_, token)| token.is('='))
            && let Some((variable, _)) = self.before(sign)
        {
            at = variable;
        }
        match self.before(at) {
            Some((_, token)) => self.is_word(token, &["exec", "execute", "call"]),
            // The first statement needs no EXEC.
            None => self
                .behind(at)
                .is_some_and(|(_, token)| !matches!(token.kind, Kind::Sign(_))),
        }
    }

    /// Marks what a name is compared with, where that stands in front of it: `'x' = lower(u.password)`.
    fn compared_before(&mut self, at: usize) {
        let mut at = at;
        for _ in 0..8 {
            let Some((before, token)) = self.before(at) else {
                return;
            };
            let qualifies = token.is('.')
                || token.is('(')
                || token.is_name() && self.is_function_or_owner(before);
            if !qualifies {
                break;
            }
            at = before;
        }
        let mut compares = false;
        while let Some((before, token)) = self.before(at) {
            if !(is_comparison(token) || self.is_word(token, &["like", "not"])) {
                break;
            }
            compares = true;
            at = before;
        }
        if compares {
            self.hide_operand_before(at);
        }
    }

    fn is_function_or_owner(&self, at: usize) -> bool {
        self.behind(at)
            .is_some_and(|(_, token)| token.is('.') || token.is('('))
    }

    /// Marks the literals of the operand that ends before a token.
    fn hide_operand_before(&mut self, at: usize) {
        let mut depth = 0_usize;
        let mut at = at;
        for _ in 0..AROUND {
            let Some((before, token)) = self.before(at) else {
                return;
            };
            at = before;
            match token.kind {
                Kind::Sign(sign) if sign == unit(')') => depth = depth.saturating_add(1),
                Kind::Sign(sign) if sign == unit('(') => {
                    let Some(outer) = depth.checked_sub(1) else {
                        return;
                    };
                    depth = outer;
                }
                Kind::Sign(sign) if depth == 0 && sign != unit('+') => return,
                Kind::Text | Kind::Quoted => self.hide_literal(token),
                Kind::Binary => self.hide(token.inside()),
                Kind::Number => self.hide_number(token),
                Kind::Word if self.name(token).starts_with('@') => {
                    let name = self.name(token);
                    self.found.variables.push(name);
                }
                Kind::Word if depth == 0 && table::role(&self.name(token)) != Role::Other => return,
                _ => {}
            }
        }
    }

    /// Whether a number directly follows a comparison with a name that has a word of secrets in it.
    fn is_compared(&self, at: usize) -> bool {
        let mut at = at;
        let mut compares = false;
        while let Some((before, _)) = self.before(at).filter(|(_, token)| is_comparison(*token)) {
            compares = true;
            at = before;
        }
        let name = self.before(at).filter(|(_, token)| token.is_name());
        compares && name.is_some_and(|(_, token)| table::has_word(&self.name(token)))
    }

    fn hide_number(&mut self, token: Token) {
        if token.inside().len() >= LONG_NUMBER {
            self.hide(token.inside());
        }
    }

    /// `PWD=…;` of a connection string, and `<password>…<`: without quotes, up to the sign that ends it.
    fn in_connection_string(&mut self, at: usize) {
        let Some((_, sign)) = self.behind(at) else {
            return;
        };
        let is_element = sign.is('>') && self.before(at).is_some_and(|(_, token)| token.is('<'));
        if !sign.is('=') && !is_element {
            return;
        }
        let start = sign.whole().end;
        let rest = self.units.get(start..).unwrap_or_default();
        let spaces = rest.iter().take_while(|here| **here == unit(' ')).count();
        let start = start.saturating_add(spaces);
        let rest = rest.get(spaces..).unwrap_or_default();
        let is = |unit_here: Option<&u16>, sign| unit_here == Some(&unit(sign));
        let first = rest.first();
        let national = is(rest.get(1), '\'') && (is(first, 'N') || is(first, 'n'));
        if is(first, '\'') || is(first, '"') || national {
            // A literal, which is hidden as such.
            return;
        }
        // ODBC puts braces around what has semicolons in it; `}}` stands for one of them.
        let braces = if is(first, '{') {
            end_of_braces(rest)
        } else {
            0
        };
        let ends = |unit_here: &u16| {
            let ends_element = is_element && *unit_here == unit('<');
            matches!(*unit_here, 10 | 13) || *unit_here == unit(';') || ends_element
        };
        let behind = rest.get(braces..).unwrap_or_default();
        let len = behind
            .iter()
            .position(ends)
            .unwrap_or(behind.len())
            .saturating_add(braces);
        let mut end = start.saturating_add(len);
        // What seems to begin in it and to end behind it is taken along.
        let first = self
            .tokens
            .partition_point(|token| token.whole().start < start);
        for token in self.tokens.get(first..).unwrap_or_default() {
            if token.whole().start >= end {
                break;
            }
            end = end.max(token.whole().end);
        }
        self.hide(start..end);
        self.done = self.done.max(end);
    }

    /// `@password = word`: among the arguments of a procedure texts need no quotes.
    fn bare_text(&mut self, at: usize, token: Token) {
        let before = self.before(at);
        let options = before.is_some_and(|(_, token)| self.is_word(token, &["with", "by"]));
        if !options && !self.name(token).starts_with('@') {
            return;
        }
        let Some((sign, _)) = self.behind(at).filter(|(_, token)| token.is('=')) else {
            return;
        };
        if let Some((at, word)) = self.behind(sign) {
            self.hide_bare(at, word);
        }
    }

    fn hide_bare(&mut self, at: usize, word: Token) {
        let goes_on = self.behind(at).is_some_and(|(_, token)| match token.kind {
            Kind::Sign(sign) => [',', ';', ')', '}'].iter().all(|end| unit(*end) != sign),
            Kind::Word => self.is_word(token, &["from", "and", "or", "where"]),
            _ => false,
        });
        let is_text = match word.kind {
            Kind::Word => table::is_text(&self.name(word)),
            Kind::Bracket | Kind::Number => true,
            _ => false,
        };
        if is_text && !goes_on {
            self.hide(word.inside());
        }
    }

    /// The arguments of a procedure or function.
    fn call(&mut self, at: usize, args: Args) {
        let mut walk = Arguments::default();
        let mut has_word = false;
        let first = at.saturating_add(1);
        for here in first..first.saturating_add(AROUND) {
            let Some(token) = self.token(here) else {
                return;
            };
            if token.kind == Kind::Comment {
                continue;
            }
            let ends_here = walk.depth == 0
                && token.kind == Kind::Word
                && matches!(
                    table::role(&self.name(token)),
                    Role::Statement | Role::Clause
                );
            if ends_here || !walk.take(token, args == Args::Third) {
                return;
            }
            if token.kind == Kind::Word && self.behind(here).is_some_and(|(_, token)| token.is('='))
            {
                walk.name = self.name(token);
            }
            let secret = match args {
                Args::At(place) => walk.name.is_empty() && walk.place == place,
                Args::Named(place, name) => {
                    walk.name == name || walk.name.is_empty() && walk.place == place
                }
                Args::Third => walk.semicolons >= 2,
                Args::Executed => {
                    has_word |= walk.place < 2 && table::has_word(&self.long_name(token));
                    has_word && walk.place >= 2
                }
            };
            if !secret {
                continue;
            }
            match token.kind {
                Kind::Text | Kind::Quoted => self.hide_literal(token),
                Kind::Binary | Kind::Number => self.hide(token.inside()),
                Kind::Word | Kind::Bracket => self.hide_bare(here, token),
                Kind::Comment | Kind::Sign(_) => {}
            }
        }
    }

    /// All of a text in small letters, to look for words in it.
    fn long_name(&self, token: Token) -> String {
        let units = self.units.get(token.inside()).unwrap_or_default();
        String::from_utf16_lossy(units).to_ascii_lowercase()
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
        run(&inner.units, Some(&inner.places), value, level, self.found)
            && token.kind != Kind::Comment
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

fn is_comparison(token: Token) -> bool {
    ['=', '<', '>', '!'].into_iter().any(|sign| token.is(sign))
}

/// Behind the brace that ends what is in braces.
fn end_of_braces(units: &[u16]) -> usize {
    let mut at = 1_usize;
    while let Some(here) = units.get(at) {
        at = at.saturating_add(1);
        if *here != unit('}') {
            continue;
        }
        if units.get(at) != Some(&unit('}')) {
            return at;
        }
        at = at.saturating_add(1);
    }
    units.len()
}

/// The columns that rows are inserted into.
#[derive(Debug)]
struct Columns {
    /// The depth of parentheses that their list stands in.
    depth: usize,
    /// In the list: the column, from 0.
    place: usize,
    inside: bool,
    count: usize,
    /// Those whose names have words of secrets in them.
    secret: Vec<usize>,
}

impl Columns {
    /// Behind INSERT at a depth of parentheses.
    fn behind(depth: usize) -> Self {
        Self {
            depth,
            place: 0,
            inside: false,
            count: 0,
            secret: Vec::new(),
        }
    }

    /// Goes on by a sign that stands at a depth.
    fn take(&mut self, token: Token, depth: usize) {
        let is_list = depth == self.depth.saturating_add(1);
        if token.is('(') && depth == self.depth && self.secret.is_empty() {
            self.inside = true;
            self.place = 0;
        } else if token.is(')') && is_list && self.inside {
            self.inside = false;
            self.count = self.place.saturating_add(1);
        } else if token.is(',') && is_list && self.inside {
            self.place = self.place.saturating_add(1);
        }
    }

    /// Whether a name at a depth is one of a column.
    fn has(&self, depth: usize) -> bool {
        self.inside && depth == self.depth.saturating_add(1)
    }

    fn are_few(&self) -> bool {
        self.secret.len() <= 64
    }
}

/// A row of values on its way.
#[derive(Debug, Default)]
struct Row {
    depth: usize,
    /// The value, from 0.
    place: usize,
    over: bool,
    /// Literals and variables: the value that they belong to, and their token.
    literals: Vec<(usize, usize)>,
}

impl Row {
    /// Goes on by a token; whether it may belong to rows.
    fn take(&mut self, at: usize, token: Token) -> bool {
        if self.depth == 0 {
            if token.is('(') {
                self.depth = 1;
            }
            return token.is('(') || token.is(',') || token.kind == Kind::Comment;
        }
        match token.kind {
            Kind::Text | Kind::Quoted | Kind::Binary | Kind::Number | Kind::Word => {
                self.literals.push((self.place, at));
            }
            _ if token.is('(') => self.depth = self.depth.saturating_add(1),
            _ if token.is(')') => {
                self.depth = self.depth.saturating_sub(1);
                self.over = self.depth == 0;
            }
            _ if token.is(',') && self.depth == 1 => self.place = self.place.saturating_add(1),
            _ => {}
        }
        true
    }

    fn is_over(&self) -> bool {
        self.over
    }
}

/// Where one is among the arguments of a call.
#[derive(Debug, Default)]
struct Arguments {
    /// The argument, from 0.
    place: usize,
    /// The name that it is given by.
    name: String,
    depth: usize,
    in_parentheses: bool,
    begun: bool,
    semicolons: usize,
}

impl Arguments {
    /// Goes on by a token; whether it belongs to the call.
    fn take(&mut self, token: Token, semicolons: bool) -> bool {
        let begun = std::mem::replace(&mut self.begun, true);
        if token.is('(') {
            if begun {
                self.depth = self.depth.saturating_add(1);
            } else {
                self.in_parentheses = true;
            }
        } else if token.is(')') {
            match self.depth.checked_sub(1) {
                Some(depth) => self.depth = depth,
                None => return false,
            }
        } else if token.is(';') && self.depth == 0 {
            self.semicolons = self.semicolons.saturating_add(1);
            return semicolons && self.in_parentheses;
        } else if token.is(',') && self.depth == 0 {
            self.place = self.place.saturating_add(1);
            self.name.clear();
            self.semicolons = 0;
        }
        true
    }
}
