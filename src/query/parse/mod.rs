//! Reads a filter's text into its tree.

mod compare;
mod operand;

use super::ast::{Calc, Expr, Leaf, Node, Quant, What};
use super::error::ParseError;
use super::field::{self, Ty};
use super::lexer::{Tok, Token, tokens};
use super::literal::Lit;
use super::value::{Ranges, Test};
use super::{Context, Filter};

/// Brackets and saved filters inside each other.
const DEEPEST: usize = 64;
/// Conditions in one filter.
const MOST_LEAVES: usize = 1000;

/// Reads a filter.
pub(super) fn parse(text: &str, context: &Context<'_>) -> Result<Filter, ParseError> {
    let mut parser = Parser::new(text, context, 0)?;
    let root = parser.whole()?;
    let filled = context
        .cursor
        .and_then(|cursor| cursor.written_into(text, &parser.tokens));
    // Not every value can be written so that it is read again.
    let filled = filled.filter(|filled| parse(filled, context).is_ok());
    let text = filled.as_deref().unwrap_or(text);
    Ok(Filter::new(text, root, parser.leaves, parser.hints))
}

/// An operand with its place.
struct Operand {
    what: Raw,
    at: usize,
    len: usize,
}

/// An operand before it is known what it is compared with.
enum Raw {
    Lit(Lit),
    Expr(Expr, Ty),
}

struct Parser<'a> {
    tokens: Vec<Token>,
    next: usize,
    context: &'a Context<'a>,
    depth: usize,
    leaves: usize,
    hints: Vec<String>,
}

impl<'a> Parser<'a> {
    fn new(text: &str, context: &'a Context<'a>, depth: usize) -> Result<Self, ParseError> {
        Ok(Self {
            tokens: tokens(text)?,
            next: 0,
            context,
            depth,
            leaves: 0,
            hints: Vec::new(),
        })
    }

    fn whole(&mut self) -> Result<Node, ParseError> {
        let root = self.any()?;
        if self.peek().tok != Tok::End {
            let wanted = if ends_with_field(&root) {
                "`==`, `and`, `or` or the end"
            } else {
                "`and`, `or` or the end"
            };
            return Err(self.unexpected(wanted));
        }
        Ok(root)
    }

    fn any(&mut self) -> Result<Node, ParseError> {
        let mut parts = vec![self.all()?];
        while self.take_word("or") || self.take_sign("||") {
            parts.push(self.all()?);
        }
        Ok(one_or(parts, Node::Any))
    }

    fn all(&mut self) -> Result<Node, ParseError> {
        let mut parts = vec![self.not()?];
        while self.take_word("and") || self.take_sign("&&") {
            parts.push(self.not()?);
        }
        Ok(one_or(parts, Node::All))
    }

    fn not(&mut self) -> Result<Node, ParseError> {
        if self.take_word("not") || self.take_sign("!") {
            return self.deeper(|p| Ok(Node::Not(Box::new(p.not()?))));
        }
        if let Tok::Saved(name) = self.peek().tok.clone() {
            return self.saved(&name);
        }
        if self.is_sign("(") {
            return self.bracket();
        }
        self.test()
    }

    /// `(` begins a condition, or an operand; which one shows only behind its `)`.
    fn bracket(&mut self) -> Result<Node, ParseError> {
        let (start, leaves) = (self.next, self.leaves);
        let condition = self.deeper(|p| {
            p.next = p.next.saturating_add(1);
            let inner = p.any()?;
            p.expect_sign(")")?;
            Ok(inner)
        });
        let goes_on = matches!(self.peek().tok, Tok::Sign(s) if !matches!(s, ")" | "&&" | "||"));
        if condition.is_ok() && !goes_on {
            return condition;
        }
        let after = (self.next, self.leaves);
        self.next = start;
        self.leaves = leaves;
        match (self.test(), condition) {
            (Ok(node), _) => Ok(node),
            (Err(e), Err(first)) if e.column <= first.column => Err(first),
            (Err(_), Ok(node)) => {
                (self.next, self.leaves) = after;
                Ok(node)
            }
            (Err(e), Err(_)) => Err(e),
        }
    }

    fn deeper<T>(
        &mut self,
        f: impl FnOnce(&mut Self) -> Result<T, ParseError>,
    ) -> Result<T, ParseError> {
        if self.depth >= DEEPEST {
            let here = self.peek();
            let message = format!("more than {DEEPEST} brackets inside each other");
            return Err(ParseError::new(here.at, here.len, message));
        }
        self.depth = self.depth.saturating_add(1);
        let result = f(self);
        self.depth = self.depth.saturating_sub(1);
        result
    }

    fn saved(&mut self, name: &str) -> Result<Node, ParseError> {
        let (at, len) = (self.peek().at, self.peek().len);
        self.next = self.next.saturating_add(1);
        let Some(saved) = self.context.saved.and_then(|s| s.get(name)) else {
            let known = self.context.saved.into_iter().flatten();
            let hint = crate::settings::nearest(name, known.map(|(n, _)| n.as_str()));
            let hint = hint.map(|n| format!("@{n}"));
            let error = ParseError::new(at, len, format!("no saved filter `@{name}`"));
            return Err(error.nearest(hint.as_deref()));
        };
        let inside = |e: ParseError| ParseError {
            column: at,
            length: len,
            message: format!(
                "in @{name}, column {}: {}",
                e.column.saturating_add(1),
                e.message
            ),
            nearest: e.nearest,
        };
        if self.depth >= DEEPEST {
            return Err(ParseError::new(at, len, format!("@{name} uses itself")));
        }
        let depth = self.depth.saturating_add(8);
        let mut parser = Parser::new(&saved.text, self.context, depth).map_err(inside)?;
        parser.leaves = self.leaves;
        let root = parser.whole().map_err(inside)?;
        self.leaves = parser.leaves;
        self.hints.append(&mut parser.hints);
        Ok(root)
    }

    /// A comparison, or a field alone.
    fn test(&mut self) -> Result<Node, ParseError> {
        let quant = self.quantifier();
        let left = self.sum()?;
        if self.take_word("in") {
            return self.set(&left);
        }
        if matches!(&self.peek().tok, Tok::Word(w) if w == "not") && self.word_ahead("in") {
            self.next = self.next.saturating_add(2);
            return Ok(Node::Not(Box::new(self.set(&left)?)));
        }
        let Some(sign) = self.comparison() else {
            return self.alone(left);
        };
        match sign {
            "contains" | "~" => {
                let right = self.sum()?;
                let sides = Self::text_sides(sign, left, right)?;
                self.text_test(sign, quant, &sides)
            }
            _ => {
                let right = self.sum()?;
                self.compare(sign, quant, left, right)
            }
        }
    }

    /// `any` and `all` in front of a field.
    fn quantifier(&mut self) -> Option<Quant> {
        let quant = match &self.peek().tok {
            Tok::Word(w) if w == "any" => Quant::Any,
            Tok::Word(w) if w == "all" => Quant::Every,
            _ => return None,
        };
        let follows = self.tokens.get(self.next.saturating_add(1));
        if !matches!(follows.map(|t| &t.tok), Some(Tok::Word(_))) {
            return None;
        }
        self.next = self.next.saturating_add(1);
        Some(quant)
    }

    fn comparison(&mut self) -> Option<&'static str> {
        let sign = match &self.peek().tok {
            Tok::Sign(s @ ("==" | "!=" | "<" | "<=" | ">" | ">=" | "~" | "~=" | "===" | "!==")) => {
                Some(*s)
            }
            Tok::Word(w) => match w.as_str() {
                "eq" | "any_eq" => Some("=="),
                "ne" | "all_ne" => Some("!="),
                "lt" => Some("<"),
                "le" => Some("<="),
                "gt" => Some(">"),
                "ge" => Some(">="),
                "any_ne" => Some("~="),
                "all_eq" => Some("==="),
                "contains" => Some("contains"),
                "matches" => Some("~"),
                _ => None,
            },
            _ => None,
        }?;
        self.next = self.next.saturating_add(1);
        Some(sign)
    }

    /// A field alone asks whether it is there.
    fn alone(&mut self, operand: Operand) -> Result<Node, ParseError> {
        match operand.what {
            Raw::Expr(Expr::Field(field), _) if field.is_own_flag() => self.leaf(What::Test {
                field,
                test: Test::Num(Ranges(vec![(1, 1)])),
                quant: Quant::Any,
            }),
            Raw::Expr(Expr::Field(field), ty) => {
                if ty == Ty::Bool {
                    self.hints.push(format!(
                        "`{0}` alone asks whether the header is there; `{0} == 1` asks whether it is set",
                        field.name
                    ));
                }
                self.leaf(What::Present(field))
            }
            Raw::Expr(expr, _) if matches!(expr, Expr::Calc(_, Calc::And, ..)) => {
                self.leaf(What::NotZero(expr))
            }
            Raw::Lit(Lit::Word(word)) => Err(no_field(&word, operand.at, operand.len)),
            Raw::Lit(Lit::Text(_)) | Raw::Expr(..) => Err(ParseError::new(
                operand.at,
                operand.len,
                "this is compared with nothing; a comparison (==, <, in, ~ …) is missing",
            )),
        }
    }

    fn leaf(&mut self, what: What) -> Result<Node, ParseError> {
        let id = self.leaves;
        self.leaves = self.leaves.saturating_add(1);
        if self.leaves > MOST_LEAVES {
            let here = self.peek();
            let message = format!("more than {MOST_LEAVES} conditions");
            return Err(ParseError::new(here.at, here.len, message));
        }
        Ok(Node::Leaf(Leaf { id, what }))
    }

    fn peek(&self) -> &Token {
        static END: Token = Token {
            tok: Tok::End,
            at: 0,
            len: 0,
        };
        self.tokens
            .get(self.next)
            .or(self.tokens.last())
            .unwrap_or(&END)
    }

    fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek().tok, Tok::Sign(s) if s == sign)
    }

    fn sign_ahead(&self, sign: &str) -> bool {
        let token = self.tokens.get(self.next.saturating_add(1));
        matches!(token.map(|t| &t.tok), Some(Tok::Sign(s)) if *s == sign)
    }

    fn word_ahead(&self, word: &str) -> bool {
        let token = self.tokens.get(self.next.saturating_add(1));
        matches!(token.map(|t| &t.tok), Some(Tok::Word(w)) if w == word)
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let there = self.is_sign(sign);
        self.next = self.next.saturating_add(usize::from(there));
        there
    }

    fn take_word(&mut self, word: &str) -> bool {
        let there = matches!(&self.peek().tok, Tok::Word(w) if w.eq_ignore_ascii_case(word));
        self.next = self.next.saturating_add(usize::from(there));
        there
    }

    fn expect_sign(&mut self, sign: &str) -> Result<(), ParseError> {
        if self.take_sign(sign) {
            return Ok(());
        }
        Err(self.unexpected(&format!("`{sign}`")))
    }

    fn unexpected(&self, wanted: &str) -> ParseError {
        let token = self.peek();
        let found = match &token.tok {
            Tok::Word(w) => format!("`{w}`"),
            Tok::Text(t) => format!("\"{t}\""),
            Tok::Sign(s) => format!("`{s}`"),
            Tok::Saved(n) => format!("@{n}"),
            Tok::End => "the end".to_owned(),
        };
        let message = format!("{wanted} is expected here, not {found}");
        let error = ParseError::new(token.at, token.len, message);
        match &token.tok {
            Tok::Word(w) if wanted.contains("`and`") => {
                error.nearest(crate::settings::nearest(w, ["and", "or"]))
            }
            _ => error,
        }
    }
}

/// Whether what was read last is a field alone, so that a comparison may have been meant to follow.
fn ends_with_field(node: &Node) -> bool {
    match node {
        Node::All(parts) | Node::Any(parts) => parts.last().is_some_and(ends_with_field),
        Node::Not(of) => ends_with_field(of),
        Node::Leaf(leaf) => matches!(leaf.what, What::Present(_)),
    }
}

const KEYWORDS: &[&str] = &[
    "and", "or", "not", "in", "contains", "matches", "eq", "ne", "lt", "le", "gt", "ge",
];

fn is_keyword(word: &str) -> bool {
    KEYWORDS.contains(&word)
}

fn one_or(mut parts: Vec<Node>, many: impl Fn(Vec<Node>) -> Node) -> Node {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            many(parts)
        }
        None => many(parts),
    }
}

fn no_field(name: &str, at: usize, len: usize) -> ParseError {
    if let Some(text) = field::refusal(name) {
        return ParseError::new(at, len, text);
    }
    ParseError::new(at, len, format!("no such field: `{name}`")).nearest(field::nearest_name(name))
}
