//! Puts one value into the text of a config file and leaves everything else in it as it is, comments too.

/// The text with `key = value` in a section: in place of the key's old value, or as the section's first line, or
/// with the section at the end.
pub fn with_value(text: &str, section: &str, key: &str, value: &str) -> String {
    let line = format!("{key} = {value}");
    let mut lines: Vec<&str> = text.lines().collect();
    let head = format!("[{section}]");
    let Some(start) = lines.iter().position(|l| without_comment(l).trim() == head) else {
        let gap = if text.trim().is_empty() { "" } else { "\n" };
        let end = if text.is_empty() || text.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        return format!("{text}{end}{gap}{head}\n{line}\n");
    };
    let inside = start.saturating_add(1);
    let behind = lines
        .iter()
        .skip(inside)
        .position(|l| l.trim_start().starts_with('['))
        .map_or(lines.len(), |at| at.saturating_add(inside));
    let old = (inside..behind).find(|at| lines.get(*at).is_some_and(|l| is_key(l, key)));
    match old {
        Some(at) => {
            let end = end_of_value(&lines, at);
            lines.splice(at..end, [line.as_str()]);
        }
        None => lines.insert(inside, &line),
    }
    let mut out = lines.join("\n");
    out.push('\n');
    out
}

/// A text as a TOML string.
pub fn quoted(text: &str) -> String {
    toml::Value::String(text.to_string()).to_string()
}

fn is_key(line: &str, key: &str) -> bool {
    line.split_once('=')
        .is_some_and(|(name, _)| name.trim().trim_matches(['"', '\'']) == key)
}

/// The line behind a value: an array may take several.
fn end_of_value(lines: &[&str], at: usize) -> usize {
    let mut depth = 0_i32;
    for (i, line) in lines.iter().enumerate().skip(at) {
        for c in without_comment(line).chars() {
            depth = depth.saturating_add(match c {
                '[' => 1,
                ']' => -1,
                _ => 0,
            });
        }
        if depth <= 0 {
            return i.saturating_add(1);
        }
    }
    lines.len()
}

/// A line up to its comment; a `#` within quotes is none.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (None, '#') => return line.get(..at).unwrap_or(line),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_replaced_where_it_stands() {
        let text = "# mine\n[view] # the screen\ntheme = \"light\"\ncolumns = [\n  \"no\", # first\n  \"info\",\n]\n\n[keys]\npreset = \"vi\"\n";
        assert_eq!(
            with_value(text, "view", "columns", "[\"no\", \"sid\"]"),
            "# mine\n[view] # the screen\ntheme = \"light\"\ncolumns = [\"no\", \"sid\"]\n\n[keys]\npreset = \"vi\"\n"
        );
        assert_eq!(
            with_value(text, "keys", "preset", "\"less\""),
            text.replace("\"vi\"", "\"less\"")
        );
    }

    #[test]
    fn a_new_value_and_a_new_section_find_their_place() {
        assert_eq!(
            with_value("", "view", "columns", "[]"),
            "[view]\ncolumns = []\n"
        );
        assert_eq!(
            with_value("[view]\nmouse = true", "view", "columns", "[]"),
            "[view]\ncolumns = []\nmouse = true\n"
        );
        assert_eq!(
            with_value("[view]\n", "filters", "late", &quoted("delta > \"1\"")),
            "[view]\n\n[filters]\nlate = 'delta > \"1\"'\n"
        );
    }

    #[test]
    fn what_is_written_is_read_again() {
        let text = with_value(
            "[filters]\na = \"sid == 1\"\n",
            "filters",
            "b",
            &quoted("sid ~ \"x\""),
        );
        let mut settings = crate::settings::Settings::default();
        assert!(settings.read_file(&text).is_empty());
        assert_eq!(settings.filters.len(), 2);
    }
}
