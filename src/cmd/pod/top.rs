//! `coracle pod top`.

use crate::engine::pods;
use crate::error::{Error, Kind, Result, phrases};
use crate::host::Env;
use crate::runtime::processes;
use crate::ui::{self, rows};
use crate::view::Dialect;
use crate::view::top::{self, Columns};
use std::collections::HashSet;
use std::process::ExitCode;

/// Arguments of `pod top`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Use the latest pod; all arguments are columns then
    #[arg(short, long)]
    pub latest: bool,
    /// Print the names of the columns that can be shown
    #[arg(long, hide = true)]
    pub list_descriptors: bool,
    /// Pod, then columns: names such as pid,user,args, or codes such as %C
    #[arg(value_name = "POD", trailing_var_arg = true, allow_hyphen_values = true)]
    pub words: Vec<String>,
}

/// Shows the processes of the containers of a pod.
///
/// # Errors
/// A pod that does not exist or none of whose containers runs, a column that does not exist.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    if args.list_descriptors {
        ui::out(&top::listing())?;
        return Ok(ExitCode::SUCCESS);
    }
    let store = crate::cmd::store(env)?;
    let mut words = args.words.as_slice();
    let pod = if args.latest {
        store.pods().latest()?
    } else {
        let Some((name, rest)) = words.split_first() else {
            return Err(phrases::nothing_named("pod")
                .hint("Give a name or id, or --latest for the newest; list them with: coracle pod ps"));
        };
        words = rest;
        store.pods().find(name)?
    };
    let columns = Columns::parse(words, Dialect::Podman)?;
    let name = pod.name.clone();
    let mut text = String::new();
    // Containers that share their process ids have the same ones.
    let mut seen = HashSet::new();
    for one in pods::listed(&store, pod)?.containers.iter().filter(|one| one.status.is_live()) {
        // One that has ended since has no processes.
        let Ok(container) = store.containers().open(&one.id) else { continue };
        let Ok(mut processes) = processes::of(&container) else { continue };
        processes.retain(|process| seen.insert(process.host_pid));
        let table = columns.table(&container, &processes);
        if text.is_empty() {
            text = table.heading();
        }
        text.push_str(&table.lines());
    }
    if text.is_empty() {
        return Err(Error::new(
            Kind::Conflict,
            "pod top can only be used on pods with at least one running container",
        )
        .hint(format!("Start it first: coracle pod start {name}")));
    }
    ui::out(&rows::align(&text)?)?;
    Ok(ExitCode::SUCCESS)
}
