//! `coracle image trust show`.

use crate::error::{Error, Kind, Result};
use crate::host::Env;
use crate::ui;
use crate::ui::rows::{self, Listing};
use crate::view::trust;
use serde_json::Value;
use std::process::ExitCode;

/// Arguments of `image trust show`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Show this registry or repository only, and the default
    #[arg(value_name = "REGISTRY")]
    pub registry: Option<String>,
    /// Print as JSON
    #[arg(short, long, conflicts_with = "raw")]
    pub json: bool,
    /// Omit the header line
    #[arg(short, long)]
    pub noheading: bool,
    /// Print the policy file as it is
    #[arg(long)]
    pub raw: bool,
}

/// Shows the policy.
///
/// # Errors
/// A policy that cannot be read or is malformed.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    let shown = crate::cmd::store::engine(&store, env).trust()?;
    if args.raw {
        let text = String::from_utf8(shown.text)
            .map_err(|e| Error::new(Kind::Usage, "the policy is not UTF-8 text").caused_by(e))?;
        ui::out(&(text.trim_end().to_owned() + "\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let wanted = |scope: &str| args.registry.as_deref().is_none_or(|registry| registry == scope);
    let kept = shown.rows.iter().filter(|row| row.transport.is_none() || wanted(&row.scope));
    if args.json {
        ui::out(&rows::json(&Value::Array(kept.map(trust::document).collect()))?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let lines: Vec<Value> = kept.map(trust::row).collect();
    let columns = &[
        ("TRANSPORT", "{{.Transport}}"),
        ("NAME", "{{.Name}}"),
        ("TYPE", "{{.Type}}"),
        ("ID", "{{.ID}}"),
        ("STORE", "{{.Store}}"),
    ];
    ui::out(&rows::rows(None, &lines, &Listing { columns, headers: &[], no_heading: args.noheading })?)?;
    Ok(ExitCode::SUCCESS)
}
