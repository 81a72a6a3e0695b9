//! `coracle ps`.

use crate::engine::containers::listing::{Detail, ListRequest, Listed, listed};
use crate::engine::containers::selector::Filters;
use crate::error::Result;
use crate::host::Env;
use crate::storage::Store;
use crate::text::Document;
use crate::ui::rows::{self, Listing};
use crate::view::Dialect;
use crate::view::container::{Row, status};
use serde_json::Value;
use std::process::ExitCode;
use std::time::Duration;

/// Arguments of `ps`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Show all containers, not only running ones
    #[arg(short, long, help_heading = "Which containers")]
    pub all: bool,
    /// Show the latest container, running or not
    #[arg(short, long, conflicts_with = "last", help_heading = "Which containers")]
    pub latest: bool,
    /// Show the N latest containers, running or not; -1 is no limit
    #[arg(short = 'n', long, value_name = "N", help_heading = "Which containers")]
    pub last: Option<i64>,
    /// Show containers that match a condition: id, name, label, exited, status, ancestor, before, since, until,
    /// volume, network, pod, publish or expose
    #[arg(short, long, value_name = "KEY=VALUE", help_heading = "Which containers")]
    pub filter: Vec<String>,
    /// Order by command, created, id, image, names, runningfor, size or status
    #[arg(long, value_name = "KEY", default_value = "created", help_heading = "Which containers",
          value_parser = ["command", "created", "id", "image", "names", "runningfor", "size", "status"])]
    pub sort: String,
    /// Print as table, json or a Go template such as '{{.Names}} {{.Status}}'
    #[arg(long, value_name = "FORMAT", help_heading = "Output")]
    pub format: Option<String>,
    /// Print only ids
    #[arg(short, long, conflicts_with_all = ["size", "namespace"], help_heading = "Output")]
    pub quiet: bool,
    /// Do not shorten ids and commands
    #[arg(long, help_heading = "Output")]
    pub no_trunc: bool,
    /// Omit the header line
    #[arg(long, help_heading = "Output")]
    pub noheading: bool,
    /// Show the pod of each container
    #[arg(short, long, help_heading = "Output")]
    pub pod: bool,
    /// Show the size of each container, with and without its image
    #[arg(short, long, conflicts_with = "namespace", help_heading = "Output")]
    pub size: bool,
    /// Show PIDs and namespaces
    #[arg(long, visible_alias = "ns", help_heading = "Output")]
    pub namespace: bool,
    /// Refresh every SECONDS
    #[arg(short, long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Output")]
    pub watch: Option<u32>,
    /// Accepted for compatibility with podman: the state shown is always current
    #[arg(long, hide = true)]
    pub sync: bool,
    /// Accepted for compatibility with podman: the store has no containers of other tools
    #[arg(long, hide = true)]
    pub external: bool,
}

/// Lists containers.
///
/// # Errors
/// A wrong filter or format, or containers that cannot be read.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = super::store(env)?;
    let request = ListRequest {
        all: args.all,
        last: args.last.and_then(|number| number.try_into().ok()).or(args.latest.then_some(1)),
        filters: Filters::parse(&args.filter)?,
        detail: detail(args),
    };
    loop {
        let text = listing(args, &store, &request)?;
        let Some(seconds) = args.watch else {
            crate::ui::out(&text)?;
            return Ok(ExitCode::SUCCESS);
        };
        // Cursor home, clear the screen.
        crate::ui::out(&format!("\x1b[H\x1b[2J{text}"))?;
        std::thread::sleep(Duration::from_secs(u64::from(seconds)));
    }
}

/// What must be read for these options.
fn detail(args: &Args) -> Detail {
    let Some(format) = args.format.as_deref() else {
        // Docker's table has the entry point and exposed ports, too.
        let spec = super::dialect() == Dialect::Docker && !args.quiet;
        let size = args.size || args.sort == "size";
        return Detail { spec, process: args.namespace, size, stopping: !args.quiet };
    };
    if rows::is_whole_json(Some(format)) {
        return Detail { spec: true, process: true, size: args.size, stopping: true };
    }
    // Every word behind a dot may be a field; a dot alone is all of them.
    let words: Vec<&str> = format
        .split('.')
        .skip(1)
        .map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default())
        .collect();
    let has = |names: &[&str]| words.iter().any(|word| word.is_empty() || names.contains(word));
    Detail {
        spec: has(&[
            "CIDFile",
            "Command",
            "ImageID",
            "Label",
            "Labels",
            "LocalVolumes",
            "Mounts",
            "Networks",
            "Ports",
            "Restarts",
        ]),
        process: has(&[
            "Pid",
            "PID",
            "Namespaces",
            "CGROUPNS",
            "IPC",
            "MNT",
            "NET",
            "PIDNS",
            "USERNS",
            "UTS",
        ]),
        size: args.size || args.sort == "size" || words.contains(&"Size"),
        stopping: has(&["State", "Status"]),
    }
}

fn listing(args: &Args, store: &Store, request: &ListRequest) -> Result<String> {
    let mut list = listed(store, request)?;
    let dialect = super::dialect();
    if dialect == Dialect::Podman {
        // The latest at the bottom, next to the prompt.
        list.reverse();
    }
    sort(&mut list, &args.sort);
    let shown: Vec<Row<'_>> = list.iter().map(|of| Row { of, whole: args.no_trunc }).collect();
    if args.quiet && args.format.is_none() {
        return Ok(shown.iter().map(|row| row.id() + "\n").collect());
    }
    if rows::is_whole_json(args.format.as_deref()) && dialect == Dialect::Podman {
        return rows::json(&Value::Array(shown.iter().map(Row::json).collect()));
    }
    let plain = !args.namespace && args.format.is_none() && dialect == Dialect::Podman;
    let of = if args.namespace { Dialect::Podman } else { dialect };
    let fields = |row: &Row<'_>| match plain {
        true => Document::of_one_form(row.table_fields()),
        false => row.fields(of),
    };
    let values: Vec<Document> = shown.iter().map(fields).collect();
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

fn sort(rows: &mut [Listed], key: &str) {
    match key {
        "command" => rows.sort_by(|a, b| a.summary.command.cmp(&b.summary.command)),
        "id" => rows.sort_by(|a, b| a.summary.id.cmp(&b.summary.id)),
        "image" => rows.sort_by(|a, b| a.summary.image.cmp(&b.summary.image)),
        "names" => rows.sort_by(|a, b| a.summary.name.cmp(&b.summary.name)),
        "runningfor" => rows.sort_by_key(|row| row.summary.started),
        "size" => rows.sort_by_key(|row| row.size),
        "status" => rows.sort_by_key(|row| status(&row.summary, Dialect::Podman)),
        // They come in the order of creation.
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_format_names_is_read() {
        let detail = |format: &str| detail(&Args { format: Some(format.into()), ..Args::default() });
        assert_eq!(detail("{{.ID}} {{.Status}}"), Detail { stopping: true, ..Detail::default() });
        assert_eq!(detail("{{.ID}}"), Detail::default());
        assert_eq!(detail("table {{.Names}}\t{{.Labels}}"), Detail { spec: true, ..Detail::default() });
        assert!(detail("{{.Size}}").size && !detail("{{.Size}}").process);
        assert!(detail("{{json .}}").spec && detail("{{json .}}").process);
        assert_eq!(super::detail(&Args::default()), Detail { stopping: true, ..Detail::default() });
        assert_eq!(super::detail(&Args { quiet: true, ..Args::default() }), Detail::default());
    }
}
