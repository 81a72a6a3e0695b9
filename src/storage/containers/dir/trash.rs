//! How a container's directory goes: its name is freed and it is renamed to the trash.

use super::super::locks::DirLock;
use super::super::{files, locks, target};
use super::ContainerDir;
use crate::error::{Context, Kind, Result};
use crate::storage::events::{Action, Event, Events};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, readlinkat, renameat};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::io;
use std::path::PathBuf;

impl ContainerDir {
    /// Frees the name and renames the directory into the trash; gives its new path. One that another
    /// process removed meanwhile is not an error.
    ///
    /// # Errors
    /// When the rename is refused.
    pub fn trash(&self, _lock: &DirLock) -> Result<PathBuf> {
        let trashed = self.data.join("trash").join(format!("container-{}", self.id));
        let gone = Event::of(self, Action::Remove);
        let ours = self.rename_to_trash(&gone.name);
        if ours.context(Kind::Storage, || self.doing("move the directory to the trash"))? {
            Events::new(&self.data).emit(gone);
        }
        let _ = std::fs::remove_file(self.socket_path());
        Ok(trashed)
    }

    /// False when another process has removed it. `name` is empty when no record tells it.
    fn rename_to_trash(&self, name: &str) -> io::Result<bool> {
        let base = files::open_dir(nix::fcntl::AT_FDCWD, &self.data.to_string_lossy())?;
        let containers = files::open_dir(&base, "containers")?;
        // Another process may have removed it while we waited for the lock.
        match openat(&containers, self.id.as_str(), OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()) {
            Ok(there) if fstat(&there)?.st_ino == fstat(&self.dir)?.st_ino => {}
            Ok(_) | Err(Errno::ENOENT) => return Ok(false),
            Err(e) => return Err(e.into()),
        }
        // From here on no listing shows it, whoever kills us: without a summary it counts as half made, its
        // name as free, and what is left of it is collected.
        let hidden = locks::with_summary(self.fd(), || {
            Ok(unlinkat(&self.dir, "summary", UnlinkatFlags::NoRemoveDir)?)
        });
        match hidden {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        if !name.is_empty() {
            // Ours while the directory stands: nobody may repair a name whose container exists.
            let link = format!("names/{name}");
            if readlinkat(&base, link.as_str()).is_ok_and(|t| t.as_os_str() == target(&self.id).as_str()) {
                unlinkat(&base, link.as_str(), UnlinkatFlags::NoRemoveDir)?;
            }
        }
        let to = format!("trash/container-{}", self.id);
        match renameat(&containers, self.id.as_str(), &base, to.as_str()) {
            Err(Errno::ENOENT) => {
                files::make_dir(&base, "trash")?;
                renameat(&containers, self.id.as_str(), &base, to.as_str())?;
            }
            other => other?,
        }
        Ok(true)
    }
}
