//! Roles to styles. Panes ask for a role; only this file knows colours, and what a terminal can show.

use ratatui::style::{Color, Modifier, Style};

use crate::app::settings::{ColorDepth, ThemeName};
use crate::app::timeline::Mark;
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

/// A theme at a colour depth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    name: ThemeName,
    depth: ColorDepth,
}

impl Theme {
    /// A theme; without colours it is always the one that sends none.
    pub fn new(name: ThemeName, depth: ColorDepth) -> Self {
        let name = if depth == ColorDepth::Never {
            ThemeName::Mono
        } else {
            name
        };
        Self { name, depth }
    }

    /// The style of a role: attributes that work without colour, and a colour where there is one.
    pub fn style(self, role: Role) -> Style {
        let style = Style::new().add_modifier(attributes(role));
        match self.color(role) {
            Some(color) => style.fg(color),
            None => style,
        }
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
        let mono = Theme::new(ThemeName::Dark, ColorDepth::Never);
        for role in [
            Role::Text,
            Role::Dim,
            Role::Head,
            Role::Cursor,
            Role::Client,
            Role::Error,
            Role::Verdict(Verdict::Fault),
            Role::Lane(Mark::Reset),
        ] {
            let style = mono.style(role);
            assert_eq!((style.fg, style.bg), (None, None), "{role:?}");
        }
        assert!(
            mono.style(Role::Cursor)
                .add_modifier
                .contains(Modifier::REVERSED)
        );
    }

    #[test]
    fn a_harmless_reset_is_quieter_than_a_real_one() {
        let theme = Theme::new(ThemeName::Dark, ColorDepth::Sixteen);
        let loud = theme.style(Role::Lane(Mark::Reset));
        let quiet = theme.style(Role::Lane(Mark::HarmlessReset));
        assert!(loud.add_modifier.contains(Modifier::REVERSED));
        assert!(quiet.add_modifier.is_empty());
    }
}
