//! The input line: what is asked for, what was typed, earlier inputs, and the error under it.

use std::collections::HashMap;

use tui_input::{Input, InputRequest};

use super::key::{Key, KeyCode};

/// Inputs kept per kind.
const KEPT: usize = 50;

/// What the input line asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ask {
    /// Something to find.
    Find,
    /// A filter.
    Filter,
    /// A command by name.
    Command,
    /// A time.
    Time,
    /// A frame number.
    Frame,
    /// A file to write the list to.
    ListFile,
    /// A column to sort the list by.
    Column,
}

impl Ask {
    /// The sign before the input.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Find => "/",
            Self::Filter => "&",
            Self::Command => ":",
            Self::Time => "time ",
            Self::Frame => "frame ",
            Self::ListFile => "write the list to ",
            Self::Column => "sort by ",
        }
    }
}

/// A mistake in the input: which characters, and what is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// First character that is wrong.
    pub at: usize,
    /// Characters that are wrong; at least one.
    pub len: usize,
    /// What is wrong.
    pub text: String,
}

/// The input line.
#[derive(Debug, Clone)]
pub struct Prompt {
    /// What it asks for.
    pub ask: Ask,
    /// What was typed.
    pub input: Input,
    /// What is wrong with it.
    pub mistake: Option<Mistake>,
    /// What may follow, when Tab was pressed: whole words, and the one chosen.
    pub offers: Vec<String>,
    /// The offer that is filled in.
    pub chosen: Option<usize>,
    /// What is known about it so far, for example the number of hits.
    pub remark: String,
    /// Which earlier input is shown; `None` for the one being typed.
    past: Option<usize>,
    typed: String,
}

/// Earlier inputs, the newest last.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    past: HashMap<Ask, Vec<String>>,
}

impl Inputs {
    /// Earlier inputs of a kind.
    pub fn of(&self, ask: Ask) -> &[String] {
        self.past.get(&ask).map_or(&[], Vec::as_slice)
    }

    /// Keeps an input.
    pub fn keep(&mut self, ask: Ask, text: &str) {
        if text.is_empty() {
            return;
        }
        let past = self.past.entry(ask).or_default();
        past.retain(|old| old != text);
        past.push(text.to_string());
        if past.len() > KEPT {
            past.remove(0);
        }
    }
}

/// What a key did to the input line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Typed {
    /// The text has changed.
    Changed,
    /// Only the cursor moved, or nothing happened.
    Same,
    /// Enter.
    Done,
    /// Esc, Ctrl-C, or Backspace in an empty line.
    Left,
    /// Tab: complete; the flag says whether backwards.
    Complete(bool),
}

impl Prompt {
    /// An input line with text in it.
    pub fn new(ask: Ask, text: impl Into<String>) -> Self {
        Self {
            ask,
            input: Input::new(text.into()),
            mistake: None,
            offers: Vec::new(),
            chosen: None,
            remark: String::new(),
            past: None,
            typed: String::new(),
        }
    }

    /// What was typed.
    pub fn text(&self) -> &str {
        self.input.value()
    }

    /// Replaces the text and puts the cursor behind it.
    pub fn set(&mut self, text: impl Into<String>) {
        self.input = Input::new(text.into());
    }

    /// Takes a key.
    pub fn key(&mut self, key: Key, inputs: &Inputs) -> Typed {
        let request = match (key.code, key.ctrl) {
            (KeyCode::Enter, _) => return Typed::Done,
            (KeyCode::Esc, _) | (KeyCode::Char('c'), true) => return Typed::Left,
            (KeyCode::Backspace, _) if self.text().is_empty() => return Typed::Left,
            (KeyCode::Tab, _) => return Typed::Complete(false),
            (KeyCode::BackTab, _) => return Typed::Complete(true),
            (KeyCode::Up, _) => return self.walk_past(inputs, true),
            (KeyCode::Down, _) => return self.walk_past(inputs, false),
            (KeyCode::Backspace, _) | (KeyCode::Char('h'), true) => InputRequest::DeletePrevChar,
            (KeyCode::Delete, _) => InputRequest::DeleteNextChar,
            (KeyCode::Left, _) => InputRequest::GoToPrevChar,
            (KeyCode::Right, _) => InputRequest::GoToNextChar,
            (KeyCode::Home, _) => InputRequest::GoToStart,
            (KeyCode::End, _) | (KeyCode::Char('e'), true) => InputRequest::GoToEnd,
            (KeyCode::Char('w'), true) => InputRequest::DeletePrevWord,
            (KeyCode::Char('u'), true) => InputRequest::DeleteLine,
            (KeyCode::Char('k'), true) => InputRequest::DeleteTillEnd,
            (KeyCode::Char(c), false) => InputRequest::InsertChar(c),
            _ => return Typed::Same,
        };
        let before = self.text().to_string();
        self.input.handle(request);
        if before == self.text() {
            return Typed::Same;
        }
        self.offers.clear();
        self.chosen = None;
        self.past = None;
        Typed::Changed
    }

    /// Puts pasted text in, line breaks as blanks.
    pub fn paste(&mut self, text: &str) {
        for c in text.chars().take(10_000) {
            let c = if c.is_control() { ' ' } else { c };
            self.input.handle(InputRequest::InsertChar(c));
        }
    }

    /// Shows an earlier or a later input.
    fn walk_past(&mut self, inputs: &Inputs, back: bool) -> Typed {
        let past = inputs.of(self.ask);
        let now = self.past.unwrap_or(past.len());
        if self.past.is_none() {
            self.typed = self.text().to_string();
        }
        let to = if back {
            now.checked_sub(1)
        } else {
            Some(now.saturating_add(1))
        };
        let Some(to) = to.filter(|to| *to <= past.len() && now != *to) else {
            return Typed::Same;
        };
        let text = past.get(to).cloned().unwrap_or_else(|| self.typed.clone());
        self.set(text);
        self.past = (to < past.len()).then_some(to);
        Typed::Changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earlier_inputs_come_back_and_what_was_typed_is_kept() {
        let mut inputs = Inputs::default();
        inputs.keep(Ask::Filter, "sid == 1");
        inputs.keep(Ask::Filter, "sid == 2");
        let mut prompt = Prompt::new(Ask::Filter, "");
        prompt.key(Key::char('x'), &inputs);
        let up = Key::plain(KeyCode::Up);
        let down = Key::plain(KeyCode::Down);
        assert_eq!(prompt.key(up, &inputs), Typed::Changed);
        assert_eq!(prompt.text(), "sid == 2");
        prompt.key(up, &inputs);
        assert_eq!(prompt.text(), "sid == 1");
        assert_eq!(prompt.key(up, &inputs), Typed::Same);
        prompt.key(down, &inputs);
        prompt.key(down, &inputs);
        assert_eq!(prompt.text(), "x");
        assert!(inputs.of(Ask::Find).is_empty());
    }
}
