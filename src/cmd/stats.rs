//! `coracle stats`.

use crate::engine::containers;
use crate::engine::containers::stats::{self, Sample};
use crate::error::{Error, Kind, Result};
use crate::host::Env;
use crate::spec::NetworkMode;
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use crate::text::{time, units};
use crate::ui::rows::{self, Listing};
use chrono::Utc;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Arguments of `stats`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Containers by name, id or beginning of an id; all running ones without
    #[arg(value_name = "CONTAINER")]
    pub containers: Vec<String>,
    /// Show all containers, not only running ones
    #[arg(short, long, help_heading = "Which containers")]
    pub all: bool,
    /// Show the latest container
    #[arg(short, long, help_heading = "Which containers")]
    pub latest: bool,
    /// Print as table, json or a Go template such as '{{.Name}} {{.MemUsage}}'
    #[arg(long, value_name = "FORMAT", help_heading = "Output")]
    pub format: Option<String>,
    /// Seconds between updates
    #[arg(short, long, value_name = "SECONDS", default_value = "5", help_heading = "Output",
          value_parser = clap::value_parser!(u64).range(1..))]
    pub interval: u64,
    /// Do not clear the screen between updates
    #[arg(long, help_heading = "Output")]
    pub no_reset: bool,
    /// Show one table and exit
    #[arg(long, help_heading = "Output")]
    pub no_stream: bool,
    /// Do not shorten ids
    #[arg(long, help_heading = "Output")]
    pub no_trunc: bool,
}

const COLUMNS: [(&str, &str); 10] = [
    ("ID", "{{.ID}}"),
    ("NAME", "{{.Name}}"),
    ("CPU %", "{{.CPUPerc}}"),
    ("MEM USAGE / LIMIT", "{{.MemUsage}}"),
    ("MEM %", "{{.MemPerc}}"),
    ("NET IO", "{{.NetIO}}"),
    ("BLOCK IO", "{{.BlockIO}}"),
    ("PIDS", "{{.PIDS}}"),
    ("CPU TIME", "{{.UpTime}}"),
    ("AVG CPU %", "{{.AVGCPU}}"),
];

const DOCKER_COLUMNS: [(&str, &str); 8] = [
    ("CONTAINER ID", "{{.ID}}"),
    ("NAME", "{{.Name}}"),
    ("CPU %", "{{.CPUPerc}}"),
    ("MEM USAGE / LIMIT", "{{.MemUsage}}"),
    ("MEM %", "{{.MemPerc}}"),
    ("NET I/O", "{{.NetIO}}"),
    ("BLOCK I/O", "{{.BlockIO}}"),
    ("PIDS", "{{.PIDs}}"),
];

/// Other names of the columns.
const HEADERS: [(&str, &str); 4] = [
    ("MemUsageBytes", "MEM USAGE / LIMIT"),
    ("PIDs", "PIDS"),
    ("Up", "CPU TIME"),
    ("Container", "CONTAINER"),
];

/// Shows what containers use.
///
/// # Errors
/// A container that does not exist, a wrong format.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    if args.latest && (args.all || !args.containers.is_empty()) || args.all && !args.containers.is_empty() {
        return Err(Error::new(Kind::Usage, "names, --latest and --all exclude each other")
            .hint("Give either names or one of the options."));
    }
    let store = super::store(env)?;
    let mut before: HashMap<String, (Instant, Duration)> = HashMap::new();
    loop {
        let mut rows = Vec::new();
        for container in chosen(args, &store)? {
            let plan = container.spec().ok();
            let own_network = plan.is_some_and(|plan| plan.network.mode != NetworkMode::Host);
            // One that went away meanwhile is left out.
            let Ok(sample) = stats::sample(&container, own_network) else { continue };
            let id = container.id().to_string();
            let last = before.get(&id).copied();
            if let Some(sample) = &sample {
                before.insert(id, (Instant::now(), sample.cpu));
            }
            let name = container.settings().map(|s| s.name.to_string()).unwrap_or_default();
            rows.push(Row { container, name, sample, last });
        }
        let text = table(args, &rows)?;
        let clear = !args.no_stream && !args.no_reset && args.format.is_none();
        // Cursor home, clear the screen.
        crate::ui::out(&if clear { format!("\x1b[H\x1b[2J{text}") } else { text })?;
        if args.no_stream {
            return Ok(ExitCode::SUCCESS);
        }
        std::thread::sleep(Duration::from_secs(args.interval));
    }
}

fn chosen(args: &Args, store: &Store) -> Result<Vec<ContainerDir>> {
    if args.latest {
        return Ok(vec![store.containers().latest()?]);
    }
    if !args.containers.is_empty() {
        return args.containers.iter().map(|name| store.containers().find(name)).collect();
    }
    let mut list = containers::list(store)?;
    list.retain(|summary| args.all || summary.status.is_live());
    Ok(list.iter().filter_map(|summary| store.containers().open(&summary.id).ok()).collect())
}

fn table(args: &Args, rows: &[Row]) -> Result<String> {
    if crate::ui::docker() {
        let values: Vec<Value> = rows.iter().map(|row| row.docker_fields(args)).collect();
        let listing =
            Listing { columns: &DOCKER_COLUMNS, headers: &[("Container", "CONTAINER")], no_heading: false };
        return rows::rows(args.format.as_deref(), &values, &listing);
    }
    if rows::is_json(args.format.as_deref()) {
        return rows::json(&Value::Array(rows.iter().map(|row| row.json(args)).collect()));
    }
    let values: Vec<Value> = rows.iter().map(|row| row.fields(args)).collect();
    let listing = Listing { columns: &COLUMNS, headers: &HEADERS, no_heading: false };
    rows::rows(args.format.as_deref(), &values, &listing)
}

/// One container of the table.
struct Row {
    container: ContainerDir,
    name: String,
    sample: Option<Sample>,
    /// When it was looked at before, and its processor time then.
    last: Option<(Instant, Duration)>,
}

const UNKNOWN: &str = "--";

impl Row {
    fn id(&self, args: &Args) -> String {
        if args.no_trunc { self.container.id().to_string() } else { self.container.id().short().to_owned() }
    }

    /// Per cent of one processor since the last look, or since the start.
    fn cpu(&self) -> f64 {
        let Some(sample) = &self.sample else { return 0.0 };
        match self.last {
            Some((then, cpu)) => share(sample.cpu.saturating_sub(cpu), then.elapsed()),
            None => share(sample.cpu, sample.age),
        }
    }

    fn average(&self) -> f64 {
        self.sample.as_ref().map_or(0.0, |sample| share(sample.cpu, sample.age))
    }

    fn memory_percent(&self) -> f64 {
        match &self.sample {
            Some(s) if s.memory_limit > 0 => s.memory as f64 * 100.0 / s.memory_limit as f64,
            _ => 0.0,
        }
    }

    fn known(&self, text: impl FnOnce(&Sample) -> String) -> String {
        self.sample.as_ref().map_or_else(|| UNKNOWN.to_owned(), text)
    }

    fn memory(&self, size: fn(u64) -> String) -> String {
        match &self.sample {
            Some(s) => format!("{} / {}", size(s.memory), size(s.memory_limit)),
            None => format!("{UNKNOWN} / {UNKNOWN}"),
        }
    }

    fn pair(&self, of: fn(&Sample) -> Option<(u64, u64)>) -> String {
        match self.sample.as_ref().and_then(of) {
            Some((first, second)) => format!("{} / {}", units::size(first), units::size(second)),
            None => format!("{UNKNOWN} / {UNKNOWN}"),
        }
    }

    /// What a template may name.
    fn fields(&self, args: &Args) -> Value {
        let sample = self.sample.clone().unwrap_or_default();
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
            "ContainerID": self.container.id().as_str(),
            "Duration": nanos(sample.cpu),
            "MemLimit": sample.memory_limit,
            "MemPerc": self.memory_percent(),
            "MemUsage": sample.memory,
            "Name": self.name,
            "NetInput": net.0,
            "NetOutput": net.1,
            "PIDs": sample.tasks,
            "PerCPU": Value::Null,
            "SystemNano": Utc::now().timestamp_nanos_opt(),
            "UpTime": nanos(sample.cpu),
        });
        let mut fields = json!({
            "AVGCPU": self.known(|_| percent(self.average())),
            "BlockIO": self.pair(|s| s.disk),
            "CPUPerc": self.known(|_| percent(self.cpu())),
            "Container": self.name,
            "ID": self.id(args),
            "MemPerc": self.known(|_| percent(self.memory_percent())),
            "MemUsage": self.memory(units::size),
            "MemUsageBytes": self.memory(units::binary_size),
            "NetIO": self.pair(|s| s.network),
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

    /// The row as docker's templates and JSON have it.
    fn docker_fields(&self, args: &Args) -> Value {
        let fields = self.fields(args);
        let names = ["BlockIO", "CPUPerc", "Container", "ID", "MemPerc", "Name", "NetIO"];
        let mut row: Map<String, Value> =
            names.into_iter().map(|name| (name.to_owned(), fields[name].clone())).collect();
        row.insert("MemUsage".to_owned(), fields["MemUsageBytes"].clone());
        row.insert("PIDs".to_owned(), fields["PIDS"].clone());
        Value::Object(row)
    }

    fn json(&self, args: &Args) -> Value {
        json!({
            "id": self.id(args),
            "name": self.name,
            "cpu_time": self.known(|s| time::go_duration(s.cpu)),
            "cpu_percent": self.known(|_| percent(self.cpu())),
            "avg_cpu": self.known(|_| percent(self.average())),
            "mem_usage": self.memory(units::size),
            "mem_percent": self.known(|_| percent(self.memory_percent())),
            "net_io": self.pair(|s| s.network),
            "block_io": self.pair(|s| s.disk),
            "pids": self.known(|s| s.tasks.to_string()),
        })
    }
}

fn share(used: Duration, of: Duration) -> f64 {
    if of.is_zero() { 0.0 } else { used.as_secs_f64() * 100.0 / of.as_secs_f64() }
}

fn percent(number: f64) -> String {
    format!("{number:.2}%")
}
