//! Containers as files: `containers/<id>/` and `names/`.
//!
//! Theory of operation. A container is a directory of small records, each replaced as a whole. `plan.json`
//! never changes; `settings.json` contains what commands have changed; `run.json` and `exit.json` are written
//! by the monitor; `summary` combines them for listings. Status is derived, never stored: no `run.json` means
//! created; an `exit.json` of the same run means exited; if `alive` is held, the container is running;
//! otherwise the monitor died and any command may clean up ([`ContainerDir::finish_dead`]).
//!
//! `names/<name>` is a symbolic link; `EEXIST` on creating it means that the name is taken ([`names`]). A
//! container is created under a temporary name and renamed once it is complete ([`create`]); removing it moves
//! its directory to the trash in one step. Nothing here locks the whole store.
//!
//! A directory without a `summary` was left by a creator or remover of an earlier version that was killed: it
//! is not listed, its name is free, and it is collected once nobody holds its `lock`.

mod create;
mod damage;
mod dir;
mod files;
mod find;
mod half_made;
mod health;
mod locks;
pub mod log;
mod names;
mod plan;
mod records;
mod specs;
mod summary;
mod usage;
pub mod watch;
mod words;

pub use damage::Fault;
pub use dir::{ContainerDir, EndPipe, Exchange, LOST_EXIT_CODE};
pub use health::{Checked, HealthRecord};
pub use locks::{AliveLock, DirLock, ExitNote, Stage};
pub use names::{name_in_use, pod_name_in_use};
pub use records::{ExecRecord, FileId, HealthSetting, PortRecord, ProcessRef, RunRecord, Settings};
pub use specs::{Specs, Unreadable};
pub use summary::Summary;
pub use usage::disk_usage;

use super::place::{self, Place};
use crate::container::{ContainerId, Status};
use crate::error::{Context, Error, Kind, Result, phrases};
use crate::sys::random;
use nix::errno::Errno;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use summary::{Phase, Record};

/// Where the directories of containers are, below the data root.
const CONTAINERS: &str = "containers";
/// Where their names are.
const NAMES: &str = "names";

/// The containers of one data root.
#[derive(Debug, Clone)]
pub struct Containers {
    data: PathBuf,
    runtime: PathBuf,
}

impl Containers {
    /// The containers below these absolute paths. Touches nothing.
    pub fn new(data: &Path, runtime: &Path) -> Containers {
        Containers { data: data.to_owned(), runtime: runtime.to_owned() }
    }

    /// A fresh identifier.
    ///
    /// # Errors
    /// When the kernel has no random bytes.
    pub fn new_id() -> Result<ContainerId> {
        let mut bytes = [0u8; 32];
        random::fill(&mut bytes).context(Kind::Host, || "make a container id")?;
        Ok(ContainerId::from_random(bytes))
    }

    /// The directory of all containers; `None` before the first one is made.
    fn place(&self) -> Result<Option<Place>> {
        Place::find(&self.data.join(CONTAINERS))
    }

    /// Opens a container by its full id.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub fn open(&self, id: &ContainerId) -> Result<ContainerDir> {
        match place::directory(&self.data.join(CONTAINERS).join(id.as_str())) {
            Ok(dir) => Ok(ContainerDir::new(id.clone(), &self.data, &self.runtime, dir)),
            Err(Errno::ENOENT) => Err(not_found(id.as_str())),
            Err(e) => {
                Err(e).context(Kind::Storage, || format!("open container {}", id.short())).map_err(|e| {
                    e.hint(format!(
                        "Check it: coracle system check; or remove it: coracle rm -f {}",
                        id.short()
                    ))
                })
            }
        }
    }

    /// Every id that has a directory, or something else in the place of one.
    fn ids(&self) -> Result<Vec<ContainerId>> {
        let Some(place) = self.place()? else { return Ok(Vec::new()) };
        Ok(place.names()?.into_iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// Every container, the latest first. Reads one small file each, and probes the monitor's lock of
    /// those that were started and have not ended.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn list(&self) -> Result<Vec<Summary>> {
        let Some(place) = self.place()? else { return Ok(Vec::new()) };
        let ids = place.names()?.into_iter().filter_map(|name| name.parse().ok());
        let mut list: Vec<Summary> = ids.filter_map(|id| self.summary(place.as_fd(), id)).collect();
        list.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.id.cmp(&b.id)));
        Ok(list)
    }

    /// One container of a listing; `None` when it is only half made or just gone.
    fn summary(&self, containers: BorrowedFd<'_>, id: ContainerId) -> Option<Summary> {
        let slow = |id: &ContainerId| self.open(id).ok().map(|dir| dir.summary());
        let bytes = match files::read(containers, &format!("{id}/summary")) {
            Ok(bytes) => bytes?,
            // Something is there, and the other records may be better.
            Err(_) => return slow(&id),
        };
        let Some(mut record) = Record::from_bytes(&bytes) else { return slow(&id) };
        let status = match record.phase {
            Phase::Created => Status::Created,
            Phase::Exited => Status::Exited,
            Phase::Started | Phase::Paused if !locks::payload_runs(containers, &format!("{id}/alive")) => {
                return slow(&id);
            }
            Phase::Restarting if !locks::is_alive(containers, &format!("{id}/alive")) => return slow(&id),
            Phase::Started => Status::Running,
            Phase::Paused => Status::Paused,
            Phase::Restarting => Status::Restarting,
        };
        if record.cut {
            record.complete(self.open(&id).ok()?.full_record());
        }
        Some(Summary::new(id, record, status))
    }

    /// The container that was created last.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub fn latest(&self) -> Result<ContainerDir> {
        match self.list()?.first() {
            Some(latest) => self.open(&latest.id),
            None => Err(Error::new(Kind::NotFound, "there are no containers")),
        }
    }
}

fn not_found(text: &str) -> Error {
    phrases::no_container(text).hint("List containers: coracle ps -a")
}

#[cfg(test)]
mod tests;
