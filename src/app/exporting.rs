//! The export form in use: opening it, its keys, and what comes back from the export.

use super::export_form::{Done, Foreseen};
use super::key::Key;
use super::{App, Effect, ExportForm, Layer, Tone};
use crate::export::{ExportError, Written};

impl App {
    /// Opens the form.
    pub(super) fn open_export(&mut self) -> Vec<Effect> {
        if self.jobs.exporting.is_some() {
            self.say(Tone::Error, "an export is being written; Ctrl-C stops it");
            return Vec::new();
        }
        self.moved = true;
        let form = ExportForm::new(self);
        self.show_form(Box::new(form))
    }

    /// Shows the form, and asks what its export would come to, if that is not known.
    fn show_form(&mut self, mut form: Box<ExportForm>) -> Vec<Effect> {
        let ask = form.to_foresee().map(|order| {
            let number = self.next_job();
            form.asked(number);
            Effect::Foresee(number, Box::new(order))
        });
        self.layers.push(Layer::Export(form));
        ask.into_iter().collect()
    }

    /// What an export would come to is known.
    pub(super) fn foreseen(&mut self, number: u64, foreseen: Foreseen) {
        if let Some(Layer::Export(form)) = self.layers.last_mut() {
            form.foreseen(number, foreseen);
        }
    }

    /// Gives a key to the form.
    pub(super) fn form_key(&mut self, key: Key) -> Vec<Effect> {
        let Some(Layer::Export(mut form)) = self.layers.pop() else {
            return Vec::new();
        };
        match form.key(self, key) {
            Done::Left => {}
            Done::No => return self.show_form(form),
            Done::Copy(order) => {
                self.layers.push(Layer::Export(form));
                return vec![Effect::ExportText(order)];
            }
            Done::Write(order) => {
                self.layers.push(Layer::Export(form));
                self.jobs.exporting = Some(0);
                return vec![Effect::Export(order)];
            }
        }
        Vec::new()
    }

    /// The text of an export that is to be copied is there; the form is done then.
    pub(super) fn export_text(&mut self, text: Result<String, String>) -> Vec<Effect> {
        if text.is_ok() && matches!(self.layers.last(), Some(Layer::Export(_))) {
            self.layers.pop();
        }
        self.put_on_clipboard("", text)
    }

    /// An export has ended. A file that exists is asked about in the form; any other error leaves the form open too.
    pub(super) fn exported(&mut self, result: Result<Written, ExportError>) {
        self.jobs.exporting = None;
        let form = match self.layers.last_mut() {
            Some(Layer::Export(form)) => Some(form),
            _ => None,
        };
        match (result, form) {
            (Ok(written), form) => {
                if form.is_some() {
                    self.layers.pop();
                }
                self.say(Tone::Info, written.to_string());
            }
            (Err(ExportError::Exists(_)), Some(form)) => form.replace = true,
            (Err(error), _) => self.say(Tone::Error, error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::testing::{app, press};
    use crate::app::{Event, update};
    use crate::export::Format;

    fn form(app: &App) -> &ExportForm {
        match app.layers.last() {
            Some(Layer::Export(form)) => form,
            _ => panic!("no form is open"),
        }
    }

    /// The number of the order that was asked about.
    fn asked(effects: &[Effect]) -> Option<u64> {
        effects.iter().find_map(|effect| match effect {
            Effect::Foresee(number, _) => Some(*number),
            _ => None,
        })
    }

    #[test]
    fn the_form_says_what_the_export_comes_to_once_that_is_known() {
        let mut app = app(80, 24);
        let number = asked(&press(&mut app, "m w")).unwrap();
        let foreseen = Foreseen {
            bytes: Some(1_234_567),
            problems: Vec::new(),
            remarks: vec!["keys stay behind".to_owned()],
        };
        update(&mut app, Event::Foreseen(number, foreseen.clone()));
        assert!(
            form(&app).outcome().contains("1.2 MB"),
            "{}",
            form(&app).outcome()
        );
        assert_eq!(form(&app).notes().collect::<Vec<_>>(), ["keys stay behind"]);
        // Moving in the form changes nothing; without comments the file is another one.
        let effects = press(&mut app, "Tab Tab Tab Tab Tab");
        assert_eq!(asked(&effects), None);
        let next = asked(&press(&mut app, "Space")).unwrap();
        assert_ne!(next, number);
        assert!(!form(&app).outcome().contains("1.2 MB"));
        // An answer that comes too late says nothing.
        update(&mut app, Event::Foreseen(number, foreseen));
        assert!(!form(&app).outcome().contains("1.2 MB"));
    }

    #[test]
    fn every_format_can_be_the_one_that_is_offered_first() {
        for format in Format::ALL {
            let mut file = crate::settings::Settings::default();
            file.set("export.format", format.name()).unwrap();
            let mut app = app(80, 24);
            app.settings = crate::app::settings::Settings::from_file(&file).0;
            press(&mut app, "m w");
            assert_eq!(form(&app).format, format);
        }
    }

    /// Types a name over the one that stands in the form.
    fn name_the_file(app: &mut App, name: &str) {
        press(app, "Shift-Tab Ctrl-U");
        for c in name.chars() {
            update(app, Event::Key(crate::app::key::Key::char(c)));
        }
    }

    #[test]
    fn the_ending_chooses_the_format_until_it_is_chosen_by_hand() {
        for (name, format) in [
            ("out1.txt", Format::Listing),
            ("note.md.gz", Format::TicketMarkdown),
            ("a.pcap", Format::Pcap),
            ("a.pcapng", Format::Pcapng),
            ("rows.csv", Format::Csv),
            ("what", Format::Pcapng),
        ] {
            let mut app = app(80, 24);
            press(&mut app, "m w");
            name_the_file(&mut app, name);
            assert_eq!(form(&app).format, format, "{name}");
            assert_eq!(form(&app).file.value(), name);
            assert_eq!(form(&app).notes().count(), 0, "{name}");
        }
        // Several formats share an ending: the chosen one stays.
        let mut app = app(80, 24);
        app.settings.export_format = Format::Ladder;
        press(&mut app, "m w");
        name_the_file(&mut app, "close.txt");
        assert_eq!(form(&app).format, Format::Ladder);
        assert_eq!(form(&app).notes().count(), 0);
    }

    #[test]
    fn a_name_that_says_another_format_than_the_chosen_one_is_remarked() {
        let mut app = app(80, 24);
        // To pcap, and back to pcapng.
        press(
            &mut app,
            "m w Tab Tab Tab Tab Right Left Shift-Tab Shift-Tab Shift-Tab Shift-Tab",
        );
        name_the_file(&mut app, "out1.txt");
        assert_eq!(form(&app).format, Format::Pcapng);
        let notes: Vec<_> = form(&app).notes().collect();
        assert_eq!(
            notes,
            ["the ending of the name says text; the file will be pcapng"]
        );
    }

    #[test]
    fn a_range_that_is_being_chosen_goes_before_earlier_marks() {
        let mut app = app(80, 24);
        press(&mut app, "g g m j v j j w");
        let form = form(&app);
        let chosen = form.offers.get(form.chosen).map(|o| o.words.as_str());
        assert_eq!(chosen, Some("range 2-4"));
        assert!(!form.file.value().contains("marked"));
    }

    #[test]
    fn a_text_can_be_copied_and_a_capture_cannot() {
        let mut app = app(80, 24);
        assert!(form_asks_nothing(&press(&mut app, "m w Ctrl-Y")));
        let said = form(&app).outcome();
        assert!(said.contains("a capture cannot be copied"), "{said}");
        // From pcapng over pcap to the listing.
        let effects = press(&mut app, "Tab Tab Tab Tab Right Right Ctrl-Y");
        assert!(
            effects
                .iter()
                .any(|effect| matches!(effect, Effect::ExportText(_)))
        );
        let effects = update(&mut app, Event::ExportText(Err("too long".to_owned())));
        assert!(effects.is_empty());
        assert_eq!(form(&app).format, Format::Listing);
        let effects = update(&mut app, Event::ExportText(Ok("Frame 1".to_owned())));
        assert!(matches!(&effects[..], [Effect::Copy(text)] if text == "Frame 1"));
        assert!(app.layers.is_empty());
    }

    fn form_asks_nothing(effects: &[Effect]) -> bool {
        let mut kinds = effects.iter();
        kinds.all(|effect| matches!(effect, Effect::Foresee(..)))
    }

    #[test]
    fn what_stands_in_the_way_of_the_format_is_said_before_it_is_written() {
        let mut app = app(80, 24);
        let number = asked(&press(&mut app, "m w")).unwrap();
        let foreseen = Foreseen {
            problems: vec!["pcap holds one link type".to_owned()],
            ..Foreseen::default()
        };
        update(&mut app, Event::Foreseen(number, foreseen));
        assert_eq!(form(&app).outcome(), "pcap holds one link type");
        assert!(!form(&app).is_ready());
    }
}
