//! All state of the screen and every change to it; no type of a terminal library is known here.
//!
//! [`update`] is the only way in: it takes an [`Event`], changes the [`App`] and returns [`Effect`]s, which the
//! loop carries out. Everything slow (files, decoding, searching) is done by the loop and comes back as an event.

mod asking;
mod card;
pub mod clock;
pub mod columns;
pub mod command;
pub mod copy;
mod event;
pub mod export_form;
mod exporting;
pub mod facts;
pub mod gutter;
pub mod help;
pub mod hexing;
pub mod history;
mod judging;
mod kept;
pub mod key;
pub mod keymap;
#[cfg(test)]
mod keystrokes;
pub mod layout;
mod listing;
mod looking;
mod marking;
pub mod mouse;
mod moves;
mod news;
pub mod ordering;
pub mod page;
pub mod prompt;
pub mod rows;
mod running;
mod searching;
pub mod settings;
mod shifting;
mod subject;
pub mod summary;
pub mod tables;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod timeline;
pub mod tree;
mod update;
mod viewing;
mod walking;

use std::collections::HashMap;
use std::sync::Arc;

pub use event::{Effect, Event, Looked, Search, Wanted};
pub use export_form::ExportForm;
pub use help::Help;
pub use kept::Kept;
pub use searching::Searching;
pub use summary::{gravest, summary};
pub use update::update;

use crate::export::FrameSet;
use crate::query::user_rules::UserRule;
use crate::rules::{self, Judge};
use crate::store::{Finding, Store};
use crate::units::{ConnId, FrameNo, Nanos, PduId, SessionId, Sid};
use facts::Facts;
use history::{Jumps, UndoStack, Undoable};
use key::Key;
use keymap::Keymap;
use layout::Pane;
use page::Page;
use prompt::Prompt;
use rows::Rows;
use settings::Settings;
use tables::Table;
use timeline::{Density, Timeline};
use tree::{Tree, TreeView};

/// How a message is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// For information.
    Info,
    /// Something did not work.
    Error,
}

/// What lies over the panes.
#[derive(Debug, Clone)]
pub enum Layer {
    /// One of the full-width lists.
    Table(Table),
    /// The keys.
    Help(Help),
    /// The export form.
    Export(Box<ExportForm>),
    /// A page of text: explanations, messages, numbers.
    Text(Page),
}

/// The frame list.
#[derive(Debug, Clone)]
pub struct List {
    /// Which frames it shows.
    pub rows: Rows,
    /// The frame under the cursor.
    pub cursor: FrameNo,
    /// The SMP packet within it when its row is open; 0 is the row itself.
    pub sub: usize,
    /// The first row on screen.
    pub top: usize,
    /// The frame whose packets are shown as rows of their own.
    pub opened: Option<FrameNo>,
}

/// What is running beside the screen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Jobs {
    /// The capture is not open yet: nothing of it has arrived.
    pub opening: bool,
    /// The capture is being indexed.
    pub indexing: bool,
    /// The rules have been run over the complete index.
    pub judged: bool,
    /// The filter's search.
    pub filter: Searching,
    /// The find's search.
    pub find: Searching,
    /// The count of hits of what is being typed.
    pub preview: Searching,
    /// An export is being written; so many frames are done.
    pub exporting: Option<u64>,
}

/// What the loop counts, for `:stats`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes written to the terminal.
    pub bytes: u64,
    /// Draws.
    pub draws: u64,
    /// Keys taken.
    pub keys: u64,
    /// Bytes of the capture read in a second, while it is indexed; 0 where that is not known.
    pub rate: u64,
}

/// A list that was left for one of its frames; `(` opens it again.
#[derive(Debug, Clone)]
struct CameFrom {
    table: Table,
    /// Jumps that could be gone back then; with more or less of them, the user has gone elsewhere.
    depth: usize,
    /// Leaving the list was a jump from another frame.
    jumped: bool,
}

/// What the columns of the list must hold. While the capture is read, it stays what it was when the user did
/// something last: columns that grow write the list anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// The frame with the greatest number.
    pub last: Option<FrameNo>,
    /// Connections.
    pub conns: usize,
    /// The greatest Sid.
    pub sid: Option<Sid>,
}

/// All state of the screen.
#[derive(Debug)]
pub struct App {
    /// The index.
    pub store: Arc<Store>,
    /// The capture's name for the title.
    pub name: String,
    /// Terminal size.
    pub size: (u16, u16),
    /// What the user set.
    pub settings: Settings,
    /// Keys.
    pub keymap: Keymap,
    /// The focused pane.
    pub focus: Pane,
    /// The pane that fills the screen.
    pub zoomed: Option<Pane>,
    /// The bytes pane, where the user decided: shown with all its lines, or hidden.
    pub bytes: Option<bool>,
    /// First line of the bytes pane.
    pub bytes_top: usize,
    /// The byte under the cursor of the bytes pane, where it was moved.
    pub byte_chosen: Option<usize>,
    /// Rows that the user added to list and timeline.
    pub extra: (i16, i16),
    /// The list.
    pub list: List,
    /// The decode pane.
    pub tree: TreeView,
    /// The timeline.
    pub timeline: Timeline,
    /// Frames per stretch of time.
    pub density: Density,
    /// What lies over the panes, the top one last.
    pub layers: Vec<Layer>,
    /// The input line.
    pub prompt: Option<Prompt>,
    /// Earlier inputs per prompt.
    pub inputs: prompt::Inputs,
    /// The first keys of a sequence.
    pub pending: Vec<Key>,
    /// The number before a command.
    pub count: Option<u32>,
    /// Marked frames.
    pub marks: FrameSet,
    /// The last frame that was marked, where `M` starts.
    pub last_mark: Option<FrameNo>,
    /// Where the range began.
    pub range: Option<FrameNo>,
    /// Frames left out of the lanes.
    pub ignored: FrameSet,
    /// The filter's text; empty for none.
    pub filter: String,
    /// What find looks for; empty for nothing.
    pub find: String,
    /// The frame that times count from.
    pub time_ref: Option<FrameNo>,
    /// Undo.
    pub undo: UndoStack,
    /// Jump history.
    pub jumps: Jumps,
    /// The message line.
    pub message: Option<(Tone, String)>,
    /// What was said, and what waits to be said.
    pub news: news::News,
    /// Jobs.
    pub jobs: Jobs,
    /// The user has done something: the summary is not said any more.
    pub moved: bool,
    /// The user has gone to a finding: the next one is the one that follows, no longer the gravest.
    at_findings: bool,
    /// The capture is followed and the cursor stands on the last row: it goes with the end.
    at_end: bool,
    /// What the loop counts.
    pub stats: Stats,
    /// Settings of the rules.
    pub rules: rules::Settings,
    /// The paths of the open files, in the order of the capture.
    pub files_open: Vec<String>,
    /// A file's times were moved: frame numbers are not those of the next run.
    pub shifted: bool,
    /// The list that the frames were come to from.
    came_from: Option<CameFrom>,
    /// What the columns of the list must hold.
    pub totals: Totals,
    carried: Option<shifting::Carried>,
    lanes_made: timeline::Memo,
    lines: HashMap<FrameNo, String>,
    packets: HashMap<PduId, String>,
    decoded: Option<Tree>,
    /// Where the cursor was when the filter was set, until it is known which shown frame is nearest.
    home: Option<FrameNo>,
    /// The rows are those of the filter before: the new one has not answered yet.
    rows_old: bool,
    find_hits: Vec<FrameNo>,
    /// Where a find started that still waits for its hit, and whether it goes forward.
    find_wait: Option<(FrameNo, bool)>,
    last_conn: Option<ConnId>,
    /// So many problems of the files were told.
    problems_told: usize,
    /// The greatest Sid of the sessions so far, and how many these are.
    greatest_sid: (Option<Sid>, usize),
    /// The file that a list was not written to because it exists.
    list_refused: Option<String>,
    /// What was kept of the capture, until its frames are there.
    pub to_restore: Option<Kept>,
    last_job: u64,
    judge: Option<Judge>,
    /// The user's own rules, applied when the built-in ones are done.
    pub own_rules: Vec<UserRule>,
    /// The order to apply them whose findings count.
    own_job: u64,
    /// Their findings, until the store can take them in.
    own_found: Vec<Finding>,
}

impl App {
    /// The state at the start, before the first batch.
    pub fn new(name: impl Into<String>, size: (u16, u16), settings: Settings) -> Self {
        Self {
            store: Arc::new(Store::new()),
            name: name.into(),
            size,
            settings,
            keymap: Keymap::standard(),
            focus: Pane::List,
            zoomed: None,
            bytes: None,
            bytes_top: 0,
            byte_chosen: None,
            extra: (0, 0),
            list: List {
                rows: Rows::all(),
                cursor: FrameNo(1),
                sub: 0,
                top: 0,
                opened: None,
            },
            tree: TreeView::default(),
            timeline: Timeline::default(),
            density: Density::default(),
            layers: Vec::new(),
            prompt: None,
            inputs: prompt::Inputs::default(),
            pending: Vec::new(),
            count: None,
            marks: FrameSet::default(),
            last_mark: None,
            range: None,
            ignored: FrameSet::default(),
            filter: String::new(),
            find: String::new(),
            time_ref: None,
            undo: UndoStack::default(),
            jumps: Jumps::default(),
            message: None,
            news: news::News::default(),
            jobs: Jobs {
                indexing: true,
                ..Jobs::default()
            },
            moved: false,
            at_findings: false,
            at_end: false,
            stats: Stats::default(),
            rules: rules::Settings::default(),
            files_open: Vec::new(),
            shifted: false,
            came_from: None,
            totals: Totals::default(),
            carried: None,
            lanes_made: timeline::Memo::default(),
            lines: HashMap::new(),
            packets: HashMap::new(),
            decoded: None,
            home: None,
            rows_old: false,
            find_hits: Vec::new(),
            find_wait: None,
            last_conn: None,
            problems_told: 0,
            greatest_sid: (None, 0),
            list_refused: None,
            to_restore: None,
            last_job: 0,
            judge: None,
            own_rules: Vec::new(),
            own_job: 0,
            own_found: Vec::new(),
        }
    }

    /// The path of the first file, as given; the capture's name where there is none.
    pub fn first_path(&self) -> &str {
        self.files_open.first().unwrap_or(&self.name)
    }

    /// The connection of the cursor.
    pub fn conn(&self) -> Option<ConnId> {
        self.store.frame(self.list.cursor)?.conn
    }

    /// The connection whose lanes are shown: that of the cursor, else the last one that the cursor was on.
    pub fn lane_conn(&self) -> Option<ConnId> {
        self.conn().or(self.last_conn)
    }

    /// The session of the cursor.
    pub fn session(&self) -> Option<SessionId> {
        self.cursor_facts()?.session
    }

    /// The facts of the row under the cursor.
    pub fn cursor_facts(&self) -> Option<Facts> {
        if self.list.sub > 0 {
            return facts::pdu_facts(
                &self.store,
                self.list.cursor,
                self.list.sub.saturating_sub(1),
            );
        }
        facts::facts(&self.store, self.list.cursor)
    }

    /// The time that the Time column counts from.
    pub fn time_base(&self) -> Nanos {
        let reference = self.time_ref.and_then(|no| self.store.time_of(no));
        reference
            .or_else(|| self.store.start_time())
            .unwrap_or(Nanos(0))
    }

    /// Decimals that show the capture's times completely.
    pub fn decimals(&self) -> usize {
        self.store
            .interfaces()
            .iter()
            .take(64)
            .map(|i| clock::decimals(i.ticks_per_second))
            .max()
            .unwrap_or(6)
    }

    /// Whether the capture is still being read; what grows at its end while it is followed counts as read.
    pub fn is_being_read(&self) -> bool {
        self.jobs.indexing && !self.store.progress().caught_up
    }

    /// Whether the state itself has work to do between events.
    pub fn has_work(&self) -> bool {
        // What the rules find waits while a job holds the store.
        let free = Arc::strong_count(&self.store) == 1;
        free && (self.judge.is_some() || !self.own_found.is_empty())
    }

    /// Whether the panes beside the list may be drawn later than the list: nothing that the user does there waits.
    pub fn can_lag(&self) -> bool {
        self.layers.is_empty() && self.prompt.is_none() && self.focus == Pane::List
    }

    /// What undo would bring back.
    fn undoable(&self) -> Undoable {
        Undoable {
            marks: self.marks.clone(),
            ignored: self.ignored.clone(),
            filter: self.filter.clone(),
            time_ref: self.time_ref,
        }
    }

    /// The range being chosen, from the smaller to the greater frame.
    pub fn chosen_range(&self) -> Option<(FrameNo, FrameNo)> {
        let start = self.range?;
        Some((start.min(self.list.cursor), start.max(self.list.cursor)))
    }
}
