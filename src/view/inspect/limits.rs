//! A container's limits as `inspect` shows them, under docker's and podman's names.

use crate::runtime::cgroup;
use crate::spec::{ContainerSpec, Resources};
use crate::storage::containers::ContainerDir;
use crate::view::Dialect;
use serde::Serialize;
use std::path::PathBuf;

/// The members of `HostConfig` that a cgroup keeps; what is not limited is 0. Both dialects have the same.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Limits {
    cpu_shares: u64,
    memory: u64,
    nano_cpus: i64,
    cgroup_parent: String,
    blkio_weight: u64,
    blkio_weight_device: Vec<Weight>,
    blkio_device_read_bps: Vec<Rate>,
    blkio_device_write_bps: Vec<Rate>,
    #[serde(rename = "BlkioDeviceReadIOps")]
    blkio_device_read_iops: Vec<Rate>,
    #[serde(rename = "BlkioDeviceWriteIOps")]
    blkio_device_write_iops: Vec<Rate>,
    cpu_period: u64,
    cpu_quota: i64,
    cpu_realtime_period: u64,
    cpu_realtime_runtime: i64,
    cpuset_cpus: String,
    cpuset_mems: String,
    kernel_memory: u64,
    memory_reservation: u64,
    memory_swap: i64,
    memory_swappiness: Option<i64>,
    oom_kill_disable: bool,
    pids_limit: Option<i64>,
    cpu_count: u64,
    cpu_percent: u64,
    #[serde(rename = "IOMaximumIOps")]
    io_maximum_iops: u64,
    #[serde(rename = "IOMaximumBandwidth")]
    io_maximum_bandwidth: u64,
}

/// A limit of one disk.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Rate {
    path: PathBuf,
    rate: u64,
}

/// The share of one disk.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Weight {
    path: PathBuf,
    weight: u64,
}

/// The limits in force. Settings that cannot be read are the business of a start, and of `system check`.
pub(super) fn effective(dir: &ContainerDir, plan: &ContainerSpec) -> Resources {
    cgroup::effective(dir, plan).unwrap_or_else(|_| plan.limits.resources.clone())
}

pub(super) fn shown(limits: &Resources, plan: &ContainerSpec, dialect: Dialect) -> Limits {
    let docker = dialect == Dialect::Docker;
    let swap = match limits.memory_swap {
        Some(None) => -1,
        Some(Some(bytes)) => i64::try_from(bytes).unwrap_or(i64::MAX),
        None => limits.memory.map_or(0, |bytes| i64::try_from(bytes.saturating_mul(2)).unwrap_or(i64::MAX)),
    };
    let nano_cpus = limits.cpu_quota.filter(|quota| *quota > 0).map_or(0, |quota| {
        let period = limits.cpu_period.unwrap_or(100_000).max(1).cast_signed();
        quota.saturating_mul(1_000_000_000) / period
    });
    let of = |key: &'static str| limits.devices.iter().filter(move |device| device.key == key);
    let rates = |key: &'static str| -> Vec<Rate> {
        of(key).map(|device| Rate { path: device.path.clone(), rate: device.value }).collect()
    };
    let weights = of("weight").map(|device| Weight { path: device.path.clone(), weight: device.value });
    Limits {
        cpu_shares: limits.cpu_shares.unwrap_or(0),
        memory: limits.memory.unwrap_or(0),
        nano_cpus,
        cgroup_parent: plan.limits.cgroup_parent.clone().unwrap_or_default(),
        blkio_weight: limits.blkio_weight.unwrap_or(0),
        blkio_weight_device: weights.collect(),
        blkio_device_read_bps: rates("rbps"),
        blkio_device_write_bps: rates("wbps"),
        blkio_device_read_iops: rates("riops"),
        blkio_device_write_iops: rates("wiops"),
        cpu_period: limits.cpu_period.unwrap_or(0),
        cpu_quota: limits.cpu_quota.unwrap_or(0),
        cpuset_cpus: limits.cpuset_cpus.clone().unwrap_or_default(),
        cpuset_mems: limits.cpuset_mems.clone().unwrap_or_default(),
        memory_reservation: limits.memory_reservation.unwrap_or(0),
        memory_swap: swap,
        // What is not set is null only in docker.
        memory_swappiness: Some(0).filter(|_| !docker),
        pids_limit: limits.pids.or(Some(0).filter(|_| !docker)),
        ..Limits::default()
    }
}
