//! The program's entry: hands the arguments to the library and returns its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    marstui::run(std::env::args_os())
}
