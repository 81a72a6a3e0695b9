//! Options that precede the verb.

use super::accepted::AcceptedOptions;
use super::logger::Level;
use crate::error::{Error, Kind, Result};
use crate::storage::rootfs::Overlay;
use std::path::PathBuf;

/// Options that stand before the verb.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalOptions {
    /// Directory for images, containers and volumes
    #[arg(long, value_name = "DIR", global = true, env = "CORACLE_ROOT", hide_env = true)]
    pub root: Option<PathBuf>,
    /// Directory for volatile state
    #[arg(long, value_name = "DIR", global = true, env = "CORACLE_RUNROOT", hide_env = true)]
    pub runroot: Option<PathBuf>,
    /// Print log messages at and above this level: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", global = true, ignore_case = true, hide_possible_values = true)]
    pub log_level: Option<Level>,
    /// Storage option; additionalimagestore=DIR adds a read-only image store, overlay.driver=fuse uses the FUSE
    /// overlay (auto: only where the kernel refuses; kernel: never)
    #[arg(long = "storage-opt", value_name = "KEY=VALUE", global = true, value_parser = storage_option)]
    pub storage_opt: Vec<StorageOption>,
    /// Those that others have.
    #[command(flatten)]
    pub accepted: AcceptedOptions,
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
            "mount programs are not used: coracle has its own FUSE overlay for where the kernel refuses",
        )
        .hint("To use it everywhere: --storage-opt overlay.driver=fuse")),
        _ => Err(Error::new(Kind::Usage, format!("unknown storage option {text:?}")).hint(known)),
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
