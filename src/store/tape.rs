//! What rows tell of, one behind the other in few bytes: frames, numbers, texts, and nothing that says which is which.

use super::fact::{Fact, Numbers, Tell};
use crate::units::FrameNo;

/// A tape that can be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Tape(Box<[u8]>);

/// How a fact stands on a tape.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Told {
    /// None of a fact that is a text.
    tell: Option<Tell>,
    /// So many numbers it has.
    numbers: u8,
}

impl Told {
    /// Whether both are told by the same code, of as many numbers. Where that cannot be seen, they are not.
    pub(super) fn is_like(self, other: Self) -> bool {
        let same = match (self.tell, other.tell) {
            (Some(one), Some(other)) => std::ptr::fn_addr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        };
        same && self.numbers == other.numbers
    }
}

/// A tape that is written.
#[derive(Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    frame: FrameNo,
}

impl Writer {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
            frame: FrameNo::default(),
        }
    }

    /// Small numbers, below 0 or above, take few bytes: seven bits each, the lowest first.
    fn number(&mut self, number: i64) {
        let mut rest = (number << 1 ^ number >> 63).cast_unsigned();
        loop {
            let [low, ..] = rest.to_le_bytes();
            rest >>= 7;
            if rest == 0 {
                self.bytes.push(low & 0x7f);
                return;
            }
            self.bytes.push(low | 0x80);
        }
    }

    pub(super) fn text(&mut self, text: &str) {
        self.number(i64::try_from(text.len()).unwrap_or(i64::MAX));
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// A frame is mostly near the one before.
    pub(super) fn frame(&mut self, frame: FrameNo) {
        let before = std::mem::replace(&mut self.frame, frame);
        self.number(i64::from(frame.0).wrapping_sub(i64::from(before.0)));
    }

    pub(super) fn frames(&mut self, frames: &[FrameNo]) -> u32 {
        for frame in frames {
            self.frame(*frame);
        }
        u32::try_from(frames.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn fact(&mut self, fact: &Fact) -> Told {
        let (tell, numbers) = match fact {
            Fact::Text(text) => {
                self.text(text);
                return Told::default();
            }
            Fact::Told(tell, numbers) => (*tell, numbers.as_slice()),
        };
        let count = u8::try_from(numbers.len()).unwrap_or(u8::MAX);
        let told = numbers.iter().take(count.into());
        told.for_each(|number| self.number(*number));
        Told {
            tell: Some(tell),
            numbers: count,
        }
    }

    /// What was written, and behind it what another has.
    pub(super) fn finish(mut self, behind: &Self) -> Tape {
        self.bytes.extend_from_slice(&behind.bytes);
        // A copy of the right size costs less than to give back what is too much.
        Tape(self.bytes.as_slice().into())
    }
}

/// A tape that is read from its beginning on; behind its end everything is 0 and empty.
pub(super) struct Reader<'t> {
    bytes: &'t [u8],
    frame: FrameNo,
}

impl<'t> Reader<'t> {
    pub(super) fn new(tape: &'t Tape) -> Self {
        Self {
            bytes: &tape.0,
            frame: FrameNo::default(),
        }
    }

    fn number(&mut self) -> i64 {
        let mut number = 0_u64;
        for shift in (0..u64::BITS).step_by(7) {
            let Some((byte, rest)) = self.bytes.split_first() else {
                break;
            };
            self.bytes = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
    }

    pub(super) fn text(&mut self) -> &'t str {
        let len = usize::try_from(self.number()).unwrap_or(usize::MAX);
        let (text, rest) = self.bytes.split_at_checked(len).unwrap_or_default();
        self.bytes = rest;
        std::str::from_utf8(text).unwrap_or_default()
    }

    pub(super) fn frame(&mut self) -> FrameNo {
        let frame = i64::from(self.frame.0).wrapping_add(self.number());
        self.frame = FrameNo(u32::try_from(frame).unwrap_or_default());
        self.frame
    }

    pub(super) fn frames(&mut self, count: u32) -> Vec<FrameNo> {
        (0..count).map(|_| self.frame()).collect()
    }

    pub(super) fn fact(&mut self, told: Told) -> String {
        let Some(tell) = told.tell else {
            return self.text().to_owned();
        };
        let numbers: Numbers = (0..told.numbers).map(|_| self.number()).collect();
        let mut out = String::new();
        tell(numbers.as_slice(), &mut out);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_in_its_order_and_takes_few_bytes() {
        let numbers = [0, -1, 63, 64, i64::MIN, i64::MAX, -8192, 1 << 32];
        let frames = [3_600_000, 3_600_001, 1, u32::MAX, 0].map(FrameNo);
        let mut front = Writer::default();
        front.frames(&frames[..2]);
        let mut behind = Writer::default();
        for number in numbers {
            behind.number(number);
        }
        behind.text("ü");
        behind.frames(&frames);
        let tape = front.finish(&behind);
        assert_eq!(
            tape.0.len(),
            5 + (1 + 1 + 1 + 2 + 10 + 10 + 2 + 5) + 3 + (4 + 1 + 4 + 5 + 5)
        );
        let mut reader = Reader::new(&tape);
        assert_eq!(reader.frames(2), frames[..2]);
        reader.frame = FrameNo::default();
        for number in numbers {
            assert_eq!(reader.number(), number);
        }
        assert_eq!(reader.text(), "ü");
        assert_eq!(reader.frames(5), frames);
        assert_eq!((reader.number(), reader.text()), (0, ""));
    }
}
