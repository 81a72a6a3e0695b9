//! The logs of containers: past output and, if followed, new output.
//!
//! Theory of operation. [`Logs::read`] returns the available lines, those of several containers sorted by time,
//! and then none; [`Logs::wait`] waits until there may be more. In between, a caller can flush what it has
//! buffered. Whether a container has exited is checked before its log is read, so output that precedes its exit
//! is never missed.

mod journal;
mod request;
mod source;

pub use request::{LogLine, LogsRequest};

use crate::engine::pass::{Pass, time_left};
use crate::error::{Context, Kind, Result};
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use crate::storage::containers::log::stamp;
use crate::storage::containers::watch::{self, Watch};
use chrono::Utc;
use source::Source;
use std::time::Duration;

/// How often a log is polled where nothing signals new lines.
const ASK_AGAIN: Duration = Duration::from_millis(250);

/// The logs of some containers.
#[derive(Debug)]
pub struct Logs<'a> {
    store: &'a Store,
    request: LogsRequest,
    /// The limits as the times of lines are written, which compare as text.
    since: Option<Vec<u8>>,
    until: Option<Vec<u8>>,
    sources: Vec<Source>,
    pass: Pass,
}

impl<'a> Logs<'a> {
    /// Opens the logs of these containers.
    ///
    /// # Errors
    /// `Conflict` for a container that keeps no log; a log that cannot be read.
    pub fn open(store: &'a Store, containers: Vec<ContainerDir>, request: LogsRequest) -> Result<Logs<'a>> {
        let open = |container| Source::open(container, &request);
        Ok(Logs {
            store,
            request,
            since: request.since.map(|time| stamp(time).into_bytes()),
            until: request.until.map(|time| stamp(time).into_bytes()),
            sources: containers.into_iter().map(open).collect::<Result<_>>()?,
            pass: Pass::New,
        })
    }

    /// The next line; `None` when there is none for now. Does not wait.
    ///
    /// # Errors
    /// When a log cannot be read.
    pub fn read(&mut self) -> Result<Option<LogLine<'_>>> {
        if self.pass == Pass::New {
            self.begin();
        }
        let last = self.pass == Pass::Last;
        loop {
            for source in &mut self.sources {
                source.fill(last).context(Kind::Storage, || "show a log")?;
            }
            let filled = self.sources.iter().enumerate().filter(|(_, source)| source.is_filled());
            let Some(next) = filled.min_by(|(_, a), (_, b)| a.time().cmp(b.time())).map(|(at, _)| at) else {
                if !last {
                    self.pass = Pass::New;
                }
                return Ok(None);
            };
            let wanted = self.wants(self.sources[next].time());
            let line = self.sources[next].take();
            if wanted {
                return Ok(Some(self.sources[next].line(next, line)));
            }
        }
    }

    /// Waits until there may be more; false when nothing more will come.
    pub fn wait(&mut self) -> bool {
        if self.pass == Pass::Last {
            return false;
        }
        self.pass = Pass::New;
        let mut limit = time_left(self.request.until);
        let mut watches: Vec<Watch> = Vec::new();
        let mut owners = Vec::new();
        for (index, source) in self.sources.iter_mut().enumerate().filter(|(_, source)| !source.ended) {
            owners.push(index);
            watches.extend(source.watch.take());
            if source.is_asked {
                limit = Some(limit.map_or(ASK_AGAIN, |limit| limit.min(ASK_AGAIN)));
            }
        }
        watch::wait_any(&mut watches, limit);
        for (index, watch) in owners.into_iter().zip(watches) {
            self.sources[index].watch = Some(watch);
        }
        true
    }

    fn begin(&mut self) {
        let mut all_ended = true;
        for source in self.sources.iter_mut() {
            source.ended = source.ended || source.has_ended(self.store);
            source.ask_again();
            all_ended &= source.ended;
        }
        let over = self.request.until.is_some_and(|until| Utc::now() > until);
        self.pass = if !self.request.follow || over || all_ended { Pass::Last } else { Pass::Reading };
    }

    fn wants(&self, time: &[u8]) -> bool {
        self.since.as_deref().is_none_or(|since| time >= since)
            && self.until.as_deref().is_none_or(|until| time <= until)
    }
}
