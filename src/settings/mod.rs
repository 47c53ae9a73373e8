//! Settings as plain data: the config file with positions in its errors, the environment, and the defaults.
//!
//! Flags beat the environment, the environment beats the file, the file beats the defaults. A wrong or unknown
//! setting is reported with its place and leaves its default; the others count.

pub mod edit;
mod file;
mod nearest;
mod schema;
mod theme;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

pub use file::line_column;
pub use nearest::nearest;
pub use schema::print_config;
pub use theme::{Look, Paint, ROLES, ThemeFile};

/// All settings. What names mean (columns, commands, rules) is checked by the layer that owns them; the entries
/// keep their place in the file for its errors.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The screen.
    pub view: View,
    /// Keys.
    pub keys: Keys,
    /// Rules.
    pub rules: Rules,
    /// Exports.
    pub export: Export,
    /// Saved filters, by name.
    pub filters: BTreeMap<String, Named>,
}

/// The screen.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct View {
    /// Columns of the frame list; empty for the built-in set.
    pub columns: Vec<String>,
    /// What the Time column shows: `start`, `ref`, `utc`, `local`, `delta`.
    pub time: String,
    /// What the d column counts from: `shown`, `sid`, `connection`.
    pub delta: String,
    /// `dark`, `light`, `mono`, `contrast`.
    pub theme: String,
    /// A file with colours for named roles.
    pub theme_file: Option<String>,
    /// `auto`, `ascii`, `unicode`, `braille`.
    pub glyphs: String,
    /// `auto`, `never`, `16`, `256`, `true`.
    pub color: String,
    /// Whether the mouse is used.
    pub mouse: bool,
    /// Whether the program is sparing with what it writes.
    pub low_bandwidth: bool,
    /// Whether each drawing is bracketed by synchronised output (mode 2026).
    pub sync_output: bool,
    /// Whether copies go to the terminal's clipboard.
    pub osc52: bool,
    /// The lane gutter in the frame list.
    pub lane_gutter: bool,
    /// Milliseconds from which a wait is a gap.
    pub gap_ms: u32,
    /// Lines of a frame that the bytes pane shows unasked; 0 for all that fit.
    pub bytes_lines: u32,
    /// Whether marks and position are kept per capture.
    pub state: bool,
}

/// Keys.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Keys {
    /// `vi`, `less`, `wireshark`.
    pub preset: String,
    /// Commands with keys of the user's choice.
    pub bindings: Vec<Binding>,
}

/// A command with its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The command's name.
    pub command: String,
    /// Its keys, as the user wrote them.
    pub keys: Vec<String>,
    /// Where it stands.
    pub place: Place,
}

/// Rules.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rules {
    /// Rules to run although they are off by default.
    pub on: Vec<Named>,
    /// Rules not to run.
    pub off: Vec<Named>,
    /// Files with rules of the user's own.
    pub files: Vec<String>,
    /// A folder whose `*.toml` files are rules of the user's own.
    pub folder: Option<String>,
    /// Thresholds by name, in the order of the file; later ones count.
    pub limits: Vec<(String, Limit)>,
}

/// A name (of a rule, or a filter's text) and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The text.
    pub text: String,
    /// Where it stands.
    pub place: Place,
}

/// A threshold as written.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    /// Its value.
    pub value: LimitValue,
    /// Where it stands.
    pub place: Place,
}

/// The value of a threshold.
#[derive(Debug, Clone, PartialEq)]
pub enum LimitValue {
    /// A bare number, in the threshold's own unit.
    Number(f64),
    /// A span of time, in nanoseconds (`"200ms"`, `"1.5s"`).
    Span(i64),
}

/// Exports.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Export {
    /// The folder that a file is offered in; empty for that of the capture.
    pub folder: String,
    /// `pcapng`, `pcap`, `csv`, `json`, `ladder`.
    pub format: String,
    /// Whether findings and marks are written as packet comments.
    pub comments: bool,
    /// Whether the handshake and PRELOGIN of the connection are added.
    pub handshake: bool,
    /// Whether addresses, names and SQL text are replaced.
    pub redact: bool,
}

/// Where a setting came from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Place {
    /// Built in.
    #[default]
    Default,
    /// Line and column (both from 1) of the config file.
    File(usize, usize),
    /// A variable of the environment.
    Environment(&'static str),
    /// The command line, or `:set`.
    Flag,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("built in"),
            Self::File(line, column) => write!(f, "line {line}, column {column}"),
            Self::Environment(name) => f.write_str(name),
            Self::Flag => f.write_str("command line"),
        }
    }
}

/// A setting that does not count, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, where it is one.
    pub file: Option<PathBuf>,
    /// Where in it.
    pub place: Place,
    /// What is wrong, and what is known instead.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, &self.place) {
            (Some(file), Place::File(line, column)) => {
                write!(f, "{}:{line}:{column}: {}", file.display(), self.message)
            }
            (Some(file), _) => write!(f, "{}: {}", file.display(), self.message),
            (None, place) => write!(f, "{place}: {}", self.message),
        }
    }
}

impl std::error::Error for Problem {}

impl Default for Settings {
    fn default() -> Self {
        let mut settings = Self {
            view: View::default(),
            keys: Keys::default(),
            rules: Rules::default(),
            export: Export::default(),
            filters: BTreeMap::new(),
        };
        schema::apply_defaults(&mut settings);
        settings
    }
}

impl Settings {
    /// The settings of this user: defaults, then the file (the usual one unless one is named), then the
    /// environment. A file that is not there is no problem unless it was named.
    pub fn load(
        named: Option<&Path>,
        env: impl Fn(&str) -> Option<String>,
    ) -> (Self, Vec<Problem>) {
        let mut settings = Self::default();
        let mut problems = Vec::new();
        if let Some(path) = named.map(Path::to_path_buf).or_else(config_file) {
            match std::fs::read_to_string(&path) {
                Ok(text) => {
                    let found = settings.read_file(&text);
                    problems.extend(found.into_iter().map(|p| Problem {
                        file: Some(path.clone()),
                        ..p
                    }));
                }
                Err(e) if named.is_none() && e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => {
                    // Whoever names a file wants no defaults in its place: that is for the caller to decide.
                    let instead = match named {
                        Some(_) => "",
                        None => "; the defaults are used",
                    };
                    problems.push(Problem {
                        file: Some(path),
                        place: Place::Default,
                        message: format!("cannot read the settings: {e}{instead}"),
                    });
                }
            }
        }
        problems.extend(settings.read_environment(env));
        (settings, problems)
    }

    /// Takes in the text of a config file.
    pub fn read_file(&mut self, text: &str) -> Vec<Problem> {
        file::read(self, text)
    }

    /// Takes in the variables of the environment that settings have.
    pub fn read_environment(&mut self, env: impl Fn(&str) -> Option<String>) -> Vec<Problem> {
        schema::apply_environment(self, env)
    }

    /// Sets one value by its full name (`view.theme`, `rules.limits.login-slow.total`, `filters.late`), as `--set` and
    /// `:set` do. The section may be left out where the name is known without it; any other name without a
    /// section is that of a threshold.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), Problem> {
        schema::set(self, name, value)
    }
}

/// The config file's usual place: `$XDG_CONFIG_HOME/marstui/config.toml`, on Windows under `%APPDATA%`.
pub fn config_file() -> Option<PathBuf> {
    let folder = etcetera::base_strategy::choose_native_strategy()
        .ok()?
        .config_dir();
    Some(folder.join("marstui").join("config.toml"))
}

/// Reads a span of time with its unit: `ns`, `us`, `ms`, `s`, `min`, `h`. The result is in nanoseconds.
pub fn span_ns(text: &str) -> Option<i64> {
    read_span(text, None)
}

/// Reads a span of time as [`span_ns`] does; a number without a unit is in seconds.
pub fn span_or_seconds(text: &str) -> Option<i64> {
    read_span(text, Some(1_000_000_000))
}

fn read_span(text: &str, without_unit: Option<i64>) -> Option<i64> {
    let text = text.trim();
    let split = text
        .find(|c: char| c.is_ascii_alphabetic() || c == 'µ' || c == 'μ')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(split)?;
    let per_unit: i64 = match unit {
        "" => without_unit?,
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "min" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    scaled(number.trim(), per_unit)
}

/// `number * per_unit` without rounding through a float; what is finer than a nanosecond is cut off.
fn scaled(number: &str, per_unit: i64) -> Option<i64> {
    let (negative, digits) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let whole: i64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let mut total = whole.checked_mul(per_unit)?;
    let mut unit = per_unit;
    for digit in fraction.bytes() {
        unit /= 10;
        total = total.checked_add(i64::from(digit.wrapping_sub(b'0')).checked_mul(unit)?)?;
    }
    Some(if negative {
        total.checked_neg()?
    } else {
        total
    })
}

#[cfg(test)]
mod tests;
