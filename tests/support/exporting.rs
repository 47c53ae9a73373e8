//! What exports and reports write, in memory.

use std::sync::atomic::AtomicBool;

use marstui::capture::Capture;
use marstui::export::{Job, Options, Plan};
use marstui::report;
use marstui::rules;
use marstui::store::Store;

/// The bytes of an export, by the rules' usual settings.
pub fn exported(store: &Store, capture: &Capture, plan: &Plan, options: &Options) -> Vec<u8> {
    let mut out = Vec::new();
    Job {
        store,
        capture,
        plan,
        options,
        rules: &rules::Settings::default(),
        stop: &AtomicBool::new(false),
        progress: &|_| (),
    }
    .write_to(&mut out)
    .unwrap();
    out
}

/// The report of a store in each of its formats.
pub fn reports(store: &Store) -> impl Iterator<Item = (report::Format, Vec<u8>)> {
    let formats = [
        report::Format::Text,
        report::Format::Markdown,
        report::Format::Json,
        report::Format::Ndjson,
    ];
    formats.into_iter().map(|format| {
        let mut out = Vec::new();
        report::write(store, format, false, None, &mut out).unwrap();
        (format, out)
    })
}
