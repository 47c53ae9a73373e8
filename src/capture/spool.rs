//! A stream made readable at any position: a thread copies it to a temporary file without a name, from which it
//! can be read while it still grows.

use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::source::read_file;

/// Bytes copied at once.
const PIECE: usize = 128 << 10;

/// The file that a stream is copied to. Dropping it ends the copying.
#[derive(Debug)]
pub(super) struct Spool {
    file: File,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    progress: Mutex<Progress>,
    changed: Condvar,
    unwanted: AtomicBool,
    input: Arc<Input>,
}

#[derive(Debug, Default, Clone)]
struct Progress {
    len: u64,
    done: bool,
    error: Option<String>,
}

/// How far the stream's own input has been read: compressed bytes, where it is compressed.
#[derive(Debug, Default)]
pub(super) struct Input {
    read: AtomicU64,
    /// Its size; 0 where that is not known.
    size: AtomicU64,
}

/// Counts what is read from a stream's input.
#[derive(Debug)]
pub(super) struct Counted<R> {
    inner: R,
    input: Arc<Input>,
}

impl<R: Read> Counted<R> {
    /// Counts the bytes of an input of `size` bytes (0 where that is not known).
    pub(super) fn new(inner: R, size: u64) -> Self {
        let input = Arc::new(Input::default());
        input.size.store(size, Ordering::Relaxed);
        Self { inner, input }
    }

    /// The count.
    pub(super) fn input(&self) -> Arc<Input> {
        Arc::clone(&self.input)
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buf)?;
        let more = u64::try_from(got).unwrap_or(0);
        self.input.read.fetch_add(more, Ordering::Relaxed);
        Ok(got)
    }
}

impl Spool {
    /// Starts to copy a stream. `input` counts what is read from below it.
    pub(super) fn start(stream: impl Read + Send + 'static, input: Arc<Input>) -> io::Result<Self> {
        let file = tempfile::tempfile()?;
        let output = file.try_clone()?;
        let shared = Arc::new(Shared {
            input,
            ..Shared::default()
        });
        let theirs = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("spool".to_owned())
            .spawn(move || {
                let error = copy(stream, output, &theirs).err();
                let mut progress = theirs.lock();
                progress.done = true;
                progress.error = error.map(|error| error.to_string());
                theirs.changed.notify_all();
            })?;
        Ok(Self { file, shared })
    }

    pub(super) fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        read_file(&self.file, buf, offset)
    }

    /// Bytes there are so far.
    pub(super) fn len(&self) -> u64 {
        self.shared.lock().len
    }

    /// Waits, at most `patience`, until there are bytes behind `position` or no more will come. Returns whether
    /// there are some or may still come.
    pub(super) fn wait(&self, position: u64, patience: Duration) -> bool {
        let waiting = |progress: &mut Progress| !progress.done && progress.len <= position;
        let progress = self.shared.lock();
        let waited = self
            .shared
            .changed
            .wait_timeout_while(progress, patience, waiting);
        let (progress, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !progress.done || progress.len > position
    }

    /// Why the copying ended before the stream's end.
    pub(super) fn error(&self) -> Option<String> {
        self.shared.lock().error.clone()
    }

    /// An estimate of the bytes there will be: those there are, scaled by how far the input has been read.
    pub(super) fn expected(&self) -> u64 {
        let progress = self.shared.lock().clone();
        let read = self.shared.input.read.load(Ordering::Relaxed);
        let size = self.shared.input.size.load(Ordering::Relaxed);
        if progress.done || read == 0 || size <= read {
            return progress.len;
        }
        let scaled = u128::from(progress.len)
            .saturating_mul(u128::from(size))
            .checked_div(u128::from(read));
        scaled
            .and_then(|n| u64::try_from(n).ok())
            .unwrap_or(progress.len)
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.shared.unwanted.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn copy(mut stream: impl Read, mut output: File, shared: &Shared) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    while !shared.unwanted.load(Ordering::Relaxed) {
        let got = match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(got) => got,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        output.write_all(piece.get(..got).unwrap_or_default())?;
        let mut progress = shared.lock();
        progress.len = progress.len.saturating_add(u64::try_from(got).unwrap_or(0));
        shared.changed.notify_all();
    }
    Ok(())
}
