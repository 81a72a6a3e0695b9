//! Running another process in a container, in two steps: [`create`] validates it, [`Exec::start`] starts it.

use super::pause::refuse_paused;
use crate::container::ContainerId;
use crate::error::{Error, Kind, Result, phrases};
use crate::host::Caller;
use crate::plan::env::{self, EnvRequest};
use crate::runtime::connection::Connection;
use crate::runtime::exec::{self, ExecSpec};
use crate::spec::{ContainerSpec, UserSpec};
use crate::storage::Store;
use crate::storage::containers::{ContainerDir, Containers};
use std::path::PathBuf;

/// What to run; what is not said is the container's own.
#[derive(Debug, Clone, Default)]
pub struct ExecRequest {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// What is added to the environment.
    pub env: EnvRequest,
    /// User, or user and group, by name or number.
    pub user: Option<String>,
    /// Working directory, absolute.
    pub cwd: Option<PathBuf>,
    /// Allocate a terminal.
    pub tty: bool,
    /// Keep standard input open.
    pub stdin: bool,
    /// All capabilities and no seccomp filter.
    pub privileged: bool,
    /// Descriptors of the caller, from 3 on, that the process gets.
    pub preserve_fds: u32,
}

/// A process to be started.
#[derive(Debug)]
pub struct Exec<'a> {
    store: &'a Store,
    dir: &'a ContainerDir,
    container: ContainerSpec,
    spec: ExecSpec,
    id: ContainerId,
}

/// Makes a process for a container; nothing is started or written down.
///
/// # Errors
/// `Usage` for an empty command or a relative directory; `Conflict` when the container is paused; records that
/// cannot be read.
pub fn create<'a>(
    store: &'a Store,
    dir: &'a ContainerDir,
    request: ExecRequest,
    caller: &Caller,
) -> Result<Exec<'a>> {
    let ExecRequest { argv, env, user, cwd, tty, stdin, privileged, preserve_fds } = request;
    if argv.is_empty() {
        return Err(no_command());
    }
    refuse_paused(dir)?;
    dir.await_start();
    if !dir.status().is_live() {
        return Err(phrases::not_running_to_exec(&dir.called()).hint("See which containers run: coracle ps"));
    }
    let mut container = dir.spec()?;
    if let Some(env) = dir.changed()?.and_then(|changed| changed.env) {
        container.process.env = env;
    }
    let mut process = container.process.clone();
    process.env = env::layer(&env, &container.process.env, &caller.env, &container.hostname, tty);
    process.argv = argv;
    process.init = false;
    process.preserve_fds = preserve_fds;
    if let Some(user) = user {
        process.user = UserSpec { user, ..process.user };
        // The other user's home is not ours.
        process.env.retain(|e| !e.starts_with("HOME="));
    }
    if let Some(cwd) = cwd {
        if !cwd.is_absolute() {
            return Err(Error::new(
                Kind::Usage,
                format!("working directory {:?} is not absolute", cwd.display()),
            )
            .hint("Write it from the container's root, for example -w /srv."));
        }
        process.cwd = cwd;
    }
    let spec = ExecSpec { process, tty, stdin, privileged };
    Ok(Exec { store, dir, container, spec, id: Containers::new_id()? })
}

impl Exec<'_> {
    /// Its identifier.
    pub fn id(&self) -> &ContainerId {
        &self.id
    }

    /// Starts it. With `attach` the caller gets a connection to its streams, on which its exit code comes; else it
    /// runs detached.
    ///
    /// # Errors
    /// Those of [`exec::start`].
    pub fn start(&self, attach: bool) -> Result<Option<Connection>> {
        exec::start(self.store, self.dir, &self.container, &self.spec, &self.id, attach)
    }
}

/// The error for a command that was not given.
pub fn no_command() -> Error {
    phrases::no_command_to_exec()
        .hint("Name the container and the command, for example: coracle exec web ls /")
}
