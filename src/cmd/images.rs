//! `coracle images`.

use crate::engine::images::filter::Filters;
use crate::error::{Error, Kind, Result};
use crate::host::Env;
use crate::image::Reference;
use crate::storage::Store;
use crate::storage::images::Listed;
use crate::text::{time, units};
use crate::ui::rows::{self, Listing};
use crate::ui::short_image_name;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Arguments of `images`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Show only images whose name matches: name[:tag], with * and ?
    #[arg(value_name = "IMAGE")]
    pub image: Option<String>,
    /// Show all images; there are no intermediate ones to hide
    #[arg(short, long, help_heading = "Which images")]
    pub all: bool,
    /// Show images that match a condition: id, reference, label, dangling, before, since, until, containers or readonly
    #[arg(short, long, value_name = "KEY=VALUE", help_heading = "Which images")]
    pub filter: Vec<String>,
    /// Order by created, id, repository, size or tag
    #[arg(long, value_name = "KEY", default_value = "created", help_heading = "Which images",
          value_parser = ["created", "id", "repository", "size", "tag"])]
    pub sort: String,
    /// Print as table, json or a Go template such as '{{.Repository}}:{{.Tag}}'
    #[arg(long, value_name = "FORMAT", help_heading = "Output")]
    pub format: Option<String>,
    /// Print ids only
    #[arg(short, long, help_heading = "Output")]
    pub quiet: bool,
    /// Omit the header line
    #[arg(short, long, help_heading = "Output")]
    pub noheading: bool,
    /// Do not shorten ids
    #[arg(long, help_heading = "Output")]
    pub no_trunc: bool,
    /// Show the digest each image was pulled by
    #[arg(long, help_heading = "Output")]
    pub digests: bool,
    /// Show the names each image has had, the latest first
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
            return Err(Error::new(Kind::Usage, "a name and --filter exclude each other")
                .hint("Write the name as a filter too: --filter reference=NAME"));
        }
        texts.push(format!("reference={image}"));
    }
    let filters = Filters::parse(&texts, &store)?;
    let listed: Vec<Listed> = store.images().list()?;
    let mut lines: Vec<Line<'_>> = Vec::new();
    for image in &listed {
        let names = filters.names(image, &store)?;
        let Some(names) = names else { continue };
        let used = filters.asks_containers() || args.format.is_some();
        let containers = if used { store.images().users(&image.image.id)?.len() } else { 0 };
        if names.is_empty() {
            lines.push(Line { image, name: None, containers });
        }
        lines.extend(names.into_iter().map(|name| Line { image, name: Some(name), containers }));
    }
    sort(&mut lines, &args.sort);
    crate::ui::out(&text(args, &store, &lines)?)?;
    Ok(ExitCode::SUCCESS)
}

fn text(args: &Args, store: &Store, lines: &[Line<'_>]) -> Result<String> {
    if rows::is_json(args.format.as_deref()) && !crate::ui::docker() {
        return rows::json(&Value::Array(json_images(store, lines)?));
    }
    if args.quiet && args.format.is_none() {
        let mut ids: Vec<String> = Vec::new();
        for line in lines {
            let id = line.id(args.no_trunc);
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        return Ok(ids.into_iter().map(|id| id + "\n").collect());
    }
    let fields = if crate::ui::docker() { Line::docker_fields } else { Line::fields };
    let values: Vec<Value> = lines.iter().map(|line| fields(line, args.no_trunc)).collect();
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

/// One line: an image under one of its names.
struct Line<'a> {
    image: &'a Listed,
    name: Option<&'a Reference>,
    containers: usize,
}

impl Line<'_> {
    fn id(&self, whole: bool) -> String {
        let id = &self.image.image.id;
        if whole { id.to_string() } else { id.short().to_owned() }
    }

    fn repository(&self) -> String {
        self.name.map_or_else(|| "<none>".to_owned(), Reference::repository)
    }

    fn tag(&self) -> String {
        let tag = self.name.and_then(Reference::tag_or_latest);
        tag.unwrap_or("<none>").to_owned()
    }

    /// The row when docker's habits are followed; its JSON is this row, too.
    fn docker_fields(&self, no_trunc: bool) -> Value {
        let image = self.image;
        let repository = self.repository();
        let size = units::size(image.size);
        json!({
            "Containers": self.containers.to_string(),
            "CreatedAt": image.created.format("%Y-%m-%d %H:%M:%S %z UTC").to_string(),
            "CreatedSince": time::ago(image.created),
            "Digest": image.image.manifest.as_str(),
            "ID": self.id(no_trunc),
            "Repository": short_image_name(&repository),
            "SharedSize": "N/A",
            "Size": size,
            "Tag": self.tag(),
            "UniqueSize": "N/A",
            "VirtualSize": size,
        })
    }

    fn names(&self) -> Vec<String> {
        self.image.names.iter().map(Reference::to_string).collect()
    }

    fn fields(&self, no_trunc: bool) -> Value {
        let (image, config) = (self.image, &self.image.image.config);
        json!({
            "ID": self.id(no_trunc),
            "Id": image.image.id.hex(),
            "Repository": self.repository(),
            "Tag": self.tag(),
            "Digest": image.image.manifest.as_str(),
            "CreatedSince": time::ago(image.created),
            "CreatedAt": image.created.format("%Y-%m-%d %H:%M:%S %z UTC").to_string(),
            "CreatedTime": image.created.format("%Y-%m-%d %H:%M:%S %z UTC").to_string(),
            "Created": time::ago(image.created),
            "Size": units::size(image.size),
            "VirtualSize": units::size(image.size),
            "SharedSize": units::size(image.shared),
            "UniqueSize": units::size(image.size - image.shared),
            "Labels": config.config.labels,
            "Names": self.names(),
            "RepoTags": image.tags(),
            "RepoDigests": image.digests,
            "History": image.history.join(", "),
            "Containers": self.containers,
            "Dangling": image.names.is_empty(),
            "ReadOnly": image.read_only,
            "ParentId": "",
        })
    }
}

/// Whole images in podman's form; an image with several names is there once.
fn json_images(store: &Store, lines: &[Line<'_>]) -> Result<Vec<Value>> {
    let mut seen = std::collections::HashSet::new();
    let mut all = Vec::new();
    for line in lines.iter().filter(|line| seen.insert(&line.image.image.id)) {
        let image = line.image;
        let labels = &image.image.config.config.labels;
        all.push(json!({
            "Id": image.image.id.hex(),
            "ParentId": "",
            "RepoTags": Some(image.tags()).filter(|tags| !tags.is_empty()),
            "RepoDigests": image.digests,
            "Size": image.size,
            "SharedSize": image.shared,
            "VirtualSize": image.size,
            "Labels": if labels.is_empty() { Value::Null } else { json!(labels) },
            "Containers": store.images().users(&image.image.id)?.len(),
            "Dangling": image.names.is_empty(),
            "ReadOnly": image.read_only,
            "Names": line.names(),
            "Digest": image.image.manifest.as_str(),
            "History": image.history,
            "Created": image.created.timestamp(),
            "CreatedAt": image.created.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
        }));
    }
    Ok(all)
}

fn sort(lines: &mut [Line<'_>], key: &str) {
    match key {
        "id" => lines.sort_by_key(|line| line.image.image.id.clone()),
        "repository" => lines.sort_by_key(Line::repository),
        "size" => lines.sort_by_key(|line| line.image.size),
        "tag" => lines.sort_by_key(Line::tag),
        // The store gives the newest first.
        _ => {}
    }
}
