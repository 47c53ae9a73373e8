//! How a client closes a MARS connection, and which resets come of it.
//!
//! Labels that the closes give: `cfin:SID` and `sfin:SID` for SMP:FINs, `tf` for the client's TCP FIN, `stf` for the
//! server's, `rst` for the first reset of the client, `rst:stf` and `rst:sfin:SID` for those that answer the segment
//! named.

use marstui::units::Side;

use super::conn::{Conn, US};
use super::smp;
use super::wire::{ACK, FIN};

impl Conn {
    /// The client sends an SMP:FIN for each session, in the order given, each in a segment of its own.
    pub fn client_fins(&mut self, sids: &[u16]) {
        for sid in sids {
            self.smp(Side::Client, smp::FIN, *sid);
            self.label(&format!("cfin:{sid}"));
            self.wait(4 * US);
        }
    }

    /// The server answers with an SMP:FIN for each session. Gives the time at which the first and the last of them
    /// reach the client.
    pub fn server_fins(&mut self, sids: &[u16]) -> (i64, i64) {
        let first = self.now + self.delay;
        for sid in sids {
            self.smp(Side::Server, smp::FIN, *sid);
            self.label(&format!("sfin:{sid}"));
            self.wait(4 * US);
        }
        (first, self.last().arrives)
    }

    /// The client's TCP FIN.
    pub fn client_tcp_fin(&mut self) {
        self.send(Side::Client, FIN | ACK, &[]);
        self.label("tf");
    }

    /// The client's abort after its FIN: it acknowledges all that has arrived.
    pub fn client_abort(&mut self) {
        let (seq, ack) = (self.snd_nxt(Side::Client), self.received(Side::Client));
        self.abort(Side::Client, seq, ack);
        self.label("rst");
    }

    /// The exchange is complete before the client's TCP FIN: no reset.
    pub fn close_clean(&mut self, sids: &[u16]) {
        self.client_fins(sids);
        self.trip(58 * US);
        self.server_fins(sids);
        self.trip(20 * US);
        self.client_tcp_fin();
        self.trip(30 * US);
        self.send(Side::Server, ACK | FIN, &[]);
        self.label("stf");
        self.trip(10 * US);
        self.send(Side::Client, ACK, &[]);
    }
}
