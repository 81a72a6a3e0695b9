//! A container's limits as `inspect` shows them, under docker's and podman's names.

use crate::runtime::cgroup;
use crate::spec::ContainerSpec;
use crate::storage::containers::ContainerDir;
use serde_json::{Value, json};

/// The members of `HostConfig` that a cgroup keeps; what is not limited is 0.
pub(super) fn shown(dir: &ContainerDir, plan: &ContainerSpec) -> Value {
    // Settings that cannot be read are the business of a start, and of `system check`.
    let limits = cgroup::effective(dir, plan).unwrap_or_else(|_| plan.limits.resources.clone());
    let swap = match limits.memory_swap {
        Some(None) => -1,
        Some(Some(bytes)) => i64::try_from(bytes).unwrap_or(i64::MAX),
        None => limits.memory.map_or(0, |bytes| i64::try_from(bytes.saturating_mul(2)).unwrap_or(i64::MAX)),
    };
    let nano_cpus = limits.cpu_quota.filter(|quota| *quota > 0).map_or(0, |quota| {
        let period = limits.cpu_period.unwrap_or(100_000).max(1).cast_signed();
        quota.saturating_mul(1_000_000_000) / period
    });
    let of_devices = |key: &str| -> Vec<Value> {
        let one = limits.devices.iter().filter(|device| device.key == key);
        one.map(|device| json!({ "Path": device.path, "Rate": device.value })).collect()
    };
    json!({
        "CgroupParent": plan.limits.cgroup_parent.as_deref().unwrap_or_default(),
        "CgroupConf": limits.conf,
        "Memory": limits.memory.unwrap_or(0),
        "MemoryReservation": limits.memory_reservation.unwrap_or(0),
        "MemorySwap": swap,
        "MemorySwappiness": 0,
        "OomKillDisable": false,
        "NanoCpus": nano_cpus,
        "CpuPeriod": limits.cpu_period.unwrap_or(0),
        "CpuQuota": limits.cpu_quota.unwrap_or(0),
        "CpuShares": limits.cpu_shares.unwrap_or(0),
        "CpusetCpus": limits.cpuset_cpus.clone().unwrap_or_default(),
        "CpusetMems": limits.cpuset_mems.clone().unwrap_or_default(),
        "PidsLimit": limits.pids.unwrap_or(0),
        "BlkioWeight": limits.blkio_weight.unwrap_or(0),
        "BlkioDeviceReadBps": of_devices("rbps"),
        "BlkioDeviceWriteBps": of_devices("wbps"),
        "BlkioDeviceReadIOps": of_devices("riops"),
        "BlkioDeviceWriteIOps": of_devices("wiops"),
    })
}
