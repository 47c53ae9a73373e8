//! The only place that changes the state: an event comes in, effects go out.

use std::sync::Arc;

use super::command::{Command, Context};
use super::event::{Effect, Event};
use super::history::Undoable;
use super::key::{Key, KeyCode};
use super::keymap::Lookup;
use super::layout::Pane;
use super::prompt::{Ask, Prompt, Typed};
use super::tables::{Kind, Table};
use super::timeline::Scale;
use super::{App, Help, Layer, Tone, clock, summary};
use crate::decode::field::Value;
use crate::store::{Finding, Store};
use crate::units::{FrameNo, Nanos};

/// The greatest number that can be typed before a command.
const MOST_COUNT: u32 = 1_000_000_000;

/// Takes in an event.
pub fn update(app: &mut App, event: Event) -> Vec<Effect> {
    match event {
        Event::Key(key) => return app.key(key),
        Event::Paste(text) => {
            if let Some(prompt) = &mut app.prompt {
                prompt.paste(&text);
                app.check_prompt();
            }
        }
        Event::Resize(w, h) => {
            app.size = (w, h);
            app.show_cursor(true);
            if !app.layout().panes().contains(&app.focus) {
                app.focus = Pane::List;
            }
        }
        Event::Batch(batch) => {
            app.with_store(|store| store.append(*batch));
            app.grown();
        }
        Event::Indexed(stopped) => {
            app.jobs.indexing = false;
            app.forget_decoded();
            if let Some(why) = stopped {
                app.say(
                    Tone::Error,
                    format!("{why}; what was read before stays usable"),
                );
            }
            return vec![Effect::Judge];
        }
        Event::Judged(findings, done) => app.judged(findings, done),
        Event::Looked(looked) => app.looked(looked),
        Event::Exported(result) => {
            app.jobs.exporting = false;
            app.tell(result);
        }
        Event::Message(result) => app.tell(result),
        Event::Resumed => {}
        Event::Stats(stats) => app.stats = stats,
    }
    Vec::new()
}

impl App {
    /// Changes the store. A job may still hold it; the loop hands batches over only when none does.
    fn with_store(&mut self, change: impl FnOnce(&mut Store)) {
        if let Some(store) = Arc::get_mut(&mut self.store) {
            change(store);
        } else {
            debug_assert!(false, "the loop waits until no job holds the store");
        }
    }

    fn tell(&mut self, result: Result<String, String>) {
        match result {
            Ok(text) => self.say(Tone::Info, text),
            Err(text) => self.say(Tone::Error, text),
        }
    }

    /// The store has grown.
    fn grown(&mut self) {
        let store = Arc::clone(&self.store);
        self.density.grow(&store);
        if !self.timeline.placed && store.frame_count() > 0 {
            self.show_time();
        }
        if let Some(Layer::Table(table)) = self.layers.last() {
            let mut table = table.clone();
            table.refresh(self);
            if let Some(Layer::Table(slot)) = self.layers.last_mut() {
                *slot = table;
            }
        }
    }

    fn judged(&mut self, findings: Vec<Finding>, done: bool) {
        self.with_store(|store| {
            for finding in findings {
                store.add_finding(finding);
            }
        });
        if done {
            self.jobs.judged = true;
            self.forget_decoded();
            self.grown();
            if !self.moved {
                let text = summary(self);
                self.say(Tone::Info, text);
            }
        }
    }

    /// A key: to the input line, to the search of the help, as a digit, or as part of a sequence.
    fn key(&mut self, key: Key) -> Vec<Effect> {
        if self.prompt.is_some() {
            return self.prompt_key(key);
        }
        self.message = None;
        if matches!(self.layers.last(), Some(Layer::Help(_))) && self.help_key(key) {
            return Vec::new();
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

    /// In the help, letters search. Returns whether the key was taken.
    fn help_key(&mut self, key: Key) -> bool {
        let Some(Layer::Help(help)) = self.layers.last_mut() else {
            return false;
        };
        match (key.code, key.ctrl) {
            (KeyCode::Char('q' | '?'), false) if help.search.is_empty() => return false,
            (KeyCode::Char(c), false) => help.search.push(c),
            (KeyCode::Backspace, _) => {
                help.search.pop();
            }
            (KeyCode::Esc, _) if !help.search.is_empty() => help.search.clear(),
            _ => return false,
        }
        help.top = 0;
        true
    }

    /// Carries out a command.
    pub(super) fn run(&mut self, command: Command, count: Option<u32>) -> Vec<Effect> {
        use Command as C;
        let times = i64::from(count.unwrap_or(1));
        let before = self.list.cursor;
        match command {
            C::Down => self.move_rows(times),
            C::Up => self.move_rows(-times),
            C::PageDown => self.move_pages(times.saturating_mul(2)),
            C::PageUp => self.move_pages(times.saturating_mul(-2)),
            C::HalfDown => self.move_pages(times),
            C::HalfUp => self.move_pages(-times),
            C::First => self.move_to_end(false),
            C::Last if count.is_some() => self.goto(FrameNo(count.unwrap_or(1))),
            C::Last => self.move_to_end(true),
            C::Goto => match count {
                Some(no) => self.goto(FrameNo(no)),
                None => self.ask(Ask::Frame, ""),
            },
            C::GotoTime => self.ask(Ask::Time, ""),
            C::NextSameSid | C::PrevSameSid | C::NextSameConn | C::PrevSameConn => {
                self.follow_target(command, times, false);
            }
            C::Pair
            | C::NextFinding
            | C::PrevFinding
            | C::NextReset
            | C::PrevReset
            | C::NextPhase
            | C::PrevPhase
            | C::NextGap
            | C::PrevGap
            | C::NextMark
            | C::PrevMark => self.follow_target(command, times, true),
            C::Back => match self.jumps.back(self.list.cursor) {
                Some(frame) => self.land_from_layer(frame),
                None => self.say(Tone::Info, "no jump to go back to"),
            },
            C::Forward => match self.jumps.forward(self.list.cursor) {
                Some(frame) => self.land_from_layer(frame),
                None => self.say(Tone::Info, "no jump to go forward to"),
            },
            C::Connections => self.open_table(Kind::Connections),
            C::Findings => self.open_table(Kind::Findings),
            C::Requests => self.open_requests(),
            C::Phases => match self.conn() {
                Some(conn) => self.open_table(Kind::Phases(conn)),
                None => self.say(Tone::Error, "this frame belongs to no connection"),
            },
            C::Sort => self.sort_table(""),
            C::Find => self.ask(Ask::Find, ""),
            C::Filter => {
                let filter = self.filter.clone();
                self.ask(Ask::Filter, &filter);
            }
            C::CommandLine => self.ask(Ask::Command, ""),
            C::Mark => self.mark(),
            C::MarkDown => {
                self.mark();
                self.step(1);
            }
            C::MarkFinding => self.mark_finding(),
            C::Range => self.toggle_range(),
            C::MarkToHere => self.mark_to_here(),
            C::ClearMarks => {
                self.change("marks", |app| app.marks = super::marks::FrameSet::default())
            }
            C::Undo => self.undo_redo(true),
            C::Redo => self.undo_redo(false),
            C::TimeRef => self.toggle_time_ref(),
            C::Ignore => {
                let here = self.list.cursor;
                self.change("ignored frames", |app| app.ignored.toggle(here));
            }
            C::CopyRow | C::CopyField | C::CopyHex | C::CopyFrame | C::CopyLadder => {
                return self.copy(command);
            }
            C::ZoomIn
            | C::ZoomOut
            | C::ZoomAll
            | C::Fit
            | C::EventScale
            | C::Ladder
            | C::Pin
            | C::PanLeft
            | C::PanRight
            | C::PanLeftPage
            | C::PanRightPage
            | C::LaneNext
            | C::LanePrev
            | C::LaneHere => self.timeline_command(command),
            C::Pane => self.next_pane(true),
            C::PaneBack => self.next_pane(false),
            C::ZoomPane => {
                self.zoomed = match self.zoomed {
                    Some(_) => None,
                    None => Some(self.focus),
                };
                self.show_cursor(true);
            }
            C::Bytes => self.toggle_bytes(),
            C::Fold => self.fold(false),
            C::Open => self.fold(true),
            C::Follow => self.follow(),
            C::GrowPane => self.resize_pane(1),
            C::ShrinkPane => self.resize_pane(-1),
            C::Delta => {
                self.settings.delta = self.settings.delta.next();
                self.say(
                    Tone::Info,
                    format!("d counts from {}", self.settings.delta.name()),
                );
            }
            C::TimeFormat => {
                self.settings.time = self.settings.time.next();
                self.say(Tone::Info, format!("time: {}", self.settings.time.name()));
            }
            C::LaneGutter => {
                let now = self.lane_gutter();
                self.settings.lane_gutter = Some(!now);
            }
            C::Help => {
                let context = self.context();
                self.layers.push(Layer::Help(Help::new(context)));
            }
            C::Messages => self.show_messages(),
            C::Stats => self.show_stats(),
            C::Summary => {
                let text = summary(self);
                self.say(Tone::Info, text);
            }
            C::Close => return self.close(),
            C::Quit => return vec![Effect::Quit],
            C::Escape => self.escape(),
            C::Cancel => return self.cancel(),
            C::Redraw => return vec![Effect::Clear],
            C::Suspend => return vec![Effect::Suspend],
            C::OnlySid
            | C::FindNext
            | C::FindPrev
            | C::CopyFilter
            | C::Export
            | C::Columns
            | C::Theme
            | C::Glyphs
            | C::Set
            | C::Explain
            | C::Map => {
                self.say(
                    Tone::Error,
                    format!("{} is not there yet", command.entry().name),
                );
            }
        }
        if self.list.cursor != before || command != C::Summary {
            self.moved = true;
        }
        Vec::new()
    }

    fn move_rows(&mut self, by: i64) {
        let height = self.layer_height();
        let decode_height = self.decode_height();
        match self.layers.last_mut() {
            Some(Layer::Table(table)) => table.step(by, height),
            Some(Layer::Help(help)) => help.top = scrolled(help.top, by),
            Some(Layer::Text { top, lines, .. }) => {
                *top = scrolled(*top, by).min(lines.len().saturating_sub(height));
            }
            None => match self.focus {
                Pane::List => self.step(by),
                Pane::Decode => {
                    let lines = self
                        .decoded
                        .as_ref()
                        .map_or(0, |tree| self.tree.lines(tree).len());
                    self.tree.step(lines, decode_height, by);
                }
                Pane::Bytes => self.bytes_top = scrolled(self.bytes_top, by),
                Pane::Lanes => self.timeline.row = scrolled(self.timeline.row, by),
            },
        }
        self.keep_help_in_range();
    }

    fn keep_help_in_range(&mut self) {
        let height = self.layer_height();
        let keymap = &self.keymap;
        if let Some(Layer::Help(help)) = self.layers.last_mut() {
            let lines = help.lines(keymap).len();
            help.top = help.top.min(lines.saturating_sub(height));
        }
    }

    /// Moves by half pages.
    fn move_pages(&mut self, halves: i64) {
        let page = match (self.layers.is_empty(), self.focus) {
            (true, Pane::List) => self.page(),
            (true, Pane::Decode | Pane::Bytes | Pane::Lanes) => self.decode_height(),
            _ => self.layer_height(),
        };
        let page = i64::try_from(page.max(2)).unwrap_or(2);
        let by = page.saturating_mul(halves) / 2;
        if self.layers.is_empty() && self.focus == Pane::List {
            self.step_rows(by);
        } else {
            self.move_rows(by);
        }
    }

    fn move_to_end(&mut self, last: bool) {
        if !self.layers.is_empty() || self.focus != Pane::List {
            self.move_rows(if last { 1_000_000_000 } else { -1_000_000_000 });
            return;
        }
        let row = if last {
            self.list.rows.len(&self.store).saturating_sub(1)
        } else {
            0
        };
        if let Some(frame) = self.list.rows.at(&self.store, row) {
            self.jump(frame);
        }
        if last && self.jobs.indexing {
            self.say(
                Tone::Info,
                "this is the last frame indexed so far; the index is not complete",
            );
        }
    }

    /// Rows of a layer's body.
    fn layer_height(&self) -> usize {
        usize::from(self.size.1.saturating_sub(4)).max(1)
    }

    /// Goes to a frame by number, or says why it cannot.
    pub(super) fn goto(&mut self, frame: FrameNo) {
        let Some(last) = self.store.last_frame() else {
            self.say(Tone::Error, "there are no frames");
            return;
        };
        if frame.0 == 0 || frame > last {
            let more = if self.jobs.indexing { " so far" } else { "" };
            self.say(
                Tone::Error,
                format!("no frame {frame}; there are {last}{more}"),
            );
            return;
        }
        self.close_layers();
        self.jump(frame);
        if self.list.cursor != frame {
            self.say(
                Tone::Info,
                format!(
                    "frame {frame} is hidden by the filter; {} is the nearest shown",
                    self.list.cursor
                ),
            );
        }
    }

    fn follow_target(&mut self, command: Command, times: i64, far: bool) {
        for _ in 0..times.clamp(1, 10_000) {
            match self.target(command) {
                Ok(frame) if far => {
                    self.close_layers();
                    self.jump(frame);
                }
                Ok(frame) => self.land(frame),
                Err(why) => {
                    self.say(Tone::Info, why);
                    return;
                }
            }
            self.moved = true;
        }
    }

    fn land_from_layer(&mut self, frame: FrameNo) {
        self.close_layers();
        self.land(frame);
    }

    fn close_layers(&mut self) {
        self.layers.clear();
    }

    fn open_table(&mut self, kind: Kind) {
        self.layers
            .retain(|layer| !matches!(layer, Layer::Table(_)));
        let mut table = Table::new(kind, self);
        if let Kind::Connections = kind
            && let Some(conn) = self.conn()
        {
            table.cursor = conn.index().min(table.rows.len().saturating_sub(1));
            table.step(0, self.layer_height());
        }
        self.layers.push(Layer::Table(table));
    }

    /// Requests of the connection; asked again, of all.
    fn open_requests(&mut self) {
        let own = self.conn();
        let open = match self.layers.last() {
            Some(Layer::Table(table)) => match table.kind {
                Kind::Requests(Some(_)) => Some(None),
                Kind::Connections => Some(
                    table
                        .target(self)
                        .and_then(|no| self.store.frame(no).and_then(|frame| frame.conn)),
                ),
                _ => None,
            },
            _ => None,
        };
        self.open_table(Kind::Requests(open.unwrap_or(own)));
    }

    fn sort_table(&mut self, name: &str) {
        let Some(Layer::Table(table)) = self.layers.last() else {
            return;
        };
        let mut table = table.clone();
        let result = if name.is_empty() {
            table.sort_next(self);
            Ok(())
        } else {
            table.sort_by(self, name)
        };
        let by = table
            .sort
            .and_then(|c| table.columns().get(c))
            .map_or("the list's own order", |h| h.name);
        let way = if table.descending {
            ", greatest first"
        } else {
            ""
        };
        let text = format!("sorted by {by}{way}");
        if let Some(Layer::Table(slot)) = self.layers.last_mut() {
            *slot = table;
        }
        self.tell(result.map(|()| text));
    }

    /// Opens the input line.
    pub(super) fn ask(&mut self, ask: Ask, text: &str) {
        self.prompt = Some(Prompt::new(ask, text));
        self.check_prompt();
    }

    /// Checks what is typed, while it is typed.
    fn check_prompt(&mut self) {}

    fn prompt_key(&mut self, key: Key) -> Vec<Effect> {
        let Some(prompt) = &mut self.prompt else {
            return Vec::new();
        };
        match prompt.key(key, &self.inputs) {
            Typed::Changed => self.check_prompt(),
            Typed::Same | Typed::Complete(_) => {}
            Typed::Left => self.prompt = None,
            Typed::Done => {
                if let Some(prompt) = self.prompt.take() {
                    self.message = None;
                    let text = prompt.text().trim().to_string();
                    self.inputs.keep(prompt.ask, &text);
                    return self.answer(prompt.ask, &text);
                }
            }
        }
        Vec::new()
    }

    /// Takes what was typed.
    fn answer(&mut self, ask: Ask, text: &str) -> Vec<Effect> {
        match ask {
            Ask::Frame => match text.parse() {
                Ok(no) => self.goto(FrameNo(no)),
                Err(_) => self.say(Tone::Error, format!("no frame number: {text}")),
            },
            Ask::Time => self.goto_time(text),
            Ask::Command => return self.command_line(text),
            Ask::Find | Ask::Filter => self.say(Tone::Error, "not there yet"),
        }
        Vec::new()
    }

    fn goto_time(&mut self, text: &str) {
        let here = self
            .store
            .frame(self.list.cursor)
            .map_or(Nanos(0), |f| f.time);
        let local = self.settings.time == clock::TimeFormat::Local;
        match clock::parse(text, self.time_base(), here, local) {
            Ok(time) => {
                let frame = self.store.frame_at(time).unwrap_or(FrameNo(1));
                self.close_layers();
                self.jump(frame);
            }
            Err(why) => self.say(Tone::Error, why),
        }
    }

    /// A line typed behind the colon: a frame number, or a command with its argument.
    fn command_line(&mut self, text: &str) -> Vec<Effect> {
        if text.is_empty() {
            return Vec::new();
        }
        if let Ok(no) = text.parse() {
            self.goto(FrameNo(no));
            return Vec::new();
        }
        let (name, _argument) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        match Command::by_name(name) {
            Some(command) => self.run(command, None),
            None => {
                let names = super::command::COMMANDS.iter().map(|e| e.name);
                let near = super::keymap::nearest(name, names);
                self.say(
                    Tone::Error,
                    format!("no command is called {name}; nearest: {near}"),
                );
                Vec::new()
            }
        }
    }

    /// Changes something that undo brings back.
    pub(super) fn change(&mut self, what: &'static str, change: impl FnOnce(&mut Self)) {
        let before = self.undoable();
        change(self);
        if self.undoable() != before {
            self.undo.before(before, what);
        }
    }

    fn undo_redo(&mut self, undo: bool) {
        let now = self.undoable();
        let found = if undo {
            self.undo.undo(now)
        } else {
            self.undo.redo(now)
        };
        match found {
            Some((state, what)) => {
                self.restore(state);
                let word = if undo { "undone" } else { "done again" };
                self.say(Tone::Info, format!("{word}: {what}"));
            }
            None => self.say(
                Tone::Info,
                if undo {
                    "nothing to undo"
                } else {
                    "nothing to do again"
                },
            ),
        }
    }

    fn restore(&mut self, state: Undoable) {
        self.marks = state.marks;
        self.ignored = state.ignored;
        self.time_ref = state.time_ref;
        self.filter = state.filter;
    }

    fn mark(&mut self) {
        let here = self.list.cursor;
        if self.store.frame(here).is_none() {
            return;
        }
        if let Some((first, last)) = self.chosen_range() {
            self.range = None;
            self.mark_shown(first, last);
        } else {
            self.change("marks", |app| app.marks.toggle(here));
        }
        self.last_mark = Some(here);
    }

    /// Marks the shown frames from one to another.
    fn mark_shown(&mut self, first: FrameNo, last: FrameNo) {
        let frames: Option<Vec<FrameNo>> = self.list.rows.is_filtered().then(|| {
            let before = FrameNo(first.0.saturating_sub(1));
            self.list
                .rows
                .walk(&self.store, before, true)
                .take_while(|no| *no <= last)
                .collect()
        });
        self.change("marks", |app| match frames {
            None => app.marks.insert(first, last),
            Some(frames) => {
                for no in frames {
                    app.marks.insert(no, no);
                }
            }
        });
        let n = self.marks.len();
        self.say(Tone::Info, format!("{n} marked"));
    }

    fn mark_to_here(&mut self) {
        let here = self.list.cursor;
        let from = self.last_mark.unwrap_or(here);
        self.mark_shown(from.min(here), from.max(here));
        self.last_mark = Some(here);
    }

    fn mark_finding(&mut self) {
        let frames = self
            .store
            .finding_on(self.list.cursor)
            .or_else(|| {
                let conn = self.conn()?;
                super::tables::close_of(&self.store, conn)
            })
            .map(Finding::frames);
        match frames {
            Some(frames) if !frames.is_empty() => {
                let n = frames.len();
                self.change("marks", |app| {
                    for no in frames {
                        app.marks.insert(no, no);
                    }
                });
                self.say(Tone::Info, format!("{n} frames of the finding marked"));
            }
            _ => self.say(Tone::Info, "no finding here"),
        }
    }

    fn toggle_range(&mut self) {
        if self.range.take().is_none() {
            self.range = Some(self.list.cursor);
            let mark = self.key_of(Command::Mark);
            self.say(
                Tone::Info,
                format!(
                    "range begins at {}; move, then {mark} marks it, Esc drops it",
                    self.list.cursor
                ),
            );
        }
    }

    fn toggle_time_ref(&mut self) {
        let here = self.list.cursor;
        self.change("time reference", |app| {
            app.time_ref = (app.time_ref != Some(here)).then_some(here);
        });
        self.settings.time = match self.time_ref {
            Some(_) => clock::TimeFormat::Reference,
            None => clock::TimeFormat::Start,
        };
    }

    fn copy(&mut self, command: Command) -> Vec<Effect> {
        match self.copy_text(command) {
            Ok(text) if self.settings.osc52 => {
                let n = text.len();
                self.say(Tone::Info, format!("{n} bytes sent to terminal clipboard"));
                vec![Effect::Copy(text)]
            }
            Ok(text) => {
                self.layers.push(Layer::Text {
                    title: "Copy".to_string(),
                    lines: text.lines().map(str::to_string).collect(),
                    top: 0,
                });
                Vec::new()
            }
            Err(why) => {
                self.say(Tone::Error, why);
                Vec::new()
            }
        }
    }

    fn timeline_command(&mut self, command: Command) {
        use Command as C;
        let columns = self.lane_columns();
        let here = self.store.frame(self.list.cursor).map(|f| f.time);
        let Some(here) = here else {
            return;
        };
        match command {
            C::ZoomIn => self.timeline.zoom(here, columns, true),
            C::ZoomOut => self.timeline.zoom(here, columns, false),
            C::ZoomAll => {
                let first = self.store.start_time();
                let last = self
                    .store
                    .last_frame()
                    .and_then(|no| self.store.frame(no))
                    .map(|f| f.time);
                if let (Some(first), Some(last)) = (first, last) {
                    self.timeline.fit(first, last, columns);
                }
            }
            C::Fit => self.fit(columns),
            C::EventScale => {
                self.timeline.scale = match self.timeline.scale {
                    Scale::Linear => Scale::Events,
                    Scale::Events => Scale::Linear,
                };
            }
            C::Ladder => self.timeline.ladder = !self.timeline.ladder,
            C::Pin => match self.session() {
                Some(session) => {
                    let pinned = &mut self.timeline.pinned;
                    if let Some(at) = pinned.iter().position(|s| *s == session) {
                        pinned.remove(at);
                    } else {
                        pinned.push(session);
                    }
                }
                None => self.say(Tone::Error, "this frame has no Sid"),
            },
            C::PanLeft => self.timeline.pan(columns, -1),
            C::PanRight => self.timeline.pan(columns, 1),
            C::PanLeftPage => self.timeline.pan(columns, -4),
            C::PanRightPage => self.timeline.pan(columns, 4),
            C::LaneNext => self.follow_target(C::NextSameSid, 1, false),
            C::LanePrev => self.follow_target(C::PrevSameSid, 1, false),
            _ => self.focus = Pane::List,
        }
    }

    /// Fits the Sid of the cursor; when that is what is shown, the connection.
    fn fit(&mut self, columns: u16) {
        let time = |no: FrameNo| self.store.frame(no).map(|f| f.time);
        let session = self.session().and_then(|id| self.store.session(id));
        let conn = self.conn().and_then(|id| self.store.conn(id));
        let span = |first: FrameNo, last: FrameNo| Some((time(first)?, time(last)?));
        let of_sid = session.and_then(|s| span(s.open_frame, s.last_frame));
        let of_conn = conn.and_then(|c| span(c.first_frame, c.last_frame));
        let mut fitted = self.timeline.clone();
        if let Some((first, last)) = of_sid {
            fitted.fit(first, last, columns);
        }
        if (of_sid.is_none() || fitted == self.timeline)
            && let Some((first, last)) = of_conn
        {
            fitted.fit(first, last, columns);
        }
        self.timeline = fitted;
    }

    /// Whether the lanes stand as columns in the list.
    pub fn lane_gutter(&self) -> bool {
        let (w, _) = self.size;
        let sids = self
            .conn()
            .map_or(0, |conn| self.store.conn_sessions(conn).count());
        self.settings
            .lane_gutter
            .unwrap_or(w >= 160 || (w >= 100 && sids <= 8))
    }

    fn next_pane(&mut self, forward: bool) {
        if !self.layers.is_empty() {
            return;
        }
        let panes = self.layout().panes();
        if let Some(zoomed) = &mut self.zoomed {
            // A zoomed pane gives the whole screen to the next one.
            let all = [Pane::List, Pane::Lanes, Pane::Decode, Pane::Bytes];
            *zoomed = neighbour(&all, *zoomed, forward);
            self.focus = *zoomed;
        } else {
            self.focus = neighbour(&panes, self.focus, forward);
        }
        self.show_cursor(true);
    }

    fn toggle_bytes(&mut self) {
        let now = self.layout().bytes.is_some();
        self.bytes = Some(!now);
        let panes = self.layout().panes();
        if !panes.contains(&self.focus) {
            self.focus = if now { Pane::Decode } else { Pane::Bytes };
        }
    }

    fn resize_pane(&mut self, by: i16) {
        match self.focus {
            Pane::List => self.extra.0 = self.extra.0.saturating_add(by).clamp(-200, 200),
            Pane::Lanes => self.extra.1 = self.extra.1.saturating_add(by).clamp(-200, 200),
            Pane::Decode | Pane::Bytes => {
                self.extra.0 = self.extra.0.saturating_sub(by).clamp(-200, 200);
            }
        }
        self.show_cursor(true);
    }

    fn fold(&mut self, open: bool) {
        if self.context() == Context::List {
            let here = self.list.cursor;
            if open {
                let several = self.cursor_facts().is_some_and(|f| f.pdus > 1);
                if several || self.sub_rows(here) > 0 {
                    self.list.opened = Some(here);
                } else {
                    self.say(Tone::Info, "this frame holds no more than one packet");
                }
            } else {
                self.list.opened = None;
                self.list.sub = 0;
            }
            return;
        }
        let height = self.decode_height();
        let Some(tree) = &self.decoded else {
            return;
        };
        let lines = self.tree.lines(tree);
        let Some(line) = lines.get(self.tree.cursor) else {
            return;
        };
        match (line.open, open) {
            (Some(now), wanted) if now != wanted => {
                let path = line.path.clone();
                self.tree.fold(&path, wanted);
            }
            (_, false) => {
                // A leaf or a closed node: to the node above.
                let above = lines
                    .iter()
                    .take(self.tree.cursor)
                    .rposition(|l| l.depth < line.depth);
                if let Some(above) = above {
                    let by = i64::try_from(self.tree.cursor.saturating_sub(above)).unwrap_or(0);
                    let count = lines.len();
                    self.tree.step(count, height, -by);
                }
            }
            _ => {}
        }
    }

    /// Enter: from the list into the decode pane, from a field to the frame that it names, from a table's row to
    /// its frame.
    fn follow(&mut self) {
        match self.layers.last() {
            Some(Layer::Table(table)) => {
                let row = table.rows.get(table.cursor).copied();
                if let Some(super::tables::Row::Folded(..)) = row {
                    let mut table = table.clone();
                    table.unfolded = true;
                    table.refresh(self);
                    if let Some(Layer::Table(slot)) = self.layers.last_mut() {
                        *slot = table;
                    }
                } else if let Some(frame) = table.target(self) {
                    self.goto(frame);
                }
            }
            Some(Layer::Help(_) | Layer::Text { .. }) => {
                self.layers.pop();
            }
            None => match self.focus {
                Pane::List | Pane::Lanes => {
                    if self.layout().decode.is_some() {
                        self.focus = Pane::Decode;
                    }
                }
                Pane::Decode | Pane::Bytes => self.follow_field(),
            },
        }
    }

    fn follow_field(&mut self) {
        let Some(tree) = &self.decoded else {
            return;
        };
        let lines = self.tree.lines(tree);
        let Some(line) = lines.get(self.tree.cursor) else {
            return;
        };
        let here = self.list.cursor;
        let link = match line.field.value {
            Value::Frame(no) => Some(no),
            _ => line.field.links.iter().find(|no| **no != here).copied(),
        };
        match link {
            Some(frame) => self.goto(frame),
            None => match line.open {
                Some(open) => {
                    let path = line.path.clone();
                    self.tree.fold(&path, !open);
                }
                None => self.say(Tone::Info, "this field names no other frame"),
            },
        }
    }

    fn show_messages(&mut self) {
        let lines: Vec<String> = self
            .messages
            .iter()
            .map(|(tone, text)| match tone {
                Tone::Info => text.clone(),
                Tone::Error => format!("error: {text}"),
            })
            .collect();
        self.layers.push(Layer::Text {
            title: "Messages".to_string(),
            top: lines.len().saturating_sub(self.layer_height()),
            lines,
        });
    }

    fn show_stats(&mut self) {
        let stats = self.stats;
        let store = &self.store;
        let per_key = stats.bytes.checked_div(stats.keys.max(1)).unwrap_or(0);
        let lines = vec![
            format!("bytes written    {}", stats.bytes),
            format!("keys             {}", stats.keys),
            format!("bytes per key    {per_key}"),
            format!("draws            {}", stats.draws),
            format!("frames           {}", store.frame_count()),
            format!("packets          {}", store.pdu_count()),
            format!("connections      {}", store.conns().len()),
            format!("sessions         {}", store.sessions().len()),
            format!("requests         {}", store.requests().len()),
            format!("findings         {}", store.findings().len()),
        ];
        self.layers.push(Layer::Text {
            title: "Numbers".to_string(),
            lines,
            top: 0,
        });
    }

    /// Closes the top layer; with none open, quits.
    fn close(&mut self) -> Vec<Effect> {
        if self.layers.pop().is_some() {
            return Vec::new();
        }
        if self.zoomed.take().is_some() {
            self.show_cursor(true);
            return Vec::new();
        }
        vec![Effect::Quit]
    }

    fn escape(&mut self) {
        if self.range.take().is_some() {
            self.say(Tone::Info, "range dropped");
        } else if self.layers.pop().is_none() && self.zoomed.take().is_none() {
            self.focus = Pane::List;
        }
    }

    /// Stops the job that runs; with none running, quits.
    fn cancel(&mut self) -> Vec<Effect> {
        if self.jobs.indexing {
            self.say(
                Tone::Info,
                "indexing is stopped; the frames read so far stay usable",
            );
            return vec![Effect::StopIndexing];
        }
        vec![Effect::Quit]
    }
}

/// An offset moved by lines, not below 0.
fn scrolled(top: usize, by: i64) -> usize {
    let now = i64::try_from(top).unwrap_or(i64::MAX);
    usize::try_from(now.saturating_add(by).max(0)).unwrap_or(0)
}

fn neighbour(panes: &[Pane], now: Pane, forward: bool) -> Pane {
    let at = panes.iter().position(|p| *p == now).unwrap_or(0);
    let step = if forward {
        1
    } else {
        panes.len().saturating_sub(1)
    };
    panes
        .iter()
        .cycle()
        .nth(at.saturating_add(step))
        .copied()
        .unwrap_or(now)
}
