//! marstui steps through captures of SQL Server connections that use MARS and says which resets are harmless.
//!
//! Layers, from the ground up; a layer may use those before it and never those behind it:
//! `units`, then `settings`, `capture` (files), `decode` (bytes, pure) and `store` (rows), then `track` (the one
//! pass that fills the store), `rules` (verdicts) and `dissect` (one frame as a tree of named fields), `query`
//! (filters and find), `export` and `report`, `app` (the state of the screen), `ui` (draws it), `term` (the terminal).
//! The test `layers` reads the sources and fails when an import runs the other way.

pub mod app;
pub mod capture;
pub mod cli;
pub mod decode;
pub mod dissect;
pub mod exit;
pub mod export;
pub mod query;
pub mod report;
pub mod rules;
pub mod settings;
pub mod store;
pub mod term;
pub mod track;
pub mod ui;
pub mod units;

pub use cli::run;
