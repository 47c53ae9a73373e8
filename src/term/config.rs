//! The config file, where something chosen on screen is kept for the next time.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::settings::{Settings, config_file, edit};

/// The config file, or that there is none to write to.
#[derive(Debug)]
pub struct Config(Option<PathBuf>);

impl Config {
    /// The usual file; none where the program is to leave nothing behind.
    pub fn of(settings: &Settings) -> Self {
        Self(settings.view.state.then(config_file).flatten())
    }

    /// Puts a value into the file; what to tell the user.
    pub fn keep(&self, section: &str, key: &str, value: &str) -> Result<String, String> {
        let Some(path) = &self.0 else {
            return Ok("this holds until the end: nothing is kept (--no-state)".to_string());
        };
        match put(path, section, key, value) {
            Ok(()) => Ok(format!("kept in {}", path.display())),
            Err(error) => Err(format!(
                "{}: {error}; this holds until the end",
                path.display()
            )),
        }
    }
}

/// Written beside and renamed, so that a full disk leaves the old file. A file that cannot be understood is left
/// alone.
fn put(path: &Path, section: &str, key: &str, value: &str) -> io::Result<()> {
    let old = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    let new = edit::with_value(&old, section, key, value);
    if toml::from_str::<toml::Table>(&new).is_err() {
        return Err(io::Error::other("the file has a mistake; mend it first"));
    }
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut part = tempfile::NamedTempFile::new_in(folder)?;
    part.write_all(new.as_bytes())?;
    part.persist(&path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_kept_and_a_broken_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/config.toml");
        let config = Config(Some(path.clone()));
        config.keep("view", "columns", "[\"no\"]").unwrap();
        config.keep("filters", "\"late\"", "'delta > 1s'").unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(
            text,
            "[view]\ncolumns = [\"no\"]\n\n[filters]\n\"late\" = 'delta > 1s'\n"
        );
        fs::write(&path, "[view\n").unwrap();
        assert!(config.keep("view", "columns", "[]").is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "[view\n");
    }
}
