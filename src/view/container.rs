//! A container in a listing.

use super::Dialect;
use super::dialect::short_image_name;
use super::network;
use super::ports::{both_families, exposed_port, merged, ports};
use crate::container::Status;
use crate::engine::containers::listing::{Listed, NAMESPACES};
use crate::spec::health::Health;
use crate::spec::{MountSource, NetworkMode};
use crate::storage::containers::{LOST_EXIT_CODE, PortRecord, Summary};
use crate::text::{Differs, Document, time, units};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

/// Go's zero time in seconds since 1970, which means never.
const NEVER: i64 = -62_135_596_800;

/// A container of a listing, and how it is shown.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The container.
    pub of: &'a Listed,
    /// Ids and commands are not shortened.
    pub whole: bool,
}

impl Row<'_> {
    /// Its id.
    pub fn id(&self) -> String {
        if self.whole { self.of.summary.id.to_string() } else { self.of.summary.id.short().to_owned() }
    }

    /// The id of its pod.
    fn pod_id(&self) -> &str {
        match &self.of.summary.pod {
            Some(pod) if self.whole => pod.as_str(),
            Some(pod) => pod.short(),
            None => "",
        }
    }

    /// The name of its pod.
    fn pod_name(&self) -> &str {
        self.of.pod.as_ref().map_or("", |(name, _)| name)
    }

    fn image_id(&self) -> String {
        let full =
            self.of.spec.as_ref().and_then(|plan| plan.image.as_ref()).map(|image| image.id.hex().to_owned());
        let id = full.unwrap_or_else(|| self.of.summary.image_id.clone());
        if self.whole { id } else { id.get(..12).unwrap_or(&id).to_owned() }
    }

    fn command(&self) -> String {
        let command = &self.of.summary.command;
        match command.char_indices().nth(17) {
            Some((end, _)) if !self.whole => format!("{}...", &command[..end]),
            _ => command.clone(),
        }
    }

    fn size(&self) -> String {
        let shown = |(written, all)| format!("{} (virtual {})", units::size(written), units::size(all));
        self.of.size.map(shown).unwrap_or_default()
    }

    /// How it stands, in podman's word.
    fn state(&self) -> &'static str {
        if self.of.stopping { "stopping" } else { self.of.summary.status.as_str() }
    }

    /// How it stands, in podman's words.
    fn status(&self) -> String {
        if self.of.stopping { "Stopping".to_owned() } else { status(&self.of.summary, Dialect::Podman) }
    }

    /// Published ports, and exposed ones where the plan was read.
    fn ports(&self, dialect: Dialect) -> String {
        let summary = &self.of.summary;
        let exposed = self.of.spec.iter().flat_map(|plan| &plan.asked.exposed_ports);
        let exposed = exposed.filter_map(|port| exposed_port(port));
        let published = |port: &PortRecord| {
            let same = |other: &PortRecord| {
                (other.container_port, other.protocol) == (port.container_port, port.protocol)
            };
            summary.ports.iter().any(same)
        };
        let exposed: Vec<PortRecord> = exposed.filter(|port| !published(port)).collect();
        match dialect {
            Dialect::Docker => ports(&[both_families(&summary.ports), exposed].concat()),
            // Podman's come last.
            Dialect::Podman => {
                let all = [ports(&summary.ports), ports(&exposed)];
                all.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join(", ")
            }
        }
    }

    fn mounts(&self) -> Vec<String> {
        let mounts = self.of.spec.iter().flat_map(|plan| &plan.mounts);
        mounts
            .filter(|mount| {
                matches!(
                    mount.source,
                    MountSource::Bind { .. } | MountSource::Volume { .. } | MountSource::Image { .. }
                )
            })
            .map(|mount| mount.destination.to_string_lossy().into_owned())
            .collect()
    }

    /// The networks that it is on; the mode where it shares none with others.
    fn networks(&self, dialect: Dialect) -> Vec<String> {
        match self.of.spec.as_ref().map(|plan| &plan.network.mode) {
            Some(NetworkMode::Bridge(all)) => {
                all.iter().map(|one| network::name(&one.network, dialect).to_owned()).collect()
            }
            Some(mode) => vec![mode.to_string()],
            None => Vec::new(),
        }
    }

    /// What the default table shows, and no more: it may have thousands of rows.
    pub fn table_fields(&self) -> Value {
        let s = &self.of.summary;
        json!({
            "ID": self.id(),
            "Image": s.image,
            "Command": self.command(),
            "RunningFor": time::ago(s.created),
            "Status": self.status(),
            "Ports": ports(&s.ports),
            "Names": s.name,
            "Size": self.size(),
            "Pod": self.pod_id(),
            "PodName": self.pod_name(),
        })
    }

    /// What a template may name; docker's JSON is this row, too.
    pub fn fields(&self, dialect: Dialect) -> Document {
        let all = if dialect == Dialect::Docker { self.docker_fields() } else { self.podman_fields() };
        let health = self.of.summary.health.map(|health| health.as_str()).unwrap_or_default();
        Document::new(all, &[("Labels", Differs::Pairs)]).with("HealthStatus", health.into())
    }

    fn podman_fields(&self) -> Value {
        let s = &self.of.summary;
        let mut map = Map::new();
        let mut set = |name: &str, value: Value| {
            map.insert(name.to_owned(), value);
        };
        set("ID", self.id().into());
        set("Image", s.image.clone().into());
        set("ImageID", self.image_id().into());
        set("Command", self.command().into());
        set("Created", time::go_local_exact(s.created).into());
        set("CreatedAt", time::go_local_exact(s.created).into());
        set("CreatedHuman", time::ago(s.created).into());
        set("RunningFor", time::ago(s.created).into());
        set("Status", self.status().into());
        set("State", self.state().into());
        set("Ports", self.ports(Dialect::Podman).into());
        set("Names", s.name.clone().into());
        set("Labels", json!(self.of.spec.as_ref().map(|plan| &plan.labels)));
        set("Mounts", json!(self.mounts()));
        set("Networks", self.networks(Dialect::Podman).join(",").into());
        set("Pid", self.of.pid.into());
        set("PID", self.of.pid.into());
        set("ExitCode", s.code.unwrap_or(0).into());
        set("Exited", (!s.status.is_live() && s.code.is_some()).into());
        set("ExitedAt", s.finished.map_or(NEVER, |at| at.timestamp()).into());
        set("StartedAt", s.started.map_or(NEVER, |at| at.timestamp()).into());
        set("Restarts", self.of.restarts.to_string().into());
        set("CIDFile", self.id_file().into());
        set("AutoRemove", s.auto_remove.into());
        set("IsInfra", s.is_infra.into());
        set("Size", self.size().into());
        set("Pod", self.pod_id().into());
        set("PodName", self.pod_name().into());
        for ((name, _), id) in NAMESPACES.iter().zip(&self.of.namespaces) {
            set(name, id.clone().into());
        }
        set("Namespaces", self.namespaces());
        Value::Object(map)
    }

    fn namespaces(&self) -> Value {
        let pairs = NAMESPACES.iter().zip(&self.of.namespaces);
        // Podman's name of this one only.
        let name = |name: &str| if name == "pid" { "pidns".to_owned() } else { name.to_owned() };
        pairs.map(|((_, kind), id)| (name(kind), Value::from(id.clone()))).collect::<Map<_, _>>().into()
    }

    fn id_file(&self) -> String {
        let file = self.of.spec.as_ref().and_then(|plan| plan.asked.cidfile.as_ref());
        file.map(|file| file.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// As docker lists them: volumes by name, others by what is mounted.
    fn docker_mounts(&self) -> String {
        let mounts = self.of.spec.iter().flat_map(|plan| &plan.mounts);
        let name = |mount: &crate::spec::MountSpec| match &mount.source {
            MountSource::Volume { name, .. } => Some(name.to_string()),
            MountSource::Bind { path, .. } => Some(mount.whole(path).to_string_lossy().into_owned()),
            MountSource::Image { reference, .. } => Some(reference.clone()),
            _ => None,
        };
        let shown = |name: String| if self.whole { name } else { cut(&name, 15) };
        mounts.filter_map(name).map(shown).collect::<Vec<_>>().join(",")
    }

    fn docker_fields(&self) -> Value {
        let s = &self.of.summary;
        let volumes = self.of.spec.iter().flat_map(|plan| &plan.mounts);
        let volumes = volumes.filter(|mount| matches!(mount.source, MountSource::Volume { .. })).count();
        let networks = match self.of.spec.as_ref().map(|plan| &plan.network.mode) {
            Some(NetworkMode::Slirp(_) | NetworkMode::Pasta(_)) => "bridge".to_owned(),
            Some(NetworkMode::Host) => "host".to_owned(),
            Some(NetworkMode::None) => "none".to_owned(),
            Some(NetworkMode::Bridge(_)) => self.networks(Dialect::Docker).join(","),
            _ => String::new(),
        };
        json!({
            "Command": self.docker_command(),
            "CreatedAt": time::go_local(s.created),
            "ID": self.id(),
            "Image": short_image_name(&s.image),
            "Labels": self.of.spec.as_ref().map(|plan| &plan.labels),
            "LocalVolumes": volumes.to_string(),
            "Mounts": self.docker_mounts(),
            "Names": s.name,
            "Networks": networks,
            "Platform": null,
            "Ports": self.ports(Dialect::Docker),
            "RunningFor": time::ago(s.created),
            "Size": self.of.size.map_or("0B".to_owned(), |_| self.size()),
            "State": s.status.as_str(),
            "Status": status(s, Dialect::Docker),
        })
    }

    /// With the entry point, in quotation marks and twenty characters at most, as docker shows it. Arguments that
    /// contain spaces have marks of their own.
    fn docker_command(&self) -> String {
        let argv = self.of.spec.as_ref().map(|plan| plan.process.argv.as_slice()).unwrap_or_default();
        let word = |word: &String| {
            if word.contains(' ') { format!("'{word}'") } else { word.clone() }
        };
        let command = match argv.split_first() {
            Some((program, rest)) => {
                [vec![program.clone()], rest.iter().map(word).collect()].concat().join(" ")
            }
            None => self.of.summary.command.clone(),
        };
        let command = if self.whole { command } else { cut(&command, 20) };
        let escaped =
            command.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\t', "\\t");
        format!("\"{escaped}\"")
    }

    /// The row in podman's `--format json`.
    pub fn json(&self) -> Value {
        let s = &self.of.summary;
        let argv = self.of.spec.as_ref().map(|plan| {
            if plan.asked.command.is_empty() { plan.process.argv.clone() } else { plan.asked.command.clone() }
        });
        let ports: Vec<Value> = merged(&s.ports)
            .iter()
            .map(|(first, range)| {
                json!({
                    "host_ip": first.host_ip.map(|ip| ip.to_string()).unwrap_or_default(),
                    "container_port": first.container_port,
                    "host_port": first.host_port,
                    "range": range,
                    "protocol": first.protocol,
                })
            })
            .collect();
        let labels = self.of.spec.as_ref().map(|plan| &plan.labels).filter(|labels| !labels.is_empty());
        json!({
            "AutoRemove": s.auto_remove,
            "CIDFile": self.id_file(),
            "Command": argv,
            "CreatedAt": time::ago(s.created),
            "Created": s.created.timestamp(),
            "Exited": !s.status.is_live() && s.code.is_some(),
            "ExitedAt": s.finished.map_or(NEVER, |at| at.timestamp()),
            "ExitCode": s.code.unwrap_or(0),
            "Id": s.id,
            "Image": s.image,
            "ImageID": self.of.spec.as_ref().and_then(|p| p.image.as_ref()).map(|image| image.id.hex()),
            "IsInfra": s.is_infra,
            "Labels": labels,
            "Mounts": self.mounts(),
            "Names": [s.name],
            "Namespaces": self.namespaces(),
            "Networks": self.of.spec.as_ref().map(|_| self.networks(Dialect::Podman)),
            "Pid": self.of.pid,
            "Pod": self.of.summary.pod.as_ref().map_or("", |pod| pod.as_str()),
            "PodName": self.pod_name(),
            "Ports": Some(ports).filter(|ports| !ports.is_empty()),
            "Restarts": self.of.restarts,
            "Size": self.of.size.map(|(written, all)| json!({"rwSize": written, "rootFsSize": all})),
            "StartedAt": s.started.map_or(NEVER, |at| at.timestamp()),
            "State": self.state(),
            "Status": self.status(),
        })
    }
}

/// So many characters at most; what is cut ends with a mark, as in docker.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most - 1) {
        Some((end, _)) if text.chars().count() > most => format!("{}…", &text[..end]),
        _ => text.to_owned(),
    }
}

/// How it stands, in words: `Up 5 minutes (healthy)`.
pub fn status(s: &Summary, dialect: Dialect) -> String {
    let ago = |at: Option<DateTime<Utc>>| at.map(|at| format!(" {}", time::ago(at))).unwrap_or_default();
    match s.status {
        Status::Created | Status::Starting => "Created".to_owned(),
        Status::Running => {
            let up = s.started.map(|at| time::words(time::since(at)));
            let health = s.health.map(|health| match (dialect, health) {
                (Dialect::Docker, Health::Starting) => " (health: starting)".to_owned(),
                _ => format!(" ({})", health.as_str()),
            });
            format!("Up {}{}", up.unwrap_or_default(), health.unwrap_or_default())
        }
        Status::Paused if dialect == Dialect::Docker => {
            let up = s.started.map(|at| time::words(time::since(at)));
            format!("Up {} (Paused)", up.unwrap_or_default())
        }
        Status::Paused => "Paused".to_owned(),
        Status::Exited | Status::Crashed | Status::Restarting => {
            let word = if s.status == Status::Restarting { "Restarting" } else { "Exited" };
            let code = s.code.unwrap_or(LOST_EXIT_CODE);
            format!("{word} ({code}){}", ago(s.finished))
        }
    }
}
