//! Field by field against tshark, over public TDS captures and recorded ones in which one Sid at a time is active.
//! What may differ stands in a data file, with its reason.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use marstui::capture::{Capture, OpenOptions};
use marstui::decode::field::{Field, Value};
use marstui::decode::registry::{self, Kind};
use marstui::dissect::{Dissector, Options};
use marstui::store::{PduFlags, Store};
use marstui::track;
use marstui::units::FrameNo;

use crate::support::{shared_or_skip, skip};

/// Captures compared, below the folder of captures.
const FILES: &[&str] = &[
    "public/tds/arkime-tds7.pcap",
    "public/tds/beats-mssql_15x_login_and_select.pcap",
    "public/tds/beats-mssql_login.pcap",
    "public/tds/iti-mb2-plant-mixed.pcap",
    "public/tds/ndpi-mssql_tds.pcap",
    "recorded/a1-one-sid-benign-rst.client.pcapng",
    "recorded/b5-statement-reopen-odbc.client.pcapng",
    "recorded/b6-transactions-odbc.client.pcapng",
    "recorded/f1-orderly-freetds.client.pcapng",
    "recorded/h1-nonmars-normal.server.pcap",
    "recorded/o1-ipv6.client.pcapng",
    "recorded/o2-vlan.trunk.pcapng",
    "recorded/s1-linux-cooked.client.pcapng",
];

/// Layers whose fields are compared.
const PREFIXES: &[&str] = &[
    "ip.", "ipv6.", "tcp.", "smp.", "tds.", "tls.", "vlan.", "ntlmssp.",
];

/// Values of the fields of a frame, in order, in one spelling.
type Values = BTreeMap<String, Vec<String>>;

/// A difference that may be: a field (or the beginning of its name), in one capture or in all.
struct Allowed {
    field: String,
    file: Option<String>,
    /// How often it was met.
    met: Cell<usize>,
}

fn allowed() -> Vec<Allowed> {
    include_str!("differential.txt")
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .map(|line| {
            let (what, reason) = line.split_once(" | ").unwrap();
            assert!(reason.len() > 10, "{what} needs a reason");
            let (field, file) = match what.trim().split_once('@') {
                Some((field, file)) => (field, Some(file.to_owned())),
                None => (what.trim(), None),
            };
            Allowed {
                field: field.trim().to_owned(),
                file,
                met: Cell::new(0),
            }
        })
        .collect()
}

/// The first line of the list that allows a difference.
fn allows<'a>(list: &'a [Allowed], field: &str, file: &Path) -> Option<&'a Allowed> {
    let file = file.file_name().unwrap().to_string_lossy();
    list.iter().find(|allowed| {
        let here = allowed
            .file
            .as_ref()
            .is_none_or(|name| file.starts_with(name.as_str()));
        here && match allowed.field.strip_suffix('*') {
            Some(prefix) => field.starts_with(prefix),
            None => field == allowed.field,
        }
    })
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let from = tag.find(&format!(" {name}=\""))? + name.len() + 3;
    let text = &tag[from..from + tag[from..].find('"')?];
    Some(
        text.replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"")
            .replace("&#x27;", "'")
            .replace("&amp;", "&"),
    )
}

/// A value of tshark or of ours in one spelling: numbers in decimal, the rest as text.
fn spelling(text: &str) -> String {
    let number = text
        .strip_prefix("0x")
        .and_then(|digits| u64::from_str_radix(digits, 16).ok());
    match number {
        Some(number) => number.to_string(),
        None => text.trim_end_matches(['\0', ' ']).to_lowercase(),
    }
}

fn tshark(file: &Path) -> Option<BTreeMap<u32, Values>> {
    let output = Command::new("tshark")
        .args([
            "-r",
            &file.to_string_lossy(),
            "-T",
            "pdml",
            "-Y",
            "tds or smp or tcp.port == 1433",
        ])
        .args([
            "-o",
            "tcp.check_checksum:TRUE",
            "-o",
            "ip.check_checksum:FALSE",
        ])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut frames = BTreeMap::new();
    let mut number = 0;
    let mut values = Values::new();
    for line in text.split_inclusive('>').map(str::trim_start) {
        if line.starts_with("</packet>") {
            frames.insert(number, std::mem::take(&mut values));
        } else if line.starts_with("<field ") {
            let Some(name) = attribute(line, "name") else {
                continue;
            };
            if name == "frame.number" {
                number = attribute(line, "show")?.parse().ok()?;
            }
            let known = registry::find(&name).is_some_and(|def| def.wireshark);
            if !known || !PREFIXES.iter().any(|p| name.starts_with(p)) {
                continue;
            }
            let show = attribute(line, "show").unwrap_or_default();
            values.entry(name).or_default().push(spelling(&show));
        }
    }
    Some(frames)
}

fn ours(fields: &[Field]) -> Values {
    let mut values = Values::new();
    for field in fields {
        field.walk(&mut |field| {
            let show = match &field.value {
                Value::None => String::new(),
                Value::UInt(n) | Value::Hex(n, _) => n.to_string(),
                Value::Int(n) => n.to_string(),
                Value::Float(n) => n.to_string(),
                Value::Bool(set) => u8::from(*set).to_string(),
                Value::Text(text) => spelling(text),
                Value::Ip(ip) => ip.to_string(),
                Value::Frame(no) => no.to_string(),
                Value::Bytes(bytes) => bytes
                    .iter()
                    .map(|b| format!("{b:02x}"))
                    .collect::<Vec<_>>()
                    .join(":"),
                Value::Span(nanos) => {
                    format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
                }
                Value::Time(_) | Value::Secret(_) => return,
            };
            values.entry(field.name.to_owned()).or_default().push(show);
        });
    }
    values
}

/// Whether a frame's messages lie in it whole, so that both programs show them there.
fn is_comparable(store: &Store, no: FrameNo) -> bool {
    store.pdus_in(no).all(|(_, pdu)| {
        !pdu.carries_tds()
            || (pdu.flags.has(PduFlags::MESSAGE_START) && pdu.flags.has(PduFlags::MESSAGE_END))
    })
}

fn compare(file: &Path, list: &[Allowed], seen: &mut BTreeSet<String>, wrong: &mut Vec<String>) {
    let Some(theirs) = tshark(file) else {
        skip("differential", "tshark is not installed");
        return;
    };
    let capture = Capture::open(&[PathBuf::from(file)], &OpenOptions::default()).unwrap();
    let store = track::load(&capture);
    let mut dissector = Dissector::new();
    for (number, theirs) in theirs {
        let no = FrameNo(number);
        if !is_comparable(&store, no) {
            continue;
        }
        let tree = dissector
            .frame(&store, &capture, no, &Options::default())
            .unwrap();
        let ours = ours(&tree.fields);
        // tshark 4.0.17 does not know RETURNVALUE and reads nothing of a message behind it.
        let blind = ours.contains_key("tds.returnvalue");
        for (name, theirs) in theirs {
            if blind && name.starts_with("tds.") {
                continue;
            }
            let ours = ours.get(&name).cloned().unwrap_or_default();
            // Of a field without a value only the number counts.
            let bare = registry::find(&name).is_some_and(|def| def.kind == Kind::Nothing);
            let differs = (bare && ours.len() != theirs.len()) || (!bare && ours != theirs);
            if let Some(allowed) = allows(list, &name, file) {
                allowed.met.set(allowed.met.get() + usize::from(differs));
                continue;
            }
            seen.insert(name.clone());
            if differs {
                wrong.push(format!(
                    "{name}: {ours:?}, tshark {theirs:?} ({} frame {number})",
                    file.file_name().unwrap().to_string_lossy()
                ));
            }
        }
    }
}

#[test]
fn fields_agree_with_tshark() {
    let Some(folder) = shared_or_skip("fields_agree_with_tshark") else {
        return;
    };
    let list = allowed();
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for file in FILES {
        compare(
            &folder.join("captures").join(file),
            &list,
            &mut seen,
            &mut wrong,
        );
    }
    assert!(seen.len() > 100, "only {} fields were compared", seen.len());
    let mut counts: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for line in &wrong {
        let name = line.split(':').next().unwrap();
        counts.entry(name).or_insert((0, line)).0 += 1;
    }
    let lines: Vec<_> = counts
        .values()
        .map(|(count, line)| format!("{count} x {line}"))
        .collect();
    assert!(
        wrong.is_empty(),
        "{} fields compared, these differ:\n{}",
        seen.len(),
        lines.join("\n")
    );
    let idle: Vec<_> = list
        .iter()
        .filter(|allowed| allowed.met.get() == 0)
        .map(|allowed| format!("{} {:?}", allowed.field, allowed.file))
        .collect();
    assert!(
        idle.is_empty(),
        "these differences are allowed and do not happen any more:\n{}",
        idle.join("\n")
    );
}

/// What of each connection is in the file; tshark tells it of the whole file only in two passes.
#[test]
fn the_completeness_of_connections_is_tsharks() {
    let Some(folder) = shared_or_skip("the_completeness_of_connections_is_tsharks") else {
        return;
    };
    for name in [
        "recorded/a1-one-sid-benign-rst.client.pcapng",
        "recorded/h1-nonmars-normal.server.pcap",
        "recorded/e3-server-killed.client.pcapng",
        "recorded/f1-orderly-freetds.server.pcap",
        "recorded/s3-same-port-three-times.client.pcapng",
        "public/tds/beats-mssql_15x_login_and_select.pcap",
    ] {
        let file = folder.join("captures").join(name);
        let output = Command::new("tshark")
            .args(["-2", "-r", &file.to_string_lossy(), "-T", "fields"])
            .args(["-e", "frame.number", "-e", "tcp.completeness"])
            .output();
        let Ok(output) = output else {
            return skip("differential", "tshark is not installed");
        };
        let capture = Capture::open(&[file], &OpenOptions::default()).unwrap();
        let store = track::load(&capture);
        let mut dissector = Dissector::new();
        let mut compared = 0;
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let Some((number, sum)) = line.split_once('\t') else {
                continue;
            };
            let Ok(sum) = sum.parse() else { continue };
            let no = FrameNo(number.parse().unwrap());
            let tree = dissector
                .frame(&store, &capture, no, &Options::default())
                .unwrap();
            let ours = &tree.find("tcp.completeness").unwrap().value;
            assert_eq!(*ours, Value::UInt(sum), "{name} frame {no}");
            compared += 1;
        }
        assert!(compared > 20, "{name}: {compared} frames compared");
    }
}
