//! Creating a container: complete, under a temporary name, then renamed into place.
//!
//! Theory of operation. These are the steps, and what a creator leaves that is killed after each of them:
//!
//! 1. `containers/.new-<id>` is created and its `lock` taken, which the creator holds to the end. Directories
//!    whose names begin with a dot are not containers: they are not listed, counted or waited for. Left: a
//!    directory that [`Containers::collect_half_made`] removes as soon as nobody holds the lock, whatever its
//!    age.
//! 2. Everything is written there: plan, settings, `upper/` and `work/`, copies of secrets, the summary. Left:
//!    the same.
//! 3. `names/<name>` is linked to where the directory will be; if two creators want the same name, one gets
//!    `EEXIST`. Left: a dangling name, which is free; but while its creator lives, [`Containers::free_name`]
//!    finds the lock of `.new-<id>` held and the name taken.
//! 4. The directory is renamed to `containers/<id>`. From here on the container exists, complete.
//!
//! The name comes before the rename; otherwise two containers could be listed under one name, and a refused
//! container would have been visible. The rename comes last, so nobody ever reads the records of an incomplete
//! container. Nothing is synced here.

use super::half_made::aside;
use super::summary::Record;
use super::{CONTAINERS, ContainerDir, Containers, NAMES, Settings, files};
use crate::container::{ContainerId, Name};
use crate::error::{Context, Kind, Result};
use crate::failpoint;
use crate::spec::ContainerSpec;
use crate::storage::events::{Action, Event, Events, Type};
use crate::storage::place::Place;
use crate::storage::record::failed;
use crate::storage::{access_list, trash};
use nix::sys::stat::{Mode, mkdirat};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

impl Containers {
    /// Makes a container: a directory with `plan.json`, `upper/` (mode 0755), `work/` and a summary, and its
    /// name.
    ///
    /// # Errors
    /// `Conflict` when the name is taken; `Storage` when a file cannot be written. Nothing is left then.
    pub fn create(&self, id: &ContainerId, name: &Name, spec: &ContainerSpec) -> Result<ContainerDir> {
        self.create_with(id, name, spec, |_| Ok(()))
    }

    /// As [`Containers::create`]; `add_files` puts more into the directory before anybody sees it.
    ///
    /// # Errors
    /// As there, and those of `add_files`.
    pub fn create_with(
        &self,
        id: &ContainerId,
        name: &Name,
        spec: &ContainerSpec,
        add_files: impl FnOnce(BorrowedFd<'_>) -> Result<()>,
    ) -> Result<ContainerDir> {
        let doing = || format!("create container {name}");
        let containers = Place::make(&self.data.join(CONTAINERS))?;
        let aside = aside(id);
        let place = containers.new_below(&aside)?;
        let dir = place.as_fd().try_clone_to_owned().context(Kind::Storage, doing)?;
        let dir = ContainerDir::new(id.clone(), &self.data, &self.runtime, dir);
        let made = self.fill_and_place(&containers, &dir, name, spec, add_files);
        if made.is_err() {
            // Holds nothing but what was just written, all of it ours.
            let _ = trash::remove_in(&containers, aside);
        }
        made.map_err(|e| match e.kind() {
            Kind::Storage => crate::error::Error::new(Kind::Storage, doing()).caused_by(e),
            _ => e,
        })?;
        let image = spec.image.as_ref().map(|image| image.reference.clone()).unwrap_or_default();
        let event =
            Event::new(Type::Container, Action::Create).id(id.as_str()).name(name.as_str()).image(image);
        Events::new(&self.data).emit(Event { attributes: spec.labels.clone(), ..event });
        Ok(dir)
    }

    fn fill_and_place(
        &self,
        containers: &Place,
        dir: &ContainerDir,
        name: &Name,
        spec: &ContainerSpec,
        add_files: impl FnOnce(BorrowedFd<'_>) -> Result<()>,
    ) -> Result<()> {
        let lock = dir.lock()?;
        let fail = |e| failed("write the records in", &dir.path(), e);
        lock.reserve_note().map_err(fail)?;
        // It must not be pruned before it is complete, or before its first start.
        dir.claim();
        failpoint::reach("create.dir");
        let write = || -> io::Result<()> {
            let plan = serde_json::to_vec(spec).map_err(io::Error::other)?;
            files::create(dir.fd(), "plan.json", &plan)?;
            // Else the settings are the plan's.
            if spec.name != *name {
                let settings = serde_json::to_vec(&Settings::new(name.clone())).map_err(io::Error::other)?;
                files::create(dir.fd(), "settings.json", &settings)?;
            }
            mkdirat(dir.fd(), "work", Mode::from_bits_truncate(0o700))?;
            mkdirat(dir.fd(), "upper", Mode::from_bits_truncate(0o755))?;
            // What it has is what the container's `/` has.
            access_list::open_to_all(files::open_dir(dir.fd(), "upper")?.as_fd())?;
            files::create(dir.fd(), "summary", &Record::new(name.as_str(), spec).to_bytes()?)
        };
        write().map_err(fail)?;
        add_files(dir.fd())?;
        failpoint::reach("create.filled");
        let names = Place::make(&self.data.join(NAMES))?;
        self.take_name(&names, name, dir.id())?;
        failpoint::reach("create.name");
        let placed = containers.rename(aside(dir.id()), containers, dir.id().as_str());
        if placed.is_err() {
            // Whoever is stopped by this link finds out that it leads nowhere; it need not come to that.
            let _ = names.remove_file(name.as_str());
        }
        placed.map_err(|e| failed("create", &dir.path(), e.into()))?;
        failpoint::reach("create.placed");
        Ok(())
    }
}
