//! `coracle images`.

use crate::engine::images::filter::Filters;
use crate::error::{Error, Kind, Result};
use crate::host::Env;
use crate::image::Reference;
use crate::storage::images::Listed;
use crate::ui::rows::{self, Listing};
use crate::view::Dialect;
use crate::view::image::Row;
use serde_json::Value;
use std::collections::HashSet;
use std::process::ExitCode;

/// Arguments of `images`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Show only images whose name matches: name[:tag], with * and ?
    #[arg(value_name = "IMAGE")]
    pub image: Option<String>,
    /// Show all images; no effect, as there are no intermediate ones
    #[arg(short, long, help_heading = "Which images")]
    pub all: bool,
    /// Show images that match a condition: id, digest, reference, label, dangling, before, since, until, containers,
    /// readonly or manifest
    #[arg(short, long, value_name = "KEY=VALUE", help_heading = "Which images")]
    pub filter: Vec<String>,
    /// Order by created, id, repository, size or tag
    #[arg(long, value_name = "KEY", default_value = "created", help_heading = "Which images",
          value_parser = ["created", "id", "repository", "size", "tag"])]
    pub sort: String,
    /// Print as table, json or a Go template such as '{{.Repository}}:{{.Tag}}'
    #[arg(long, value_name = "FORMAT", help_heading = "Output")]
    pub format: Option<String>,
    /// Print only ids
    #[arg(short, long, help_heading = "Output")]
    pub quiet: bool,
    /// Omit the header line
    #[arg(short, long, help_heading = "Output")]
    pub noheading: bool,
    /// Do not shorten ids
    #[arg(long, help_heading = "Output")]
    pub no_trunc: bool,
    /// Show the digest by which each image was pulled or pushed
    #[arg(long, help_heading = "Output")]
    pub digests: bool,
    /// Show the former names of each image, latest first
    #[arg(long, help_heading = "Output")]
    pub history: bool,
}

/// Lists images.
///
/// # Errors
/// A wrong filter or format, or images that cannot be read.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = super::store(env)?;
    let mut texts = args.filter.clone();
    if let Some(image) = &args.image {
        if !texts.is_empty() {
            return Err(Error::new(Kind::Usage, "cannot specify an image and a filter(s)")
                .hint("Write the name as a filter too: --filter reference=NAME"));
        }
        texts.push(format!("reference={image}"));
    }
    let filters = Filters::parse(&texts, &store)?;
    let listed: Vec<Listed> = store.images().list_with_lists()?;
    let mut lines: Vec<Row<'_>> = Vec::new();
    for image in &listed {
        let names = filters.names(image, &store)?;
        let Some(names) = names else { continue };
        let used = filters.asks_containers() || args.format.is_some();
        let containers = if used { store.images().users(&image.image.id)?.len() } else { 0 };
        let row = |name| Row { image, name, containers, whole: args.no_trunc };
        if names.is_empty() {
            lines.push(row(None));
        }
        // A digest says nothing more where the same repository has a tag of the image.
        let told = |name: &Reference| {
            let tagged =
                |other: &&Reference| other.digest().is_none() && other.repository() == name.repository();
            name.digest().is_some() && names.iter().any(tagged)
        };
        lines.extend(names.iter().copied().filter(|name| !told(name)).map(|name| row(Some(name))));
    }
    sort(&mut lines, &args.sort);
    crate::ui::out(&text(args, &lines)?)?;
    Ok(ExitCode::SUCCESS)
}

fn text(args: &Args, lines: &[Row<'_>]) -> Result<String> {
    let dialect = super::dialect();
    if rows::is_whole_json(args.format.as_deref()) && dialect == Dialect::Podman {
        // Whole images: one with several names is there once.
        let mut seen = HashSet::new();
        let images = lines.iter().filter(|line| seen.insert(&line.image.image.id));
        return rows::json(&Value::Array(images.map(Row::json).collect()));
    }
    if args.quiet && args.format.is_none() {
        let mut ids: Vec<String> = Vec::new();
        for line in lines {
            let id = line.id();
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        return Ok(ids.into_iter().map(|id| id + "\n").collect());
    }
    let mut values: Vec<Value> = lines.iter().map(|line| line.fields(dialect)).collect();
    if args.history && args.format.is_none() {
        // Docker's rows have no such field, but the column was asked for.
        for (value, line) in values.iter_mut().zip(lines) {
            value["History"] = Value::String(line.history());
        }
    }
    let asked = |header: &str| match header {
        "DIGEST" => args.digests,
        "HISTORY" => args.history,
        _ => true,
    };
    let columns: Vec<(&str, &str)> = COLUMNS.into_iter().filter(|(header, _)| asked(header)).collect();
    let listing = Listing {
        columns: &columns,
        headers: &[("ID", "IMAGE ID"), ("CreatedSince", "CREATED"), ("CreatedAt", "CREATED AT")],
        no_heading: args.noheading,
    };
    rows::rows(args.format.as_deref(), &values, &listing)
}

/// Every column there is; `--digests` and `--history` ask for two of them.
const COLUMNS: [(&str, &str); 7] = [
    ("REPOSITORY", "{{.Repository}}"),
    ("TAG", "{{.Tag}}"),
    ("DIGEST", "{{.Digest}}"),
    ("IMAGE ID", "{{.ID}}"),
    ("CREATED", "{{.CreatedSince}}"),
    ("SIZE", "{{.Size}}"),
    ("HISTORY", "{{.History}}"),
];

fn sort(lines: &mut [Row<'_>], key: &str) {
    match key {
        "id" => lines.sort_by_key(|line| line.image.image.id.clone()),
        "repository" => lines.sort_by_key(Row::repository),
        "size" => lines.sort_by_key(|line| line.image.size),
        "tag" => lines.sort_by_key(Row::tag),
        // The store gives the newest first.
        _ => {}
    }
}
