//! Operands: fields, constants, functions and arithmetic.

use super::{Operand, Parser, Raw, is_keyword, no_field};
use crate::query::ast::{Calc, Expr, Func};
use crate::query::error::ParseError;
use crate::query::field::{self, FieldRef, Ty};
use crate::query::lexer::Tok;
use crate::query::literal::{self, Const, Lit};
use crate::query::value::Val;

/// Operators of arithmetic one after the other: each goes one level deeper.
const MOST_CALCULATIONS: usize = 100;

impl Parser<'_> {
    pub(super) fn sum(&mut self) -> Result<Operand, ParseError> {
        self.row_of(Self::product, |parser| {
            if parser.take_sign("+") {
                Some(Calc::Add)
            } else if parser.take_sign("-") {
                Some(Calc::Sub)
            } else if parser.take_sign("&") || parser.take_word("bitwise_and") {
                Some(Calc::And)
            } else {
                None
            }
        })
    }

    fn product(&mut self) -> Result<Operand, ParseError> {
        self.row_of(Self::primary, |parser| {
            if parser.take_sign("*") {
                Some(Calc::Mul)
            } else if parser.take_sign("/") {
                Some(Calc::Div)
            } else {
                None
            }
        })
    }

    /// Parts with signs between them, from left to right.
    fn row_of(
        &mut self,
        part: fn(&mut Self) -> Result<Operand, ParseError>,
        sign: fn(&mut Self) -> Option<Calc>,
    ) -> Result<Operand, ParseError> {
        let mut left = part(self)?;
        for _ in 0..MOST_CALCULATIONS {
            let Some(calc) = sign(self) else {
                return Ok(left);
            };
            let right = part(self)?;
            left = Self::calc(left, calc, right)?;
        }
        let here = self.peek();
        let message = format!("more than {MOST_CALCULATIONS} calculations in a row");
        Err(ParseError::new(here.at, here.len, message))
    }

    fn calc(left: Operand, calc: Calc, right: Operand) -> Result<Operand, ParseError> {
        let at = left.at;
        let len = right.at.saturating_add(right.len).saturating_sub(at);
        let ty = match (&left.what, &right.what) {
            (Raw::Expr(_, l), Raw::Expr(_, r)) => {
                if *l == Ty::Seq || *r == Ty::Seq {
                    Ty::Seq
                } else {
                    *l
                }
            }
            (Raw::Expr(_, ty), _) | (_, Raw::Expr(_, ty)) => *ty,
            (Raw::Lit(l), Raw::Lit(_)) if literal::number(l.text()).is_none() => Ty::Span,
            _ => Ty::Int,
        };
        let side = |operand: Operand| -> Result<Expr, ParseError> {
            let (at, len) = (operand.at, operand.len);
            let (expr, ty) = match operand.what {
                Raw::Expr(expr, ty) => (expr, ty),
                Raw::Lit(lit) => (Expr::Const(Self::value(&lit, ty, at, len)?), ty),
            };
            if !ty.is_number() {
                let message = format!("there is no arithmetic with {}", ty.takes());
                return Err(ParseError::new(at, len, message));
            }
            Ok(expr)
        };
        // From one sequence number to another it is a plain number, forwards or backwards.
        let both_seq = matches!(
            (&left.what, &right.what),
            (Raw::Expr(_, Ty::Seq), Raw::Expr(_, Ty::Seq))
        );
        let calc = match calc {
            Calc::Sub if both_seq => Calc::Distance,
            calc => calc,
        };
        let result = match (calc, ty) {
            (Calc::And | Calc::Div | Calc::Distance, _) => Ty::Int,
            (Calc::Sub, Ty::Time) => Ty::Span,
            (_, ty) => ty,
        };
        let expr = Expr::Calc(
            Box::new(side(left)?),
            calc,
            Box::new(side(right)?),
            ty == Ty::Seq && calc != Calc::Distance,
        );
        Ok(Operand {
            what: Raw::Expr(expr, result),
            at,
            len,
        })
    }

    fn primary(&mut self) -> Result<Operand, ParseError> {
        let token = self.peek().clone();
        let (at, len) = (token.at, token.len);
        match token.tok {
            Tok::Sign("(") => self.deeper(|p| {
                p.next = p.next.saturating_add(1);
                let inner = p.sum()?;
                let end = p.peek().at.saturating_add(1);
                p.expect_sign(")")?;
                Ok(Operand {
                    what: inner.what,
                    at,
                    len: end.saturating_sub(at),
                })
            }),
            Tok::Word(word) => {
                if let Some(function) = function(&word)
                    && self.sign_ahead("(")
                {
                    return self.call(function, at);
                }
                if let Some((bound, field)) = self.bound(&word, at, len)? {
                    self.next = self.next.saturating_add(1);
                    return Ok(Operand {
                        what: Raw::Expr(Expr::Bound(bound, field), field.ty),
                        at,
                        len,
                    });
                }
                if is_keyword(&word) {
                    return Err(self.unexpected("a field"));
                }
                if let Some(field) = field::find(&word) {
                    self.next = self.next.saturating_add(1);
                    if self.is_sign("[") {
                        return self.slice(field, at);
                    }
                    return Ok(Operand {
                        what: Raw::Expr(Expr::Field(field), field.ty),
                        at,
                        len,
                    });
                }
                let (lit, at, len) = self.literal()?;
                Ok(Operand {
                    what: Raw::Lit(lit),
                    at,
                    len,
                })
            }
            Tok::Text(_) | Tok::Sign("-" | "%") => {
                let (lit, at, len) = self.literal()?;
                Ok(Operand {
                    what: Raw::Lit(lit),
                    at,
                    len,
                })
            }
            _ => Err(self.unexpected("a field or a value")),
        }
    }

    /// `step.field`, in a rule whose earlier steps have names.
    fn bound(
        &self,
        word: &str,
        at: usize,
        len: usize,
    ) -> Result<Option<(usize, FieldRef)>, ParseError> {
        let Some((step, name)) = word.split_once('.') else {
            return Ok(None);
        };
        let Some(bound) = self.context.steps.iter().position(|s| s == step) else {
            return Ok(None);
        };
        let skip = step.chars().count().saturating_add(1);
        field::find(name)
            .map(|f| Some((bound, f)))
            .ok_or_else(|| no_field(name, at.saturating_add(skip), len.saturating_sub(skip)))
    }

    fn call(&mut self, function: Func, at: usize) -> Result<Operand, ParseError> {
        self.next = self.next.saturating_add(2);
        let token = self.peek().clone();
        let Tok::Word(word) = &token.tok else {
            return Err(self.unexpected("a field"));
        };
        let field = field::find(word).ok_or_else(|| no_field(word, token.at, token.len))?;
        self.next = self.next.saturating_add(1);
        let end = self.peek().at.saturating_add(1);
        self.expect_sign(")")?;
        let (ty, fits) = match function {
            Func::Count => (Ty::Int, true),
            Func::Len => (Ty::Int, matches!(field.ty, Ty::Bytes | Ty::Text)),
            Func::Lower | Func::Upper => (Ty::Text, field.ty == Ty::Text),
        };
        if !fits {
            let takes = if ty == Ty::Int {
                "text or bytes"
            } else {
                "text"
            };
            let message = format!(
                "`{}` is of {takes}; {} is {}",
                word_of(function),
                field.name,
                field.ty.takes()
            );
            return Err(ParseError::new(at, end.saturating_sub(at), message));
        }
        Ok(Operand {
            what: Raw::Expr(Expr::Func(function, field), ty),
            at,
            len: end.saturating_sub(at),
        })
    }

    /// `[from:len]`, `[from]`: bytes of a field.
    fn slice(&mut self, field: FieldRef, at: usize) -> Result<Operand, ParseError> {
        self.next = self.next.saturating_add(1);
        let token = self.peek().clone();
        let Tok::Word(text) = &token.tok else {
            return Err(self.unexpected("a position"));
        };
        let wrong = || {
            ParseError::new(
                token.at,
                token.len,
                "a slice is [from:length] or [position]",
            )
        };
        let (from, count) = text.split_once(':').unwrap_or((text, "1"));
        let from = from.parse::<usize>().map_err(|_| wrong())?;
        let count = count.parse::<usize>().map_err(|_| wrong())?;
        if count == 0 {
            return Err(wrong());
        }
        self.next = self.next.saturating_add(1);
        let end = self.peek().at.saturating_add(1);
        self.expect_sign("]")?;
        if !matches!(field.ty, Ty::Bytes | Ty::Text) {
            let message = format!(
                "only bytes and text have parts; {} is {}",
                field.name,
                field.ty.takes()
            );
            return Err(ParseError::new(at, end.saturating_sub(at), message));
        }
        Ok(Operand {
            what: Raw::Expr(Expr::Slice(field, from, count), field.ty),
            at,
            len: end.saturating_sub(at),
        })
    }

    /// A constant: a word, a text, `-5`, or `%` for the value under the cursor.
    pub(super) fn literal(&mut self) -> Result<(Lit, usize, usize), ParseError> {
        let token = self.peek().clone();
        let (at, len) = (token.at, token.len);
        let lit = match token.tok {
            Tok::Word(word) if !is_keyword(&word) => Lit::Word(word),
            Tok::Text(text) => Lit::Text(text),
            Tok::Sign("%") => {
                let before = self.tokens.get(..self.next).unwrap_or_default();
                let value = self.context.cursor.and_then(|cursor| cursor.behind(before));
                let value = value.ok_or_else(|| {
                    ParseError::new(at, len, "`%` stands for nothing here; write the value")
                })?;
                Lit::Word(value.to_owned())
            }
            Tok::Sign("-") => {
                self.next = self.next.saturating_add(1);
                if matches!(self.peek().tok, Tok::Sign("-")) {
                    return Err(self.unexpected("a number"));
                }
                let (number, n_at, n_len) = self.literal()?;
                let whole = n_at.saturating_add(n_len).saturating_sub(at);
                return Ok((Lit::Word(format!("-{}", number.text())), at, whole));
            }
            _ => return Err(self.unexpected("a value")),
        };
        self.next = self.next.saturating_add(1);
        Ok((lit, at, len))
    }

    pub(super) fn constant(
        &self,
        lit: &Lit,
        field: &FieldRef,
        at: usize,
        len: usize,
    ) -> Result<Const, ParseError> {
        literal::constant(lit, field, self.context.start)
            .map_err(|(message, hint)| ParseError::new(at, len, message).nearest(hint.as_deref()))
    }

    /// A constant beside an expression that is no field.
    pub(super) fn value(lit: &Lit, ty: Ty, at: usize, len: usize) -> Result<Val, ParseError> {
        let text = lit.text();
        let value = match (ty, lit) {
            (Ty::Text, _) => Some(Val::Text(text.to_owned())),
            (Ty::Bytes, Lit::Text(t)) => Some(Val::Bytes(t.as_bytes().to_vec())),
            (Ty::Float, _) => text.parse().ok().map(Val::Float),
            (Ty::Bytes, _) => literal::constant(lit, &BYTES, None)
                .ok()
                .and_then(|c| match c {
                    Const::Val(v) => Some(v),
                    Const::Net(_) => None,
                }),
            (Ty::Span | Ty::Time, _) => literal::span(text).map(Val::Num),
            _ => literal::number(text).map(Val::Num),
        };
        value.ok_or_else(|| match lit {
            Lit::Word(word) if word.contains('.') || literal::number(word).is_none() => {
                let starts_like_a_name = word.starts_with(|c: char| c.is_alphabetic());
                if starts_like_a_name {
                    no_field(word, at, len)
                } else {
                    ParseError::new(
                        at,
                        len,
                        format!("`{word}` does not fit: {} is needed", ty.takes()),
                    )
                }
            }
            _ => ParseError::new(
                at,
                len,
                format!("`{text}` does not fit: {} is needed", ty.takes()),
            ),
        })
    }
}

const BYTES: FieldRef = FieldRef {
    name: "bytes",
    ty: Ty::Bytes,
    column: None,
    wireshark: false,
};

const FUNCTIONS: [(&str, Func); 4] = [
    ("len", Func::Len),
    ("count", Func::Count),
    ("lower", Func::Lower),
    ("upper", Func::Upper),
];

fn function(word: &str) -> Option<Func> {
    let found = FUNCTIONS.iter().find(|(name, _)| *name == word);
    found.map(|(_, function)| *function)
}

fn word_of(function: Func) -> &'static str {
    let found = FUNCTIONS.iter().find(|(_, known)| *known == function);
    found.map_or("", |(name, _)| name)
}
