//! A list of the screen as a table in a file, comma-separated.

use std::path::Path;

use super::ExportError;
use super::requests::{failed, spreadsheet_safe};
use super::target::Target;
use crate::capture::Capture;

/// A list: its heads and its rows, cell by cell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct List {
    /// Names of the columns.
    pub heads: Vec<String>,
    /// Rows, each with a cell for every head.
    pub rows: Vec<Vec<String>>,
}

impl List {
    /// Writes it to a file, which must not be the capture; one that exists only when it may be replaced.
    pub fn save(&self, path: &Path, capture: &Capture, replace: bool) -> Result<u64, ExportError> {
        Target::from_arg(path).write(&|path| capture.is_input(path), replace, 0, |out| {
            let mut csv = csv::Writer::from_writer(out);
            csv.write_record(&self.heads).map_err(failed)?;
            for row in &self.rows {
                let cells = row.iter().cloned().map(spreadsheet_safe);
                csv.write_record(cells).map_err(failed)?;
            }
            csv.flush()?;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::OpenOptions;

    #[test]
    fn a_list_is_written_once_and_replaced_only_when_it_may_be() {
        let folder = tempfile::tempdir().unwrap();
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/closes/L1.pcapng.zst");
        let capture = Capture::open(&[demo], &OpenOptions::default()).unwrap();
        let list = List {
            heads: vec!["C".into(), "End".into()],
            rows: vec![vec!["0".into(), "=reset, benign".into()]],
        };
        let path = folder.path().join("list.csv");
        list.save(&path, &capture, false).unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "C,End\n0,\"'=reset, benign\"\n"
        );
        let again = list.save(&path, &capture, false);
        assert!(matches!(again, Err(ExportError::Exists(_))));
        list.save(&path, &capture, true).unwrap();
    }
}
