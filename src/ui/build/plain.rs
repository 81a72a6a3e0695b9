//! Progress in plain lines, as BuildKit writes it where there is no terminal.
//!
//! Theory of operation. Lines of one vertex are kept together: `#5 NAME`, its output, `#5 DONE 0.4s`, an empty line.
//! One vertex is open at a time. What others do meanwhile waits, until the open one ends, or has been open for a
//! while; it is then left with `#5 ...`, and taken up again under its name. A vertex that ended is shown at once.

use super::show::Show;
use super::trace::{End, Trace, Vertex};
use super::{failure, words};
use crate::build::event::{Event, Warning};
use std::collections::HashMap;
use std::io::{self, Write};
use std::time::Duration;

/// A vertex stays open for this long although another one has something to say.
const STAY: Duration = Duration::from_secs(5);
/// How often the same part of the work is shown, unless much of it was done.
const PERIOD: Duration = Duration::from_secs(5);
/// A vertex with this many lines to be written waits for none.
const WAITING_LINES: usize = 1000;
/// Lines of output that are shown again when a step fails.
const LAST_LINES: usize = 10;

/// Writes plain lines.
#[derive(Debug)]
pub(super) struct Plain<W> {
    to: W,
    trace: Trace,
    /// What was written of each vertex, by its place.
    written: HashMap<usize, Written>,
    /// The open vertex, and since when it is.
    open: Option<(usize, Duration)>,
    first: bool,
}

/// What was written of a vertex.
#[derive(Debug, Default)]
struct Written {
    lines: usize,
    ended: bool,
    /// Of each part: when, how much, and whether it was done.
    parts: Vec<(Duration, u64, bool)>,
}

impl<W: Write> Plain<W> {
    /// Writes to `to`.
    pub(super) fn new(to: W) -> Self {
        Plain { to, trace: Trace::keeping_all(), written: HashMap::new(), open: None, first: true }
    }

    /// Whether something of a vertex was not written yet.
    fn has_news(&self, place: usize, now: Duration) -> bool {
        let vertex = &self.trace.vertices[place];
        if !vertex.is_shown() {
            return false;
        }
        let Some(written) = self.written.get(&place) else { return true };
        !written.ended
            && (vertex.ended.is_some()
                || vertex.count > written.lines
                || !news(vertex, written, now).is_empty())
    }

    /// Writes what is new of a vertex, and leaves it open if it has not ended.
    fn write(&mut self, place: usize, now: Duration) -> io::Result<()> {
        let vertex = &self.trace.vertices[place];
        let id = vertex.id.0;
        let is_open = matches!(self.open, Some((open, _)) if open == place);
        if !is_open {
            if let Some((left, _)) = self.open {
                writeln!(self.to, "#{} ...", self.trace.vertices[left].id.0)?;
            }
            if !std::mem::take(&mut self.first) {
                writeln!(self.to)?;
            }
            writeln!(self.to, "#{id} {}", vertex.name)?;
            self.open = Some((place, now));
        }
        let written = self.written.entry(place).or_default();
        for at in news(vertex, written, now) {
            let part = &vertex.parts[at];
            written.parts.resize(written.parts.len().max(at + 1), (Duration::ZERO, 0, false));
            written.parts[at] = (now, part.current, part.ended.is_some());
            let amount = words::amount(part.current, part.total);
            let colon = if part.total.is_none() && !amount.is_empty() && !part.name.ends_with(':') {
                ":"
            } else {
                ""
            };
            let took = part.ended.unwrap_or(now).saturating_sub(part.started).as_secs_f64();
            let took = if took > 0.01 { format!(" {took:.1}s") } else { String::new() };
            let done = if part.ended.is_some() { " done" } else { "" };
            let line = format!("#{id} {}{colon} {amount}", part.name);
            writeln!(self.to, "{}{took}{done}", line.trim_end())?;
        }
        let missing = vertex.count - written.lines;
        for line in vertex.lines.iter().skip(vertex.lines.len().saturating_sub(missing)) {
            writeln!(self.to, "#{id} {} {}", seconds(line.at), line.text)?;
        }
        written.lines = vertex.count;
        if let Some((_, end)) = &vertex.ended {
            written.ended = true;
            self.open = None;
            match end {
                End::Done => writeln!(self.to, "#{id} DONE {:.1}s", vertex.took(now).as_secs_f64())?,
                End::Cached => writeln!(self.to, "#{id} CACHED")?,
                End::Failed(message) => writeln!(self.to, "#{id} ERROR: {message}")?,
                End::Canceled => writeln!(self.to, "#{id} CANCELED")?,
            }
        }
        self.trace.vertices[place].forget();
        self.to.flush()
    }

    /// Writes of one that is running, if none is open or another one has been for long.
    fn go_on(&mut self, now: Duration) -> io::Result<()> {
        let open = match self.open {
            Some((place, since)) => {
                if self.has_news(place, now) {
                    self.write(place, now)?;
                }
                if now.saturating_sub(since) < STAY {
                    return Ok(());
                }
                Some(place)
            }
            None => None,
        };
        let next =
            (0..self.trace.vertices.len()).find(|place| Some(*place) != open && self.has_news(*place, now));
        next.map_or(Ok(()), |place| self.write(place, now))
    }
}

impl<W: Write + std::fmt::Debug> Show for Plain<W> {
    fn event(&mut self, event: &Event, now: Duration) -> io::Result<()> {
        if let Some(place) = self.trace.note(event, now) {
            let vertex = &self.trace.vertices[place];
            let written = self.written.get(&place).map_or(0, |written| written.lines);
            let is_urgent = vertex.ended.is_some() || vertex.count - written >= WAITING_LINES;
            if is_urgent && self.has_news(place, now) {
                self.write(place, now)?;
            }
        }
        self.go_on(now)
    }

    fn end(&mut self, now: Duration) -> io::Result<()> {
        for place in 0..self.trace.vertices.len() {
            if self.has_news(place, now) {
                self.write(place, now)?;
            }
        }
        failure::write(&mut self.to, &self.trace, LAST_LINES)
    }

    fn findings(&self) -> Option<&[Warning]> {
        Some(&self.trace.warnings)
    }
}

/// The parts of a vertex that are worth a line: new ones, those that were done, and those in which something was done
/// since the last line.
fn news(vertex: &Vertex, written: &Written, now: Duration) -> Vec<usize> {
    let is_news = |at: &usize| {
        let part = &vertex.parts[*at];
        let Some((then, current, done)) = written.parts.get(*at) else { return true };
        let much = part
            .total
            .is_some_and(|total| part.current.saturating_sub(*current) as f64 >= total as f64 * 0.05);
        !done
            && (part.ended.is_some()
                || part.current != *current && (much || now.saturating_sub(*then) >= PERIOD))
    };
    (0..vertex.parts.len()).filter(is_news).collect()
}

/// Seconds with as many digits as there is room for: `0.123`, `12.34`, `123.4`.
fn seconds(at: Duration) -> String {
    let seconds = at.as_secs_f64();
    let digits = if seconds < 10.0 {
        3
    } else if seconds < 100.0 {
        2
    } else {
        1
    };
    format!("{seconds:.digits$}")
}
