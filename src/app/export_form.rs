//! The export form: what to take, what to add, how and where to write it. Its last line says what will happen.

use std::path::{Path, PathBuf};

use tui_input::{Input, InputRequest};

use super::App;
use super::key::{Key, KeyCode};
use crate::export::{
    Choice, Context, Format, FrameSet, Options, Plan, Redaction, What, small_name, with_ending,
};

/// A line of the form that can have the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Line {
    /// What to take.
    What,
    /// Frames as typed.
    Frames,
    /// Handshake, PRELOGIN and login.
    Opening,
    /// The last frames of each direction.
    Last,
    /// Everything between.
    Between,
    /// Format.
    Format,
    /// Comments.
    Notes,
    /// Redaction.
    Redact,
    /// The file.
    File,
}

impl Line {
    /// All lines, from top to bottom.
    pub const ALL: [Self; 9] = [
        Self::What,
        Self::Frames,
        Self::Opening,
        Self::Last,
        Self::Between,
        Self::Format,
        Self::Notes,
        Self::Redact,
        Self::File,
    ];
}

/// Numbers of last frames to choose from.
const LAST: [usize; 4] = [0, 10, 50, 200];

/// Something that can be taken, or the reason why it cannot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its words: `marked 5`.
    pub words: String,
    /// What it takes.
    pub what: Result<What, String>,
}

/// An export that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// What.
    pub plan: Plan,
    /// How.
    pub options: Options,
    /// Where.
    pub path: PathBuf,
}

/// What an export would come to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Foreseen {
    /// Bytes of the file; `None` for one that is too large to be tried.
    pub bytes: Option<u64>,
    /// What stands in the way.
    pub problems: Vec<String>,
    /// What is worth knowing, and does not stand in the way.
    pub remarks: Vec<String>,
}

/// The open form.
#[derive(Debug, Clone)]
pub struct ExportForm {
    /// What can be taken.
    pub offers: Vec<Offer>,
    /// The offer that is chosen; one behind the last is the typed frames.
    pub chosen: usize,
    /// Frames as typed.
    pub typed: Input,
    /// What to add.
    pub context: Context,
    /// Format.
    pub format: Format,
    /// Findings and marks as comments.
    pub notes: bool,
    /// Replace addresses, names and data.
    pub redact: Option<Redaction>,
    /// The file.
    pub file: Input,
    /// The line with the cursor.
    pub line: Line,
    /// What will be written.
    pub plan: Plan,
    /// The file exists; Enter again replaces it.
    pub replace: bool,
    /// Ctrl-Y was pressed for what is no text.
    not_copied: bool,
    /// The format was chosen in the form: the ending of the file's name no longer chooses it.
    format_chosen: bool,
    ignored: FrameSet,
    marks: FrameSet,
    /// What the plan was worked out from.
    planned: Option<Planned>,
    /// What the export was asked for that was looked into last, and with which number.
    tried: Option<(Wish, u64)>,
    /// What it would come to.
    foreseen: Foreseen,
}

/// What a plan depends on: the offer, the frames typed, what is added, and how far the capture is read.
type Planned = (usize, String, Context, [usize; 2], bool);

/// What the size of an export depends on.
type Wish = (Option<Planned>, Format, bool, Option<Redaction>);

/// What a key did to the form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// The form goes on.
    No,
    /// It is left.
    Left,
    /// The export is to be written.
    Write(Box<Order>),
    /// Its text is to be copied.
    Copy(Box<Order>),
}

impl ExportForm {
    /// The form for what is marked, chosen, filtered and under the cursor.
    pub fn new(app: &App) -> Self {
        let offers = offers(app);
        // A range that is being chosen is what is meant, whatever was marked before.
        let chosen = offers
            .iter()
            .position(|o| matches!(o.what, Ok(What::Range(..))))
            .or_else(|| offers.iter().position(|o| o.what.is_ok()))
            .unwrap_or(0);
        let folder = app.settings.export_folder.clone().unwrap_or_default();
        let takes_marked = offers
            .get(chosen)
            .is_some_and(|o| matches!(o.what, Ok(What::Marked(_))));
        let name = small_name(app.first_path(), takes_marked);
        let file = Path::new(&folder).join(name).to_string_lossy().into_owned();
        let mut form = Self {
            offers,
            chosen,
            typed: Input::default(),
            context: Context {
                opening: app.settings.export_opening,
                ..Context::default()
            },
            format: app.settings.export_format,
            notes: app.settings.export_comments,
            redact: app.settings.export_redact.then(Redaction::default),
            file: Input::new(file),
            line: Line::What,
            plan: Plan::default(),
            replace: false,
            not_copied: false,
            format_chosen: false,
            ignored: app.ignored.clone(),
            marks: app.marks.clone(),
            planned: None,
            tried: None,
            foreseen: Foreseen::default(),
        };
        form.fit_ending();
        form.renew(app);
        form
    }

    /// Works out the plan for what is chosen now, if that has changed: it looks at every frame that is taken.
    pub fn renew(&mut self, app: &App) {
        let typed = if self.is_typed() {
            self.typed.value().to_string()
        } else {
            String::new()
        };
        let counts = [app.store.frame_count(), app.store.findings().len()];
        let complete = app.store.progress().complete;
        let now = (self.chosen, typed, self.context, counts, complete);
        if self.planned.as_ref() == Some(&now) {
            return;
        }
        self.planned = Some(now);
        let what = match self.offers.get(self.chosen) {
            Some(offer) => offer.what.clone(),
            None => Ok(What::Typed(self.typed.value().to_string())),
        };
        self.plan = match what {
            Ok(what) => Plan::new(
                &app.store,
                &Choice {
                    what,
                    context: self.context,
                    ignored: self.ignored.clone(),
                },
            ),
            Err(why) => Plan {
                problems: vec![why],
                ..Plan::default()
            },
        };
    }

    /// Whether the frames are those typed.
    pub fn is_typed(&self) -> bool {
        self.chosen >= self.offers.len()
    }

    /// The last line: what will happen, or what stands in the way.
    pub fn outcome(&self) -> String {
        let mut problems = self.plan.problems.iter().chain(&self.foreseen.problems);
        if let Some(problem) = problems.next() {
            return problem.clone();
        }
        if self.not_copied {
            return "a capture cannot be copied; choose text, ticket or another format".to_owned();
        }
        if self.file.value().trim().is_empty() {
            return "no file is named; write its name".to_owned();
        }
        let mut text = self.plan.summary_as(self.format, self.foreseen.bytes);
        if self.plan.cut_frames > 0 {
            text.push_str(", some cut by the snap length");
        }
        if let Some(remark) = self.plan.remarks.first() {
            let frames = self.plan.frames.len();
            text = format!("{frames} frames so far: {remark}");
        }
        if self.replace {
            return format!("the file exists; Enter again replaces it ({text})");
        }
        text
    }

    /// Whether nothing is known to stand in the way.
    pub fn is_ready(&self) -> bool {
        self.plan.is_ready() && self.foreseen.problems.is_empty()
    }

    /// What is worth knowing of the export, besides that the capture is not read to its end.
    pub fn notes(&self) -> impl Iterator<Item = String> {
        let others = |remark: &&String| !self.plan.remarks.contains(remark);
        let remarks = self.foreseen.remarks.iter().filter(others).cloned();
        self.other_ending().into_iter().chain(remarks)
    }

    /// What to know where the file's name says another format than the one that is chosen.
    fn other_ending(&self) -> Option<String> {
        let said = self.format_of_name()?;
        Some(format!(
            "the ending of the name says {}; the file will be {}",
            said.name(),
            self.format.name()
        ))
    }

    /// The format that the file's name says, if its ending is none of the chosen format's; several share an ending.
    fn format_of_name(&self) -> Option<Format> {
        let said = Format::from_path(Path::new(self.file.value().trim()))?;
        (said.extension() != self.format.extension()).then_some(said)
    }

    /// The export whose outcome is to be looked into: none, if that was done or cannot be done.
    pub fn to_foresee(&self) -> Option<Order> {
        let tried = self.tried.as_ref().map(|(wish, _)| wish);
        (self.plan.is_ready() && tried != Some(&self.wish())).then(|| self.order())
    }

    /// The outcome is being looked into, as the order with this number.
    pub fn asked(&mut self, number: u64) {
        self.tried = Some((self.wish(), number));
        self.foreseen.bytes = None;
        self.foreseen.problems.clear();
    }

    /// The outcome of the order with this number is known.
    pub fn foreseen(&mut self, number: u64, foreseen: Foreseen) {
        let asked = self.tried.as_ref().map(|(_, number)| *number);
        if asked == Some(number) {
            self.foreseen = foreseen;
        }
    }

    fn wish(&self) -> Wish {
        let planned = self.planned.clone();
        (planned, self.format, self.notes, self.redact)
    }

    fn order(&self) -> Order {
        Order {
            plan: self.plan.clone(),
            options: Options {
                comments: self.notes && self.format == Format::Pcapng,
                force: self.replace,
                marks: self.marks.clone(),
                redact: self.redact,
                ..Options::of(self.format)
            },
            path: PathBuf::from(self.file.value().trim()),
        }
    }

    /// Takes a key.
    pub fn key(&mut self, app: &App, key: Key) -> Done {
        match (key.code, key.ctrl) {
            (KeyCode::Esc, _) | (KeyCode::Char('c'), true) => return Done::Left,
            (KeyCode::Enter, _) => return self.finish(),
            (KeyCode::Char('y'), true) => return self.copy(),
            (KeyCode::Tab | KeyCode::Down, _) => self.step(true),
            (KeyCode::BackTab | KeyCode::Up, _) => self.step(false),
            _ => self.edit(key),
        }
        self.replace = false;
        self.not_copied = false;
        self.renew(app);
        Done::No
    }

    fn finish(&self) -> Done {
        let path = self.file.value().trim();
        if !self.plan.is_ready() || path.is_empty() {
            return Done::No;
        }
        Done::Write(Box::new(self.order()))
    }

    fn copy(&mut self) -> Done {
        self.not_copied = self.format.is_capture();
        if !self.plan.is_ready() || self.format.is_capture() {
            return Done::No;
        }
        Done::Copy(Box::new(self.order()))
    }

    fn step(&mut self, forward: bool) {
        let lines: Vec<Line> = Line::ALL
            .into_iter()
            .filter(|line| match line {
                Line::Frames => self.is_typed(),
                Line::Notes => self.format == Format::Pcapng,
                _ => true,
            })
            .collect();
        let at = lines.iter().position(|l| *l == self.line).unwrap_or(0);
        let by = if forward {
            1
        } else {
            lines.len().saturating_sub(1)
        };
        let next = lines.iter().cycle().nth(at.saturating_add(by));
        self.line = next.copied().unwrap_or(Line::What);
    }

    fn edit(&mut self, key: Key) {
        let typed = match (key.code, key.ctrl) {
            (KeyCode::Char(c), false) => Some(InputRequest::InsertChar(c)),
            (KeyCode::Backspace, _) => Some(InputRequest::DeletePrevChar),
            (KeyCode::Delete, _) => Some(InputRequest::DeleteNextChar),
            (KeyCode::Left, _) => Some(InputRequest::GoToPrevChar),
            (KeyCode::Right, _) => Some(InputRequest::GoToNextChar),
            (KeyCode::Home, _) => Some(InputRequest::GoToStart),
            (KeyCode::End, _) => Some(InputRequest::GoToEnd),
            (KeyCode::Char('u'), true) => Some(InputRequest::DeleteLine),
            (KeyCode::Char('w'), true) => Some(InputRequest::DeletePrevWord),
            _ => None,
        };
        let input = match self.line {
            Line::File => Some(&mut self.file),
            Line::Frames => Some(&mut self.typed),
            _ => None,
        };
        if let Some(input) = input {
            if let Some(request) = typed {
                input.handle(request);
            }
            if self.line == Line::File
                && !self.format_chosen
                && let Some(said) = self.format_of_name()
            {
                self.format = said;
            }
            return;
        }
        let back = matches!(key.code, KeyCode::Left | KeyCode::Char('h'));
        let go = back || matches!(key.code, KeyCode::Right | KeyCode::Char('l' | ' '));
        // A digit on the first line begins to type frames.
        if self.line == Line::What && key.digit().is_some() {
            self.chosen = self.offers.len();
            self.line = Line::Frames;
            self.edit(key);
        } else if go {
            self.turn(back);
        }
    }

    /// Turns a choice to its next value, or a box on or off.
    fn turn(&mut self, back: bool) {
        match self.line {
            Line::What => {
                let all = self.offers.len().saturating_add(1);
                self.chosen = turned(self.chosen, all, back);
            }
            Line::Opening => self.context.opening = !self.context.opening,
            Line::Last => {
                let at = LAST.iter().position(|n| *n == self.context.last_frames);
                let next = turned(at.unwrap_or(0), LAST.len(), back);
                self.context.last_frames = LAST.get(next).copied().unwrap_or(0);
            }
            Line::Between => self.context.between = !self.context.between,
            Line::Format => {
                let at = Format::ALL.iter().position(|f| *f == self.format);
                let next = turned(at.unwrap_or(0), Format::ALL.len(), back);
                self.format = Format::ALL.get(next).copied().unwrap_or(self.format);
                self.format_chosen = true;
                self.fit_ending();
            }
            Line::Notes => self.notes = !self.notes,
            Line::Redact => {
                let on = |ports| Some(Redaction { ports });
                let steps = [None, on(false), on(true)];
                let at = steps.iter().position(|step| *step == self.redact);
                let next = turned(at.unwrap_or(0), steps.len(), back);
                self.redact = steps.get(next).copied().flatten();
            }
            Line::Frames | Line::File => {}
        }
    }

    /// The file's name gets the ending of the format.
    fn fit_ending(&mut self) {
        self.file = Input::new(with_ending(self.file.value(), self.format));
    }
}

fn turned(at: usize, all: usize, back: bool) -> usize {
    let by = if back { all.saturating_sub(1) } else { 1 };
    at.saturating_add(by).checked_rem(all).unwrap_or(0)
}

fn offers(app: &App) -> Vec<Offer> {
    let offer = |words: String, what: Result<What, String>| Offer { words, what };
    let range = app
        .chosen_range()
        .map(|(a, b)| What::Range(a, b))
        .ok_or("range: none is being chosen; v starts one".to_string());
    let filtered = if app.list.rows.is_filtered() {
        let hits = (0..app.list.rows.len(&app.store))
            .filter_map(|row| app.list.rows.at(&app.store, row))
            .collect();
        Ok(What::Filtered(hits))
    } else {
        Err("filtered: no filter is set".to_string())
    };
    let facts = app.cursor_facts();
    let sid = facts
        .as_ref()
        .and_then(|f| Some((f.conn?, f.sid?)))
        .ok_or("Sid: this frame has none".to_string());
    let conn = app
        .conn()
        .ok_or("connection: this frame has none".to_string());
    let life = facts
        .as_ref()
        .and_then(|f| app.store.session(f.session?))
        .filter(|life| {
            let lives = app.store.conn_sessions(life.conn);
            lives.filter(|other| other.sid == life.sid).count() > 1
        })
        .map(|life| {
            offer(
                format!("Sid {} life {}", life.sid, life.life),
                Ok(What::Session(life.id)),
            )
        });
    let finding = app
        .store
        .finding_on(app.list.cursor)
        .map(|f| f.id)
        .ok_or("finding: none on this frame".to_string());
    let mut offers = vec![
        offer(
            if app.marks.is_empty() {
                "marked: none".to_string()
            } else {
                format!("marked {}", app.marks.len())
            },
            if app.marks.is_empty() {
                Err("marked: no frame is marked; m marks the row".to_string())
            } else {
                Ok(What::Marked(app.marks.clone()))
            },
        ),
        offer(
            app.chosen_range()
                .map_or("range: none".to_string(), |(a, b)| format!("range {a}-{b}")),
            range,
        ),
        offer(
            if filtered.is_ok() {
                format!("filtered {}", app.list.rows.len(&app.store))
            } else {
                "filtered: no filter set".to_string()
            },
            filtered,
        ),
        offer(
            sid.as_ref()
                .map_or("Sid: none here".to_string(), |(_, sid)| {
                    format!("Sid {sid}")
                }),
            sid.map(|(conn, sid)| What::Sid(conn, sid)),
        ),
        offer(
            conn.as_ref()
                .map_or("connection: none here".to_string(), |c| {
                    format!("connection {c}")
                }),
            conn.map(What::Connection),
        ),
        offer(
            if finding.is_ok() {
                "finding".to_string()
            } else {
                "finding: none here".to_string()
            },
            finding.map(What::Finding),
        ),
        offer("all frames".to_string(), Ok(What::All)),
    ];
    // Beside the Sid, where that has several lives.
    if let Some(life) = life {
        offers.insert(4, life);
    }
    offers
}
