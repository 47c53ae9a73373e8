//! Bytes to named fields with byte ranges. Pure: no file, no state, no clock. It never fails as a whole: it
//! returns what it could read and why it stopped.

pub mod der;
pub mod field;
pub mod net;
mod ntlm;
pub mod reader;
pub mod registry;
pub mod smp;
pub mod sspi;
pub mod tds;
pub mod tls;
pub mod walk;
