//! `coracle network inspect`.

use crate::error::{FAILED, Result};
use crate::host::Env;
use crate::storage::networks::Users;
use crate::ui::{Shape, report};
use crate::view::{Dialect, network};
use std::process::ExitCode;

/// Arguments of `network inspect`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Networks by name, id or beginning of an id
    #[arg(value_name = "NETWORK", required = true)]
    pub networks: Vec<String>,
    /// Print as json or a Go template such as '{{.Subnets}}'
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Docker's, and the case anyway: who is on a network is always shown
    #[arg(short, long, hide = true)]
    pub verbose: bool,
    /// Docker's: every network has the scope local
    #[arg(long, hide = true, value_name = "SCOPE")]
    pub scope: Option<String>,
}

/// Shows everything known about networks.
///
/// # Errors
/// A wrong format; a network that does not exist is reported, and the others are shown.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    let dialect = crate::cmd::dialect();
    let shape = Shape::parse(args.format.as_deref(), dialect == Dialect::Docker)?;
    let users = Users::read(store.containers())?;
    let mut shown = Vec::new();
    let mut failures = Vec::new();
    for text in &args.networks {
        let mode = network::MODES.iter().find(|(name, _)| dialect == Dialect::Docker && name == text);
        if let Some((name, driver)) = mode {
            shown.push(network::mode_document(name, driver));
            continue;
        }
        match store.networks().find(network::meant(text, dialect)) {
            Ok(found) => {
                let members = users.members(store.containers(), &found.name);
                shown.push(network::document(&found, &members, dialect));
            }
            Err(error) => failures.push(error),
        }
    }
    shape.print(&shown)?;
    failures.iter().for_each(report);
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}
