//! Plans and writers for what the user takes away: capture files, listings, tickets, pictures.
//!
//! One way for the screen and the command line: a [`Choice`] becomes a [`Plan`], which says what will be taken
//! and what stands in the way; a [`Job`] adds format and options; [`Job::save`] writes it to a [`Target`], or
//! [`Job::write_to`] to any writer (for the clipboard).

mod block_file;
mod error;
mod format;
mod frames;
mod job;
mod ladder;
mod list;
mod listing;
mod packets;
mod picture;
mod plan;
mod reading;
mod redact;
mod requests;
mod tables;
mod target;
#[cfg(test)]
mod testing;
mod ticket;
mod time;

pub use error::ExportError;
pub use format::{Compression, Format, stem, with_ending};
pub use frames::{FrameSet, RangeError, parse_frames};
pub use job::{Job, Options, Redaction, Written};
pub use list::List;
pub use plan::{Choice, Context, Plan, What};
pub use target::Target;
pub use ticket::small_name;
