//! Figures about the machine, for `info`.

use crate::sys::read::text_of;
use nix::unistd::{Uid, geteuid};
use serde::Serialize;

/// What `info` says about the machine.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Host name.
    pub hostname: String,
    /// Distribution's name and version (os-release(5)).
    pub distribution: Distribution,
    /// Processors this process may run on.
    pub cpus: usize,
    /// Memory in bytes.
    pub mem_total: u64,
    /// Memory that programs can still get, in bytes.
    pub mem_free: u64,
    /// Swap space in bytes.
    pub swap_total: u64,
    /// Swap space that is not in use, in bytes.
    pub swap_free: u64,
    /// What the processors did since the machine started.
    pub cpu_utilization: CpuUtilization,
    /// Seconds since the machine started.
    pub uptime: u64,
    /// Whether this is an ordinary user.
    pub rootless: bool,
}

/// Shares of the processors' time, in per cent with two digits (proc_stat(5)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CpuUtilization {
    /// In programs.
    pub user_percent: f64,
    /// In the kernel.
    pub system_percent: f64,
    /// At rest.
    pub idle_percent: f64,
}

/// A distribution's name and version.
#[derive(Debug, Clone, Default)]
pub struct Distribution {
    /// `ID`.
    pub distribution: String,
    /// `VERSION_ID`.
    pub version: String,
    /// `VERSION_CODENAME`; empty where releases have no names.
    pub codename: String,
    /// `PRETTY_NAME`, for people.
    pub pretty: String,
}

/// Reads the figures.
pub fn machine() -> Machine {
    let hostname = nix::unistd::gethostname().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let memory = text_of("/proc/meminfo").unwrap_or_default();
    let uptime = text_of("/proc/uptime").unwrap_or_default();
    Machine {
        hostname,
        distribution: distribution(),
        cpus: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        mem_total: kilobytes(&memory, "MemTotal:"),
        mem_free: kilobytes(&memory, "MemAvailable:"),
        swap_total: kilobytes(&memory, "SwapTotal:"),
        swap_free: kilobytes(&memory, "SwapFree:"),
        cpu_utilization: cpu_utilization(&text_of("/proc/stat").unwrap_or_default()),
        uptime: uptime.split('.').next().and_then(|s| s.parse().ok()).unwrap_or(0),
        rootless: geteuid() != Uid::from_raw(0),
    }
}

/// The machine's id (machine-id(5)); empty where it has none.
pub fn machine_id() -> String {
    text_of("/etc/machine-id").unwrap_or_default().trim().to_owned()
}

/// One line of /proc/meminfo (proc_meminfo(5)), in bytes.
fn kilobytes(text: &str, key: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// From the first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal.
fn cpu_utilization(stat: &str) -> CpuUtilization {
    let ticks: Vec<u64> =
        stat.lines().next().unwrap_or_default().split_whitespace().skip(1).flat_map(str::parse).collect();
    let all: u64 = ticks.iter().take(8).sum();
    let share = |of: &[usize]| {
        let part: u64 = of.iter().filter_map(|field| ticks.get(*field)).sum();
        // Ten-thousandths first: two digits behind the point.
        (part * 10_000).checked_div(all).map_or(0.0, |share| share as f64 / 100.0)
    };
    CpuUtilization { user_percent: share(&[0, 1]), system_percent: share(&[2]), idle_percent: share(&[3]) }
}

fn distribution() -> Distribution {
    let text = text_of("/etc/os-release").unwrap_or_default();
    Distribution {
        distribution: os_release(&text, "ID"),
        version: os_release(&text, "VERSION_ID"),
        codename: os_release(&text, "VERSION_CODENAME"),
        pretty: os_release(&text, "PRETTY_NAME"),
    }
}

/// One value of os-release(5); empty when there is none.
pub(super) fn os_release(text: &str, key: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    line.unwrap_or_default().trim_matches(['"', '\'']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_the_processors_add_up() {
        let found = cpu_utilization("cpu  30 10 20 140 0 0 0 0 0 0\ncpu0 1 1 1 1\n");
        assert_eq!(found, CpuUtilization { user_percent: 20.0, system_percent: 10.0, idle_percent: 70.0 });
        assert_eq!(cpu_utilization(""), CpuUtilization::default());
    }
}
