//! `coracle update`.

use super::run::health::HealthArgs;
use super::run::resources::ResourceArgs;
use super::which::Which;
use crate::container::RestartPolicy;
use crate::error::{Error, Kind, Result};
use crate::failpoint;
use crate::host::Env;
use crate::runtime::cgroup;
use crate::runtime::select::Suits;
use crate::storage::containers::ContainerDir;
use crate::storage::events::Action;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `update`.
#[derive(Debug, clap::Args)]
#[command(mut_args = super::switch::switchable)]
pub struct Args {
    /// Which containers.
    #[command(flatten)]
    pub which: Which,
    /// When to restart it after its end: no, on-failure[:N], always or unless-stopped
    #[arg(long, value_name = "POLICY")]
    pub restart: Option<RestartPolicy>,
    /// How its health is checked.
    #[command(flatten)]
    pub health: HealthArgs,
    /// What it may use.
    #[command(flatten)]
    pub resources: ResourceArgs,
}

/// Changes settings of containers, whether they run or not, and prints their names.
///
/// # Errors
/// Nothing to change; a container that does not exist or cannot have the setting.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    // Contradictions first.
    args.health.clone().request()?;
    let limits = args.resources.clone().resources()?;
    if args.restart.is_none() && args.health.is_empty() && limits.is_empty() {
        return Err(Error::new(Kind::Usage, "there is nothing to change")
            .hint("Name a setting, for example: coracle update --restart always web"));
    }
    let store = super::store(env)?;
    ui::each(args.which.chosen(&store, Suits::Any)?, |(name, found)| {
        let dir = found?;
        may_restart(&dir, args.restart)?;
        // First what the host may refuse. It is a change of its own, and recorded as one.
        if !limits.is_empty() {
            cgroup::update(&dir, &dir.spec()?, &limits)?;
            failpoint::reach("update.limits");
        }
        set(&dir, args)?;
        dir.emit(Action::Update);
        Ok(Some(name))
    })
}

/// Changes the settings at once: all of them, or none. What checks have found goes after the check itself;
/// left behind by a command that was killed, it says nothing any more.
fn set(dir: &ContainerDir, args: &Args) -> Result<()> {
    if args.restart.is_none() && args.health.is_empty() {
        return Ok(());
    }
    let plan = dir.spec()?;
    let _lock = dir.lock()?;
    let mut settings = dir.settings()?;
    // The monitor asks for the policy when the container has ended, so there is nobody to tell.
    settings.restart = args.restart.or(settings.restart);
    if !args.health.is_empty() {
        args.health.change(dir, &plan, &mut settings)?;
    }
    dir.set_settings(&settings)?;
    failpoint::reach("update.settings");
    let no_check = settings.health.is_some_and(|health| health.check.is_none());
    if no_check && !args.health.is_empty() { dir.forget_health() } else { Ok(()) }
}

fn may_restart(dir: &ContainerDir, policy: Option<RestartPolicy>) -> Result<()> {
    if policy.is_some_and(|policy| policy.is_set()) && dir.spec().is_ok_and(|plan| plan.lifecycle.auto_remove)
    {
        return Err(Error::new(
            Kind::Conflict,
            format!(
                "container {} is removed when it ends (--rm), so its restart policy cannot be changed",
                dir.id().short()
            ),
        )
        .hint("Make another one of it without --rm."));
    }
    Ok(())
}
