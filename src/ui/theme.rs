//! Roles to styles. Panes ask for a role; only this file knows colours, and what a terminal can show.

use ratatui::style::{Color, Modifier, Style};

use super::colors::shown;
use crate::app::settings::{ColorDepth, ThemeName};
use crate::app::timeline::Mark;
use crate::settings::{Look, ThemeFile};
use crate::store::Verdict;

/// What something on screen is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Ordinary text.
    Text,
    /// Less important text.
    Dim,
    /// Heads of panes and columns, and the title.
    Head,
    /// The head of the focused pane.
    Focus,
    /// The row, field or lane under the cursor.
    Cursor,
    /// A marked row.
    Marked,
    /// A row of the range being chosen.
    Chosen,
    /// Sent by the client.
    Client,
    /// Sent by the server.
    Server,
    /// A name of a key or a command.
    Key,
    /// An error.
    Error,
    /// The verdict of a rule.
    Verdict(Verdict),
    /// An event in a lane.
    Lane(Mark),
}

impl Role {
    /// Its name in theme files.
    fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Dim => "dim",
            Self::Head => "head",
            Self::Focus => "focus",
            Self::Cursor => "cursor",
            Self::Marked => "marked",
            Self::Chosen => "chosen",
            Self::Client => "client",
            Self::Server => "server",
            Self::Key => "key",
            Self::Error => "error",
            Self::Verdict(verdict) => match verdict {
                Verdict::Normal => "verdict-normal",
                Verdict::Benign => "verdict-benign",
                Verdict::LikelyBenign => "verdict-likely-benign",
                Verdict::Notice => "verdict-notice",
                Verdict::Undecided => "verdict-undecided",
                Verdict::Fault => "verdict-fault",
            },
            Self::Lane(mark) => match mark {
                Mark::Empty => "lane-empty",
                Mark::Open => "lane-open",
                Mark::Waiting => "lane-waiting",
                Mark::Gap => "lane-gap",
                Mark::Border => "lane-border",
                Mark::Ack => "lane-ack",
                Mark::Reply => "lane-reply",
                Mark::Request => "lane-request",
                Mark::Both => "lane-both",
                Mark::Syn => "lane-syn",
                Mark::Fin => "lane-fin",
                Mark::Fault => "lane-fault",
                Mark::HarmlessReset => "lane-harmless-reset",
                Mark::Reset => "lane-reset",
            },
        }
    }
}

/// A theme at a colour depth, with the user's own colours where there are any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme<'a> {
    name: ThemeName,
    depth: ColorDepth,
    own: Option<&'a ThemeFile>,
}

impl<'a> Theme<'a> {
    /// A theme; without colours it is always the one that sends none.
    pub fn new(name: ThemeName, depth: ColorDepth, own: Option<&'a ThemeFile>) -> Self {
        let name = if depth == ColorDepth::Never {
            ThemeName::Mono
        } else {
            name
        };
        Self { name, depth, own }
    }

    /// The style of a role: attributes that work without colour, and a colour where there is one.
    pub fn style(self, role: Role) -> Style {
        let style = Style::new().add_modifier(attributes(role));
        if let Some(look) = self.own.and_then(|own| own.look(role.name())) {
            return self.own_style(look, style);
        }
        match self.color(role) {
            Some(color) => style.fg(color),
            None => style,
        }
    }

    fn own_style(self, look: Look, mut style: Style) -> Style {
        for (set, modifier) in [
            (look.bold, Modifier::BOLD),
            (look.dim, Modifier::DIM),
            (look.underlined, Modifier::UNDERLINED),
            (look.reversed, Modifier::REVERSED),
        ] {
            if set {
                style = style.add_modifier(modifier);
            }
        }
        if self.depth != ColorDepth::Never {
            if let Some(paint) = look.text {
                style = style.fg(shown(paint, self.depth));
            }
            if let Some(paint) = look.ground {
                style = style.bg(shown(paint, self.depth));
            }
        }
        style
    }

    fn color(self, role: Role) -> Option<Color> {
        if self.name == ThemeName::Mono {
            return None;
        }
        let (sixteen, palette) = match role {
            Role::Text | Role::Cursor | Role::Focus | Role::Marked | Role::Chosen => return None,
            Role::Dim => {
                if self.name == ThemeName::Contrast {
                    return None;
                }
                return (self.depth != ColorDepth::Sixteen).then_some(Color::Indexed(245));
            }
            Role::Head | Role::Client => (Color::Cyan, 117),
            Role::Server => (Color::Blue, 32),
            Role::Key => (Color::Green, 36),
            Role::Error => (Color::Red, 202),
            Role::Verdict(verdict) => match verdict {
                Verdict::Fault => (Color::Red, 202),
                Verdict::Undecided => (Color::Yellow, 220),
                Verdict::Benign | Verdict::LikelyBenign => (Color::Green, 36),
                Verdict::Notice => (Color::Magenta, 175),
                Verdict::Normal => return None,
            },
            Role::Lane(mark) => match mark {
                Mark::Reset => (Color::Red, 202),
                Mark::Fault => (Color::Yellow, 220),
                Mark::Fin => (Color::Magenta, 175),
                Mark::HarmlessReset | Mark::Syn => (Color::Green, 36),
                Mark::Request => (Color::Cyan, 117),
                Mark::Reply => (Color::Blue, 32),
                Mark::Both | Mark::Empty | Mark::Border | Mark::Waiting | Mark::Gap => return None,
                Mark::Ack => return self.shade(245),
                Mark::Open => return self.shade(240),
            },
        };
        Some(match (self.depth, self.name) {
            (ColorDepth::Sixteen, ThemeName::Contrast) => bright(sixteen),
            (ColorDepth::Sixteen, _) => sixteen,
            (_, ThemeName::Contrast) => strong(sixteen),
            (_, ThemeName::Light) => on_light(sixteen),
            (_, _) => Color::Indexed(palette),
        })
    }

    fn shade(self, palette: u8) -> Option<Color> {
        (self.depth != ColorDepth::Sixteen && self.name == ThemeName::Dark)
            .then_some(Color::Indexed(palette))
    }
}

fn attributes(role: Role) -> Modifier {
    match role {
        Role::Cursor => Modifier::REVERSED,
        Role::Marked
        | Role::Focus
        | Role::Key
        | Role::Error
        | Role::Verdict(Verdict::Fault | Verdict::Undecided) => Modifier::BOLD,
        Role::Chosen => Modifier::UNDERLINED,
        Role::Lane(mark) => match mark {
            Mark::Reset => Modifier::BOLD.union(Modifier::REVERSED),
            Mark::Fault | Mark::Fin | Mark::Syn => Modifier::BOLD,
            Mark::Ack | Mark::Open => Modifier::DIM,
            _ => Modifier::empty(),
        },
        Role::Dim => Modifier::DIM,
        _ => Modifier::empty(),
    }
}

fn bright(color: Color) -> Color {
    match color {
        Color::Red => Color::LightRed,
        Color::Green => Color::LightGreen,
        Color::Yellow => Color::LightYellow,
        Color::Blue | Color::Cyan => Color::LightCyan,
        Color::Magenta => Color::LightMagenta,
        other => other,
    }
}

/// Shades of the same hues that keep 7:1 on black.
fn strong(color: Color) -> Color {
    match color {
        Color::Red => Color::Indexed(210),
        Color::Green => Color::Indexed(120),
        Color::Yellow => Color::Indexed(226),
        Color::Blue | Color::Cyan => Color::Indexed(123),
        Color::Magenta => Color::Indexed(219),
        other => other,
    }
}

/// Darker shades of the same hues, of the palette.
fn on_light(color: Color) -> Color {
    match color {
        Color::Red => Color::Indexed(160),
        Color::Green => Color::Indexed(29),
        Color::Yellow => Color::Indexed(130),
        Color::Blue => Color::Indexed(25),
        Color::Cyan => Color::Indexed(31),
        Color::Magenta => Color::Indexed(133),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mono_sends_no_colour_and_the_cursor_is_seen_without_one() {
        let mono = Theme::new(ThemeName::Dark, ColorDepth::Never, None);
        for role in all() {
            let style = mono.style(role);
            assert_eq!((style.fg, style.bg), (None, None), "{role:?}");
        }
        assert!(
            mono.style(Role::Cursor)
                .add_modifier
                .contains(Modifier::REVERSED)
        );
    }

    /// Every role.
    fn all() -> Vec<Role> {
        let mut all = vec![
            Role::Text,
            Role::Dim,
            Role::Head,
            Role::Focus,
            Role::Cursor,
            Role::Marked,
            Role::Chosen,
            Role::Client,
            Role::Server,
            Role::Key,
            Role::Error,
        ];
        all.extend(
            [
                Verdict::Normal,
                Verdict::Benign,
                Verdict::LikelyBenign,
                Verdict::Notice,
                Verdict::Undecided,
                Verdict::Fault,
            ]
            .map(Role::Verdict),
        );
        all.extend(
            [
                Mark::Empty,
                Mark::Open,
                Mark::Waiting,
                Mark::Gap,
                Mark::Border,
                Mark::Ack,
                Mark::Reply,
                Mark::Request,
                Mark::Both,
                Mark::Syn,
                Mark::Fin,
                Mark::Fault,
                Mark::HarmlessReset,
                Mark::Reset,
            ]
            .map(Role::Lane),
        );
        all
    }

    #[test]
    fn the_contrast_theme_keeps_seven_to_one_on_black() {
        let theme = Theme::new(ThemeName::Contrast, ColorDepth::Palette, None);
        let mut colours = 0;
        for role in all() {
            if let Some(Color::Indexed(at)) = theme.style(role).fg {
                let ratio = crate::ui::colors::contrast_on_black(at);
                assert!(ratio >= 7.0, "{role:?}: {ratio}");
                colours += 1;
            }
        }
        assert!(colours > 10);
    }

    #[test]
    fn theme_files_can_name_every_role() {
        let mut names: Vec<_> = all().into_iter().map(Role::name).collect();
        names.sort_unstable();
        let mut known = crate::settings::ROLES.to_vec();
        known.sort_unstable();
        assert_eq!(names, known);
    }

    #[test]
    fn own_colours_go_before_the_theme_and_attributes_stay() {
        let (own, problems) = ThemeFile::read(
            "cursor = \"blue\"\nhead = \"#fe8701 underlined\"\nkey = \"none\"\nerror = \"208\"\n",
        );
        assert!(problems.is_empty());
        let at = |depth| Theme::new(ThemeName::Dark, depth, Some(&own));
        let cursor = at(ColorDepth::Sixteen).style(Role::Cursor);
        assert_eq!(cursor.fg, Some(Color::Blue));
        assert!(cursor.add_modifier.contains(Modifier::REVERSED));
        let head = |depth| at(depth).style(Role::Head).fg;
        assert_eq!(head(ColorDepth::True), Some(Color::Rgb(0xfe, 0x87, 1)));
        assert_eq!(head(ColorDepth::Palette), Some(Color::Indexed(208)));
        assert_eq!(head(ColorDepth::Sixteen), Some(Color::LightYellow));
        assert_eq!(head(ColorDepth::Never), None);
        let mono = at(ColorDepth::Never).style(Role::Head);
        assert!(mono.add_modifier.contains(Modifier::UNDERLINED));
        assert_eq!(at(ColorDepth::Palette).style(Role::Key).fg, None);
        assert_eq!(
            at(ColorDepth::Palette).style(Role::Error).fg,
            Some(Color::Indexed(208))
        );
        let server = Theme::new(ThemeName::Dark, ColorDepth::Palette, None).style(Role::Server);
        assert_eq!(at(ColorDepth::Palette).style(Role::Server), server);
    }

    #[test]
    fn a_harmless_reset_is_quieter_than_a_real_one() {
        let theme = Theme::new(ThemeName::Dark, ColorDepth::Sixteen, None);
        let loud = theme.style(Role::Lane(Mark::Reset));
        let quiet = theme.style(Role::Lane(Mark::HarmlessReset));
        assert!(loud.add_modifier.contains(Modifier::REVERSED));
        assert!(quiet.add_modifier.is_empty());
    }
}
