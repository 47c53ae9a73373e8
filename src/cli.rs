//! The command line: arguments and subcommands, and what each of them starts.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::exit::Exit;

/// Runs the program with the given arguments and returns its exit code.
pub fn run(_args: impl IntoIterator<Item = OsString>) -> ExitCode {
    Exit::Usage.into()
}
