//! Changing settings of a container.

use crate::container::RestartPolicy;
use crate::error::{Error, Kind, Result};
use crate::failpoint;
use crate::plan::env;
use crate::plan::health::HealthRequest;
use crate::runtime::{cgroup, health};
use crate::spec::{ContainerSpec, Resources, Ulimit};
use crate::storage::containers::{ContainerDir, HealthSetting, Settings};
use crate::storage::events::Action;

/// What is to change; the rest stays.
#[derive(Debug, Clone, Default)]
pub struct UpdateRequest {
    /// Whether it is started again when it has ended.
    pub restart: Option<RestartPolicy>,
    /// How its health is checked.
    pub health: HealthRequest,
    /// What it may use.
    pub limits: Resources,
    /// What its processes may use, from the next start on.
    pub ulimits: Vec<Ulimit>,
    /// Variables of its environment, `NAME=value`, from the next start on.
    pub env: Vec<String>,
    /// Variables that leave its environment.
    pub unset_env: Vec<String>,
}

impl UpdateRequest {
    /// Whether there is nothing to change.
    pub fn is_empty(&self) -> bool {
        self.limits.is_empty() && !self.changes_settings()
    }

    fn changes_env(&self) -> bool {
        !self.env.is_empty() || !self.unset_env.is_empty()
    }

    /// Whether anything but the limits changes.
    fn changes_settings(&self) -> bool {
        self.restart.is_some() || !self.health.is_empty() || !self.ulimits.is_empty() || self.changes_env()
    }
}

/// Changes settings of a container, whether it runs or not: all of them, or none. Whatever can be refused is refused
/// before anything changes; then come the limits, which the host may refuse.
///
/// # Errors
/// `Conflict` for a policy or a health check that the container cannot have; `Usage` for limits that contradict
/// those it has; `Host` for limits that this account may not set.
pub fn update(dir: &ContainerDir, wanted: &UpdateRequest) -> Result<()> {
    let spec = dir.spec()?;
    if !wanted.limits.is_empty() {
        // For what the rest may refuse: the settings are read once more under the lock.
        changed(dir, &spec, wanted)?;
        cgroup::update(dir, &spec, &wanted.limits)?;
        failpoint::reach("update.limits");
    }
    set(dir, &spec, wanted)?;
    dir.emit(Action::Update);
    Ok(())
}

/// Writes the settings at once. What checks have found goes after the check itself; left behind by a command that
/// was killed, it says nothing any more.
fn set(dir: &ContainerDir, spec: &ContainerSpec, wanted: &UpdateRequest) -> Result<()> {
    if !wanted.changes_settings() {
        return Ok(());
    }
    let _lock = dir.lock()?;
    let settings = changed(dir, spec, wanted)?;
    dir.set_settings(&settings)?;
    failpoint::reach("update.settings");
    let no_check = settings.health.is_some_and(|health| health.check.is_none());
    if no_check && !wanted.health.is_empty() { dir.forget_health() } else { Ok(()) }
}

/// The new settings.
fn changed(dir: &ContainerDir, spec: &ContainerSpec, wanted: &UpdateRequest) -> Result<Settings> {
    let id = dir.id().short();
    if wanted.restart.is_some_and(|policy| policy.is_set()) && spec.lifecycle.auto_remove {
        return Err(Error::new(
            Kind::Conflict,
            format!(
                "container {id} is removed when it exits (--rm), so its restart policy cannot be changed"
            ),
        )
        .hint("Create another one without --rm."));
    }
    let mut settings = dir.settings()?;
    // The monitor reads the policy when the container exits, so it need not be notified.
    settings.restart = wanted.restart.or(settings.restart);
    if !wanted.ulimits.is_empty() {
        let mut ulimits = settings.ulimits.unwrap_or_else(|| spec.limits.ulimits.clone());
        ulimits.retain(|old| wanted.ulimits.iter().all(|new| new.name != old.name));
        ulimits.extend(wanted.ulimits.iter().cloned());
        settings.ulimits = Some(ulimits);
    }
    if wanted.changes_env() {
        let before = settings.env.as_ref().unwrap_or(&spec.process.env);
        settings.env = Some(env::changed(before, &wanted.env, &wanted.unset_env));
    }
    if !wanted.health.is_empty() {
        let before = health::of(dir, spec);
        if before.is_none() && wanted.health.test.is_none() && !wanted.health.off {
            return Err(Error::new(
                Kind::Conflict,
                format!("container {id}: healthcheck command is not set"),
            )
            .hint("Give it one: --health-cmd COMMAND"));
        }
        settings.health = Some(HealthSetting { check: wanted.health.resolve(before)? });
    }
    Ok(settings)
}
