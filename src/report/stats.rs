//! What a run cost: frames, bytes, seconds of each stage, memory.

use std::io::{self, Write};

use serde::Serialize;

use super::words;

/// The cost of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stats {
    /// Frames read.
    pub frames: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Seconds of the indexing pass, from opening the first file on.
    pub index_seconds: f64,
    /// Seconds of the rules.
    pub rules_seconds: f64,
    /// Bytes of the index, as far as it can be counted.
    pub index_bytes: u64,
    /// Those per frame.
    pub index_bytes_per_frame: f64,
    /// The most memory that the process held, in bytes; `null` where the system does not tell.
    pub peak_memory_bytes: Option<u64>,
    /// Seconds of processor time of all threads; `null` where the system does not tell.
    pub cpu_seconds: Option<f64>,
}

impl Stats {
    /// Writes them for people.
    pub fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "Cost")?;
        writeln!(out, "  frames        {}", self.frames)?;
        writeln!(out, "  bytes         {}", words::bytes(self.bytes))?;
        writeln!(out, "  index         {:.3} s", self.index_seconds)?;
        writeln!(out, "  rules         {:.3} s", self.rules_seconds)?;
        if let Some(cpu) = self.cpu_seconds {
            writeln!(out, "  processor     {cpu:.3} s")?;
        }
        writeln!(
            out,
            "  index memory  {}, {:.1} B a frame",
            words::bytes(self.index_bytes),
            self.index_bytes_per_frame
        )?;
        if let Some(peak) = self.peak_memory_bytes {
            writeln!(out, "  peak memory   {}", words::bytes(peak))?;
        }
        Ok(())
    }
}

/// The most memory that this process held so far, in bytes.
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    kib.checked_mul(1024)
}

/// Processor time of this process so far, all threads, user and system, in seconds.
pub fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in brackets and may hold spaces.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    // Linux reports these in units of 1/100 s on every architecture (USER_HZ).
    Some((f64::from(user) + f64::from(system)) / 100.0)
}
