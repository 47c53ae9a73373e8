//! Numbers that are told together: the ends of long runs in place of each of them.

/// Runs of fewer numbers than this are read faster one by one.
const LONG: usize = 5;

/// The first and the last of each long run of numbers that rise without a gap; of another number itself, twice.
pub fn runs<T: Copy + Into<u32>>(rising: &[T]) -> impl Iterator<Item = (T, T)> + '_ {
    let follow = |a: &T, b: &T| (*a).into().checked_add(1) == Some((*b).into());
    rising.chunk_by(follow).flat_map(|run| {
        let long = run.len() >= LONG;
        let ends = run.first().zip(run.last()).filter(|_| long);
        let whole = ends.map(|(first, last)| (*first, *last));
        let each = if long { &[] } else { run };
        whole.into_iter().chain(each.iter().map(|n| (*n, *n)))
    })
}

/// Numbers in words, long runs by their ends, and how many there are beyond the first `most` of these.
pub fn in_words<T: Copy + Into<u32>>(rising: &[T], between: &str, most: usize) -> String {
    let all = runs(rising).map(|(first, last)| (first.into(), last.into()));
    let mut told = Vec::new();
    let mut beyond = 0_u64;
    for (at, (first, last)) in all.enumerate() {
        if at >= most {
            let run = u64::from(last.saturating_sub(first)).saturating_add(1);
            beyond = beyond.saturating_add(run);
        } else if last == first {
            told.push(first.to_string());
        } else {
            told.push(format!("{first}-{last}"));
        }
    }
    match beyond {
        0 => told.join(between),
        beyond => format!("{} and {beyond} more", told.join(between)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_runs_are_told_by_their_ends_and_short_ones_number_by_number() {
        let all: Vec<u16> = (0..50).collect();
        assert_eq!(in_words(&all, ", ", 8), "0-49");
        assert_eq!(in_words(&[0_u16, 1, 2, 3], ", ", 8), "0, 1, 2, 3");
        assert_eq!(
            in_words(&[3_u16, 5, 6, 7, 8, 9, 65535], " ", 8),
            "3 5-9 65535"
        );
        assert_eq!(in_words::<u16>(&[], ", ", 8), "");
    }

    #[test]
    fn what_is_left_out_is_counted() {
        let gaps: Vec<u16> = (0..10_u16).map(|n| n * 2).chain(100..120).collect();
        assert_eq!(in_words(&gaps, " ", 3), "0 2 4 and 27 more");
    }
}
