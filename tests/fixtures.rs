//! The files of `fixtures/`: they are what the generator makes, the demo holds the page's lines, and tshark finds
//! nothing wrong with any of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use marstui::capture::Capture;
use marstui::store::ConnRow;
use marstui::track;

use crate::support::synth::big::{self, Talk};
use crate::support::synth::conn::START;
use crate::support::synth::file::{self, Format, Frame};
use crate::support::synth::{fixtures, seed};
use crate::support::{shared_or_skip, skip};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// The content of a file of `fixtures/`, unpacked.
fn stored(name: &str) -> Vec<u8> {
    let bytes = fs::read(folder().join(name))
        .unwrap_or_else(|e| panic!("fixtures/{name}: {e}; run the example make-fixtures"));
    if Path::new(name).extension() == Some("zst".as_ref()) {
        zstd::decode_all(&bytes[..]).unwrap()
    } else {
        bytes
    }
}

#[test]
fn the_files_are_what_the_generator_makes() {
    let files = fixtures::all();
    for file in &files {
        assert!(
            stored(&file.name) == file.content,
            "fixtures/{} is old",
            file.name
        );
    }
    let readme = String::from_utf8(stored("README.md")).unwrap();
    assert_eq!(readme, fixtures::readme(&files));
    let mut names = Vec::new();
    list(&folder(), "", &mut names);
    names.retain(|name| name.contains(".pcap"));
    names.retain(|name| !files.iter().any(|file| file.name == *name));
    assert!(names.is_empty(), "nothing makes {names:?}");
}

fn list(folder: &Path, prefix: &str, names: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.path().is_dir() {
            list(&entry.path(), &format!("{name}/"), names);
        } else {
            names.push(name);
        }
    }
}

#[test]
fn the_demo_is_small_enough_to_be_built_in() {
    let size = fs::metadata(folder().join("demo.pcapng.zst"))
        .unwrap()
        .len();
    assert!(size < 1_000_000, "{size} bytes");
}

#[test]
fn the_demo_holds_every_line_of_the_page() {
    let Some(page) = page_lines() else { return };
    let demo = seed::server_view();
    let lines: Vec<_> = page
        .iter()
        .filter(|l| l.number < 12_000 || l.number > 13_000)
        .collect();
    // Frame 11791 has a number below 12 000 like the start of the login, the client's lines are 12345 to 12374.
    assert_eq!(lines.len(), 29);
    for line in lines {
        line.check(&demo);
    }
    assert_eq!(seed::SERVER_LINES.len(), 30);
}

#[test]
fn the_client_view_holds_the_lines_that_the_page_gives_for_it() {
    let Some(page) = page_lines() else { return };
    let capture = seed::client_view();
    let lines: Vec<_> = page
        .iter()
        .filter(|l| (12_000..13_000).contains(&l.number))
        .collect();
    assert_eq!(lines.len(), 5);
    for line in lines {
        line.check(&capture);
    }
    let time = |number: usize| capture.frames[number - 1].time;
    assert_eq!(time(12361) - time(12352), -253_800);
}

/// A line of the page's listing.
struct Line {
    number: usize,
    /// Nanoseconds after the first frame.
    offset: i64,
    source: String,
    dest: String,
    text: String,
}

fn page_lines() -> Option<Vec<Line>> {
    let shared = shared_or_skip("the page's lines")?;
    let page = fs::read_to_string(shared.join("spec/seed.txt")).unwrap();
    let lines = page.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let number = words.next()?.parse().ok()?;
        let (seconds, fraction) = words.next()?.split_once('.')?;
        let offset =
            seconds.parse::<i64>().ok()? * 1_000_000_000 + fraction.parse::<i64>().ok()? * 100;
        let (source, dest) = (words.next()?.to_owned(), words.next()?.to_owned());
        let text = words.collect::<Vec<_>>().join(" ");
        Some(Line {
            number,
            offset,
            source,
            dest,
            text,
        })
    });
    Some(lines.collect())
}

impl Line {
    /// A number of the text, if the line is not cut before its end.
    fn value(&self, name: &str) -> Option<u32> {
        let rest = self.text.split_once(name)?.1.trim_start_matches([' ', '=']);
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        rest[..digits].parse().ok()
    }

    fn check(&self, capture: &file::Capture) {
        let frame = &capture.frames[self.number - 1];
        let at = format!("frame {}: {}", self.number, self.text);
        assert_eq!(frame.time - START, self.offset, "{at}");
        assert_eq!(address(frame, 26), self.source, "{at}");
        assert_eq!(address(frame, 30), self.dest, "{at}");
        let tcp = &frame.data[34..];
        let payload = &tcp[usize::from(tcp[12] >> 4) * 4..];
        let big = |at: usize| u32::from_be_bytes(tcp[at..at + 4].try_into().unwrap());
        for (name, value) in [("Seq", big(4)), ("Ack", big(8))] {
            // SMP lines have a SeqNum, which is no Seq.
            if let Some(expected) = self.value(&format!(" {name}=")) {
                assert_eq!(value, expected, "{name} of {at}");
            }
        }
        if let Some((_, flags)) = self.text.split_once("Flags=") {
            let names = "CEUAPRSF".chars().enumerate();
            let shown: String = names
                .map(|(i, c)| if tcp[13] & (0x80 >> i) == 0 { '.' } else { c })
                .collect();
            assert_eq!(shown, flags[..8], "{at}");
        }
        if self.text.starts_with("SMP:") {
            let kind = ["", "SYN", "ACK", "", "FIN"][usize::from(payload[1])];
            assert!(self.text.starts_with(&format!("SMP:{kind},")), "{at}");
            let little = |at: usize| u32::from_le_bytes(payload[at..at + 4].try_into().unwrap());
            assert_eq!(u32::from(payload[2]), self.value("Sid").unwrap(), "{at}");
            assert_eq!(little(4), self.value("Length").unwrap(), "{at}");
            assert_eq!(little(8), self.value("SeqNum").unwrap(), "{at}");
            let wndw = self.value("Wndw").unwrap();
            assert_eq!(little(12), wndw, "{at}");
        }
        if let Some(spid) = self.value("SPID") {
            let tds = if payload[0] == 0x53 {
                &payload[16..]
            } else {
                payload
            };
            assert_eq!(
                u32::from(u16::from_be_bytes([tds[4], tds[5]])),
                spid,
                "{at}"
            );
            assert_eq!(u32::from(tds[6]), self.value("PacketID").unwrap(), "{at}");
        }
    }
}

fn address(frame: &Frame, at: usize) -> String {
    let octets: Vec<_> = frame.data[at..at + 4].iter().map(u8::to_string).collect();
    octets.join(".")
}

#[test]
fn tshark_has_no_complaint() {
    if Command::new("tshark").arg("--version").output().is_err() {
        skip("tshark_has_no_complaint", "tshark is not installed");
        return;
    }
    for file in fixtures::all() {
        // The page's connection is in order; cases lose, repeat and reorder segments on purpose.
        let tidy = !file.name.contains('/');
        let mut plain = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut plain, &file.content).unwrap();
        let complaint = if tidy {
            "_ws.malformed || _ws.expert.severity == \"Error\" || tcp.analysis.flags"
        } else {
            "_ws.malformed || _ws.expert.severity == \"Error\""
        };
        let output = Command::new("tshark")
            .arg("-r")
            .arg(plain.path())
            .args(["-Y", complaint])
            .args([
                "-T",
                "fields",
                "-e",
                "frame.number",
                "-e",
                "_ws.expert.message",
            ])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}: {output:?}", file.name);
        let complaints = String::from_utf8(output.stdout).unwrap();
        let complaints: Vec<_> = complaints
            .lines()
            .filter(|line| !tshark_is_wrong_about(&file.name, line.split('\t').next().unwrap()))
            .collect();
        assert!(complaints.is_empty(), "{}: {complaints:?}", file.name);
    }
}

#[test]
fn the_capture_for_measurements_has_its_mix_in_both_formats() {
    let mut pcap = Vec::new();
    let mut pcapng = Vec::new();
    let mix = big::write(&mut pcap, Format::Pcap, 3_000_000, Talk::Long).unwrap();
    assert_eq!(
        big::write(&mut pcapng, Format::Pcapng, 3_000_000, Talk::Long)
            .unwrap()
            .frames,
        mix.frames
    );
    let share = |part: u64| part * 100 / mix.frames;
    assert!((36..=42).contains(&share(mix.full_segments)), "{mix:?}");
    assert!((17..=22).contains(&share(mix.bare_acks)), "{mix:?}");
    assert!((38..=44).contains(&share(mix.smp_packets)), "{mix:?}");
    for (name, bytes) in [("big.pcap", pcap), ("big.pcapng", pcapng)] {
        let store = track::load(&Capture::from_bytes(name, bytes).unwrap());
        assert_eq!(store.frame_count() as u64, mix.frames);
        assert_eq!(store.conns().len() as u64, mix.connections);
        let smp = |conn: &ConnRow| {
            conn.smp
                .0
                .iter()
                .map(|c| u64::from(c.syn + c.ack + c.fin + c.data))
                .sum::<u64>()
        };
        assert_eq!(
            store.conns().iter().map(|conn| smp(conn)).sum::<u64>(),
            mix.smp_packets
        );
    }
}

/// Frames that Wireshark 4.0 misreads although they are right; `fixtures/README.md` says why.
fn tshark_is_wrong_about(file: &str, frame: &str) -> bool {
    matches!(
        (file, frame),
        ("demo.pcapng.zst", "7275") | ("seed-client.pcapng.zst", "1309")
    )
}
