//! A whole capture, redacted and indexed again: what is written from it as text cannot hold what it does not hold.

use crate::capture::{Capture, OpenOptions};
use crate::export::error::ExportError;
use crate::export::format::Format;
use crate::export::frames::FrameSet;
use crate::export::job::{Job, Options, Redaction};
use crate::export::packets;
use crate::export::plan::{Choice, Plan, What};
use crate::export::target::Sink;
use crate::rules;
use crate::store::{Batch, FileRow, Store};
use crate::track;

/// The name under which a redacted copy appears.
const NAME: &str = "redacted.pcapng";

/// A redacted copy with its own index; the file goes when it is dropped.
pub(in crate::export) struct Copy {
    pub(in crate::export) capture: Capture,
    pub(in crate::export) store: Store,
    _file: tempfile::NamedTempFile,
}

impl Copy {
    /// Copies the whole capture of a job: frame numbers stay those of the original.
    pub(in crate::export) fn new(
        job: &Job<'_>,
        wish: Redaction,
        settings: &rules::Settings,
    ) -> Result<Self, ExportError> {
        let plan = Plan::new(job.store, &Choice::of(What::All));
        let options = Options {
            comments: false,
            marks: FrameSet::new(),
            redact: Some(wish),
            ..Options::of(Format::Pcapng)
        };
        let whole = Job {
            plan: &plan,
            options: &options,
            ..*job
        };
        let mut file = tempfile::NamedTempFile::new()?;
        {
            let mut out = std::io::BufWriter::with_capacity(1 << 18, file.as_file_mut());
            packets::write_pcapng(&whole, &mut Sink::new(&mut out))?;
            std::io::Write::flush(&mut out)?;
        }
        let capture = Capture::open(&[file.path().to_owned()], &OpenOptions::default())
            .map_err(|error| ExportError::Read(std::io::Error::other(error)))?;
        let mut store = track::load(&capture);
        name_files(&mut store);
        rules::judge(&mut store, settings);
        Ok(Self {
            capture,
            store,
            _file: file,
        })
    }

    /// The job on this copy.
    pub(in crate::export) fn job<'c>(
        &'c self,
        job: &Job<'c>,
        plan: &'c Plan,
        options: &'c Options,
    ) -> Job<'c> {
        Job {
            store: &self.store,
            capture: &self.capture,
            plan,
            options,
            ..*job
        }
    }
}

/// The copy's file has a name by chance and a place that nobody needs to know.
fn name_files(store: &mut Store) {
    let files = store
        .files()
        .iter()
        .map(|file| FileRow {
            path: NAME.to_owned(),
            ..file.clone()
        })
        .collect();
    let progress = store.progress().clone();
    store.append(Batch {
        files,
        progress,
        ..Batch::default()
    });
}
