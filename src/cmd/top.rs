//! `coracle top`.

use crate::error::{Result, phrases};
use crate::host::Env;
use crate::runtime::processes;
use crate::ui::{self, rows};
use crate::view::top::{self, Columns};
use std::process::ExitCode;

/// Arguments of `top`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Use the latest container; all arguments are columns then
    #[arg(short, long)]
    pub latest: bool,
    /// Print the names of the columns that can be shown
    #[arg(long, hide = true)]
    pub list_descriptors: bool,
    /// Container, then columns: names such as pid,user,args, codes such as %C, or options of ps: aux, -ef, -o LIST
    #[arg(value_name = "CONTAINER", trailing_var_arg = true, allow_hyphen_values = true)]
    pub words: Vec<String>,
}

/// Shows the processes of a container.
///
/// # Errors
/// A container that does not exist or does not run, a column that does not exist.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    if args.list_descriptors {
        ui::out(&top::listing())?;
        return Ok(ExitCode::SUCCESS);
    }
    let store = super::store(env)?;
    let mut words = args.words.as_slice();
    let container = if args.latest {
        store.containers().latest()?
    } else {
        let Some((name, rest)) = words.split_first() else {
            return Err(phrases::nothing_named("container").hint_by_name(
                "Give a name or id, or --latest for the newest; list them with: coracle ps",
                "Give a name or id; list them with: coracle ps",
            ));
        };
        words = rest;
        store.containers().find(name)?
    };
    let columns = Columns::parse(words, super::dialect())?;
    let table = columns.table(&container, &processes::of(&container)?);
    ui::out(&rows::align(&(table.heading() + &table.lines()))?)?;
    Ok(ExitCode::SUCCESS)
}
