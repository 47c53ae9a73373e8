//! The files of `fixtures/`: what each holds, what it shows, and what is to be expected of it.

use std::path::Path;

use super::seed;

/// A file of `fixtures/`.
pub struct Fixture {
    pub name: &'static str,
    /// What it shows.
    pub shows: &'static str,
    /// What a reader has to say of it.
    pub expected: &'static str,
    /// The capture file, not compressed.
    pub content: Vec<u8>,
}

impl Fixture {
    /// Frames that Wireshark 4.0 misreads although they are right; the README says why.
    pub fn tshark_is_wrong_about(&self, frame: &str) -> bool {
        matches!(
            (self.name, frame),
            ("demo.pcapng.zst", "7275") | ("seed-client.pcapng.zst", "1309")
        )
    }

    /// The bytes of the file on disk: names in `.zst` are compressed.
    pub fn bytes(&self) -> Vec<u8> {
        if Path::new(self.name).extension() == Some("zst".as_ref()) {
            zstd::encode_all(&self.content[..], 19).expect("memory can be compressed")
        } else {
            self.content.clone()
        }
    }
}

/// All files.
pub fn all() -> Vec<Fixture> {
    vec![
        Fixture {
            name: "demo.pcapng.zst",
            shows: "the page's connection as its server saw it, among the traffic of others",
            expected: "`mars-close-rst`, Benign, proven: frames 93689, 93691, 93692, 93704",
            content: seed::server_view().to_pcapng(),
        },
        Fixture {
            name: "seed-client.pcapng.zst",
            shows: "the same connection as its client saw it, with the times that the page gives: frame 12361 is 253.8 µs before frame 12352",
            expected: "`mars-close-rst`, Benign, proven: frames 12346, 12352, 12361, 12374",
            content: seed::client_view().to_pcapng(),
        },
    ]
}

/// `fixtures/README.md`.
pub fn readme(files: &[Fixture]) -> String {
    let line = |f: &Fixture| format!("| `{}` | {} | {} |\n", f.name, f.shows, f.expected);
    let table: String = files.iter().map(line).collect();
    format!("{README}{table}")
}

const README: &str = include_str!("readme.md");
