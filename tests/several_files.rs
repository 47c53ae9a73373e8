//! A capture of several files: every frame still knows its file, its number in it, and its comments.

use std::io::Write;

use marstui::capture::write::{Frame, InterfaceSpec, PcapngWriter};
use marstui::capture::{Capture, OpenOptions};
use marstui::decode::field::Value;
use marstui::dissect;
use marstui::track;
use marstui::units::{FrameNo, Nanos};

const ETHERNET: InterfaceSpec<'_> = InterfaceSpec {
    link_type: 1,
    snap_len: 0,
    ticks_per_second: 1_000_000_000,
    name: Some("eth0"),
};

/// A file with frames at the given seconds, each with a comment that says which.
fn file(
    folder: &std::path::Path,
    name: &str,
    seconds: impl Iterator<Item = i64>,
) -> std::path::PathBuf {
    let path = folder.join(name);
    let output = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    let mut writer = PcapngWriter::new(output, None).unwrap();
    writer.interface(&ETHERNET).unwrap();
    for second in seconds {
        let frame = Frame {
            time: Nanos(second * 1_000_000_000),
            wire: 60,
            bytes: &[0; 60],
        };
        let comment = format!("second {second}");
        writer.frame(0, &frame, [comment.as_str()]).unwrap();
    }
    writer.finish().flush().unwrap();
    path
}

#[test]
fn merged_frames_know_file_number_and_comment() {
    let folder = tempfile::tempdir().unwrap();
    // Every third second is in the first file, the others are in the second.
    let thirds = file(
        folder.path(),
        "thirds.pcapng",
        (0..20_000).filter(|s| s % 3 == 0),
    );
    let others = file(
        folder.path(),
        "others.pcapng",
        (0..20_000).filter(|s| s % 3 != 0),
    );
    let capture = Capture::open(&[others, thirds], &OpenOptions::default()).unwrap();
    let store = track::load(&capture);
    assert_eq!(store.frame_count(), 20_000);
    for second in [0, 1, 2, 3, 4095, 4096, 4097, 12_288, 19_998, 19_999_u32] {
        let no = FrameNo(second + 1);
        let (file, number) = store.place(no).unwrap();
        let (name, before) = if second % 3 == 0 {
            ("thirds.pcapng", second / 3)
        } else {
            ("others.pcapng", second - second / 3 - 1)
        };
        assert!(file.path.ends_with(name), "{second}");
        assert_eq!(number, FrameNo(before + 1), "{second}");
        let tree = dissect::frame(&store, &capture, no, &dissect::Options::default()).unwrap();
        let value = |name| tree.fields[0].find(name).map(|field| field.value.clone());
        assert_eq!(
            value("frame.file_number"),
            Some(Value::UInt(u64::from(before) + 1))
        );
        // Said before the frame is opened, too.
        let head = format!("{} of {name}  ", before + 1);
        assert!(tree.fields[0].text.starts_with(&head), "{second}");
        assert_eq!(
            value("frame.comment"),
            Some(Value::Text(format!("second {second}")))
        );
    }
}

#[test]
fn the_number_in_a_single_file_is_the_frame_number() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "one.pcapng", 0..10);
    let capture = Capture::open(&[path], &OpenOptions::default()).unwrap();
    let store = track::load(&capture);
    assert_eq!(store.place(FrameNo(7)).unwrap().1, FrameNo(7));
    assert!(store.place(FrameNo(11)).is_none());
}
