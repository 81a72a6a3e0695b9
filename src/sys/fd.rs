//! Descriptors: closing ranges, resolving paths inside a directory, paths to descriptors.

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, umask};
use nix::{NixPath, libc};
use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

/// How long [`despite_leases`] waits.
const LEASE_PATIENCE: Duration = Duration::from_secs(1);

/// Most attempts while renames elsewhere disturb the resolution of `..`.
const ATTEMPTS_MAX: usize = 128;

/// A descriptor's own link in /proc, for calls that take no descriptor of this kind (proc(5)). It leads to the
/// very file, whatever has its name by now.
pub fn link_of(fd: impl AsFd) -> String {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}

/// Opens a path from `dir`, resolved as `bounds` say (openat2(2)), close-on-exec. The kernel gives up a
/// bounded resolution of `..` whenever something is renamed anywhere (`EAGAIN`): then it is tried again.
///
/// # Errors
/// Those of openat2(2).
pub fn open_within<P: ?Sized + NixPath>(
    dir: impl AsFd,
    path: &P,
    flags: OFlag,
    bounds: ResolveFlag,
) -> nix::Result<OwnedFd> {
    let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(bounds);
    let mut attempts = 1;
    loop {
        match openat2(&dir, path, how) {
            Err(Errno::EAGAIN | Errno::EINTR) if attempts < ATTEMPTS_MAX => attempts += 1,
            other => return other,
        }
    }
}

/// Opens a file that somebody may hold a lease on (fcntl(2), `F_SETLEASE`). `open` has to open it with
/// `O_NONBLOCK`, or the kernel itself waits for `/proc/sys/fs/lease-break-time`, 45 s. The first attempt asks
/// the holder to give the lease back; it has a second to do that.
///
/// # Errors
/// `EAGAIN` when the lease is still held; else those of `open`.
pub fn despite_leases(mut open: impl FnMut() -> nix::Result<OwnedFd>) -> nix::Result<OwnedFd> {
    let begun = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        match open() {
            Err(Errno::EAGAIN) if begun.elapsed() < LEASE_PATIENCE => {
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(50));
            }
            other => return other,
        }
    }
}

/// Closes every descriptor from `first` up (close_range(2)).
///
/// # Errors
/// Those of close_range(2).
fn close_from(first: u32) -> nix::Result<()> {
    // SAFETY: closes descriptors by number; callers own none above `first` that they use again.
    Errno::result(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) }).map(drop)
}

/// Marks every descriptor from `first` up close-on-exec (close_range(2) with `CLOSE_RANGE_CLOEXEC`).
///
/// # Errors
/// Those of close_range(2).
pub fn cloexec_from(first: u32) -> nix::Result<()> {
    // SAFETY: changes flags only.
    Errno::result(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) })
        .map(drop)
}

/// Takes ownership of a descriptor that the kernel has just handed to this process.
pub fn owned(raw: std::os::fd::RawFd) -> OwnedFd {
    // SAFETY: callers pass numbers from SCM_RIGHTS or an exec hand-over, which nobody else owns.
    unsafe { std::os::fd::FromRawFd::from_raw_fd(raw) }
}

/// Keeps a descriptor open across exec.
///
/// # Errors
/// `EBADF` when it is not open.
pub fn set_inheritable(raw: std::os::fd::RawFd) -> nix::Result<()> {
    // SAFETY: changes the flags of a descriptor number only.
    Errno::result(unsafe { libc::fcntl(raw, libc::F_SETFD, 0) }).map(drop)
}

/// Whether a descriptor number is in use.
pub fn is_open(raw: std::os::fd::RawFd) -> bool {
    // SAFETY: reads the flags of a descriptor number only.
    unsafe { libc::fcntl(raw, libc::F_GETFD) >= 0 }
}

/// The id of the mount that a descriptor is on (statx(2) `STATX_MNT_ID`, Linux 5.8).
///
/// # Errors
/// Those of statx(2).
pub fn mount_id(fd: std::os::fd::BorrowedFd<'_>) -> nix::Result<u64> {
    // SAFETY: statx is plain old data; all-zero is a valid value.
    let mut status: libc::statx = unsafe { std::mem::zeroed() };
    // SAFETY: the path is a static empty C string and `status` outlives the call.
    let result = unsafe {
        libc::statx(
            std::os::fd::AsRawFd::as_raw_fd(&fd),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW,
            libc::STATX_MNT_ID,
            &raw mut status,
        )
    };
    Errno::result(result).map(|_| status.stx_mnt_id)
}

/// Has the kernel begin to write a file's dirty pages to the disk, and does not wait for it
/// (sync_file_range(2)): what is to be synced later is then mostly done. File systems that cannot do it
/// lose the head start only.
pub fn begin_writeback(fd: std::os::fd::BorrowedFd<'_>) {
    // SAFETY: takes a descriptor and numbers only.
    unsafe { libc::sync_file_range(std::os::fd::AsRawFd::as_raw_fd(&fd), 0, 0, libc::SYNC_FILE_RANGE_WRITE) };
}

/// Closes every descriptor above standard error but those kept: what a forked process does first that never
/// executes a program, or outlives its maker. It would hold its siblings' pipes and locks open, and the sockets
/// of a server's clients.
///
/// # Errors
/// Those of close_range(2).
pub fn close_all_but(keep: &[std::os::fd::BorrowedFd<'_>]) -> nix::Result<()> {
    close_above_but(0, keep)
}

/// As [`close_all_but`], by number: of descriptors that what runs next owns.
///
/// # Errors
/// As there.
pub fn close_all_but_numbers(keep: &[RawFd]) -> nix::Result<()> {
    close(3, keep.iter().map(|fd| fd.unsigned_abs()).collect())
}

/// As [`close_all_but`], without so many descriptors that follow standard error: they are the payload's
/// (`--preserve-fds`).
///
/// # Errors
/// As there.
pub fn close_above_but(preserved: u32, keep: &[std::os::fd::BorrowedFd<'_>]) -> nix::Result<()> {
    close(3 + preserved, keep.iter().map(|fd| fd.as_raw_fd().unsigned_abs()).collect())
}

/// Closes every descriptor from `first` up but those kept.
fn close(mut first: u32, mut kept: Vec<u32>) -> nix::Result<()> {
    kept.sort_unstable();
    for fd in kept {
        if fd < first {
            continue;
        }
        if fd > first {
            // SAFETY: closes descriptors by number; the caller uses only those it keeps.
            Errno::result(unsafe { libc::syscall(libc::SYS_close_range, first, fd - 1, 0) })?;
        }
        first = fd + 1;
    }
    close_from(first)
}

/// A program of the host's, which gets the standard streams and no other descriptor, close-on-exec or not.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    // SAFETY: one system call that changes flags of descriptors, which is fine after a fork (signal-safety(7)).
    unsafe { command.pre_exec(|| cloexec_from(3).map_err(std::io::Error::from)) };
    command
}

/// As [`command`], for a program that makes files for us: it ends with this process, and everybody may read what it
/// makes (umask 022), whatever the caller's mask is.
pub fn worker(program: impl AsRef<OsStr>) -> Command {
    let mut command = command(program);
    let prepare = || {
        set_pdeathsig(Signal::SIGKILL)?;
        umask(Mode::S_IWGRP | Mode::S_IWOTH);
        Ok(())
    };
    // SAFETY: two system calls that change this process alone, which is fine after a fork (signal-safety(7)).
    unsafe { command.pre_exec(prepare) };
    command
}

/// A descriptor of its own for one that this process has under a number, for instance from its caller.
///
/// # Errors
/// `EBADF` when it is not open.
pub fn duplicate(raw: RawFd) -> nix::Result<OwnedFd> {
    // SAFETY: makes a new descriptor and leaves the other alone, whoever owns it.
    Errno::result(unsafe { libc::fcntl(raw, libc::F_DUPFD_CLOEXEC, 3) }).map(owned)
}

/// Raises this process's soft limit of descriptors to the hard one, and gives what it is then.
pub fn raise_limit() -> usize {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 1024 };
    let limit = if setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() { hard } else { soft };
    usize::try_from(limit).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn a_program_gets_the_standard_streams_alone() {
        let (pipe, _other) = nix::unistd::pipe().unwrap();
        let script = format!("test -e /proc/self/fd/0 && ! test -e /proc/self/fd/{}", pipe.as_raw_fd());
        assert!(!Command::new("sh").args(["-c", &script]).status().unwrap().success());
        assert!(command("sh").args(["-c", &script]).status().unwrap().success());
    }

    #[test]
    fn what_a_worker_makes_may_be_read() {
        let output = worker("sh").args(["-c", "umask"]).output().unwrap();
        assert_eq!(output.stdout.trim_ascii(), b"0022");
    }

    #[test]
    fn a_duplicate_outlives_the_other() {
        let (pipe, mut other) = std::io::pipe().unwrap();
        let copy = duplicate(pipe.as_raw_fd()).unwrap();
        drop(pipe);
        std::io::Write::write_all(&mut other, b"x").unwrap();
        drop(other);
        let mut read = String::new();
        std::io::Read::read_to_string(&mut std::fs::File::from(copy), &mut read).unwrap();
        assert_eq!(read, "x");
        assert_eq!(duplicate(i32::MAX).unwrap_err(), Errno::EBADF);
    }

    #[test]
    fn renames_elsewhere_do_not_disturb_a_bounded_path() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("root");
        std::fs::create_dir_all(root.join("a")).unwrap();
        std::fs::create_dir(place.path().join("0")).unwrap();
        let dir = std::fs::File::open(&root).unwrap();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let name = |n: u32| place.path().join((n % 2).to_string());
                let numbers = (0..).take_while(|_| !stop.load(Ordering::Relaxed));
                numbers.for_each(|n| std::fs::rename(name(n), name(n + 1)).unwrap());
            });
            let path = "a/../".repeat(40);
            let opened: Vec<_> = (0..2000)
                .map(|_| open_within(&dir, path.as_str(), OFlag::O_PATH, ResolveFlag::RESOLVE_IN_ROOT))
                .filter_map(Result::err)
                .collect();
            stop.store(true, Ordering::Relaxed);
            assert_eq!(opened, []);
        });
    }
}
