//! Files that a container's id is written to (`--cidfile`).

use crate::error::{Context, Error, Kind, Result};
use crate::spec::ContainerSpec;
use crate::text::quoted;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

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

    /// Writes the id.
    ///
    /// # Errors
    /// A file that cannot be written, or has appeared since.
    pub(super) fn write(&self, spec: &ContainerSpec) -> Result<()> {
        let context = || format!("cannot write the container's id to {}", self.path.display());
        let opened = if self.is_podmans { File::create(&self.path) } else { File::create_new(&self.path) };
        let mut file = opened.context(Kind::Usage, context)?;
        file.write_all(spec.id.as_str().as_bytes()).context(Kind::Usage, context)
    }
}
