//! `marstui export`.

use super::args::{ContextArgs, ExportArgs, ExportFormat, WhatArgs};
use super::failure::Failure;
use super::opened::{Bar, Opened};
use super::output;
use crate::exit::Exit;
use crate::export::{
    Choice, Context, Format, FrameSet, Job, Options, Plan, Redaction, Target, What, parse_frames,
};
use crate::store::Store;
use crate::units::runs::in_words;
use crate::units::{ConnId, FindingId, Sid};

/// Works out what to take, and writes it.
pub fn run(args: &ExportArgs) -> Result<Exit, Failure> {
    let context = context(&args.context)?;
    let (format, target) = format_and_target(args)?;
    let opened = if needs_analysis(args, format, context) {
        Opened::files(&args.files, &args.rules)?
    } else {
        Opened::frames_only(&args.files, &args.rules)?
    };
    if let Some(target) = &target
        && !args.plan
    {
        // Before the work, not after it.
        target.check(&|path| opened.capture.is_input(path), args.force)?;
    }
    let store = &opened.store;
    let choice = Choice {
        what: what(&opened, &args.what)?,
        context,
        ignored: match &args.ignore {
            Some(text) => parse_frames(text, store)
                .map_err(|e| Failure::usage(format!("marstui export: --ignore: {e}")))?,
            None => FrameSet::new(),
        },
    };
    let plan = Plan::new(store, &choice);
    let options = Options {
        format,
        comments: !args.no_comments,
        force: args.force,
        fields: args.fields.clone(),
        marks: FrameSet::new(),
        keys: args.with_keys,
        redact: args.redact.then_some(Redaction {
            ports: args.redact_ports,
        }),
    };
    let bar = Bar::frames(plan.frames.len());
    let job = Job {
        store,
        capture: &opened.capture,
        plan: &plan,
        options: &options,
        rules: &opened.wishes.rules,
        stop: opened.stop(),
        progress: &|done| bar.set(done),
    };
    if args.plan {
        return say_plan(&job);
    }
    let target = target.unwrap_or(Target::Stdout);
    let ending = opened.end_on_signals()?;
    let result = job.save(&target);
    bar.clear();
    ending.end_if_told();
    match result {
        Err(error) if error.is_closed_pipe() => Ok(Exit::Fine),
        Err(error) => Err(error.into()),
        Ok(written) => {
            opened.say_damage();
            for remark in job.remarks() {
                output::say(&format!("marstui export: {remark}"));
            }
            if target != Target::Stdout {
                output::say(&format!("marstui export: {written}"));
            }
            Ok(opened.exit())
        }
    }
}

/// Whether more has to be known than where the frames stand: what belongs together, or what is found.
fn needs_analysis(args: &ExportArgs, format: Format, context: Context) -> bool {
    let by_number = args.what.filter.is_none()
        && args.what.finding.is_none()
        && args.what.sid.is_none()
        && args.what.conn.is_none();
    let alone = !context.opening && context.last_frames == 0;
    let comments = format == Format::Pcapng && !args.no_comments;
    args.plan || args.redact || comments || !format.is_capture() || !by_number || !alone
}

fn say_plan(job: &Job<'_>) -> Result<Exit, Failure> {
    let problems = job.problems();
    output::to_stdout(|out| {
        writeln!(out, "{}: {}", job.plan.title, job.summary())?;
        if !job.plan.frames.is_empty() {
            writeln!(out, "frames {}", job.plan.frames)?;
        }
        for remark in job.remarks() {
            writeln!(out, "note: {remark}")?;
        }
        for problem in &problems {
            writeln!(out, "problem: {problem}")?;
        }
        Ok(())
    })?;
    Ok(if problems.is_empty() {
        Exit::Fine
    } else {
        Exit::Usage
    })
}

/// The format that is asked for, or that the file's name says; and where to.
fn format_and_target(args: &ExportArgs) -> Result<(Format, Option<Target>), Failure> {
    let target = args.output.as_deref().map(Target::from_arg);
    let named = args.format.map(format_of);
    let by_name = target
        .as_ref()
        .and_then(Target::path)
        .and_then(Format::from_path);
    let Some(format) = named.or(by_name) else {
        let known: Vec<_> = Format::ALL.iter().map(|f| f.name()).collect();
        let known = known.join("|");
        let by_name =
            format!("use -o NAME.pcapng (or .pcap, .txt, .md, .csv, .svg), or --as {known}");
        let why = match &target {
            Some(Target::File(path)) => {
                format!("{}: the name says no format; {by_name}", path.display())
            }
            Some(Target::Stdout) => {
                format!("no format was named for standard output; add --as {known}")
            }
            None if args.plan => return Ok((Format::Pcapng, None)),
            None => format!("no file was named; {by_name}"),
        };
        return Err(Failure::usage(format!("marstui export: {why}")));
    };
    if target.is_none() && format.is_capture() && !args.plan {
        return Err(Failure::usage(
            "marstui export: no file was named; use -o FILE, or -o - for standard output",
        ));
    }
    Ok((format, target))
}

fn format_of(format: ExportFormat) -> Format {
    match format {
        ExportFormat::Pcapng => Format::Pcapng,
        ExportFormat::Pcap => Format::Pcap,
        ExportFormat::Text => Format::Listing,
        ExportFormat::Ticket => Format::TicketMarkdown,
        ExportFormat::TicketText => Format::TicketText,
        ExportFormat::Ladder => Format::Ladder,
        ExportFormat::Csv => Format::Csv,
        ExportFormat::Json => Format::JsonLines,
        ExportFormat::Requests => Format::Requests,
        ExportFormat::Svg => Format::Svg,
        ExportFormat::SvgLanes => Format::SvgLanes,
        ExportFormat::SvgLadder => Format::SvgLadder,
    }
}

fn what(opened: &Opened, args: &WhatArgs) -> Result<What, Failure> {
    let store = &opened.store;
    if let Some(text) = &args.frames {
        return Ok(What::Typed(text.clone()));
    }
    if let Some(text) = &args.filter {
        return Ok(What::Filtered(opened.filtered(text)?));
    }
    if let Some(finding) = args.finding {
        return Ok(What::Finding(FindingId(finding)));
    }
    match (args.sid, args.conn) {
        (None, None) => Ok(What::All),
        (None, Some(conn)) => Ok(What::Connection(ConnId(conn))),
        (Some(sid), conn) => sid_of(store, Sid(sid), conn.map(ConnId), args.life),
    }
}

fn sid_of(
    store: &Store,
    sid: Sid,
    conn: Option<ConnId>,
    life: Option<u32>,
) -> Result<What, Failure> {
    let mut with: Vec<_> = store
        .sessions()
        .iter()
        .filter(|s| s.sid == sid)
        .map(|s| s.conn)
        .collect();
    with.sort_unstable();
    with.dedup();
    let conn = match (conn, with.as_slice()) {
        (Some(conn), _) => conn,
        (None, [one]) => *one,
        (None, []) => {
            let mut sids: Vec<u16> = store.sessions().iter().map(|s| s.sid.0).collect();
            sids.sort_unstable();
            sids.dedup();
            let there = if sids.is_empty() {
                "no Sid is to be seen in this capture".to_owned()
            } else {
                format!("the Sids are {}", in_words(&sids, ", ", 12))
            };
            return Err(Failure::usage(format!(
                "marstui export: no connection has a Sid {sid}; {there}; nothing written"
            )));
        }
        (None, several) => {
            let numbers: Vec<u32> = several.iter().map(|conn| conn.0).collect();
            return Err(Failure::usage(format!(
                "marstui export: several connections have a Sid {sid}; choose one with --conn: {}",
                in_words(&numbers, " ", 20)
            )));
        }
    };
    let Some(life) = life else {
        return Ok(What::Sid(conn, sid));
    };
    store
        .conn_sessions(conn)
        .find(|s| s.sid == sid && s.life == life)
        .map(|s| What::Session(s.id))
        .ok_or_else(|| {
            Failure::usage(format!(
                "marstui export: Sid {sid} of connection {conn} has no life {life}"
            ))
        })
}

fn context(args: &ContextArgs) -> Result<Context, Failure> {
    let mut context = Context::default();
    for word in &args.context {
        match word.split_once('=') {
            None if word == "opening" => context.opening = true,
            None if word == "between" => context.between = true,
            Some(("last", n)) if n.parse::<usize>().is_ok() => {
                context.last_frames = n.parse().unwrap_or(0);
            }
            _ => {
                return Err(Failure::usage(format!(
                    "marstui export: --context {word}: not known; there are opening, last=N and between"
                )));
            }
        }
    }
    Ok(context)
}
