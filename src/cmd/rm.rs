//! `coracle rm`.

use crate::cmd::options::selection::SelectorArgs;
use crate::engine::containers::selector::StatusFilter;
use crate::engine::containers::{self, RemoveRequest, Remover};
use crate::error::{Kind, Result};
use crate::host::Env;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `rm`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable, mut_arg("filter", |arg| arg.short(None)))]
pub struct Args {
    /// Which containers.
    #[command(flatten)]
    pub which: SelectorArgs,
    /// First remove the containers that share its namespaces or require it
    #[arg(long, help_heading = "Which containers")]
    pub depend: bool,
    /// Stop running containers first, and ignore those that do not exist
    #[arg(short, long)]
    pub force: bool,
    /// With --force: seconds to wait before killing; -1 waits forever
    #[arg(short, long, visible_alias = "timeout", value_name = "SECONDS", requires = "force",
          value_parser = clap::value_parser!(i64).range(-1..=i64::from(u32::MAX)))]
    pub time: Option<i64>,
    /// Also remove their anonymous volumes
    #[arg(short, long)]
    pub volumes: bool,
}

/// Exit code when a container does not exist (podman-rm(1)).
const EXIT_MISSING: u8 = 1;
/// Exit code when a container runs and `--force` was not given (podman-rm(1)).
const EXIT_RUNNING: u8 = 2;

/// Removes containers.
///
/// # Errors
/// A wrong selection; failures of single containers are reported here.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = super::store(env)?;
    let chosen = match args.force {
        true => args.which.existing(&store, StatusFilter::Any),
        false => args.which.chosen(&store, StatusFilter::Any),
    };
    let chosen = match chosen {
        Err(error) if error.kind() == Kind::NotFound => {
            ui::report(&error);
            return Ok(ExitCode::from(EXIT_MISSING));
        }
        other => other?,
    };
    let how = RemoveRequest {
        all: args.which.all,
        depend: args.depend,
        force: args.force,
        volumes: args.volumes,
        with_pod: false,
        // Docker kills at once.
        seconds: args.time.or_else(|| ui::docker().then_some(0)),
    };
    let mut remover = Remover::begin(&store, how, &chosen)?;
    ui::warn(&remover.warnings);
    // A running container is worse than a missing one, whatever their order.
    let (mut is_missing, mut is_running, mut failed) = (false, false, None);
    for one in chosen {
        match remover.remove(one) {
            Ok(names) => names.iter().try_for_each(|name| ui::out(&format!("{name}\n")))?,
            // It removed itself (--rm) since it was listed, which is what was requested.
            Err(error)
                if error.kind() == Kind::NotFound && (args.which.all || args.force || args.which.ignore) => {}
            Err(error) => {
                match error.kind() {
                    Kind::NotFound => is_missing = true,
                    Kind::StillRunning => is_running = true,
                    kind => failed = Some(kind.exit_code()),
                }
                ui::report(&error);
            }
        }
    }
    containers::tidy(&store);
    Ok(ExitCode::from(match (is_running, failed, is_missing) {
        (true, ..) => EXIT_RUNNING,
        (_, Some(code), _) => code,
        (_, None, true) => EXIT_MISSING,
        _ => 0,
    }))
}
