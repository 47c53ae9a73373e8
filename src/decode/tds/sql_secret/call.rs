//! Calls of procedures and functions, and which of their arguments are secrets.

use super::lexer::{Kind, Token};
use super::scan::{AROUND, Scan};
use super::table::{self, Args, Role};

impl Scan<'_> {
    /// Whether a name is that of a procedure which is executed.
    pub(super) fn is_called(&self, at: usize) -> bool {
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

    /// The arguments of a procedure or function.
    pub(super) fn call(&mut self, at: usize, args: Args) {
        let mut walk = Arguments::default();
        let mut tells = false;
        let first = at.saturating_add(1);
        for here in first..first.saturating_add(AROUND) {
            let Some(token) = self.token(here) else {
                return;
            };
            if token.kind == Kind::Comment {
                continue;
            }
            let ends_here =
                walk.depth == 0 && token.kind == Kind::Word && ends_call(&self.name(token));
            if ends_here || !walk.take(token, args == Args::Third) {
                return;
            }
            let is_given = self.behind(here).is_some_and(|(_, token)| token.is('='));
            if token.kind == Kind::Word && is_given {
                walk.name = self.name(token);
            }
            let secret = match args {
                Args::At(place) => walk.name.is_empty() && walk.place == place,
                Args::Named(place, name) => {
                    walk.name == name || walk.name.is_empty() && walk.place == place
                }
                Args::Third => walk.semicolons >= 2,
                Args::Executed => {
                    tells |= walk.place < 2 && table::tells(&self.long_name(token));
                    tells && walk.place >= 2
                }
            };
            if !secret {
                continue;
            }
            match token.kind {
                Kind::Text | Kind::Quoted => self.hide_literal(token),
                Kind::Binary | Kind::Number => self.hide(token.inside()),
                // The name that an argument is given by is no variable of the statement.
                Kind::Word if self.name(token).starts_with('@') => {
                    if !is_given {
                        let name = self.name(token);
                        self.found.variables.push(name);
                    }
                }
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
}

/// Whether a word cannot be an argument: another part of the statement, or another call, begins.
fn ends_call(word: &str) -> bool {
    table::role(word) != Role::Other || table::call(word).is_some()
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
