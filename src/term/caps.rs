//! What the terminal can do, by its environment alone: no question is sent to it.

use std::env;

use crate::app::settings::{ColorDepth, GlyphSet, Settings, ThemeName};

/// Settles colours and glyphs: what was asked for on the command line goes before the settings, and these before
/// what the environment says.
pub fn settle(
    view: &mut Settings,
    settings: &crate::settings::Settings,
    colors_asked: Option<ColorDepth>,
    glyphs_asked: Option<GlyphSet>,
) {
    let var = |name: &str| env::var(name).ok().filter(|v| !v.is_empty());
    view.colors = colors_asked
        .or_else(|| ColorDepth::by_name(&settings.view.color))
        .unwrap_or_else(|| colors(&var));
    view.glyphs = glyphs_asked
        .or_else(|| GlyphSet::by_name(&settings.view.glyphs))
        .unwrap_or_else(|| glyphs(&var));
    if view.colors == ColorDepth::Never {
        view.theme = ThemeName::Mono;
    }
}

fn colors(var: &impl Fn(&str) -> Option<String>) -> ColorDepth {
    let term = var("TERM").unwrap_or_default();
    if var("NO_COLOR").is_some() || term == "dumb" || term.starts_with("vt") {
        return ColorDepth::Never;
    }
    match var("COLORTERM").as_deref() {
        Some("truecolor" | "24bit") => ColorDepth::True,
        _ if term.contains("256color") => ColorDepth::Palette,
        _ => ColorDepth::Sixteen,
    }
}

fn glyphs(var: &impl Fn(&str) -> Option<String>) -> GlyphSet {
    let locale = var("LC_ALL")
        .or_else(|| var("LC_CTYPE"))
        .or_else(|| var("LANG"))
        .unwrap_or_default()
        .to_ascii_lowercase();
    let utf8 = locale.contains("utf-8") || locale.contains("utf8");
    let term = var("TERM").unwrap_or_default();
    if utf8 && term != "linux" && term != "dumb" {
        GlyphSet::Unicode
    } else {
        GlyphSet::Ascii
    }
}

/// A sequence in the wrapping that tmux and screen pass through to the terminal outside.
pub fn wrapped(sequence: &str) -> String {
    if env::var_os("TMUX").is_some() {
        return format!("\x1bPtmux;{}\x1b\\", sequence.replace('\x1b', "\x1b\x1b"));
    }
    let term = env::var("TERM").unwrap_or_default();
    if term.starts_with("screen") {
        // screen takes at most some hundred bytes in one piece.
        let pieces: Vec<String> = sequence
            .as_bytes()
            .chunks(240)
            .map(|piece| format!("\x1bP{}\x1b\\", String::from_utf8_lossy(piece)))
            .collect();
        return pieces.concat();
    }
    sequence.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        move |name| {
            pairs
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| (*v).to_string())
        }
    }

    #[test]
    fn the_environment_decides_about_colours_and_glyphs() {
        let xterm = [("TERM", "xterm-256color"), ("LANG", "en_US.UTF-8")];
        assert_eq!(colors(&with(&xterm)), ColorDepth::Palette);
        assert_eq!(glyphs(&with(&xterm)), GlyphSet::Unicode);
        let none = [
            ("TERM", "xterm-256color"),
            ("NO_COLOR", "1"),
            ("LC_ALL", "C"),
            ("LANG", "en_US.UTF-8"),
        ];
        assert_eq!(colors(&with(&none)), ColorDepth::Never);
        assert_eq!(glyphs(&with(&none)), GlyphSet::Ascii);
        let linux = [("TERM", "linux"), ("LANG", "en_US.UTF-8")];
        assert_eq!(colors(&with(&linux)), ColorDepth::Sixteen);
        assert_eq!(glyphs(&with(&linux)), GlyphSet::Ascii);
    }
}
