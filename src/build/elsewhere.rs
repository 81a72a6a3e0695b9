//! Caches in other places: `--cache-from` and `--cache-to`.

use super::job::Job;
use super::request::{BuildRequest, CachePlace, CacheTarget, Output};
use crate::engine::Engine;
use crate::engine::build_cache::registry;
use crate::engine::images::enter;
use crate::error::{Context, Error, Kind, Result};
use crate::fork;
use crate::image::{Digest, Reference};
use crate::registry::PullRequest;
use crate::storage::archive::{Source, export_cache, import_cache, layout_cache};
use std::fs::File;
use std::path::Path;

/// The tag of a cache in a repository of its own.
const TAG: &str = "build-cache";

/// Takes what is elsewhere into our own cache. A place that cannot be read is passed over, as in BuildKit: the build is
/// slower then, and no other one.
pub(super) fn import(job: &Job<'_>) {
    if job.request.cache.ignore {
        return;
    }
    for place in &job.request.cache.from {
        let imported = match place {
            CachePlace::Local(dir) => of_directory(job, dir),
            CachePlace::Registry(name) => of_registry(job, name),
            CachePlace::Repository(name) => of_repository(job, name),
            CachePlace::Inline => Ok(()),
        };
        if let Err(error) = imported {
            log::warn!("--cache-from {place}: it is not used: {}", error.in_one_line());
        }
    }
}

fn of_directory(job: &Job<'_>, dir: &Path) -> Result<()> {
    leaf(job, || {
        let needs = |lock: &_, layers: &[_]| job.running.needs_layers(lock, layers);
        let dir = File::open(dir).context(Kind::Usage, || "open the directory")?;
        let source = Source::build_cache(dir.into());
        import_cache(job.store(), &layout_cache(&source)?, &|blob| source.cached(blob), &needs)
    })
}

/// A repository has a cache of its own, or in its image.
fn of_repository(job: &Job<'_>, name: &Reference) -> Result<()> {
    let own = name.with_tag(TAG);
    of_registry(job, &own).or_else(|first| {
        of_registry(job, name).map_err(|second| {
            let message = format!("neither it nor {own} can be used: {}", first.in_one_line());
            Error::new(second.kind(), message).caused_by(second)
        })
    })
}

/// Where a name means several images, each platform takes what its own has.
fn of_registry(job: &Job<'_>, name: &Reference) -> Result<()> {
    let request = PullRequest { platform: job.platform.clone(), ..job.request.registry.clone() };
    let prepared = job.engine.prepare(name, &request)?;
    leaf(job, || {
        let needs = |lock: &_, layers: &[_]| job.running.needs_layers(lock, layers);
        registry::take(job.store(), &prepared, &needs)
    })
}

/// Checks that it is known how to speak to the registries that get something: credentials, certificates, blocked names.
///
/// # Errors
/// When it is not.
pub(super) fn writable(engine: Engine<'_>, request: &BuildRequest) -> Result<()> {
    let mut names = Vec::new();
    for CacheTarget { place, .. } in &request.cache.to {
        match place {
            CachePlace::Registry(name) => names.push(name.clone()),
            CachePlace::Repository(name) => names.push(name.with_tag(TAG)),
            CachePlace::Local(_) | CachePlace::Inline => {}
        }
    }
    for output in &request.outputs {
        if let Output::Push { names: to, .. } = output {
            names.extend(to.iter().cloned());
        }
    }
    names.iter().try_for_each(|name| engine.prepare_push(name, &request.registry).map(drop))
}

/// Writes results of steps to other places: those of all steps, or of those alone that led to the image.
///
/// # Errors
/// A directory that cannot be written, a registry that refuses.
pub(super) fn export(job: &Job<'_>, all: &[Digest], least: &[Digest]) -> Result<()> {
    for CacheTarget { place, least: of_image } in &job.request.cache.to {
        let steps = if *of_image { least } else { all };
        match place {
            CachePlace::Local(dir) => leaf(job, || export_cache(job.store(), steps, dir))?,
            CachePlace::Registry(name) => to_registry(job, name, steps)?,
            CachePlace::Repository(name) => to_registry(job, &name.with_tag(TAG), steps)?,
            // It has gone with the image.
            CachePlace::Inline => {}
        }
    }
    Ok(())
}

fn to_registry(job: &Job<'_>, name: &Reference, steps: &[Digest]) -> Result<()> {
    let prepared = job.engine.prepare_push(name, &job.request.registry)?;
    leaf(job, || registry::send(job.store(), &prepared, steps))
}

/// Does something in a leaf, inside the user namespace.
fn leaf(job: &Job<'_>, work: impl FnOnce() -> Result<()>) -> Result<()> {
    fork::leaf::<(), ()>(
        "cache",
        &[job.running.descriptor()],
        |_| {
            let _maker = enter(job.store())?;
            work()
        },
        |()| {},
    )
}
