//! Putting a container in the place of another one, so that a kill at any point loses neither.
//!
//! Theory of operation. The new container's plan names the one whose place it takes. As long as that one exists, the
//! change is under way, and where it stands shows by itself:
//!
//! | the old one | the new one | the next command |
//! |---|---|---|
//! | runs | in whatever state | removes the new one |
//! | stopped | runs and is well, or has the name already | completes the change |
//! | stopped | does not run | removes the new one and starts the old one |
//! | gone | | nothing is left to do |
//!
//! Only one of them has the name at a time: the new one is called `NAME-ID` first, and the old one at last. Anonymous
//! volumes belong to both, and stay with the one that remains.

use super::prove::prove;
use crate::container::{ContainerId, Name};
use crate::engine::containers::create::recorded;
use crate::engine::containers::policy::stop_policy;
use crate::engine::containers::records::{discard, keep};
use crate::engine::containers::recover;
use crate::engine::containers::removal::{end, remove_ended};
use crate::engine::containers::remove::tidy;
use crate::engine::containers::start::start;
use crate::engine::containers::stop::stop_by_policy;
use crate::engine::containers::wait::wait_ended;
use crate::error::{Error, Kind, Result};
use crate::failpoint;
use crate::plan::copy;
use crate::runtime::cgroup;
use crate::spec::ContainerSpec;
use crate::storage::Store;
use crate::storage::containers::{ContainerDir, Containers};
use chrono::Utc;
use std::time::Duration;

/// How soon a container ends whose start was not finished.
const AT_ONCE: Duration = Duration::from_millis(300);

/// How an exchange ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The new container runs.
    Replaced(ContainerId),
    /// It failed for this reason, and the old one runs again.
    RolledBack(Error),
}

/// Puts a container with the plan `next` in the place of `old`, which has `plan`.
///
/// # Errors
/// When the new one cannot be made, and nothing has changed; when it fails and `rollback` is not wanted: then the old one
/// is stopped. When the old one cannot be started again.
pub(super) fn exchange(
    store: &Store,
    old: &ContainerDir,
    plan: &ContainerSpec,
    next: ContainerSpec,
    rollback: bool,
) -> Result<Outcome> {
    let spec = successor(old, plan, next)?;
    let new = recorded(store, &spec, &provisional(&plan.name, &spec.id)?)?;
    failpoint::reach("auto-update.made");
    let run = || -> Result<()> {
        keep(store, &new, &spec)?;
        stop_by_policy(store, old)?;
        failpoint::reach("auto-update.stopped");
        let running = start(store, &new, None)?;
        running.warnings.iter().for_each(|warning| log::warn!("{}", warning.podmans()));
        failpoint::reach("auto-update.started");
        prove(store, &new, &spec)
    };
    match run() {
        Ok(()) => {
            complete(store, old, &new, &plan.name)?;
            tidy(store);
            Ok(Outcome::Replaced(spec.id))
        }
        Err(why) if rollback => {
            take_back(store, old, &new, &plan.name)?;
            Ok(Outcome::RolledBack(why))
        }
        Err(why) => {
            drop_new(store, &new)?;
            Err(why.hint(format!("Start it with the old image: coracle start {}", plan.name)))
        }
    }
}

/// The plan of the container that takes the place: with the same volumes, files and current limits.
fn successor(old: &ContainerDir, plan: &ContainerSpec, next: ContainerSpec) -> Result<ContainerSpec> {
    let unused = || Containers::new_id().map(Name::from);
    let mut spec = copy(&next, Containers::new_id()?, plan.name.clone(), Utc::now(), unused)?;
    spec.mounts.clone_from(&plan.mounts);
    spec.lifecycle.pidfile.clone_from(&plan.lifecycle.pidfile);
    spec.limits.resources = cgroup::effective(old, plan)?.limiting();
    spec.asked.cidfile = None;
    spec.lifecycle.replaces = Some(old.id().clone());
    Ok(spec)
}

/// What a container is called while another one has its name.
fn provisional(name: &Name, id: &ContainerId) -> Result<Name> {
    let most = 255 - 1 - id.short().len();
    let name: String = name.as_str().chars().take(most).collect();
    format!("{name}-{}", id.short()).parse()
}

/// The new container is the one from now on.
fn complete(store: &Store, old: &ContainerDir, new: &ContainerDir, name: &Name) -> Result<()> {
    let containers = store.containers();
    if old.called() == name.as_str() {
        containers.rename(old, &provisional(name, old.id())?)?;
        failpoint::reach("auto-update.freed");
    }
    if new.called() != name.as_str() {
        containers.rename(new, name)?;
        failpoint::reach("auto-update.named");
    }
    remove_ended(store, old, false)?;
    failpoint::reach("auto-update.removed");
    Ok(())
}

/// The old container is the one again, and runs. The new one goes last: while it is there, the next command knows that the
/// old one is to run.
fn take_back(store: &Store, old: &ContainerDir, new: &ContainerDir, name: &Name) -> Result<()> {
    let (signal, patience) = stop_policy(new, None);
    end(store, new, signal, patience)?;
    failpoint::reach("auto-update.ended");
    if old.called() != name.as_str() {
        store.containers().rename(old, name)?;
    }
    let running = start(store, old, None)?;
    running.warnings.iter().for_each(|warning| log::warn!("{}", warning.podmans()));
    if let Some(code) = wait_ended(store, old, Some(AT_ONCE))? {
        return Err(Error::new(Kind::Runtime, format!("the old container ended with exit code {code}"))
            .hint(format!("Start it with the old image: coracle start {name}")));
    }
    drop_new(store, new)
}

fn drop_new(store: &Store, new: &ContainerDir) -> Result<()> {
    let (signal, patience) = stop_policy(new, None);
    end(store, new, signal, patience)?;
    discard(store, new);
    match new.in_place() {
        true => Err(Error::new(Kind::Runtime, format!("container {} cannot be removed", new.called()))),
        false => Ok(()),
    }
}

/// Completes or takes back what killed commands have left; gives what could not be.
///
/// # Errors
/// When the containers cannot be listed.
pub(super) fn settle(store: &Store) -> Result<Vec<Error>> {
    let mut failures = Vec::new();
    for (new, plan) in store.containers().specs()?.read {
        let Some(old) = plan.lifecycle.replaces.as_ref().and_then(|id| store.containers().open(id).ok())
        else {
            continue;
        };
        let name = &plan.name;
        let settled = settle_one(store, &old, &new, &plan);
        failures.extend(settled.err().map(|error| {
            Error::new(error.kind(), format!("complete the interrupted update of container {name}"))
                .caused_by(error)
        }));
    }
    Ok(failures)
}

fn settle_one(store: &Store, old: &ContainerDir, new: &ContainerDir, plan: &ContainerSpec) -> Result<()> {
    recover(store, old)?;
    recover(store, new)?;
    old.await_start();
    new.await_start();
    let name = &plan.name;
    if old.status().is_active() {
        return drop_new(store, new);
    }
    let accepted = new.called() == name.as_str();
    match accepted || (new.status().is_active() && prove(store, new, plan).is_ok()) {
        true => complete(store, old, new, name),
        false => take_back(store, old, new, name),
    }
}
