//! This machine and account: where data lives, what the kernel and the user's account allow.

use crate::error::{Error, Kind, Result};
use std::path::PathBuf;

/// Options that stand before the verb.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalOptions {
    /// Directory that holds images, containers and volumes
    #[arg(long, value_name = "DIR", global = true, env = "CORACLE_ROOT")]
    pub root: Option<PathBuf>,
    /// Directory for volatile state
    #[arg(long, value_name = "DIR", global = true, env = "CORACLE_RUNROOT")]
    pub runroot: Option<PathBuf>,
    /// Print log messages at and above this level: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", global = true, default_value = "warn")]
    pub log_level: String,
    /// Storage option; additionalimagestore=DIR adds a read-only image store
    #[arg(long = "storage-opt", value_name = "KEY=VALUE", global = true)]
    pub storage_opt: Vec<String>,
}

/// Where things live, absolute paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    /// Images, containers, volumes; `$XDG_DATA_HOME/coracle` unless `--root` says otherwise.
    pub data: PathBuf,
    /// Volatile state; `$XDG_RUNTIME_DIR/coracle` unless `--runroot` says otherwise.
    pub runtime: PathBuf,
    /// Configuration, `$XDG_CONFIG_HOME`.
    pub config: PathBuf,
    /// Further stores, images only, read-only.
    pub image_stores: Vec<PathBuf>,
}

/// What every verb is given.
#[derive(Debug, Clone)]
pub struct Env {
    /// Where things live.
    pub roots: Roots,
}

impl Env {
    /// Works out where things live. Nothing is created yet.
    ///
    /// # Errors
    /// When the account has no home directory and no `--root` was given.
    pub fn new(options: &GlobalOptions) -> Result<Self> {
        let base = directories::BaseDirs::new();
        let no_home = || {
            Error::new(Kind::Host, "this account has no home directory")
                .hint("Name a place for the data: coracle --root DIR ...")
        };
        let data = match (&options.root, &base) {
            (Some(dir), _) => std::path::absolute(dir).map_err(|e| no_home().caused_by(e))?,
            (None, Some(base)) => base.data_dir().join("coracle"),
            (None, None) => return Err(no_home()),
        };
        let runtime = match (&options.runroot, base.as_ref().and_then(|b| b.runtime_dir())) {
            (Some(dir), _) => std::path::absolute(dir).map_err(|e| no_home().caused_by(e))?,
            (None, Some(dir)) => dir.join("coracle"),
            (None, None) => PathBuf::from(format!("/tmp/coracle-{}", nix::unistd::geteuid())),
        };
        let config =
            base.as_ref().map_or_else(|| PathBuf::from("/nonexistent"), |b| b.config_dir().to_owned());
        let image_stores = options
            .storage_opt
            .iter()
            .filter_map(|o| o.strip_prefix("additionalimagestore=").map(PathBuf::from))
            .collect();
        Ok(Env { roots: Roots { data, runtime, config, image_stores } })
    }
}
