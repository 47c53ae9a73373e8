//! Files that grow, and captures that arrive as a stream.

use super::*;

#[test]
fn a_growing_file_gives_its_new_frames_when_asked_again() {
    let expected = frames(30);
    for make in [pcap, pcapng] {
        let whole = make(&expected);
        let ends = all_ends(&whole);
        let cut = ends[9] + 5;
        let (_folder, path) = temporary("growing", &whole[..cut]);
        let capture =
            Capture::open(std::slice::from_ref(&path), &OpenOptions { follow: true }).unwrap();
        let mut reader = capture.chunks();
        let mut all = All::default();
        while let Some(chunk) = reader.next_chunk() {
            take(&mut all, chunk);
        }
        assert_same(&all, &expected[..10]);
        assert!(reader.next_chunk().is_none() && !reader.is_at_end());
        let mut file = std::fs::File::options().append(true).open(&path).unwrap();
        file.write_all(&whole[cut..]).unwrap();
        while let Some(chunk) = reader.next_chunk() {
            take(&mut all, chunk);
        }
        assert_same(&all, &expected);
        assert!(all.problems.is_empty());
    }
}

#[test]
fn a_followed_file_that_is_written_anew_ends() {
    let (_folder, path) = temporary("followed", &pcap(&frames(30)));
    let follow = OpenOptions { follow: true };
    let capture = Capture::open(std::slice::from_ref(&path), &follow).unwrap();
    let mut reader = capture.chunks();
    let mut all = All::default();
    while let Some(chunk) = reader.next_chunk() {
        take(&mut all, chunk);
    }
    std::fs::write(&path, pcap(&frames(2))).unwrap();
    while let Some(chunk) = reader.next_chunk() {
        take(&mut all, chunk);
    }
    assert_eq!(all.frames.len(), 30);
    assert!(all.problems[0].2.contains("became shorter"));
    assert!(reader.is_at_end());
}

#[test]
fn a_stream_is_readable_while_it_arrives() {
    let expected = frames(20);
    let whole = pcap(&expected);
    let half = all_ends(&whole)[9];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo")
        .arg(&path)
        .status()
        .unwrap();
    assert!(made.success());
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let there = path.clone();
    let writer = std::thread::spawn(move || {
        let mut pipe = std::fs::File::options().write(true).open(there).unwrap();
        pipe.write_all(&whole[..half]).unwrap();
        pipe.flush().unwrap();
        wait.recv().unwrap();
        pipe.write_all(&whole[half..]).unwrap();
    });
    let capture = open(&[path]);
    let mut reader = capture.chunks();
    let mut all = All::default();
    let mut told = false;
    while let Some(chunk) = reader.next_chunk() {
        let caught_up = chunk.caught_up;
        take(&mut all, chunk);
        if caught_up && all.frames.len() == 10 && !told {
            told = true;
            go_on.send(()).unwrap();
        }
    }
    writer.join().unwrap();
    assert!(told);
    assert_same(&all, &expected);
}

#[test]
fn waiting_for_a_stream_leaves_room_for_other_work() {
    let start = std::time::Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    std::process::Command::new("mkfifo")
        .arg(&path)
        .status()
        .unwrap();
    let there = path.clone();
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let writer = std::thread::spawn(move || {
        let mut pipe = std::fs::File::options().write(true).open(there).unwrap();
        pipe.write_all(&pcap(&frames(1))).unwrap();
        wait.recv().unwrap();
    });
    let mut reader = open(&[path]).chunks();
    assert_eq!(reader.next_chunk().unwrap().records.len(), 1);
    assert!(reader.next_chunk().unwrap().caught_up);
    assert!(start.elapsed() < Duration::from_secs(5));
    done.send(()).unwrap();
    writer.join().unwrap();
    while reader.next_chunk().is_some() {}
}
