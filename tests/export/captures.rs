//! Capture files that were written, read back by this program and by others: the same frames, times, lengths and
//! interfaces; and files that may not or cannot be written.

use std::path::Path;
use std::process::Command;

use marstui::export::{ExportError, Format, FrameSet, Options, Redaction, What};
use marstui::store::{FrameFlags, Store};
use marstui::track;
use marstui::units::FrameNo;

use super::{Opened, fixture, tool_or};
use crate::support::{shared_or_skip, skip};

#[test]
fn what_is_written_is_read_back_the_same_in_both_formats_and_compressed() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = vec![fixture("closes/V1.pcapng.zst")];
    if let Some(shared) = shared_or_skip("what_is_written_is_read_back_the_same") {
        let recorded = shared.join("captures/recorded");
        files.extend(
            [
                "a3-wiki-shape-rst-ack.client.pcapng",
                "o5-nanosecond-pcap.server.pcap",
                "s1-linux-cooked.client.pcapng",
                "x1-snaplen-128.client.pcap",
                "o1-ipv6.client.pcapng",
            ]
            .map(|name| recorded.join(name)),
        );
    }
    for file in files {
        let opened = Opened::new(&file);
        let some: FrameSet = opened.all().iter().filter(|no| no.0 % 3 != 1).collect();
        for name in [
            "a.pcapng",
            "a.pcap",
            "a.pcapng.gz",
            "a.pcap.zst",
            "a.pcapng.lz4",
        ] {
            let target = folder.path().join(name);
            let format = Format::from_path(&target).unwrap();
            let options = Options {
                force: true,
                ..Options::of(format)
            };
            let written = opened
                .export(What::Marked(some.clone()), &options, &target)
                .unwrap();
            assert_eq!(written.frames, some.len());
            assert!(written.bytes > 0);
            let back = Opened::new(&target);
            assert!(
                back.store.problems().is_empty(),
                "{:?}",
                back.store.problems()
            );
            assert!(
                back.frames(&back.all()) == opened.frames(&some),
                "{} as {name} differs",
                file.display()
            );
        }
    }
}

#[test]
fn tshark_sees_the_same_frames_times_and_lengths() {
    let Some(shared) = shared_or_skip("tshark_sees_the_same_frames_times_and_lengths") else {
        return;
    };
    if !has("tshark") || !has("tcpdump") || !has("capinfos") {
        skip(
            "tshark_sees_the_same_frames_times_and_lengths",
            "tshark, tcpdump or capinfos is missing",
        );
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (folder_name, name) in [
        ("recorded", "b1-interleaved-odbc.client.pcapng"),
        ("recorded", "x4-both-points-merged.both.pcapng"),
        ("recorded", "o5-nanosecond-pcap.client.pcap"),
        ("public/formats", "pcapng-two-interfaces-dsb.pcap"),
        ("public/derived", "two-linktypes.pcapng"),
    ] {
        let file = shared.join("captures").join(folder_name).join(name);
        let opened = Opened::new(&file);
        let target = folder.path().join("out.pcapng");
        let options = Options {
            force: true,
            ..Options::of(Format::Pcapng)
        };
        opened.export(What::All, &options, &target).unwrap();
        let fields = |path: &Path| {
            tool(
                "tshark",
                &[
                    "-r",
                    path.to_str().unwrap(),
                    "-T",
                    "fields",
                    "-e",
                    "frame.time_epoch",
                    "-e",
                    "frame.len",
                    "-e",
                    "frame.cap_len",
                    "-e",
                    "frame.encap_type",
                    "-e",
                    "tcp.seq_raw",
                    "-e",
                    "smp.sid",
                ],
            )
        };
        let (before, after) = (fields(&file), fields(&target));
        assert_eq!(before, after, "{name}");
        assert_eq!(after.lines().count(), opened.store.frame_count(), "{name}");
        let counted = tool("capinfos", &["-c", "-M", target.to_str().unwrap()]);
        assert!(
            counted.contains(&opened.store.frame_count().to_string()),
            "{counted}"
        );
        if opened.store.interfaces().len() == 1 {
            let lines = tool("tcpdump", &["-nn", "-tt", "-r", target.to_str().unwrap()]);
            assert_eq!(
                lines,
                tool("tcpdump", &["-nn", "-tt", "-r", file.to_str().unwrap()]),
                "{name}"
            );
        }
    }
}

/// The comments of frames, as tshark shows them.
fn comments_in(file: &Path) -> String {
    let file = file.to_str().unwrap();
    let fields = ["-e", "frame.number", "-e", "frame.comment"];
    let shown = ["-r", file, "-Y", "frame.comment", "-T", "fields"];
    tool("tshark", &[&shown[..], &fields].concat())
}

#[test]
fn findings_conditions_and_marks_are_comments_that_others_show() {
    if !has("tshark") {
        skip(
            "findings_conditions_and_marks_are_comments_that_others_show",
            "tshark is missing",
        );
        return;
    }
    let opened = Opened::new(&fixture("closes/V1.pcapng.zst"));
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("out.pcapng");
    let mut options = Options::of(Format::Pcapng);
    options.marks = FrameSet::range(FrameNo(2), FrameNo(2));
    opened.export(What::All, &options, &target).unwrap();
    let comments = comments_in(&target);
    assert!(
        comments.contains("mars-close-rst: Benign, proven"),
        "{comments}"
    );
    assert!(comments.contains("RST.Ack = FIN.Ack + 16"), "{comments}");
    assert!(
        comments.contains("marked; frame 2 of the original"),
        "{comments}"
    );
    let section = tool("capinfos", &["-k", target.to_str().unwrap()]);
    assert!(
        section.contains("V1.pcapng.zst") && section.contains("frames 1-19"),
        "{section}"
    );

    // Exported again, the comments are still there; without comments nothing is added.
    let again = folder.path().join("again.pcapng");
    let mut plain = Options::of(Format::Pcapng);
    plain.comments = false;
    let exported = Opened::new(&target);
    exported.export(What::All, &plain, &again).unwrap();
    let kept = comments_in(&again);
    assert_eq!(kept, comments);
}

#[test]
fn pcap_is_refused_where_it_cannot_hold_the_frames() {
    let Some(shared) = shared_or_skip("pcap_is_refused_where_it_cannot_hold_the_frames") else {
        return;
    };
    let opened = Opened::new(&shared.join("captures/public/derived/two-linktypes.pcapng"));
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("out.pcap");
    let error = opened
        .export(What::All, &Options::of(Format::Pcap), &target)
        .unwrap_err();
    assert!(
        error.to_string().contains("write pcapng instead"),
        "{error}"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[cfg(unix)]
#[test]
fn the_open_capture_is_never_written_also_not_through_links() {
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("capture.pcapng.zst");
    std::fs::copy(fixture("closes/V1.pcapng.zst"), &capture).unwrap();
    let before = std::fs::read(&capture).unwrap();
    let (soft, hard) = (
        folder.path().join("soft.pcapng"),
        folder.path().join("hard.pcapng"),
    );
    std::os::unix::fs::symlink(&capture, &soft).unwrap();
    std::fs::hard_link(&capture, &hard).unwrap();
    let options = Options {
        force: true,
        ..Options::of(Format::Pcapng)
    };
    for opened_as in [&capture, &soft] {
        let opened = Opened::new(opened_as);
        for target in [&capture, &soft, &hard] {
            let error = opened.export(What::All, &options, target).unwrap_err();
            assert!(matches!(error, ExportError::IsTheCapture(_)), "{error}");
        }
    }
    assert_eq!(std::fs::read(&capture).unwrap(), before);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
}

#[test]
fn frames_of_unknown_link_types_are_listed_and_exported_without_decode() {
    let mut bytes = pcap_header(147);
    for i in 0..5_u8 {
        bytes.extend([0, 0, 0, i, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 20]);
        bytes.extend([i; 20]);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("unknown.pcap");
    std::fs::write(&path, &bytes).unwrap();
    let opened = Opened::new(&path);
    assert_eq!(opened.all().len(), 5);
    assert!(opened.store.conns().is_empty() && opened.store.problems().is_empty());
    let not_decoded = opened.store.frames_from(FrameNo(1));
    assert!(
        not_decoded
            .map(|(_, row)| row.flags)
            .all(|flags| flags.has(FrameFlags::NOT_IP))
    );
    let listing = opened.text(What::All, Format::Listing);
    assert_eq!(
        listing
            .lines()
            .filter(|line| line.contains("no IP"))
            .count(),
        5,
        "{listing}"
    );
    let copy = folder.path().join("copy.pcap");
    opened
        .export(What::All, &Options::of(Format::Pcap), &copy)
        .unwrap();
    assert_eq!(std::fs::read(&copy).unwrap(), bytes);
    // Redacted, nothing is left of what is not understood.
    let hidden = folder.path().join("hidden.pcapng");
    let redact = Options {
        redact: Some(Redaction::default()),
        ..Options::of(Format::Pcapng)
    };
    opened.export(What::All, &redact, &hidden).unwrap();
    let hidden = Opened::new(&hidden);
    let contents = hidden.frames(&hidden.all());
    assert!(contents.iter().all(|(.., bytes)| *bytes == [0; 20]));
}

/// A big-endian pcap file without frames.
fn pcap_header(link_type: u8) -> Vec<u8> {
    let mut bytes = vec![0xa1, 0xb2, 0xc3, 0xd4, 0, 2, 0, 4];
    bytes.extend([0; 8]);
    bytes.extend([0, 0, 0xff, 0xff, 0, 0, 0, link_type]);
    bytes
}

#[test]
fn where_frames_stand_can_be_known_without_looking_into_them() {
    let opened = Opened::new(&fixture("closes/V1.pcapng.zst"));
    let options = track::Options {
        frames_only: true,
        ..track::Options::default()
    };
    let indexing = track::start(opened.capture.clone(), options);
    let mut store = Store::new();
    for batch in &indexing.batches {
        store.append(batch);
    }
    assert!(store.conns().is_empty() && store.progress().complete);
    let places = |store: &Store| -> Vec<_> {
        let rows = store.frames_from(FrameNo(1));
        rows.map(|(_, row)| (row.time, row.offset, row.captured, row.wire))
            .collect()
    };
    assert_eq!(places(&store), places(&opened.store));
}

#[cfg(unix)]
#[test]
fn where_nothing_can_be_written_it_is_said_and_nothing_stays() {
    use std::os::unix::fs::PermissionsExt;
    let opened = Opened::new(&fixture("closes/V1.pcapng.zst"));
    let folder = tempfile::tempdir().unwrap();
    let options = Options::of(Format::Pcapng);
    let message = |target: &Path, options: &Options| {
        let result = opened.export(What::All, options, target);
        result.unwrap_err().to_string()
    };
    let forced = Options {
        force: true,
        ..options.clone()
    };
    let full = message(Path::new("/dev/full"), &forced);
    assert!(full.contains("/dev/full: no space left (needs "), "{full}");
    // The length of a table is not that of the frames that it tells of.
    let table = Options {
        format: Format::Csv,
        ..forced.clone()
    };
    let full = message(Path::new("/dev/full"), &table);
    assert!(full.contains("/dev/full: no space left; choose"), "{full}");

    let taken = folder.path().join("taken.pcapng");
    std::fs::write(&taken, "before").unwrap();
    assert!(message(&taken, &options).contains("exists"));
    assert_eq!(std::fs::read(&taken).unwrap(), b"before");

    let none = folder.path().join("none/out.pcapng");
    assert!(message(&none, &options).contains("there is no such folder"));

    // The administrator may write everywhere.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o555)).unwrap();
    let closed = folder.path().join("closed.pcapng");
    if std::fs::write(folder.path().join("probe"), "").is_err() {
        let text = message(&closed, &options);
        assert!(text.contains("closed.pcapng"), "{text}");
    }
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let _ = std::fs::remove_file(folder.path().join("probe"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

fn tool(program: &str, args: &[&str]) -> String {
    tool_or(program, args).unwrap()
}
