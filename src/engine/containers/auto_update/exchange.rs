//! Putting a container in the place of another one, so that a kill at any point loses neither.
//!
//! Theory of operation. The new container's plan names the one whose place it takes, and a note in its directory says
//! whether it was accepted or has failed ([`Exchange`]). Another note says that the old one was stopped for this only;
//! `stop` takes that away. So where a change stands shows by itself, and what users have done since comes first:
//!
//! | the new one | the old one | the next command |
//! |---|---|---|
//! | accepted, or has the name | stopped or gone | completes the change |
//! | accepted, or has the name | runs, as somebody has started it | completes the change, and keeps the old one |
//! | not yet accepted | runs | removes the new one |
//! | not yet accepted | was stopped by somebody, or is gone | removes the new one, and starts nothing |
//! | runs and is well | stopped for the change | completes the change |
//! | has failed, or does not run | stopped for the change | removes the new one and starts the old one |
//!
//! Only one of them has the name at a time: the new one is called `NAME-ID` first, and the old one at last. Anonymous
//! volumes belong to both, and stay with the one that remains.

use super::prove::prove;
use super::unsettled::{Disturbed, disturbed};
use crate::container::{ContainerId, Name};
use crate::engine::containers::create::recorded;
use crate::engine::containers::id_file;
use crate::engine::containers::policy::stop_policy;
use crate::engine::containers::records::{discard, keep};
use crate::engine::containers::removal::{end, remove_ended};
use crate::engine::containers::remove::tidy;
use crate::engine::containers::start::start;
use crate::engine::containers::stop::stop_by_policy;
use crate::engine::containers::wait::wait_ended;
use crate::error::{Context, Error, Kind, Result};
use crate::failpoint;
use crate::fork::StopSignals;
use crate::plan::copy;
use crate::runtime::cgroup;
use crate::spec::ContainerSpec;
use crate::storage::Store;
use crate::storage::containers::{ContainerDir, Containers, Exchange};
use chrono::Utc;
use std::cell::Cell;
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

/// Puts a container with the plan `next` in the place of `old`, which has `plan`. A signal that asks this process to stop
/// takes effect when the old one runs again.
///
/// # Errors
/// When the new one cannot be made, and nothing has changed; when it fails and `rollback` is not wanted: then the old one
/// is stopped. When the old one cannot be started again, or somebody has started, stopped or removed it meanwhile.
pub(super) fn exchange(
    store: &Store,
    old: &ContainerDir,
    plan: &ContainerSpec,
    next: ContainerSpec,
    rollback: bool,
) -> Result<Outcome> {
    let watching = || "watch for signals".to_owned();
    let signals = StopSignals::watch().context(Kind::Host, watching)?;
    let outcome = exchange_watched(store, old, plan, next, rollback, &signals);
    signals.release().context(Kind::Host, watching)?;
    outcome
}

fn exchange_watched(
    store: &Store,
    old: &ContainerDir,
    plan: &ContainerSpec,
    next: ContainerSpec,
    rollback: bool,
    signals: &StopSignals,
) -> Result<Outcome> {
    let spec = successor(old, plan, next)?;
    let new = recorded(store, &spec, &provisional(&plan.name, &spec.id)?)?;
    failpoint::reach("auto-update.made");
    // Until it is stopped here, that it runs is as it should be.
    let halted = Cell::new(false);
    let run = || -> Result<Option<Disturbed>> {
        keep(store, &new, &spec)?;
        let stopped = old.run_record()?.map(|run| run.run);
        if old.in_place() && stopped.is_some() && old.stop_asked() == stopped {
            return Ok(Some(Disturbed::Stopped));
        }
        // Before it is stopped, so that it is started again whoever is killed.
        old.lend()?;
        failpoint::reach("auto-update.lent");
        stop_by_policy(store, old)?;
        halted.set(true);
        failpoint::reach("auto-update.stopped");
        let look = || disturbed(old, &new, signals.came());
        if let Some(why) = look() {
            return Ok(Some(why));
        }
        let running = start(store, &new, None)?;
        running.warnings.iter().for_each(|warning| log::warn!("{}", warning.podmans()));
        failpoint::reach("auto-update.started");
        prove(store, &new, &spec, &look)
    };
    let ran = run();
    let came_between = match &ran {
        Ok(why) => *why,
        Err(_) if halted.get() || !old.in_place() => disturbed(old, &new, signals.came()),
        Err(_) => None,
    };
    match (came_between, ran) {
        (Some(why), _) if why == Disturbed::Signal => {
            take_back(store, old, &new, &plan.name)?;
            Err(why.error(&plan.name))
        }
        (Some(why), _) => {
            drop_new(store, &new)?;
            old.end_loan()?;
            tidy(store);
            Err(why.error(&plan.name))
        }
        (None, Ok(_)) => {
            complete(store, Some(old), &new, &spec)?;
            tidy(store);
            Ok(Outcome::Replaced(spec.id))
        }
        (None, Err(why)) if rollback => {
            take_back(store, old, &new, &plan.name)?;
            Ok(Outcome::RolledBack(why))
        }
        (None, Err(why)) => {
            drop_new(store, &new)?;
            old.end_loan()?;
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
    spec.lifecycle.id_file.clone_from(&plan.lifecycle.id_file);
    spec.asked.cidfile.clone_from(&plan.asked.cidfile);
    spec.lifecycle.replaces = Some(old.id().clone());
    Ok(spec)
}

/// What a container is called while another one has its name.
pub(super) fn provisional(name: &Name, id: &ContainerId) -> Result<Name> {
    let most = 255 - 1 - id.short().len();
    let name: String = name.as_str().chars().take(most).collect();
    format!("{name}-{}", id.short()).parse()
}

/// The new container, which has this plan, is the one from now on. The old one goes, unless somebody has started it.
pub(super) fn complete(
    store: &Store,
    old: Option<&ContainerDir>,
    new: &ContainerDir,
    plan: &ContainerSpec,
) -> Result<()> {
    let (containers, name) = (store.containers(), &plan.name);
    new.note_exchange(Exchange::Accepted)?;
    failpoint::reach("auto-update.accepted");
    if let Some(old) = old.filter(|old| old.called() == name.as_str()) {
        containers.rename(old, &provisional(name, old.id())?)?;
        failpoint::reach("auto-update.freed");
    }
    if new.called() != name.as_str() {
        containers.rename(new, name)?;
        failpoint::reach("auto-update.named");
    }
    let Some(old) = old else { return Ok(()) };
    carry_id_file(old, plan);
    if !remove_ended(store, old, false)? && old.in_place() {
        new.note_exchange(Exchange::Over)?;
        old.end_loan()?;
        let called = old.called();
        log::warn!(
            "container {name} was updated, but somebody has started the old one meanwhile, which is kept as {called}. \
             Remove it when it is not needed any more: coracle rm -f {called}"
        );
    }
    failpoint::reach("auto-update.removed");
    Ok(())
}

/// The file that has the old container's id (`--cidfile`) gets that of the new one.
fn carry_id_file(old: &ContainerDir, plan: &ContainerSpec) {
    let Some(path) = &plan.asked.cidfile else { return };
    if id_file::read_if_there(path).ok().flatten().as_deref() != Some(old.id().as_str()) {
        return;
    }
    let file = id_file::IdFile { path: path.clone(), is_podmans: true };
    let written = file
        .begin(plan)
        .and_then(|begun| begun.finish().context(Kind::Storage, || format!("write {}", path.display())));
    if let Err(error) = written {
        log::warn!("the id of the new container is not in its file: {}", error.in_one_line());
    }
}

/// The old container is the one again, and runs. The new one goes last: while it is there, the next command knows that the
/// old one is to run.
pub(super) fn take_back(store: &Store, old: &ContainerDir, new: &ContainerDir, name: &Name) -> Result<()> {
    // Its end is not to be taken for somebody's wish.
    new.note_exchange(Exchange::Failed)?;
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
    old.end_loan()?;
    drop_new(store, new)
}

/// Removes the new container, running or not.
pub(super) fn drop_new(store: &Store, new: &ContainerDir) -> Result<()> {
    let (signal, patience) = stop_policy(new, None);
    end(store, new, signal, patience)?;
    discard(store, new);
    match new.in_place() {
        true => Err(Error::new(Kind::Runtime, format!("container {} cannot be removed", new.called()))),
        false => Ok(()),
    }
}
