//! The known name that is nearest to one that was mistyped.

/// The candidate with the fewest edits from `name`, if that is near enough to be what was meant; letter case and
/// the choice between `-`, `_` and `.` do not count.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = plain(name);
    let limit = (wanted.len() / 3).clamp(1, 4);
    candidates
        .into_iter()
        .map(|candidate| (edits(&wanted, &plain(candidate)), candidate))
        .filter(|(cost, _)| *cost <= limit)
        .min_by_key(|(cost, candidate)| (*cost, candidate.len()))
        .map(|(_, candidate)| candidate)
}

/// Longest name that is compared; what is longer was not mistyped but is something else.
const LONGEST: usize = 64;

fn plain(name: &str) -> Vec<char> {
    name.chars()
        .take(LONGEST)
        .flat_map(char::to_lowercase)
        .map(|c| if c == '_' || c == '.' { '-' } else { c })
        .collect()
}

/// Edits (insert, drop, change, swap of neighbours) that turn one text into the other.
fn edits(a: &[char], b: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut row = vec![i.saturating_add(1)];
        for (j, to) in b.iter().enumerate() {
            let at = |r: &[usize], k: usize| r.get(k).copied().unwrap_or(usize::MAX / 2);
            let mut cost = at(&last, j)
                .saturating_add(usize::from(from != to))
                .min(at(&last, j.saturating_add(1)).saturating_add(1))
                .min(at(&row, j).saturating_add(1));
            let swapped = i > 0
                && j > 0
                && a.get(i.wrapping_sub(1)) == Some(to)
                && b.get(j.wrapping_sub(1)) == Some(from);
            if swapped {
                cost = cost.min(at(&before_last, j.wrapping_sub(1)).saturating_add(1));
            }
            row.push(cost);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_name_and_nonsense_finds_none() {
        let names = ["sid", "side", "kind", "tcp.flags.reset", "theme"];
        assert_eq!(nearest("sidd", names), Some("sid"));
        assert_eq!(nearest("knid", names), Some("kind"));
        assert_eq!(nearest("tcp.flags.rest", names), Some("tcp.flags.reset"));
        assert_eq!(nearest("TCP_FLAGS_RESET", names), Some("tcp.flags.reset"));
        assert_eq!(nearest("colour", names), None);
    }
}
