//! The traffic of others around the demo's connection: small and repetitive, so that the file compresses well.

use marstui::units::Side;

use super::conn::{Conn, Host, MS, Stack, US};
use super::file::Frame;
use super::mars::Encryption;
use super::tds;
use super::wire::{self, ACK};

/// The traffic of others: whole connections, whose frames come at regular intervals, and a multicast feed between.
pub struct Noise {
    /// First frame number, distance in frames, and what is still to come (the next one last).
    queues: Vec<(u32, u32, Vec<Frame>)>,
    feed: u32,
}

impl Noise {
    /// What passes the server.
    pub fn at_the_server() -> Self {
        let mut queues = Vec::new();
        for i in 0..6 {
            let frames = plain_connection(31 + i, 700).capture(Side::Server).frames;
            queues.push((40 + u32::from(i) * 17, 61, frames));
        }
        queues.push((300, 9, log_stream(4000).capture(Side::Client).frames));
        for (i, (start, every)) in [(20_000, 53), (33_000, 101), (58_000, 71)]
            .into_iter()
            .enumerate()
        {
            let last = u8::try_from(51 + i).unwrap();
            queues.push((
                start,
                every,
                mars_connection(last).capture(Side::Server).frames,
            ));
        }
        queues.push((150, 701, pings(120)));
        Self::new(queues)
    }

    /// What passes the client.
    pub fn at_the_client() -> Self {
        let frames = plain_connection(10, 300).capture(Side::Client).frames;
        Self::new(vec![(20, 17, frames), (150, 701, pings(17))])
    }

    fn new(mut queues: Vec<(u32, u32, Vec<Frame>)>) -> Self {
        for (_, _, frames) in &mut queues {
            frames.reverse();
        }
        Self { queues, feed: 0 }
    }

    /// The frame for a number.
    pub fn next(&mut self, number: u32) -> Frame {
        let due = self.queues.iter_mut().find(|(start, every, frames)| {
            number >= *start && (number - *start) % every < 2 && !frames.is_empty()
        });
        match due.and_then(|(_, _, frames)| frames.pop()) {
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
