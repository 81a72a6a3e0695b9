//! `coracle events`.

mod docker;
mod filter;
mod show;

use crate::error::{Context, Kind, Result};
use crate::host::Env;
use crate::text::time;
use crate::ui;
use chrono::{DateTime, Utc};
use filter::Filters;
use show::Form;
use std::process::ExitCode;

/// Arguments of `events`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Show events that match a condition: container, event, image, label, pod, type or volume
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
    /// Print as json, one object per line, or by a Go template such as '{{.Time}} {{.Status}} {{.Name}}'
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Do not shorten ids
    #[arg(long, default_value = "true")]
    pub no_trunc: bool,
    /// Show events since this time, such as 10m or 2006-01-02T15:04:05, and new ones
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub since: Option<String>,
    /// Show events until this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub until: Option<String>,
    /// Keep showing new events; --stream=false ends after those of the past
    #[arg(long, default_value = "true")]
    pub stream: bool,
}

/// Shows what happened, and what happens.
///
/// # Errors
/// A wrong filter, format or time; events that cannot be read.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let now = Utc::now();
    let moment = |text: &Option<String>| text.as_deref().map(|t| time::parse_time(t, now)).transpose();
    let (since, until) = (moment(&args.since)?, moment(&args.until)?);
    let filters = Filters::parse(&args.filter)?;
    let form = Form::new(args.format.as_deref(), args.no_trunc)?;
    let store = super::store(env)?;
    let doing = || "read the events";
    let past = since.is_some() || until.is_some() || !args.stream;
    let mut reader = store.events().reader(past).context(Kind::Storage, doing)?;
    if let Some(since) = since {
        reader.skip_to(since).context(Kind::Storage, doing)?;
    }
    loop {
        let mut text = String::new();
        let mut failed = None;
        // Looked at before reading: what happened until then is read after it.
        let over = until.is_some_and(|until| Utc::now() >= until);
        let take = |event: crate::storage::events::Event| {
            let in_time = since.is_none_or(|s| event.time >= s) && until.is_none_or(|u| event.time <= u);
            if in_time && filters.wants(&event) && (!ui::docker() || docker::knows(&event)) {
                match form.line(&event) {
                    Ok(line) => text.push_str(&line),
                    Err(error) => failed = Some(error),
                }
            }
            failed.is_none()
        };
        reader.read(take).context(Kind::Storage, doing)?;
        if !text.is_empty() {
            ui::out(&text)?;
        }
        if let Some(error) = failed {
            return Err(error);
        }
        if over || !args.stream {
            return Ok(ExitCode::SUCCESS);
        }
        let left = |until: DateTime<Utc>| (until - Utc::now()).to_std().unwrap_or_default();
        reader.wait(until.map(left));
    }
}
