//! The input line: what is asked, how it is checked, and what an answer does.

use super::command::{Command, Context};
use super::key::Key;
use super::prompt::{Ask, Prompt, Typed};
use super::{App, Effect, Tone, clock};
use crate::units::{FrameNo, Nanos};

impl App {
    /// Opens the input line.
    pub(super) fn ask(&mut self, ask: Ask, text: &str) -> Vec<Effect> {
        self.prompt = Some(Prompt::new(ask, text));
        self.check_prompt()
    }

    /// Checks what is typed, while it is typed.
    pub(super) fn check_prompt(&mut self) -> Vec<Effect> {
        let Some(prompt) = &mut self.prompt else {
            return Vec::new();
        };
        prompt.mistake = None;
        let text = prompt.text().to_string();
        match prompt.ask {
            Ask::Filter if self.layers.is_empty() && !text.starts_with("save ") => {
                self.check_search(&text, false)
            }
            Ask::Column => {
                self.offer_columns(&text);
                Vec::new()
            }
            Ask::Find if self.layers.is_empty() => self.check_search(&text, true),
            _ => Vec::new(),
        }
    }

    pub(super) fn prompt_key(&mut self, key: Key) -> Vec<Effect> {
        let Some(prompt) = &mut self.prompt else {
            return Vec::new();
        };
        match prompt.key(key, &self.inputs) {
            Typed::Changed => return self.check_prompt(),
            Typed::Complete(back) => return self.complete(back),
            Typed::Same => {}
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
    pub(super) fn answer(&mut self, ask: Ask, text: &str) -> Vec<Effect> {
        match ask {
            Ask::Frame => match text.parse() {
                Ok(no) => self.goto(FrameNo(no)),
                Err(_) => self.say(Tone::Error, format!("no frame number: {text}; write 1049")),
            },
            Ask::Time => self.goto_time(text),
            Ask::Command => return self.command_line(text),
            Ask::Find => return self.answer_find(text),
            Ask::Filter => return self.answer_filter(text),
            Ask::ListFile => return self.write_list(text),
            Ask::Column => self.sort_table(text),
        }
        Vec::new()
    }

    pub(super) fn goto_time(&mut self, text: &str) {
        let here = self
            .store
            .frame(self.list.cursor)
            .map_or(Nanos(0), |f| f.time);
        let local = self.settings.time == clock::TimeFormat::Local;
        match clock::parse(text, self.time_base(), here, local) {
            Ok(time) => {
                let frame = self.store.frame_at(time).unwrap_or(FrameNo(1));
                self.goto(frame);
                if let Some(end) = self.outside(time, local) {
                    self.say(Tone::Info, format!("{} is {end}", text.trim()));
                }
            }
            Err(why) => self.say(Tone::Error, why),
        }
    }

    /// Which end of the capture a time lies beyond, and when that is, so that a wrong zone is seen.
    fn outside(&self, time: Nanos, local: bool) -> Option<String> {
        let (first, last) = (self.store.start_time()?, self.store.end_time()?);
        let (text, end) = if time < first {
            ("before the first frame", first)
        } else if time > last {
            ("after the last frame", last)
        } else {
            return None;
        };
        let decimals = self.decimals();
        let end = if local {
            format!("{} local time", clock::time_of_day(end, decimals, true))
        } else {
            clock::date_time(end, decimals)
        };
        Some(format!("{text} ({end})"))
    }

    /// A line typed behind the colon: a frame number, or a command with its argument.
    pub(super) fn command_line(&mut self, text: &str) -> Vec<Effect> {
        if text.is_empty() {
            return Vec::new();
        }
        if let Ok(no) = text.parse() {
            self.goto(FrameNo(no));
            return Vec::new();
        }
        let (name, argument) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        if let Some(command) = Command::by_name(name) {
            // Where the cursor stands on no reference, what can be followed is the file.
            let on_frames = matches!(self.context(), Context::List | Context::Lanes);
            if command == Command::Follow && on_frames && argument.is_empty() {
                return self.follow_file();
            }
            self.run_with(command, argument)
        } else {
            let mut text = super::keymap::no_command(name);
            if !text.contains("; nearest") {
                text.push_str("; Tab lists them, ? tells of their keys");
            }
            self.say(Tone::Error, text);
            Vec::new()
        }
    }
}
