//! Opening captures: which format a file has, and the handle that reads its frames again by position.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use super::chunk::FrameSource;
use super::cut::{Cutter, Detected};
use super::error::OpenError;
use super::reader::ChunkReader;
use super::source::Source;
use crate::units::{FileOffset, InterfaceId};

/// How captures are opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpenOptions {
    /// The files may still grow: what is missing at their end is waited for.
    pub follow: bool,
}

/// An open capture: one or several files. Cheap to clone; all clones read the same files.
#[derive(Debug, Clone)]
pub struct Capture {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    files: Vec<CaptureFile>,
    options: OpenOptions,
    interfaces: RwLock<Vec<Known>>,
}

/// What is kept of an interface for reading frames by position.
#[derive(Debug, Clone, Copy)]
struct Known {
    file: usize,
    link_type: u32,
}

/// One file of a capture.
#[derive(Debug)]
pub struct CaptureFile {
    path: PathBuf,
    size: u64,
    format: &'static str,
    source: Source,
}

impl CaptureFile {
    /// Its path as given; a name in brackets where there is no file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `pcap`, `pcapng` …, with the compression where there is one.
    pub fn format(&self) -> &'static str {
        self.format
    }

    /// Its size in bytes when it was opened.
    pub fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }
}

impl Capture {
    /// Opens one or several capture files.
    ///
    /// # Errors
    /// The first file that is missing, a folder, empty, no capture, or not readable.
    pub fn open(paths: &[PathBuf], options: &OpenOptions) -> Result<Self, OpenError> {
        if paths.is_empty() {
            return Err(OpenError::Nothing);
        }
        let files = paths
            .iter()
            .map(|path| open_file(path))
            .collect::<Result<_, _>>()?;
        Ok(Self::with(files, *options))
    }

    /// A capture from bytes in memory, under a name.
    ///
    /// # Errors
    /// The bytes are no capture.
    pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Result<Self, OpenError> {
        let file = capture_file(PathBuf::from(name), Source::Bytes(bytes))?;
        Ok(Self::with(vec![file], OpenOptions::default()))
    }

    fn with(files: Vec<CaptureFile>, options: OpenOptions) -> Self {
        Self {
            inner: Arc::new(Inner {
                files,
                options,
                interfaces: RwLock::default(),
            }),
        }
    }

    /// The files, in the order in which their frames are read.
    pub fn files(&self) -> &[CaptureFile] {
        &self.inner.files
    }

    /// How it was opened.
    pub fn options(&self) -> OpenOptions {
        self.inner.options
    }

    /// Whether a path leads to one of the open files (under any name), which must then not be written to.
    pub fn is_input(&self, path: &Path) -> bool {
        use std::os::unix::fs::MetadataExt;
        let Ok(target) = std::fs::metadata(path) else {
            return false;
        };
        self.files().iter().any(|file| match file.source() {
            Source::File(open) => open
                .metadata()
                .is_ok_and(|m| m.dev() == target.dev() && m.ino() == target.ino()),
            Source::Bytes(_) => false,
        })
    }

    /// Starts reading from the first frame.
    pub fn chunks(&self) -> ChunkReader {
        ChunkReader::new(self.clone())
    }

    /// Makes an interface known for reading by position. A second reader of the same capture finds the same
    /// interfaces in the same order, so a known number is left as it is.
    pub(super) fn declare(&self, id: InterfaceId, file: usize, link_type: u32) {
        let mut known = self
            .inner
            .interfaces
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if id.index() == known.len() {
            known.push(Known { file, link_type });
        }
    }

    fn known(&self, id: InterfaceId) -> Option<Known> {
        let known = self
            .inner
            .interfaces
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        known.get(id.index()).copied()
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
        buf.clear();
        let file = self
            .known(interface)
            .and_then(|known| self.files().get(known.file))
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "unknown interface"))?;
        buf.resize(usize::try_from(captured).unwrap_or(0), 0);
        let got = file.source().read_at(buf, offset.0)?;
        buf.truncate(got);
        Ok(())
    }

    fn link_type(&self, interface: InterfaceId) -> Option<u32> {
        self.known(interface).map(|known| known.link_type)
    }
}

fn open_file(path: &Path) -> Result<CaptureFile, OpenError> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => OpenError::Missing(path.to_owned()),
        io::ErrorKind::IsADirectory => OpenError::Folder(path.to_owned()),
        _ => OpenError::Unreadable(path.to_owned(), error),
    };
    let file = File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.is_dir() {
        return Err(OpenError::Folder(path.to_owned()));
    }
    capture_file(path.to_owned(), Source::File(file))
}

fn capture_file(path: PathBuf, source: Source) -> Result<CaptureFile, OpenError> {
    let mut start = [0; Cutter::HEADER];
    let read = source
        .size()
        .and_then(|size| Ok((size, source.read_at(&mut start, 0)?)));
    let (size, len) = match read {
        Ok(read) => read,
        Err(error) => return Err(OpenError::Unreadable(path, error)),
    };
    let start = start.get(..len).unwrap_or_default();
    if start.is_empty() {
        return Err(OpenError::Empty(path));
    }
    match Cutter::detect(start) {
        Detected::Format(cutter) => Ok(CaptureFile {
            path,
            size,
            format: cutter.name(),
            source,
        }),
        Detected::Broken(what) => Err(OpenError::BrokenHeader(path, what)),
        Detected::Other => Err(OpenError::NotACapture(path, start.to_vec())),
    }
}
