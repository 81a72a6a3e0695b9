//! The first start of a container that was just made.

use super::create::Created;
use super::records::{discard, keep};
use super::running::Running;
use super::start::{first, start};
use crate::error::Result;
use crate::failpoint;
use crate::fork;
use crate::runtime::client::Attachment;
use crate::storage::Store;

/// A container that runs, whose records may still be on their way to the disk.
#[derive(Debug)]
pub struct Started {
    /// The container.
    pub running: Running,
    keeping: Option<fork::Beside<()>>,
}

impl Started {
    /// Waits until what must survive a power cut is on the disk; nothing is with `--rm`.
    ///
    /// # Errors
    /// When the disk reports one.
    pub fn keep(&mut self) -> Result<()> {
        self.keeping.take().map_or(Ok(()), fork::Beside::finish)
    }
}

/// Starts a container that was just made. Its records are written to the disk beside the start, which does not wait
/// for them.
///
/// # Errors
/// A failed start: then one that goes with its end is removed, and another stays as created.
pub fn run(store: &Store, created: &mut Created, attach: Option<Attachment>) -> Result<Started> {
    failpoint::reach("run.made");
    let Created { spec, dir, prepared } = created;
    let keeping = match spec.lifecycle.auto_remove {
        true => None,
        false => Some(fork::leaf_beside("records", || keep(store, dir, spec))?),
    };
    let launched = match prepared.take() {
        Some(prepared) => first(store, dir, spec, prepared, attach),
        None => start(store, dir, None),
    };
    if launched.is_err() && spec.lifecycle.auto_remove {
        discard(store, dir);
    }
    launched.map(|running| Started { running, keeping })
}
