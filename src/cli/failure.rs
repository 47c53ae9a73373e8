//! A command that could not do its work: the exit code, and the sentence for the user.

use crate::capture::OpenError;
use crate::exit::Exit;
use crate::export::ExportError;

/// Why a command failed.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What, where, why, what next.
    pub text: String,
}

impl Failure {
    /// A failure with its sentence.
    pub fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self {
            exit,
            text: text.into(),
        }
    }

    /// Wrong usage.
    pub fn usage(text: impl Into<String>) -> Self {
        Self::new(Exit::Usage, text)
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let exit = match error {
            OpenError::Nothing | OpenError::Terminal => Exit::Usage,
            _ => Exit::CannotRead,
        };
        Self::new(exit, format!("marstui: {error}"))
    }
}

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        let exit = match error {
            ExportError::Refused(_) => Exit::Usage,
            ExportError::Read(_) => Exit::CannotRead,
            ExportError::Stopped => Exit::Interrupted,
            ExportError::Exists(_)
            | ExportError::IsTheCapture(_)
            | ExportError::IsFolder(_)
            | ExportError::Write { .. } => Exit::CannotWrite,
        };
        Self::new(exit, format!("marstui {error}"))
    }
}
