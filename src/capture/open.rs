//! Opening captures: which format a file has, and the handle that reads its frames again by position.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Cursor, IsTerminal, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::chunk::{Blocks, FrameSource, Interface, Pool, SideBlock};
use super::compress::{self, Compression};
use super::cut::{self, Cutter, Detected, to_u64};
use super::error::OpenError;
use super::file::{FileReader, Step};
use super::reader::ChunkReader;
use super::source::Source;
use super::spool::{Counted, Spool};
use crate::units::{FileOffset, InterfaceId, Nanos};

/// So long is waited between two looks at a file that has no header yet.
const PATIENCE: Duration = Duration::from_millis(50);

/// How captures are opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpenOptions {
    /// The last file may still grow: what is missing at its end is waited for.
    pub follow: bool,
}

/// An open capture: one or several files. Cheap to clone; all clones read the same files.
#[derive(Debug, Clone)]
pub struct Capture {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    files: Arc<Vec<CaptureFile>>,
    /// By how many nanoseconds the times of each file are moved.
    shifts: Vec<i64>,
    options: OpenOptions,
    interfaces: RwLock<Vec<Known>>,
    /// By file and position.
    side_blocks: RwLock<BTreeMap<(usize, u64), SideBlock>>,
}

/// So many blocks beside the frames are taken note of.
const MAX_SIDE_BLOCKS: usize = 4096;

/// What is kept of an interface for reading frames by position.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) file: usize,
    link_type: u32,
    pub(super) blocks: Option<Blocks>,
}

/// One file of a capture.
#[derive(Debug)]
pub struct CaptureFile {
    path: PathBuf,
    size: u64,
    format: &'static str,
    source: Source,
    /// Device and inode, where there is a file with a name.
    identity: Option<(u64, u64)>,
    first_time: Option<Nanos>,
}

impl CaptureFile {
    /// Its path as given; `standard input` for `-`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `pcap`, `pcapng`, `netmon`, with the compression where there is one.
    pub fn format(&self) -> &'static str {
        self.format
    }

    /// Its size in bytes when it was opened; 0 for a stream.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Time of its first frame, where there are several files.
    pub(super) fn first_time(&self) -> Option<Nanos> {
        self.first_time
    }

    /// Whether what is read of it is what it has: not so of a compressed file.
    pub fn is_plain(&self) -> bool {
        self.size == 0 || !self.is_stream()
    }

    /// Whether its bytes arrive while they are read: standard input, or a compressed file.
    pub fn is_stream(&self) -> bool {
        matches!(self.source, Source::Spool(_))
    }

    /// Bytes that there are to read, as far as can be told.
    pub(super) fn expected_bytes(&self) -> u64 {
        self.source.expected(self.size)
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }
}

impl Capture {
    /// Opens one or several capture files; `-` is standard input. Several files are put into the order of their
    /// first frames.
    ///
    /// # Errors
    /// The first file that is missing, a folder, empty, no capture, or not readable.
    pub fn open(paths: &[PathBuf], options: &OpenOptions) -> Result<Self, OpenError> {
        if paths.is_empty() {
            return Err(OpenError::Nothing);
        }
        let mut files = paths
            .iter()
            .map(|path| open_file(path, options.follow))
            .collect::<Result<Vec<_>, _>>()?;
        if files.len() > 1 {
            for file in &mut files {
                file.first_time = first_time(file);
            }
            // Files without frames go last.
            files.sort_by_key(|file| (file.first_time.is_none(), file.first_time));
        }
        Ok(Self::with(files, *options))
    }

    /// A capture from bytes in memory, under a name.
    ///
    /// # Errors
    /// The bytes are no capture.
    pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Result<Self, OpenError> {
        let file = capture_file(PathBuf::from(name), Source::Bytes(bytes), None)?;
        Ok(Self::with(vec![file], OpenOptions::default()))
    }

    fn with(files: Vec<CaptureFile>, options: OpenOptions) -> Self {
        Self {
            inner: Arc::new(Inner {
                shifts: vec![0; files.len()],
                files: Arc::new(files),
                options,
                interfaces: RwLock::default(),
                side_blocks: RwLock::default(),
            }),
        }
    }

    /// The same files with the times of one of them moved, as they are merged and shown; what is in the file stays.
    #[must_use]
    pub fn shifted(&self, file: usize, ns: i64) -> Self {
        let mut shifts = self.inner.shifts.clone();
        if let Some(shift) = shifts.get_mut(file) {
            *shift = shift.saturating_add(ns);
        }
        Self {
            inner: Arc::new(Inner {
                files: Arc::clone(&self.inner.files),
                shifts,
                options: self.inner.options,
                interfaces: RwLock::default(),
                side_blocks: RwLock::default(),
            }),
        }
    }

    /// By how many nanoseconds the times of a file are moved.
    pub(super) fn shift(&self, file: usize) -> i64 {
        self.inner.shifts.get(file).copied().unwrap_or(0)
    }

    /// Time of a file's first frame, where there are several files.
    pub(super) fn first_time(&self, file: usize) -> Option<Nanos> {
        let time = self.files().get(file)?.first_time()?;
        Some(Nanos(time.0.saturating_add(self.shift(file))))
    }

    /// The files, in the order in which they were put when they were opened.
    pub fn files(&self) -> &[CaptureFile] {
        &self.inner.files
    }

    /// How it was opened.
    pub fn options(&self) -> OpenOptions {
        self.inner.options
    }

    /// Whether a path leads to one of the open files (under any name), which must then not be written to.
    pub fn is_input(&self, path: &Path) -> bool {
        let Ok(target) = std::fs::metadata(path) else {
            return false;
        };
        let target = Some((target.dev(), target.ino()));
        self.files().iter().any(|file| file.identity == target)
    }

    /// Starts reading from the first frame.
    pub fn chunks(&self) -> ChunkReader {
        ChunkReader::new(self.clone())
    }

    /// Bytes of all files, as far as can be told.
    pub(super) fn expected_bytes(&self) -> u64 {
        self.files()
            .iter()
            .fold(0, |sum, file| sum.saturating_add(file.expected_bytes()))
    }

    /// Makes an interface known for reading by position. A second reader of the same capture finds the same
    /// interfaces in the same order, so a known number is left as it is.
    pub(super) fn declare(&self, id: InterfaceId, interface: &Interface) {
        let mut known = self
            .inner
            .interfaces
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if id.index() == known.len() {
            known.push(Known {
                file: interface.file,
                link_type: interface.link_type,
                blocks: interface.blocks,
            });
        }
    }

    /// Takes note of blocks beside the frames; a second reader of the same capture finds the same ones.
    pub(super) fn note(&self, blocks: &[SideBlock]) {
        if blocks.is_empty() {
            return;
        }
        let mut known = self
            .inner
            .side_blocks
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        for block in blocks {
            if known.len() < MAX_SIDE_BLOCKS {
                known.insert((block.file, block.offset.0), *block);
            }
        }
    }

    /// The blocks beside the frames that were met so far, in the order of the files.
    pub fn side_blocks(&self) -> Vec<SideBlock> {
        let known = self
            .inner
            .side_blocks
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        known.values().copied().collect()
    }

    pub(super) fn known(&self, id: InterfaceId) -> Option<Known> {
        let known = self
            .inner
            .interfaces
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        known.get(id.index()).copied()
    }

    /// The file that declares an interface.
    pub(super) fn file_of(&self, id: InterfaceId) -> io::Result<&CaptureFile> {
        self.known(id)
            .and_then(|known| self.files().get(known.file))
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "unknown interface"))
    }
}

impl FrameSource for Capture {
    fn read_frame(
        &self,
        interface: InterfaceId,
        offset: FileOffset,
        captured: u32,
        buf: &mut Vec<u8>,
    ) -> io::Result<()> {
        buf.resize(usize::try_from(captured).unwrap_or(0), 0);
        let got = self
            .file_of(interface)
            .and_then(|file| file.source().read_at(buf, offset.0));
        buf.truncate(*got.as_ref().unwrap_or(&0));
        got.map(drop)
    }

    fn comments(
        &self,
        interface: InterfaceId,
        offset: FileOffset,
        captured: u32,
    ) -> io::Result<Vec<String>> {
        let file = self
            .known(interface)
            .and_then(|known| self.files().get(known.file));
        match file {
            Some(file) if file.format.starts_with("pcapng") => {
                cut::comments(offset.0, captured, |buf, at| file.source.read_at(buf, at))
            }
            _ => Ok(Vec::new()),
        }
    }

    fn link_type(&self, interface: InterfaceId) -> Option<u32> {
        self.known(interface).map(|known| known.link_type)
    }
}

fn open_file(path: &Path, follow: bool) -> Result<CaptureFile, OpenError> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => OpenError::Missing(path.to_owned()),
        io::ErrorKind::IsADirectory => OpenError::Folder(path.to_owned()),
        _ => OpenError::Unreadable(path.to_owned(), error),
    };
    if path == Path::new("-") {
        // Keys would be taken for bytes of the capture, Ctrl-C among them.
        if io::stdin().is_terminal() {
            return Err(OpenError::Terminal);
        }
        let path = PathBuf::from("standard input");
        return match stream(io::stdin(), 0, None) {
            Ok((source, compression)) => capture_file(path, source, compression),
            Err(error) => Err(OpenError::Unreadable(path, error)),
        };
    }
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(OpenError::Folder(path.to_owned()));
    }
    let (source, compression) = if metadata.is_file() {
        regular(file, metadata.len(), follow)
    } else {
        stream(file, 0, None)
    }
    .map_err(unreadable)?;
    let mut opened = capture_file(path.to_owned(), source, compression)?;
    if metadata.is_file() {
        opened.size = metadata.len();
        opened.identity = Some((metadata.dev(), metadata.ino()));
    }
    Ok(opened)
}

/// A file proper: read where it stands, or unpacked.
fn regular(file: File, size: u64, follow: bool) -> io::Result<(Source, Option<Compression>)> {
    let source = Source::File(file);
    while follow && source.size()? < to_u64(Cutter::HEADER) {
        std::thread::sleep(PATIENCE);
    }
    let mut magic = [0; Compression::MAGIC];
    let len = source.read_at(&mut magic, 0)?;
    match (
        source,
        Compression::detect(magic.get(..len).unwrap_or_default()),
    ) {
        (Source::File(file), Some(compression)) => stream(file, size, Some(compression)),
        (source, _) => Ok((source, None)),
    }
}

/// A stream: copied to a temporary file, unpacked if need be. Its compression is found out where it is not known.
fn stream(
    mut input: impl Read + Send + 'static,
    size: u64,
    compression: Option<Compression>,
) -> io::Result<(Source, Option<Compression>)> {
    let mut magic = Vec::new();
    if compression.is_none() {
        let limit = to_u64(Compression::MAGIC);
        input.by_ref().take(limit).read_to_end(&mut magic)?;
    }
    let compression = compression.or_else(|| Compression::detect(&magic));
    let counted = Counted::new(Cursor::new(magic).chain(input), size);
    let count = counted.input();
    let spool = match compression {
        Some(compression) => Spool::start(compression.unpack(counted)?, count)?,
        None => Spool::start(counted, count)?,
    };
    Ok((Source::Spool(spool), compression))
}

fn capture_file(
    path: PathBuf,
    source: Source,
    compression: Option<Compression>,
) -> Result<CaptureFile, OpenError> {
    let mut start = [0; Cutter::HEADER];
    let wanted = to_u64(Cutter::HEADER).saturating_sub(1);
    // Until the header is there, or the stream has ended.
    let enough = |source: &Source| source.size().is_ok_and(|size| size > wanted);
    while !enough(&source) && source.growing(wanted, PATIENCE) {}
    let read = source
        .size()
        .and_then(|size| Ok((size, source.read_at(&mut start, 0)?)));
    let (size, len) = match read {
        Ok(read) => read,
        Err(error) => return Err(OpenError::Unreadable(path, error)),
    };
    let start = start.get(..len).unwrap_or_default();
    if start.is_empty() {
        return Err(match source.error() {
            Some(error) => OpenError::BrokenHeader(path, format!("cannot be unpacked: {error}")),
            None => OpenError::Empty(path),
        });
    }
    match Cutter::detect(start) {
        Detected::Format(cutter) => Ok(CaptureFile {
            path,
            size: match source {
                Source::Spool(_) => 0,
                Source::File(_) | Source::Bytes(_) => size,
            },
            format: compress::name(cutter.name(), compression),
            source,
            identity: None,
            first_time: None,
        }),
        Detected::Broken(what) => Err(OpenError::BrokenHeader(path, what)),
        Detected::Other => Err(OpenError::NotACapture(path, start.to_vec())),
    }
}

/// Time of a file's first frame.
fn first_time(file: &CaptureFile) -> Option<Nanos> {
    let mut reader = FileReader::new(0, false);
    let pool = Pool::default();
    let mut interface = 0;
    loop {
        match reader.step(file, &pool, &mut interface) {
            Step::Chunk(chunk) => {
                if let Some(record) = chunk.records.first() {
                    return Some(record.time);
                }
            }
            Step::Busy | Step::Waiting => {}
            Step::Idle | Step::Done => return None,
        }
    }
}
