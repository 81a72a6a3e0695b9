//! `coracle auto-update`.

use super::options::pulling::pulling;
use crate::engine::containers::auto_update::{Report, UpdateAll, update_all};
use crate::error::{FAILED, Result};
use crate::host::Env;
use crate::image::Platform;
use crate::registry::{PullRequest, RetryPolicy};
use crate::ui;
use crate::ui::rows::{self, Listing};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `auto-update`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Only show which containers would be updated
    #[arg(long)]
    pub dry_run: bool,
    /// Go back to the old image where the new one fails
    #[arg(long, default_value = "true")]
    pub rollback: bool,
    /// Print as json or a Go template such as '{{.Container}} {{.Updated}}'
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Credentials file, instead of the default ones
    #[arg(long, value_name = "FILE")]
    pub authfile: Option<PathBuf>,
    /// Require https and a valid certificate; false allows plain http and any certificate
    #[arg(long)]
    pub tls_verify: Option<bool>,
}

/// Updates the running containers that ask for it, and shows what became of each.
///
/// # Errors
/// A wrong format; a store that cannot be read. The failures of single containers are reported, and make the exit code
/// 125.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    // Before anything changes.
    text(args, &[])?;
    let store = super::store(env)?;
    let engine = super::store::engine(&store, env);
    let registry = PullRequest {
        platform: Platform::host(),
        tls_verify: args.tls_verify,
        credentials: None,
        auth_file: args.authfile.clone(),
        cert_dir: None,
        retry: RetryPolicy::default(),
    };
    let how = UpdateAll { dry_run: args.dry_run, rollback: args.rollback, registry };
    let (reports, failures) = pulling(false, |report| update_all(engine, &how, report))?;
    if !reports.is_empty() {
        ui::out(&text(args, &reports)?)?;
    }
    failures.iter().for_each(ui::report);
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

fn text(args: &Args, reports: &[Report]) -> Result<String> {
    let rows: Vec<Value> = reports.iter().map(row).collect();
    rows::rows(args.format.as_deref(), &rows, &Listing { columns: &COLUMNS, ..Listing::default() })
}

fn row(report: &Report) -> Value {
    let short = report.id.get(..12).unwrap_or(&report.id);
    json!({
        "Unit": report.unit,
        "Container": format!("{short} ({})", report.name),
        "ContainerName": report.name,
        "ContainerID": report.id,
        "Image": report.image,
        "Policy": report.policy.as_str(),
        "Updated": report.updated.as_str(),
    })
}

const COLUMNS: [(&str, &str); 5] = [
    ("UNIT", "{{.Unit}}"),
    ("CONTAINER", "{{.Container}}"),
    ("IMAGE", "{{.Image}}"),
    ("POLICY", "{{.Policy}}"),
    ("UPDATED", "{{.Updated}}"),
];
