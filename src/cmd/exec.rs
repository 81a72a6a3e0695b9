//! `coracle exec`.

use crate::cmd::options::attached::{input_is_no_terminal, lacks_terminal};
use crate::cmd::options::files;
use crate::engine::containers::exec::{self, ExecRequest};
use crate::engine::containers::id_file;
use crate::error::{Error, Kind, Result};
use crate::host::{self, Caller, Env};
use crate::plan::env::{EnvArg, EnvRequest};
use crate::plan::keys::DetachKeys;
use crate::plan::process::UserArg;
use crate::ui;
use crate::ui::terminal::{Attachment, Ended, Terminal};
use crate::view::Dialect;
use std::path::PathBuf;
use std::process::ExitCode;

/// Run a command in a running container
#[derive(Debug, clap::Args)]
#[command(override_usage = "coracle exec [OPTIONS] CONTAINER COMMAND [ARG]...")]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Run in the background
    #[arg(short, long)]
    pub detach: bool,
    /// Keys that detach from the process; empty for none
    #[arg(long, value_name = "KEYS", default_value = "ctrl-p,ctrl-q")]
    pub detach_keys: DetachKeys,
    /// Set a variable; NAME alone passes the caller's value, PREFIX* all variables that begin with PREFIX
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<EnvArg>,
    /// Read variables from a file, one per line
    #[arg(long, value_name = "FILE", value_delimiter = ',')]
    pub env_file: Vec<PathBuf>,
    /// Keep standard input open
    #[arg(short, long)]
    pub interactive: bool,
    /// Read the container's id from this file, instead of a name
    #[arg(long, value_name = "FILE", conflicts_with = "latest")]
    pub cidfile: Option<PathBuf>,
    /// Keep no session in a database; there is none
    #[arg(long, hide = true)]
    pub no_session: bool,
    /// Use the latest container, instead of a name
    #[arg(short, long)]
    pub latest: bool,
    /// Pass this many file descriptors, starting with 3, to the process
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub preserve_fds: u32,
    /// Give the process all capabilities and no seccomp filter
    #[arg(long)]
    pub privileged: bool,
    /// Allocate a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// User, or user and group, by name or number
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub user: Option<UserArg>,
    /// Working directory; the container's by default
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<PathBuf>,
    /// Container, then the command and its arguments
    #[arg(value_name = "CONTAINER", required = true, num_args = 1.., trailing_var_arg = true)]
    pub words: Vec<String>,
}

/// Runs the command and gives its exit code; a detached one's id is printed.
///
/// # Errors
/// An unknown or stopped container; 126 and 127 when the command cannot be executed or is not found.
pub fn run(args: Args, env: &Env) -> Result<ExitCode> {
    if lacks_terminal(args.tty, args.interactive && !args.detach) {
        return Err(input_is_no_terminal());
    }
    let store = super::store(env)?;
    let (dir, argv) = match (&args.cidfile, args.words.split_first()) {
        (Some(file), _) => (store.containers().find(&id_file::read(file)?)?, args.words.as_slice()),
        _ if args.latest => (store.containers().latest()?, args.words.as_slice()),
        (None, Some((name, argv))) => (store.containers().find(name)?, argv),
        (None, None) => return Err(exec::no_command()),
    };
    let caller = Caller { env: host::environment(), ..Caller::default() };
    let request = ExecRequest {
        argv: argv.to_vec(),
        env: EnvRequest {
            files: files::environment(&args.env_file, &caller)?,
            set: args.env,
            ..EnvRequest::default()
        },
        user: args.user.map(|user| user.0).filter(|user| !user.is_empty()),
        cwd: args.workdir,
        tty: args.tty,
        stdin: args.interactive,
        privileged: args.privileged,
        preserve_fds: args.preserve_fds,
    };
    let exec = exec::create(&store, &dir, request, &caller)?;
    let terminal = match args.detach {
        true => None,
        false => Some(Terminal::ready(Attachment {
            stdin: args.interactive,
            stdout: true,
            stderr: true,
            tty: args.tty,
            sig_proxy: false,
            detach_keys: args.detach_keys.0,
            visiting: false,
        })?),
    };
    let started = exec.start(terminal.is_some()).map_err(|e| match terminal {
        // Docker's client shows what the engine writes to its output.
        Some(_) => e.of_client(),
        // As in podman, what was to be run does not matter.
        None => e.of_kind(Kind::Runtime),
    });
    match (started?, terminal) {
        (Some(mut connection), Some(terminal)) => {
            let followed = terminal.follow(&mut connection)?;
            match (followed.lost, followed.ended) {
                (Some(lost), _) => Err(lost),
                (None, Ended::Exited(code) | Ended::Left(code)) => Ok(ExitCode::from(code)),
                (None, Ended::Lost) => Err(Error::new(Kind::Runtime, "exec died; the exit code is lost")),
            }
        }
        // Docker says nothing.
        _ if super::dialect() == Dialect::Docker => Ok(ExitCode::SUCCESS),
        _ => ui::out(&format!("{}\n", exec.id())).map(|()| ExitCode::SUCCESS),
    }
}
