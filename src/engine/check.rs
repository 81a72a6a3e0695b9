//! Checking the store for damage, and repairing it.

use super::containers;
use crate::error::{Kind, Result};
use crate::image::ChainId;
use crate::netns::bridge;
use crate::spec::RootSpec;
use crate::storage::containers::ContainerDir;
use crate::storage::{Store, trash};
use crate::text::printable;
use crate::userns;
use chrono::{DateTime, Utc};

/// Options of a check.
#[derive(Debug, Clone, Copy)]
pub struct CheckRequest {
    /// Repair the store: remove leftovers, and move aside what cannot be repaired.
    pub repair: bool,
    /// With `repair`, also remove damaged containers, and those of damaged images.
    pub force: bool,
    /// Do not verify the contents of blobs.
    pub quick: bool,
    /// Layers unused since then count as leftovers.
    pub unused_since: DateTime<Utc>,
}

/// The result of a check.
#[derive(Debug, Default)]
pub struct Report {
    /// A line for each finding, and for each action.
    pub lines: Vec<String>,
    damaged: usize,
    repaired: usize,
}

impl Report {
    /// The number of damaged objects that are left.
    pub fn left(&self) -> usize {
        self.damaged - self.repaired
    }

    fn found(&mut self, what: &str) {
        self.damaged += 1;
        self.lines.push(format!("Damaged {what}"));
    }

    /// What was done about a finding other than removing it, or why nothing was done.
    fn outcome(&mut self, what: &str, done: Result<String>) {
        match done {
            Ok(how) => {
                self.repaired += 1;
                self.lines.push(format!("Repaired {what}: {how}"));
            }
            Err(error) => self.lines.push(format!("{what}: {}", error.in_one_line())),
        }
    }

    fn mended(&mut self, what: &str) {
        self.repaired += 1;
        self.lines.push(format!("Deleted {what}"));
    }

    fn mended_by_others(&mut self, what: &str) {
        self.repaired += 1;
        self.lines.push(format!("Whole again {what}"));
    }
}

/// Checks the store for damage, and repairs it if requested.
///
/// # Errors
/// A store that cannot be read.
pub fn check(store: &Store, request: CheckRequest) -> Result<Report> {
    let mut report = Report::default();
    directories(store, request, &mut report)?;
    containers(store, request, &mut report)?;
    pods(store, request, &mut report)?;
    others(store, request, &mut report)?;
    images(store, request, &mut report)?;
    layers(store, request, &mut report)?;
    if request.repair {
        trash::collect_leftovers(store)?;
        containers::sweep(store)?;
    }
    Ok(report)
}

/// Other objects in the place of the store's own directories.
fn directories(store: &Store, request: CheckRequest, report: &mut Report) -> Result<()> {
    for fault in store.misplaced()? {
        report.found(&format!("{}: {}", fault.name, fault.what));
        if request.repair {
            report.outcome(&fault.name, store.replace_misplaced(&fault));
        }
    }
    Ok(())
}

fn containers(store: &Store, request: CheckRequest, report: &mut Report) -> Result<()> {
    for fault in store.containers().faults()? {
        let what = format!("container {}", fault.name);
        report.found(&format!("{what}: {}", fault.what));
        if request.repair {
            report.outcome(&what, store.containers().mend(&fault));
        }
    }
    for unreadable in store.containers().specs()?.unreadable {
        let Ok(container) = store.containers().open(&unreadable.id) else { continue };
        let what = format!("container {}", unreadable.id.short());
        report.found(&format!("{what} ({}): {}", container.summary().name, unreadable.why.in_one_line()));
        match (request.repair, request.force) {
            (true, true) if remove(store, &container).is_ok() => report.mended(&what),
            // A newer program can still read it.
            (true, false) if !unreadable.is_newer => {
                let aside = store.containers().set_aside(unreadable.id.as_str());
                report.outcome(&what, aside.map(|to| format!("set aside as {}", to.display())));
            }
            _ => {}
        }
    }
    for summary in containers::list(store)? {
        let Ok(container) = store.containers().open(&summary.id) else { continue };
        let Some(fault) = missing_layer(store, &container) else { continue };
        // It may have been removed while it was looked at.
        if !container.in_place() {
            continue;
        }
        report.found(&format!("container {} ({}): {fault}", summary.id.short(), summary.name));
        if request.repair && request.force && remove(store, &container).is_ok() {
            report.mended(&format!("container {}", summary.id.short()));
        }
    }
    Ok(())
}

/// Pods whose records cannot be read. Their containers name them, and are containers like any others then.
fn pods(store: &Store, request: CheckRequest, report: &mut Report) -> Result<()> {
    for (id, fault) in store.pods().damaged()? {
        let what = format!("pod {}", id.short());
        report.found(&format!("{what}: {}", fault.in_one_line()));
        if request.repair {
            let aside = store.pods().set_aside(&id);
            report.outcome(&what, aside.map(|to| format!("set aside as {}", to.display())));
        }
    }
    Ok(())
}

/// A layer that is missing for a container.
fn missing_layer(store: &Store, container: &ContainerDir) -> Option<String> {
    let plan = container.spec().ok()?;
    let RootSpec::Layers(layers) = &plan.root else { return None };
    let missing = layers.iter().find(|layer| store.layers().record(layer).is_err())?;
    Some(format!("layer {} is missing", missing.0.short()))
}

/// What networks have left in the runtime directory that are gone.
fn left_networks(store: &Store, request: CheckRequest, report: &mut Report) -> Result<()> {
    // Before the records: each of these networks had one when its directory was made.
    let mut all = bridge::directories(store.runtime());
    let known = store.networks().list()?;
    all.retain(|name| !known.iter().any(|network| network.id.starts_with(name)));
    for left in all.into_iter().filter(|name| bridge::is_deserted(store.runtime(), name)) {
        let what = format!("runtime directory of network {left}, which is gone");
        report.found(&what);
        if request.repair && bridge::forget(store.runtime(), &left) {
            report.mended(&what);
        }
    }
    Ok(())
}

/// Volumes, secrets, networks and the records of images.
fn others(store: &Store, request: CheckRequest, report: &mut Report) -> Result<()> {
    for (name, fault) in store.volumes().damaged()? {
        let what = format!("volume {name}");
        report.found(&format!("{what}: {fault}"));
        if request.repair {
            report.outcome(&what, store.exclusive().and_then(|lock| store.volumes().mend(&lock, &name)));
        }
    }
    for (name, fault) in store.secrets().damaged()? {
        let what = format!("secret {name}");
        report.found(&format!("{what}: {fault}"));
        if request.repair {
            report.outcome(&what, store.exclusive().and_then(|lock| store.secrets().mend(&lock, &name)));
        }
    }
    for (name, fault) in store.networks().damaged()? {
        let what = format!("network {name}");
        report.found(&format!("{what}: {fault}"));
        if request.repair {
            report.outcome(&what, store.exclusive().and_then(|lock| store.networks().mend(&lock, &name)));
        }
    }
    left_networks(store, request, report)?;
    for lost in store.images().lost_records()? {
        let what = format!("{}/{}", lost.kind, lost.name);
        report.found(&format!("{what}: {}", lost.what));
        if request.repair {
            let aside = store.exclusive().and_then(|lock| store.images().set_aside(&lock, &lost));
            let said = |to: Option<std::path::PathBuf>| {
                to.map_or_else(|| "whole again".to_owned(), |to| format!("set aside as {}", to.display()))
            };
            report.outcome(&what, aside.map(said));
        }
    }
    Ok(())
}

fn remove(store: &Store, container: &ContainerDir) -> Result<()> {
    if container.is_alive() {
        containers::kill(store, container)?;
    }
    let lock = container.lock()?;
    containers::remove(store, container, &lock, true)
}

fn images(store: &Store, request: CheckRequest, report: &mut Report) -> Result<()> {
    names(store, request, report)?;
    let wrong = if request.quick { Vec::new() } else { wrong_layers(store)? };
    for image in store.images().damaged(!request.quick, &wrong)? {
        for fault in &image.faults {
            report.lines.push(format!("image {}: {fault}", image.id.short()));
        }
        report.found(&format!("image {}", image.id.short()));
        if !request.repair {
            continue;
        }
        // Checked before containers are removed for it: a pull may have repaired it meanwhile.
        if request.force && store.images().is_still(&store.exclusive()?, &image)? {
            for user in store.images().users(&image.id)? {
                if let Ok(container) = store.containers().open(&user) {
                    remove(store, &container)?;
                    report.lines.push(format!("Deleted container {}", user.short()));
                }
            }
        }
        let lock = store.exclusive()?;
        if !store.images().is_still(&lock, &image)? {
            report.mended_by_others(&format!("image {}", image.id.short()));
            continue;
        }
        // The next build makes them anew.
        for step in store.build_cache().steps_on(&image.wrong_layers)? {
            store.build_cache().forget(&step.key)?;
        }
        match store.images().remove(&lock, &image.id) {
            Ok(_) => {
                // An object whose contents do not match its name is of no use, even if another image names it.
                for blob in &image.wrong_blobs {
                    if store.blobs().has(blob) && !store.blobs().is_true(blob)? {
                        store.blobs().remove(blob)?;
                    }
                }
                report.mended(&format!("image {}", image.id.short()));
            }
            Err(error) => report.lines.push(format!("image {}: {}", image.id.short(), error.in_one_line())),
        }
    }
    lists(store, request, report)?;
    build_cache(store, request, &wrong, report)
}

/// Lists whose index is lost. What they had is still there, each image for itself.
fn lists(store: &Store, request: CheckRequest, report: &mut Report) -> Result<()> {
    for (id, what) in store.images().damaged_lists()? {
        let list = format!("manifest list {}", id.short());
        report.found(&format!("{list}: {what}"));
        if request.repair && store.images().remove_list(&store.exclusive()?, &id).is_ok() {
            report.mended(&list);
        }
    }
    Ok(())
}

/// Layers whose archives are nowhere and that have other files than they were made with. Some files can be read in the
/// user namespace only.
fn wrong_layers(store: &Store) -> Result<Vec<ChainId>> {
    let layers = store.images().layers_without_blobs()?;
    if layers.is_empty() {
        return Ok(layers);
    }
    userns::in_child(store.runtime(), &[], || {
        let is_wrong = |layer: &ChainId| match store.layers().is_true(layer) {
            Ok(is_true) => !is_true,
            // It was removed meanwhile, or those below it are missing.
            Err(e) => e.kind() != Kind::NotFound,
        };
        Ok(layers.into_iter().filter(is_wrong).collect())
    })
}

/// The results of build steps. They can all be made again.
fn build_cache(store: &Store, request: CheckRequest, wrong: &[ChainId], report: &mut Report) -> Result<()> {
    for (name, what) in store.build_cache().damaged_steps()? {
        report.found(&format!("build/steps/{name}: {what}"));
        if request.repair && store.build_cache().discard_damaged(&name).is_ok() {
            report.mended(&format!("build/steps/{name}"));
        }
    }
    for step in store.build_cache().steps_on(wrong)? {
        let what = format!("build step {}", step.key.short());
        report.found(&format!(
            "{what} ({}): its layers have other files than they were made with",
            printable(&step.description)
        ));
        if request.repair && store.build_cache().forget(&step.key).is_ok() {
            report.mended(&what);
        }
    }
    if request.repair && !wrong.is_empty() {
        store.images().discard_if_unused(&store.exclusive()?, wrong)?;
    }
    Ok(())
}

fn names(store: &Store, request: CheckRequest, report: &mut Report) -> Result<()> {
    // Under the lock, a name cannot be moved to another image between the check and the removal.
    let _lock = if request.repair { Some(store.exclusive()?) } else { None };
    for name in store.images().dangling_names()? {
        report.found(&format!("name {name}: its image is gone"));
        if request.repair && store.images().untag(&name).is_ok() {
            report.mended(&format!("name {name}"));
        }
    }
    Ok(())
}

fn layers(store: &Store, request: CheckRequest, report: &mut Report) -> Result<()> {
    let mut left = Vec::new();
    for layer in store.images().unused_layers()? {
        let why = match store.layers().path(&layer) {
            Ok(path) => {
                let made = path.parent().and_then(|home| home.metadata().ok()?.modified().ok());
                let old = made.is_some_and(|made| DateTime::<Utc>::from(made) < request.unused_since);
                old.then_some("nothing uses it")
            }
            // It is listed all the same, for a build or `prune` to take it away.
            Err(e) if e.kind() == Kind::NotFound => {
                Some("it was not on the disk yet when the machine stopped, and nothing uses it")
            }
            Err(e) => return Err(e),
        };
        if let Some(why) = why {
            report.found(&format!("layer {}: {why}", layer.0.short()));
            left.push(layer);
        }
    }
    if request.repair && !left.is_empty() {
        let lock = store.exclusive()?;
        for layer in store.images().discard_if_unused(&lock, &left)? {
            report.mended(&format!("layer {}", layer.0.short()));
        }
    }
    Ok(())
}
