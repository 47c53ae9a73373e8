//! New types for numbers that must not be mixed; this layer knows nothing of the others.

pub mod hidden;
pub mod ranges;
pub mod runs;
pub mod words;

use std::fmt;

/// A frame's number in its capture; the first is 1, as Wireshark counts. The default, 0, is the number of none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FrameNo(pub u32);

impl FrameNo {
    /// The number of the frame at a position in the store (position 0 is frame 1).
    pub fn from_index(index: usize) -> Self {
        Self(
            u32::try_from(index)
                .unwrap_or(u32::MAX - 1)
                .saturating_add(1),
        )
    }

    /// The position in the store of this frame. Frame 0 does not exist; it maps outside every store.
    pub fn index(self) -> usize {
        self.0
            .checked_sub(1)
            .map_or(usize::MAX, |i| usize::try_from(i).unwrap_or(usize::MAX))
    }
}

impl fmt::Display for FrameNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

macro_rules! row_number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub u32);

        impl $name {
            /// The number of the row at a position in its table (the first is 0).
            pub fn from_index(index: usize) -> Self {
                Self(u32::try_from(index).unwrap_or(u32::MAX))
            }

            /// The position of the row in its table.
            pub fn index(self) -> usize {
                usize::try_from(self.0).unwrap_or(usize::MAX)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

/// What is listed under an interface of a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Holds {
    /// Frames.
    #[default]
    Frames,
    /// Blocks of pcapng that carry no frame, which other programs count among the frames all the same.
    Blocks,
    /// Such blocks that ask not to be copied into other files (pcapng, custom block).
    BlocksToLeave,
}

row_number!(
    /// A connection's number: one incarnation of a TCP 4-tuple, in order of first frame, from 0.
    ConnId
);
row_number!(
    /// A PDU's number, in order of completion, from 0.
    PduId
);
row_number!(
    /// The number of one life of an SMP session (connection, Sid, incarnation), from 0.
    SessionId
);
row_number!(
    /// A request's number, in order of its first frame, from 0.
    RequestId
);
row_number!(
    /// The number of a text of requests; 0 is the empty one.
    TextId
);
row_number!(
    /// A finding's number, from 0.
    FindingId
);
row_number!(
    /// The number of an interface of the capture (over all files and sections), from 0.
    InterfaceId
);

impl TextId {
    /// No text.
    pub const EMPTY: Self = Self(0);
}

/// An SMP session identifier ([MC-SMP] 2.2.1), unique among the open sessions of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sid(pub u16);

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

macro_rules! wrapping_number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name(pub u32);

        impl $name {
            /// `self + n`, modulo 2^32.
            #[must_use]
            pub fn plus(self, n: u32) -> Self {
                Self(self.0.wrapping_add(n))
            }

            /// `self - n`, modulo 2^32.
            #[must_use]
            pub fn minus(self, n: u32) -> Self {
                Self(self.0.wrapping_sub(n))
            }

            /// The signed distance from `other` to `self`, modulo 2^32.
            pub fn diff(self, other: Self) -> i32 {
                self.0.wrapping_sub(other.0).cast_signed()
            }

            /// Whether `self` stands before `other`, modulo 2^32.
            pub fn before(self, other: Self) -> bool {
                self.diff(other) < 0
            }

            /// Whether `self` stands at or before `other`, modulo 2^32.
            pub fn at_or_before(self, other: Self) -> bool {
                self.diff(other) <= 0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

wrapping_number!(
    /// A TCP sequence or acknowledgement number as on the wire; it wraps at 2^32.
    TcpSeq
);

impl TcpSeq {
    /// Whether it is so little ahead of the first number of a stream (less than 64 KiB) that it is one of that stream's,
    /// even if the frames between are missing.
    pub fn is_near(self, first: Self) -> bool {
        (0..=0xFFFF).contains(&self.diff(first))
    }
}
wrapping_number!(
    /// An SMP SEQNUM or WNDW ([MC-SMP] 2.2.1); it counts DATA packets and wraps at 2^32.
    SmpSeq
);

/// Nanoseconds since 1970-01-01T00:00:00 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Nanos(pub i64);

impl Nanos {
    /// Signed nanoseconds from `earlier` to `self`; negative when the clock ran backwards.
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A position in a capture file, in bytes from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileOffset(pub u64);

/// A position in one direction's byte stream: bytes after the SYN, or after the first byte seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamPos(pub u64);

/// One of a connection's two ends, before it is known which is the client: `A` sent the first frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// The sender of the connection's first frame.
    A,
    /// The other end.
    B,
}

impl End {
    /// Both ends.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// The other end.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// The role of an end in a SQL Server connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The end that opened the connection.
    Client,
    /// The end that SQL Server runs on.
    Server,
}

impl Side {
    /// Both sides.
    pub const BOTH: [Self; 2] = [Self::Client, Self::Server];

    /// The other side.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }

    /// The word for it in texts.
    pub fn word(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

macro_rules! pair {
    ($(#[$doc:meta])* $name:ident, $key:ident, $first:ident, $second:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
        pub struct $name<T>(pub [T; 2]);

        impl<T> $name<T> {
            /// The value for a key: at a place that is reckoned, which costs less than to choose one of two.
            pub fn get(&self, key: $key) -> &T {
                let [first, _] = &self.0;
                self.0.get(usize::from(key == $key::$second)).unwrap_or(first)
            }

            /// The value for a key, to change it.
            pub fn get_mut(&mut self, key: $key) -> &mut T {
                let [first, second] = &mut self.0;
                match key {
                    $key::$first => first,
                    $key::$second => second,
                }
            }

            /// The value for a key, and the one for the other, to change them.
            pub fn get_both_mut(&mut self, key: $key) -> (&mut T, &mut T) {
                let [first, second] = &mut self.0;
                match key {
                    $key::$first => (first, second),
                    $key::$second => (second, first),
                }
            }
        }
    };
}

pair!(
    /// One value for each end.
    PerEnd, End, A, B
);
pair!(
    /// One value for each side.
    PerSide, Side, Client, Server
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_compare_across_the_wrap() {
        let before = TcpSeq(u32::MAX - 7);
        let after = before.plus(16);
        assert_eq!(after, TcpSeq(8));
        assert!(before.before(after));
        assert_eq!(after.diff(before), 16);
        assert_eq!(before.diff(after), -16);
        assert!(after.at_or_before(after));
    }

    #[test]
    fn frame_numbers_start_at_one() {
        assert_eq!(FrameNo::from_index(0), FrameNo(1));
        assert_eq!(FrameNo(1).index(), 0);
        assert_eq!(FrameNo(0).index(), usize::MAX);
    }
}
