//! `--systemd`: what systemd needs to run as PID 1 of a container (podman-run(1), systemd's container
//! interface).

use crate::error::{Error, Kind, Result};
use crate::spec::{MountSource, MountSpec};
use crate::text::boolean;
use std::path::PathBuf;
use std::str::FromStr;

/// The signal that asks systemd to shut down: SIGRTMIN+3.
pub const STOP_SIGNAL: &str = "SIGRTMIN+3";
/// Programs that are systemd under another name.
const INITS: [&str; 3] = ["/sbin/init", "/usr/sbin/init", "/usr/local/sbin/init"];
/// Where memory is mounted, and its permission bits.
const MEMORY: [(&str, u32); 4] =
    [("/run", 0o755), ("/run/lock", 0o755), ("/tmp", 0o1777), ("/var/log/journal", 0o755)];

/// When the container is made fit for systemd.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Systemd {
    /// When the command is systemd.
    #[default]
    Auto,
    /// Never.
    Off,
    /// Whatever the command is.
    Always,
}

impl FromStr for Systemd {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        match s.to_ascii_lowercase().as_str() {
            "always" => Ok(Systemd::Always),
            word => match boolean(word) {
                Some(true) => Ok(Systemd::Auto),
                Some(false) => Ok(Systemd::Off),
                None => Err(Error::new(Kind::Usage, format!("{s:?} is neither true, false nor always"))
                    .hint("Use --systemd=always for a first process that is systemd under another name.")),
            },
        }
    }
}

impl Systemd {
    /// Whether a running container this command is made fit.
    pub fn applies(self, argv: &[String]) -> bool {
        let program = argv.first().map_or("", String::as_str);
        match self {
            Systemd::Always => true,
            Systemd::Off => false,
            Systemd::Auto => INITS.contains(&program) || program.rsplit('/').next() == Some("systemd"),
        }
    }
}

/// The mounts that systemd expects, of this size in bytes; executable, as it starts services from `/run`.
pub fn mounts(size: Option<u64>) -> impl Iterator<Item = MountSpec> {
    MEMORY.into_iter().map(move |(place, mode)| {
        let source =
            MountSource::Tmpfs { size, mode: Some(mode), copy_up: true, inodes: None, uid: None, gid: None };
        MountSpec::new(source, PathBuf::from(place))
    })
}

#[cfg(test)]
mod tests {
    use super::Systemd;

    #[test]
    fn systemd_is_known_by_its_names() {
        let applies = |mode: Systemd, program: &str| mode.applies(&[program.to_owned()]);
        for yes in ["systemd", "/lib/systemd/systemd", "/sbin/init", "/usr/sbin/init"] {
            assert!(applies(Systemd::Auto, yes), "{yes}");
            assert!(!applies(Systemd::Off, yes), "{yes}");
        }
        for no in ["sh", "/bin/init", "systemd-run", ""] {
            assert!(!applies(Systemd::Auto, no), "{no}");
            assert!(applies(Systemd::Always, no), "{no}");
        }
        assert_eq!("TRUE".parse::<Systemd>().unwrap(), Systemd::Auto);
        assert!("wat".parse::<Systemd>().is_err());
    }
}
