//! The first start of a new container.

use super::create::Created;
use super::records::{discard, keep};
use super::running::Running;
use super::start::{GetReady, first, start};
use crate::error::Result;
use crate::storage::Store;
use crate::{failpoint, fork};
use std::os::fd::AsRawFd;

/// A running container, and its records, which may still be being written to disk.
#[derive(Debug)]
pub struct Started {
    /// The container.
    pub running: Running,
    /// Its records.
    pub records: Records,
}

/// What must survive a power cut, while it is written to disk during the run; nothing with `--rm`.
#[derive(Debug)]
pub struct Records(Option<fork::Beside<()>>);

impl Records {
    /// Waits until they are on the disk.
    ///
    /// # Errors
    /// When the disk reports one.
    pub fn reach_disk(self) -> Result<()> {
        self.0.map_or(Ok(()), fork::Beside::finish)
    }
}

/// Starts a container that was just made; with `attach` the caller gets a connection to it. Its records are
/// written to disk in parallel with the start, which does not wait for them.
///
/// # Errors
/// A failed start: then a `--rm` container is removed, and any other stays as created.
pub fn run(store: &Store, created: &mut Created, attach: Option<GetReady<'_>>) -> Result<Started> {
    failpoint::reach("run.made");
    let Created { spec, dir, prepared, .. } = created;
    let keeping = match spec.lifecycle.auto_remove {
        true => None,
        false => Some(fork::leaf_beside("records", &[dir.fd().as_raw_fd()], || {
            failpoint::reach("run.keep");
            keep(store, dir, spec)
        })?),
    };
    let launched = match prepared.take() {
        Some(prepared) => first(store, dir, spec, prepared, attach),
        None => start(store, dir, attach),
    };
    if launched.is_err() && spec.lifecycle.auto_remove {
        discard(store, dir);
    }
    launched.map(|running| Started { running, records: Records(keeping) })
}
