//! Handshakes whose messages span records, frames and TDS packets: they read as if they had come in one piece.

use marstui::decode::field::{Field, Value};
use marstui::dissect::{Dissector, FrameTree, Options};
use marstui::track;
use marstui::units::{End, FrameNo};

use crate::streams::{Dice, Network, Talk, Wire, capture, load, plain, talk};

const HANDSHAKE: u8 = 22;

/// The TLS bytes that each end sent wrapped in TDS packets, one flight after the other.
fn flights(file: &str) -> Option<Vec<(End, Vec<u8>)>> {
    let mut found: Vec<(End, Vec<u8>)> = Vec::new();
    for (end, bytes) in talk(file)? {
        let mut rest = &bytes[..];
        while rest.len() > 8 && matches!(rest[0], 4 | 18) {
            let len = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
            let (packet, behind) = rest.split_at(len);
            rest = behind;
            let body = &packet[8..];
            if !matches!(body.first(), Some(20..=23)) {
                continue;
            }
            match found.last_mut() {
                Some((last, flight)) if *last == end => flight.extend(body),
                _ => found.push((end, body.to_vec())),
            }
        }
    }
    Some(found)
}

/// The records of a flight as content type and body.
fn records(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut found = Vec::new();
    while bytes.len() >= 5 {
        let len = usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
        found.push((bytes[0], bytes[5..5 + len].to_vec()));
        bytes = &bytes[5 + len..];
    }
    found
}

fn record(content: u8, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&[content, 3, 3, len[0], len[1]], body].concat()
}

/// The clear handshake of a flight again, in records of at most `size` bytes; what stands behind it as it was.
fn cut(flight: &[u8], size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut clear = Vec::new();
    let mut rest = Vec::new();
    let mut encrypted = false;
    for (content, body) in records(flight) {
        if content == HANDSHAKE && !encrypted {
            clear.extend(body);
        } else {
            encrypted = true;
            rest.extend(record(content, &body));
        }
    }
    for part in clear.chunks(size) {
        out.extend(record(HANDSHAKE, part));
    }
    out.extend(rest);
    out
}

/// TDS packets of at most `size` bytes of body, all of one message.
fn packets(kind: u8, body: &[u8], size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let count = body.len().div_ceil(size);
    for (no, part) in (1_u8..).zip(body.chunks(size)) {
        let status = u8::from(usize::from(no) == count);
        let len = u16::try_from(part.len() + 8).unwrap().to_be_bytes();
        out.extend([kind, status, len[0], len[1], 0, 0, no, 0]);
        out.extend(part);
    }
    out
}

fn prelogin() -> Talk {
    let options = [
        0, 0, 0x0b, 0, 6, 1, 0, 0x11, 0, 1, 0xff, 9, 0, 0, 0, 0, 0, 1,
    ];
    vec![
        (End::A, packets(18, &options, 4096)),
        (End::B, packets(4, &options, 4096)),
    ]
}

fn trees(talk: &Talk, network: Network) -> Vec<FrameTree> {
    opened(&capture(talk, network, &mut Dice(7)))
}

/// A client's hello in one segment, and the server's bytes behind it in segments of a size.
fn raw(talk: &Talk, size: usize) -> Vec<FrameTree> {
    let mut wire = Wire::new();
    let mut sent = [1000_u32, 2000];
    wire.send(End::A, 999, 0, 2, &[]);
    wire.send(End::B, 1999, 1000, 0x12, &[]);
    for (end, bytes) in talk {
        let own = usize::from(*end == End::B);
        let size = if *end == End::A { bytes.len() } else { size };
        for part in bytes.chunks(size) {
            wire.send(*end, sent[own], sent[1 - own], 0x18, part);
            sent[own] += u32::try_from(part.len()).unwrap();
        }
    }
    opened(&wire)
}

fn opened(wire: &Wire) -> Vec<FrameTree> {
    let (source, store) = load(wire);
    let mut dissector = Dissector::new();
    (0..store.frame_count())
        .map(|index| {
            let no = FrameNo::from_index(index);
            dissector
                .frame(&store, &source, no, &Options::default())
                .unwrap()
        })
        .collect()
}

/// Label, value and words of a handshake message and all below it.
fn said(field: &Field) -> Vec<String> {
    let mut lines = Vec::new();
    for child in &field.children {
        child.walk(&mut |f| lines.push(format!("{} {:?} {}", f.label, f.value, f.text)));
    }
    lines
}

fn messages(trees: &[FrameTree]) -> Vec<(FrameNo, Field)> {
    let mut found = Vec::new();
    for tree in trees {
        for field in &tree.fields {
            field.walk(&mut |f| {
                if f.name == "tls.handshake" {
                    found.push((tree.frame, f.clone()));
                }
            });
        }
    }
    found
}

fn wrapped(flights: &[(End, Vec<u8>)], record: usize, packet: usize) -> Talk {
    let mut talk = prelogin();
    for (end, flight) in flights {
        talk.push((*end, packets(18, &cut(flight, record), packet)));
    }
    talk
}

/// Each message once: whole messages of a flight are shown in every frame that ends one of its TDS packets.
fn distinct(trees: &[FrameTree]) -> Vec<Vec<String>> {
    let mut found: Vec<Vec<String>> = Vec::new();
    for (_, message) in messages(trees) {
        let lines = said(&message);
        if !found.contains(&lines) {
            found.push(lines);
        }
    }
    found
}

#[test]
fn handshakes_in_small_records_read_as_in_large_ones() {
    for file in [
        "i1-login-only-tls-mars.server.pcap",
        "j1-full-tls-mars.client.pcapng",
    ] {
        let Some(flights) = flights(file) else { return };
        let whole = distinct(&trees(&wrapped(&flights, 16_000, 4000), plain()));
        let text = format!("{whole:?}");
        assert!(
            text.contains("subject Text") && text.contains("cipher suite"),
            "{text}"
        );
        for (record, packet) in [(100, 4000), (1, 300), (333, 64), (16_000, 50)] {
            let cut = distinct(&trees(&wrapped(&flights, record, packet), plain()));
            assert_eq!(
                cut, whole,
                "{file}: records of {record}, packets of {packet}"
            );
        }
    }
}

/// A Client Hello that offers TDS 8.0.
fn client_hello() -> Vec<u8> {
    let extensions = [&[0, 16, 0, 10, 0, 8, 7][..], b"tds/8.0"].concat();
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0xc0, 0x2f, 1, 0]);
    body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    body.extend(extensions);
    let len = u16::try_from(body.len()).unwrap().to_be_bytes();
    record(HANDSHAKE, &[&[1, 0, len[0], len[1]], &body[..]].concat())
}

#[test]
fn raw_handshakes_are_put_together_across_records_and_frames() {
    let Some(flights) = flights("i1-login-only-tls-mars.server.pcap") else {
        return;
    };
    let server = &flights.iter().find(|(end, _)| *end == End::B).unwrap().1;
    for (size, largest) in [
        (16_000, 1448),
        (200, 1448),
        (200, 90),
        (16_000, 100),
        (60, 40),
    ] {
        let talk = vec![(End::A, client_hello()), (End::B, cut(server, size))];
        let trees = raw(&talk, largest);
        let found = messages(&trees);
        let certificate: Vec<_> = found
            .iter()
            .filter(|(_, m)| m.find("x509.subject").is_some())
            .collect();
        assert_eq!(
            certificate.len(),
            1,
            "records of {size}, segments of {largest}"
        );
        let (frame, message) = certificate[0];
        assert!(message.find("x509.fingerprint").is_some());
        if size < 1000 {
            assert!(
                message.text.contains("put together from"),
                "{}",
                message.text
            );
            fragments_lead_to(&trees, *frame);
        }
        if largest < 1000 {
            let frames: Vec<_> = message.spans.iter().map(|span| span.frame).collect();
            assert!(
                frames.len() > 1 && frames.last() <= Some(frame),
                "{frames:?}"
            );
        }
    }
}

/// Parts of the certificate name the frame that shows it.
fn fragments_lead_to(trees: &[FrameTree], frame: FrameNo) {
    let mut parts = 0;
    for tree in trees {
        for field in &tree.fields {
            field.walk(&mut |f| {
                if f.name == "tls.handshake.fragment" && f.label == "Certificate" {
                    parts += 1;
                    let whole = f.find("tls.handshake.reassembled_in").unwrap();
                    assert_eq!(whole.value, Value::Frame(frame));
                }
            });
        }
    }
    assert!(parts > 2, "{parts}");
}

#[test]
fn a_certificate_whose_end_is_not_in_the_capture_says_so() {
    let Some(flights) = flights("i1-login-only-tls-mars.server.pcap") else {
        return;
    };
    let server = &flights.iter().find(|(end, _)| *end == End::B).unwrap().1;
    let mut cut = cut(server, 300);
    cut.truncate(2 * 305);
    let talk = vec![(End::A, client_hello()), (End::B, cut)];
    let trees = trees(&talk, plain());
    let last = messages(&trees).pop().unwrap().1;
    assert_eq!(last.label, "Certificate");
    let text = format!("{last:?}");
    assert!(text.contains("cut: "), "{text}");
}

#[test]
fn a_flood_of_tiny_records_costs_little() {
    let mut flood = Vec::new();
    for _ in 0..20_000 {
        flood.extend(record(HANDSHAKE, &[0]));
    }
    let talk = vec![(End::A, client_hello()), (End::B, flood)];
    let wire = capture(&talk, plain(), &mut Dice(1));
    let source = marstui::capture::Capture::from_bytes("made.pcap", wire.file).unwrap();
    let store = track::load(&source);
    let mut dissector = Dissector::new();
    let start = std::time::Instant::now();
    let middle = FrameNo::from_index(store.frame_count() / 2);
    let tree = dissector.frame(&store, &source, middle, &Options::default());
    assert!(tree.is_some());
    assert!(start.elapsed().as_secs() < 5);
}
