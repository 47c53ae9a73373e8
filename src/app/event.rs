//! What comes in and what goes out: events for [`super::update`], effects for the loop.

use super::command::Command;
use super::export_form::Foreseen;
use super::key::Key;
use super::mouse::Mouse;
use super::tree::Tree;
use crate::export::{ExportError, List, Written};
use crate::query::find::Needle;
use crate::query::user_rules::Applied;
use crate::store::Batch;
use crate::units::{FrameNo, PduId};

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// A key.
    Key(Key),
    /// The mouse.
    Mouse(Mouse),
    /// Text pasted by the terminal.
    Paste(String),
    /// The terminal has a new size: columns and rows.
    Resize(u16, u16),
    /// Rows of the index.
    Batch(Box<Batch>),
    /// The indexing pass has ended, with the reason if it was not the end of the capture.
    Indexed(Option<String>),
    /// Time for a slice of the work that the state itself does.
    Work,
    /// A search has come on.
    Found {
        /// The search.
        job: u64,
        /// New hits, in file order.
        frames: Vec<FrameNo>,
        /// Frames asked so far.
        asked: u64,
        /// All frames indexed so far were asked.
        done: bool,
    },
    /// Frames were decoded.
    Looked(Looked),
    /// An export has ended: what was written, or why nothing was.
    Exported(Result<Written, ExportError>),
    /// An export has written so many frames.
    Exporting(u64),
    /// The text of an export that is to be copied, or why there is none.
    ExportText(Result<String, String>),
    /// What the export that the form describes would come to, asked with this number.
    Foreseen(u64, Foreseen),
    /// The user's own rules were applied, as the order with this number.
    RulesApplied(u64, Box<Applied>),
    /// A list was written to the file, so many bytes, or why not.
    ListWritten(String, Result<u64, ExportError>),
    /// A command whose frame is decoded now, after [`Effect::Decode`].
    Run(Command, Option<u32>),
    /// Something to tell the user.
    Message(Result<String, String>),
    /// A setting was kept, and where, or why it was not; the answer to [`Effect::Keep`].
    Kept(Result<String, String>),
    /// The program was suspended and is back.
    Resumed,
    /// Numbers of the loop.
    Stats(super::Stats),
}

/// Something to do outside.
#[derive(Debug)]
pub enum Effect {
    /// End the program.
    Quit,
    /// Give the terminal back until the shell resumes the program.
    Suspend,
    /// Draw everything anew.
    Clear,
    /// Decode what the screen wants, then hand the command with its number back as [`Event::Run`]: it acts on the
    /// frame of the cursor, and keys came faster than the screen was drawn.
    Decode(Command, Option<u32>),
    /// Put text on the terminal's clipboard.
    Copy(String),
    /// Write an export.
    Export(Box<super::export_form::Order>),
    /// Make the text of an export, to be copied; the answer is [`Event::ExportText`].
    ExportText(Box<super::export_form::Order>),
    /// Say what an export would come to; the answer is [`Event::Foreseen`] with this number.
    Foresee(u64, Box<super::export_form::Order>),
    /// Stop the export.
    StopExport,
    /// Write a list of the screen to a file; one that exists only when it may be replaced.
    WriteList {
        /// The list.
        list: Box<List>,
        /// The file.
        path: String,
        /// It may be replaced.
        replace: bool,
    },
    /// Put a value into the config file.
    Keep {
        /// Section.
        section: &'static str,
        /// Key.
        key: String,
        /// Value as TOML.
        value: String,
    },
    /// Search frames; hits come back as [`Event::Found`].
    Search(Box<Search>),
    /// Stop the search with this number, if it runs.
    StopSearch(u64),
    /// Use the mouse, or leave it to the terminal.
    Mouse(bool),
    /// Stop the indexing pass.
    StopIndexing,
    /// Move the times of a file, by its position, by so many nanoseconds, and index the capture anew.
    Shift(usize, i64),
    /// Read the capture anew, and read on while its last file grows.
    FollowFile,
    /// Apply the user's own rules; what comes of it is [`Event::RulesApplied`] with this number. An earlier order
    /// that is not done yet is stopped.
    ApplyRules(u64),
}

/// Frames to decode.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Frames whose line is missing.
    pub lines: Vec<FrameNo>,
    /// Packets of an opened row whose line is missing.
    pub packets: Vec<PduId>,
    /// The frame whose tree is missing.
    pub tree: Option<FrameNo>,
}

impl Wanted {
    /// Whether nothing is missing.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.packets.is_empty() && self.tree.is_none()
    }
}

/// Frames that were decoded.
#[derive(Debug, Default)]
pub struct Looked {
    /// Frames and what they say in a line.
    pub lines: Vec<(FrameNo, String)>,
    /// Packets and what they say in a line.
    pub packets: Vec<(PduId, String)>,
    /// The frame of the cursor.
    pub tree: Option<Tree>,
}

/// A search over the frames.
#[derive(Debug)]
pub struct Search {
    /// Its number.
    pub job: u64,
    /// What is looked for.
    pub needle: Needle,
}
