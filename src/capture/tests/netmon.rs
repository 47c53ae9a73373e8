//! Network Monitor files, made here: versions, events with frames inside, cut and damaged files.

use super::*;

/// FILETIME of 2023-11-14 22:13:20 UTC, which is 1 700 000 000 seconds after 1970.
const FILETIME: u64 = 116_444_736_000_000_000 + 17_000_000_000_000_000;
const EVENT: u16 = 0xffe0;

struct Record {
    media: u16,
    wire: u32,
    bytes: Vec<u8>,
}

fn record(media: u16, bytes: Vec<u8>) -> Record {
    Record {
        media,
        wire: u32::try_from(bytes.len()).unwrap(),
        bytes,
    }
}

/// A file of version 2; its frames stand one millisecond apart.
fn netmon(minor: u8, records: &[Record]) -> Vec<u8> {
    let mut file = vec![0; if minor < 3 { 128 } else { 72 }];
    file[..8].copy_from_slice(&[b'G', b'M', b'B', b'U', minor, 2, 1, 0]);
    for (i, field) in [2023_u16, 11, 2, 14, 22, 13, 20, 0].into_iter().enumerate() {
        file[8 + 2 * i..10 + 2 * i].copy_from_slice(&field.to_le_bytes());
    }
    let mut table = Vec::new();
    for (i, record) in records.iter().enumerate() {
        let micros = u64::try_from(i).unwrap() * 1000;
        table.extend(u32::try_from(file.len()).unwrap().to_le_bytes());
        file.extend(micros.to_le_bytes());
        file.extend(record.wire.to_le_bytes());
        file.extend(u32::try_from(record.bytes.len()).unwrap().to_le_bytes());
        file.extend(&record.bytes);
        if minor > 0 {
            file.extend(record.media.to_le_bytes());
        }
        if minor > 1 {
            file.extend(u32::MAX.to_le_bytes());
        }
        if minor > 2 {
            file.extend((FILETIME + micros * 10).to_le_bytes());
            file.push(0);
        }
    }
    let at = u32::try_from(file.len()).unwrap();
    file[24..28].copy_from_slice(&at.to_le_bytes());
    let len = u32::try_from(table.len()).unwrap();
    file[28..32].copy_from_slice(&len.to_le_bytes());
    file.extend(table);
    file
}

fn ethernet(count: usize) -> Vec<Record> {
    let frames = frames(count).into_iter();
    frames.map(|(_, bytes)| record(1, bytes)).collect()
}

/// An event of the packet capture driver.
fn event(id: u16, keyword: u64, user: &[u8]) -> Vec<u8> {
    let mut event = vec![0; 80];
    event[24..40].copy_from_slice(&[
        0x6e, 0x00, 0xd6, 0x2e, 0x29, 0x47, 0x09, 0x46, 0xb4, 0x23, 0x3e, 0xe7, 0xbc, 0xd6, 0x78,
        0xef,
    ]);
    event[40..42].copy_from_slice(&id.to_le_bytes());
    event[48..56].copy_from_slice(&keyword.to_le_bytes());
    event.extend([0, 0, 0, 0, 0, 0]);
    event.extend(u16::try_from(user.len()).unwrap().to_le_bytes());
    event.push(0);
    event.extend(user);
    event
}

fn fragment(adapter: u32, frame: &[u8]) -> Vec<u8> {
    let mut user = 13_u32.to_le_bytes().to_vec();
    user.extend(adapter.to_le_bytes());
    user.extend(u32::try_from(frame.len()).unwrap().to_le_bytes());
    user.extend(frame);
    user
}

#[test]
fn all_versions_are_read_with_the_same_frames_and_times() {
    let expected = frames(300);
    for minor in 0..4 {
        let all = read_bytes(netmon(minor, &ethernet(300)));
        assert!(all.problems.is_empty(), "2.{minor}: {:?}", all.problems);
        assert_same(&all, &expected);
        assert_eq!(all.interfaces.len(), 1);
        assert_eq!(all.interfaces[0].link_type, 1);
    }
}

/// Frames are found through a table, and stretches are read again: still no more is read than there is.
#[test]
fn no_more_bytes_are_done_than_the_file_has() {
    let bytes = netmon(3, &ethernet(9000));
    let size = u64::try_from(bytes.len()).unwrap();
    assert!(size > 600_000);
    let capture = Capture::from_bytes("test.cap", bytes).unwrap();
    let mut reader = capture.chunks();
    let mut done = 0;
    while let Some(chunk) = reader.next_chunk() {
        assert!(chunk.bytes_done >= done, "it goes back");
        assert_eq!(chunk.bytes_total, size);
        done = chunk.bytes_done;
    }
    assert_eq!(done, size);
}

#[test]
fn frames_are_taken_out_of_the_events_that_hold_them() {
    const WHOLE: u64 = 0xc000_0001;
    let frame = [7; 60];
    let mut switch = [0; 12].to_vec();
    for name in ["port", "", "nic"] {
        switch.extend(name.encode_utf16().chain([0]).flat_map(u16::to_le_bytes));
    }
    switch.extend([0; 4]);
    switch.extend(60_u32.to_le_bytes());
    switch.extend(frame);
    switch.extend([0; 4]);
    let records = [
        record(EVENT, event(1001, WHOLE, &fragment(5, &frame))),
        record(EVENT, event(1001, WHOLE, &fragment(6, &frame))),
        record(EVENT, event(1003, WHOLE, &switch)),
        // The end of a frame in two events, an event of another kind, and one cut short.
        record(EVENT, event(1001, 0x8000_0001, &fragment(5, &frame))),
        record(EVENT, event(1002, WHOLE, &fragment(5, &frame))),
        record(
            EVENT,
            event(1001, WHOLE, &fragment(5, &frame))[..50].to_vec(),
        ),
        // Raw IP of a mobile network adapter.
        record(EVENT, event(1001, 0x4000_0200, &fragment(5, &frame))),
    ];
    let all = read_bytes(netmon(3, &records));
    assert!(all.problems.is_empty());
    let link = |i: usize| {
        let interface = usize::try_from(all.frames[i].interface).unwrap();
        all.interfaces[interface].link_type
    };
    let links: Vec<_> = (0..records.len()).map(link).collect();
    assert_eq!(links, [1, 1, 1, 162, 162, 162, 101]);
    for i in [0, 1, 2, 6] {
        assert_eq!(
            (&all.frames[i].bytes[..], all.frames[i].wire),
            (&frame[..], 60)
        );
    }
    assert_ne!(all.frames[0].interface, all.frames[1].interface);
    assert_eq!(all.frames[5].bytes.len(), 50);
}

#[test]
fn a_file_cut_anywhere_gives_the_frames_that_are_there() {
    let expected = frames(6);
    for minor in 0..4 {
        let whole = netmon(minor, &ethernet(6));
        for len in 1..whole.len() {
            let Ok(capture) = Capture::from_bytes("cut", whole[..len].to_vec()) else {
                assert!(len < 32);
                continue;
            };
            let all = read(&capture);
            assert!(!all.problems.is_empty(), "2.{minor} cut at {len}");
            let there = all.frames.len();
            assert_same(&all, &expected[..there]);
            // With the table cut, all frames are there.
            if len >= whole.len() - 24 {
                assert_eq!(there, 6, "2.{minor} cut at {len}");
            }
        }
    }
}

#[test]
fn a_wrong_entry_of_the_frame_table_costs_one_frame() {
    let mut bytes = netmon(1, &ethernet(20));
    let entry = bytes.len() - 4 * 10;
    bytes[entry..entry + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    let all = read_bytes(bytes);
    let mut expected = frames(20);
    expected.remove(10);
    assert_same(&all, &expected);
    assert_eq!(all.problems.len(), 1);
}

proptest! {
    #[test]
    fn whatever_bytes_come_reading_ends(
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..30),
        minor in 0..4_u8,
    ) {
        let mut records = ethernet(5);
        records.push(record(EVENT, event(1001, 0xc000_0001, &fragment(5, &[1; 60]))));
        let mut bytes = netmon(minor, &records);
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(capture) = Capture::from_bytes("damaged", bytes) {
            read(&capture);
        }
    }
}
