//! `coracle volume inspect`.

use crate::error::{Error, Kind, Result, phrases};
use crate::host::Env;
use crate::storage::volumes::Users;
use crate::text::Forms;
use crate::text::template::Template;
use crate::ui::{out, report, rows};
use crate::view::{Dialect, volume};
use serde_json::Value;
use std::process::ExitCode;

/// Arguments of `volume inspect`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Volumes by name or a unique beginning of it
    #[arg(value_name = "VOLUME")]
    pub volumes: Vec<String>,
    /// Show all volumes
    #[arg(short, long)]
    pub all: bool,
    /// Print as json or a Go template such as '{{.Mountpoint}}'
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
}

/// Shows everything known about volumes.
///
/// # Errors
/// A wrong format or no volume at all; one that does not exist is reported, and the others are shown.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    let format = args.format.as_deref().filter(|format| !rows::is_json(Some(format)));
    let template = format.map(Template::parse).transpose()?;
    let found = match (args.all, args.volumes.is_empty()) {
        (true, true) => store.volumes().list()?.into_iter().map(Ok).collect(),
        (false, false) => args.volumes.iter().map(|name| store.volumes().find(name)).collect::<Vec<_>>(),
        (true, false) => {
            return Err(Error::new(Kind::Usage, "no arguments are needed with --all")
                .hint("Give either names or --all."));
        }
        (false, true) => {
            return Err(phrases::nothing_named("volume")
                .hint("Give a name, or --all; list them with: coracle volume ls"));
        }
    };
    let users = Users::read(store.containers())?;
    let dialect = crate::cmd::dialect();
    let mut shown = Vec::new();
    let mut code = ExitCode::SUCCESS;
    for volume in found {
        match volume {
            Ok(volume) => shown.push(volume::document(&store, &volume, &users, dialect)),
            Err(error) => {
                code = ExitCode::from(error.kind().exit_code());
                report(&error);
            }
        }
    }
    match template {
        Some(template) => shown.iter().try_for_each(|value| out(&(template.render(value)? + "\n")))?,
        None if dialect == Dialect::Docker && args.format.is_some() => {
            shown.iter().try_for_each(|value| out(&rows::line(value.json())?))?;
        }
        None => out(&rows::json(&Value::Array(shown.iter().map(|one| one.json().clone()).collect()))?)?,
    }
    Ok(code)
}
