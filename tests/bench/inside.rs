//! Measures what a user waits for inside the program: filters over the index, and the decode of single frames.
//!
//! `cargo run --release --example bench-inside -- CAPTURE`. Prints the best of five passes for each filter and, with
//! `--fields`, for each field that columns of the index answer with each way to ask; then the median and the worst of
//! some thousand frames spread over the capture.
#![allow(
    clippy::cast_precision_loss,
    reason = "a time per million frames is read to one digit"
)]
#![allow(
    clippy::print_stdout,
    reason = "this program's output is for whoever started it"
)]

#[path = "../support/asking.rs"]
mod asking;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Parser;
use color_eyre::eyre::{Result, eyre};
use marstui::capture::{Capture, OpenOptions};
use marstui::dissect::{Dissector, Options};
use marstui::query::{self, Context, Eval, Filter};
use marstui::rules;
use marstui::store::Store;
use marstui::track;
use marstui::units::FrameNo;

use asking::indexed_fields;

#[derive(Parser)]
#[command(about = "Measure filters and single frames on a capture")]
struct Arguments {
    /// The capture
    file: PathBuf,
    /// Ask for each field that columns answer, in each way
    #[arg(long)]
    fields: bool,
}

/// Filters that columns of the index can answer.
const FILTERS: [&str; 21] = [
    "sid == 2",
    "smp.sid == 1 && smp.flags.fin == 1",
    "tcp.flags.reset == 1",
    "tcp.stream == 7 and sid == 2",
    "kind in {FIN, RST}",
    "delta > 100ms",
    "ip.addr == 10.0.0.5",
    "tds.type == rpc and side == client",
    "finding == mars-close-rst or marked",
    "smp.sid != 1",
    "tcp.port == 1433",
    "tds.type == 1",
    "frame.number in 200000..900000",
    "tcp.flags == 0x18",
    "verdict == Benign",
    "ip.addr == 10.0.0.0/8 and tcp.port == 1433 and not smp.flags.data == 1",
    "(smp.flags.syn == 1 or smp.flags.fin == 1) and tcp.dstport == 1433",
    "side == server and tds.type == 4 and tds.length > 1000 and delta < 1ms",
    "tcp.seq > 1000 and tcp.ack < 5000 or tcp.analysis.retransmission",
    "not (kind in {SYN, FIN} or tcp.len == 0) and phase == commands",
    "frame.cap_len != frame.len or tcp.flags & 0x05",
];

/// Ways to ask for a field: how they are headed, and how they are written with a value of the field.
const WAYS: [(&str, &str); 8] = [
    ("there", "F"),
    ("==", "F == V"),
    ("!=", "F != V"),
    (">", "F > V"),
    ("in", "F in {V, 1, 3, 5..9}"),
    ("any !=", "F ~= V"),
    ("&", "F & 3"),
    ("count", "count(F) > 1"),
];

/// So many frames are decoded.
const FRAMES: usize = 4000;

fn main() -> Result<()> {
    color_eyre::install()?;
    let arguments = Arguments::parse();
    let capture = Capture::open(&[arguments.file], &OpenOptions::default())?;
    let mut store = track::load(&capture);
    rules::judge(&mut store, &rules::Settings::default());
    println!("{} frames", store.frame_count());
    filters(&store)?;
    if arguments.fields {
        fields(&store);
    }
    single_frames(&capture, &store);
    Ok(())
}

fn filters(store: &Store) -> Result<()> {
    let eval = Eval::of(store);
    println!("\n| filter | hits | best of five |\n|---|---:|---:|");
    for text in FILTERS {
        let filter = query::parse(text, &Context::default()).map_err(|e| eyre!("{text}: {e}"))?;
        let (best, hits) = best_of_five(&filter, &eval);
        println!("| `{text}` | {hits} | {best:.1?} |");
    }
    Ok(())
}

fn best_of_five(filter: &Filter, eval: &Eval<'_>) -> (Duration, usize) {
    let mut best = Duration::MAX;
    let mut hits = 0;
    for _ in 0..5 {
        let start = Instant::now();
        hits = query::run(filter, eval).len();
        best = best.min(start.elapsed());
    }
    (best, hits)
}

/// Asks for each field in each way that its type has, and prints milliseconds for a million frames.
fn fields(store: &Store) {
    let eval = Eval::of(store);
    let millions = store.frame_count().max(1) as f64 / 1e6;
    let heads = WAYS.map(|(head, _)| head);
    println!("\n| ms per million frames | {} |", heads.join(" | "));
    println!("|---|{}", "---:|".repeat(WAYS.len()));
    let mut all = Vec::new();
    for asked in indexed_fields(store) {
        let cells = WAYS.map(|(_, way)| {
            let filter = asked.filter(way)?;
            let (best, _) = best_of_five(&filter, &eval);
            let ms = best.as_secs_f64() * 1e3 / millions;
            all.push((ms, filter.text().to_owned()));
            Some(format!("{ms:.1}"))
        });
        let cells = cells.map(Option::unwrap_or_default);
        println!("| `{}` | {} |", asked.name, cells.join(" | "));
    }
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    println!("\n{} ways to ask; the slowest:\n", all.len());
    for (ms, text) in all.iter().take(20) {
        println!("* `{text}`: {ms:.1} ms per million frames");
    }
}

fn single_frames(capture: &Capture, store: &Store) {
    let mut dissector = Dissector::new();
    let count = store.frame_count();
    let mut times: Vec<_> = (0..count)
        .step_by((count / FRAMES).max(1))
        .map(|index| {
            let start = Instant::now();
            dissector.frame(
                store,
                capture,
                FrameNo::from_index(index),
                &Options::default(),
            );
            (start.elapsed(), index.saturating_add(1))
        })
        .collect();
    times.sort();
    if let (Some((median, _)), Some((worst, frame))) = (times.get(times.len() / 2), times.last()) {
        println!(
            "\n{} frames decoded: median {median:.1?}, worst {worst:.1?} (frame {frame})",
            times.len()
        );
    }
}
