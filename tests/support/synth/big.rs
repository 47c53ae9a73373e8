//! A capture of any size with the mix of a busy server, for measurements: about 40 % full segments, 20 % bare ACKs
//! and 0.4 SMP packets a frame, many connections at a time, each ended by the benign close; or one with as many
//! connections as possible.

use std::io::{self, Write};

use marstui::units::Side;

use super::close::Form;
use super::conn::{Conn, Host, START, Stack, US};
use super::file::{Format, Frame, Interface};
use super::mars::Encryption;
use super::rng::Rng;
use super::wire::ACK;
use super::{smp, tds};

/// Connections that are open at the same time.
const LIVE: usize = 24;

/// What connections do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Talk {
    /// Many long and short answers on three Sids.
    Long,
    /// Log in, ask once, and leave.
    Short,
}

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mix {
    pub bytes: u64,
    pub frames: u64,
    pub full_segments: u64,
    pub bare_acks: u64,
    pub smp_packets: u64,
    pub connections: u64,
}

/// Writes a capture of at least `size` bytes, of whole connections.
pub fn write(out: &mut dyn Write, format: Format, size: u64, talk: Talk) -> io::Result<Mix> {
    let interfaces = [Interface {
        name: "server".to_owned(),
        link_type: 1,
        snap_len: 0,
        digits: 9,
    }];
    let mut rng = Rng::new(4);
    let mut mix = Mix::default();
    let mut planned = 0;
    let mut buffer = format.header(&interfaces);
    let mut live: Vec<std::vec::IntoIter<Frame>> = Vec::new();
    loop {
        while live.len() < LIVE && planned < size {
            let conn = connection(mix.connections, talk);
            mix.connections += 1;
            mix.smp_packets += smp_packets(&conn);
            let frames = conn.capture(Side::Server).frames;
            planned += frames
                .iter()
                .map(|f| u64::try_from(f.data.len() + 16).unwrap())
                .sum::<u64>();
            live.push(frames.into_iter());
        }
        if live.is_empty() {
            break;
        }
        // A burst of one connection, then one of another.
        let at = usize::try_from(rng.below(u64::try_from(live.len()).unwrap())).unwrap();
        for _ in 0..=rng.below(12) {
            let Some(mut frame) = live[at].next() else {
                live.swap_remove(at);
                break;
            };
            frame.time = START + i64::try_from(mix.frames).unwrap() * 4 * US;
            mix.frames += 1;
            mix.full_segments += u64::from(frame.data.len() == 1514);
            mix.bare_acks += u64::from(frame.data.len() <= 60 && frame.data[47] == ACK);
            format.frame(&interfaces, &frame, &mut buffer);
        }
        if buffer.len() > 1 << 20 || live.is_empty() {
            out.write_all(&buffer)?;
            mix.bytes += u64::try_from(buffer.len()).unwrap();
            buffer.clear();
        }
    }
    out.flush()?;
    Ok(mix)
}

fn smp_packets(conn: &Conn) -> u64 {
    // Control packets are sent alone; a DATA packet has one TDS packet.
    let control = conn
        .segments
        .iter()
        .filter(|s| s.payload.len() == 16)
        .count();
    let data: u32 = conn.sessions.values().map(|s| s.sent[0] + s.sent[1]).sum();
    u64::try_from(control).unwrap() + u64::from(data)
}

/// A connection, ended by the benign close.
fn connection(number: u64, talk: Talk) -> Conn {
    let small = u32::try_from(number).unwrap();
    let form = if number.is_multiple_of(2) {
        Form::WindowsW
    } else {
        Form::LinuxL
    };
    let port = 20_000 + u16::try_from(number % 40_000).unwrap();
    // Short ones are more than there are ports.
    let host = match talk {
        Talk::Long => number % 200,
        Talk::Short => number / 40_000 % 200,
    };
    let host = 30 + u8::try_from(host).unwrap();
    let client = Host::new(
        host,
        port,
        small.wrapping_mul(2_654_435_761),
        Stack::Windows,
    );
    let server = Host::new(22, 1433, small.wrapping_mul(40_503), Stack::Windows);
    let mut c = Conn::new(client, server);
    c.spid = 51 + u16::try_from(number % 1000).unwrap();
    c.handshake();
    c.login(Encryption::None, true);
    let sids: &[u16] = match talk {
        Talk::Long => &[0, 1, 2],
        Talk::Short => &[0],
    };
    for sid in sids {
        c.open(*sid);
    }
    match talk {
        Talk::Long => answers(&mut c),
        Talk::Short => c.request(0, "exec dbo.NextOrder", &tds::rows(2)),
    }
    c.close_benign(form, sids);
    c
}

/// Long answers with bare ACKs and SMP ACKs, short ones between.
fn answers(c: &mut Conn) {
    let long = tds::result_of(
        8 * 4088,
        120,
        "Somebody's order of many things, to be sent soon. ",
    );
    for round in 0..30 {
        let sid = round % 3;
        c.ask(sid, "select * from dbo.OrderLine where OrderId = 4711");
        c.trip(200 * US);
        for (i, packet) in tds::message(tds::RESPONSE, c.spid, &long, 4096)
            .iter()
            .enumerate()
        {
            c.send_tds(Side::Server, sid, packet);
            c.trip(10 * US);
            c.send(Side::Client, ACK, &[]);
            if i % 2 == 1 {
                c.smp(Side::Client, smp::ACK, sid);
            }
            c.trip(10 * US);
        }
        for _ in 0..2 {
            c.request((sid + 1) % 3, "exec dbo.NextOrder", &tds::rows(2));
        }
    }
}
