//! A running container, and how its exit is reported to the attached caller.

use super::wait::{last_code, wait_ended};
use crate::error::{Error, Kind, Result, Warning};
use crate::runtime::connection::{Connection, Output};
use crate::runtime::launch::Launched;
use crate::spec::health::OnFailure;
use crate::spec::{ContainerSpec, HealthCheck};
use crate::storage::Store;
use crate::storage::containers::{ContainerDir, ExitNote, LOST_EXIT_CODE, ProcessRef};

/// A container whose payload runs.
#[derive(Debug)]
pub struct Running {
    /// The connection to it, when the caller is attached.
    pub connection: Option<Connection>,
    /// It was already running; nothing was started.
    pub already: bool,
    /// The parts of its plan that this machine does not support, as messages.
    pub warnings: Vec<Warning>,
    /// Later runs count too, as long as they have this monitor.
    monitor: Option<ProcessRef>,
    /// Where the code of the first run is kept: the directory of a --rm container is gone by the time that a
    /// command which was stopped looks.
    note: Option<ExitNote>,
}

impl Running {
    /// A container started for the first time. With `once` it is not restarted.
    pub(super) fn first(dir: &ContainerDir, launched: Launched, once: bool) -> Running {
        let note = launched.connection.as_ref().and_then(|_| dir.exit_note().ok());
        Running { note, ..Running::started(dir, launched, once) }
    }

    /// A container started again.
    pub(super) fn started(dir: &ContainerDir, launched: Launched, once: bool) -> Running {
        let Launched { connection, warnings } = launched;
        let counts = connection.is_some() && !once;
        let monitor = counts.then(|| dir.run_record().ok().flatten().map(|run| run.monitor)).flatten();
        Running { connection, already: false, warnings, monitor, note: None }
    }

    /// A container that was already running.
    pub(super) fn found(connection: Option<Connection>) -> Running {
        Running { connection, already: true, warnings: Vec::new(), monitor: None, note: None }
    }

    /// With the warnings of what was started before it.
    pub(super) fn with(self, mut warnings: Vec<Warning>) -> Running {
        warnings.extend(self.warnings);
        Running { warnings, ..self }
    }

    /// Passes the container's output to `each` until it exits; returns the exit code. Without a connection that is
    /// 0 at once.
    ///
    /// # Errors
    /// Those of [`Connection::await_output`] and [`Running::code`], and what `each` reports.
    pub fn follow(
        mut self,
        store: &Store,
        dir: &ContainerDir,
        each: &mut dyn FnMut(Output<'_>) -> Result<()>,
    ) -> Result<u8> {
        let Some(connection) = &mut self.connection else { return Ok(0) };
        let code = loop {
            match connection.await_output()? {
                Output::Exited(code) => break Some(code),
                Output::Lost => break None,
                output => each(output)?,
            }
        };
        self.code(store, dir, code)
    }

    /// The exit code, after the connection has ended with or without `code`. If the restart policy restarts
    /// the container, this is the code of its last run, as in podman, though the caller sees none of its
    /// output. A caller that attached late may have just missed the code; then it is read from the records.
    ///
    /// # Errors
    /// When the monitor went away and left no exit code; when the records cannot be read.
    pub fn code(self, store: &Store, dir: &ContainerDir, code: Option<u8>) -> Result<u8> {
        match (code, self.monitor, self.note) {
            (Some(code), None, _) => Ok(code),
            (Some(code), monitor, _) => last_code(store, dir, monitor, code),
            (None, _, Some(note)) => note.code(1).ok_or_else(|| {
                Error::new(Kind::Runtime, "the container's monitor died; its exit code is lost")
                    .hint("See the state of the container: coracle ps -a")
            }),
            (None, _, None) => {
                if dir.status().is_live() {
                    let name = dir.called();
                    log::warn!(
                        "this command read none of the output while others waited for more, so it is \
                         disconnected; all output is in: coracle logs {name}"
                    );
                }
                Ok(wait_ended(store, dir, None)?.unwrap_or(LOST_EXIT_CODE))
            }
        }
    }
}

/// Whether a container can never be restarted: the policy of a `--rm` container cannot be changed.
pub(super) fn ends_once(plan: &ContainerSpec) -> bool {
    let lifecycle = &plan.lifecycle;
    let restarts = |check: &HealthCheck| check.on_failure == OnFailure::Restart;
    lifecycle.auto_remove && !lifecycle.restart.is_set() && !plan.health.as_ref().is_some_and(restarts)
}
