//! `coracle unmount`.

use super::options::selection::check_one_way;
use crate::engine::{containers, mounts};
use crate::error::{Result, phrases};
use crate::host::Env;
use crate::storage::containers::ContainerDir;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `unmount`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Containers by name, id or beginning of an id
    #[arg(value_name = "CONTAINER")]
    pub containers: Vec<String>,
    /// All containers that are mounted
    #[arg(short, long)]
    pub all: bool,
    /// The latest container
    #[arg(short, long)]
    pub latest: bool,
    /// Unmount as often as it was mounted
    #[arg(short, long)]
    pub force: bool,
}

/// Unmounts the roots of containers and prints their names.
///
/// # Errors
/// A container that does not exist, before anything is unmounted.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = super::store(env)?;
    check_one_way(args.all, args.latest, !args.containers.is_empty())?;
    let chosen: Vec<(String, ContainerDir)> = if args.all {
        let mounted = mounts::mounted_containers(&store)?.into_iter();
        let opened = mounted.filter_map(|(found, _)| store.containers().open(&found.id).ok());
        opened.map(|container| (container.id().to_string(), container)).collect()
    } else if args.latest {
        let latest = store.containers().latest()?;
        vec![(latest.id().to_string(), latest)]
    } else if args.containers.is_empty() {
        return Err(phrases::nothing_named("container")
            .hint("List what is mounted here: coracle mount; or unmount all of it: coracle unmount --all"));
    } else {
        let find = |name: &String| Ok((name.clone(), containers::find(&store, name)?));
        args.containers.iter().map(find).collect::<Result<_>>()?
    };
    for (name, container) in &chosen {
        mounts::unmount_container(&store, container, args.force)?;
        ui::out(&format!("{name}\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}
