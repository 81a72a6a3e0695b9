//! Resource limits of processes and cgroups, and kernel parameters.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Limits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LimitSpec {
    /// Resource limits (setrlimit(2)).
    pub ulimits: Vec<Ulimit>,
    /// Namespaced sysctls, `net.ipv4.ip_forward` → `1`.
    pub sysctls: BTreeMap<String, String>,
    /// Size of `/dev/shm` in bytes.
    pub shm_size: u64,
    /// What a cgroup of the container's own keeps; it has none when this is empty, unless it manages one.
    #[serde(default)]
    pub resources: Resources,
    /// The cgroup below which its own is made (`--cgroup-parent`).
    #[serde(default)]
    pub cgroup_parent: Option<String>,
    /// The first process manages cgroups below the container's own, as systemd does; where this host gives
    /// it none it goes without.
    #[serde(default)]
    pub manages_cgroups: bool,
}

/// One resource limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// Lower-case name without `RLIMIT_`: `nofile`, `nproc`, ...
    pub name: String,
    /// Soft limit; `u64::MAX` is unlimited.
    pub soft: u64,
    /// Hard limit; `u64::MAX` is unlimited.
    pub hard: u64,
}

/// What a container may use at most; what is `None` is not limited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Bytes of memory; 0 lifts a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Bytes of memory that are taken back last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_reservation: Option<u64>,
    /// Bytes of memory and swap together; `Some(None)` is as much as there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_swap: Option<Option<u64>>,
    /// Microseconds of processor time in each period; negative lifts a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_quota: Option<i64>,
    /// Length of a period, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_period: Option<u64>,
    /// Share of the processors against others, 2 to 262144; 1024 is usual.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_shares: Option<u64>,
    /// Processors by number: `0-3,5`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes by number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpuset_mems: Option<String>,
    /// Processes and threads; negative lifts a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<i64>,
    /// Share of the disks against others, 10 to 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blkio_weight: Option<u64>,
    /// Limits of single disks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<DeviceLimit>,
    /// Files of the cgroup by name (`--cgroup-conf`).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub conf: BTreeMap<String, String>,
}

/// A limit of one disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceLimit {
    /// Absolute path of its node on the host.
    pub path: PathBuf,
    /// `rbps`, `wbps`, `riops`, `wiops` or `weight`.
    pub key: String,
    /// Bytes or operations in a second, or the weight.
    pub value: u64,
}
