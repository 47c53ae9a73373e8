//! Remembers which connections had segments last.

use crate::decode::net::Segment;

/// The connection that came last on each place, so that the segments of those that take turns need not be looked up. A
/// place is a number and nothing else, so that it stays in the processor's nearest cache; whether it is the segment's
/// connection, the connection itself tells.
#[derive(Debug)]
pub(super) struct Recent(Box<[u32; 1 << Recent::BITS]>);

impl Default for Recent {
    #[expect(
        clippy::large_stack_arrays,
        reason = "it is made once, and a thread has room for it many times over"
    )]
    fn default() -> Self {
        Self(Box::new([u32::MAX; 1 << Self::BITS]))
    }
}

impl Recent {
    const BITS: u32 = 14;

    /// The same for both directions.
    fn place(a: u16, b: u16) -> usize {
        let ports = (u32::from(a) << 16) | u32::from(b);
        let both_ways = ports.wrapping_add(ports.rotate_left(16));
        let place = both_ways.wrapping_mul(0x9e37_79b1) >> (u32::BITS - Self::BITS);
        usize::try_from(place).unwrap_or(0)
    }

    pub(super) fn get(&self, segment: &Segment) -> Option<usize> {
        usize::try_from(
            *self
                .0
                .get(Self::place(segment.src_port, segment.dst_port))?,
        )
        .ok()
    }

    pub(super) fn put(&mut self, segment: &Segment, index: usize) {
        if let Some(place) = (self.0).get_mut(Self::place(segment.src_port, segment.dst_port)) {
            *place = u32::try_from(index).unwrap_or(u32::MAX);
        }
    }

    /// A connection with these ports is not there any more.
    pub(super) fn forget(&mut self, [a, b]: [u16; 2], index: usize) {
        if let Some(place) = self.0.get_mut(Self::place(a, b))
            && usize::try_from(*place) == Ok(index)
        {
            *place = u32::MAX;
        }
    }
}
