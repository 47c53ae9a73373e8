//! The page as it is written, in Markdown or in plain text.

use std::io::{self, Write};

use crate::export::error::ExportError;
use crate::report::markdown::{code, escape};
use crate::report::words::safe;

/// A page in Markdown or in plain text.
pub(super) struct Page<'a> {
    pub(super) out: &'a mut dyn Write,
    pub(super) markdown: bool,
}

impl Page<'_> {
    pub(super) fn heading(&mut self, text: &str) -> io::Result<()> {
        if self.markdown {
            writeln!(self.out, "\n## {text}\n")
        } else {
            writeln!(self.out, "\n{text}\n{}", "-".repeat(text.chars().count()))
        }
    }

    pub(super) fn text(&self, text: &str) -> String {
        if self.markdown {
            escape(text)
        } else {
            safe(text).into_owned()
        }
    }

    pub(super) fn item(&mut self, text: &str) -> io::Result<()> {
        let text = self.text(text);
        writeln!(self.out, "- {text}")
    }

    pub(super) fn code_item(&mut self, before: &str, text: &str) -> io::Result<()> {
        if self.markdown {
            writeln!(self.out, "- {before}: {}", code(text))
        } else {
            writeln!(self.out, "- {before}: {}", safe(text))
        }
    }

    pub(super) fn block(
        &mut self,
        write: impl FnOnce(&mut dyn Write) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        if self.markdown {
            writeln!(self.out, "```text")?;
        }
        write(self.out)?;
        if self.markdown {
            writeln!(self.out, "```")?;
        }
        Ok(())
    }
}
