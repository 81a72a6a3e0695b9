//! Removing one container that is not running, or several that are named, together with their dependents.

use super::dependents::Dependents;
use super::force::{self, Target};
use super::policy::stop_policy;
use super::recover::recover;
use super::remove::remove;
use super::selector::Chosen;
use crate::container::{ContainerId, Status};
use crate::error::{Error, Kind, Result, Warning, phrases};
use crate::failpoint;
use crate::spec::PodId;
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use std::collections::HashMap;
use std::time::Duration;

/// How long the change that another command makes to a container holds up a forced removal.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);

/// Ends and removes a container that uses something which is to be removed; one that is gone is none.
///
/// # Errors
/// When it does not end, or cannot be removed.
pub fn remove_user(store: &Store, id: &ContainerId, seconds: Option<i64>) -> Result<()> {
    let container = match store.containers().open(id) {
        Err(e) if e.kind() == Kind::NotFound => return Ok(()),
        other => other?,
    };
    let (signal, patience) = stop_policy(&container, seconds);
    end(store, &container, signal, patience)?;
    remove_ended(store, &container, false).map(drop)
}

/// How containers are removed.
#[derive(Debug, Clone, Copy, Default)]
pub struct RemoveRequest {
    /// All containers are removed, so dependencies do not matter.
    pub all: bool,
    /// Containers that share its namespaces or require it are removed first; otherwise they block the removal.
    pub depend: bool,
    /// A running container is stopped first.
    pub force: bool,
    /// Their anonymous volumes are removed too.
    pub volumes: bool,
    /// It is the pod that is removed, so its infra container goes, too.
    pub with_pod: bool,
    /// Seconds until a running container is killed, never if negative; `None` uses its own stop time-out.
    pub seconds: Option<i64>,
}

/// Removes one container after the other.
#[derive(Debug)]
pub struct Remover<'a> {
    store: &'a Store,
    how: RemoveRequest,
    /// Read once; with `all` every dependent goes as well, in whatever order.
    dependents: Option<Dependents>,
    /// What could not be stopped, and why.
    stuck: HashMap<ContainerId, Error>,
    /// Which ones did not end in time.
    pub warnings: Vec<Warning>,
}

impl<'a> Remover<'a> {
    /// Starts a removal: with `force`, all containers to be removed are stopped at the same time.
    ///
    /// # Errors
    /// When the containers cannot be listed.
    pub fn begin(store: &'a Store, how: RemoveRequest, chosen: &[Chosen]) -> Result<Remover<'a>> {
        let dependents = if how.all { None } else { Some(Dependents::read(store)?) };
        let mut remover = Remover { store, how, dependents, stuck: HashMap::new(), warnings: Vec::new() };
        if how.force {
            (remover.stuck, remover.warnings) = remover.end(chosen);
        }
        Ok(remover)
    }

    fn needing(&self, id: &ContainerId) -> Vec<ContainerDir> {
        self.dependents.as_ref().map(|all| all.of(self.store, id)).unwrap_or_default()
    }

    fn end(&self, chosen: &[Chosen]) -> (HashMap<ContainerId, Error>, Vec<Warning>) {
        let mut containers: Vec<&ContainerDir> =
            chosen.iter().filter_map(|(_, found)| found.as_ref().ok()).collect();
        // One that others need is left alone.
        containers.retain(|container| self.how.depend || self.needing(container.id()).is_empty());
        containers.retain(|container| self.pod_of_infra(container).is_none());
        let mut needing: Vec<ContainerDir> = Vec::new();
        needing.extend(containers.iter().flat_map(|container| self.needing(container.id())));
        let mut at = 0;
        while let Some(one) = needing.get(at) {
            let more = self.needing(one.id());
            let known = |id: &ContainerId| needing.iter().any(|known| known.id() == id);
            let more: Vec<ContainerDir> = more.into_iter().filter(|one| !known(one.id())).collect();
            needing.extend(more);
            at += 1;
        }
        let target = |container| {
            let (signal, patience) = stop_policy(container, self.how.seconds);
            Target { container, signal, patience }
        };
        let targets: Vec<Target<'_>> = containers.into_iter().chain(&needing).map(target).collect();
        let (ended, late): (Vec<_>, Vec<_>) = force::end_all(self.store, &targets).into_iter().unzip();
        let failed = targets.iter().zip(ended);
        let failed = failed.filter_map(|(target, ended)| Some((target.container.id().clone(), ended.err()?)));
        (failed.collect(), late.into_iter().flatten().collect())
    }

    /// Removes one container, with those that need it if that was asked for; returns the names of what went.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when it runs, or another one needs it.
    pub fn remove(&mut self, (name, found): Chosen) -> Result<Vec<String>> {
        let container = match found {
            // Whatever is in the place of its directory cannot run.
            Err(e) if e.kind() == Kind::Storage && self.how.force => {
                self.store.containers().discard_unopenable(&name)?;
                return Ok(vec![name]);
            }
            other => other?,
        };
        if let Some(pod) = self.pod_of_infra(&container) {
            return Err(phrases::infra_stays(container.id().as_str(), pod.as_str())
                .hint(format!("Remove the pod with its containers: coracle pod rm -f {}", pod.short())));
        }
        let summary = container.summary();
        let infra_of = summary.pod.filter(|_| summary.is_infra && !self.how.with_pod);
        let mut removed = Vec::new();
        let dependents = self.needing(container.id());
        if let (Some(first), false) = (dependents.first(), self.how.depend) {
            return Err(Error::new(
                Kind::Conflict,
                format!(
                    "container {name} has dependent containers which must be removed before it: {}",
                    first.id()
                ),
            )
            .hint(format!("Remove both, also if they run: coracle rm --depend -f {name}")));
        }
        for dependent in dependents {
            removed.extend(self.remove((dependent.id().to_string(), Ok(dependent)))?);
        }
        if let Some(error) = self.stuck.remove(container.id()) {
            return Err(error);
        }
        match self.remove_alone(&name, &container) {
            // Another process was faster, such as the monitor of a --rm container.
            Err(_) if !container.in_place() => {}
            other => other?,
        }
        self.remove_pod(infra_of)?;
        removed.push(name);
        Ok(removed)
    }

    /// The pod whose namespaces the container holds, where it is not to go with that.
    fn pod_of_infra(&self, container: &ContainerDir) -> Option<PodId> {
        let summary = container.summary();
        let pod = summary.pod.filter(|_| summary.is_infra && !self.how.with_pod)?;
        // One whose pod is gone, or all of whose containers go, is a container like any other.
        let others = || self.store.pods().members(&pod).map_or(0, |members| members.len());
        (self.store.pods().exists(&pod) && !(self.how.all && others() == 1)).then_some(pod)
    }

    /// With all containers, the infra container among them, the pod goes, too.
    fn remove_pod(&self, pod: Option<PodId>) -> Result<()> {
        let Some(pod) = pod.filter(|_| self.how.all) else { return Ok(()) };
        let lock = match self.store.pods().lock(&pod) {
            Err(e) if e.kind() == Kind::NotFound => return Ok(()),
            other => other?,
        };
        match self.store.pods().members(&pod)?.as_slice() {
            [] => self.store.pods().remove(&lock, &pod),
            _ => Ok(()),
        }
    }

    fn remove_alone(&self, name: &str, container: &ContainerDir) -> Result<()> {
        let RemoveRequest { force, volumes, seconds, .. } = self.how;
        // It can be started again until the lock is held.
        for _ in 0..10 {
            if container.status() == Status::Crashed {
                recover(self.store, container)?;
            }
            if force && (container.status().is_active() || container.is_alive()) {
                let (signal, patience) = stop_policy(container, seconds);
                end(self.store, container, signal, patience)?;
            }
            let lock = if force { container.lock_within(LOCK_PATIENCE)? } else { container.lock()? };
            failpoint::reach("rm.locked");
            let status = container.status();
            let in_hand = container.is_in_hand();
            // With force, the command that created it has been given long enough.
            let claimed = !force && container.is_claimed();
            if !status.is_active() && !in_hand && !claimed {
                let volumes = volumes || container.summary().auto_remove;
                return remove(self.store, container, &lock, volumes);
            }
            if !force {
                let state = match status {
                    _ if claimed || container.is_starting() => "starting",
                    _ if in_hand => "in use by another command",
                    other => other.as_str(),
                };
                let message = phrases::still_running(name, state);
                let name = if name == container.id().as_str() { container.id().short() } else { name };
                return Err(message
                    .hint(format!("Stop it first: coracle stop {name}; or do both: coracle rm -f {name}")));
            }
        }
        Err(Error::new(Kind::Runtime, format!("container {name} keeps being restarted")))
    }
}

/// Removes a container if it is not running: `false` if it is, or if another command removed it.
///
/// # Errors
/// When its records cannot be written or the directory cannot be moved.
pub fn remove_ended(store: &Store, container: &ContainerDir, volumes: bool) -> Result<bool> {
    recover(store, container)?;
    let lock = match container.lock() {
        Err(e) if e.kind() == Kind::NotFound => return Ok(false),
        other => other?,
    };
    if container.status().is_active() || container.is_about_to_start() || !container.in_place() {
        return Ok(false);
    }
    remove(store, container, &lock, volumes).map(|()| true)
}

/// Ends a container for its removal, by any means, within its time-out plus two seconds.
///
/// # Errors
/// When it could not be ended; the error says what keeps it.
pub fn end(store: &Store, container: &ContainerDir, signal: i32, patience: Option<Duration>) -> Result<()> {
    force::end(store, Target { container, signal, patience })
}
