//! Making a layer of what a step changes.

use crate::build::job::Job;
use crate::build::selected::Stack;
use crate::build::state::{Layer, State};
use crate::engine::images::enter;
use crate::error::Result;
use crate::fork;
use crate::runtime::root::own_mounts;
use crate::storage::Scratch;
use crate::storage::layers::Adopt;
use std::os::fd::{AsFd, BorrowedFd, RawFd};

/// Does something to the root of a stage in a leaf, and makes a layer of what that changed.
pub(super) fn on_root(
    job: &Job<'_>,
    state: &State,
    kept: &[RawFd],
    work: impl FnOnce(BorrowedFd<'_>) -> Result<()>,
) -> Result<Option<Layer>> {
    let kept = [kept, &[job.running.descriptor()]].concat();
    fork::leaf::<(), _>(
        "build step",
        &kept,
        |_| {
            let _maker = enter(job.store())?;
            own_mounts()?;
            let stack = Stack::mount(job.store(), &state.chain())?;
            let root = stack.root()?;
            work(root.as_fd())?;
            drop(root);
            match stack.into_changes() {
                Some(changes) => placed(job, state, changes, None),
                None => Ok(None),
            }
        },
        |()| {},
    )
}

/// Makes a layer of a directory that a container has written to.
pub(super) fn adopt(
    job: &Job<'_>,
    state: &State,
    changes: &Scratch,
    made: &[Vec<u8>],
) -> Result<Option<Layer>> {
    let kept = [&changes.descriptors()[..], &[job.running.descriptor()]].concat();
    fork::leaf::<(), _>(
        "layer",
        &kept,
        |_| {
            let _maker = enter(job.store())?;
            placed(job, state, changes.again()?, Some(made))
        },
        |()| {},
    )
}

/// Makes the next layer of what was changed: by a container, for which something was `made` only to be mounted on, or
/// by ourselves. In the shared user namespace.
pub(in crate::build) fn placed(
    job: &Job<'_>,
    state: &State,
    changes: Scratch,
    made: Option<&[Vec<u8>]>,
) -> Result<Option<Layer>> {
    let store = job.store();
    let times = &job.request.times;
    let how = Adopt {
        made: made.unwrap_or_default(),
        ran: made.is_some(),
        latest: times.image.filter(|_| times.rewrite),
        all: times.all,
    };
    let keep = |lock: &_, layer: &_| job.running.needs_layers(lock, std::slice::from_ref(layer));
    let new = store.layers().adopt(changes, &state.chain(), &how, keep)?;
    Ok(new.map(|new| Layer { chain: new.chain, diff_id: new.diff_id, archive: Some(new.archive) }))
}
