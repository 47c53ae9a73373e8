//! The tree of keys: which command a sequence means in which pane, what may follow, and which keys clash.

use std::collections::BTreeMap;

use super::command::{COMMANDS, Command, Context};
use super::key::{Key, parse_sequence, show_sequence};
use crate::settings::nearest;

/// Keys of the presets that differ from the table.
const LESS: &[(&str, &str)] = &[
    ("f", "page-down"),
    ("b", "page-up"),
    ("d", "half-down"),
    ("u", "half-up"),
    ("g", "first"),
    ("h", "help"),
];
const WIRESHARK: &[(&str, &str)] = &[
    ("Ctrl-G", "goto"),
    ("Ctrl-N", "find-next"),
    ("Ctrl-T", "time-ref"),
    ("Ctrl-E", "export"),
];

/// What a sequence of keys leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// A command.
    Command(Command),
    /// More keys are needed.
    Prefix,
    /// Nothing.
    None,
}

/// Sequences and their commands, per pane.
#[derive(Debug, Clone, Default)]
pub struct Keymap {
    bindings: BTreeMap<Context, BTreeMap<Vec<Key>, Binding>>,
}

#[derive(Debug, Clone)]
struct Binding {
    command: Command,
    /// Where it comes from, for the message about a clash; `None` for the table.
    source: Option<String>,
}

impl Keymap {
    /// The keys of the command table.
    pub fn standard() -> Self {
        let mut map = Self::default();
        for entry in COMMANDS {
            for key in entry.keys {
                if let Ok(keys) = parse_sequence(key) {
                    map.put(entry.context, keys, entry.command, None);
                }
            }
        }
        map
    }

    /// A preset by name.
    pub fn preset(name: &str) -> Result<Self, String> {
        let changes = match name {
            "vi" => &[][..],
            "less" => LESS,
            "wireshark" => WIRESHARK,
            _ => {
                return Err(format!(
                    "no key preset is called {name}; there are vi, less, wireshark"
                ));
            }
        };
        let mut map = Self::standard();
        for (key, command) in changes {
            map.map(key, command, &format!("preset {name}"))?;
        }
        Ok(map)
    }

    /// Gives a key sequence another command. `source` says who asks, for messages.
    pub fn map(&mut self, keys: &str, command: &str, source: &str) -> Result<(), String> {
        let sequence = parse_sequence(keys)?;
        let command = Command::by_name(command).ok_or_else(|| no_command(command))?;
        let context = command.entry().context;
        let table = self.bindings.entry(context).or_default();
        if let Some(old) = table.get(&sequence)
            && let Some(first) = &old.source
            && first != source
            && !first.starts_with("preset")
        {
            return Err(format!(
                "{keys} is given twice: {} by {first}, {} by {source}",
                old.command.entry().name,
                command.entry().name
            ));
        }
        // A key that becomes a command of its own ends the sequences that began with it, and the other way round.
        table.retain(|old, _| {
            !(old.len() > sequence.len() && old.starts_with(&sequence)
                || old.len() < sequence.len() && sequence.starts_with(old))
        });
        self.put(context, sequence, command, Some(source.to_string()));
        Ok(())
    }

    fn put(&mut self, context: Context, keys: Vec<Key>, command: Command, source: Option<String>) {
        self.bindings
            .entry(context)
            .or_default()
            .insert(keys, Binding { command, source });
    }

    /// What a sequence means where the focus is: the pane's own meaning goes before the general one.
    pub fn lookup(&self, context: Context, keys: &[Key]) -> Lookup {
        for context in [context, Context::Anywhere] {
            let Some(table) = self.bindings.get(&context) else {
                continue;
            };
            if let Some(binding) = table.get(keys) {
                return Lookup::Command(binding.command);
            }
            if table
                .keys()
                .any(|k| k.len() > keys.len() && k.starts_with(keys))
            {
                return Lookup::Prefix;
            }
        }
        Lookup::None
    }

    /// What may follow a prefix: key and command.
    pub fn continuations(&self, context: Context, keys: &[Key]) -> Vec<(String, Command)> {
        let mut found = Vec::new();
        for context in [context, Context::Anywhere] {
            for (sequence, binding) in self.bindings.get(&context).into_iter().flatten() {
                if sequence.len() > keys.len()
                    && sequence.starts_with(keys)
                    && let Some(rest) = sequence.get(keys.len()..)
                {
                    found.push((show_sequence(rest), binding.command));
                }
            }
        }
        found
    }

    /// The keys of a command as they are now, the shortest first.
    pub fn keys_of(&self, command: Command) -> Vec<String> {
        let sequences = self.sequences_of(command);
        sequences.into_iter().map(show_sequence).collect()
    }

    /// Those keys of a command that lead to it where the focus is: the pane may mean something else by others.
    pub fn keys_in(&self, context: Context, command: Command) -> Vec<String> {
        let sequences = self.sequences_of(command).into_iter();
        sequences
            .filter(|keys| self.lookup(context, keys) == Lookup::Command(command))
            .map(show_sequence)
            .collect()
    }

    fn sequences_of(&self, command: Command) -> Vec<&[Key]> {
        let mut found: Vec<_> = self
            .bindings
            .values()
            .flatten()
            .filter(|(_, binding)| binding.command == command)
            .map(|(keys, _)| keys.as_slice())
            .collect();
        let standard: Vec<_> = command
            .entry()
            .keys
            .iter()
            .filter_map(|k| parse_sequence(k).ok())
            .collect();
        found.sort_by_key(|keys| {
            standard
                .iter()
                .position(|k| k == *keys)
                .unwrap_or(usize::MAX)
        });
        found
    }
}

/// What to say to a name that no command has.
pub fn no_command(name: &str) -> String {
    let near = nearest(name, COMMANDS.iter().map(|e| e.name))
        .map(|near| format!("; nearest: {near}"))
        .unwrap_or_default();
    format!("no command is called {name}{near}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<Key> {
        parse_sequence(text).unwrap()
    }

    #[test]
    fn the_table_has_no_key_that_means_two_things_in_one_pane() {
        for context in [
            Context::Anywhere,
            Context::List,
            Context::Lanes,
            Context::Decode,
            Context::Table,
        ] {
            let mut seen = BTreeMap::new();
            for entry in COMMANDS.iter().filter(|e| e.context == context) {
                for key in entry.keys {
                    if let Some(other) = seen.insert(keys(key), entry.name) {
                        panic!("{key}: {other} and {}", entry.name);
                    }
                }
            }
            for long in seen.keys() {
                for short in seen.keys().filter(|k| k.len() < long.len()) {
                    assert!(!long.starts_with(short), "{} hides", show_sequence(short));
                }
            }
        }
    }

    #[test]
    fn a_pane_has_meanings_of_its_own() {
        let map = Keymap::standard();
        assert_eq!(
            map.lookup(Context::List, &keys("L")),
            Lookup::Command(Command::Ladder)
        );
        assert_eq!(
            map.lookup(Context::Lanes, &keys("L")),
            Lookup::Command(Command::PanRightPage)
        );
        assert_eq!(map.lookup(Context::List, &keys("g")), Lookup::Prefix);
        assert_eq!(map.lookup(Context::List, &keys("K")), Lookup::None);
        assert!(
            map.continuations(Context::List, &keys("y"))
                .iter()
                .any(|(key, command)| key == "r" && *command == Command::CopyRow)
        );
    }

    #[test]
    fn a_clash_names_both_and_a_typing_error_the_nearest_name() {
        let mut map = Keymap::standard();
        map.map("x", "mark", "config line 3").unwrap();
        let clash = map.map("x", "undo", "config line 7").unwrap_err();
        assert!(clash.contains("config line 3") && clash.contains("config line 7"));
        let wrong = map.map("x", "undoo", "config line 8").unwrap_err();
        assert!(wrong.ends_with("nearest: undo"), "{wrong}");
    }

    #[test]
    fn presets_change_the_keys_that_they_name() {
        let map = Keymap::preset("less").unwrap();
        assert_eq!(
            map.lookup(Context::List, &keys("f")),
            Lookup::Command(Command::PageDown)
        );
        assert_eq!(
            map.lookup(Context::List, &keys("g")),
            Lookup::Command(Command::First)
        );
        assert!(Keymap::preset("emacs").is_err());
    }
}
