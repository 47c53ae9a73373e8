//! Rows that change while batches leave.

use std::path::{Path, PathBuf};

use crate::capture::{Capture, OpenOptions};
use crate::store::Store;
use crate::track::testing;
use crate::track::tracker::Tracker;
use crate::units::FrameNo;

fn fixtures(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(folder);
    let files = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|kind| kind == "zst"));
    files
}

/// Indexes a capture; a batch leaves behind every so many frames, and so many connections that are over are kept.
fn indexed(paths: &[PathBuf], every: usize, over: usize) -> Store {
    let capture = Capture::open(paths, &OpenOptions::default()).unwrap();
    let mut store = Store::new();
    let mut tracker = Tracker::new(&capture);
    tracker.over.kept = over;
    testing::in_batches(&mut tracker, &capture, every, |_, batch| {
        store.append(batch);
    });
    tracker.finish(None, |batch| store.append(batch));
    store
}

/// Where none is kept that is over, a batch is also when its connections are put away, so that frames that come behind it
/// find no more than remains of them.
#[test]
fn rows_are_the_same_in_whatever_batches_they_leave() {
    let mut requests = 0;
    let all = [fixtures(""), fixtures("rules"), fixtures("near-misses")].concat();
    // Twice the same file is two points, whose times come later than the rows.
    let twice = all.iter().map(|path| vec![path.clone(), path.clone()]);
    for path in all.iter().map(|path| vec![path.clone()]).chain(twice) {
        for over in [usize::MAX, 0] {
            let whole = indexed(&path, usize::MAX, over);
            requests += whole.request_count();
            for every in [1, 5] {
                let parts = indexed(&path, every, over);
                let what = format!("{path:?}, {every}, {over}");
                let told = |store: &Store| store.requests().collect::<Vec<_>>();
                assert_eq!(told(&parts), told(&whole), "{what}");
                assert_eq!(parts.sessions(), whole.sessions(), "{what}");
                assert_eq!(parts.conns(), whole.conns(), "{what}");
                assert_eq!(parts.view(), whole.view(), "{what}");
                let frames = (0..).map(FrameNo::from_index);
                for no in frames.take(whole.frame_count()) {
                    assert_eq!(parts.frame(no), whole.frame(no), "{what}, {no}");
                }
            }
        }
    }
    assert!(requests > 100, "{requests} requests");
}
