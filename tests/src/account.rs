//! Accounts outside of the system: files that are appended to, a line at a time, each on the disk before the call returns.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// A file of lines that many processes append to.
pub struct Account(Mutex<File>);

impl Account {
    /// Opens it, and makes it where it is not there.
    ///
    /// # Errors
    /// As the file system's.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(Mutex::new(OpenOptions::new().create(true).append(true).open(path)?)))
    }

    /// Appends lines in one write, so that those of other processes do not come between, and waits for the disk.
    ///
    /// # Errors
    /// As the file system's.
    pub fn append(&self, lines: impl IntoIterator<Item = String>) -> io::Result<()> {
        let text: String = lines.into_iter().map(|line| line + "\n").collect();
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(text.as_bytes())?;
        file.sync_data()
    }
}

/// The whole lines of an account; a missing one has none.
///
/// # Errors
/// As the file system's.
pub fn read(path: &Path) -> io::Result<Vec<String>> {
    let mut text = String::new();
    match File::open(path) {
        Ok(mut file) => file.read_to_string(&mut text).map(drop)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    // A writer that was killed may have left half a line.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    Ok(whole.lines().map(str::to_owned).collect())
}
