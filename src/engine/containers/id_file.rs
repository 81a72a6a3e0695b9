//! Files that a container's id is written to and read from (`--cidfile`).

use crate::error::{Context, Error, Kind, Result};
use crate::spec::ContainerSpec;
use crate::text::quoted;
use nix::libc;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A file for a container's id.
#[derive(Debug, Clone)]
pub struct IdFile {
    /// Absolute, or relative to the caller's working directory.
    pub path: PathBuf,
    /// podman replaces a file that exists, and removes it together with the container; docker does neither.
    pub is_podmans: bool,
}

impl IdFile {
    /// Refuses one that exists and may not, or that is no file.
    ///
    /// # Errors
    /// [`Kind::Usage`].
    pub(super) fn check(&self) -> Result<()> {
        let path = &self.path;
        if !self.is_podmans && path.symlink_metadata().is_ok() {
            return Err(Error::new(Kind::Usage, format!("--cidfile: {} exists already", path.display()))
                .hint(format!("Remove it if its container no longer exists: rm {}", quoted(path))));
        }
        if path.is_dir() {
            return Err(Error::new(Kind::Usage, format!("--cidfile: {} is a directory", path.display()))
                .hint(format!("Use a file in it, for example --cidfile {}/cid.", path.display())));
        }
        Ok(())
    }

    /// Makes sure that the id can be written, before the container is made. Commands that compete for a name may have
    /// one file: what is there stays as it is until this one's container is made.
    ///
    /// # Errors
    /// A file that cannot be written, or has appeared since.
    pub(super) fn begin(&self, spec: &ContainerSpec) -> Result<Begun<'_>> {
        let context = || format!("cannot write the container's id to {}", self.path.display());
        let id = spec.id.as_str();
        if !self.is_podmans {
            let mut file = File::create_new(&self.path).context(Kind::Usage, context)?;
            file.write_all(id.as_bytes()).context(Kind::Usage, context)?;
            return Ok(Begun { path: &self.path, id: id.to_owned(), kind: Place::Made });
        }
        let kind = match self.beside(id) {
            Some(beside) => Place::Beside(beside),
            // A directory that takes no file, or an end of a pipe, which must have a reader.
            None => {
                let mut how = OpenOptions::new();
                how.write(true).create(true).truncate(false).custom_flags(libc::O_NONBLOCK);
                Place::Open(how.open(&self.path).context(Kind::Usage, context)?)
            }
        };
        Ok(Begun { path: &self.path, id: id.to_owned(), kind })
    }

    /// A new file in the same directory with this id, to take the place of a file or of nothing.
    fn beside(&self, id: &str) -> Option<PathBuf> {
        if self.path.symlink_metadata().is_ok_and(|found| !found.is_file()) {
            return None;
        }
        let beside = self.path.with_file_name(format!(".{id}.cid"));
        let mut file = File::create_new(&beside).ok()?;
        match file.write_all(id.as_bytes()) {
            Ok(()) => Some(beside),
            Err(_) => {
                let _ = fs::remove_file(&beside);
                None
            }
        }
    }
}

/// The id in a file: its first line.
///
/// # Errors
/// [`Kind::Usage`] when it cannot be read.
pub fn read(path: &Path) -> Result<String> {
    first_line(path).context(Kind::Usage, || unread(path))
}

/// As [`read`], for a file with the id of a pod.
///
/// # Errors
/// [`Kind::Usage`] when it cannot be read.
pub fn read_of_pod(path: &Path) -> Result<String> {
    first_line(path).context(Kind::Usage, || format!("reading pod ID file: open {}", path.display()))
}

/// As [`read`]; `None` when there is no such file.
///
/// # Errors
/// [`Kind::Usage`] when it cannot be read.
pub fn read_if_there(path: &Path) -> Result<Option<String>> {
    match first_line(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some).context(Kind::Usage, || unread(path)),
    }
}

fn first_line(path: &Path) -> io::Result<String> {
    let text = fs::read_to_string(path)?;
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

fn unread(path: &Path) -> String {
    format!("reading CIDFile: open {}", path.display())
}

/// A file for the id of a container that is about to be made.
pub(super) struct Begun<'a> {
    path: &'a Path,
    id: String,
    kind: Place,
}

enum Place {
    /// It is there, and was not before.
    Made,
    /// To be renamed.
    Beside(PathBuf),
    /// To be written.
    Open(File),
}

impl Begun<'_> {
    /// Writes the id of the container, which is there now.
    ///
    /// # Errors
    /// Those of rename(2) and write(2).
    pub(super) fn finish(self) -> io::Result<()> {
        match self.kind {
            Place::Made => Ok(()),
            Place::Beside(beside) => {
                fs::rename(&beside, self.path).inspect_err(|_| drop(fs::remove_file(&beside)))
            }
            Place::Open(mut file) => {
                // What is no regular file has no length.
                let _ = file.set_len(0);
                file.write_all(self.id.as_bytes())
            }
        }
    }

    /// Leaves nothing that names a container that does not exist.
    pub(super) fn abandon(self) {
        match self.kind {
            Place::Made if fs::read(self.path).is_ok_and(|text| text == self.id.as_bytes()) => {
                let _ = fs::remove_file(self.path);
            }
            Place::Beside(beside) => drop(fs::remove_file(beside)),
            Place::Made | Place::Open(_) => {}
        }
    }
}
