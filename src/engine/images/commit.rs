//! Creating an image from a container.

use super::enter;
use super::import::check_changes;
use crate::container::Status;
use crate::engine::containers;
use crate::error::{Error, Kind, Result};
use crate::fork;
use crate::image::change::Change;
use crate::image::{Digest, HistoryEntry, Image, ImageConfig, Reference, RunConfig};
use crate::plan::env::PROXY;
use crate::runtime::root::{Root, own_mounts};
use crate::spec::{ContainerSpec, MountSource, RootSpec};
use crate::storage::Store;
use crate::storage::archive::{Family, MakeImage, NewLayer, make_image};
use crate::storage::containers::ContainerDir;
use crate::storage::events::Action;
use chrono::{SecondsFormat, Utc};
use serde_json::{Map, Value};
use std::os::fd::AsRawFd;

/// The image to create.
#[derive(Debug, Clone)]
pub struct CommitRequest {
    /// The name it gets, if any; without a registry it is under `localhost/`.
    pub name: Option<Reference>,
    /// Its author.
    pub author: Option<String>,
    /// A remark for its history.
    pub message: Option<String>,
    /// Changes of the configuration.
    pub changes: Vec<Change>,
    /// Whose form of manifest it has.
    pub family: Family,
    /// Note the container's volumes and binds as volumes of the image; their content never goes along.
    pub include_volumes: bool,
    /// Pause the container meanwhile.
    pub pause: bool,
    /// Make one layer of everything.
    pub squash: bool,
}

/// Makes an image of a container, by any of its names; returns the image's id.
///
/// # Errors
/// A container that does not exist or has no image below it, a wrong change; nothing is kept then.
pub fn commit(store: &Store, container: &str, wanted: &CommitRequest) -> Result<Digest> {
    check_changes(&wanted.changes)?;
    let names: Vec<Reference> = wanted.name.iter().map(Reference::as_new_name).collect::<Result<_>>()?;
    let (name, container) = (container, containers::find(store, container)?);
    let plan = containers::start::stored_plan(&container)?;
    let base = base(store, name, &plan)?;
    let config = configuration(wanted, &plan, &base);
    let paused = if wanted.pause { Paused::new(&container)? } else { None };
    let id: Digest = fork::tidy_leaf::<(), _>(
        "commit",
        &[container.fd().as_raw_fd()],
        |_, _| {
            let _member = enter(store)?;
            // A start of the container waits meanwhile.
            let alive = if container.status().is_active() { None } else { container.hold_alive().ok() };
            let (base, layer) = if wanted.squash {
                drop(alive);
                own_mounts()?;
                let root = Root::open(store, &container, &plan, false)?;
                (None, Some(NewLayer::of_root(store, root.fd(), &plan.ids)?))
            } else {
                let layer = NewLayer::of_upper(store, &container.upper(), &base.layers, &plan.ids)?;
                (Some(&base), layer)
            };
            let mut config = config;
            if let Some(step) = config.history.last_mut() {
                step.empty_layer = layer.is_none();
            }
            let make = MakeImage { base, layer, config, family: wanted.family, names: &names };
            Ok(make_image(store, make)?.id)
        },
        |()| {},
    )?;
    drop(paused);
    container.emit(Action::Commit);
    Ok(id)
}

/// The image below the container.
fn base(store: &Store, name: &str, plan: &ContainerSpec) -> Result<Image> {
    let (Some(source), RootSpec::Layers(_)) = (&plan.image, &plan.root) else {
        return Err(Error::new(Kind::Usage, format!("container {name} was not made from an image"))
            .hint(format!("Take all of its files: coracle export {name} | coracle import - NAME")));
    };
    let gone = || {
        Error::new(Kind::NotFound, format!("the image {} of the container is gone", source.id.short()))
            .hint(format!("Take all of its files: coracle export {name} | coracle import - NAME"))
    };
    store.images().find(source.id.as_str())?.ok_or_else(gone)
}

/// Variables that are the tool's and none of the image's; those of the caller proxies are not, either.
const OWN: [&str; 4] = ["container", "HOSTNAME", "HOME", "TERM"];

/// The configuration: the image's, as the container runs, with the changes that were asked for.
fn configuration(wanted: &CommitRequest, plan: &ContainerSpec, base: &Image) -> ImageConfig {
    let created = Utc::now().to_rfc3339_opts(SecondsFormat::Nanos, true);
    let mut config = ImageConfig { build_cache: None, ..base.config.clone() };
    let run = &mut config.config;
    let of_image = |name: &str, image: &RunConfig| {
        image.env.iter().any(|entry| entry.split_once('=').is_some_and(|(n, _)| n == name))
    };
    let is_own = |entry: &&String| {
        let name = entry.split_once('=').map_or(entry.as_str(), |(name, _)| name);
        !OWN.contains(&name) && !PROXY.contains(&name) || of_image(name, &base.config.config)
    };
    run.env = plan.process.env.iter().filter(is_own).cloned().collect();
    run.entrypoint.clone_from(&plan.asked.entrypoint);
    run.cmd.clone_from(&plan.asked.command);
    run.labels.clone_from(&plan.labels);
    run.working_dir = plan.process.cwd.to_string_lossy().into_owned();
    if !plan.process.user.user.is_empty() {
        run.user.clone_from(&plan.process.user.user);
    }
    let empty = || Value::Object(Map::new());
    run.exposed_ports.extend(plan.asked.exposed_ports.iter().map(|port| (port.clone(), empty())));
    if wanted.include_volumes {
        let mounts = plan
            .mounts
            .iter()
            .filter(|mount| matches!(mount.source, MountSource::Volume { .. } | MountSource::Bind { .. }));
        run.volumes.extend(mounts.map(|m| (m.destination.to_string_lossy().into_owned(), empty())));
    }
    wanted.changes.iter().for_each(|change| change.apply(run));
    if wanted.author.is_some() {
        config.author.clone_from(&wanted.author);
    }
    if wanted.squash {
        config.history.clear();
    } else {
        // Layers without a step get one, so that the new step is not taken for theirs.
        let told = config.history.iter().filter(|step| !step.empty_layer).count();
        let untold = base.layers.len().saturating_sub(told);
        config.history.extend(std::iter::repeat_n(HistoryEntry::default(), untold));
    }
    config.history.push(HistoryEntry {
        created: Some(created.clone()),
        created_by: Some(plan.process.argv.join(" ")),
        author: wanted.author.clone(),
        comment: wanted.message.clone(),
        empty_layer: false,
    });
    config.created = Some(created);
    config
}

/// A container that stands still until this is dropped.
struct Paused<'a>(&'a ContainerDir);

impl<'a> Paused<'a> {
    /// `None` if it is not running, or was already paused.
    fn new(container: &'a ContainerDir) -> Result<Option<Paused<'a>>> {
        if container.status() != Status::Running {
            return Ok(None);
        }
        containers::pause(container)?;
        Ok(Some(Paused(container)))
    }
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        if let Err(e) = containers::unpause(self.0) {
            // It may have been killed meanwhile.
            log::warn!("cannot unpause container {}: {}", self.0.id().short(), e.in_one_line());
        }
    }
}
