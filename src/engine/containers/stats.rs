//! Resource usage of a running container: from its own cgroup if it has one, otherwise from its processes in
//! the host's procfs, so that it works on any host.
//!
//! Without a cgroup, the processor time of exited processes only counts if their parents have waited for them,
//! and shared memory is divided among the processes that share it (proc_pid_smaps(5), `Pss`).

use crate::container::ContainerId;
use crate::error::Result;
use crate::runtime::cgroup::Group;
use crate::runtime::processes;
use crate::spec::NetworkMode;
use crate::storage::containers::{ContainerDir, RunRecord};
use crate::sys::read::text_of;
use chrono::Utc;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// What a container used when it was looked at.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// How long it has been running.
    pub age: Duration,
    /// Processor time, all of it.
    pub cpu: Duration,
    /// Processor time in the kernel.
    pub cpu_system: Duration,
    /// Memory, in bytes.
    pub memory: u64,
    /// The most it may use, in bytes; the machine's memory when nothing limits it.
    pub memory_limit: u64,
    /// Bytes that came in and went out over its network, loopback left out; `None` when it has none of
    /// its own.
    pub network: Option<(u64, u64)>,
    /// The same, by interface, in the kernel's order.
    pub interfaces: Vec<Interface>,
    /// Bytes read from and written to disks; `None` if unknown.
    pub disk: Option<(u64, u64)>,
    /// Threads.
    pub tasks: u64,
}

/// What went over a network interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interface {
    /// What it is called in the container.
    pub name: String,
    /// What came in.
    pub received: Traffic,
    /// What went out.
    pub sent: Traffic,
}

/// What went over it in one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes.
    pub bytes: u64,
    /// Packets.
    pub packets: u64,
    /// Packets with errors.
    pub errors: u64,
    /// Packets that were dropped.
    pub dropped: u64,
}

/// A container, looked at.
#[derive(Debug, Clone)]
pub struct Reading {
    /// Which one.
    pub id: ContainerId,
    /// Its name.
    pub name: String,
    /// What it used; `None` when it is not running.
    pub sample: Option<Sample>,
    /// How long ago it was looked at before, and its processor time then.
    pub before: Option<(Duration, Duration)>,
}

/// Looks at containers again and again, and remembers the last look at each.
#[derive(Debug, Default)]
pub struct Stats {
    last: HashMap<ContainerId, (Instant, Duration)>,
}

impl Stats {
    /// Looks at a container.
    ///
    /// # Errors
    /// When procfs cannot be read; it may have gone away.
    pub fn read(&mut self, container: &ContainerDir) -> Result<Reading> {
        let own_network = container.spec().is_ok_and(|spec| spec.network.mode != NetworkMode::Host);
        let sample = sample(container, own_network)?;
        let id = container.id().clone();
        let before = self.last.get(&id).map(|(then, cpu)| (then.elapsed(), *cpu));
        if let Some(sample) = &sample {
            self.last.insert(id.clone(), (Instant::now(), sample.cpu));
        }
        let name = container.settings().map(|s| s.name.to_string()).unwrap_or_default();
        Ok(Reading { id, name, sample, before })
    }
}

/// Looks at a container; `None` when it is not running. `own_network` says whether what its network carries is its
/// own.
fn sample(container: &ContainerDir, own_network: bool) -> Result<Option<Sample>> {
    if !container.status().is_live() {
        return Ok(None);
    }
    let Some(run) = container.run_record()?.filter(|run| run.open_init().is_some()) else { return Ok(None) };
    let mut sample = match Group::find(container, &run) {
        Some(group) => from_group(&group),
        None => Sample { memory_limit: processes::memory_total(), ..Sample::default() },
    };
    from_processes(container, &mut sample)?;
    sample.age = (Utc::now() - run.started).to_std().unwrap_or_default();
    if let Some(interfaces) = own_network.then(|| network(&run)).flatten() {
        let sum = |of: fn(&Interface) -> u64| interfaces.iter().map(of).sum();
        sample.network = Some((sum(|one| one.received.bytes), sum(|one| one.sent.bytes)));
        sample.interfaces = interfaces;
    }
    Ok(Some(sample))
}

fn from_group(group: &Group) -> Sample {
    let number = |file: &str| group.read(file).and_then(|text| text.trim().parse::<u64>().ok());
    let time = |key: &str| Duration::from_micros(group.number("cpu.stat", key).unwrap_or(0));
    let total = processes::memory_total();
    let disk = group.read("io.stat").map(|text| {
        let sum = |key: &str| {
            let values =
                text.split_ascii_whitespace().filter_map(|word| word.strip_prefix(key)?.strip_prefix('='));
            values.filter_map(|value| value.parse::<u64>().ok()).sum()
        };
        (sum("rbytes"), sum("wbytes"))
    });
    Sample {
        // A cgroup that was made for pausing knows nothing of the time before.
        cpu: if group.read("memory.current").is_some() { time("usage_usec") } else { Duration::ZERO },
        cpu_system: time("system_usec"),
        memory: number("memory.current").unwrap_or(0),
        memory_limit: number("memory.max").unwrap_or(total).min(total),
        disk,
        tasks: number("pids.current").unwrap_or(0),
        ..Sample::default()
    }
}

/// Fills in what the cgroup did not say.
fn from_processes(container: &ContainerDir, sample: &mut Sample) -> Result<()> {
    let by_time = sample.cpu.is_zero();
    let (by_memory, by_disk, by_tasks) = (sample.memory == 0, sample.disk.is_none(), sample.tasks == 0);
    if !(by_time || by_memory || by_disk || by_tasks) {
        return Ok(());
    }
    if by_time {
        sample.cpu_system = Duration::ZERO;
    }
    for pid in processes::own(container)? {
        let Some(usage) = processes::usage(pid) else { continue };
        if by_time {
            sample.cpu += usage.cpu;
            sample.cpu_system += usage.cpu_system;
        }
        if by_memory {
            sample.memory += usage.memory;
        }
        if by_disk && let Some((read, written)) = usage.disk {
            let (before, after) = sample.disk.unwrap_or_default();
            sample.disk = Some((before + read, after + written));
        }
        if by_tasks {
            sample.tasks += usage.threads;
        }
    }
    Ok(())
}

/// What went over the interfaces of the container's network namespace (proc_pid_net(5), `dev`).
fn network(run: &RunRecord) -> Option<Vec<Interface>> {
    let text = text_of(format!("/proc/{}/net/dev", run.init.pid)).ok()?;
    Some(traffic(&text))
}

/// The interfaces in such a file but loopback: four numbers each that came in, and eight further on those that went out.
fn traffic(text: &str) -> Vec<Interface> {
    let interface = |line: &str| {
        let (name, numbers) = line.split_once(':')?;
        let numbers: Vec<u64> = numbers.split_ascii_whitespace().filter_map(|n| n.parse().ok()).collect();
        let traffic = |from: usize| {
            let number = |at: usize| numbers.get(from + at).copied().unwrap_or(0);
            Traffic { bytes: number(0), packets: number(1), errors: number(2), dropped: number(3) }
        };
        let name = name.trim();
        (name != "lo").then(|| Interface { name: name.to_owned(), received: traffic(0), sent: traffic(8) })
    };
    text.lines().skip(2).filter_map(interface).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_is_told_by_interface_without_loopback() {
        let text = "Inter-|   Receive                                                |  Transmit\n \
            face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs\n\
            \x20   lo:     999       9    0    0    0     0          0         0      999       9    0\n\
            \x20 tap0:    1200      10    0    0    0     0          0         0      340       5    0\n\
            \x20 eth1:      30       1    0    0    0     0          0         0        4       1    0\n";
        let seen = traffic(text);
        let told = |one: &Interface| (one.name.clone(), one.received.bytes, one.sent.bytes, one.sent.packets);
        assert_eq!(
            seen.iter().map(told).collect::<Vec<_>>(),
            [("tap0".to_owned(), 1200, 340, 5), ("eth1".to_owned(), 30, 4, 1)]
        );
        assert!(traffic("").is_empty());
    }
}
