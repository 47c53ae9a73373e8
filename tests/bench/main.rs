//! Measures marstui beside other readers of captures: `cargo run --release --example bench`.
//!
//! Makes a capture with the project's generator (or takes one that is there), then runs all readers on it in turn,
//! several rounds, and prints the medians. Interleaving spreads a busy moment of the machine over all of them.
#![allow(
    clippy::print_stdout,
    reason = "this program's output is for whoever started it"
)]

mod common;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use clap::Parser;
use color_eyre::eyre::{Result, WrapErr, bail, eyre};

#[derive(Parser)]
#[command(about = "Measure marstui beside cat, tshark, capinfos and tcpdump")]
struct Arguments {
    /// Size of the capture to make, for example 200M or 4G
    #[arg(long, default_value = "1G")]
    size: String,
    /// Format of the capture to make
    #[arg(long, default_value = "pcapng", value_parser = ["pcap", "pcapng"])]
    format: String,
    /// Make a capture of as many connections as possible, which log in, ask once and leave
    #[arg(long)]
    short: bool,
    /// How often each reader runs
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Leave out tshark, which takes by far the longest
    #[arg(long)]
    no_tshark: bool,
    /// A capture to measure on, instead of one made for it
    file: Option<PathBuf>,
}

/// A reader: its name in the table and the shell command, with `$1` for the capture, `$2` for marstui and `$3` for a
/// file to write.
const READERS: [(&str, &str); 10] = [
    ("cat", "cat \"$1\""),
    (INDEXER, "\"$2\" report --stats \"$1\""),
    (HELD, "taskset -c 0 \"$2\" report --stats \"$1\""),
    ("tshark -r", "tshark -r \"$1\""),
    ("tshark -r -Y smp", "tshark -r \"$1\" -Y smp"),
    ("capinfos -c -u -z", "capinfos -c -u -z \"$1\""),
    ("tcpdump -r -w", "tcpdump -r \"$1\" -w /dev/null"),
    (COPIER, "tcpdump -r \"$1\" -w \"$3\""),
    ("marstui export", "\"$2\" export \"$1\" -o \"$3\""),
    (
        "marstui export --no-comments",
        "\"$2\" export --no-comments \"$1\" -o \"$3\"",
    ),
];

/// The whole index, every rule included.
const INDEXER: &str = "marstui report --stats";
/// The same on one processor.
const HELD: &str = "taskset marstui report";
/// What exports are compared with.
const COPIER: &str = "tcpdump -r -w OUT";

fn main() -> Result<()> {
    color_eyre::install()?;
    let arguments = Arguments::parse();
    common::build()?;
    let kind = if arguments.short { "short" } else { "big" };
    let file = match &arguments.file {
        Some(file) => file.clone(),
        None => common::make(kind, &arguments.size, &arguments.format)?,
    };
    let size = fs::metadata(&file)
        .wrap_err_with(|| format!("{}", file.display()))?
        .len();
    println!("{} ({} MB)", file.display(), size / 1_000_000);
    let readers: Vec<_> = READERS
        .iter()
        .filter(|(name, _)| !(arguments.no_tshark && name.starts_with("tshark")))
        .filter(|(name, _)| is_there(name))
        .collect();
    // The peak comes from a run of its own: who looks at a process every few milliseconds slows it down. From the
    // first of these on the file is in the page cache.
    let mut peaks = Vec::new();
    for (name, command) in &readers {
        println!("peak: {name}");
        peaks.push(measure(command, &file, watch)?.peak);
    }
    let mut runs = vec![Vec::new(); readers.len()];
    for round in 1..=arguments.rounds {
        for ((name, command), runs) in readers.iter().zip(&mut runs) {
            println!("round {round}: {name}");
            runs.push(measure(command, &file, |_| Ok(0))?);
        }
    }
    let names = readers.iter().map(|(name, _)| *name);
    print_table(
        &names
            .zip(runs.iter().zip(&peaks).map(|(r, peak)| median(r, *peak)))
            .collect::<Vec<_>>(),
    );
    Ok(())
}

/// What a run cost: seconds, and bytes of the largest resident set.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    wall: f64,
    cpu: f64,
    peak: u64,
}

/// Whether the reader's program can be started at all; readers that are not installed are left out, and named.
fn is_there(name: &str) -> bool {
    let program = name.split(' ').next().unwrap_or(name);
    if program == "marstui" {
        return true;
    }
    let found = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok();
    if !found {
        println!("left out, because {program} is not installed: {name}");
    }
    found
}

/// Runs a shell command on the file. The shell's own clock has the processor time of what it started, to the
/// millisecond; `peak` may look at the shell's child while it runs.
fn measure(
    command: &str,
    file: &Path,
    peak: impl FnOnce(&mut Child) -> Result<u64>,
) -> Result<Cost> {
    // In the format of the capture.
    let ending = file.extension().and_then(|e| e.to_str());
    let copy = file.with_extension(format!("out.{}", ending.unwrap_or("pcapng")));
    // There only when the reader before this one wrote it.
    let _ = fs::remove_file(&copy);
    let script = format!("TIMEFORMAT='%3R %3U %3S'; time {command} >/dev/null 2>/dev/null");
    let mut shell = Command::new("bash")
        .args(["-c", &script, "bash"])
        .arg(file)
        .arg(common::target("marstui"))
        .arg(&copy)
        .stderr(Stdio::piped())
        .spawn()
        .wrap_err("bash measures the time, and it could not be started")?;
    let peak = peak(&mut shell)?;
    let status = shell.wait()?;
    let mut times = String::new();
    if let Some(mut stderr) = shell.stderr.take() {
        stderr.read_to_string(&mut times)?;
    }
    if !status.success() {
        bail!("it failed: {command}");
    }
    let _ = fs::remove_file(&copy);
    let line = times.lines().last().unwrap_or_default();
    let seconds: Vec<f64> = line
        .split(' ')
        .filter_map(|word| word.parse().ok())
        .collect();
    let [wall, user, system] = seconds[..] else {
        return Err(eyre!("bash printed no times: {times}"));
    };
    Ok(Cost {
        wall,
        cpu: user + system,
        peak,
    })
}

/// The largest resident set of the shell's child, looked at every few milliseconds until the shell ends.
fn watch(shell: &mut Child) -> Result<u64> {
    let pid = shell.id();
    let mut peak = 0;
    while shell.try_wait()?.is_none() {
        let children =
            fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        for child in children.split_whitespace() {
            let status = fs::read_to_string(format!("/proc/{child}/status")).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
            peak = peak.max(kilobytes.unwrap_or(0) * 1024);
        }
        std::thread::sleep(Duration::from_millis(4));
    }
    Ok(peak)
}

fn median(runs: &[Cost], peak: u64) -> Cost {
    let middle = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(0.0)
    };
    Cost {
        wall: middle(runs.iter().map(|r| r.wall).collect()),
        cpu: middle(runs.iter().map(|r| r.cpu).collect()),
        peak,
    }
}

fn print_table(rows: &[(&str, Cost)]) {
    let of = |name: &str| rows.iter().find(|(n, _)| *n == name);
    let cpu_of = |name: &str| of(name).map(|(_, cost)| cost.cpu);
    let ratio = |part: f64, whole: Option<f64>| match whole {
        Some(whole) if part > 0.0 => format!("{:.2}", whole / part),
        _ => "-".to_owned(),
    };
    println!("\n| reader | CPU s | wall s | CPU / cat | CPU of tshark -r / CPU | peak MB |");
    println!("|---|---:|---:|---:|---:|---:|");
    for (name, cost) in rows {
        let to_cat = cpu_of("cat")
            .filter(|cat| *cat > 0.0)
            .map_or("-".to_owned(), |cat| format!("{:.2}", cost.cpu / cat));
        println!(
            "| {name} | {:.3} | {:.3} | {to_cat} | {} | {:.1} |",
            cost.cpu,
            cost.wall,
            ratio(cost.cpu, cpu_of("tshark -r")),
            f64::from(u32::try_from(cost.peak / 1024).unwrap_or(u32::MAX)) / 1024.0
        );
    }
    if let (Some((_, all)), Some((_, one))) = (of(INDEXER), of(HELD)) {
        let share = ratio(one.wall, Some(all.wall));
        println!("{INDEXER}: {share} of the time that it takes on one processor");
    }
    for (name, cost) in rows.iter().filter(|(n, _)| n.starts_with("marstui export")) {
        println!(
            "{name}: {} of the CPU of {COPIER}",
            cpu_of(COPIER).map_or("-".to_owned(), |copier| ratio(copier, Some(cost.cpu)))
        );
    }
}
