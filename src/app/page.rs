//! A page of text: explanations, messages, numbers. Its lines are broken at the width of the screen, whatever that
//! becomes.

/// Breaks a line into pieces of a width.
pub(super) type Fold = fn(&str, usize) -> Vec<String>;

/// The narrowest that lines are broken for.
const LEAST: usize = 10;

/// A page of text with its title.
#[derive(Debug, Clone)]
pub struct Page {
    /// Its title.
    pub title: String,
    /// Its lines as they stand on screen.
    pub lines: Vec<String>,
    /// Lines scrolled past.
    pub top: usize,
    /// The lines before they were broken, each with the place of its first piece.
    whole: Vec<(String, usize)>,
    fold: Fold,
}

impl Page {
    /// The page for a screen of so many columns.
    pub(super) fn new<'a>(
        title: impl Into<String>,
        whole: impl IntoIterator<Item = &'a str>,
        fold: Fold,
        columns: u16,
    ) -> Self {
        let whole = whole.into_iter().map(|line| (line.to_owned(), 0));
        let mut page = Self {
            title: title.into(),
            lines: Vec::new(),
            top: 0,
            whole: whole.collect(),
            fold,
        };
        page.break_lines(columns);
        page
    }

    /// Breaks the lines for a screen of another size; the line on top stays there if enough stands below it.
    pub(super) fn fit(&mut self, columns: u16, height: usize) {
        let on_top = self.whole.partition_point(|(_, first)| *first <= self.top);
        let on_top = on_top.saturating_sub(1);
        self.break_lines(columns);
        let first = self.whole.get(on_top).map_or(0, |(_, first)| *first);
        self.top = first.min(self.lines.len().saturating_sub(height));
    }

    fn break_lines(&mut self, columns: u16) {
        let width = usize::from(columns.saturating_sub(3)).max(LEAST);
        self.lines.clear();
        for (line, first) in &mut self.whole {
            *first = self.lines.len();
            self.lines.extend((self.fold)(line, width));
        }
    }
}

/// Lines that stay as they are.
pub(super) fn unbroken(line: &str, _width: usize) -> Vec<String> {
    vec![line.to_owned()]
}

#[cfg(test)]
mod tests {
    use crate::app::testing::{app, press, said};
    use crate::app::{App, Event, Layer, summary, update};

    fn page(app: &App) -> &super::Page {
        let Some(Layer::Text(page)) = app.layers.last() else {
            panic!("no page");
        };
        page
    }

    #[test]
    fn another_width_breaks_the_lines_of_a_page_anew() {
        let words = |app: &App| page(app).lines.join(" ").split_whitespace().count();
        for keys in ["1 2 G g e", "1 2 G g c"] {
            let mut app = app(160, 48);
            press(&mut app, keys);
            let (wide, all) = (page(&app).lines.clone(), words(&app));
            update(&mut app, Event::Resize(60, 24));
            assert!(page(&app).lines.len() > wide.len(), "{keys}");
            assert_eq!(words(&app), all, "{keys}");
            update(&mut app, Event::Resize(160, 48));
            assert_eq!(page(&app).lines, wide, "{keys}");
        }
    }

    #[test]
    fn the_sentence_that_sums_the_capture_up_is_said_for_the_new_width() {
        let mut app = app(160, 48);
        press(&mut app, "g s");
        for width in [60, 160] {
            update(&mut app, Event::Resize(width, 24));
            assert_eq!(said(&app), summary(&app), "{width}");
        }
        press(&mut app, "D");
        let other = said(&app).to_owned();
        update(&mut app, Event::Resize(60, 24));
        assert_eq!(said(&app), other);
    }

    #[test]
    fn the_line_on_top_stays_on_top() {
        let mut app = app(160, 12);
        press(&mut app, "1 2 G g e 6 j");
        let top = |app: &App| page(app).lines[page(app).top].clone();
        let words = top(&app).split_whitespace().next().map(str::to_owned);
        update(&mut app, Event::Resize(60, 12));
        assert_eq!(
            top(&app).split_whitespace().next().map(str::to_owned),
            words
        );
    }
}
