//! What is known about a container, and how both documents write it.

use super::time::{NEVER, time};
use crate::container::ids::{Extent, IdMaps};
use crate::container::{ExitRecord, Signal, Status};
use crate::spec::{ContainerSpec, LogDriver, NetworkMode, Resources, RootSpec, Share};
use crate::storage::Store;
use crate::storage::containers::{ContainerDir, ExecRecord, LOST_EXIT_CODE, RunRecord, Summary};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// What is known about a container.
pub(super) struct Facts<'a> {
    pub(super) store: &'a Store,
    pub(super) dir: &'a ContainerDir,
    pub(super) plan: ContainerSpec,
    pub(super) summary: Summary,
    /// The latest run.
    pub(super) run: Option<RunRecord>,
    /// How the latest run ended, if it did.
    pub(super) exit: Option<ExitRecord>,
    /// Processes of `exec` in this run.
    pub(super) execs: Vec<ExecRecord>,
    /// The limits in force.
    pub(super) limits: Resources,
    /// Bytes that it has written, and those with its image, where that was asked.
    pub(super) size: Option<(u64, u64)>,
}

impl Facts<'_> {
    /// Whether somebody has asked for the end of the latest run.
    pub(super) fn stop_asked(&self) -> bool {
        self.run.as_ref().is_some_and(|run| self.dir.stop_asked() == Some(run.run))
    }

    pub(super) fn pid(&self) -> i32 {
        self.live().map_or(0, |run| run.init.pid)
    }

    /// The run that is going on.
    pub(super) fn live(&self) -> Option<&RunRecord> {
        self.run.as_ref().filter(|_| self.summary.status.is_live())
    }

    pub(super) fn exit_code(&self) -> u8 {
        let lost = if self.summary.status == Status::Crashed { LOST_EXIT_CODE } else { 0 };
        self.exit.as_ref().map_or(lost, |exit| exit.code)
    }

    pub(super) fn oom_killed(&self) -> bool {
        self.exit.as_ref().is_some_and(|exit| exit.oom_killed)
    }

    pub(super) fn error(&self) -> String {
        self.exit.as_ref().and_then(|exit| exit.error.clone()).unwrap_or_default()
    }

    pub(super) fn started(&self) -> String {
        self.summary.started.map_or(NEVER.to_owned(), time)
    }

    pub(super) fn finished(&self) -> String {
        self.summary.finished.map_or(NEVER.to_owned(), time)
    }

    pub(super) fn restarts(&self) -> u32 {
        self.run.as_ref().map_or(0, |run| run.restarts)
    }

    /// By its usual name.
    pub(super) fn stop_signal(&self) -> Signal {
        self.plan.lifecycle.stop_signal.to_string().parse().unwrap_or(Signal::TERM)
    }

    pub(super) fn log_path(&self) -> String {
        let log = &self.plan.io.log;
        match (log.driver, &log.path) {
            (LogDriver::K8sFile | LogDriver::JsonFile, None) => shown_path(Some(&self.dir.log_path())),
            (LogDriver::K8sFile | LogDriver::JsonFile, path) => shown_path(path.as_deref()),
            _ => String::new(),
        }
    }

    /// Where its layers are; the uppermost first, as the kernel wants them.
    pub(super) fn graph_data(&self) -> Map<String, Value> {
        let mut data = Map::new();
        if let RootSpec::Layers(layers) = &self.plan.root {
            let path = |layer| Some(shown_path(Some(&self.store.layers().path(layer).ok()?)));
            let lower: Vec<String> = layers.iter().rev().filter_map(path).collect();
            data.insert("LowerDir".into(), lower.join(":").into());
        }
        data.insert("UpperDir".into(), shown_path(Some(&self.dir.upper())).into());
        data.insert("WorkDir".into(), shown_path(Some(&self.dir.work())).into());
        if self.summary.status.is_live() {
            data.insert("MergedDir".into(), shown_path(Some(&self.dir.merged())).into());
        }
        data
    }

    /// Ports that are exposed, published ones included.
    pub(super) fn exposed(&self) -> Map<String, Value> {
        let published = self.plan.network.ports.iter();
        let published = published.map(|port| format!("{}/{}", port.container_port, port.protocol));
        let all = self.plan.asked.exposed_ports.iter().cloned().chain(published);
        all.map(|port| (port, Value::Object(Map::new()))).collect()
    }

    /// Extra lines of `/etc/hosts` as `--add-host` takes them.
    pub(super) fn extra_hosts(&self) -> Vec<String> {
        let hosts = self.plan.network.hosts.iter().map(|entry| {
            let address = entry.address.map_or("host-gateway".to_owned(), |address| address.to_string());
            format!("{}:{address}", entry.name)
        });
        hosts.collect()
    }
}

pub(super) fn shown_path(path: Option<&Path>) -> String {
    path.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default()
}

pub(super) fn shown_paths(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|path| shown_path(Some(path))).collect()
}

pub(super) fn dependencies(plan: &ContainerSpec) -> Vec<String> {
    let ns = &plan.namespaces;
    let shared =
        [&ns.pid, &ns.ipc, &ns.uts, &ns.cgroup, &ns.user].into_iter().filter_map(|share| match share {
            Share::Container(id) => Some(id.clone()),
            _ => None,
        });
    let mut ids: Vec<String> = shared.collect();
    if let NetworkMode::Container(id) = &plan.network.mode {
        ids.push(id.clone());
    }
    ids.sort();
    ids.dedup();
    ids
}

/// The usual user namespace has no name.
pub(super) fn user_mode(plan: &ContainerSpec) -> String {
    match &plan.namespaces.user {
        Share::Private if plan.ids.is_shifted() => "private".to_owned(),
        Share::Private => String::new(),
        share => share.to_string(),
    }
}

/// As podman writes them: `INSIDE:OUTSIDE:COUNT`, where the user is 0 outside.
pub(super) fn id_lines(ids: &IdMaps) -> (Vec<String>, Vec<String>) {
    let lines = |extents: &[Extent]| -> Vec<String> {
        extents.iter().map(|e| format!("{}:{}:{}", e.inside, e.outside, e.count)).collect()
    };
    (lines(&ids.uids), lines(&ids.gids))
}

/// A limit of setrlimit(2), -1 for none.
pub(super) fn limit(number: u64) -> i64 {
    if number == u64::MAX { -1 } else { i64::try_from(number).unwrap_or(i64::MAX) }
}
