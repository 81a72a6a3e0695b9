//! Bringing running containers to newer images (podman-auto-update(1)).
//!
//! Theory of operation. A container asks for it by a label that its creator gave it; a label of its image asks for
//! nothing (attack case 15). One that a systemd unit creates is updated by a restart of that unit, as in podman. Any other
//! one is put in the place of the old one here ([`exchange`]): a new container is made by the plan of the old one, on the
//! new image, and the old one is only removed when the new one runs and is healthy. A command that is killed in between
//! leaves both; the next one completes the change or takes it back ([`settle`]), before anything else. Each image is asked
//! for and pulled once, however many containers run it.

mod exchange;
mod newest;
mod prove;
mod settle;
mod unit;
mod unsettled;

pub use unsettled::is_exchanged;

use super::dependents::Dependents;
use super::start::stored_plan;
use crate::container::Status;
use crate::engine::Engine;
use crate::engine::images::pull::Message;
use crate::engine::images::tag::tag;
use crate::error::{Error, Kind, Result};
use crate::image::{Image, Platform, Reference};
use crate::plan::{UNIT, rebase};
use crate::registry::PullRequest;
use crate::spec::{ContainerSpec, ImageSource};
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use crate::text::printable;
use newest::{Newer, Newest};
use std::path::PathBuf;
use unit::Restarted;

/// The label that asks for updates.
const LABEL: &str = "io.containers.autoupdate";
/// The label that names a file of credentials.
const AUTH_FILE: &str = "io.containers.autoupdate.authfile";

/// What is to be done.
#[derive(Debug)]
pub struct UpdateAll {
    /// Only say what would be.
    pub dry_run: bool,
    /// Go back to the old image where the new one fails.
    pub rollback: bool,
    /// How to talk to registries.
    pub registry: PullRequest,
}

/// Where a newer image is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// In its registry.
    Registry,
    /// In this store.
    Local,
}

impl Policy {
    /// The word of the label.
    pub fn as_str(self) -> &'static str {
        match self {
            Policy::Registry => "registry",
            Policy::Local => "local",
        }
    }

    /// What a label asks for; `None` is nothing.
    fn of(text: &str) -> Result<Option<Policy>> {
        match text {
            "" | "disabled" => Ok(None),
            "image" | "registry" => Ok(Some(Policy::Registry)),
            "local" => Ok(Some(Policy::Local)),
            _ => Err(Error::new(
                Kind::Usage,
                format!(
                    "invalid auto-update policy {text:?}: valid policies are \
                     [\"disabled\" \"image\" \"local\" \"registry\"]"
                ),
            )),
        }
    }
}

/// What became of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Updated {
    /// It runs the newer image.
    True,
    /// There is none.
    False,
    /// There is one, and nothing was done.
    Pending,
    /// The newer one failed, and it runs the old one again.
    RolledBack,
    /// It could not be updated.
    Failed,
}

impl Updated {
    /// The word in the list.
    pub fn as_str(self) -> &'static str {
        match self {
            Updated::True => "true",
            Updated::False => "false",
            Updated::Pending => "pending",
            Updated::RolledBack => "rolled back",
            Updated::Failed => "failed",
        }
    }
}

/// A container that asks for updates.
#[derive(Debug)]
pub struct Report {
    /// The systemd unit that creates it; empty without one.
    pub unit: String,
    /// Its id in full, after an update that of the new one.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The name of its image.
    pub image: String,
    /// Where a newer one is looked for; as it was written if it makes no sense.
    pub policy: String,
    /// What became of it.
    pub updated: Updated,
}

/// Updates every running container that asks for it. Failures of single ones are returned with the list.
///
/// # Errors
/// When another command is at it, or the containers cannot be listed.
pub fn update_all(
    engine: Engine<'_>,
    how: &UpdateAll,
    report: &mut dyn FnMut(Message),
) -> Result<(Vec<Report>, Vec<Error>)> {
    let store = engine.store;
    let _alone = store.updating()?;
    let mut failures = Vec::new();
    if !how.dry_run {
        failures.extend(settle::settle(store)?);
    }
    let mut reports = Vec::new();
    let specs = store.containers().specs()?;
    specs.unreadable.iter().for_each(|unreadable| unreadable.warn());
    let mut all = specs.read;
    all.sort_by_cached_key(|(dir, _)| dir.called());
    let mut newest = Newest::new(engine, how.dry_run);
    for (dir, plan) in all {
        let Some(asked) = plan.asked.labels.get(LABEL) else { continue };
        if dir.status() != Status::Running {
            continue;
        }
        let name = dir.called();
        let told = |error: Error| {
            Error::new(error.kind(), format!("auto-updating container {name}")).caused_by(error)
        };
        let policy = Policy::of(asked);
        if matches!(policy, Ok(None)) {
            continue;
        }
        let source = plan.image.as_ref();
        let mut row = Report {
            unit: plan.asked.labels.get(UNIT).cloned().unwrap_or_default(),
            id: dir.id().to_string(),
            name: name.clone(),
            image: source.map(|source| source.reference.clone()).unwrap_or_default(),
            policy: match &policy {
                Ok(Some(policy)) => policy.as_str().to_owned(),
                _ => printable(asked).into_owned(),
            },
            updated: Updated::Failed,
        };
        let updated = policy.and_then(|policy| match (policy, source) {
            (Some(policy), Some(source)) => {
                one(engine, how, &dir, (&plan, source, policy), (&mut newest, &mut row), report)
            }
            _ => Ok(None),
        });
        match updated {
            Ok(None) => {}
            Ok(Some(error)) | Err(error) => failures.push(told(error)),
        }
        reports.push(row);
    }
    Ok((reports, failures))
}

/// Updates one container; gives what has failed although it runs again.
fn one(
    engine: Engine<'_>,
    how: &UpdateAll,
    dir: &ContainerDir,
    (plan, source, policy): (&ContainerSpec, &ImageSource, Policy),
    (newest, row): (&mut Newest<'_>, &mut Report),
    report: &mut dyn FnMut(Message),
) -> Result<Option<Error>> {
    let store = engine.store;
    let name = image_name(&source.reference, policy)?;
    let old = store.images().find(source.id.as_str())?;
    let platform = old.as_ref().map_or_else(Platform::host, |old| {
        let config = &old.config;
        let (os, architecture) = (config.os.clone(), config.architecture.clone());
        Platform { os, architecture, variant: config.variant.clone() }
    });
    let auth_file = plan.asked.labels.get(AUTH_FILE).map(PathBuf::from);
    let auth_file = auth_file.or_else(|| how.registry.auth_file.clone());
    let request = PullRequest { platform, auth_file, ..how.registry.clone() };
    let newer = match policy {
        Policy::Local => newest.in_store(&name, source)?,
        Policy::Registry => newest.in_registry(&name, source, request, report)?,
    };
    if newer == Newer::None {
        row.updated = Updated::False;
        return Ok(None);
    }
    if row.unit.is_empty() {
        refuse_unfit(store, dir, old.as_ref(), row)?;
    }
    let new = match newer {
        Newer::Image(new) if !how.dry_run => new,
        _ => {
            row.updated = Updated::Pending;
            return Ok(None);
        }
    };
    if row.unit.is_empty() {
        return put_in_place(store, how, dir, (old.as_ref(), &new), &name, row);
    }
    let back = old.as_ref().filter(|_| how.rollback);
    let (updated, failure) = match unit::update(store, &row.unit, back, &name)? {
        Restarted::New => (Updated::True, None),
        Restarted::Old(why) => (Updated::RolledBack, Some(why)),
    };
    row.updated = updated;
    Ok(failure)
}

/// Refuses a container that cannot be put in the place of another one.
fn refuse_unfit(store: &Store, dir: &ContainerDir, old: Option<&Image>, row: &Report) -> Result<()> {
    if stored_plan(dir)?.lifecycle.auto_remove {
        return Err(Error::new(
            Kind::Conflict,
            "it is removed when it stops (--rm), so it could not be brought back",
        )
        .hint("Create it without --rm, or by a systemd unit."));
    }
    if let Some(first) = Dependents::read(store)?.of(store, dir.id()).first() {
        return Err(Error::new(
            Kind::Conflict,
            format!("container {} depends on it, and would be cut off", first.called()),
        )
        .hint("Create both again by hand: coracle rm --depend NAME"));
    }
    old.map(|_| ()).ok_or_else(|| lost(row))
}

fn lost(row: &Report) -> Error {
    Error::new(Kind::NotFound, format!("image {} that it was created of is gone", row.image))
        .hint("Create the container again: coracle run --replace ...")
}

/// Puts a container on the new image in the place of one that no unit creates. If the new image fails, its name means
/// the old one again, as after a unit's failure.
fn put_in_place(
    store: &Store,
    how: &UpdateAll,
    dir: &ContainerDir,
    (old, new): (Option<&Image>, &Image),
    name: &Reference,
    row: &mut Report,
) -> Result<Option<Error>> {
    let plan = stored_plan(dir)?;
    let old = old.ok_or_else(|| lost(row))?;
    let next = rebase(&plan, &old.config.config, new)?;
    match exchange::exchange(store, dir, &plan, next, how.rollback)? {
        exchange::Outcome::Replaced(id) => {
            (row.id, row.updated) = (id.to_string(), Updated::True);
            Ok(None)
        }
        exchange::Outcome::RolledBack(why) => {
            row.updated = Updated::RolledBack;
            // Somebody may have given it to another image since.
            if store.images().find_reference(name)?.is_some_and(|meant| meant.id == new.id) {
                tag(store, old.id.as_str(), std::slice::from_ref(name))?;
            }
            Ok(Some(why))
        }
    }
}

/// The name that tells which image is newer: one with a registry and without a digest.
fn image_name(text: &str, policy: Policy) -> Result<Reference> {
    let refused = |why: &str| {
        Error::new(
            Kind::Usage,
            format!("auto updates require fully-qualified image references {why}: {text:?}"),
        )
        .hint("Create the container by the full name of the image: coracle run quay.io/team/app:latest")
    };
    let name: Reference = text.parse().map_err(|_| refused("by name"))?;
    match (name.digest(), name.registry()) {
        (Some(_), _) => Err(refused("without digest")),
        (None, None) => Err(refused("by name")),
        (None, Some("localhost")) if policy == Policy::Registry => {
            Err(Error::new(Kind::Usage, format!("image {name} is in no registry")).hint(
                "Create the container with --label io.containers.autoupdate=local, or by the full name of an image \
                 in a registry.",
            ))
        }
        (None, Some(_)) => Ok(name),
    }
}
