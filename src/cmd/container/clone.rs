//! `coracle container clone`.

use crate::cmd::options::pulling::pulling;
use crate::cmd::options::refused::{Never, because};
use crate::cmd::options::resources::ResourceArgs;
use crate::cmd::options::source::{PullPolicy, SourceOptions};
use crate::container::ContainerName;
use crate::engine::containers::clone::{self, CloneRequest};
use crate::error::Result;
use crate::host::Env;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `container clone`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Container by name, id or beginning of an id
    #[arg(value_name = "CONTAINER")]
    pub container: String,
    /// Name of the clone; by default that of the original with -clone
    #[arg(value_name = "NAME", conflicts_with = "named")]
    pub name: Option<ContainerName>,
    /// Image of the clone, instead of the original's
    #[arg(value_name = "IMAGE")]
    pub image: Option<String>,
    /// Name of the clone
    #[arg(id = "named", long = "name", value_name = "NAME")]
    pub named: Option<ContainerName>,
    /// Remove the original
    #[arg(long)]
    pub destroy: bool,
    /// With --destroy: stop the original first if it is running
    #[arg(short, long, requires = "destroy")]
    pub force: bool,
    /// Start the clone in the background
    #[arg(long)]
    pub run: bool,
    /// Pod
    #[arg(long, hide = true, value_name = "NAME", value_parser = because(
        "a clone has the namespaces of the original, and so its pod", "Make the container anew: coracle create --pod NAME ..."))]
    pub pod: Option<Never>,
    /// What it may use, in place of what the original may.
    #[command(flatten)]
    pub resources: ResourceArgs,
}

/// Creates a container with the settings and current limits of another, but without the files that it has
/// written. Prints its id.
///
/// # Errors
/// A container or image that does not exist, a name that is taken, an original that is to be removed but is
/// running, limits that contradict each other or those of the original.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let limits = args.resources.clone().resources()?;
    let store = crate::cmd::store(env)?;
    let engine = crate::cmd::store::engine(&store, env);
    let image = match &args.image {
        Some(image) => Some((image.as_str(), SourceOptions::default().wanted(PullPolicy::Missing)?)),
        None => None,
    };
    let command = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let request = CloneRequest {
        container: &args.container,
        name: args.name.as_ref().or(args.named.as_ref()).map(|name| &name.0),
        image,
        limits,
        destroy: args.destroy,
        force: args.force,
        start: args.run,
        create_command: command.collect(),
    };
    let made = pulling(false, |report| clone::clone(engine, request, report))?;
    ui::warn(&made.warnings);
    ui::out(&format!("{}\n", made.id))?;
    Ok(ExitCode::SUCCESS)
}
