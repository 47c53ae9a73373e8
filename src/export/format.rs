//! The formats of an export, their names, and what a file name says about them.

use std::path::Path;

/// What an export is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// A pcapng capture file.
    Pcapng,
    /// A pcap capture file.
    Pcap,
    /// The listing of frames in fixed columns.
    Listing,
    /// Everything a ticket needs, in Markdown.
    TicketMarkdown,
    /// Everything a ticket needs, in plain text.
    TicketText,
    /// The ladder of frames between client and server, as text.
    Ladder,
    /// One line per frame with chosen fields, comma-separated.
    Csv,
    /// One JSON object per line and frame with chosen fields.
    JsonLines,
    /// The requests of the connections concerned, comma-separated.
    Requests,
    /// Lanes and ladder on one page as a picture (SVG).
    Svg,
    /// The lanes of the Sids as a picture (SVG).
    SvgLanes,
    /// The ladder as a picture (SVG).
    SvgLadder,
}

impl Format {
    /// All formats, in the order in which they are offered.
    pub const ALL: [Self; 12] = [
        Self::Pcapng,
        Self::Pcap,
        Self::Listing,
        Self::TicketMarkdown,
        Self::TicketText,
        Self::Ladder,
        Self::Csv,
        Self::JsonLines,
        Self::Requests,
        Self::Svg,
        Self::SvgLanes,
        Self::SvgLadder,
    ];

    /// The name on the command line and in the form.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pcapng => "pcapng",
            Self::Pcap => "pcap",
            Self::Listing => "text",
            Self::TicketMarkdown => "ticket",
            Self::TicketText => "ticket-text",
            Self::Ladder => "ladder",
            Self::Csv => "csv",
            Self::JsonLines => "json",
            Self::Requests => "requests",
            Self::Svg => "svg",
            Self::SvgLanes => "svg-lanes",
            Self::SvgLadder => "svg-ladder",
        }
    }

    /// The format with a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|f| f.name() == name)
    }

    /// What it is, in a few words.
    pub fn about(self) -> &'static str {
        match self {
            Self::Pcapng => "capture file, with comments",
            Self::Pcap => "capture file, older format",
            Self::Listing => "listing of frames in columns",
            Self::TicketMarkdown => "ticket note in Markdown",
            Self::TicketText => "ticket note in plain text",
            Self::Ladder => "ladder between client and server",
            Self::Csv => "fields of each frame as CSV",
            Self::JsonLines => "fields of each frame as JSON lines",
            Self::Requests => "requests of the connections as CSV",
            Self::Svg => "picture of lanes and ladder",
            Self::SvgLanes => "picture of the lanes",
            Self::SvgLadder => "picture of the ladder",
        }
    }

    /// The usual ending of its file names, without a dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Pcapng => "pcapng",
            Self::Pcap => "pcap",
            Self::Listing | Self::TicketText | Self::Ladder => "txt",
            Self::TicketMarkdown => "md",
            Self::Csv | Self::Requests => "csv",
            Self::JsonLines => "jsonl",
            Self::Svg | Self::SvgLanes | Self::SvgLadder => "svg",
        }
    }

    /// Whether it is a capture file, so that the frames' bytes are in it.
    pub fn is_capture(self) -> bool {
        matches!(self, Self::Pcapng | Self::Pcap)
    }

    /// The format that a file name asks for by its ending; a compression's ending is looked through.
    pub fn from_path(path: &Path) -> Option<Self> {
        let name = lower_name(path);
        let name = match Compression::from_path(path) {
            Compression::None => &*name,
            packed => name.strip_suffix(packed.ending()).unwrap_or(&name),
        };
        let (_, ending) = name.rsplit_once('.')?;
        Some(match ending {
            "pcapng" | "ntar" => Self::Pcapng,
            "pcap" | "cap" | "dmp" => Self::Pcap,
            "txt" | "log" => Self::Listing,
            "md" | "markdown" => Self::TicketMarkdown,
            "csv" => Self::Csv,
            "json" | "jsonl" | "ndjson" => Self::JsonLines,
            "svg" => Self::Svg,
            _ => return None,
        })
    }
}

/// The name of a capture without folder, compression and the ending that says its format: `a.client.pcapng.gz` gives
/// `a.client`. Standard input is called `stdin`.
pub fn stem(path: &str) -> String {
    let path = Path::new(path);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name == "standard input" {
        return "stdin".to_owned();
    }
    let packed = Compression::from_path(path).ending().len();
    let unpacked = name.len().checked_sub(packed);
    let name = unpacked.and_then(|end| name.get(..end)).unwrap_or(&name);
    // Files of a chain have a number behind the ending.
    let is_format = |ending: &str| {
        let ending = ending.to_ascii_lowercase();
        let letters = ending.trim_end_matches(|c: char| c.is_ascii_digit());
        matches!(letters, "pcapng" | "ntar" | "pcap" | "cap" | "dmp")
    };
    let stem = match name.rsplit_once('.') {
        Some((stem, ending)) if is_format(ending) => stem,
        _ => name,
    };
    let stem = if stem.is_empty() { "capture" } else { stem };
    stem.to_owned()
}

/// A file's name with the ending of a format in place of its own; how it is compressed stays.
pub fn with_ending(path: &str, format: Format) -> String {
    let packed = Compression::from_path(Path::new(path)).ending().len();
    let (name, packed) = (path.len().checked_sub(packed))
        .and_then(|end| path.split_at_checked(end))
        .unwrap_or((path, ""));
    let name = Path::new(name).with_extension(format.extension());
    format!("{}{packed}", name.to_string_lossy())
}

/// A file's name for looking at its ending; whatever else is in it does not matter.
fn lower_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().to_ascii_lowercase()
}

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
    /// LZ4 frames.
    Lz4,
}

impl Compression {
    /// The compression that a file name asks for by its ending.
    pub fn from_path(path: &Path) -> Self {
        let name = lower_name(path);
        [Self::Gzip, Self::Zstd, Self::Lz4]
            .into_iter()
            .find(|c| name.ends_with(c.ending()))
            .unwrap_or(Self::None)
    }

    fn ending(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
            Self::Lz4 => ".lz4",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_format_changes_the_ending_and_not_the_compression() {
        for (name, fitting) in [
            ("b/a.pcapng", "b/a.csv"),
            ("b/a.pcap.gz", "b/a.csv.gz"),
            ("A.PcapNG.ZST", "A.csv.ZST"),
            ("a.client", "a.csv"),
            ("", ""),
        ] {
            assert_eq!(with_ending(name, Format::Csv), fitting);
        }
    }

    #[test]
    fn a_file_name_says_format_and_compression() {
        let of = |name: &str| {
            let path = Path::new(name);
            (Format::from_path(path), Compression::from_path(path))
        };
        assert_eq!(of("a.pcapng"), (Some(Format::Pcapng), Compression::None));
        assert_eq!(of("b/A.PCAP.GZ"), (Some(Format::Pcap), Compression::Gzip));
        assert_eq!(
            of("c.pcapng.zst"),
            (Some(Format::Pcapng), Compression::Zstd)
        );
        assert_eq!(
            of("notes.md"),
            (Some(Format::TicketMarkdown), Compression::None)
        );
        assert_eq!(of("what"), (None, Compression::None));
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStrExt;
            let odd = Path::new(std::ffi::OsStr::from_bytes(b"a\xff\n.pcapng.gz"));
            assert_eq!(Format::from_path(odd), Some(Format::Pcapng));
            assert_eq!(Compression::from_path(odd), Compression::Gzip);
        }
    }

    #[test]
    fn every_format_is_found_by_its_name() {
        for format in Format::ALL {
            assert_eq!(Format::from_name(format.name()), Some(format));
        }
        assert_eq!(Format::from_name("docx"), None);
    }
}
