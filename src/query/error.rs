//! Why a filter cannot be used, and where in its text.

use std::fmt;

/// A mistake in a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// Characters in front of the mistake; 0 is the first.
    pub column: usize,
    /// Characters that it is made of; at the end of the text 0.
    pub length: usize,
    /// What is wrong, without the hint.
    pub message: String,
    /// The known name that may have been meant.
    pub nearest: Option<String>,
}

impl ParseError {
    pub(super) fn new(column: usize, length: usize, message: impl Into<String>) -> Self {
        Self {
            column,
            length,
            message: message.into(),
            nearest: None,
        }
    }

    pub(super) fn nearest(mut self, name: Option<&str>) -> Self {
        self.nearest = name.map(str::to_owned);
        self
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(name) = &self.nearest {
            write!(f, "; nearest: {name}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ParseError {}
