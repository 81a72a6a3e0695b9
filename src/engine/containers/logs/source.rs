//! The log of one container, wherever it is stored.

use super::journal::Journal;
use super::request::{LogLine, LogsRequest};
use crate::container::Status;
use crate::engine::containers::recover;
use crate::error::{Context, Kind, Result, phrases};
use crate::runtime::output;
use crate::spec::{LogDriver, LogSpec};
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use crate::storage::containers::log::{Line, Options, Reader, Stream};
use crate::storage::containers::watch::Watch;
use std::io;

/// One container's log.
#[derive(Debug)]
pub(super) struct Source {
    container: ContainerDir,
    pub(super) watch: Option<Watch>,
    lines: Lines,
    /// Nothing signals further lines, so they are polled for.
    pub(super) is_asked: bool,
    pub(super) ended: bool,
    /// The next line, apart from its reader, so that those of several can be compared.
    head: Head,
    filled: bool,
    /// All that was there when it was asked last has been given. Asking anew for each line of another log would
    /// take far longer, and give a last line that has got its end since a second time.
    drained: bool,
    /// Whether the last piece of each output ended its line.
    at_start: [bool; 2],
}

/// Where lines come from.
#[derive(Debug)]
enum Lines {
    Files(Reader),
    Journal(Journal),
}

#[derive(Debug)]
struct Head {
    time: Vec<u8>,
    stream: Stream,
    ends: bool,
    text: Vec<u8>,
}

impl Lines {
    fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        match self {
            Lines::Files(reader) => reader.next_line(),
            Lines::Journal(journal) => journal.next_line(),
        }
    }

    /// A last line that has no end.
    fn torn(&mut self) -> Option<Line<'_>> {
        match self {
            Lines::Files(reader) => reader.torn_line(),
            Lines::Journal(_) => None,
        }
    }
}

impl Source {
    /// The log of a container.
    ///
    /// # Errors
    /// `Conflict` when it keeps none.
    pub(super) fn open(container: ContainerDir, request: &LogsRequest) -> Result<Source> {
        // What another version planned still has its log at the usual place.
        let spec = container.spec().ok().map(|spec| spec.io.log);
        let watch = request.follow.then(|| Watch::new(&container));
        let lines = open(&container, spec.as_ref(), request)?;
        // Neither a file elsewhere nor the journal is watched.
        let is_asked = spec.is_some_and(|spec| spec.path.is_some() || spec.driver == LogDriver::Journald);
        Ok(Source {
            ended: !request.follow,
            is_asked,
            container,
            watch,
            lines,
            head: Head { time: Vec::new(), stream: Stream::Stdout, ends: true, text: Vec::new() },
            filled: false,
            drained: false,
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
                let _ = recover(store, &self.container);
                true
            }
        }
    }

    /// Prepares the next line, if there is one; with `last`, also one without a line end.
    ///
    /// # Errors
    /// Those of the reader.
    pub(super) fn fill(&mut self, last: bool) -> io::Result<()> {
        if self.filled || self.drained {
            return Ok(());
        }
        if let Some(line) = self.lines.next()? {
            self.head.set(line);
            self.filled = true;
            return Ok(());
        }
        self.drained = true;
        if last && let Some(line) = self.lines.torn() {
            self.head.set(line);
            self.filled = true;
        }
        Ok(())
    }

    /// There may be more by now.
    pub(super) fn ask_again(&mut self) {
        self.drained = false;
    }

    pub(super) fn is_filled(&self) -> bool {
        self.filled
    }

    /// When the line that is ready was written.
    pub(super) fn time(&self) -> &[u8] {
        &self.head.time
    }

    /// Takes the line that is ready; returns whether the line of output begins with it.
    pub(super) fn take(&mut self) -> bool {
        self.filled = false;
        let at_start = &mut self.at_start[usize::from(self.head.stream == Stream::Stderr)];
        std::mem::replace(at_start, self.head.ends)
    }

    /// The line that was taken.
    pub(super) fn line(&self, container: usize, begins: bool) -> LogLine<'_> {
        let Head { time, stream, ends, text } = &self.head;
        LogLine { container, stream: *stream, time, text, begins, ends: *ends }
    }
}

impl Head {
    fn set(&mut self, line: Line<'_>) {
        self.time.clear();
        self.time.extend_from_slice(line.time);
        self.text.clear();
        self.text.extend_from_slice(line.text);
        (self.stream, self.ends) = (line.stream, line.full);
    }
}

fn open(container: &ContainerDir, spec: Option<&LogSpec>, request: &LogsRequest) -> Result<Lines> {
    let options = match spec {
        None => Some(Options::default()),
        Some(spec) => output::files(spec),
    };
    if let Some(options) = options {
        return Reader::open(container, &options, request.tail).map(Lines::Files);
    }
    if spec.is_some_and(|spec| spec.driver == LogDriver::Journald) {
        let journal = Journal::open(container.id(), request.tail, request.since);
        return journal.map(Lines::Journal).context(Kind::Host, || {
            format!("read the log of container {} from the journal", container.id().short())
        });
    }
    Err(phrases::keeps_no_log(&container.called())
        .hint("To keep the output, create the container with: coracle run --log-driver k8s-file ..."))
}
