//! `coracle container prune`.

use crate::cmd::which::filters;
use crate::error::{Kind, Result};
use crate::host::Env;
use crate::runtime::control;
use crate::runtime::select::{Selection, Suits};
use crate::storage::events::{Action, Event, Type};
use crate::ui;
use std::process::ExitCode;

/// Arguments of `container prune`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::switch::switchable)]
pub struct Args {
    /// Remove only containers that meet a condition: until, label, label! and others of ps
    #[arg(long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    pub force: bool,
}

/// Removes the containers that do not run, and prints their ids.
///
/// # Errors
/// A wrong filter; failures of single containers are reported here.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    let filters = filters(&args.filter)?;
    let question = "All containers that do not run will be removed. Go on? [y/N] ";
    if !args.force && !ui::confirm(question)? {
        return Ok(ExitCode::SUCCESS);
    }
    let selection = Selection { all: true, filters, suits: Suits::Ended, ..Selection::default() };
    let mut code = ExitCode::SUCCESS;
    for (id, found) in selection.containers(&store)? {
        match found.and_then(|dir| control::remove_ended(&store, &dir, true)) {
            Ok(true) => ui::out(&format!("{id}\n"))?,
            // It was started, or removed by somebody else, since it was listed.
            Ok(false) => {}
            Err(error) if error.kind() == Kind::NotFound => {}
            Err(error) => {
                ui::report(&error);
                code = ExitCode::from(Kind::Partial.exit_code());
            }
        }
    }
    store.events().emit(Event::new(Type::Container, Action::Prune));
    if let Err(error) = control::sweep(&store) {
        log::warn!("empty the trash: {error}: {}", error.causes().join(": "));
    }
    Ok(code)
}
