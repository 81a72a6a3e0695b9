//! The small record that listings read: one file of less than 512 bytes per container.
//!
//! Theory of operation. The summary combines plan, settings, run and exit record. It is rewritten *before*
//! `run.json` and *after* `exit.json`, so it may say `started` for too long but never too briefly: only
//! containers whose summary says so have their `alive` lock probed, and only those found dead have their other
//! records read. What does not fit is omitted and read from the full records.

use super::records::PortRecord;
use crate::container::{ContainerId, ExitRecord, Name, Status};
use crate::spec::health::Health;
use crate::spec::{ContainerSpec, PodId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Largest summary, in bytes.
pub(super) const MAX: usize = 511;
/// The version of the summary's form that this program writes.
const VERSION: u32 = 1;

/// The state of the container, according to the summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Phase {
    Created,
    Started,
    Paused,
    Exited,
    /// Exited, and to be started again if its monitor lives.
    Restarting,
}

/// The summary on disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) v: u32,
    pub(super) name: String,
    #[serde(default)]
    pub(super) image: String,
    /// First 16 digits of the image's id.
    #[serde(default)]
    pub(super) image_id: String,
    #[serde(default)]
    pub(super) command: String,
    pub(super) created: DateTime<Utc>,
    pub(super) phase: Phase,
    #[serde(default)]
    pub(super) run: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) started: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) finished: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<u8>,
    /// `host_ip,host_port,container_port,protocol` joined by spaces.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) ports: String,
    /// What health checks found in this run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) health: Option<Health>,
    /// The pod it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pod: Option<PodId>,
    /// It is the pod's infra container.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) infra: bool,
    /// `--rm`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) rm: bool,
    /// Something was left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) cut: bool,
}

impl Record {
    /// The summary of a container that was never started.
    pub(super) fn new(name: &str, spec: &ContainerSpec) -> Record {
        let (image, image_id) = match &spec.image {
            Some(image) => (image.reference.clone(), image.id.hex().get(..16).unwrap_or_default().to_owned()),
            None => (String::new(), String::new()),
        };
        let ports: Vec<PortRecord> = spec.network.ports.iter().map(PortRecord::from).collect();
        Record {
            image,
            image_id,
            command: spec.listed_command(),
            created: spec.created,
            ports: encode_ports(&ports),
            pod: spec.pod.as_ref().map(|pod| pod.id.clone()),
            infra: spec.is_infra(),
            rm: spec.lifecycle.auto_remove,
            ..Record::of_lost(name)
        }
    }

    /// What is left to show of a container whose plan cannot be read.
    pub(super) fn of_lost(name: &str) -> Record {
        Record {
            v: VERSION,
            name: name.to_owned(),
            image: String::new(),
            image_id: String::new(),
            command: String::new(),
            created: DateTime::UNIX_EPOCH,
            phase: Phase::Created,
            run: 0,
            started: None,
            finished: None,
            code: None,
            health: None,
            ports: String::new(),
            pod: None,
            infra: false,
            rm: false,
            cut: false,
        }
    }

    /// Takes over how a run ended; after a first start that failed the container stands as it was made.
    pub(super) fn ended(&mut self, exit: &ExitRecord) {
        self.phase = match exit.restart_at {
            _ if exit.never_ran => Phase::Created,
            Some(_) => Phase::Restarting,
            None => Phase::Exited,
        };
        let ran = |time| Some(time).filter(|_| !exit.never_ran);
        self.run = exit.run;
        self.started = ran(exit.started);
        self.finished = ran(exit.finished);
        self.code = Some(exit.code).filter(|_| !exit.never_ran);
    }

    /// The record's bytes, at most [`MAX`], the longest fields left out where they do not fit.
    pub(super) fn to_bytes(&self) -> std::io::Result<Vec<u8>> {
        let mut record = self.clone();
        let mut bytes = serde_json::to_vec(&record)?;
        while bytes.len() > MAX {
            record.cut = true;
            let fields = [&mut record.command, &mut record.ports, &mut record.image, &mut record.name];
            match fields.into_iter().max_by_key(|field| field.len()) {
                Some(longest) if !longest.is_empty() => longest.clear(),
                _ => break,
            }
            bytes = serde_json::to_vec(&record)?;
        }
        Ok(bytes)
    }

    /// A record of this form from its bytes.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Record> {
        serde_json::from_slice(bytes).ok()
    }

    /// Fills in what was left out.
    pub(super) fn complete(&mut self, full: Record) {
        self.name = full.name;
        self.image = full.image;
        self.command = full.command;
        if self.ports.is_empty() {
            self.ports = full.ports;
        }
        self.cut = false;
    }
}

/// Ports in the summary's form.
pub(super) fn encode_ports(ports: &[PortRecord]) -> String {
    let one = |p: &PortRecord| {
        let ip = p.host_ip.map(|ip| ip.to_string()).unwrap_or_default();
        format!("{ip},{},{},{}", p.host_port, p.container_port, p.protocol)
    };
    ports.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn decode_ports(text: &str) -> Vec<PortRecord> {
    let one = |word: &str| {
        let mut parts = word.split(',');
        let ip = parts.next()?;
        let host_ip = if ip.is_empty() { None } else { Some(ip.parse().ok()?) };
        let host_port = parts.next()?.parse().ok()?;
        let container_port = parts.next()?.parse().ok()?;
        let protocol = parts.next()?.parse().ok()?;
        Some(PortRecord { host_ip, host_port, container_port, protocol })
    };
    text.split(' ').filter_map(one).collect()
}

/// One container in a listing.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Its identifier.
    pub id: ContainerId,
    /// Its name; empty only when its records were lost in a power cut.
    pub name: String,
    /// The image's reference at creation; empty with `--rootfs`.
    pub image: String,
    /// The first 16 hex digits of the image's id; empty with `--rootfs`.
    pub image_id: String,
    /// The command in one line.
    pub command: String,
    /// When it was created.
    pub created: DateTime<Utc>,
    /// Where it stands.
    pub status: Status,
    /// Which run the fields below are about; 0 before the first start.
    pub run: u64,
    /// When the latest run started.
    pub started: Option<DateTime<Utc>>,
    /// When the latest run ended, if it did.
    pub finished: Option<DateTime<Utc>>,
    /// How the latest run ended, if it did.
    pub code: Option<u8>,
    /// How well it is, if it runs and has a health check.
    pub health: Option<Health>,
    /// Published ports.
    pub ports: Vec<PortRecord>,
    /// The pod it is in.
    pub pod: Option<PodId>,
    /// It holds the namespaces of that pod.
    pub is_infra: bool,
    /// Removed when it exits.
    pub auto_remove: bool,
}

impl Summary {
    pub(super) fn new(id: ContainerId, record: Record, status: Status) -> Summary {
        let ended = !status.is_live();
        Summary {
            id,
            ports: decode_ports(&record.ports),
            name: record.name,
            image: record.image,
            image_id: record.image_id,
            command: record.command,
            created: record.created,
            status,
            run: record.run,
            started: record.started,
            finished: record.finished.filter(|_| ended),
            code: record.code.filter(|_| ended),
            health: record.health.filter(|_| !ended),
            pod: record.pod,
            is_infra: record.infra,
            auto_remove: record.rm,
        }
    }

    /// Its name, if it has one.
    pub fn name(&self) -> Option<Name> {
        self.name.parse().ok()
    }
}
