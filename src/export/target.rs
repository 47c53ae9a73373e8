//! Where an export goes: a temporary file beside the target that is renamed when all is written, or standard
//! output. Nothing half written stays behind, and the open capture is never touched.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::block_file::BlockFile;
use super::error::ExportError;
use super::format::Compression;

/// Bytes that are gathered before they are written.
const BUFFER: usize = 1 << 18;

/// Where an export goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// A file; compressed when its name says so.
    File(PathBuf),
}

impl Target {
    /// `-` is standard output, everything else a file.
    pub fn from_arg(arg: &Path) -> Self {
        if arg.as_os_str() == "-" {
            Self::Stdout
        } else {
            Self::File(arg.to_owned())
        }
    }

    /// The file's path.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Stdout => None,
            Self::File(path) => Some(path),
        }
    }

    /// Whether something would have to be replaced.
    pub fn exists(&self) -> bool {
        self.path().is_some_and(|p| p.symlink_metadata().is_ok())
    }

    /// Checks that it may be written: not the capture, not a folder, not an existing file unless `force`.
    pub fn check(&self, is_input: &dyn Fn(&Path) -> bool, force: bool) -> Result<(), ExportError> {
        let Self::File(path) = self else {
            return Ok(());
        };
        if let Ok(meta) = fs::metadata(path) {
            if meta.is_dir() {
                return Err(ExportError::IsFolder(path.clone()));
            }
            if is_input(path) {
                return Err(ExportError::IsTheCapture(path.clone()));
            }
            if meta.is_file() && !force {
                return Err(ExportError::Exists(path.clone()));
            }
        } else if self.exists() && !force {
            return Err(ExportError::Exists(path.clone()));
        }
        Ok(())
    }

    /// Lets `fill` write, then puts the result in place; returns the bytes written.
    pub(super) fn write(
        &self,
        is_input: &dyn Fn(&Path) -> bool,
        force: bool,
        needs: u64,
        fill: impl FnOnce(&mut Sink<'_>) -> Result<(), ExportError>,
    ) -> Result<u64, ExportError> {
        self.check(is_input, force)?;
        let Self::File(path) = self else {
            let failed = |error| ExportError::Write {
                path: None,
                error,
                needs,
                begun: true,
            };
            let mut out = Counted::new(BufWriter::with_capacity(BUFFER, io::stdout().lock()));
            fill(&mut Sink::new(&mut out)).map_err(|e| place(e, &failed))?;
            out.flush().map_err(failed)?;
            return Ok(out.bytes);
        };
        // A device or a pipe: nothing can be renamed onto it.
        let begun = fs::metadata(path).is_ok_and(|m| !m.is_file());
        let failed = |error| ExportError::Write {
            path: Some(path.clone()),
            error,
            needs,
            begun,
        };
        if begun {
            let device = File::options().write(true).open(path).map_err(failed)?;
            let mut out = Counted::new(BufWriter::with_capacity(BUFFER, device));
            fill(&mut Sink::new(&mut out)).map_err(|e| place(e, &failed))?;
            out.flush().map_err(failed)?;
            return Ok(out.bytes);
        }
        // A link is followed, so that it still leads to the new file.
        let path_to_write = fs::canonicalize(path).unwrap_or_else(|_| path.clone());
        let folder = match path_to_write.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut new = BlockFile::create(folder, needs).map_err(failed)?;
        match Compression::from_path(path) {
            Compression::None => fill(&mut Sink::of_file(&mut new)),
            compression => {
                let mut packer = Packer::new(&mut new, compression).map_err(failed)?;
                fill(&mut Sink::new(&mut packer))
                    .and_then(|()| packer.finish().map_err(ExportError::from))
            }
        }
        .map_err(|e| place(e, &failed))?;
        let (part, bytes) = new.finish().map_err(failed)?;
        if force {
            part.persist(&path_to_write).map_err(|e| failed(e.error))?;
        } else {
            part.persist_noclobber(&path_to_write).map_err(|e| {
                if e.error.kind() == io::ErrorKind::AlreadyExists {
                    ExportError::Exists(path.clone())
                } else {
                    failed(e.error)
                }
            })?;
        }
        Ok(bytes)
    }
}

/// Says where a failed write happened and what it needed.
fn place(error: ExportError, failed: &dyn Fn(io::Error) -> ExportError) -> ExportError {
    match error {
        ExportError::Write { error, .. } => failed(error),
        other => other,
    }
}

/// What an export is written to: any writer, or a new file into which long stretches of a capture are read without
/// a further copy.
pub(super) struct Sink<'a> {
    out: Out<'a>,
}

enum Out<'a> {
    Any(&'a mut dyn Write),
    File(&'a mut BlockFile),
}

impl<'a> Sink<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self { out: Out::Any(out) }
    }

    fn of_file(file: &'a mut BlockFile) -> Self {
        Self {
            out: Out::File(file),
        }
    }

    /// Takes in `len` bytes. `read` fills what it is given with those that follow the number of bytes which it had
    /// filled before.
    pub(super) fn take_in(
        &mut self,
        len: usize,
        mut read: impl FnMut(&mut [u8], usize) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        let file = match &mut self.out {
            Out::File(file) => file,
            Out::Any(out) => {
                let mut bytes = vec![0; len];
                read(&mut bytes, 0)?;
                return Ok(out.write_all(&bytes)?);
            }
        };
        let mut done = 0_usize;
        while done < len {
            let room = file.room()?;
            let n = room.len().min(len.saturating_sub(done));
            read(room.get_mut(..n).unwrap_or_default(), done)?;
            file.took(n);
            done = done.saturating_add(n);
        }
        Ok(())
    }
}

impl Write for Sink<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match &mut self.out {
            Out::Any(out) => out.write(buf),
            Out::File(file) => file.write(buf),
        }
    }

    fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        match &mut self.out {
            Out::Any(out) => out.write_all(buf),
            Out::File(file) => file.write_all(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.out {
            Out::Any(out) => out.flush(),
            Out::File(file) => file.flush(),
        }
    }
}

/// Counts the bytes that pass.
struct Counted<W> {
    inner: W,
    bytes: u64,
}

impl<W> Counted<W> {
    fn new(inner: W) -> Self {
        Self { inner, bytes: 0 }
    }
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buf)?;
        self.bytes = self.bytes.saturating_add(n as u64);
        Ok(n)
    }

    fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        self.inner.write_all(buf)?;
        self.bytes = self.bytes.saturating_add(buf.len() as u64);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Compresses what is written, or hands it on as it is.
enum Packer<W: Write> {
    Plain(W),
    Gzip(flate2::write::GzEncoder<W>),
    Zstd(zstd::Encoder<'static, W>),
    Lz4(Box<lz4_flex::frame::FrameEncoder<W>>),
}

impl<W: Write> Packer<W> {
    fn new(out: W, compression: Compression) -> io::Result<Self> {
        Ok(match compression {
            Compression::None => Self::Plain(out),
            Compression::Gzip => Self::Gzip(flate2::write::GzEncoder::new(
                out,
                flate2::Compression::default(),
            )),
            Compression::Zstd => Self::Zstd(zstd::Encoder::new(out, 0)?),
            Compression::Lz4 => Self::Lz4(Box::new(lz4_flex::frame::FrameEncoder::new(out))),
        })
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Plain(_) => {}
            Self::Gzip(out) => drop(out.finish()?),
            Self::Zstd(out) => drop(out.finish()?),
            Self::Lz4(out) => drop(out.finish().map_err(io::Error::other)?),
        }
        Ok(())
    }
}

impl<W: Write> Write for Packer<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(out) => out.write(buf),
            Self::Gzip(out) => out.write(buf),
            Self::Zstd(out) => out.write(buf),
            Self::Lz4(out) => out.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.flush(),
            Self::Gzip(out) => out.flush(),
            Self::Zstd(out) => out.flush(),
            Self::Lz4(out) => out.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, capture: Option<&Path>, force: bool) -> Result<u64, ExportError> {
        let real = |path: &Path| fs::canonicalize(path).unwrap();
        let is_input = |target: &Path| capture.is_some_and(|c| real(c) == real(target));
        let target = Target::File(path.to_owned());
        target.write(&is_input, force, 4, |out| Ok(out.write_all(b"data")?))
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn an_existing_file_is_replaced_only_when_forced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        fs::write(&path, "old").unwrap();
        assert!(matches!(
            write(&path, None, false),
            Err(ExportError::Exists(_))
        ));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(write(&path, None, true).unwrap(), 4);
        assert_eq!(fs::read(&path).unwrap(), b"data");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn the_open_capture_is_never_written_not_even_when_forced() {
        let folder = tempfile::tempdir().unwrap();
        let capture = folder.path().join("capture.pcap");
        fs::write(&capture, "frames").unwrap();
        let result = write(&capture, Some(&capture), true);
        assert!(matches!(result, Err(ExportError::IsTheCapture(_))));
        assert_eq!(fs::read(&capture).unwrap(), b"frames");
    }

    #[test]
    fn a_failed_export_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let target = Target::File(folder.path().join("a.txt"));
        let result = target.write(&|_| false, false, 9, |out| {
            out.write_all(b"half").unwrap();
            Err(ExportError::Stopped)
        });
        assert!(matches!(result, Err(ExportError::Stopped)));
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn a_missing_folder_and_a_folder_as_target_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = write(&folder.path().join("no/a.txt"), None, false).unwrap_err();
        assert!(
            error.to_string().contains("there is no such folder"),
            "{error}"
        );
        let file = folder.path().join("a.txt");
        write(&file, None, false).unwrap();
        let below = write(&file.join("b.txt"), None, false).unwrap_err();
        assert!(below.to_string().contains("is no folder"), "{below}");
        let long = folder.path().join("n".repeat(300));
        let long = write(&long, None, false).unwrap_err();
        assert!(long.to_string().contains("a shorter one"), "{long}");
        assert!(matches!(
            write(folder.path(), None, true),
            Err(ExportError::IsFolder(_))
        ));
    }

    #[cfg(unix)]
    #[test]
    fn a_full_disk_is_said_with_the_bytes_needed() {
        let target = Target::File(PathBuf::from("/dev/full"));
        let error = target
            .write(&|_| false, true, 2_100_000, |out| {
                Ok(out.write_all(b"data")?)
            })
            .unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("/dev/full: no space left (needs 2.1 MB)"),
            "{text}"
        );
    }

    #[test]
    fn the_name_chooses_the_compression() {
        use std::io::Read;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt.gz");
        write(&path, None, false).unwrap();
        let mut text = String::new();
        flate2::read::MultiGzDecoder::new(File::open(&path).unwrap())
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "data");
        let path = folder.path().join("a.txt.zst");
        write(&path, None, false).unwrap();
        assert_eq!(
            zstd::decode_all(File::open(&path).unwrap()).unwrap(),
            b"data"
        );
    }
}
