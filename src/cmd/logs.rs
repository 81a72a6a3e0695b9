//! `coracle logs`.

use crate::engine::containers::selector::Selection;
use crate::error::{Context, Error, Kind, Result};
use crate::host::Env;
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use crate::storage::containers::log::{Stream, stamp};
use crate::storage::containers::watch::{self, Watch};
use crate::text::time;
use chrono::{DateTime, Utc};
use source::{Head, Source};
use std::io;
use std::process::ExitCode;
use std::time::Duration;

mod args;
mod journal;
mod output;
mod source;

pub use args::{Args, Tail};
use output::{BLOCK, Output};

/// How often a log is asked for more where nothing tells of it.
const ASK_AGAIN: Duration = Duration::from_millis(250);

/// Shows what containers wrote to standard output and standard error.
///
/// # Errors
/// A container that does not exist or keeps no log.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = super::store(env)?;
    let now = Utc::now();
    let moment = |text: &Option<String>| text.as_deref().map(|text| time::parse_time(text, now)).transpose();
    let (since, until) = (moment(&args.since)?, moment(&args.until)?);
    let selection = Selection { names: &args.containers, latest: args.latest, ..Selection::default() };
    let chosen: Result<Vec<ContainerDir>> =
        selection.containers(&store)?.into_iter().map(|(_, found)| found).collect();
    let chosen = chosen?;
    let several = chosen.len() > 1;
    let mut output = Output {
        out: io::stdout().lock(),
        err: io::stderr().lock(),
        block: Vec::with_capacity(BLOCK + 4096),
        stream: Stream::Stdout,
        since: since.map(|time| stamp(time).into_bytes()),
        until: until.map(|time| stamp(time).into_bytes()),
        timestamps: args.timestamps,
    };
    let mut sources = Vec::new();
    for (number, container) in chosen.into_iter().enumerate() {
        sources.push(Source::new(args, container, several.then_some(number), &output)?);
    }
    match show(args, &store, until, &mut sources, &mut output) {
        // Whoever read has had enough.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {
            Err(Error::new(Kind::OutputClosed, "write to standard output").caused_by(e))
        }
        other => other.context(Kind::Storage, || "show a log").map(|()| ExitCode::SUCCESS),
    }
}

fn show(
    args: &Args,
    store: &Store,
    until: Option<DateTime<Utc>>,
    sources: &mut [Source],
    output: &mut Output<'_>,
) -> io::Result<()> {
    loop {
        // Looked at before reading: what was written before the end is read after it.
        for source in sources.iter_mut().filter(|source| !source.ended) {
            source.ended = source.has_ended(store);
        }
        let now = Utc::now();
        drain(sources, output)?;
        output.flush()?;
        let over = until.is_some_and(|until| now > until);
        if !args.follow || over || sources.iter().all(|source| source.ended) {
            break;
        }
        wait(sources, until);
    }
    for source in sources {
        source.rest(output)?;
    }
    output.flush()
}

/// Waits until there may be more.
fn wait(sources: &mut [Source], until: Option<DateTime<Utc>>) {
    let mut limit = until.map(|until| (until - Utc::now()).to_std().unwrap_or_default());
    let mut watches: Vec<Watch> = Vec::new();
    let mut owners = Vec::new();
    for (index, source) in sources.iter_mut().enumerate().filter(|(_, source)| !source.ended) {
        owners.push(index);
        watches.extend(source.watch.take());
        if source.asked {
            limit = Some(limit.map_or(ASK_AGAIN, |limit| limit.min(ASK_AGAIN)));
        }
    }
    watch::wait_any(&mut watches, limit);
    for (index, watch) in owners.into_iter().zip(watches) {
        sources[index].watch = Some(watch);
    }
}

/// Shows what there is; of several containers in the order of time.
fn drain(sources: &mut [Source], output: &mut Output<'_>) -> io::Result<()> {
    if let [source] = sources {
        return source.drain(output);
    }
    // The next line of each, kept apart from its reader.
    let mut heads: Vec<Option<Head>> = sources.iter_mut().map(Source::head).collect::<io::Result<_>>()?;
    while let Some(index) = earliest(&heads) {
        let source = &mut sources[index];
        if let Some(head) = heads[index].take() {
            output.write(head.line(), &source.prefix, &mut source.at_start)?;
        }
        heads[index] = source.head()?;
    }
    Ok(())
}

fn earliest(heads: &[Option<Head>]) -> Option<usize> {
    let present =
        heads.iter().enumerate().filter_map(|(index, head)| head.as_ref().map(|head| (index, head)));
    present.min_by(|(_, a), (_, b)| a.time.cmp(&b.time)).map(|(index, _)| index)
}
