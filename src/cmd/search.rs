//! `coracle search`.

use super::options::pulling::pulling;
use super::options::source::RegistryOptions;
use crate::engine::Engine;
use crate::engine::images::search::{Filters, Found};
use crate::error::{Error, FAILED, Kind, Result};
use crate::host::Env;
use crate::image::{Platform, Reference};
use crate::ui;
use crate::ui::rows::{self, Listing};
use crate::view::{Dialect, search};
use serde_json::{Value, json};
use std::process::ExitCode;

/// How many repositories or tags are shown by default.
const LIMIT: usize = 25;

/// Arguments of `search`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Part of a repository's name: [registry/]term; with --list-tags, a whole name
    #[arg(value_name = "TERM")]
    pub term: String,
    /// Show repositories that match a condition: stars=N, is-official or is-automated
    #[arg(short, long, value_name = "CONDITION", value_delimiter = ',', help_heading = "Which repositories")]
    pub filter: Vec<String>,
    /// Number of repositories of each registry, or of tags
    #[arg(long, value_name = "COUNT", help_heading = "Which repositories")]
    pub limit: Option<usize>,
    /// List the tags of a repository
    #[arg(long, help_heading = "Which repositories")]
    pub list_tags: bool,
    /// Also show stars, and whether repositories are official or automated
    #[arg(long, help_heading = "Output")]
    pub compatible: bool,
    /// Print as json or a Go template such as '{{.Name}}'
    #[arg(long, value_name = "FORMAT", help_heading = "Output")]
    pub format: Option<String>,
    /// Do not shorten descriptions
    #[arg(long, help_heading = "Output")]
    pub no_trunc: bool,
    /// How to talk to the registries.
    #[command(flatten)]
    pub registry: RegistryOptions,
}

/// Shows repositories of registries, or the tags of one.
///
/// # Errors
/// Wrong options; no registry that answers.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = super::store(env)?;
    let engine = super::store::engine(&store, env);
    let limit = args.limit.filter(|limit| *limit > 0).unwrap_or(LIMIT);
    let filters = Filters::parse(&args.filter)?;
    if args.list_tags {
        if !args.filter.is_empty() {
            return Err(Error::new(Kind::Usage, "filters are not applicable to list tags result")
                .hint("Leave out --filter, or --list-tags."));
        }
        return tags(args, engine, limit);
    }
    let found = engine.search(&args.term, limit, &args.registry.request(Platform::host()))?;
    let (dialect, whole) = (super::dialect(), args.no_trunc);
    let mut shown: Vec<Value> = Vec::new();
    let mut failures = Vec::new();
    for Found { registry, hits } in found {
        match hits {
            Ok(hits) => {
                let kept = hits.iter().filter(|hit| filters.hold(hit));
                shown.extend(kept.map(|hit| search::row(&registry, hit, whole, dialect)));
            }
            Err(why) => failures.push(format!("couldn't search registry {registry:?}: {why}")),
        }
    }
    if dialect == Dialect::Docker {
        shown.sort_by_key(|row| std::cmp::Reverse(row["StarCount"].as_u64()));
    }
    // With something to show, what is missing is a warning, as to podman.
    let failed = shown.is_empty() && !failures.is_empty();
    for failure in failures {
        match failed {
            true => ui::report(&Error::new(Kind::Registry, failure)),
            false => log::warn!("{failure}"),
        }
    }
    if failed {
        return Ok(ExitCode::from(FAILED));
    }
    ui::out(&text(args, &shown, dialect)?)?;
    Ok(ExitCode::SUCCESS)
}

fn text(args: &Args, shown: &[Value], dialect: Dialect) -> Result<String> {
    // Podman prints no header without rows.
    if shown.is_empty() && args.format.is_none() && dialect == Dialect::Podman {
        return Ok(String::new());
    }
    let columns = match dialect {
        Dialect::Docker => DOCKERS,
        Dialect::Podman if args.compatible => PODMANS,
        Dialect::Podman => &PODMANS[..2],
    };
    let headers = &[("StarCount", "STARS"), ("IsOfficial", "OFFICIAL"), ("IsAutomated", "AUTOMATED")];
    rows::rows(args.format.as_deref(), shown, &Listing { columns, headers, no_heading: false })
}

const PODMANS: &[(&str, &str)] = &[
    ("NAME", "{{.Name}}"),
    ("DESCRIPTION", "{{.Description}}"),
    ("STARS", "{{.Stars}}"),
    ("OFFICIAL", "{{.Official}}"),
    ("AUTOMATED", "{{.Automated}}"),
];

const DOCKERS: &[(&str, &str)] = &[
    ("NAME", "{{.Name}}"),
    ("DESCRIPTION", "{{.Description}}"),
    ("STARS", "{{.StarCount}}"),
    ("OFFICIAL", "{{if .IsOfficial}}[OK]{{end}}"),
];

/// The tags of one repository; podman's JSON has them together.
fn tags(args: &Args, engine: Engine<'_>, limit: usize) -> Result<ExitCode> {
    let name: Reference = args.term.parse()?;
    let request = args.registry.request(Platform::host());
    let found = pulling(true, |report| engine.tags(&name, &request, report))?;
    let named = name.with_registry();
    let repository = named.repository();
    let tags = found.into_iter().filter_map(|tagged| tagged.ok()?.tag().map(str::to_owned)).take(limit);
    let tags: Vec<String> = tags.collect();
    if rows::is_whole_json(args.format.as_deref()) {
        ui::out(&rows::json(&json!([{ "Name": repository, "Tags": tags }]))?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let shown: Vec<Value> = tags.iter().map(|tag| search::tag(&repository, tag)).collect();
    let columns = &[("NAME", "{{.Name}}"), ("TAG", "{{.Tag}}")];
    let listing = Listing { columns, headers: &[], no_heading: false };
    ui::out(&rows::rows(args.format.as_deref(), &shown, &listing)?)?;
    Ok(ExitCode::SUCCESS)
}
