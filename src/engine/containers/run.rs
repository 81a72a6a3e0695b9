//! The first start of a container that was just made.

use super::create::Created;
use super::records::{discard, keep};
use super::running::Running;
use super::start::{first, start};
use crate::error::Result;
use crate::runtime::client::Attachment;
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use crate::{failpoint, fork};

/// A container that runs, whose records may still be on their way to the disk.
#[derive(Debug)]
pub struct Started {
    running: Running,
    keeping: Option<fork::Beside<()>>,
}

impl Started {
    /// Waits until what must survive a power cut is on the disk; nothing is with `--rm`. The container runs on.
    ///
    /// # Errors
    /// When the disk reports one.
    pub fn leave(self) -> Result<()> {
        self.keeping.map_or(Ok(()), fork::Beside::finish)
    }

    /// Follows the container until it ends or the user detaches; gives its exit code. Its output does not wait for
    /// the disk, whose errors are a warning in the end.
    ///
    /// # Errors
    /// Those of [`Running::wait`].
    pub fn follow(self, store: &Store, dir: &ContainerDir) -> Result<u8> {
        let code = self.running.wait(store, dir)?;
        if let Some(Err(error)) = self.keeping.map(fork::Beside::finish) {
            log::warn!("{error}: {}", error.causes().join(": "));
        }
        Ok(code)
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
        false => Some(fork::leaf_beside("records", || {
            failpoint::reach("run.keep");
            keep(store, dir, spec)
        })?),
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
