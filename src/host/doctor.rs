//! What this machine and account lack, and how to fix it.
//!
//! Each check reads a few small files. None runs on the hot path: `info` runs all of them, and a failed command
//! runs those that can explain its failure (see [`super::cures`]).

use super::Roots;
use std::path::Path;

mod cgroup;
mod check;
mod devices;
mod disk;
mod ids;
mod packages;
mod userns;

pub use cgroup::{controllers as cgroup_controllers, version as cgroup_version};
pub use check::{Check, State};
pub(super) use devices::{fuse, tun};
pub(super) use disk::{data_root, full_or_read_only};
pub use ids::id_map;
pub(super) use ids::id_maps;
pub(super) use userns::{confinement, namespace_limits, user_namespaces};

/// Runs every check.
pub fn examine(roots: &Roots) -> Vec<Check> {
    let mut all = vec![super::features::kernel()];
    all.push(userns::tried(user_namespaces(), &roots.runtime));
    all.extend(id_maps());
    all.push(tun());
    all.push(fuse());
    all.push(devices::slirp4netns());
    all.extend(devices::pasta());
    all.push(devices::ping());
    all.push(data_root(&roots.data));
    all.extend(roots.image_stores.iter().map(|store| disk::image_store(store)));
    all.push(runtime_dir(&roots.runtime));
    all.push(cgroup::check());
    all
}

fn runtime_dir(runtime: &Path) -> Check {
    let name = "runtime-directory";
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(dir) if runtime.starts_with(&dir) => Check::ok(name, runtime.display().to_string()),
        Some(_) => Check::ok(name, format!("{} (not in XDG_RUNTIME_DIR)", runtime.display())),
        None => Check::limited(
            name,
            format!("XDG_RUNTIME_DIR is not set; {} is used", runtime.display()),
            vec![
                "Log in with a session (ssh or machinectl shell instead of su), or export XDG_RUNTIME_DIR=/run/user/$(id -u)"
                    .to_owned(),
            ],
        ),
    }
}
