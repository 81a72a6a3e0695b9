//! `coracle logs`.

use super::dialect::{Period, period};
use crate::engine::containers::logs::{LogLine, Logs, LogsRequest};
use crate::engine::containers::selector::ContainerSelector;
use crate::error::{Error, Kind, Result, phrases};
use crate::host::Env;
use crate::storage::containers::ContainerDir;
use crate::storage::containers::log::Stream;
use crate::ui;
use std::io::{self, Write};
use std::process::ExitCode;

/// Bytes that are gathered before they are written.
const BLOCK: usize = 256 * 1024;

/// Arguments of `logs`.
#[derive(Debug, Default, clap::Args)]
#[command(
    mut_args = crate::cmd::options::switch::switchable,
    mut_arg("tail", |arg| if ui::docker() { arg.short('n') } else { arg }),
    mut_arg("names", |arg| if ui::docker() { arg.short(None) } else { arg })
)]
pub struct Args {
    /// Containers by name, id or beginning of an id
    #[arg(value_name = "CONTAINER")]
    pub containers: Vec<String>,
    /// Show the log of the latest container
    #[arg(short, long)]
    pub latest: bool,
    /// Follow the log until the container exits
    #[arg(short, long)]
    pub follow: bool,
    /// Show the time of each line
    #[arg(short, long)]
    pub timestamps: bool,
    /// Show this many lines from the end; -1 or all shows all of them
    #[arg(long, value_name = "LINES", default_value = "-1", value_parser = lines)]
    pub tail: Tail,
    /// Show what was written since this time, such as 10m or 2006-01-02T15:04:05
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Show what was written until this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// With several containers, prefix lines with the name instead of the id
    #[arg(short, long)]
    pub names: bool,
    /// With several containers, show each in its own colour
    #[arg(long)]
    pub color: bool,
    /// Accepted for compatibility with docker: no log has extra attributes
    #[arg(long, hide = true)]
    pub details: bool,
}

/// `--tail`: how many lines, or all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tail(Option<u64>);

fn lines(text: &str) -> Result<Tail> {
    match (text, text.parse::<i64>()) {
        ("all", _) => Ok(Tail(None)),
        (_, Ok(number)) => Ok(Tail(u64::try_from(number).ok())),
        _ => Err(Error::new(Kind::Usage, format!("{text:?} is not a number of lines"))),
    }
}

/// Shows what containers wrote to standard output and standard error.
///
/// # Errors
/// A container that does not exist or keeps no log.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = super::store(env)?;
    let Period { since, until } =
        period(args.since.as_deref(), args.until.as_deref(), phrases::bad_time_for_logs)?;
    let request = LogsRequest { follow: args.follow, tail: args.tail.0, since, until };
    let selection =
        ContainerSelector { names: &args.containers, latest: args.latest, ..ContainerSelector::default() };
    let chosen: Result<Vec<ContainerDir>> =
        selection.containers(&store)?.into_iter().map(|(_, found)| found).collect();
    let chosen = chosen?;
    let mut output = Output {
        out: io::stdout().lock(),
        err: io::stderr().lock(),
        block: Vec::with_capacity(BLOCK + 4096),
        stream: Stream::Stdout,
        prefixes: prefixes(args, &chosen)?,
        timestamps: args.timestamps,
    };
    let mut logs = Logs::open(&store, chosen, request)?;
    loop {
        while let Some(line) = logs.read()? {
            output.write(line)?;
        }
        output.flush()?;
        if !logs.wait() {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

/// What stands before the lines of each container, when there are several.
fn prefixes(args: &Args, containers: &[ContainerDir]) -> Result<Vec<String>> {
    if containers.len() < 2 {
        return Ok(Vec::new());
    }
    let prefix = |(number, container): (usize, &ContainerDir)| {
        let name = match args.names {
            true => container.settings()?.name.to_string(),
            false => container.id().short().to_owned(),
        };
        Ok(match args.color {
            true => format!("\x1b[3{}m{name}\x1b[0m ", number % 6 + 1),
            false => format!("{name} "),
        })
    };
    containers.iter().enumerate().map(prefix).collect()
}

/// Where lines go.
struct Output<'a> {
    out: io::StdoutLock<'a>,
    err: io::StderrLock<'a>,
    /// Pending output of one stream: on a terminal the two streams keep their order.
    block: Vec<u8>,
    stream: Stream,
    prefixes: Vec<String>,
    timestamps: bool,
}

impl Output<'_> {
    fn write(&mut self, line: LogLine<'_>) -> Result<()> {
        if line.stream != self.stream || self.block.len() >= BLOCK {
            self.flush()?;
            self.stream = line.stream;
        }
        if line.begins {
            if let Some(prefix) = self.prefixes.get(line.container) {
                self.block.extend_from_slice(prefix.as_bytes());
            }
            if self.timestamps {
                self.block.extend_from_slice(line.time);
                self.block.push(b' ');
            }
        }
        self.block.extend_from_slice(line.text);
        if line.ends {
            self.block.push(b'\n');
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let written = match self.stream {
            Stream::Stdout => self.out.write_all(&self.block).and_then(|()| self.out.flush()),
            Stream::Stderr => self.err.write_all(&self.block),
        };
        written.map_err(|e| ui::lost(self.stream == Stream::Stderr, e))?;
        self.block.clear();
        Ok(())
    }
}
