//! Pictures (SVG): lanes and ladder on one page with title, verdict and legend. Text stays text, there is no script,
//! and the page follows the reader's light or dark setting.

mod ladder;
mod lanes;

use std::io::Write;

use svg::Document;
use svg::node::element::{Group, Line, Rectangle, Style, Text, Title};

use super::error::ExportError;
use super::job::Job;
use crate::report::words::{self, safe};
use crate::units::Side;
use crate::units::words::counted;

/// Width of the page in user units.
const WIDTH: f64 = 1200.0;
/// Left and right margin.
const MARGIN: f64 = 24.0;
/// Height of a line of text.
const LINE: f64 = 18.0;
/// Connections named in the head; more are counted.
const MAX_CONNS: usize = 4;

/// Colours of the set by Okabe and Ito, which stays apart under colour blindness; shades of the set on a dark ground.
const STYLE: &str = "
text { font: 12px ui-monospace, Consolas, Menlo, monospace; fill: #1a1a1a }
text.client, text.server { stroke: none; font-weight: bold }
.title { font-size: 18px; font-weight: bold }
.verdict { font-size: 13px; font-weight: bold }
.ground { fill: #ffffff }
.axis, .life { stroke: #767676; stroke-width: 1; fill: none }
.grid { stroke: #d8d8d8; stroke-width: 1 }
.quiet { fill: #5c5c5c }
.open { stroke: #8a8a8a; stroke-width: 1.5 }
.wait { stroke: #e69f00; stroke-width: 5; opacity: .55 }
.client { stroke: #0072b2; fill: #0072b2 }
.server { stroke: #d55e00; fill: #d55e00 }
.syn { fill: #009e73; font-weight: bold }
.fin { fill: #a8457f; font-weight: bold }
.rst { fill: #c04a00; font-weight: bold }
.ack { stroke: #767676 }
.arrow { stroke-width: 1.5; fill: none }
.double { stroke-width: 3; fill: none }
@media (prefers-color-scheme: dark) {
text { fill: #e8e8e8 }
.ground { fill: #16191d }
.axis, .life { stroke: #9a9a9a }
.grid { stroke: #33383f }
.quiet { fill: #b0b0b0 }
.open { stroke: #8f8f8f }
.client { stroke: #56b4e9; fill: #56b4e9 }
.server { stroke: #e69f00; fill: #e69f00 }
.wait { stroke: #f0e442 }
.syn { fill: #2fc79c }
.fin { fill: #cc79a7 }
.rst { fill: #ff7f3f }
}
";

/// What a picture shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Lanes, and below them the ladder.
    Page,
    /// Lanes only.
    Lanes,
    /// The ladder only.
    Ladder,
}

pub(super) fn write(job: &Job<'_>, part: Part, out: &mut dyn Write) -> Result<(), ExportError> {
    let mut page = Page::new();
    head(job, &mut page);
    if part != Part::Ladder {
        lanes::draw(job, &mut page)?;
    }
    if part != Part::Lanes {
        ladder::draw(job, &mut page)?;
    }
    legend(&mut page, part);
    page.write(out)
}

/// A page that grows downward.
struct Page {
    group: Group,
    y: f64,
    title: String,
}

impl Page {
    fn new() -> Self {
        Self {
            group: Group::new(),
            y: MARGIN,
            title: String::new(),
        }
    }

    /// Moves down and returns the new base line.
    fn down(&mut self, by: f64) -> f64 {
        self.y += by;
        self.y
    }

    fn text(&mut self, x: f64, y: f64, class: &str, text: &str) {
        self.anchored(x, y, class, "start", text);
    }

    fn anchored(&mut self, x: f64, y: f64, class: &str, anchor: &str, text: &str) {
        let mut node = Text::new(safe(text))
            .set("x", round(x))
            .set("y", round(y))
            .set("text-anchor", anchor.to_owned());
        if !class.is_empty() {
            node = node.set("class", class.to_owned());
        }
        self.add(node);
    }

    fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        self.add(
            Line::new()
                .set("class", class.to_owned())
                .set("x1", round(from.0))
                .set("y1", round(from.1))
                .set("x2", round(to.0))
                .set("y2", round(to.1)),
        );
    }

    fn add(&mut self, node: impl Into<Box<dyn svg::Node>>) {
        let group = std::mem::replace(&mut self.group, Group::new());
        self.group = group.add(node);
    }

    fn write(self, out: &mut dyn Write) -> Result<(), ExportError> {
        let height = round(self.y + MARGIN);
        let document = Document::new()
            .set("viewBox", format!("0 0 {WIDTH} {height}"))
            .set("width", WIDTH)
            .set("height", height)
            .set("role", "img")
            .add(Title::new(safe(&self.title)))
            .add(Style::new(STYLE))
            .add(
                Rectangle::new()
                    .set("class", "ground")
                    .set("width", "100%")
                    .set("height", "100%"),
            )
            .add(self.group);
        writeln!(out, "{document}")?;
        Ok(())
    }
}

/// Characters of a text, to place what stands behind it.
fn chars(text: &str) -> f64 {
    u32::try_from(text.chars().count()).map_or(0.0, f64::from)
}

/// A tenth of a unit is finer than any screen shows.
fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn head(job: &Job<'_>, page: &mut Page) {
    let files: Vec<_> = job
        .store
        .files()
        .iter()
        .map(|f| {
            std::path::Path::new(&f.path)
                .file_name()
                .and_then(|n| n.to_str())
                .unwrap_or(&f.path)
        })
        .collect();
    let first_last = match (job.plan.frames.first(), job.plan.frames.last()) {
        (Some(first), Some(last)) => format!(", frames {first}-{last}"),
        _ => String::new(),
    };
    page.title = format!("{}{first_last}", files.join(", "));
    let title = page.title.clone();
    let y = page.down(LINE);
    page.text(MARGIN, y, "title", &title);
    let summary = format!("{}: {}", job.plan.title, job.plan.summary());
    let y = page.down(LINE);
    page.text(MARGIN, y, "quiet", &summary);
    for conn in job
        .plan
        .conns
        .iter()
        .take(MAX_CONNS)
        .filter_map(|id| job.store.conn(*id))
    {
        let y = page.down(LINE * 1.4);
        let line = format!(
            "connection {}: client {}, server {}",
            conn.id,
            conn.endpoint(Side::Client),
            conn.endpoint(Side::Server)
        );
        page.text(MARGIN, y, "", &line);
        for line in wrapped(&words::close_sentence(job.store, conn.id), 150) {
            let y = page.down(LINE);
            page.text(MARGIN, y, "verdict", &line);
        }
    }
    let more = job.plan.conns.len().saturating_sub(MAX_CONNS);
    if more > 0 {
        let y = page.down(LINE);
        page.text(
            MARGIN,
            y,
            "quiet",
            &format!("and {}", counted(more as u64, "more connection")),
        );
    }
    page.down(LINE);
}

/// A text in lines of at most `width` characters, broken at spaces.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let long = lines.last().is_some_and(|l| {
            !l.is_empty() && l.chars().count().saturating_add(word.chars().count()) >= width
        });
        if long {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

fn legend(page: &mut Page, part: Part) {
    let y = page.down(LINE * 1.5);
    page.line("grid", (MARGIN, y - LINE), (WIDTH - MARGIN, y - LINE));
    let (mut x, mut y) = (MARGIN, y);
    let mut entry = |page: &mut Page, class: &str, sign: &str, meaning: &str| {
        if x > WIDTH - MARGIN - 250.0 {
            (x, y) = (MARGIN, page.down(LINE));
        }
        page.text(x, y, class, sign);
        page.text(x + 8.0 * chars(sign) + 4.0, y, "quiet", meaning);
        x += 8.0 * chars(sign) + 7.4 * chars(meaning) + 24.0;
    };
    entry(page, "syn", "S", "SYN, session opened");
    entry(page, "fin", "F", "FIN");
    entry(page, "rst", "R", "RST");
    if part != Part::Ladder {
        entry(page, "client", "up", "DATA of the client");
        entry(page, "server", "down", "DATA of the server");
        entry(page, "", "thick lane", "a request waits");
    }
    if part != Part::Lanes {
        entry(page, "", "thin arrow", "SMP or TDS");
        entry(page, "", "thick arrow", "TCP only");
    }
    let y = page.down(LINE);
    page.text(
        MARGIN,
        y,
        "quiet",
        "verdict letters: B Benign, b LikelyBenign, n Notice, ! Fault, ? Undecided",
    );
}
