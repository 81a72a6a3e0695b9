//! The process that runs the command: what it passes on to a container that it starts.

use crate::error::{Context, Kind, Result};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use std::path::PathBuf;

/// What a container may inherit from its caller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// Environment, without variables that are not UTF-8.
    pub env: Vec<(String, String)>,
    /// Working directory, absolute.
    pub cwd: PathBuf,
    /// The machine's host name.
    pub hostname: String,
    /// Resource limits, one of each.
    pub limits: Vec<Limit>,
    /// The sockets that a service manager has handed to it.
    pub sockets: Option<Sockets>,
}

/// Open descriptors from 3 up, which a service manager has handed to this process (sd_listen_fds(3)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sockets {
    /// How many, at least one.
    pub count: u32,
    /// Their names, with colons between them.
    pub names: Option<String>,
}

impl Sockets {
    /// What the environment says of them; `None` when they are for another process.
    pub fn handed_over() -> Option<Sockets> {
        let value = |name: &str| std::env::var(name).ok();
        let is_ours = value("LISTEN_PID")?.parse() == Ok(nix::unistd::getpid().as_raw());
        let count = value("LISTEN_FDS")?.parse().ok().filter(|count| is_ours && *count > 0)?;
        Some(Sockets { count, names: value("LISTEN_FDNAMES") })
    }

    /// The variables that tell a payload of them, but the number of its process.
    pub fn variables(&self) -> Vec<String> {
        let names = self.names.iter().map(|names| format!("LISTEN_FDNAMES={names}"));
        names.chain([format!("LISTEN_FDS={}", self.count)]).collect()
    }
}

/// One resource limit of the caller (getrlimit(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Lower-case name without `RLIMIT_`.
    pub name: &'static str,
    /// Soft limit; `u64::MAX` is unlimited.
    pub soft: u64,
    /// Hard limit; `u64::MAX` is unlimited.
    pub hard: u64,
}

const RESOURCES: [(&str, Resource); 16] = [
    ("as", Resource::RLIMIT_AS),
    ("core", Resource::RLIMIT_CORE),
    ("cpu", Resource::RLIMIT_CPU),
    ("data", Resource::RLIMIT_DATA),
    ("fsize", Resource::RLIMIT_FSIZE),
    ("locks", Resource::RLIMIT_LOCKS),
    ("memlock", Resource::RLIMIT_MEMLOCK),
    ("msgqueue", Resource::RLIMIT_MSGQUEUE),
    ("nice", Resource::RLIMIT_NICE),
    ("nofile", Resource::RLIMIT_NOFILE),
    ("nproc", Resource::RLIMIT_NPROC),
    ("rss", Resource::RLIMIT_RSS),
    ("rtprio", Resource::RLIMIT_RTPRIO),
    ("rttime", Resource::RLIMIT_RTTIME),
    ("sigpending", Resource::RLIMIT_SIGPENDING),
    ("stack", Resource::RLIMIT_STACK),
];

/// The caller's environment, without variables that are not UTF-8.
pub fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Reads what the caller hands over.
///
/// # Errors
/// When the working directory is gone.
pub fn caller() -> Result<Caller> {
    let cwd = std::env::current_dir().context(Kind::Host, || "cannot tell the working directory")?;
    let hostname = nix::unistd::gethostname()
        .context(Kind::Host, || "cannot tell the host name")?
        .to_string_lossy()
        .into_owned();
    let mut limits = Vec::with_capacity(RESOURCES.len());
    for (name, resource) in RESOURCES {
        let (soft, hard) =
            getrlimit(resource).context(Kind::Host, || format!("cannot tell the limit {name}"))?;
        let known = |n: u64| if n == RLIM_INFINITY { u64::MAX } else { n };
        limits.push(Limit { name, soft: known(soft), hard: known(hard) });
    }
    Ok(Caller { env: environment(), cwd, hostname, limits, sockets: Sockets::handed_over() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_a_directory_and_every_limit() {
        let caller = caller().unwrap();
        assert!(caller.cwd.is_absolute());
        assert_eq!(caller.limits.len(), 16);
        assert!(caller.limits.iter().all(|l| l.soft <= l.hard));
    }
}
