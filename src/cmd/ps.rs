//! `coracle ps`.

use crate::engine::containers;
use crate::engine::containers::selector::Filters;
use crate::error::Result;
use crate::host::Env;
use crate::storage::Store;
use crate::ui::rows::{self, Listing};
use row::{Detail, Row, status};
use serde_json::Value;
use std::process::ExitCode;
use std::time::Duration;

mod args;
mod ports;
mod row;

pub use args::Args;

/// Lists containers.
///
/// # Errors
/// A wrong filter or format, or containers that cannot be read.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = super::store(env)?;
    let filters = Filters::parse(&args.filter)?;
    loop {
        let text = listing(args, &store, &filters)?;
        let Some(seconds) = args.watch else {
            crate::ui::out(&text)?;
            return Ok(ExitCode::SUCCESS);
        };
        // Cursor home, clear the screen.
        crate::ui::out(&format!("\x1b[H\x1b[2J{text}"))?;
        std::thread::sleep(Duration::from_secs(u64::from(seconds)));
    }
}

fn listing(args: &Args, store: &Store, filters: &Filters) -> Result<String> {
    let mut list = filters.apply(store, containers::list(store)?)?;
    let every = args.all || args.latest || args.last.is_some() || filters.ask_status();
    list.retain(|summary| every || summary.status.is_active());
    if let Some(last) = args.last.or(args.latest.then_some(1)) {
        list.truncate(last);
    }
    let docker = crate::ui::docker();
    if !docker {
        // podman's order: the latest at the bottom, next to the prompt.
        list.reverse();
    }
    let mut rows: Vec<Row> = list.into_iter().map(|summary| Row::new(summary, args)).collect();
    let detail = Detail::of(args);
    rows.iter_mut().try_for_each(|row| row.read(store, detail))?;
    sort(&mut rows, &args.sort);
    if args.quiet && args.format.is_none() {
        return Ok(rows.iter().map(|row| row.id() + "\n").collect());
    }
    if rows::is_json(args.format.as_deref()) && !docker {
        return rows::json(&Value::Array(rows.iter().map(Row::json).collect()));
    }
    let values: Vec<Value> = if docker && !args.namespace {
        rows.iter().map(Row::docker_fields).collect()
    } else if args.format.is_some() || args.namespace {
        rows.iter().map(Row::fields).collect()
    } else {
        rows.iter().map(Row::table_fields).collect()
    };
    let listing = Listing {
        columns: &columns(args),
        headers: &[("CreatedHuman", "CREATED"), ("ExitCode", "EXIT CODE")],
        no_heading: args.noheading,
    };
    rows::rows(args.format.as_deref(), &values, &listing)
}

const COLUMNS: [(&str, &str); 10] = [
    ("CONTAINER ID", "{{.ID}}"),
    ("IMAGE", "{{.Image}}"),
    ("COMMAND", "{{.Command}}"),
    ("CREATED", "{{.RunningFor}}"),
    ("STATUS", "{{.Status}}"),
    ("PORTS", "{{.Ports}}"),
    ("NAMES", "{{.Names}}"),
    ("SIZE", "{{.Size}}"),
    ("POD ID", "{{.Pod}}"),
    ("PODNAME", "{{.PodName}}"),
];

const NAMESPACE_COLUMNS: [(&str, &str); 10] = [
    ("CONTAINER ID", "{{.ID}}"),
    ("NAMES", "{{.Names}}"),
    ("PID", "{{.Pid}}"),
    ("CGROUPNS", "{{.CGROUPNS}}"),
    ("IPC", "{{.IPC}}"),
    ("MNT", "{{.MNT}}"),
    ("NET", "{{.NET}}"),
    ("PIDNS", "{{.PIDNS}}"),
    ("USERNS", "{{.USERNS}}"),
    ("UTS", "{{.UTS}}"),
];

fn columns(args: &Args) -> Vec<(&'static str, &'static str)> {
    if args.namespace {
        return NAMESPACE_COLUMNS.to_vec();
    }
    let asked = |header: &str| match header {
        "SIZE" => args.size,
        "POD ID" | "PODNAME" => args.pod,
        _ => true,
    };
    COLUMNS.into_iter().filter(|(header, _)| asked(header)).collect()
}

fn sort(rows: &mut [Row], key: &str) {
    match key {
        "command" => rows.sort_by(|a, b| a.summary.command.cmp(&b.summary.command)),
        "id" => rows.sort_by(|a, b| a.summary.id.cmp(&b.summary.id)),
        "image" => rows.sort_by(|a, b| a.summary.image.cmp(&b.summary.image)),
        "names" => rows.sort_by(|a, b| a.summary.name.cmp(&b.summary.name)),
        "runningfor" => rows.sort_by_key(|row| row.summary.started),
        "size" => rows.sort_by_key(|row| row.size),
        "status" => rows.sort_by_key(|row| status(&row.summary)),
        // They come in the order of creation.
        _ => {}
    }
}
