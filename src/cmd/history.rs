//! `coracle history`.

use crate::error::Result;
use crate::host::Env;
use crate::image::{HistoryEntry, Image, Reference};
use crate::storage::Store;
use crate::text::{time, units};
use crate::ui::rows::{self, Listing};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use std::process::ExitCode;

/// Longest command that is shown whole.
const SHOWN: usize = 45;

/// Arguments of `history`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Name or id of an image
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// Print as table, json or a Go template such as '{{.ID}} {{.Size}}'
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Show human-readable sizes and times; false shows bytes and RFC 3339
    #[arg(short = 'H', long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value_t = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub human: bool,
    /// Do not shorten ids and commands
    #[arg(long)]
    pub no_trunc: bool,
    /// Print ids only
    #[arg(short, long)]
    pub quiet: bool,
}

const COLUMNS: [(&str, &str); 5] = [
    ("ID", "{{.ID}}"),
    ("CREATED", "{{.Created}}"),
    ("CREATED BY", "{{.CreatedBy}}"),
    ("SIZE", "{{.Size}}"),
    ("COMMENT", "{{.Comment}}"),
];

const DOCKER_COLUMNS: [(&str, &str); 5] = [
    ("IMAGE", "{{.ID}}"),
    ("CREATED", "{{.CreatedSince}}"),
    ("CREATED BY", "{{.CreatedBy}}"),
    ("SIZE", "{{.Size}}"),
    ("COMMENT", "{{.Comment}}"),
];

/// Shows how an image was made, the latest step first.
///
/// # Errors
/// An image that is not here, or a wrong format.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = super::store(env)?;
    let image = store.images().need(&args.image)?;
    let steps = steps(&store, &image)?;
    if rows::is_json(args.format.as_deref()) && !crate::ui::docker() {
        let all = steps.iter().map(Step::json).collect();
        crate::ui::out(&rows::json(&Value::Array(all))?)?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.quiet && args.format.is_none() {
        let ids: String = steps.iter().map(|step| step.id(args.no_trunc) + "\n").collect();
        crate::ui::out(&ids)?;
        return Ok(ExitCode::SUCCESS);
    }
    let docker = crate::ui::docker();
    let fields = |step: &Step<'_>| if docker { step.docker_fields(args) } else { step.fields(args) };
    let values: Vec<Value> = steps.iter().map(fields).collect();
    let columns = if docker { &DOCKER_COLUMNS } else { &COLUMNS };
    let listing = Listing { columns, headers: &[("CreatedSince", "CREATED")], no_heading: false };
    crate::ui::out(&rows::rows(args.format.as_deref(), &values, &listing)?)?;
    Ok(ExitCode::SUCCESS)
}

/// One step of an image's history.
struct Step<'a> {
    entry: HistoryEntry,
    size: u64,
    /// The image, when this step made the last of it.
    top: Option<&'a Image>,
    names: Vec<String>,
}

/// The steps, the latest first. A layer that no step tells of is a step by itself.
fn steps<'a>(store: &Store, image: &'a Image) -> Result<Vec<Step<'a>>> {
    let size = |layer| store.layers().record(layer).map_or(0, |record| record.size);
    let mut layers = image.layers.iter();
    let mut steps = Vec::new();
    for entry in &image.config.history {
        let layer = if entry.empty_layer { None } else { layers.next() };
        steps.push(Step { entry: entry.clone(), size: layer.map_or(0, size), top: None, names: Vec::new() });
    }
    for layer in layers {
        let entry = HistoryEntry::default();
        steps.push(Step { entry, size: size(layer), top: None, names: Vec::new() });
    }
    if let Some(last) = steps.last_mut() {
        last.top = Some(image);
        last.names = store.images().names(&image.id)?.iter().map(Reference::to_string).collect();
    }
    steps.reverse();
    Ok(steps)
}

impl Step<'_> {
    fn id(&self, whole: bool) -> String {
        match self.top {
            None => "<missing>".to_owned(),
            Some(image) if whole => image.id.hex().to_owned(),
            Some(image) => image.id.short().to_owned(),
        }
    }

    fn created(&self) -> Option<DateTime<Utc>> {
        let text = self.entry.created.as_deref()?;
        DateTime::parse_from_rfc3339(text).ok().map(|time| time.with_timezone(&Utc))
    }

    fn created_by(&self) -> &str {
        self.entry.created_by.as_deref().unwrap_or_default()
    }

    /// The command that made it, with this at the end where it is cut.
    fn command(&self, args: &Args, cut: &str) -> String {
        let by = self.created_by();
        if args.no_trunc || by.chars().count() <= SHOWN {
            return by.to_owned();
        }
        by.chars().take(SHOWN - cut.chars().count()).chain(cut.chars()).collect()
    }

    /// The step as docker's templates and JSON have it.
    fn docker_fields(&self, args: &Args) -> Value {
        let created = self.created();
        let at = created.map(|t| t.to_rfc3339_opts(SecondsFormat::Secs, true)).unwrap_or_default();
        let since = if args.human { created.map(time::ago).unwrap_or_default() } else { at.clone() };
        json!({
            "ID": self.id(args.no_trunc),
            "CreatedAt": at,
            "CreatedSince": since,
            "CreatedBy": self.command(args, "…"),
            "Size": if args.human { units::size(self.size) } else { self.size.to_string() },
            "Comment": self.entry.comment.as_deref().unwrap_or_default(),
        })
    }

    fn fields(&self, args: &Args) -> Value {
        let created = self.created();
        let since = created.map(time::ago).unwrap_or_default();
        let at = created.map(|t| t.to_rfc3339_opts(SecondsFormat::Secs, true)).unwrap_or_default();
        let by = self.command(args, "...");
        json!({
            "ID": self.id(args.no_trunc),
            "Created": if args.human { &since } else { &at },
            "CreatedAt": created.map(|t| t.format("%Y-%m-%d %H:%M:%S %z UTC").to_string()).unwrap_or_default(),
            "CreatedSince": since,
            "CreatedBy": by,
            "Size": if args.human { units::size(self.size) } else { self.size.to_string() },
            "Comment": self.entry.comment.as_deref().unwrap_or_default(),
            "Tags": self.names,
        })
    }

    fn json(&self) -> Value {
        let created = self.created().map(|t| t.to_rfc3339_opts(SecondsFormat::Secs, true));
        json!({
            "id": self.top.map_or("<missing>", |image| image.id.hex()),
            "created": self.entry.created.as_deref().unwrap_or_default(),
            "Created": created.unwrap_or_default(),
            "CreatedBy": self.created_by(),
            "size": self.size,
            "comment": self.entry.comment.as_deref().unwrap_or_default(),
            "tags": self.names,
        })
    }
}
