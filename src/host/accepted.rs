//! Global options of podman and docker that change little or nothing here: programs give them as a matter of course. Each
//! takes the values that are true of coracle, and refuses others. They are hidden from the help; coracle(1) names them.

use super::logger::Level;
use super::socket;
use crate::error::{Error, Kind, Result};
use std::path::{Path, PathBuf};

/// A value that changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted;

/// Options that are accepted before the verb, and those of podman's that stand behind it too.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct AcceptedOptions {
    /// Talk to a service
    #[arg(short, long, hide = true)]
    pub remote: bool,
    /// Connection to a service: default
    #[arg(short, long, alias = "connection", hide = true, value_name = "NAME", value_parser = context)]
    pub context: Option<Accepted>,
    /// Socket of a service: our own
    #[arg(short = 'H', long, alias = "url", hide = true, value_name = "URL", value_parser = host)]
    pub host: Option<Accepted>,
    /// Directory of docker's configuration, in which credentials are
    #[arg(long, hide = true, value_name = "DIR")]
    pub config: Option<PathBuf>,
    /// Print debug messages
    #[arg(short = 'D', long, hide = true)]
    pub debug: bool,
    /// As --log-level
    #[arg(short = 'l', hide = true, value_name = "LEVEL", ignore_case = true)]
    pub level: Option<Level>,
    /// Write what this program prints to a file
    #[arg(long, hide = true, global = true, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print nothing to standard output, except for a container's output
    #[arg(long, hide = true, global = true)]
    pub noout: bool,
    /// Who makes cgroups
    #[arg(long, hide = true, global = true, value_name = "NAME", value_parser = |text: &str| {
        known(text, &["cgroupfs", "systemd"], "cgroup manager")
    })]
    pub cgroup_manager: Option<Accepted>,
    /// Where events are kept
    #[arg(long, hide = true, global = true, value_name = "NAME", value_parser = |text: &str| {
        known(text, &["file", "journald", "none"], "events backend")
    })]
    pub events_backend: Option<Accepted>,
    /// Database of the records
    #[arg(long, hide = true, global = true, value_name = "NAME", value_parser = |text: &str| {
        known(text, &["sqlite", "boltdb"], "database")
    })]
    pub db_backend: Option<Accepted>,
    /// Program that runs containers
    #[arg(long, hide = true, global = true, value_name = "NAME", value_parser = runtime)]
    pub runtime: Option<Accepted>,
    /// Driver of the storage: overlay
    #[arg(long, hide = true, global = true, value_name = "NAME", value_parser = driver)]
    pub storage_driver: Option<StorageDriver>,
    /// Directory for temporary files
    #[arg(long, hide = true, global = true, value_name = "DIR")]
    pub tmpdir: Option<PathBuf>,
    /// Program that monitors containers
    #[arg(long, hide = true, global = true, value_name = "FILE")]
    pub conmon: Option<PathBuf>,
    /// Directory of networks
    #[arg(long, hide = true, global = true, value_name = "DIR")]
    pub network_config_dir: Option<PathBuf>,
    /// Send messages to syslog too
    #[arg(long, hide = true, global = true)]
    pub syslog: bool,
}

/// A driver of the storage that programs ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageDriver {
    /// What is used.
    Overlay,
    /// Copies instead of an overlay, for where the kernel has none; we have one of our own there.
    Vfs,
}

impl AcceptedOptions {
    /// The level of messages that docker's short options ask for.
    pub(super) fn level(&self) -> Option<Level> {
        self.level.or(self.debug.then_some(Level::Debug))
    }

    /// Refuses what cannot be had, and tells of what has no effect.
    ///
    /// # Errors
    /// [`Kind::Usage`] for a service.
    pub(super) fn check(&self) -> Result<()> {
        if self.remote {
            let message = "--remote: there is no service to talk to, each command does its work itself";
            return Err(refuse(message.to_owned(), "Leave it out."));
        }
        if self.storage_driver == Some(StorageDriver::Vfs) {
            log::warn!(
                "--storage-driver vfs has no effect: layers are never copied, an overlay combines them"
            );
        }
        Ok(())
    }
}

fn refuse(message: String, hint: &str) -> Error {
    Error::new(Kind::Usage, message).hint(hint)
}

/// One of the values that podman documents.
fn known(text: &str, values: &[&str], what: &str) -> Result<Accepted> {
    match values.contains(&text) {
        true => Ok(Accepted),
        false => {
            Err(refuse(format!("there is no {what} {text:?}"), &format!("Values: {}", values.join(" "))))
        }
    }
}

fn context(text: &str) -> Result<Accepted> {
    match text {
        "default" => Ok(Accepted),
        other => Err(refuse(
            format!("context {other:?} does not exist: there is no service to connect to"),
            "Leave it out, or use default.",
        )),
    }
}

fn host(text: &str) -> Result<Accepted> {
    match text.strip_prefix("unix://").is_some_and(|path| socket::is_own(Path::new(path))) {
        true => Ok(Accepted),
        false => Err(refuse(
            format!("there is no service at {text}: each command does its work itself"),
            "Leave it out.",
        )),
    }
}

/// The runtimes that others start, by name or path: what they would do is done without them.
fn runtime(text: &str) -> Result<Accepted> {
    let name = Path::new(text).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let known = ["coracle", "crun", "io.containerd.runc.v2", "runc"];
    match known.contains(&name) {
        true => Ok(Accepted),
        false => Err(refuse(
            format!(
                "runtime {text:?} is not supported: coracle runs containers itself, without another program"
            ),
            "Leave it out.",
        )),
    }
}

fn driver(text: &str) -> Result<StorageDriver> {
    match text {
        "overlay" | "overlay2" => Ok(StorageDriver::Overlay),
        "vfs" => Ok(StorageDriver::Vfs),
        other => Err(refuse(
            format!("storage driver {other:?} is not supported: layers are combined by an overlay"),
            "Leave it out. To choose who mounts overlays: --storage-opt overlay.driver=auto, kernel or fuse",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_taken_where_they_are_true() {
        for name in ["runc", "/usr/bin/crun", "io.containerd.runc.v2"] {
            assert!(runtime(name).is_ok(), "{name}");
        }
        for name in ["kata", "", "/", "runsc"] {
            assert!(runtime(name).is_err(), "{name}");
        }
        assert!(AcceptedOptions { remote: true, ..AcceptedOptions::default() }.check().is_err());
        assert!(AcceptedOptions::default().check().is_ok());
        assert!(context("default").is_ok() && context("swarm").is_err());
        assert!(host("tcp://10.0.0.1:2375").is_err() && host("unix:///var/run/docker.sock").is_err());
        assert_eq!(
            (driver("overlay").unwrap(), driver("vfs").unwrap()),
            (StorageDriver::Overlay, StorageDriver::Vfs)
        );
        assert!(driver("btrfs").unwrap_err().hints()[0].contains("overlay.driver"));
    }
}
