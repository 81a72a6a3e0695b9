//! The results of steps: finding those of earlier builds, and keeping those of this one.

use super::elsewhere;
use super::job::Job;
use super::state::{Layer, State};
use crate::error::Result;
use crate::image::Digest;
use crate::storage::build::StepRecord;

/// The result of an earlier build that stands on this state: ours, or one of a cache in another place. It stays from now
/// on for as long as this build lasts.
///
/// # Errors
/// When the file system refuses.
pub(super) fn find(job: &Job<'_>, key: &Digest, below: &State) -> Result<Option<StepRecord>> {
    let found = job.running.get(&job.store().shared()?, key, below.top())?;
    match found.filter(|record| job.is_fresh(record.created)) {
        Some(record) => Ok(Some(record)),
        None => elsewhere::take(job, key, below.top()),
    }
}

/// Notes the layer that a step has made on this state, for later builds too unless this one keeps nothing.
///
/// # Errors
/// When the file system refuses.
pub(super) fn keep(
    job: &Job<'_>,
    mut record: StepRecord,
    below: &State,
    layer: Option<&Layer>,
) -> Result<StepRecord> {
    record.parent = below.top().cloned();
    record.archive = layer.and_then(|layer| layer.archive).unwrap_or_default();
    record.chain = layer.map(|layer| layer.chain.clone());
    if job.request.cache.keeps() {
        job.store().build_cache().put(&job.store().shared()?, &record)?;
    }
    Ok(record)
}

/// The layer of a result, if it has one.
///
/// # Errors
/// When it is gone.
pub(super) fn layer(job: &Job<'_>, record: &StepRecord) -> Result<Option<Layer>> {
    let Some(chain) = record.chain.clone() else { return Ok(None) };
    let found = job.store().layers().record(&chain)?;
    Ok(Some(Layer { chain, diff_id: found.diff_id, archive: found.archive }))
}
