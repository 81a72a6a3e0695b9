//! `coracle update`.

use super::which::Which;
use crate::container::RestartPolicy;
use crate::error::{Error, Kind, Result};
use crate::host::Env;
use crate::plan::ContainerPlan;
use crate::runtime::select::Suits;
use crate::storage::containers::ContainerDir;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `update`.
#[derive(Debug, clap::Args)]
#[command(mut_args = super::switch::switchable)]
pub struct Args {
    /// Which containers.
    #[command(flatten)]
    pub which: Which,
    /// Start it again when it ends: no, on-failure[:N], always or unless-stopped
    #[arg(long, value_name = "POLICY")]
    pub restart: Option<RestartPolicy>,
}

/// Changes settings of containers, whether they run or not, and prints their names.
///
/// # Errors
/// Nothing to change; a container that does not exist or cannot have the setting.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let Some(restart) = args.restart else {
        return Err(Error::new(Kind::Usage, "there is nothing to change")
            .hint("Name a setting, for example: coracle update --restart always web"));
    };
    let store = super::store(env)?;
    ui::each(args.which.chosen(&store, Suits::Any)?, |(name, found)| {
        set_restart(&found?, restart)?;
        Ok(Some(name))
    })
}

/// The monitor asks for the policy when the container has ended, so there is nobody to tell.
fn set_restart(dir: &ContainerDir, policy: RestartPolicy) -> Result<()> {
    if policy.is_set() && dir.plan::<ContainerPlan>().is_ok_and(|plan| plan.lifecycle.auto_remove) {
        return Err(Error::new(
            Kind::Conflict,
            format!(
                "container {} is removed when it ends (--rm), so its restart policy cannot be changed",
                dir.id().short()
            ),
        )
        .hint("Make another one of it without --rm."));
    }
    let _lock = dir.lock()?;
    let mut settings = dir.settings()?;
    settings.restart = Some(policy);
    dir.set_settings(&settings)
}
