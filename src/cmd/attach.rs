//! `coracle attach`.

use crate::cmd::options::attached::{self, Attaching};
use crate::engine::containers::selector::ContainerSelector;
use crate::engine::containers::start;
use crate::error::{Error, Kind, Result};
use crate::host::Env;
use crate::plan::keys::DetachKeys;
use std::process::ExitCode;

/// Arguments of `attach`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Container by name, id or beginning of an id
    #[arg(value_name = "CONTAINER")]
    pub container: Option<String>,
    /// The latest container
    #[arg(short, long)]
    pub latest: bool,
    /// Keys that detach from the container; empty for none
    #[arg(long, value_name = "KEYS", default_value = "ctrl-p,ctrl-q")]
    pub detach_keys: DetachKeys,
    /// Do not attach to standard input
    #[arg(long)]
    pub no_stdin: bool,
    /// Forward signals to the container
    #[arg(long, default_value = "true")]
    pub sig_proxy: bool,
}

/// Attaches to a running container: shows what it writes from now on, and returns it what is typed. Its
/// exit code is ours; after detaching that is 0.
///
/// # Errors
/// A container that does not exist or does not run.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = super::store(env)?;
    let names: Vec<String> = args.container.iter().cloned().collect();
    let selection = ContainerSelector { names: &names, latest: args.latest, ..ContainerSelector::default() };
    let Some((_, found)) = selection.containers(&store)?.pop() else {
        return Err(Error::new(Kind::NotFound, "there are no containers"));
    };
    let dir = found?;
    let how = attached::how(&dir, !args.no_stdin, args.sig_proxy, &args.detach_keys, true)?;
    let mut attaching = Attaching::new(how);
    let running = start::attach(&dir, &mut || attaching.get_ready())?;
    attaching.follow(running, &store, &dir).map(ExitCode::from)
}
