//! What an export takes over from its capture beside the frames: options of sections, interfaces and packets, byte
//! order, clocks, and whole records as they stand.

mod beside;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use marstui::capture::original::{PacketBlock, packet_block};
use marstui::capture::{Capture, OpenOptions, Order};
use marstui::export::{Choice, Format, FrameSet, Job, Options, Plan, Redaction, Target, What};
use marstui::store::Store;
use marstui::units::FrameNo;
use marstui::{rules, track};

use crate::support::skip;
use crate::wrapped;

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const SIMPLE: u32 = 3;
const NAMES: u32 = 4;
const STATISTICS: u32 = 5;
const KEYS: u32 = 10;
const PACKET: u32 = 6;

/// Builds blocks in one byte order.
#[derive(Clone, Copy)]
struct Blocks(Order);

impl Blocks {
    fn n16(self, n: u16) -> [u8; 2] {
        match self.0 {
            Order::Little => n.to_le_bytes(),
            Order::Big => n.to_be_bytes(),
        }
    }

    fn n32(self, n: u32) -> [u8; 4] {
        match self.0 {
            Order::Little => n.to_le_bytes(),
            Order::Big => n.to_be_bytes(),
        }
    }

    fn n64(self, n: u64) -> [u8; 8] {
        match self.0 {
            Order::Little => n.to_le_bytes(),
            Order::Big => n.to_be_bytes(),
        }
    }

    fn block(self, kind: u32, body: &[u8]) -> Vec<u8> {
        let total = self.n32(u32::try_from(body.len() + 12).unwrap());
        [&self.n32(kind)[..], &total, body, &total].concat()
    }

    fn options(self, options: &[(u16, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (code, value) in options {
            out.extend(self.n16(*code));
            out.extend(self.n16(u16::try_from(value.len()).unwrap()));
            out.extend_from_slice(value);
            out.resize(out.len().next_multiple_of(4), 0);
        }
        if !options.is_empty() {
            out.extend([0; 4]);
        }
        out
    }

    fn section(self, options: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = self.n32(0x1a2b_3c4d).to_vec();
        body.extend(self.n16(1));
        body.extend(self.n16(0));
        body.extend([0xff; 8]);
        body.extend(self.options(options));
        self.block(SECTION, &body)
    }

    fn interface(self, options: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = self.n16(1).to_vec();
        body.extend(self.n16(0));
        body.extend(self.n32(65_535));
        body.extend(self.options(options));
        self.block(INTERFACE, &body)
    }

    fn packet(self, interface: u32, ticks: u64, bytes: &[u8], options: &[(u16, &[u8])]) -> Vec<u8> {
        let len = u32::try_from(bytes.len()).unwrap();
        let mut body = Vec::new();
        for field in [
            interface,
            u32::try_from(ticks >> 32).unwrap(),
            u32::try_from(ticks & 0xffff_ffff).unwrap(),
            len,
            len + 5,
        ] {
            body.extend(self.n32(field));
        }
        body.extend_from_slice(bytes);
        body.resize(body.len().next_multiple_of(4), 0);
        body.extend(self.options(options));
        self.block(PACKET, &body)
    }

    /// Keys, names of three addresses, and what interface 1 lost.
    fn beside(self) -> [Vec<u8>; 3] {
        let text = b"CLIENT_RANDOM 00 11\n";
        let mut keys = self.n32(0x544c_534b).to_vec();
        keys.extend(self.n32(u32::try_from(text.len()).unwrap()));
        keys.extend(text);
        keys.resize(keys.len().next_multiple_of(4), 0);
        let names = self.options(&[
            (1, b"\x0a\x0a\x0a\x0aclient.corp\0"),
            (1, b"\x0a\x0a\x0a\x16sql1.corp\0"),
            (1, b"\x0a\x63\x63\x63other.corp\0"),
        ]);
        let mut lost = self.n32(1).to_vec();
        lost.extend(self.n32(5));
        lost.extend(self.n32(6));
        let received = self.n64(1000);
        let dropped = self.n64(3);
        let began = [self.n32(1), self.n32(2)].concat();
        lost.extend(self.options(&[(2, &began), (4, &received), (5, &dropped)]));
        [
            self.block(KEYS, &keys),
            self.block(NAMES, &names),
            self.block(STATISTICS, &lost),
        ]
    }

    fn simple(self, bytes: &[u8]) -> Vec<u8> {
        let mut body = self.n32(u32::try_from(bytes.len()).unwrap()).to_vec();
        body.extend_from_slice(bytes);
        body.resize(body.len().next_multiple_of(4), 0);
        self.block(SIMPLE, &body)
    }
}

/// A section with two interfaces (milliseconds with an offset, picoseconds) and packets with and without options.
fn section_with_options(order: Order) -> Vec<Vec<u8>> {
    let b = Blocks(order);
    let mut out = vec![
        b.section(&[
            (1, b"by hand"),
            (2, b"a machine"),
            (3, b"a system"),
            (4, b"a program 1.0"),
        ]),
        b.interface(&[
            (2, b"eth0"),
            (3, b"outside"),
            (8, &b.n64(1_000_000_000)),
            (9, &[3]),
            (14, &b.n64(100)),
        ]),
        b.interface(&[
            (2, b"eth1"),
            (9, &[12]),
            (11, b"\0tcp port 1433"),
            (12, b"some system"),
        ]),
    ];
    for i in 0_u8..12 {
        let bytes = vec![i; 60 + usize::from(i)];
        // The same clock, in milliseconds behind the offset and in picoseconds.
        let ms = 1_700_000 + u64::from(i);
        let custom = [&b.n32(0x1234)[..], b"any"].concat();
        let options: Vec<(u16, &[u8])> = if i % 3 == 0 {
            vec![]
        } else {
            vec![
                (1, b"said before"),
                (3, b"\x02\x01\x02\x03\x04"),
                (2989, &custom),
            ]
        };
        let flags = b.n32(0x0102);
        let drops = b.n64(7);
        let all: Vec<(u16, &[u8])> = match options.as_slice() {
            [] => vec![],
            some => [some, &[(2, &flags[..]), (4, &drops[..])]].concat(),
        };
        let (interface, ticks) = if i % 4 == 3 {
            (1, (ms + 100_000) * 1_000_000_000 + 7)
        } else {
            (0, ms)
        };
        out.push(b.packet(interface, ticks, &bytes, &all));
    }
    out
}

struct Opened {
    capture: Capture,
    store: Store,
}

fn open(path: &Path) -> Opened {
    let capture = Capture::open(&[path.to_owned()], &OpenOptions::default()).unwrap();
    let mut store = track::load(&capture);
    rules::judge(&mut store, &rules::Settings::default());
    Opened { capture, store }
}

fn export(opened: &Opened, what: What, options: &Options, to: &Path) {
    export_and_ask(opened, what, options, to);
}

/// Exports; returns the frames written and what is to be known about it.
fn export_and_ask(opened: &Opened, what: What, options: &Options, to: &Path) -> (u64, Vec<String>) {
    let plan = Plan::new(&opened.store, &Choice::of(what));
    let job = Job {
        store: &opened.store,
        capture: &opened.capture,
        plan: &plan,
        options,
        rules: &rules::Settings::default(),
        stop: &AtomicBool::new(false),
        progress: &|_| (),
    };
    let written = job.save(&Target::File(to.to_owned())).unwrap();
    (written.frames, job.remarks())
}

fn options(format: Format) -> Options {
    Options {
        force: true,
        ..Options::of(format)
    }
}

/// The blocks of a file of one byte order.
fn blocks_of(path: &Path, order: Order) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(path).unwrap();
    let mut rest = &bytes[..];
    let mut out = Vec::new();
    while !rest.is_empty() {
        let len: [u8; 4] = rest[4..8].try_into().unwrap();
        let len = match order {
            Order::Little => u32::from_le_bytes(len),
            Order::Big => u32::from_be_bytes(len),
        };
        let (block, behind) = rest.split_at(len as usize);
        out.push(block.to_vec());
        rest = behind;
    }
    out
}

fn packet(block: &[u8], order: Order) -> PacketBlock<'_> {
    let captured: [u8; 4] = block[20..24].try_into().unwrap();
    let captured = match order {
        Order::Little => u32::from_le_bytes(captured),
        Order::Big => u32::from_be_bytes(captured),
    };
    packet_block(block, order, captured).unwrap()
}

#[test]
fn blocks_with_all_their_options_are_taken_over_in_either_byte_order() {
    let folder = tempfile::tempdir().unwrap();
    for order in [Order::Little, Order::Big] {
        let blocks = section_with_options(order);
        let file = folder.path().join("in.pcapng");
        std::fs::write(&file, blocks.concat()).unwrap();
        let opened = open(&file);
        assert_eq!(opened.store.frame_count(), 12);
        let target = folder.path().join("out.pcapng");
        export(&opened, What::All, &options(Format::Pcapng), &target);
        let written = blocks_of(&target, order);
        assert_eq!(written[1..], blocks[1..], "{order:?}");
        // The section keeps what it said and says where it comes from.
        let section = String::from_utf8_lossy(&written[0]).into_owned();
        for text in [
            "by hand",
            "a machine",
            "a system",
            "a program 1.0",
            "From in.pcapng, frames 1-12",
        ] {
            assert!(section.contains(text), "{text}");
        }
        // Some of them, compressed and not: the same blocks, under the same interfaces.
        let some: FrameSet = [2, 3, 4, 8, 11, 12].map(FrameNo).into_iter().collect();
        export(
            &opened,
            What::Marked(some.clone()),
            &options(Format::Pcapng),
            &target,
        );
        let kept: Vec<_> = some
            .iter()
            .map(|no| blocks[no.index() + 3].clone())
            .collect();
        assert_eq!(blocks_of(&target, order)[3..], kept, "{order:?}");
    }
}

#[test]
fn a_comment_joins_the_options_of_its_frame() {
    let folder = tempfile::tempdir().unwrap();
    for order in [Order::Little, Order::Big] {
        let blocks = section_with_options(order);
        let file = folder.path().join("in.pcapng");
        std::fs::write(&file, blocks.concat()).unwrap();
        let target = folder.path().join("out.pcapng");
        let marked = Options {
            marks: FrameSet::range(FrameNo(5), FrameNo(5)),
            ..options(Format::Pcapng)
        };
        export(&open(&file), What::All, &marked, &target);
        let written = blocks_of(&target, order);
        let (before, after) = (packet(&blocks[7], order), packet(&written[7], order));
        assert_eq!(
            (before.interface, before.ticks, before.wire, before.bytes),
            (after.interface, after.ticks, after.wire, after.bytes)
        );
        let mut all: Vec<_> = before.each_option().collect();
        all.push((1, b"marked; frame 5 of the original"));
        assert_eq!(after.each_option().collect::<Vec<_>>(), all);
        for (i, block) in blocks.iter().enumerate().skip(1).filter(|(i, _)| *i != 7) {
            assert_eq!(&written[i], block, "block {i}");
        }
    }
}

#[test]
fn sections_of_both_byte_orders_become_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in.pcapng");
    let (big, little) = (
        section_with_options(Order::Big),
        section_with_options(Order::Little),
    );
    std::fs::write(&file, [big.concat(), little.concat()].concat()).unwrap();
    let opened = open(&file);
    // Time goes backwards between the sections, which would be said.
    let plain = Options {
        comments: false,
        ..options(Format::Pcapng)
    };
    let target = folder.path().join("out.pcapng");
    export(&opened, What::All, &plain, &target);
    let written = blocks_of(&target, Order::Big);
    assert_eq!(written.len(), 1 + 4 + 24);
    assert_eq!(written[5..17], big[3..]);
    for (block, original) in written[17..].iter().zip(&big[3..]) {
        let (block, original) = (packet(block, Order::Big), packet(original, Order::Big));
        assert_eq!(block.interface, original.interface + 2);
        assert_eq!(
            (block.ticks, block.wire, block.bytes),
            (original.ticks, original.wire, original.bytes)
        );
        assert!(block.each_option().eq(original.each_option()));
    }
    let back = open(&target);
    let times = |opened: &Opened| -> Vec<_> {
        opened
            .store
            .frames_from(FrameNo(1))
            .map(|(_, row)| (row.time, row.wire))
            .collect()
    };
    assert_eq!(times(&back), times(&opened));
}

#[test]
fn packets_without_a_time_stay_without_one() {
    let folder = tempfile::tempdir().unwrap();
    let b = Blocks(Order::Little);
    // Options of just the length that makes room for the shorter header behind them.
    let drops = b.n64(1);
    let blocks = [
        b.section(&[]),
        b.interface(&[]),
        b.packet(0, 5_000_000, &[1; 60], &[(4, &drops)]),
        b.simple(&[2; 61]),
        b.simple(&[3; 64]),
        b.packet(0, 6_000_000, &[4; 60], &[]),
        b.packet(0, 6_000_000, &[5; 60], &[(4, &drops)]),
        b.simple(&[6; 60]),
    ];
    let file = folder.path().join("in.pcapng");
    std::fs::write(&file, blocks.concat()).unwrap();
    let opened = open(&file);
    let target = folder.path().join("out.pcapng");
    for first in 1..=6_u32 {
        for last in first..=6 {
            export(
                &opened,
                What::Range(FrameNo(first), FrameNo(last)),
                &options(Format::Pcapng),
                &target,
            );
            let written = blocks_of(&target, Order::Little);
            assert_eq!(
                written[2..],
                blocks[first as usize + 1..=last as usize + 1],
                "{first}-{last}"
            );
        }
    }
}

/// A pcap file with a magic number, in the byte order that it shows.
fn pcap(magic: [u8; 4], more: usize) -> Vec<u8> {
    let b = Blocks(if magic[0] == 0xa1 {
        Order::Big
    } else {
        Order::Little
    });
    let mut file = magic.to_vec();
    file.extend(b.n16(2));
    file.extend(b.n16(4));
    for field in [3600, 0, 65_535, 1] {
        file.extend(b.n32(field));
    }
    for i in 0_u8..40 {
        for field in [
            1_700_000_000,
            500 + u32::from(i),
            60 + u32::from(i),
            80 + u32::from(i),
        ] {
            file.extend(b.n32(field));
        }
        file.extend(vec![0; more]);
        file.extend(vec![i; 60 + usize::from(i)]);
    }
    file
}

#[test]
fn records_of_pcap_files_are_taken_over_in_every_kind() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in.pcap");
    let target = folder.path().join("out.pcap");
    for magic in [
        [0xa1, 0xb2, 0xc3, 0xd4],
        [0xd4, 0xc3, 0xb2, 0xa1],
        [0xa1, 0xb2, 0x3c, 0x4d],
        [0x4d, 0x3c, 0xb2, 0xa1],
    ] {
        let bytes = pcap(magic, 0);
        std::fs::write(&file, &bytes).unwrap();
        let opened = open(&file);
        export(&opened, What::All, &options(Format::Pcap), &target);
        assert_eq!(std::fs::read(&target).unwrap(), bytes, "{magic:x?}");
        export(
            &opened,
            What::Range(FrameNo(1), FrameNo(2)),
            &options(Format::Pcap),
            &target,
        );
        assert_eq!(
            std::fs::read(&target).unwrap(),
            bytes[..24 + 16 + 60 + 16 + 61]
        );
    }
    // The kind with longer record headers becomes the usual one.
    for magic in [[0xa1, 0xb2, 0xcd, 0x34], [0x34, 0xcd, 0xb2, 0xa1]] {
        std::fs::write(&file, pcap(magic, 8)).unwrap();
        let opened = open(&file);
        export(&opened, What::All, &options(Format::Pcap), &target);
        let back = open(&target);
        assert_eq!(back.store.frame_count(), 40);
        assert!(back.store.problems().is_empty());
    }
}

#[test]
fn damage_is_not_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let b = Blocks(Order::Little);
    let mut blocks = section_with_options(Order::Little);
    // A block whose lengths disagree, and a packet of an interface that nobody declared.
    let len = blocks[6].len();
    blocks[6][len - 4] ^= 0x40;
    blocks[9] = b.packet(9, 1_700_000_000_200, &[9; 60], &[]);
    let file = folder.path().join("in.pcapng");
    std::fs::write(&file, blocks.concat()).unwrap();
    let opened = open(&file);
    assert_eq!(opened.store.frame_count(), 12);
    assert_eq!(
        opened.store.problems().len(),
        2,
        "{:?}",
        opened.store.problems()
    );
    let target = folder.path().join("out.pcapng");
    export(&opened, What::All, &options(Format::Pcapng), &target);
    let back = open(&target);
    assert_eq!(back.store.frame_count(), 12);
    assert!(
        back.store.problems().is_empty(),
        "{:?}",
        back.store.problems()
    );
    let rows = |store: &Store| -> Vec<_> {
        store
            .frames_from(FrameNo(1))
            .map(|(_, row)| (row.time, row.captured, row.wire))
            .collect()
    };
    assert_eq!(rows(&back.store), rows(&opened.store));
}
