//! Options of blocks, and the comments among them.

use super::super::{Order, to_u64, to_usize, word};
use super::{ENHANCED, PACKET_HEADER};

/// The longest options that are looked through for comments.
const MAX_OPTIONS: usize = 256 << 10;

/// The comments on the frame whose bytes stand at `offset`: options of its enhanced packet block. `read` reads at a
/// position of the file.
pub(in crate::capture) fn comments(
    offset: u64,
    captured: u32,
    mut read: impl FnMut(&mut [u8], u64) -> std::io::Result<usize>,
) -> std::io::Result<Vec<String>> {
    let mut header = [0; PACKET_HEADER];
    let Some(block) = offset.checked_sub(to_u64(PACKET_HEADER)) else {
        return Ok(Vec::new());
    };
    if read(&mut header, block)? < PACKET_HEADER {
        return Ok(Vec::new());
    }
    let order = if word(&header, 0, Order::Little) == ENHANCED {
        Order::Little
    } else {
        Order::Big
    };
    let total = to_usize(word(&header, 4, order));
    let padded = to_usize(captured).next_multiple_of(4);
    let before = PACKET_HEADER.saturating_add(padded);
    let len = total.saturating_sub(before.saturating_add(4));
    if word(&header, 0, order) != ENHANCED || len > MAX_OPTIONS {
        return Ok(Vec::new());
    }
    let mut options = vec![0; len];
    let got = read(&mut options, offset.saturating_add(to_u64(padded)))?;
    let options = Options::new(options.get(..got).unwrap_or_default(), order);
    Ok(options
        .filter(|(code, _)| *code == 1)
        .map(|(_, text)| String::from_utf8_lossy(text).into_owned())
        .collect())
}

/// Options of a block: code and value, until the end mark or until they make no sense.
pub(in crate::capture) struct Options<'a> {
    rest: &'a [u8],
    order: Order,
}

impl<'a> Options<'a> {
    pub(in crate::capture) fn new(rest: &'a [u8], order: Order) -> Self {
        Self { rest, order }
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (code, rest) = self.rest.split_first_chunk::<2>()?;
        let (len, rest) = rest.split_first_chunk::<2>()?;
        let code = self.order.u16(*code);
        let len = usize::from(self.order.u16(*len));
        if code == 0 {
            return None;
        }
        let value = rest.get(..len)?;
        self.rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some((code, value))
    }
}
