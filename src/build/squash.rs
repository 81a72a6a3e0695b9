//! `--squash`, `--squash-all` and `--layers=false`: fewer layers than steps.
//!
//! Theory of operation. The stage is built as any other, and at its end one layer is made of several. The result is
//! kept in the cache under a key of those, unless the build keeps nothing, so that an unchanged build is as fast as
//! one without. What removed files took is in no layer of the image; the cache has them, as it has every step.

use super::job::Job;
use super::results;
use super::selected::Stack;
use super::state::{Layer, State};
use super::steps::placed;
use crate::build::request::LayerRequest;
use crate::engine::images::enter;
use crate::error::Result;
use crate::fork;
use crate::runtime::root::own_mounts;
use crate::storage::build::{StepKind, StepRecord};
use std::os::fd::AsFd;

/// Makes one layer of those that the request says.
///
/// # Errors
/// A layer that is gone, a file that cannot be read, a full disk.
pub(super) fn squashed(job: &Job<'_>, mut state: State) -> Result<State> {
    let kept = match job.request.layers {
        LayerRequest::Each => return Ok(state),
        LayerRequest::Squash => state.layers.iter().take_while(|layer| layer.archive.is_none()).count(),
        LayerRequest::SquashAll => 0,
    };
    let of_base = match &state.base {
        Some(id) => job.base(id)?.config.history.len(),
        None => 0,
    };
    let below = State { layers: state.layers[..kept].to_vec(), ..state.clone() };
    let new = match &state.layers[kept..] {
        [] => None,
        // It is all there is already.
        [one] if one.archive.is_some() => Some(one.clone()),
        _ => one_layer(job, &state, &below)?,
    };
    state.history_of_one(of_base, kept == 0 && job.request.layers == LayerRequest::SquashAll, new.is_some());
    if kept == 0 {
        state.base = None;
    }
    state.layers = below.layers.into_iter().chain(new).collect();
    Ok(state)
}

/// The layer that says what those above `below` say; `None` when that is nothing.
fn one_layer(job: &Job<'_>, state: &State, below: &State) -> Result<Option<Layer>> {
    let (chain, kept) = (state.chain(), below.layers.len());
    let key = job.key("squash", &(below.files(), state.files()));
    let _lock = job.store().build_cache().lock_step(&key, &|| false)?;
    if !job.request.cache.ignore
        && let Some(record) = results::find(job, &key, below)?
    {
        return results::layer(job, &record);
    }
    let made = fork::leaf::<(), _>(
        "squash",
        &[job.running.descriptor()],
        |_| {
            let _maker = enter(job.store())?;
            own_mounts()?;
            let whole = Stack::mount(job.store(), &chain)?;
            let onto = Stack::mount(job.store(), &chain[..kept])?;
            let root = onto.root()?;
            job.store().layers().condense(&chain[kept..], whole.root()?, root.as_fd())?;
            drop(root);
            match onto.into_changes() {
                Some(changes) => placed(job, below, changes, None),
                None => Ok(None),
            }
        },
        |()| {},
    )?;
    let record = StepRecord::new(key, StepKind::Internal, "squash");
    results::keep(job, record, below, made.as_ref())?;
    Ok(made)
}
