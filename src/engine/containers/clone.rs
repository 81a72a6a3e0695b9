//! Cloning a container.

use super::create::copied;
use super::find::find;
use super::policy::stop_policy;
use super::records::discard;
use super::removal::{end, remove_ended};
use super::remove::tidy;
use super::start::{start, stored_plan};
use crate::container::{ContainerId, Name};
use crate::engine::Engine;
use crate::engine::images::pull::{Message, Wanted};
use crate::error::{Error, Kind, Result, Warning};
use crate::plan::copy;
use crate::runtime::cgroup;
use crate::spec::{ContainerSpec, ImageSource, Resources, RootSpec};
use crate::storage::Store;
use crate::storage::containers::{ContainerDir, Containers};
use chrono::Utc;

/// Maximum number of clones that are named after the original.
const COPIES_MAX: u32 = 1000;

/// The container to clone, and how the clone differs.
#[derive(Debug)]
pub struct CloneRequest<'a> {
    /// The original, by any of its names.
    pub container: &'a str,
    /// The clone's name; by default the original's with `-clone`.
    pub name: Option<&'a Name>,
    /// An image instead of the original's, and how to get it.
    pub image: Option<(&'a str, Wanted)>,
    /// Limits that replace the original's.
    pub limits: Resources,
    /// Remove the original.
    pub destroy: bool,
    /// With `destroy`: stop the original first if it is running.
    pub force: bool,
    /// Start the clone.
    pub start: bool,
    /// The command line, for `inspect`.
    pub create_command: Vec<String>,
}

/// A clone.
#[derive(Debug)]
pub struct Cloned {
    /// Its identifier.
    pub id: ContainerId,
    /// The parts of its plan that this machine does not support, if it was started.
    pub warnings: Vec<Warning>,
}

/// Creates a container with the settings and current limits of another, but without the files that it has written.
///
/// # Errors
/// A container or image that does not exist, a name that is taken, an original that is to be removed but is running,
/// limits that contradict each other or those of the original.
pub fn clone(
    engine: Engine<'_>,
    request: CloneRequest<'_>,
    report: &mut dyn FnMut(Message),
) -> Result<Cloned> {
    let store = engine.store;
    let original = find(store, request.container)?;
    let status = original.status();
    if request.destroy && !request.force && (status.is_active() || original.is_in_hand()) {
        return Err(Error::new(
            Kind::Conflict,
            format!("container {} is {}", request.container, status.as_str()),
        )
        .hint("Add --force to stop it, or leave --destroy out."));
    }
    let mut spec = copy_of(store, &original, &request)?;
    if let Some((text, wanted)) = &request.image {
        let image = engine.ensure(text, wanted, report)?;
        spec.root = RootSpec::Layers(image.layers.clone());
        spec.image = Some(ImageSource::of(&image));
    }
    let dir = copied(store, &mut spec)?;
    if request.destroy
        && let Err(error) = destroy(store, &original)
    {
        discard(store, &dir);
        return Err(error);
    }
    let warnings = match request.start {
        true => start(store, &dir, None)?.warnings,
        false if cgroup::out_of_reach(&spec.limits.resources) => vec![cgroup::IGNORED.into()],
        false => Vec::new(),
    };
    Ok(Cloned { id: spec.id, warnings })
}

/// The plan of the clone; anything that would prevent its start is refused here, before anything changes.
fn copy_of(store: &Store, original: &ContainerDir, request: &CloneRequest<'_>) -> Result<ContainerSpec> {
    let of = stored_plan(original)?;
    if of.is_infra() {
        return Err(Error::new(
            Kind::Usage,
            format!("container {} is the infra container of a pod and cannot be cloned", request.container),
        )
        .hint("Make another pod: coracle pod create --name NAME"));
    }
    let name = match request.name {
        Some(name) => name.clone(),
        None => free_name(store, &of.name)?,
    };
    let volume = || Containers::new_id().map(Name::from);
    let mut spec = copy(&of, Containers::new_id()?, name, Utc::now(), volume)?;
    let mut resources = cgroup::effective(original, &of)?;
    resources.merge(&request.limits);
    resources.check()?;
    spec.limits.resources = resources.limiting();
    if request.start && !cgroup::out_of_reach(&spec.limits.resources) {
        cgroup::prepare(&spec.limits.resources, spec.limits.cgroup_parent.as_deref())?;
    }
    spec.asked.cidfile = None;
    spec.asked.create_command.clone_from(&request.create_command);
    Ok(spec)
}

/// `web-clone`, `web-clone1` and so on: the first that nobody has.
fn free_name(store: &Store, of: &Name) -> Result<Name> {
    for number in 0..COPIES_MAX {
        let number = if number == 0 { String::new() } else { number.to_string() };
        let name: Name = format!("{of}-clone{number}").parse()?;
        if find(store, name.as_str()).is_err() {
            return Ok(name);
        }
    }
    Err(Error::new(Kind::Conflict, format!("{COPIES_MAX} clones of {of} already exist"))
        .hint("Give this one a name: coracle container clone --name NAME ..."))
}

fn destroy(store: &Store, original: &ContainerDir) -> Result<()> {
    let (signal, patience) = stop_policy(original, None);
    end(store, original, signal, patience)?;
    if !remove_ended(store, original, true)? && original.in_place() {
        let id = original.id().short();
        return Err(Error::new(Kind::Conflict, format!("container {id} was started again in the meantime")));
    }
    tidy(store);
    Ok(())
}
