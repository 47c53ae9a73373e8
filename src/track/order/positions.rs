//! How far a stream has come, small: what is left of one that is over.

use std::collections::BTreeMap;

use super::Order;
use crate::units::TcpSeq;

/// A stream that was handed on to its end, but for the number of bytes that are missing. What is asked only until then
/// is left out.
#[derive(Debug, Clone, Copy)]
pub(in crate::track) struct Positions {
    base: Option<TcpSeq>,
    next: u32,
    high: u32,
    acked: u32,
    fin: Option<u32>,
    firm: bool,
}

impl Order {
    /// `None` if bytes wait, or if it is longer than 32 bits count.
    pub(in crate::track) fn positions(&self) -> Option<Positions> {
        if !self.waiting.is_empty() {
            return None;
        }
        Some(Positions {
            base: self.base,
            next: u32::try_from(self.next).ok()?,
            high: u32::try_from(self.high).ok()?,
            acked: u32::try_from(self.acked).ok()?,
            fin: self.fin.map(u32::try_from).transpose().ok()?,
            firm: self.firm,
        })
    }

    /// The stream that has come so far, with so many bytes missing.
    pub(in crate::track) fn at(positions: Positions, missing: u64) -> Self {
        Self {
            base: positions.base,
            firm: positions.firm,
            early_ack: None,
            early_behind: false,
            next: positions.next.into(),
            high: positions.high.into(),
            acked: positions.acked.into(),
            claimed: 0,
            fin: positions.fin.map(u64::from),
            waiting: BTreeMap::new(),
            kept: 0,
            held_from: None,
            missing,
        }
    }
}
