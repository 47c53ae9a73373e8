//! How far a stream has come, small: what is left of one that is over.

use std::collections::BTreeMap;

use super::Order;
use crate::units::TcpSeq;

/// A stream in which nothing waits, but for the number of bytes that are missing.
#[derive(Debug, Clone, Copy)]
pub(in crate::track) struct Positions {
    base: Option<TcpSeq>,
    early_ack: Option<TcpSeq>,
    next: u32,
    high: u32,
    acked: u32,
    claimed: u32,
    fin: Option<u32>,
    firm: bool,
    early_behind: bool,
}

impl Order {
    /// `None` if bytes wait, or if it is longer than 32 bits count.
    pub(in crate::track) fn positions(&self) -> Option<Positions> {
        if !self.waiting.is_empty() {
            return None;
        }
        Some(Positions {
            base: self.base,
            early_ack: self.early_ack,
            next: u32::try_from(self.next).ok()?,
            high: u32::try_from(self.high).ok()?,
            acked: u32::try_from(self.acked).ok()?,
            claimed: u32::try_from(self.claimed).ok()?,
            fin: self.fin.map(u32::try_from).transpose().ok()?,
            firm: self.firm,
            early_behind: self.early_behind,
        })
    }

    /// The stream that has come so far, with so many bytes missing.
    pub(in crate::track) fn at(positions: Positions, missing: u64) -> Self {
        Self {
            base: positions.base,
            firm: positions.firm,
            early_ack: positions.early_ack,
            early_behind: positions.early_behind,
            next: positions.next.into(),
            high: positions.high.into(),
            acked: positions.acked.into(),
            claimed: positions.claimed.into(),
            fin: positions.fin.map(u64::from),
            waiting: BTreeMap::new(),
            kept: 0,
            missing,
        }
    }
}
