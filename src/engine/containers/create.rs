//! Creating a container: from a request to a plan, and from a plan to records.
//!
//! Theory of operation. Everything that can be refused is refused before anything changes. So the order is:
//! look up what the request names, pull, resolve, acquire the host resources if the container is to be started,
//! and only then write the records. With `replace`, the new container is first created under another name and
//! gets the requested name once the old container is gone, so a failure loses nothing.

use super::account::account_for;
use super::find::{find, holder};
use super::id_file::{Begun, IdFile};
use super::records::{discard, keep, record};
use super::start::start;
use super::{log_tag, preflight, shared, sources};
use crate::container::Name;
use crate::engine::Engine;
use crate::engine::images::pull::{Message, Wanted};
use crate::engine::pods::{self, Joining, PodChoice, PodWish};
use crate::error::{Kind, Result, Warning};
use crate::failpoint;
use crate::host::Caller;
use crate::netns;
use crate::plan::{Facts, Request, Resolved, check, resolve};
use crate::runtime::cgroup;
use crate::runtime::launch::{Prepared, prepare};
use crate::spec::{ContainerSpec, PodSpec};
use crate::storage::Store;
use crate::storage::containers::{ContainerDir, Containers};
use chrono::Utc;

/// Attempts to find a free name for a container that was given none.
const NAME_ATTEMPTS: u32 = 8;

/// What to create.
#[derive(Debug)]
pub struct CreateRequest {
    /// The requested container.
    pub request: Request,
    /// The image: its name, and how to get it. `None` with a root file system of the caller.
    pub image: Option<(String, Wanted)>,
    /// The pod that it is to be in.
    pub pod: Option<PodWish>,
    /// Containers that are started before it, by name.
    pub requires: Vec<String>,
    /// File to write the container's id to.
    pub cidfile: Option<IdFile>,
    /// Replace the container that has the name.
    pub replace: bool,
    /// Whether it is started right away; the host resources for that are then acquired before anything changes.
    pub start: bool,
}

/// A container that was made.
#[derive(Debug)]
pub struct Created {
    /// Its plan.
    pub spec: ContainerSpec,
    /// Its records.
    pub dir: ContainerDir,
    /// The resources for its start, if it is started right away.
    pub prepared: Option<Prepared>,
    /// Requests that had no effect.
    pub warnings: Vec<Warning>,
}

/// Creates a container for this caller; `report` shows the progress of a pull.
///
/// # Errors
/// Anything that is wrong with the request, before anything changes; a failed pull; resources for the start
/// that cannot be acquired.
pub fn create(
    engine: Engine<'_>,
    wanted: CreateRequest,
    caller: Caller,
    report: &mut dyn FnMut(Message),
) -> Result<Created> {
    let CreateRequest { mut request, image, pod, requires, cidfile, replace, start } = wanted;
    let store = engine.store;
    let cidfile = cidfile.map(|file| IdFile { path: caller.cwd.join(&file.path), ..file });
    for name in &requires {
        request.lifecycle.requires.push(find(store, name)?.id().clone());
    }
    let in_new_pod = matches!(&pod, Some(PodWish { pod: PodChoice::New(_), .. }));
    engine.settle_network(&mut request.network.mode);
    let pod = join_pod(engine, pod, &mut request, &caller, report)?;
    let facts = Facts {
        id: Containers::new_id()?,
        spare_name: match &request.name {
            Some(name) => name.clone(),
            None => store.containers().unused_name()?,
        },
        created: Utc::now(),
        caller,
        account: account_for(&request.ids)?,
    };
    sources::look_up(store, &mut request, &facts.caller)?;
    check(&request, &facts)?;
    preflight::check(store, &request, &facts.caller, cidfile.as_ref(), replace)?;
    if start && request.network.mode.carries_ports() {
        netns::check_protocols(&request.network.ports)?;
    }

    let image = image.map(|(name, wanted)| engine.ensure(&name, &wanted, report)).transpose()?;
    let named = request.name.is_some();
    let sockets = facts.caller.sockets.clone().filter(|_| start && request.process.preserve_fds == 0);
    if let Some(sockets) = &sockets {
        request.process.preserve_fds = sockets.count;
    }
    let missing = preflight::sources_to_make(&request, &facts.caller);
    let Resolved { mut spec, mut warnings } = resolve(request, image.as_ref(), &facts)?;
    if !start && cgroup::out_of_reach(&spec.limits.resources) {
        warnings.push(cgroup::IGNORED.into());
    }
    if spec.network.mode.is_accelerated() && !netns::swap::is_possible() {
        warnings.push("accelerate has no effect: the kernel cannot leave system calls to another process (seccomp user notification)".into());
    }
    log_tag::render(&mut spec)?;
    spec.asked.cidfile = cidfile.as_ref().map(|file| file.path.clone());
    spec.lifecycle.id_file = cidfile.as_ref().filter(|file| file.is_podmans).map(|file| file.path.clone());
    preflight::make_sources(&missing)?;
    let made_pod = if in_new_pod { pod.as_ref() } else { None };
    made_pod.map_or(Ok(()), |pod| pods::record(store, pod))?;
    let first_env = sockets.map(|sockets| sockets.variables()).unwrap_or_default();
    let how = Placing { pod: pod.as_ref(), cidfile: cidfile.as_ref(), named, replace, start, first_env };
    match place(store, &mut spec, how) {
        Ok((dir, prepared, more)) => {
            warnings.extend(more);
            Ok(Created { spec, dir, prepared, warnings })
        }
        Err(error) => {
            if let Some(pod) = made_pod {
                pods::discard(store, pod);
            }
            Err(error)
        }
    }
}

/// The pod of a container, which takes over what it gets from that. A new one is only planned.
fn join_pod(
    engine: Engine<'_>,
    wish: Option<PodWish>,
    request: &mut Request,
    caller: &Caller,
    report: &mut dyn FnMut(Message),
) -> Result<Option<PodSpec>> {
    let joining = wish.as_ref().map(|wish| pods::choose(engine.store, wish, request)).transpose()?;
    shared::look_up(engine.store, request)?;
    let (Some(joining), Some(wish)) = (joining, wish) else { return Ok(None) };
    let pod = match joining {
        Joining::Found(pod) => *pod,
        Joining::New(wanted) => pods::plan(engine, *wanted, caller.clone(), None, report)?.spec,
    };
    pods::join(&pod, &wish.chosen, request)?;
    Ok(Some(pod))
}

/// How a planned container gets its place.
struct Placing<'a> {
    pod: Option<&'a PodSpec>,
    cidfile: Option<&'a IdFile>,
    named: bool,
    replace: bool,
    start: bool,
    /// What only the first run has in its environment.
    first_env: Vec<String>,
}

/// The last steps, which change something: the resources for the start, and the records.
fn place(
    store: &Store,
    spec: &mut ContainerSpec,
    how: Placing<'_>,
) -> Result<(ContainerDir, Option<Prepared>, Vec<Warning>)> {
    let mut warnings = Vec::new();
    let infra = how.pod.map(|pod| pods::ensure_infra(store, pod)).transpose()?.flatten();
    if how.start
        && let Some(infra) = infra
    {
        warnings.extend(start(store, &infra, None)?.warnings);
    }
    let holder = if how.replace { holder(store, &spec.name) } else { None };
    let prepared = match (how.start, &holder) {
        (false, _) => None,
        (true, None) => Some(prepare(store, spec)?),
        (true, Some(holder)) => Some(prepare_beside(store, spec, holder)?),
    };
    let prepared = prepared.map(|mut prepared: Prepared| {
        prepared.extras.first_env = how.first_env;
        prepared
    });
    let id_file = how.cidfile.map(|file| file.begin(spec)).transpose()?;
    // It is not removed before it is seen to have one container more.
    let held = how.pod.map(|pod| store.pods().hold(pod)).transpose();
    let made = held.and_then(|_held| match &holder {
        None => make(store, spec, how.named),
        Some(holder) => replace_holder(store, spec, holder),
    });
    match made {
        Ok(dir) => {
            log::debug!(
                "container {} was created: {} in {}",
                spec.id.short(),
                spec.name,
                dir.path().display()
            );
            if let Some(Err(error)) = id_file.map(Begun::finish) {
                warnings.push(format!("the container's id is not in the file asked for: {error}").into());
            }
            // A start does that in parallel.
            if !how.start && !spec.lifecycle.auto_remove {
                keep(store, &dir, spec)?;
            }
            Ok((dir, prepared, warnings))
        }
        Err(error) => {
            if let Some(file) = id_file {
                file.abandon();
            }
            Err(error)
        }
    }
}

/// Prepares the start of a container that replaces another. If that one has the ports, it is stopped, and
/// started again if that does not help.
fn prepare_beside(store: &Store, plan: &ContainerSpec, holder: &ContainerDir) -> Result<Prepared> {
    let refused = match prepare(store, plan) {
        Err(error) if error.kind() == Kind::Network && holder.status().is_active() => error,
        other => return other,
    };
    let ports = |dir: &ContainerDir| dir.summary().ports.into_iter().map(|port| port.host_port);
    if !ports(holder).any(|taken| plan.network.ports.iter().any(|port| port.host_port == taken)) {
        return Err(refused);
    }
    preflight::stop_holder(store, holder)?;
    prepare(store, plan).inspect_err(|_| {
        if let Err(error) = start(store, holder, None) {
            log::warn!("container {} stays stopped: {}", holder.id().short(), error.in_one_line());
        }
    })
}

/// Makes the records of a container that takes another's place, and removes that one.
fn replace_holder(store: &Store, plan: &ContainerSpec, holder: &ContainerDir) -> Result<ContainerDir> {
    let dir = recorded(store, plan, &store.containers().unused_name()?)?;
    let name = &plan.name;
    let replaced =
        preflight::remove_holder(store, holder).and_then(|()| store.containers().rename(&dir, name));
    match replaced {
        Ok(_) => Ok(dir),
        Err(error) => {
            discard(store, &dir);
            Err(error)
        }
    }
}

/// Makes the records of a container whose plan is a copy of another's.
///
/// # Errors
/// `Conflict` when the name is taken; when the file system refuses.
pub(super) fn copied(store: &Store, spec: &mut ContainerSpec) -> Result<ContainerDir> {
    make(store, spec, true)
}

/// Makes the container's records. If a generated name was taken in the meantime, another one is generated.
fn make(store: &Store, plan: &mut ContainerSpec, named: bool) -> Result<ContainerDir> {
    let mut attempt = 0;
    loop {
        match recorded(store, plan, &plan.name) {
            Err(e) if e.kind() == Kind::Conflict && !named && attempt < NAME_ATTEMPTS => {
                attempt += 1;
                plan.name = store.containers().unused_name()?;
            }
            other => return other,
        }
    }
}

/// Makes the records of a container under this name, whatever its plan calls it.
///
/// # Errors
/// `Conflict` when the name is taken; when the file system refuses.
pub(super) fn recorded(store: &Store, plan: &ContainerSpec, name: &Name) -> Result<ContainerDir> {
    // From here on the image is seen to be in use.
    let _lock = store.shared()?;
    let made = record(store, plan, name);
    failpoint::reach("create.recorded");
    made
}
