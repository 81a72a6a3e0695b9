//! `coracle mount`.

use super::options::selection::check_one_way;
use crate::engine::{containers, mounts};
use crate::error::Result;
use crate::host::Env;
use crate::storage::containers::ContainerDir;
use crate::ui;
use crate::ui::rows::{self, Listing};
use serde_json::{Value, json};
use std::process::ExitCode;

/// Arguments of `mount`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Containers by name, id or beginning of an id; none lists what is mounted
    #[arg(value_name = "CONTAINER")]
    pub containers: Vec<String>,
    /// All containers
    #[arg(short, long)]
    pub all: bool,
    /// The latest container
    #[arg(short, long)]
    pub latest: bool,
    /// Print what is mounted as json
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Do not shorten ids
    #[arg(long, alias = "notruncate")]
    pub no_trunc: bool,
}

/// Mounts the roots of containers and prints where; without any, lists those that are mounted.
///
/// # Errors
/// Outside the user namespace of containers; a container that does not exist, before anything is mounted.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    mounts::check_namespace(ui::identity().name(), "mount", args.containers.first().map(String::as_str))?;
    let store = super::store(env)?;
    check_one_way(args.all, args.latest, !args.containers.is_empty())?;
    if !args.containers.is_empty() || args.all || args.latest {
        let chosen: Vec<ContainerDir> = if args.all {
            let all = containers::list(&store)?;
            // One that removes itself may be gone by now.
            all.iter().filter_map(|found| store.containers().open(&found.id).ok()).collect()
        } else if args.latest {
            vec![store.containers().latest()?]
        } else {
            args.containers.iter().map(|name| containers::find(&store, name)).collect::<Result<_>>()?
        };
        for container in &chosen {
            let point = mounts::mount_container(&store, container)?;
            crate::ui::out(&format!("{}\n", point.display()))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    store.unmount_gone()?;
    let mounted = mounts::mounted_containers(&store)?;
    if rows::is_json(args.format.as_deref()) {
        let all = mounted.iter().map(|(found, point)| {
            json!({ "id": found.id.as_str(), "Names": [found.name], "mountpoint": point.to_string_lossy() })
        });
        crate::ui::out(&rows::json(&Value::Array(all.collect()))?)?;
        return Ok(ExitCode::SUCCESS);
    }
    rows::only_json(args.format.as_deref())?;
    let id = |whole: &str| whole.get(..if args.no_trunc { 64 } else { 12 }).unwrap_or(whole).to_owned();
    let values = mounted
        .iter()
        .map(|(found, point)| json!({ "ID": id(found.id.as_str()), "Path": point.to_string_lossy() }));
    let values: Vec<Value> = values.collect();
    let columns = &[("ID", "{{.ID}}"), ("PATH", "{{.Path}}")];
    let listing = Listing { columns, headers: &[], no_heading: true };
    crate::ui::out(&rows::rows(None, &values, &listing)?)?;
    Ok(ExitCode::SUCCESS)
}
