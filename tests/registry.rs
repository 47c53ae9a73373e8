//! The registry's names and types against the list of Wireshark's.

use std::collections::BTreeMap;
use std::fs;

use marstui::decode::registry;

use crate::support::shared_or_skip;

/// Rows of the list's tables: name and type word.
fn listed(text: &str) -> BTreeMap<&str, &str> {
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let (Some(name), Some(kind)) = (cells.next(), cells.next()) else {
            continue;
        };
        let name = name.strip_prefix('`').and_then(|n| n.strip_suffix('`'));
        if let Some(name) = name.filter(|n| n.contains('.') && !n.contains(' ')) {
            found.insert(name, kind);
        }
    }
    found.retain(|_, kind| {
        registry::all().any(|def| def.kind.word() == *kind) || matches!(*kind, "uint24")
    });
    found
}

#[test]
fn names_and_types_are_wiresharks() {
    let Some(folder) = shared_or_skip("names_and_types_are_wiresharks") else {
        return;
    };
    let text = fs::read_to_string(folder.join("spec/wireshark-names.md")).unwrap();
    let listed = listed(&text);
    assert!(listed.len() > 300, "only {} names found", listed.len());
    let mut wrong = Vec::new();
    for def in registry::all() {
        match listed.get(def.name) {
            Some(kind) if def.wireshark && *kind == def.kind.word() => {}
            None if !def.wireshark => {}
            other => wrong.push(format!(
                "{}: {} here, list {other:?}",
                def.name,
                def.kind.word()
            )),
        }
    }
    for name in listed.keys() {
        if registry::find(name).is_none() {
            wrong.push(format!("{name} is missing"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
