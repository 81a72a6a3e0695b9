//! Reading the events of a data root, past and new.

mod filter;

use super::pass::{Pass, time_left};
use crate::error::{Context, Kind, Result};
use crate::storage::Store;
use crate::storage::events::{Event, Reader};
use chrono::{DateTime, Utc};
pub use filter::Filters;

/// What is wanted of the events.
#[derive(Debug, Default)]
pub struct EventsRequest {
    /// Conditions that must hold.
    pub filters: Filters,
    /// What happened since then, before what happens.
    pub since: Option<DateTime<Utc>>,
    /// What happened until then; the stream ends at that time.
    pub until: Option<DateTime<Utc>>,
    /// Go on with what happens.
    pub stream: bool,
}

/// Events, one after the other. [`Events::read`] gives those that are there and then none; [`Events::wait`] waits
/// until there may be more.
#[derive(Debug)]
pub struct Events {
    request: EventsRequest,
    reader: Reader,
    pass: Pass,
}

impl Events {
    /// Opens the events. From here on none is missed.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn open(store: &Store, request: EventsRequest) -> Result<Events> {
        let past = request.since.is_some() || request.until.is_some() || !request.stream;
        let mut reader = store.events().reader(past).context(Kind::Storage, || DOING)?;
        if let Some(since) = request.since {
            reader.skip_to(since).context(Kind::Storage, || DOING)?;
        }
        Ok(Events { request, reader, pass: Pass::New })
    }

    /// The next event; `None` when there is none for now. Does not wait.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn read(&mut self) -> Result<Option<Event>> {
        let EventsRequest { filters, since, until, stream } = &self.request;
        if self.pass == Pass::New {
            // Looked at before reading: what happened until then is read after it.
            let over = until.is_some_and(|until| Utc::now() >= until);
            self.pass = if over || !stream { Pass::Last } else { Pass::Reading };
        }
        while let Some(event) = self.reader.next_event().context(Kind::Storage, || DOING)? {
            let in_time = since.is_none_or(|s| event.time >= s) && until.is_none_or(|u| event.time <= u);
            if in_time && filters.wants(&event) {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// Waits until something may have happened; false when nothing more will come.
    pub fn wait(&mut self) -> bool {
        if self.pass == Pass::Last {
            return false;
        }
        self.pass = Pass::New;
        self.reader.wait(time_left(self.request.until));
        true
    }
}

const DOING: &str = "read the events";
