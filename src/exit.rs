//! Exit codes as a type, so that every way out of the program has a name.

use std::process::ExitCode;

/// How the program ended, as the shell sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All done (0).
    Fine,
    /// `report --fail-on` found what it was asked to look for (1).
    Findings,
    /// The command line was wrong (2).
    Usage,
    /// A capture could not be read (3).
    CannotRead,
    /// A result could not be written (4).
    CannotWrite,
    /// The user stopped the work (130).
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Fine => 0,
            Exit::Findings => 1,
            Exit::Usage => 2,
            Exit::CannotRead => 3,
            Exit::CannotWrite => 4,
            Exit::Interrupted => 130,
        })
    }
}
