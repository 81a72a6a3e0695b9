//! A new container in a pod: which pod, and what it takes over from it.
//!
//! The namespaces that the pod shares are the infra container's, unless the caller chose others. What was given for the
//! pod as a whole, volumes, devices and security options, its containers have, too: what they ask for themselves goes
//! before it.

use super::create::{InfraRequest, PodRequest};
use crate::container::{Name, RestartPolicy};
use crate::engine::containers::id_file;
use crate::error::{Error, Kind, Result};
use crate::plan::Request;
use crate::plan::ids::IdsRequest;
use crate::plan::request::NetworkRequest;
use crate::plan::security::SecurityOpt;
use crate::spec::network::DnsSpec;
use crate::spec::{
    ContainerSpec, MountSource, NetworkMode, PodNamespace, PodPart, PodSpec, SeccompSpec, Share,
};
use crate::storage::Store;
use std::path::PathBuf;

/// The pod that a container is to be in.
#[derive(Debug)]
pub struct PodWish {
    /// Which one.
    pub pod: PodChoice,
    /// The namespaces that the caller has chosen itself, so they are not the pod's.
    pub chosen: Vec<PodNamespace>,
}

/// Which pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PodChoice {
    /// One that is there, by its name or id.
    Named(String),
    /// One that is made for it (`new:NAME`).
    New(Name),
    /// The one whose id is in a file.
    File(PathBuf),
}

/// The pod of a new container, found or about to be made.
#[derive(Debug)]
pub(in crate::engine) enum Joining {
    /// It is there.
    Found(Box<PodSpec>),
    /// It is to be made like this.
    New(Box<PodRequest>),
}

/// Finds the pod, or takes over what the container asks for that is a new pod's: the network, and the host name.
///
/// # Errors
/// `NotFound`; a file that cannot be read.
pub(in crate::engine) fn choose(store: &Store, wish: &PodWish, request: &mut Request) -> Result<Joining> {
    let name = match &wish.pod {
        PodChoice::Named(name) => name.clone(),
        PodChoice::File(path) => id_file::read_of_pod(path)?,
        PodChoice::New(name) => {
            let network = std::mem::take(&mut request.network);
            let mut infra = Request { network, files: request.files, ..Request::default() };
            infra.hostname = request.hostname.take();
            infra.ids = std::mem::take(&mut request.ids);
            return Ok(Joining::New(Box::new(PodRequest {
                name: Some(name.clone()),
                shared: PodNamespace::DEFAULT.to_vec(),
                share_parent: true,
                infra: Some(InfraRequest { name: None, request: infra, image: None }),
                create_command: request.create_command.clone(),
                ..PodRequest::default()
            })));
        }
    };
    store.pods().find(&name).map(|pod| Joining::Found(Box::new(pod)))
}

/// Has a container take over what its pod gives it.
///
/// # Errors
/// `Usage` for what only the pod can have.
pub(in crate::engine) fn join(pod: &PodSpec, chosen: &[PodNamespace], request: &mut Request) -> Result<()> {
    request.pod = Some(PodPart { id: pod.id.clone(), infra: false });
    if request.lifecycle.restart == RestartPolicy::default() && !request.lifecycle.auto_remove {
        request.lifecycle.restart = pod.restart;
    }
    let Some(infra) = pod.infra.as_deref() else { return Ok(()) };
    let shares = |namespace| pod.shares(namespace) && !chosen.contains(&namespace);
    let holder = infra.id.to_string();
    let spaces = &mut request.namespaces;
    for (namespace, of_pod, own) in [
        (PodNamespace::Pid, &infra.namespaces.pid, &mut spaces.pid),
        (PodNamespace::Ipc, &infra.namespaces.ipc, &mut spaces.ipc),
        (PodNamespace::Uts, &infra.namespaces.uts, &mut spaces.uts),
        (PodNamespace::Cgroup, &infra.namespaces.cgroup, &mut spaces.cgroup),
    ] {
        if shares(namespace) {
            *own = if *of_pod == Share::Host { Share::Host } else { Share::Container(holder.clone()) };
        }
    }
    if shares(PodNamespace::Uts) {
        if request.hostname.is_some() {
            return Err(only_pods(
                "cannot set hostname when joining the pod UTS namespace: invalid configuration",
                "--hostname",
            ));
        }
        request.shared_hostname = Some(infra.hostname.clone());
    }
    if shares(PodNamespace::Net) {
        join_network(infra, &holder, request)?;
    }
    let joins = request.namespaces.pid == Share::Container(holder.clone())
        || [&request.namespaces.ipc, &request.namespaces.uts, &request.namespaces.cgroup]
            .into_iter()
            .any(|share| *share == Share::Container(holder.clone()))
        || request.network.mode == NetworkMode::Container(holder);
    if joins {
        join_users(infra, request)?;
    }
    inherit(infra, request)
}

fn join_network(infra: &ContainerSpec, holder: &str, request: &mut Request) -> Result<()> {
    let shared = "network cannot be configured when it is shared with a pod";
    let asked = &request.network;
    if !asked.ports.is_empty() || asked.publish_all {
        return Err(only_pods(
            &format!("published or exposed ports must be defined when the pod is created: {shared}"),
            "-p",
        ));
    }
    if !asked.hosts.is_empty() {
        return Err(only_pods(
            &format!("extra host entries must be specified on the pod: {shared}"),
            "--add-host",
        ));
    }
    if asked.dns != DnsSpec::default() {
        return Err(only_pods(&format!("name servers must be specified on the pod: {shared}"), "--dns"));
    }
    request.network = NetworkRequest {
        mode: match infra.network.mode {
            NetworkMode::Host => NetworkMode::Host,
            _ => NetworkMode::Container(holder.to_owned()),
        },
        expose: std::mem::take(&mut request.network.expose),
        ..NetworkRequest::default()
    };
    Ok(())
}

/// Whose namespaces are shared has the ids, and with ids of its own also who runs in it.
fn join_users(infra: &ContainerSpec, request: &mut Request) -> Result<()> {
    if request.ids != IdsRequest::Same {
        return Err(Error::new(Kind::Usage, "--userns and --pod cannot be set together")
            .hint("Give the ids to the pod: coracle pod create --userns keep-id ..."));
    }
    if infra.ids.is_shifted() {
        request.ids = IdsRequest::Of(infra.ids.clone());
        let user = &infra.process.user.user;
        if request.process.user.is_none() && !user.is_empty() {
            request.process.user = Some(user.clone());
        }
    }
    Ok(())
}

/// What was given for the pod as a whole.
fn inherit(infra: &ContainerSpec, request: &mut Request) -> Result<()> {
    let given = infra.mounts.iter().filter(|mount| {
        matches!(
            mount.source,
            MountSource::Bind { .. } | MountSource::Volume { .. } | MountSource::Image { .. }
        )
    });
    // Once was enough.
    request
        .mounts
        .inherited
        .extend(given.cloned().map(|mount| crate::spec::MountSpec { chown: false, ..mount }));
    let own = |request: &Request, device: &crate::spec::DeviceSpec| {
        request.devices.iter().any(|other| other.inside == device.inside)
    };
    let devices: Vec<_> = infra.devices.iter().filter(|device| !own(request, device)).cloned().collect();
    request.devices.extend(devices);
    let security = &mut request.security;
    if security.privileged {
        return Ok(());
    }
    if security.seccomp.is_none() && infra.security.seccomp != SeccompSpec::Default {
        security.seccomp = Some(infra.security.seccomp.clone());
    }
    for text in &infra.asked.security_opt {
        match text.parse()? {
            SecurityOpt::NoNewPrivileges(on) => security.no_new_privileges |= on,
            SecurityOpt::Mask(paths) => security.mask.extend(paths),
            SecurityOpt::Unmask(patterns) => security.unmask.extend(patterns),
            SecurityOpt::UnmaskAll => security.unmask_all = true,
            SecurityOpt::ProcOptions(options) if security.proc_options.is_empty() => {
                security.proc_options = options;
            }
            _ => continue,
        }
        security.asked.push(text.clone());
    }
    Ok(())
}

fn only_pods(why: &str, option: &str) -> Error {
    Error::new(Kind::Usage, format!("invalid config provided: {why}"))
        .hint(format!("Give it to the pod when that is made: coracle pod create {option} ..."))
}
