//! What the program says to the user: answers to keys, and news that nobody asked for.

use std::collections::VecDeque;

use super::command::Command;
use super::{App, Tone};
use crate::report::words;

/// Messages kept for `:messages`: a damaged file alone can have a thousand places that are named.
const MESSAGES: usize = 2000;

/// What was said, and what waits to be shown.
#[derive(Debug, Default)]
pub struct News {
    /// The last messages.
    pub all: Vec<(Tone, String)>,
    /// So many there were in all.
    pub told: usize,
    /// News that came while a mistake stood in the message line.
    waiting: VecDeque<(Tone, String)>,
}

impl App {
    /// Shows the answer to what the user did, and keeps it.
    pub fn say(&mut self, tone: Tone, text: impl Into<String>) {
        let text = text.into();
        self.keep_message(tone, text.clone());
        self.message = Some((tone, text));
    }

    /// Says something that nobody asked for. A mistake that stands in the message line is not taken away: the news is
    /// shown when a key says that the mistake was read. Of several sentences that are no mistakes the last one
    /// counts.
    pub fn announce(&mut self, tone: Tone, text: impl Into<String>) {
        let text = text.into();
        self.keep_message(tone, text.clone());
        self.put_on(tone, text);
    }

    /// Announces mistakes of one kind: all are kept, the first is shown, with how many there are.
    pub fn announce_mistakes(&mut self, mistakes: Vec<String>) {
        let Some(first) = mistakes.first() else {
            return;
        };
        let text = if mistakes.len() > 1 {
            let key = self.key_of(Command::Messages);
            format!("1 of {} ({key}): {first}", mistakes.len())
        } else {
            first.clone()
        };
        for mistake in mistakes {
            self.keep_message(Tone::Error, mistake);
        }
        self.put_on(Tone::Error, text);
    }

    /// Announces what is wrong with the files, as far as it was not told before.
    pub(super) fn announce_damage(&mut self) {
        let damage = words::problems(&self.store, self.problems_told).collect();
        self.problems_told = self.store.problems().len();
        self.announce_mistakes(damage);
    }

    /// The message was read: what waited behind it is next.
    pub(super) fn message_read(&mut self) {
        self.message = self.news.waiting.pop_front();
    }

    fn put_on(&mut self, tone: Tone, text: String) {
        let mistake = matches!(self.message, Some((Tone::Error, _)));
        if !mistake && self.news.waiting.is_empty() {
            self.message = Some((tone, text));
            return;
        }
        if self.news.waiting.iter().any(|(_, waits)| *waits == text) {
            return;
        }
        if tone == Tone::Info {
            self.news.waiting.retain(|(tone, _)| *tone == Tone::Error);
        }
        self.news.waiting.push_back((tone, text));
    }

    fn keep_message(&mut self, tone: Tone, text: String) {
        self.news.all.push((tone, text));
        self.news.told = self.news.told.saturating_add(1);
        if self.news.all.len() > MESSAGES {
            self.news.all.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{app, batch, press, read, said};
    use super::super::{App, Event, Tone, update};
    use crate::app::Layer;
    use crate::app::settings::Settings;
    use crate::store::Problem;
    use crate::units::{FileOffset, FrameNo};

    #[test]
    fn a_mistake_in_the_settings_stands_until_a_key_then_comes_the_summary() {
        let mut app = App::new("small.pcapng", (80, 24), Settings::default());
        app.announce_mistakes(vec!["no such setting".into(), "no such key".into()]);
        read(&mut app);
        app.judge_anew();
        while app.has_work() {
            update(&mut app, Event::Work);
        }
        assert_eq!(said(&app), "1 of 2 (g l): no such setting");
        press(&mut app, "j");
        assert!(said(&app).starts_with("1 connection"), "{}", said(&app));
        press(&mut app, "j");
        assert_eq!(said(&app), "");
        let kept: Vec<_> = app.news.all.iter().map(|(_, text)| text.as_str()).collect();
        assert!(kept.contains(&"no such key"), "{kept:?}");
    }

    /// What a page of text says.
    fn page(app: &App) -> String {
        match app.layers.last() {
            Some(Layer::Text(page)) => page.lines.join(" "),
            _ => String::new(),
        }
    }

    #[test]
    fn damage_of_the_file_is_named_with_its_place_once_it_is_read() {
        let problem = |offset, what: &str| Problem {
            file: 0,
            offset: FileOffset(offset),
            frame: Some(FrameNo(12)),
            what: what.into(),
        };
        let mut app = App::new("small.pcapng", (80, 24), Settings::default());
        let mut read = batch();
        read.problems = vec![problem(3203, "half a record"), problem(4000, "no block")];
        update(&mut app, Event::Batch(Box::new(read)));
        assert_eq!(said(&app), "");
        update(&mut app, Event::Indexed(None));
        let first = "problem at byte 3203, frame 12: half a record";
        assert_eq!(said(&app), format!("1 of 2 (g l): {first}"));
        while app.has_work() {
            update(&mut app, Event::Work);
        }
        assert!(said(&app).contains(first), "the summary waits");
        for keys in ["g l", ": s t a t s Enter", "g c"] {
            press(&mut app, keys);
            let page = page(&app);
            assert!(page.contains(first), "{keys}: {page}");
            assert!(page.contains("byte 4000"), "{keys}: {page}");
            press(&mut app, "q");
        }
        // A file that is read on is not told of again.
        update(&mut app, Event::Indexed(None));
        assert!(!said(&app).contains(first));
    }

    #[test]
    fn news_behind_a_mistake_give_way_to_newer_ones_but_mistakes_do_not() {
        let mut app = app(80, 24);
        app.announce(Tone::Error, "broken");
        for news in ["10 frames", "20 frames"] {
            app.announce(Tone::Info, news);
        }
        app.announce(Tone::Error, "broken again");
        assert_eq!(said(&app), "broken");
        press(&mut app, "j");
        assert_eq!(said(&app), "20 frames");
        press(&mut app, "j");
        assert_eq!(said(&app), "broken again");
    }
}
