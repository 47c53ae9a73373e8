//! Stand-ins for addresses and names in a redacted report: the same name always gets the same one.

use std::collections::BTreeMap;

use crate::store::Store;
use crate::units::Side;

/// The stand-ins of one capture.
#[derive(Debug, Clone, Default)]
pub struct Aliases {
    names: BTreeMap<String, String>,
    /// The names, longest first, so that none is replaced by a part of it.
    by_length: Vec<String>,
}

impl Aliases {
    /// Gives every address and name of a capture a stand-in, in order of appearance.
    pub fn of(store: &Store) -> Self {
        let mut aliases = Self::default();
        let mut counts: BTreeMap<&'static str, u32> = BTreeMap::new();
        let mut add = |kind: &'static str, name: &str| {
            if !name.is_empty() && !aliases.names.contains_key(name) {
                let n = counts.entry(kind).or_insert(0);
                *n = n.saturating_add(1);
                aliases.names.insert(name.to_owned(), format!("{kind}-{n}"));
            }
        };
        for conn in store.conns() {
            for (side, kind) in [(Side::Client, "client"), (Side::Server, "server")] {
                add(kind, &conn.endpoint(side).ip.to_string());
            }
            if let Some(login) = &conn.login {
                for (kind, name) in [
                    ("host", &login.host),
                    ("user", &login.user),
                    ("program", &login.app),
                    ("server-name", &login.server),
                    ("database", &login.database),
                ] {
                    add(kind, name.as_deref().unwrap_or_default());
                }
            }
            if let Some(sni) = conn.tls.as_ref().and_then(|t| t.sni.as_deref()) {
                add("server-name", sni);
            }
        }
        aliases.by_length = aliases.names.keys().cloned().collect();
        aliases
            .by_length
            .sort_by_key(|name| std::cmp::Reverse(name.len()));
        aliases
    }

    /// The stand-in of a name.
    pub fn name(&self, name: &str) -> String {
        self.names.get(name).cloned().unwrap_or_else(|| {
            if name.is_empty() {
                String::new()
            } else {
                "(left out)".into()
            }
        })
    }

    /// A text with every known name replaced.
    pub fn scrub(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for name in &self.by_length {
            if out.contains(name.as_str()) {
                out = replace_words(&out, name, &self.name(name));
            }
        }
        out
    }
}

/// Replaces a name where it stands by itself, not inside a longer word or number.
fn replace_words(text: &str, name: &str, by: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(name) {
        let (before, from) = rest.split_at(at);
        let after = from.get(name.len()..).unwrap_or_default();
        out.push_str(before);
        let inside = out.chars().next_back().is_some_and(char::is_alphanumeric)
            || after.chars().next().is_some_and(char::is_alphanumeric);
        out.push_str(if inside { name } else { by });
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_replaced_as_a_word_only() {
        assert_eq!(
            replace_words("10.0.0.1 and 10.0.0.12", "10.0.0.1", "client-1"),
            "client-1 and 10.0.0.12"
        );
        assert_eq!(
            replace_words("(sa): sale", "sa", "user-1"),
            "(user-1): sale"
        );
    }
}
