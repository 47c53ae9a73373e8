//! Field trees as text and as JSON, for `show`, for copies and for tests.

use std::fmt::Write as _;

use serde_json::{Map, Value as Json, json};

use super::FrameTree;
use crate::decode::field::{Field, UNPLACED, Value, secret_words};
use crate::units::hidden::is_hidden;

/// Most bytes of a byte value that are written out.
const MAX_HEX: usize = 64;

/// A value in words; empty for headings. Text of the capture is made safe: nothing in it can steer a terminal.
pub fn value(value: &Value) -> String {
    match value {
        Value::None => String::new(),
        Value::UInt(number) => number.to_string(),
        Value::Hex(number, digits) => format!("0x{number:0width$x}", width = usize::from(*digits)),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Bool(set) => if *set { "yes" } else { "no" }.to_owned(),
        Value::Text(text) => safe(text),
        Value::Bytes(bytes) => {
            let mut out = String::new();
            for byte in bytes.iter().take(MAX_HEX) {
                // Writing to a String cannot fail.
                let _ = write!(out, "{byte:02x}");
            }
            if bytes.len() > MAX_HEX {
                out.push_str("...");
            }
            out
        }
        Value::Ip(ip) => ip.to_string(),
        Value::Time(nanos) => time(*nanos),
        Value::Span(nanos) => span(*nanos),
        Value::Frame(frame) => frame.to_string(),
        Value::Secret(len) => secret_words(*len),
    }
}

/// A moment in UTC with nanoseconds.
pub fn time(nanos: i64) -> String {
    let Ok(moment) = jiff::Timestamp::from_nanosecond(i128::from(nanos)) else {
        return nanos.to_string();
    };
    format!("{} UTC", moment.strftime("%Y-%m-%d %H:%M:%S.%9f"))
}

/// A span of time in seconds, exact to the nanosecond.
pub fn span(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let size = nanos.unsigned_abs();
    format!(
        "{sign}{}.{:09} s",
        size / 1_000_000_000,
        size % 1_000_000_000
    )
}

/// Text with everything that could steer a terminal or deceive a reader written as an escape.
pub fn safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c if is_hidden(c) => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// A field in one line, without its children.
pub fn line(field: &Field) -> String {
    let mut parts = Vec::with_capacity(3);
    if !field.label.is_empty() {
        parts.push(safe(&field.label));
    }
    let value = value(&field.value);
    if !value.is_empty() {
        parts.push(value);
    }
    if !field.text.is_empty() {
        parts.push(if parts.len() > 1 {
            format!("({})", safe(&field.text))
        } else {
            safe(&field.text)
        });
    }
    for link in &field.links {
        parts.push(format!("[frame {link}]"));
    }
    parts.join("  ")
}

/// Fields as an indented outline.
pub fn outline(fields: &[Field], depth: usize, out: &mut String) {
    for field in fields {
        let _ = writeln!(
            out,
            "{:indent$}{}",
            "",
            line(field),
            indent = depth.saturating_mul(2)
        );
        outline(&field.children, depth.saturating_add(1), out);
    }
}

/// A frame's tree as text: the outline, then requests as T-SQL and results as grids.
pub fn text(tree: &FrameTree) -> String {
    let mut out = String::new();
    outline(&tree.fields, 0, &mut out);
    for sql in &tree.sql {
        let _ = writeln!(out, "\nSQL\n{}", safe_lines(sql));
    }
    for grid in &tree.grids {
        out.push('\n');
        out.push_str(&super::grid::text(grid));
    }
    out
}

/// Safe text that keeps its lines.
pub fn safe_lines(text: &str) -> String {
    text.lines().map(safe).collect::<Vec<_>>().join("\n")
}

/// A frame's tree as JSON.
pub fn json(tree: &FrameTree) -> Json {
    json!({
        "frame": tree.frame.0,
        "fields": tree.fields.iter().map(field_json).collect::<Vec<_>>(),
        "sql": tree.sql,
        "grids": tree.grids.iter().map(super::grid::json).collect::<Vec<_>>(),
    })
}

fn field_json(field: &Field) -> Json {
    let mut object = Map::new();
    object.insert("name".to_owned(), json!(field.name));
    object.insert("label".to_owned(), json!(field.label));
    object.insert("value".to_owned(), value_json(&field.value));
    if !field.text.is_empty() {
        object.insert("text".to_owned(), json!(field.text));
    }
    if !field.spans.is_empty() {
        let spans: Vec<_> = field
            .spans
            .iter()
            .filter(|span| span.frame != UNPLACED)
            .map(|span| json!({"frame": span.frame.0, "start": span.bytes.start, "end": span.bytes.end}))
            .collect();
        object.insert("bytes".to_owned(), Json::Array(spans));
    }
    if !field.links.is_empty() {
        let links: Vec<_> = field.links.iter().map(|frame| frame.0).collect();
        object.insert("frames".to_owned(), json!(links));
    }
    if !field.children.is_empty() {
        let children = field.children.iter().map(field_json).collect();
        object.insert("fields".to_owned(), Json::Array(children));
    }
    Json::Object(object)
}

fn value_json(field: &Value) -> Json {
    match field {
        Value::None => Json::Null,
        Value::UInt(number) | Value::Hex(number, _) => json!(number),
        Value::Int(number) | Value::Span(number) => json!(number),
        Value::Float(number) => json!(number),
        Value::Bool(set) => json!(set),
        Value::Text(text) => json!(text),
        Value::Frame(frame) => json!(frame.0),
        Value::Secret(len) => json!({ "secret_bytes": len }),
        Value::Bytes(_) | Value::Ip(_) | Value::Time(_) => json!(value(field)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_steer_the_terminal() {
        assert_eq!(safe("a\u{1b}[2J\u{202e}b\n"), "a\\x1b[2J\\u{202e}b\\n");
        assert_eq!(
            safe("\u{61c}\u{e0041}\u{2066}\u{ad}"),
            "\\u{61c}\\u{e0041}\\u{2066}\\u{ad}"
        );
    }

    #[test]
    fn lines_carry_label_value_and_words() {
        let field = Field::new("tds.type", "type", Value::UInt(3)).text("RPC");
        assert_eq!(line(&field), "type  3  (RPC)");
        assert_eq!(
            line(&Field::new("", "x", Value::Secret(4))),
            "x  [secret, 4 bytes]"
        );
        assert_eq!(span(-1_500_000_000), "-1.500000000 s");
    }
}
