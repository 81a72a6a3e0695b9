//! Containers as files: `containers/<id>/` and `names/`.
//!
//! Theory of operation. A container is a directory of small records, each replaced as a whole.
//! `plan.json` never changes; `settings.json` is what verbs have changed; `run.json` and `exit.json` are the
//! monitor's; `summary` is a digest of them for listings. Status is derived, never stored: no `run.json`
//! is created; an `exit.json` of the same run is exited; `alive` held is running; else the monitor died
//! and any command may finish its work ([`ContainerDir::finish_dead`]).
//!
//! `names/<name>` is a symbolic link whose `EEXIST` decides who has the name. A container is made under
//! its `lock`, its directory before its name and its `summary` last: a directory without a summary whose
//! lock is free is what a killed creator left, and a name that leads to such a directory, or to none, is
//! free. Nothing here takes a lock on the whole store.

mod dir;
mod files;
mod health;
mod locks;
pub mod log;
mod records;
mod summary;
mod usage;
pub mod watch;
mod words;

pub use dir::{ContainerDir, LOST_EXIT_CODE};
pub use health::{Checked, HealthRecord};
pub use locks::{AliveLock, DirLock, ExitNote, Stage};
pub use records::{ExecRecord, FileId, HealthSetting, PortRecord, ProcessRef, RunRecord, Settings};
pub use summary::Summary;
pub use usage::disk_usage;

use crate::container::{ContainerId, Name, Status};
use crate::error::{Context, Error, Kind, Result};
use crate::storage::access_list;
use crate::storage::events::{Action, Event, Events, Type};
use crate::sys::random;
use chrono::Utc;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, readlinkat};
use nix::sys::stat::{Mode, fstat, mkdirat};
use nix::unistd::{UnlinkatFlags, symlinkat, unlinkat};
use serde::Serialize;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use summary::{Phase, Record};

/// Seconds after which a directory without a summary is what somebody left, not what somebody makes.
const HALF_MADE_GRACE: i64 = 60;

/// The containers of one data root.
#[derive(Debug, Clone)]
pub struct Containers {
    data: PathBuf,
    runtime: PathBuf,
}

/// What a name's link says.
fn target(id: &ContainerId) -> String {
    format!("../containers/{id}")
}

/// The container that a name's link leads to, whether or not it still exists.
fn target_id(link: &OsStr) -> Option<ContainerId> {
    link.to_str()?.strip_prefix("../containers/")?.parse().ok()
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

    /// A random name that no container has at this moment; [`Containers::create`] has the last word.
    ///
    /// # Errors
    /// When the kernel has no random bytes or hundreds of attempts met names in use.
    pub fn unused_name(&self) -> Result<Name> {
        for attempt in 0..500 {
            let Some(name) = words::random_name(attempt).context(Kind::Host, || "make a container name")?
            else {
                continue;
            };
            if self.by_name(&name).is_none() {
                return Ok(name);
            }
        }
        Err(Error::new(Kind::Conflict, "no free container name was found")
            .hint("Give one: coracle run --name NAME ..."))
    }

    fn base(&self) -> nix::Result<OwnedFd> {
        files::open_dir(AT_FDCWD, &self.data.to_string_lossy())
    }

    /// The id a name leads to, whether or not that container still exists.
    fn by_name(&self, name: &Name) -> Option<ContainerId> {
        let link = self.data.join("names").join(name.as_str());
        target_id(&readlinkat(AT_FDCWD, &link).ok()?)
    }

    /// Makes a container: its directory with `plan.json`, `upper/` (mode 0755) and `work/`, then its name, then
    /// its summary.
    ///
    /// # Errors
    /// `Conflict` when the name is taken; `Storage` when a file cannot be written. Nothing is left then.
    pub fn create<P: Serialize>(&self, id: &ContainerId, name: &Name, plan: &P) -> Result<ContainerDir> {
        let doing = || format!("create container {name}");
        let plan = serde_json::to_vec(plan).context(Kind::Storage, doing)?;
        let outline: records::Outline = serde_json::from_slice(&plan).context(Kind::Storage, doing)?;
        let base = self.base().context(Kind::Storage, doing)?;
        let dir = self.make_dir(&base, id).context(Kind::Storage, doing)?;
        let dir = ContainerDir::new(id.clone(), &self.data, &self.runtime, dir);
        let made = self.fill(&base, &dir, name, &plan, &outline);
        if made.is_err() {
            // Holds nothing but what was just written, all of it ours.
            let _ = std::fs::remove_dir_all(dir.path());
        }
        made?;
        let image = outline.image.map(|i| i.reference).unwrap_or_default();
        let event =
            Event::new(Type::Container, Action::Create).id(id.as_str()).name(name.as_str()).image(image);
        Events::new(&self.data).emit(Event { attributes: outline.labels, ..event });
        Ok(dir)
    }

    fn make_dir(&self, base: &OwnedFd, id: &ContainerId) -> nix::Result<OwnedFd> {
        let private = Mode::from_bits_truncate(0o700);
        let path = format!("containers/{id}");
        match mkdirat(base, path.as_str(), private) {
            Err(Errno::ENOENT) => {
                for parent in ["containers", "names"] {
                    files::make_dir(base, parent)?;
                }
                mkdirat(base, path.as_str(), private)?;
            }
            other => other?,
        }
        files::open_dir(base, &path)
    }

    fn fill(
        &self,
        base: &OwnedFd,
        dir: &ContainerDir,
        name: &Name,
        plan: &[u8],
        outline: &records::Outline,
    ) -> Result<()> {
        let doing = || format!("create container {name}");
        let lock = dir.lock()?;
        let write = || -> io::Result<()> {
            lock.reserve_note()?;
            files::create(dir.fd(), "plan.json", plan)?;
            // Else the settings are the plan's.
            if outline.name.as_ref() != Some(name) {
                files::replace_json(dir.fd(), "settings.json", &Settings::new(name.clone()))?;
            }
            mkdirat(dir.fd(), "work", Mode::from_bits_truncate(0o700))?;
            mkdirat(dir.fd(), "upper", Mode::from_bits_truncate(0o755))?;
            // What it has is what the container's `/` has.
            Ok(access_list::open_to_all(files::open_dir(dir.fd(), "upper")?.as_fd())?)
        };
        write().context(Kind::Storage, doing)?;
        self.take_name(base, name, dir.id())?;
        let done = dir.write_first_summary(name, outline).context(Kind::Storage, doing);
        if done.is_err() {
            let _ = unlinkat(base, format!("names/{name}").as_str(), UnlinkatFlags::NoRemoveDir);
        }
        done
    }

    /// Gives a container another name, which is free for others from then on.
    ///
    /// # Errors
    /// `Conflict` when the name is taken or is the container's own; `NotFound` when it has been removed.
    pub fn rename(&self, dir: &ContainerDir, name: &Name) -> Result<Name> {
        let doing = || format!("rename container {} to {name}", dir.id().short());
        let _lock = dir.lock()?;
        if !dir.in_place() {
            return Err(not_found(dir.id().as_str()));
        }
        let base = self.base().context(Kind::Storage, doing)?;
        let unlink = |name: &Name| {
            let _ = unlinkat(&base, format!("names/{name}").as_str(), UnlinkatFlags::NoRemoveDir);
        };
        let mut settings = dir.settings()?;
        if settings.name == *name {
            // A command that was killed may have come no further.
            let before = dir.show_name(name).context(Kind::Storage, doing)?;
            let Some(before) = before.parse().ok().filter(|before| before != name) else {
                return Err(Error::new(Kind::Conflict, format!("container {name} has that name already"))
                    .hint("Choose another one: coracle rename CONTAINER NAME"));
            };
            if self.by_name(&before).as_ref() == Some(dir.id()) {
                unlink(&before);
            }
            return Ok(before);
        }
        // In this order a command that is killed leaves a link too many, never a container without one.
        // It may be ours already: one that was killed did not come to remove the old link.
        if self.by_name(name).as_ref() != Some(dir.id()) {
            self.take_name(&base, name, dir.id())?;
        }
        let before = std::mem::replace(&mut settings.name, name.clone());
        if let Err(error) = dir.set_settings(&settings) {
            unlink(name);
            return Err(error);
        }
        if self.by_name(&before).as_ref() == Some(dir.id()) {
            unlink(&before);
        }
        Ok(before)
    }

    /// Makes the name lead to this container, whose directory exists.
    fn take_name(&self, base: &OwnedFd, name: &Name, id: &ContainerId) -> Result<()> {
        let link = format!("names/{name}");
        let doing = || format!("take the name {name}");
        loop {
            match symlinkat(target(id).as_str(), base, link.as_str()) {
                Ok(()) => return Ok(()),
                Err(Errno::ENOENT) => files::make_dir(base, "names").context(Kind::Storage, doing)?,
                Err(Errno::EEXIST) => {
                    if !self.free_name(base, name).context(Kind::Storage, doing)? {
                        return Err(name_in_use(name, self.by_name(name).as_ref()));
                    }
                }
                Err(e) => return Err(e).context(Kind::Storage, doing),
            }
        }
    }

    /// Removes a name that leads to no container; `false` when it leads to one.
    fn free_name(&self, base: &OwnedFd, name: &Name) -> io::Result<bool> {
        // One at a time, or two could find the same stale link and the second remove the link that was
        // made in its place.
        let names = std::fs::File::from(files::open_dir(base, "names")?);
        names.lock()?;
        let read = || readlinkat(&names, name.as_str());
        let link = match read() {
            Ok(link) => Some(link),
            Err(Errno::ENOENT) => return Ok(true),
            // Not a link: nobody but us writes here, so it is rubbish.
            Err(Errno::EINVAL) => None,
            Err(e) => return Err(e.into()),
        };
        // Who removes a container takes its link away before its directory, and another may have the name
        // since we looked. Once the directory is gone, or its lock ours, a link that still leads there stays.
        let unlink = || -> io::Result<bool> {
            if link.is_none() || read().ok() == link {
                unlinkat(&names, name.as_str(), UnlinkatFlags::NoRemoveDir)?;
            }
            Ok(true)
        };
        let Some(id) = link.as_deref().and_then(target_id) else { return unlink() };
        let dir = match files::open_dir(base, &format!("containers/{id}")) {
            Ok(dir) => dir,
            Err(Errno::ENOENT) => return unlink(),
            Err(e) => return Err(e.into()),
        };
        // A creator that still works holds the lock; one that was killed left no summary.
        let Some(_lock) = locks::try_lock(dir.as_fd())? else { return Ok(false) };
        if files::read(dir.as_fd(), "summary")?.is_some() {
            // One that was renamed, or was to be, by a command that was killed.
            let settings: Option<Settings> = files::read_json(dir.as_fd(), "settings.json")?;
            let Some(settings) = settings.filter(|settings| settings.name != *name) else { return Ok(false) };
            let dir = ContainerDir::new(id, &self.data, &self.runtime, dir);
            // Or two would be listed by the name that is free now.
            dir.show_name(&settings.name)?;
            return unlink();
        }
        unlink()?;
        let _ = std::fs::remove_dir_all(self.data.join("containers").join(id.as_str()));
        Ok(true)
    }

    /// Opens a container by its full id.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub fn open(&self, id: &ContainerId) -> Result<ContainerDir> {
        let path = self.data.join("containers").join(id.as_str());
        match files::open_dir(AT_FDCWD, &path.to_string_lossy()) {
            Ok(dir) => Ok(ContainerDir::new(id.clone(), &self.data, &self.runtime, dir)),
            Err(Errno::ENOENT) => Err(not_found(id.as_str())),
            Err(e) => Err(e).context(Kind::Storage, || format!("open container {}", id.short())),
        }
    }

    /// Finds a container by full id, name or unique beginning of an id, in this order.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when several ids begin like that.
    pub fn find(&self, text: &str) -> Result<ContainerDir> {
        if let Ok(id) = text.parse::<ContainerId>() {
            return self.open(&id);
        }
        if let Ok(name) = text.parse::<Name>()
            && let Some(id) = self.by_name(&name)
            && let Ok(dir) = self.open(&id)
        {
            return Ok(dir);
        }
        let hex = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let mut matching = if hex { self.ids()? } else { Vec::new() };
        matching.retain(|id| id.as_str().starts_with(text));
        match matching.as_slice() {
            [] => Err(not_found(text)),
            [id] => self.open(id),
            several => Err(Error::new(
                Kind::Conflict,
                format!("{} container ids begin with {text:?}", several.len()),
            )
            .hint("Give more digits; list them with: coracle ps -a --no-trunc")),
        }
    }

    /// Every id that has a directory.
    fn ids(&self) -> Result<Vec<ContainerId>> {
        let path = self.data.join("containers");
        let entries = match std::fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(e).context(Kind::Storage, || format!("read {}", path.display())),
        };
        Ok(entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect())
    }

    /// Every container, the latest first. Reads one small file each, and probes the monitor's lock of
    /// those that were started and have not ended.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn list(&self) -> Result<Vec<Summary>> {
        let ids = self.ids()?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let path = self.data.join("containers");
        let dir = files::open_dir(AT_FDCWD, &path.to_string_lossy())
            .context(Kind::Storage, || format!("open {}", path.display()))?;
        let mut list: Vec<Summary> = ids.into_iter().filter_map(|id| self.summary(dir.as_fd(), id)).collect();
        list.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.id.cmp(&b.id)));
        Ok(list)
    }

    /// One container of a listing; `None` when it is only half made or just gone.
    fn summary(&self, containers: BorrowedFd<'_>, id: ContainerId) -> Option<Summary> {
        let bytes = files::read(containers, &format!("{id}/summary")).ok()??;
        let slow = |id: &ContainerId| self.open(id).ok().map(|dir| dir.summary());
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

    /// Moves to the trash what killed creators and removers left: old directories without a summary whose
    /// lock is free. Gives their number.
    ///
    /// # Errors
    /// When the directory cannot be read or an item not be moved.
    pub fn collect_half_made(&self) -> Result<usize> {
        let mut count = 0;
        for id in self.ids()? {
            let Ok(dir) = self.open(&id) else { continue };
            let doing = || format!("collect what is left of container {}", id.short());
            let modified = fstat(dir.fd()).context(Kind::Storage, doing)?.st_mtime;
            // A creator takes the lock a moment after it made the directory.
            let old = Utc::now().timestamp() - modified > HALF_MADE_GRACE;
            if !old || files::read(dir.fd(), "summary").context(Kind::Storage, doing)?.is_some() {
                continue;
            }
            if let Some(lock) = locks::try_lock(dir.fd()).context(Kind::Storage, doing)? {
                dir.trash(&lock)?;
                count += 1;
            }
        }
        Ok(count)
    }

    /// The containers whose plan contains the ids of others, with those ids.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn mentions(&self) -> Result<Vec<(ContainerDir, HashSet<ContainerId>)>> {
        let ids: HashSet<ContainerId> = self.ids()?.into_iter().collect();
        let mentions = |id: &ContainerId| {
            let dir = self.open(id).ok()?;
            let plan = files::read(dir.fd(), "plan.json").ok()??;
            // Ids and digests stand between quotes and colons, as do all words of JSON.
            let words = plan.split(|byte| !byte.is_ascii_hexdigit());
            let found = words.filter_map(|word| std::str::from_utf8(word).ok()?.parse::<ContainerId>().ok());
            let others: HashSet<_> = found.filter(|other| other != id && ids.contains(other)).collect();
            (!others.is_empty()).then_some((dir, others))
        };
        Ok(ids.iter().filter_map(mentions).collect())
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
    Error::new(Kind::NotFound, format!("no container with name or id {text:?}"))
        .hint("List containers: coracle ps -a")
}

/// The refusal of a name that another container has.
pub fn name_in_use(name: &Name, holder: Option<&ContainerId>) -> Error {
    let by = holder.map(|id| format!(" by container {}", id.short())).unwrap_or_default();
    Error::new(Kind::Conflict, format!("the container name {name} is in use{by}")).hint(format!(
        "Remove that container: coracle rm -f {name}; run and create can let the new one take its place: --replace"
    ))
}

#[cfg(test)]
mod tests;
