//! The tree of named fields that decoding produces: name, value, byte ranges, children, and why it stopped.

use std::borrow::Cow;
use std::ops::Range;

use crate::units::FrameNo;

/// A value as it was read.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A heading without a value of its own.
    None,
    /// An unsigned number, shown in decimal.
    UInt(u64),
    /// An unsigned number, shown in hexadecimal with this many digits.
    Hex(u64, u8),
    /// A signed number.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// A flag.
    Bool(bool),
    /// Text from the capture or about it; control characters are kept, whoever shows it makes it safe.
    Text(String),
    /// Raw bytes (bounded by the decoder).
    Bytes(Vec<u8>),
    /// An IP address.
    Ip(std::net::IpAddr),
    /// A time, nanoseconds since the epoch.
    Time(i64),
    /// A span of time in nanoseconds.
    Span(i64),
    /// Another frame.
    Frame(FrameNo),
    /// A secret of this many bytes; it is never shown.
    Secret(usize),
}

/// What stands for a secret of this many bytes.
pub fn secret_words(len: usize) -> String {
    format!("[secret, {len} bytes]")
}

/// The frame number of spans that are not placed yet: their bytes count from the start of what was decoded.
pub const UNPLACED: FrameNo = FrameNo(0);

/// Where a byte range lies: in the frame on screen, or in another that carries a part of the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The frame, or [`UNPLACED`].
    pub frame: FrameNo,
    /// The bytes within it.
    pub bytes: Range<usize>,
}

/// One field of the tree.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Name in the registry, the one that filters use (Wireshark's where one exists); empty for remarks.
    pub name: &'static str,
    /// What the pane shows before the value.
    pub label: Cow<'static, str>,
    /// The value.
    pub value: Value,
    /// What the value means in words, for example the name of a code; empty where it says nothing more.
    pub text: String,
    /// Where its bytes lie; several where a value spans PDUs or frames, none where it is derived.
    pub spans: Vec<Span>,
    /// Frames to jump to from here.
    pub links: Vec<FrameNo>,
    /// Fields inside.
    pub children: Vec<Field>,
}

impl Field {
    /// A field without bytes, text and children.
    pub fn new(name: &'static str, label: impl Into<Cow<'static, str>>, value: Value) -> Self {
        Self {
            name,
            label: label.into(),
            value,
            text: String::new(),
            spans: Vec::new(),
            links: Vec::new(),
            children: Vec::new(),
        }
    }

    /// With words beside the value.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }

    /// With its bytes.
    #[must_use]
    pub fn span(mut self, frame: FrameNo, bytes: Range<usize>) -> Self {
        self.spans.push(Span { frame, bytes });
        self
    }

    /// With bytes that count from the start of what is decoded, to be placed in frames later.
    #[must_use]
    pub fn at(self, bytes: Range<usize>) -> Self {
        self.span(UNPLACED, bytes)
    }

    /// With a frame to jump to.
    #[must_use]
    pub fn link(mut self, frame: FrameNo) -> Self {
        self.links.push(frame);
        self
    }

    /// With a child.
    #[must_use]
    pub fn child(mut self, child: Self) -> Self {
        self.children.push(child);
        self
    }

    /// With children.
    #[must_use]
    pub fn children(mut self, children: impl IntoIterator<Item = Self>) -> Self {
        self.children.extend(children);
        self
    }

    /// Replaces the spans that are not placed yet, here and in all children, by those that `place` gives.
    pub fn place(&mut self, place: &impl Fn(Range<usize>) -> Vec<Span>) {
        let mut spans = Vec::with_capacity(self.spans.len());
        for span in self.spans.drain(..) {
            if span.frame == UNPLACED {
                spans.extend(place(span.bytes));
            } else {
                spans.push(span);
            }
        }
        self.spans = spans;
        for child in &mut self.children {
            child.place(place);
        }
    }

    /// Calls `visit` for this field and all below it, in order.
    pub fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Self)) {
        visit(self);
        for child in &self.children {
            child.walk(visit);
        }
    }

    /// The first field with a name, depth first, itself included.
    pub fn find(&self, name: &str) -> Option<&Self> {
        if self.name == name {
            return Some(self);
        }
        self.children.iter().find_map(|c| c.find(name))
    }
}
