//! `coracle rm`.

use super::which::{Which, missing};
use crate::container::{ContainerId, Status};
use crate::error::{Error, Kind, Result};
use crate::failpoint;
use crate::host::Env;
use crate::runtime::control::{self, Target};
use crate::runtime::dependents::Dependents;
use crate::runtime::select::{Chosen, Suits};
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use crate::ui;
use std::collections::HashMap;
use std::process::ExitCode;
use std::time::Duration;

/// Arguments of `rm`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = super::switch::switchable, mut_arg("filter", |arg| arg.short(None)))]
pub struct Args {
    /// Which containers.
    #[command(flatten)]
    pub which: Which,
    /// Remove the containers that share its namespaces or require it first
    #[arg(long, help_heading = "Which containers")]
    pub depend: bool,
    /// Stop running containers first, and ignore those that do not exist
    #[arg(short, long)]
    pub force: bool,
    /// With --force: seconds to wait before killing; -1 waits forever
    #[arg(short, long, visible_alias = "timeout", value_name = "SECONDS", requires = "force", allow_negative_numbers = true,
          value_parser = clap::value_parser!(i64).range(-1..=i64::from(u32::MAX)))]
    pub time: Option<i64>,
    /// Remove their anonymous volumes too
    #[arg(short, long)]
    pub volumes: bool,
}

/// Exit code when a container does not exist (podman-rm(1)).
const EXIT_MISSING: u8 = 1;
/// Exit code when a container runs and `--force` was not given (podman-rm(1)).
const EXIT_RUNNING: u8 = 2;

/// How long the change that another command makes to a container holds up a forced removal.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);

/// Removes containers.
///
/// # Errors
/// A wrong selection; failures of single containers are reported here.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = super::store(env)?;
    let mut chosen = args.which.chosen(&store, Suits::Any)?;
    // With --all every dependent goes as well, in whatever order.
    let dependents = if args.which.all { None } else { Some(Dependents::read(&store)?) };
    let mut stuck = Stuck::new();
    if args.force {
        chosen.retain(|(_, found)| !missing(found));
        stuck = end(args, &store, &chosen, dependents.as_ref());
    }
    // One that runs is worse news than one that is not there, however they follow each other.
    let (mut is_missing, mut is_running, mut failed) = (false, false, None);
    for one in chosen {
        match remove_one(args, &store, one, dependents.as_ref(), &mut stuck) {
            Ok(names) => names.iter().try_for_each(|name| ui::out(&format!("{name}\n")))?,
            // It went by itself (--rm) since it was listed: what was asked for is done.
            Err(error)
                if error.kind() == Kind::NotFound && (args.which.all || args.force || args.which.ignore) => {}
            Err(error) => {
                match error.kind() {
                    Kind::NotFound => is_missing = true,
                    Kind::Conflict => is_running = true,
                    kind => failed = Some(kind.exit_code()),
                }
                ui::report(&error);
            }
        }
    }
    control::tidy(&store);
    Ok(ExitCode::from(match (is_running, failed, is_missing) {
        (true, ..) => EXIT_RUNNING,
        (_, Some(code), _) => code,
        (_, None, true) => EXIT_MISSING,
        _ => 0,
    }))
}

/// What could not be ended, and why not.
type Stuck = HashMap<ContainerId, Error>;

/// Ends the containers that are to be removed, all at the same time.
fn end(args: &Args, store: &Store, chosen: &[Chosen], all: Option<&Dependents>) -> Stuck {
    let of = |id: &ContainerId| all.map(|all| all.of(store, id)).unwrap_or_default();
    let mut containers: Vec<&ContainerDir> =
        chosen.iter().filter_map(|(_, found)| found.as_ref().ok()).collect();
    // One that others need stays as it is.
    containers.retain(|container| args.depend || of(container.id()).is_empty());
    let mut needing: Vec<ContainerDir> = Vec::new();
    let mut at = 0;
    let direct = containers.iter().flat_map(|container| of(container.id()));
    needing.extend(direct);
    while let Some(one) = needing.get(at) {
        let more = of(one.id());
        let known = |id: &ContainerId| needing.iter().any(|known| known.id() == id);
        let more: Vec<ContainerDir> = more.into_iter().filter(|one| !known(one.id())).collect();
        needing.extend(more);
        at += 1;
    }
    let targets: Vec<Target<'_>> = containers
        .into_iter()
        .chain(&needing)
        .map(|container| {
            let (signal, patience) = control::manner(container, args.time);
            Target { container, signal, patience }
        })
        .collect();
    let ended = control::end_all(store, &targets);
    let failed = targets
        .iter()
        .zip(ended)
        .filter_map(|(target, ended)| Some((target.container.id().clone(), ended.err()?)));
    failed.collect()
}

/// Removes one container, with those that share its namespaces if asked; gives the names to print.
fn remove_one(
    args: &Args,
    store: &Store,
    (name, found): Chosen,
    all: Option<&Dependents>,
    stuck: &mut Stuck,
) -> Result<Vec<String>> {
    let container = match found {
        // Whatever is in the place of its directory cannot run.
        Err(e) if e.kind() == Kind::Storage && args.force => {
            store.containers().discard_unopenable(&name)?;
            return Ok(vec![name]);
        }
        other => other?,
    };
    let mut removed = Vec::new();
    if let Some(all) = all {
        let dependents = all.of(store, container.id());
        if let (Some(first), false) = (dependents.first(), args.depend) {
            return Err(Error::new(
                Kind::Conflict,
                format!("container {name} is needed by container {}", first.id().short()),
            )
            .hint(format!("Remove both: coracle rm --depend {name}")));
        }
        for dependent in dependents {
            let id = dependent.id().to_string();
            removed.extend(remove_one(args, store, (id, Ok(dependent)), Some(all), stuck)?);
        }
    }
    if let Some(error) = stuck.remove(container.id()) {
        return Err(error);
    }
    match remove(args, store, &name, &container) {
        // Somebody else was faster, such as the monitor of a --rm container.
        Err(_) if !container.in_place() => {}
        other => other?,
    }
    removed.push(name);
    Ok(removed)
}

fn remove(args: &Args, store: &Store, name: &str, container: &ContainerDir) -> Result<()> {
    // Until the lock is held somebody may start it again.
    for _ in 0..10 {
        if container.status() == Status::Crashed {
            control::recover(store, container)?;
        }
        if args.force && (container.status().is_active() || container.is_alive()) {
            let (signal, patience) = control::manner(container, args.time);
            control::end(store, container, signal, patience)?;
        }
        let lock = if args.force { container.lock_within(LOCK_PATIENCE)? } else { container.lock()? };
        failpoint::reach("rm.locked");
        let status = container.status();
        let in_hand = container.is_in_hand();
        // With --force whoever has just made it was waited for long enough.
        let claimed = !args.force && container.is_claimed();
        if !status.is_active() && !in_hand && !claimed {
            let volumes = args.volumes || container.summary().auto_remove;
            return control::remove(store, container, &lock, volumes);
        }
        if !args.force {
            let state = match status {
                _ if claimed || container.is_starting() => "starting",
                _ if in_hand => "in use by another command",
                other => other.as_str(),
            };
            return Err(Error::new(Kind::Conflict, format!("container {name} is {state}"))
                .hint(format!("Stop it first: coracle stop {name}; or do both: coracle rm -f {name}")));
        }
    }
    Err(Error::new(Kind::Runtime, format!("container {name} is started again and again")))
}
