//! Filter and find in use: how a text becomes a search, what its hits do, and how it is cleared.

use super::App;
use super::event::{Effect, Search};
use super::layout::Pane;
use super::moves::none_shown;
use super::prompt::Mistake;
use super::rows::Rows;
use super::{Layer, Tone};
use crate::query::find::Needle;
use crate::query::{self, Context, Filter, ParseError, UnderCursor};
use crate::settings::Named;
use crate::settings::edit::quoted;
use crate::units::FrameNo;

/// A search that runs, or has run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Searching {
    /// Its number; hits of an older one are dropped.
    pub job: u64,
    /// It still runs.
    pub running: bool,
    /// Hits so far.
    pub hits: u64,
    /// Frames asked so far.
    pub asked: u64,
}

impl App {
    /// Reads a filter, with `%` standing for the value under the cursor.
    pub(super) fn read_filter(&self, text: &str) -> Result<Filter, ParseError> {
        self.with_context(|context| query::parse(text, context))
    }

    /// Whole inputs with what may stand at the cursor filled in.
    pub(super) fn filter_completions(&self, text: &str, cursor: usize) -> Vec<String> {
        let candidates = self.with_context(|context| query::complete(text, cursor, context));
        let filled = |candidate: query::Candidate| {
            let behind = candidate.start.saturating_add(candidate.length);
            let before: String = text.chars().take(candidate.start).collect();
            let after: String = text.chars().skip(behind).collect();
            format!("{before}{}{after}", candidate.text)
        };
        candidates.into_iter().map(filled).collect()
    }

    /// What a filter's text may refer to besides fields.
    fn with_context<T>(&self, use_it: impl FnOnce(&Context<'_>) -> T) -> T {
        let saved = self
            .settings
            .filters
            .iter()
            .map(|(name, text)| {
                let named = Named {
                    text: text.clone(),
                    place: crate::settings::Place::Default,
                };
                (name.clone(), named)
            })
            .collect();
        let value = self.field_under_cursor();
        let row = self.row_under_cursor();
        let cursor = value
            .as_deref()
            .map_or(UnderCursor::Row(&row), UnderCursor::Value);
        let own: Vec<_> = self.own_rules.iter().map(|rule| rule.id.clone()).collect();
        use_it(&Context {
            own_rules: Some(&own),
            cursor: Some(cursor),
            saved: Some(&saved),
            start: self.store.start_time(),
            ..Context::default()
        })
    }

    /// The value of the field under the decode cursor, if that has the focus.
    fn field_under_cursor(&self) -> Option<String> {
        if self.focus != Pane::Decode {
            return None;
        }
        let tree = self.decoded()?;
        let lines = self.tree.lines(tree);
        let field = lines.get(self.tree.cursor)?.field;
        Some(crate::dissect::render::value(&field.value))
    }

    /// What the row under the cursor says of fields.
    fn row_under_cursor(&self) -> Vec<(&'static str, String)> {
        let Some(facts) = self.cursor_facts() else {
            return Vec::new();
        };
        let sid = facts.sid.map(|sid| sid.to_string());
        let conn = facts.conn.map(|conn| conn.to_string());
        let frame = Some(self.list.cursor.to_string());
        let fields = [
            ("sid", sid.clone()),
            ("smp.sid", sid),
            ("conn", conn.clone()),
            ("tcp.stream", conn),
            ("frame", frame.clone()),
            ("frame.number", frame),
        ];
        let known = fields.into_iter();
        known
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }

    /// Sets the filter, as a change that can be undone. An empty text clears it.
    pub(super) fn set_filter(&mut self, text: &str) -> Result<Vec<Effect>, ParseError> {
        let filter = if text.is_empty() {
            None
        } else {
            Some(self.read_filter(text)?)
        };
        // Later the cursor stands elsewhere: what the filter asks for stays what it was.
        let text = filter.as_ref().map_or("", Filter::text).to_owned();
        self.change("filter", |app| app.filter = text);
        Ok(self.start_filter(filter))
    }

    /// Starts the filter whose text is set; one that cannot be read any more shows all frames.
    pub(super) fn restart_filter(&mut self) -> Vec<Effect> {
        let text = self.filter.clone();
        if text.is_empty() {
            return self.start_filter(None);
        }
        match self.read_filter(&text) {
            Ok(filter) => self.start_filter(Some(filter)),
            Err(error) => {
                self.say(Tone::Error, format!("filter: {error}"));
                self.filter.clear();
                self.start_filter(None)
            }
        }
    }

    fn start_filter(&mut self, filter: Option<Filter>) -> Vec<Effect> {
        let stopped = self.jobs.filter.job;
        self.jobs.filter = Searching::default();
        self.home = Some(self.list.cursor);
        let Some(filter) = filter else {
            self.list.rows = Rows::all();
            self.rows_old = false;
            self.home = None;
            self.show_cursor(true);
            return vec![Effect::StopSearch(stopped)];
        };
        for hint in filter.hints() {
            self.say(Tone::Info, format!("filter: {hint}"));
        }
        // The rows stay as they are until the filter's first answer.
        self.rows_old = true;
        let (begun, search) = self.begin_search(Needle::Filter(Box::new(filter)));
        self.jobs.filter = begun;
        vec![Effect::StopSearch(stopped), search]
    }

    fn begin_search(&mut self, needle: Needle) -> (Searching, Effect) {
        let job = self.next_job();
        let begun = Searching {
            job,
            running: true,
            ..Searching::default()
        };
        (begun, Effect::Search(Box::new(Search { job, needle })))
    }

    pub(super) fn next_job(&mut self) -> u64 {
        self.last_job = self.last_job.saturating_add(1);
        self.last_job
    }

    /// Stops the search that runs, the find before the filter; its hits stay.
    pub(super) fn stop_search(&mut self) -> Option<Effect> {
        let search = [&mut self.jobs.find, &mut self.jobs.filter]
            .into_iter()
            .find(|search| search.running)?;
        search.running = false;
        let job = search.job;
        self.find_wait = None;
        self.say(Tone::Info, "the search is stopped; its hits so far stay");
        Some(Effect::StopSearch(job))
    }

    /// Hits have come. They belong to the filter, to the find, or to a search that nobody waits for any more.
    pub(super) fn found(&mut self, job: u64, frames: Vec<FrameNo>, asked: u64, done: bool) {
        let more = frames.len() as u64;
        let note = |search: &mut Searching| {
            search.hits = search.hits.saturating_add(more);
            search.asked = asked;
            search.running = !done;
        };
        if job == self.jobs.filter.job {
            note(&mut self.jobs.filter);
            if !self.rows_old {
                self.list.rows.extend(frames);
                self.keep_at_end();
            } else if done || !frames.is_empty() {
                self.rows_old = false;
                self.list.rows = Rows::only(frames);
                self.list.top = 0;
            }
            self.come_home(done);
        } else if job == self.jobs.find.job {
            note(&mut self.jobs.find);
            let in_order = |hits: &[FrameNo]| hits.is_sorted_by(|a, b| a < b);
            let new = self.find_hits.len().saturating_sub(1);
            self.find_hits.extend(frames);
            if !self.find_hits.get(new..).is_some_and(in_order) {
                // What was found late stands in an earlier frame, which may be a hit already.
                self.find_hits.sort_unstable();
                self.find_hits.dedup();
                self.jobs.find.hits = self.find_hits.len() as u64;
            }
            self.find_arrived(done);
        } else if job == self.jobs.preview.job {
            note(&mut self.jobs.preview);
            let n = self.jobs.preview.hits;
            let sign = if done { "" } else { "+" };
            if let Some(prompt) = &mut self.prompt {
                let word = if n == 1 && done { "hit" } else { "hits" };
                prompt.remark = format!("{n}{sign} {word}");
            }
        }
    }

    /// Puts the cursor on the shown frame that is nearest to where it was when the filter was set.
    fn come_home(&mut self, done: bool) {
        if let Some(home) = self.home
            && self.list.rows.len(&self.store) > 0
        {
            self.land(home);
            if done || self.list.cursor >= home {
                self.home = None;
            }
        }
        if done && self.list.rows.len(&self.store) == 0 {
            self.home = None;
        }
    }

    /// Checks what is typed; a filter that the columns answer is counted at once.
    pub(super) fn check_search(&mut self, text: &str, find: bool) -> Vec<Effect> {
        let stop = Effect::StopSearch(self.jobs.preview.job);
        self.jobs.preview = Searching::default();
        if let Some(prompt) = &mut self.prompt {
            prompt.remark.clear();
            prompt.mistake = None;
        }
        let text = text.trim();
        if text.is_empty() {
            return vec![stop];
        }
        let read = if find {
            // Only a filter can be counted at once; text is looked for behind Enter.
            self.with_context(|context| Needle::parse(text, context))
                .map(|needle| match needle {
                    Needle::Filter(filter) => Some(*filter),
                    _ => None,
                })
        } else {
            self.read_filter(text).map(Some)
        };
        match read {
            Err(error) => {
                if let Some(prompt) = &mut self.prompt {
                    prompt.mistake = Some(Mistake {
                        at: error.column,
                        len: error.length.max(1),
                        text: error.to_string(),
                    });
                }
                vec![stop]
            }
            Ok(Some(filter)) if filter.is_indexed() => {
                let (begun, search) = self.begin_search(Needle::Filter(Box::new(filter)));
                self.jobs.preview = begun;
                vec![stop, search]
            }
            Ok(_) => vec![stop],
        }
    }

    /// `o`: the Sid, then the connection, then everything.
    pub(super) fn only_sid(&mut self) -> Vec<Effect> {
        let (Some(conn), sid) = self.sid_here() else {
            self.say(Tone::Error, "there is no connection here");
            return Vec::new();
        };
        let of_conn = format!("conn == {conn}");
        let of_sid = sid.map(|sid| format!("conn == {conn} and sid == {sid}"));
        let target = self.table().map(|table| table.target(self));
        let next = match of_sid {
            of_sid if target.is_some() => of_sid.unwrap_or(of_conn),
            Some(of_sid) if self.filter != of_sid && self.filter != of_conn => of_sid,
            _ if self.filter != of_conn => of_conn,
            _ => String::new(),
        };
        if target.is_some() {
            // From a list, to the frames that its row is about.
            self.close_layers();
        }
        let to = target.flatten();
        if let Some(frame) = to {
            self.jump(frame);
        }
        match self.set_filter(&next) {
            Ok(effects) => {
                // The filter before may have led the jump elsewhere.
                self.home = to.or(self.home);
                effects
            }
            Err(error) => {
                self.say(Tone::Error, error.to_string());
                Vec::new()
            }
        }
    }

    /// Takes a filter typed in the prompt. The table on top is filtered by words instead.
    pub(super) fn answer_filter(&mut self, text: &str) -> Vec<Effect> {
        if let Some(Layer::Table(table)) = self.layers.last() {
            let mut table = table.clone();
            table.filter = text.to_string();
            table.cursor = 0;
            table.top = 0;
            table.refresh(self);
            if let Some(Layer::Table(slot)) = self.layers.last_mut() {
                *slot = table;
            }
            return Vec::new();
        }
        if let Some(name) = text.strip_prefix("save ") {
            return self.save_filter(name.trim());
        }
        match self.set_filter(text) {
            Ok(effects) => effects,
            Err(error) => {
                self.ask_again(super::prompt::Ask::Filter, text, &error);
                Vec::new()
            }
        }
    }

    /// Gives the filter a name, and keeps it in the config file.
    fn save_filter(&mut self, name: &str) -> Vec<Effect> {
        if self.filter.is_empty() || name.is_empty() || name.contains(char::is_whitespace) {
            self.say(
                Tone::Error,
                "a filter must be set to be saved, and its name is one word: save closes",
            );
            return Vec::new();
        }
        let filter = self.filter.clone();
        self.settings.filters.retain(|(old, _)| old != name);
        let keep = Effect::Keep {
            section: "filters",
            key: quoted(name),
            value: quoted(&filter),
        };
        self.settings.filters.push((name.to_string(), filter));
        vec![keep]
    }

    /// Opens the input line with a text that cannot be read, and says why.
    pub(super) fn ask_again(&mut self, ask: super::prompt::Ask, text: &str, error: &ParseError) {
        let mut prompt = super::prompt::Prompt::new(ask, text);
        prompt.mistake = Some(Mistake {
            at: error.column,
            len: error.length.max(1),
            text: error.to_string(),
        });
        self.prompt = Some(prompt);
    }

    /// Takes what is to be found: a filter where it reads as one, else text in the frames.
    pub(super) fn answer_find(&mut self, text: &str) -> Vec<Effect> {
        if let Some(Layer::Table(_)) = self.layers.last() {
            self.find = text.to_string();
            self.find_in_table(true);
            return Vec::new();
        }
        let stopped = self.jobs.find.job;
        self.find_hits.clear();
        self.jobs.find = Searching::default();
        self.find = text.to_string();
        if text.is_empty() {
            return vec![Effect::StopSearch(stopped)];
        }
        let needle = match self.with_context(|context| Needle::parse(text, context)) {
            Ok(needle) => needle,
            Err(error) => {
                self.find.clear();
                self.ask_again(super::prompt::Ask::Find, text, &error);
                return vec![Effect::StopSearch(stopped)];
            }
        };
        let (begun, search) = self.begin_search(needle);
        self.jobs.find = begun;
        self.find_wait = Some((self.list.cursor, true));
        vec![Effect::StopSearch(stopped), search]
    }

    /// The next or the previous hit.
    pub(super) fn find_step(&mut self, forward: bool) {
        if self.find.is_empty() {
            let key = self.key_of(super::command::Command::Find);
            self.say(Tone::Info, format!("nothing to find; {key} asks for it"));
            return;
        }
        if let Some(Layer::Table(_)) = self.layers.last() {
            self.find_in_table(forward);
            return;
        }
        self.find_wait = Some((self.list.cursor, forward));
        let done = !self.jobs.find.running;
        self.find_arrived(done);
    }

    /// Goes to the hit that is waited for, when it has come.
    fn find_arrived(&mut self, done: bool) {
        let Some((from, forward)) = self.find_wait else {
            return;
        };
        let shown = |no: &&FrameNo| self.list.rows.contains(&self.store, **no);
        let at = self.find_hits.partition_point(|hit| *hit < from);
        let (before, behind) = self.find_hits.split_at(at);
        let next = if forward {
            behind.iter().filter(|no| **no > from).find(shown)
        } else if done || self.jobs.find.asked >= u64::from(from.0) {
            before.iter().rev().find(shown)
        } else {
            None
        };
        let all = self.find_hits.len();
        let next = next.copied();
        let hidden = if forward {
            behind.iter().filter(|no| **no > from).count()
        } else {
            before.len()
        };
        if let Some(no) = next {
            self.find_wait = None;
            self.jump(no);
            let at = self
                .find_hits
                .partition_point(|hit| *hit < no)
                .saturating_add(1);
            let more = if done { "" } else { "+" };
            self.say(
                Tone::Info,
                format!("hit {at} of {all}{more}: {}", self.find),
            );
        } else if done {
            self.find_wait = None;
            let way = if forward { "further" } else { "earlier" };
            // No shown one is there: those that are, the filter hides.
            let text = match (all, none_shown(forward, "hit", hidden)) {
                (0, _) => format!("not found: {}", self.find),
                (_, Some(none)) => format!("{none}: {}", self.find),
                (n, None) => format!("no {way} hit of {n}: {}", self.find),
            };
            self.say(Tone::Info, text);
        }
    }

    /// Finds a word in the rows of a list.
    fn find_in_table(&mut self, forward: bool) {
        let Some(Layer::Table(table)) = self.layers.last() else {
            return;
        };
        let word = self.find.to_lowercase();
        let holds = |at: &usize| {
            table.rows.get(*at).is_some_and(|row| {
                (0..table.columns().len())
                    .any(|c| table.cell(self, *row, c).to_lowercase().contains(&word))
            })
        };
        let here = table.cursor;
        let found = if forward {
            (here.saturating_add(1)..table.rows.len()).find(holds)
        } else {
            (0..here).rev().find(holds)
        };
        let height = self.layer_height();
        if let Some(at) = found {
            let Some(Layer::Table(table)) = self.layers.last_mut() else {
                return;
            };
            let to = i64::try_from(at).unwrap_or(0);
            let from = i64::try_from(here).unwrap_or(0);
            table.step(to.saturating_sub(from), height);
        } else {
            let way = if forward { "further" } else { "earlier" };
            // A row on the other side of the cursor, or under it, is not "not found".
            let text = match (0..table.rows.len()).filter(holds).count() {
                0 => format!("not found: {}", self.find),
                n => format!("no {way} row of {n} with {}", self.find),
            };
            self.say(Tone::Info, text);
        }
    }
}
