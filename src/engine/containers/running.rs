//! A container that runs, and the caller that follows it.

use super::wait::{last_code, wait_ended};
use crate::error::{Error, Kind, Result};
use crate::runtime::client::{self, Attached, Ended};
use crate::spec::health::OnFailure;
use crate::spec::{ContainerSpec, HealthCheck};
use crate::storage::Store;
use crate::storage::containers::{ContainerDir, LOST_EXIT_CODE, ProcessRef};

/// A container whose payload runs.
#[derive(Debug)]
pub struct Running {
    pub(super) attached: Option<Attached>,
    /// Nothing starts it again: its end is the last.
    pub(super) once: bool,
}

impl Running {
    /// Relays until the container ends or the user detaches; gives the exit code, 0 after detaching. Where
    /// its restart policy starts it again that is, as with podman, the code of its last run, of which the
    /// caller then sees no more than this.
    ///
    /// # Errors
    /// When the monitor goes away without an exit code.
    pub fn wait(self, store: &Store, dir: &ContainerDir) -> Result<u8> {
        let once = self.once;
        // The directory of a --rm container is gone by the time that a command which was stopped looks.
        let note = self.attached.as_ref().and_then(|_| dir.exit_note().ok());
        let monitor = self.monitor(dir);
        match self.follow()? {
            Some(Ended::Exited(code)) if !once => last_code(store, dir, monitor, code),
            Some(Ended::Lost) => {
                if let Some(code) = note.and_then(|note| note.code(1)) {
                    return Ok(code);
                }
                Err(Error::new(Kind::Runtime, "the container's monitor died; its exit code is lost")
                    .hint("See how the container stands: coracle ps -a"))
            }
            ended => Ok(attached_code(ended)),
        }
    }

    /// As [`Running::wait`], for one who came later than the container and may have missed its exit code by
    /// a moment: that is in the records then. With `once` the end of this run is enough.
    ///
    /// # Errors
    /// When the records cannot be read.
    pub fn wait_for(self, store: &Store, dir: &ContainerDir, once: bool) -> Result<u8> {
        let monitor = self.monitor(dir);
        match self.follow()? {
            Some(Ended::Exited(code)) if !once => last_code(store, dir, monitor, code),
            Some(Ended::Lost) if dir.status().is_live() => {
                let name = dir.called();
                log::warn!(
                    "this command took none of the output while others waited for more, and is shown no more of it; all of it is in: coracle logs {name}"
                );
                Ok(wait_ended(store, dir, None)?.unwrap_or(LOST_EXIT_CODE))
            }
            Some(Ended::Lost) => Ok(wait_ended(store, dir, None)?.unwrap_or(LOST_EXIT_CODE)),
            ended => Ok(attached_code(ended)),
        }
    }

    /// The monitor that somebody is attached to, where what comes after this run counts too.
    fn monitor(&self, dir: &ContainerDir) -> Option<ProcessRef> {
        let record = || dir.run_record().ok().flatten();
        if self.once || self.attached.is_none() { None } else { record().map(|run| run.monitor) }
    }

    /// Relays, if somebody is attached.
    fn follow(self) -> Result<Option<Ended>> {
        let Some(Attached { socket, how, signals }) = self.attached else { return Ok(None) };
        client::follow(&socket, &how, &signals).map(Some)
    }
}

/// Whether nothing starts a container again, for good: what a `--rm` container asked for cannot be changed.
pub(super) fn ends_once(plan: &ContainerSpec) -> bool {
    let lifecycle = &plan.lifecycle;
    let restarts = |check: &HealthCheck| check.on_failure == OnFailure::Restart;
    lifecycle.auto_remove && !lifecycle.restart.is_set() && !plan.health.as_ref().is_some_and(restarts)
}

/// The exit code of a command whose attachment has ended.
fn attached_code(ended: Option<Ended>) -> u8 {
    match ended {
        Some(Ended::Exited(code)) => code,
        Some(Ended::Signalled(signal)) => 128 + signal as u8,
        Some(Ended::Detached) | None => 0,
        Some(Ended::Lost) => LOST_EXIT_CODE,
    }
}
