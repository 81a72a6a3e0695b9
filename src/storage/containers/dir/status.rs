//! The status of a container, which is derived and never stored, and cleaning up after a dead monitor.

use super::super::locks::{self, AliveLock, Stage};
use super::super::records::{RUN_VERSION, RunRecord};
use super::super::summary::Summary;
use super::ContainerDir;
use crate::container::{ExitRecord, Status};
use crate::error::{Context, Error, Kind, Result};
use crate::storage::boot::boot_id;
use crate::storage::events::{Action, Events};
use crate::sys::process;
use chrono::Utc;
use nix::errno::Errno;
use nix::libc;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// The exit code of a container whose monitor died, or whose machine restarted, before the payload's
/// own was known.
pub const LOST_EXIT_CODE: u8 = 255;

/// How long who comes while a container is being started waits for it.
const STARTING: Duration = Duration::from_secs(20);

/// How long a monitor whose container has ended may take to clear up before it counts as running.
const ENDING: Duration = Duration::from_secs(20);

impl ContainerDir {
    /// Where the container stands, derived from its records and the monitor's lock. An unreadable
    /// record counts as absent. Not for the monitor itself, which would lose its lock.
    pub fn status(&self) -> Status {
        // In this order, so that a container which is just starting or ending never looks crashed. Whether the
        // payload runs comes last: it says so until its end is recorded.
        let Ok(Some(run)) = self.run_record() else {
            return match self.exit_after(None) {
                Ok(Some(exit)) if !exit.never_ran => Status::Exited,
                _ => Status::Created,
            };
        };
        let alive = self.is_alive();
        match self.exit_after(Some(&run)) {
            Ok(Some(exit)) if exit.run == run.run && exit.restart_at.is_some() && alive => Status::Restarting,
            Ok(Some(exit)) if exit.run == run.run && exit.never_ran => Status::Created,
            Ok(Some(exit)) if exit.run == run.run => Status::Exited,
            _ if !alive => Status::Crashed,
            _ if !self.payload_runs(&run) => match self.exit_after(Some(&run)) {
                // It has ended since we looked.
                Ok(Some(exit)) if exit.run >= run.run => self.status(),
                _ => Status::Starting,
            },
            _ if run.paused => Status::Paused,
            _ => Status::Running,
        }
    }

    /// The container as listings show it.
    pub fn summary(&self) -> Summary {
        Summary::new(self.id.clone(), self.full_record(), self.status())
    }

    /// Whether the payload of a run whose monitor lives has been executed.
    fn payload_runs(&self, run: &RunRecord) -> bool {
        // Monitors of a former version do not tell; theirs have run long since.
        run.version < RUN_VERSION || locks::payload_runs(self.fd(), "alive")
    }

    /// Whether a monitor is about to execute the payload. Never called by the monitor itself.
    pub fn is_starting(&self) -> bool {
        locks::starts(self.fd(), "alive")
    }

    /// Waits while the container is being started, usually briefly: until then nobody may join, read or
    /// signal what will be in it.
    pub fn await_start(&self) {
        /// Between two looks. Not by inotify: to close a watch costs more than a start (an SRCU grace period).
        const PAUSE: Duration = Duration::from_millis(1);
        let begun = Instant::now();
        while begun.elapsed() < STARTING && self.is_starting() {
            std::thread::sleep(PAUSE);
        }
    }

    /// Whether a monitor holds `alive`. Never called by the monitor itself.
    pub fn is_alive(&self) -> bool {
        locks::is_alive(self.fd(), "alive")
    }

    /// Takes `alive` for work on the files of a container that is not running: a start waits meanwhile. Waits
    /// for a former monitor that has written its exit record and is clearing up.
    ///
    /// # Errors
    /// `Conflict` when the container runs.
    pub fn hold_alive(&self) -> Result<AliveLock> {
        self.hold(|_| Ok(()))
    }

    /// As [`ContainerDir::hold_alive`], for a start and the calling process's whole life: the monitor calls it
    /// once, after its fork.
    ///
    /// # Errors
    /// `Conflict` when the container runs.
    pub fn hold_to_start(&self) -> Result<AliveLock> {
        self.hold(|lock| lock.say(Stage::Starting))
    }

    fn hold(&self, then: impl FnOnce(&AliveLock) -> nix::Result<()>) -> Result<AliveLock> {
        let ended = || {
            let Ok(Some(run)) = self.run_record() else { return true };
            let exit = self.exit_after(Some(&run)).ok().flatten();
            exit.is_some_and(|exit| exit.run == run.run)
        };
        let begun = Instant::now();
        let ending = || begun.elapsed() < ENDING && ended();
        let lock = match locks::hold_alive(self.fd(), ending) {
            Err(Errno::EAGAIN) => {
                return Err(self.held_by_another(ended()));
            }
            Err(Errno::ENOENT) => return Err(self.removed()),
            other => other.context(Kind::Storage, || self.doing("take the alive lock"))?,
        };
        then(&lock).context(Kind::Storage, || self.doing("take the alive lock"))?;
        // A command that removes a container looks for a monitor under the lock: either it found us, or we find
        // here that the container is gone.
        drop(self.lock()?);
        if !self.in_place() {
            return Err(self.removed());
        }
        Ok(lock)
    }

    /// Why `alive` cannot be had.
    fn held_by_another(&self, ended: bool) -> Error {
        let id = self.id.short();
        match self.alive_holder().filter(|_| ended) {
            Some((pid, _)) => {
                Error::new(Kind::Conflict, format!("process {pid} is using the files of container {id}"))
                    .hint(format!("See what it waits for: ps -o pid,stat,args -p {pid}"))
            }
            None => Error::new(Kind::Conflict, format!("container {id} is running already")),
        }
    }

    /// Finishes what a dead monitor left: kills what remains of the run, then writes the exit record
    /// with [`LOST_EXIT_CODE`]. Returns the record; does nothing unless the status is
    /// [`Status::Crashed`]. Removing a `--rm` container is the caller's second step.
    ///
    /// # Errors
    /// When the lock or the record cannot be had.
    pub fn finish_dead(&self) -> Result<Option<ExitRecord>> {
        let _lock = self.lock()?;
        if self.status() != Status::Crashed {
            return Ok(None);
        }
        let Some(run) = self.run_record()? else { return Ok(None) };
        let same_boot = run.boot_id == boot_id();
        if let Some(init) = run.open_init() {
            // The end of a pid namespace's first process ends all others in it.
            let _ = process::pidfd_send_signal(init.as_fd(), libc::SIGKILL);
        }
        let error = if same_boot {
            "the container's monitor died; how the payload ended is not known"
        } else {
            "the machine restarted while the container ran; how the payload ended is not known"
        };
        let exit = ExitRecord {
            run: run.run,
            code: LOST_EXIT_CODE,
            signal: None,
            oom_killed: false,
            error: Some(error.to_owned()),
            never_ran: false,
            started: run.started,
            finished: Utc::now(),
            restart_at: None,
        };
        self.write_exit(&exit)?;
        Events::new(&self.data).emit(self.event(Action::Died).code(exit.code.into()));
        Ok(Some(exit))
    }
}
