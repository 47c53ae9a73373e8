//! The export form in use: opening it, its keys, and what comes back from the export.

use super::export_form::Done;
use super::key::Key;
use super::{App, Effect, ExportForm, Layer, Tone};
use crate::export::{ExportError, Written};

impl App {
    /// Opens the form.
    pub(super) fn open_export(&mut self) {
        if self.jobs.exporting.is_some() {
            self.say(Tone::Error, "an export is being written; Ctrl-C stops it");
            return;
        }
        let form = ExportForm::new(self);
        self.layers.push(Layer::Export(Box::new(form)));
    }

    /// Gives a key to the form.
    pub(super) fn form_key(&mut self, key: Key) -> Vec<Effect> {
        let Some(Layer::Export(mut form)) = self.layers.pop() else {
            return Vec::new();
        };
        match form.key(self, key) {
            Done::Left => {}
            Done::No => self.layers.push(Layer::Export(form)),
            Done::Write(order) => {
                self.layers.push(Layer::Export(form));
                self.jobs.exporting = Some(0);
                return vec![Effect::Export(order)];
            }
        }
        Vec::new()
    }

    /// An export has ended. A file that exists is asked about in the form; any other error leaves the form open too.
    pub(super) fn exported(&mut self, result: Result<Written, ExportError>) {
        self.jobs.exporting = None;
        let form = match self.layers.last_mut() {
            Some(Layer::Export(form)) => Some(form),
            _ => None,
        };
        match (result, form) {
            (Ok(written), form) => {
                if form.is_some() {
                    self.layers.pop();
                }
                self.say(Tone::Info, written.to_string());
            }
            (Err(ExportError::Exists(_)), Some(form)) => form.replace = true,
            (Err(error), _) => self.say(Tone::Error, error.to_string()),
        }
    }
}
