//! The machine in figures, for `info`.

use nix::unistd::{Uid, geteuid};
use serde::Serialize;
use std::fs;

/// What `info` says about the machine.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
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
    /// Seconds since the machine started.
    pub uptime: u64,
    /// Whether this is an ordinary user.
    pub rootless: bool,
}

/// A distribution's name and version.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Distribution {
    /// `ID`.
    pub distribution: String,
    /// `VERSION_ID`.
    pub version: String,
}

/// Reads the figures.
pub fn machine() -> Machine {
    let hostname = nix::unistd::gethostname().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let uptime = fs::read_to_string("/proc/uptime").unwrap_or_default();
    Machine {
        hostname,
        distribution: distribution(),
        cpus: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        mem_total: kilobytes(&memory, "MemTotal:"),
        mem_free: kilobytes(&memory, "MemAvailable:"),
        uptime: uptime.split('.').next().and_then(|s| s.parse().ok()).unwrap_or(0),
        rootless: geteuid() != Uid::from_raw(0),
    }
}

/// One line of /proc/meminfo (proc_meminfo(5)), in bytes.
fn kilobytes(text: &str, key: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

fn distribution() -> Distribution {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    Distribution { distribution: os_release(&text, "ID"), version: os_release(&text, "VERSION_ID") }
}

/// One value of os-release(5); empty when there is none.
pub(super) fn os_release(text: &str, key: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    line.unwrap_or_default().trim_matches(['"', '\'']).to_owned()
}
