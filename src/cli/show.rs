//! `marstui show`: one frame with all its fields.

use super::args::{ListFormat, ShowArgs};
use super::failure::Failure;
use super::opened::Opened;
use super::output;
use crate::dissect::{self, Dissector, render};
use crate::exit::Exit;
use crate::report::write_json_line;
use crate::units::FrameNo;

/// Prints a frame's fields as a tree.
pub fn run(args: &ShowArgs) -> Result<Exit, Failure> {
    let opened = Opened::files(&args.files, &args.rules)?;
    let options = dissect::Options {
        message: args.message,
        ..dissect::Options::default()
    };
    let mut dissector = Dissector::new();
    let tree = dissector.frame(
        &opened.store,
        &opened.capture,
        FrameNo(args.frame),
        &options,
    );
    let Some(tree) = tree else {
        opened.say_damage();
        let there = match opened.store.frame_count() {
            0 => "this capture holds no frames".to_owned(),
            last => format!("this capture has frames 1 to {last}"),
        };
        return Err(Failure::usage(format!(
            "marstui show: there is no frame {}; {there}",
            args.frame
        )));
    };
    output::to_stdout(|out| match args.format {
        ListFormat::Text => out.write_all(render::text(&tree).as_bytes()),
        ListFormat::Json => write_json_line(&render::json(&tree), out),
    })?;
    opened.say_damage();
    Ok(opened.exit())
}
