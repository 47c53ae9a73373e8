//! Damage: what stands before it is read as if nothing had happened, and so is what stands some records behind it.

use super::*;

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

#[test]
fn a_file_cut_at_any_byte_keeps_every_whole_frame_and_says_that_it_is_cut() {
    for whole in [pcap(&frames(5)), pcapng(&frames(5))] {
        let ends = all_ends(&whole);
        for len in 1..whole.len() {
            let Ok(capture) = Capture::from_bytes("cut", whole[..len].to_vec()) else {
                assert!(len < 24, "{len}");
                continue;
            };
            let all = read(&capture);
            let expected = ends.iter().filter(|end| **end <= len).count();
            assert_eq!(all.frames.len(), expected, "cut at {len}");
            // A cut between two records (or blocks) cannot be seen.
            if let Some(problem) = all.problems.first() {
                assert!(problem.2.contains("ends within a record"));
                assert_eq!(problem.1, expected);
            } else {
                let mut longer = whole[..len].to_vec();
                longer.push(0);
                assert_eq!(read_bytes(longer).problems[0].0, len as u64, "cut at {len}");
            }
        }
    }
}

#[test]
fn pcap_with_an_impossible_record_length_is_read_on_behind_it() {
    let expected = frames(3000);
    let mut bytes = pcap(&expected);
    let ends = all_ends(&bytes);
    let damaged = ends[1499];
    bytes[damaged + 8..damaged + 12].copy_from_slice(&u32::MAX.to_le_bytes());
    let all = read_bytes(bytes);
    let mut without = expected;
    without.remove(1500);
    assert_same(&all, &without);
    assert_eq!(all.problems[0].0, damaged as u64);
    assert_eq!(all.problems[0].1, 1500);
    assert!(all.problems[0].2.contains("4294967295 bytes"));
    assert_eq!(all.problems[1].0, ends[1500] as u64);
    assert!(all.problems[1].2.contains("found again"));
}

#[test]
fn bytes_that_are_no_records_are_stepped_over_wherever_they_stand() {
    let expected = frames(400);
    for make in [pcap, pcapng] {
        let bytes = make(&expected);
        let ends = all_ends(&bytes);
        for (lost, at) in [(1, 0_usize), (7, 100), (3, 396), (4096, 200), (700_000, 50)] {
            let mut longer = bytes[..ends[at]].to_vec();
            longer.extend(std::iter::repeat_n(0xff, lost));
            longer.extend(&bytes[ends[at]..]);
            let all = read_bytes(longer);
            assert_same(&all, &expected);
            assert_eq!(all.problems.len(), 2, "{:?}", all.problems);
        }
    }
}

#[test]
fn zeros_in_the_middle_are_no_frames() {
    let expected = frames(300);
    for make in [pcap, pcapng] {
        let mut bytes = make(&expected);
        let ends = all_ends(&bytes);
        bytes[ends[99]..ends[120]].fill(0);
        let all = read_bytes(bytes);
        assert_same(&all, &[&expected[..100], &expected[121..]].concat());
        assert_eq!(all.problems[0].0, ends[99] as u64);
    }
}

#[test]
fn odd_times_and_lengths_are_no_damage() {
    let odd = vec![
        (SECOND, vec![1; 70]),
        (4_000_000_000 * SECOND, vec![2; 70]),
        (5 * SECOND, vec![3; 70]),
    ];
    let mut bytes = pcap(&odd);
    let ends = all_ends(&bytes);
    for end in [24, ends[0], ends[1]] {
        bytes[end + 4..end + 8].copy_from_slice(&1_500_000_000_u32.to_le_bytes());
        bytes[end + 12..end + 16].copy_from_slice(&0_u32.to_le_bytes());
    }
    let all = read_bytes(bytes);
    assert_eq!(all.frames.len(), 3);
    assert!(all.problems.is_empty());
    assert_eq!(all.frames[2].time, 6_500_000_000);
}

#[test]
fn much_damage_in_a_long_block_is_read_over_in_little_time() {
    let expected = frames(20_000);
    let mut bytes = pcapng(&expected);
    let ends = all_ends(&bytes);
    // The first block claims most of the file, and every fourth one after it is damaged.
    let first = ends[0] - (expected[0].1.len().next_multiple_of(4) + 32);
    bytes[first + 4..first + 8].copy_from_slice(&2_000_000_u32.to_le_bytes());
    for end in ends.iter().skip(3).step_by(4) {
        bytes[*end - 4..*end].fill(0xff);
        bytes[*end - 40..*end - 36].fill(0xff);
    }
    let start = std::time::Instant::now();
    let all = read_bytes(bytes);
    assert!(all.frames.len() > 10_000);
    assert_eq!(all.problems.len(), 1000);
    assert!(start.elapsed() < Duration::from_mins(1));
}

#[test]
fn damage_without_anything_behind_it_is_said() {
    for make in [pcap, pcapng] {
        let mut bytes = make(&frames(10));
        let len = bytes.len();
        bytes.extend([0xee; 300]);
        let all = read_bytes(bytes);
        assert_eq!(all.frames.len(), 10);
        assert_eq!(all.problems.len(), 2, "{:?}", all.problems);
        assert_eq!(all.problems[0].0, len as u64);
        assert!(all.problems[1].2.contains("no record was found"));
    }
}

#[test]
fn a_block_whose_lengths_disagree_keeps_its_frame_where_the_next_block_follows() {
    let expected = frames(50);
    let mut bytes = pcapng(&expected);
    let end = all_ends(&bytes)[20];
    bytes[end - 4..end].copy_from_slice(&77_u32.to_le_bytes());
    let all = read_bytes(bytes);
    assert_same(&all, &expected);
    assert_eq!(all.problems.len(), 1);
    assert!(all.problems[0].2.contains("disagree"));
}

#[test]
fn a_wrong_length_is_known_where_a_stretch_ends_as_anywhere_else() {
    let mut expected = frames(3500);
    let bytes = pcapng(&expected);
    let end_of_stretch = super::super::file::STRETCH;
    let ends = all_ends(&bytes);
    let behind = ends.partition_point(|end| *end < end_of_stretch);
    let (begin, end) = (ends[behind - 2], ends[behind - 1]);
    let mut harmed = bytes.clone();
    let wrong = u32::try_from(end_of_stretch - begin).unwrap();
    assert_ne!(end, end_of_stretch);
    harmed[begin + 4..begin + 8].copy_from_slice(&wrong.to_le_bytes());
    let all = read_bytes(harmed);
    expected.remove(behind - 1);
    assert_same(&all, &expected);
    // Where nothing follows, nothing tells that the length in front is wrong.
    let mut last = bytes[..end].to_vec();
    last[end - 4..].fill(0);
    let all = read_bytes(last);
    assert_same(&all, &frames(behind));
    assert!(all.problems[0].2.contains("disagree"));
}

#[test]
fn a_frame_of_an_undeclared_interface_is_listed_and_reported() {
    let mut bytes = pcapng(&frames(4));
    let end = all_ends(&bytes)[1];
    bytes[end + 8..end + 12].copy_from_slice(&9_u32.to_le_bytes());
    let all = read_bytes(bytes);
    assert_eq!(all.frames.len(), 4);
    assert!(all.problems[0].2.contains("interface 9"));
    assert_eq!(all.problems[0].0, end as u64);
    assert_eq!(all.interfaces.len(), 2);
    assert_eq!(all.frames[2].interface, 1);
}

#[test]
fn countless_interfaces_and_problems_take_bounded_memory() {
    let mut bytes = PcapngWriter::new(Vec::new(), None).unwrap().finish();
    for _ in 0..70_000 {
        for field in [1_u32, 20, 1, 0, 20] {
            bytes.extend(field.to_le_bytes());
        }
    }
    // Packets of an interface of the section that is not told apart, and of none.
    for interface in [69_000_u32, 90_000, 90_000] {
        for field in [6, 32, interface, 0, 0, 0, 0, 32] {
            bytes.extend(field.to_le_bytes());
        }
    }
    let all = read_bytes(bytes);
    assert_eq!(all.frames.len(), 3);
    assert_eq!(all.interfaces.len(), 65_537);
    assert_eq!(all.problems.len(), 1000);
    assert!(all.problems[999].2.contains("not listed"));
}

#[test]
fn a_file_that_shrinks_while_it_is_open_is_said() {
    let (_folder, path) = temporary("shrinks", &pcap(&frames(100)));
    let capture = open(std::slice::from_ref(&path));
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_len(1000).unwrap();
    let all = read(&capture);
    assert!(all.problems.iter().any(|p| p.2.contains("became shorter")));
    assert!(!all.frames.is_empty());
}
