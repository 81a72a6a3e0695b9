//! `coracle pod logs`.

use crate::cmd::options::lines::{self, LineArgs, LineLook};
use crate::engine::containers::logs::Logs;
use crate::engine::pods;
use crate::error::{Error, Kind, Result, phrases};
use crate::host::Env;
use crate::storage::containers::ContainerDir;
use std::process::ExitCode;

/// Arguments of `pod logs`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Pod by name, id or beginning of an id
    #[arg(value_name = "POD")]
    pub pod: Option<String>,
    /// Only this container of the pod, by name or id
    #[arg(short, long, value_name = "CONTAINER")]
    pub container: Option<String>,
    /// Show the logs of the latest pod
    #[arg(short, long, conflicts_with = "pod")]
    pub latest: bool,
    /// Follow the logs until the containers exit
    #[arg(short, long)]
    pub follow: bool,
    /// Which lines.
    #[command(flatten)]
    pub lines: LineArgs,
    /// Prefix lines with the name of the container instead of its id
    #[arg(short, long)]
    pub names: bool,
    /// Show each container in its own colour
    #[arg(long)]
    pub color: bool,
}

/// Shows what the containers of a pod wrote to standard output and standard error.
///
/// # Errors
/// A pod that does not exist, a container that is none of its own.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    let request = args.lines.request(args.follow)?;
    let pod = match (&args.pod, args.latest) {
        (Some(name), _) => store.pods().find(name)?,
        (None, true) => store.pods().latest()?,
        (None, false) => {
            return Err(
                phrases::nothing_named("pod").hint("Give a name or id; list them with: coracle pod ps")
            );
        }
    };
    let name = pod.name.clone();
    let listed = pods::listed(&store, pod)?;
    let mut chosen: Vec<ContainerDir> = Vec::new();
    match &args.container {
        Some(container) => {
            let found = match store.containers().find(container) {
                Err(e) if e.kind() == Kind::NotFound => None,
                found => Some(found?),
            };
            let of_pod = |found: &ContainerDir| listed.containers.iter().any(|one| one.id == *found.id());
            chosen.push(found.filter(of_pod).ok_or_else(|| {
                Error::new(Kind::NotFound, format!("container {container} is not in pod {name}"))
                    .hint(format!("See what is in it: coracle ps -a --filter pod={name}"))
            })?);
        }
        None => {
            // The infra container writes nothing.
            let others = listed.containers.iter().filter(|one| !one.is_infra).rev();
            chosen.extend(others.filter_map(|one| store.containers().open(&one.id).ok()));
        }
    }
    let look = LineLook { names: args.names, color: args.color, timestamps: args.lines.timestamps };
    let prefixes = lines::prefixes(&look, if args.container.is_some() { &[] } else { &chosen })?;
    lines::show(Logs::open(&store, chosen, request)?, &look, prefixes)
}
