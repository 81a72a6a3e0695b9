//! `coracle network ...`: the networks that every account has.

use super::verbs::verbs;
use crate::engine::filter::{Condition, all_hold};
use crate::error::Result;
use crate::host::Env;
use crate::ui;
use crate::ui::rows::{self, Listing, is_json};
use crate::view::Dialect;
use crate::view::network::{self, Network};
use serde_json::Value;
use std::process::ExitCode;

verbs! {
    /// What can be done with networks.
    pub enum Verb of Args {
        /// Check whether a network exists
        Exists(ExistsArgs),
        /// List networks
        Ls(LsArgs) = "list",
    }
}

/// Arguments of `network exists`.
#[derive(Debug, clap::Args)]
pub struct ExistsArgs {
    /// Network by name, id or beginning of an id
    #[arg(value_name = "NETWORK")]
    pub network: String,
}

/// Arguments of `network ls`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct LsArgs {
    /// Show networks that match a condition: name, id, driver, scope, type, label or dangling
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
    /// Print as table, json or a Go template such as '{{.Name}}'
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Do not shorten ids
    #[arg(long)]
    pub no_trunc: bool,
    /// Omit the header line
    #[arg(short, long)]
    pub noheading: bool,
    /// Print only names, in docker's dialect ids
    #[arg(short, long)]
    pub quiet: bool,
}

const PODMAN: [(&str, &str); 3] =
    [("NETWORK ID", "{{.ID}}"), ("NAME", "{{.Name}}"), ("DRIVER", "{{.Driver}}")];
const DOCKER: [(&str, &str); 4] =
    [("NETWORK ID", "{{.ID}}"), ("NAME", "{{.Name}}"), ("DRIVER", "{{.Driver}}"), ("SCOPE", "{{.Scope}}")];

const HINT: &str = "Write key=value with one of the keys name, id, driver, scope, type, label or dangling.";

/// Runs a verb of `network`.
///
/// # Errors
/// A wrong filter or format.
pub fn run(args: &Args, _env: &Env) -> Result<ExitCode> {
    match &args.verb {
        Verb::Exists(args) => {
            let is_meant = |network: &Network| {
                network.name == args.network
                    || !args.network.is_empty() && network.id().starts_with(&args.network)
            };
            let found = network::all(super::dialect()).iter().any(is_meant);
            Ok(ExitCode::from(u8::from(!found)))
        }
        Verb::Ls(args) => ls(args).map(|()| ExitCode::SUCCESS),
    }
}

fn ls(args: &LsArgs) -> Result<()> {
    let dialect = super::dialect();
    let mut shown: Vec<&Network> = Vec::new();
    for network in network::all(dialect) {
        let mut held: Vec<(&str, bool)> = Vec::new();
        for text in &args.filter {
            held.push(holds(text, network)?);
        }
        if all_hold(held.iter().map(|(key, holds)| (*key, holds)), |key| key == "label", |holds| *holds) {
            shown.push(network);
        }
    }
    let format = args.format.as_deref();
    let text = if args.quiet && format.is_none() {
        let line = |network: &&Network| match dialect {
            Dialect::Podman => format!("{}\n", network.name),
            Dialect::Docker => format!("{}\n", &network.id()[..if args.no_trunc { 64 } else { 12 }]),
        };
        shown.iter().map(line).collect()
    } else if is_json(format) && dialect == Dialect::Podman {
        rows::json(&Value::Array(shown.iter().map(|network| network.json()).collect()))?
    } else {
        let values: Vec<Value> = shown.iter().map(|network| network.fields(args.no_trunc)).collect();
        let columns = if dialect == Dialect::Docker { &DOCKER[..] } else { &PODMAN[..] };
        rows::rows(format, &values, &Listing { columns, no_heading: args.noheading, ..Listing::default() })?
    };
    ui::out(&text)
}

/// The key of a condition, and whether it holds. None of the networks has labels; all are in use at any time.
fn holds<'a>(text: &'a str, network: &Network) -> Result<(&'a str, bool)> {
    let condition = Condition::parse(text, HINT)?;
    let value = condition.value;
    let holds = match condition.key {
        "name" => condition.pattern()?.is_match(network.name),
        "id" => network.id().starts_with(value),
        "driver" => network.driver == value,
        "scope" => value == "local",
        "type" => value == "builtin",
        "label" => false,
        "dangling" => !condition.boolean()?,
        _ => return Err(condition.unknown_key()),
    };
    Ok((condition.key, holds))
}
