//! Files that tell of a result (`--iidfile`, `--metadata-file`): written in one piece once there is one, and left alone
//! otherwise.

use crate::error::{Context, Kind, Result};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// A file that can be written, opened before anything is made.
///
/// A regular file gets its text by renaming a new one over it. Where that cannot be (a terminal, a pipe, a file in a
/// directory that is not the caller's to change), it is written itself.
#[derive(Debug)]
pub(in crate::cmd) struct ResultFile {
    option: &'static str,
    path: PathBuf,
    file: File,
    /// The new file, until it has its name.
    beside: Option<PathBuf>,
    /// Whether `file` is the named file, made just now.
    is_new: bool,
}

impl ResultFile {
    /// Opens the file, or makes it. `option` is for messages.
    ///
    /// # Errors
    /// `Usage` when it cannot be written.
    pub(in crate::cmd) fn open(option: &'static str, path: &Path) -> Result<ResultFile> {
        let context = || format!("{option}: cannot write {}", path.display());
        // A link is followed: it stays, and what it leads to is replaced.
        let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let is_regular = match target.symlink_metadata() {
            Ok(found) => found.is_file(),
            Err(error) => error.kind() == ErrorKind::NotFound,
        };
        // What may not be written is not replaced either.
        let opened = OpenOptions::new().write(true).open(&target);
        if is_regular && opened.as_ref().err().is_none_or(|e| e.kind() == ErrorKind::NotFound) {
            let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let beside = target.with_file_name(format!(".{name}.{}", std::process::id()));
            if let Ok(file) = OpenOptions::new().write(true).create_new(true).open(&beside) {
                let (path, beside) = (target, Some(beside));
                return Ok(ResultFile { option, path, file, beside, is_new: false });
            }
        }
        // Whether it is new is the kernel's to say: a link that leads nowhere yet is the caller's own.
        let open = |options: &mut OpenOptions| options.write(true).truncate(false).open(path);
        let (opened, is_new) = match open(OpenOptions::new().create_new(true)) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => (open(OpenOptions::new().create(true)), false),
            opened => (opened, true),
        };
        let file = opened.context(Kind::Usage, context)?;
        Ok(ResultFile { option, path: path.to_owned(), file, beside: None, is_new })
    }

    /// Writes the text in place of what the file says.
    ///
    /// # Errors
    /// Those of write(2) and rename(2).
    pub(in crate::cmd) fn write(mut self, text: &str) -> Result<()> {
        let context = || format!("{}: cannot write {}", self.option, self.path.display());
        match &self.beside {
            Some(beside) => {
                self.file.write_all(text.as_bytes()).context(Kind::Usage, context)?;
                if let Ok(old) = fs::metadata(&self.path) {
                    // Its mode is the caller's choice.
                    let _ = fs::set_permissions(beside, old.permissions());
                }
                fs::rename(beside, &self.path).context(Kind::Usage, context)?;
                self.beside = None;
            }
            None => {
                self.is_new = false;
                // A terminal or a pipe has no length.
                let _ = self.file.set_len(0);
                self.file.write_all(text.as_bytes()).context(Kind::Usage, context)?;
            }
        }
        Ok(())
    }
}

impl Drop for ResultFile {
    fn drop(&mut self) {
        // Only the failure that led here is reported.
        if let Some(beside) = &self.beside {
            let _ = fs::remove_file(beside);
        } else if self.is_new {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn listed(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = entries.collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_written_at_the_end_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("id");
        drop(ResultFile::open("--iidfile", &path).unwrap());
        assert!(listed(dir.path()).is_empty());
        fs::write(&path, "old and long").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        drop(ResultFile::open("--iidfile", &path).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "old and long");
        ResultFile::open("--iidfile", &path).unwrap().write("new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(listed(dir.path()), ["id"]);
    }

    #[test]
    fn links_and_devices_stay_what_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link) = (dir.path().join("target"), dir.path().join("link"));
        symlink("target", &link).unwrap();
        ResultFile::open("--iidfile", &link).unwrap().write("through").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&target).unwrap(), "through");
        ResultFile::open("--iidfile", &link).unwrap().write("again").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&target).unwrap(), "again");
        ResultFile::open("--iidfile", Path::new("/dev/null")).unwrap().write("gone").unwrap();
        assert!(ResultFile::open("--iidfile", dir.path()).is_err());
        assert!(ResultFile::open("--iidfile", &dir.path().join("no/such")).is_err());
    }
}
