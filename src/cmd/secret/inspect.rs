//! `coracle secret inspect`.

use crate::error::Result;
use crate::host::Env;
use crate::storage::Store;
use crate::storage::secrets::Secret;
use crate::text::time;
use crate::ui::{Shape, out, report};
use crate::view::{self, Dialect};
use serde_json::Value;
use std::process::ExitCode;

/// Arguments of `secret inspect`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Secrets by name, id or beginning of an id
    #[arg(value_name = "SECRET", required = true)]
    pub secrets: Vec<String>,
    /// Print as json or a Go template such as '{{.Spec.Name}}'
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Print in a human-readable form
    #[arg(long, conflicts_with = "format")]
    pub pretty: bool,
    /// Also show their values
    #[arg(long)]
    pub showsecret: bool,
}

/// Shows secrets.
///
/// # Errors
/// A wrong format; a secret that does not exist is reported, and the others are shown.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    let shape = Shape::parse(args.format.as_deref(), crate::cmd::dialect() == Dialect::Docker)?;
    let mut shown = Vec::new();
    let mut code = ExitCode::SUCCESS;
    for name in &args.secrets {
        match store.secrets().find(name) {
            Ok(secret) if args.pretty => out(&pretty(args, &store, &secret)?)?,
            Ok(secret) => shown.push(value(args, &store, &secret)?),
            Err(error) => {
                code = ExitCode::from(error.kind().exit_code());
                report(&error);
            }
        }
    }
    if !args.pretty {
        shape.print(&shown)?;
    }
    Ok(code)
}

fn value(args: &Args, store: &Store, secret: &Secret) -> Result<Value> {
    let mut value = view::secret::record(secret, &store.secrets().path());
    if args.showsecret {
        value["SecretData"] = text(store, secret)?.into();
    }
    Ok(value)
}

fn text(store: &Store, secret: &Secret) -> Result<String> {
    Ok(String::from_utf8_lossy(&store.secrets().value(&secret.name)?).into_owned())
}

fn pretty(args: &Args, store: &Store, secret: &Secret) -> Result<String> {
    let labels: String = secret.labels.iter().map(|(key, value)| format!(" - {key}={value}\n")).collect();
    let mut lines = format!(
        "{:<19}{}\n{:<19}{}\nLabels:\n{labels}{:<19}{}\n{:<19}{}\n{:<19}{}\n",
        "ID:",
        secret.id,
        "Name:",
        secret.name,
        "Driver:",
        secret.driver,
        "Created at:",
        time::go_utc_exact(secret.created),
        "Updated at:",
        time::go_utc_exact(secret.updated),
    );
    if args.showsecret {
        lines.push_str(&format!("{:<19}{}\n", "Secret:", text(store, secret)?));
    }
    Ok(lines)
}
