//! Caches in other places: `--cache-from` and `--cache-to`.

use super::job::Job;
use super::request::CachePlace;
use crate::engine::images::enter;
use crate::error::{Context, Kind, Result};
use crate::fork;
use crate::image::Digest;
use crate::storage::archive::{Source, export_cache, import_cache};
use std::fs::File;

/// Takes what is elsewhere into our own cache. A place that cannot be read is passed over, as in BuildKit: the build is
/// slower then, and no other one.
pub(super) fn import(job: &Job<'_>) {
    if job.request.cache.ignore {
        return;
    }
    for place in &job.request.cache.from {
        let CachePlace::Local(dir) = place else { continue };
        let imported = fork::leaf::<(), ()>(
            "cache",
            &[job.running.descriptor()],
            |_| {
                let _maker = enter(job.store())?;
                let needs = |lock: &_, layers: &[_]| job.running.needs_layers(lock, layers);
                let dir = File::open(dir).context(Kind::Usage, || "open the directory")?;
                import_cache(job.store(), &Source::build_cache(dir.into()), &needs)
            },
            |()| {},
        );
        if let Err(error) = imported {
            log::warn!("--cache-from {}: it is not used: {}", dir.display(), error.in_one_line());
        }
    }
}

/// Writes the results of these steps to other places.
///
/// # Errors
/// A directory that cannot be written.
pub(super) fn export(job: &Job<'_>, steps: &[Digest]) -> Result<()> {
    for place in &job.request.cache.to {
        let CachePlace::Local(dir) = place else { continue };
        fork::leaf::<(), ()>(
            "cache",
            &[job.running.descriptor()],
            |_| {
                let _maker = enter(job.store())?;
                export_cache(job.store(), steps, dir)
            },
            |()| {},
        )?;
    }
    Ok(())
}
