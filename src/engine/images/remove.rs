//! Removing images and their names.

use crate::engine::containers;
use crate::error::{Error, Kind, Result, phrases};
use crate::image::{Digest, Reference};
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use crate::storage::events::{Action, Event};
use crate::storage::images::{Found, List, Removed};

/// How far a removal goes.
#[derive(Debug, Clone, Copy, Default)]
pub struct How {
    /// The containers that use the image go too, and all names of an image given by id; lists do not keep it.
    pub force: bool,
    /// All of its names, whatever it was called.
    pub every_name: bool,
    /// Of a list, its images stay although they may have no name of their own.
    pub list_alone: bool,
    /// Docker's way: containers stay. By force an image of theirs loses its names, but not while one of them runs.
    pub spare_users: bool,
    /// What the image was made of stays, also if it has no name and nothing else was made of it.
    pub keep_parents: bool,
}

/// Removes all lists and images; the lists first, as they keep images. With `force` the containers that use them go too.
/// `report` hears how it went with each.
///
/// # Errors
/// When the images cannot be listed, and those of `report`.
pub fn remove_all(
    store: &Store,
    force: bool,
    mut report: impl FnMut(Result<Vec<Removed>>) -> Result<()>,
) -> Result<()> {
    let how = How { force, every_name: true, keep_parents: true, ..How::default() };
    for (list, _) in store.images().lists()?.into_iter().filter(|(_, listed)| !listed.read_only) {
        report(remove(store, list.id.as_str(), how))?;
    }
    let images = store.images().list()?.into_iter().filter(|listed| !listed.read_only);
    let images: Vec<Digest> = images.map(|listed| listed.image.id).collect();
    containers::settle_all(store)?;
    for image in images.iter().filter(|_| force) {
        // What stays of them keeps the image, and is reported with it.
        if let Err(error) = remove_users(store, image) {
            log::info!("containers of image {}: {}", image.short(), error.in_one_line());
        }
    }
    let lock = store.exclusive()?;
    let mut removal = store.images().removal(&lock)?;
    for image in images {
        if !store.images().is_own(&image) {
            continue;
        }
        let lists = store.images().lists_with(&image);
        let gone = match lists.as_ref().map(|lists| lists.first()) {
            Ok(Some(list)) if !force => Err(in_list(&image, list)),
            Ok(_) => removal.remove(&image).map(|gone| vec![gone]),
            Err(_) => lists.map(|_| Vec::new()),
        };
        report(gone)?;
    }
    Ok(())
}

/// Removes an image or a list, or one of its names where it has others. With a list go the images in it that have no
/// name, are in no other list and that no container was made of. An image that is in a list loses its name.
///
/// # Errors
/// `NotFound` when it is not here; `Usage` for an id with several names; `Conflict` when containers use it, or a list
/// has it and it has no name.
pub fn remove(store: &Store, text: &str, how: How) -> Result<Vec<Removed>> {
    let found = store.images().need_to_remove(text)?;
    let id = found.id();
    let names = store.images().names(id)?;
    let lists = store.images().lists_with(id)?;
    // What was found by a digest that is no name of its own may have several, as what was found by its id.
    match found.reference().filter(|name| names.contains(name)) {
        Some(name) if !how.every_name && loses_name(store, id, name, !how.force && !lists.is_empty())? => {
            store.images().untag(name)?;
            store.events().emit(Event::image_named(Action::Untag, id.as_str(), &name.to_string()));
            return Ok(vec![Removed { untagged: vec![name.clone()], ..Removed::default() }]);
        }
        None if names.len() > 1 && !how.every_name && !how.force => return Err(several(id, &names)),
        _ => {}
    }
    containers::settle_all(store)?;
    match &found {
        Found::List(list) => remove_list(store, list, how),
        Found::Image(_) => {
            if how.spare_users {
                let users = users(store, id)?;
                if let Some(user) = users.iter().find(|user| user.status().is_live()) {
                    return Err(phrases::image_in_use_by_running(id.short(), user.id().as_str()).hint(
                        format!("Remove the container first: coracle rm --force {}", user.id().short()),
                    ));
                }
                if how.force && !users.is_empty() {
                    return untag_all(store, id, names).map(|removed| vec![removed]);
                }
            } else if how.force {
                remove_users(store, id)?;
            }
            let lock = store.exclusive()?;
            if let (Some(list), false) = (store.images().lists_with(id)?.first(), how.force) {
                return Err(in_list(id, list));
            }
            let parents = if how.keep_parents { Vec::new() } else { store.images().lonely_parents(id)? };
            let mut removed = vec![store.images().remove(&lock, id)?];
            for parent in parents {
                match store.images().remove(&lock, &parent) {
                    Ok(gone) => removed.push(gone),
                    // A container was made of it.
                    Err(e) if e.kind() == Kind::Conflict => break,
                    Err(e) => return Err(e),
                }
            }
            Ok(removed)
        }
    }
}

/// Whether all that is to go is the name: what has it stays, also because lists have it.
fn loses_name(store: &Store, id: &Digest, name: &Reference, in_list: bool) -> Result<bool> {
    Ok(store.images().outlives(id, name)? || in_list && store.images().names(id)?.contains(name))
}

fn remove_list(store: &Store, list: &List, how: How) -> Result<Vec<Removed>> {
    let images = store.images();
    let lock = store.exclusive()?;
    let mut removed = vec![images.remove_list(&lock, &list.id)?];
    if how.list_alone {
        return Ok(removed);
    }
    for image in list.parts.iter().filter_map(|part| part.image.as_ref()) {
        if !images.is_own(image) || !images.names(image)?.is_empty() || !images.lists_with(image)?.is_empty()
        {
            continue;
        }
        match images.remove(&lock, image) {
            Ok(gone) => removed.push(gone),
            // A container was made of it.
            Err(e) if e.kind() == Kind::Conflict => {}
            Err(e) => return Err(e),
        }
    }
    Ok(removed)
}

/// Removes an image that a container was made of, by the name it was used under, with what is in the trash.
///
/// # Errors
/// When a container uses it.
pub fn forget(store: &Store, name: &str) -> Result<()> {
    remove(store, name, How::default())?;
    containers::tidy(store);
    Ok(())
}

fn several(id: &Digest, names: &[Reference]) -> Error {
    let list: Vec<String> = names.iter().map(Reference::to_string).collect();
    let (whole, id) = (id.hex(), id.short());
    phrases::image_with_several_names(whole, id, &list.join(" "))
        .hint(format!("Remove it with all of them: coracle rmi --force {id}; or give one name."))
}

fn in_list(id: &Digest, list: &Digest) -> Error {
    let (id, list) = (id.short(), list.short());
    Error::new(Kind::Conflict, format!("image {id} is in manifest list {list}: image is in use")).hint(format!(
        "Take it out of the list, or remove that first: coracle manifest rm {list}; or force it: coracle rmi --force {id}"
    ))
}

fn untag_all(store: &Store, id: &Digest, names: Vec<Reference>) -> Result<Removed> {
    for name in &names {
        store.images().untag(name)?;
        store.events().emit(Event::image_named(Action::Untag, id.as_str(), &name.to_string()));
    }
    Ok(Removed { untagged: names, ..Removed::default() })
}

/// The containers that were made from an image.
fn users(store: &Store, id: &Digest) -> Result<Vec<ContainerDir>> {
    let mut found = Vec::new();
    for user in store.images().users(id)? {
        match store.containers().open(&user) {
            Err(e) if e.kind() == Kind::NotFound => {}
            other => found.push(other?),
        }
    }
    Ok(found)
}

/// Kills and removes the containers that were made from an image.
fn remove_users(store: &Store, id: &Digest) -> Result<()> {
    for container in users(store, id)? {
        containers::kill(store, &container)?;
        // One that is started again meanwhile keeps the image, and the error says so.
        containers::remove_ended(store, &container, false)?;
    }
    Ok(())
}
