//! What the indexing pass hands over: rows that are new or changed since the batch before.

use super::{
    ConnRow, FileRow, FrameRow, InterfaceRow, PduRow, Problem, RequestRow, SessionRow, View,
    ViolationRow,
};

/// New and changed rows of one stretch of the capture. Frames, PDUs, violations, problems and interfaces are
/// appended; connections, sessions, requests and files replace the row with their number or come next.
#[derive(Debug, Default)]
pub struct Batch {
    /// New frames, in file order.
    pub frames: Vec<FrameRow>,
    /// New PDUs, in order of completion.
    pub pdus: Vec<PduRow>,
    /// New and changed connections, by number.
    pub conns: Vec<ConnRow>,
    /// New and changed sessions, by number.
    pub sessions: Vec<SessionRow>,
    /// New and changed requests, by number.
    pub requests: Vec<RequestRow>,
    /// New results of the SMP checks.
    pub violations: Vec<ViolationRow>,
    /// New problems of the file.
    pub problems: Vec<Problem>,
    /// New interfaces.
    pub interfaces: Vec<InterfaceRow>,
    /// New and changed files.
    pub files: Vec<FileRow>,
    /// Which end the capture was taken on, once there is evidence.
    pub view: Option<(View, Vec<String>)>,
    /// How far the pass has come with this batch.
    pub progress: Progress,
}

/// How far the indexing pass has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the capture read so far.
    pub bytes_done: u64,
    /// Bytes there are, as far as is known.
    pub bytes_total: u64,
    /// All that has arrived so far is read, and more may come: a growing file, or standard input.
    pub caught_up: bool,
    /// The pass has reached the end (or gave up, see `stopped`).
    pub complete: bool,
    /// Why the pass ended before the end of the capture, if it did.
    pub stopped: Option<String>,
}
