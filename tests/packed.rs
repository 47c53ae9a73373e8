//! SMP:DATA that do not hold exactly one TDS packet: every message in them is read, and calls by handle name the
//! statement that was prepared.

use marstui::capture::{Capture, OpenOptions};
use marstui::decode::field::Value;
use marstui::dissect::{Dissector, FrameTree, Options, render};
use marstui::rules;
use marstui::store::{RequestEnd, Store};
use marstui::track;
use marstui::units::{End, FrameNo};

use crate::streams::{Dice, Talk, Wire, capture, load, plain};
use crate::support::shared_or_skip;

/// A conversation over one session, SMP packet by SMP packet.
#[derive(Default)]
struct Session {
    talk: Talk,
    sent: [u32; 2],
}

impl Session {
    fn open() -> Self {
        let mut session = Self::default();
        session.smp(End::A, 1, &[]);
        session
    }

    fn smp(&mut self, end: End, flags: u8, payload: &[u8]) {
        let own = usize::from(end == End::B);
        if flags == 8 {
            self.sent[own] += 1;
        }
        let mut bytes = vec![0x53, flags, 0, 0];
        bytes.extend(u32::try_from(16 + payload.len()).unwrap().to_le_bytes());
        bytes.extend(self.sent[own].to_le_bytes());
        bytes.extend((self.sent[1 - own] + 4).to_le_bytes());
        bytes.extend(payload);
        self.talk.push((end, bytes));
    }

    fn data(mut self, end: End, payload: &[u8]) -> Self {
        self.smp(end, 8, payload);
        self
    }

    fn wire(&self) -> Wire {
        capture(&self.talk, plain(), &mut Dice(3))
    }
}

fn packet(kind: u8, id: u8, eom: bool, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len() + 8).unwrap().to_be_bytes();
    let spid = if kind == 4 { 52 } else { 0 };
    let mut bytes = vec![kind, u8::from(eom), len[0], len[1], 0, spid, id, 0];
    bytes.extend(body);
    bytes
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

const ALL_HEADERS: [u8; 22] = [
    0x16, 0, 0, 0, 0x12, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0,
];

fn batch(text: &str) -> Vec<u8> {
    [&ALL_HEADERS[..], &utf16(text)].concat()
}

const DONE: [u8; 13] = [0xfd, 0x10, 0, 0xc1, 0, 1, 0, 0, 0, 0, 0, 0, 0];

struct Opened {
    source: Capture,
    store: Store,
    dissector: Dissector,
}

impl Opened {
    fn of(session: &Session) -> Self {
        let (source, mut store) = load(&session.wire());
        rules::judge(&mut store, &rules::Settings::default());
        Self {
            source,
            store,
            dissector: Dissector::new(),
        }
    }

    fn trees(&mut self) -> Vec<FrameTree> {
        (0..self.store.frame_count())
            .map(|index| {
                let no = FrameNo::from_index(index);
                self.dissector
                    .frame(&self.store, &self.source, no, &Options::default())
                    .unwrap()
            })
            .collect()
    }

    fn lines(&mut self) -> Vec<String> {
        (0..self.store.frame_count())
            .map(|index| {
                let no = FrameNo::from_index(index);
                self.dissector.info_line(&self.store, &self.source, no)
            })
            .collect()
    }
}

fn sql(trees: &[FrameTree]) -> Vec<Vec<String>> {
    let with = trees.iter().filter(|tree| !tree.sql.is_empty());
    with.map(|tree| tree.sql.clone()).collect()
}

#[test]
fn every_message_in_a_data_is_decoded() {
    let long = batch("select 'in two packets'");
    let (a, b) = long.split_at(31);
    let session = Session::open()
        .data(
            End::A,
            &[
                packet(1, 1, true, &batch("select 1")),
                packet(1, 1, true, &batch("select 2")),
            ]
            .concat(),
        )
        .data(End::B, &packet(4, 1, true, &DONE))
        .data(End::B, &packet(4, 1, true, &DONE))
        .data(
            End::A,
            &[packet(1, 1, false, a), packet(1, 2, true, b)].concat(),
        )
        .data(End::B, &packet(4, 1, true, &DONE));
    let mut opened = Opened::of(&session);
    let trees = opened.trees();
    assert_eq!(
        sql(&trees),
        [
            vec!["select 1", "select 2"],
            vec!["select 'in two packets'"]
        ]
    );
    let lines = opened.lines().join("\n");
    assert!(
        lines.contains("SQLBatch select 1 | SQLBatch select 2"),
        "{lines}"
    );
    assert!(
        lines.contains("SQLBatch select 'in two packets'"),
        "{lines}"
    );
    // The pass reads them the same way: three requests, all answered.
    let requests: Vec<_> = opened.store.requests().collect();
    assert_eq!(requests.len(), 3);
    assert!(
        requests.iter().all(|r| r.end == RequestEnd::Done),
        "{requests:?}"
    );
}

#[test]
fn packets_over_several_data_are_put_together() {
    let text = "select 'a packet that goes on in the next DATA' as a";
    let whole = [
        packet(1, 1, false, &batch(text)[..60]),
        packet(1, 2, true, &batch(text)[60..]),
        packet(1, 1, true, &batch("select 2")),
    ]
    .concat();
    for cut in [4, 20, 68, 75, 100, whole.len() - 3] {
        let (a, b) = whole.split_at(cut);
        let session = Session::open()
            .data(End::A, a)
            .data(End::A, b)
            .data(End::B, &packet(4, 1, true, &DONE))
            .data(End::B, &packet(4, 1, true, &DONE));
        let mut opened = Opened::of(&session);
        let trees = opened.trees();
        let found = sql(&trees).concat();
        assert!(
            found.iter().any(|sql| sql == text),
            "cut at {cut}: {found:?}"
        );
        assert_eq!(found.last().unwrap(), "select 2", "cut at {cut}");
        assert_eq!(opened.store.request_count(), 2, "cut at {cut}");
        // Its bytes are found in the frames that hold them.
        let spans = trees
            .iter()
            .flat_map(|tree| &tree.fields)
            .filter_map(|field| field.find("tds.query"))
            .filter(|query| query.value == Value::Text(text.to_owned()))
            .map(|query| query.spans.iter().map(|s| s.bytes.len()).sum::<usize>());
        for bytes in spans {
            assert_eq!(bytes, 2 * text.len(), "cut at {cut}");
        }
    }
}

#[test]
fn secrets_behind_the_first_packet_are_masked_too() {
    // SESSIONSTATE: length, sequence number, status, state 7 with eight bytes.
    let state = [
        &[0xe4, 15, 0, 0, 0, 1, 0, 0, 0, 1, 7, 8][..],
        b"TOPSTATE",
        &DONE,
    ]
    .concat();
    let session = Session::open()
        .data(End::A, &packet(1, 1, true, &batch("select 1")))
        .data(End::A, &packet(1, 1, true, &batch("select 2")))
        .data(
            End::B,
            &[packet(4, 1, true, &DONE), packet(4, 1, true, &state)].concat(),
        );
    let mut opened = Opened::of(&session);
    let wire = session.wire().file;
    let at = memchr::memmem::find(&wire, b"TOPSTATE").unwrap();
    let mut masked = Vec::new();
    for (no, row) in opened.store.frames_from(FrameNo(1)) {
        let ranges = opened
            .dissector
            .secret_ranges(&opened.store, &opened.source, no);
        let offset = usize::try_from(row.offset.0).unwrap();
        masked.extend(
            ranges
                .into_iter()
                .flat_map(|r| r.start + offset..r.end + offset),
        );
    }
    masked.sort_unstable();
    assert_eq!(masked, (at..at + 8).collect::<Vec<_>>());
    let shown: Vec<String> = opened.trees().iter().map(render::text).collect();
    assert!(shown.iter().any(|text| text.contains("[secret, 8 bytes]")));
    assert!(!shown.concat().contains("TOPSTATE"));
}

#[test]
fn the_samples_two_packets_in_one_data_are_both_shown() {
    let Some(folder) = shared_or_skip("the_samples_two_packets_in_one_data_are_both_shown") else {
        return;
    };
    let path = folder.join("spec/samples/interleaved-and-violations.pcap");
    let source = Capture::open(&[path], &OpenOptions::default()).unwrap();
    let store = track::load(&source);
    let mut dissector = Dissector::new();
    let tree = dissector
        .frame(&store, &source, FrameNo(13), &Options::default())
        .unwrap();
    let mut packets = 0;
    let message = tree
        .fields
        .iter()
        .find(|field| field.label == "TDS")
        .unwrap();
    message.walk(&mut |field| packets += usize::from(field.name == "tds.packet"));
    assert_eq!(packets, 2, "{}", render::text(&tree));
    let done = message.find("tds.done").unwrap();
    assert_eq!(done.text, "SELECT, 1 rows");
}

// Prepared statements and cursors.

fn nvarchar(text: &str) -> Vec<u8> {
    let bytes = utf16(text);
    let len = u16::try_from(bytes.len()).unwrap().to_le_bytes();
    let head = [0, 0, 0xe7, 0x40, 0x1f, 9, 4, 0xd0, 0, 0x34, len[0], len[1]];
    [&head[..], &bytes].concat()
}

/// A parameter of type int: its status, and its value if it is not NULL.
fn int(status: u8, value: Option<i32>) -> Vec<u8> {
    let mut bytes = vec![0, status, 0x26, 4];
    match value {
        Some(value) => {
            bytes.push(4);
            bytes.extend(value.to_le_bytes());
        }
        None => bytes.push(0),
    }
    bytes
}

fn call(procedure: u8, parameters: &[Vec<u8>]) -> Vec<u8> {
    let head = [0xff, 0xff, procedure, 0, 0, 0];
    let body = [&ALL_HEADERS[..], &head, &parameters.concat()].concat();
    packet(3, 1, true, &body)
}

/// The answer that returns numbers for parameters.
fn returned(values: &[(u16, i32)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (ordinal, value) in values {
        body.push(0xac);
        body.extend(ordinal.to_le_bytes());
        body.extend([0, 1, 0, 0, 0, 0, 0, 0, 0x26, 4, 4]);
        body.extend(value.to_le_bytes());
    }
    body.extend([0x79, 0, 0, 0, 0]);
    body.extend([0xfe, 0, 0, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    packet(4, 1, true, &body)
}

const CURSOROPEN: u8 = 2;
const CURSORPREPARE: u8 = 3;
const CURSOREXECUTE: u8 = 4;
const CURSORFETCH: u8 = 7;
const CURSORCLOSE: u8 = 9;
const PREPARE: u8 = 11;
const EXECUTE: u8 = 12;
const PREPEXEC: u8 = 13;
const UNPREPARE: u8 = 15;

/// For each call: its line, and the statement and frame that the tree names for its handle.
fn calls(session: &Session) -> Vec<(String, Option<(String, u32)>)> {
    let mut opened = Opened::of(session);
    let lines = opened.lines();
    let mut found = Vec::new();
    for (tree, line) in opened.trees().iter().zip(lines) {
        if !line.starts_with("RPC") {
            continue;
        }
        let mut statement = None;
        for field in &tree.fields {
            field.walk(&mut |f| {
                if f.name == "tds.sql" && f.label == "statement" {
                    statement = Some((render::value(&f.value), f.links[0].0));
                    assert!(tree.sql[0].contains("-- from frame"), "{:?}", tree.sql);
                }
            });
        }
        found.push((line, statement));
    }
    found
}

#[test]
fn calls_by_handle_name_the_statement_that_was_prepared() {
    let session = Session::open()
        .data(
            End::A,
            &call(
                PREPARE,
                &[
                    int(1, None),
                    nvarchar("@a int"),
                    nvarchar("select @a"),
                    int(0, Some(1)),
                ],
            ),
        )
        .data(End::B, &returned(&[(0, 7)]))
        .data(
            End::A,
            &call(
                PREPEXEC,
                &[int(1, None), nvarchar(""), nvarchar("select 8")],
            ),
        )
        .data(End::B, &returned(&[(0, 8)]))
        .data(End::A, &call(EXECUTE, &[int(0, Some(7)), int(0, Some(5))]))
        .data(End::B, &returned(&[]))
        .data(End::A, &call(EXECUTE, &[int(0, Some(8))]))
        .data(End::B, &returned(&[]))
        .data(End::A, &call(UNPREPARE, &[int(0, Some(7))]))
        .data(End::B, &returned(&[]))
        .data(End::A, &call(EXECUTE, &[int(0, Some(9))]))
        .data(End::B, &returned(&[]))
        // The number 7 again, for another statement.
        .data(
            End::A,
            &call(
                PREPARE,
                &[int(1, None), nvarchar(""), nvarchar("select 'new'")],
            ),
        )
        .data(End::B, &returned(&[(0, 7)]))
        .data(End::A, &call(EXECUTE, &[int(0, Some(7))]))
        .data(End::B, &returned(&[]));
    let found = calls(&session);
    let statements: Vec<_> = found
        .iter()
        .map(|(_, s)| s.as_ref().map(|(text, _)| text.as_str()))
        .collect();
    assert_eq!(
        statements,
        [
            None,
            None,
            Some("select @a"),
            Some("select 8"),
            Some("select @a"),
            None,
            None,
            Some("select 'new'")
        ]
    );
    assert_eq!(found[0].0, "RPC sp_prepare (4 params) select @a");
    assert_eq!(found[2].0, "RPC sp_execute (2 params) select @a");
    assert_eq!(found[5].0, "RPC sp_execute (1 param)");
    let frames: Vec<_> = found
        .iter()
        .filter_map(|(_, s)| s.as_ref().map(|s| s.1))
        .collect();
    assert!(frames[0] < frames[1] && frames[2] == frames[0] && frames[3] > frames[1]);
}

#[test]
fn cursors_name_their_statement_also_through_a_prepared_one() {
    let session = Session::open()
        .data(
            End::A,
            &call(
                CURSOROPEN,
                &[
                    int(1, None),
                    nvarchar("select direct"),
                    int(1, Some(8)),
                    int(1, Some(1)),
                ],
            ),
        )
        .data(End::B, &returned(&[(0, 180_150_003), (2, 8)]))
        .data(
            End::A,
            &call(
                CURSORPREPARE,
                &[
                    int(1, None),
                    nvarchar(""),
                    nvarchar("select prepared"),
                    int(0, Some(1)),
                ],
            ),
        )
        .data(End::B, &returned(&[(0, 3)]))
        .data(
            End::A,
            &call(
                CURSOREXECUTE,
                &[int(0, Some(3)), int(1, None), int(1, Some(8))],
            ),
        )
        .data(End::B, &returned(&[(1, 180_150_005)]))
        .data(
            End::A,
            &call(CURSORFETCH, &[int(0, Some(180_150_003)), int(0, Some(2))]),
        )
        .data(End::B, &returned(&[]))
        .data(
            End::A,
            &call(CURSORFETCH, &[int(0, Some(180_150_005)), int(0, Some(2))]),
        )
        .data(End::B, &returned(&[]))
        .data(End::A, &call(CURSORCLOSE, &[int(0, Some(180_150_005))]))
        .data(End::B, &returned(&[]))
        // A cursor with the number of a prepared statement is not that.
        .data(End::A, &call(CURSORCLOSE, &[int(0, Some(3))]))
        .data(End::B, &returned(&[]));
    let found = calls(&session);
    let statements: Vec<_> = found
        .iter()
        .map(|(_, s)| s.as_ref().map(|(text, _)| text.as_str()))
        .collect();
    assert_eq!(
        statements,
        [
            None,
            None,
            Some("select prepared"),
            Some("select direct"),
            Some("select prepared"),
            Some("select prepared"),
            None
        ]
    );
}
