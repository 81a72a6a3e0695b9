//! Names of containers: `names/<name>`, a symbolic link to the container; `EEXIST` on creating it means that
//! the name is taken. Pods have names of the same space, which lead to them.
//!
//! Theory of operation. A link is created by symlink(2). It is removed only under the lock of `names/`, and
//! only if it still leads to the expected container. A link may be left over by a creator or renamer that was
//! killed, or by a remover that was killed before it freed the name. Such a link is dangling, or leads to a
//! container that has another name in its settings, and the name is free: a process that wants it takes it over
//! ([`Containers::free_name`]), and `prune` and `system check --repair` collect it
//! ([`Containers::collect_stray_names`]).

use super::{ContainerDir, Containers, NAMES, Settings, files, locks, not_found};
use crate::container::{ContainerId, Name};
use crate::error::{Context, Error, Kind, Result, phrases};
use crate::failpoint;
use crate::spec::PodId;
use crate::storage::place::Place;
use crate::storage::pod_place::{self, PODS};
use crate::storage::record::failed;
use crate::storage::{trash, tree};
use nix::errno::Errno;
use nix::fcntl::readlinkat;
use nix::unistd::symlinkat;
use std::ffi::OsStr;
use std::os::fd::AsFd;

/// What a name's link says.
fn target(id: &ContainerId) -> String {
    format!("../containers/{id}")
}

/// The container that a name's link leads to, whether or not it still exists.
fn target_id(link: &OsStr) -> Option<ContainerId> {
    link.to_str()?.strip_prefix("../containers/")?.parse().ok()
}

/// As [`target`], for a pod.
fn pod_target(id: &PodId) -> String {
    format!("../{PODS}/{id}")
}

/// The pod that a name's link leads to, whether or not it still exists.
fn pod_id(link: &OsStr) -> Option<PodId> {
    link.to_str()?.strip_prefix("../")?.strip_prefix(PODS)?.strip_prefix('/')?.parse().ok()
}

/// What a name leads to.
enum Link {
    /// Nothing has the name.
    None,
    /// A container, which may not exist.
    To(ContainerId),
    /// A pod, which may not exist.
    ToPod(PodId),
    /// A link to elsewhere, or no link at all: nobody but us writes here, so it is rubbish.
    Rubbish,
}

fn read(names: &Place, name: &str) -> Result<Link> {
    match readlinkat(names, name) {
        Ok(link) => Ok(match (target_id(&link), pod_id(&link)) {
            (Some(id), _) => Link::To(id),
            (None, Some(id)) => Link::ToPod(id),
            (None, None) => Link::Rubbish,
        }),
        Err(Errno::ENOENT) => Ok(Link::None),
        Err(Errno::EINVAL) => Ok(Link::Rubbish),
        Err(e) => Err(failed("read", &names.path().join(name), e.into())),
    }
}

impl Containers {
    fn names(&self) -> Result<Option<Place>> {
        Place::find(&self.data.join(NAMES))
    }

    /// `names/` with its lock held for as long as the value lives: links go under it only.
    fn locked_names(&self) -> Result<Option<(Place, std::fs::File)>> {
        let Some(names) = self.names()? else { return Ok(None) };
        let fail = |e| failed("lock", names.path(), e);
        let file = names.as_fd().try_clone_to_owned().map(std::fs::File::from).map_err(fail)?;
        file.lock().map_err(fail)?;
        Ok(Some((names, file)))
    }

    /// The id a name leads to, whether or not that container still exists.
    pub(super) fn by_name(&self, name: &Name) -> Option<ContainerId> {
        match read(&self.names().ok()??, name.as_str()) {
            Ok(Link::To(id)) => Some(id),
            _ => None,
        }
    }

    /// The id of the pod that a name leads to, whether or not that still exists.
    pub fn pod_by_name(&self, name: &Name) -> Option<PodId> {
        match read(&self.names().ok()??, name.as_str()) {
            Ok(Link::ToPod(id)) => Some(id),
            _ => None,
        }
    }

    /// Whether a pod has this name, or gets it at this moment.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn is_name_of_pod(&self, name: &Name) -> Result<bool> {
        self.pod_by_name(name).map_or(Ok(false), |id| pod_place::is_there(&self.data, &id))
    }

    /// Makes the name lead to this pod, which is being made.
    ///
    /// # Errors
    /// `Conflict` when the name is taken.
    pub fn take_name_for_pod(&self, name: &Name, id: &PodId) -> Result<()> {
        let names = Place::make(&self.data.join(NAMES))?;
        let taken = |_: Error| match self.by_name(name) {
            Some(_) => Error::new(
                Kind::Conflict,
                format!("adding pod to state: name {:?} is in use: container already exists", name.as_str()),
            )
            .hint(format!("Give the pod another name, or remove the container: coracle rm -f {name}")),
            None => pod_name_in_use("adding pod to state: ", name),
        };
        self.link_name(&names, name, &pod_target(id)).map_err(|e| match e.kind() {
            Kind::Conflict => taken(e),
            _ => e,
        })
    }

    /// Takes a name's link away if it leads to this pod.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn release_name_of_pod(&self, name: &Name, id: &PodId) -> Result<()> {
        let Some((names, _lock)) = self.locked_names()? else { return Ok(()) };
        if matches!(read(&names, name.as_str())?, Link::ToPod(found) if found == *id) {
            names.remove_file(name.as_str())?;
        }
        Ok(())
    }

    /// Takes a name's link away if it leads to this container.
    pub(super) fn release_name(&self, name: &str, id: &ContainerId) -> Result<()> {
        let Some((names, _lock)) = self.locked_names()? else { return Ok(()) };
        if matches!(read(&names, name)?, Link::To(found) if found == *id) {
            names.remove_file(name)?;
        }
        Ok(())
    }

    /// Takes away every link that leads to this container, whose own records do not tell its name.
    pub(super) fn release_names(&self, id: &ContainerId) -> Result<()> {
        let Some((names, _lock)) = self.locked_names()? else { return Ok(()) };
        for name in tree::names(names.as_fd()).map_err(|e| failed("read", names.path(), e.into()))? {
            if let Ok(name) = name.into_string()
                && matches!(read(&names, &name)?, Link::To(found) if found == *id)
            {
                names.remove_file(&name)?;
            }
        }
        Ok(())
    }

    /// The names whose links lead to this container.
    pub(super) fn names_of(&self, id: &ContainerId) -> Result<Vec<Name>> {
        let Some(names) = self.names()? else { return Ok(Vec::new()) };
        let ours = |name: &String| matches!(read(&names, name), Ok(Link::To(found)) if found == *id);
        Ok(names.names()?.into_iter().filter(ours).filter_map(|name| name.parse().ok()).collect())
    }

    /// Makes the name lead to this container, whose directory exists or is being made.
    pub(super) fn take_name(&self, names: &Place, name: &Name, id: &ContainerId) -> Result<()> {
        self.link_name(names, name, &target(id))
    }

    fn link_name(&self, names: &Place, name: &Name, to: &str) -> Result<()> {
        loop {
            match symlinkat(to, names, name.as_str()) {
                Ok(()) => return Ok(()),
                Err(Errno::EEXIST) => {
                    if !self.free_name(name.as_str())? {
                        return Err(match self.pod_by_name(name) {
                            Some(_) => pod_name_in_use("", name),
                            None => name_in_use(name, self.by_name(name).as_ref()),
                        });
                    }
                }
                Err(e) => return Err(failed("take the name", &names.path().join(name.as_str()), e.into())),
            }
        }
    }

    /// Removes a name that is nobody's; `false` when it is somebody's.
    fn free_name(&self, name: &str) -> Result<bool> {
        // One at a time, or two could find the same stale link and the second remove the link that was
        // made in its place.
        let Some((names, _lock)) = self.locked_names()? else { return Ok(true) };
        let id = match read(&names, name)? {
            Link::None => return Ok(true),
            Link::Rubbish => return trash::discard(&self.data, &names, name).map(|_| true),
            Link::ToPod(id) => {
                let is_free = !pod_place::is_there(&self.data, &id)?;
                return if is_free { names.remove_file(name) } else { Ok(false) };
            }
            Link::To(id) => id,
        };
        // Links go under the lock that we hold, so this one is still the one that we have read.
        let unlink = || names.remove_file(name).map(|_| true);
        // Before the container itself is looked for, which may get its place meanwhile.
        if self.is_being_made(&id)? {
            return Ok(false);
        }
        let dir = match self.open(&id) {
            Ok(dir) => dir,
            Err(e) if e.kind() == Kind::NotFound => return unlink(),
            // Damaged, and there.
            Err(_) => return Ok(false),
        };
        let doing = || format!("free the name {name}");
        // A command that is changing it may be about to give it this name.
        let Some(_held) = locks::try_lock(dir.fd()).context(Kind::Storage, doing)? else { return Ok(false) };
        if dir.is_listed() || dir.is_alive() {
            // One that was renamed, or was to be, by a command that was killed. While its settings cannot be read
            // every name is its own that leads to it.
            let known =
                files::read_json::<Settings>(dir.fd(), "settings.json").context(Kind::Storage, doing)?;
            let lost = known.is_none() && files::is_there(dir.fd(), "settings.json");
            let settings = dir.settings().ok().filter(|settings| !lost && settings.name.as_str() != name);
            let Some(settings) = settings else { return Ok(false) };
            // Or two would be listed by the name that is free now.
            dir.show_name(&settings.name).context(Kind::Storage, doing)?;
            return unlink();
        }
        unlink()?;
        if let Some(containers) = self.place()? {
            self.discard_dead(&containers, id.as_str(), &id)?;
        }
        Ok(true)
    }

    /// Removes the links that lead nowhere, or to a container that has another name; returns their number. Those
    /// of containers that are at work on stay.
    ///
    /// # Errors
    /// When the directory of names cannot be read.
    pub fn collect_stray_names(&self) -> Result<usize> {
        let Some(names) = self.names()? else { return Ok(0) };
        let mut count = 0;
        for name in names.names()? {
            // A name without a container is found quickly; the others cost a look at the settings.
            if !matches!(read(&names, &name)?, Link::Rubbish) && self.free_name(&name)? {
                count += 1;
            }
        }
        Ok(count)
    }

    /// Renames a container; its old name is free from then on.
    ///
    /// The order: the new link is taken; the settings, which decide, get the new name; the summary shows it; the
    /// old link goes. A command that is killed leaves a container with a link too many, never one without: the
    /// next rename, whoever wants the name, and `system check --repair` mend that. A command that fails has
    /// undone what came before: both files are written aside first, which is what fails on a full disk.
    ///
    /// # Errors
    /// `Conflict` when the name is taken or is the container's own; `NotFound` when it has been removed.
    pub fn rename(&self, dir: &ContainerDir, name: &Name) -> Result<Name> {
        let doing = || format!("rename container {} to {name}", dir.id().short());
        let _lock = dir.lock()?;
        if !dir.in_place() {
            return Err(not_found(dir.id().as_str()));
        }
        let mut settings = dir.settings()?;
        if settings.name == *name {
            // A command that was killed may have come no further: then a link tells the former name.
            dir.show_name(name).context(Kind::Storage, doing)?;
            let former = self.names_of(dir.id())?.into_iter().find(|former| former != name);
            let Some(former) = former else {
                return Err(Error::new(Kind::Conflict, format!("container {name} has that name already"))
                    .hint("Choose another one: coracle rename CONTAINER NAME"));
            };
            self.release_name(former.as_str(), dir.id())?;
            dir.keep_place()?;
            return Ok(former);
        }
        // It may be ours already: one that was killed did not come to remove the old link.
        if self.by_name(name).as_ref() != Some(dir.id()) {
            self.take_name(&Place::make(&self.data.join(NAMES))?, name, dir.id())?;
        }
        failpoint::reach("rename.link");
        let before = std::mem::replace(&mut settings.name, name.clone());
        if let Err(error) = dir.set_settings(&settings) {
            self.release_name(name.as_str(), dir.id())?;
            return Err(error);
        }
        failpoint::reach("rename.settings");
        self.release_name(before.as_str(), dir.id())?;
        dir.keep_place()?;
        Ok(before)
    }
}

/// The refusal of a name that a pod has.
pub fn pod_name_in_use(doing: &str, name: &Name) -> Error {
    Error::new(Kind::Conflict, format!("{doing}name {:?} is in use: pod already exists", name.as_str()))
        .hint(format!("Choose another name, or remove that pod: coracle pod rm -f {name}"))
}

/// The refusal of a name that another container has.
pub fn name_in_use(name: &Name, holder: Option<&ContainerId>) -> Error {
    let holder = holder.map_or("another container", ContainerId::as_str);
    phrases::name_in_use(name.as_str(), holder).hint_by_name(
        format!(
            "Remove that container: coracle rm -f {name}; run and create can let the new one take its place: --replace"
        ),
        format!("Remove that container: coracle rm -f {name}; or rename it: coracle rename {name} NAME"),
    )
}
