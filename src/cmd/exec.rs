//! `coracle exec`.

use crate::cmd::options::request::look_beside;
use crate::error::{Context, Error, Kind, Result};
use crate::host::Env;
use crate::plan::env::{self, EnvArg, EnvRequest};
use crate::plan::keys::DetachKeys;
use crate::runtime::client::Attachment;
use crate::runtime::exec::{self, Done, ExecRequest};
use crate::spec::{ContainerSpec, UserSpec};
use crate::ui;
use std::path::{PathBuf, absolute};
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
    /// Set a variable; NAME alone passes the caller's value, PREFIX* all that begin with PREFIX
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<EnvArg>,
    /// Read variables from a file, one per line
    #[arg(long, value_name = "FILE", value_delimiter = ',')]
    pub env_file: Vec<PathBuf>,
    /// Keep standard input open
    #[arg(short, long)]
    pub interactive: bool,
    /// Read the container's id from this file; no name is given then
    #[arg(long, value_name = "FILE", conflicts_with = "latest")]
    pub cidfile: Option<PathBuf>,
    /// Keep no session in a database; there is none
    #[arg(long, hide = true)]
    pub no_session: bool,
    /// Use the latest container; no name is given then
    #[arg(short, long)]
    pub latest: bool,
    /// Pass this many file descriptors, from 3 on, to the process
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub preserve_fds: u32,
    /// Give the process all capabilities and no system call filter
    #[arg(long)]
    pub privileged: bool,
    /// Allocate a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// User, or user and group, by name or number
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub user: Option<String>,
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
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = super::store(env)?;
    let (dir, argv) = match (&args.cidfile, args.words.split_first()) {
        (Some(file), _) => {
            let context = || format!("--cidfile: cannot read {}", file.display());
            let text = std::fs::read_to_string(file).context(Kind::Usage, context)?;
            (store.containers().find(text.trim())?, args.words.as_slice())
        }
        _ if args.latest => (store.containers().latest()?, args.words.as_slice()),
        (None, Some((name, argv))) => (store.containers().find(name)?, argv),
        (None, None) => return Err(no_command()),
    };
    if argv.is_empty() {
        return Err(no_command());
    }
    let plan = dir.spec()?;
    let request = request(args, &plan, argv)?;
    let attachment = (!args.detach).then(|| Attachment {
        stdin: args.interactive,
        stdout: true,
        stderr: true,
        tty: args.tty,
        sig_proxy: false,
        detach_keys: args.detach_keys.0.clone(),
    });
    match exec::run(&store, &dir, &plan, request, attachment)? {
        Done::Exited(code) => Ok(ExitCode::from(code)),
        Done::Detached(id) => ui::out(&format!("{id}\n")).map(|()| ExitCode::SUCCESS),
    }
}

fn no_command() -> Error {
    Error::new(Kind::Usage, "no command was given")
        .hint("Name the container and the command, for example: coracle exec web ls /")
}

fn request(args: &Args, plan: &ContainerSpec, argv: &[String]) -> Result<ExecRequest> {
    let mut files = Vec::new();
    for path in &args.env_file {
        let doing = || format!("read environment file {}", path.display());
        let text = std::fs::read_to_string(path)
            .context(Kind::Usage, doing)
            .map_err(|e| e.hint(look_beside(&absolute(path).unwrap_or_default())))?;
        files.extend(env::parse_file(&text).context(Kind::Usage, doing)?);
    }
    let asked = EnvRequest { set: args.env.clone(), files, ..EnvRequest::default() };
    let caller: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let mut process = plan.process.clone();
    process.argv = argv.to_vec();
    process.env = env::layer(&asked, &plan.process.env, &caller, &plan.hostname, args.tty);
    process.init = false;
    process.preserve_fds = args.preserve_fds;
    if let Some(user) = &args.user {
        process.user = UserSpec { user: user.clone(), groups: Vec::new(), ..process.user };
        // The other user's home is not ours.
        process.env.retain(|e| !e.starts_with("HOME="));
    }
    if let Some(workdir) = &args.workdir {
        if !workdir.is_absolute() {
            return Err(Error::new(
                Kind::Usage,
                format!("working directory {:?} is not absolute", workdir.display()),
            )
            .hint("Write it from the container's root, for example -w /srv."));
        }
        process.cwd.clone_from(workdir);
    }
    Ok(ExecRequest { process, tty: args.tty, stdin: args.interactive, privileged: args.privileged })
}
