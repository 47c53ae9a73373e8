//! What happens on a panic: on the screen's thread the terminal is given back before the report is printed; a
//! worker's panic becomes a message on the screen, which goes on.

use std::io::{self, Write};
use std::thread;

use crossbeam_channel::Sender;

use super::screen::restore;
use crate::app::Event;

/// Panics at the key that a variable of the environment names, so that a test can see what becomes of the terminal.
/// Release builds do not have it.
#[cfg(debug_assertions)]
pub fn panic_if_asked(key: crate::app::key::Key) {
    let asked = std::env::var("MARSTUI_PANIC_AT_KEY").ok();
    let asked = asked.and_then(|name| name.parse().ok());
    assert!(asked != Some(key), "asked for by MARSTUI_PANIC_AT_KEY");
}

/// Installs the reports. Must run before the terminal is taken over.
pub fn install(notices: Sender<Event>) {
    let (panics, errors) = color_eyre::config::HookBuilder::default()
        .display_env_section(false)
        .into_hooks();
    // It fails only when it was installed before, which then serves as well.
    let _ = errors.install();
    let screen = thread::current().id();
    std::panic::set_hook(Box::new(move |info| {
        if thread::current().id() == screen {
            restore();
            let _ = writeln!(io::stderr(), "{}", panics.panic_report(info));
        } else {
            let place = info
                .location()
                .map_or(String::new(), |l| format!(" at {}:{}", l.file(), l.line()));
            let text = info
                .payload_as_str()
                .unwrap_or("no reason given")
                .to_string();
            // Without a screen there is nobody to tell.
            let _ = notices.send(Event::Message(Err(format!(
                "a worker stopped{place}: {text}; what was done before stays usable"
            ))));
        }
    }));
}
