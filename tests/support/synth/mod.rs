//! The generator of synthetic captures: connections with MARS sessions, their closes and disturbances, as frames
//! in memory and as files. Deterministic: the same call gives the same bytes everywhere.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a generator that cannot make what it was asked for has to stop; its names say what things are"
)]

pub mod big;
pub mod cases;
pub mod close;
pub mod conn;
pub mod file;
pub mod fixtures;
pub mod mars;
pub mod noise;
pub mod ntlm;
pub mod rng;
pub mod seed;
pub mod smp;
pub mod tds;
pub mod tls;
pub mod wire;
