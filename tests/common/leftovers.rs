//! Finds what a test left behind: processes and mounts that name a directory.

use coracle::sys::process::{pidfd_open, pidfd_send_signal};
use nix::unistd::Pid;
use std::fmt;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// One process that has to do with a directory, and how that shows.
#[derive(Debug, Clone)]
pub(crate) struct Trace {
    pid: i32,
    shown_by: String,
    command: String,
}

/// Everything found.
#[derive(Debug, Default)]
pub(crate) struct Leftovers(Vec<Trace>);

impl Leftovers {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Kills the processes found, by descriptor, after looking again.
    pub(crate) fn kill(&self, text: &Path) {
        for trace in &self.0 {
            if let Ok(pidfd) = pidfd_open(Pid::from_raw(trace.pid))
                && look(trace.pid, text.as_os_str().as_bytes()).is_some()
            {
                let _ = pidfd_send_signal(pidfd.as_fd(), 9);
            }
        }
    }
}

impl fmt::Display for Leftovers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for trace in &self.0 {
            writeln!(f, "  process {} ({}), seen in {}", trace.pid, trace.command, trace.shown_by)?;
        }
        Ok(())
    }
}

/// Every process, other than this one, whose command line, environment, working directory, open files
/// or mounts name `dir`. Zombies have none of these: they are their parent's business.
pub(crate) fn traces_of(dir: &Path) -> Leftovers {
    let own = std::process::id() as i32;
    let pids = std::fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| {
        entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()).filter(|pid| *pid != own)
    });
    Leftovers(pids.filter_map(|pid| look(pid, dir.as_os_str().as_bytes())).collect())
}

fn look(pid: i32, text: &[u8]) -> Option<Trace> {
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    // The janitor names the directories it will remove.
    if names(&command, b"tests/clear-away.sh") {
        return None;
    }
    let shown_by = ["cmdline", "environ", "mountinfo"]
        .into_iter()
        .find(|file| std::fs::read(format!("/proc/{pid}/{file}")).is_ok_and(|bytes| names(&bytes, text)))
        .map(str::to_owned)
        .or_else(|| {
            let cwd = std::fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
            names(cwd.as_os_str().as_bytes(), text).then(|| "cwd".to_owned())
        })?;
    let command = String::from_utf8_lossy(&command).replace('\0', " ");
    Some(Trace { pid, shown_by, command })
}

/// Whether `text` holds this path, or one below it; `/tmp/1-e12` is not below `/tmp/1-e1`.
fn names(text: &[u8], path: &[u8]) -> bool {
    let mut found = (0..text.len()).filter(|at| text[*at..].starts_with(path));
    found.any(|at| text.get(at + path.len()).is_none_or(|next| !next.is_ascii_alphanumeric()))
}
