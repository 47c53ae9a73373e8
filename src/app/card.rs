//! The connection on one page: the report's text, how long the steps of its opening took, where the capture was taken
//! and what is wrong with it.

use super::page::Page;
use super::tables::phase_name;
use super::{App, Layer, Tone, clock};
use crate::report::{capture_lines, connection_text};
use crate::store::{ConnRow, Phase};
use crate::units::ConnId;

/// Lines about the capture as a whole; where it is damaged in many places, the messages hold the rest.
const ABOUT: usize = 4;

/// A line in pieces of a width, broken at blanks; what follows is indented deeper. The columns of a table stay where
/// they are.
pub(super) fn folded(line: &str, width: usize) -> Vec<String> {
    let indent = line.chars().take_while(|c| *c == ' ').count();
    let indent = " ".repeat(indent.saturating_add(2).min(width / 2));
    let mut out = Vec::new();
    let mut rest = line.to_string();
    while rest.chars().count() > width {
        let start = rest.len().saturating_sub(rest.trim_start().len());
        let at = rest
            .char_indices()
            .take(width.saturating_add(1))
            .filter(|(at, c)| *c == ' ' && *at > start && !is_before_unit(&rest, *at))
            .map(|(at, _)| at)
            .last();
        let Some((piece, behind)) = at.and_then(|at| rest.split_at_checked(at)) else {
            break;
        };
        out.push(piece.trim_end().to_string());
        rest = format!("{indent}{}", behind.trim_start());
    }
    out.push(rest);
    out
}

/// Whether the blank at a place stands between a number and its unit, which are read as one.
fn is_before_unit(line: &str, at: usize) -> bool {
    let Some((before, behind)) = line.split_at_checked(at) else {
        return false;
    };
    let unit = behind.trim_start().split([' ', ',', ';', ')']).next();
    before.ends_with(|c: char| c.is_ascii_digit())
        && matches!(unit, Some("ns" | "us" | "ms" | "s" | "B" | "kB" | "MB"))
}

impl App {
    /// Opens the page of the connection under the cursor, in a list that of its row.
    pub(super) fn show_card(&mut self) {
        let Some(conn) = self.conn_here() else {
            self.say(Tone::Error, "this frame belongs to no connection");
            return;
        };
        let text = self.card(conn);
        let title = format!("Connection {conn}");
        let page = Page::new(title, text.lines(), folded, self.size.0);
        self.layers.push(Layer::Text(page));
    }

    fn card(&self, conn: ConnId) -> String {
        let mut lines: Vec<String> = connection_text(&self.store, conn)
            .lines()
            .map(str::to_string)
            .collect();
        let opening = self.store.conn(conn).and_then(|row| self.opening(row));
        let about = capture_lines(&self.store).into_iter();
        let head = opening.into_iter().chain(about.take(ABOUT));
        let at = lines.len().min(2);
        lines.splice(at..at, head.map(|line| format!("  {line}")));
        lines.join("\n")
    }

    /// How long the steps before the first session or command took.
    fn opening(&self, conn: &ConnRow) -> Option<String> {
        let time = |at: usize| Some(self.store.frame(conn.phases.get(at)?.frame)?.time);
        let steps = [Phase::Connect, Phase::Prelogin, Phase::Tls, Phase::Login];
        let mut parts = Vec::new();
        let mut all = 0_i64;
        for (at, phase) in conn.phases.iter().enumerate() {
            if !steps.contains(&phase.phase) {
                break;
            }
            // A step ends where the next one begins; one that nothing follows has no known end.
            let length = time(at.saturating_add(1))?.since(time(at)?);
            all = all.saturating_add(length);
            parts.push(format!(
                "{} {}",
                phase_name(phase.phase),
                clock::span(length)
            ));
        }
        (!parts.is_empty()).then(|| format!("opened in {}: {}", clock::span(all), parts.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::settings::Settings;
    use crate::app::testing::batch;
    use crate::app::{Event, update};

    #[test]
    fn a_capture_that_is_followed_is_not_said_to_be_stopped() {
        let mut app = App::new("live.pcapng", (80, 24), Settings::default());
        let mut batch = batch();
        (batch.progress.complete, batch.progress.caught_up) = (false, true);
        update(&mut app, Event::Batch(Box::new(batch)));
        let card = app.card(ConnId(0));
        assert!(
            card.contains("not complete: only the frames so far"),
            "{card}"
        );
    }

    #[test]
    fn lines_are_folded_at_blanks_and_lose_no_word() {
        let line = "      M9   no      The client closed first: no FIN and no reset of the server";
        let lines = folded(line, 40);
        assert_eq!(
            lines.first().unwrap(),
            "      M9   no      The client closed"
        );
        assert!(lines.iter().all(|l| l.chars().count() <= 40), "{lines:?}");
        let words = |text: &str| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(words(&lines.join(" ")), words(line));
        assert_eq!(folded("short", 40), ["short"]);
        // A number and its unit stay together.
        assert_eq!(
            folded("31 frames, 243.6 ms", 17),
            ["31 frames,", "  243.6 ms"]
        );
        // A word that is too long stays whole.
        assert_eq!(folded(&"x".repeat(50), 40).len(), 1);
    }
}
