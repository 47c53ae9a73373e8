//! Damage at any place: what stands before it is read as if nothing had happened, and so is what stands some records
//! behind it.

use proptest::prelude::*;

use super::{All, frames, pcap, pcapng, read};
use crate::capture::Capture;

/// What happens to a stretch of a file.
#[derive(Debug, Clone)]
enum Harm {
    /// Other bytes stand there.
    Overwritten(Vec<u8>),
    /// Bytes came in between.
    Inserted(Vec<u8>),
    /// Bytes are gone.
    Removed(usize),
}

fn any_harm() -> impl Strategy<Value = Harm> {
    let bytes = || prop::collection::vec(any::<u8>(), 1..200);
    prop_oneof![
        bytes().prop_map(Harm::Overwritten),
        bytes().prop_map(Harm::Inserted),
        (1_usize..200).prop_map(Harm::Removed),
    ]
}

const COUNT: usize = 120;
/// Records behind damage that may be lost with it: those that it hits, and those that it hides from the search.
const LOST: usize = 8;

fn number(time: i64) -> Option<usize> {
    let since = time.checked_sub(1_700_000_000 * 1_000_000_000)?;
    usize::try_from(since / 1_000_000).ok()
}

/// The frames that are as they were, by their numbers.
fn unharmed(all: &All, whole: &[(i64, Vec<u8>)]) -> Vec<usize> {
    let same = all.frames.iter().filter_map(|frame| {
        let number = number(frame.time)?;
        let (time, bytes) = whole.get(number)?;
        ((frame.time, &frame.bytes) == (*time, bytes)).then_some(number)
    });
    same.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn frames_before_and_behind_damage_are_read(
        harm in any_harm(),
        place in any::<prop::sample::Index>(),
        ng in any::<bool>(),
    ) {
        let whole = frames(COUNT);
        let bytes = if ng { pcapng(&whole) } else { pcap(&whole) };
        let front = bytes.len() - COUNT * 60;
        let first = if ng { 160 } else { 24 };
        prop_assume!(first < front);
        let at = first + place.index(bytes.len() - first);
        let mut harmed = bytes.clone();
        let end = match &harm {
            Harm::Overwritten(new) => {
                let end = bytes.len().min(at + new.len());
                harmed[at..end].copy_from_slice(&new[..end - at]);
                end
            }
            Harm::Inserted(new) => {
                harmed.splice(at..at, new.iter().copied());
                at
            }
            Harm::Removed(count) => {
                let end = bytes.len().min(at + count);
                harmed.drain(at..end);
                end
            }
        };
        // Every record is at least as long as its frame: so many end before the damage, so many begin behind it.
        let record = |no: usize| whole[no].1.len().next_multiple_of(if ng { 4 } else { 1 }) + if ng { 32 } else { 16 };
        let mut ends = Vec::new();
        let mut position = bytes.len() - (0..COUNT).map(record).sum::<usize>();
        for no in 0..COUNT {
            position += record(no);
            ends.push(position);
        }
        let before = ends.partition_point(|e| *e <= at);
        let behind = ends.partition_point(|e| *e <= end) + 1;
        let all = read(&Capture::from_bytes("harmed", harmed).unwrap());
        let kept = unharmed(&all, &whole);
        // The record before the damage may seem to be longer than it is only where its own length is hit.
        let expected: Vec<usize> = (0..before).collect();
        prop_assert!(kept.starts_with(&expected), "before: {before}, kept {kept:?}, {:?}", all.problems);
        if behind + LOST < COUNT {
            let expected: Vec<usize> = (behind + LOST..COUNT).collect();
            prop_assert!(kept.ends_with(&expected), "behind: {behind}, kept {kept:?}, {:?}", all.problems);
        }
    }
}
