//! Commands that take an argument in the command line, and what may follow a word that is being typed there.

use super::clock::{DeltaFrom, TimeFormat};
use super::command::{COMMANDS, Command};
use super::keymap::Lookup;
use super::page::Page;
use super::prompt::Ask;
use super::settings::{ColorDepth, Column, GlyphSet, ThemeName, no_column};
use super::{App, Effect, Layer, Tone};
use crate::query::user_rules::UserRule;
use crate::rules;
use crate::settings::edit::quoted;
use crate::settings::nearest;

/// Names that `:set` takes, with what may follow.
const SETTINGS: &[(&str, &[&str])] = &[
    ("theme", &["dark", "light", "mono", "contrast"]),
    ("glyphs", &["ascii", "unicode", "braille"]),
    ("color", &["never", "16", "256", "true"]),
    ("time", &["start", "ref", "utc", "local", "delta"]),
    ("delta", &["shown", "sid", "connection"]),
    ("gap-ms", &["100"]),
    ("bytes-lines", &["5", "0"]),
    ("lane-gutter", &["on", "off", "auto"]),
    ("low-bandwidth", &["on", "off"]),
    ("osc52", &["on", "off"]),
    ("mouse", &["on", "off"]),
];

/// What a setting takes, in words.
fn takes(name: &str, values: &[&str]) -> String {
    match name {
        "gap-ms" => "takes milliseconds, 1 or more".to_owned(),
        "bytes-lines" => "takes a number of lines".to_owned(),
        _ => format!("is one of {}", values.join(", ")),
    }
}

impl App {
    /// Carries out a command with what was typed behind its name.
    pub(super) fn run_with(&mut self, command: Command, argument: &str) -> Vec<Effect> {
        let argument = argument.trim();
        if argument.is_empty() {
            return self.run(command, None);
        }
        match command {
            Command::Goto => match argument.parse() {
                Ok(no) => self.goto(crate::units::FrameNo(no)),
                Err(_) => self.say(
                    Tone::Error,
                    format!("no frame number: {argument}; write 1049"),
                ),
            },
            Command::GotoTime => self.goto_time(argument),
            Command::Filter => return self.answer_filter(argument),
            Command::Find => return self.answer_find(argument),
            Command::Sort => self.sort_table(argument),
            Command::Columns => return self.choose_columns(argument),
            Command::Theme => return self.set_value("theme", argument),
            Command::Glyphs => return self.set_value("glyphs", argument),
            Command::Set => {
                let (name, value) = argument.split_once([' ', '=']).unwrap_or((argument, ""));
                return self.set_value(name, value.trim());
            }
            Command::Shift => return self.shift(argument),
            // What grows is followed like a reference; the key's command takes no word.
            Command::Follow if argument == "file" => return self.follow_file(),
            Command::Explain => self.explain(argument),
            Command::Map => self.map_key(argument),
            _ => {
                let entry = command.entry();
                let takes = if entry.counted {
                    if let Ok(count) = argument.parse() {
                        return self.run(command, Some(count));
                    }
                    "a number"
                } else {
                    "no argument"
                };
                let name = entry.name;
                self.say(Tone::Error, format!("{name} takes {takes}, not {argument}"));
            }
        }
        Vec::new()
    }

    /// Says what a command takes, where it was given nothing to work on.
    pub(super) fn say_usage(&mut self, command: Command) {
        let entry = command.entry();
        let text = match command {
            Command::Columns => {
                let names = Column::ALL.map(Column::name).join(" ");
                format!("columns: any of {names}; auto for those that fit")
            }
            Command::Theme => "theme: dark, light, mono or contrast".to_string(),
            Command::Glyphs => "glyphs: ascii, unicode or braille".to_string(),
            Command::Set => {
                let names: Vec<_> = SETTINGS.iter().map(|(name, _)| *name).collect();
                format!("set NAME VALUE; names: {}", names.join(" "))
            }
            _ => format!(":{} {}: {}", entry.name, entry.argument, entry.sentence),
        };
        self.say(Tone::Info, text);
    }

    /// Chooses the columns, and keeps them in the config file.
    fn choose_columns(&mut self, names: &str) -> Vec<Effect> {
        if names == "auto" {
            self.settings.columns = None;
            return vec![kept_columns(&[])];
        }
        let mut columns = Vec::new();
        for name in names.split([' ', ',']).filter(|n| !n.is_empty()) {
            match Column::by_name(name) {
                Some(column) if columns.contains(&column) => {}
                Some(column) => columns.push(column),
                None => {
                    self.say(Tone::Error, no_column(name));
                    return Vec::new();
                }
            }
        }
        columns.sort_by_key(|c| Column::ALL.iter().position(|all| all == c));
        if columns.contains(&Column::Lanes) {
            self.settings.lane_gutter = Some(true);
        }
        let keep = kept_columns(&columns);
        self.settings.columns = Some(columns);
        self.say_columns_left_out();
        vec![keep]
    }

    /// Changes a setting until the end of the program.
    fn set_value(&mut self, name: &str, value: &str) -> Vec<Effect> {
        let Some((_, values)) = SETTINGS.iter().find(|(known, _)| *known == name) else {
            let near = nearest(name, SETTINGS.iter().map(|(n, _)| *n)).map_or_else(
                || "; :set lists them".to_owned(),
                |n| format!("; nearest: {n}"),
            );
            self.say(Tone::Error, format!("no setting is called {name}{near}"));
            return Vec::new();
        };
        if value.is_empty() {
            let text = format!(
                "{name}: {}; it {}",
                self.value_now(name),
                takes(name, values)
            );
            self.say(Tone::Info, text);
            return Vec::new();
        }
        let on = matches!(value, "on" | "true" | "yes" | "1");
        let settings = &mut self.settings;
        let mut effects = Vec::new();
        let known = match name {
            "theme" => take(&mut settings.theme, ThemeName::by_name(value)),
            "glyphs" => take(&mut settings.glyphs, GlyphSet::by_name(value)),
            "color" => take(&mut settings.colors, ColorDepth::by_name(value)),
            "time" => take(&mut settings.time, TimeFormat::by_name(value)),
            "delta" => take(&mut settings.delta, DeltaFrom::by_name(value)),
            "gap-ms" => take(&mut settings.gap_ms, value.parse().ok().filter(|n| *n > 0)),
            "bytes-lines" => take(&mut settings.bytes_lines, value.parse().ok()),
            _ if !values.contains(&value) => false,
            "lane-gutter" => {
                settings.lane_gutter = (value != "auto").then_some(on);
                true
            }
            "low-bandwidth" => take(&mut settings.low_bandwidth, Some(on)),
            "osc52" => take(&mut settings.osc52, Some(on)),
            _ => {
                effects.push(Effect::Mouse(on));
                take(&mut settings.mouse, Some(on))
            }
        };
        if known {
            if name == "theme" {
                // A theme by name is that theme, without the colours of the user's file.
                self.settings.own_theme = None;
            }
            self.say(Tone::Info, format!("{name}: {value}"));
        } else {
            let text = format!("{name} {}, not {value}", takes(name, values));
            self.say(Tone::Error, text);
        }
        effects
    }

    /// What a setting is now.
    fn value_now(&self, name: &str) -> String {
        let settings = &self.settings;
        let switch = |on| if on { "on" } else { "off" };
        match name {
            "theme" => settings.theme.name().to_owned(),
            "glyphs" => settings.glyphs.name().to_owned(),
            "color" => settings.colors.name().to_owned(),
            "time" => settings.time.name().to_owned(),
            "delta" => settings.delta.short().to_owned(),
            "gap-ms" => settings.gap_ms.to_string(),
            "bytes-lines" => settings.bytes_lines.to_string(),
            "lane-gutter" => settings.lane_gutter.map_or("auto", switch).to_owned(),
            "low-bandwidth" => switch(settings.low_bandwidth).to_owned(),
            "osc52" => switch(settings.osc52).to_owned(),
            _ => switch(settings.mouse).to_owned(),
        }
    }

    /// Shows what a rule means; without a name, the rule of the finding under the cursor.
    pub(super) fn explain(&mut self, id: &str) {
        let id = if id.is_empty() {
            self.finding_here().map(|finding| finding.rule.to_string())
        } else {
            Some(id.to_string())
        };
        let Some(id) = id else {
            self.say(Tone::Info, "no finding here; :explain takes a rule's name");
            return;
        };
        let of_the_user = self.own_rules.iter().find(|rule| rule.id == id);
        let text = of_the_user.map(UserRule::explain);
        let Some(text) = text.or_else(|| rules::explain(&id)) else {
            let own: Vec<_> = self.own_rules.iter().map(|rule| rule.id.clone()).collect();
            let mut names: Vec<&str> = rule_names().collect();
            names.extend(own.iter().map(String::as_str));
            let near = nearest(&id, names).map_or_else(
                || "; Tab behind :explain lists them".to_owned(),
                |n| format!("; nearest: {n}"),
            );
            self.say(Tone::Error, format!("no rule is called {id}{near}"));
            return;
        };
        let title = format!("Rule {id}");
        let page = Page::new(title, text.lines(), wrap, self.size.0);
        self.layers.push(Layer::Text(page));
    }

    /// `:map x mark`, `:map Ctrl-W x mark`: the last word is the command.
    fn map_key(&mut self, argument: &str) {
        let Some((keys, name)) = argument.rsplit_once(char::is_whitespace) else {
            self.say(Tone::Error, "map takes a key and a command: map x mark");
            return;
        };
        let keys = keys.trim();
        let before = super::key::parse_sequence(keys).ok().and_then(|typed| {
            match self.keymap.lookup(self.context(), &typed) {
                Lookup::Command(old) => Some(format!("; it was {}", old.entry().name)),
                Lookup::Prefix => Some("; it began other commands".to_string()),
                Lookup::None => None,
            }
        });
        let before = before.unwrap_or_default();
        match self.keymap.map(keys, name, "the command line") {
            Ok(()) => self.say(Tone::Info, format!("{keys} is {name} now{before}")),
            Err(why) => self.say(Tone::Error, why),
        }
    }

    /// What may stand for the word before the input's cursor: the whole input for each.
    pub(super) fn completions(&self) -> Vec<String> {
        let Some(prompt) = &self.prompt else {
            return Vec::new();
        };
        let (text, cursor) = (prompt.text(), prompt.input.cursor());
        match prompt.ask {
            Ask::Command => match text.split_once(' ') {
                Some((name @ ("filter" | "find"), filter)) => {
                    let before = name.len().saturating_add(1);
                    let found = self.filter_completions(filter, cursor.saturating_sub(before));
                    let whole = |filter: String| format!("{name} {filter}");
                    found.into_iter().map(whole).collect()
                }
                _ => command_completions(text),
            },
            // Patterns and bytes are no filters.
            Ask::Find if text.starts_with("re:") || text.starts_with("hex:") => Vec::new(),
            Ask::Filter | Ask::Find => self.filter_completions(text, cursor),
            Ask::Column => self.columns_like(text),
            Ask::Time | Ask::Frame | Ask::ListFile => Vec::new(),
        }
    }

    /// Tab: fills the next completion in.
    pub(super) fn complete(&mut self, back: bool) -> Vec<Effect> {
        let fresh = self.prompt.as_ref().is_some_and(|p| p.offers.is_empty());
        let offers = if fresh {
            self.completions()
        } else {
            Vec::new()
        };
        let Some(prompt) = &mut self.prompt else {
            return Vec::new();
        };
        if fresh {
            if offers.is_empty() {
                return Vec::new();
            }
            prompt.offers = offers;
            prompt.chosen = None;
        }
        let count = prompt.offers.len();
        let next = match (prompt.chosen, back) {
            (None, false) => 0,
            (None, true) => count.saturating_sub(1),
            (Some(at), false) => at.saturating_add(1).checked_rem(count).unwrap_or(0),
            (Some(at), true) => at.checked_sub(1).unwrap_or_else(|| count.saturating_sub(1)),
        };
        prompt.chosen = Some(next);
        if let Some(text) = prompt.offers.get(next).cloned() {
            let only = count == 1;
            prompt.set(text);
            if only {
                prompt.offers.clear();
            }
        }
        self.check_prompt()
    }
}

fn take<T>(slot: &mut T, value: Option<T>) -> bool {
    match value {
        Some(value) => {
            *slot = value;
            true
        }
        None => false,
    }
}

fn rule_names() -> impl Iterator<Item = &'static str> {
    rules::catalogue().iter().map(|rule| rule.id)
}

/// Inputs of the command line that begin with what was typed.
fn command_completions(text: &str) -> Vec<String> {
    let Some((name, rest)) = text.split_once(' ') else {
        return COMMANDS
            .iter()
            .filter(|e| e.name.starts_with(text))
            .map(|e| e.name.to_string())
            .collect();
    };
    let words: Vec<&str> = rest.split(' ').collect();
    let (typed, before) = words.split_last().unwrap_or((&"", &[]));
    let candidates: Vec<&str> = match (name, before) {
        ("explain", []) => rule_names().collect(),
        ("theme", []) => ThemeName::ALL.map(ThemeName::name).to_vec(),
        ("glyphs", []) => GlyphSet::ALL.map(GlyphSet::name).to_vec(),
        ("columns", _) => Column::ALL.map(Column::name).to_vec(),
        ("set", []) => SETTINGS.iter().map(|(n, _)| *n).collect(),
        ("set", [setting]) => SETTINGS
            .iter()
            .find(|(n, _)| n == setting)
            .map(|(_, values)| values.to_vec())
            .unwrap_or_default(),
        ("map", [_, ..]) => COMMANDS.iter().map(|e| e.name).collect(),
        _ => Vec::new(),
    };
    let kept = text.len().saturating_sub(typed.len());
    let stem = text.get(..kept).unwrap_or_default();
    candidates
        .into_iter()
        .filter(|c| c.starts_with(typed))
        .map(|c| format!("{stem}{c}"))
        .collect()
}

fn kept_columns(columns: &[Column]) -> Effect {
    let names: Vec<String> = columns.iter().map(|c| quoted(c.name())).collect();
    Effect::Keep {
        section: "view",
        key: "columns".to_string(),
        value: format!("[{}]", names.join(", ")),
    }
}

/// A line in pieces of at most so many characters, broken at blanks; what follows is indented like the line.
pub fn wrap(line: &str, width: usize) -> Vec<String> {
    let indent: String = line.chars().take_while(|c| *c == ' ').collect();
    let mut out = Vec::new();
    let mut now = String::new();
    for word in line.split_whitespace() {
        let needed = now
            .chars()
            .count()
            .saturating_add(word.chars().count())
            .saturating_add(1);
        if now.trim().is_empty() {
            now = format!("{indent}{word}");
        } else if needed > width {
            out.push(std::mem::take(&mut now));
            now = format!("{indent}{word}");
        } else {
            now.push(' ');
            now.push_str(word);
        }
    }
    out.push(now);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_complete() {
        assert_eq!(command_completions("next-r"), ["next-reset"]);
        assert_eq!(command_completions("theme mo"), ["theme mono"]);
        assert_eq!(command_completions("set gl"), ["set glyphs"]);
        assert_eq!(command_completions("set glyphs u"), ["set glyphs unicode"]);
        assert_eq!(command_completions("columns no ti"), ["columns no time"]);
        assert!(
            command_completions("explain mars-close-r")
                .contains(&"explain mars-close-rst".to_string())
        );
        assert!(command_completions("nothing ").is_empty());
    }

    #[test]
    fn long_lines_break_at_blanks_and_keep_their_indent() {
        assert_eq!(wrap("  one two three", 9), ["  one two", "  three"]);
        assert_eq!(wrap("", 9), [""]);
    }
}
