//! Results as grids: columns and rows as text, and as JSON.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::render::safe;
use crate::decode::tds::message::Grid;

/// Widest column, in characters.
const MAX_WIDTH: usize = 40;

/// A grid as text: a line of names, a line of types, the rows.
pub fn text(grid: &Grid) -> String {
    let header: Vec<String> = grid.columns.iter().map(|(name, _)| cell(name)).collect();
    let types: Vec<String> = grid.columns.iter().map(|(_, kind)| cell(kind)).collect();
    let rows: Vec<Vec<String>> = grid
        .rows
        .iter()
        .map(|row| row.iter().map(|value| cell(&value.text)).collect())
        .collect();
    let widths: Vec<usize> = (0..header.len())
        .map(|column| {
            [&header, &types]
                .into_iter()
                .chain(&rows)
                .filter_map(|line| line.get(column))
                .map(|text| text.chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut out = String::new();
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    for line in [&header, &types, &rule].into_iter().chain(&rows) {
        let cells: Vec<String> = line
            .iter()
            .zip(&widths)
            .map(|(text, width)| format!("{text:<width$}"))
            .collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    if grid.more > 0 {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "({} more rows)", grid.more);
    }
    out
}

fn cell(text: &str) -> String {
    let text = safe(text);
    if text.chars().count() <= MAX_WIDTH {
        return text;
    }
    let mut cut: String = text.chars().take(MAX_WIDTH.saturating_sub(1)).collect();
    cut.push('~');
    cut
}

/// A grid as JSON; NULL is null, everything else the text that the server would print.
pub fn json(grid: &Grid) -> Json {
    let columns: Vec<_> = grid
        .columns
        .iter()
        .map(|(name, kind)| json!({"name": name, "type": kind}))
        .collect();
    let rows: Vec<Vec<Json>> = grid
        .rows
        .iter()
        .map(|row| {
            row.iter()
                .map(|cell| {
                    if cell.null {
                        Json::Null
                    } else {
                        json!(cell.text)
                    }
                })
                .collect()
        })
        .collect();
    json!({"columns": columns, "rows": rows, "more_rows": grid.more})
}
