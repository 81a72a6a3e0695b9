//! Listing containers.
//!
//! Theory of operation. There may be thousands of containers, so the default listing reads only their
//! summaries. The plan, the processes or the size of a container are read only if they are requested.

use super::find::list;
use super::selector::Filters;
use crate::container::{ContainerId, Status};
use crate::error::Result;
use crate::runtime::usage::written;
use crate::spec::{ContainerSpec, NetworkMode, PodNamespace};
use crate::storage::Store;
use crate::storage::containers::Summary;

/// Which containers.
#[derive(Debug, Default)]
pub struct ListRequest {
    /// Those that are not running, too.
    pub all: bool,
    /// The latest ones, this many, running or not.
    pub last: Option<usize>,
    /// Conditions that must hold.
    pub filters: Filters,
    /// What is read of each.
    pub detail: Detail,
}

/// What is read in addition to the summaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Detail {
    /// The plan.
    pub spec: bool,
    /// The first process and its namespaces.
    pub process: bool,
    /// What it takes on the disk.
    pub size: bool,
    /// Whether a running one was asked to stop.
    pub stopping: bool,
}

/// Namespaces of a container, as listings call them and as procfs does.
pub const NAMESPACES: [(&str, &str); 7] = [
    ("CGROUPNS", "cgroup"),
    ("IPC", "ipc"),
    ("MNT", "mnt"),
    ("NET", "net"),
    ("PIDNS", "pid"),
    ("USERNS", "user"),
    ("UTS", "uts"),
];

/// One container of a listing.
#[derive(Debug)]
pub struct Listed {
    /// What is always there.
    pub summary: Summary,
    /// Its plan.
    pub spec: Option<ContainerSpec>,
    /// Its first process; 0 when it is not running.
    pub pid: i32,
    /// The inode numbers of its namespaces, in the order of [`NAMESPACES`].
    pub namespaces: [String; 7],
    /// Bytes that it has written, and those with its image.
    pub size: Option<(u64, u64)>,
    /// It runs, and somebody has asked for its end.
    pub stopping: bool,
    /// The name of its pod, and whether it has the network of that.
    pub pod: Option<(String, bool)>,
    /// How often its restart policy has restarted it.
    pub restarts: u32,
}

/// Lists containers, the latest first.
///
/// # Errors
/// Containers that cannot be read.
pub fn listed(store: &Store, request: &ListRequest) -> Result<Vec<Listed>> {
    let mut found = request.filters.apply(store, list(store)?)?;
    let every = request.all || request.last.is_some() || request.filters.ask_status();
    found.retain(|summary| every || summary.status.is_active());
    if let Some(last) = request.last {
        found.truncate(last);
    }
    let in_pods = found.iter().any(|summary| summary.pod.is_some());
    let mut listed: Vec<Listed> =
        found.into_iter().map(|summary| read(store, summary, request.detail)).collect::<Result<_>>()?;
    if in_pods {
        name_pods(store, &mut listed)?;
    }
    Ok(listed)
}

fn read(store: &Store, summary: Summary, detail: Detail) -> Result<Listed> {
    let mut listed = Listed {
        summary,
        spec: None,
        pid: 0,
        namespaces: Default::default(),
        size: None,
        stopping: false,
        restarts: 0,
        pod: None,
    };
    let Detail { spec, process, size, stopping } = detail;
    let may_stop = stopping && listed.summary.status == Status::Running;
    if !spec && !process && !size && !may_stop {
        return Ok(listed);
    }
    // One that was removed meanwhile is shown as it was.
    let Ok(dir) = store.containers().open(&listed.summary.id) else { return Ok(listed) };
    listed.stopping = may_stop && dir.stop_asked() == Some(listed.summary.run);
    if spec || size {
        listed.spec = dir.spec().ok();
        if let Some(spec) = &mut listed.spec {
            dir.put_networks_into(spec);
        }
        listed.restarts = dir.run_record()?.map_or(0, |run| run.restarts);
    }
    if process && listed.summary.status.is_live() {
        let run = dir.run_record()?.filter(|run| run.open_init().is_some());
        listed.pid = run.map_or(0, |run| run.init.pid);
        let id = |kind: &str| {
            let link = std::fs::read_link(format!("/proc/{}/ns/{kind}", listed.pid)).ok()?;
            link.to_str()?.split(['[', ']']).nth(1).map(str::to_owned)
        };
        if listed.pid > 0 {
            listed.namespaces = NAMESPACES.map(|(_, kind)| id(kind).unwrap_or_default());
        }
    }
    if size {
        let written = written(store, &dir)?;
        let image = listed.spec.as_ref().and_then(|spec| spec.image.as_ref());
        let below = image.and_then(|image| image_size(store, image.id.as_str())).unwrap_or(0);
        listed.size = Some((written, written + below));
    }
    Ok(listed)
}

/// Adds the names of pods, and to those that share the network of a pod its published ports.
fn name_pods(store: &Store, listed: &mut [Listed]) -> Result<()> {
    let pods = store.pods().list()?;
    for one in listed {
        let Some(pod) = pods.iter().find(|pod| Some(&pod.id) == one.summary.pod.as_ref()) else { continue };
        let shares = pod.shares(PodNamespace::Net) && !one.summary.is_infra;
        one.pod = Some((pod.name.to_string(), shares));
        if let Some(infra) = pod.infra.as_deref().filter(|infra| shares && !infra.network.ports.is_empty())
            && one.summary.ports.is_empty()
            && is_in_network_of(store, &one.summary.id, &infra.id)
            && let Ok(infra) = store.containers().open(&infra.id)
        {
            one.summary.ports = infra.summary().ports;
        }
    }
    Ok(())
}

/// Whether a container of a pod has not asked for a network of its own.
fn is_in_network_of(store: &Store, id: &ContainerId, infra: &ContainerId) -> bool {
    let plan = store.containers().open(id).and_then(|dir| dir.spec());
    plan.is_ok_and(|plan| plan.network.mode == NetworkMode::Container(infra.to_string()))
}

fn image_size(store: &Store, id: &str) -> Option<u64> {
    let listed = store.images().listed(&id.parse().ok()?).ok()?;
    listed.map(|listed| listed.size)
}
