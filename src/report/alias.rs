//! Stand-ins for addresses and names in a redacted report: the same name always gets the same one.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::store::{ConnRow, Store};
use crate::units::{ConnId, Side};

/// The stand-ins of one capture.
#[derive(Debug, Clone, Default)]
pub struct Aliases {
    names: BTreeMap<String, String>,
    /// All names, longest first, so that none is replaced by a part of it.
    by_length: Vec<String>,
    /// What the servers wrote in errors, by connection: texts that findings repeat.
    messages: BTreeMap<ConnId, Vec<String>>,
}

impl Aliases {
    /// Gives every address and name of a capture a stand-in, in order of appearance.
    pub fn of(store: &Store) -> Self {
        let mut aliases = Self::default();
        let mut counts: BTreeMap<&'static str, u32> = BTreeMap::new();
        for conn in store.conns() {
            for (kind, name) in names_of(conn) {
                aliases.names.entry(name).or_insert_with(|| {
                    let n = counts.entry(kind).or_insert(0);
                    *n = n.saturating_add(1);
                    format!("{kind}-{n}")
                });
            }
        }
        for conn in store.conns() {
            let login = conn.login.as_deref().and_then(|l| l.error.as_deref());
            let requests = store.conn_requests(conn.id);
            let answers = requests
                .filter_map(|r| r.error)
                .map(|e| e.text.into_string());
            let texts = answers.chain(login.map(|e| e.text.to_string()));
            let texts: Vec<String> = texts.filter(|t| !t.is_empty()).collect();
            if !texts.is_empty() {
                aliases.messages.insert(conn.id, texts);
            }
        }
        aliases.by_length = aliases.names.keys().cloned().collect();
        longest_first(&mut aliases.by_length);
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

    /// A text about a connection with its names replaced; about the whole capture with all names replaced.
    pub fn scrub(&self, text: &str, conn: Option<&ConnRow>) -> String {
        let own: Vec<String>;
        let names = match conn {
            Some(conn) => {
                let mut names: Vec<String> = names_of(conn).map(|(_, name)| name).collect();
                longest_first(&mut names);
                own = names;
                &own
            }
            None => &self.by_length,
        };
        let mut out = text.to_owned();
        let messages = conn.and_then(|conn| self.messages.get(&conn.id));
        for message in messages.into_iter().flatten() {
            out = out.replace(message.as_str(), "(left out)");
        }
        for name in names {
            if out.contains(name.as_str()) {
                out = replace_words(&out, name, &self.name(name));
            }
        }
        out
    }
}

fn longest_first(names: &mut [String]) {
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
}

/// Addresses and names of a connection, with what each names.
fn names_of(conn: &ConnRow) -> impl Iterator<Item = (&'static str, String)> {
    let ip = |side: Side| conn.endpoint(side).ip.to_string();
    let login = conn.login.as_deref();
    let said = |name: &Option<Arc<str>>| name.as_deref().map(str::to_owned);
    let named = login
        .and_then(|l| l.error.as_deref())
        .map(|e| e.server.to_string());
    let sni = conn.tls.as_ref().and_then(|t| t.sni.clone());
    [
        ("client", Some(ip(Side::Client))),
        ("server", Some(ip(Side::Server))),
        ("host", login.and_then(|l| said(&l.host))),
        ("user", login.and_then(|l| said(&l.user))),
        ("program", login.and_then(|l| said(&l.app))),
        ("server-name", login.and_then(|l| said(&l.server))),
        ("database", login.and_then(|l| said(&l.database))),
        ("server-name", named),
        ("server-name", sni),
    ]
    .into_iter()
    .filter_map(|(kind, name)| Some((kind, name.filter(|n| !n.is_empty())?)))
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
