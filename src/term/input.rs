//! Keys, pastes, sizes and signals, each from a thread of its own, as the program's events.

use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use crossterm::event::{
    self, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;

use crate::app::Event;
use crate::app::key::{Key, KeyCode};
use crate::app::mouse::{Mouse, MouseAct};

/// What comes from the terminal.
#[derive(Debug)]
pub enum Input {
    /// An event.
    Event(Event),
    /// The terminal is gone.
    Gone,
}

/// What comes from the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// End the program.
    End,
    /// Stop until told to go on.
    Suspend,
}

/// Starts to listen to the terminal. The thread ends with the program: reading cannot be interrupted.
pub fn listen() -> Receiver<Input> {
    let (send, receive) = unbounded();
    thread::spawn(move || {
        loop {
            let input = match event::read() {
                Ok(event) => translate(event).map(Input::Event),
                Err(_) => Some(Input::Gone),
            };
            let gone = matches!(input, Some(Input::Gone));
            if input.is_some_and(|input| send.send(input).is_err()) || gone {
                return;
            }
        }
    });
    receive
}

/// Starts to listen for signals; where that is not possible, none come.
pub fn signals() -> Receiver<Signal> {
    let (send, receive) = bounded(16);
    match Signals::new([SIGTERM, SIGHUP, SIGINT, SIGTSTP]) {
        Ok(signals) => {
            thread::spawn(move || forward(signals, &send));
            receive
        }
        Err(_) => crossbeam_channel::never(),
    }
}

fn forward(mut signals: Signals, send: &Sender<Signal>) {
    for signal in signals.forever() {
        let signal = if signal == SIGTSTP {
            Signal::Suspend
        } else {
            Signal::End
        };
        if send.send(signal).is_err() {
            return;
        }
    }
}

fn translate(event: event::Event) -> Option<Event> {
    match event {
        event::Event::Key(key) if key.kind != KeyEventKind::Release => {
            translate_key(key).map(Event::Key)
        }
        event::Event::Paste(text) => Some(Event::Paste(text)),
        event::Event::Resize(w, h) => Some(Event::Resize(w, h)),
        event::Event::Mouse(mouse) => translate_mouse(mouse).map(Event::Mouse),
        _ => None,
    }
}

fn translate_mouse(mouse: MouseEvent) -> Option<Mouse> {
    let act = match mouse.kind {
        MouseEventKind::Down(MouseButton::Left) => MouseAct::Press,
        MouseEventKind::Up(MouseButton::Left) => MouseAct::Release,
        MouseEventKind::ScrollDown => MouseAct::WheelDown,
        MouseEventKind::ScrollUp => MouseAct::WheelUp,
        _ => return None,
    };
    Some(Mouse {
        act,
        x: mouse.column,
        y: mouse.row,
    })
}

fn translate_key(key: KeyEvent) -> Option<Key> {
    use event::KeyCode as From;
    let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
    let code = match key.code {
        From::Char(c) if ctrl => return Some(Key::ctrl(c)),
        From::Char(c) => KeyCode::Char(c),
        From::Enter => KeyCode::Enter,
        From::Esc => KeyCode::Esc,
        From::Tab if key.modifiers.contains(KeyModifiers::SHIFT) => KeyCode::BackTab,
        From::Tab => KeyCode::Tab,
        From::BackTab => KeyCode::BackTab,
        From::Backspace => KeyCode::Backspace,
        From::Delete => KeyCode::Delete,
        From::Up => KeyCode::Up,
        From::Down => KeyCode::Down,
        From::Left => KeyCode::Left,
        From::Right => KeyCode::Right,
        From::Home => KeyCode::Home,
        From::End => KeyCode::End,
        From::PageUp => KeyCode::PageUp,
        From::PageDown => KeyCode::PageDown,
        _ => return None,
    };
    Some(Key { code, ctrl: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossterm::event::KeyCode as From;

    #[test]
    fn keys_arrive_as_the_table_names_them() {
        let press = |code, modifiers| translate_key(KeyEvent::new(code, modifiers)).unwrap();
        for (code, modifiers, name) in [
            (From::Char('G'), KeyModifiers::SHIFT, "G"),
            (From::Char('w'), KeyModifiers::CONTROL, "Ctrl-W"),
            (From::BackTab, KeyModifiers::SHIFT, "Shift-Tab"),
            (From::Char(' '), KeyModifiers::NONE, "Space"),
            (From::PageDown, KeyModifiers::NONE, "PgDn"),
        ] {
            assert_eq!(press(code, modifiers), name.parse().unwrap());
        }
        let release =
            KeyEvent::new_with_kind(From::Char('j'), KeyModifiers::NONE, KeyEventKind::Release);
        assert!(translate(event::Event::Key(release)).is_none());
    }
}
