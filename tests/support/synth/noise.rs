//! The traffic of others around the demo's connection: small and repetitive, so that the file compresses well.

use marstui::units::Side;

use super::conn::{Conn, Host, MS, Stack, US};
use super::file::Frame;
use super::mars::Encryption;
use super::tds;
use super::wire::{self, ACK};

/// The traffic of others: whole connections, whose frames come at regular intervals, and a multicast feed between.
pub struct Noise {
    queues: Vec<Queue>,
    feed: u32,
}

/// A connection's frames on their way into the capture.
struct Queue {
    /// The number from which on the next frame is due.
    due: u32,
    /// Frame numbers between two exchanges.
    every: u32,
    /// Frames of the connection's start, which belong together, and of each exchange after it.
    lead: usize,
    exchange: usize,
    sent: usize,
    /// What is still to come, the next one last.
    frames: Vec<Frame>,
}

impl Queue {
    fn new(due: u32, every: u32, [lead, exchange]: [usize; 2], mut frames: Vec<Frame>) -> Self {
        frames.reverse();
        Self {
            due,
            every,
            lead,
            exchange,
            sent: 0,
            frames,
        }
    }

    /// An exchange has begun and is not over: its frames stay together.
    fn in_exchange(&self) -> bool {
        self.sent > 0
            && (self.sent < self.lead || !(self.sent - self.lead).is_multiple_of(self.exchange))
    }

    fn next(&mut self, number: u32) -> Option<Frame> {
        let frame = self.frames.pop()?;
        self.sent += 1;
        self.due = number + if self.in_exchange() { 1 } else { self.every };
        Some(frame)
    }
}

/// Frames of handshake and login, and of a request with its answer and the acknowledgement.
const LOGIN_AND_ASK: [usize; 2] = [8, 3];

impl Noise {
    /// What passes the server.
    pub fn at_the_server() -> Self {
        let mut queues = Vec::new();
        for i in 0..6 {
            let frames = plain_connection(31 + i, 700).capture(Side::Server).frames;
            queues.push(Queue::new(
                40 + u32::from(i) * 17,
                58,
                LOGIN_AND_ASK,
                frames,
            ));
        }
        let log = log_stream(4000).capture(Side::Client).frames;
        queues.push(Queue::new(300, 8, [3, 2], log));
        for (i, (start, every)) in [(20_000, 53), (33_000, 101), (58_000, 71)]
            .into_iter()
            .enumerate()
        {
            let last = u8::try_from(51 + i).unwrap();
            let frames = mars_connection(last).capture(Side::Server).frames;
            queues.push(Queue::new(start, every, LOGIN_AND_ASK, frames));
        }
        queues.push(Queue::new(150, 700, [2, 2], pings(120)));
        Self { queues, feed: 0 }
    }

    /// What passes the client.
    pub fn at_the_client() -> Self {
        let frames = plain_connection(10, 300).capture(Side::Client).frames;
        Self {
            queues: vec![
                Queue::new(1300, 15, LOGIN_AND_ASK, frames),
                Queue::new(150, 700, [2, 2], pings(17)),
            ],
            feed: 0,
        }
    }

    /// The frame for a number.
    pub fn next(&mut self, number: u32) -> Frame {
        let begun = self
            .queues
            .iter()
            .position(|q| q.in_exchange() && !q.frames.is_empty());
        let due = || {
            self.queues
                .iter()
                .position(|q| number >= q.due && !q.frames.is_empty())
        };
        let frame = begun
            .or_else(due)
            .and_then(|at| self.queues[at].next(number));
        match frame {
            Some(frame) => Frame {
                label: String::new(),
                ..frame
            },
            None => self.price(),
        }
    }

    /// One datagram of a price feed that everybody on the network gets.
    fn price(&mut self) -> Frame {
        self.feed += 1;
        let text = format!("PX;{:08};EURUSD;1.1{:02};1.1{:02};", self.feed, 84, 86);
        let from = Host::new(5, 30_001, 0, Stack::Windows);
        let to = std::net::Ipv4Addr::new(239, 10, 10, 7).into();
        let ip = wire::ip(
            from.ip,
            to,
            17,
            0,
            16,
            &wire::udp(30_001, 30_001, text.as_bytes()),
        );
        Frame::new(wire::Link::Ethernet.wrap(&ip, from.mac, [1, 0, 0x5E, 10, 10, 7], false))
    }
}

/// The server of the demo, as the end of somebody else's connection.
fn other_host(last: u8) -> Host {
    let mut server = Host::new(
        22,
        1433,
        77_000_000 + u32::from(last) * 1_000_003,
        Stack::Windows,
    );
    server.offload = true;
    server.ip_id = 0;
    server
}

/// A connection without MARS that goes on asking the same thing; it is open before the capture of interest begins
/// and stays open.
fn plain_connection(last: u8, requests: u32) -> Conn {
    let client = Host::new(
        last,
        49_000 + u16::from(last) * 3,
        1_000_000 * u32::from(last),
        Stack::Windows,
    );
    let mut c = Conn::new(client, other_host(last));
    c.spid = 60 + u16::from(last);
    c.handshake();
    c.login(Encryption::None, false);
    c.send(Side::Client, ACK, &[]);
    let answer = tds::packet(tds::RESPONSE, tds::EOM, c.spid, 1, &tds::rows(2));
    let ask = tds::packet(
        tds::SQL_BATCH,
        tds::EOM,
        0,
        1,
        &tds::batch("exec dbo.Heartbeat"),
    );
    for _ in 0..requests {
        c.data(Side::Client, &ask);
        c.trip(100 * US);
        c.data(Side::Server, &answer);
        c.trip(MS);
        c.send(Side::Client, ACK, &[]);
    }
    c
}

/// A MARS connection with two sessions that is closed without any reset: the client waits for the SMP:FINs.
fn mars_connection(last: u8) -> Conn {
    let client = Host::new(
        last,
        50_000 + u16::from(last),
        40_000_000 * u32::from(last),
        Stack::Windows,
    );
    let mut c = Conn::new(client, other_host(last));
    c.spid = 60 + u16::from(last);
    c.handshake();
    c.login(Encryption::None, true);
    c.open(0);
    c.request(0, "select * from dbo.Region", &tds::rows(5));
    c.open(1);
    for _ in 0..20 {
        c.request(1, "exec dbo.NextJob", &tds::rows(1));
        c.request(0, "exec dbo.JobDone", &tds::rows(1));
    }
    c.close_clean(&[0, 1]);
    c
}

/// Transaction log on its way from this server to its mirror: the server is the client here.
fn log_stream(blocks: usize) -> Conn {
    let mut server = Host::new(22, 51_022, 9_000_000, Stack::Windows);
    server.offload = true;
    server.ip_id = 0;
    let mirror = Host::new(23, 5022, 8_000_000, Stack::Windows);
    let mut c = Conn::new(server, mirror);
    c.handshake();
    let block: Vec<u8> = b"LOGBLOCK".iter().copied().cycle().take(480).collect();
    for _ in 0..blocks {
        c.trip(100 * US);
        c.data(Side::Client, &block);
        c.trip(50 * US);
        c.send(Side::Server, ACK, &[]);
    }
    c
}

/// Somebody watches whether a host of the network is there.
fn pings(count: u16) -> Vec<Frame> {
    let (monitor, target) = (
        Host::new(9, 0, 0, Stack::Windows),
        Host::new(22, 0, 0, Stack::Windows),
    );
    let mut frames = Vec::new();
    for seq in 1..=count {
        for reply in [false, true] {
            let (from, to) = if reply {
                (&target, &monitor)
            } else {
                (&monitor, &target)
            };
            let icmp = wire::icmp_echo(reply, 1, seq, b"abcdefghijklmnopqrstuvwabcdefghi");
            let ip = wire::ip(from.ip, to.ip, 1, seq, 128, &icmp);
            frames.push(Frame::new(
                wire::Link::Ethernet.wrap(&ip, from.mac, to.mac, reply),
            ));
        }
    }
    frames
}
