//! Standard output and standard error: a reader that stops reading is no failure.

use std::io::{self, BufWriter, Write};

use super::failure::Failure;
use crate::exit::Exit;
use crate::report::words;

/// Lets `write` fill standard output. A closed pipe ends the output and is fine.
pub fn to_stdout(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            // What the buffer still holds has no reader.
            let _ = out.into_parts();
            Ok(())
        }
        Err(error) => Err(Failure::new(
            Exit::CannotWrite,
            format!("marstui: standard output: {error}; the output is not complete"),
        )),
        Ok(()) => Ok(()),
    }
}

/// Says something on standard error; when that is closed there is nobody to tell. Names of files and texts of captures
/// may be in it: nothing that a terminal would act on gets through.
pub fn say(text: &str) {
    for line in text.split('\n') {
        let _ = writeln!(io::stderr(), "{}", words::safe(line));
    }
}
