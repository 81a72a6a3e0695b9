//! `coracle system reset`.

use crate::engine::containers;
use crate::error::{Error, Kind, Result};
use crate::host::Env;
use crate::storage::{ExclusiveLock, Store};
use crate::ui;
use std::process::ExitCode;
use std::time::Duration;

/// How long containers may take to end by themselves.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often containers that were made meanwhile are ended.
const ROUNDS: usize = 10;
const SIGTERM: i32 = 15;

/// Arguments of `system reset`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Do not ask for confirmation
    #[arg(short, long)]
    pub force: bool,
}

/// Ends and removes everything: containers, images, volumes and the directories of the store.
///
/// # Errors
/// Nobody to answer the question; a container that cannot be ended, and then nothing else is removed.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let data = &env.roots.data;
    let question = format!(
        "WARNING! This will remove:\n\
         \x20       - all containers\n\
         \x20       - all images\n\
         \x20       - all volumes\n\
         \x20       - all secrets\n\
         \x20       - the graphRoot directory: \"{}\"\n\
         \x20       - the runRoot directory: \"{}\"\n\
         Are you sure you want to continue? [y/N] ",
        data.display(),
        env.roots.runtime.display()
    );
    if !args.force && !ui::confirm(&question)? {
        return Ok(ExitCode::SUCCESS);
    }
    let store = crate::cmd::store(env)?;
    let lock = without_containers(&store)?;
    store.discard_everything(&lock)?;
    containers::sweep(&store)?;
    let gone = store.remove_root(lock)?;
    for part in ["c", "userns"] {
        // Nothing lives that could use it; the directory itself is made again by the next command.
        let _ = std::fs::remove_dir_all(env.roots.runtime.join(part));
    }
    let _ = std::fs::remove_dir(&env.roots.runtime);
    // Only now is it empty where the runtime directory was in it.
    if !gone && std::fs::remove_dir(data).is_err() {
        log::info!("{} is kept: it has other files in it, or is a mount point", data.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Ends and removes all containers, and returns the lock under which no other is made. Looks again when it
/// has it: one that was made before, and not started yet, would start without its records.
fn without_containers(store: &Store) -> Result<ExclusiveLock> {
    for _ in 0..ROUNDS {
        end_all(store)?;
        let lock = store.exclusive()?;
        if !store.containers().list()?.iter().any(|found| store.containers().open(&found.id).is_ok()) {
            return Ok(lock);
        }
    }
    Err(Error::new(Kind::Conflict, "containers keep being created")
        .hint("Stop what creates them, then run it again: coracle system reset"))
}

fn end_all(store: &Store) -> Result<()> {
    for summary in containers::list(store)? {
        // One that removes itself may be gone by now.
        let Ok(container) = store.containers().open(&summary.id) else { continue };
        if summary.status.is_live() || container.is_alive() {
            containers::end(store, &container, SIGTERM, Some(PATIENCE))?;
        }
        if let Ok(lock) = container.lock() {
            containers::remove(store, &container, &lock, true)?;
        }
    }
    Ok(())
}
