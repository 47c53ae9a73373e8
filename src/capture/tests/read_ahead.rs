//! Reading with bytes that were read before they were due: whatever they are, the frames are the same.

use super::*;
use crate::capture::{ChunkReader, ReadAhead};

/// What one of two threads has read ahead for its next turn.
#[derive(Debug, Clone, Copy)]
enum Hand {
    /// What follows the other's stretch.
    Right,
    /// Nothing.
    Nothing,
    /// Something else.
    Wrong,
    /// It was to be read, and is not.
    Unread,
}

fn ahead(reader: &ChunkReader, capture: &Capture, hand: Hand) -> Option<ReadAhead> {
    let mut ahead = match hand {
        Hand::Nothing => None,
        Hand::Right | Hand::Unread => reader.ahead(1),
        Hand::Wrong => reader.ahead(2),
    }?;
    if !matches!(hand, Hand::Unread) {
        ahead.read(capture);
    }
    Some(ahead)
}

/// Reads with two threads' stretches in turn, of `size` bytes.
fn read_in_turns(capture: &Capture, size: usize, hands: &[Hand]) -> (All, usize) {
    let mut all = All::default();
    let mut reader = capture.chunks();
    reader.ahead_size = size;
    let mut waiting = [None, None];
    let mut hands = hands.iter().copied().cycle();
    let mut chunks = 0;
    loop {
        let Some(chunk) = reader.next_chunk_of(waiting[chunks % 2].take()) else {
            return (all, chunks);
        };
        waiting[chunks % 2] = ahead(&reader, capture, hands.next().unwrap());
        chunks += 1;
        take(&mut all, chunk);
    }
}

fn assert_alike(capture: &Capture, size: usize, hands: &[Hand]) -> usize {
    let plain = read(capture);
    let (turns, chunks) = read_in_turns(capture, size, hands);
    assert!(turns.frames == plain.frames, "frames differ");
    assert_eq!(turns.problems, plain.problems);
    assert_eq!(turns.interfaces, plain.interfaces);
    chunks
}

/// Some 3 MB, with a few records that are longer than what fits in front of a stretch.
fn mixed() -> Vec<(i64, Vec<u8>)> {
    let mut frames = frames(30_000);
    for (i, len) in [
        (20, 100_000),
        (12_000, 250_000),
        (12_001, 262_000),
        (28_000, 70_000),
    ] {
        frames[i].1 = vec![7; len];
    }
    frames
}

#[test]
fn bytes_read_ahead_are_cut_into_the_same_frames() {
    for bytes in [pcap(&mixed()), pcapng(&mixed())] {
        let capture = Capture::from_bytes("test", bytes).unwrap();
        assert_same(&read(&capture), &mixed());
        let chunks = assert_alike(&capture, 10_000, &[Hand::Right]);
        assert!(chunks > 60, "{chunks} chunks: nothing was read ahead");
        assert_alike(&capture, 3_000_000, &[Hand::Right]);
        assert_alike(&capture, 300_000, &[Hand::Right]);
    }
}

#[test]
fn several_files_are_read_on_into_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let all = mixed();
    let paths: Vec<PathBuf> = [(0, &all[..15_000]), (1, &all[15_000..])]
        .into_iter()
        .map(|(i, part)| {
            let path = folder.path().join(format!("{i}.pcap"));
            std::fs::write(&path, pcap(part)).unwrap();
            path
        })
        .collect();
    let capture = Capture::open(&paths, &OpenOptions::default()).unwrap();
    let chunks = assert_alike(&capture, 10_000, &[Hand::Right]);
    assert!(chunks > 60, "{chunks} chunks: nothing was read ahead");
    let twice = [paths[0].clone(), paths[0].clone()];
    let merged = Capture::open(&twice, &OpenOptions::default()).unwrap();
    assert_alike(&merged, 10_000, &[Hand::Right]);
}

/// What cannot be read is met again by the reader, and said.
#[test]
fn a_file_that_is_cut_short_meanwhile_is_said_to_be() {
    let (_folder, path) = temporary("short.pcap", &pcap(&mixed()));
    let capture = Capture::open(std::slice::from_ref(&path), &OpenOptions::default()).unwrap();
    let mut reader = capture.chunks();
    reader.ahead_size = 10_000;
    let mut all = All::default();
    take(&mut all, reader.next_chunk().unwrap());
    let mut next = reader.ahead(0).unwrap();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_len(300_000).unwrap();
    next.read(&capture);
    let mut next = Some(next);
    while let Some(chunk) = reader.next_chunk_of(next.take()) {
        take(&mut all, chunk);
        next = reader.ahead(0);
    }
    let said: Vec<&str> = all.problems.iter().map(|p| p.2.as_str()).collect();
    assert!(
        said.iter().any(|what| what.contains("became shorter")),
        "{said:?}"
    );
}

fn hand() -> impl Strategy<Value = Hand> {
    prop_oneof![
        6 => Just(Hand::Right),
        1 => Just(Hand::Nothing),
        1 => Just(Hand::Wrong),
        1 => Just(Hand::Unread),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn damage_is_named_alike_whoever_reads(
        pcapng in proptest::bool::ANY,
        damage in proptest::collection::vec((260_000_usize..3_000_000, 1_usize..400), 0..5),
        cut in 0_usize..200,
        size in prop_oneof![500_usize..5000, 5000_usize..500_000],
        hands in proptest::collection::vec(hand(), 1..9),
    ) {
        let mut bytes = if pcapng { super::pcapng(&mixed()) } else { pcap(&mixed()) };
        for (at, len) in damage {
            if let Some(part) = bytes.get_mut(at..at + len) {
                part.fill(0xee);
            }
        }
        bytes.truncate(bytes.len() - cut);
        let capture = Capture::from_bytes("test", bytes).unwrap();
        assert_alike(&capture, size, &hands);
    }
}
