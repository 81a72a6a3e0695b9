//! Removing images and their names.

use crate::engine::containers;
use crate::error::{Error, Kind, Result, phrases};
use crate::image::{Digest, Image, Reference};
use crate::storage::Store;
use crate::storage::events::{Action, Event};
use crate::storage::images::Removed;

/// How far a removal goes.
#[derive(Debug, Clone, Copy, Default)]
pub struct How {
    /// The containers that use the image go too, and all names of an image given by id.
    pub force: bool,
    /// All of its names, whatever it was called.
    pub every_name: bool,
}

/// The ids of all images that can be removed.
///
/// # Errors
/// When the images cannot be listed.
pub fn removable(store: &Store) -> Result<Vec<String>> {
    let listed = store.images().list()?;
    Ok(listed.into_iter().filter(|l| !l.read_only).map(|l| l.image.id.to_string()).collect())
}

/// Removes an image, or one of its names where it has others.
///
/// # Errors
/// `NotFound` when it is not here; `Usage` for an id with several names; `Conflict` when containers use it.
pub fn remove(store: &Store, text: &str, how: How) -> Result<Removed> {
    let Some(image) = store.images().find(text)? else {
        return Err(phrases::no_image(text).hint("List the images: coracle images"));
    };
    let names = store.images().names(&image.id)?;
    match &image.reference {
        Some(name) if !how.every_name && store.images().outlives(&image.id, name)? => {
            store.images().untag(name)?;
            store.events().emit(Event::image_named(Action::Untag, image.id.as_str(), &name.to_string()));
            return Ok(Removed { untagged: vec![name.clone()], ..Removed::default() });
        }
        None if names.len() > 1 && !how.every_name && !how.force => return Err(several(&image, &names)),
        _ => {}
    }
    containers::settle_all(store)?;
    if how.force {
        remove_users(store, &image.id)?;
    }
    let lock = store.exclusive()?;
    store.images().remove(&lock, &image.id)
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

fn several(image: &Image, names: &[Reference]) -> Error {
    let list: Vec<String> = names.iter().map(Reference::to_string).collect();
    let id = image.id.short();
    Error::new(Kind::Usage, format!("image {id} has more than one name: {}", list.join(", ")))
        .hint(format!("Remove it with all of them: coracle rmi --force {id}; or give one name."))
}

/// Kills and removes the containers that were made from an image.
fn remove_users(store: &Store, id: &Digest) -> Result<()> {
    for user in store.images().users(id)? {
        let container = match store.containers().open(&user) {
            Err(e) if e.kind() == Kind::NotFound => continue,
            other => other?,
        };
        containers::kill(store, &container)?;
        // One that is started again meanwhile keeps the image, and the error says so.
        containers::remove_ended(store, &container, false)?;
    }
    Ok(())
}
