//! The help: every command with its present keys, those of the focused pane first, cut down to what is typed.

use super::command::{COMMANDS, Command, Context, Entry, Group};
use super::keymap::Keymap;
use super::ordering::wrap;

/// The open help.
#[derive(Debug, Clone)]
pub struct Help {
    /// The pane that had the focus.
    pub context: Context,
    /// What was typed to search.
    pub search: String,
    /// A search was begun with its own key: a word may begin with any letter.
    pub begun: bool,
    /// Lines scrolled past.
    pub top: usize,
}

/// A line of the help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HelpLine {
    /// A heading.
    Heading(String),
    /// A command: keys, name, what fits the line of its sentence.
    Command(String, &'static str, String),
    /// More of the sentence of the command above.
    More(String),
}

/// Where the parts of a command's line stand, by the width of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Columns {
    /// The column of the command's name, where there is room for it.
    pub name: Option<u16>,
    /// The column of its sentence.
    pub sentence: u16,
    /// The sentence begins in the line of the keys, not below it.
    pub beside: bool,
}

impl Columns {
    /// The column of the keys.
    pub const KEYS: u16 = 3;

    /// The columns for a width.
    pub fn new(width: u16) -> Self {
        match width {
            0..50 => Self {
                name: None,
                sentence: 5,
                beside: false,
            },
            50..100 => Self {
                name: None,
                sentence: 19,
                beside: true,
            },
            _ => Self {
                name: Some(19),
                sentence: 37,
                beside: true,
            },
        }
    }
}

impl Help {
    /// The help for a pane.
    pub fn new(context: Context) -> Self {
        Self {
            context,
            search: String::new(),
            begun: false,
            top: 0,
        }
    }

    /// Its lines, in a window of so many columns.
    pub fn lines(&self, keymap: &Keymap, width: u16) -> Vec<HelpLine> {
        let mut out = Vec::new();
        let own: Vec<&Entry> = COMMANDS.iter().filter(|e| self.is_own(e)).collect();
        self.section(
            &mut out,
            &format!("Here, in the {}", self.context.name()),
            &own,
            keymap,
            width,
        );
        for group in Group::ALL {
            let entries: Vec<&Entry> = COMMANDS
                .iter()
                .filter(|e| e.group == group && e.context == Context::Anywhere && !self.is_own(e))
                .collect();
            self.section(&mut out, group.title(), &entries, keymap, width);
        }
        for context in [Context::Lanes, Context::Table] {
            if context == self.context {
                continue;
            }
            let entries: Vec<&Entry> = COMMANDS.iter().filter(|e| e.context == context).collect();
            self.section(
                &mut out,
                &format!("In the {}", context.name()),
                &entries,
                keymap,
                width,
            );
        }
        out
    }

    /// Whether a command is one of the pane: its key means something there alone, or it does there what the pane is for.
    fn is_own(&self, entry: &Entry) -> bool {
        entry.context != Context::Anywhere && entry.context == self.context
            || of_pane(self.context).contains(&entry.command)
    }

    fn section(
        &self,
        out: &mut Vec<HelpLine>,
        title: &str,
        entries: &[&Entry],
        keymap: &Keymap,
        width: u16,
    ) {
        let columns = Columns::new(width);
        let cells = usize::from(width.saturating_sub(columns.sentence)).max(10);
        let mut lines = entries
            .iter()
            .map(|entry| {
                let mut keys = keymap.keys_of(entry.command).join("  ");
                if keys.is_empty() {
                    keys = format!(":{}", entry.name);
                }
                (keys, entry)
            })
            .filter(|(keys, entry)| self.matches(keys, entry))
            .flat_map(|(keys, entry)| {
                let mut parts = wrap(entry.sentence, cells).into_iter();
                let first = parts.by_ref().take(usize::from(columns.beside)).next();
                let first = first.unwrap_or_default();
                std::iter::once(HelpLine::Command(keys, entry.name, first))
                    .chain(parts.map(HelpLine::More))
                    .collect::<Vec<_>>()
            })
            .peekable();
        if lines.peek().is_some() {
            out.push(HelpLine::Heading(title.to_string()));
            out.extend(lines);
        }
    }

    fn matches(&self, keys: &str, entry: &Entry) -> bool {
        let search = self.search.to_lowercase();
        search.split_whitespace().all(|word| {
            entry.name.contains(word)
                || entry.sentence.to_lowercase().contains(word)
                || keys.to_lowercase().split_whitespace().any(|k| k == word)
        })
    }
}

/// Commands for all panes that one of them is used with most.
fn of_pane(context: Context) -> &'static [Command] {
    use Command as C;
    match context {
        Context::Decode | Context::Bytes => &[
            C::Down,
            C::Up,
            C::Fold,
            C::Open,
            C::Follow,
            C::CopyField,
            C::CopyHex,
            C::Bytes,
            C::Pane,
            C::PaneBack,
            C::ZoomPane,
            C::GrowPane,
            C::ShrinkPane,
        ],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Layer;
    use crate::app::testing::{app, press};

    #[test]
    fn every_command_stands_in_the_help_once() {
        let keymap = Keymap::standard();
        for context in [
            Context::List,
            Context::Lanes,
            Context::Decode,
            Context::Bytes,
            Context::Table,
        ] {
            let lines = Help::new(context).lines(&keymap, 80);
            for entry in COMMANDS {
                let count = lines
                    .iter()
                    .filter(|l| matches!(l, HelpLine::Command(_, name, _) if *name == entry.name))
                    .count();
                assert_eq!(count, 1, "{} in {context:?}", entry.name);
            }
        }
    }

    #[test]
    fn sentences_are_read_to_their_end_at_any_width() {
        let keymap = Keymap::standard();
        for width in [20, 60, 80, 160] {
            let cells = usize::from(width - Columns::new(width).sentence);
            let mut sentence = String::new();
            let mut sentences = Vec::new();
            for line in Help::new(Context::List).lines(&keymap, width) {
                let (HelpLine::Command(.., part) | HelpLine::More(part)) = &line else {
                    continue;
                };
                let fits = part.chars().count() <= cells || !part.contains(' ');
                assert!(fits, "{part} at {width}");
                if matches!(line, HelpLine::Command(..)) {
                    sentences.push(std::mem::take(&mut sentence));
                }
                sentence = format!("{sentence} {part}").trim().to_owned();
            }
            sentences.push(sentence);
            for entry in COMMANDS {
                assert!(
                    sentences.iter().any(|s| s == entry.sentence),
                    "{}",
                    entry.name
                );
            }
        }
    }

    #[test]
    fn the_keys_of_the_focused_pane_stand_first() {
        for (keys, heading, own) in [
            ("Tab ?", "Here, in the timeline", "pan-left"),
            ("Tab Tab ?", "Here, in the decode pane", "open"),
            ("b Tab Tab ?", "Here, in the bytes pane", "copy-hex"),
            ("?", "Move", "down"),
        ] {
            let mut app = app(80, 24);
            press(&mut app, keys);
            let Some(Layer::Help(help)) = app.layers.last() else {
                panic!("{keys}");
            };
            let lines = help.lines(&app.keymap, 80);
            assert_eq!(lines.first(), Some(&HelpLine::Heading(heading.to_owned())));
            let mut first = lines.iter().skip(1);
            let mut section = first
                .by_ref()
                .take_while(|l| !matches!(l, HelpLine::Heading(_)));
            assert!(
                section.any(|l| matches!(l, HelpLine::Command(_, name, _) if *name == own)),
                "{keys}: {own}"
            );
        }
    }

    #[test]
    fn typing_cuts_it_down() {
        let mut help = Help::new(Context::List);
        help.search = "next reset".to_string();
        let lines = help.lines(&Keymap::standard(), 80);
        assert_eq!(lines.len(), 2, "{lines:?}");
    }
}
