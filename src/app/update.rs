//! The only place that changes the state: an event comes in, effects go out.

use std::sync::Arc;

use super::command::Command;
use super::event::{Effect, Event};
use super::key::{Key, KeyCode};
use super::keymap::Lookup;
use super::layout::Pane;
use super::prompt::Ask;
use super::tables::Kind;
use super::{App, Help, Layer, Tone, Totals, summary};
use crate::query::user_rules::Applied;
use crate::rules::Judge;
use crate::store::Store;
use crate::units::FrameNo;

/// The greatest number that can be typed before a command.
const MOST_COUNT: u32 = 1_000_000_000;

/// Connections judged in one slice, so that keys are answered in between.
const CONNS_AT_ONCE: usize = 20;

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
    /// Changes the store. A job may still hold it; the loop hands batches over only when none does.
    pub(super) fn with_store(&mut self, change: impl FnOnce(&mut Store)) {
        if let Some(store) = Arc::get_mut(&mut self.store) {
            change(store);
        } else {
            debug_assert!(false, "the loop waits until no job holds the store");
        }
    }

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

    /// The store has grown.
    fn grown(&mut self) {
        let store = Arc::clone(&self.store);
        self.density.grow(&store);
        let (greatest, seen) = self.greatest_sid;
        let sessions = store.sessions();
        let new = sessions.iter().skip(seen).map(|session| session.sid).max();
        self.greatest_sid = (greatest.max(new), sessions.len());
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

    /// All that there is for now was read: it is judged, and what is still to be put back finds its frames.
    fn read_so_far(&mut self) -> Vec<Effect> {
        self.announce_damage();
        self.judge_anew();
        let mut effects = self.restore_kept();
        effects.extend(self.restore_carried());
        effects
    }

    /// Begins to judge; what the rules said before no longer counts.
    pub(super) fn judge_anew(&mut self) {
        self.judge = Some(Judge::new(self.rules.clone()));
        self.own_job = 0;
        self.own_found.clear();
    }

    /// A slice of the rules' work; when it was the last, the capture is summed up.
    fn work(&mut self) -> Vec<Effect> {
        let Some(mut judge) = self.judge.take() else {
            return self.take_in_own();
        };
        let mut done = false;
        self.with_store(|store| done = judge.step(store, CONNS_AT_ONCE));
        if !done {
            self.judge = Some(judge);
            return Vec::new();
        }
        self.jobs.judged = true;
        self.forget_decoded();
        self.grown();
        if !self.moved {
            let text = summary(self);
            self.announce(Tone::Info, text);
        }
        let mut effects = self.search_again();
        if !self.own_rules.is_empty() {
            self.own_job = self.next_job();
            effects.push(Effect::ApplyRules(self.own_job));
        }
        effects
    }

    /// What the rules say can be asked for in a filter: it is asked again when they are done.
    fn search_again(&mut self) -> Vec<Effect> {
        if self.filter.is_empty() {
            Vec::new()
        } else {
            self.restart_filter()
        }
    }

    /// The user's rules were applied. Findings of an order that no longer counts are dropped.
    fn rules_applied(&mut self, job: u64, applied: Applied) {
        if job != self.own_job {
            return;
        }
        let too_broad = applied.too_broad.iter().map(|(rule, conn)| {
            format!("the rule `{rule}` gave up on connection {conn}: its steps fit too many frames")
        });
        self.announce_mistakes(too_broad.collect());
        self.own_found = applied.findings;
    }

    /// Puts the findings of the user's rules into the store.
    fn take_in_own(&mut self) -> Vec<Effect> {
        let found = std::mem::take(&mut self.own_found);
        if found.is_empty() {
            return Vec::new();
        }
        self.with_store(|store| {
            for finding in found {
                store.add_finding(finding);
            }
        });
        self.forget_decoded();
        self.grown();
        self.search_again()
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

    /// Carries out a command, as soon as what it acts on is decoded.
    pub(super) fn run(&mut self, command: Command, count: Option<u32>) -> Vec<Effect> {
        if let Some(why) = self.out_of_reach(command) {
            self.say(Tone::Info, why);
            return Vec::new();
        }
        if self.must_decode(command) {
            return vec![Effect::Decode(command, count)];
        }
        self.run_decoded(command, count)
    }

    fn run_decoded(&mut self, command: Command, count: Option<u32>) -> Vec<Effect> {
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
                None => return self.ask(Ask::Frame, ""),
            },
            C::GotoTime => return self.ask(Ask::Time, ""),
            C::NextSameSid
            | C::PrevSameSid
            | C::NextSameConn
            | C::PrevSameConn
            | C::Pair
            | C::NextFinding
            | C::PrevFinding
            | C::NextReset
            | C::PrevReset
            | C::NextPhase
            | C::PrevPhase
            | C::NextGap
            | C::PrevGap
            | C::NextMark
            | C::PrevMark => self.follow_target(command, times),
            C::Back => self.go_back(),
            C::Forward => match self.jumps.forward(self.list.cursor) {
                Some(frame) => self.land_from_layer(frame),
                None => self.say(Tone::Info, "no jump to go forward to"),
            },
            C::Connections => self.open_table(Kind::Connections),
            C::Findings => self.open_table(Kind::Findings),
            C::Requests => self.open_requests(),
            C::Card => self.show_card(),
            C::Phases => match self.conn() {
                Some(conn) => self.open_table(Kind::Phases(conn)),
                None => self.say(Tone::Error, "this frame belongs to no connection"),
            },
            C::Sort => return self.ask_column(),
            C::Find => return self.ask(Ask::Find, ""),
            C::Filter => {
                let filter = self.filter.clone();
                return self.ask(Ask::Filter, &filter);
            }
            C::CommandLine => return self.ask(Ask::Command, ""),
            C::Mark => self.mark(),
            C::MarkDown => {
                self.mark();
                match self.table() {
                    Some(_) => self.move_rows(1),
                    None => self.step(1),
                }
            }
            C::MarkFinding => self.mark_finding(),
            C::Range => self.toggle_range(),
            C::MarkToHere => self.mark_to_here(),
            C::ClearMarks => {
                self.change("marks", |app| {
                    app.marks = crate::export::FrameSet::default();
                });
            }
            C::Undo => return self.undo_redo(true),
            C::Redo => return self.undo_redo(false),
            C::TimeRef => self.toggle_time_ref(),
            C::Ignore => {
                let here = self.list.cursor;
                self.change("ignored frames", |app| {
                    app.ignored = super::marking::toggled(&app.ignored, here);
                });
            }
            C::CopyRow
            | C::CopyField
            | C::CopyHex
            | C::CopyFrame
            | C::CopyLadder
            | C::CopyFilter => return self.copy(command),
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
                if !self.leave_zoom() {
                    self.zoomed = Some(self.focus);
                    self.show_cursor(true);
                }
            }
            C::Bytes => self.cycle_bytes(),
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
                let mut text = format!("time: {}", self.settings.time.name());
                if let Some(left_out) = self.columns_left_out() {
                    text = format!("{text}; {left_out}");
                }
                self.say(Tone::Info, text);
            }
            C::LaneGutter => {
                let now = self.lane_gutter();
                self.settings.lane_gutter = Some(!now);
                self.say_columns_left_out();
            }
            // The key that opened the help closes it: a second one on top would take two keys to leave.
            C::Help if matches!(self.layers.last(), Some(Layer::Help(_))) => {
                self.layers.pop();
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
            // A number is dropped by itself: what is open stays.
            C::Escape if count.is_some() => {}
            C::Escape => return self.escape(),
            C::Cancel => return self.cancel(),
            C::Redraw => return vec![Effect::Clear],
            C::Suspend => return vec![Effect::Suspend],
            C::Export => match self.layers.last() {
                Some(Layer::Table(_)) => return self.ask_list_file(),
                _ => return self.open_export(),
            },
            C::OnlySid => return self.only_sid(),
            C::FindNext => self.find_step(true),
            C::FindPrev => self.find_step(false),
            C::Explain => self.explain(""),
            C::Shift => return self.shift(""),
            C::FollowFile => return self.follow_file(),
            C::Columns | C::Theme | C::Glyphs | C::Set | C::Map => self.say_usage(command),
        }
        if self.list.cursor != before || command != C::Summary {
            self.moved = true;
        }
        Vec::new()
    }

    /// Closes the top layer; with none open, quits.
    fn close(&mut self) -> Vec<Effect> {
        if self.layers.pop().is_some() {
            return Vec::new();
        }
        if self.leave_zoom() {
            return Vec::new();
        }
        if self.jobs.exporting.is_some() {
            // What is half written would be lost without a word.
            let (stop, quit) = (self.key_of(Command::Cancel), self.key_of(Command::Quit));
            let text = format!("an export is being written; {stop} stops it, {quit} leaves");
            self.say(Tone::Info, text);
            return Vec::new();
        }
        vec![Effect::Quit]
    }

    /// Leaves what is on top, one thing at a time; at last a search that runs.
    fn escape(&mut self) -> Vec<Effect> {
        if self.layers.pop().is_some() {
            return Vec::new();
        } else if self.range.take().is_some() {
            self.say(Tone::Info, "range dropped");
        } else if self.leave_zoom() {
            return Vec::new();
        } else if self.focus != Pane::List {
            self.focus = Pane::List;
        } else {
            return self.stop_search().into_iter().collect();
        }
        Vec::new()
    }

    /// Stops the job that runs; with none running, quits.
    fn cancel(&mut self) -> Vec<Effect> {
        if self.jobs.exporting.is_some() {
            return vec![Effect::StopExport];
        }
        if let Some(stop) = self.stop_search() {
            return vec![stop];
        }
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

#[cfg(test)]
mod own_rules {
    use super::*;
    use crate::app::testing::{app, finding};
    use crate::query::user_rules;

    const RULE: &str = "[[rule]]\nid = \"mine\"\ntitle = \"t\"\nverdict = \"Fault\"\n\
                        [[rule.step]]\nevent = \"tcp\"\nwhere = \"tcp\"\n";

    fn judged() -> (App, u64) {
        let mut app = app(80, 24);
        app.own_rules = user_rules::read(RULE).unwrap();
        update(&mut app, Event::Indexed(None));
        let mut effects = Vec::new();
        while app.has_work() {
            effects.extend(update(&mut app, Event::Work));
        }
        let job = effects.iter().find_map(|e| match e {
            Effect::ApplyRules(job) => Some(*job),
            _ => None,
        });
        (app, job.unwrap())
    }

    fn applied() -> Applied {
        let mut found = finding();
        found.rule = "mine".into();
        Applied {
            findings: vec![found],
            ..Applied::default()
        }
    }

    fn mine(app: &App) -> usize {
        let findings = app.store.findings().iter();
        findings.filter(|f| f.rule == "mine").count()
    }

    #[test]
    fn findings_come_in_when_no_job_holds_the_store() {
        let (mut app, job) = judged();
        let held = Arc::clone(&app.store);
        update(&mut app, Event::RulesApplied(job, Box::new(applied())));
        assert!(!app.has_work(), "a job holds the store");
        drop(held);
        assert!(app.has_work());
        update(&mut app, Event::Work);
        assert_eq!(mine(&app), 1);
        assert!(!app.has_work());
    }

    #[test]
    fn the_rules_wait_while_an_export_holds_the_store() {
        let mut app = app(80, 24);
        let held = Arc::clone(&app.store);
        update(&mut app, Event::Indexed(None));
        assert!(!app.has_work());
        drop(held);
        assert!(app.has_work());
        while app.has_work() {
            update(&mut app, Event::Work);
        }
        assert!(app.judge.is_none());
    }

    #[test]
    fn findings_of_an_older_order_do_not_count() {
        let (mut app, job) = judged();
        update(&mut app, Event::RulesApplied(job + 1, Box::new(applied())));
        assert!(!app.has_work());
        update(&mut app, Event::Indexed(None));
        update(&mut app, Event::RulesApplied(job, Box::new(applied())));
        while app.has_work() {
            update(&mut app, Event::Work);
        }
        assert_eq!(mine(&app), 0);
    }
}
