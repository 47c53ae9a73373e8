//! A scripted TCP connection between two hosts: both ends' numbers are kept, and the script can be captured at
//! either end.
//!
//! The script has one clock, [`Conn::now`]: the moment at which the next sender acts. What the sender
//! acknowledges is what has reached it by then, so that crossing segments come out right by themselves.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use marstui::units::Side;

use super::file::{Capture, Frame, Interface};
use super::mars::Session;
use super::rng::Rng;
use super::wire::{self, ACK, FIN, Link, PSH, RST, SYN, Tcp};

/// Nanoseconds in a microsecond and a millisecond.
pub const US: i64 = 1_000;
pub const MS: i64 = 1_000_000;

/// 2021-07-02T09:00:00Z, when all scripts start.
pub const START: i64 = 1_625_216_400_000_000_000;

/// Whose TCP an end runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stack {
    /// TTL 128, no time stamps, window 0 in an abort, identification counts on.
    Windows,
    /// TTL 64, time stamps, the last window in an abort, identification 0 in a bare reset.
    Linux,
}

/// One end of a connection.
#[derive(Debug, Clone)]
pub struct Host {
    pub mac: [u8; 6],
    pub ip: IpAddr,
    pub port: u16,
    /// Initial sequence number.
    pub isn: u32,
    pub stack: Stack,
    /// Identification of its next IPv4 packet.
    pub ip_id: u16,
    /// Its card computes checksums and cuts segments: its own captures show frames from before that.
    pub offload: bool,
}

impl Host {
    /// A host of the network 10.10.10.0.
    pub fn new(last: u8, port: u16, isn: u32, stack: Stack) -> Self {
        Self {
            mac: [0x00, 0x15, 0x5D, 0x0A, 0x0A, last],
            ip: IpAddr::V4(Ipv4Addr::new(10, 10, 10, last)),
            port,
            isn,
            stack,
            ip_id: u16::from(last) * 257,
            offload: false,
        }
    }

    /// The same host with an IPv6 address.
    #[must_use]
    pub fn v6(mut self) -> Self {
        let last = u16::from(self.mac[5]);
        self.ip = IpAddr::V6(Ipv6Addr::new(0xFD10, 0x10, 0, 0, 0, 0, 0, last));
        self
    }

    fn ttl(&self) -> u8 {
        match self.stack {
            Stack::Windows => 128,
            Stack::Linux => 64,
        }
    }

    fn window(&self) -> u16 {
        match self.stack {
            Stack::Windows => 1026,
            Stack::Linux => 502,
        }
    }
}

/// One TCP segment of the script.
#[derive(Debug, Clone)]
pub struct Segment {
    /// A name for edits, for example `rst`.
    pub label: String,
    pub from: Side,
    /// When it leaves its sender, and when it reaches the other end.
    pub sent: i64,
    pub arrives: i64,
    /// Lost on the way: only its sender's capture has it.
    pub lost: bool,
    pub seq: u32,
    pub ack: u32,
    pub flags: u8,
    pub win: u16,
    pub options: Vec<u8>,
    pub payload: Vec<u8>,
    pub ip_id: u16,
    /// TTL as it left, if it is not the stack's.
    pub ttl: Option<u8>,
}

impl Segment {
    /// The sequence number behind it.
    pub fn end(&self) -> u32 {
        let flags = u32::from(self.flags & SYN != 0) + u32::from(self.flags & FIN != 0);
        self.seq
            .wrapping_add(u32::try_from(self.payload.len()).unwrap())
            .wrapping_add(flags)
    }
}

/// Position of a side in pairs.
pub fn ix(side: Side) -> usize {
    match side {
        Side::Client => 0,
        Side::Server => 1,
    }
}

/// The script of a connection.
#[derive(Debug, Clone)]
pub struct Conn {
    pub hosts: [Host; 2],
    /// The moment at which the next sender acts, in nanoseconds since 1970.
    pub now: i64,
    /// One-way delay, nanoseconds.
    pub delay: i64,
    /// Routers between the ends.
    pub hops: u8,
    pub link: Link,
    pub mss: usize,
    /// Digits of a second that captures keep.
    pub digits: u8,
    pub segments: Vec<Segment>,
    pub sessions: BTreeMap<u16, Session>,
    /// The server's session id in TDS headers.
    pub spid: u16,
    pub rng: Rng,
    snd: [u32; 2],
    rcv: [u32; 2],
}

impl Conn {
    /// A connection that has not begun.
    pub fn new(client: Host, server: Host) -> Self {
        Self {
            snd: [client.isn, server.isn],
            rcv: [server.isn, client.isn],
            hosts: [client, server],
            now: START,
            delay: 250 * US,
            hops: 1,
            link: Link::Ethernet,
            mss: 1460,
            digits: 7,
            segments: Vec::new(),
            sessions: BTreeMap::new(),
            spid: 55,
            rng: Rng::new(1),
        }
    }

    /// The next sequence number of a side.
    pub fn snd_nxt(&self, side: Side) -> u32 {
        self.snd[ix(side)]
    }

    /// Lets time pass.
    pub fn wait(&mut self, ns: i64) {
        self.now += ns;
    }

    /// Lets what was just sent arrive, and the receiver think.
    pub fn trip(&mut self, think: i64) {
        self.now += self.delay + think;
    }

    /// Names the segment that was sent last.
    pub fn label(&mut self, label: &str) {
        label.clone_into(&mut self.last().label);
    }

    /// The segment that was sent last.
    pub fn last(&mut self) -> &mut Segment {
        self.segments.last_mut().expect("something was sent")
    }

    /// The segment with a name.
    pub fn segment(&mut self, label: &str) -> &mut Segment {
        self.segments
            .iter_mut()
            .find(|s| s.label == label)
            .unwrap_or_else(|| panic!("no segment is labelled {label}"))
    }

    /// What a side has received in order by now.
    pub fn received(&mut self, side: Side) -> u32 {
        let mut next = self.rcv[ix(side)];
        loop {
            let found = self.segments.iter().rev().take(400).find(|s| {
                let before = next.wrapping_sub(s.seq).cast_signed() >= 0;
                let after = s.end().wrapping_sub(next).cast_signed() > 0;
                s.from != side
                    && !s.lost
                    && s.arrives <= self.now
                    && before
                    && after
                    && s.flags & RST == 0
            });
            match found {
                Some(segment) => next = segment.end(),
                None => break,
            }
        }
        self.rcv[ix(side)] = next;
        next
    }

    /// Sends one segment with the next sequence number and gives its position.
    pub fn send(&mut self, from: Side, flags: u8, payload: &[u8]) -> usize {
        let ack = if flags & ACK == 0 {
            0
        } else {
            self.received(from)
        };
        let seq = self.snd_nxt(from);
        let at = self.push(from, flags, seq, ack, payload);
        let end = self.segments[at].end();
        self.snd[ix(from)] = end;
        at
    }

    /// Sends one segment with any numbers; the sender's own numbers do not move.
    pub fn push(&mut self, from: Side, flags: u8, seq: u32, ack: u32, payload: &[u8]) -> usize {
        let mss = self.mss;
        let host = &mut self.hosts[ix(from)];
        let pieces = payload.len().div_ceil(mss).max(1);
        let ip_id = host.ip_id;
        host.ip_id = host.ip_id.wrapping_add(u16::try_from(pieces).unwrap());
        let host = &self.hosts[ix(from)];
        let segment = Segment {
            label: String::new(),
            from,
            sent: self.now,
            arrives: self.now + self.delay,
            lost: false,
            seq,
            ack,
            flags,
            win: host.window(),
            options: self.options(host.stack, flags),
            payload: payload.to_vec(),
            ip_id,
            ttl: None,
        };
        self.segments.push(segment);
        self.segments.len() - 1
    }

    fn options(&self, stack: Stack, flags: u8) -> Vec<u8> {
        let mss = u16::try_from(self.mss).unwrap().to_be_bytes();
        let syn = flags & SYN != 0;
        match stack {
            Stack::Windows if syn => [&[2, 4], &mss[..], &[1, 3, 3, 8, 1, 1, 4, 2]].concat(),
            Stack::Windows => Vec::new(),
            Stack::Linux => {
                let clock = u32::try_from((self.now / MS) % 1_000_000_000).unwrap();
                let echo = if syn && flags & ACK == 0 {
                    0
                } else {
                    clock - 1
                };
                let stamps = [clock.to_be_bytes(), echo.to_be_bytes()].concat();
                if syn {
                    [&[2, 4], &mss[..], &[4, 2, 8, 10], &stamps, &[1, 3, 3, 7]].concat()
                } else {
                    [&[1, 1, 8, 10], &stamps[..]].concat()
                }
            }
        }
    }

    /// Sends stream bytes: segments of the largest size, or one big one where the card does the cutting.
    pub fn data(&mut self, from: Side, bytes: &[u8]) {
        let size = if self.hosts[ix(from)].offload {
            60_000
        } else {
            self.mss
        };
        self.data_in(from, bytes, size);
    }

    /// Sends stream bytes in segments of `size`.
    pub fn data_in(&mut self, from: Side, bytes: &[u8], size: usize) {
        let last = bytes.len().div_ceil(size) - 1;
        for (i, piece) in bytes.chunks(size).enumerate() {
            let flags = if i == last { ACK | PSH } else { ACK };
            self.send(from, flags, piece);
        }
    }

    /// Sends a segment again, now, with the acknowledgement of now.
    pub fn resend(&mut self, at: usize) -> usize {
        let old = self.segments[at].clone();
        let ack = self.received(old.from);
        let again = self.push(old.from, old.flags, old.seq, ack, &old.payload);
        self.segments[again].label = old.label;
        again
    }

    /// A reset with ACK flag, as a close with unread data or late data makes it.
    pub fn abort(&mut self, from: Side, seq: u32, ack: u32) {
        self.push(from, RST | ACK, seq, ack, &[]);
        if self.hosts[ix(from)].stack == Stack::Windows {
            self.last().win = 0;
        }
    }

    /// A reset without ACK flag: the socket is gone. Its Seq is the Ack field of what it answers.
    pub fn bare_reset(&mut self, from: Side, seq: u32) {
        let linux = self.hosts[ix(from)].stack == Stack::Linux;
        // Windows leaves the acknowledgement number that it would send; without the flag it means nothing.
        let ack = if linux { 0 } else { seq };
        self.push(from, RST, seq, ack, &[]);
        let last = self.last();
        last.win = 0;
        last.options.clear();
        if linux {
            last.ip_id = 0;
        }
    }

    /// SYN, SYN+ACK, ACK.
    pub fn handshake(&mut self) {
        self.send(Side::Client, SYN, &[]);
        self.last().win = 8192;
        self.trip(40 * US);
        self.send(Side::Server, SYN | ACK, &[]);
        self.last().win = 8192;
        self.trip(20 * US);
        self.send(Side::Client, ACK, &[]);
    }

    /// Other initial sequence numbers than the hosts'.
    pub fn set_isns(&mut self, client: u32, server: u32) {
        self.snd = [client, server];
        self.rcv = [server, client];
    }

    /// Has the client's sequence numbers be so much higher in all segments, as a device on the way makes them.
    pub fn raise_client_numbers(&mut self, by: u32) {
        for segment in &mut self.segments {
            match segment.from {
                Side::Client => segment.seq = segment.seq.wrapping_add(by),
                Side::Server if segment.flags & ACK != 0 || segment.ack != 0 => {
                    segment.ack = segment.ack.wrapping_add(by);
                }
                Side::Server => {}
            }
        }
    }

    /// The connection as one end's capture shows it.
    pub fn capture(&self, view: Side) -> Capture {
        let mut frames = Vec::new();
        for segment in &self.segments {
            if segment.from == view {
                frames.push(self.frame(segment, view, segment.seq, &segment.payload, 0));
            } else if !segment.lost {
                // The card has cut what its own host's capture shows in one piece.
                let pieces: Vec<&[u8]> = if segment.payload.is_empty() {
                    vec![&[]]
                } else {
                    segment.payload.chunks(self.mss).collect()
                };
                for (i, piece) in pieces.iter().enumerate() {
                    let seq = segment
                        .seq
                        .wrapping_add(u32::try_from(i * self.mss).unwrap());
                    let last = i + 1 == pieces.len();
                    let cut = Segment {
                        flags: if last {
                            segment.flags
                        } else {
                            segment.flags & !(PSH | FIN)
                        },
                        ..segment.clone()
                    };
                    frames.push(self.frame(&cut, view, seq, piece, u16::try_from(i).unwrap()));
                }
            }
        }
        frames.sort_by_key(|f| f.time);
        Capture {
            interfaces: vec![Interface {
                name: match view {
                    Side::Client => "client".to_owned(),
                    Side::Server => "server".to_owned(),
                },
                link_type: self.link.number(),
                snap_len: 0,
                digits: self.digits,
            }],
            frames,
        }
    }

    fn frame(&self, segment: &Segment, view: Side, seq: u32, payload: &[u8], piece: u16) -> Frame {
        let from = &self.hosts[ix(segment.from)];
        let to = &self.hosts[ix(segment.from.other())];
        let outgoing = segment.from == view;
        let ttl = segment.ttl.unwrap_or(from.ttl());
        let header = Tcp {
            src_port: from.port,
            dst_port: to.port,
            seq,
            ack: segment.ack,
            flags: segment.flags,
            win: segment.win,
            options: segment.options.clone(),
        };
        let tcp = header.segment(from.ip, to.ip, payload, outgoing && from.offload);
        let ip = wire::ip(
            from.ip,
            to.ip,
            6,
            segment.ip_id.wrapping_add(piece),
            if outgoing { ttl } else { ttl - self.hops },
            &tcp,
        );
        let data = self.link.wrap(&ip, from.mac, to.mac, outgoing);
        Frame {
            label: segment.label.clone(),
            time: if outgoing {
                segment.sent
            } else {
                segment.arrives
            },
            interface: 0,
            wire_len: data.len(),
            data,
        }
    }
}
