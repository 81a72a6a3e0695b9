//! `coracle history`.

use crate::engine::images::history::history;
use crate::error::Result;
use crate::host::Env;
use crate::ui::rows::{self, Listing};
use crate::view::Dialect;
use crate::view::history::Row;
use serde_json::Value;
use std::process::ExitCode;

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
    /// Print only ids
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
    let steps = history(&store, &image)?;
    let steps: Vec<Row<'_>> =
        steps.iter().map(|of| Row { of, whole: args.no_trunc, human: args.human }).collect();
    let dialect = super::dialect();
    if rows::is_whole_json(args.format.as_deref()) && dialect == Dialect::Podman {
        let all = steps.iter().map(Row::json).collect();
        crate::ui::out(&rows::json(&Value::Array(all))?)?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.quiet && args.format.is_none() {
        let ids: String = steps.iter().map(|step| step.id() + "\n").collect();
        crate::ui::out(&ids)?;
        return Ok(ExitCode::SUCCESS);
    }
    let values: Vec<Value> = steps.iter().map(|step| step.fields(dialect)).collect();
    let columns = if dialect == Dialect::Docker { &DOCKER_COLUMNS } else { &COLUMNS };
    let listing = Listing { columns, headers: &[("CreatedSince", "CREATED")], no_heading: false };
    crate::ui::out(&rows::rows(args.format.as_deref(), &values, &listing)?)?;
    Ok(ExitCode::SUCCESS)
}
