//! Measures what a user waits for inside the program: filters over the index, and the decode of single frames.
//!
//! `cargo run --release --example bench-inside -- CAPTURE`. Prints the best of five passes for each filter, and the
//! median and the worst of some thousand frames spread over the capture.
#![allow(
    clippy::print_stdout,
    reason = "this program's output is for whoever started it"
)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Parser;
use color_eyre::eyre::{Result, eyre};
use marstui::capture::{Capture, OpenOptions};
use marstui::dissect::{Dissector, Options};
use marstui::query::{self, Context, Eval};
use marstui::rules;
use marstui::store::Store;
use marstui::track;
use marstui::units::FrameNo;

#[derive(Parser)]
#[command(about = "Measure filters and single frames on a capture")]
struct Arguments {
    /// The capture
    file: PathBuf,
}

/// Filters that columns of the index can answer.
const FILTERS: [&str; 15] = [
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
];

/// So many frames are decoded.
const FRAMES: usize = 4000;

fn main() -> Result<()> {
    color_eyre::install()?;
    let file = Arguments::parse().file;
    let capture = Capture::open(&[file], &OpenOptions::default())?;
    let mut store = track::load(&capture);
    rules::judge(&mut store, &rules::Settings::default());
    println!("{} frames", store.frame_count());
    filters(&store)?;
    single_frames(&capture, &store);
    Ok(())
}

fn filters(store: &Store) -> Result<()> {
    let eval = Eval::of(store);
    println!("\n| filter | hits | best of five |\n|---|---:|---:|");
    for text in FILTERS {
        let filter = query::parse(text, &Context::default()).map_err(|e| eyre!("{text}: {e}"))?;
        let mut best = Duration::MAX;
        let mut hits = 0;
        for _ in 0..5 {
            let start = Instant::now();
            hits = query::run(&filter, &eval).len();
            best = best.min(start.elapsed());
        }
        println!("| `{text}` | {hits} | {best:.1?} |");
    }
    Ok(())
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
