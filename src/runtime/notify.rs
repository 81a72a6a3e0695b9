//! `--sdnotify`: the service manager's notification socket, and the container's.
//!
//! Theory of operation. A service of `Type=notify` sends `READY=1` to the datagram socket named by
//! `NOTIFY_SOCKET` (sd_notify(3)). The manager must track the monitor, which lives as long as the container, so
//! the monitor declares itself the main process. If the payload is to send its own notifications, it gets a
//! socket of its own, mounted at [`INSIDE`]. The monitor forwards what a service may report about its own
//! state, but nothing that names processes or passes descriptors, because the container is not trusted with
//! those.

use crate::spec::{ContainerSpec, MountSource, MountSpec, NotifyMode};
use crate::storage::containers::ContainerDir;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, bind, recv, sendto, socket};
use nix::sys::stat::{Mode, umask};
use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The payload's socket, as it sees it.
const INSIDE: &str = "/run/notify/notify.sock";
/// The variable that names it.
const VARIABLE: &str = "NOTIFY_SOCKET";
/// What is passed on of a payload's words.
const PASSED_ON: [&str; 8] = [
    "READY=1",
    "RELOADING=1",
    "STOPPING=1",
    "WATCHDOG=1",
    "STATUS=",
    "ERRNO=",
    "MONOTONIC_USEC=",
    "EXTEND_TIMEOUT_USEC=",
];
/// Longest message, in bytes.
const MESSAGE_MAX: usize = 4096;
/// Messages taken at once, so that a flood of them does not hold up the container's output.
const AT_ONCE: usize = 16;

/// The manager's socket, and the container's if it has one.
#[derive(Debug)]
pub(super) struct Notify {
    mode: NotifyMode,
    to: UnixAddr,
    sender: OwnedFd,
    inside: Option<(OwnedFd, PathBuf)>,
}

impl Notify {
    /// For a run that is about to start; `None` if nobody is to be notified. A container whose manager cannot
    /// be reached runs all the same.
    pub(super) fn new(dir: &ContainerDir, plan: &ContainerSpec) -> Option<Notify> {
        if plan.notify == NotifyMode::Ignore {
            return None;
        }
        let to = address(&std::env::var_os(VARIABLE)?)?;
        let inside = match plan.notify {
            NotifyMode::Container => Some(listen(dir)?),
            _ => None,
        };
        Some(Notify { mode: plan.notify, to, sender: datagrams()?, inside })
    }

    /// Gives the payload its socket.
    pub(super) fn give(&self, plan: &mut ContainerSpec) {
        let Some((_, path)) = &self.inside else { return };
        plan.process.env.retain(|e| !e.starts_with("NOTIFY_SOCKET="));
        plan.process.env.push(format!("{VARIABLE}={INSIDE}"));
        let source = MountSource::Bind { path: path.clone(), recursive: false };
        plan.mounts.push(MountSpec { no_exec: true, ..MountSpec::new(source, PathBuf::from(INSIDE)) });
    }

    /// The payload runs.
    pub(super) fn started(&self) {
        let main = format!("MAINPID={}\n", std::process::id());
        match self.mode {
            NotifyMode::Conmon => self.send(&format!("{main}READY=1\n")),
            _ => self.send(&main),
        }
    }

    /// The container is healthy.
    pub(super) fn healthy(&self) {
        if self.mode == NotifyMode::Healthy {
            self.send("READY=1\n");
        }
    }

    /// Readable when the payload has said something.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.inside.as_ref().map(|(socket, _)| socket.as_fd())
    }

    /// Passes on what the payload said.
    pub(super) fn pass_on(&self) {
        let Some((socket, _)) = &self.inside else { return };
        let mut message = [0; MESSAGE_MAX];
        for _ in 0..AT_ONCE {
            let Ok(length) = recv(socket.as_raw_fd(), &mut message, MsgFlags::MSG_DONTWAIT) else { return };
            let words = permitted(&String::from_utf8_lossy(&message[..length]));
            if !words.is_empty() {
                self.send(&words);
            }
        }
    }

    fn send(&self, text: &str) {
        // The manager may have gone, which is no reason for the container to go.
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        let _ = sendto(self.sender.as_raw_fd(), text.as_bytes(), &self.to, flags);
    }
}

impl Drop for Notify {
    fn drop(&mut self) {
        if let Some((_, path)) = &self.inside {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The lines that a payload may say.
fn permitted(text: &str) -> String {
    let may = |line: &&str| {
        PASSED_ON.iter().any(|p| if p.ends_with('=') { line.starts_with(p) } else { line == p })
    };
    text.lines().filter(may).map(|line| format!("{line}\n")).collect()
}

/// A path, or behind `@` a name that is in no file system (unix(7)).
fn address(text: &OsStr) -> Option<UnixAddr> {
    match text.as_bytes().split_first()? {
        (b'@', name) => UnixAddr::new_abstract(name).ok(),
        (b'/', _) => UnixAddr::new(Path::new(text)).ok(),
        _ => None,
    }
}

fn datagrams() -> Option<OwnedFd> {
    socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None).ok()
}

/// The container's socket, open to every user inside; on the host its directory is ours alone.
fn listen(dir: &ContainerDir) -> Option<(OwnedFd, PathBuf)> {
    let folder = dir.socket_dir().ok()?;
    let path = dir.socket_path().with_extension("notify");
    // By descriptor: the path itself may be longer than a socket address.
    let short = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(path.file_name()?);
    // A former run's.
    let _ = std::fs::remove_file(&short);
    let socket = datagrams()?;
    let mask = umask(Mode::empty());
    let bound = bind(socket.as_raw_fd(), &UnixAddr::new(&short).ok()?);
    umask(mask);
    bound.ok()?;
    Some((socket, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_speaks_of_itself_only() {
        assert_eq!(permitted("READY=1\nSTATUS=fine\n"), "READY=1\nSTATUS=fine\n");
        for no in ["MAINPID=1", "READY=2", "READY=1x", "FDSTORE=1", "NOTIFYACCESS=all", "", "X_MORE=1"] {
            assert_eq!(permitted(no), "", "{no}");
        }
        assert_eq!(permitted("MAINPID=7\nREADY=1"), "READY=1\n");
    }

    #[test]
    fn addresses_are_paths_or_names() {
        assert!(address(OsStr::new("/run/notify")).is_some());
        assert!(address(OsStr::new("@abc")).is_some());
        for wrong in ["", "relative", "vsock:2:1"] {
            assert!(address(OsStr::new(wrong)).is_none(), "{wrong}");
        }
    }
}
