//! A filter in Wireshark's language, to carry it over.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Filter;
use super::ast::{Calc, Expr, Func, Leaf, Node, Op, Quant, What};
use super::column::{self, Column};
use super::field::{FieldRef, Ty};
use super::value::{IpRange, Part, Ranges, Test, Val};
use crate::units::FrameNo;

/// The filter with Wireshark's names. The error names what Wireshark has no counterpart for; the frames found can
/// be carried over with [`frames_filter`] then.
pub fn to_wireshark(filter: &Filter) -> Result<String, String> {
    node(&filter.root, false)
}

/// A Wireshark filter for frames in file order: `frame.number in {1, 4..6}`.
pub fn frames_filter(frames: &[FrameNo]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for frame in frames {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(frame.0) => *last = frame.0,
            _ => ranges.push((frame.0, frame.0)),
        }
    }
    let parts: Vec<_> = ranges
        .iter()
        .map(|(low, high)| {
            if low == high {
                low.to_string()
            } else {
                format!("{low}..{high}")
            }
        })
        .collect();
    format!("frame.number in {{{}}}", parts.join(", "))
}

fn node(tree: &Node, bracket: bool) -> Result<String, String> {
    let joined = |parts: &[Node], word: &str| -> Result<String, String> {
        let parts: Vec<_> = parts
            .iter()
            .map(|p| node(p, true))
            .collect::<Result<_, _>>()?;
        Ok(parts.join(word))
    };
    let (text, many) = match tree {
        Node::All(parts) => (joined(parts, " and ")?, true),
        Node::Any(parts) => (joined(parts, " or ")?, true),
        Node::Not(part) => (format!("not ({})", node(part, false)?), false),
        Node::Leaf(leaf) => leaf_text(leaf)?,
    };
    Ok(if many && bracket {
        format!("({text})")
    } else {
        text
    })
}

/// The text, and whether it has parts that a bracket must keep together.
fn leaf_text(leaf: &Leaf) -> Result<(String, bool), String> {
    match &leaf.what {
        What::Present(field) => present(field),
        What::Test { field, test, quant } => match field.column {
            Some(Column::Kind) => kinds(test, *quant),
            Some(Column::User(_)) => Ok((marked(field, test)?, false)),
            _ => {
                let name = name(field)?;
                tested(name, field, test, *quant)
            }
        },
        What::Compare {
            left,
            op,
            right,
            quant,
            ..
        } => {
            let all = if *quant == Quant::Every && *op != Op::Ne {
                "all "
            } else {
                ""
            };
            let sign = sign(*op, *quant);
            Ok((
                format!("{all}{} {sign} {}", expr(left)?, expr(right)?),
                false,
            ))
        }
        What::NotZero(inner) => Ok((expr(inner)?, false)),
    }
}

fn sign(op: Op, quant: Quant) -> &'static str {
    match op {
        Op::Eq => "==",
        Op::Ne if quant == Quant::Any => "~=",
        Op::Ne => "!=",
        Op::Lt => "<",
        Op::Le => "<=",
        Op::Gt => ">",
        Op::Ge => ">=",
    }
}

/// The name that Wireshark has for a field.
fn name(field: &FieldRef) -> Result<&'static str, String> {
    const NAMES: &[(&str, &str)] = &[
        ("sid", "smp.sid"),
        ("conn", "tcp.stream"),
        ("delta", "frame.time_delta"),
        ("delta.conn", "tcp.time_delta"),
        ("seq", "smp.seqnum"),
        ("wnd", "smp.wndw"),
        ("tds.proc", "tds.rpc.name"),
        ("tds.sql", "tds.query"),
        ("marked", "frame.marked"),
        ("ignored", "frame.ignored"),
    ];
    if let Some((_, theirs)) = NAMES.iter().find(|(own, _)| *own == field.name) {
        return Ok(theirs);
    }
    if field.wireshark {
        return Ok(field.name);
    }
    Err(format!(
        "Wireshark has nothing like `{}`; the frames themselves can be copied as a filter",
        field.name
    ))
}

fn present(field: &FieldRef) -> Result<(String, bool), String> {
    if field.column == Some(Column::Kind) || field.column == Some(Column::Size) {
        return Ok(("frame".to_owned(), false));
    }
    Ok((name(field)?.to_owned(), false))
}

fn marked(field: &FieldRef, test: &Test) -> Result<String, String> {
    let set = test.holds(&Val::Num(1));
    let name = name(field)?;
    Ok(format!("{name} == {}", u8::from(set)))
}

/// `kind` is several fields in Wireshark.
fn kinds(test: &Test, quant: Quant) -> Result<(String, bool), String> {
    let mut parts = Vec::new();
    let wanted = |code: i64| test.holds(&Val::Num(i128::from(code)));
    let (negated, fits): (bool, Box<dyn Fn(i64) -> bool>) = match quant {
        Quant::Any => (false, Box::new(wanted)),
        // Every kind fits: none of those that do not.
        Quant::Every => (true, Box::new(move |code| !wanted(code))),
    };
    let mut seen = Vec::new();
    for (code, word) in column::words(Column::Kind) {
        if !fits(*code) || seen.contains(code) {
            continue;
        }
        seen.push(*code);
        parts.push(match *word {
            "SYN" => "smp.flags.syn == 1",
            "ACK" => "smp.flags.ack == 1",
            "FIN" => "smp.flags.fin == 1",
            "DATA" => "smp.flags.data == 1",
            "T.SYN" => "tcp.flags.syn == 1",
            "T.ACK" => "(tcp.len == 0 and not (tcp.flags & 0x7))",
            "T.FIN" => "tcp.flags.fin == 1",
            "T.RST" => "tcp.flags.reset == 1",
            "TDS" => "(tds and not smp)",
            "TLS" => "tls",
            "CUT" => "(frame.cap_len < frame.len)",
            "UDP" => "udp",
            "FRAG" => "(ip.flags.mf == 1 or ip.frag_offset > 0)",
            "link" => "(not ip and not ipv6)",
            "IP" => "((ip or ipv6) and not tcp and not udp)",
            _ => return Err(format!("Wireshark has nothing like `kind == {word}`")),
        });
    }
    if parts.is_empty() {
        return Ok(("not frame".to_owned(), false));
    }
    let joined = parts.join(" or ");
    Ok(if negated {
        (format!("not ({joined})"), false)
    } else {
        (joined, parts.len() > 1)
    })
}

fn tested(
    name: &str,
    field: &FieldRef,
    test: &Test,
    quant: Quant,
) -> Result<(String, bool), String> {
    let all = if quant == Quant::Every { "all " } else { "" };
    let written = match test {
        Test::Num(ranges) => return numbers(name, field.ty, ranges, quant),
        Test::Float(op, n) => format!("{all}{name} {} {n}", sign(*op, Quant::Every)),
        Test::Ip(nets) => set(all, name, &nets.iter().map(net).collect::<Vec<_>>()),
        Test::Text(texts) => set(
            all,
            name,
            &texts.iter().map(|t| quoted(t)).collect::<Vec<_>>(),
        ),
        Test::TextContains(part) => format!("{all}{name} contains {}", quoted(part)),
        Test::TextMatches(pattern) => format!("{all}{name} matches {}", raw(pattern.as_str())),
        Test::Bytes(all_bytes) => set(
            all,
            name,
            &all_bytes.iter().map(|b| hex(b)).collect::<Vec<_>>(),
        ),
        Test::BytesContain(part) => format!("{all}{name} contains {}", hex(part)),
        Test::BytesMatch(pattern) => format!("{all}{name} matches {}", raw(pattern.as_str())),
        Test::Of(Part::Case(func), inner) => {
            let func = if *func == Func::Lower {
                "lower"
            } else {
                "upper"
            };
            return tested(&format!("{func}({name})"), field, inner, quant);
        }
        Test::Of(Part::Slice(from, len), inner) => {
            return tested(&format!("{name}[{from}:{len}]"), field, inner, quant);
        }
        Test::Not(inner) => {
            let one = match &**inner {
                Test::Ip(nets) => nets.first().map(net),
                Test::Text(texts) => texts.first().map(|t| quoted(t)),
                Test::Bytes(all) => all.first().map(|b| hex(b)),
                _ => None,
            };
            let value = one.ok_or_else(|| format!("`{name}` cannot be carried over"))?;
            format!("{name} {} {value}", sign(Op::Ne, quant))
        }
    };
    Ok((written, false))
}

fn set(all: &str, name: &str, values: &[String]) -> String {
    match values {
        [one] if !one.contains("..") => format!("{all}{name} == {one}"),
        many => format!("{all}{name} in {{{}}}", many.join(", ")),
    }
}

fn numbers(name: &str, ty: Ty, ranges: &Ranges, quant: Quant) -> Result<(String, bool), String> {
    let all = if quant == Quant::Every { "all " } else { "" };
    let number = |n: i128| number(n, ty);
    if let [(i128::MIN, below), (above, i128::MAX)] = *ranges.0
        && below.checked_add(2) == Some(above)
    {
        let value = number(below.saturating_add(1))?;
        return Ok((format!("{name} {} {value}", sign(Op::Ne, quant)), false));
    }
    let mut parts = Vec::new();
    let mut inside = Vec::new();
    for (low, high) in &ranges.0 {
        match (*low, *high) {
            (i128::MIN, i128::MAX) => parts.push(name.to_owned()),
            (i128::MIN, high) => parts.push(format!("{all}{name} <= {}", number(high)?)),
            (low, i128::MAX) => parts.push(format!("{all}{name} >= {}", number(low)?)),
            (low, high) if low == high => inside.push(number(low)?),
            (low, high) => inside.push(format!("{}..{}", number(low)?, number(high)?)),
        }
    }
    if !inside.is_empty() {
        parts.push(set(all, name, &inside));
    }
    Ok((parts.join(" or "), parts.len() > 1))
}

fn number(n: i128, ty: Ty) -> Result<String, String> {
    match ty {
        Ty::Span => {
            let sign = if n < 0 { "-" } else { "" };
            let n = n.unsigned_abs();
            let (seconds, nanos) = (n / 1_000_000_000, n % 1_000_000_000);
            let text = format!("{sign}{seconds}.{nanos:09}");
            let text = text.trim_end_matches('0').trim_end_matches('.');
            Ok(text.to_owned())
        }
        Ty::Time => {
            let stamp = jiff::Timestamp::from_nanosecond(n).map_err(|e| e.to_string())?;
            let text = format!("{stamp:.9}");
            Ok(format!(
                "\"{}\"",
                text.replace('T', " ").trim_end_matches('Z')
            ))
        }
        _ => Ok(n.to_string()),
    }
}

fn net(range: &IpRange) -> String {
    let address = |n: u128| -> IpAddr {
        if range.v6 {
            Ipv6Addr::from_bits(n).into()
        } else {
            Ipv4Addr::from_bits(u32::try_from(n).unwrap_or(u32::MAX)).into()
        }
    };
    if range.low == range.high {
        return address(range.low).to_string();
    }
    let hosts = range.low ^ range.high;
    let bits: u32 = if range.v6 { 128 } else { 32 };
    let free = 128_u32.saturating_sub(hosts.leading_zeros());
    let whole = hosts.checked_add(1).is_none_or(u128::is_power_of_two) && range.low & hosts == 0;
    if whole {
        return format!("{}/{}", address(range.low), bits.saturating_sub(free));
    }
    format!("{}..{}", address(range.low), address(range.high))
}

pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A pattern: its backslashes are its own.
fn raw(pattern: &str) -> String {
    if pattern.contains('"') {
        quoted(pattern)
    } else {
        format!("r\"{pattern}\"")
    }
}

fn hex(bytes: &[u8]) -> String {
    let parts: Vec<_> = bytes.iter().map(|b| format!("{b:02x}")).collect();
    parts.join(":")
}

fn expr(tree: &Expr) -> Result<String, String> {
    Ok(match tree {
        Expr::Const(Val::Num(n)) => n.to_string(),
        Expr::Const(Val::Float(n)) => n.to_string(),
        Expr::Const(Val::Text(t)) => quoted(t),
        Expr::Const(Val::Bytes(b)) => hex(b),
        Expr::Const(Val::Ip(ip)) => ip.to_string(),
        Expr::Field(field) => name(field)?.to_owned(),
        Expr::Bound(..) => return Err("Wireshark has no steps of rules".to_owned()),
        Expr::Calc(left, calc, right, _) => {
            let sign = match calc {
                Calc::Add => "+",
                Calc::Sub | Calc::Distance => "-",
                Calc::Mul => "*",
                Calc::Div => "/",
                Calc::And => "&",
            };
            let side = |e: &Expr| -> Result<String, String> {
                let text = expr(e)?;
                // Braces are Wireshark's brackets of arithmetic.
                Ok(if matches!(e, Expr::Calc(..)) {
                    format!("{{{text}}}")
                } else {
                    text
                })
            };
            format!("{} {sign} {}", side(left)?, side(right)?)
        }
        Expr::Func(func, field) => {
            let func = match func {
                Func::Len => "len",
                Func::Count => "count",
                Func::Lower => "lower",
                Func::Upper => "upper",
            };
            format!("{func}({})", name(field)?)
        }
        Expr::Slice(field, from, len) => format!("{}[{from}:{len}]", name(field)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::{Context, parse};

    #[test]
    fn names_and_values_are_carried_over() {
        let cases = [
            (
                "sid == 5 and kind in {FIN, RST}",
                "smp.sid == 5 and (smp.flags.fin == 1 or tcp.flags.reset == 1)",
            ),
            (
                "conn == 2 and delta > 100ms",
                "tcp.stream == 2 and frame.time_delta >= 0.100000001",
            ),
            ("frame in 1040..1060", "frame.number in {1040..1060}"),
            ("smp.sid != 1", "smp.sid != 1"),
            ("smp.sid ~= 1", "smp.sid ~= 1"),
            (
                "not (sid == 1 or sid == 2)",
                "not (smp.sid == 1 or smp.sid == 2)",
            ),
            (
                "tds.proc ~ \"sp_exec\"",
                "tds.rpc.name matches r\"sp_exec\"",
            ),
            (
                "tds.query contains \"a\\\"b\"",
                "tds.query contains \"a\\\"b\"",
            ),
            ("ip.addr == 10.1.0.0/16", "ip.addr == 10.1.0.0/16"),
            ("ip.addr != 10.1.0.1", "ip.addr != 10.1.0.1"),
            (
                "tcp.ack_raw == tcp.seq_raw + 16",
                "tcp.ack_raw == tcp.seq_raw + 16",
            ),
            ("tcp.flags & 5", "tcp.flags & 5"),
            ("marked", "frame.marked == 1"),
            ("kind != FIN", "not (smp.flags.fin == 1)"),
            ("all smp.sid < 3", "all smp.sid <= 2"),
            ("smp.flags.fin", "smp.flags.fin"),
            ("tds.type == rpc", "tds.type == 3"),
        ];
        for (ours, theirs) in cases {
            let filter = parse(ours, &Context::default()).unwrap();
            assert_eq!(to_wireshark(&filter).as_deref(), Ok(theirs), "{ours}");
        }
    }

    #[test]
    fn what_wireshark_does_not_have_is_named() {
        for text in [
            "finding == mars-close-rst",
            "verdict == Fault or sid == 1",
            "kind == GAP",
        ] {
            let filter = parse(text, &Context::default()).unwrap();
            assert!(
                to_wireshark(&filter).unwrap_err().contains("nothing like"),
                "{text}"
            );
        }
        let frames = [1, 4, 5, 6, 9].map(FrameNo);
        assert_eq!(frames_filter(&frames), "frame.number in {1, 4..6, 9}");
    }
}
