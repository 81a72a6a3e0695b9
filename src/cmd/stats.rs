//! `coracle stats`.

use crate::engine::containers;
use crate::engine::containers::stats::{Reading, Stats};
use crate::error::{Error, Kind, Result};
use crate::host::Env;
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use crate::ui::rows::{self, Listing};
use crate::view::Dialect;
use crate::view::stats::Row;
use serde_json::Value;
use std::process::ExitCode;
use std::time::Duration;

/// Arguments of `stats`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Containers by name, id or beginning of an id; by default all running ones
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
        return Err(Error::new(Kind::Usage, "--all, --latest and containers cannot be used together")
            .hint("Give either names or one of the options."));
    }
    let store = super::store(env)?;
    let mut watch = Stats::default();
    loop {
        let mut readings = Vec::new();
        for container in chosen(args, &store)? {
            // One that went away meanwhile is left out.
            readings.extend(watch.read(&container));
        }
        let text = table(args, &readings)?;
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

fn table(args: &Args, readings: &[Reading]) -> Result<String> {
    let shown: Vec<Row<'_>> = readings.iter().map(|of| Row { of, whole: args.no_trunc }).collect();
    let dialect = super::dialect();
    if dialect == Dialect::Podman && rows::is_whole_json(args.format.as_deref()) {
        return rows::json(&Value::Array(shown.iter().map(Row::json).collect()));
    }
    let values: Vec<Value> = shown.iter().map(|row| row.fields(dialect)).collect();
    let listing = match dialect {
        Dialect::Podman => Listing { columns: &COLUMNS, headers: &HEADERS, no_heading: false },
        Dialect::Docker => {
            Listing { columns: &DOCKER_COLUMNS, headers: &[("Container", "CONTAINER")], no_heading: false }
        }
    };
    rows::rows(args.format.as_deref(), &values, &listing)
}
