//! The container of a step: planned, its mounts made, started.

use super::command::{SCRIPTS, Work};
use super::mounts::{self, Held};
use crate::build::job::Job;
use crate::build::state::State;
use crate::engine::containers;
use crate::error::{Context as _, Error, Kind, Result};
use crate::image::{Digest, Image};
use crate::plan::env::{EnvArg, EnvRequest};
use crate::plan::ids::Account;
use crate::plan::mount::inherit::ImageVolumes;
use crate::plan::process::Entrypoint;
use crate::plan::request::ProcessRequest;
use crate::plan::{Facts, Request, resolve};
use crate::runtime::connection::Connection;
use crate::runtime::launch::{Extras, launch, prepare};
use crate::runtime::secrets::SecretFile;
use crate::spec::{ContainerSpec, FilesSpec, LogDriver, LogSpec};
use crate::storage::Scratch;
use crate::storage::containers::Containers;
use crate::sys::process::pidfd_open;
use chrono::Utc;
use nix::unistd::getpid;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What a container is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Streams {
    /// It runs the step's command, which has no input.
    Output,
    /// It runs a shell with these streams.
    Input,
    /// It runs a shell on a terminal.
    Terminal,
}

impl Streams {
    /// What is executed: the step's command, or the stage's shell in its place.
    fn argv(self, state: &State, work: &Work) -> Vec<String> {
        match self {
            Streams::Output => work.argv.clone(),
            Streams::Input | Streams::Terminal => {
                let mut shell = state.shell();
                // It takes the command after this.
                if shell.len() > 1 {
                    shell.pop();
                }
                shell
            }
        }
    }
}

/// A container of a step that runs.
#[derive(Debug)]
pub(super) struct Running {
    /// The connection to it.
    pub(super) connection: Connection,
    /// What it changes.
    pub(super) changes: Scratch,
    /// Paths that were made only to be mounted on.
    pub(super) stubs: Vec<Vec<u8>>,
    _held: Held,
    _records: Scratch,
}

/// Starts the container of a step, over what the stage had come to before.
///
/// # Errors
/// When it cannot be started.
pub(super) fn start(job: &Job<'_>, state: &State, work: &Work, streams: Streams) -> Result<Running> {
    let store = job.store();
    let changes = store.layers().workshop(&[])?;
    let records = store.scratch()?;
    let steps = store.with_containers_in(&records);
    let mut spec = spec(job, state, work, streams)?;
    let mut extras = Extras { changes: Some(changes.path().to_owned()), ..Extras::default() };
    extras.lives_with = Some(pidfd_open(getpid()).context(Kind::Runtime, || "watch this process")?);
    extras.env = job.proxies();
    extras.files.extend(work.script.iter().map(|(name, content)| SecretFile {
        path: Path::new(SCRIPTS).join(name),
        value: content.clone().into_bytes(),
        uid: None,
        gid: None,
        mode: 0o755,
    }));
    let held = mounts::mount(job, &work.mounts, &mut spec, &mut extras)?;
    let files: Vec<PathBuf> = extras.files.iter().map(|file| file.path.clone()).collect();
    let mut prepared = prepare(&steps, &spec)?;
    prepared.extras = extras;
    let dir = steps.containers().create(&spec.id, &spec.name, &spec)?;
    let launched = launch(&steps, &dir, &spec, prepared, true)?;
    let Some(connection) = launched.connection else {
        return Err(Error::new(Kind::Runtime, "the step's container has no connection"));
    };
    Ok(Running { connection, changes, stubs: stubs(&spec, &files), _held: held, _records: records })
}

/// The plan of the container.
fn spec(job: &Job<'_>, state: &State, work: &Work, streams: Streams) -> Result<ContainerSpec> {
    let asked = &job.request.run;
    let arguments = state.visible_arguments();
    let set = arguments.iter().map(|(name, value)| EnvArg::Set((*name).to_owned(), (*value).to_owned()));
    let mut request = Request {
        process: ProcessRequest {
            entrypoint: Some(Entrypoint(Vec::new())),
            command: streams.argv(state, work),
            groups: asked.groups.clone(),
            // The caller's proxies are among the extras: a plan is written down.
            env: EnvRequest {
                proxy: false,
                set: asked.proxies.set.iter().cloned().chain(set).collect(),
                ..asked.proxies.clone()
            },
            ..ProcessRequest::default()
        },
        devices: asked.devices.clone(),
        security: asked.security.clone(),
        files: FilesSpec { hosts: !asked.no_hosts, hostname: !asked.no_hostname, ..FilesSpec::default() },
        log: LogSpec { driver: LogDriver::None, ..LogSpec::default() },
        stdin: streams != Streams::Output,
        tty: streams == Streams::Terminal,
        ..Request::default()
    };
    request.network.mode = work.network.clone().unwrap_or_default();
    request.network.dns = asked.dns.clone();
    request.network.hosts = asked.hosts.clone();
    request.mounts.list = asked.mounts.clone();
    request.mounts.image_volumes = ImageVolumes::Ignore;
    request.mounts.shm_size = asked.shm_size;
    request.limits.ulimits = asked.ulimits.clone();
    request.limits.resources = asked.resources.clone();
    request.limits.cgroup_parent = asked.cgroup_parent.clone();
    request.lifecycle.auto_remove = true;
    containers::look_up(job.store(), &mut request, job.caller)?;
    let id = Containers::new_id()?;
    let facts = Facts {
        spare_name: format!("build-{}", id.short()).parse()?,
        id,
        created: Utc::now(),
        caller: job.caller.clone(),
        account: Account::default(),
    };
    let mut image = image(state);
    image.config.config.healthcheck = None;
    let mut spec = resolve(request, Some(&image), &facts)?.spec;
    // Its files are those of no image.
    spec.image = None;
    Ok(spec)
}

/// The stage as an image, for the plan.
fn image(state: &State) -> Image {
    let nobody = state.base.clone().unwrap_or_else(|| Digest::sha256_of(b""));
    Image {
        id: nobody.clone(),
        manifest: nobody,
        reference: None,
        layers: state.chain(),
        config: state.config.clone(),
    }
}

/// Paths that are made only to be mounted on, where the image has nothing there.
fn stubs(spec: &ContainerSpec, extras: &[PathBuf]) -> Vec<Vec<u8>> {
    let relative = |path: &Path| {
        path.as_os_str().as_bytes().trim_ascii_start().strip_prefix(b"/").unwrap_or_default().to_vec()
    };
    let mounted = spec.mounts.iter().map(|mount| relative(&mount.destination));
    mounted.chain(extras.iter().map(|path| relative(path))).collect()
}
