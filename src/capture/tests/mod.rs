//! Reading as a whole: damage, cuts, streams, growth and several files, on captures made here.

mod damage;
mod netmon;
mod streams;

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;

use super::write::{Frame, InterfaceSpec, PcapShape, PcapWriter, PcapngWriter};
use super::{Capture, Chunk, FrameSource, OpenError, OpenOptions};
use crate::units::Nanos;

const SECOND: i64 = 1_000_000_000;
const ETHERNET: InterfaceSpec<'_> = InterfaceSpec {
    link_type: 1,
    snap_len: 262_144,
    ticks_per_second: 1_000_000_000,
    name: Some("eth0"),
};

/// A frame as it comes out of reading.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Read {
    time: i64,
    wire: u32,
    interface: u32,
    bytes: Vec<u8>,
}

#[derive(Debug, Default)]
struct All {
    frames: Vec<Read>,
    interfaces: Vec<super::Interface>,
    problems: Vec<(u64, usize, String)>,
}

fn take(all: &mut All, chunk: Chunk) {
    for problem in &chunk.problems {
        let before = all.frames.len() + problem.records_before;
        all.problems
            .push((problem.offset.0, before, problem.what.clone()));
    }
    for record in &chunk.records {
        all.frames.push(Read {
            time: record.time.0,
            wire: record.wire,
            interface: record.interface.0,
            bytes: chunk.bytes(record).to_vec(),
        });
    }
    all.interfaces.extend(chunk.interfaces);
}

fn read(capture: &Capture) -> All {
    let mut all = All::default();
    let mut reader = capture.chunks();
    while let Some(chunk) = reader.next_chunk() {
        for record in &chunk.records {
            let mut again = Vec::new();
            capture
                .read_frame(record.interface, record.offset, record.captured, &mut again)
                .unwrap();
            assert_eq!(again, chunk.bytes(record));
        }
        take(&mut all, chunk);
    }
    all
}

fn read_bytes(bytes: Vec<u8>) -> All {
    read(&Capture::from_bytes("test", bytes).unwrap())
}

/// Frames whose bytes tell their number, one millisecond apart.
fn frames(count: usize) -> Vec<(i64, Vec<u8>)> {
    frames_from(0, count)
}

fn frames_from(first: usize, count: usize) -> Vec<(i64, Vec<u8>)> {
    (first..first + count)
        .map(|i| {
            let fill = u8::try_from(i % 251).unwrap();
            let time = 1_700_000_000 * SECOND + i64::try_from(i).unwrap() * 1_000_000;
            (time, vec![fill; 60 + i % 7])
        })
        .collect()
}

fn pcap(frames: &[(i64, Vec<u8>)]) -> Vec<u8> {
    let shape = PcapShape::of([ETHERNET]).unwrap();
    let mut writer = PcapWriter::new(Vec::new(), shape).unwrap();
    for (time, bytes) in frames {
        writer.frame(&frame(*time, bytes)).unwrap();
    }
    writer.finish()
}

fn pcapng(frames: &[(i64, Vec<u8>)]) -> Vec<u8> {
    let mut writer = PcapngWriter::new(Vec::new(), Some("test")).unwrap();
    let interface = writer.interface(&ETHERNET).unwrap();
    for (time, bytes) in frames {
        writer.frame(interface, &frame(*time, bytes), []).unwrap();
    }
    writer.finish()
}

fn frame(time: i64, bytes: &[u8]) -> Frame<'_> {
    Frame {
        time: Nanos(time),
        wire: u32::try_from(bytes.len()).unwrap(),
        bytes,
    }
}

fn assert_same(all: &All, expected: &[(i64, Vec<u8>)]) {
    assert_eq!(all.frames.len(), expected.len(), "{:?}", all.problems);
    for (frame, (time, bytes)) in all.frames.iter().zip(expected) {
        assert_eq!((frame.time, &frame.bytes), (*time, bytes));
    }
}

fn temporary(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn open(paths: &[PathBuf]) -> Capture {
    Capture::open(paths, &OpenOptions::default()).unwrap()
}

/// Positions behind each frame's record.
fn all_ends(whole: &[u8]) -> Vec<usize> {
    let capture = Capture::from_bytes("whole", whole.to_vec()).unwrap();
    let mut reader = capture.chunks();
    let mut ends = Vec::new();
    while let Some(chunk) = reader.next_chunk() {
        for record in &chunk.records {
            let end = usize::try_from(record.offset.0 + u64::from(record.captured)).unwrap();
            // In pcapng, padding and the second length follow.
            let behind = if whole[0] == 0x0a {
                end.next_multiple_of(4) + 4
            } else {
                end
            };
            ends.push(behind);
        }
    }
    ends
}

#[test]
fn comments_on_frames_are_read_back() {
    let mut writer = PcapngWriter::new(Vec::new(), None).unwrap();
    writer.interface(&ETHERNET).unwrap();
    for comments in [&["first", "zweiter, länger"][..], &[], &["x"]] {
        let frame = frame(SECOND, &[1, 2, 3, 4, 5]);
        let comments = comments.iter().copied();
        writer.frame(0, &frame, comments).unwrap();
    }
    let capture = Capture::from_bytes("test", writer.finish()).unwrap();
    let chunk = capture.chunks().next_chunk().unwrap();
    let comments = chunk.records.iter().map(|record| {
        capture
            .comments(record.interface, record.offset, record.captured)
            .unwrap()
    });
    let expected = [vec!["first", "zweiter, länger"], vec![], vec!["x"]];
    assert_eq!(comments.collect::<Vec<_>>(), expected);
}

#[test]
fn frames_without_bytes_are_frames() {
    let expected = vec![(SECOND, vec![]), (2 * SECOND, vec![1]), (SECOND, vec![])];
    for make in [pcap, pcapng] {
        let all = read_bytes(make(&expected));
        assert_same(&all, &expected);
        assert!(all.problems.is_empty());
    }
}

#[test]
fn a_record_longer_than_a_stretch_is_read_whole() {
    let mut expected = frames(3);
    expected.insert(1, (1_700_000_000 * SECOND, vec![7; 1_500_000]));
    let all = read_bytes(pcapng(&expected));
    assert_same(&all, &expected);
}

#[test]
fn compressed_captures_are_read_and_their_damage_is_told() {
    let expected = frames(5000);
    let plain = pcap(&expected);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain[..1000]).unwrap();
    let mut members = gzip.finish().unwrap();
    let mut gzip = flate2::write::GzEncoder::new(members.split_off(0), flate2::Compression::fast());
    gzip.write_all(&plain[1000..]).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(plain.as_slice(), 1).unwrap();
    let blocks = lz4_flex::frame::FrameInfo::new().block_size(lz4_flex::frame::BlockSize::Max64KB);
    let mut lz4 = lz4_flex::frame::FrameEncoder::with_frame_info(blocks, Vec::new());
    lz4.write_all(&plain).unwrap();
    let lz4 = lz4.finish().unwrap();
    for (packed, name) in [
        (gzip, "pcap, gzip"),
        (zstd, "pcap, zstd"),
        (lz4, "pcap, lz4"),
    ] {
        let (_folder, path) = temporary("packed", &packed);
        let capture = open(std::slice::from_ref(&path));
        assert_eq!(capture.files()[0].format(), name);
        assert_same(&read(&capture), &expected);
        std::fs::write(&path, &packed[..packed.len() / 2]).unwrap();
        let all = read(&open(&[path]));
        assert!(all.frames.len() < expected.len());
        let last = &all.problems.last().unwrap().2;
        assert!(
            last.contains("cannot be unpacked"),
            "{name}: {:?}",
            all.problems
        );
    }
}

#[test]
fn ring_buffer_files_are_chained_by_their_first_frames() {
    let folder = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    for (name, first) in [("c", 2000), ("a", 0), ("b", 1000)] {
        let path = folder.path().join(name);
        std::fs::write(&path, pcap(&frames_from(first, 1000))).unwrap();
        paths.push(path);
    }
    let capture = open(&paths);
    let names = capture
        .files()
        .iter()
        .map(|file| file.path().file_name().unwrap());
    assert_eq!(names.collect::<Vec<_>>(), ["a", "b", "c"]);
    let all = read(&capture);
    assert_same(&all, &frames(3000));
    assert_eq!(all.frames[1500].interface, 1);
    assert_eq!(
        all.interfaces.iter().map(|i| i.file).collect::<Vec<_>>(),
        [0, 1, 2]
    );
}

#[test]
fn files_that_overlap_are_merged_by_time_and_know_where_they_come_from() {
    let expected = frames(9000);
    let odd: Vec<_> = expected.iter().skip(1).step_by(2).cloned().collect();
    let even: Vec<_> = expected.iter().step_by(2).take(2000).cloned().collect();
    let folder = tempfile::tempdir().unwrap();
    let paths = ["odd", "even"].map(|name| folder.path().join(name));
    std::fs::write(&paths[0], pcapng(&odd)).unwrap();
    std::fs::write(&paths[1], pcap(&even)).unwrap();
    let all = read(&open(&paths));
    let mut merged = [odd, even].concat();
    merged.sort_by_key(|(time, _)| *time);
    assert_same(&all, &merged);
    assert!(all.problems.is_empty());
    assert_eq!(all.frames[0].interface, 0);
    assert_eq!(all.frames[1].interface, 1);
    assert_eq!(all.frames[0].bytes, frames(1)[0].1);
}

#[test]
fn what_is_no_capture_is_told_apart() {
    let (folder, path) = temporary("x", b"just a text, nothing more");
    let error = |path: &PathBuf| {
        Capture::open(std::slice::from_ref(path), &OpenOptions::default()).unwrap_err()
    };
    assert!(matches!(error(&path), OpenError::NotACapture(..)));
    std::fs::write(&path, b"").unwrap();
    assert!(matches!(error(&path), OpenError::Empty(_)));
    std::fs::write(&path, &pcap(&[])[..20]).unwrap();
    assert!(error(&path).to_string().contains("20 of 24 bytes"));
    assert!(matches!(
        error(&folder.path().to_owned()),
        OpenError::Folder(_)
    ));
    let missing = folder.path().join("y");
    assert!(matches!(error(&missing), OpenError::Missing(_)));
    assert!(
        error(&missing)
            .to_string()
            .starts_with(missing.to_str().unwrap())
    );
    assert!(matches!(
        Capture::open(&[], &OpenOptions::default()),
        Err(OpenError::Nothing)
    ));
}

#[test]
fn an_open_file_is_known_under_its_other_names() {
    let (folder, path) = temporary("one", &pcap(&frames(1)));
    let link = folder.path().join("two");
    std::fs::hard_link(&path, &link).unwrap();
    let capture = open(std::slice::from_ref(&path));
    assert!(capture.is_input(&link));
    assert!(!capture.is_input(&folder.path().join("three")));
}

/// Big- and little-endian bytes of pcap variants that the writer does not make.
#[test]
fn all_kinds_of_pcap_are_read() {
    for (magic, nanos, extra) in [
        (0xa1b2_c3d4_u32, 500_000, 0),
        (0xa1b2_3c4d, 500, 0),
        (0xa1b2_cd34, 500_000, 8),
    ] {
        for big in [false, true] {
            let word = |n: u32| {
                if big {
                    n.to_be_bytes()
                } else {
                    n.to_le_bytes()
                }
            };
            let mut bytes = Vec::new();
            for field in [magic, 0, 0, 0, 65535, 1] {
                bytes.extend(word(field));
            }
            for _ in 0..2 {
                for field in [10, 500, 3, 60] {
                    bytes.extend(word(field));
                }
                bytes.extend(vec![0; extra]);
                bytes.extend([1, 2, 3]);
            }
            let all = read_bytes(bytes);
            assert_eq!(all.frames.len(), 2);
            let read = &all.frames[1];
            assert_eq!((read.time, read.wire), (10 * SECOND + nanos, 60));
            assert_eq!(read.bytes, [1, 2, 3]);
        }
    }
}

#[test]
fn time_resolutions_and_offsets_become_nanoseconds() {
    for (resolution, ticks, nanos) in [
        (0_u8, 7_u64, 7 * SECOND),
        (3, 7_001, 7_001_000_000),
        (9, 7, 7),
        (12, 7_999, 7),
        (0x8a, 1536, 1_500_000_000),
        (0x9e, 1 << 29, 500_000_000),
    ] {
        let mut bytes = PcapngWriter::new(Vec::new(), None).unwrap().finish();
        let mut block = vec![1, 0, 0, 0, 44, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
        block.extend([9, 0, 1, 0, resolution, 0, 0, 0]);
        block.extend([14, 0, 8, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        block.extend([44, 0, 0, 0]);
        bytes.extend(block);
        let high = u32::try_from(ticks >> 32).unwrap();
        let low = u32::try_from(ticks & 0xffff_ffff).unwrap();
        for field in [6, 36, 0, high, low, 4, 4, 0x0403_0201, 36] {
            bytes.extend(field.to_le_bytes());
        }
        let all = read_bytes(bytes);
        assert_eq!(all.problems, []);
        assert_eq!(all.frames[0].time, nanos + 5 * SECOND, "{resolution:#x}");
        assert_eq!(all.frames[0].bytes, [1, 2, 3, 4]);
    }
}

fn any_frames() -> impl Strategy<Value = Vec<(i64, u32, Vec<u8>)>> {
    let time = 0..4_294_967_295_999_999_999_i64;
    let one = (
        time,
        0..2000_u32,
        proptest::collection::vec(any::<u8>(), 0..300),
    );
    proptest::collection::vec(one, 0..20)
}

proptest! {
    #[test]
    fn what_is_written_as_pcapng_is_read_back(frames in any_frames(), micro in any::<bool>(), comment in ".*") {
        let mut writer = PcapngWriter::new(Vec::new(), Some(&comment)).unwrap();
        let ticks = if micro { 1_000_000 } else { 1_000_000_000 };
        let spec = InterfaceSpec { ticks_per_second: ticks, link_type: 113, ..ETHERNET };
        writer.interface(&ETHERNET).unwrap();
        let interface = writer.interface(&spec).unwrap();
        for (time, cut, bytes) in &frames {
            let wire = u32::try_from(bytes.len()).unwrap() + cut;
            let frame = Frame { time: Nanos(*time), wire, bytes };
            writer.frame(interface, &frame, [comment.as_str(), "x"]).unwrap();
        }
        let all = read_bytes(writer.finish());
        prop_assert_eq!(&all.problems, &[]);
        prop_assert_eq!(all.interfaces[1].link_type, 113);
        prop_assert_eq!(all.interfaces[1].ticks_per_second, ticks);
        prop_assert_eq!(all.interfaces[1].name.as_deref(), Some("eth0"));
        prop_assert_eq!(all.frames.len(), frames.len());
        for (read, (time, cut, bytes)) in all.frames.iter().zip(&frames) {
            let time = if micro { time / 1000 * 1000 } else { *time };
            prop_assert_eq!(read.time, time);
            prop_assert_eq!(&read.bytes, bytes);
            prop_assert_eq!(read.wire, u32::try_from(bytes.len()).unwrap() + cut);
            prop_assert_eq!(read.interface, 1);
        }
    }

    #[test]
    fn whatever_bytes_come_reading_ends_and_stays_within_them(
        frames in any_frames(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..30),
        ng in any::<bool>(),
    ) {
        let plain: Vec<_> = frames.into_iter().map(|(time, _, bytes)| (time, bytes)).collect();
        let mut bytes = if ng { pcapng(&plain) } else { pcap(&plain) };
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(capture) = Capture::from_bytes("damaged", bytes) {
            read(&capture);
        }
    }
}
