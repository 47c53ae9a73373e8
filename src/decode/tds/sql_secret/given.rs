//! What is given to a name without quotes: in connection strings, and among the arguments of procedures.

use super::lexer::{Kind, Token, unit};
use super::scan::Scan;
use super::table;

impl Scan<'_> {
    /// `PWD=…;` of a connection string, and `<password>…<`: without quotes, up to the sign that ends it.
    pub(super) fn in_connection_string(&mut self, at: usize) {
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

    /// Whether something is given to a variable: `@p = …`, `@p += …`, `declare @p as nvarchar(20) = …`.
    pub(super) fn is_given(&self, at: usize) -> bool {
        let Some((mut here, mut token)) = self.behind(at) else {
            return false;
        };
        if self.is_word(token, &["as"]) {
            let Some(next) = self.behind(here) else {
                return false;
            };
            (here, token) = next;
        }
        if token.is_name() && table::role(&self.name(token)) == table::Role::Other {
            let Some(next) = self.behind_type(here) else {
                return false;
            };
            (here, token) = next;
        }
        let equals = |(_, token): (usize, Token)| token.is('=');
        token.is('=') || token.is('+') && self.behind(here).is_some_and(equals)
    }

    /// What stands behind a type, of which the first name stands at a place: `sys.nvarchar(20)`.
    fn behind_type(&self, at: usize) -> Option<(usize, Token)> {
        let mut next = self.behind(at)?;
        if next.1.is('.') {
            let (name, _) = self.behind(next.0)?;
            next = self.behind(name)?;
        }
        if next.1.is('(') {
            let (size, _) = self.behind(next.0)?;
            let (end, _) = self.behind(size).filter(|(_, token)| token.is(')'))?;
            next = self.behind(end)?;
        }
        Some(next)
    }

    /// `@password = word`: among the arguments of a procedure texts need no quotes.
    pub(super) fn bare_text(&mut self, at: usize, token: Token) {
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

    pub(super) fn hide_bare(&mut self, at: usize, word: Token) {
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
