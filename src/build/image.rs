//! The image that a stage becomes.
//!
//! Theory of operation. Its layers are in the store, so what is left is a configuration and a manifest. When it was made
//! is part of the configuration, and so of its id. A build that finds everything in the cache is to come to the same id
//! as the one before, so the time is kept in the cache too, under a key of everything else that the image says.

use super::job::Job;
use super::key;
use super::request::CachePlace;
use super::state::{Layer, State};
use crate::error::Result;
use crate::image::{Digest, ImageConfig, Reference};
use crate::storage::archive::{RecordImage, inline_cache, record_image};
use crate::storage::build::{StepKind, StepRecord};
use crate::storage::layers::Adopted;
use chrono::{DateTime, SecondsFormat, Utc};
use std::collections::BTreeMap;

/// Records a stage as an image with these names.
///
/// # Errors
/// When a layer is gone, or the disk is full.
pub(super) fn record(job: &Job<'_>, state: &State, names: &[Reference]) -> Result<Digest> {
    let mut config = configuration(job, state);
    if job.request.cache.to.iter().any(|to| to.place == CachePlace::Inline) {
        config.build_cache = Some(inline_cache(job.store(), &state.steps, job.time())?);
    }
    let config = dated(job, config)?;
    let mut annotations = job.request.changes.annotations.clone();
    if let Some(created) = config.created.clone().filter(|_| job.request.changes.created_annotation) {
        annotations.entry("org.opencontainers.image.created".to_owned()).or_insert(created);
    }
    write(job, state, &config, names, &annotations)
}

/// Records what a stage had come to before a step failed, so that one can look around in it. It has no name, and
/// `image prune` takes it. `None` when there is nothing to see, or it cannot be recorded.
pub(super) fn of_last_good(job: &Job<'_>, state: &State) -> Option<Digest> {
    if state.layers.iter().all(|layer| layer.archive.is_none()) {
        let base = job.base(state.base.as_ref()?).ok()?;
        if base.config.config == state.config.config {
            return state.base.clone();
        }
    }
    // The same one as the last time that the step failed.
    let recorded = dated(job, configuration(job, state))
        .and_then(|config| write(job, state, &config, &[], &BTreeMap::new()));
    recorded.inspect_err(|e| log::info!("the last good step is not kept: {}", e.in_one_line())).ok()
}

/// The configuration, but for the time.
fn configuration(job: &Job<'_>, state: &State) -> ImageConfig {
    let mut config = state.config.clone();
    if job.request.changes.omit_history {
        config.history.clear();
    }
    "layers".clone_into(&mut config.rootfs.kind);
    config.rootfs.diff_ids = state.layers.iter().map(|layer| layer.diff_id.clone()).collect();
    config
}

/// Fills in when the image was made: as asked for, or when the same one was made first.
fn dated(job: &Job<'_>, mut config: ImageConfig) -> Result<ImageConfig> {
    if let Some(time) = job.time() {
        config.created = Some(shown(time));
        for step in &mut config.history {
            step.created = Some(shown(time));
        }
        return Ok(config);
    }
    config.created = None;
    if !job.request.cache.keeps() {
        config.created = Some(shown(Utc::now()));
        return Ok(config);
    }
    let key = key::of("image", &config);
    let cache = job.store().build_cache();
    let usable = |record: &StepRecord| !job.request.cache.ignore && job.is_fresh(record.created);
    let earlier = || -> Result<_> { Ok(cache.get(&job.store().shared()?, &key).filter(usable)) };
    let mut found = earlier()?;
    if found.is_none() {
        // Of several at once, the first one's time counts.
        let _lock = cache.lock_step(&key, &|| false)?;
        found = earlier()?;
        if found.is_none() {
            let record = StepRecord::new(key.clone(), StepKind::Internal, "image");
            cache.put(&job.store().shared()?, &record)?;
            found = Some(record);
        }
    }
    config.created = found.map(|record| shown(record.created));
    Ok(config)
}

fn shown(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Nanos, true)
}

fn write(
    job: &Job<'_>,
    state: &State,
    config: &ImageConfig,
    names: &[Reference],
    annotations: &BTreeMap<String, String>,
) -> Result<Digest> {
    let store = job.store();
    let base = state.base.as_ref().map(|id| job.base(id)).transpose()?;
    let layers: Vec<Adopted> = state.layers.iter().filter_map(made).collect();
    // The layers are in their places, so this needs no other namespace, and no process to enter it. The image may be here
    // already, and then nothing has to be written back.
    let _making = store.making()?;
    // It may take long, and nobody is to wait for that.
    store.layers().settle(&state.chain())?;
    let (config, family) = (config.clone(), job.request.family);
    let new = RecordImage { base: base.as_ref(), layers: &layers, config, family, annotations, names };
    Ok(record_image(store, &store.shared()?, new)?.id)
}

/// A layer that is not the base image's.
fn made(layer: &Layer) -> Option<Adopted> {
    let archive = layer.archive?;
    Some(Adopted { chain: layer.chain.clone(), diff_id: layer.diff_id.clone(), archive })
}
