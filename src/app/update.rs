//! The only place that changes the state: an event comes in, effects go out.

use super::command::Command;
use super::event::{Effect, Event};
use super::key::{Key, KeyCode};
use super::keymap::Lookup;
use super::layout::Pane;
use super::{App, Layer, Tone, Totals, summary};

/// The greatest number that can be typed before a command.
const MOST_COUNT: u32 = 1_000_000_000;

/// Takes in an event.
pub fn update(app: &mut App, event: Event) -> Vec<Effect> {
    let passive = matches!(event, Event::Batch(_) | Event::Stats(_) | Event::Looked(_));
    let effects = take_in(app, event);
    if !(passive && app.is_being_read()) {
        app.totals = Totals {
            last: app.store.last_frame(),
            conns: app.store.conns().len(),
            sid: app.greatest_sid.0,
        };
    }
    app.note_end();
    app.settle_lanes();
    app.settle_tree();
    effects
}

fn take_in(app: &mut App, event: Event) -> Vec<Effect> {
    match event {
        Event::Key(key) => return app.key(key),
        Event::Mouse(mouse) => return app.mouse(mouse),
        Event::Paste(text) => {
            if let Some(prompt) = &mut app.prompt {
                prompt.paste(&text);
                return app.check_prompt();
            }
        }
        Event::Resize(w, h) => {
            app.resize((w, h));
            app.show_cursor(true);
            app.fit_window();
            app.show_telling_part();
            if !app.panes().contains(&app.focus) {
                app.focus = Pane::List;
            }
        }
        Event::Batch(batch) => {
            let caught_up = batch.progress.caught_up;
            app.with_store(|store| store.append(*batch));
            app.keep_at_end();
            app.grown();
            // A live capture never ends by itself: what there is so far is judged, and again when there is more.
            if caught_up {
                return app.read_so_far();
            }
        }
        Event::Indexed(stopped) => {
            app.jobs.indexing = false;
            app.forget_decoded();
            if let Some(why) = stopped {
                app.announce(
                    Tone::Error,
                    format!("{why}; what was read before stays usable"),
                );
            }
            return app.read_so_far();
        }
        Event::Work => return app.work(),
        Event::Found {
            job,
            frames,
            asked,
            done,
        } => app.found(job, frames, asked, done),
        Event::Looked(looked) => app.looked(looked),
        Event::Exported(result) => app.exported(result),
        Event::Exporting(frames) => app.jobs.exporting = Some(frames),
        Event::ExportText(text) => return app.export_text(text),
        Event::Foreseen(number, foreseen) => app.foreseen(number, foreseen),
        Event::RulesApplied(job, applied) => app.rules_applied(job, *applied),
        Event::ListWritten(path, result) => app.list_written(path, result),
        Event::Run(command, count) => return app.run_decoded(command, count),
        Event::Message(result) => app.tell(result),
        Event::Kept(result) => app.tell_kept(result),
        Event::Resumed => {}
        Event::Stats(stats) => app.stats = stats,
    }
    Vec::new()
}

impl App {
    /// The terminal has another size: what was made for the one before is made anew.
    fn resize(&mut self, size: (u16, u16)) {
        let is_summary =
            |app: &Self| matches!(&app.message, Some((_, text)) if *text == summary(app));
        let summed_up = is_summary(self);
        let all_shown = self.settings.columns.is_some() && self.columns_left_out().is_none();
        self.size = size;
        if summed_up {
            self.message = Some((Tone::Info, summary(self)));
        }
        if all_shown && let Some(text) = self.columns_left_out() {
            self.announce(Tone::Info, text);
        }
        let height = self.layer_height();
        for layer in &mut self.layers {
            if let Layer::Text(page) = layer {
                page.fit(size.0, height);
            }
        }
    }

    pub(super) fn tell(&mut self, result: Result<String, String>) {
        match result {
            Ok(text) => self.say(Tone::Info, text),
            Err(text) => self.say(Tone::Error, text),
        }
    }

    /// A setting was kept, or could not be; what was said of it stands in front.
    fn tell_kept(&mut self, result: Result<String, String>) {
        let said = match (&self.message, &result) {
            (Some((Tone::Info, said)), Ok(text)) => Ok(format!("{said}; {text}")),
            _ => result,
        };
        self.tell(said);
    }

    /// A key: to the input line, to the search of the help, as a digit, or as part of a sequence.
    fn key(&mut self, key: Key) -> Vec<Effect> {
        if self.prompt.is_some() {
            return self.prompt_key(key);
        }
        self.message_read();
        if matches!(self.layers.last(), Some(Layer::Help(_))) && self.help_key(key) {
            return Vec::new();
        }
        if matches!(self.layers.last(), Some(Layer::Export(_))) {
            return self.form_key(key);
        }
        if self.pending.is_empty()
            && let Some(digit) = key.digit()
            && (digit > 0 || self.count.is_some())
        {
            let count = self
                .count
                .unwrap_or(0)
                .saturating_mul(10)
                .saturating_add(digit);
            self.count = Some(count.min(MOST_COUNT));
            return Vec::new();
        }
        self.pending.push(key);
        match self.keymap.lookup(self.context(), &self.pending) {
            Lookup::Prefix => Vec::new(),
            Lookup::Command(command) => {
                self.pending.clear();
                let count = self.count.take();
                self.run(command, count)
            }
            Lookup::None => {
                let escape = key == Key::plain(KeyCode::Esc);
                if !escape || self.pending.len() < 2 {
                    let keys = super::key::show_sequence(&self.pending);
                    let help = self.key_of(Command::Help);
                    self.say(
                        Tone::Error,
                        format!("{keys} means nothing here; {help} shows the keys"),
                    );
                }
                self.pending.clear();
                self.count = None;
                Vec::new()
            }
        }
    }

    /// The first key of a command, for messages.
    pub fn key_of(&self, command: Command) -> String {
        self.keymap
            .keys_of(command)
            .into_iter()
            .next()
            .unwrap_or_else(|| format!(":{}", command.entry().name))
    }

    /// In the help, letters search; what begins with the key that closes is searched for behind `/`. Returns whether the key was taken.
    fn help_key(&mut self, key: Key) -> bool {
        let Some(Layer::Help(help)) = self.layers.last_mut() else {
            return false;
        };
        match (key.code, key.ctrl) {
            (KeyCode::Char('/'), false) if help.search.is_empty() => help.begun = true,
            (KeyCode::Char('q' | '?'), false) if help.search.is_empty() && !help.begun => {
                return false;
            }
            (KeyCode::Char(c), false) => help.search.push(c),
            (KeyCode::Backspace, _) => {
                help.begun &= help.search.pop().is_some();
            }
            _ => return false,
        }
        help.top = 0;
        true
    }
}
