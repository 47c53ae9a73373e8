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

/// What ends a sequence for the terminal: two bytes of which the first begins sequences, or one.
const ENDS: &str = "\x1b\\";
const ENDS_SHORT: &str = "\x07";

/// A sequence as tmux and screen let it through to the terminal outside.
pub fn wrapped(sequence: &str, env: &dyn Fn(&str) -> Option<String>) -> String {
    let set = |name: &str| env(name).is_some_and(|value| !value.is_empty());
    let term = env("TERM").unwrap_or_default();
    if set("TMUX") || term.starts_with("tmux") {
        // By its settings tmux takes the one (set-clipboard), passes on the other (allow-passthrough), or neither.
        let inside = sequence.replace('\x1b', "\x1b\x1b");
        return format!("{sequence}\x1bPtmux;{inside}{ENDS}");
    }
    if set("STY") || term.starts_with("screen") {
        // screen takes at most some hundred bytes in one piece, and a piece ends where the long end stands in it.
        let sequence = match sequence.strip_suffix(ENDS) {
            Some(sequence) => format!("{sequence}{ENDS_SHORT}"),
            None => sequence.to_string(),
        };
        let pieces: Vec<String> = sequence
            .as_bytes()
            .chunks(240)
            .map(|piece| format!("\x1bP{}{ENDS}", String::from_utf8_lossy(piece)))
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
    fn a_sequence_gets_through_tmux_and_screen_whole_and_ended() {
        let copy = format!("\x1b]52;c;{}\x1b\\", "QUJD".repeat(200));
        assert_eq!(wrapped(&copy, &with(&[("TERM", "xterm")])), copy);
        let inside = copy.replace('\x1b', "\x1b\x1b");
        for tmux in [
            [("TMUX", "/tmp/x"), ("TERM", "screen")],
            [("TMUX", ""), ("TERM", "tmux-256color")],
        ] {
            let both = format!("{copy}\x1bPtmux;{inside}\x1b\\");
            assert_eq!(wrapped(&copy, &with(&tmux)), both);
        }
        for screen in [
            [("STY", "1.x"), ("TERM", "xterm")],
            [("STY", ""), ("TERM", "screen.linux")],
        ] {
            let sent = wrapped(&copy, &with(&screen));
            let pieces: Vec<_> = sent.split_terminator("\x1b\\").collect();
            assert!(pieces.iter().all(|piece| piece.len() <= 242));
            let passed: Vec<_> = pieces
                .iter()
                .map(|p| p.strip_prefix("\x1bP").unwrap())
                .collect();
            assert_eq!(passed.concat(), copy.replace("\x1b\\", "\x07"));
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
