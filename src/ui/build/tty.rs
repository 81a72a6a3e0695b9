//! Progress on a terminal: lines that are drawn anew while the build goes on.
//!
//! Theory of operation. A drawing begins where the last one began: the cursor goes up by as many lines as that one
//! takes, which are more than were written if the terminal has become narrower meanwhile. Each line is followed by the
//! order to clear the rest of it, the last one by the order to clear the screen below. The cursor is hidden only while
//! that is written, so that nothing is left to restore when the process is killed.

use super::frame::{self, Row, Size, Tone};
use super::show::Show;
use super::trace::Trace;
use super::{failure, words};
use crate::build::event::{Event, Warning};
use std::io::{self, Write};
use std::time::Duration;

/// Shortest time between two drawings.
const PERIOD: Duration = Duration::from_millis(100);
/// Lines of output that are shown when a step failed; it was seen only in part.
const LAST_LINES: usize = 100;

/// Draws on a terminal.
#[derive(Debug)]
pub(super) struct Tty<W> {
    to: W,
    size: fn() -> Size,
    colored: bool,
    trace: Trace,
    drawn_at: Option<Duration>,
    /// The widths of the lines on the screen.
    drawn: Vec<usize>,
}

impl<W: Write> Tty<W> {
    /// Draws to `to`, whose size `size` tells.
    pub(super) fn new(to: W, size: fn() -> Size, colored: bool) -> Self {
        Tty { to, size, colored, trace: Trace::default(), drawn_at: None, drawn: Vec::new() }
    }

    fn draw(&mut self, now: Duration, last: bool) -> io::Result<()> {
        let size = (self.size)();
        let rows = frame::rows(&self.trace, now, size, last);
        let columns = size.columns.max(1);
        let up: usize = self.drawn.iter().map(|width| width.div_ceil(columns).max(1)).sum();
        let mut text = String::from("\u{1b}[?25l\r");
        if up > 0 {
            text.push_str(&format!("\u{1b}[{up}A"));
        }
        for row in &rows {
            text.push_str(&self.painted(row));
            text.push_str("\u{1b}[K\n");
        }
        text.push_str("\u{1b}[J\u{1b}[?25h");
        self.drawn = rows.iter().map(|row| words::width(&row.text)).collect();
        self.drawn_at = Some(now);
        self.to.write_all(text.as_bytes())?;
        self.to.flush()
    }

    fn painted(&self, row: &Row) -> String {
        let color = match row.tone {
            _ if !self.colored => return row.text.clone(),
            Tone::Plain => return row.text.clone(),
            Tone::Done => "34",
            Tone::Failed => "31",
            Tone::Canceled => "33",
            Tone::Faint => "2",
        };
        format!("\u{1b}[{color}m{}\u{1b}[0m", row.text)
    }
}

impl<W: Write + std::fmt::Debug> Show for Tty<W> {
    fn event(&mut self, event: &Event, now: Duration) -> io::Result<()> {
        self.trace.note(event, now);
        match self.drawn_at {
            Some(then) if now.saturating_sub(then) < PERIOD => Ok(()),
            _ => self.draw(now, false),
        }
    }

    fn end(&mut self, now: Duration) -> io::Result<()> {
        if !self.trace.vertices.is_empty() {
            self.draw(now, true)?;
        }
        failure::write(&mut self.to, &self.trace, LAST_LINES)
    }

    fn findings(&self) -> Option<&[Warning]> {
        Some(&self.trace.warnings)
    }
}
