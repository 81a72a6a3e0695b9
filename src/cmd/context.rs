//! `coracle context ...`: docker's contexts, of which there is one.

use super::verbs::verbs;
use crate::error::{Error, Kind, Result};
use crate::host::{self, Env};
use crate::ui::rows::{self, Listing};
use crate::ui::{Shape, out};
use crate::view::{self, Dialect};
use std::process::ExitCode;

/// The only context.
const DEFAULT: &str = "default";

verbs! {
    /// What can be done with contexts.
    pub enum Verb of Args {
        /// Show details of contexts
        Inspect(InspectArgs),
        /// List contexts
        Ls(LsArgs) = "list",
        /// Print the name of the current context
        Show(ShowArgs),
        /// Choose the current context
        Use(UseArgs),
    }
}

/// Arguments of `context inspect`.
#[derive(Debug, clap::Args)]
pub struct InspectArgs {
    /// Contexts; the current one by default
    #[arg(value_name = "CONTEXT")]
    pub contexts: Vec<String>,
    /// Print by a Go template such as '{{.Endpoints.docker.Host}}'
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
}

/// Arguments of `context ls`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct LsArgs {
    /// Print as table, json or a Go template such as '{{.Name}}'
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Print only names
    #[arg(short, long)]
    pub quiet: bool,
}

/// Arguments of `context show`.
#[derive(Debug, clap::Args)]
pub struct ShowArgs {}

/// Arguments of `context use`.
#[derive(Debug, clap::Args)]
pub struct UseArgs {
    /// Context
    #[arg(value_name = "CONTEXT")]
    pub context: String,
}

const COLUMNS: [(&str, &str); 4] = [
    ("NAME", "{{.Name}}{{if .Current}} *{{end}}"),
    ("DESCRIPTION", "{{.Description}}"),
    ("DOCKER ENDPOINT", "{{.DockerEndpoint}}"),
    ("ERROR", "{{.Error}}"),
];

/// Runs a verb of `context`.
///
/// # Errors
/// A context other than the default one; a wrong format.
pub fn run(args: &Args, _env: &Env) -> Result<ExitCode> {
    let endpoint = format!("unix://{}", host::socket().display());
    match &args.verb {
        Verb::Inspect(args) => inspect(args, &endpoint)?,
        Verb::Ls(args) if args.quiet => out(&format!("{DEFAULT}\n"))?,
        Verb::Ls(args) => {
            let list = [view::context::row(DEFAULT, &endpoint)];
            let listing = Listing { columns: &COLUMNS, ..Listing::default() };
            out(&rows::rows(args.format.as_deref(), &list, &listing)?)?;
        }
        Verb::Show(_) => out(&format!("{DEFAULT}\n"))?,
        Verb::Use(args) => {
            known(&args.context)?;
            out(&format!("{DEFAULT}\n"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn inspect(args: &InspectArgs, endpoint: &str) -> Result<()> {
    args.contexts.iter().try_for_each(|name| known(name))?;
    let shape = Shape::parse(args.format.as_deref(), super::dialect() == Dialect::Docker)?;
    shape.print(&vec![view::context::record(DEFAULT, endpoint); args.contexts.len().max(1)])
}

fn known(name: &str) -> Result<()> {
    match name {
        DEFAULT => Ok(()),
        other => Err(Error::new(Kind::NotFound, format!("context {other:?} does not exist"))
            .of_client()
            .hint("Use default, the only context that there is.")),
    }
}
