//! `coracle pod ...`: there are no pods, and these verbs say so.

use super::verbs::verbs;
use crate::error::Result;
use crate::host::Env;
use crate::ui;
use crate::ui::rows::{self, Listing};
use serde_json::Value;
use std::process::ExitCode;

verbs! {
    /// What can be done with pods.
    pub enum Verb of Args {
        /// Check whether a pod exists
        Exists(ExistsArgs),
        /// List pods
        Ls(LsArgs) = "list" | "ps",
    }
}

/// Arguments of `pod exists`.
#[derive(Debug, clap::Args)]
pub struct ExistsArgs {
    /// Pod by name or id
    #[arg(value_name = "POD")]
    pub pod: String,
}

/// Arguments of `pod ls`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct LsArgs {
    /// Show pods that match a condition
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
    /// Print as table, json or a Go template such as '{{.Name}}'
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Omit the header line
    #[arg(short, long)]
    pub noheading: bool,
    /// Print only ids
    #[arg(short, long)]
    pub quiet: bool,
    /// Do not shorten ids
    #[arg(long)]
    pub no_trunc: bool,
    /// Show the latest pod
    #[arg(short, long, hide = true)]
    pub latest: bool,
    /// Show namespaces
    #[arg(long, hide = true)]
    pub ns: bool,
    /// Show the ids of containers
    #[arg(long, hide = true)]
    pub ctr_ids: bool,
    /// Show the names of containers
    #[arg(long, hide = true)]
    pub ctr_names: bool,
    /// Show the status of containers
    #[arg(long, hide = true)]
    pub ctr_status: bool,
    /// Order of the pods
    #[arg(long, hide = true, value_name = "KEY")]
    pub sort: Option<String>,
}

const COLUMNS: [(&str, &str); 6] = [
    ("POD ID", "{{.Id}}"),
    ("NAME", "{{.Name}}"),
    ("STATUS", "{{.Status}}"),
    ("CREATED", "{{.Created}}"),
    ("INFRA ID", "{{.InfraId}}"),
    ("# OF CONTAINERS", "{{.NumberOfContainers}}"),
];

/// Runs a verb of `pod`.
///
/// # Errors
/// A wrong format.
pub fn run(args: &Args, _env: &Env) -> Result<ExitCode> {
    match &args.verb {
        Verb::Exists(_) => Ok(ExitCode::FAILURE),
        Verb::Ls(args) => {
            if !args.quiet || args.format.is_some() {
                let listing = Listing { columns: &COLUMNS, no_heading: args.noheading, ..Listing::default() };
                ui::out(&rows::rows::<Value>(args.format.as_deref(), &[], &listing)?)?;
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}
