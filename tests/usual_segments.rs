//! Segments that just go on are taken in on a shorter way than others; what comes out is the same.
#![expect(
    clippy::cast_possible_truncation,
    reason = "the numbers are the test's own, and small"
)]

use marstui::capture::Capture;
use marstui::store::{ConnRow, FrameFlags, Store};
use marstui::track;
use marstui::units::{FrameNo, PduId};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use crate::streams::{Dice, FILES, Network, Wire, capture, config, talk};

/// A packet, and how many bytes of it are in the file.
type Seen = (Vec<u8>, usize);

/// The packets of a capture.
fn packets(wire: &Wire) -> Vec<Seen> {
    const FILE_HEADER: usize = 24;
    const RECORD_HEADER: usize = 16;
    let mut packets = Vec::new();
    let mut at = FILE_HEADER;
    while let Some(len) = wire.file.get(at + 8..at + 12) {
        let len = u32::from_le_bytes(len.try_into().unwrap()) as usize;
        at += RECORD_HEADER;
        packets.push((wire.file[at..at + len].to_vec(), len));
        at += len;
    }
    packets
}

fn file_of(packets: &[Seen], of_interfaces: u32) -> Vec<u8> {
    let block = |kind: u32, body: &[u8]| {
        let len = (body.len().next_multiple_of(4) + 12) as u32;
        let padding = vec![0; body.len().next_multiple_of(4) - body.len()];
        let (kind, len) = (kind.to_le_bytes(), len.to_le_bytes());
        [&kind[..], &len, body, &padding, &len].concat()
    };
    let section = [&[0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0][..], &[0xff; 8]].concat();
    let mut file = block(0x0a0d_0d0a, &section);
    for _ in 0..of_interfaces {
        file.extend(block(1, &[101, 0, 0, 0, 0, 0, 0, 0]));
    }
    for (number, (packet, captured)) in packets.iter().enumerate() {
        let number = number as u32;
        let mut body = Vec::new();
        let lens = [*captured as u32, packet.len() as u32];
        for word in [number % of_interfaces, 0, 1_000_000 + number * 100]
            .into_iter()
            .chain(lens)
        {
            body.extend(word.to_le_bytes());
        }
        body.extend(&packet[..*captured]);
        file.extend(block(6, &body));
    }
    file
}

/// What happens to connections: keepalives and their answers, closed windows and probes of them, copies, cut frames.
fn disturbed(packets: Vec<Seen>, dice: &mut Dice) -> Vec<Seen> {
    let (keepalives, windows, copies, cuts) =
        (dice.below(8), dice.below(8), dice.below(5), dice.below(3));
    let mut all: Vec<Seen> = Vec::new();
    for (mut packet, len) in packets {
        if dice.chance(windows) {
            packet[34..36].fill(0);
        }
        let captured = if dice.chance(cuts) {
            40 + dice.below(len - 39)
        } else {
            len
        };
        if dice.chance(keepalives) {
            let mut probe = packet[..40].to_vec();
            let seq = u32::from_be_bytes(packet[24..28].try_into().unwrap()).wrapping_sub(1);
            probe[24..28].copy_from_slice(&seq.to_be_bytes());
            probe.extend(vec![0; dice.below(3)]);
            probe[3] = probe.len() as u8;
            probe[2] = 0;
            probe[33] = 0x10;
            let mut answer = probe[..40].to_vec();
            answer[3] = 40;
            for (a, b) in [(12, 16), (20, 22), (24, 28)] {
                let (size, half) = (b - a, b);
                let (left, right) = answer.split_at_mut(half);
                left[a..a + size].swap_with_slice(&mut right[..size]);
            }
            for made in [probe, answer] {
                let len = made.len();
                all.push((made, len));
            }
        }
        all.push((packet, captured));
        if dice.chance(copies) {
            let back = 1 + dice.below(all.len().min(30));
            all.push(all[all.len() - back].clone());
        }
    }
    all
}

/// The packets with ECE in every segment, which no step of the analysis looks at; without one such flag a segment may
/// be taken in a shorter way.
fn with_ece(packets: &[Seen]) -> Vec<Seen> {
    let mut packets = packets.to_vec();
    for (packet, _) in &mut packets {
        packet[33] |= 0x40;
    }
    packets
}

/// All rows, but for what ECE itself changes, as it does the checksum.
pub fn rows(store: &Store) -> Vec<String> {
    let checksum = FrameFlags::GOOD_CHECKSUM.0 | FrameFlags::BAD_CHECKSUM.0;
    let mut rows = Vec::new();
    for (_, frame) in store.frames_from(FrameNo(1)) {
        let mut frame = frame;
        frame.tcp_flags.0 &= !0x40;
        frame.flags.0 &= !checksum;
        rows.push(format!("{frame:?}"));
    }
    for (_, pdu) in store.pdus_from(PduId(0)) {
        rows.push(format!("{pdu:?}"));
    }
    for conn in store.conns() {
        // That nothing out of the usual happens is only followed where every flag is a usual one.
        let conn = ConnRow {
            calm: Box::default(),
            ..ConnRow::clone(conn)
        };
        rows.push(format!("{conn:?}"));
    }
    rows.extend(store.sessions().iter().map(|row| format!("{row:?}")));
    rows.extend(
        store
            .requests()
            .map(|row| format!("{row:?} {}", store.text(row.text))),
    );
    rows.extend(store.violations().iter().map(|row| format!("{row:?}")));
    rows
}

fn an_extra_flag_changes_nothing(
    seed: u64,
    file: &str,
    network: Network,
    interfaces: u32,
) -> TestCaseResult {
    let Some(talk) = talk(file) else {
        return Ok(());
    };
    let mut dice = Dice(seed);
    let wire = capture(&talk, network, &mut dice);
    let packets = disturbed(packets(&wire), &mut dice);
    let all = |packets: &[Seen]| {
        let file = file_of(packets, interfaces);
        let capture = Capture::from_bytes("made.pcapng", file).unwrap();
        rows(&track::load(&capture))
    };
    let (short, long) = (all(&packets), all(&with_ece(&packets)));
    for (a, b) in short.iter().zip(&long) {
        prop_assert_eq!(a, b);
    }
    prop_assert_eq!(short.len(), long.len());
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn usual_segments_are_taken_in_as_all_others_are(
        seed: u64,
        file in 0..FILES.len(),
        largest in prop_oneof![1_usize..40, 40_usize..300, 300_usize..4000],
        [reorder, again, lose] in [0_usize..10, 0_usize..10, 0_usize..3],
        with_syn: bool,
        wrap in 0_u32..100_000,
        interfaces in 1_u32..3,
    ) {
        an_extra_flag_changes_nothing(seed, FILES[file], Network {
            largest,
            reorder,
            again,
            lose,
            with_syn,
            first_seq: [0_u32.wrapping_sub(wrap), 0_u32.wrapping_sub(wrap / 3)],
        }, interfaces)?;
    }
}
