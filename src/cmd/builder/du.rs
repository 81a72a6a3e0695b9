//! `coracle builder du`, `coracle buildx du`.

use super::table;
use crate::engine::build_cache::{self, Filters, Record};
use crate::error::{Error, Kind, Result};
use crate::host::Env;
use crate::ui;
use crate::ui::rows::{self, Listing};
use crate::view::build_cache::{row, totals};
use serde_json::Value;
use std::process::ExitCode;

/// Arguments of `builder du`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Show records that match a condition: until, id, type, description, parents, inuse, mutable, immutable, shared or
    /// private
    #[arg(long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
    /// Print as table, json or a Go template such as '{{.ID}} {{.Size}}'
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Show each record in full
    #[arg(long)]
    pub verbose: bool,
    /// Builder, of which there is one
    #[arg(long, hide = true, value_name = "NAME")]
    pub builder: Option<String>,
}

const LISTING: Listing<'static> = Listing {
    columns: &[
        ("ID", "{{.ID}}"),
        ("RECLAIMABLE", "{{.Reclaimable}}"),
        ("SIZE", "{{.Size}}"),
        ("LAST ACCESSED", "{{.LastUsedAt}}"),
    ],
    headers: &[],
    no_heading: false,
};

/// Shows what is in the build cache, and how much room it takes.
///
/// # Errors
/// A wrong filter or format, or a cache that cannot be read.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    if args.verbose && args.format.is_some() {
        return Err(Error::new(Kind::Usage, "--verbose and --format cannot be set together")
            .hint("Leave one of the two out."));
    }
    let filters = Filters::parse(&args.filter)?;
    let mut records: Vec<Record> = build_cache::usage(&crate::cmd::store(env)?)?;
    records.retain(|record| filters.accepts(record));
    let text = match args.format.as_deref() {
        Some(format) if !matches!(format, "table" | "pretty") => {
            let all: Vec<Value> = records.iter().map(row).collect();
            // A line for each, as in docker: there may be many.
            match rows::is_whole_json(Some(format)) {
                true => all.iter().map(rows::line).collect::<Result<String>>()?,
                false => rows::rows(Some(format), &all, &LISTING)?,
            }
        }
        format => {
            let full = args.verbose || format == Some("pretty");
            let mut text = if full { table::in_full(&records)? } else { table::table(&records)? };
            if filters.is_empty() {
                text.push_str(&table::pairs(&totals(&records))?);
            }
            text
        }
    };
    ui::out(&text)?;
    Ok(ExitCode::SUCCESS)
}
