//! The integration tests, as one program: one module per thing that is tested.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    missing_docs,
    reason = "a test stops at the first thing that is not as it should be"
)]

mod several_files;
mod support;

mod arrivals;
mod both_ends;
mod bounds;
mod capture;
mod cli;
mod clocks;
mod corpora;
mod damaged_logins;
mod derived;
mod differential;
mod dissected;
mod export;
mod find;
mod findings;
mod fixtures;
mod flagged;
mod generated;
mod hidden;
mod hostile;
mod kept_blocks;
mod keys;
mod layers;
mod line_cost;
mod live;
mod long_streams;
mod messages;
mod near_misses;
mod omissions;
mod orders;
mod over;
mod packed;
mod pictures;
mod public;
mod query;
mod redaction;
mod registry;
mod report;
mod scans;
mod screen;
mod secrets;
mod smp_checks;
mod sql_secrets;
mod streams;
mod terminals;
mod tls;
mod tokens;
mod truth;
mod tshark;
mod usual_segments;
mod variants;
mod vectors;
mod verdicts;
mod walk;
mod wrapped;
