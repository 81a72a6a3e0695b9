//! The records of a container, as stored on disk.

use crate::container::{ContainerId, Name, RestartPolicy};
use crate::spec::network::{PortPublish, Protocol};
use crate::spec::{Attached, Attachment, ContainerSpec, HealthCheck, NetworkMode, Resources, Ulimit};
use crate::storage::boot::boot_id;
use crate::sys::process;
use chrono::{DateTime, Utc};
use nix::sys::stat::fstat;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};

/// The version of [`RunRecord`]'s form that this program writes. Monitors that wrote version 1 do not say when
/// their payload runs, nor which root it has.
pub(super) const RUN_VERSION: u32 = 2;
/// The version of [`Settings`]' form that this program writes.
pub(super) const SETTINGS_VERSION: u32 = 1;

/// A process that may have ended and whose number may belong to another by now (attack case 37).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRef {
    /// Its number in the host's process namespace.
    pub pid: i32,
    /// When it started, in clock ticks since boot (field 22 of proc_pid_stat(5)).
    pub start_time: u64,
}

impl ProcessRef {
    /// Describes a living process; `None` when there is none.
    pub fn of(pid: i32) -> Option<ProcessRef> {
        Some(ProcessRef { pid, start_time: process::start_time(Pid::from_raw(pid)).ok()? })
    }

    /// This process.
    pub fn own() -> Option<ProcessRef> {
        ProcessRef::of(Pid::this().as_raw())
    }

    /// A descriptor of the very process that was recorded; `None` when it is gone.
    ///
    /// The start time is read after the descriptor was opened: whoever holds the number at that moment
    /// with the recorded start time held it all the while.
    pub fn open(&self) -> Option<OwnedFd> {
        if self.pid <= 0 {
            return None;
        }
        let pidfd = process::pidfd_open(Pid::from_raw(self.pid)).ok()?;
        (process::start_time(Pid::from_raw(self.pid)).ok()? == self.start_time).then_some(pidfd)
    }
}

/// A published port as it really is: the kernel's choice filled in where the host port was 0.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PortRecord {
    /// Host address listened on; `None` is every address.
    pub host_ip: Option<IpAddr>,
    /// Host port; 0 only before the first start.
    pub host_port: u16,
    /// Port inside.
    pub container_port: u16,
    /// Transport protocol.
    pub protocol: Protocol,
}

impl From<&PortPublish> for PortRecord {
    fn from(port: &PortPublish) -> PortRecord {
        PortRecord {
            host_ip: port.host_ip,
            host_port: port.host_port,
            container_port: port.container_port,
            protocol: port.protocol,
        }
    }
}

/// One run of a container; the content of `run.json`, written by its monitor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The form's version, [`RUN_VERSION`].
    pub version: u32,
    /// Which run, counted from 1.
    pub run: u64,
    /// The monitor.
    pub monitor: ProcessRef,
    /// The container's first process.
    pub init: ProcessRef,
    /// The boot in which the numbers above mean something.
    pub boot_id: String,
    /// When the payload started.
    pub started: DateTime<Utc>,
    /// Ports as they are published.
    #[serde(default)]
    pub ports: Vec<PortRecord>,
    /// Networks that it shares with others, in the order of its interfaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<Attached>,
    /// The container's processes are frozen.
    #[serde(default)]
    pub paused: bool,
    /// How often its monitor had started it again before this run.
    #[serde(default)]
    pub restarts: u32,
    /// The directory that is its root; who enters the container makes sure to stand on it.
    #[serde(default)]
    pub root: Option<FileId>,
}

/// Which file something is, whatever its name (stat(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// That of an open file.
    ///
    /// # Errors
    /// Those of fstat(2).
    pub fn of(file: impl AsFd) -> nix::Result<FileId> {
        fstat(file).map(|status| FileId { device: status.st_dev, inode: status.st_ino })
    }
}

impl RunRecord {
    /// A descriptor of the monitor; `None` when it is gone.
    pub fn open_monitor(&self) -> Option<OwnedFd> {
        (self.boot_id == boot_id()).then(|| self.monitor.open()).flatten()
    }

    /// A descriptor of the container's first process; `None` when it is gone.
    pub fn open_init(&self) -> Option<OwnedFd> {
        (self.boot_id == boot_id()).then(|| self.init.open()).flatten()
    }
}

/// What verbs may change after creation; the content of `settings.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The form's version, [`SETTINGS_VERSION`].
    pub version: u32,
    /// The current name.
    pub name: Name,
    /// The restart policy, once it was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<RestartPolicy>,
    /// The health check, once it was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthSetting>,
    /// The limits, once they were changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Resources>,
    /// The limits of its processes, once they were changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ulimits: Option<Vec<Ulimit>>,
    /// The environment, once it was changed: `NAME=value` entries, complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<Vec<String>>,
    /// The networks that it shares with others, once they were changed: complete, in this order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub networks: Option<Vec<Attachment>>,
    /// Settings of a newer program, kept when this one rewrites the file.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

/// A health check that replaces the one from the container's creation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HealthSetting {
    /// `None` is no check any more.
    pub check: Option<HealthCheck>,
}

impl Settings {
    /// Those of a fresh container.
    pub fn new(name: Name) -> Settings {
        Settings {
            version: SETTINGS_VERSION,
            name,
            restart: None,
            health: None,
            limits: None,
            ulimits: None,
            env: None,
            networks: None,
            other: serde_json::Map::new(),
        }
    }

    /// Puts them into the plan, for what starts by it or shows it. The limits are not among them: the cgroup has those
    /// in force.
    pub fn put_into(self, plan: &mut ContainerSpec) {
        plan.name = self.name;
        plan.lifecycle.restart = self.restart.unwrap_or(plan.lifecycle.restart);
        if let Some(health) = self.health {
            plan.health = health.check;
        }
        if let Some(ulimits) = self.ulimits {
            plan.limits.ulimits = ulimits;
        }
        if let Some(env) = self.env {
            plan.process.env = env;
        }
        if let (Some(networks), NetworkMode::Bridge(planned)) = (self.networks, &mut plan.network.mode) {
            *planned = networks;
        }
    }
}

/// A process that `exec` started; the content of `exec/<id>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecRecord {
    /// Its identifier.
    pub id: ContainerId,
    /// Which run of the container it belongs to.
    pub run: u64,
    /// The process; `None` before it is started.
    pub process: Option<ProcessRef>,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Its exit code, once it ended.
    pub code: Option<u8>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<DateTime<Utc>>,
}

impl ExecRecord {
    /// Whether the process lives.
    pub fn is_running(&self) -> bool {
        self.code.is_none() && self.process.is_some_and(|process| process.open().is_some())
    }
}
