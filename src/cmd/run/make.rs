//! Making a container, for every verb that does: from options to a plan, and from a plan to its records.
//!
//! Theory of operation. Everything that can be refused is refused before anything changes, so the order is:
//! look at the options, look at what they name, pull, resolve; with a start to follow, get what it needs
//! of the host; then make the records. With `--replace` the new container is made under a name of its own
//! first and gets the wanted one when the old container is gone: until then nothing is lost.

use super::args::ContainerArgs;
use super::request::Origin;
use super::{before, joins, logging, sources, spaces};
use crate::cmd::pull;
use crate::container::Name;
use crate::engine::containers;
pub(in crate::cmd) use crate::engine::containers::discard;
use crate::error::{Context, Kind, Result};
use crate::failpoint;
use crate::host::{self, Env};
use crate::plan::ids::{Account, IdsRequest};
use crate::plan::{Facts, check, resolve};
use crate::runtime::launch;
use crate::runtime::launch::Prepared;
use crate::spec::ContainerSpec;
use crate::storage::Store;
use crate::storage::containers::{ContainerDir, Containers};
use crate::userns;
use chrono::Utc;
use std::io::Write;
use std::path::Path;

/// Attempts to find a free name for a container that was given none.
const NAME_ATTEMPTS: u32 = 8;

/// What a verb wants made.
#[derive(Debug)]
pub(in crate::cmd) struct Wish {
    /// Its options.
    pub(in crate::cmd) container: ContainerArgs,
    /// Image, command and arguments.
    pub(in crate::cmd) words: Vec<String>,
    /// `--preserve-fds`.
    pub(in crate::cmd) preserve_fds: u32,
    /// Somebody will attach to standard input.
    pub(in crate::cmd) stdin: bool,
}

/// A container that was made.
#[derive(Debug)]
pub(in crate::cmd) struct Made {
    pub(in crate::cmd) store: Store,
    pub(in crate::cmd) plan: ContainerSpec,
    pub(in crate::cmd) dir: ContainerDir,
    /// What its start needs, when it is to be started at once.
    pub(in crate::cmd) prepared: Option<Prepared>,
}

/// Makes a container; with `start` its start is prepared too.
///
/// # Errors
/// Anything that is wrong with the options, before anything changes; a failed pull; what the start would
/// need and cannot have.
pub(in crate::cmd) fn make(wish: Wish, start: bool, env: &Env) -> Result<Made> {
    let Wish { container, words, preserve_fds, stdin } = wish;
    let mut words = words.into_iter();
    let first = words.next().unwrap_or_default();
    let origin = container.origin(&first)?;
    let caller = host::caller()?;
    let image_args = (container.image.pull, container.image.source.clone(), container.image.quiet);
    let cidfile = container.identity.cidfile.as_ref().map(|file| caller.cwd.join(file));
    let replace = container.identity.replace;
    let requires = container.lifecycle.requires.clone();
    let command_line = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let mut request = container.into_request(&origin, words.collect(), &caller, command_line)?;
    request.process.preserve_fds = preserve_fds;
    // Attaching to standard input is asking for it to be open.
    request.stdin |= stdin;

    let store = crate::cmd::store(env)?;
    for name in &requires {
        request.lifecycle.requires.push(containers::find(&store, name)?.id().clone());
    }
    let facts = Facts {
        id: Containers::new_id()?,
        spare_name: match &request.name {
            Some(name) => name.clone(),
            None => store.containers().unused_name()?,
        },
        created: Utc::now(),
        caller,
        // Read only where it counts.
        account: if request.ids == IdsRequest::Same { Account::default() } else { own_account()? },
    };
    joins::look_up(&store, &mut request)?;
    sources::look_up(&store, &mut request, &facts.caller)?;
    check(&request, &facts)?;
    before::check(&store, &request, &facts.caller, cidfile.as_deref(), replace)?;

    let image = match &origin {
        Origin::Image(text) => {
            let (policy, source, quiet) = &image_args;
            Some(pull::ensure_image(env, &store, text, *policy, source, *quiet)?)
        }
        Origin::Rootfs(_) => None,
    };
    let named = request.name.is_some();
    let mut plan = resolve(request, image.as_ref(), &facts)?;
    logging::render_tag(&mut plan)?;
    plan.asked.cidfile.clone_from(&cidfile);
    let holder = if replace { containers::holder(&store, &plan.name) } else { None };
    let prepared = match (start, &holder) {
        (false, _) => None,
        (true, None) => Some(launch::prepare(&store, &plan)?),
        (true, Some(holder)) => Some(prepare_beside(&store, &plan, holder)?),
    };
    if let Some(file) = &cidfile {
        write_id(file, &plan)?;
    }
    let made = match &holder {
        None => create(&store, &mut plan, named),
        Some(holder) => replace_holder(&store, &plan, holder),
    };
    match made {
        Ok(dir) => {
            log::debug!("container {} is made: {} in {}", plan.id.short(), plan.name, dir.path().display());
            Ok(Made { store, plan, dir, prepared })
        }
        Err(error) => {
            // Ours, and of a container that is not.
            cidfile.map(std::fs::remove_file);
            Err(error)
        }
    }
}

/// Prepares the start of a container that is to take another's place. Where that one has the ports, it
/// is stopped for them, and started again when that does not help.
fn prepare_beside(store: &Store, plan: &ContainerSpec, holder: &ContainerDir) -> Result<Prepared> {
    let refused = match launch::prepare(store, plan) {
        Err(error) if error.kind() == Kind::Network && holder.status().is_active() => error,
        other => return other,
    };
    let ports = |dir: &ContainerDir| dir.summary().ports.into_iter().map(|port| port.host_port);
    if !ports(holder).any(|taken| plan.network.ports.iter().any(|port| port.host_port == taken)) {
        return Err(refused);
    }
    before::stop_holder(store, holder)?;
    launch::prepare(store, plan).inspect_err(|_| {
        if let Err(error) = containers::start::start(store, holder, None) {
            log::warn!("container {} stays stopped: {error}", holder.id().short());
        }
    })
}

/// Makes the records of a container that takes another's place, and removes that one.
fn replace_holder(store: &Store, plan: &ContainerSpec, holder: &ContainerDir) -> Result<ContainerDir> {
    let dir = record(store, plan, &store.containers().unused_name()?)?;
    let name = &plan.name;
    let replaced = before::remove_holder(store, holder).and_then(|()| store.containers().rename(&dir, name));
    match replaced {
        Ok(_) => Ok(dir),
        Err(error) => {
            discard(store, &dir);
            Err(error)
        }
    }
}

/// Makes the container's records. A name of our choosing that was taken meanwhile is chosen again.
pub(in crate::cmd) fn create(store: &Store, plan: &mut ContainerSpec, named: bool) -> Result<ContainerDir> {
    let mut attempt = 0;
    loop {
        match record(store, plan, &plan.name) {
            Err(e) if e.kind() == Kind::Conflict && !named && attempt < NAME_ATTEMPTS => {
                attempt += 1;
                plan.name = store.containers().unused_name()?;
            }
            other => return other,
        }
    }
}

fn record(store: &Store, plan: &ContainerSpec, name: &Name) -> Result<ContainerDir> {
    // From here on the image cannot be removed without its container being seen.
    let _lock = store.shared()?;
    let made = containers::record(store, plan, name);
    failpoint::reach("create.recorded");
    made
}

/// The user's own account.
fn own_account() -> Result<Account> {
    let ids = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    // An account of a directory has no entry that could be read here.
    let entry = spaces::account(&ids.0.to_string()).ok();
    Ok(Account { available: userns::available()?, ids, entry })
}

/// Writes the id to a new file.
fn write_id(path: &Path, plan: &ContainerSpec) -> Result<()> {
    let context = || format!("cannot write the container's id to {}", path.display());
    let mut file = std::fs::File::create_new(path).context(Kind::Usage, context)?;
    file.write_all(plan.id.as_str().as_bytes()).context(Kind::Usage, context)
}
