//! `coracle update`.

use crate::cmd::options::health::HealthArgs;
use crate::cmd::options::resources::ResourceArgs;
use crate::cmd::options::selection::SelectorArgs;
use crate::container::RestartPolicy;
use crate::engine::containers::selector::StatusFilter;
use crate::engine::containers::{self, UpdateRequest};
use crate::error::{Error, Kind, Result};
use crate::host::{self, Env};
use crate::plan::env::{self, EnvArg};
use crate::plan::limits::{self, UlimitArg};
use crate::ui;
use std::process::ExitCode;

/// Arguments of `update`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Which containers.
    #[command(flatten)]
    pub which: SelectorArgs,
    /// Restart policy: no, on-failure[:N], always or unless-stopped
    #[arg(long, value_name = "POLICY")]
    pub restart: Option<RestartPolicy>,
    /// Ulimit, or host for the caller's limits; takes effect when the container is started
    #[arg(long, value_name = "NAME=SOFT[:HARD]", value_delimiter = ',')]
    pub ulimit: Vec<UlimitArg>,
    /// Set a variable from the next start on; NAME alone takes the caller's value
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<EnvArg>,
    /// Remove a variable from the next start on
    #[arg(long, value_name = "NAME")]
    pub unsetenv: Vec<String>,
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
    let caller = host::caller()?;
    let wanted = UpdateRequest {
        restart: args.restart,
        health: args.health.clone().request()?,
        limits: args.resources.clone().resources()?,
        ulimits: limits::ulimits(&args.ulimit, &caller.limits)?,
        env: env::entries(&args.env, &caller.env),
        unset_env: args.unsetenv.clone(),
    };
    if wanted.is_empty() {
        return Err(Error::new(Kind::Usage, "there is nothing to change")
            .hint("Name a setting, for example: coracle update --restart always web"));
    }
    let store = super::store(env)?;
    ui::each(args.which.chosen(&store, StatusFilter::Any)?, |(name, found)| {
        containers::update(&found?, &wanted)?;
        Ok(Some(name))
    })
}
