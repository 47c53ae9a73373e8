//! Scans over the columns agree with looking at each frame by itself, for any conditions on any frames.

use proptest::prelude::*;

use super::*;
use crate::query::testing::finding;
use crate::store::Verdict;

/// Conditions on columns of every kind.
const CONDITIONS: &[&str] = &[
    "sid == 0",
    "sid != 1",
    "sid ~= 1",
    "all sid < 2",
    "kind in {FIN, RST}",
    "kind != DATA",
    "kind == part",
    "len > 16",
    "len != 0",
    "tcp.len == 0",
    "tcp.port == 50001",
    "tcp.srcport != 1433",
    "ip.src == 10.0.0.9",
    "ip.addr != 10.0.0.9",
    "side == client",
    "smp.dir == s2c",
    "tds.type == 4",
    "tds.status.eom == 0",
    "finding",
    "verdict != Fault",
    "marked",
    "delta >= 1ms",
    "frame in 3..9",
    "tcp.flags & 5",
    "tcp.ack_raw == tcp.seq_raw + 4000",
    "count(sid) >= 2",
    "conn == 1",
    "tcp",
    "kind != FIN",
    "len != 16",
    "any kind != DATA",
    "tcp.port != 50000",
    "tcp.dstport == 1433",
    "side != client",
    "phase == commands",
    "tcp.seq > 3",
    "tcp.ack != 1007",
    "tcp.time_relative >= 5ms",
    "delta.conn == 1ms",
    "delta.sid > 1ms",
    "count(delta.sid) == 2",
    "smp.sid == smp.seqnum - 2",
    "smp.sid != tds.type",
    "tcp.seq_raw & 3",
    "kind & 6",
    "count(kind) > 1",
    "count(finding) == 1",
    "verdict < Fault",
    "count(marked) == 1 and marked == 0",
    "ip.src == ip.dst",
    "ip.src != ip.dst",
    "lower(finding) == \"some-rule\"",
    "len * 2 == 32",
    "all smp.sid in {0, 2}",
    "frame.number in {3, 7, 11, 15, 19, 23, 27, 31, 35, 129..300}",
];

/// A store from numbers: each makes a frame with what its bits say.
fn from_numbers(numbers: &[u16]) -> Store {
    let mut b = Builder::new();
    let conns = [b.conn(50_000), b.conn(50_001)];
    let sessions = conns.map(|c| [b.session(c, 0), b.session(c, 1), b.session(c, 2)]);
    let kinds = [PduKind::Ack, PduKind::Fin, PduKind::Hidden, PduKind::Syn];
    let mut marks = Vec::new();
    for n in numbers {
        let bit = |at: u16| usize::from((n >> at) & 1);
        let bits = |at: u16| usize::from((n >> at) & 3);
        let end = if bit(1) == 0 { End::A } else { End::B };
        let flags = [0x10, 0x11, 0x14, 0x02][bits(2)];
        let no = b.frame(conns[bit(0)], end, flags, [0, 16, 100, 1][bits(4)]);
        for at in 0..bits(6) {
            let session = sessions[bit(0)][(bits(8) + at) % 3];
            if bit(10) == 0 {
                b.pdu(kinds[(bits(11) + at) % 4], Some(session));
            } else {
                b.tds(
                    Some(session),
                    [3, 4, 1, 6][bits(11)],
                    u8::from(bit(13) == 0),
                    50,
                );
            }
            // Some are found late, when the gap behind them is: they belong to an earlier frame.
            if n % 7 == 0 {
                let mut earlier = no;
                for _ in 0..n % 60 {
                    let row = b.frames[earlier.index()];
                    earlier = row.prev.unwrap_or(earlier);
                }
                let pdu = b.pdus.last_mut().unwrap();
                (pdu.frame, pdu.first_frame) = (earlier, earlier);
            }
        }
        if bits(14) == 3 {
            marks.push((conns[bit(0)], no));
        }
        if bits(14) == 2 {
            let row = b.last_frame();
            row.conn = None;
            row.flags = crate::store::FrameFlags::NOT_IP;
        }
    }
    let mut store = b.build();
    for (conn, no) in marks {
        let verdict = if no.0 % 2 == 0 {
            Verdict::Fault
        } else {
            Verdict::Benign
        };
        store.add_finding(finding("some-rule", verdict, conn, no));
    }
    store
}

proptest! {
    #[test]
    fn scans_and_single_frames_agree(
        numbers in proptest::collection::vec(any::<u16>(), 1..300),
        parts in proptest::collection::vec((0..CONDITIONS.len(), any::<bool>(), any::<bool>()), 1..6),
    ) {
        let store = from_numbers(&numbers);
        let mut text = String::new();
        for (at, (condition, negated, or)) in parts.iter().enumerate() {
            if at > 0 {
                text = format!("({text}) {} ", if *or { "or" } else { "and" });
            }
            let not = if *negated { "not " } else { "" };
            text = format!("{text}{not}({})", CONDITIONS[*condition]);
        }
        let filter = parse(&text, &Context::default()).unwrap();
        let eval = Eval { marked: &[(2, 4), (9, 9)], ..Eval::of(&store) };
        let found = run(&filter, &eval);
        let single: Vec<_> = (1..=store.frame_count())
            .map(|n| FrameNo::from_index(n - 1))
            .filter(|no| filter.matches(&eval, *no))
            .collect();
        prop_assert_eq!(found, single, "{}", text);
    }
}
