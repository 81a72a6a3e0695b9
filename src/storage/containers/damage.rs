//! Damage to a container's directory, and its repair.
//!
//! The summary is rebuilt from the other records. Lost settings are reset to those of the plan, with the name
//! whose link leads to the container. Unreadable records of runs are moved aside within the directory. A
//! directory that is not a container's at all, and a container whose plan is lost, are moved intact to
//! `damaged/`, where nothing is lost and nothing gets in the way.

use super::records::{RunRecord, Settings};
use super::summary::Record;
use super::{CONTAINERS, ContainerDir, Containers, NAMES, files};
use crate::container::{ContainerId, ExitRecord, Name};
use crate::error::{Context, Error, Kind, Result};
use crate::storage::place::{Place, is};
use crate::storage::record::failed;
use crate::sys::fd::{link_of, open_within};
use nix::fcntl::{AT_FDCWD, OFlag, ResolveFlag};
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, fchmodat};
use serde::de::DeserializeOwned;
use std::path::PathBuf;

/// Something wrong with a container's directory.
#[derive(Debug)]
pub struct Fault {
    /// What it is called: a short id where there is one.
    pub name: String,
    /// What is wrong.
    pub what: String,
    /// The name of the directory, or of what stands in its place.
    entry: String,
    cure: Cure,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cure {
    /// Take it away whole.
    SetAside,
    Summary,
    Settings,
    /// Take this file away.
    File(&'static str),
    /// Give it the name again that its settings tell.
    Link,
}

impl Containers {
    /// What is wrong with the directories of containers, plans not looked at.
    ///
    /// # Errors
    /// When the directory of containers cannot be read.
    pub fn faults(&self) -> Result<Vec<Fault>> {
        let Some(containers) = self.place()? else { return Ok(Vec::new()) };
        let mut all = Vec::new();
        for entry in containers.names()? {
            let whole = |what: &str| Fault {
                name: entry.clone(),
                what: what.to_owned(),
                entry: entry.clone(),
                cure: Cure::SetAside,
            };
            let Ok(id) = entry.parse::<ContainerId>() else {
                all.push(whole("its name is not a container id"));
                continue;
            };
            match containers.look(&entry)? {
                None => continue,
                Some(found) if !is(&found, SFlag::S_IFDIR) => {
                    all.push(Fault { name: id.short().to_owned(), ..whole("it is not a directory") });
                    continue;
                }
                Some(_) => {}
            }
            match self.open(&id) {
                Ok(dir) => {
                    // Checked again under its lock: some of it may have been transient.
                    let suspect = !self.examine(&dir).is_empty();
                    if suspect && let Ok(_lock) = dir.lock() {
                        all.extend(self.examine(&dir));
                    }
                }
                Err(e) if e.kind() == Kind::NotFound => {}
                Err(e) => {
                    let what = e.in_one_line();
                    all.push(Fault { name: id.short().to_owned(), ..whole(&what) });
                }
            }
        }
        Ok(all)
    }

    fn examine(&self, dir: &ContainerDir) -> Vec<Fault> {
        // Half made, or going.
        if !dir.is_listed() && !dir.is_alive() {
            return Vec::new();
        }
        let mut all = Vec::new();
        let mut fault = |what: &str, cure| {
            let (name, entry) = (dir.id().short().to_owned(), dir.id().to_string());
            all.push(Fault { name, what: what.to_owned(), entry, cure });
        };
        let settings = is_lost::<Settings>(dir, "settings.json");
        if settings {
            fault("its settings.json cannot be read", Cure::Settings);
        }
        if is_lost::<RunRecord>(dir, "run.json") {
            fault("its run.json cannot be read", Cure::File("run.json"));
        }
        if is_lost::<ExitRecord>(dir, "exit.json") {
            fault("its exit.json cannot be read", Cure::File("exit.json"));
        }
        // Without a name every summary is right.
        let name = dir.settings().ok().map(|settings| settings.name);
        let shown = files::read(dir.fd(), "summary").ok().flatten();
        match shown.as_deref().and_then(Record::from_bytes) {
            None => fault("its summary cannot be read", Cure::Summary),
            Some(shown) if !shown.cut && name.as_ref().is_some_and(|name| shown.name != name.as_str()) => {
                fault("its summary shows another name", Cure::Summary);
            }
            Some(_) => {}
        }
        if let Some(name) = name.filter(|_| !settings)
            && self.by_name(&name).as_ref() != Some(dir.id())
        {
            fault(&format!("its name {name} leads elsewhere"), Cure::Link);
        }
        // It may just be being removed.
        if dir.in_place() { all } else { Vec::new() }
    }

    /// Mends a fault; says what was done. Nothing of the container's data is lost by it.
    ///
    /// # Errors
    /// `Conflict` while the container runs and what is to be done would hurt it; when the file system refuses.
    pub fn mend(&self, fault: &Fault) -> Result<String> {
        let doing = || format!("repair container {}", fault.name);
        if fault.cure == Cure::SetAside {
            return self.set_aside(&fault.entry).map(|to| format!("set aside as {}", to.display()));
        }
        let id: ContainerId = fault.entry.parse()?;
        let dir = self.open(&id)?;
        let _lock = dir.lock()?;
        if !self.examine(&dir).iter().any(|still| still.cure == fault.cure) {
            return Ok("is whole again".to_owned());
        }
        match fault.cure {
            Cure::Settings => {
                let planned = dir.spec().ok().map(|spec| spec.name);
                let linked = self.names_of(&id)?;
                let name = planned.filter(|name| linked.is_empty() || linked.contains(name));
                let name = name.or_else(|| linked.into_iter().next());
                let name = name.map_or_else(|| self.unused_name(), Ok)?;
                files::out_of_the_way(dir.fd(), "settings.json").context(Kind::Storage, doing)?;
                self.link(&id, &name)?;
                dir.set_settings(&Settings::new(name.clone()))?;
                Ok(format!("has the settings it was made with again, under the name {name}"))
            }
            Cure::File(file) => {
                if dir.is_alive() {
                    return Err(Error::new(Kind::Conflict, format!("container {} runs", fault.name))
                        .hint(format!("Stop it first: coracle stop {}", fault.name)));
                }
                files::out_of_the_way(dir.fd(), file).context(Kind::Storage, doing)?;
                dir.rewrite_summary().context(Kind::Storage, doing)?;
                Ok(format!("goes without {file}"))
            }
            Cure::Link => {
                let name = dir.settings()?.name;
                self.link(&id, &name).map(|()| format!("is called {name} again"))
            }
            Cure::Summary | Cure::SetAside => {
                dir.rewrite_summary().context(Kind::Storage, doing)?;
                Ok("has a new summary".to_owned())
            }
        }
    }

    fn link(&self, id: &ContainerId, name: &Name) -> Result<()> {
        if self.by_name(name).as_ref() == Some(id) {
            return Ok(());
        }
        self.take_name(&Place::make(&self.data.join(NAMES))?, name, id)
    }

    /// Moves a container that cannot be repaired aside, with all its files; returns the new path. Its name is
    /// free then, and nothing counts as used by it.
    ///
    /// # Errors
    /// `Conflict` while it runs; when the file system refuses.
    pub fn set_aside(&self, entry: &str) -> Result<PathBuf> {
        let place = Place::open(&self.data.join(CONTAINERS))?;
        let id = entry.parse::<ContainerId>().ok();
        let dir = id.as_ref().and_then(|id| self.open(id).ok());
        let _lock = dir.as_ref().map(ContainerDir::lock).transpose()?;
        if dir.is_some_and(|dir| dir.is_alive()) {
            return Err(Error::new(Kind::Conflict, format!("container {entry} runs"))
                .hint(format!("Remove it: coracle rm -f {entry}")));
        }
        open_up(&place, entry);
        let to = place.set_aside(entry, &self.data)?;
        id.map_or(Ok(()), |id| self.release_names(&id))?;
        Ok(to)
    }

    /// Removes what stands in the place of a container's directory and cannot be opened as one; `text` is an id,
    /// a beginning of one, or the container's name. It is in the trash then.
    ///
    /// # Errors
    /// `NotFound`; when the file system refuses.
    pub fn discard_unopenable(&self, text: &str) -> Result<()> {
        let missing = || super::not_found(text);
        let place = self.place()?.ok_or_else(missing)?;
        let named = text.parse::<Name>().ok().and_then(|name| self.by_name(&name));
        let mut matching = self.ids()?;
        matching.retain(|id| id.as_str().starts_with(text) || named.as_ref() == Some(id));
        let [id] = matching.as_slice() else { return Err(missing()) };
        open_up(&place, id.as_str());
        self.discard_dead(&place, id.as_str(), id)?;
        self.release_names(id)
    }
}

/// Whether a record is there and cannot be read.
fn is_lost<T: DeserializeOwned>(dir: &ContainerDir, file: &str) -> bool {
    matches!(files::read_json::<T>(dir.fd(), file), Ok(None)) && files::is_there(dir.fd(), file)
}

/// Lets the owner of a directory move it, which takes the right to write to it.
fn open_up(place: &Place, entry: &str) {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
    if let Ok(held) = open_within(place, entry, flags, ResolveFlag::RESOLVE_BENEATH) {
        // What cannot be opened up cannot be moved, and that says why.
        let _ = fchmodat(AT_FDCWD, link_of(&held).as_str(), Mode::S_IRWXU, FchmodatFlags::FollowSymlink);
    }
}

impl ContainerDir {
    /// Rebuilds the summary from the other records. The caller holds the lock of the directory.
    fn rewrite_summary(&self) -> Result<()> {
        super::locks::with_summary(self.fd(), || {
            files::replace_derived(self.fd(), "summary", &self.full_record().to_bytes()?)
        })
        .map_err(|e| failed("write the summary in", &self.path(), e))
    }
}

#[cfg(test)]
#[path = "damage_tests.rs"]
mod tests;
