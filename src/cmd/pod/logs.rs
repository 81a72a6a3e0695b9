//! `coracle pod logs`.

use crate::cmd::dialect::{Period, period};
use crate::cmd::options::lines::{self, LineLook, Tail};
use crate::engine::containers::logs::{Logs, LogsRequest};
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
    /// Show the time of each line
    #[arg(short, long)]
    pub timestamps: bool,
    /// Show this many lines from the end; -1 or all shows all of them
    #[arg(long, value_name = "LINES", default_value = "-1", value_parser = lines::tail)]
    pub tail: Tail,
    /// Show what was written since this time, such as 10m or 2006-01-02T15:04:05
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Show what was written until this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
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
    let Period { since, until } =
        period(args.since.as_deref(), args.until.as_deref(), phrases::bad_time_for_logs)?;
    let request = LogsRequest { follow: args.follow, tail: args.tail.0, since, until };
    let pod = match (&args.pod, args.latest) {
        (Some(name), _) => store.pods().find(name)?,
        (None, true) => {
            let latest = store.pods().list()?.into_iter().next();
            latest.ok_or_else(|| Error::new(Kind::NotFound, "there are no pods"))?
        }
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
            let found = store.containers().find(container)?;
            if !listed.containers.iter().any(|one| one.id == *found.id()) {
                return Err(Error::new(
                    Kind::NotFound,
                    format!("container {container} is not in pod {name}"),
                )
                .hint(format!("See what is in it: coracle pod inspect {name}")));
            }
            chosen.push(found);
        }
        None => {
            // The infra container writes nothing.
            let others = listed.containers.iter().filter(|one| !one.is_infra).rev();
            chosen.extend(others.filter_map(|one| store.containers().open(&one.id).ok()));
        }
    }
    let look = LineLook { names: args.names, color: args.color, timestamps: args.timestamps };
    let prefixes = lines::prefixes(&look, if args.container.is_some() { &[] } else { &chosen })?;
    lines::show(Logs::open(&store, chosen, request)?, &look, prefixes)
}
