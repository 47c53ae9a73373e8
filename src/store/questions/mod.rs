//! The questions asked of the store, a file for each kind of row.

mod findings;
mod frames;
mod pdus;
mod requests;
