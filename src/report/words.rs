//! Words for people: times, sizes, verdicts, and text from a capture made safe to print.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::Path;

use crate::store::{Condition, Encryption, Finding, FrameFlags, Outcome, Store, TcpFlags, View};
use crate::units::hidden::is_hidden;
use crate::units::words::counted;
use crate::units::{ConnId, FileOffset, FrameNo, Nanos, Side};

/// A time as RFC 3339 in UTC with nine decimals; `None` outside the years that it can name.
pub fn time(at: Nanos) -> Option<String> {
    let stamp = jiff::Timestamp::from_nanosecond(i128::from(at.0)).ok()?;
    Some(format!("{stamp:.9}"))
}

/// Nanoseconds as milliseconds.
#[expect(
    clippy::cast_precision_loss,
    reason = "a span of 104 days still has its nanoseconds in a double"
)]
pub fn ms(ns: i64) -> f64 {
    ns as f64 / 1e6
}

/// A span of time in the unit that reads best: `512 ns`, `54.0 ms`, `12.3 s`.
pub fn span(ns: i64) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let n = ns.unsigned_abs();
    let tenths = |unit: u64, name: &str| {
        let tenths = n.saturating_mul(10).saturating_add(unit / 2) / unit;
        format!("{sign}{}.{} {name}", tenths / 10, tenths % 10)
    };
    match n {
        0..1_000 => format!("{sign}{n} ns"),
        1_000..1_000_000 => tenths(1_000, "us"),
        1_000_000..1_000_000_000 => tenths(1_000_000, "ms"),
        _ => tenths(1_000_000_000, "s"),
    }
}

/// Bytes for people: `2.9 kB`.
pub fn bytes(n: u64) -> String {
    let tenths = |unit: u64, name: &str| {
        let tenths = (u128::from(n) * 10 + u128::from(unit / 2)) / u128::from(unit);
        format!("{}.{} {name}", tenths / 10, tenths % 10)
    };
    match n {
        0..1_000 => format!("{n} B"),
        1_000..999_950 => tenths(1_000, "kB"),
        999_950..999_950_000 => tenths(1_000_000, "MB"),
        _ => tenths(1_000_000_000, "GB"),
    }
}

/// Letters of the TCP flags that are set, in header order.
pub fn flag_letters(flags: TcpFlags) -> String {
    "CEUAPRSF"
        .chars()
        .enumerate()
        .filter(|(i, _)| flags.0 & (0x80 >> i) != 0)
        .map(|(_, letter)| letter)
        .collect()
}

/// Whether a character may not reach a terminal or a ticket as it is: controls, and characters that are not to be seen or
/// turn the direction of writing.
pub fn is_unsafe(c: char) -> bool {
    c.is_control() || is_hidden(c)
}

/// Text from a capture on one line: line breaks and tabs become spaces, other unsafe characters `\x1b`-like escapes.
pub fn safe(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => out.push(' '),
            c if is_unsafe(c) && u32::from(c) < 0x100 => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c if is_unsafe(c) => {
                let _ = write!(out, "\\u{{{:04x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// At most `width` characters of a text, `~` at the end where it was cut.
pub fn cut(text: &str, width: usize) -> Cow<'_, str> {
    if text.chars().count() <= width {
        return Cow::Borrowed(text);
    }
    let mut out: String = text.chars().take(width.saturating_sub(1)).collect();
    out.push('~');
    Cow::Owned(out)
}

/// Frames as ranges: `196-199 201`.
pub fn frames(list: &[FrameNo]) -> String {
    let mut out = String::new();
    let mut rest = list;
    while let Some((first, _)) = rest.split_first() {
        let run = rest
            .iter()
            .zip(first.0..)
            .take_while(|(frame, no)| frame.0 == *no)
            .count();
        let (these, others) = rest.split_at_checked(run.max(1)).unwrap_or((rest, &[]));
        rest = others;
        if !out.is_empty() {
            out.push(' ');
        }
        let _ = match these {
            [one] => write!(out, "{one}"),
            [one, two] => write!(out, "{one} {two}"),
            _ => write!(out, "{first}-{}", these.last().unwrap_or(first)),
        };
    }
    out
}

/// A finding in one sentence, with its frames: `Frames 196-202: … (Benign, proven)`.
pub fn finding_sentence(finding: &Finding) -> String {
    let frames = finding.frames();
    let place = match frames.as_slice() {
        [] => String::new(),
        [one] => format!("Frame {one}: "),
        [first, .., last] => format!("Frames {first}-{last}: "),
    };
    let text = finding.text.to_string();
    let text = safe(text.trim_end_matches('.'));
    format!(
        "{place}{text} ({}, {}).",
        finding.verdict.name(),
        finding.confidence.name()
    )
}

/// How a connection ended, in one sentence.
pub fn close_sentence(store: &Store, conn: ConnId) -> String {
    if let Some(finding) = store.conn_findings(conn).find(|f| f.close) {
        return finding_sentence(finding);
    }
    if store.findings().is_empty() && !store.progress().complete {
        return "The capture is not read to its end, so there is no verdict yet.".into();
    }
    let resets = store
        .conn_frames_back(conn)
        .filter(|(_, f)| f.tcp_flags.rst())
        .count();
    if resets > 0 {
        return format!("No rule explains its {}.", counted(resets as u64, "reset"));
    }
    "Nothing in this capture says how it ended.".into()
}

/// Whether a condition is one of those (M1, M2 ...) that all have to hold for a reset to be harmless.
fn is_of_harmless_close(condition: &Condition) -> bool {
    let number = condition.id.strip_prefix('M');
    number.is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
}

/// The words in front of frames in the order in which an end must have seen them, at which the capture was not taken.
pub fn as_seen_by(store: &Store, end: &str) -> String {
    let here = if end == Side::Client.word() {
        Side::Server
    } else {
        Side::Client
    };
    match store.view().0 {
        View::Unknown => format!(
            "as the {end} must have seen it if the capture was taken on the side of the {}, which nothing tells",
            here.word()
        ),
        View::Client | View::Server | View::Middle => format!("as the {end} must have seen it"),
    }
}

/// What is wrong with a file of the capture, and where: `problem at byte 3203, frame 14: the file ends within a record`.
/// Of several files the one is named.
pub fn problem(
    file: Option<&str>,
    offset: FileOffset,
    frame: Option<FrameNo>,
    what: &str,
) -> String {
    let file = file.map_or_else(String::new, |name| format!(" in {}", safe(name)));
    let frame = frame.map_or_else(String::new, |no| format!(", frame {no}"));
    format!("problem{file} at byte {}{frame}: {}", offset.0, safe(what))
}

/// What is wrong with the files of a capture, from the given one of its problems on.
pub fn problems(store: &Store, from: usize) -> impl Iterator<Item = String> {
    let several = store.files().len() > 1;
    store.problems().iter().skip(from).map(move |p| {
        let file = store.files().get(p.file).filter(|_| several);
        let name = file.map(|file| file_name(&file.path));
        problem(name.as_deref(), p.offset, p.frame, &p.what)
    })
}

/// The last part of a path; the whole where it has none.
pub fn file_name(path: &str) -> Cow<'_, str> {
    Path::new(path)
        .file_name()
        .map_or(Cow::Borrowed(path), |name| name.to_string_lossy())
}

/// What cannot be known about connections from this capture, each in a sentence.
pub fn unknowns(store: &Store, conns: &[ConnId]) -> Vec<String> {
    let mut out = Vec::new();
    if let Some(why) = &store.progress().stopped {
        out.push(format!(
            "The capture was not read to its end: {}.",
            safe(why)
        ));
    }
    for problem in store.problems().iter().take(10) {
        out.push(format!(
            "The file is damaged at byte {}: {}.",
            problem.offset.0,
            safe(&problem.what)
        ));
    }
    if store.view().0 == View::Unknown {
        out.push("Nothing tells which end the capture was taken on.".into());
    }
    for conn in conns.iter().filter_map(|id| store.conn(*id)) {
        let name = format!("Connection {}", conn.id);
        if conn.client_evidence.is_none() {
            out.push(format!(
                "{name}: nothing tells which end is the client; it is assumed."
            ));
        }
        if !conn.from_start() {
            out.push(format!(
                "{name}: the capture begins in mid-connection, so what happened before frame {} is not known.",
                conn.first_frame
            ));
        }
        for side in Side::BOTH {
            let stats = conn.tcp.get(conn.end_of(side));
            if stats.frames == 0 {
                out.push(format!(
                    "{name}: no frame of the {} is in the capture.",
                    side.word()
                ));
            }
            if stats.missing_bytes > 0 {
                out.push(format!(
                    "{name}: {} of the {} are not in the capture.",
                    counted(stats.missing_bytes, "byte"),
                    side.word()
                ));
            }
        }
        if matches!(conn.encryption, Some(Encryption::Full | Encryption::Strict)) {
            out.push(format!(
                "{name}: it is encrypted, so its Sids and requests are not visible."
            ));
        }
        let cut = store
            .conn_frames_back(conn.id)
            .filter(|(_, f)| f.flags.has(FrameFlags::CUT))
            .count();
        if cut > 0 {
            out.push(format!(
                "{name}: {} cut by the snap length.",
                counted(cut as u64, "frame")
            ));
        }
        for finding in store.conn_findings(conn.id) {
            let harmful = finding.conditions.iter().any(|condition| {
                is_of_harmless_close(&condition) && condition.outcome == Outcome::Failed
            });
            for condition in finding.conditions.iter() {
                // Once one of the conditions of a harmless close failed, the others change nothing.
                let matters = !(harmful && is_of_harmless_close(&condition));
                if condition.outcome == Outcome::Unknown && matters {
                    out.push(format!(
                        "{name}: {} {} could not be checked: {}{}.",
                        finding.rule,
                        condition.id,
                        condition.text.trim_end_matches('.'),
                        match condition.fact.trim_start_matches("could not be checked: ") {
                            "" => String::new(),
                            fact => format!(" ({})", safe(fact)),
                        }
                    ));
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_nine_decimals() {
        assert_eq!(
            time(Nanos(1_773_480_672_024_000_100)).unwrap(),
            "2026-03-14T09:31:12.024000100Z"
        );
        assert_eq!(time(Nanos(-1)).unwrap(), "1969-12-31T23:59:59.999999999Z");
    }

    #[test]
    fn spans_and_sizes_choose_their_unit() {
        assert_eq!(span(512), "512 ns");
        assert_eq!(span(-253_800), "-253.8 us");
        assert_eq!(span(54_000_000), "54.0 ms");
        assert_eq!(span(12_340_000_000), "12.3 s");
        assert_eq!(
            (bytes(999), bytes(2_940), bytes(58_200_000)),
            ("999 B".into(), "2.9 kB".into(), "58.2 MB".into())
        );
    }

    #[test]
    fn text_of_a_capture_cannot_command_the_terminal() {
        assert_eq!(safe("a\u{1b}[31mb"), "a\\x1b[31mb");
        assert_eq!(safe("x\u{202e}y\u{9b}z\n"), "x\\u{202e}y\\x9bz ");
        assert!(matches!(safe("plain äöü"), Cow::Borrowed(_)));
    }

    #[test]
    fn frames_are_written_as_runs() {
        let list: Vec<_> = [1, 2, 4, 5, 6, 9].map(FrameNo).to_vec();
        assert_eq!(frames(&list), "1 2 4-6 9");
        assert_eq!(frames(&[]), "");
    }

    #[test]
    fn damage_is_named_with_its_place() {
        let said = |file, frame| problem(file, FileOffset(3203), frame, "cut\u{1b}");
        assert_eq!(
            said(None, Some(FrameNo(14))),
            "problem at byte 3203, frame 14: cut\\x1b"
        );
        assert_eq!(
            said(Some("b.pcap"), None),
            "problem in b.pcap at byte 3203: cut\\x1b"
        );
    }

    #[test]
    fn flags_are_letters_in_header_order() {
        assert_eq!(flag_letters(TcpFlags(0x14)), "AR");
        assert_eq!(flag_letters(TcpFlags(0x04)), "R");
    }
}
