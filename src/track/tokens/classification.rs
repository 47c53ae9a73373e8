//! Passes over DATACLASSIFICATION ([MS-TDS] 2.2.7.5), which has no length: labels, information types, and which of
//! them each column has.

use super::Stop;
use super::metadata::Bytes;

/// Where in the token the walk stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    part: Part,
    /// Elements of this part left; `None` before its count.
    left: Option<u16>,
    /// Columns behind this one.
    columns: u16,
    /// Ranks are sent, from version 2 on.
    ranks: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Labels,
    Types,
    Rank,
    Columns,
    Properties,
}

impl Place {
    /// The token's start, in the version that was agreed at login.
    pub(super) fn start(version: u8) -> Self {
        Self {
            part: Part::Labels,
            left: None,
            columns: 0,
            ranks: version >= 2,
        }
    }

    /// Reads one element; says where the walk stands then (`None` behind the token) and how many bytes it took.
    pub(super) fn step(mut self, view: &[u8]) -> Result<(Option<Self>, usize), Stop> {
        let mut b = Bytes::new(view, 0);
        match (self.part, self.left) {
            (Part::Rank, _) => {
                b.take(if self.ranks { 4 } else { 0 })?;
                self.part = Part::Columns;
            }
            (Part::Columns, _) => {
                self.columns = b.u16()?;
                self.part = Part::Properties;
                self.left = None;
                if self.columns == 0 {
                    return Ok((None, b.position()));
                }
            }
            (_, None) => self.left = Some(b.u16()?),
            (Part::Labels | Part::Types, Some(left)) if left > 0 => {
                b.b_varchar()?;
                b.b_varchar()?;
                self.left = Some(left.saturating_sub(1));
            }
            (Part::Properties, Some(left)) if left > 0 => {
                b.take(if self.ranks { 8 } else { 4 })?;
                self.left = Some(left.saturating_sub(1));
            }
            (_, Some(_)) => {}
        }
        if self.left == Some(0) {
            self.left = None;
            match self.part {
                Part::Labels => self.part = Part::Types,
                Part::Types => self.part = Part::Rank,
                _ => {
                    self.columns = self.columns.saturating_sub(1);
                    if self.columns == 0 {
                        return Ok((None, b.position()));
                    }
                }
            }
        }
        Ok((Some(self), b.position()))
    }
}
