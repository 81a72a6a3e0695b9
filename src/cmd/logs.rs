//! `coracle logs`.

use crate::container::Status;
use crate::error::{Context, Error, Kind, Result};
use crate::host::Env;
use crate::plan::{ContainerPlan, LogDriver};
use crate::runtime::control;
use crate::runtime::select::Selection;
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use crate::storage::containers::log::{Line, Reader, Stream, stamp};
use crate::storage::containers::watch::{self, Watch};
use crate::ui::time;
use chrono::Utc;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

/// Arguments of `logs`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = super::switch::switchable)]
pub struct Args {
    /// Containers by name, id or beginning of an id
    #[arg(value_name = "CONTAINER")]
    pub containers: Vec<String>,
    /// Show the log of the latest container
    #[arg(short, long)]
    pub latest: bool,
    /// Go on with what is written until the container ends
    #[arg(short, long)]
    pub follow: bool,
    /// Put the time before each line
    #[arg(short, long)]
    pub timestamps: bool,
    /// Show this many lines from the end; -1 or all shows all of them
    #[arg(long, value_name = "LINES", default_value = "-1", allow_negative_numbers = true, value_parser = lines)]
    pub tail: Tail,
    /// Show what was written since this time, such as 10m or 2006-01-02T15:04:05
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Show what was written until this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// With several containers, put the name before each line instead of the id
    #[arg(short, long)]
    pub names: bool,
    /// With several containers, give each its own colour
    #[arg(long)]
    pub color: bool,
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
    let now = Utc::now();
    let moment = |text: &Option<String>| {
        text.as_deref().map(|text| time::parse_time(text, now).map(stamp)).transpose()
    };
    let (since, until) = (moment(&args.since)?, moment(&args.until)?);
    let selection = Selection { names: &args.containers, latest: args.latest, ..Selection::default() };
    let chosen: Result<Vec<ContainerDir>> =
        selection.containers(&store)?.into_iter().map(|(_, found)| found).collect();
    let chosen = chosen?;
    let several = chosen.len() > 1;
    let mut sources = Vec::new();
    for (number, container) in chosen.into_iter().enumerate() {
        sources.push(Source::new(args, container, several.then_some(number))?);
    }
    let mut output = Output {
        out: BufWriter::with_capacity(256 * 1024, io::stdout().lock()),
        err: io::stderr().lock(),
        since: since.map(String::into_bytes),
        until: until.map(String::into_bytes),
        timestamps: args.timestamps,
    };
    match show(args, &store, &mut sources, &mut output) {
        // Whoever read has had enough.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => {
            Err(Error::new(Kind::OutputClosed, "write to standard output").caused_by(e))
        }
        other => other.context(Kind::Storage, || "show a log").map(|()| ExitCode::SUCCESS),
    }
}

/// One container's log.
struct Source {
    container: ContainerDir,
    watch: Option<Watch>,
    reader: Reader,
    /// What stands before each line.
    prefix: Vec<u8>,
    /// Whether the last piece of each output ended its line.
    at_start: [bool; 2],
    ended: bool,
}

impl Source {
    fn new(args: &Args, container: ContainerDir, number: Option<usize>) -> Result<Source> {
        let driver = container.plan::<ContainerPlan>().map(|plan| plan.io.log.driver);
        if let Ok(LogDriver::None | LogDriver::Passthrough) = driver {
            return Err(Error::new(
                Kind::Conflict,
                format!("container {} keeps no log", container.id().short()),
            )
            .hint("Its output is kept when it is made with: coracle run --log-driver k8s-file ..."));
        }
        let prefix = match number {
            None => String::new(),
            Some(number) => {
                let name = if args.names {
                    container.settings()?.name.to_string()
                } else {
                    container.id().short().to_owned()
                };
                if args.color {
                    format!("\x1b[3{}m{name}\x1b[0m ", number % 6 + 1)
                } else {
                    format!("{name} ")
                }
            }
        };
        let watch = args.follow.then(|| Watch::new(&container));
        let reader = Reader::open(&container, args.tail.0)?;
        Ok(Source {
            ended: !args.follow,
            container,
            watch,
            reader,
            prefix: prefix.into_bytes(),
            at_start: [true; 2],
        })
    }
}

/// Where lines go, and which.
struct Output<'a> {
    out: BufWriter<io::StdoutLock<'a>>,
    err: io::StderrLock<'a>,
    since: Option<Vec<u8>>,
    until: Option<Vec<u8>>,
    timestamps: bool,
}

impl Output<'_> {
    fn wants(&self, time: &[u8]) -> bool {
        self.since.as_deref().is_none_or(|since| time >= since)
            && self.until.as_deref().is_none_or(|until| time <= until)
    }

    fn write(&mut self, line: Line<'_>, prefix: &[u8], at_start: &mut [bool; 2]) -> io::Result<()> {
        let at_start = &mut at_start[usize::from(line.stream == Stream::Stderr)];
        let begins = std::mem::replace(at_start, line.full);
        if !self.wants(line.time) {
            return Ok(());
        }
        let to: &mut dyn Write = match line.stream {
            Stream::Stdout => &mut self.out,
            Stream::Stderr => {
                // On one terminal the two keep their order.
                self.out.flush()?;
                &mut self.err
            }
        };
        if begins {
            to.write_all(prefix)?;
            if self.timestamps {
                to.write_all(line.time)?;
                to.write_all(b" ")?;
            }
        }
        to.write_all(line.text)?;
        if line.full { to.write_all(b"\n") } else { Ok(()) }
    }
}

fn show(args: &Args, store: &Store, sources: &mut [Source], output: &mut Output<'_>) -> io::Result<()> {
    loop {
        // Looked at before reading: what was written before the end is read after it.
        for source in sources.iter_mut().filter(|source| !source.ended) {
            source.ended = has_ended(store, source);
        }
        drain(sources, output)?;
        output.out.flush()?;
        if sources.iter().all(|source| source.ended) {
            break;
        }
        let until_over = output.until.as_deref().is_some_and(|until| stamp(Utc::now()).as_bytes() > until);
        if !args.follow || until_over {
            break;
        }
        let mut watches: Vec<Watch> = Vec::new();
        let mut owners = Vec::new();
        for (index, source) in sources.iter_mut().enumerate().filter(|(_, source)| !source.ended) {
            owners.push(index);
            watches.extend(source.watch.take());
        }
        let limit = output.until.is_some().then_some(std::time::Duration::from_secs(1));
        watch::wait_any(&mut watches, limit);
        for (index, watch) in owners.into_iter().zip(watches) {
            sources[index].watch = Some(watch);
        }
    }
    for source in sources {
        if let Some(line) = source.reader.torn_line() {
            output.write(line, &source.prefix, &mut source.at_start)?;
        }
    }
    output.out.flush()
}

/// Whether nothing more will come.
fn has_ended(store: &Store, source: &Source) -> bool {
    match source.container.status() {
        Status::Running | Status::Paused | Status::Restarting => false,
        Status::Created => !source.container.is_alive(),
        Status::Exited => true,
        Status::Crashed => {
            // Its log is read all the same when the store cannot be written.
            let _ = control::recover(store, &source.container);
            true
        }
    }
}

/// Shows what there is; of several containers in the order of time.
fn drain(sources: &mut [Source], output: &mut Output<'_>) -> io::Result<()> {
    if let [source] = sources {
        while let Some(line) = source.reader.next_line()? {
            output.write(line, &source.prefix, &mut source.at_start)?;
        }
        return Ok(());
    }
    // The next line of each, kept apart from its reader.
    let mut heads: Vec<Option<Head>> = Vec::new();
    for source in sources.iter_mut() {
        heads.push(source.reader.next_line()?.map(Head::new));
    }
    while let Some(index) = earliest(&heads) {
        let source = &mut sources[index];
        if let Some(head) = heads[index].take() {
            output.write(head.line(), &source.prefix, &mut source.at_start)?;
        }
        heads[index] = source.reader.next_line()?.map(Head::new);
    }
    Ok(())
}

fn earliest(heads: &[Option<Head>]) -> Option<usize> {
    let present =
        heads.iter().enumerate().filter_map(|(index, head)| head.as_ref().map(|head| (index, head)));
    present.min_by(|(_, a), (_, b)| a.time.cmp(&b.time)).map(|(index, _)| index)
}

/// A line on its own.
struct Head {
    time: Vec<u8>,
    stream: Stream,
    full: bool,
    text: Vec<u8>,
}

impl Head {
    fn new(line: Line<'_>) -> Head {
        Head { time: line.time.to_vec(), stream: line.stream, full: line.full, text: line.text.to_vec() }
    }

    fn line(&self) -> Line<'_> {
        Line { time: &self.time, stream: self.stream, full: self.full, text: &self.text }
    }
}
