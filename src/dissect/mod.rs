//! One frame as a tree of named fields, read again from the file with what the store knows about it.

pub mod grid;
pub mod render;

use crate::decode::field::Field;
use crate::decode::tds::message::Grid;
use crate::units::FrameNo;

/// A frame, decoded.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameTree {
    /// The frame.
    pub frame: FrameNo,
    /// Its layers, outermost first.
    pub fields: Vec<Field>,
    /// Requests in it as T-SQL.
    pub sql: Vec<String>,
    /// Results in it as grids.
    pub grids: Vec<Grid>,
}
