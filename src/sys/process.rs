//! Processes: clone, pidfds, exit without exit handlers.

use crate::sys::read::text_of;
use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// By which name this process was called, through a symbolic link say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// Its own, or any other.
    Coracle,
    /// `podman`.
    Podman,
    /// `docker`.
    Docker,
}

impl Identity {
    /// The name of the program.
    pub fn name(self) -> &'static str {
        match self {
            Identity::Coracle => "coracle",
            Identity::Podman => "podman",
            Identity::Docker => "docker",
        }
    }
}

/// By which name this process was called; directories do not count.
pub fn identity() -> Identity {
    let name = std::env::args_os().next().unwrap_or_default();
    match std::path::Path::new(&name).file_name() {
        Some(name) if name == "podman" => Identity::Podman,
        Some(name) if name == "docker" => Identity::Docker,
        _ => Identity::Coracle,
    }
}

/// Which side of a clone this is.
#[derive(Debug)]
pub enum Side {
    /// The new process.
    Child,
    /// The caller, with the new process's pid and a close-on-exec descriptor of it.
    Parent(Pid, OwnedFd),
}

/// clone3(2) without a new stack or shared memory, as fork with namespace flags; into this cgroup of version 2
/// if one is given (`CLONE_INTO_CGROUP`).
///
/// # Errors
/// Those of clone3(2).
///
/// # Safety contract kept here
/// The caller must be single-threaded (`fork` checks it), so the child may allocate.
pub fn clone(flags: u64, cgroup: Option<BorrowedFd<'_>>) -> nix::Result<Side> {
    /// libc has it too narrow.
    const CLONE_INTO_CGROUP: u64 = 1 << 33;
    let mut pidfd: libc::c_int = -1;
    // SAFETY: clone_args is plain old data; all-zero is its documented default.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = flags | libc::CLONE_PIDFD as u64;
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    args.pidfd = std::ptr::from_mut(&mut pidfd) as u64;
    // A sibling ends as its maker does: clone3(2) takes no signal for it.
    args.exit_signal = if flags & libc::CLONE_PARENT as u64 == 0 { libc::SIGCHLD as u64 } else { 0 };
    // SAFETY: args is valid for the given size and pidfd outlives the call; no memory is shared with
    // the child, which continues on its own copy of this stack.
    let result = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<libc::clone_args>()) };
    match Errno::result(result)? {
        0 => Ok(Side::Child),
        pid => {
            // SAFETY: the kernel has just made this descriptor for us.
            let fd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Side::Parent(Pid::from_raw(pid as i32), fd))
        }
    }
}

/// setdomainname(2).
///
/// # Errors
/// `EINVAL` for a name of more than 64 bytes.
pub fn set_domain_name(name: &str) -> nix::Result<()> {
    // SAFETY: the kernel reads as many bytes as the text has.
    Errno::result(unsafe { libc::setdomainname(name.as_ptr().cast(), name.len()) }).map(drop)
}

/// pidfd_open(2).
///
/// # Errors
/// `ESRCH` when there is no such process.
pub fn pidfd_open(pid: Pid) -> nix::Result<OwnedFd> {
    // SAFETY: takes integers only.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) })?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// pidfd_send_signal(2); `None` only checks that the process exists.
///
/// # Errors
/// `ESRCH` when the process has been reaped.
pub fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> nix::Result<()> {
    // SAFETY: a null siginfo is allowed.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    Errno::result(result).map(drop)
}

/// Whether there is no such process any more, or only what its parent has not reaped yet.
pub fn has_ended(pid: Pid) -> bool {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    match pidfd_open(pid) {
        Ok(pidfd) => {
            let mut fds = [PollFd::new(std::os::fd::AsFd::as_fd(&pidfd), PollFlags::POLLIN)];
            matches!(poll(&mut fds, PollTimeout::ZERO), Ok(1))
        }
        Err(e) => e == Errno::ESRCH,
    }
}

/// When a process started, in clock ticks since boot (proc_pid_stat(5), field 22).
///
/// # Errors
/// `NotFound` when there is no such process.
pub fn start_time(pid: Pid) -> std::io::Result<u64> {
    let mut buffer = [0u8; 1024];
    use std::io::Read;
    let length = std::fs::File::open(format!("/proc/{pid}/stat"))?.read(&mut buffer)?;
    let text = String::from_utf8_lossy(&buffer[..length]);
    // The command name may hold anything, so count from its closing parenthesis.
    text.rsplit_once(')')
        .and_then(|(_, rest)| rest.split_ascii_whitespace().nth(19))
        .and_then(|field| field.parse().ok())
        .ok_or_else(|| std::io::Error::other("malformed stat line"))
}

/// Gives back memory that was needed to start and is not needed to wait: free heap pages, what is left of a deeper
/// stack, and our own program's pages, which come back from the page cache when they are run again.
///
/// Only the read-only segments from the start of the program to the end of its code are let go: what
/// follows them was written to by the loader and would be lost (madvise(2), `MADV_DONTNEED`).
pub fn shrink() {
    unsafe extern "C" {
        // Made by the linker; ld(1), "PROVIDE".
        static __executable_start: u8;
        static etext: u8;
    }
    // SAFETY: reads and changes the allocator's own state only.
    unsafe { libc::malloc_trim(0) };
    // SAFETY: asks for a number.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(0);
    if !page.is_power_of_two() {
        return;
    }
    shrink_stack(page);
    let start = (&raw const __executable_start).addr().next_multiple_of(page);
    let end = (&raw const etext).addr() / page * page;
    if let Some(length) = end.checked_sub(start) {
        let start = std::ptr::with_exposed_provenance_mut(start);
        // SAFETY: the range is file-backed, private and never written; its pages are read again at need,
        // and singly: a page cache of huge pages would bring back two megabytes for one function.
        unsafe {
            libc::madvise(start, length, libc::MADV_NOHUGEPAGE);
            libc::madvise(start, length, libc::MADV_DONTNEED);
        }
    }
}

/// Gives back the first thread's stack below the part that is in use.
fn shrink_stack(page: usize) {
    /// What the call itself needs.
    const ROOM: usize = 4 << 10;
    /// No further down than the kernel keeps from being mapped below a stack (`stack_guard_gap`, 1 MiB).
    const DEPTH: usize = 512 << 10;
    if nix::unistd::gettid() != nix::unistd::getpid() {
        return;
    }
    let here = 0u8;
    let end = (&raw const here).addr().saturating_sub(ROOM) / page * page;
    let start = std::ptr::with_exposed_provenance_mut(end.saturating_sub(DEPTH));
    // SAFETY: nothing below the stack pointer is in use but what ROOM leaves, and whatever is mapped there is the stack.
    // It may not reach so far down, which is an error after what there is has been done (madvise(2), ENOMEM).
    unsafe {
        libc::madvise(start, DEPTH, libc::MADV_DONTNEED);
    }
}

/// personality(2): the execution domain of this process and of the programs it executes.
///
/// # Errors
/// `EINVAL` when the kernel does not know it.
pub fn set_personality(domain: u32) -> nix::Result<()> {
    // SAFETY: takes an integer only.
    Errno::result(unsafe { libc::personality(domain.into()) }).map(drop)
}

/// Where programs are looked for after `PATH`, which desktop sessions and cron cut short.
pub const USUAL_PLACES: [&str; 4] = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin"];

/// Where a program is: searched in the absolute directories of `PATH`, then in these.
pub fn find_program(name: &str, further: &[&str]) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .filter(|directory| directory.is_absolute())
        .chain(further.iter().map(std::path::PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|file| nix::unistd::access(file, nix::unistd::AccessFlags::X_OK).is_ok() && file.is_file())
}

/// Ends the process at once: no exit handlers, no flushing of buffers inherited from the parent.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit(2) is always safe to call.
    unsafe { libc::_exit(code) }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code.
    Exited(i32),
    /// By this signal, real-time ones included.
    Killed(i32),
}

/// Reaps a child by its pidfd if it has ended (waitid(2) with `WNOHANG`).
///
/// Not nix's waitid: it cannot name real-time signals.
///
/// # Errors
/// `ECHILD` when it is no child of this process or was reaped before.
pub fn reap(pidfd: BorrowedFd<'_>) -> nix::Result<Option<Ended>> {
    // SAFETY: siginfo_t is plain old data.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let id = pidfd.as_raw_fd() as libc::id_t;
    // SAFETY: info outlives the call.
    Errno::result(unsafe { libc::waitid(libc::P_PIDFD, id, &raw mut info, libc::WEXITED | libc::WNOHANG) })?;
    // SAFETY: waitid has filled in a SIGCHLD siginfo, or left it zero.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    Ok(match (pid, info.si_code) {
        (0, _) => None,
        (_, libc::CLD_EXITED) => Some(Ended::Exited(status)),
        _ => Some(Ended::Killed(status)),
    })
}

/// Reaps the children that have ended, until one of them is `keep`, which is left as it is.
///
/// By hand for the reason of [`reap`]: a real-time signal would make nix's answer an error forever.
pub fn reap_others(keep: Pid) {
    loop {
        // SAFETY: siginfo_t is plain old data.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        let flags = libc::WEXITED | libc::WNOHANG;
        // SAFETY: info outlives the call.
        let found = unsafe { libc::waitid(libc::P_ALL, 0, &raw mut info, flags | libc::WNOWAIT) };
        // SAFETY: waitid has filled in a SIGCHLD siginfo, or left it zero.
        let pid = unsafe { info.si_pid() };
        if found != 0 || pid == 0 || pid == keep.as_raw() {
            return;
        }
        // SAFETY: as above.
        unsafe { libc::waitid(libc::P_PID, pid as libc::id_t, &raw mut info, flags) };
    }
}

/// Kills this process's children but `keep`, and what becomes its children by that (it is their
/// subreaper), and reaps them. Gives up on what does not die within a second.
pub fn kill_others(keep: &[Pid]) {
    /// Enough for any depth of processes; a container that forks faster than this kills is left to go on.
    const ROUNDS: u32 = 1000;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd;
    for _ in 0..ROUNDS {
        let list = text_of("/proc/thread-self/children").unwrap_or_default();
        let pids = list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).map(Pid::from_raw);
        // A child that was not reaped keeps its number, so these descriptors are of the processes listed.
        let others: Vec<OwnedFd> =
            pids.filter(|pid| !keep.contains(pid)).filter_map(|pid| pidfd_open(pid).ok()).collect();
        if others.is_empty() {
            return;
        }
        for other in &others {
            let _ = pidfd_send_signal(other.as_fd(), libc::SIGKILL);
        }
        for other in &others {
            let mut fds = [PollFd::new(other.as_fd(), PollFlags::POLLIN)];
            if !matches!(poll(&mut fds, PollTimeout::from(1000u16)), Ok(1)) || reap(other.as_fd()).is_err() {
                return;
            }
        }
    }
}

/// execveat(2) of an open program; returns only its failure.
pub fn exec_fd(program: BorrowedFd<'_>, argv: &[std::ffi::CString], env: &[std::ffi::CString]) -> Errno {
    let pointers = |list: &[std::ffi::CString]| {
        list.iter().map(|s| s.as_ptr()).chain(std::iter::once(std::ptr::null())).collect::<Vec<_>>()
    };
    let (argv, env) = (pointers(argv), pointers(env));
    // SAFETY: both arrays end with a null pointer and their strings outlive the call.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            program.as_raw_fd(),
            c"".as_ptr(),
            argv.as_ptr(),
            env.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    Errno::last()
}

/// Has writes beyond a limit for the size of files fail with `EFBIG` rather than end the process (setrlimit(2)),
/// or puts the default back; returns whether the default was in force.
pub fn ignore_size_limits(ignore: bool) -> bool {
    let action = if ignore { libc::SIG_IGN } else { libc::SIG_DFL };
    // SAFETY: both are always valid actions.
    (unsafe { libc::signal(libc::SIGXFSZ, action) }) == libc::SIG_DFL
}

/// Puts SIGCHLD back to its default action: ends of children are kept until somebody waits for them.
pub fn default_children() {
    // SAFETY: SIG_DFL is always a valid action.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
}

/// Puts every signal back to its default action, as a new program expects (the Rust runtime ignores
/// `SIGPIPE`).
pub fn default_signals() {
    for number in 1..=64 {
        // SAFETY: SIG_DFL is always a valid action; SIGKILL and SIGSTOP are refused and need no resetting.
        unsafe { libc::signal(number, libc::SIG_DFL) };
    }
    // The C library keeps two to itself and refuses them, but a caller may have ignored those, too. Zeroes are the
    // kernel's sigaction with SIG_DFL on every architecture (rt_sigaction(2)).
    let default = [0_u64; 4];
    for number in [32, 33] {
        // SAFETY: the kernel reads no more than these 32 bytes; its set of signals has 8.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                number,
                default.as_ptr(),
                std::ptr::null_mut::<u64>(),
                8_usize,
            )
        };
    }
}
