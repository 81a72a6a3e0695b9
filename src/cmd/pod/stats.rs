//! `coracle pod stats`.

use super::which::WhichArgs;
use crate::engine::containers::stats::{Reading, Stats};
use crate::engine::pods;
use crate::error::Result;
use crate::host::Env;
use crate::storage::Store;
use crate::ui::rows::{self, Listing};
use crate::view::pod::stats_fields;
use crate::view::stats::Row;
use serde_json::Value;
use std::process::ExitCode;
use std::time::Duration;

/// Arguments of `pod stats`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Which pods; by default all with running containers
    #[command(flatten)]
    pub which: WhichArgs,
    /// Print as table, json or a Go template such as '{{.Name}} {{.MemUsage}}'
    #[arg(long, value_name = "FORMAT", help_heading = "Output")]
    pub format: Option<String>,
    /// Do not clear the screen between updates
    #[arg(long, help_heading = "Output")]
    pub no_reset: bool,
    /// Show one table and exit
    #[arg(long, help_heading = "Output")]
    pub no_stream: bool,
}

const COLUMNS: [(&str, &str); 9] = [
    ("POD", "{{.Pod}}"),
    ("CID", "{{.CID}}"),
    ("NAME", "{{.Name}}"),
    ("CPU %", "{{.CPU}}"),
    ("MEM USAGE/ LIMIT", "{{.MemUsage}}"),
    ("MEM %", "{{.Mem}}"),
    ("NET IO", "{{.NetIO}}"),
    ("BLOCK IO", "{{.BlockIO}}"),
    ("PIDS", "{{.PIDS}}"),
];

/// Seconds between updates, podman's.
const INTERVAL: u64 = 5;

/// Shows what the containers of pods use.
///
/// # Errors
/// A pod that does not exist, a wrong format.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    let mut watch = Stats::default();
    loop {
        let text = table(args, &readings(args, &store, &mut watch)?)?;
        let clear = !args.no_stream && !args.no_reset && args.format.is_none();
        // Cursor home, clear the screen.
        crate::ui::out(&if clear { format!("\x1b[H\x1b[2J{text}") } else { text })?;
        if args.no_stream {
            return Ok(ExitCode::SUCCESS);
        }
        std::thread::sleep(Duration::from_secs(INTERVAL));
    }
}

/// The containers that run, each with the short id of its pod.
fn readings(args: &Args, store: &Store, watch: &mut Stats) -> Result<Vec<(String, Reading)>> {
    let which = &args.which;
    let named = !which.pods.is_empty() || which.latest;
    let ids: Vec<_> = match named {
        true => which.chosen(store, |_| true)?.into_iter().map(|(_, pod)| pod.id).collect(),
        false => Vec::new(),
    };
    let mut list = pods::list(store)?;
    list.retain(|pod| !named || ids.contains(&pod.spec.id));
    let mut readings = Vec::new();
    for pod in &list {
        for one in pod.containers.iter().filter(|one| one.status.is_live()) {
            // One that went away meanwhile is left out.
            let Ok(container) = store.containers().open(&one.id) else { continue };
            let reading = watch.read(&container).ok().filter(|reading| reading.sample.is_some());
            readings.extend(reading.map(|reading| (pod.spec.id.short().to_owned(), reading)));
        }
    }
    Ok(readings)
}

fn table(args: &Args, readings: &[(String, Reading)]) -> Result<String> {
    let row = |(pod, of): &(String, Reading)| stats_fields(pod, &Row { of, whole: false });
    let values: Vec<Value> = readings.iter().map(row).collect();
    if rows::is_whole_json(args.format.as_deref()) {
        return rows::json(&Value::Array(values));
    }
    let headers = [("MemUsageBytes", "MEM USAGE/ LIMIT")];
    rows::rows(
        args.format.as_deref(),
        &values,
        &Listing { columns: &COLUMNS, headers: &headers, no_heading: false },
    )
}
