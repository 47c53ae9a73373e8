//! `marstui show`: one frame with all its fields.

use super::args::ShowArgs;
use super::failure::Failure;
use super::opened::Opened;
use super::output;
use crate::exit::Exit;

/// Prints a frame's fields as a tree.
pub fn run(args: &ShowArgs) -> Result<Exit, Failure> {
    let opened = Opened::files(&args.files, &args.rules)?;
    output::to_stdout(|out| writeln!(out, "{}", args.frame))?;
    let _ = opened;
    Ok(Exit::Fine)
}
