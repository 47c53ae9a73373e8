//! The command line: arguments and subcommands, and what each of them starts.

mod args;
mod export;
mod failure;
mod list;
mod man;
mod opened;
mod output;
mod report;
mod rules;
mod show;
mod wishes;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::exit::Exit;
use crate::{settings, term};
use args::{Args, Command};
use failure::Failure;
use wishes::Wishes;

/// Runs the program with the given arguments and returns its exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let mut parsed = Args::try_parse_from(&arguments);
    if parsed
        .as_ref()
        .map_or_else(clap::Error::use_stderr, |args| args.command.is_none())
        && let Some(reordered) = with_command_first(&arguments)
    {
        parsed = Args::try_parse_from(reordered);
    }
    let args = match parsed {
        Ok(args) => args,
        Err(error) => return say_clap(&error).into(),
    };
    let meant = command_meant(&args);
    match dispatch(args) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            let hint = meant.map_or_else(String::new, |name| format!("; nearest command: {name}"));
            output::say(&format!("{}{hint}", failure.text));
            failure.exit.into()
        }
    }
}

/// The subcommand that was meant where the first file is none, and its name looks like that of one.
fn command_meant(args: &Args) -> Option<String> {
    let first = args.files.first().filter(|_| args.command.is_none())?;
    let name = first.to_str().filter(|_| !first.exists())?;
    let known = Args::command();
    let names = known.get_subcommands().map(clap::Command::get_name);
    settings::nearest(name, names).map(str::to_owned)
}

/// Options may stand before the subcommand, whose name is then taken for a file: the same arguments with the
/// subcommand first. `None` where none stands behind an option, or there is a file of its name.
fn with_command_first(arguments: &[OsString]) -> Option<Vec<OsString>> {
    let (program, rest) = arguments.split_first()?;
    rest.first()?
        .to_str()
        .filter(|first| first.starts_with("--") && first.len() > 2)?;
    let known = Args::command();
    let is_command = |a: &&OsString| {
        known
            .get_subcommands()
            .any(|c| a.as_os_str() == c.get_name())
    };
    let named = rest.iter().take_while(|a| *a != "--").find(is_command)?;
    if Path::new(named).exists() {
        return None;
    }
    let at = rest.iter().position(|a| a == named)?;
    let (options, command) = rest.split_at_checked(at)?;
    let end = command
        .iter()
        .position(|a| a == "--")
        .unwrap_or(command.len());
    let (command, files) = command.split_at_checked(end)?;
    Some([std::slice::from_ref(program), command, options, files].concat())
}

fn dispatch(args: Args) -> Result<Exit, Failure> {
    if args.man {
        return print_man();
    }
    if let Some(shell) = args.completions {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut Args::command(), "marstui", &mut text);
        return print(&text);
    }
    if args.print_config {
        return print(settings::print_config().as_bytes());
    }
    match args.command {
        Some(Command::Report(args)) => report::run(&args),
        Some(Command::Export(args)) => export::run(&args),
        Some(Command::Show(args)) => show::run(&args),
        Some(Command::List(args)) => list::run(&args),
        Some(Command::Rules(args)) => rules::run(&args),
        None if args.files.is_empty() && !args.demo => Ok(usage()),
        None if std::io::stdout().is_terminal() => screen(&args),
        None => list::plain(&args),
    }
}

/// Help and versions go to standard output and are no failure; everything else is wrong usage.
fn say_clap(error: &clap::Error) -> Exit {
    let _ = error.print();
    if error.use_stderr() {
        Exit::Usage
    } else {
        Exit::Fine
    }
}

/// Nothing was asked for: how to ask.
fn usage() -> Exit {
    output::say(&format!(
        "Usage: marstui [OPTIONS] FILE...\n       marstui report|export|list|show|rules ...\n\n{}\n\n\
         marstui --help lists everything; marstui --demo opens a built-in capture.",
        args::EXAMPLES
    ));
    Exit::Usage
}

fn print_man() -> Result<Exit, Failure> {
    let mut page = Vec::new();
    man::write(&mut page).map_err(|error| Failure::new(Exit::CannotWrite, error.to_string()))?;
    print(&page)
}

fn print(text: &[u8]) -> Result<Exit, Failure> {
    output::to_stdout(|out| out.write_all(text))?;
    Ok(Exit::Fine)
}

fn screen(args: &Args) -> Result<Exit, Failure> {
    let mut wishes = Wishes::read(&args.rules)?;
    args.screen.apply(&mut wishes.settings)?;
    let (files, demo, follow) = (args.files.clone(), args.demo, args.follow);
    let options = term::Options {
        plain: args.screen.plain,
        print_marks: args.screen.print_marks,
        own_rules: wishes.own,
        problems: wishes.problems,
        waiting_for: waiting_for(&files),
        ..term::Options::default()
    };
    let open = move || opened::open(&files, demo, follow);
    term::run(open, &wishes.settings, wishes.rules, &options)
}

/// What the screen waits for until the capture is open.
fn waiting_for(files: &[PathBuf]) -> String {
    match files.iter().find(|file| file.as_os_str() == "-") {
        Some(_) => "a capture on standard input".to_owned(),
        None => "the capture to be opened".to_owned(),
    }
}
