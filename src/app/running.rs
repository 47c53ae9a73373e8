//! What each command does.

use super::command::Command;
use super::event::Effect;
use super::layout::Pane;
use super::prompt::Ask;
use super::tables::Kind;
use super::{App, Help, Layer, Tone, summary};
use crate::units::FrameNo;

impl App {
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

    pub(super) fn run_decoded(&mut self, command: Command, count: Option<u32>) -> Vec<Effect> {
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
            C::ClearMarks if self.marks.is_empty() => {
                self.say(Tone::Info, "nothing is marked");
            }
            C::ClearMarks => {
                self.change("marks", |app| {
                    app.marks = crate::export::FrameSet::default();
                });
            }
            C::Undo => return self.undo_redo(true),
            C::Redo => return self.undo_redo(false),
            C::TimeRef => self.toggle_time_ref(),
            C::Ignore => self.toggle_ignored(),
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
                    format!(
                        "d counts from {}; four digits, the rest is cut",
                        self.settings.delta.name()
                    ),
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
