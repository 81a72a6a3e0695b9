//! Options for cgroup limits, for every verb that sets them.

use crate::cmd::options::switch::switchable;
use crate::error::{Error, Kind, Result};
use crate::plan::resources::{BytesOrAll, Conf, Cpus, OfDevice, PERIOD};
use crate::plan::units::Size;
use crate::spec::Resources;

/// What it may use.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Limits", mut_args = switchable)]
pub struct ResourceArgs {
    /// Memory limit; 0 for none
    #[arg(short, long, value_name = "SIZE")]
    pub memory: Option<Size>,
    /// Soft limit: memory above it is reclaimed first
    #[arg(long, value_name = "SIZE")]
    pub memory_reservation: Option<Size>,
    /// Limit for memory and swap together; -1 for none
    #[arg(long, value_name = "SIZE")]
    pub memory_swap: Option<BytesOrAll>,
    /// Number of processors, such as 1.5; 0 for no limit
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["cpu_period", "cpu_quota"])]
    pub cpus: Option<Cpus>,
    /// CPU period, in microseconds
    #[arg(long, value_name = "MICROSECONDS")]
    pub cpu_period: Option<u64>,
    /// CPU time per period, in microseconds; -1 for no limit
    #[arg(long, value_name = "MICROSECONDS")]
    pub cpu_quota: Option<i64>,
    /// Relative CPU weight; the default is 1024
    #[arg(short, long, value_name = "SHARES")]
    pub cpu_shares: Option<u64>,
    /// Processors it may use, such as 0-3,5
    #[arg(long, value_name = "LIST")]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes it may use, such as 0,1
    #[arg(long, value_name = "LIST")]
    pub cpuset_mems: Option<String>,
    /// Maximum number of processes and threads; -1 for no limit
    #[arg(long, value_name = "NUMBER")]
    pub pids_limit: Option<i64>,
    /// Relative I/O weight, 10 to 1000
    #[arg(long, value_name = "WEIGHT")]
    pub blkio_weight: Option<u64>,
    /// Relative I/O weight for a device
    #[arg(long, value_name = "DEVICE:WEIGHT")]
    pub blkio_weight_device: Vec<OfDevice>,
    /// Read limit for a device, in bytes per second
    #[arg(long, value_name = "DEVICE:SIZE")]
    pub device_read_bps: Vec<OfDevice>,
    /// Write limit for a device, in bytes per second
    #[arg(long, value_name = "DEVICE:SIZE")]
    pub device_write_bps: Vec<OfDevice>,
    /// Read limit for a device, in operations per second
    #[arg(long, value_name = "DEVICE:NUMBER")]
    pub device_read_iops: Vec<OfDevice>,
    /// Write limit for a device, in operations per second
    #[arg(long, value_name = "DEVICE:NUMBER")]
    pub device_write_iops: Vec<OfDevice>,
    /// Any other file of the cgroup, such as memory.high=SIZE
    #[arg(long, value_name = "FILE=VALUE")]
    pub cgroup_conf: Vec<Conf>,
    /// Refused: cgroup v2 has no such setting
    #[arg(long, value_name = "NUMBER", hide = true)]
    pub memory_swappiness: Option<i64>,
    /// Refused: cgroup v2 has no such setting
    #[arg(long, hide = true)]
    pub oom_kill_disable: bool,
    /// Refused: cgroup v2 has no such setting
    #[arg(long, value_name = "MICROSECONDS", hide = true)]
    pub cpu_rt_period: Option<u64>,
    /// Refused: cgroup v2 has no such setting
    #[arg(long, value_name = "MICROSECONDS", hide = true)]
    pub cpu_rt_runtime: Option<u64>,
    /// Ignored with a warning, as no kernel has it any more
    #[arg(long, value_name = "SIZE", hide = true)]
    pub kernel_memory: Option<Size>,
}

impl ResourceArgs {
    /// What they limit.
    ///
    /// # Errors
    /// Options of version 1, and what contradicts itself.
    pub fn resources(self) -> Result<Resources> {
        for (name, given) in [
            ("memory-swappiness", self.memory_swappiness.is_some_and(|n| n != -1)),
            ("oom-kill-disable", self.oom_kill_disable),
            ("cpu-rt-period", self.cpu_rt_period.is_some_and(|n| n != 0)),
            ("cpu-rt-runtime", self.cpu_rt_runtime.is_some_and(|n| n != 0)),
        ] {
            if given {
                return Err(Error::new(
                    Kind::Usage,
                    format!("--{name} is a cgroup v1 setting, which an ordinary user cannot change"),
                )
                .hint("Leave it out; set the files of cgroup v2 with --cgroup-conf."));
            }
        }
        if self.kernel_memory.is_some() {
            log::warn!("the --kernel-memory flag is no longer supported, and has no effect");
        }
        let kinds = [
            (self.device_read_bps, "rbps"),
            (self.device_write_bps, "wbps"),
            (self.device_read_iops, "riops"),
            (self.device_write_iops, "wiops"),
            (self.blkio_weight_device, "weight"),
        ];
        let devices =
            kinds.into_iter().flat_map(|(list, key)| list.into_iter().map(move |one| one.limit(key)));
        let resources = Resources {
            memory: self.memory.map(|size| size.0),
            memory_reservation: self.memory_reservation.map(|size| size.0),
            memory_swap: self.memory_swap.map(|size| size.0),
            cpu_quota: self.cpus.map(Cpus::quota).or(self.cpu_quota),
            // A number of processors is a quota of the usual period, whatever was set before.
            cpu_period: self
                .cpus
                .filter(|cpus| cpus.0 > 0.0)
                .map(|_| PERIOD)
                .or(self.cpu_period.filter(|period| *period != 0)),
            cpu_shares: self.cpu_shares.filter(|shares| *shares != 0),
            cpuset_cpus: self.cpuset_cpus.filter(|list| !list.is_empty()),
            cpuset_mems: self.cpuset_mems.filter(|list| !list.is_empty()),
            pids: self.pids_limit,
            blkio_weight: self.blkio_weight.filter(|weight| *weight != 0),
            devices: devices.collect(),
            conf: self.cgroup_conf.into_iter().map(|conf| (conf.file, conf.value)).collect(),
        };
        resources.check()?;
        Ok(resources)
    }
}
