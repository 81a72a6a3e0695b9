//! `coracle top`.

use crate::error::{Error, Kind, Result};
use crate::host::Env;
use crate::runtime::processes;
use crate::text::printable;
use crate::ui::{self, rows};
use columns::Context;
use std::process::ExitCode;

mod columns;
mod docker;
mod row;

use row::line;

/// Arguments of `top`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Use the latest container; everything else then names columns
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
        let names: String = columns::names().map(|name| format!("{name}\n")).collect();
        ui::out(&names)?;
        return Ok(ExitCode::SUCCESS);
    }
    let store = super::store(env)?;
    let mut words = args.words.as_slice();
    let container = if args.latest {
        store.containers().latest()?
    } else {
        let Some((name, rest)) = words.split_first() else {
            return Err(Error::new(Kind::Usage, "no container was named")
                .hint("Give a name or id, or --latest for the newest; list them with: coracle ps"));
        };
        words = rest;
        store.containers().find(name)?
    };
    if ui::docker()
        && let Some(columns) = docker::columns(words)
    {
        return ui::out(&docker::table(&columns, &processes::of(&container)?)?).map(|()| ExitCode::SUCCESS);
    }
    let columns = columns::parse(words)?;
    let processes = processes::of(&container)?;
    let context = Context::new(&columns, &container);
    let mut text = line(columns.iter().map(|column| column.header.to_owned()));
    for process in &processes {
        // What a process calls itself must not break the table.
        text.push_str(&line(
            columns.iter().map(|column| printable(&context.cell(column, process)).into_owned()),
        ));
    }
    ui::out(&rows::align(&text)?)?;
    Ok(ExitCode::SUCCESS)
}
