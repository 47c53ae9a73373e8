//! A value as it lies in a message: in one piece, or in chunks with their lengths in between.

use std::ops::Range;

use super::cell::Hide;
use super::sql_secret::{self, Width};
use super::type_info::{TypeInfo, token as t};
use crate::decode::field::{Span, UNPLACED};

/// The pieces of a value, each with its place in the message.
pub(super) struct Pieces<'a>(pub(super) Vec<(usize, &'a [u8])>);

/// What of a value is secret.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    /// All of it.
    pub(super) all: bool,
    /// Or ranges of its bytes, in order.
    pub(super) ranges: Vec<Range<usize>>,
    /// Variables that stand for secrets in it.
    pub(super) variables: Vec<String>,
}

impl Pieces<'_> {
    /// Its bytes.
    pub(super) fn len(&self) -> usize {
        let lens = self.0.iter().map(|(_, bytes)| bytes.len());
        lens.fold(0, usize::saturating_add)
    }

    /// At most so many of its bytes.
    pub(super) fn first(&self, most: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for (_, bytes) in &self.0 {
            let room = most.saturating_sub(out.len());
            out.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
            if out.len() >= most {
                break;
            }
        }
        out
    }

    /// Where a range of its bytes lies.
    pub(super) fn spans(&self, range: &Range<usize>) -> Vec<Span> {
        let mut from = 0_usize;
        let mut spans = Vec::new();
        for (at, bytes) in &self.0 {
            let end = from.saturating_add(bytes.len());
            let (first, last) = (range.start.max(from), range.end.min(end));
            if first < last {
                let place = |n: usize| at.saturating_add(n.saturating_sub(from));
                spans.push(Span {
                    frame: UNPLACED,
                    bytes: place(first)..place(last),
                });
            }
            from = end;
        }
        spans
    }

    /// What of it is secret.
    pub(super) fn secrets(&self, info: &TypeInfo, hide: Hide) -> Secrets {
        let reading = match hide {
            Hide::Nothing => return Secrets::default(),
            Hide::All => {
                return Secrets {
                    all: true,
                    ..Secrets::default()
                };
            }
            Hide::Text(reading) => reading,
        };
        let bytes = self.first(usize::MAX);
        let binary_xml = info.token == t::XML && bytes.starts_with(&[0xdf, 0xff]);
        if info.token == t::VARIANT || binary_xml {
            // How the text in it is stored is not looked at here.
            return Secrets {
                all: sql_secret::may_be_in(&bytes),
                ..Secrets::default()
            };
        }
        let width = if info.is_unicode() {
            Width::Wide
        } else {
            Width::Narrow
        };
        let found = sql_secret::find(&bytes, width, reading);
        Secrets {
            all: false,
            ranges: found.ranges,
            variables: found.variables,
        }
    }
}
