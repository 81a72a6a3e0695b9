//! A container in a listing.

use super::Dialect;
use super::dialect::short_image_name;
use super::ports::{merged, ports};
use crate::container::Status;
use crate::engine::containers::listing::{Listed, NAMESPACES};
use crate::spec::MountSource;
use crate::storage::containers::{LOST_EXIT_CODE, Summary};
use crate::text::{time, units};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

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

    fn network(&self) -> String {
        self.of.spec.as_ref().map(|plan| plan.network.mode.to_string()).unwrap_or_default()
    }

    /// What the default table shows, and no more: it may have thousands of rows.
    pub fn table_fields(&self) -> Value {
        let s = &self.of.summary;
        json!({
            "ID": self.id(),
            "Image": s.image,
            "Command": self.command(),
            "RunningFor": time::ago(s.created),
            "Status": status(s),
            "Ports": ports(&s.ports),
            "Names": s.name,
            "Size": self.size(),
            "Pod": "",
            "PodName": "",
        })
    }

    /// What a template may name; docker's JSON is this row, too.
    pub fn fields(&self, dialect: Dialect) -> Value {
        if dialect == Dialect::Docker { self.docker_fields() } else { self.podman_fields() }
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
        set("Created", time::go_local(s.created).into());
        set("CreatedAt", time::go_local(s.created).into());
        set("CreatedHuman", time::ago(s.created).into());
        set("RunningFor", time::ago(s.created).into());
        set("Status", status(s).into());
        set("State", s.status.as_str().into());
        set("Ports", ports(&s.ports).into());
        set("Names", s.name.clone().into());
        set("Labels", json!(self.of.spec.as_ref().map(|plan| &plan.labels)));
        set("Mounts", self.mounts().join(",").into());
        set("Networks", self.network().into());
        set("Pid", self.of.pid.into());
        set("PID", self.of.pid.into());
        set("ExitCode", s.code.unwrap_or(0).into());
        set("Exited", (!s.status.is_live() && s.code.is_some()).into());
        set("ExitedAt", s.finished.map_or(0, |at| at.timestamp()).into());
        set("StartedAt", s.started.map_or(0, |at| at.timestamp()).into());
        set("AutoRemove", s.auto_remove.into());
        set("IsInfra", false.into());
        set("Size", self.size().into());
        set("Pod", "".into());
        set("PodName", "".into());
        for ((name, _), id) in NAMESPACES.iter().zip(&self.of.namespaces) {
            set(name, id.clone().into());
        }
        set("Namespaces", self.namespaces());
        Value::Object(map)
    }

    fn namespaces(&self) -> Value {
        let pairs = NAMESPACES.iter().zip(&self.of.namespaces);
        pairs
            .map(|((_, name), id)| ((*name).to_owned(), Value::from(id.clone())))
            .collect::<Map<_, _>>()
            .into()
    }

    fn docker_fields(&self) -> Value {
        let s = &self.of.summary;
        let labels = self.of.spec.iter().flat_map(|plan| &plan.labels);
        let labels: Vec<String> = labels.map(|(key, value)| format!("{key}={value}")).collect();
        let volumes = self.of.spec.iter().flat_map(|plan| &plan.mounts);
        let volumes = volumes.filter(|mount| matches!(mount.source, MountSource::Volume { .. })).count();
        let networks = match self.network() {
            private if private.starts_with("slirp4netns") => "bridge".to_owned(),
            other => other,
        };
        json!({
            "Command": self.docker_command(),
            "CreatedAt": time::go_local(s.created),
            "ID": self.id(),
            "Image": short_image_name(&s.image),
            "Labels": labels.join(","),
            "LocalVolumes": volumes.to_string(),
            "Mounts": self.mounts().join(","),
            "Names": s.name,
            "Networks": networks,
            "Platform": null,
            "Ports": ports(&s.ports),
            "RunningFor": time::ago(s.created),
            "Size": self.of.size.map_or("0B".to_owned(), |_| self.size()),
            "State": s.status.as_str(),
            "Status": status(s),
        })
    }

    /// In quotation marks and twenty characters at most, as docker shows it.
    fn docker_command(&self) -> String {
        let command = &self.of.summary.command;
        match command.char_indices().nth(19) {
            Some((end, _)) if !self.whole && command.chars().count() > 20 => {
                format!("\"{}…\"", &command[..end])
            }
            _ => format!("\"{command}\""),
        }
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
        json!({
            "AutoRemove": s.auto_remove,
            "Command": argv,
            "CreatedAt": time::ago(s.created),
            "Created": s.created.timestamp(),
            "Exited": !s.status.is_live() && s.code.is_some(),
            "ExitedAt": s.finished.map_or(0, |at| at.timestamp()),
            "ExitCode": s.code.unwrap_or(0),
            "Id": s.id,
            "Image": s.image,
            "ImageID": self.of.spec.as_ref().and_then(|p| p.image.as_ref()).map(|image| image.id.hex()),
            "IsInfra": false,
            "Labels": self.of.spec.as_ref().map(|plan| &plan.labels),
            "Mounts": self.mounts(),
            "Names": [s.name],
            "Namespaces": self.namespaces(),
            "Networks": self.of.spec.as_ref().map(|plan| vec![plan.network.mode.to_string()]),
            "Pid": self.of.pid,
            "Pod": "",
            "PodName": "",
            "Ports": ports,
            "Size": self.of.size.map(|(written, all)| json!({"rwSize": written, "rootFsSize": all})),
            "StartedAt": s.started.map_or(0, |at| at.timestamp()),
            "State": s.status.as_str(),
            "Status": status(s),
        })
    }
}

/// How it stands, in words: `Up 5 minutes (healthy)`.
pub fn status(s: &Summary) -> String {
    let ago = |at: Option<DateTime<Utc>>| at.map(|at| format!(" {}", time::ago(at))).unwrap_or_default();
    match s.status {
        Status::Created | Status::Starting => "Created".to_owned(),
        Status::Running => {
            let up = s.started.map(|at| time::words(time::since(at)));
            let health = s.health.map(|health| format!(" ({})", health.as_str())).unwrap_or_default();
            format!("Up {}{health}", up.unwrap_or_default())
        }
        Status::Paused => "Paused".to_owned(),
        Status::Exited | Status::Crashed | Status::Restarting => {
            let word = if s.status == Status::Restarting { "Restarting" } else { "Exited" };
            let code = s.code.unwrap_or(LOST_EXIT_CODE);
            format!("{word} ({code}){}", ago(s.finished))
        }
    }
}
