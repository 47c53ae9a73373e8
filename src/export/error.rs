//! Why an export did not happen: what, where, why, and what to do next.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::plan::human_bytes;

/// Why an export wrote nothing.
#[derive(Debug)]
pub enum ExportError {
    /// The plan has problems, or the format cannot hold what was chosen.
    Refused(String),
    /// The target exists and may not be replaced.
    Exists(PathBuf),
    /// The target is one of the captures that are open.
    IsTheCapture(PathBuf),
    /// The target is a folder.
    IsFolder(PathBuf),
    /// Writing failed.
    Write {
        /// Where; `None` for standard output.
        path: Option<PathBuf>,
        /// Why.
        error: io::Error,
        /// Bytes that should have been written; 0 where they are not known before.
        needs: u64,
        /// It went to a pipe or a device, which has what came until then.
        begun: bool,
    },
    /// The capture could not be read again.
    Read(io::Error),
    /// The user stopped it.
    Stopped,
}

impl ExportError {
    /// A reader that closed its end of the pipe: no failure of ours.
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Write { path: None, error, .. } if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The same failure of something whose length is not known before it is written.
    pub(super) fn of_unknown_length(mut self) -> Self {
        if let Self::Write { needs, .. } = &mut self {
            *needs = 0;
        }
        self
    }
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => write!(f, "export: {why}; nothing written"),
            Self::Exists(path) => write!(
                f,
                "export: {}: the file exists; choose another name, or replace it with --force; nothing written",
                path.display()
            ),
            Self::IsTheCapture(path) => write!(
                f,
                "export: {}: this is the capture that is being read; choose another name; nothing written",
                path.display()
            ),
            Self::IsFolder(path) => write!(
                f,
                "export: {}: this is a folder; add a file name; nothing written",
                path.display()
            ),
            Self::Write {
                path,
                error,
                needs,
                begun,
            } => {
                let place = path
                    .as_ref()
                    .map_or_else(|| "standard output".to_owned(), |p| p.display().to_string());
                let why = match error.kind() {
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                        let needed = match needs {
                            0 => String::new(),
                            bytes => format!(" (needs {})", human_bytes(*bytes)),
                        };
                        format!("no space left{needed}; choose another place")
                    }
                    io::ErrorKind::PermissionDenied => {
                        "no permission to write there; choose another folder".to_owned()
                    }
                    io::ErrorKind::ReadOnlyFilesystem => {
                        "the file system is read-only; choose another folder".to_owned()
                    }
                    io::ErrorKind::NotFound => "there is no such folder; make it first".to_owned(),
                    io::ErrorKind::NotADirectory => {
                        "what stands before the last / is no folder; choose another place"
                            .to_owned()
                    }
                    io::ErrorKind::InvalidFilename => {
                        "the name cannot be used here; choose a shorter one".to_owned()
                    }
                    io::ErrorKind::BrokenPipe => "nobody reads it any more".to_owned(),
                    _ => error.to_string(),
                };
                let left = if *begun {
                    "what was written is not complete"
                } else {
                    "nothing written"
                };
                write!(f, "export: {place}: {why}; {left}")
            }
            Self::Read(error) => write!(
                f,
                "export: the capture could not be read again: {error}; open it anew; nothing written"
            ),
            Self::Stopped => f.write_str("export: stopped; nothing written"),
        }
    }
}

impl std::error::Error for ExportError {}
