//! One container of a listing, and what is read for it.

use super::args::Args;
use super::ports::{merged, ports};
use crate::container::Status;
use crate::error::Result;
use crate::spec::{ContainerSpec, MountSource};
use crate::storage::Store;
use crate::storage::containers::{Summary, disk_usage};
use crate::text::{time, units};
use crate::ui::{rows, short_image_name};
use crate::userns;
use chrono::{DateTime, Local, Utc};
use serde_json::{Map, Value, json};

/// What must be read beside the summaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Detail {
    plan: bool,
    process: bool,
    size: bool,
}

impl Detail {
    pub(super) fn of(args: &Args) -> Detail {
        let Some(format) = args.format.as_deref() else {
            return Detail { plan: false, process: args.namespace, size: args.size || args.sort == "size" };
        };
        if rows::is_json(Some(format)) {
            return Detail { plan: true, process: true, size: args.size };
        }
        // Every word behind a dot may be a field; a dot alone is all of them.
        let words: Vec<&str> = format
            .split('.')
            .skip(1)
            .map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default())
            .collect();
        let has = |names: &[&str]| words.iter().any(|word| word.is_empty() || names.contains(word));
        Detail {
            plan: has(&["Labels", "Label", "LocalVolumes", "Mounts", "Networks", "ImageID", "Restarts"]),
            process: has(&[
                "Pid",
                "PID",
                "Namespaces",
                "CGROUPNS",
                "IPC",
                "MNT",
                "NET",
                "PIDNS",
                "USERNS",
                "UTS",
            ]),
            size: args.size || args.sort == "size" || words.contains(&"Size"),
        }
    }
}

/// One container of the listing.
pub(super) struct Row {
    pub(super) summary: Summary,
    no_trunc: bool,
    plan: Option<ContainerSpec>,
    pid: i32,
    namespaces: [String; 7],
    pub(super) size: Option<(u64, u64)>,
}

const NAMESPACES: [(&str, &str); 7] = [
    ("CGROUPNS", "cgroup"),
    ("IPC", "ipc"),
    ("MNT", "mnt"),
    ("NET", "net"),
    ("PIDNS", "pid"),
    ("USERNS", "user"),
    ("UTS", "uts"),
];

impl Row {
    pub(super) fn new(summary: Summary, args: &Args) -> Row {
        Row {
            summary,
            no_trunc: args.no_trunc,
            plan: None,
            pid: 0,
            namespaces: Default::default(),
            size: None,
        }
    }

    pub(super) fn read(&mut self, store: &Store, detail: Detail) -> Result<()> {
        if detail == Detail::default() {
            return Ok(());
        }
        // One that went away meanwhile is shown as it was.
        let Ok(dir) = store.containers().open(&self.summary.id) else { return Ok(()) };
        if detail.plan || detail.size {
            self.plan = dir.spec().ok();
        }
        if detail.process && self.summary.status.is_live() {
            self.pid =
                dir.run_record()?.filter(|run| run.open_init().is_some()).map_or(0, |run| run.init.pid);
            let id = |kind: &str| {
                let link = std::fs::read_link(format!("/proc/{}/ns/{kind}", self.pid)).ok()?;
                link.to_str()?.split(['[', ']']).nth(1).map(str::to_owned)
            };
            if self.pid > 0 {
                self.namespaces = NAMESPACES.map(|(_, kind)| id(kind).unwrap_or_default());
            }
        }
        if detail.size {
            let written = match disk_usage(&dir) {
                Ok(bytes) => bytes,
                // Directories of other ids are closed to us, but not to us inside.
                Err(_) => userns::in_child(store.runtime(), || disk_usage(&dir))?,
            };
            let image = self.plan.as_ref().and_then(|plan| plan.image.as_ref());
            let below = image.and_then(|image| image_size(store, image.id.as_str())).unwrap_or(0);
            self.size = Some((written, written + below));
        }
        Ok(())
    }

    pub(super) fn id(&self) -> String {
        if self.no_trunc { self.summary.id.to_string() } else { self.summary.id.short().to_owned() }
    }

    fn image_id(&self) -> String {
        let full =
            self.plan.as_ref().and_then(|plan| plan.image.as_ref()).map(|image| image.id.hex().to_owned());
        let id = full.unwrap_or_else(|| self.summary.image_id.clone());
        if self.no_trunc { id } else { id.get(..12).unwrap_or(&id).to_owned() }
    }

    fn command(&self) -> String {
        let command = &self.summary.command;
        match command.char_indices().nth(17) {
            Some((end, _)) if !self.no_trunc => format!("{}...", &command[..end]),
            _ => command.clone(),
        }
    }

    fn size(&self) -> String {
        let shown = |(written, all)| format!("{} (virtual {})", units::size(written), units::size(all));
        self.size.map(shown).unwrap_or_default()
    }

    fn mounts(&self) -> Vec<String> {
        let mounts = self.plan.iter().flat_map(|plan| &plan.mounts);
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
        self.plan.as_ref().map(|plan| plan.network.mode.to_string()).unwrap_or_default()
    }

    /// What the default table shows, and no more: it may have thousands of rows.
    pub(super) fn table_fields(&self) -> Value {
        let s = &self.summary;
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

    /// What a template may name.
    pub(super) fn fields(&self) -> Value {
        let s = &self.summary;
        let mut map = Map::new();
        let mut set = |name: &str, value: Value| {
            map.insert(name.to_owned(), value);
        };
        set("ID", self.id().into());
        set("Image", s.image.clone().into());
        set("ImageID", self.image_id().into());
        set("Command", self.command().into());
        set("Created", local(s.created).into());
        set("CreatedAt", local(s.created).into());
        set("CreatedHuman", time::ago(s.created).into());
        set("RunningFor", time::ago(s.created).into());
        set("Status", status(s).into());
        set("State", s.status.as_str().into());
        set("Ports", ports(&s.ports).into());
        set("Names", s.name.clone().into());
        set("Labels", json!(self.plan.as_ref().map(|plan| &plan.labels)));
        set("Mounts", self.mounts().join(",").into());
        set("Networks", self.network().into());
        set("Pid", self.pid.into());
        set("PID", self.pid.into());
        set("ExitCode", s.code.unwrap_or(0).into());
        set("Exited", (!s.status.is_live() && s.code.is_some()).into());
        set("ExitedAt", s.finished.map_or(0, |at| at.timestamp()).into());
        set("StartedAt", s.started.map_or(0, |at| at.timestamp()).into());
        set("AutoRemove", s.auto_remove.into());
        set("IsInfra", false.into());
        set("Size", self.size().into());
        set("Pod", "".into());
        set("PodName", "".into());
        for ((name, _), id) in NAMESPACES.iter().zip(&self.namespaces) {
            set(name, id.clone().into());
        }
        set("Namespaces", self.namespaces());
        Value::Object(map)
    }

    fn namespaces(&self) -> Value {
        let pairs = NAMESPACES.iter().zip(&self.namespaces);
        pairs
            .map(|((_, name), id)| ((*name).to_owned(), Value::from(id.clone())))
            .collect::<Map<_, _>>()
            .into()
    }

    /// What a template may name when docker's habits are followed; its JSON is this row, too.
    pub(super) fn docker_fields(&self) -> Value {
        let s = &self.summary;
        let labels = self.plan.iter().flat_map(|plan| &plan.labels);
        let labels: Vec<String> = labels.map(|(key, value)| format!("{key}={value}")).collect();
        let volumes = self.plan.iter().flat_map(|plan| &plan.mounts);
        let volumes = volumes.filter(|mount| matches!(mount.source, MountSource::Volume { .. })).count();
        let networks = match self.network() {
            private if private.starts_with("slirp4netns") => "bridge".to_owned(),
            other => other,
        };
        json!({
            "Command": self.docker_command(),
            "CreatedAt": local(s.created),
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
            "Size": self.size.map_or("0B".to_owned(), |_| self.size()),
            "State": s.status.as_str(),
            "Status": status(s),
        })
    }

    /// In quotation marks and twenty characters at most, as docker shows it.
    fn docker_command(&self) -> String {
        let command = &self.summary.command;
        match command.char_indices().nth(19) {
            Some((end, _)) if !self.no_trunc && command.chars().count() > 20 => {
                format!("\"{}…\"", &command[..end])
            }
            _ => format!("\"{command}\""),
        }
    }

    /// The row as podman's `--format json` has it.
    pub(super) fn json(&self) -> Value {
        let s = &self.summary;
        let argv = self.plan.as_ref().map(|plan| {
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
            "ImageID": self.plan.as_ref().and_then(|p| p.image.as_ref()).map(|image| image.id.hex()),
            "IsInfra": false,
            "Labels": self.plan.as_ref().map(|plan| &plan.labels),
            "Mounts": self.mounts(),
            "Names": [s.name],
            "Namespaces": self.namespaces(),
            "Networks": self.plan.as_ref().map(|plan| vec![plan.network.mode.to_string()]),
            "Pid": self.pid,
            "Pod": "",
            "PodName": "",
            "Ports": ports,
            "Size": self.size.map(|(written, all)| json!({"rwSize": written, "rootFsSize": all})),
            "StartedAt": s.started.map_or(0, |at| at.timestamp()),
            "State": s.status.as_str(),
            "Status": status(s),
        })
    }
}

fn image_size(store: &Store, id: &str) -> Option<u64> {
    let list = store.images().list().ok()?;
    list.into_iter().find(|listed| listed.image.id.as_str() == id).map(|listed| listed.size)
}

/// A time in Go's default form, as docker and podman show `.CreatedAt`.
fn local(time: DateTime<Utc>) -> String {
    time.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S %z").to_string()
}

pub(super) fn status(s: &Summary) -> String {
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
            let code = s.code.unwrap_or(crate::storage::containers::LOST_EXIT_CODE);
            format!("{word} ({code}){}", ago(s.finished))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_format_names_is_read() {
        let detail = |format: &str| Detail::of(&Args { format: Some(format.into()), ..Args::default() });
        assert_eq!(detail("{{.ID}} {{.Status}}"), Detail::default());
        assert_eq!(detail("table {{.Names}}\t{{.Labels}}"), Detail { plan: true, ..Detail::default() });
        assert!(detail("{{.Size}}").size && !detail("{{.Size}}").process);
        assert!(detail("{{json .}}").plan && detail("{{json .}}").process);
        assert_eq!(Detail::of(&Args::default()), Detail::default());
    }
}
