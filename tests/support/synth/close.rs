//! How a client closes a MARS connection, and which resets come of it.
//!
//! Labels that the closes give: `cfin:SID` and `sfin:SID` for SMP:FINs, `tf` for the client's TCP FIN, `stf` for the
//! server's, `rst` for the first reset of the client, `rst:stf` and `rst:sfin:SID` for those that answer the segment
//! named.

use marstui::units::Side;

use super::conn::{Conn, Stack, US};
use super::smp;
use super::wire::{ACK, FIN};

/// Which resets a close ends with, and whose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// An abort of a Windows client that acknowledges what came late.
    WindowsW,
    /// The same of a Linux client whose program closes slowly: its window stays in the reset.
    LinuxW,
    /// Bare resets of a Linux client, one for each server segment.
    LinuxL,
}

impl Form {
    pub const ALL: [Self; 3] = [Self::WindowsW, Self::LinuxW, Self::LinuxL];
    /// Those that end with an abort.
    pub const ABORTS: [Self; 2] = [Self::WindowsW, Self::LinuxW];

    /// The client's system.
    pub fn stack(self) -> Stack {
        match self {
            Self::WindowsW => Stack::Windows,
            Self::LinuxW | Self::LinuxL => Stack::Linux,
        }
    }
}

impl Conn {
    /// The client sends an SMP:FIN for each session, in the order given, each in a segment of its own.
    pub fn client_fins(&mut self, sids: &[u16]) {
        for sid in sids {
            self.smp(Side::Client, smp::FIN, *sid);
            self.label(&format!("cfin:{sid}"));
            self.wait(4 * US);
        }
    }

    /// The server answers with an SMP:FIN for each session.
    pub fn server_fins(&mut self, sids: &[u16]) {
        for sid in sids {
            self.smp(Side::Server, smp::FIN, *sid);
            self.label(&format!("sfin:{sid}"));
            self.wait(4 * US);
        }
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

    /// Bare resets of the client for all segments of the server that were sent since `since`, in order of arrival,
    /// each at the moment when the segment arrives.
    pub fn answer_with_resets(&mut self, since: i64) {
        let late: Vec<_> = self
            .segments
            .iter()
            .filter(|s| s.from == Side::Server && s.sent >= since && !s.lost)
            .map(|s| (s.arrives, s.ack, s.label.clone()))
            .collect();
        for (i, (arrives, ack, label)) in late.into_iter().enumerate() {
            self.now = arrives + US;
            self.bare_reset(Side::Client, ack);
            let label = if i == 0 {
                "rst".to_owned()
            } else {
                format!("rst:{label}")
            };
            self.label(&label);
        }
    }

    /// The client closes: an SMP:FIN for each session of `fins`, the TCP FIN, then the resets of the form. `server`
    /// is what the server sends when the SMP:FINs are there; it crosses with the client's TCP FIN.
    pub fn close_crossing(&mut self, form: Form, fins: &[u16], server: &dyn Fn(&mut Self)) {
        let start = self.now;
        self.client_fins(fins);
        if form == Form::LinuxL {
            self.wait(80 * US);
            self.client_tcp_fin();
            let fin = self.now;
            self.now = start + self.delay + 58 * US;
            let answers = self.now;
            server(self);
            self.now = fin + self.delay + 40 * US;
            self.send(Side::Server, ACK | FIN, &[]);
            self.label("stf");
            self.answer_with_resets(answers);
        } else {
            self.now = start + self.delay + 58 * US;
            let before = self.segments.len();
            server(self);
            let arrivals = |c: &Self| {
                c.segments[before..]
                    .iter()
                    .map(|s| s.arrives)
                    .collect::<Vec<_>>()
            };
            let arrivals = arrivals(self);
            self.now = arrivals
                .iter()
                .min()
                .map_or(self.now, |first| first - 2 * US);
            self.client_tcp_fin();
            self.now = arrivals.iter().max().map_or(self.now, |last| last + US);
            self.client_abort();
        }
    }

    /// [`Conn::close_crossing`] with an SMP:FIN of the server for each of the client's.
    pub fn close_benign(&mut self, form: Form, sids: &[u16]) {
        self.close_crossing(form, sids, &|c| c.server_fins(sids));
    }

    /// Form U: the server's SMP:FINs are there, unread, when the client closes.
    pub fn close_unread(&mut self, sids: &[u16]) {
        self.client_fins(sids);
        self.trip(58 * US);
        self.server_fins(sids);
        self.trip(20 * US);
        self.client_tcp_fin();
        self.wait(5 * US);
        self.client_abort();
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
