//! The report as JSON: one object, or one object per line. Connections are turned into JSON one by one, so that
//! memory does not grow with the report.

use std::io::{self, Write};

use serde::ser::{SerializeMap, Serializer};
use serde::{Serialize, ser::SerializeSeq};
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};

use super::build::Facts;
use super::facts::{SCHEMA, Tool};
use super::stats::Stats;
use super::words::is_unsafe;

/// Writes the report as one object.
pub fn write_object(
    facts: Facts<'_>,
    stats: Option<&Stats>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut json = serde_json::Serializer::with_formatter(&mut *out, Safe(PrettyFormatter::new()));
    Object { facts, stats }.serialize(&mut json)?;
    writeln!(out)
}

/// Writes the report as one object per line; `record` names the kind of each.
pub fn write_lines(facts: Facts<'_>, stats: Option<&Stats>, out: &mut dyn Write) -> io::Result<()> {
    #[derive(Serialize)]
    struct Head {
        schema: u32,
        tool: Tool,
        #[serde(flatten)]
        capture: super::facts::Capture,
    }
    let head = Head {
        schema: SCHEMA,
        tool: Tool::THIS,
        capture: facts.capture(),
    };
    line(out, "capture", &head)?;
    for conn in facts.store().conns() {
        line(out, "connection", &facts.connection(conn))?;
    }
    for finding in facts.store().findings() {
        line(out, "finding", &facts.finding(finding))?;
    }
    if let Some(stats) = stats {
        line(out, "stats", stats)?;
    }
    Ok(())
}

/// Writes one value as a line of JSON that is safe to print.
pub fn write_line(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    let mut json = serde_json::Serializer::with_formatter(&mut *out, Safe(CompactFormatter));
    value.serialize(&mut json)?;
    writeln!(out)
}

fn line<T: Serialize>(out: &mut dyn Write, record: &'static str, value: &T) -> io::Result<()> {
    #[derive(Serialize)]
    struct Line<'a, T> {
        record: &'static str,
        #[serde(flatten)]
        value: &'a T,
    }
    write_line(&Line { record, value }, out)
}

struct Object<'a> {
    facts: Facts<'a>,
    stats: Option<&'a Stats>,
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let store = self.facts.store();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("schema", &SCHEMA)?;
        map.serialize_entry("tool", &Tool::THIS)?;
        map.serialize_entry("capture", &self.facts.capture())?;
        let conns = || store.conns().iter().map(|c| self.facts.connection(c));
        map.serialize_entry("connections", &Each(conns))?;
        let findings = || store.findings().iter().map(|f| self.facts.finding(f));
        map.serialize_entry("findings", &Each(findings))?;
        if let Some(stats) = self.stats {
            map.serialize_entry("stats", stats)?;
        }
        map.end()
    }
}

/// A list whose entries are made while it is written.
struct Each<F>(F);

impl<F, I> Serialize for Each<F>
where
    F: Fn() -> I,
    I: Iterator<Item: Serialize>,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(None)?;
        for item in (self.0)() {
            seq.serialize_element(&item)?;
        }
        seq.end()
    }
}

/// A formatter that writes characters which a terminal could take as commands as `\u` escapes: the same JSON value.
struct Safe<F>(F);

macro_rules! pass_on {
    ($($name:ident($($arg:ident: $ty:ty),*)),* $(,)?) => {
        $(
            fn $name<W: ?Sized + io::Write>(&mut self, writer: &mut W $(, $arg: $ty)*) -> io::Result<()> {
                self.0.$name(writer $(, $arg)*)
            }
        )*
    };
}

impl<F: Formatter> Formatter for Safe<F> {
    pass_on!(
        begin_array(),
        end_array(),
        begin_array_value(first: bool),
        end_array_value(),
        begin_object(),
        end_object(),
        begin_object_key(first: bool),
        end_object_key(),
        begin_object_value(),
        end_object_value(),
    );

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(is_unsafe) {
            let (before, from) = rest.split_at(at);
            writer.write_all(before.as_bytes())?;
            let mut chars = from.chars();
            if let Some(c) = chars.next() {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
            rest = chars.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_read_back_the_same() {
        let text = "a\u{9b}31m\u{202e}\u{61c}\u{e0041}\u{1b}\n\"ö";
        let mut out = Vec::new();
        write_line(&text, &mut out).unwrap();
        let json = String::from_utf8(out).unwrap();
        assert!(!json.trim_end().contains(is_unsafe), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }
}
