//! `coracle container cleanup`.

use crate::cmd::options::selection::Which;
use crate::container::Status;
use crate::engine::containers;
use crate::engine::containers::selector::Suits;
use crate::engine::images::remove;
use crate::error::{Error, Kind, Result};
use crate::host::Env;
use crate::storage::events::Action;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `container cleanup`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Which containers.
    #[command(flatten)]
    pub which: Which,
    /// Forget this process of exec
    #[arg(long, value_name = "ID", conflicts_with = "all")]
    pub exec: Option<String>,
    /// Remove the containers too
    #[arg(long)]
    pub rm: bool,
    /// Remove their images too, if no other container needs them
    #[arg(long, conflicts_with = "exec")]
    pub rmi: bool,
}

/// Finishes what a monitor that was killed left of a container. Every verb does so by itself; this one
/// does nothing else.
///
/// # Errors
/// A container that does not exist or that runs.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    let mut chosen = args.which.chosen(&store, Suits::Ended)?;
    if let (Some(exec), [(_, _)]) = (&args.exec, chosen.as_slice()) {
        let (_, found) = chosen.remove(0);
        let dir = found?;
        let record = dir.execs()?.into_iter().find(|record| record.id.as_str().starts_with(exec.as_str()));
        let record = record.ok_or_else(|| {
            Error::new(Kind::NotFound, format!("no process {exec:?} of container {}", dir.id().short()))
        })?;
        dir.remove_exec(&record.id)?;
        return Ok(ExitCode::SUCCESS);
    }
    let code = ui::each(chosen, |(name, found)| {
        let dir = found?;
        containers::recover(&store, &dir)?;
        let status = dir.status();
        if status.is_active() {
            return Err(Error::new(Kind::Conflict, format!("container {name} is {}", status.as_str()))
                .hint(format!("Stop it first: coracle stop {name}")));
        }
        let image = dir.spec().ok().and_then(|plan| plan.image);
        if status != Status::Created {
            dir.emit(Action::Cleanup);
        }
        if args.rm {
            containers::remove_ended(&store, &dir, true)?;
        }
        if let Some(image) = image.filter(|_| args.rmi) {
            remove::forget(&store, image.id.as_str())?;
        }
        Ok(Some(name))
    })?;
    containers::tidy(&store);
    Ok(code)
}
