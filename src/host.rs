//! This machine and account: where data lives, what the kernel and the user's account allow.

use crate::error::{Error, Kind, Result};
use crate::storage::rootfs::Overlay;
use std::path::PathBuf;

mod accounts;
mod caller;
mod config;
mod cures;
mod doctor;
mod features;
mod logger;
mod logout;
mod machine;
mod roots;

pub use accounts::account;
pub use caller::{Caller, Limit, caller, environment};
pub use cures::{Symptom, cures};
pub use doctor::{Check, State, cgroup_controllers, cgroup_version, examine, id_map};
pub use features::{Feature, features, markdown as features_markdown, release as kernel_release};
pub use logger::Level;
pub use logout::ends_at_logout;
pub use machine::{Distribution, Machine, machine};
pub use roots::Roots;

/// Options that stand before the verb.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalOptions {
    /// Directory that holds images, containers and volumes
    #[arg(long, value_name = "DIR", global = true, env = "CORACLE_ROOT", hide_env = true)]
    pub root: Option<PathBuf>,
    /// Directory for volatile state
    #[arg(long, value_name = "DIR", global = true, env = "CORACLE_RUNROOT", hide_env = true)]
    pub runroot: Option<PathBuf>,
    /// Print log messages at and above this level: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", global = true, ignore_case = true, hide_possible_values = true)]
    pub log_level: Option<Level>,
    /// Storage option; additionalimagestore=DIR adds a read-only image store, overlay.driver=fuse mounts
    /// overlays by FUSE (auto: only where the kernel refuses; kernel: never)
    #[arg(long = "storage-opt", value_name = "KEY=VALUE", global = true, value_parser = storage_option)]
    pub storage_opt: Vec<StorageOption>,
}

/// `--storage-opt`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorageOption {
    /// `additionalimagestore=DIR`
    ImageStore(PathBuf),
    /// `overlay.driver=WHO`
    Overlay(Overlay),
}

fn storage_option(text: &str) -> Result<StorageOption> {
    let known = "Storage options are additionalimagestore=DIR, with an absolute path, and \
                 overlay.driver=auto, kernel or fuse";
    match text.split_once('=') {
        Some(("additionalimagestore", dir)) if dir.starts_with('/') => {
            Ok(StorageOption::ImageStore(dir.into()))
        }
        Some(("additionalimagestore", dir)) => {
            Err(Error::new(Kind::Usage, format!("image store {dir:?} is not an absolute path")).hint(known))
        }
        Some(("overlay.driver", who)) => match who.parse() {
            Ok(driver) => Ok(StorageOption::Overlay(driver)),
            Err(()) => Err(Error::new(Kind::Usage, format!("unknown overlay driver {who:?}")).hint(known)),
        },
        // What podman mounts overlays by, where the kernel does not.
        Some(("overlay.mount_program", _)) => Err(Error::new(
            Kind::Usage,
            "there are no mount programs: coracle serves overlays itself where the kernel refuses",
        )
        .hint("To have that everywhere: --storage-opt overlay.driver=fuse")),
        _ => Err(Error::new(Kind::Usage, format!("unknown storage option {text:?}")).hint(known)),
    }
}

/// What every verb is given.
#[derive(Debug, Clone)]
pub struct Env {
    /// Where things live.
    pub roots: Roots,
}

impl Env {
    /// Reads the configuration files, works out where things live and starts the logger.
    ///
    /// # Errors
    /// When a configuration file is wrong, the account has no home directory and no `--root` was given,
    /// or no safe directory for volatile state can be had.
    pub fn new(options: &GlobalOptions) -> Result<Self> {
        let base = directories::BaseDirs::new();
        let settings = config::read(base.as_ref().map(directories::BaseDirs::config_dir))?;
        logger::start(options.log_level.or(settings.log_level).unwrap_or_default());
        let roots = Roots::find(options, settings, base.as_ref())?;
        log::debug!("data root {}, volatile state {}", roots.data.display(), roots.runtime.display());
        Ok(Env { roots })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storage_options_are_refused_by_name() {
        assert_eq!(
            storage_option("additionalimagestore=/srv/images").unwrap(),
            StorageOption::ImageStore("/srv/images".into())
        );
        assert_eq!(storage_option("overlay.driver=fuse").unwrap(), StorageOption::Overlay(Overlay::Fuse));
        let program = storage_option("overlay.mount_program=/usr/bin/fuse-overlayfs").unwrap_err();
        assert!(program.hints()[0].contains("overlay.driver=fuse"), "{program:?}");
        for wrong in [
            "overlay.driver=vfs",
            "overlay.driver",
            "additionalimagestore",
            "additionalimagestore=images",
            "",
        ] {
            let error = storage_option(wrong).unwrap_err();
            assert!(error.hints()[0].contains("additionalimagestore=DIR"), "{wrong}");
        }
    }
}
