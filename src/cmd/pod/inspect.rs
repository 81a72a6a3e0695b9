//! `coracle pod inspect`.

use crate::engine::pods;
use crate::error::{FAILED, Result, phrases};
use crate::host::Env;
use crate::storage::Store;
use crate::text::Document;
use crate::ui::{Shape, report};
use crate::view;
use std::process::ExitCode;

/// Arguments of `pod inspect`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Pods by name, id or beginning of an id
    #[arg(value_name = "POD")]
    pub pods: Vec<String>,
    /// Print as json or a Go template such as '{{.State}}'
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// The latest pod
    #[arg(short, long)]
    pub latest: bool,
}

/// Shows everything known about pods.
///
/// # Errors
/// A wrong format; a pod that does not exist is reported, and the others are shown.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    let shape = Shape::parse(args.format.as_deref(), false)?;
    let latest = if args.latest { store.pods().list()?.first().map(|pod| pod.id.to_string()) } else { None };
    if args.pods.is_empty() && latest.is_none() {
        return Err(phrases::nothing_named("pod").hint("Give a name or id; list them with: coracle pod ps"));
    }
    let mut shown = Vec::new();
    let mut failures = Vec::new();
    for name in latest.iter().chain(&args.pods) {
        match document(&store, name) {
            Ok(found) => shown.push(found),
            Err(error) => failures.push(error),
        }
    }
    shape.print(&shown)?;
    failures.iter().for_each(report);
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

fn document(store: &Store, name: &str) -> Result<Document> {
    Ok(view::pod::document(store, &pods::listed(store, store.pods().find(name)?)?))
}
