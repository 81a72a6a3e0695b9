//! Lines of logs: how many are asked for, and how they are shown.

use crate::cmd::dialect::{Period, period};
use crate::engine::containers::logs::{LogLine, Logs, LogsRequest};
use crate::error::{Error, Kind, Result, phrases};
use crate::storage::containers::ContainerDir;
use crate::storage::containers::log::Stream;
use crate::ui;
use std::io::{self, Write};
use std::process::ExitCode;

/// Bytes that are gathered before they are written.
const BLOCK: usize = 256 * 1024;

/// `--tail`: how many lines, or all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tail(pub Option<u64>);

/// Reads `--tail`.
///
/// # Errors
/// What is no number.
fn tail(text: &str) -> Result<Tail> {
    match (text, text.parse::<i64>()) {
        ("all", _) => Ok(Tail(None)),
        (_, Ok(number)) => Ok(Tail(u64::try_from(number).ok())),
        _ => Err(Error::new(Kind::Usage, format!("{text:?} is not a number of lines"))),
    }
}

/// Which lines are shown, and with what.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct LineArgs {
    /// Show the time of each line
    #[arg(short, long)]
    pub timestamps: bool,
    /// Show this many lines from the end; -1 or all shows all of them
    #[arg(long, value_name = "LINES", default_value = "-1", value_parser = tail)]
    pub tail: Tail,
    /// Show what was written since this time, such as 10m or 2006-01-02T15:04:05
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Show what was written until this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}

impl LineArgs {
    /// What is asked of the logs.
    ///
    /// # Errors
    /// A time that cannot be read.
    pub(in crate::cmd) fn request(&self, follow: bool) -> Result<LogsRequest> {
        let Period { since, until } =
            period(self.since.as_deref(), self.until.as_deref(), phrases::bad_time_for_logs)?;
        Ok(LogsRequest { follow, tail: self.tail.0, since, until })
    }
}

/// How lines are shown.
#[derive(Debug, Clone, Copy)]
pub(in crate::cmd) struct LineLook {
    /// With the names of containers instead of their ids.
    pub(in crate::cmd) names: bool,
    /// Each container in its own colour.
    pub(in crate::cmd) color: bool,
    /// With the time of each line.
    pub(in crate::cmd) timestamps: bool,
}

/// Shows lines until there are no more; `prefixes` are those of the containers, or nothing.
///
/// # Errors
/// A log that cannot be read, output that cannot be written.
pub(in crate::cmd) fn show(mut logs: Logs<'_>, look: &LineLook, prefixes: Vec<String>) -> Result<ExitCode> {
    let mut output = Output {
        out: io::stdout().lock(),
        err: io::stderr().lock(),
        block: Vec::with_capacity(BLOCK + 4096),
        stream: Stream::Stdout,
        prefixes,
        timestamps: look.timestamps,
    };
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

/// What stands before the lines of each of these containers.
///
/// # Errors
/// A name that cannot be read.
pub(in crate::cmd) fn prefixes(look: &LineLook, containers: &[ContainerDir]) -> Result<Vec<String>> {
    let prefix = |(number, container): (usize, &ContainerDir)| {
        let name = match look.names {
            true => container.settings()?.name.to_string(),
            false => container.id().short().to_owned(),
        };
        Ok(match look.color {
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
