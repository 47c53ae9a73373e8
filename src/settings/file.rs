//! Reads the config file; every error knows its line and column.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::schema::{self, Raw};
use super::{Binding, Limit, LimitValue, Named, Place, Problem, Settings, nearest};

type Key<'a> = Spanned<Cow<'a, str>>;
type Value<'a> = Spanned<DeValue<'a>>;

/// Takes in a config file's text. Text that is no TOML changes nothing.
pub(super) fn read(settings: &mut Settings, text: &str) -> Vec<Problem> {
    let table = match DeTable::parse(text) {
        Ok(table) => table.into_inner(),
        Err(e) => {
            return vec![Problem {
                file: None,
                place: place(text, e.span().unwrap_or(0..0)),
                message: format!("{}; the defaults are used", e.message()),
            }];
        }
    };
    let mut reader = Reader {
        text,
        settings,
        problems: Vec::new(),
    };
    for (name, value) in &table {
        reader.section(name, value);
    }
    reader.key_clashes();
    let mut problems = reader.problems;
    problems.sort_by_key(|p| match p.place {
        Place::File(line, column) => (line, column),
        _ => (0, 0),
    });
    problems
}

/// Line and column, both from 1, of a byte of a text.
pub fn line_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at.min(text.len())).unwrap_or(text);
    let line = before.matches('\n').count().saturating_add(1);
    let column = before
        .rsplit('\n')
        .next()
        .map_or(0, |l| l.chars().count())
        .saturating_add(1);
    (line, column)
}

fn place(text: &str, span: Range<usize>) -> Place {
    let (line, column) = line_column(text, span.start);
    Place::File(line, column)
}

struct Reader<'a> {
    text: &'a str,
    settings: &'a mut Settings,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn section(&mut self, name: &Key<'_>, value: &Value<'_>) {
        let section = name.get_ref().as_ref();
        if !schema::SECTIONS.iter().any(|(s, _)| *s == section) {
            let known = schema::SECTIONS.iter().map(|(s, _)| *s);
            let list: Vec<_> = known.clone().collect();
            let hint = nearest(section, known).map_or_else(
                || format!("; sections are {}", list.join(", ")),
                |n| format!("; nearest: {n}"),
            );
            return self.problem(name.span(), format!("no section `{section}`{hint}"));
        }
        let Some(table) = value.get_ref().as_table() else {
            return self.problem(
                value.span(),
                format!("`{section}` is a section: [{section}]"),
            );
        };
        for (key, value) in table {
            match (section, key.get_ref().as_ref()) {
                ("rules", "limits") => self.limits("", value),
                ("filters", _) => self.filter(key, value),
                ("keys", name) if schema::find("keys", name).is_none() => self.binding(key, value),
                _ => self.setting(section, key, value),
            }
        }
    }

    fn setting(&mut self, section: &str, key: &Key<'_>, value: &Value<'_>) {
        let name = key.get_ref().as_ref();
        let Some(entry) = schema::find(section, name) else {
            let hint = nearest(name, schema::keys_of(section))
                .map(|n| format!("; nearest: {n}"))
                .unwrap_or_default();
            return self.problem(key.span(), format!("no setting `{section}.{name}`{hint}"));
        };
        let done = self
            .raw(value)
            .ok_or_else(|| format!("`{name}` does not take this"))
            .and_then(|raw| schema::apply(self.settings, entry, raw));
        if let Err(message) = done {
            self.problem(value.span(), message);
        }
    }

    /// Thresholds; their names have dots, which TOML reads as tables inside.
    fn limits(&mut self, prefix: &str, value: &Value<'_>) {
        let Some(table) = value.get_ref().as_table() else {
            return self.problem(value.span(), "`limits` is a section: [rules.limits]".into());
        };
        for (key, value) in table {
            let name = format!("{prefix}{}", key.get_ref());
            if prefix.is_empty() && value.get_ref().is_table() {
                self.limits(&format!("{name}."), value);
                continue;
            }
            let read = match self.raw(value) {
                #[expect(clippy::cast_precision_loss, reason = "thresholds are small numbers")]
                Some(Raw::Number(n)) => Some(LimitValue::Number(n as f64)),
                Some(Raw::Float(n)) => Some(LimitValue::Number(n)),
                Some(Raw::Text(t)) => schema::limit_value(&t),
                _ => None,
            };
            let place = place(self.text, key.span());
            match read {
                Some(value) => self
                    .settings
                    .rules
                    .limits
                    .push((name, Limit { value, place })),
                None => self.problem(
                    value.span(),
                    format!("`{name}` takes a number or a time (\"200ms\")"),
                ),
            }
        }
    }

    fn filter(&mut self, key: &Key<'_>, value: &Value<'_>) {
        let Some(text) = value.get_ref().as_str() else {
            return self.problem(
                value.span(),
                format!("the filter `{}` is a text in quotes", key.get_ref()),
            );
        };
        let named = Named {
            text: text.to_owned(),
            place: place(self.text, value.span()),
        };
        self.settings
            .filters
            .insert(key.get_ref().to_string(), named);
    }

    fn binding(&mut self, key: &Key<'_>, value: &Value<'_>) {
        let keys = match self.raw(value) {
            Some(Raw::Text(key)) => vec![key],
            Some(Raw::Texts(keys)) => keys.into_iter().map(|k| k.text).collect(),
            Some(Raw::Number(digit)) => vec![digit.to_string()],
            _ => {
                let message = format!("`{}` takes a key or a list of keys", key.get_ref());
                return self.problem(value.span(), message);
            }
        };
        self.settings.keys.bindings.push(Binding {
            command: key.get_ref().to_string(),
            keys,
            place: place(self.text, key.span()),
        });
    }

    /// One key for two commands: the error names both lines, and neither entry counts more than the other, so
    /// the later one is dropped.
    fn key_clashes(&mut self) {
        let mut seen: BTreeMap<String, (String, Place)> = BTreeMap::new();
        let mut bindings = std::mem::take(&mut self.settings.keys.bindings);
        bindings.sort_by_key(|b| match b.place {
            Place::File(line, column) => (line, column),
            _ => (0, 0),
        });
        for binding in &mut bindings {
            let (command, place) = (&binding.command, &binding.place);
            let problems = &mut self.problems;
            binding.keys.retain(|key| match seen.get(key) {
                Some((other, at)) if other != command => {
                    problems.push(Problem {
                        file: None,
                        place: place.clone(),
                        message: format!(
                            "the key `{key}` is given to `{command}` here and to `{other}` in {at}"
                        ),
                    });
                    false
                }
                _ => {
                    seen.insert(key.clone(), (command.clone(), place.clone()));
                    true
                }
            });
        }
        self.settings.keys.bindings = bindings;
    }

    fn raw(&self, value: &Value<'_>) -> Option<Raw> {
        Some(match value.get_ref() {
            DeValue::Boolean(b) => Raw::Bool(*b),
            DeValue::String(s) => Raw::Text(s.to_string()),
            DeValue::Integer(n) => {
                Raw::Number(i64::from_str_radix(&n.as_str().replace('_', ""), n.radix()).ok()?)
            }
            DeValue::Float(n) => Raw::Float(n.as_str().replace('_', "").parse().ok()?),
            DeValue::Array(items) => Raw::Texts(
                items
                    .iter()
                    .map(|item| {
                        item.get_ref().as_str().map(|s| Named {
                            text: s.to_owned(),
                            place: place(self.text, item.span()),
                        })
                    })
                    .collect::<Option<_>>()?,
            ),
            DeValue::Datetime(_) | DeValue::Table(_) => return None,
        })
    }

    fn problem(&mut self, span: Range<usize>, message: String) {
        self.problems.push(Problem {
            file: None,
            place: place(self.text, span),
            message,
        });
    }
}
