//! The help: every command with its present keys, those of the focused pane first, cut down to what is typed.

use super::command::{COMMANDS, Context, Entry, Group};
use super::keymap::Keymap;

/// The open help.
#[derive(Debug, Clone)]
pub struct Help {
    /// The pane that had the focus.
    pub context: Context,
    /// What was typed to search.
    pub search: String,
    /// Lines scrolled past.
    pub top: usize,
}

/// A line of the help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HelpLine {
    /// A heading.
    Heading(String),
    /// A command: keys, name, sentence.
    Command(String, &'static str, &'static str),
}

impl Help {
    /// The help for a pane.
    pub fn new(context: Context) -> Self {
        Self {
            context,
            search: String::new(),
            top: 0,
        }
    }

    /// Its lines.
    pub fn lines(&self, keymap: &Keymap) -> Vec<HelpLine> {
        let mut out = Vec::new();
        let own: Vec<&Entry> = COMMANDS
            .iter()
            .filter(|e| e.context == self.context && e.context != Context::Anywhere)
            .collect();
        self.section(
            &mut out,
            &format!("Here, in the {}", self.context.name()),
            &own,
            keymap,
        );
        for group in Group::ALL {
            let entries: Vec<&Entry> = COMMANDS
                .iter()
                .filter(|e| e.group == group && e.context == Context::Anywhere)
                .collect();
            self.section(&mut out, group.title(), &entries, keymap);
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
            );
        }
        out
    }

    fn section(&self, out: &mut Vec<HelpLine>, title: &str, entries: &[&Entry], keymap: &Keymap) {
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
            .map(|(keys, entry)| HelpLine::Command(keys, entry.name, entry.sentence))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_stands_in_the_help_once() {
        let keymap = Keymap::standard();
        for context in [Context::List, Context::Lanes, Context::Table] {
            let lines = Help::new(context).lines(&keymap);
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
    fn typing_cuts_it_down() {
        let mut help = Help::new(Context::List);
        help.search = "next reset".to_string();
        let lines = help.lines(&Keymap::standard());
        assert_eq!(lines.len(), 2, "{lines:?}");
    }
}
