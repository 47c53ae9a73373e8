//! The report against its schema, and the promises that it makes about names.

use std::fs;
use std::path::{Path, PathBuf};

use marstui::capture::{Capture, OpenOptions};
use marstui::report::{self, Format};
use marstui::store::{Store, Verdict};
use marstui::{rules, track};
use serde_json::Value;

use crate::support::shared_or_skip;

#[test]
fn every_report_fits_the_schema() {
    let schema = schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut files = fixtures();
    if let Some(shared) = shared_or_skip("every_report_fits_the_schema") {
        files.extend(captures(&shared.join("captures/recorded")));
        files.extend(captures(&shared.join("captures/public/tds")));
        files.extend(captures(&shared.join("captures/public/derived")));
        files.extend(captures(&shared.join("captures/public/not-tds")));
    }
    let mut checked = 0;
    let mut wrong = Vec::new();
    for file in files {
        let Some(store) = judged(&file) else { continue };
        checked += 1;
        let json = json(&store, Format::Json, false);
        let report: Value = serde_json::from_str(&json).unwrap();
        for error in validator.iter_errors(&report).take(3) {
            wrong.push(format!(
                "{}: {}: {error}",
                file.display(),
                error.instance_path()
            ));
        }
    }
    assert!(checked > 50, "only {checked} captures");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_schema_refuses_a_report_without_one_of_its_keys() {
    let schema = schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let store = judged(&fixture("near-misses/N01.pcapng.zst")).unwrap();
    let report: Value = serde_json::from_str(&json(&store, Format::Json, false)).unwrap();
    assert!(validator.is_valid(&report));
    for path in [
        "/connections/0",
        "/connections/0/sessions/0/client",
        "/findings/0",
        "/capture",
    ] {
        let keys: Vec<String> = schema_keys(&report, path);
        for key in keys {
            let mut broken = report.clone();
            broken
                .pointer_mut(path)
                .unwrap()
                .as_object_mut()
                .unwrap()
                .remove(&key);
            assert!(
                !validator.is_valid(&broken),
                "{path} without {key} is taken"
            );
        }
    }
}

/// The keys of an object that the schema asks for.
fn schema_keys(report: &Value, path: &str) -> Vec<String> {
    let optional = [
        "client_evidence",
        "other_end",
        "incarnation",
        "stalls",
        "stalled_ms",
        "longest_stall_ms",
        "notes",
        "duplicate",
    ];
    let object = report.pointer(path).unwrap().as_object().unwrap();
    object
        .keys()
        .filter(|k| !optional.contains(&k.as_str()))
        .cloned()
        .collect()
}

#[test]
fn one_object_per_line_says_the_same_as_one_object() {
    let store = judged(&fixture("near-misses/N01.pcapng.zst")).unwrap();
    let whole: Value = serde_json::from_str(&json(&store, Format::Json, false)).unwrap();
    let lines: Vec<Value> = json(&store, Format::Ndjson, false)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |record: &str| -> Vec<Value> {
        lines
            .iter()
            .filter(|line| line["record"] == record)
            .map(|line| {
                let mut line = line.clone();
                line.as_object_mut().unwrap().remove("record");
                line
            })
            .collect()
    };
    assert_eq!(Value::Array(of("connection")), whole["connections"]);
    assert_eq!(Value::Array(of("finding")), whole["findings"]);
    let head = &of("capture")[0];
    assert_eq!(head["frames"], whole["capture"]["frames"]);
    assert_eq!(head["schema"], whole["schema"]);
}

#[test]
fn a_fault_is_found_and_a_benign_close_is_none() {
    let fault = judged(&fixture("near-misses/N01.pcapng.zst")).unwrap();
    let benign = judged(&fixture("closes/V1.pcapng.zst")).unwrap();
    let faults = |store: &Store| report::has_findings(store, Verdict::Fault);
    assert!(!faults(&benign));
    let expected = fault.findings().iter().any(|f| f.verdict == Verdict::Fault);
    assert_eq!(faults(&fault), expected);
    assert!(
        expected || report::has_findings(&fault, Verdict::Notice) || !fault.findings().is_empty()
    );
}

#[test]
fn a_redacted_report_names_nobody() {
    let Some(shared) = shared_or_skip("a_redacted_report_names_nobody") else {
        return;
    };
    let mut checked = 0;
    for file in captures(&shared.join("captures/recorded")) {
        let Some(store) = judged(&file) else { continue };
        let mut secrets = Vec::new();
        for conn in store.conns() {
            secrets.extend(conn.ends.0.iter().map(|end| end.ip.to_string()));
            if let Some(login) = &conn.login {
                let names = [
                    &login.host,
                    &login.user,
                    &login.app,
                    &login.server,
                    &login.database,
                ];
                secrets.extend(names.into_iter().flatten().map(ToString::to_string));
            }
        }
        secrets.extend(store.requests().map(|r| store.text(r.text).to_owned()));
        secrets.retain(|s| s.len() > 3);
        secrets.sort();
        secrets.dedup();
        for format in [Format::Json, Format::Ndjson, Format::Text, Format::Markdown] {
            let text = without_paths(&json(&store, format, true), &file);
            for secret in &secrets {
                checked += 1;
                assert!(
                    !text.contains(secret.as_str()),
                    "{}: {secret}",
                    file.display()
                );
            }
        }
    }
    assert!(checked > 500, "only {checked}");
}

#[test]
fn the_text_report_reads_as_before() {
    let store = judged(&fixture("closes/V1.pcapng.zst")).unwrap();
    let text = without_paths(
        &json(&store, Format::Text, false),
        &fixture("closes/V1.pcapng.zst"),
    );
    insta::assert_snapshot!("report_text", text);
    let markdown = without_paths(
        &json(&store, Format::Markdown, false),
        &fixture("closes/V1.pcapng.zst"),
    );
    insta::assert_snapshot!("report_markdown", markdown);
}

fn without_paths(text: &str, file: &Path) -> String {
    text.replace(&file.display().to_string(), "FILE")
}

fn json(store: &Store, format: Format, redact: bool) -> String {
    let mut out = Vec::new();
    report::write(store, format, redact, None, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn judged(file: &Path) -> Option<Store> {
    let capture = Capture::open(&[file.to_owned()], &OpenOptions::default()).ok()?;
    let mut store = track::load(&capture);
    rules::judge(&mut store, &rules::Settings::default());
    Some(store)
}

fn schema() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/report.schema.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name)
}

fn fixtures() -> Vec<PathBuf> {
    let mut files = captures(&fixture("closes"));
    files.extend(captures(&fixture("near-misses")));
    files
}

/// The capture files of a folder; the largest is left out, it says nothing that the others don't.
fn captures(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.to_string_lossy().contains("cap") && !path.to_string_lossy().contains(".json")
        })
        .filter(|path| fs::metadata(path).is_ok_and(|m| m.len() < 4_000_000))
        .collect();
    files.sort();
    files
}
