//! Opens the capture on a thread of its own: the first bytes of standard input may come when they like.

use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded, never, select};

use super::input::{Input, Signal};
use super::screen::Screen;
use crate::app::{App, Effect, update};
use crate::capture::Capture;
use crate::exit::Exit;

/// A capture that is open within this time is shown at once, without a screen that says what is waited for.
const SOON: Duration = Duration::from_millis(100);

/// A capture that is being opened.
#[derive(Debug)]
pub struct Opening<E> {
    opened: Receiver<Result<Capture, E>>,
}

impl<E: Send + 'static> Opening<E> {
    /// Starts to open it.
    pub fn start(open: impl FnOnce() -> Result<Capture, E> + Send + 'static) -> Self {
        let (tell, opened) = bounded(1);
        // The thread ends with the program: what it waits for cannot be interrupted.
        thread::spawn(move || tell.send(open()));
        Self { opened }
    }

    /// What came of it, if that is known soon.
    pub fn soon(&self) -> Option<Result<Capture, E>> {
        self.opened.recv_timeout(SOON).ok()
    }

    /// Waits for it with a screen that says so; how the program ends, when the user leaves meanwhile.
    pub fn wait(
        &self,
        app: &mut App,
        screen: &mut Screen,
        inputs: &Receiver<Input>,
        signals: &Receiver<Signal>,
    ) -> Result<Result<Capture, E>, Exit> {
        app.jobs.opening = true;
        let mut signals = signals.clone();
        let opened = loop {
            screen.draw(app, false);
            select! {
                recv(self.opened) -> opened => break opened.map_err(|_| Exit::CannotRead),
                recv(inputs) -> input => match input {
                    Ok(Input::Event(event)) => {
                        let effects = update(app, event);
                        let leaves = |effect: &Effect| matches!(effect, Effect::Quit | Effect::StopIndexing);
                        if effects.iter().any(leaves) {
                            break Err(Exit::Interrupted);
                        }
                    }
                    _ => break Err(Exit::Interrupted),
                },
                recv(signals) -> signal => match signal {
                    Ok(Signal::Suspend) => screen.suspend(),
                    Ok(Signal::End) => break Err(Exit::Interrupted),
                    Err(_) => signals = never(),
                },
            }
        };
        app.jobs.opening = false;
        app.message = None;
        opened
    }
}
