//! What is kept of very many connections that ended.

use crate::capture::Capture;
use crate::store::Store;
use crate::track::testing;
use crate::track::tracker::Tracker;
use crate::units::{ConnId, FrameNo};

const SYN: u8 = 0x02;
const RST: u8 = 0x14;
const ACK: u8 = 0x10;
const FIN: u8 = 0x11;

/// A TCP segment between a client's port and port 1433.
#[derive(Clone, Copy)]
struct Segment {
    port: u16,
    by_client: bool,
    flags: u8,
    seq: u32,
    ack: u32,
    window: u16,
    len: u16,
    ip_id: u16,
}

impl Segment {
    fn new(port: u16, by_client: bool, flags: u8, (seq, ack): (u32, u32)) -> Self {
        Self {
            port,
            by_client,
            flags,
            seq,
            ack,
            window: 256,
            len: 0,
            ip_id: 0,
        }
    }

    fn frame(self) -> Vec<u8> {
        let (src, dst) = if self.by_client { (1, 2) } else { (2, 1) };
        let port = self.port;
        let ports = if self.by_client {
            [port, 1433]
        } else {
            [1433, port]
        };
        let mut bytes = vec![0; 12];
        bytes.extend([0x08, 0, 0x45, 0]);
        bytes.extend(
            [40 + self.len, self.ip_id, 0]
                .into_iter()
                .flat_map(u16::to_be_bytes),
        );
        bytes.extend([64, 6, 0, 0, 10, 0, 0, src, 10, 0, 0, dst]);
        bytes.extend(ports.into_iter().flat_map(u16::to_be_bytes));
        bytes.extend([self.seq, self.ack].into_iter().flat_map(u32::to_be_bytes));
        bytes.extend([0x50, self.flags]);
        bytes.extend([self.window, 0, 0].into_iter().flat_map(u16::to_be_bytes));
        bytes.extend(std::iter::repeat_n(0x55, self.len.into()));
        bytes
    }
}

fn frame(port: u16, by_client: bool, flags: u8, seq: u32) -> Vec<u8> {
    Segment::new(port, by_client, flags, (seq, 100)).frame()
}

/// A capture of frames, one each millisecond.
fn capture(frames: impl Iterator<Item = Vec<u8>>) -> Capture {
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0];
    file.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0]);
    for (no, frame) in (0_u32..).zip(frames) {
        let len = u32::try_from(frame.len()).unwrap();
        for word in [no / 1000, no % 1000 * 1000, len, len] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    Capture::from_bytes("refused.pcap", file).unwrap()
}

/// A port that opens a connection, and is refused.
fn refused(port: u16, isn: u32) -> [Vec<u8>; 2] {
    [frame(port, true, SYN, isn), frame(port, false, RST, 0)]
}

/// Indexes a capture, up to so many connections of it, a batch for every so many frames; returns its rows, and the most
/// places that whole connections had.
fn indexed(capture: &Capture, connections: usize, every: usize) -> (Store, usize, Tracker) {
    let mut tracker = Tracker::new(capture);
    tracker.over.kept = 20;
    tracker.max_conns = connections;
    let (mut store, mut most) = (Store::new(), 0);
    testing::in_batches(&mut tracker, capture, every, |tracker, batch| {
        store.append(batch);
        most = most.max(tracker.conns.whole.len());
    });
    tracker.finish(None, |batch| store.append(batch));
    (store, most, tracker)
}

#[test]
fn connections_that_ended_leave_their_places_to_others() {
    let late = [frame(2000, false, RST, 0), frame(3000, false, RST, 0)];
    let frames = (1500..7500).flat_map(|port| refused(port, 99)).chain(late);
    let (store, most, tracker) = indexed(&capture(frames), usize::MAX, 100);
    assert_eq!(store.conns().len(), 6000);
    // Those of a batch, and those that can be read on.
    assert!(most <= 50 + 21, "{most}");
    assert_eq!(tracker.conns.remains.len() + 20, 6000);
    // What remains of a connection is enough to know a frame of it.
    for (late, conn) in [(12_001, 500), (12_002, 1500)] {
        assert_eq!(store.frame(FrameNo(late)).unwrap().conn, Some(ConnId(conn)));
        assert_eq!(store.conn(ConnId(conn)).unwrap().frames, 3);
    }
}

#[test]
fn nothing_remains_of_connections_whose_ports_are_used_again() {
    let frames = (0..40).flat_map(|round| {
        let ports = (1500..1600).rev();
        ports.flat_map(move |port| refused(port, round * 1_000_000))
    });
    let (store, most, tracker) = indexed(&capture(frames), usize::MAX, 100);
    assert_eq!(store.conns().len(), 4000);
    assert!(most <= 50 + 50 + 21, "{most}");
    assert!(tracker.conns.remains.len() <= 100);
    assert_eq!(store.conns().last().unwrap().incarnation, 39);
}

/// The last incarnations that are followed take in what is sent back and forth in those that are not.
#[test]
fn ports_are_used_again_where_no_more_connections_are_followed() {
    let opened = (1000..1100).map(|port| frame(port, true, SYN, 7));
    let frames = (0..30).flat_map(|round| {
        let ports = (1000..1200).rev();
        ports.flat_map(move |port| refused(port, round * 1_000_000))
    });
    let capture = capture(opened.chain(frames));
    let (whole, ..) = indexed(&capture, 350, usize::MAX);
    assert_eq!(whole.conns().len(), 350);
    for every in [1, 10, 1000] {
        let (parts, ..) = indexed(&capture, 350, every);
        assert_eq!(parts.conns(), whole.conns());
        let numbers = (0..whole.frame_count()).map(FrameNo::from_index);
        for no in numbers {
            assert_eq!(parts.frame(no), whole.frame(no), "{no}");
        }
    }
}

/// A connection whose client sends so many bytes, until both ends close it.
fn closed(port: u16, len: u16) -> [Vec<u8>; 6] {
    let of = |by_client, flags, numbers| Segment::new(port, by_client, flags, numbers);
    let behind = 1001 + u32::from(len);
    let data = Segment {
        len,
        ..of(true, ACK, (1001, 5001))
    };
    [
        of(true, SYN, (1000, 0)),
        of(false, SYN | ACK, (5000, 1001)),
        of(true, ACK, (1001, 5001)),
        data,
        of(false, FIN, (5001, 1001)),
        of(true, FIN, (behind, 5002)),
    ]
    .map(Segment::frame)
}

/// Whatever comes late is taken for what it would be taken for if nothing were put away.
#[test]
fn what_comes_late_is_known_by_what_remains() {
    let mut state = 0x9e37_79b9_u32;
    let mut any = |below: u32| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state % below
    };
    let mut frames: Vec<_> = (0..200).flat_map(|n| closed(1000 + n, n % 7 * 3)).collect();
    let mut sent = Vec::new();
    for _ in 0..6000 {
        let again = any(4) == 0 && !sent.is_empty();
        let segment = if again {
            let back = any(3.min(u32::try_from(sent.len()).unwrap()));
            sent[sent.len() - 1 - usize::try_from(back).unwrap()]
        } else {
            let by_client = any(2) == 0;
            let flags =
                [ACK, ACK, ACK, ACK | 8, FIN, RST, 4, SYN][usize::try_from(any(8)).unwrap()];
            let numbers = if by_client {
                (1000, 5000)
            } else {
                (5000, 1000)
            };
            let ahead = |number: u32, n: u32| number + n - 2;
            Segment {
                window: [0, 256, 256][usize::try_from(any(3)).unwrap()],
                len: [0, 0, 1, 5][usize::try_from(any(4)).unwrap()],
                ip_id: [0, 7][usize::try_from(any(2)).unwrap()],
                ..Segment::new(
                    1000 + u16::try_from(any(200)).unwrap(),
                    by_client,
                    flags,
                    (ahead(numbers.0, any(24)), ahead(numbers.1, any(24))),
                )
            }
        };
        sent.push(segment);
        frames.push(segment.frame());
    }
    let capture = capture(frames.into_iter());
    let (whole, ..) = indexed(&capture, usize::MAX, usize::MAX);
    assert!(
        (300..3000).contains(&whole.conns().len()),
        "{}",
        whole.conns().len()
    );
    for every in [1, 3, 1000] {
        let (parts, ..) = indexed(&capture, usize::MAX, every);
        let numbers = (0..whole.frame_count()).map(FrameNo::from_index);
        for no in numbers {
            assert_eq!(parts.frame(no), whole.frame(no), "{no}");
        }
        assert_eq!(parts.conns(), whole.conns());
        assert_eq!(parts.view(), whole.view());
    }
}
