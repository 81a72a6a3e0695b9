//! Pods as files: `pods/<id>/pod.json`, and a name that they share with containers.
//!
//! Theory of operation. A pod's record is written once. Which containers are in it is said by their plans alone, so
//! nothing has to be changed in two places. These are the steps of making one, and what a creator leaves that is killed
//! after each:
//!
//! 1. `pods/.new-<id>` is created and locked (flock(2)) until the end; the record is written there and synced. Left: a
//!    directory that the next clean-up takes, as nobody holds its lock.
//! 2. `names/<name>` is linked to where the directory will be. Left: a name that leads nowhere, which is free.
//! 3. The directory is renamed to `pods/<id>`. From here on the pod exists, complete.
//!
//! Its infra container is made after that, of the plan in the record. Should its creator be killed in between, whoever
//! needs it makes it: a start of the pod, or a new container in it. A pod is removed after its containers, by a rename to
//! the trash; its name leads nowhere then.
//!
//! Whoever puts a container into a pod holds its directory's lock shared meanwhile, and whoever removes it alone: so no
//! container comes into a pod that is gone.

use super::containers::{ContainerDir, Containers};
use super::events::{Action, Event, Events, Type};
use super::place::Place;
use super::pod_place::{self, NEW, PODS, aside};
use super::record::{Durability, failed, warn_once};
use super::roots::Roots;
use super::{trash, tree};
use crate::container::ContainerId;
use crate::error::{Error, Kind, Result, phrases};
use crate::failpoint;
use crate::spec::pod::POD_VERSION;
use crate::spec::{PodId, PodSpec};
use nix::fcntl::{Flock, FlockArg};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// The record of a pod in its directory.
const RECORD: &str = "pod.json";

/// The pods of a store.
#[derive(Debug, Clone)]
pub struct Pods {
    roots: Arc<Roots>,
    containers: Containers,
}

/// The lock on a pod; released on drop.
#[derive(Debug)]
pub struct PodLock {
    _lock: Flock<OwnedFd>,
}

impl Pods {
    pub(super) fn new(roots: Arc<Roots>, containers: Containers) -> Self {
        Pods { roots, containers }
    }

    fn place(&self) -> Result<Option<Place>> {
        pod_place::all(&self.roots.data)
    }

    /// Every id that has a directory.
    fn ids(&self) -> Result<Vec<PodId>> {
        let Some(place) = self.place()? else { return Ok(Vec::new()) };
        Ok(place.names()?.into_iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// Makes a pod: its record and its name.
    ///
    /// # Errors
    /// `Conflict` when the name is taken; `Storage` when a file cannot be written. Nothing is left then.
    pub fn create(&self, pod: &PodSpec) -> Result<()> {
        let pods = Place::make(&self.roots.data.join(PODS))?;
        let name = aside(&pod.id);
        let half_made = pods.new_below(&name)?;
        let made = self.fill_and_place(&pods, &half_made, pod);
        if made.is_err() {
            // Holds nothing but what was just written.
            let _ = trash::remove_in(&pods, name);
        }
        made?;
        self.emit(pod, Action::Create);
        Ok(())
    }

    fn fill_and_place(&self, pods: &Place, half_made: &Place, pod: &PodSpec) -> Result<()> {
        let _lock = lock(half_made, FlockArg::LockExclusive)?;
        if pods.look(aside(&pod.id))?.is_none() {
            // Somebody who cleans up was faster than the lock.
            return Err(Error::new(Kind::Storage, format!("pod {} was taken for a leftover", pod.name))
                .hint("Try again."));
        }
        failpoint::reach("pod.dir");
        half_made.replace(RECORD, pod, Durability::Synced)?;
        failpoint::reach("pod.filled");
        self.containers.take_name_for_pod(&pod.name, &pod.id)?;
        failpoint::reach("pod.name");
        if let Err(e) = pods.rename(aside(&pod.id), pods, pod.id.as_str()) {
            let _ = self.containers.release_name_of_pod(&pod.name, &pod.id);
            return Err(failed("create", &pods.path().join(pod.id.as_str()), e.into()));
        }
        failpoint::reach("pod.placed");
        pods.sync()
    }

    /// The pod of this id.
    ///
    /// # Errors
    /// When its record is damaged, or of a newer form.
    pub fn get(&self, id: &PodId) -> Result<Option<PodSpec>> {
        let Some(dir) = self.place()?.map(|pods| pods.below(id.as_str())).transpose()?.flatten() else {
            return Ok(None);
        };
        let found: Option<PodSpec> = dir.read(RECORD).map_err(|e| e.hint(drop_it(id)))?;
        match found {
            Some(pod) if pod.version > POD_VERSION => Err(Error::new(
                Kind::Storage,
                format!("pod {} was made by a newer version of coracle", id.short()),
            )
            .hint(drop_it(id))),
            // Its remover has been killed, or is at work.
            other => Ok(other),
        }
    }

    /// Finds the id of a pod by its full id, its name or a unique beginning of the id, in this order; its record may be
    /// unreadable.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Conflict`] when several ids begin so.
    pub fn find_id(&self, text: &str) -> Result<PodId> {
        let ids = self.ids()?;
        if let Some(id) = ids.iter().find(|id| id.as_str() == text) {
            return Ok(id.clone());
        }
        if let Some(id) = text.parse().ok().and_then(|name| self.containers.pod_by_name(&name))
            && ids.contains(&id)
        {
            return Ok(id);
        }
        let mut matching: Vec<PodId> = match text {
            "" => Vec::new(),
            _ => ids.into_iter().filter(|id| id.as_str().starts_with(text)).collect(),
        };
        match (matching.pop(), matching.len()) {
            (Some(id), 0) => Ok(id),
            (None, _) => Err(phrases::no_pod(text).hint("List pods: coracle pod ps")),
            (Some(_), others) => {
                Err(Error::new(Kind::Conflict, format!("{} pod ids begin with {text:?}", others + 1))
                    .hint("Give more digits; list them with: coracle pod ps --no-trunc"))
            }
        }
    }

    /// As [`Pods::find_id`]; gives the record.
    ///
    /// # Errors
    /// As there, and those of [`Pods::get`].
    pub fn find(&self, text: &str) -> Result<PodSpec> {
        let id = self.find_id(text)?;
        self.get(&id)?.ok_or_else(|| phrases::no_pod(text).hint("List pods: coracle pod ps"))
    }

    /// All pods, the latest first. Of one whose record cannot be read a warning tells.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn list(&self) -> Result<Vec<PodSpec>> {
        let mut all = Vec::new();
        for id in self.ids()? {
            match self.get(&id) {
                Ok(found) => all.extend(found),
                Err(error) => warn_once(
                    id.as_str(),
                    &format!(
                        "pod {} is left alone: {}. Remove it: coracle pod rm -f {}",
                        id.short(),
                        error.in_one_line(),
                        id.short()
                    ),
                ),
            }
        }
        all.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.id.cmp(&b.id)));
        Ok(all)
    }

    /// The pod that was created last.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub fn latest(&self) -> Result<PodSpec> {
        let latest = self.list()?.into_iter().next();
        latest.ok_or_else(|| Error::new(Kind::NotFound, "there are no pods"))
    }

    /// The pods whose record cannot be read, and why.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn damaged(&self) -> Result<Vec<(PodId, Error)>> {
        Ok(self.ids()?.into_iter().filter_map(|id| self.get(&id).err().map(|error| (id, error))).collect())
    }

    /// Whether there is a pod of this id, readable or not.
    pub fn exists(&self, id: &PodId) -> bool {
        let look = || self.place()?.map(|pods| pods.look(id.as_str())).transpose();
        matches!(look(), Ok(Some(Some(_))))
    }

    /// Keeps the pod from being removed while a container is put into it.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when it is gone.
    pub fn hold(&self, pod: &PodSpec) -> Result<PodLock> {
        self.locked(&pod.id, FlockArg::LockShared).map_err(|e| match e.kind() {
            Kind::NotFound => phrases::no_pod(pod.name.as_str()).hint("List pods: coracle pod ps"),
            _ => e,
        })
    }

    /// Keeps others from putting containers into the pod: for its removal.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when it is gone.
    pub fn lock(&self, id: &PodId) -> Result<PodLock> {
        self.locked(id, FlockArg::LockExclusive)
    }

    fn locked(&self, id: &PodId, how: FlockArg) -> Result<PodLock> {
        let gone = || phrases::no_pod(id.short()).hint("List pods: coracle pod ps");
        let pods = self.place()?.ok_or_else(gone)?;
        let dir = pods.below(id.as_str())?.ok_or_else(gone)?;
        let held = lock(&dir, how)?;
        // It may have been removed while we waited.
        match pods.look(id.as_str())? {
            Some(_) => Ok(PodLock { _lock: held }),
            None => Err(gone()),
        }
    }

    /// Removes a pod, which has no containers any more.
    ///
    /// # Errors
    /// When it cannot be moved to the trash.
    pub fn remove(&self, _lock: &PodLock, id: &PodId) -> Result<()> {
        let Some(pods) = self.place()? else { return Ok(()) };
        let pod = self.get(id).ok().flatten();
        if !trash::discard(&self.roots.data, &pods, id.as_str())? {
            return Ok(());
        }
        failpoint::reach("pod.discarded");
        match &pod {
            // Nothing depends on it: a name that leads nowhere is free.
            Some(pod) => {
                if let Err(error) = self.containers.release_name_of_pod(&pod.name, id) {
                    log::info!("the name of pod {} is not freed: {error}", pod.name);
                }
                self.emit(pod, Action::Remove);
            }
            None => drop(self.containers.collect_stray_names()),
        }
        Ok(())
    }

    /// The containers of a pod that are there, the infra container among them, by id; whether their plans can be read
    /// does not matter.
    ///
    /// # Errors
    /// When containers cannot be listed.
    pub fn members(&self, id: &PodId) -> Result<Vec<ContainerDir>> {
        let ids = self.containers.list()?.into_iter().filter(|one| one.pod.as_ref() == Some(id));
        let ids: Vec<ContainerId> = ids.map(|one| one.id).collect();
        Ok(ids.iter().filter_map(|id| self.containers.open(id).ok()).collect())
    }

    /// Tells of something that has happened to a pod.
    pub fn emit(&self, pod: &PodSpec, action: Action) {
        let event = Event::new(Type::Pod, action).id(pod.id.as_str()).name(pod.name.as_str());
        Events::new(&self.roots.data).emit(Event { attributes: pod.labels.clone(), ..event });
    }

    /// Moves to the trash what killed creators left; returns the number.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn collect_half_made(&self) -> Result<usize> {
        let Some(pods) = self.place()? else { return Ok(0) };
        let mut count = 0;
        for name in tree::names(pods.as_fd()).map_err(|e| failed("read", pods.path(), e.into()))? {
            let Ok(name) = name.into_string() else { continue };
            if name.strip_prefix(NEW).is_none_or(|id| id.parse::<PodId>().is_err()) {
                continue;
            }
            let Ok(Some(dir)) = pods.below(&name) else { continue };
            if let Ok(Some(_lock)) = pod_place::try_lock(&dir)
                && pods.look(&name)?.is_some()
                && trash::discard(&self.roots.data, &pods, &name)?
            {
                count += 1;
            }
        }
        Ok(count)
    }

    /// Puts a pod whose record cannot be read out of the way; its containers stay.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn set_aside(&self, id: &PodId) -> Result<std::path::PathBuf> {
        let pods = Place::open(&self.roots.data.join(PODS))?;
        pods.set_aside(id.as_str(), &self.roots.data)
    }
}

fn lock(place: &Place, how: FlockArg) -> Result<Flock<OwnedFd>> {
    let fail = |e| failed("lock", place.path(), e);
    let mut opened = place.as_fd().try_clone_to_owned().map_err(fail)?;
    loop {
        match Flock::lock(opened, how) {
            Ok(lock) => return Ok(lock),
            Err((again, nix::errno::Errno::EINTR)) => opened = again,
            Err((_, e)) => return Err(fail(e.into())),
        }
    }
}

fn drop_it(id: &PodId) -> String {
    format!("If a newer version made the pod, use that one; to remove it: coracle pod rm -f {}", id.short())
}
