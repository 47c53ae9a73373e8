//! Names that logins say: those of very many connections are the same, and kept once for all of them.

use std::collections::HashSet;
use std::sync::Arc;

/// The names that came last.
#[derive(Debug, Default)]
pub(super) struct Names(HashSet<Arc<str>>);

impl Names {
    /// So many different ones are known.
    const KNOWN: usize = 4096;

    /// The same name, in the memory of one that came before where there is one.
    pub(super) fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.0.get(name) {
            return Arc::clone(known);
        }
        if self.0.len() >= Self::KNOWN {
            self.0.clear();
        }
        let name = Arc::from(name);
        self.0.insert(Arc::clone(&name));
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_comes_again_takes_no_memory_and_others_do_not_fill_it() {
        let mut names = Names::default();
        let first = names.name("app");
        assert!(Arc::ptr_eq(&names.name("app"), &first));
        for n in 0..Names::KNOWN * 3 {
            assert_eq!(&*names.name(&n.to_string()), n.to_string());
        }
        assert!(names.0.len() <= Names::KNOWN);
    }
}
