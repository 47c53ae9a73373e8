//! What very many findings have in common: how their conditions and their evidence are told, kept once for all of them.

use std::sync::Arc;

use super::finding::Finding;
use super::proof::{PackedCondition, PackedEvidence};

/// The forms of the last findings of each kind.
#[derive(Debug, Default)]
pub struct Forms {
    conditions: Last<PackedCondition>,
    evidence: Last<PackedEvidence>,
}

impl Forms {
    /// Lets a finding have what it has in common with one of those before from there.
    pub fn share(&mut self, finding: &mut Finding) {
        self.conditions.share(&mut finding.conditions.rows);
        self.evidence.share(&mut finding.evidence.rows);
    }
}

/// Forms, the one that was had last in front.
#[derive(Debug)]
struct Last<T>(Vec<Arc<[T]>>);

impl<T> Default for Last<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: PartialEq> Last<T> {
    /// As many are looked through.
    const KEPT: usize = 16;

    fn share(&mut self, rows: &mut Arc<[T]>) {
        if rows.is_empty() {
            return;
        }
        if let Some(at) = self.0.iter().position(|known| known == rows)
            && let Some(before) = self.0.get_mut(..=at)
        {
            before.rotate_right(1);
            if let [known, ..] = before {
                rows.clone_from(known);
            }
        } else {
            self.0.truncate(Self::KEPT.saturating_sub(1));
            self.0.insert(0, Arc::clone(rows));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_again_is_kept_once_and_what_does_not_is_forgotten() {
        let mut last = Last::default();
        let mut had = |numbers: [u8; 3]| {
            let mut rows: Arc<[u8]> = Arc::from(numbers);
            last.share(&mut rows);
            assert_eq!(*rows, numbers);
            rows
        };
        let first = had([1; 3]);
        assert!(Arc::ptr_eq(&had([1; 3]), &first));
        (2..17).for_each(|n| drop(had([n; 3])));
        assert!(Arc::ptr_eq(&had([1; 3]), &first));
        (20..36).for_each(|n| drop(had([n; 3])));
        assert!(!Arc::ptr_eq(&had([1; 3]), &first));
    }
}
