//! One container's log, wherever it is kept.

use super::args::Args;
use super::journal::Journal;
use super::output::Output;
use crate::container::Status;
use crate::engine::containers;
use crate::error::{Context, Error, Kind, Result};
use crate::runtime::output;
use crate::spec::{LogDriver, LogSpec};
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use crate::storage::containers::log::{Line, Options, Reader, Stream};
use crate::storage::containers::watch::Watch;
use std::io;

/// One container's log.
pub(super) struct Source {
    container: ContainerDir,
    pub(super) watch: Option<Watch>,
    lines: Lines,
    /// Nothing tells of further lines: they are asked for now and then.
    pub(super) asked: bool,
    /// What stands before each line.
    pub(super) prefix: Vec<u8>,
    /// Whether the last piece of each output ended its line.
    pub(super) at_start: [bool; 2],
    pub(super) ended: bool,
}

/// Where lines come from.
enum Lines {
    Files(Reader),
    Journal(Journal),
}

impl Lines {
    fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        match self {
            Lines::Files(reader) => reader.next_line(),
            Lines::Journal(journal) => journal.next_line(),
        }
    }
}

impl Source {
    /// The log of a container; `number` counts them when there are several.
    pub(super) fn new(
        args: &Args,
        container: ContainerDir,
        number: Option<usize>,
        output: &Output<'_>,
    ) -> Result<Source> {
        // What another version planned still has its log at the usual place.
        let plan = container.spec().ok().map(|plan| plan.io.log);
        let watch = args.follow.then(|| Watch::new(&container));
        let lines = open(&container, plan.as_ref(), args, output)?;
        let prefix = match number {
            None => String::new(),
            Some(number) => prefix(args, &container, number)?,
        };
        // A file elsewhere is not watched, and the journal neither.
        let asked = plan.is_some_and(|plan| plan.path.is_some() || plan.driver == LogDriver::Journald);
        Ok(Source {
            ended: !args.follow,
            asked,
            container,
            watch,
            lines,
            prefix: prefix.into_bytes(),
            at_start: [true; 2],
        })
    }

    /// Whether nothing more will come.
    pub(super) fn has_ended(&self, store: &Store) -> bool {
        match self.container.status() {
            Status::Starting | Status::Running | Status::Paused | Status::Restarting => false,
            Status::Created => !self.container.is_alive(),
            Status::Exited => true,
            Status::Crashed => {
                // Its log is read all the same when the store cannot be written.
                let _ = containers::recover(store, &self.container);
                true
            }
        }
    }

    /// Hands everything there is to the output.
    pub(super) fn drain(&mut self, output: &mut Output<'_>) -> io::Result<()> {
        while let Some(line) = self.lines.next()? {
            output.write(line, &self.prefix, &mut self.at_start)?;
        }
        Ok(())
    }

    /// The next line, apart from its reader.
    pub(super) fn head(&mut self) -> io::Result<Option<Head>> {
        Ok(self.lines.next()?.map(Head::new))
    }

    /// Hands over a last line that has no end.
    pub(super) fn rest(&mut self, output: &mut Output<'_>) -> io::Result<()> {
        match &mut self.lines {
            Lines::Files(reader) => match reader.torn_line() {
                Some(line) => output.write(line, &self.prefix, &mut self.at_start),
                None => Ok(()),
            },
            Lines::Journal(_) => Ok(()),
        }
    }
}

fn open(container: &ContainerDir, plan: Option<&LogSpec>, args: &Args, output: &Output<'_>) -> Result<Lines> {
    let options = match plan {
        None => Some(Options::default()),
        Some(plan) => output::files(plan),
    };
    if let Some(options) = options {
        return Reader::open(container, &options, args.tail.0).map(Lines::Files);
    }
    if plan.is_some_and(|plan| plan.driver == LogDriver::Journald) {
        let journal = Journal::open(container.id(), args.tail.0, output.since.as_deref());
        return journal.map(Lines::Journal).context(Kind::Host, || {
            format!("read the log of container {} from the journal", container.id().short())
        });
    }
    Err(Error::new(Kind::Conflict, format!("container {} keeps no log", container.called()))
        .hint("Its output is kept when it is made with: coracle run --log-driver k8s-file ..."))
}

fn prefix(args: &Args, container: &ContainerDir, number: usize) -> Result<String> {
    let name =
        if args.names { container.settings()?.name.to_string() } else { container.id().short().to_owned() };
    Ok(match args.color {
        true => format!("\x1b[3{}m{name}\x1b[0m ", number % 6 + 1),
        false => format!("{name} "),
    })
}

/// A line on its own.
pub(super) struct Head {
    pub(super) time: Vec<u8>,
    stream: Stream,
    full: bool,
    text: Vec<u8>,
}

impl Head {
    fn new(line: Line<'_>) -> Head {
        Head { time: line.time.to_vec(), stream: line.stream, full: line.full, text: line.text.to_vec() }
    }

    pub(super) fn line(&self) -> Line<'_> {
        Line { time: &self.time, stream: self.stream, full: self.full, text: &self.text }
    }
}
