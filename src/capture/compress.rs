//! Compressed captures: which compression a file's first bytes show, and the stream that takes it off.

use std::io::{self, BufReader, Read};

use super::spool::Counted;

/// A compression that is taken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    /// RFC 1952; several members one after the other are read on.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// LZ4 frame format.
    Lz4,
}

impl Compression {
    /// So many bytes from the start tell a compression.
    pub(super) const MAGIC: usize = 4;

    /// Tells the compression from a file's first bytes.
    pub(super) fn detect(start: &[u8]) -> Option<Self> {
        match start {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            [0x04, 0x22, 0x4d, 0x18, ..] => Some(Self::Lz4),
            _ => None,
        }
    }

    /// The stream without the compression.
    pub(super) fn unpack<R: Read + Send + 'static>(
        self,
        input: Counted<R>,
    ) -> io::Result<Box<dyn Read + Send>> {
        let input = BufReader::with_capacity(128 << 10, input);
        Ok(match self {
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(input)),
            Self::Zstd => Box::new(zstd::Decoder::with_buffer(input)?),
            Self::Lz4 => Box::new(lz4_flex::frame::FrameDecoder::new(input)),
        })
    }
}

/// A format's name with its compression.
pub(super) fn name(format: &'static str, compression: Option<Compression>) -> &'static str {
    match (format, compression) {
        ("pcap", Some(Compression::Gzip)) => "pcap, gzip",
        ("pcap", Some(Compression::Zstd)) => "pcap, zstd",
        ("pcap", Some(Compression::Lz4)) => "pcap, lz4",
        ("pcapng", Some(Compression::Gzip)) => "pcapng, gzip",
        ("pcapng", Some(Compression::Zstd)) => "pcapng, zstd",
        ("pcapng", Some(Compression::Lz4)) => "pcapng, lz4",
        ("netmon", Some(Compression::Gzip)) => "netmon, gzip",
        ("netmon", Some(Compression::Zstd)) => "netmon, zstd",
        ("netmon", Some(Compression::Lz4)) => "netmon, lz4",
        (plain, _) => plain,
    }
}
