//! Checks and preparations for a process before any is forked, for a start as well as for `exec`.

use super::seccomp;
use crate::error::{Error, Kind, Result};
use crate::fork;
use crate::spec::ContainerSpec;
use crate::storage::Store;

/// The compiled seccomp filter of a plan.
pub(super) fn filter(store: &Store, plan: &ContainerSpec) -> Result<Option<seccomp::Filter>> {
    let cache = seccomp::Cache { data: store.data(), runtime: store.runtime() };
    seccomp::prepare(&plan.security.seccomp, &plan.security.capabilities, cache)
}

/// `--preserve-fds=N` promises descriptors 3 to 3+N of the caller; others of ours must not take their place.
pub(super) fn check_preserved(count: u32) -> Result<()> {
    let end = 3 + i64::from(count);
    match (3..end).find(|fd| !fork::inherited().iter().any(|open| i64::from(*open) == *fd)) {
        None => Ok(()),
        Some(fd) => Err(Error::new(Kind::Usage, format!("--preserve-fds: descriptor {fd} is not open"))
            .hint(format!(
                "Open it for the command, for example: coracle run --preserve-fds=1 ... {fd}<FILE"
            ))),
    }
}
