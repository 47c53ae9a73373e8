//! The one pass over a capture: connections, stream order, SMP sessions, TDS messages and requests.

mod ahead;
mod calm;
mod chain;
mod conn;
mod conns;
mod copies;
mod framing;
mod hands;
mod login;
mod missing;
mod names;
mod order;
mod out;
mod over;
mod recent;
mod recognise;
mod request_text;
mod requests;
mod sender;
mod sessions;
#[cfg(test)]
mod testing;
mod tokens;
mod tracker;
mod upper;
mod view;
mod worker;

pub use worker::{Indexing, Options, load, start};

/// Characters kept of a request's or an ERROR's text.
const TEXT_CHARS: usize = 200;
