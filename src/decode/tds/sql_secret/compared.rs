//! What a name with a word of secrets in it is compared with, where that stands in front of it, and numbers.

use super::lexer::{Kind, Token, unit};
use super::scan::{AROUND, LONG_NUMBER, Scan};
use super::table::{self, Role};

impl Scan<'_> {
    /// Marks what a name is compared with, where that stands in front of it: `'x' = lower(u.password)`.
    pub(super) fn compared_before(&mut self, at: usize) {
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
    pub(super) fn is_compared(&self, at: usize) -> bool {
        let mut at = at;
        let mut compares = false;
        while let Some((before, _)) = self.before(at).filter(|(_, token)| is_comparison(*token)) {
            compares = true;
            at = before;
        }
        let name = self.before(at).filter(|(_, token)| token.is_name());
        compares && name.is_some_and(|(_, token)| table::has_word(&self.name(token)))
    }

    pub(super) fn hide_number(&mut self, token: Token) {
        if token.inside().len() >= LONG_NUMBER {
            self.hide(token.inside());
        }
    }
}

fn is_comparison(token: Token) -> bool {
    ['=', '<', '>', '!'].into_iter().any(|sign| token.is(sign))
}
