//! The progress of a build, in BuildKit's forms.
//!
//! No thread draws: what shows running times does so with each event, of which a waiting build sends `Tick`s.

use crate::build::event::{Event, Warning};
use crate::error::{Context, Error, Kind, Result};
use crate::sys::pty;
use chrono::Utc;
use frame::Size;
use show::Show;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use trace::Trace;

mod failure;
mod frame;
mod plain;
mod rawjson;
mod show;
#[cfg(test)]
mod tests;
mod trace;
mod tty;
mod warnings;
mod words;

pub use warnings::{address, list, report};

/// How progress is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// On a terminal as tty, otherwise as plain
    #[default]
    Auto,
    /// Lines
    Plain,
    /// Lines that are drawn anew
    Tty,
    /// BuildKit's JSON lines
    Rawjson,
    /// Only a step that fails
    Quiet,
    /// Nothing
    None,
}

/// Shows a step that fails, and nothing else.
#[derive(Debug, Default)]
struct Quiet(Trace);

impl Show for Quiet {
    fn event(&mut self, event: &Event, now: Duration) -> io::Result<()> {
        self.0.note(event, now);
        Ok(())
    }

    fn end(&mut self, _now: Duration) -> io::Result<()> {
        failure::write(&mut io::stderr(), &self.0, QUIET_LINES)
    }

    fn findings(&self) -> Option<&[Warning]> {
        None
    }
}

/// Lines of output that are shown of a step that fails.
const QUIET_LINES: usize = 100;

/// The size of the terminal at standard error, or a usual one.
fn size() -> Size {
    match pty::size(io::stderr().as_fd()) {
        Ok((rows, columns)) if rows > 0 && columns > 0 => {
            Size { columns: usize::from(columns), rows: usize::from(rows) }
        }
        _ => Size { columns: 80, rows: 24 },
    }
}

/// The progress of one build.
#[derive(Debug)]
pub struct Progress {
    show: Option<Box<dyn Show>>,
    began: Instant,
    /// The file that stands for standard error.
    log: Option<File>,
    /// Why nothing more is written.
    lost: Option<io::Error>,
}

impl Progress {
    /// Progress on standard error, or in plain lines in a file.
    ///
    /// # Errors
    /// [`Kind::Usage`] when a terminal is asked for and there is none.
    pub fn new(mode: Mode, log: Option<File>) -> Result<Progress> {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let terminal = io::stderr().is_terminal();
        if mode == Mode::Tty && !terminal && log.is_none() {
            return Err(Error::new(Kind::Usage, "--progress tty: standard error is not a terminal")
                .hint("Use --progress plain, or leave it out."));
        }
        let copy = log.as_ref().map(File::try_clone).transpose();
        let copy = copy.context(Kind::Host, || "open the log a second time")?;
        let show: Option<Box<dyn Show>> = match (mode, copy) {
            (Mode::None, _) => None,
            (Mode::Quiet, _) => Some(Box::new(Quiet::default())),
            (_, Some(file)) => Some(Box::new(plain::Plain::new(file))),
            (Mode::Rawjson, None) => Some(Box::new(rawjson::RawJson::new(io::stderr(), Utc::now()))),
            (Mode::Auto, None) if !terminal || dumb => Some(Box::new(plain::Plain::new(io::stderr()))),
            (Mode::Plain, None) => Some(Box::new(plain::Plain::new(io::stderr()))),
            (Mode::Auto | Mode::Tty, None) => {
                let colored = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
                Some(Box::new(tty::Tty::new(io::stderr(), size, colored)))
            }
        };
        Ok(Progress { show, began: Instant::now(), log, lost: None })
    }

    /// Shows an event.
    pub fn event(&mut self, event: &Event) {
        let now = self.began.elapsed();
        if let (Some(show), None) = (&mut self.show, &self.lost) {
            self.lost = show.event(event, now).err();
        }
    }

    /// Shows how it ended: the last lines of a step that failed, and what the build checks found, `found` unless
    /// events told of it. With `None` that is not listed.
    ///
    /// # Errors
    /// A log that could not be written. If standard error cannot be, there is nobody to tell.
    pub fn end(mut self, found: Option<&[Warning]>) -> Result<()> {
        let now = self.began.elapsed();
        if let (Some(show), None) = (&mut self.show, &self.lost) {
            self.lost = show.end(now).err();
        }
        if let (Some(found), Some(listed)) = (found, self.show.as_ref().and_then(|show| show.findings())) {
            let text = list(if listed.is_empty() { found } else { listed });
            let written = match &mut self.log {
                Some(file) => file.write_all(text.as_bytes()),
                None => io::stderr().write_all(text.as_bytes()),
            };
            self.lost = self.lost.or(written.err());
        }
        match (self.lost, self.log) {
            (Some(error), Some(_)) => {
                Err(Error::new(Kind::Storage, "write the log of the build").caused_by(error))
            }
            _ => Ok(()),
        }
    }
}
