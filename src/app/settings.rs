//! What the user can set: columns, times, theme, glyphs, limits. Plain values; reading a file is done elsewhere.

use std::sync::Arc;

use super::clock::{DeltaFrom, TimeFormat};
use crate::export::Format;
use crate::settings::ThemeFile;

/// A column of the frame list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Column {
    /// Frame number.
    No,
    /// Time.
    Time,
    /// Time since a frame before, in milliseconds.
    Delta,
    /// Connection.
    Conn,
    /// Direction.
    Dir,
    /// Sid.
    Sid,
    /// Kind.
    Kind,
    /// SMP SEQNUM.
    Seq,
    /// SMP WNDW.
    Wnd,
    /// Bytes.
    Len,
    /// Lane gutter.
    Lanes,
    /// Source address.
    Src,
    /// Destination address.
    Dst,
    /// TCP flags.
    Flags,
    /// What the frame says.
    Info,
}

impl Column {
    /// All columns, in the order of the screen.
    pub const ALL: [Self; 15] = [
        Self::No,
        Self::Time,
        Self::Delta,
        Self::Conn,
        Self::Dir,
        Self::Sid,
        Self::Kind,
        Self::Seq,
        Self::Wnd,
        Self::Len,
        Self::Flags,
        Self::Src,
        Self::Dst,
        Self::Lanes,
        Self::Info,
    ];

    /// Its name in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Time => "time",
            Self::Delta => "d",
            Self::Conn => "c",
            Self::Dir => "dir",
            Self::Sid => "sid",
            Self::Kind => "kind",
            Self::Seq => "seq",
            Self::Wnd => "wnd",
            Self::Len => "len",
            Self::Lanes => "lanes",
            Self::Src => "src",
            Self::Dst => "dst",
            Self::Flags => "flags",
            Self::Info => "info",
        }
    }

    /// The column with a name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.name() == name)
    }

    /// The columns that a width has room for when the user chose none.
    pub fn standard(width: u16) -> Vec<Self> {
        use Column::{Conn, Delta, Dir, Info, Kind, Len, No, Seq, Sid, Time, Wnd};
        match width {
            0..40 => vec![No, Kind, Info],
            40..80 => vec![No, Time, Sid, Kind, Info],
            80..110 => vec![No, Time, Delta, Conn, Dir, Sid, Kind, Len, Info],
            _ => vec![No, Time, Delta, Conn, Dir, Sid, Kind, Seq, Wnd, Len, Info],
        }
    }
}

/// Colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ThemeName {
    /// For dark backgrounds.
    #[default]
    Dark,
    /// For light backgrounds.
    Light,
    /// No colour codes at all.
    Mono,
    /// Strong contrast.
    Contrast,
}

impl ThemeName {
    /// The one with a name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|v| v.name() == name)
    }

    /// All themes.
    pub const ALL: [Self; 4] = [Self::Dark, Self::Light, Self::Mono, Self::Contrast];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dark => "dark",
            Self::Light => "light",
            Self::Mono => "mono",
            Self::Contrast => "contrast",
        }
    }
}

/// How many colours the terminal is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColorDepth {
    /// None.
    Never,
    /// The 16 of the terminal.
    #[default]
    Sixteen,
    /// The 256 of xterm.
    Palette,
    /// 24 bits.
    True,
}

impl ColorDepth {
    /// The one with a name.
    pub fn by_name(name: &str) -> Option<Self> {
        [Self::Never, Self::Sixteen, Self::Palette, Self::True]
            .into_iter()
            .find(|v| v.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Sixteen => "16",
            Self::Palette => "256",
            Self::True => "true",
        }
    }
}

/// Which characters draw lines and graphs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GlyphSet {
    /// ASCII only.
    #[default]
    Ascii,
    /// Box drawing and blocks.
    Unicode,
    /// As Unicode, with braille dots for density.
    Braille,
}

impl GlyphSet {
    /// The one with a name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|v| v.name() == name)
    }

    /// All sets.
    pub const ALL: [Self; 3] = [Self::Ascii, Self::Unicode, Self::Braille];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ascii => "ascii",
            Self::Unicode => "unicode",
            Self::Braille => "braille",
        }
    }
}

/// All settings of the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Columns chosen; `None` for those that fit the width.
    pub columns: Option<Vec<Column>>,
    /// The lane gutter, where the user decided.
    pub lane_gutter: Option<bool>,
    /// What the Time column shows.
    pub time: TimeFormat,
    /// What the d column counts from.
    pub delta: DeltaFrom,
    /// Colours.
    pub theme: ThemeName,
    /// Colours of the user's own, from a theme file.
    pub own_theme: Option<Arc<ThemeFile>>,
    /// Colour depth.
    pub colors: ColorDepth,
    /// Characters.
    pub glyphs: GlyphSet,
    /// A wait that the gap commands stop at, in milliseconds.
    pub gap_ms: u32,
    /// Lines of a frame that the bytes pane shows unasked; 0 for all that fit.
    pub bytes_lines: u32,
    /// Fewer bytes on the line.
    pub low_bandwidth: bool,
    /// One pane, no frames.
    pub plain: bool,
    /// Copies go to the terminal's clipboard.
    pub osc52: bool,
    /// The mouse is used.
    pub mouse: bool,
    /// Folder that exports go to; `None` for the current one.
    pub export_folder: Option<String>,
    /// The format that is offered first.
    pub export_format: Format,
    /// Findings and marks as comments.
    pub export_comments: bool,
    /// The opening of the connection is added.
    pub export_opening: bool,
    /// Addresses, names and data are replaced.
    pub export_redact: bool,
    /// Saved filters: name and text.
    pub filters: Vec<(String, String)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            columns: None,
            lane_gutter: None,
            time: TimeFormat::default(),
            delta: DeltaFrom::default(),
            theme: ThemeName::default(),
            own_theme: None,
            colors: ColorDepth::default(),
            glyphs: GlyphSet::default(),
            gap_ms: 100,
            bytes_lines: 5,
            low_bandwidth: false,
            plain: false,
            osc52: true,
            mouse: false,
            export_folder: None,
            export_format: Format::Pcapng,
            export_comments: true,
            export_opening: true,
            export_redact: false,
            filters: Vec::new(),
        }
    }
}

impl Settings {
    /// The screen's settings from the program's; what the columns of a config file are called is checked here.
    pub fn from_file(file: &crate::settings::Settings) -> (Self, Vec<String>) {
        let view = &file.view;
        let mut problems = Vec::new();
        let mut columns = Vec::new();
        for name in &view.columns {
            match Column::by_name(name) {
                Some(column) => columns.push(column),
                None => problems.push(no_column(name)),
            }
        }
        let settings = Self {
            columns: (!columns.is_empty()).then_some(columns),
            lane_gutter: (!view.lane_gutter).then_some(false),
            time: TimeFormat::by_name(&view.time).unwrap_or_default(),
            delta: DeltaFrom::by_name(&view.delta).unwrap_or_default(),
            theme: ThemeName::by_name(&view.theme).unwrap_or_default(),
            gap_ms: view.gap_ms,
            bytes_lines: view.bytes_lines,
            low_bandwidth: view.low_bandwidth,
            osc52: view.osc52,
            mouse: view.mouse,
            export_folder: (!file.export.folder.is_empty()).then(|| file.export.folder.clone()),
            export_format: Format::from_name(&file.export.format).unwrap_or(Format::Pcapng),
            export_comments: file.export.comments,
            export_opening: file.export.handshake,
            export_redact: file.export.redact,
            filters: file
                .filters
                .iter()
                .map(|(name, filter)| (name.clone(), filter.text.clone()))
                .collect(),
            ..Self::default()
        };
        (settings, problems)
    }
}

impl Settings {
    /// Takes the colours of a theme file; the built-in theme that it stands on becomes the one in use.
    pub fn use_theme(&mut self, theme: ThemeFile) {
        if let Some(base) = theme.base.as_deref().and_then(ThemeName::by_name) {
            self.theme = base;
        }
        self.own_theme = (!theme.roles.is_empty()).then(|| Arc::new(theme));
    }
}

/// What to say to a name that no column has.
pub fn no_column(name: &str) -> String {
    let names = Column::ALL.map(Column::name).join(" ");
    format!("no column is called {name}; columns are {names}")
}
