//! Resource usage of a container.

use super::Dialect;
use crate::engine::containers::stats::{Interface, Reading, Sample};
use crate::text::{time, units};
use chrono::Utc;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// A container, and how it is shown.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// What was seen.
    pub of: &'a Reading,
    /// Ids are not shortened.
    pub whole: bool,
}

const UNKNOWN: &str = "--";

impl Row<'_> {
    fn id(&self) -> String {
        let id = &self.of.id;
        if self.whole { id.to_string() } else { id.short().to_owned() }
    }

    /// Per cent of one processor since the last look, or since the start.
    fn cpu(&self) -> f64 {
        let Some(sample) = &self.of.sample else { return 0.0 };
        match self.of.before {
            Some((time, cpu)) => share(sample.cpu.saturating_sub(cpu), time),
            None => share(sample.cpu, sample.age),
        }
    }

    fn average(&self) -> f64 {
        self.of.sample.as_ref().map_or(0.0, |sample| share(sample.cpu, sample.age))
    }

    fn memory_percent(&self) -> f64 {
        match &self.of.sample {
            Some(s) if s.memory_limit > 0 => s.memory as f64 * 100.0 / s.memory_limit as f64,
            _ => 0.0,
        }
    }

    fn known(&self, text: impl FnOnce(&Sample) -> String) -> String {
        self.of.sample.as_ref().map_or_else(|| UNKNOWN.to_owned(), text)
    }

    fn memory(&self, size: fn(u64) -> String) -> String {
        match &self.of.sample {
            Some(s) => format!("{} / {}", size(s.memory), size(s.memory_limit)),
            None => format!("{UNKNOWN} / {UNKNOWN}"),
        }
    }

    fn pair(&self, of: fn(&Sample) -> Option<(u64, u64)>, size: fn(u64) -> String) -> String {
        match self.of.sample.as_ref().and_then(of) {
            Some((first, second)) => format!("{} / {}", size(first), size(second)),
            None => format!("{UNKNOWN} / {UNKNOWN}"),
        }
    }

    /// What a template may name; docker's JSON is this row, too.
    pub fn fields(&self, dialect: Dialect) -> Value {
        if dialect == Dialect::Docker { self.docker_fields() } else { self.podman_fields() }
    }

    fn podman_fields(&self) -> Value {
        let sample = self.of.sample.clone().unwrap_or_default();
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let (net, disk) = (sample.network.unwrap_or_default(), sample.disk.unwrap_or_default());
        let up = self.known(|s| time::go_duration(s.cpu));
        let numbers = json!({
            "AvgCPU": self.average(),
            "BlockInput": disk.0,
            "BlockOutput": disk.1,
            "CPU": self.cpu(),
            "CPUNano": nanos(sample.cpu),
            "CPUSystemNano": nanos(sample.cpu_system),
            "ContainerID": self.of.id.as_str(),
            "Duration": nanos(sample.cpu),
            "MemLimit": sample.memory_limit,
            "MemPerc": self.memory_percent(),
            "MemUsage": sample.memory,
            "Name": self.of.name,
            "NetInput": net.0,
            "Network": by_interface(&sample.interfaces),
            "NetOutput": net.1,
            "PIDs": sample.tasks,
            "PerCPU": Value::Null,
            "SystemNano": Utc::now().timestamp_nanos_opt(),
            "UpTime": nanos(sample.cpu),
        });
        let mut fields = json!({
            "AVGCPU": self.known(|_| percent(self.average())),
            "BlockIO": self.pair(|s| s.disk, units::decimal_size),
            "CPUPerc": self.known(|_| percent(self.cpu())),
            "Container": self.of.name,
            "ID": self.id(),
            "MemPerc": self.known(|_| percent(self.memory_percent())),
            "MemUsage": self.memory(units::decimal_size),
            "MemUsageBytes": self.memory(units::binary_size),
            "NetIO": self.pair(|s| s.network, units::decimal_size),
            "PIDS": self.known(|s| s.tasks.to_string()),
            "Up": up,
            "UpTime": up,
        });
        if let (Value::Object(all), Value::Object(more)) = (&mut fields, &numbers) {
            for (key, value) in more {
                all.entry(key.clone()).or_insert_with(|| value.clone());
            }
            all.insert("ContainerStats".to_owned(), numbers.clone());
        }
        fields
    }

    fn docker_fields(&self) -> Value {
        let fields = self.podman_fields();
        let names = ["CPUPerc", "Container", "ID", "MemPerc", "Name"];
        let mut row: Map<String, Value> =
            names.into_iter().map(|name| (name.to_owned(), fields[name].clone())).collect();
        row.insert("BlockIO".to_owned(), self.pair(|s| s.disk, units::size).into());
        row.insert("NetIO".to_owned(), self.pair(|s| s.network, units::size).into());
        row.insert("MemUsage".to_owned(), fields["MemUsageBytes"].clone());
        row.insert("PIDs".to_owned(), fields["PIDS"].clone());
        Value::Object(row)
    }

    /// The row in podman's `--format json`.
    pub fn json(&self) -> Value {
        json!({
            "id": self.id(),
            "name": self.of.name,
            "cpu_time": self.known(|s| time::go_duration(s.cpu)),
            "cpu_percent": self.known(|_| percent(self.cpu())),
            "avg_cpu": self.known(|_| percent(self.average())),
            "mem_usage": self.memory(units::decimal_size),
            "mem_percent": self.known(|_| percent(self.memory_percent())),
            "net_io": self.pair(|s| s.network, units::decimal_size),
            "block_io": self.pair(|s| s.disk, units::decimal_size),
            "pids": self.known(|s| s.tasks.to_string()),
        })
    }
}

/// Podman's field, which later versions have in place of the two sums.
fn by_interface(all: &[Interface]) -> Value {
    let one = |interface: &Interface| {
        let Interface { name, received, sent } = interface;
        let numbers = json!({
            "RxBytes": received.bytes, "RxPackets": received.packets,
            "RxErrors": received.errors, "RxDropped": received.dropped,
            "TxBytes": sent.bytes, "TxPackets": sent.packets, "TxErrors": sent.errors, "TxDropped": sent.dropped,
        });
        (name.clone(), numbers)
    };
    Value::Object(all.iter().map(one).collect())
}

fn share(used: Duration, of: Duration) -> f64 {
    if of.is_zero() { 0.0 } else { used.as_secs_f64() * 100.0 / of.as_secs_f64() }
}

fn percent(number: f64) -> String {
    format!("{number:.2}%")
}
