//! The byte samples of [MS-TDS] 4 and of the digest, decoded.

use std::fs;

use marstui::decode::tds::message::{self, Context, Message};
use marstui::decode::tds::{HEADER_LEN, Header};
use marstui::dissect::render;

use crate::support::shared_or_skip;

/// TCP payloads of a classic little-endian pcap with Ethernet, IPv4 and TCP headers of 54 bytes.
pub fn payloads(file: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut at = 24;
    while let Some(head) = file.get(at..at + 16) {
        let len = u32::from_le_bytes(head[8..12].try_into().unwrap()) as usize;
        found.push(file[at + 16 + 54..at + 16 + len].to_vec());
        at += 16 + len;
    }
    found
}

fn decode(packet: &[u8]) -> Message {
    let header = Header::read(packet).unwrap();
    let context = Context {
        from_server: header.kind == 4,
        ..Context::default()
    };
    message::decode(header.kind, &packet[HEADER_LEN..], 0, &context)
}

fn shown(message: &Message) -> String {
    let mut out = String::new();
    render::outline(&message.fields, 0, &mut out);
    out
}

pub fn samples() -> Option<Vec<Vec<u8>>> {
    let folder = shared_or_skip("samples")?;
    let file = fs::read(folder.join("spec/samples/ms-tds-section4-vectors.pcap")).unwrap();
    let packets = payloads(&file);
    Some(packets.into_iter().filter(|p| p.len() >= 8).collect())
}

#[test]
fn the_specifications_samples_decode_to_their_values() {
    let Some(samples) = samples() else { return };
    let expected: &[(&str, &[&str])] = &[
        (
            "PRELOGIN 4.1",
            &[
                "version  0x09000000  (9.0.0)",
                "encryption  1  (ON)",
                "thread  3512",
                "MARS  1  (on)",
            ],
        ),
        (
            "LOGIN7 4.2",
            &[
                "length  136",
                "(7.2)",
                "packet size  4096",
                "client process  256",
                "host  skostov1",
                "user  sa",
                "program  OSQL-32",
                "library  ODBC",
            ],
        ),
        (
            "login answer 4.4",
            &[
                "Database: master -> master",
                "INFO  5701",
                "SQL_Latin1_General_CP1_CI_AS",
                "us_english",
                "Packet size: 4096",
                "INFO  5703",
                "TDS version  0x72090002",
            ],
        ),
        // The specification's ALL_HEADERS carry the descriptor's bytes in the wrong place, here and below: it
        // means descriptor 0 and one request.
        (
            "SQL batch 4.6",
            &[
                "transaction descriptor  0x0100000000000000",
                "select 'foo' as 'bar'",
            ],
        ),
        (
            "result 4.7",
            &[
                "column 1  bar varchar(3)",
                "computed  yes",
                "bar  foo",
                "DONE  SELECT, 1 rows",
            ],
        ),
        (
            "RPC 4.8",
            &[
                "procedure  foo3",
                "status  0x02  (default)",
                "smallint  NULL",
            ],
        ),
        (
            "RPC result 4.9",
            &[
                "DONEINPROC  SELECT, 1 rows, more",
                "RETURNSTATUS  0",
                "DONEPROC  EXECUTE",
            ],
        ),
        ("attention 4.10", &["cancels what runs"]),
        ("SSPI 4.11", &["NTLM", "AUTHENTICATE"]),
        ("bulk load 4.12", &["column 1  c1 bit", "c1  no", "DONE"]),
        // Request type 22 is in no table of the specification.
        ("transaction 4.13", &["request  22  (unknown request)"]),
        ("table parameter 4.14", &["dbo.tvptype", "tinyint  2"]),
    ];
    assert_eq!(samples.len(), expected.len());
    for (packet, (name, lines)) in samples.iter().zip(expected) {
        let message = decode(packet);
        assert_eq!(message.stop, None, "{name}");
        let shown = shown(&message);
        for line in *lines {
            assert!(shown.contains(line), "{name}: no {line:?} in\n{shown}");
        }
    }
    assert_eq!(decode(&samples[5]).sql, ["exec foo3 default"]);
}

/// Names and ranges of all fields in order of reading; the ranges of headings grow while they are read.
fn leaves(message: &Message) -> Vec<String> {
    let mut found = Vec::new();
    for field in &message.fields {
        field.walk(&mut |field| {
            if field.children.is_empty() && field.name != "tds.stop" {
                found.push(format!(
                    "{} {:?} {:?}",
                    field.name, field.value, field.spans
                ));
            }
        });
    }
    found
}

#[test]
fn every_shorter_length_decodes_to_a_prefix_with_a_reason() {
    let Some(samples) = samples() else { return };
    for packet in &samples {
        let kind = packet[0];
        let whole = leaves(&decode(packet));
        for len in HEADER_LEN..packet.len() {
            let cut = decode(&packet[..len]);
            // SSPI and PRELOGIN are tables of pointers: what a pointer leads to is cut, not left out.
            if matches!(kind, 16..=18) {
                continue;
            }
            let fields = leaves(&cut);
            let same = fields
                .iter()
                .zip(&whole)
                .take_while(|(a, b)| a == b)
                .count();
            // The last leaf may be a value of which a part was there, or a heading still empty.
            assert!(
                same + 2 >= fields.len(),
                "type {kind}, {len} bytes: {:#?}",
                &fields[same..]
            );
            // A token stream may end behind any token, a call behind any parameter, and a batch is text up to its end: only the packet's length
            // tells that some is missing.
            let may_end = matches!(kind, 1 | 3 | 4 | 7);
            assert!(
                cut.stop.is_some() || may_end,
                "type {kind}, {len} bytes: no reason given"
            );
        }
    }
}
