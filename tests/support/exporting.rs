//! What an export writes, in memory.

use std::sync::atomic::AtomicBool;

use marstui::capture::Capture;
use marstui::export::{Job, Options, Plan};
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
