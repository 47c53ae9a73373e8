//! SMP packets frame by frame against tshark, which is an independent reading of the same bytes.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use marstui::store::{PduKind, PduRow, Store};
use marstui::units::{FrameNo, PduId};

use crate::streams::{self, Dice, Network};
use crate::support::{shared_or_skip, skip};
use crate::truth::load;

/// Interleaved, lossy, reordered, dribbled, tiny, cooked, tagged, over IPv6.
const FILES: [&str; 14] = [
    "b1-interleaved-odbc.client.pcapng",
    "b3-interleaved-sqlclient.server.pcap",
    "c1-server-fin-reset-too.client.pcapng",
    "g2-attention-mid-result.server.pcap",
    "i1-login-only-tls-mars.client.pcapng",
    "k1-loss-reorder.client.pcapng",
    "k1-loss-reorder.server.pcap",
    "k4-lossy-close.client.pcapng",
    "k4-lossy-close.server.pcap",
    "l2-dribble.client.pcapng",
    "l5-tiny-mtu-packed.server.pcap",
    "o1-ipv6.client.pcapng",
    "o2-vlan.trunk.pcapng",
    "s1-linux-cooked.server.pcap",
];

/// Flags, Sid, SEQNUM and WNDW.
type Packet = (u64, u64, u64, u64);

#[test]
fn smp_packets_are_those_that_tshark_finds() {
    let test = "smp_packets_are_those_that_tshark_finds";
    let Some(shared) = shared_or_skip(test) else {
        return;
    };
    if Command::new("tshark").arg("--version").output().is_err() {
        return skip(test, "tshark is not installed");
    }
    for name in FILES {
        let file = shared.join("captures/recorded").join(name);
        let theirs = tshark(&file);
        let ours = ours(&load(&file));
        assert!(!theirs.is_empty(), "{name}");
        for (frame, packets) in &theirs {
            assert_eq!(ours.get(frame), Some(packets), "{name}, frame {frame}");
        }
        assert_eq!(ours.len(), theirs.len(), "{name}");
    }
}

#[test]
fn smp_packets_are_those_that_tshark_finds_however_they_travelled() {
    let test = "smp_packets_are_those_that_tshark_finds_however_they_travelled";
    let Some(talk) = streams::talk("g2-attention-mid-result.client.pcapng") else {
        return;
    };
    if Command::new("tshark").arg("--version").output().is_err() {
        return skip(test, "tshark is not installed");
    }
    let folder = tempfile::tempdir().unwrap();
    // Pieces of at most so many bytes, so many in a hundred overtaken, so many sent again after a loss.
    for (seed, [largest, reorder, again]) in [
        [1448, 0, 0],
        [40, 0, 0],
        [300, 20, 0],
        [1448, 10, 10],
        [25, 5, 5],
    ]
    .into_iter()
    .enumerate()
    {
        let network = Network {
            largest,
            reorder,
            again,
            ..streams::plain()
        };
        let wire = streams::capture(&talk, network, &mut Dice(seed as u64));
        let file = folder.path().join(format!("{seed}.pcap"));
        std::fs::write(&file, &wire.file).unwrap();
        let theirs = tshark(&file);
        let (_, store) = streams::load(&wire);
        assert!(!theirs.is_empty(), "{network:?}");
        assert_eq!(ours(&store), theirs, "{network:?}");
    }
}

fn tshark(file: &Path) -> BTreeMap<u32, Vec<Packet>> {
    let fields = [
        "frame.number",
        "smp.flags",
        "smp.sid",
        "smp.seqnum",
        "smp.wndw",
    ];
    let mut command = Command::new("tshark");
    command.arg("-r").arg(file);
    command.args([
        "-o",
        "tcp.reassemble_out_of_order:TRUE",
        "-d",
        "tcp.port==14330,tds",
        "-Y",
        "smp",
        "-T",
        "fields",
    ]);
    for field in fields {
        command.args(["-e", field]);
    }
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).unwrap(),
        None => text.parse().unwrap(),
    };
    text.lines()
        .map(|line| {
            let columns: Vec<Vec<u64>> = line
                .split('\t')
                .map(|column| column.split(',').map(number).collect())
                .collect();
            let [frame, flags, sids, seqnums, wndws] = &columns[..] else {
                panic!("five columns: {line}");
            };
            let packets = (0..flags.len())
                .map(|i| (flags[i], sids[i], seqnums[i], wndws[i]))
                .collect();
            (u32::try_from(frame[0]).unwrap(), packets)
        })
        .collect()
}

fn ours(store: &Store) -> BTreeMap<u32, Vec<Packet>> {
    let mut frames: BTreeMap<u32, Vec<Packet>> = BTreeMap::new();
    for (_, pdu) in store.pdus_from(PduId(0)) {
        if let Some(flags) = flags(&pdu) {
            let FrameNo(frame) = pdu.frame;
            frames.entry(frame).or_default().push((
                flags,
                u64::from(pdu.sid.0),
                u64::from(pdu.seqnum.0),
                u64::from(pdu.wndw.0),
            ));
        }
    }
    frames
}

fn flags(pdu: &PduRow) -> Option<u64> {
    match pdu.kind {
        PduKind::Syn => Some(1),
        PduKind::Ack => Some(2),
        PduKind::Fin => Some(4),
        PduKind::Data => Some(8),
        _ => None,
    }
}
