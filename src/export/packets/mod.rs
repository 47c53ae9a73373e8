//! Capture files: the frames byte for byte, with their times, lengths, interfaces and options; findings, conditions
//! and marks as comments. Records that stay as they are are taken over in long stretches.

mod beside;
mod blocks;
mod comments;
mod made;
mod pcap;
mod pcapng;
mod run;
mod section;
mod spots;

pub(super) use beside::has_keys;
pub(super) use blocks::{about_blocks, left_out};
pub(super) use pcap::{pcap_problem, write_pcap};
pub(super) use pcapng::write_pcapng;
