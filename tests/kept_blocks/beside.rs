//! Blocks beside the frames: names, statistics, keys, and those that only their makers know.

use super::*;

#[test]
fn blocks_without_a_frame_stay_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let made =
        |b: Blocks, kind: u32| b.block(kind, &[&b.n32(0x1234)[..], b"MAKERS-TEXT\0"].concat());
    let section = |b: Blocks| {
        [
            b.section(&[]),
            b.interface(&[]),
            b.packet(0, 5_000_000, &[1; 60], &[]),
            b.block(9, b"MESSAGE=started\n\0\0\0\0"),
            made(b, 0x0bad),
            made(b, 0x4000_0bad),
            b.packet(0, 6_000_000, &[4; 60], &[]),
            b.simple(&[5; 60]),
        ]
    };
    let (little, big) = (Blocks(Order::Little), Blocks(Order::Big));
    let file = folder.path().join("in.pcapng");
    let target = folder.path().join("out.pcapng");
    for b in [little, big] {
        std::fs::write(&file, section(b).concat()).unwrap();
        let opened = open(&file);
        assert_eq!(opened.store.frame_count(), 6);
        let (written, remarks) =
            export_and_ask(&opened, What::All, &options(Format::Pcapng), &target);
        assert_eq!(written, 5);
        assert!(
            remarks[0].starts_with("1 custom block left out"),
            "{remarks:?}"
        );
        let mut kept = section(b).to_vec();
        kept.remove(5);
        assert_eq!(blocks_of(&target, b.0)[1..], kept[1..]);

        let pcap = folder.path().join("out.pcap");
        let (written, remarks) = export_and_ask(&opened, What::All, &options(Format::Pcap), &pcap);
        assert_eq!(written, 3);
        assert!(
            remarks[0].starts_with("2 blocks without a frame"),
            "{remarks:?}"
        );
        assert_eq!(open(&pcap).store.frame_count(), 3);
    }

    // A second section in the other byte order: its blocks follow, in the first one's order.
    std::fs::write(&file, [section(little), section(big)].concat().concat()).unwrap();
    let opened = open(&file);
    let (written, _) = export_and_ask(&opened, What::All, &options(Format::Pcapng), &target);
    assert_eq!(written, 10);
    let written = blocks_of(&target, Order::Little);
    let first = section(little);
    let blocks: Vec<&Vec<u8>> = written[3..].iter().collect();
    let kept = [&first[2], &first[3], &first[4], &first[6], &first[7]];
    assert_eq!(blocks[..5], kept);
    assert_eq!(blocks[6..8], kept[1..3]);
    // A packet of a second interface has to have a time: it is said whose.
    let made = packet_block(blocks[9], Order::Little, 60).unwrap();
    assert_eq!((made.interface, made.ticks), (1, 6_000_000));
    let (code, text) = made.each_option().next().unwrap();
    assert_eq!(code, 1);
    assert!(text.starts_with(b"no time in the original"));
}

/// The page's connection in a section of this order, among blocks beside it; its second interface has the frames.
fn with_blocks_beside(order: Order) -> Vec<u8> {
    let b = Blocks(order);
    let [keys, names, lost] = b.beside();
    let mut out = [b.section(&[]), b.interface(&[]), b.interface(&[(9, &[9])])].concat();
    out.extend(names);
    for (i, (time, frame)) in wrapped::frames_of("closes/V1.pcapng.zst")
        .iter()
        .enumerate()
    {
        if i == 3 {
            out.extend(&keys);
        }
        out.extend(b.packet(1, u64::try_from(time.0).unwrap(), frame, &[]));
    }
    out.extend(lost);
    out
}

#[test]
fn names_and_statistics_go_along_and_keys_only_when_wished() {
    let folder = tempfile::tempdir().unwrap();
    for order in [Order::Little, Order::Big] {
        let from = folder.path().join("from.pcapng");
        std::fs::write(&from, with_blocks_beside(order)).unwrap();
        let opened = open(&from);
        let to = folder.path().join("to.pcapng");
        let written = |what: What, options: Options| {
            let options = Options {
                force: true,
                ..options
            };
            export(&opened, what, &options, &to);
            let blocks = blocks_of(&to, order);
            let of = |kind: u32| {
                let kind = Blocks(order).n32(kind);
                let found = blocks.iter().filter(move |block| block.starts_with(&kind));
                found.cloned().collect::<Vec<_>>()
            };
            (of(KEYS), of(NAMES), of(STATISTICS))
        };
        let [keys, names, lost] = Blocks(order).beside();
        let all = options(Format::Pcapng);
        let with_keys = Options {
            keys: true,
            ..all.clone()
        };
        assert_eq!(
            written(What::All, all.clone()),
            (vec![], vec![names.clone()], vec![lost.clone()])
        );
        let (found, ..) = written(What::All, with_keys.clone());
        assert_eq!(found, [keys]);
        // Of a part, only the names of its addresses.
        let (none, part, _) = written(What::Typed("5-9".into()), all.clone());
        assert!(none.is_empty());
        let [part] = part.as_slice() else {
            panic!("{part:?}")
        };
        let has = |name: &[u8]| memchr::memmem::find(part, name).is_some();
        assert!(has(b"client.corp") && has(b"sql1.corp") && !has(b"other.corp"));
        // A redacted copy has none of them, whatever is wished.
        let redacted = Options {
            redact: Some(Redaction::default()),
            ..with_keys
        };
        assert_eq!(written(What::All, redacted), (vec![], vec![], vec![]));
    }
}

#[test]
fn a_redacted_copy_says_nothing_of_what_the_blocks_say() {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("secret-customer.pcapng");
    for order in [Order::Little, Order::Big] {
        let b = Blocks(order);
        let [keys, names, lost] = b.beside();
        let custom = [&b.n32(0x1234)[..], b"CUSTOM-TEXT"].concat();
        let mut out = [
            b.section(&[
                (1, b"SECTION-COMMENT"),
                (2, b"HARDWARE-XEON"),
                (3, b"SYSTEM-NAME"),
                (4, b"PROGRAM-NAME"),
                (2988, &custom),
            ]),
            b.interface(&[
                (1, b"INTERFACE-COMMENT"),
                (2, b"DEVICE-NAME"),
                (3, b"DEVICE-TEXT"),
                (4, b"\x0a\x0a\x0a\x0a\xff\xff\xff\0"),
                (6, b"\0\x15\x5d\x11\x22\x33"),
                (9, &[9]),
                (11, b"\0host client.corp"),
                (12, b"DEVICE-SYSTEM"),
                (15, b"DEVICE-HARDWARE"),
            ]),
            names,
            keys,
            // A systemd journal entry, and a block of some maker.
            b.block(9, b"MESSAGE=JOURNAL-TEXT\n\0\0\0"),
            b.block(0x0bad, &[&b.n32(0x1234)[..], b"MAKERS-TEXT\0"].concat()),
        ]
        .concat();
        for (time, frame) in wrapped::frames_of("closes/V1.pcapng.zst") {
            let ticks = u64::try_from(time.0).unwrap();
            let hash = b"\x02HASHHASH";
            out.extend(b.packet(
                0,
                ticks,
                &frame,
                &[(1, b"PACKET-COMMENT"), (3, hash), (2989, &custom)],
            ));
        }
        out.extend(lost);
        std::fs::write(&from, &out).unwrap();
        let opened = open(&from);
        let to = folder.path().join("to.pcapng");
        let redacted = Options {
            redact: Some(Redaction::default()),
            force: true,
            keys: true,
            ..Options::of(Format::Pcapng)
        };
        export(&opened, What::All, &redacted, &to);
        let copy = std::fs::read(&to).unwrap();
        let secrets: &[&[u8]] = &[
            b"SECTION-",
            b"HARDWARE",
            b"SYSTEM",
            b"PROGRAM-",
            b"CUSTOM-",
            b"INTERFACE-",
            b"DEVICE-",
            b"corp",
            b"CLIENT_RANDOM",
            b"JOURNAL-",
            b"MAKERS-",
            b"PACKET-",
            b"HASHHASH",
            b"secret-customer",
            b"\x0a\x0a\x0a\x0a",
            b"\0\x15\x5d\x11\x22\x33",
        ];
        for secret in secrets {
            let is_in = |bytes: &[u8]| memchr::memmem::find(bytes, secret).is_some();
            let name = String::from_utf8_lossy(secret);
            assert!(is_in(&out) || *secret == b"secret-customer", "{name}");
            assert!(!is_in(&copy), "{name}");
        }
        assert_eq!(open(&to).store.frame_count(), opened.store.frame_count());
    }
}

#[test]
fn other_programs_read_the_blocks_beside_the_frames() {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("from.pcapng");
    std::fs::write(&from, with_blocks_beside(Order::Big)).unwrap();
    let to = folder.path().join("to.pcapng");
    let wished = Options {
        keys: true,
        ..options(Format::Pcapng)
    };
    export(&open(&from), What::All, &wished, &to);
    let run = |program: &str, args: &[&str]| {
        let output = std::process::Command::new(program)
            .args(args)
            .arg(&to)
            .output();
        output.map(|o| String::from_utf8_lossy(&o.stdout).into_owned())
    };
    let Ok(hosts) = run("tshark", &["-q", "-z", "hosts", "-r"]) else {
        return skip("blocks beside the frames", "tshark is not installed");
    };
    assert!(
        hosts.contains("client.corp") && hosts.contains("sql1.corp"),
        "{hosts}"
    );
    let about = run("capinfos", &[]).unwrap();
    assert!(
        about.contains("Number of decryption secrets in file: 1"),
        "{about}"
    );
    assert!(about.contains("Number of stat entries = 1"), "{about}");
}
