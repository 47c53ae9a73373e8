//! What the program says to the user: answers to keys, and news that nobody asked for.

use std::collections::VecDeque;

use super::command::Command;
use super::{App, Tone};

/// Messages kept for `:messages`.
const MESSAGES: usize = 500;

/// What was said, and what waits to be shown.
#[derive(Debug, Default)]
pub struct News {
    /// All messages.
    pub all: Vec<(Tone, String)>,
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
        if tone == Tone::Info {
            self.news.waiting.retain(|(tone, _)| *tone == Tone::Error);
        }
        self.news.waiting.push_back((tone, text));
    }

    fn keep_message(&mut self, tone: Tone, text: String) {
        self.news.all.push((tone, text));
        if self.news.all.len() > MESSAGES {
            self.news.all.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{app, press, read};
    use super::super::{App, Event, Tone, update};
    use crate::app::settings::Settings;

    fn shown(app: &App) -> &str {
        app.message.as_ref().map_or("", |(_, text)| text.as_str())
    }

    #[test]
    fn a_mistake_in_the_settings_stands_until_a_key_then_comes_the_summary() {
        let mut app = App::new("small.pcapng", (80, 24), Settings::default());
        app.announce_mistakes(vec!["no such setting".into(), "no such key".into()]);
        read(&mut app);
        app.judge_anew();
        while app.has_work() {
            update(&mut app, Event::Work);
        }
        assert_eq!(shown(&app), "1 of 2 (g l): no such setting");
        press(&mut app, "j");
        assert!(shown(&app).starts_with("1 connection"), "{}", shown(&app));
        press(&mut app, "j");
        assert_eq!(shown(&app), "");
        let kept: Vec<_> = app.news.all.iter().map(|(_, text)| text.as_str()).collect();
        assert!(kept.contains(&"no such key"), "{kept:?}");
    }

    #[test]
    fn news_behind_a_mistake_give_way_to_newer_ones_but_mistakes_do_not() {
        let mut app = app(80, 24);
        app.announce(Tone::Error, "broken");
        for news in ["10 frames", "20 frames"] {
            app.announce(Tone::Info, news);
        }
        app.announce(Tone::Error, "broken again");
        assert_eq!(shown(&app), "broken");
        press(&mut app, "j");
        assert_eq!(shown(&app), "20 frames");
        press(&mut app, "j");
        assert_eq!(shown(&app), "broken again");
    }
}
