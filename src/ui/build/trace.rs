//! What is known of a build's vertices at one moment, for every form of progress.
//!
//! All times are since the build began.

use super::words;
use crate::build::event::{Event, VertexId, Warning};
use std::collections::VecDeque;
use std::time::Duration;

/// Lines of a step's output that are kept for the case that it fails.
const KEPT_LINES: usize = 100;
/// Longest line that is waited for, in bytes; a longer one is shown in pieces.
const LINE_MAX: usize = 16 << 10;

/// The vertices of a build.
#[derive(Debug, Default)]
pub(super) struct Trace {
    pub(super) vertices: Vec<Vertex>,
    pub(super) warnings: Vec<Warning>,
    /// Whether all lines are kept until they are [let go of](Vertex::forget).
    keeps_all: bool,
}

/// One vertex.
#[derive(Debug)]
pub(super) struct Vertex {
    pub(super) id: VertexId,
    /// Its name, harmless.
    pub(super) name: String,
    pub(super) started: Option<Duration>,
    pub(super) ended: Option<(Duration, End)>,
    pub(super) parts: Vec<Part>,
    /// Its output, the latest lines, harmless.
    pub(super) lines: VecDeque<Line>,
    /// How many lines there have been.
    pub(super) count: usize,
    /// The beginning of a line, of standard output and of standard error.
    open: [Vec<u8>; 2],
}

/// How a vertex ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    Done,
    Cached,
    /// With the message, harmless.
    Failed(String),
    Canceled,
}

/// A part of a vertex's work.
#[derive(Debug)]
pub(super) struct Part {
    /// What is worked on, harmless.
    pub(super) name: String,
    pub(super) current: u64,
    pub(super) total: Option<u64>,
    pub(super) started: Duration,
    pub(super) ended: Option<Duration>,
}

/// A line of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// When it came, since its vertex started.
    pub(super) at: Duration,
    pub(super) text: String,
}

impl Vertex {
    /// Whether it has begun.
    pub(super) fn is_shown(&self) -> bool {
        self.started.is_some()
    }

    /// How long it has taken.
    pub(super) fn took(&self, now: Duration) -> Duration {
        let ended = self.ended.as_ref().map_or(now, |(at, _)| *at);
        self.started.map_or(Duration::ZERO, |started| ended.saturating_sub(started))
    }

    pub(super) fn is_running(&self) -> bool {
        self.started.is_some() && self.ended.is_none()
    }

    /// Lets go of all lines but those that are kept for the case that it fails.
    pub(super) fn forget(&mut self) {
        self.lines.drain(..self.lines.len().saturating_sub(KEPT_LINES));
    }

    /// Takes a line. Where all of the output is `kept`, what a return would overwrite on a terminal is one of its own.
    fn push(&mut self, bytes: &[u8], kept: bool, now: Duration) {
        let at = now.saturating_sub(self.started.unwrap_or(now));
        let mut texts: Vec<String> = Vec::new();
        if kept {
            let parts = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).filter(|part| !part.is_empty());
            texts.extend(parts.map(words::line));
        }
        if texts.is_empty() {
            texts.push(words::line(bytes));
        }
        self.count += texts.len();
        self.lines.extend(texts.into_iter().map(|text| Line { at, text }));
    }

    fn output(&mut self, stderr: bool, bytes: &[u8], kept: bool, now: Duration) {
        let mut open = std::mem::take(&mut self.open[usize::from(stderr)]);
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            open.extend_from_slice(piece);
            if open.last() == Some(&b'\n') || open.len() >= LINE_MAX {
                self.push(&open, kept, now);
                open.clear();
            }
        }
        self.open[usize::from(stderr)] = open;
    }

    fn end(&mut self, end: End, kept: bool, now: Duration) {
        for stream in 0..2 {
            let open = std::mem::take(&mut self.open[stream]);
            if !open.is_empty() {
                self.push(&open, kept, now);
            }
        }
        if end == End::Done {
            self.parts.iter_mut().filter(|part| part.ended.is_none()).for_each(|part| part.ended = Some(now));
        }
        // What was never begun is not shown.
        if end != End::Canceled {
            self.started.get_or_insert(now);
        }
        self.ended = Some((now, end));
    }

    fn progress(&mut self, what: &str, current: u64, total: Option<u64>, now: Duration) {
        let ended = (total == Some(current)).then_some(now);
        let name = words::printable(what).into_owned();
        match self.parts.iter_mut().find(|part| part.name == name) {
            Some(part) => {
                part.current = current;
                part.total = total.or(part.total);
                part.ended = part.ended.or(ended);
            }
            None => self.parts.push(Part { name, current, total, started: now, ended }),
        }
    }
}

impl Trace {
    /// One that keeps all lines until they are [let go of](Vertex::forget).
    pub(super) fn keeping_all() -> Trace {
        Trace { keeps_all: true, ..Trace::default() }
    }

    /// Takes note of an event, and returns the place of the vertex that it is about.
    pub(super) fn note(&mut self, event: &Event, now: Duration) -> Option<usize> {
        let id = match event {
            Event::Declared { vertex, name } => {
                let name = words::printable(name).into_owned();
                if let Some(known) = self.vertices.iter_mut().find(|known| known.id == *vertex) {
                    known.name = name;
                    return None;
                }
                self.vertices.push(Vertex {
                    id: *vertex,
                    name,
                    started: None,
                    ended: None,
                    parts: Vec::new(),
                    lines: VecDeque::new(),
                    count: 0,
                    open: [Vec::new(), Vec::new()],
                });
                return None;
            }
            Event::Warning(warning) => {
                self.warnings.push(warning.clone());
                return None;
            }
            Event::Tick => return None,
            Event::Started(id) | Event::Cached(id) | Event::Done(id) | Event::Canceled(id) => *id,
            Event::Failed(id, _) => *id,
            Event::Output { vertex, .. } | Event::Progress { vertex, .. } => *vertex,
        };
        let place = self.vertices.iter().position(|vertex| vertex.id == id)?;
        let (vertex, kept) = (&mut self.vertices[place], self.keeps_all);
        match event {
            Event::Started(_) => drop(vertex.started.get_or_insert(now)),
            Event::Cached(_) => vertex.end(End::Cached, kept, now),
            Event::Done(_) => vertex.end(End::Done, kept, now),
            Event::Canceled(_) => vertex.end(End::Canceled, kept, now),
            Event::Failed(_, message) => {
                vertex.end(End::Failed(words::printable(message).into_owned()), kept, now);
            }
            Event::Output { stderr, bytes, .. } => vertex.output(*stderr, bytes, kept, now),
            Event::Progress { what, current, total, .. } => vertex.progress(what, *current, *total, now),
            Event::Declared { .. } | Event::Warning(_) | Event::Tick => {}
        }
        if !self.keeps_all {
            vertex.forget();
        }
        Some(place)
    }

    /// How many have ended, and how many there are.
    pub(super) fn counts(&self) -> (usize, usize) {
        let ended = self.vertices.iter().filter(|vertex| vertex.ended.is_some()).count();
        (ended, self.vertices.len())
    }

    /// Those that failed.
    pub(super) fn failed(&self) -> impl Iterator<Item = &Vertex> {
        self.vertices.iter().filter(|vertex| matches!(vertex.ended, Some((_, End::Failed(_)))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(trace: &mut Trace, stderr: bool, bytes: &[u8], at: u64) {
        let event = Event::Output { vertex: VertexId(1), stderr, bytes: bytes.to_vec() };
        trace.note(&event, Duration::from_millis(at));
    }

    fn begun() -> Trace {
        let mut trace = Trace::default();
        trace.note(&Event::Declared { vertex: VertexId(1), name: "a".into() }, Duration::ZERO);
        trace.note(&Event::Started(VertexId(1)), Duration::from_millis(100));
        trace
    }

    #[test]
    fn output_is_taken_apart_at_line_ends() {
        let mut trace = begun();
        output(&mut trace, false, b"one\ntw", 200);
        output(&mut trace, true, b"error\n", 300);
        output(&mut trace, false, b"o\n", 400);
        output(&mut trace, false, b"rest", 500);
        let lines =
            |trace: &Trace| trace.vertices[0].lines.iter().map(|l| l.text.clone()).collect::<Vec<_>>();
        assert_eq!(lines(&trace), ["one", "error", "two"]);
        trace.note(&Event::Done(VertexId(1)), Duration::from_millis(600));
        assert_eq!(lines(&trace), ["one", "error", "two", "rest"]);
        assert_eq!(trace.vertices[0].lines[0].at, Duration::from_millis(100));
        assert_eq!(trace.vertices[0].took(Duration::ZERO), Duration::from_millis(500));
    }

    #[test]
    fn what_a_return_overwrites_stays_where_all_is_kept() {
        let lines = |mut trace: Trace| {
            output(&mut trace, false, b"10%\r50", 200);
            output(&mut trace, false, b"%\r\r100%\r\n\nnext\r\n", 300);
            trace.vertices[0].lines.iter().map(|line| line.text.clone()).collect::<Vec<_>>()
        };
        assert_eq!(lines(begun()), ["100%", "", "next"]);
        assert_eq!(lines(Trace { keeps_all: true, ..begun() }), ["10%", "50%", "100%", "", "next"]);
    }

    #[test]
    fn output_without_end_is_bounded() {
        let mut trace = begun();
        (0..100).for_each(|_| output(&mut trace, false, &[b'x'; 1000], 1));
        assert!(trace.vertices[0].lines.iter().all(|line| line.text.len() <= LINE_MAX + 1000));
        (0..1000).for_each(|_| output(&mut trace, false, b"y\n", 1));
        assert_eq!((trace.vertices[0].lines.len(), trace.vertices[0].count > 1000), (KEPT_LINES, true));
    }
}
