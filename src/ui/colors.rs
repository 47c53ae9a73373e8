//! Colours of theme files as a terminal shows them: its own 16, the 256 of xterm, or any.

use ratatui::style::Color;

use crate::app::settings::ColorDepth;
use crate::settings::Paint;

/// A colour as far as the terminal has it: the nearest of those it knows.
pub fn shown(paint: Paint, depth: ColorDepth) -> Color {
    let (red, green, blue) = match paint {
        Paint::Named(at) => return named(at),
        Paint::Palette(at) if depth != ColorDepth::Sixteen => return Color::Indexed(at),
        Paint::Palette(at) if at < 16 => return named(at),
        Paint::Palette(at) => palette(at),
        Paint::Rgb(red, green, blue) => (red, green, blue),
    };
    match depth {
        ColorDepth::True => Color::Rgb(red, green, blue),
        ColorDepth::Palette => {
            let all = 16..=255_u8;
            let near = all.min_by_key(|at| distance((red, green, blue), palette(*at)));
            Color::Indexed(near.unwrap_or(7))
        }
        _ => {
            let all = 0..16_u8;
            let near = all.min_by_key(|at| distance((red, green, blue), sixteen(*at)));
            named(near.unwrap_or(7))
        }
    }
}

/// The terminal's own colours by their numbers.
fn named(at: u8) -> Color {
    const ALL: [Color; 16] = [
        Color::Black,
        Color::Red,
        Color::Green,
        Color::Yellow,
        Color::Blue,
        Color::Magenta,
        Color::Cyan,
        Color::Gray,
        Color::DarkGray,
        Color::LightRed,
        Color::LightGreen,
        Color::LightYellow,
        Color::LightBlue,
        Color::LightMagenta,
        Color::LightCyan,
        Color::White,
    ];
    ALL.get(usize::from(at)).copied().unwrap_or(Color::Reset)
}

/// What a terminal usually shows for its own colours.
fn sixteen(at: u8) -> (u8, u8, u8) {
    match at {
        7 => (192, 192, 192),
        8 => (128, 128, 128),
        _ => {
            let level = if at < 8 { 128 } else { 255 };
            let part = |bit: u8| if at & bit != 0 { level } else { 0 };
            (part(1), part(2), part(4))
        }
    }
}

/// Red, green and blue of xterm's 256 colours: a cube of 6 levels, then greys.
fn palette(at: u8) -> (u8, u8, u8) {
    match at {
        0..16 => sixteen(at),
        16..232 => {
            let level = |n: u8| {
                if n == 0 {
                    0
                } else {
                    n.saturating_mul(40).saturating_add(55)
                }
            };
            let n = at.saturating_sub(16);
            (level(n / 36), level(n / 6 % 6), level(n % 6))
        }
        232.. => {
            let grey = at.saturating_sub(232).saturating_mul(10).saturating_add(8);
            (grey, grey, grey)
        }
    }
}

fn distance(a: (u8, u8, u8), b: (u8, u8, u8)) -> u32 {
    [(a.0, b.0), (a.1, b.1), (a.2, b.2)]
        .map(|(a, b)| u32::from(a.abs_diff(b)).saturating_pow(2))
        .into_iter()
        .fold(0, u32::saturating_add)
}

/// How much brighter than black a colour of xterm is, as the Web Content Accessibility Guidelines reckon it.
#[cfg(test)]
pub fn contrast_on_black(at: u8) -> f64 {
    let (red, green, blue) = palette(at);
    let part = |n: u8| {
        let n = f64::from(n) / 255.0;
        if n <= 0.04045 {
            n / 12.92
        } else {
            ((n + 0.055) / 1.055).powf(2.4)
        }
    };
    let light = 0.2126 * part(red) + 0.7152 * part(green) + 0.0722 * part(blue);
    (light + 0.05) / 0.05
}
