//! Theme files: colours and attributes for named roles, over one of the built-in themes.

use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::file::line_column;
use super::{Place, Problem, config_file, nearest};

/// The roles that a theme file may name.
pub const ROLES: [&str; 31] = [
    "text",
    "dim",
    "head",
    "focus",
    "cursor",
    "marked",
    "chosen",
    "client",
    "server",
    "key",
    "error",
    "verdict-normal",
    "verdict-benign",
    "verdict-likely-benign",
    "verdict-notice",
    "verdict-undecided",
    "verdict-fault",
    "lane-open",
    "lane-waiting",
    "lane-gap",
    "lane-border",
    "lane-ack",
    "lane-reply",
    "lane-request",
    "lane-both",
    "lane-syn",
    "lane-fin",
    "lane-fault",
    "lane-harmless-reset",
    "lane-reset",
    "lane-empty",
];

/// The built-in themes.
pub const THEMES: [&str; 4] = ["dark", "light", "mono", "contrast"];

/// The 16 colours of a terminal, in their order.
const NAMES: [&str; 16] = [
    "black",
    "red",
    "green",
    "yellow",
    "blue",
    "magenta",
    "cyan",
    "white",
    "bright-black",
    "bright-red",
    "bright-green",
    "bright-yellow",
    "bright-blue",
    "bright-magenta",
    "bright-cyan",
    "bright-white",
];
const ATTRIBUTES: [&str; 4] = ["bold", "dim", "underlined", "reversed"];

/// A colour as a theme file writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// One of the terminal's own 16.
    Named(u8),
    /// One of xterm's 256.
    Palette(u8),
    /// Red, green and blue.
    Rgb(u8, u8, u8),
}

/// What a role looks like. Attributes come on top of those that the role has in every theme, so that nothing is
/// told by colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Look {
    /// Colour of the text; `None` for the terminal's own.
    pub text: Option<Paint>,
    /// Colour behind the text; `None` for the terminal's own.
    pub ground: Option<Paint>,
    /// Bold.
    pub bold: bool,
    /// Dim.
    pub dim: bool,
    /// Underlined.
    pub underlined: bool,
    /// Text and ground exchanged.
    pub reversed: bool,
}

/// A theme file's content.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ThemeFile {
    /// The built-in theme that roles without a look of their own come from; `None` for the one that is set.
    pub base: Option<String>,
    /// Roles with their looks, each role once.
    pub roles: Vec<(&'static str, Look)>,
}

impl ThemeFile {
    /// Reads a theme file. Its name counts from the folder of the settings. What is wrong in it is named and left out.
    pub fn load(name: &str) -> (Self, Vec<Problem>) {
        let path = place_of(name);
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let (theme, problems) = Self::read(&text);
                let named = |problem| Problem {
                    file: Some(path.clone()),
                    ..problem
                };
                (theme, problems.into_iter().map(named).collect())
            }
            Err(error) => {
                let problem = Problem {
                    message: format!("cannot read the theme: {error}; the built-in one is used"),
                    file: Some(path),
                    place: Place::Default,
                };
                (Self::default(), vec![problem])
            }
        }
    }

    /// Reads a theme file's text.
    pub fn read(text: &str) -> (Self, Vec<Problem>) {
        let place = |at: usize| {
            let (line, column) = line_column(text, at);
            Place::File(line, column)
        };
        let problem = |at, message| Problem {
            file: None,
            place: place(at),
            message,
        };
        let mut theme = Self::default();
        let table = match DeTable::parse(text) {
            Ok(table) => table.into_inner(),
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                return (theme, vec![problem(at, error.message().to_string())]);
            }
        };
        let mut problems = Vec::new();
        for (key, value) in &table {
            let name = key.get_ref().as_ref();
            let start = value.span().start;
            let Some(words) = value.get_ref().as_str() else {
                let message = format!("`{name}` takes a text in quotes");
                problems.push(problem(start, message));
                continue;
            };
            if name == "base" {
                if THEMES.contains(&words) {
                    theme.base = Some(words.to_string());
                } else {
                    let message = no_name("theme", words, THEMES);
                    problems.push(problem(start, message));
                }
                continue;
            }
            let Some(role) = ROLES.iter().find(|role| **role == name) else {
                let names = ROLES.into_iter().chain(["base"]);
                let message = no_name("role", name, names);
                problems.push(problem(key.span().start, message));
                continue;
            };
            match Look::read(words) {
                Ok(look) => theme.roles.push((*role, look)),
                Err(why) => problems.push(problem(start, format!("`{name}`: {why}"))),
            }
        }
        problems.sort_by_key(|p| match p.place {
            Place::File(line, column) => (line, column),
            _ => (0, 0),
        });
        (theme, problems)
    }

    /// The look of a role, where the file gives one.
    pub fn look(&self, role: &str) -> Option<Look> {
        let found = self.roles.iter().find(|(name, _)| *name == role);
        found.map(|(_, look)| *look)
    }
}

/// A theme file's place: names without a folder of their own stand beside the settings.
fn place_of(name: &str) -> PathBuf {
    let folder = config_file().and_then(|file| file.parent().map(Path::to_path_buf));
    // An absolute name stays what it is.
    folder.map_or_else(|| PathBuf::from(name), |folder| folder.join(name))
}

fn no_name<'a>(what: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let hint = nearest(name, known.iter().copied()).map_or_else(
        || format!("; there are {}", known.join(", ")),
        |near| format!("; nearest: {near}"),
    );
    format!("no {what} is called `{name}`{hint}")
}

impl Look {
    /// Reads `cyan bold`, `117`, `#ff8800 on black underlined`; `none` is the terminal's own colour.
    fn read(words: &str) -> Result<Self, String> {
        let mut look = Self::default();
        let mut ground = false;
        for word in words.split_whitespace() {
            match word {
                "on" => {
                    ground = true;
                    continue;
                }
                "bold" => look.bold = true,
                "dim" => look.dim = true,
                "underlined" => look.underlined = true,
                "reversed" => look.reversed = true,
                "none" => {}
                _ if ground => look.ground = Some(Paint::read(word)?),
                _ => look.text = Some(Paint::read(word)?),
            }
            ground = false;
        }
        if ground {
            return Err("a colour is missing behind `on`".to_string());
        }
        Ok(look)
    }
}

impl Paint {
    fn read(word: &str) -> Result<Self, String> {
        if let Some(at) = NAMES.iter().position(|name| *name == word) {
            return Ok(Self::Named(u8::try_from(at).unwrap_or(0)));
        }
        if let Some(digits) = word.strip_prefix('#') {
            let number = u32::from_str_radix(digits, 16)
                .ok()
                .filter(|_| digits.len() == 6);
            let Some(number) = number else {
                return Err(format!(
                    "`{word}` is no colour: six digits follow the #, as in #ff8800"
                ));
            };
            let [_, red, green, blue] = number.to_be_bytes();
            return Ok(Self::Rgb(red, green, blue));
        }
        if word.bytes().all(|b| b.is_ascii_digit()) {
            return word
                .parse()
                .map(Self::Palette)
                .map_err(|_| format!("`{word}` is no colour: numbers go from 0 to 255"));
        }
        let known = NAMES.into_iter().chain(ATTRIBUTES);
        Err(no_name("colour", word, known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_get_colours_and_attributes() {
        let text = "base = \"light\"\nhead = \"cyan bold\"\n\
                    verdict-fault = \"#ff8800 on black underlined\"\nlane-ack = \"245\"\n";
        let (theme, problems) = ThemeFile::read(text);
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(theme.base.as_deref(), Some("light"));
        let head = theme.look("head").unwrap();
        assert_eq!((head.text, head.bold), (Some(Paint::Named(6)), true));
        let fault = theme.look("verdict-fault").unwrap();
        assert_eq!(fault.text, Some(Paint::Rgb(0xff, 0x88, 0)));
        assert_eq!(fault.ground, Some(Paint::Named(0)));
        assert!(fault.underlined);
        let ack = theme.look("lane-ack").unwrap();
        assert_eq!(ack.text, Some(Paint::Palette(245)));
        assert_eq!(theme.look("text"), None);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_and_the_nearest_name() {
        let text = "verdict-falt = \"red\"\nhead = \"cyann\"\nkey = \"256\"\n\
                    error = 7\nfocus = \"red on\"\nbase = \"drak\"\ndim = \"#12\"\ntext = \"none\"\n";
        let (theme, problems) = ThemeFile::read(text);
        let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
        for (at, (line, word)) in [
            ("line 1, column 1", "nearest: verdict-fault"),
            ("line 2, column 8", "nearest: cyan"),
            ("line 3, column 7", "from 0 to 255"),
            ("line 4, column 9", "text in quotes"),
            ("line 5, column 9", "missing behind `on`"),
            ("line 6, column 8", "nearest: dark"),
            ("line 7, column 7", "six digits"),
        ]
        .into_iter()
        .enumerate()
        {
            assert!(said[at].starts_with(line), "{said:#?}");
            assert!(said[at].contains(word), "{said:#?}");
        }
        assert_eq!(said.len(), 7);
        assert_eq!(theme.roles, [("text", Look::default())]);
        let (_, problems) = ThemeFile::read("head = cyan");
        assert!(problems[0].to_string().starts_with("line 1, column 8"));
    }
}
