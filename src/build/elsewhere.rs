//! Caches in other places: `--cache-from` and `--cache-to`.

use super::found::{Cache, Where};
use super::job::Job;
use super::request::{BuildRequest, CachePlace, CacheTarget, Output};
use crate::engine::Engine;
use crate::engine::build_cache::registry;
use crate::engine::images::enter;
use crate::error::{Context, Error, Kind, Result};
use crate::fork;
use crate::image::{ChainId, Digest, FileForm, FileLocation, Reference};
use crate::registry::PullRequest;
use crate::storage::archive::{FoundCache, Source, export_cache, import_layer, layout_cache};
use crate::storage::build::StepRecord;
use chrono::Utc;
use std::cell::Cell;
use std::fs::File;
use std::path::Path;

/// The tag of a cache in a repository of its own.
const TAG: &str = "build-cache";

/// Reads the lists of caches elsewhere. A place that cannot be read is passed over, as in BuildKit: the build is slower
/// then, and no other one.
pub(super) fn look(job: &Job<'_>) {
    if job.request.cache.ignore {
        return;
    }
    for place in &job.request.cache.from {
        let found = match place {
            CachePlace::Local(dir) => of_directory(job, dir).map(Some),
            CachePlace::Registry(name) => of_registry(job, name),
            CachePlace::Repository(name) => of_repository(job, name),
            CachePlace::Inline => Ok(None),
        };
        match found {
            Ok(Some((from, found))) => {
                let cache = Cache { place: place.clone(), from, found, broken: Cell::new(false) };
                job.caches.borrow_mut().push(cache);
            }
            Ok(None) => {}
            Err(error) => unused(place, &error),
        }
    }
}

fn unused(place: &CachePlace, error: &Error) {
    log::warn!("--cache-from {place}: it is not used: {}", error.in_one_line());
}

fn of_directory(job: &Job<'_>, dir: &Path) -> Result<(Where, FoundCache)> {
    Ok((Where::Directory(dir.to_owned()), layout_cache(&opened(job, dir)?)?))
}

/// What a cache has becomes part of images, so the policy decides on it as on an image layout.
fn opened(job: &Job<'_>, dir: &Path) -> Result<Source> {
    let opened = File::open(dir).context(Kind::Usage, || "open the directory")?;
    let place = FileLocation { form: FileForm::OciDir, path: dir.to_owned(), member: None };
    job.engine.admit_file(&opened, &place)?;
    Ok(Source::build_cache(opened.into()))
}

/// A repository has a cache of its own, or in its image.
fn of_repository(job: &Job<'_>, name: &Reference) -> Result<Option<(Where, FoundCache)>> {
    let own = name.with_tag(TAG);
    of_registry(job, &own).or_else(|first| {
        of_registry(job, name).map_err(|second| {
            let message = format!("neither it nor {own} can be used: {}", first.in_one_line());
            Error::new(second.kind(), message).caused_by(second)
        })
    })
}

/// Where a name means several images, each platform takes what its own has.
fn of_registry(job: &Job<'_>, name: &Reference) -> Result<Option<(Where, FoundCache)>> {
    let request = PullRequest { platform: job.platform.clone(), ..job.request.registry_of(Some(name)) };
    let prepared = job.engine.prepare_admitted(name, &request, &mut |_| {})?;
    let found = fork::leaf::<(), _>("cache", &[], |_| registry::look(&prepared), |()| {})?;
    Ok(found.map(|found| (Where::Registry(prepared), found)))
}

/// The result that a cache elsewhere has of the step with this key, if it stands on this layer; its own layer is fetched
/// unless it is here. It stays for as long as this build lasts, and for later builds too unless this one keeps nothing.
///
/// # Errors
/// When the file system refuses. A cache that does not have what it says is passed over from then on.
pub(super) fn take(job: &Job<'_>, key: &Digest, below: Option<&ChainId>) -> Result<Option<StepRecord>> {
    for cache in job.caches.borrow().iter().filter(|cache| !cache.broken.get()) {
        let Some(step) = cache.found.step(key, below).filter(|step| job.is_fresh(step.created)) else {
            continue;
        };
        if let Some(chain) = &step.chain
            && !job.store().layers().has(chain)
            && let Err(error) = fetch(job, cache, chain)
        {
            unused(&cache.place, &error);
            cache.broken.set(true);
            continue;
        }
        if let Some(record) = kept(job, step)? {
            return Ok(Some(record));
        }
    }
    Ok(None)
}

fn fetch(job: &Job<'_>, cache: &Cache, chain: &ChainId) -> Result<()> {
    leaf(job, || {
        let needs = |lock: &_, layers: &[_]| job.running.needs_layers(lock, layers);
        match &cache.from {
            Where::Directory(dir) => {
                let source = opened(job, dir)?;
                import_layer(job.store(), &cache.found, chain, &|blob| source.cached(blob), &needs)
            }
            Where::Registry(prepared) => registry::take(job.store(), prepared, &cache.found, chain, &needs),
        }
    })
}

/// The record of a step whose layer is here now; `None` if it is not, or cannot be packed again, as one of a build can.
fn kept(job: &Job<'_>, step: &StepRecord) -> Result<Option<StepRecord>> {
    let lock = job.store().shared()?;
    let mut archive = 0;
    if let Some(chain) = &step.chain {
        job.running.needs_layers(&lock, std::slice::from_ref(chain))?;
        let layer = match job.store().layers().record(chain) {
            Err(e) if e.kind() == Kind::NotFound => return Ok(None),
            other => other?,
        };
        match layer.archive.filter(|_| layer.parent == step.parent) {
            Some(size) => archive = size,
            None => return Ok(None),
        }
    }
    let now = Utc::now();
    let record = StepRecord { created: step.created.min(now), used: now, archive, ..step.clone() };
    if job.request.cache.keeps() {
        job.store().build_cache().put(&lock, &record)?;
    }
    Ok(Some(record))
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
    let prepared = job.engine.prepare_push(name, &job.request.registry_of(Some(name)))?;
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
