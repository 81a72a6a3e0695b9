//! `--iidfile`: the file that the id of the created object is written to.

use crate::error::{Context, Kind, Result};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// A file that can be written to, opened before anything is made. Until the id is written it is as it was, and one
/// that is new goes again.
#[derive(Debug)]
pub(in crate::cmd) struct IdFile {
    file: File,
    path: PathBuf,
    is_new: bool,
}

impl IdFile {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// `Usage` when it cannot be written to.
    pub(in crate::cmd) fn open(path: &Path) -> Result<IdFile> {
        let open = |options: &mut OpenOptions| options.write(true).truncate(false).open(path);
        // Whether it is new is the kernel's to say: a link that leads nowhere yet is the caller's own.
        let (opened, is_new) = match open(OpenOptions::new().create_new(true)) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => (open(OpenOptions::new().create(true)), false),
            opened => (opened, true),
        };
        let file = opened.context(Kind::Usage, || format!("--iidfile: cannot write {}", path.display()))?;
        Ok(IdFile { file, path: path.to_owned(), is_new })
    }

    /// Writes the id in place of what it says.
    ///
    /// # Errors
    /// Those of write(2).
    pub(in crate::cmd) fn write(mut self, id: &str) -> Result<()> {
        let context = || format!("--iidfile: cannot write {}", self.path.display());
        self.is_new = false;
        // A terminal or a pipe has no length.
        let _ = self.file.set_len(0);
        self.file.write_all(id.as_bytes()).context(Kind::Usage, context)
    }
}

impl Drop for IdFile {
    fn drop(&mut self) {
        if self.is_new {
            // Only the failure that led here is reported.
            let _ = fs::remove_file(&self.path);
        }
    }
}
