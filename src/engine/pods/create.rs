//! Creating a pod.
//!
//! Theory of operation. Everything that can be refused is refused before anything changes; the order in which the
//! records are made is that of [`crate::storage::pods`]. The infra container is planned like any other container, by the
//! same code, with a first process that executes nothing.

use super::discard::{discard, record};
use super::removal::{PodRemoval, remove};
use crate::container::{Name, RestartPolicy};
use crate::engine::Engine;
use crate::engine::containers::{account_for, preflight, shared, sources};
use crate::engine::images::pull::{Message, Wanted};
use crate::error::{Context, Error, Kind, Result, Warning};
use crate::host::Caller;
use crate::plan::caps::CapArg;
use crate::plan::{Facts, Request, Resolved, check, resolve};
use crate::spec::pod::POD_VERSION;
use crate::spec::{ExitPolicy, NetworkMode, PodId, PodNamespace, PodPart, PodSpec, Resources};
use crate::storage::Store;
use crate::storage::containers::{Containers, pod_name_in_use};
use crate::storage::record::publish;
use crate::text::quoted;
use chrono::Utc;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What the infra container is called inside; nothing is executed.
const PAUSE: &str = "pause";

/// Longest host name in bytes (gethostname(2)).
const HOSTNAME_MAX: usize = 64;

/// A pod as it was asked for.
#[derive(Debug, Default)]
pub struct PodRequest {
    /// Its name; a random one by default.
    pub name: Option<Name>,
    /// The namespaces that its containers share.
    pub shared: Vec<PodNamespace>,
    /// What happens when the last of its containers has ended.
    pub exit_policy: ExitPolicy,
    /// The restart policy of its containers that ask for none.
    pub restart: RestartPolicy,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Its containers are in its cgroup.
    pub share_parent: bool,
    /// The cgroup below which its own is made.
    pub cgroup_parent: Option<String>,
    /// What its containers may use together.
    pub resources: Resources,
    /// The container that holds its namespaces; `None` where there are none to hold.
    pub infra: Option<InfraRequest>,
    /// A file for its id, absolute or relative to the caller's working directory.
    pub id_file: Option<PathBuf>,
    /// Another pod of its name is removed first.
    pub replace: bool,
    /// The command line.
    pub create_command: Vec<String>,
}

/// An infra container as it was asked for.
#[derive(Debug, Default)]
pub struct InfraRequest {
    /// Its name; made of the pod's id by default.
    pub name: Option<Name>,
    /// What it is like, as far as the pod does not say so.
    pub request: Request,
    /// Its image, and how to get it; `None` is an empty root.
    pub image: Option<(String, Wanted)>,
}

/// A pod that was planned or made.
#[derive(Debug)]
pub struct NewPod {
    /// What is stored.
    pub spec: PodSpec,
    /// Requests that had no effect.
    pub warnings: Vec<Warning>,
}

/// Creates a pod; `report` shows the progress of a pull.
///
/// # Errors
/// Anything that is wrong with the request, before anything changes; `Conflict` when a name is taken.
pub fn create(
    engine: Engine<'_>,
    request: PodRequest,
    caller: Caller,
    report: &mut dyn FnMut(Message),
) -> Result<NewPod> {
    let store = engine.store;
    let id_file = request.id_file.as_ref().map(|file| caller.cwd.join(file));
    if let Some(file) = &id_file {
        check_id_file(file)?;
    }
    let replaced = match (&request.name, request.replace) {
        (Some(name), true) => store.containers().pod_by_name(name).filter(|id| store.pods().exists(id)),
        (None, true) => {
            return Err(Error::new(Kind::Usage, "cannot replace pod without --name being set")
                .hint("Name the pod: coracle pod create --replace --name NAME"));
        }
        _ => None,
    };
    let mut made = plan(engine, request, caller, replaced.as_ref(), report)?;
    made.spec.id_file.clone_from(&id_file);
    if let Some(id) = &replaced {
        match remove(store, id, PodRemoval { force: true, seconds: None }) {
            Err(e) if e.kind() == Kind::NotFound => {}
            other => made.warnings.extend(other?),
        }
    }
    record(store, &made.spec)?;
    if let Some(file) = &id_file
        && let Err(error) = publish(file, made.spec.id.as_str().as_bytes())
    {
        discard(store, &made.spec);
        return Err(error);
    }
    Ok(made)
}

/// Plans a pod; nothing is changed, but for an image that is pulled. It may have the name of the pod `besides`.
///
/// # Errors
/// As [`create`].
pub(in crate::engine) fn plan(
    engine: Engine<'_>,
    request: PodRequest,
    caller: Caller,
    besides: Option<&PodId>,
    report: &mut dyn FnMut(Message),
) -> Result<NewPod> {
    let store = engine.store;
    let id = Containers::new_id()?;
    if let Some(name) = &request.name {
        check_name(store, name, besides)?;
    }
    let name = request.name.map_or_else(|| store.containers().unused_name(), Ok)?;
    let mut spec = PodSpec {
        version: POD_VERSION,
        id: id.clone(),
        name,
        created: Utc::now(),
        hostname: None,
        shared: request.shared,
        exit_policy: request.exit_policy,
        restart: request.restart,
        labels: request.labels,
        share_parent: request.share_parent,
        cgroup_parent: request.cgroup_parent,
        resources: request.resources,
        infra: None,
        id_file: None,
        create_command: request.create_command,
    };
    let mut warnings = Vec::new();
    if let Some(infra) = request.infra {
        spec.hostname.clone_from(&infra.request.hostname);
        let planned = plan_infra(engine, &spec, infra, caller, report)?;
        warnings = planned.warnings;
        spec.infra = Some(Box::new(planned.spec));
    } else {
        spec.shared.clear();
    }
    Ok(NewPod { spec, warnings })
}

fn plan_infra(
    engine: Engine<'_>,
    pod: &PodSpec,
    infra: InfraRequest,
    caller: Caller,
    report: &mut dyn FnMut(Message),
) -> Result<Resolved> {
    let store = engine.store;
    let InfraRequest { name, mut request, image } = infra;
    if matches!(request.network.mode, NetworkMode::Container(_)) {
        return Err(Error::new(Kind::Usage, "pods presently do not support network mode container")
            .hint("Put the containers on a network that both share: coracle pod create --network NAME ..."));
    }
    let name = match name {
        Some(name) => name,
        None => format!("{}-infra", pod.id.short()).parse()?,
    };
    request.name = Some(name.clone());
    request.pod = Some(PodPart { id: pod.id.clone(), infra: true });
    request.create_command.clone_from(&pod.create_command);
    request.labels.clone_from(&pod.labels);
    if request.hostname.is_none() && request.namespaces.uts == crate::spec::Share::Private {
        // The kernel takes no longer one.
        let name = Some(pod.name.as_str()).filter(|name| name.len() <= HOSTNAME_MAX);
        request.hostname = Some(name.unwrap_or(pod.id.short()).to_owned());
    }
    if image.is_none() {
        request.process.idle = true;
        request.process.command = vec![PAUSE.to_owned()];
        request.security.cap_drop = vec!["all".parse::<CapArg>()?];
        request.security.readonly_root = true;
    }
    let facts = Facts {
        id: Containers::new_id()?,
        spare_name: name,
        created: pod.created,
        caller,
        account: account_for(&request.ids)?,
    };
    engine.settle_network(&mut request.network.mode);
    shared::look_up(store, &mut request)?;
    sources::look_up(store, &mut request, &facts.caller)?;
    check(&request, &facts)?;
    preflight::check(store, &request, &facts.caller, None, false)?;
    let image = image.map(|(name, wanted)| engine.ensure(&name, &wanted, report)).transpose()?;
    resolve(request, image.as_ref(), &facts)
}

/// Refuses a name that something else has than the pod `besides`.
fn check_name(store: &Store, name: &Name, besides: Option<&PodId>) -> Result<()> {
    let of_pod = store.containers().pod_by_name(name).filter(|id| Some(id) != besides);
    if of_pod.is_some() && store.containers().is_name_of_pod(name)? {
        return Err(pod_name_in_use("adding pod to state: ", name));
    }
    Ok(())
}

fn check_id_file(file: &Path) -> Result<()> {
    let shown = file.display();
    if file.symlink_metadata().is_ok() {
        return Err(Error::new(
            Kind::Usage,
            format!("pod id file exists. Ensure another pod is not using it or delete {shown}"),
        )
        .hint(format!("Remove it if its pod no longer exists: rm {}", quoted(file))));
    }
    let dir = file.parent().unwrap_or(file);
    std::fs::metadata(dir)
        .context(Kind::Usage, || format!("--pod-id-file: {} cannot be used", dir.display()))
        .map_err(|e| e.hint(format!("Make it first: mkdir -p {}", quoted(dir))))
        .map(drop)
}
