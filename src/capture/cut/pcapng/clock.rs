//! The clock of an interface: how its time stamps become nanoseconds.

use crate::units::{InterfaceId, Nanos};

/// What packets need of their interface.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    pub(super) id: InterfaceId,
    pub(super) snap_len: u32,
    pub(super) scale: Scale,
    /// Nanoseconds to add.
    pub(super) offset: i64,
}

/// How time stamps become nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    Times(u64),
    Divided(u64),
    /// Units of 2 to the power of minus this.
    Binary(u8),
}

impl Clock {
    #[inline]
    pub(super) fn time(&self, ticks: u64) -> Nanos {
        let nanos = match self.scale {
            Scale::Times(factor) => ticks.saturating_mul(factor),
            Scale::Divided(by) => divided(ticks, by),
            Scale::Binary(bits) => binary(ticks, bits),
        };
        let nanos = i64::try_from(nanos).unwrap_or(i64::MAX);
        // Where it does not fit it is too large, as what the offset is added to is not negative.
        Nanos(nanos.checked_add(self.offset).unwrap_or(i64::MAX))
    }
}

#[cold]
fn divided(ticks: u64, by: u64) -> u64 {
    ticks.checked_div(by).unwrap_or(0)
}

#[cold]
fn binary(ticks: u64, bits: u8) -> u64 {
    u64::try_from((u128::from(ticks) * 1_000_000_000) >> bits).unwrap_or(u64::MAX)
}

/// if_tsresol (pcapng 4.2): the highest bit tells powers of 2 from powers of 10. With the ticks per second.
pub(super) fn scale(exponent: u8) -> Option<(Scale, u64)> {
    let power = u32::from(exponent & 0x7f);
    if exponent & 0x80 != 0 {
        let ticks = 1_u64.checked_shl(power)?;
        return Some((Scale::Binary(u8::try_from(power).ok()?), ticks));
    }
    let ticks = 10_u64.checked_pow(power)?;
    Some(match power {
        0..=9 => (Scale::Times(10_u64.pow(9_u32.saturating_sub(power))), ticks),
        _ => (
            Scale::Divided(10_u64.checked_pow(power.saturating_sub(9))?),
            ticks,
        ),
    })
}
