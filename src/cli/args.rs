//! The arguments as clap sees them; the man page and the completions are made from the same definitions.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::failure::Failure;
use crate::settings::Settings;

/// Steps through captures of SQL Server MARS connections and says which resets are harmless.
#[derive(Debug, Parser)]
#[command(
    name = "marstui",
    version,
    about,
    args_conflicts_with_subcommands = true,
    after_help = EXAMPLES
)]
pub struct Args {
    /// What to do instead of opening the screen.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Capture files: pcap, pcapng and others, also compressed; `-` is standard input.
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Open a built-in capture with a benign MARS reset.
    #[arg(long, conflicts_with = "files")]
    pub demo: bool,
    /// Show frames that are still being written to the last of the files.
    #[arg(short, long, conflicts_with = "demo")]
    pub follow: bool,
    /// Rules and settings.
    #[command(flatten)]
    pub rules: RuleArgs,
    /// The screen.
    #[command(flatten)]
    pub screen: ScreenArgs,
    /// Print the man page.
    #[arg(long)]
    pub man: bool,
    /// Print completions for a shell.
    #[arg(long, value_name = "SHELL")]
    pub completions: Option<Shell>,
    /// Print the default settings with comments.
    #[arg(long)]
    pub print_config: bool,
}

/// Shown below the help, and alone when nothing was asked for.
pub const EXAMPLES: &str = "\
Examples:
  marstui capture.pcapng             open a capture on screen
  marstui report capture.pcapng      say how each connection ended, and why";

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say how each connection ended, and why; no screen.
    Report(ReportArgs),
    /// Write chosen frames as a capture, listing, ticket, table or picture.
    Export(Box<ExportArgs>),
    /// Print one frame with all its fields.
    Show(ShowArgs),
    /// Print one line per frame.
    List(ListArgs),
    /// List and explain rules.
    Rules(RulesArgs),
}

/// Which rules run, and with which thresholds; where filters by name and other settings come from.
#[derive(Debug, Clone, Default, ClapArgs)]
pub struct RuleArgs {
    /// Set a threshold of a rule (`mars-close-rst.late=2s`), or switch a rule (`syn-backlog=off`).
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// Apply the rules of your own in this file too; `marstui rules check FILE` checks it.
    #[arg(long = "rules", value_name = "FILE")]
    pub own: Vec<PathBuf>,
    /// Read settings from this file instead of the usual one.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// What the screen looks like; each flag goes before the setting of its name.
#[derive(Debug, Clone, Default, ClapArgs)]
pub struct ScreenArgs {
    /// Colours: auto, never, 16, 256 or true.
    #[arg(long, value_name = "HOW")]
    pub color: Option<String>,
    /// Theme: dark, light, mono or contrast.
    #[arg(long, value_name = "NAME")]
    pub theme: Option<String>,
    /// Characters for lines and graphs: auto, ascii, unicode or braille.
    #[arg(long, value_name = "SET")]
    pub glyphs: Option<String>,
    /// Keys: vi, less or wireshark.
    #[arg(long, value_name = "PRESET")]
    pub keys: Option<String>,
    /// Use the mouse; the terminal's own select-and-copy then needs Shift.
    #[arg(long)]
    pub mouse: bool,
    /// Write as little as possible, for slow lines.
    #[arg(long)]
    pub low_bandwidth: bool,
    /// Show copies instead of sending them to the terminal's clipboard.
    #[arg(long)]
    pub no_osc52: bool,
    /// Neither read nor write marks, filter and position of the capture.
    #[arg(long)]
    pub no_state: bool,
    /// One pane and no frames, for screen readers.
    #[arg(long)]
    pub plain: bool,
    /// Print the listing of the marked frames when the screen is left.
    #[arg(long)]
    pub print_marks: bool,
}

impl ScreenArgs {
    /// Puts the flags over the settings.
    pub fn apply(&self, settings: &mut Settings) -> Result<(), Failure> {
        let words = [
            ("view.color", &self.color),
            ("view.theme", &self.theme),
            ("view.glyphs", &self.glyphs),
            ("keys.preset", &self.keys),
        ];
        let switches = [
            ("view.mouse", self.mouse, "true"),
            ("view.low-bandwidth", self.low_bandwidth, "true"),
            ("view.osc52", self.no_osc52, "false"),
            ("view.state", self.no_state, "false"),
        ];
        let words = words
            .iter()
            .filter_map(|(name, word)| Some((*name, word.as_deref()?)));
        let switches = switches
            .iter()
            .filter(|(_, on, _)| *on)
            .map(|(name, _, value)| (*name, *value));
        for (name, value) in words.chain(switches) {
            settings
                .set(name, value)
                .map_err(|problem| Failure::usage(format!("marstui: {problem}")))?;
        }
        Ok(())
    }
}

/// Arguments of `report`.
#[derive(Debug, ClapArgs)]
pub struct ReportArgs {
    /// Capture files.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Rules and settings.
    #[command(flatten)]
    pub rules: RuleArgs,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub format: ReportFormat,
    /// Print what the run cost; as text, in the place of the connections.
    #[arg(long)]
    pub stats: bool,
    /// Exit with 1 when a finding at least this grave exists.
    #[arg(long, value_enum, value_name = "GRAVITY")]
    pub fail_on: Option<FailOn>,
    /// Replace addresses and names, leave out SQL texts and server messages.
    #[arg(long)]
    pub redact: bool,
}

/// Formats of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// Text for people.
    Text,
    /// One JSON object.
    Json,
    /// One JSON object per line.
    Ndjson,
    /// Markdown for people.
    Markdown,
}

/// Gravities for `--fail-on`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Notices and faults.
    Notice,
    /// Faults only.
    Fault,
}

/// Arguments of `export`.
#[derive(Debug, ClapArgs)]
pub struct ExportArgs {
    /// Capture files.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Rules and settings.
    #[command(flatten)]
    pub rules: RuleArgs,
    /// What to take; everything when nothing is said.
    #[command(flatten)]
    pub what: WhatArgs,
    /// What to add to it.
    #[command(flatten)]
    pub context: ContextArgs,
    /// Frames to leave out, written like --frames.
    #[arg(long, value_name = "FRAMES", allow_hyphen_values = true)]
    pub ignore: Option<String>,
    /// Where to write; `-` is standard output. The ending chooses the format and the compression.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The format, when the file's name does not say it.
    #[arg(long = "as", value_enum, value_name = "FORMAT")]
    pub format: Option<ExportFormat>,
    /// Fields of csv and json, separated by commas.
    #[arg(long, value_name = "FIELDS", value_delimiter = ',')]
    pub fields: Vec<String>,
    /// No findings and conditions as packet comments.
    #[arg(long)]
    pub no_comments: bool,
    /// Take TLS keys along that the capture holds (pcapng only): whoever gets them can read what is encrypted.
    #[arg(long, conflicts_with = "redact")]
    pub with_keys: bool,
    /// Replace an existing file.
    #[arg(long)]
    pub force: bool,
    /// Only say what would be written.
    #[arg(long)]
    pub plan: bool,
    /// Replace addresses, names, texts and data by stand-ins of the same length.
    #[arg(long)]
    pub redact: bool,
    /// With --redact, replace the clients' port numbers too.
    #[arg(long, requires = "redact")]
    pub redact_ports: bool,
}

/// What to take.
#[derive(Debug, ClapArgs)]
pub struct WhatArgs {
    /// Frames by number or time: `5,10-15,20-`, `-5`, `@12.0..12.1`.
    #[arg(
        long,
        value_name = "FRAMES",
        allow_hyphen_values = true,
        group = "what"
    )]
    pub frames: Option<String>,
    /// The frames that match a filter.
    #[arg(short = 'F', long, value_name = "FILTER", group = "what")]
    pub filter: Option<String>,
    /// The frames of a Sid; with --conn when several connections have it.
    #[arg(long, value_name = "SID", conflicts_with = "what")]
    pub sid: Option<u16>,
    /// Only that life of the Sid; the first is 1.
    #[arg(long, value_name = "N", requires = "sid")]
    pub life: Option<u32>,
    /// The frames of a connection.
    #[arg(long, value_name = "N", conflicts_with = "what")]
    pub conn: Option<u32>,
    /// The frames of a finding: its evidence and the frames that it marks.
    #[arg(long, value_name = "N", group = "what")]
    pub finding: Option<u32>,
}

/// What to add.
#[derive(Debug, ClapArgs)]
pub struct ContextArgs {
    /// Add to the frames: `opening` (handshake, PRELOGIN, login), `last=N` (last frames of each direction),
    /// `between` (everything from the first to the last).
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    pub context: Vec<String>,
}

/// Formats of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// Capture file with comments.
    Pcapng,
    /// Capture file, older format.
    Pcap,
    /// Listing of frames in columns.
    Text,
    /// Ticket note in Markdown.
    Ticket,
    /// Ticket note in plain text.
    TicketText,
    /// Ladder between client and server.
    Ladder,
    /// Fields of each frame, comma-separated.
    Csv,
    /// Fields of each frame, one JSON object per line.
    #[value(aliases = ["jsonl", "ndjson"])]
    Json,
    /// Requests of the connections, comma-separated.
    Requests,
    /// Picture of lanes and ladder.
    Svg,
    /// Picture of the lanes.
    SvgLanes,
    /// Picture of the ladder.
    SvgLadder,
}

/// Arguments of `show`.
#[derive(Debug, ClapArgs)]
pub struct ShowArgs {
    /// Capture files.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Rules and settings.
    #[command(flatten)]
    pub rules: RuleArgs,
    /// The frame's number; the first is 1.
    #[arg(long, value_name = "N")]
    pub frame: u32,
    /// The whole message that the frame holds a part of.
    #[arg(long)]
    pub message: bool,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = ListFormat::Text)]
    pub format: ListFormat,
}

/// Formats of lists and frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// Text for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Arguments of `list`.
#[derive(Debug, ClapArgs)]
pub struct ListArgs {
    /// Capture files.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Rules and settings.
    #[command(flatten)]
    pub rules: RuleArgs,
    /// Only the frames that match a filter.
    #[arg(short = 'F', long, value_name = "FILTER")]
    pub filter: Option<String>,
    /// Only these frames: `5,10-15,20-`, `@12.0..12.1`.
    #[arg(
        long,
        value_name = "FRAMES",
        allow_hyphen_values = true,
        conflicts_with = "filter"
    )]
    pub frames: Option<String>,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = ListFormat::Text)]
    pub format: ListFormat,
}

/// Arguments of `rules`.
#[derive(Debug, ClapArgs)]
pub struct RulesArgs {
    /// What to do with rules.
    #[command(subcommand)]
    pub command: RulesCommand,
}

/// What to do with rules.
#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// List all rules.
    List(RuleArgs),
    /// Say what a rule means, what it needs, and where it comes from.
    Explain {
        /// The rule's id.
        id: String,
        /// Rules and settings.
        #[command(flatten)]
        rules: RuleArgs,
    },
    /// Check a file with rules of your own.
    Check {
        /// The file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}
