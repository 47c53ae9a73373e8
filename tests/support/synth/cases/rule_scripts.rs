//! Pieces of scripts that captures for several rules share.

use marstui::units::Side::{Client, Server};

use super::super::conn::{Conn, US};
use super::super::file::Capture;
use super::super::mars::Encryption;
use super::super::wire::{ACK, FIN};
use super::scripts;

/// A connection without MARS: login and one request.
pub fn plain_work(c: &mut Conn) {
    c.handshake();
    c.login(Encryption::None, false);
    scripts::plain_request(c);
}

/// The client's FIN, the server's answer to it, the last ACK.
pub fn four_way(c: &mut Conn) {
    c.client_tcp_fin();
    c.trip(30 * US);
    c.send(Server, ACK | FIN, &[]);
    c.trip(10 * US);
    c.send(Client, ACK, &[]);
}

/// Both captures on one interface.
pub fn add(mut capture: Capture, other: Capture) -> Capture {
    if capture.interfaces.is_empty() {
        return other;
    }
    capture.frames.extend(other.frames);
    capture.frames.sort_by_key(|f| f.time);
    capture
}
