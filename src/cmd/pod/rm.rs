//! `coracle pod rm`.

use super::which::WhichWithFiles;
use crate::engine::containers;
use crate::engine::pods::{self, PodRemoval};
use crate::error::{Kind, Result};
use crate::host::Env;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `pod rm`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Which pods.
    #[command(flatten)]
    pub which: WhichWithFiles,
    /// Ignore pods that do not exist
    #[arg(short, long, help_heading = "Which pods")]
    pub ignore: bool,
    /// Stop running containers first, and ignore pods that do not exist
    #[arg(short, long)]
    pub force: bool,
    /// With --force: seconds to wait before killing; -1 waits forever
    #[arg(short, long, visible_alias = "timeout", value_name = "SECONDS", requires = "force",
          value_parser = clap::value_parser!(i64).range(-1..=i64::from(u32::MAX)))]
    pub time: Option<i64>,
}

/// Exit code when a pod does not exist (podman-pod-rm(1)).
const EXIT_MISSING: u8 = 1;

/// Removes pods with their containers and prints their ids.
///
/// # Errors
/// A wrong selection; what fails for one pod is reported and the others go on.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    let how = PodRemoval { force: args.force, seconds: args.time };
    let (mut is_missing, mut failed) = (false, None);
    for (_, id) in args.which.ids(&store, args.ignore || args.force)? {
        let removed = id.and_then(|id| pods::remove(&store, &id, how).map(|warnings| (id, warnings)));
        match removed {
            Ok((id, warnings)) => {
                ui::warn(&warnings);
                ui::out(&format!("{id}\n"))?;
            }
            // Another command was faster.
            Err(e) if e.kind() == Kind::NotFound && (args.force || args.ignore || args.which.which.all) => {}
            Err(error) => {
                match error.kind() {
                    Kind::NotFound => is_missing = true,
                    kind => failed = Some(kind.exit_code()),
                }
                ui::report(&error);
            }
        }
    }
    containers::tidy(&store);
    Ok(ExitCode::from(match (failed, is_missing) {
        (Some(code), _) => code,
        (None, true) => EXIT_MISSING,
        _ => 0,
    }))
}
