//! Text and bytes are found wherever they stand: compared with a search, written here, through the messages and
//! streams as a script sent them, cut into packets and segments at random places.

use std::collections::{BTreeSet, HashMap};

use marstui::capture::Capture;
use marstui::query::find::{Find, Needle};
use marstui::query::{Context, Dissected, Eval};
use marstui::store::{PduKind, Store};
use marstui::track;
use marstui::units::Side;
use proptest::prelude::*;

use crate::support::synth::conn::{Conn, Host, Stack, US};
use crate::support::synth::mars::Encryption;
use crate::support::synth::rng::Rng;
use crate::support::synth::tds;

/// Where the bytes of a message went: for each packet, where its part of the body ends and where the packet stands
/// in its sender's stream.
struct Sent {
    body: Vec<u8>,
    packets: Vec<(usize, u64)>,
}

/// A message of a session on its way.
struct Message {
    sid: u16,
    body: Vec<u8>,
    /// Lengths of the bodies of its packets.
    cuts: Vec<usize>,
    sent: Sent,
}

struct Script {
    conn: Conn,
    rng: Rng,
    /// What both sides have sent in sessions.
    messages: Vec<(Side, Sent)>,
    /// Bytes of each side's stream.
    streams: [Vec<u8>; 2],
    /// Where the sessions begin in each side's stream.
    begin: [usize; 2],
}

fn ix(side: Side) -> usize {
    usize::from(side == Side::Server)
}

impl Script {
    fn new(seed: u64) -> Self {
        let client = Host::new(1, 50_123, 1_000, Stack::Windows);
        let server = Host::new(2, 1433, 0xffff_f000, Stack::Linux);
        let mut conn = Conn::new(client, server);
        conn.handshake();
        conn.login(Encryption::None, true);
        for sid in 0..3 {
            conn.open(sid);
        }
        conn.wait(900 * US);
        let mut streams = [Vec::new(), Vec::new()];
        for segment in &conn.segments {
            streams[ix(segment.from)].extend_from_slice(&segment.payload);
        }
        let begin = [streams[0].len(), streams[1].len()];
        Self {
            conn,
            rng: Rng::new(seed),
            messages: Vec::new(),
            streams,
            begin,
        }
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.rng.below(u64::try_from(n).unwrap())).unwrap()
    }

    /// A message of few different bytes, so that short texts stand in it by chance, over borders of all kinds.
    fn message(&mut self, sid: u16) -> Message {
        let mut body = Vec::new();
        for _ in 0..=self.below(60) {
            let letter = *b"aAbB".get(self.below(4)).unwrap();
            match self.below(6) {
                0 => body.push(letter),
                // Surrogates of a letter beyond 16 bits, small or capital.
                1 => {
                    let c = ['\u{10428}', '\u{10400}'][self.below(2)];
                    let mut units = [0; 2];
                    let units = c.encode_utf16(&mut units);
                    body.extend(units.iter().flat_map(|u| u.to_le_bytes()));
                }
                2 => body.extend("ß".encode_utf16().flat_map(u16::to_le_bytes)),
                _ => body.extend([letter, 0]),
            }
        }
        let mut cuts = Vec::new();
        let mut left = body.len();
        while left > 0 {
            let len = (self.below(25) + 1).min(left);
            cuts.push(len);
            left -= len;
        }
        let sent = Sent {
            body: body.clone(),
            packets: Vec::new(),
        };
        Message {
            sid,
            body,
            cuts,
            sent,
        }
    }

    /// Sends messages of all sessions at once: packets of one between those of others, segments across all borders.
    fn exchange(&mut self, from: Side) {
        let mut messages: Vec<Message> = (0..3).map(|sid| self.message(sid)).collect();
        let mut bytes = Vec::new();
        while !messages.is_empty() {
            let at = self.below(messages.len());
            let message = &mut messages[at];
            let number = u8::try_from(message.sent.packets.len() + 1).unwrap();
            let (part, rest) = message.body.split_at(message.cuts[number as usize - 1]);
            let status = if rest.is_empty() { tds::EOM } else { 0 };
            let kind = match from {
                Side::Client => tds::SQL_BATCH,
                Side::Server => tds::RESPONSE,
            };
            let packet = tds::packet(kind, status, 55, number, part);
            let place = self.streams[ix(from)].len() + bytes.len();
            bytes.extend(self.conn.smp_data(from, message.sid, &packet));
            let end = message.sent.body.len() - rest.len();
            message
                .sent
                .packets
                .push((end, u64::try_from(place).unwrap()));
            message.body = rest.to_vec();
            if message.body.is_empty() {
                self.messages.push((from, messages.remove(at).sent));
            }
        }
        self.streams[ix(from)].extend_from_slice(&bytes);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (segment, behind) = rest.split_at((self.below(70) + 1).min(rest.len()));
            let at = self.conn.send(from, 0x18, segment);
            self.conn.wait(5 * US);
            match self.below(8) {
                0 => {
                    self.conn.resend(at);
                    self.conn.wait(5 * US);
                }
                // The segment after it overtakes it.
                1 => self.conn.last().arrives += 12 * US,
                _ => {}
            }
            rest = behind;
        }
        self.conn.trip(300 * US);
    }

    fn store(&self) -> (Store, Capture) {
        let capture = self.conn.capture(Side::Server).to_pcapng();
        let capture = Capture::from_bytes("found.pcapng", capture).unwrap();
        (track::load(&capture), capture)
    }
}

fn found(store: &Store, capture: &Capture, typed: &str) -> BTreeSet<u32> {
    let needle = Needle::parse(typed, &Context::default()).unwrap();
    let fields = Dissected::new(capture);
    let mut hits = BTreeSet::new();
    let mut find = Find::new(needle);
    find.step(&Eval::of(store), &fields, &mut || false, &mut |frames| {
        hits.extend(frames.iter().map(|f| f.0));
    });
    hits
}

fn hex(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|b| format!("{b:02x}")).collect();
    digits.concat()
}

/// The frame in which the packet at a place of a side's stream is complete.
fn frames(store: &Store) -> HashMap<(Side, u64), u32> {
    let pdus = store.pdus_from(marstui::units::PduId(0));
    let client = store.conns()[0].client;
    pdus.filter(|(_, pdu)| pdu.kind != PduKind::Hidden)
        .map(|(_, pdu)| {
            let side = if pdu.end == client {
                Side::Client
            } else {
                Side::Server
            };
            ((side, pdu.pos.0), pdu.frame.0)
        })
        .collect()
}

/// All places at which a text ends in bytes, in either encoding: letter for letter, the slow way.
fn ends(body: &[u8], text: &str) -> Vec<(usize, usize)> {
    let folded = |c: char| c.to_lowercase().next().unwrap();
    let mut ends = Vec::new();
    for start in 0..body.len() {
        // UTF-16, one unit after the other.
        let mut at = start;
        let mut decoded = char::decode_utf16(std::iter::from_fn(|| {
            let pair = body.get(at..at + 2)?;
            at += 2;
            Some(u16::from_le_bytes(pair.try_into().unwrap()))
        }));
        let mut len = 0;
        let wide = text.chars().all(|c| match decoded.next() {
            Some(Ok(there)) => {
                len += there.len_utf16() * 2;
                folded(there) == folded(c)
            }
            _ => false,
        });
        if wide {
            ends.push((start, start + len));
        }
        let narrow = body.get(start..start + text.len()).is_some_and(|there| {
            let there = std::str::from_utf8(there);
            there.is_ok_and(|there| there.chars().map(folded).eq(text.chars().map(folded)))
        });
        if narrow {
            ends.push((start, start + text.len()));
        }
    }
    ends
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn text_is_found_where_a_slow_search_finds_it(
        seed: u64,
        text in "[abAB]{2,4}|[ab]\u{10428}[ab]?|ß[ab]|[ab]{1,2}\u{10400}",
    ) {
        let mut script = Script::new(seed);
        for _ in 0..3 {
            script.exchange(Side::Client);
            script.exchange(Side::Server);
        }
        let (store, capture) = script.store();
        let frames = frames(&store);
        let first = *frames
            .iter()
            .filter(|((side, pos), _)| *pos >= u64::try_from(script.begin[ix(*side)]).unwrap())
            .map(|(_, frame)| frame)
            .min()
            .unwrap();
        let mut expected = BTreeSet::new();
        for (side, sent) in &script.messages {
            for (_, end) in ends(&sent.body, &text) {
                let packet = sent.packets.iter().find(|(behind, _)| end <= *behind).unwrap();
                expected.insert(frames[&(*side, packet.1)]);
            }
        }
        let mut hits = found(&store, &capture, &format!("\"{text}\""));
        hits.retain(|frame| *frame >= first);
        prop_assert_eq!(&hits, &expected, "{}", &text);
        // A pattern that is nothing but the text finds no more, and no fewer where it does not overlap itself.
        let mut by_pattern = found(&store, &capture, &format!("re:{text}"));
        by_pattern.retain(|frame| *frame >= first);
        prop_assert!(by_pattern.is_subset(&expected) || !text.is_ascii(), "{}", &text);

        // Bytes are looked for in the streams, headers and all.
        let bytes: Vec<u8> = text.bytes().take(2).collect();
        let mut expected = BTreeSet::new();
        for side in [Side::Client, Side::Server] {
            let stream = &script.streams[ix(side)];
            let places: Vec<u64> = {
                let mut places: Vec<u64> = frames.keys().filter(|(s, _)| *s == side).map(|(_, p)| *p).collect();
                places.sort_unstable();
                places
            };
            for start in script.begin[ix(side)]..stream.len() {
                if stream[start..].starts_with(&bytes) {
                    let last = u64::try_from(start + bytes.len() - 1).unwrap();
                    let packet = places.partition_point(|place| *place <= last) - 1;
                    expected.insert(frames[&(side, places[packet])]);
                }
            }
        }
        let digits = hex(&bytes);
        let mut hits = found(&store, &capture, &format!("hex:{digits}"));
        hits.retain(|frame| *frame >= first);
        prop_assert_eq!(&hits, &expected, "{}", digits);
    }
}

/// A message of three packets, whose needle stands across the borders.
fn split(cut: impl Fn(&mut Conn, &[Vec<u8>])) -> (Store, Capture) {
    let mut script = Script::new(1);
    let body: Vec<u8> = "select needle from haystack where Needle > 1"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    // In the middle of `needle`, and of one of its characters.
    let parts = [&body[..19], &body[19..23], &body[23..]];
    let packets: Vec<Vec<u8>> = parts
        .iter()
        .enumerate()
        .map(|(at, part)| {
            let status = if at == 2 { tds::EOM } else { 0 };
            let number = u8::try_from(at + 1).unwrap();
            let packet = tds::packet(tds::SQL_BATCH, status, 55, number, part);
            script.conn.smp_data(Side::Client, 1, &packet)
        })
        .collect();
    cut(&mut script.conn, &packets);
    script.store()
}

#[test]
fn a_hole_inside_a_text_hides_it_and_nothing_else() {
    let whole = split(|conn, packets| conn.data_in(Side::Client, &packets.concat(), 30));
    assert_eq!(found(&whole.0, &whole.1, "needle").len(), 1);
    let frame = found(&whole.0, &whole.1, "haystack");
    assert_eq!(
        found(&whole.0, &whole.1, "needle"),
        frame,
        "both end in the last packet"
    );
    let holed = split(|conn, packets| {
        for (at, packet) in packets.iter().enumerate() {
            conn.send(Side::Client, 0x18, packet);
            conn.last().lost = at == 1;
            conn.wait(20 * US);
        }
        conn.trip(300 * US);
        // The peer has it all: the bytes are missing in the file only.
        conn.segments
            .iter_mut()
            .for_each(|s| s.lost &= s.from == Side::Client);
        let ack = conn.snd_nxt(Side::Client);
        let seq = conn.snd_nxt(Side::Server);
        conn.push(Side::Server, 0x10, seq, ack, &[]);
    });
    let hits = found(&holed.0, &holed.1, "needle");
    assert_eq!(
        hits.len(),
        1,
        "the second needle stands behind the hole: {hits:?}"
    );
    assert!(found(&holed.0, &holed.1, "needle from").is_empty());
    assert_eq!(found(&holed.0, &holed.1, "haystack"), hits);
}

#[test]
fn text_in_a_packet_whose_end_is_not_in_the_file_is_found() {
    let (store, capture) = split(|conn, packets| {
        let bytes = packets.concat();
        conn.data_in(Side::Client, &bytes[..bytes.len() - 10], 50);
    });
    let last = store.last_frame().unwrap().0;
    for text in ["haystack", "needle from", "select needle", "re:needle from"] {
        let hits = found(&store, &capture, text);
        assert_eq!(hits.len(), 1, "{text}");
        assert!(
            hits.contains(&last),
            "{text}: {hits:?}, the last frame is {last}"
        );
    }
    assert!(found(&store, &capture, "> 1").is_empty());
}

#[test]
fn nobody_finds_a_password_in_a_login_that_is_cut_off() {
    for cut in [1, 20, 60] {
        let client = Host::new(1, 50_123, 1_000, Stack::Windows);
        let server = Host::new(2, 1433, 9_000, Stack::Linux);
        let mut conn = Conn::new(client, server);
        conn.handshake();
        conn.prelogin(tds::ENCRYPT_NOT_SUP, true, true);
        conn.send_login();
        let payload = &mut conn.last().payload;
        payload.truncate(payload.len() - cut);
        let login = payload.clone();
        let capture = conn.capture(Side::Server).to_pcapng();
        let capture = Capture::from_bytes("login.pcapng", capture).unwrap();
        let store = track::load(&capture);
        assert_eq!(store.conns().len(), 1);
        // As LOGIN7 hides it: nibbles exchanged, then A5.
        let hidden: Vec<u8> = "not a real"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .map(|b| b.rotate_left(4) ^ 0xa5)
            .collect();
        let there = login.windows(hidden.len()).any(|w| w == hidden);
        assert!(
            there,
            "the login of the script has no password at cut {cut}"
        );
        let digits = hex(&hidden);
        assert!(found(&store, &capture, &format!("hex:{digits}")).is_empty());
    }
}
