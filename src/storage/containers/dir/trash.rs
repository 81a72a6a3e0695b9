//! Removing a container's directory: it is renamed into the trash, and its name is freed.
//!
//! The rename is the removal: before it the container exists, after it it does not, whichever process is
//! killed. A name that is left over is dangling, and therefore free (see `names`).

use super::super::locks::DirLock;
use super::super::{CONTAINERS, Containers};
use super::end_pipe::end_path;
use super::{ContainerDir, socket_path};
use crate::container::ContainerId;
use crate::error::{Context, Kind, Result};
use crate::failpoint;
use crate::storage::events::{Action, Events};
use crate::storage::place::{Place, TRASH};
use crate::storage::record::{failed, unique};
use crate::storage::trash;
use nix::errno::Errno;
use nix::sys::stat::fstat;
use std::path::{Path, PathBuf};

impl Containers {
    /// Moves a directory to the trash that is no container, or none any more, and first what a monitor that was killed
    /// has left of it in the runtime directory; returns whether it was there.
    pub(in crate::storage::containers) fn discard_dead(
        &self,
        place: &Place,
        name: &str,
        id: &ContainerId,
    ) -> Result<bool> {
        remove_sockets(&self.runtime, id);
        trash::discard(&self.data, place, name)
    }
}

/// A monitor's socket, and the FIFO of one that was killed.
fn remove_sockets(runtime: &Path, id: &ContainerId) {
    for path in [socket_path(runtime, id), end_path(runtime, id)] {
        let _ = std::fs::remove_file(path);
    }
}

impl ContainerDir {
    /// Renames the directory into the trash and frees the name; returns its new path. One that another
    /// process removed meanwhile is not an error.
    ///
    /// # Errors
    /// When the rename is refused.
    pub fn trash(&self, _lock: &DirLock) -> Result<PathBuf> {
        let trashed = self.data.join(TRASH).join(format!("container-{}", self.id));
        let spec = self.spec().ok();
        let id_file = spec.as_ref().and_then(|spec| spec.lifecycle.id_file.clone());
        let gone = self.event_of(spec, Action::Remove);
        // Before the rename: nobody comes back to a container that is gone.
        remove_sockets(&self.runtime, &self.id);
        let ours = self.rename_to_trash();
        if ours.context(Kind::Storage, || self.doing("move the directory to the trash"))? {
            failpoint::reach("trash.moved");
            let containers = Containers::new(&self.data, &self.runtime);
            // Nothing depends on it: a name that leads nowhere is free.
            let freed = match gone.name.as_str() {
                "" => containers.release_names(&self.id),
                name => containers.release_name(name, &self.id),
            };
            if let Err(error) = freed {
                log::info!("the name of container {} is not freed: {error}", self.id.short());
            }
            failpoint::reach("trash.name");
            Events::new(&self.data).emit(gone);
            if let Some(file) = id_file {
                self.remove_id_file(&file);
            }
        }
        Ok(trashed)
    }

    /// Removes the file that has the container's id, if it still has that and no more: whatever the records say, nothing
    /// else is removed.
    fn remove_id_file(&self, file: &Path) {
        let is_small = file.symlink_metadata().is_ok_and(|status| status.is_file() && status.len() <= 65);
        if is_small
            && std::fs::read(file).is_ok_and(|text| text.trim_ascii_end() == self.id.as_str().as_bytes())
        {
            let _ = std::fs::remove_file(file);
        }
    }

    /// False when another process has removed it.
    fn rename_to_trash(&self) -> Result<bool> {
        let containers = Place::open(&self.data.join(CONTAINERS))?;
        // Another process may have removed it while we waited for the lock.
        let own = fstat(&self.dir).map_err(|e| failed("look at", &self.path(), e.into()))?;
        match containers.look(self.id.as_str())? {
            Some(there) if (there.st_dev, there.st_ino) == (own.st_dev, own.st_ino) => {}
            _ => return Ok(false),
        }
        let trash = Place::make(&self.data.join(TRASH))?;
        let moved = match containers.rename(self.id.as_str(), &trash, &format!("container-{}", self.id)) {
            // Something else has that name there.
            Err(Errno::EEXIST | Errno::ENOTEMPTY | Errno::ENOTDIR) => {
                containers.rename(self.id.as_str(), &trash, &unique())
            }
            other => other,
        };
        moved.map(|()| true).map_err(|e| failed("move", &self.path(), e.into()))
    }
}
