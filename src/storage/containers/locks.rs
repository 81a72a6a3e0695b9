//! The two locks of a container.
//!
//! Theory of operation. `alive` carries fcntl record locks (fcntl_locking(2)). They belong to the process that
//! took them, so the monitor's forked helpers do not hold them, and the kernel releases them however the
//! monitor ends. Byte 0 means that the monitor lives, or that a process works on the files of a container that
//! is not running; byte 2 that a start is in progress; byte 1 that the payload has been executed: from then on,
//! and not before, others may enter the container. Such locks are lost when the process closes *any* descriptor
//! of the file, so the monitor opens it once and never probes it. `lock` is a flock(2), held briefly to change
//! the container. Its content is the exit note: run number and exit code, for processes that wait for a `--rm`
//! container and have only an open file left when its directory is gone. Its space is allocated when the
//! container is created, so that the end of a run can be noted on a full disk. Byte 0 of the same file carries
//! an open-file-description lock for rewriting `summary`, which must be possible while another process holds
//! the flock.

use super::files;
use crate::storage::record::BELOW;
use crate::storage::record::open_regular;
use crate::sys::fd::open_within;
use chrono::{DateTime, Utc};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, openat};
use nix::libc;
use nix::sys::stat::Mode;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// Held by a container's monitor for its whole life; see the module.
#[derive(Debug)]
pub struct AliveLock {
    file: OwnedFd,
}

/// How far a run has come, as its monitor says it to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It is about to execute the payload.
    Starting,
    /// The payload has been executed.
    Runs,
    /// Its end is recorded, or why it never ran.
    Over,
}

/// Byte of `alive` that is held by a living monitor.
const MONITOR: libc::off_t = 0;
/// Byte of `alive` that is held while the payload runs.
const PAYLOAD: libc::off_t = 1;
/// Byte of `alive` that is held while the container is being started.
const START: libc::off_t = 2;

impl AliveLock {
    /// Says how far the run has come.
    ///
    /// # Errors
    /// Those of fcntl(2).
    pub fn say(&self, stage: Stage) -> nix::Result<()> {
        let set = |byte, held| {
            let kind = if held { libc::F_WRLCK } else { libc::F_UNLCK };
            fcntl(&self.file, FcntlArg::F_SETLK(&record(kind, byte))).map(drop)
        };
        set(PAYLOAD, stage == Stage::Runs)?;
        set(START, stage == Stage::Starting)
    }
}

/// Held briefly to change one container. Released on drop.
#[derive(Debug)]
pub struct DirLock {
    file: File,
}

impl DirLock {
    /// Takes the exit note's place on the disk.
    pub(super) fn reserve_note(&self) -> io::Result<()> {
        write_note(&self.file, 0, 0)
    }
}

fn record(kind: libc::c_int, byte: libc::off_t) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: byte,
        l_len: 1,
        l_pid: 0,
    }
}

/// Opens `alive`; what else is in its place is neither followed nor waited for.
fn open(dir: BorrowedFd<'_>, name: &str, create: bool) -> nix::Result<OwnedFd> {
    let mut flags = OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    flags.set(OFlag::O_CREAT, create);
    openat(dir, name, flags, Mode::from_bits_truncate(0o600))
}

/// Opens `lock`, made if missing. Something else in its place is moved aside: it holds nothing that
/// anybody needs, and no container may be kept from being removed by it.
fn open_lock(dir: BorrowedFd<'_>) -> io::Result<File> {
    let open = || open_regular(dir, "lock", OFlag::O_RDWR | OFlag::O_CREAT);
    match open() {
        Err(e) if e.kind() == io::ErrorKind::InvalidData => {
            files::out_of_the_way(dir, "lock")?;
            open()
        }
        other => other,
    }
}

/// Takes `alive`; asks `patient` whenever another process holds it. `EAGAIN` says that it still does.
pub(super) fn hold_alive(dir: BorrowedFd<'_>, patient: impl FnMut() -> bool) -> nix::Result<AliveLock> {
    hold(dir, "alive", patient)
}

/// As [`hold_alive`], on another file that is for this alone.
pub(super) fn hold(
    dir: BorrowedFd<'_>,
    name: &str,
    mut patient: impl FnMut() -> bool,
) -> nix::Result<AliveLock> {
    /// Between two attempts. Not one attempt that waits: of two who wait the second would wait for the
    /// first one's life.
    const PAUSE: Duration = Duration::from_millis(2);
    // Opened once: to close any descriptor of it would drop the lock.
    let file = open(dir, name, true)?;
    let lock = record(libc::F_WRLCK, MONITOR);
    loop {
        match fcntl(&file, FcntlArg::F_SETLK(&lock)) {
            Ok(_) => return Ok(AliveLock { file }),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN | Errno::EACCES) if patient() => std::thread::sleep(PAUSE),
            Err(Errno::EACCES) => return Err(Errno::EAGAIN),
            Err(e) => return Err(e),
        }
    }
}

/// Whether some other process holds `alive`; `path` is relative to `dir`.
pub(super) fn is_alive(dir: BorrowedFd<'_>, path: &str) -> bool {
    alive_holder(dir, path).is_some()
}

/// The process that holds `alive`, by the number that this one knows it by.
pub(super) fn alive_holder(dir: BorrowedFd<'_>, path: &str) -> Option<i32> {
    holder(dir, path, MONITOR)
}

/// Whether the payload has been executed, and its end is not recorded yet.
pub(super) fn payload_runs(dir: BorrowedFd<'_>, path: &str) -> bool {
    holder(dir, path, PAYLOAD).is_some()
}

/// Whether a monitor is about to execute the payload.
pub(super) fn starts(dir: BorrowedFd<'_>, path: &str) -> bool {
    holder(dir, path, START).is_some()
}

fn holder(dir: BorrowedFd<'_>, path: &str, byte: libc::off_t) -> Option<i32> {
    let flags = OFlag::O_RDWR | OFlag::O_NONBLOCK;
    let file = open_within(dir, path, flags, BELOW).ok()?;
    let mut lock = record(libc::F_WRLCK, byte);
    fcntl(&file, FcntlArg::F_GETLK(&mut lock)).ok()?;
    (lock.l_type != libc::F_UNLCK as libc::c_short).then_some(lock.l_pid)
}

/// Takes `lock`, waiting for it so long at most; `None` when it was not free then.
pub(super) fn lock(dir: BorrowedFd<'_>, patience: Duration) -> io::Result<Option<DirLock>> {
    const PAUSE: Duration = Duration::from_millis(2);
    let begun = Instant::now();
    loop {
        match try_lock(dir)? {
            None if begun.elapsed() < patience => std::thread::sleep(PAUSE),
            other => return Ok(other),
        }
    }
}

/// Takes `lock` if it is free.
pub(super) fn try_lock(dir: BorrowedFd<'_>) -> io::Result<Option<DirLock>> {
    let file = open_lock(dir)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(DirLock { file })),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(e)) => Err(e),
    }
}

/// Runs `work` alone among those that rewrite this container's summary.
pub(super) fn with_summary<T>(dir: BorrowedFd<'_>, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let file = open_lock(dir)?;
    let lock = record(libc::F_WRLCK, 0);
    loop {
        match fcntl(file.as_fd(), FcntlArg::F_OFD_SETLKW(&lock)) {
            Ok(_) => break,
            Err(Errno::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    work()
}

/// Leaves the exit note of a run.
pub(super) fn note_exit(dir: BorrowedFd<'_>, run: u64, code: u8) -> io::Result<()> {
    write_note(&open_lock(dir)?, run, code)
}

fn write_note(file: &File, run: u64, code: u8) -> io::Result<()> {
    // As long as any note before it, so that no rest of one is left.
    file.write_all_at(format!("{run:>20} {code:>3}\n").as_bytes(), 0)
}

/// A place to read a run's exit code from even when the container's directory has been deleted.
#[derive(Debug)]
pub struct ExitNote(File);

impl ExitNote {
    pub(super) fn open(dir: BorrowedFd<'_>) -> io::Result<ExitNote> {
        Ok(ExitNote(open_lock(dir)?))
    }

    /// When the note was written.
    pub(super) fn written(&self) -> Option<DateTime<Utc>> {
        self.0.metadata().and_then(|m| m.modified()).ok().map(DateTime::from)
    }

    /// The exit code of the latest run that ended, when that is `run` or a later one.
    pub fn code(&self, run: u64) -> Option<u8> {
        let mut bytes = [0; 25];
        self.0.read_exact_at(&mut bytes, 0).ok()?;
        let (noted, code) = std::str::from_utf8(&bytes).ok()?.trim().split_once(' ')?;
        if noted.parse::<u64>().ok()? >= run { code.trim().parse().ok() } else { None }
    }
}
