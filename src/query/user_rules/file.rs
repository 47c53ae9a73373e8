//! Reads a rule file; every error knows its line and column, also inside a filter.

use std::borrow::Cow;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{EventKind, RuleError, Same, Step, UserRule};
use crate::query::{Context, Filter, ParseError, field, parse};
use crate::rules;
use crate::settings::{line_column, nearest, span_ns};
use crate::store::{Confidence, Verdict};

type Value<'a> = Spanned<DeValue<'a>>;

/// Steps of one rule.
const MOST_STEPS: usize = 32;

const RULE_KEYS: &[&str] = &[
    "id",
    "title",
    "verdict",
    "confidence",
    "text",
    "meaning",
    "next",
    "same",
    "within",
    "mark",
    "step",
];
const STEP_KEYS: &[&str] = &[
    "name",
    "event",
    "where",
    "within",
    "not_between",
    "anywhere",
];

pub(super) fn read(text: &str) -> Result<Vec<UserRule>, Vec<RuleError>> {
    let table = match DeTable::parse(text) {
        Ok(table) => table.into_inner(),
        Err(e) => {
            let (line, column) = line_column(text, e.span().map_or(0, |s| s.start));
            return Err(vec![RuleError {
                file: None,
                line,
                column,
                message: e.message().to_owned(),
            }]);
        }
    };
    let mut reader = Reader {
        text,
        step_names: Vec::new(),
        errors: Vec::new(),
    };
    let mut rules: Vec<UserRule> = Vec::new();
    for (key, value) in &table {
        if key.get_ref() != "rule" {
            reader.unknown("", key, &["rule"]);
            continue;
        }
        for item in reader.tables(value, "[[rule]]") {
            let Some(rule) = reader.rule(item) else {
                continue;
            };
            if rules.iter().any(|r| r.id == rule.id) {
                reader.error(
                    item.span(),
                    format!("the rule `{}` is there twice", rule.id),
                );
            } else {
                rules.push(rule);
            }
        }
    }
    if rules.is_empty() && reader.errors.is_empty() {
        reader.error(0..0, "no rule here; a rule begins with [[rule]]".to_owned());
    }
    if reader.errors.is_empty() {
        Ok(rules)
    } else {
        reader.errors.sort_by_key(|e| (e.line, e.column));
        Err(reader.errors)
    }
}

struct Reader<'a> {
    text: &'a str,
    /// The names of all steps of the rule that is read, those with mistakes and those still to come too.
    step_names: Vec<String>,
    errors: Vec<RuleError>,
}

impl Reader<'_> {
    fn error(&mut self, span: Range<usize>, message: String) {
        let (line, column) = line_column(self.text, span.start);
        self.errors.push(RuleError {
            file: None,
            line,
            column,
            message,
        });
    }

    fn unknown(&mut self, whose: &str, key: &Spanned<Cow<'_, str>>, known: &[&str]) {
        let name = key.get_ref();
        let hint = nearest(name, known.iter().copied()).map_or_else(
            || format!("; known are {}", known.join(", ")),
            |n| format!("; nearest: {n}"),
        );
        self.error(key.span(), format!("no key `{name}`{whose}{hint}"));
    }

    fn tables<'v>(&mut self, value: &'v Value<'v>, what: &str) -> Vec<&'v Value<'v>> {
        let items = value.get_ref().as_array();
        let tables = items.filter(|a| a.iter().all(|v| v.get_ref().is_table()));
        let Some(tables) = tables else {
            self.error(value.span(), format!("write it as {what}"));
            return Vec::new();
        };
        tables.iter().collect()
    }

    fn rule(&mut self, item: &Value<'_>) -> Option<UserRule> {
        let before = self.errors.len();
        let table = item.get_ref().as_table()?;
        for (key, _) in table {
            if !RULE_KEYS.contains(&key.get_ref().as_ref()) {
                self.unknown(" in a rule", key, RULE_KEYS);
            }
        }
        let id = self.id(table, item);
        let title = self.text_of(table, "title").unwrap_or_default();
        let verdict = self.verdict(table, item);
        let confidence = self.confidence(table);
        let same = self.same(table);
        let within = self.time(table, "within");
        let steps = self.steps(table, item, same);
        let mark = self.mark(table, &steps);
        let rule = UserRule {
            id,
            title,
            verdict,
            confidence,
            text: self.text_of(table, "text").unwrap_or_default(),
            meaning: self.text_of(table, "meaning").unwrap_or_default(),
            next: self.text_of(table, "next").unwrap_or_default(),
            same,
            within,
            mark,
            steps,
        };
        if let Some(value) = table.get("text") {
            self.check_places(value, &rule);
        }
        (self.errors.len() == before).then_some(rule)
    }

    fn id(&mut self, table: &DeTable<'_>, item: &Value<'_>) -> String {
        let Some(id) = self.text_of(table, "id") else {
            if !table.contains_key("id") {
                self.error(item.span(), "a rule needs an `id`".to_owned());
            }
            return String::new();
        };
        let span = table.get("id").map_or(0..0, Spanned::span);
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if id.is_empty()
            || !id.chars().all(plain)
            || !id.starts_with(|c: char| c.is_ascii_alphabetic())
        {
            self.error(
                span,
                "an id is small letters, digits and hyphens, for example `late-fin`".to_owned(),
            );
        } else if rules::catalogue().iter().any(|r| r.id == id) {
            self.error(span, format!("`{id}` is the id of a built-in rule"));
        }
        id
    }

    fn verdict(&mut self, table: &DeTable<'_>, item: &Value<'_>) -> Verdict {
        let Some(word) = self.text_of(table, "verdict") else {
            if !table.contains_key("verdict") {
                self.error(item.span(), "a rule needs a `verdict`".to_owned());
            }
            return Verdict::Undecided;
        };
        let names = Verdict::ALL.map(Verdict::name);
        let found = Verdict::ALL
            .into_iter()
            .find(|v| v.name().eq_ignore_ascii_case(&word));
        found.unwrap_or_else(|| {
            self.no_word(table, "verdict", &word, &names);
            Verdict::Undecided
        })
    }

    fn confidence(&mut self, table: &DeTable<'_>) -> Confidence {
        let all = [Confidence::Possible, Confidence::Likely, Confidence::Proven];
        let Some(word) = self.text_of(table, "confidence") else {
            return Confidence::Likely;
        };
        all.into_iter()
            .find(|c| c.name().eq_ignore_ascii_case(&word))
            .unwrap_or_else(|| {
                self.no_word(table, "confidence", &word, &all.map(Confidence::name));
                Confidence::Likely
            })
    }

    fn same(&mut self, table: &DeTable<'_>) -> Same {
        match self.text_of(table, "same").as_deref() {
            None | Some("connection") => Same::Connection,
            Some("sid") => Same::Sid,
            Some(word) => {
                self.no_word(table, "same", word, &["sid", "connection"]);
                Same::Connection
            }
        }
    }

    fn no_word(&mut self, table: &DeTable<'_>, key: &str, word: &str, known: &[&str]) {
        let span = table.get(key).map_or(0..0, Spanned::span);
        let hint = nearest(word, known.iter().copied())
            .map(|n| format!("; nearest: {n}"))
            .unwrap_or_default();
        let known = known.join(", ");
        self.error(
            span,
            format!("`{key}` is one of {known}, not `{word}`{hint}"),
        );
    }

    fn text_of(&mut self, table: &DeTable<'_>, key: &str) -> Option<String> {
        let value = table.get(key)?;
        if let Some(text) = value.get_ref().as_str() {
            return Some(text.to_owned());
        }
        self.error(value.span(), format!("`{key}` is a text in quotes"));
        None
    }

    fn time(&mut self, table: &DeTable<'_>, key: &str) -> Option<i64> {
        let text = self.text_of(table, key)?;
        let ns = span_ns(&text).filter(|ns| *ns > 0);
        if ns.is_none() {
            let span = table.get(key).map_or(0..0, Spanned::span);
            self.error(
                span,
                format!("`{key}` is a time with its unit, for example \"200ms\""),
            );
        }
        ns
    }

    fn steps(&mut self, table: &DeTable<'_>, item: &Value<'_>, same: Same) -> Vec<Step> {
        let Some(value) = table.get("step") else {
            self.error(
                item.span(),
                "a rule needs at least one [[rule.step]]".to_owned(),
            );
            return Vec::new();
        };
        let mut names: Vec<String> = Vec::new();
        let mut steps = Vec::new();
        let tables = self.tables(value, "[[rule.step]]");
        let all = tables.iter().filter_map(|item| {
            let name = item.get_ref().as_table()?.get("name")?;
            name.get_ref().as_str().map(str::to_owned)
        });
        self.step_names = all.collect();
        if tables.len() > MOST_STEPS {
            self.error(
                value.span(),
                format!("a rule has at most {MOST_STEPS} steps"),
            );
        }
        for step in tables.into_iter().take(MOST_STEPS) {
            let (step, name) = self.step(step, &names);
            names.push(name);
            steps.extend(step);
        }
        if same == Same::Sid && steps.iter().all(|s| s.event == EventKind::Tcp) && !steps.is_empty()
        {
            let span = table.get("same").map_or(0..0, Spanned::span);
            self.error(
                span,
                "`same = \"sid\"` needs a step of SMP or TDS".to_owned(),
            );
        }
        steps
    }

    fn step(&mut self, item: &Value<'_>, names: &[String]) -> (Option<Step>, String) {
        let Some(table) = item.get_ref().as_table() else {
            return (None, String::new());
        };
        let first = names.is_empty();
        for (key, _) in table {
            let key_name = key.get_ref().as_ref();
            if !STEP_KEYS.contains(&key_name) {
                self.unknown(" in a step", key, STEP_KEYS);
            } else if first && matches!(key_name, "within" | "not_between" | "anywhere") {
                let message = format!("`{key_name}` needs a step before; this is the first");
                self.error(key.span(), message);
            }
        }
        let name = self.step_name(table, names);
        let event = match self.text_of(table, "event").as_deref() {
            Some("tcp") => EventKind::Tcp,
            Some("smp") => EventKind::Smp,
            Some("tds") => EventKind::Tds,
            Some(word) => {
                self.no_word(table, "event", word, &["tcp", "smp", "tds"]);
                EventKind::Tcp
            }
            None => {
                if !table.contains_key("event") {
                    self.error(
                        item.span(),
                        "a step needs an `event`: tcp, smp or tds".to_owned(),
                    );
                }
                EventKind::Tcp
            }
        };
        let within = self.time(table, "within");
        let not_between = self.filter(table, "not_between", names);
        let anywhere = match table.get("anywhere") {
            None => false,
            Some(value) => value.get_ref().as_bool().unwrap_or_else(|| {
                self.error(value.span(), "`anywhere` is true or false".to_owned());
                false
            }),
        };
        let filter = self.filter(table, "where", names);
        if filter.is_none() && !table.contains_key("where") {
            self.error(
                item.span(),
                "a step needs a `where` with a filter".to_owned(),
            );
        }
        let step = filter.map(|filter| Step {
            name: name.clone(),
            event,
            filter,
            anywhere,
            within,
            not_between,
        });
        (step, name)
    }

    fn step_name(&mut self, table: &DeTable<'_>, names: &[String]) -> String {
        let number = names.len().saturating_add(1);
        let Some(name) = self.text_of(table, "name") else {
            return format!("step{number}");
        };
        let span = table.get("name").map_or(0..0, Spanned::span);
        let taken = field::names().any(|(field, _)| field.split('.').next() == Some(name.as_str()));
        if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
            self.error(span, "a name is letters, digits and `_`".to_owned());
        } else if taken {
            let message = format!("`{name}` begins the names of fields; take another");
            self.error(span, message);
        } else if names.contains(&name) {
            self.error(span, format!("an earlier step is named `{name}` too"));
        }
        name
    }

    fn filter(&mut self, table: &DeTable<'_>, key: &str, names: &[String]) -> Option<Filter> {
        let text = self.text_of(table, key)?;
        let value = table.get(key)?;
        let context = Context {
            steps: names,
            ..Context::default()
        };
        match parse(&text, &context) {
            Ok(filter) => Some(filter),
            Err(error) => {
                self.filter_error(value.span(), &error, names);
                None
            }
        }
    }

    fn filter_error(&mut self, span: Range<usize>, error: &ParseError, names: &[String]) {
        let raw = self.text.get(span.clone()).unwrap_or_default();
        let at = span.start.saturating_add(offset_in(raw, error.column));
        let word: String = error
            .message
            .chars()
            .skip_while(|c| *c != '`')
            .skip(1)
            .collect();
        let step = word.split(['.', '`']).next().unwrap_or_default();
        let has = |list: &[String]| list.iter().any(|name| name == step);
        let is_later = word.contains('.') && has(&self.step_names) && !has(names);
        // A name that is no field may be that of a step which does not exist.
        let hint = match &error.nearest {
            _ if is_later => {
                let message = format!(
                    "`{step}` is no earlier step than this one, and only those can be referred to"
                );
                self.error(at..at, message);
                return;
            }
            None if word.contains('.') && !names.is_empty() => {
                nearest(step, names.iter().map(String::as_str)).map_or_else(
                    || format!("; steps so far: {}", names.join(", ")),
                    |n| format!("; nearest step: {n}"),
                )
            }
            _ => String::new(),
        };
        self.error(at..at, format!("{error}{hint}"));
    }

    fn mark(&mut self, table: &DeTable<'_>, steps: &[Step]) -> usize {
        let last = steps.len().saturating_sub(1);
        let Some(name) = self.text_of(table, "mark") else {
            return last;
        };
        steps
            .iter()
            .position(|s| s.name == name)
            .unwrap_or_else(|| {
                let names: Vec<_> = steps.iter().map(|s| s.name.as_str()).collect();
                self.no_word(table, "mark", &name, &names);
                last
            })
    }

    /// The `{step.field}` places of the text must be fields of steps.
    fn check_places(&mut self, value: &Value<'_>, rule: &UserRule) {
        for place in places(&rule.text) {
            let known = place.split_once('.').is_some_and(|(step, name)| {
                // A step with a mistake of its own is reported already.
                (rule.steps.iter().any(|s| s.name == step)
                    || self.step_names.iter().any(|known| known == step))
                    && (name == "frame" || field::find(name).is_some())
            });
            if known {
                continue;
            }
            let name = place.split_once('.').map_or(place, |(_, name)| name);
            let hint = field::nearest_name(name)
                .filter(|n| *n != name)
                .map(|n| format!("; nearest field: {n}"))
                .unwrap_or_default();
            let message =
                format!("`{{{place}}}` is no field of a step (write {{step.field}}){hint}");
            self.error(value.span(), message);
        }
    }
}

/// What stands in braces in a text.
pub(super) fn places(text: &str) -> impl Iterator<Item = &str> {
    text.split('{')
        .skip(1)
        .filter_map(|part| Some(part.split_once('}')?.0))
}

/// Where a character of a string's value stands in its TOML form, in bytes.
fn offset_in(raw: &str, column: usize) -> usize {
    let literal = raw.starts_with('\'');
    let quotes = if raw.starts_with("\"\"\"") || raw.starts_with("'''") {
        3
    } else {
        1
    };
    let mut at = quotes;
    if quotes == 3 && raw.get(at..).is_some_and(|r| r.starts_with('\n')) {
        at = at.saturating_add(1);
    }
    for _ in 0..column {
        let rest = raw.get(at..).unwrap_or_default();
        let Some(c) = rest.chars().next() else {
            break;
        };
        let len = match (c, rest.chars().nth(1)) {
            ('\\', Some('u')) if !literal => 6,
            ('\\', Some('U')) if !literal => 10,
            ('\\', Some(_)) if !literal => 2,
            _ => c.len_utf8(),
        };
        at = at.saturating_add(len);
    }
    at
}
