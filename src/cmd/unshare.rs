//! `coracle unshare`.

use crate::error::{Error, Kind, Result};
use crate::fork::{Doing, Step};
use crate::host::Env;
use crate::{fork, userns};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

/// Run a command in the user namespace of containers
///
/// There, files of containers that belong to other users outside are seen with their owners inside, and
/// can be read, changed and deleted. Without a command the login shell is run.
#[derive(Debug, clap::Args)]
#[command(override_usage = "coracle unshare [COMMAND [ARG]...]", mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Refused: containers have no network in common
    #[arg(long, hide = true)]
    pub rootless_netns: bool,
    /// Command and its arguments
    #[arg(value_name = "COMMAND", num_args = 0.., trailing_var_arg = true)]
    pub words: Vec<String>,
}

/// Becomes the command; returns only when that fails.
///
/// # Errors
/// `--rootless-netns`; when the namespace cannot be entered; 126 or 127 when the command cannot be executed.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    if args.rootless_netns {
        return Err(Error::new(
            Kind::Usage,
            "--rootless-netns: every container has a network namespace of its own, so there is none to join",
        )
        .hint("Reach a container at its published ports, or join its network: coracle run --network container:NAME ..."));
    }
    let shell = || vec![std::env::var("SHELL").unwrap_or_else(|_| "/bin/sh".to_owned())];
    let words = if args.words.is_empty() { shell() } else { args.words.clone() };
    let (program, arguments) =
        words.split_first().ok_or_else(|| Error::new(Kind::Usage, "no command was given"))?;
    // Kept registered: this process lives on as the command, and others may join through it.
    std::mem::forget(userns::enter(&env.roots.runtime)?);
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS)
        .doing(Step::MakeNamespaces, "mount namespace")?;
    fork::as_before_size_limits();
    let failed = Command::new(program).args(arguments).exec();
    let (kind, what) = match failed.kind() {
        std::io::ErrorKind::NotFound => (Kind::CommandNotFound, "was not found"),
        _ => (Kind::NotExecutable, "cannot be executed"),
    };
    Err(Error::new(kind, format!("{program:?} {what}")).caused_by(failed))
}
