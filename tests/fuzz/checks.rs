//! What must hold for any bytes at all, one function per decoder. The fuzz targets call them, and so does the ordinary
//! test that runs the corpora.

use marstui::capture::link::{self, Network};
use marstui::capture::{Capture, FrameSource};
use marstui::decode::field::{Field, UNPLACED};
use marstui::decode::net::{self, Packet};
use marstui::decode::reader::Reader;
use marstui::decode::tds::login7::Login7;
use marstui::decode::tds::message::{self, Context};
use marstui::decode::tds::prelogin::Prelogin;
use marstui::decode::tds::skim::{Begin, Skim};
use marstui::decode::tds::type_info::{Place, TypeInfo};
use marstui::decode::tds::{Version, values};
use marstui::decode::tls::{self, hello::Hello};
use marstui::decode::walk::Walk;
use marstui::decode::{registry, smp, sspi};
use marstui::dissect::{Dissector, Options, render};
use marstui::query::{self, find::Needle, user_rules};
use marstui::store::Store;
use marstui::units::{FrameNo, PduId};
use marstui::{rules, track};

/// A decoder's check and its name, which is that of its target and of its corpus.
pub type Check = (&'static str, fn(&[u8]));

/// All of them.
pub const ALL: &[Check] = &[
    ("capture", capture),
    ("packet", packet),
    ("stream", stream),
    ("login", login),
    ("request", request),
    ("answer", answer),
    ("skim", skim),
    ("value", value),
    ("sspi", sspi),
    ("tls", tls),
    ("filter", filter),
    ("rule_file", rule_file),
];

/// Fields have names that the registry knows, lie inside the bytes, and print as one safe line.
pub fn fields(fields: &[Field], base: usize, len: usize) {
    for field in fields {
        field.walk(&mut |field| {
            assert!(
                field.name.is_empty() || registry::find(field.name).is_some(),
                "no such field: {}",
                field.name
            );
            for span in &field.spans {
                assert_eq!(span.frame, UNPLACED);
                assert!(
                    span.bytes.start >= base && span.bytes.end <= base + len,
                    "{} {:?} of {base}+{len}",
                    field.name,
                    span.bytes
                );
            }
            assert!(!render::line(field).chars().any(char::is_control));
        });
    }
}

/// Capture files of all formats: reading ends, frames lie within their chunks, and read again they are the same.
pub fn capture(data: &[u8]) {
    let Ok(capture) = Capture::from_bytes("fuzz", data.to_vec()) else {
        return;
    };
    let mut again = Vec::new();
    let mut reader = capture.chunks();
    while let Some(chunk) = reader.next_chunk() {
        for record in &chunk.records {
            let frame = chunk.bytes(record);
            assert_eq!(frame.len(), record.captured as usize);
            let read =
                capture.read_frame(record.interface, record.offset, record.captured, &mut again);
            assert!(read.is_err() || again == frame);
            let _ = capture.comments(record.interface, record.offset, record.captured);
        }
    }
}

/// A frame behind its link type: IP, TCP, options, checksum, fragments; and its tree.
pub fn packet(data: &[u8]) {
    const LINKS: [u32; 8] = [1, 113, 276, 101, 0, 108, 228, 229];
    let [choice, frame @ ..] = data else {
        return;
    };
    let link = LINKS[usize::from(choice % 8)];
    let wire = u32::try_from(frame.len()).unwrap() + u32::from(choice >> 3);
    if let Network::Ip(at) = link::network(link, frame) {
        match net::packet(frame, at, wire) {
            Packet::Tcp(segment) => {
                let len = segment.captured_payload as usize;
                assert_eq!(segment.payload(frame).len(), len);
                let _ = net::tcp_options(&segment, frame);
                let _ = net::tcp_checksum(&segment, frame);
            }
            Packet::Fragment(part) => {
                let mut fragments = net::Fragments::default();
                let _ = (fragments.place(&part, frame), fragments.place(&part, frame));
            }
            _ => {}
        }
    }
    let frames = [(frame.to_vec(), wire)];
    whole(&pcap(link, &frames));
}

/// A pcap file of these frames: bytes, and length on the wire.
fn pcap(link_type: u32, frames: &[(Vec<u8>, u32)]) -> Vec<u8> {
    let mut file = Vec::new();
    for number in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 0xffff, link_type] {
        file.extend(number.to_le_bytes());
    }
    for (no, (bytes, wire)) in (0..).zip(frames) {
        for number in [0, no, u32::try_from(bytes.len()).unwrap(), *wire] {
            file.extend(number.to_le_bytes());
        }
        file.extend(bytes);
    }
    file
}

/// Indexes a capture, judges it, and opens every frame in every way.
fn whole(file: &[u8]) -> Option<(Capture, Store)> {
    let capture = Capture::from_bytes("fuzz", file.to_vec()).ok()?;
    let mut store = track::load(&capture);
    rules::judge(&mut store, &rules::Settings::default());
    let mut dissector = Dissector::new();
    for index in 0..store.frame_count() {
        let no = FrameNo::from_index(index);
        for message in [false, true] {
            let options = Options {
                message,
                max_rows: 3,
                max_pdus: 8,
            };
            let tree = dissector.frame(&store, &capture, no, &options).unwrap();
            for field in &tree.fields {
                field.walk(&mut |field| {
                    assert!(field.name.is_empty() || registry::find(field.name).is_some());
                    assert!(!render::line(field).chars().any(char::is_control));
                });
            }
            let _ = (render::text(&tree), render::json(&tree));
        }
        let _ = dissector.info_line(&store, &capture, no);
        let _ = dissector.listing_line(&store, &capture, no);
        let _ = dissector.secret_ranges(&store, &capture, no);
    }
    for index in 0..store.pdu_count().min(16) {
        let id = PduId::from_index(index);
        let _ = dissector.pdu_bytes(&store, &capture, id, true);
    }
    Some((capture, store))
}

/// A connection: pieces of the two directions' streams, cut into segments as the bytes say, tracked, judged and
/// decoded. SMP, the cutting of messages, TLS across records and secrets are met this way.
///
/// Each piece has a head of two bytes: direction (bit 0), a hole before it (bit 1), a segment that only comes again
/// (bit 2), and the piece's length.
pub fn stream(data: &[u8]) {
    whole(&pcap(101, &conversation(data)));
}

/// The frames of such a connection.
fn conversation(data: &[u8]) -> Vec<(Vec<u8>, u32)> {
    const SYN: u8 = 2;
    const ACK: u8 = 16;
    let mut seq = [1000_u32, 5000];
    let mut frames = Vec::new();
    let mut send = |from: usize, flags: u8, seq: u32, ack: u32, payload: &[u8]| {
        let len = u16::try_from(40 + payload.len()).unwrap();
        let mut frame = vec![0x45, 0];
        frame.extend(len.to_be_bytes());
        frame.extend([
            0,
            0,
            0x40,
            0,
            64,
            6,
            0,
            0,
            10,
            0,
            0,
            1 + u8::from(from == 1),
        ]);
        frame.extend([10, 0, 0, 1 + u8::from(from == 0)]);
        for port in [50_000_u16, 1433].iter().cycle().skip(from).take(2) {
            frame.extend(port.to_be_bytes());
        }
        frame.extend(seq.to_be_bytes());
        frame.extend(ack.to_be_bytes());
        frame.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        frame.extend(payload);
        frames.push((frame, u32::from(len)));
    };
    send(0, SYN, 999, 0, &[]);
    send(1, SYN | ACK, 4999, 1000, &[]);
    let mut rest = data;
    for _ in 0..40 {
        let [head, len, body @ ..] = rest else {
            break;
        };
        let (piece, behind) = body.split_at(usize::from(*len).min(body.len()));
        rest = behind;
        let from = usize::from(head & 1);
        if head & 2 != 0 {
            seq[from] = seq[from].wrapping_add(7);
        }
        if head & 4 != 0 {
            let back = seq[from].wrapping_sub(u32::from(*len));
            send(from, ACK, back, seq[1 - from], piece);
            continue;
        }
        send(from, ACK, seq[from], seq[1 - from], piece);
        seq[from] = seq[from].wrapping_add(u32::try_from(piece.len()).unwrap());
    }
    frames
}

/// PRELOGIN, LOGIN7 and federated authentication, as structures and as trees.
pub fn login(data: &[u8]) {
    let [kind, body @ ..] = data else {
        return;
    };
    let _ = Prelogin::read(body);
    if let Some((login, _)) = Login7::read(body) {
        for range in login.secret_ranges(body) {
            assert!(range.end <= body.len());
        }
        let _ = login.text(body, &login.user);
    }
    decoded([18, 16, 8, 4][usize::from(kind % 4)], kind >> 2, body);
}

fn decoded(kind: u8, choice: u8, body: &[u8]) {
    let context = Context {
        version: match choice & 3 {
            0 => Version::V74,
            1 => Version::V72,
            2 => Version::V71R1,
            _ => Version::V70,
        },
        from_server: kind == 4,
        column_encryption: choice & 4 != 0,
        max_rows: 4,
        ..Context::default()
    };
    let message = message::decode(kind, body, 7, &context);
    fields(&message.fields, 7, body.len());
}

/// Requests: the first byte chooses the packet type and the version.
pub fn request(data: &[u8]) {
    let [choice, body @ ..] = data else {
        return;
    };
    let kind = [3, 1, 14, 3, 3, 2, 6, 0x53][usize::from(choice >> 5)];
    decoded(kind, *choice, body);
}

/// Token streams, of answers and of bulk loads.
pub fn answer(data: &[u8]) {
    let [choice, body @ ..] = data else {
        return;
    };
    let kind = if choice & 0x80 == 0 { 4 } else { 7 };
    decoded(kind, *choice, body);
}

/// Answers in pieces: the tokens found must not depend on where the pieces were cut.
pub fn skim(data: &[u8]) {
    fn tokens(pieces: &[&[u8]]) -> (Vec<Begin>, bool) {
        let mut skim = Skim::new(Context::default());
        let mut found = Vec::new();
        for piece in pieces {
            skim.feed(piece, |begin| found.push(begin));
        }
        (found, skim.failed())
    }
    let Some((at, body)) = data.split_first() else {
        return;
    };
    let (a, b) = body.split_at(usize::from(*at).min(body.len()));
    assert_eq!(tokens(&[body]), tokens(&[a, b]));
}

/// A type, and a value of it.
pub fn value(data: &[u8]) {
    let mut r = Reader::new(data);
    let place = match r.u8() {
        Some(0) => Place::Column,
        Some(1) => Place::ReturnValue,
        _ => Place::Parameter,
    };
    if let Ok(info) = TypeInfo::read(&mut r, place, Version::V74) {
        let _ = info.sql();
        let _ = values::print(&info, r.rest()).literal();
    }
    let _ = values::variant(data);
}

/// Tokens of NTLM, SPNEGO and Kerberos.
pub fn sspi(data: &[u8]) {
    let _ = (sspi::recognise(data), sspi::authenticate_names(data));
    for range in sspi::secret_ranges(data) {
        assert!(range.end <= data.len());
    }
    let mut w = Walk::new(data, 7);
    let result = sspi::fields(&mut w);
    fields(&w.finish(result).fields, 7, data.len());
}

/// TLS records, hellos and certificates; and a lone SMP header.
pub fn tls(data: &[u8]) {
    let _ = (Hello::read(data), Hello::read_records(data));
    let mut w = Walk::new(data, 7);
    let result = tls::tree::records(&mut w);
    fields(&w.finish(result).fields, 7, data.len());
    if let Some(header) = smp::Header::read(data) {
        assert_eq!(data[..smp::HEADER_LEN], header.to_bytes());
    }
}

/// The text of a filter: read, completed, written for Wireshark, and read again as find text.
pub fn filter(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let context = query::Context::default();
    for cursor in [0, text.chars().count() / 2, text.chars().count()] {
        let _ = query::complete(text, cursor, &context);
    }
    match query::parse(text, &context) {
        Ok(filter) => {
            let _ = (query::to_wireshark(&filter), filter.is_indexed());
            assert_eq!(filter.text(), text);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let _ = Needle::parse(text, &context);
}

/// A file of a user's own rules.
pub fn rule_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Err(errors) = user_rules::read(text) {
        assert!(errors.iter().all(|error| !error.to_string().is_empty()));
    }
}
