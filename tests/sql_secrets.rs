//! Passwords that stand in SQL text and in parameters: nothing of them can be read, found or copied, in whatever way
//! the request is cut into packets, segments and frames; a capture that is exported has them.

use std::fmt::Write as _;

use marstui::capture::{Capture, FrameSource};
use marstui::dissect::{Dissector, Options, render};
use marstui::export::{self, Choice, Plan, What};
use marstui::query::find::{Find, Needle};
use marstui::query::{Context, Dissected, Eval};
use marstui::store::Store;
use marstui::units::{FrameNo, PduId, Side};
use marstui::{rules, track};

use crate::support::exporting::{exported, reports};
use crate::support::pty::Terminal;
use crate::support::synth::conn::{Conn, Host, MS, Stack, US};
use crate::support::synth::mars::Encryption;
use crate::support::synth::tds;
use crate::support::synth::wire::{ACK, PSH};

/// No part of it stands anywhere else.
const PASSWORD: &str = "Tr0ub4dor&3xkcd936";
const DATA: u8 = ACK | PSH;

fn login_is_altered() -> String {
    format!("alter login joe with password = N'{PASSWORD}', default_database = [Shop]")
}

fn opened(mars: bool) -> Conn {
    let client = Host::new(20, 50123, 1000, Stack::Windows);
    let server = Host::new(22, 1433, 900_000, Stack::Windows);
    let mut conn = Conn::new(client, server);
    conn.handshake();
    conn.login(Encryption::None, mars);
    conn.wait(MS);
    conn
}

/// A connection that asks something before; `script` sends the request with a password.
fn asked(script: impl FnOnce(&mut Conn)) -> Conn {
    let mut conn = opened(false);
    let select = tds::packet(1, 1, 0, 1, &tds::batch("select 'visible'"));
    conn.send(Side::Client, DATA, &select);
    conn.trip(MS);
    let done = tds::packet(4, 1, 55, 1, &tds::done(0xFD, 0, 0xC1, 0));
    conn.send(Side::Server, DATA, &done);
    conn.trip(MS);
    script(&mut conn);
    conn.trip(MS);
    conn.send(Side::Server, DATA, &done);
    conn.trip(MS);
    conn.send(Side::Client, DATA, &select);
    conn.trip(MS);
    conn
}

/// The request in packets of `packet` bytes, these in segments of `segment` bytes.
fn in_pieces(kind: u8, body: &[u8], packet: usize, segment: usize) -> Conn {
    asked(|conn| {
        let bytes = tds::message(kind, 0, body, packet).concat();
        for piece in bytes.chunks(segment) {
            conn.send(Side::Client, DATA, piece);
            conn.wait(10 * US);
        }
    })
}

fn file(conn: &Conn) -> Vec<u8> {
    conn.capture(Side::Client).to_pcapng()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

/// Four characters of the password in a row, in every way in which they are stored or written.
fn parts() -> Vec<(String, Vec<u8>)> {
    let characters: Vec<char> = PASSWORD.chars().collect();
    let words = characters.windows(4).map(|part| part.iter().collect());
    words
        .map(|word: String| (word.clone(), tds::utf16(&word)))
        .collect()
}

fn check_text(what: &str, text: &str) {
    for (word, wide) in parts() {
        assert!(!text.contains(&word), "{what} shows {word}:\n{text}");
        assert!(
            !text.contains(&hex(&wide)),
            "{what} shows {}:\n{text}",
            hex(&wide)
        );
    }
}

struct Opened {
    capture: Capture,
    store: Store,
}

impl Opened {
    fn new(bytes: Vec<u8>) -> Self {
        let capture = Capture::from_bytes("made", bytes).unwrap();
        let mut store = track::load(&capture);
        rules::judge(&mut store, &rules::Settings::default());
        Self { capture, store }
    }

    /// A frame as the bytes pane shows it.
    fn bytes(&self, dissector: &mut Dissector, no: FrameNo) -> Vec<u8> {
        let row = self.store.frame(no).unwrap();
        let mut bytes = Vec::new();
        self.capture
            .read_frame(row.interface, row.offset, row.captured, &mut bytes)
            .unwrap();
        for range in dissector.secret_ranges(&self.store, &self.capture, no) {
            bytes[range].fill(0);
        }
        bytes
    }

    fn export(&self, options: &export::Options) -> Vec<u8> {
        let plan = Plan::new(&self.store, &Choice::of(What::All));
        exported(&self.store, &self.capture, &plan, options)
    }

    fn hits(&self, needle: Needle) -> u64 {
        let decoder = Dissected::new(&self.capture);
        let mut find = Find::new(needle);
        loop {
            let step = find.step(
                &Eval::of(&self.store),
                &decoder,
                &mut || false,
                &mut |_: &[FrameNo]| (),
            );
            if step.done {
                return step.hits;
            }
        }
    }

    fn shown(&self, no: FrameNo, message: bool) -> String {
        let mut dissector = Dissector::new();
        let options = Options {
            message,
            ..Options::default()
        };
        let tree = dissector
            .frame(&self.store, &self.capture, no, &options)
            .unwrap();
        let mut text = render::text(&tree);
        text.push_str(&render::json(&tree).to_string());
        text
    }

    fn all_shown(&self) -> String {
        let frames = self.store.frames_from(FrameNo(1));
        frames.map(|(no, _)| self.shown(no, false)).collect()
    }
}

/// Nothing of the password is shown, found or written anywhere but in captures.
fn hides(what: &str, bytes: Vec<u8>) -> Opened {
    let opened = Opened::new(bytes);
    let (store, capture) = (&opened.store, &opened.capture);
    let mut dissector = Dissector::new();
    for (no, _) in store.frames_from(FrameNo(1)) {
        let bytes = opened.bytes(&mut dissector, no);
        for (word, wide) in parts() {
            for part in [word.as_bytes(), &wide] {
                let found = memchr::memmem::find(&bytes, part);
                assert_eq!(found, None, "{what}: frame {no} has {word}");
            }
        }
        for message in [false, true] {
            check_text(what, &opened.shown(no, message));
        }
        check_text(what, &dissector.info_line(store, capture, no));
        check_text(what, &dissector.listing_line(store, capture, no));
    }
    for index in 0..store.pdu_count() {
        let id = PduId::from_index(index);
        check_text(what, &dissector.pdu_line(store, capture, id));
    }
    let context = Context::default();
    let all = parts();
    for (word, wide) in all.iter().step_by(5) {
        let needles = [
            Needle::Bytes(wide.clone()),
            Needle::Bytes(word.clone().into_bytes()),
            Needle::parse(&format!("\"{word}\""), &context).unwrap(),
            Needle::parse(&format!("re:{}", word.replace('&', ".")), &context).unwrap(),
            Needle::parse(&format!("filter:tds.query contains \"{word}\""), &context).unwrap(),
            Needle::parse(&format!("filter:tds.sql contains \"{word}\""), &context).unwrap(),
            Needle::parse(
                &format!("filter:tcp.payload contains {}", colons(wide)),
                &context,
            )
            .unwrap(),
        ];
        for needle in needles {
            let shown = format!("{needle:?}");
            assert_eq!(opened.hits(needle), 0, "{what}: {shown}");
        }
    }
    texts(what, &opened);
    opened
}

fn colons(bytes: &[u8]) -> String {
    let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    pairs.join(":")
}

/// Reports and exports as text.
fn texts(what: &str, opened: &Opened) {
    for (_, out) in reports(&opened.store) {
        check_text(what, &String::from_utf8_lossy(&out));
    }
    for format in export::Format::ALL {
        if format.is_capture() {
            continue;
        }
        let mut options = export::Options::of(format);
        check_text(what, &String::from_utf8_lossy(&opened.export(&options)));
        options.fields = [
            "frame.number",
            "tds.query",
            "tds.sql",
            "tcp.payload",
            "info",
        ]
        .map(str::to_owned)
        .to_vec();
        if matches!(format, export::Format::Csv | export::Format::JsonLines) {
            check_text(what, &String::from_utf8_lossy(&opened.export(&options)));
        }
    }
}

/// Headers, then a procedure by name.
fn call(procedure: &str) -> Vec<u8> {
    let mut body = tds::batch("");
    body.extend(u16::try_from(procedure.len()).unwrap().to_le_bytes());
    body.extend(tds::utf16(procedure));
    body.extend([0, 0]);
    body
}

const COLLATION: [u8; 5] = [0x09, 0x04, 0xD0, 0, 0x34];

/// A parameter of a character type.
fn parameter(name: &str, wide: bool, value: &str) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(name.len()).unwrap()];
    bytes.extend(tds::utf16(name));
    bytes.extend([0, if wide { 0xE7 } else { 0xA7 }]);
    bytes.extend(8000u16.to_le_bytes());
    bytes.extend(COLLATION);
    let value = if wide {
        tds::utf16(value)
    } else {
        value.as_bytes().to_vec()
    };
    bytes.extend(u16::try_from(value.len()).unwrap().to_le_bytes());
    bytes.extend(value);
    bytes
}

/// A parameter of type nvarchar(max), in chunks.
fn long_parameter(name: &str, value: &str, chunk: usize) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(name.len()).unwrap()];
    bytes.extend(tds::utf16(name));
    bytes.extend([0, 0xE7, 0xFF, 0xFF]);
    bytes.extend(COLLATION);
    let value = tds::utf16(value);
    bytes.extend(u64::try_from(value.len()).unwrap().to_le_bytes());
    for chunk in value.chunks(chunk) {
        bytes.extend(u32::try_from(chunk.len()).unwrap().to_le_bytes());
        bytes.extend(chunk);
    }
    bytes.extend([0; 4]);
    bytes
}

#[test]
fn a_password_in_a_batch_is_hidden_however_the_batch_is_cut() {
    let body = tds::batch(&login_is_altered());
    for (packet, segment) in [
        (4096, 1400),
        (4096, 50),
        (64, 1400),
        (64, 37),
        (20, 11),
        (4096, 101),
    ] {
        let conn = in_pieces(tds::SQL_BATCH, &body, packet, segment);
        let what = format!("packets of {packet}, segments of {segment}");
        let opened = hides(&what, file(&conn));
        let shown = opened.all_shown();
        let expected =
            "alter login joe with password = N'[secret, 36 bytes]', default_database = [Shop]";
        assert!(shown.contains(expected), "{what}: {shown}");
        // The rest is found as before.
        let context = Context::default();
        for there in [
            "alter login joe with password = N'",
            "', default_database",
            "select 'visible'",
        ] {
            let needle = Needle::parse(&format!("\"{there}\""), &context).unwrap();
            assert!(opened.hits(needle) > 0, "{what}: {there}");
        }
    }
}

/// The request on one of two sessions, in packets of `size` bytes: one in each DATA, or not.
fn on_session(size: usize, joined: bool) -> Conn {
    let mut conn = opened(true);
    conn.open(0);
    conn.open(1);
    conn.request(0, "select 'visible'", &tds::done(0xFD, 0, 0xC1, 0));
    let body = tds::batch(&login_is_altered());
    let packets = tds::message(tds::SQL_BATCH, 0, &body, size);
    let pieces = if joined {
        packets.concat().chunks(77).map(<[u8]>::to_vec).collect()
    } else {
        packets
    };
    for piece in pieces {
        let data = conn.smp_data(Side::Client, 1, &piece);
        conn.data_in(Side::Client, &data, 55);
    }
    conn.trip(MS);
    conn.answer(1, &tds::done(0xFD, 0, 0xC1, 0));
    conn.request(0, "select 'visible'", &tds::done(0xFD, 0, 0xC1, 0));
    conn
}

#[test]
fn requests_on_sessions_hide_passwords() {
    for (size, joined) in [(4096, false), (60, false), (60, true)] {
        let what = format!("DATA of {size}");
        hides(&what, file(&on_session(size, joined)));
    }
}

#[test]
fn copies_of_segments_hide_passwords() {
    let bytes = tds::packet(1, 1, 0, 1, &tds::batch(&login_is_altered()));
    let again = asked(|conn| {
        let first = conn.send(Side::Client, DATA, &bytes);
        conn.wait(300 * MS);
        conn.resend(first);
    });
    hides("sent again", file(&again));
    let middle = memchr::memmem::find(&bytes, &tds::utf16(PASSWORD)).unwrap() + 9;
    for second in [middle - 20, middle + 6, 0] {
        let conn = asked(|conn| {
            let seq = conn.snd_nxt(Side::Client);
            conn.send(Side::Client, DATA, &bytes[..middle]);
            conn.send(Side::Client, DATA, &bytes[middle..]);
            let again = seq + u32::try_from(second).unwrap();
            let ack = conn.received(Side::Client);
            conn.push(Side::Client, DATA, again, ack, &bytes[second..]);
        });
        hides("overlap", file(&conn));
        let whole = conn.capture(Side::Client);
        for at in 0..whole.frames.len() {
            let mut lost = whole.clone();
            lost.frames.remove(at);
            hides(&format!("overlap without frame {at}"), lost.to_pcapng());
        }
    }
}

/// The capture with a frame lost, or cut, or as its first or last.
fn damaged(what: &str, conn: &Conn) {
    let whole = conn.capture(Side::Client);
    let login = whole.frames.iter().position(|frame| frame.data.len() > 200);
    // What is before the login has no secrets.
    for at in login.unwrap_or(0)..whole.frames.len() {
        let what = format!("{what}, frame {at}");
        let mut lost = whole.clone();
        lost.frames.remove(at);
        hides(&format!("{what} lost"), lost.to_pcapng());
        let mut short = whole.clone();
        let frame = &mut short.frames[at];
        let keep = frame.data.len().min(75);
        frame.data.truncate(keep);
        hides(&format!("{what} cut"), short.to_pcapng());
        let mut late = whole.clone();
        late.frames.drain(..at);
        hides(&format!("{what} is the first"), late.to_pcapng());
        let mut rest = whole.clone();
        rest.frames.truncate(at + 1);
        hides(&format!("{what} is the last"), rest.to_pcapng());
    }
    let mut all_short = whole;
    for frame in &mut all_short.frames {
        let keep = frame.data.len().min(100);
        frame.data.truncate(keep);
    }
    hides(&format!("{what}, all cut"), all_short.to_pcapng());
}

#[test]
fn captures_that_lack_bytes_of_a_batch_hide_passwords() {
    let body = tds::batch(&login_is_altered());
    for (packet, segment) in [(4096, 60), (64, 31)] {
        let what = format!("packets of {packet}, segments of {segment}");
        damaged(&what, &in_pieces(tds::SQL_BATCH, &body, packet, segment));
    }
}

#[test]
fn packets_that_say_a_wrong_length_hide_passwords() {
    for len in [40_u16, 90, 110, 3000] {
        let conn = asked(|conn| {
            let mut bytes = tds::packet(1, 1, 0, 1, &tds::batch(&login_is_altered()));
            bytes[2..4].copy_from_slice(&len.to_be_bytes());
            conn.send(Side::Client, DATA, &bytes);
        });
        hides(&format!("length {len}"), file(&conn));
    }
}

#[test]
fn captures_that_lack_bytes_of_a_call_hide_passwords() {
    let parameters = [
        parameter("", true, "joe"),
        parameter("@password", false, PASSWORD),
    ];
    let body = [call("dbo.check_user"), parameters.concat()].concat();
    damaged("a call", &in_pieces(tds::RPC, &body, 4096, 50));
}

#[test]
fn captures_that_lack_bytes_of_a_session_hide_passwords() {
    for sizes in [4096, 60] {
        let mut conn = on_session(sizes, false);
        conn.trip(MS);
        damaged(&format!("DATA of {sizes}"), &conn);
    }
}

#[test]
fn passwords_in_parameters_are_hidden() {
    let statement = login_is_altered();
    let connection = format!("Server=s;UID=u;PWD={PASSWORD};Database=d");
    let update = "update t set pw_hash = hashbytes('MD5', @p2), password = @P2 where name = @p1";
    let defined = "@p1 nvarchar(50), @p2 nvarchar(50)";
    let of =
        |procedure: &str, parameters: &[Vec<u8>]| [call(procedure), parameters.concat()].concat();
    let places = |secret: usize, count: usize| -> Vec<Vec<u8>> {
        let text = |place| if place == secret { PASSWORD } else { "visible" };
        let parameters = (0..count).map(|place| parameter("", true, text(place)));
        parameters.collect()
    };
    let bodies = [
        of("sp_executesql", &[parameter("", true, &statement)]),
        of("sp_executesql", &[long_parameter("@stmt", &statement, 31)]),
        of(
            "sp_executesql",
            &[
                parameter("", true, update),
                parameter("", true, defined),
                parameter("@p1", true, "joe"),
                parameter("@p2", true, PASSWORD),
            ],
        ),
        of(
            "sp_executesql",
            &[
                parameter("", true, update),
                parameter("", true, defined),
                parameter("", true, "joe"),
                parameter("", false, PASSWORD),
            ],
        ),
        of(
            "dbo.check_user",
            &[
                parameter("@name", true, "joe"),
                parameter("@UserPwd", true, PASSWORD),
            ],
        ),
        of(
            "dbo.check_user",
            &[long_parameter("@password", PASSWORD, 7)],
        ),
        of("dbo.ResetPassword", &[parameter("", false, PASSWORD)]),
        of(
            "sp_addlogin",
            &[parameter("", true, "joe"), parameter("", true, PASSWORD)],
        ),
        of(
            "\"sp_addlogin\"",
            &[parameter("", true, "joe"), parameter("", true, PASSWORD)],
        ),
        of("sp_change_users_login", &places(3, 4)),
        of("msdb.dbo.sysmail_add_account_sp", &places(9, 11)),
        of("xp_sqlagent_proxy_account", &places(3, 4)),
        of(
            "sp_executesql",
            &[
                parameter("", true, "exec sp_addlogin N'joe', @P1"),
                parameter("", true, "@P1 nvarchar(50)"),
                parameter("", true, PASSWORD),
            ],
        ),
        of(
            "sp_prepexec",
            &[
                parameter("", true, "0"),
                parameter("", true, "@P1 nvarchar(50)"),
                parameter("", true, "exec \"sp_addlogin\" N'joe', @P1"),
                parameter("", true, PASSWORD),
            ],
        ),
        of(
            "sp_addlinkedserver",
            &[parameter("@provstr", true, &connection)],
        ),
        of("dbo.x", &[parameter("@a", false, &connection)]),
    ];
    for (number, body) in bodies.iter().enumerate() {
        for (packet, segment) in [(4096, 1400), (100, 83)] {
            let conn = in_pieces(tds::RPC, body, packet, segment);
            let opened = hides(
                &format!("call {number} in packets of {packet}"),
                file(&conn),
            );
            let shown = opened.all_shown();
            assert!(shown.contains("[secret, "), "{shown}");
        }
    }
}

#[test]
fn long_requests_hide_passwords_to_their_end() {
    let rows = "insert t values (1, 'abc');\r\n".repeat(30_000);
    let body = tds::batch(&format!("{rows}{}; {rows}", login_is_altered()));
    assert!(body.len() > 3 << 20);
    let conn = in_pieces(tds::SQL_BATCH, &body, 32_000, 1400);
    let opened = Opened::new(file(&conn));
    let text = |text: &str| Needle::parse(&format!("\"{text}\""), &Context::default()).unwrap();
    assert_eq!(opened.hits(text(&PASSWORD[..6])), 0);
    assert_eq!(opened.hits(text("alter login joe with")), 1);
    let wide = tds::utf16(&PASSWORD[..6]);
    let mut dissector = Dissector::new();
    for (no, _) in opened.store.frames_from(FrameNo(1)) {
        let bytes = opened.bytes(&mut dissector, no);
        assert_eq!(memchr::memmem::find(&bytes, &wide), None, "frame {no}");
    }
}

#[test]
fn captures_keep_passwords_and_redacted_ones_do_not() {
    let conn = in_pieces(tds::SQL_BATCH, &tds::batch(&login_is_altered()), 4096, 1400);
    let opened = Opened::new(file(&conn));
    let wide = tds::utf16(PASSWORD);
    for format in [export::Format::Pcapng, export::Format::Pcap] {
        let mut options = export::Options::of(format);
        let plain = opened.export(&options);
        assert!(memchr::memmem::find(&plain, &wide).is_some());
        options.redact = Some(export::Redaction::default());
        let redacted = opened.export(&options);
        assert!(memchr::memmem::find(&redacted, &wide).is_none());
    }
}

#[test]
fn texts_without_literals_stay_whole() {
    let text = "select password, 'city' from users where name = 'joe'";
    let conn = in_pieces(tds::SQL_BATCH, &tds::batch(text), 4096, 1400);
    let opened = Opened::new(file(&conn));
    assert!(opened.all_shown().contains(text));
    let mut dissector = Dissector::new();
    for (no, row) in opened.store.frames_from(FrameNo(1)) {
        let login = opened.store.pdus_in(no).any(|(_, pdu)| pdu.tds_type == 16);
        let secret = dissector.secret_ranges(&opened.store, &opened.capture, no);
        assert!(login || secret.is_empty(), "frame {no}: {secret:?} {row:?}");
    }
}

#[test]
fn the_screen_shows_no_password_of_a_text() {
    let conn = in_pieces(tds::SQL_BATCH, &tds::batch(&login_is_altered()), 4096, 1400);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made.pcapng");
    std::fs::write(&path, file(&conn)).unwrap();
    let frame = {
        let opened = Opened::new(file(&conn));
        let requests: Vec<_> = opened.store.requests_back(FrameNo(u32::MAX)).collect();
        requests[1].first_frame
    };
    let file = path.to_str().unwrap();
    let mut term = Terminal::start((160, 60), &["--no-state", "--no-osc52", file], &[]);
    term.press(&format!(":{frame}\r"));
    term.wait_for("[secret, 36 bytes]");
    let mut screens = term.screen();
    for keys in ["b", "z", "z", "yh", "yr", "yf", "Q", "q", "gc"] {
        term.press(keys);
        screens.push_str(&term.screen());
    }
    check_text("the screen", &screens);
    check_text("what is written", &String::from_utf8_lossy(&term.raw()));
    for (_, wide) in parts() {
        assert!(
            !screens.contains(&colons(&wide[..6]).replace(':', " ")),
            "{screens}"
        );
    }
    term.press("qqq");
}
