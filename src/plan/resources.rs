//! Cgroup limits: `--memory`, `--cpus`, `--pids-limit` and the like, and their values in the files of cgroup v2
//! (Documentation/admin-guide/cgroup-v2.rst).
//!
//! The options of docker and podman are those of cgroup v1. They are converted as in crun, so that a number has
//! the same effect everywhere.

use super::units::Size;
use crate::error::{Error, Kind, Result};
use crate::spec::{DeviceLimit, Resources};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;

/// Length of a period, in microseconds, where `--cpus` says how much of one.
pub const PERIOD: u64 = 100_000;

/// One file of a cgroup and what is written to it. A device stands for its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its name.
    pub file: String,
    /// What is written, after the device's numbers and a blank where there is a device.
    pub value: String,
    /// The disk that it is for.
    pub device: Option<PathBuf>,
}

impl Resources {
    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        *self == Resources::default()
    }

    /// Without what lifts a limit, for a container that has none yet.
    #[must_use]
    pub fn limiting(mut self) -> Resources {
        self.memory = self.memory.filter(|bytes| *bytes > 0);
        self.pids = self.pids.filter(|number| *number > 0);
        self.cpu_quota = self.cpu_quota.filter(|quota| *quota > 0);
        self.memory_swap = self.memory_swap.filter(|both| self.memory.is_some() && *both != Some(0));
        self
    }

    /// Takes over what `newer` limits.
    pub fn merge(&mut self, newer: &Resources) {
        macro_rules! take {
            ($($field:ident),*) => { $(if newer.$field.is_some() { self.$field.clone_from(&newer.$field); })* };
        }
        take!(memory, memory_reservation, memory_swap, cpu_quota, cpu_period, cpu_shares);
        take!(cpuset_cpus, cpuset_mems, pids, blkio_weight);
        self.devices
            .retain(|old| !newer.devices.iter().any(|new| (&new.path, &new.key) == (&old.path, &old.key)));
        self.devices.extend(newer.devices.iter().cloned());
        self.conf.extend(newer.conf.clone());
    }

    /// Refuses what contradicts itself.
    ///
    /// # Errors
    /// [`Kind::Usage`].
    pub fn check(&self) -> Result<()> {
        let refuse =
            |what: &str, hint: &str| Err(Error::new(Kind::Usage, what.to_owned()).hint(hint.to_owned()));
        match (self.memory, self.memory_swap) {
            (None | Some(0), Some(Some(_))) => {
                return refuse(
                    "--memory-swap limits memory and swap together, so --memory is needed too",
                    "For example: --memory 512m --memory-swap 1g",
                );
            }
            (Some(memory), Some(Some(both))) if both < memory => {
                return refuse(
                    "--memory-swap is below --memory, which it includes",
                    "For no swap at all give both the same value.",
                );
            }
            _ => {}
        }
        if let (Some(memory @ 1..), Some(reserved)) = (self.memory, self.memory_reservation)
            && reserved > memory
        {
            return refuse("--memory-reservation is above --memory", "Reserve less than the limit.");
        }
        if self.memory.is_some_and(|bytes| (1..6 << 20).contains(&bytes)) {
            return refuse(
                "--memory is below 6m, which is too little to start a container",
                "Give at least --memory 6m.",
            );
        }
        if self.cpu_shares.is_some_and(|shares| !(2..=262_144).contains(&shares)) {
            return refuse("--cpu-shares is not between 2 and 262144", "1024 is the usual share.");
        }
        if self.blkio_weight.is_some_and(|weight| !(10..=1000).contains(&weight)) {
            return refuse("--blkio-weight is not between 10 and 1000", "500 is the usual weight.");
        }
        if self.cpu_period.is_some_and(|period| !(1000..=1_000_000).contains(&period))
            || self.cpu_quota.is_some_and(|quota| (1..1000).contains(&quota))
        {
            return refuse(
                "a period of processor time is 1000 to 1000000 microseconds, a quota at least 1000",
                "For one and a half processors: --cpus 1.5",
            );
        }
        for list in [&self.cpuset_cpus, &self.cpuset_mems].into_iter().flatten() {
            if list.is_empty() || !list.bytes().all(|b| b.is_ascii_digit() || b == b',' || b == b'-') {
                return refuse(
                    &format!("{list:?} is not a list of numbers"),
                    "Write numbers and ranges: 0-3,5",
                );
            }
        }
        Ok(())
    }

    /// The files to write, in an order that the kernel takes.
    pub fn settings(&self) -> Vec<Setting> {
        let mut all = Vec::new();
        let mut set = |file: &str, value: String| {
            all.push(Setting { file: file.to_owned(), value, device: None });
        };
        let bytes = |n: u64| if n == 0 { "max".to_owned() } else { n.to_string() };
        if let Some(memory) = self.memory {
            set("memory.max", bytes(memory));
        }
        if let Some(reserved) = self.memory_reservation {
            set("memory.low", reserved.to_string());
        }
        // As in docker: by default as much swap as memory.
        match (self.memory, self.memory_swap) {
            (_, Some(None)) => set("memory.swap.max", "max".to_owned()),
            (Some(memory), Some(Some(both))) => {
                set("memory.swap.max", both.saturating_sub(memory).to_string())
            }
            (Some(memory), None) => set("memory.swap.max", bytes(memory)),
            _ => {}
        }
        if self.cpu_quota.is_some() || self.cpu_period.is_some() {
            let quota = self.cpu_quota.filter(|quota| *quota > 0).map_or("max".to_owned(), |q| q.to_string());
            set("cpu.max", format!("{quota} {}", self.cpu_period.unwrap_or(PERIOD)));
        }
        if let Some(shares) = self.cpu_shares {
            set("cpu.weight", (1 + (shares.max(2) - 2) * 9999 / 262_142).to_string());
        }
        for (file, list) in [("cpuset.cpus", &self.cpuset_cpus), ("cpuset.mems", &self.cpuset_mems)] {
            if let Some(list) = list {
                set(file, list.clone());
            }
        }
        if let Some(pids) = self.pids {
            set("pids.max", if pids > 0 { pids.to_string() } else { "max".to_owned() });
        }
        if let Some(weight) = self.blkio_weight {
            set("io.weight", format!("default {}", io_weight(weight)));
        }
        for limit in &self.devices {
            let (file, value) = match limit.key.as_str() {
                "weight" => ("io.weight", io_weight(limit.value).to_string()),
                key => ("io.max", format!("{key}={}", limit.value)),
            };
            all.push(Setting { file: file.to_owned(), value, device: Some(limit.path.clone()) });
        }
        let conf = self.conf.iter();
        all.extend(conf.map(|(k, v)| Setting { file: k.clone(), value: v.clone(), device: None }));
        all
    }

    /// The controllers that keep them: `memory`, `cpu` and so on.
    pub fn controllers(&self) -> BTreeSet<String> {
        let settings = self.settings();
        let names = settings.iter().filter_map(|s| s.file.split_once('.')).map(|(controller, _)| controller);
        names.filter(|name| *name != "cgroup").map(str::to_owned).collect()
    }
}

fn io_weight(weight: u64) -> u64 {
    1 + (weight.max(10) - 10) * 9999 / 990
}

/// A number of bytes, or -1 for as much as there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BytesOrAll(pub Option<u64>);

impl FromStr for BytesOrAll {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        if text == "-1" {
            return Ok(BytesOrAll(None));
        }
        Ok(BytesOrAll(Some(text.parse::<Size>()?.0)))
    }
}

/// `--cpus`: processors, with a fraction; 0 is all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cpus(pub f64);

impl Cpus {
    /// The quota of the usual period; -1 without a limit.
    pub fn quota(self) -> i64 {
        if self.0 > 0.0 { (self.0 * PERIOD as f64) as i64 } else { -1 }
    }
}

impl FromStr for Cpus {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        match text.parse::<f64>() {
            Ok(number) if number == 0.0 || (0.01..=65536.0).contains(&number) => Ok(Cpus(number)),
            _ => Err(Error::new(Kind::Usage, format!("{text:?} is not a number of processors"))
                .hint("Write a number from 0.01, for example --cpus 1.5")),
        }
    }
}

/// `DEVICE:NUMBER`, where the number may have a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfDevice {
    /// Absolute.
    pub path: PathBuf,
    /// Bytes, operations or a weight.
    pub value: u64,
}

impl OfDevice {
    /// As a limit of this kind.
    pub fn limit(self, key: &str) -> DeviceLimit {
        DeviceLimit { path: self.path, key: key.to_owned(), value: self.value }
    }
}

impl FromStr for OfDevice {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::new(Kind::Usage, format!("{text:?} is not a limit of a device"))
                .hint("Write DEVICE:NUMBER, for example --device-read-bps /dev/sda:1mb")
        };
        let (path, value) = text.rsplit_once(':').ok_or_else(wrong)?;
        let value = value.parse::<Size>().map_err(|_| wrong())?.0;
        if !path.starts_with('/') {
            return Err(wrong());
        }
        Ok(OfDevice { path: PathBuf::from(path), value })
    }
}

/// `--cgroup-conf FILE=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conf {
    /// A file of the cgroup, such as `memory.high`.
    pub file: String,
    /// What is written to it.
    pub value: String,
}

impl FromStr for Conf {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let name = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'.' | b'_');
        let parts = text.split_once('=').filter(|(file, _)| {
            // What moves processes or hands the cgroup on is not a limit.
            file.contains('.')
                && !file.starts_with(['.'])
                && !file.starts_with("cgroup.")
                && file.bytes().all(name)
        });
        let (file, value) = parts.ok_or_else(|| {
            Error::new(Kind::Usage, format!("{text:?} is not a setting of a cgroup"))
                .hint("Write FILE=VALUE, for example --cgroup-conf memory.high=1073741824")
        })?;
        Ok(Conf { file: file.to_owned(), value: value.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(resources: &Resources) -> Vec<String> {
        resources.settings().iter().map(|s| format!("{}={}", s.file, s.value)).collect()
    }

    #[test]
    fn options_become_files() {
        let mut all = Resources {
            memory: Some(512 << 20),
            cpu_quota: Some("1.5".parse::<Cpus>().unwrap().quota()),
            cpu_shares: Some(1024),
            pids: Some(100),
            cpuset_cpus: Some("0-1".into()),
            blkio_weight: Some(500),
            devices: vec!["/dev/sda:1mb".parse::<OfDevice>().unwrap().limit("rbps")],
            ..Resources::default()
        };
        assert_eq!(
            files(&all),
            [
                "memory.max=536870912",
                "memory.swap.max=536870912",
                "cpu.max=150000 100000",
                "cpu.weight=39",
                "cpuset.cpus=0-1",
                "pids.max=100",
                "io.weight=default 4950",
                "io.max=rbps=1048576"
            ]
        );
        assert_eq!(
            all.controllers().into_iter().collect::<Vec<_>>(),
            ["cpu", "cpuset", "io", "memory", "pids"]
        );
        all.merge(&Resources {
            memory: Some(0),
            pids: Some(-1),
            memory_swap: Some(None),
            ..Resources::default()
        });
        assert_eq!(files(&all)[..2], ["memory.max=max", "memory.swap.max=max"]);
        assert!(files(&all).contains(&"pids.max=max".to_owned()));
        let both =
            Resources { memory: Some(6 << 20), memory_swap: Some(Some(8 << 20)), ..Resources::default() };
        assert_eq!(files(&both)[1], "memory.swap.max=2097152");
        let json = serde_json::to_value(&both).unwrap();
        assert_eq!(serde_json::from_value::<Resources>(json).unwrap(), both);
    }

    #[test]
    fn contradictions_are_refused() {
        let some = Resources::default();
        for wrong in [
            Resources { memory_swap: Some(Some(1 << 30)), ..some.clone() },
            Resources { memory: Some(1 << 30), memory_swap: Some(Some(1 << 20)), ..some.clone() },
            Resources { memory: Some(1 << 30), memory_reservation: Some(2 << 30), ..some.clone() },
            Resources { memory: Some(4096), ..some.clone() },
            Resources { cpu_shares: Some(1), ..some.clone() },
            Resources { blkio_weight: Some(5), ..some.clone() },
            Resources { cpu_period: Some(10), ..some.clone() },
            Resources { cpuset_cpus: Some("a".into()), ..some.clone() },
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
        assert!(some.check().is_ok());
        for bad in ["", "cgroup.procs=1", "../x=1", "a/b.c=1", ".x=1", "memory=1"] {
            assert!(bad.parse::<Conf>().is_err(), "{bad}");
        }
        assert!("memory.high=1".parse::<Conf>().is_ok());
        for bad in ["x", "-1", "0.001", "inf", "NaN"] {
            assert!(bad.parse::<Cpus>().is_err(), "{bad}");
        }
        for bad in ["sda:1", "/dev/sda", "/dev/sda:x"] {
            assert!(bad.parse::<OfDevice>().is_err(), "{bad}");
        }
    }
}
