//! The same connection in other wrappings (tunnels, tags, fragments, no IP length, compression) says the same.

use std::io::Write;
use std::path::Path;

use marstui::capture::write::{Frame, InterfaceSpec, PcapShape, PcapWriter};
use marstui::capture::{Capture, OpenOptions};
use marstui::rules::{self, Settings};
use marstui::store::{FrameFlags, Store, Verdict};
use marstui::track;
use marstui::units::{FrameNo, Nanos};

const ETHERNET: InterfaceSpec<'_> = InterfaceSpec {
    link_type: 1,
    snap_len: 0,
    ticks_per_second: 1_000_000_000,
    name: None,
};

/// The page's connection as its client saw it: time and bytes of each frame.
fn original() -> Vec<(Nanos, Vec<u8>)> {
    let frames = frames_of("seed-client.pcapng.zst");
    assert!(frames.len() > 100);
    frames
}

/// Time and bytes of each frame of a fixture.
pub fn frames_of(fixture: &str) -> Vec<(Nanos, Vec<u8>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(fixture);
    let capture = Capture::open(&[path], &OpenOptions::default()).unwrap();
    let mut reader = capture.chunks();
    let mut frames = Vec::new();
    while let Some(chunk) = reader.next_chunk() {
        for record in &chunk.records {
            frames.push((record.time, chunk.bytes(record).to_vec()));
        }
    }
    frames
}

pub fn pcap(frames: &[(Nanos, Vec<u8>)]) -> Vec<u8> {
    let mut writer = PcapWriter::new(Vec::new(), PcapShape::of([ETHERNET]).unwrap()).unwrap();
    for (time, bytes) in frames {
        let frame = Frame {
            time: *time,
            wire: u32::try_from(bytes.len()).unwrap(),
            bytes,
        };
        writer.frame(&frame).unwrap();
    }
    writer.finish()
}

/// What must not depend on the wrapping.
fn facts(capture: &Capture) -> Vec<String> {
    let mut store = track::load(capture);
    rules::judge(&mut store, &Settings::default());
    // Also of frames that had to wait for others, each is counted with its file, once.
    let of_files: u64 = store.files().iter().map(|file| file.frames).sum();
    assert_eq!(usize::try_from(of_files).unwrap(), store.frame_count());
    let mut facts = Vec::new();
    for conn in store.conns() {
        facts.push(format!(
            "{:?} {:?} {:?} {:?}",
            conn.ends, conn.mars, conn.smp, conn.tds
        ));
        facts.extend(conn_facts(&store, conn.id));
    }
    facts
}

fn conn_facts(store: &Store, conn: marstui::units::ConnId) -> Vec<String> {
    let sessions = store.conn_sessions(conn).map(|session| {
        let ends = session.ends.0.map(|end| {
            let (seqnum, wndw) = (end.last_seqnum, end.last_wndw);
            format!("{:?} {seqnum:?} {wndw:?}", end.counts)
        });
        format!("{} {ends:?} {} left", session.sid, session.outstanding)
    });
    let requests = store.conn_requests(conn).map(|request| {
        let text = store.text(request.text);
        format!("{text} {:?} {}", request.end, request.answer_bytes)
    });
    let findings = store.conn_findings(conn).map(|finding| {
        let outcomes = finding.conditions.iter().map(|c| (c.id.clone(), c.outcome));
        let outcomes: Vec<_> = outcomes.collect();
        format!("{} {:?} {outcomes:?}", finding.rule, finding.verdict)
    });
    sessions.chain(requests).chain(findings).collect()
}

fn facts_of(frames: &[(Nanos, Vec<u8>)]) -> Vec<String> {
    facts(&Capture::from_bytes("wrapped", pcap(frames)).unwrap())
}

/// An outer IPv4 packet of a protocol around bytes.
fn around(protocol: u8, bytes: &[u8]) -> Vec<u8> {
    let len = u16::try_from(20 + bytes.len()).unwrap().to_be_bytes();
    let mut packet = vec![0x45, 0, len[0], len[1], 0, 1, 0, 0, 64, protocol, 0, 0];
    packet.extend([192, 168, 0, 1, 192, 168, 0, 2]);
    let sum = checksum(&packet);
    packet[10..12].copy_from_slice(&sum);
    packet.extend(bytes);
    packet
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> [u8; 2] {
    let mut sum = bytes.chunks(2).fold(0_u32, |sum, pair| {
        sum + u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]))
    });
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!u16::try_from(sum).unwrap()).to_be_bytes()
}

/// Ethernet, header and packet of an untagged IPv4 frame.
fn parts(frame: &[u8]) -> (&[u8], &[u8]) {
    assert_eq!(frame[12..14], [8, 0]);
    let len = usize::from(u16::from_be_bytes([frame[16], frame[17]]));
    (&frame[..12], &frame[14..14 + len])
}

/// A UDP datagram without checksum.
fn udp(port: u16, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let mut datagram = vec![4, 210];
    datagram.extend(port.to_be_bytes());
    datagram.extend(u16::try_from(8 + body.len()).unwrap().to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(body);
    datagram
}

/// The same TCP segment between addresses of IPv6, with the checksum that it has there.
fn as_ipv6(ip: &[u8]) -> Vec<u8> {
    let (header, segment) = ip.split_at(usize::from(ip[0] & 15) * 4);
    let len = u16::try_from(segment.len()).unwrap().to_be_bytes();
    let mut packet = vec![0x60, 0, 0, 0, len[0], len[1], 6, header[8]];
    for address in [&header[12..16], &header[16..20]] {
        packet.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        packet.extend(address);
    }
    let mut pseudo = [&packet[8..40], &[0, 0, len[0], len[1], 0, 0, 0, 6], segment].concat();
    pseudo[40 + 16..40 + 18].fill(0);
    let sum = checksum(&pseudo);
    let mut segment = segment.to_vec();
    segment[16..18].copy_from_slice(&sum);
    packet.extend(segment);
    packet
}

/// Every wrapping around the connection's own addresses.
pub const WRAPPINGS: &[&str] = &[
    "IP in IP",
    "IP in IPv6",
    "GRE",
    "GRE with Ethernet",
    "VXLAN",
    "VXLAN on the old port",
    "VXLAN in GRE",
    "Geneve",
    "ERSPAN",
    "ERSPAN II",
    "QinQ",
    "no length",
];

pub fn wrap(frame: &[u8], how: &str) -> Vec<u8> {
    let (addresses, ip) = parts(frame);
    let (ether_type, packet) = match how {
        "IP in IP" => (&[8, 0][..], around(4, ip)),
        "GRE" => (&[8, 0][..], around(47, &[&[0, 0, 8, 0], ip].concat())),
        "IP in IPv6" => {
            let len = u16::try_from(ip.len()).unwrap().to_be_bytes();
            let mut packet = vec![0x60, 0, 0, 0, len[0], len[1], 4, 64];
            packet.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
            packet.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
            (&[0x86, 0xdd][..], [&packet, ip].concat())
        }
        // With a checksum, a key and a sequence number.
        "GRE with Ethernet" => {
            let gre = [0xb0, 0, 0x65, 0x58, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2];
            (&[8, 0][..], around(47, &[&gre, frame].concat()))
        }
        "VXLAN" => {
            let vxlan = [8, 0, 0, 0, 0, 0, 42, 0];
            (&[8, 0][..], around(17, &udp(4789, &[&vxlan, frame])))
        }
        "VXLAN on the old port" => {
            let vxlan = [8, 0, 0, 0, 0, 0, 42, 0];
            (&[8, 0][..], around(17, &udp(8472, &[&vxlan, frame])))
        }
        // With eight bytes of options.
        "Geneve" => {
            let geneve = [2, 0, 0x65, 0x58, 0, 0, 42, 0];
            let options = [1, 1, 7, 1, 0xde, 0xad, 0xbe, 0xef];
            (
                &[8, 0][..],
                around(17, &udp(6081, &[&geneve, &options, frame])),
            )
        }
        "ERSPAN" => {
            let gre = [0, 0, 0x88, 0xbe];
            (&[8, 0][..], around(47, &[&gre, frame].concat()))
        }
        "ERSPAN II" => {
            let gre = [0x10, 0, 0x88, 0xbe, 0, 0, 0, 9];
            let erspan = [0x10, 7, 0, 1, 0, 0, 0, 3];
            (
                &[8, 0][..],
                around(47, &[&gre, &erspan[..], frame].concat()),
            )
        }
        "VXLAN in GRE" => {
            let inner = wrap(frame, "VXLAN");
            (
                &[8, 0][..],
                around(47, &[&[0, 0, 8, 0], parts(&inner).1].concat()),
            )
        }
        "IPv6" => (&[0x86, 0xdd][..], as_ipv6(ip)),
        "6in4" => (&[8, 0][..], around(41, &as_ipv6(ip))),
        "QinQ" => (&[0x88, 0xa8, 0, 7, 0x81, 0, 0, 8, 8, 0][..], ip.to_vec()),
        "no length" => {
            let mut packet = [&ip[..2], &[0, 0], &ip[4..10], &[0, 0], &ip[12..]].concat();
            let sum = checksum(&packet[..usize::from(ip[0] & 15) * 4]);
            packet[10..12].copy_from_slice(&sum);
            (&[8, 0][..], packet)
        }
        other => panic!("{other}"),
    };
    [addresses, ether_type, &packet].concat()
}

#[test]
fn tunnels_tags_and_offload_change_nothing() {
    let frames = original();
    let expected = facts_of(&frames);
    assert!(
        expected
            .iter()
            .any(|fact| fact.contains("mars-close-rst Benign"))
    );
    let wrapped = |how: &str| -> Vec<_> {
        let wrapped = frames.iter().map(|(time, frame)| (*time, wrap(frame, how)));
        wrapped.collect()
    };
    for how in WRAPPINGS {
        assert_eq!(facts_of(&wrapped(how)), expected, "{how}");
    }
    assert_eq!(facts_of(&wrapped("6in4")), facts_of(&wrapped("IPv6")));
}

/// Packets with more than a few bytes in three fragments each.
pub fn fragments(frames: &[(Nanos, Vec<u8>)]) -> Vec<(Nanos, Vec<u8>)> {
    fragmented(frames, 0).concat()
}

/// As [`fragments`], packet by packet; each part but the last also holds the first `more` bytes of the next.
fn fragmented(frames: &[(Nanos, Vec<u8>)], more: usize) -> Vec<Vec<(Nanos, Vec<u8>)>> {
    let mut packets = Vec::new();
    for (n, (time, frame)) in frames.iter().enumerate() {
        let (addresses, ip) = parts(frame);
        let (header, carried) = ip.split_at(usize::from(ip[0] & 15) * 4);
        if carried.len() <= 64 {
            packets.push(vec![(*time, frame.clone())]);
            continue;
        }
        let step = (carried.len() / 3).next_multiple_of(8);
        let mut pieces = Vec::new();
        for start in (0..carried.len()).step_by(step) {
            let end = carried.len().min(start + step + more);
            let piece = &carried[start..end];
            let mut header = header.to_vec();
            let len = u16::try_from(header.len() + piece.len()).unwrap();
            header[2..4].copy_from_slice(&len.to_be_bytes());
            header[4..6].copy_from_slice(&u16::try_from(n % 60_000).unwrap().to_be_bytes());
            let follows = if end < carried.len() { 0x2000 } else { 0 };
            let place = u16::try_from(start / 8).unwrap() | follows;
            header[6..8].copy_from_slice(&place.to_be_bytes());
            header[10..12].fill(0);
            let sum = checksum(&header);
            header[10..12].copy_from_slice(&sum);
            pieces.push((*time, [addresses, &[8, 0], &header, piece].concat()));
        }
        packets.push(pieces);
    }
    packets
}

#[test]
fn packets_in_fragments_change_nothing() {
    let frames = original();
    let pieces = fragments(&frames);
    assert!(pieces.len() > frames.len() + 100);
    assert_eq!(facts_of(&pieces), facts_of(&frames));
}

/// A frame that has nothing to do with anything.
fn noise() -> Vec<u8> {
    let udp = [0x30, 0x39, 0x30, 0x39, 0, 0, 0, 0];
    let packet = around(17, &[&udp[..], &[7; 1200]].concat());
    [&[2; 12], &[8, 0][..], &packet].concat()
}

#[test]
fn fragments_come_in_any_order_and_may_overlap() {
    let frames = original();
    let expected = facts_of(&frames);
    let mut random = 7_u32;
    for (overlap, order) in [
        (0, "last first"),
        (0, "mixed"),
        (16, "as sent"),
        (16, "last first"),
    ] {
        let mut packets = fragmented(&frames, overlap);
        for pieces in &mut packets {
            match order {
                "last first" => pieces.reverse(),
                "mixed" => pieces.sort_by_key(|_| {
                    random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    random >> 16
                }),
                _ => {}
            }
        }
        assert_eq!(facts_of(&packets.concat()), expected, "{order}, {overlap}");
    }
}

#[test]
fn a_first_fragment_is_found_across_stretches_of_the_file_but_not_beyond_all_bounds() {
    let frames = original();
    let expected = facts_of(&frames);
    let apart = |noise_between: usize| -> Vec<(Nanos, Vec<u8>)> {
        let mut all = Vec::new();
        for mut pieces in fragmented(&frames, 0) {
            let first = pieces.remove(0);
            all.extend(pieces);
            all.extend(vec![(first.0, noise()); noise_between]);
            all.push(first);
        }
        all
    };
    assert_eq!(facts_of(&apart(40)), expected);
    // A first part that comes too late, or not at all, leaves the others without a place; nothing is made up.
    for lost in [
        apart(200),
        fragmented(&frames, 0)
            .into_iter()
            .flat_map(|pieces| pieces.into_iter().skip(1))
            .collect(),
    ] {
        let mut store = track::load(&Capture::from_bytes("lost", pcap(&lost)).unwrap());
        rules::judge(&mut store, &Settings::default());
        let without_place = store.frames_from(FrameNo(1));
        let without_place = without_place.filter(|(_, row)| row.flags.has(FrameFlags::FRAGMENT));
        assert!(without_place.count() > 100);
        assert_eq!(store.frame_count(), lost.len());
        let benign = |store: &Store| {
            let findings = store.findings().iter();
            findings.filter(|f| f.verdict == Verdict::Benign).count()
        };
        assert_eq!(benign(&store), 0);
    }
}

#[test]
fn compression_and_splitting_into_files_change_nothing() {
    let frames = original();
    let expected = facts_of(&frames);
    let folder = tempfile::tempdir().unwrap();
    let packed = folder.path().join("packed");
    let mut gzip = flate2::write::GzEncoder::new(
        std::fs::File::create(&packed).unwrap(),
        flate2::Compression::fast(),
    );
    gzip.write_all(&pcap(&frames)).unwrap();
    gzip.finish().unwrap();
    let capture = Capture::open(&[packed], &OpenOptions::default()).unwrap();
    assert_eq!(facts(&capture), expected);
    let mut ring = Vec::new();
    for (i, some) in frames.chunks(frames.len() / 4).enumerate() {
        let path = folder.path().join(format!("ring{i}"));
        std::fs::write(&path, pcap(some)).unwrap();
        ring.insert(0, path);
    }
    let capture = Capture::open(&ring, &OpenOptions::default()).unwrap();
    assert_eq!(facts(&capture), expected);
}
