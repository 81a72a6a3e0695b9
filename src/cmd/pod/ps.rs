//! `coracle pod ps`.

use crate::engine::pods::{self, ListedPod, filter::Filters};
use crate::error::{Error, Kind, Result};
use crate::host::Env;
use crate::storage::Store;
use crate::text::Document;
use crate::ui::rows::{self, Listing};
use crate::view::pod::Row;
use serde_json::Value;
use std::process::ExitCode;

/// Arguments of `pod ps`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Show pods that match a condition: ctr-ids, ctr-names, ctr-number, ctr-status, id, name, label, network, status or
    /// until
    #[arg(short, long, value_name = "KEY=VALUE", help_heading = "Which pods")]
    pub filter: Vec<String>,
    /// Show the latest pod
    #[arg(short, long, help_heading = "Which pods")]
    pub latest: bool,
    /// Order by created, id, name, number or status
    #[arg(long, value_name = "KEY", default_value = "created", help_heading = "Which pods",
          value_parser = ["created", "id", "name", "number", "status"])]
    pub sort: String,
    /// Print as table, json or a Go template such as '{{.Name}} {{.Status}}'
    #[arg(long, value_name = "FORMAT", help_heading = "Output")]
    pub format: Option<String>,
    /// Omit the header line
    #[arg(short, long, help_heading = "Output")]
    pub noheading: bool,
    /// Print only ids
    #[arg(short, long, help_heading = "Output")]
    pub quiet: bool,
    /// Do not shorten ids
    #[arg(long, help_heading = "Output")]
    pub no_trunc: bool,
    /// Show the ids of containers
    #[arg(long, help_heading = "Output")]
    pub ctr_ids: bool,
    /// Show the names of containers
    #[arg(long, help_heading = "Output")]
    pub ctr_names: bool,
    /// Show the status of containers
    #[arg(long, help_heading = "Output")]
    pub ctr_status: bool,
    /// Show the cgroup
    #[arg(long, visible_alias = "namespace", help_heading = "Output")]
    pub ns: bool,
}

const COLUMNS: [(&str, &str); 11] = [
    ("POD ID", "{{.Id}}"),
    ("NAME", "{{.Name}}"),
    ("STATUS", "{{.Status}}"),
    ("CREATED", "{{.Created}}"),
    ("INFRA ID", "{{.InfraID}}"),
    ("IDS", "{{.ContainerIds}}"),
    ("NAMES", "{{.ContainerNames}}"),
    ("STATUS", "{{.ContainerStatuses}}"),
    ("CGROUP", "{{.Cgroup}}"),
    ("NAMESPACES", "{{.Namespace}}"),
    ("# OF CONTAINERS", "{{.NumberOfContainers}}"),
];

/// What `table ...` shows above fields.
const HEADERS: [(&str, &str); 3] =
    [("ID", "POD ID"), ("InfraId", "INFRA ID"), ("NumberOfContainers", "# OF CONTAINERS")];

/// Lists pods.
///
/// # Errors
/// A wrong filter or format, or pods that cannot be read.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    if args.quiet && args.format.is_some() {
        return Err(Error::new(Kind::Usage, "quiet and format cannot be used together")
            .hint("Leave one of the two out."));
    }
    let filters = Filters::parse(&args.filter)?;
    let store = crate::cmd::store(env)?;
    let mut list = pods::list(&store)?;
    list.retain(|pod| filters.hold(pod));
    if args.latest {
        list.truncate(1);
    }
    sort(&mut list, &args.sort);
    crate::ui::out(&listing(args, &store, &list)?)?;
    Ok(ExitCode::SUCCESS)
}

fn listing(args: &Args, store: &Store, list: &[ListedPod]) -> Result<String> {
    let asks_restarts = args.format.as_deref().is_some_and(|format| format.contains("Restarts"));
    let shown: Vec<Row<'_>> = list
        .iter()
        .map(|of| Row {
            of,
            whole: args.no_trunc,
            restarts: if asks_restarts { restarts(store, of) } else { 0 },
        })
        .collect();
    if args.quiet {
        // As in podman, in full.
        return Ok(list.iter().map(|pod| format!("{}\n", pod.spec.id)).collect());
    }
    if rows::is_whole_json(args.format.as_deref()) {
        return rows::json(&Value::Array(shown.iter().map(Row::json).collect()));
    }
    let fields: Vec<Document> = shown.iter().map(Row::fields).collect();
    let columns = columns(args);
    let listing = Listing { columns: &columns, headers: &HEADERS, no_heading: args.noheading };
    rows::rows(args.format.as_deref(), &fields, &listing)
}

fn columns(args: &Args) -> Vec<(&'static str, &'static str)> {
    let asked = |cell: &str| match cell {
        "{{.ContainerIds}}" => args.ctr_ids,
        "{{.ContainerNames}}" => args.ctr_names,
        "{{.ContainerStatuses}}" => args.ctr_status,
        "{{.Cgroup}}" | "{{.Namespace}}" => args.ns,
        "{{.NumberOfContainers}}" => !args.ctr_ids && !args.ctr_names && !args.ctr_status,
        _ => true,
    };
    COLUMNS.into_iter().filter(|(_, cell)| asked(cell)).collect()
}

fn sort(list: &mut [ListedPod], key: &str) {
    match key {
        "id" => list.sort_by(|a, b| a.spec.id.cmp(&b.spec.id)),
        "name" => list.sort_by(|a, b| a.spec.name.cmp(&b.spec.name)),
        "number" => list.sort_by_key(|pod| pod.containers.len()),
        "status" => list.sort_by_key(|pod| pod.state),
        // They come in the order of creation.
        _ => {}
    }
}

fn restarts(store: &Store, pod: &ListedPod) -> u32 {
    let of_one = |id| store.containers().open(id).ok()?.run_record().ok()??.restarts.into();
    pod.containers.iter().filter_map(|one| -> Option<u32> { of_one(&one.id) }).sum()
}
