//! The known name that is nearest to one that was mistyped.

/// The candidate that `name` is most likely a slip for, if one is near enough to be what was meant, else the shortest
/// one that begins so; letter case and the choice between `-`, `_` and `.` do not count.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = plain(name);
    let limit = (wanted.len() / 3).clamp(1, 4).saturating_mul(CHANGE);
    let far = limit.saturating_add(1);
    let distance = |candidate: &str| {
        let known = plain(candidate);
        match cost(&wanted, &known) {
            cost if cost <= limit => Some(cost),
            _ => (!wanted.is_empty() && known.starts_with(&wanted)).then_some(far),
        }
    };
    candidates
        .into_iter()
        .filter_map(|candidate| Some((distance(candidate)?, candidate.len(), candidate)))
        .min_by_key(|(cost, len, _)| (*cost, *len))
        .map(|(_, _, candidate)| candidate)
}

/// What the slips cost. A letter left out is more likely than one too many, and a wrong one is the least likely.
const LEFT_OUT: usize = 9;
const SWAPPED: usize = 9;
const TOO_MANY: usize = 10;
const CHANGE: usize = 11;

/// Longest name that is compared; what is longer was not mistyped but is something else.
const LONGEST: usize = 64;

fn plain(name: &str) -> Vec<char> {
    name.chars()
        .take(LONGEST)
        .flat_map(char::to_lowercase)
        .map(|c| if c == '_' || c == '.' { '-' } else { c })
        .collect()
}

/// What it costs to turn what was typed into a name.
fn cost(typed: &[char], name: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=name.len())
        .map(|n| n.saturating_mul(LEFT_OUT))
        .collect();
    for (i, from) in typed.iter().enumerate() {
        let mut row = vec![i.saturating_add(1).saturating_mul(TOO_MANY)];
        for (j, to) in name.iter().enumerate() {
            let at = |r: &[usize], k: usize| r.get(k).copied().unwrap_or(usize::MAX / 2);
            let changed = if from == to { 0 } else { CHANGE };
            let mut cost = at(&last, j)
                .saturating_add(changed)
                .min(at(&last, j.saturating_add(1)).saturating_add(TOO_MANY))
                .min(at(&row, j).saturating_add(LEFT_OUT));
            let swapped = i > 0
                && j > 0
                && typed.get(i.wrapping_sub(1)) == Some(to)
                && name.get(j.wrapping_sub(1)) == Some(from);
            if swapped {
                cost = cost.min(at(&before_last, j.wrapping_sub(1)).saturating_add(SWAPPED));
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
        let flags = ["tcp.flags.res", "tcp.flags.reset"];
        assert_eq!(nearest("tcp.flags.rest", flags), Some("tcp.flags.reset"));
        assert_eq!(nearest("TCP_FLAGS_RESET", names), Some("tcp.flags.reset"));
        assert_eq!(nearest("colour", names), None);
        assert_eq!(nearest("tcp.fl", names), Some("tcp.flags.reset"));
        assert_eq!(nearest("", names), None);
    }
}
