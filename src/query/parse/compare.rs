//! Comparisons: a field against constants, or two expressions.

use regex::RegexBuilder;

use super::{Operand, Parser, Raw, no_field};
use crate::query::ast::{Expr, Func, Node, Op, Quant, What};
use crate::query::error::ParseError;
use crate::query::field::{FieldRef, Ty};
use crate::query::literal::{Const, Lit};
use crate::query::value::{IpRange, Part, Ranges, Test, Val};
use crate::rules;
use crate::settings::nearest;

/// Bytes that a compiled pattern may take.
const PATTERN_SIZE: usize = 1 << 20;

/// The sides of `contains` and `matches`: a field, what is looked at of it, and a text with its place.
type TextSides = (FieldRef, Option<Part>, (Lit, usize, usize));

/// Values in one set.
const MOST_ELEMENTS: usize = 100_000;

impl Parser<'_> {
    pub(super) fn compare(
        &mut self,
        sign: &str,
        quant: Option<Quant>,
        left: Operand,
        right: Operand,
    ) -> Result<Node, ParseError> {
        let (op, natural) = match sign {
            "!=" => (Op::Ne, Quant::Every),
            "~=" | "!==" => (Op::Ne, Quant::Any),
            "===" => (Op::Eq, Quant::Every),
            "<" => (Op::Lt, Quant::Any),
            "<=" => (Op::Le, Quant::Any),
            ">" => (Op::Gt, Quant::Any),
            ">=" => (Op::Ge, Quant::Any),
            _ => (Op::Eq, Quant::Any),
        };
        let quant = quant.unwrap_or(natural);
        match (left.what, right.what) {
            (Raw::Expr(Expr::Field(field), _), Raw::Lit(lit)) => {
                let test = self.field_test(field, op, &lit, right.at, right.len)?;
                self.leaf(What::Test { field, test, quant })
            }
            (Raw::Lit(lit), Raw::Expr(Expr::Field(field), _)) => {
                let test = self.field_test(field, mirrored(op), &lit, left.at, left.len)?;
                self.leaf(What::Test { field, test, quant })
            }
            (Raw::Lit(lit), Raw::Lit(_)) => Err(match lit {
                Lit::Word(word) => no_field(&word, left.at, left.len),
                Lit::Text(_) => ParseError::new(left.at, left.len, "a field is missing"),
            }),
            (Raw::Expr(left_expr, left_ty), Raw::Lit(lit)) => {
                let right = Self::value(&lit, left_ty, right.at, right.len)?;
                self.leaf(What::Compare {
                    left: left_expr,
                    op,
                    right: Expr::Const(right),
                    quant,
                    wrap: false,
                })
            }
            (Raw::Lit(lit), Raw::Expr(right_expr, right_ty)) => {
                let value = Self::value(&lit, right_ty, left.at, left.len)?;
                self.leaf(What::Compare {
                    left: Expr::Const(value),
                    op,
                    right: right_expr,
                    quant,
                    wrap: false,
                })
            }
            (Raw::Expr(left_expr, left_ty), Raw::Expr(right_expr, right_ty)) => {
                if !comparable(left_ty, right_ty) {
                    let message = format!(
                        "cannot be compared: one side is {}, the other {}",
                        left_ty.takes(),
                        right_ty.takes()
                    );
                    return Err(ParseError::new(right.at, right.len, message));
                }
                self.leaf(What::Compare {
                    left: left_expr,
                    op,
                    right: right_expr,
                    quant,
                    wrap: left_ty == Ty::Seq && right_ty == Ty::Seq,
                })
            }
        }
    }

    fn field_test(
        &self,
        field: FieldRef,
        op: Op,
        lit: &Lit,
        at: usize,
        len: usize,
    ) -> Result<Test, ParseError> {
        if field.ty == Ty::Presence {
            let message = format!("`{0}` is there or not; write `{0}` alone", field.name);
            return Err(ParseError::new(at, len, message));
        }
        let constant = self.constant(lit, &field, at, len)?;
        if field.name == "finding" && equality(op) {
            self.known_rule(lit.text(), at, len)?;
        }
        let test = match constant {
            Const::Val(Val::Num(n)) => Test::Num(Ranges(vec![number_range(op, n)])),
            Const::Val(Val::Text(t)) if equality(op) => Test::Text(vec![t]),
            Const::Val(Val::Bytes(b)) if equality(op) => Test::Bytes(vec![b]),
            Const::Net(net) if equality(op) => Test::Ip(vec![net]),
            Const::Val(Val::Float(wanted)) => Test::Float(op, wanted),
            _ => {
                let message = format!("`{}` has no order; only == and != fit", field.name);
                return Err(ParseError::new(at, len, message));
            }
        };
        Ok(match (op, test) {
            // Numbers got their operator with the range, floats carry it.
            (Op::Ne, test @ (Test::Num(_) | Test::Text(_) | Test::Bytes(_) | Test::Ip(_))) => {
                test.negated()
            }
            (_, test) => test,
        })
    }

    /// Whether there is a rule of this name, where all names are known.
    fn known_rule(&self, id: &str, at: usize, len: usize) -> Result<(), ParseError> {
        let Some(own) = self.context.own_rules else {
            return Ok(());
        };
        let built_in = rules::catalogue().iter().map(|rule| rule.id);
        let mut known = built_in.chain(own.iter().map(String::as_str));
        if known.clone().any(|name| name == id) {
            return Ok(());
        }
        let message = format!("no rule `{id}`");
        Err(ParseError::new(at, len, message).nearest(nearest(id, &mut known)))
    }

    /// `in {a, b..c}`, or `in a..b`.
    pub(super) fn set(&mut self, left: &Operand) -> Result<Node, ParseError> {
        let field = match &left.what {
            Raw::Expr(Expr::Field(field), _) => *field,
            Raw::Lit(Lit::Word(word)) => return Err(no_field(word, left.at, left.len)),
            _ => {
                return Err(ParseError::new(
                    left.at,
                    left.len,
                    "`in` needs a field in front",
                ));
            }
        };
        let braces = self.take_sign("{");
        let mut tests = Vec::new();
        loop {
            if tests.len() >= MOST_ELEMENTS {
                let here = self.peek();
                let message = format!("more than {MOST_ELEMENTS} values in a set");
                return Err(ParseError::new(here.at, here.len, message));
            }
            tests.push(self.element(&field)?);
            if !braces || !self.take_sign(",") {
                break;
            }
        }
        if braces {
            self.expect_sign("}")?;
        }
        let test = Self::joined(tests, &field, left)?;
        self.leaf(What::Test {
            field,
            test,
            quant: Quant::Any,
        })
    }

    fn element(&mut self, field: &FieldRef) -> Result<Test, ParseError> {
        let (low, at, len) = self.literal()?;
        if !self.take_sign("..") {
            return self.field_test(*field, Op::Eq, &low, at, len);
        }
        let (high, high_at, high_len) = self.literal()?;
        let low = self.constant(&low, field, at, len)?;
        let high = self.constant(&high, field, high_at, high_len)?;
        match (low, high) {
            (Const::Val(Val::Num(low)), Const::Val(Val::Num(high))) if low <= high => {
                Ok(Test::Num(Ranges(vec![(low, high)])))
            }
            (Const::Net(low), Const::Net(high)) if low.v6 == high.v6 && low.low <= high.high => {
                Ok(Test::Ip(vec![IpRange {
                    v6: low.v6,
                    low: low.low,
                    high: high.high,
                }]))
            }
            (Const::Val(Val::Num(_)), Const::Val(Val::Num(_))) | (Const::Net(_), Const::Net(_)) => {
                let whole = high_at.saturating_add(high_len).saturating_sub(at);
                Err(ParseError::new(
                    at,
                    whole,
                    "the range ends before it begins",
                ))
            }
            _ => {
                let message = format!("`{}` has no order, so no ranges", field.name);
                Err(ParseError::new(at, len, message))
            }
        }
    }

    fn joined(tests: Vec<Test>, field: &FieldRef, left: &Operand) -> Result<Test, ParseError> {
        let mut tests = tests.into_iter();
        let mut whole = tests
            .next()
            .ok_or_else(|| ParseError::new(left.at, left.len, "an empty set"))?;
        for test in tests {
            match (&mut whole, test) {
                (Test::Num(all), Test::Num(more)) => all.0.extend(more.0),
                (Test::Ip(all), Test::Ip(more)) => all.extend(more),
                (Test::Text(all), Test::Text(more)) => all.extend(more),
                (Test::Bytes(all), Test::Bytes(more)) => all.extend(more),
                _ => {
                    let message = format!("`{}` cannot be in a set; compare it", field.name);
                    return Err(ParseError::new(left.at, left.len, message));
                }
            }
        }
        Ok(whole)
    }

    pub(super) fn text_sides(
        sign: &str,
        left: Operand,
        right: Operand,
    ) -> Result<TextSides, ParseError> {
        let (field, part) = match left.what {
            Raw::Expr(Expr::Field(field), _) => (field, None),
            Raw::Expr(Expr::Func(func @ (Func::Lower | Func::Upper), field), _) => {
                (field, Some(Part::Case(func)))
            }
            Raw::Expr(Expr::Slice(field, from, len), _) => (field, Some(Part::Slice(from, len))),
            Raw::Lit(Lit::Word(word)) => return Err(no_field(&word, left.at, left.len)),
            _ => {
                let message = format!("`{sign}` needs a field in front");
                return Err(ParseError::new(left.at, left.len, message));
            }
        };
        match right.what {
            Raw::Lit(lit) => Ok((field, part, (lit, right.at, right.len))),
            Raw::Expr(..) => Err(ParseError::new(
                right.at,
                right.len,
                format!("`{sign}` needs a text behind it; put it in quotes"),
            )),
        }
    }

    pub(super) fn text_test(
        &mut self,
        sign: &str,
        quant: Option<Quant>,
        (field, part, (lit, at, len)): &TextSides,
    ) -> Result<Node, ParseError> {
        let field = *field;
        let text = lit.text();
        let wrong = |message: String| ParseError::new(*at, *len, message);
        let pattern = || {
            RegexBuilder::new(text)
                .case_insensitive(true)
                .size_limit(PATTERN_SIZE)
                .build()
                .map_err(|e| wrong(format!("no pattern: {}", last_line(&e.to_string()))))
        };
        let whole = match (field.ty, sign) {
            (Ty::Text, "contains") => Test::TextContains(text.to_owned()),
            (Ty::Text, _) => Test::TextMatches(pattern()?),
            (Ty::Bytes, "contains") => {
                let Const::Val(Val::Bytes(bytes)) = self.constant(lit, &field, *at, *len)? else {
                    return Err(wrong("no bytes".to_owned()));
                };
                Test::BytesContain(bytes)
            }
            (Ty::Bytes, _) => Test::BytesMatch(
                regex::bytes::RegexBuilder::new(text)
                    .case_insensitive(true)
                    .unicode(false)
                    .size_limit(PATTERN_SIZE)
                    .build()
                    .map_err(|e| wrong(format!("no pattern: {}", last_line(&e.to_string()))))?,
            ),
            (Ty::Word(words), sign) => {
                let pattern = pattern()?;
                let fits = |word: &str| match sign {
                    "contains" => word.contains(text),
                    _ => pattern.is_match(word),
                };
                let codes = words.iter().filter(|(_, w)| fits(w));
                Test::Num(Ranges(
                    codes
                        .map(|(c, _)| (i128::from(*c), i128::from(*c)))
                        .collect(),
                ))
            }
            _ => {
                return Err(wrong(format!(
                    "`{sign}` compares text; {} is {}",
                    field.name,
                    field.ty.takes()
                )));
            }
        };
        self.leaf(What::Test {
            field,
            test: match part {
                Some(part) => Test::Of(*part, Box::new(whole)),
                None => whole,
            },
            quant: quant.unwrap_or(Quant::Any),
        })
    }
}

fn mirrored(op: Op) -> Op {
    match op {
        Op::Lt => Op::Gt,
        Op::Le => Op::Ge,
        Op::Gt => Op::Lt,
        Op::Ge => Op::Le,
        same => same,
    }
}

fn equality(op: Op) -> bool {
    matches!(op, Op::Eq | Op::Ne)
}

/// The numbers that an operator accepts; for `!=` the one that it does not.
fn number_range(op: Op, n: i128) -> (i128, i128) {
    match op {
        Op::Eq | Op::Ne => (n, n),
        Op::Lt => (i128::MIN, n.saturating_sub(1)),
        Op::Le => (i128::MIN, n),
        Op::Gt => (n.saturating_add(1), i128::MAX),
        Op::Ge => (n, i128::MAX),
    }
}

fn comparable(a: Ty, b: Ty) -> bool {
    let is_float = |t| t == Ty::Float;
    a == b
        || (a.is_number() && b.is_number())
        || (is_float(a) && (b.is_number() || is_float(b)))
        || (a.is_number() && is_float(b))
}

/// The last line of an error, which is what a pattern's error says; those before show the pattern again.
fn last_line(text: &str) -> &str {
    text.lines()
        .next_back()
        .unwrap_or_default()
        .trim_start_matches("error: ")
}
