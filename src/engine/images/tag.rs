//! Adding names to images, and removing them.

use crate::error::{Error, Kind, Result, phrases};
use crate::image::Reference;
use crate::storage::Store;
use crate::storage::events::{Action, Event};
use crate::storage::images::Found;

/// Adds names to an image or a list.
///
/// # Errors
/// An image that is not here, or a name with a digest; nothing is named then.
pub fn tag(store: &Store, image: &str, targets: &[Reference]) -> Result<()> {
    if let Some(name) = targets.iter().find(|name| name.digest().is_some()) {
        return Err(phrases::name_with_digest(&name.to_string()).hint("Write [registry/]name[:tag]."));
    }
    let names = targets.iter().map(Reference::as_new_name).collect::<Result<Vec<_>>>()?;
    let lock = store.shared()?;
    let found = store.images().need_any(image)?;
    for name in &names {
        match &found {
            Found::Image(image) => store.images().tag(&lock, image, name)?,
            Found::List(list) => store.images().tag_list(&lock, &list.id, name)?,
        }
        store.events().emit(Event::image_named(Action::Tag, found.id().as_str(), &name.to_string()));
    }
    Ok(())
}

/// Takes names away from an image or a list, which stays; all of its names when none is given.
///
/// # Errors
/// An image that is not here, or a name that it does not have; nothing changes then.
pub fn untag(store: &Store, image: &str, names: &[Reference]) -> Result<()> {
    let found = store.images().need_to_remove(image)?;
    let own = store.images().names(found.id())?;
    let names = match names {
        [] => own,
        names => names.iter().map(|name| known(name, &own)).collect::<Result<_>>()?,
    };
    for name in &names {
        store.images().untag(name)?;
        store.events().emit(Event::image_named(Action::Untag, found.id().as_str(), &name.to_string()));
    }
    Ok(())
}

/// The image's name that is meant: below localhost/ first, then docker.io, as everywhere.
fn known(name: &Reference, own: &[Reference]) -> Result<Reference> {
    let candidates = match name.registry() {
        Some(_) => vec![name.clone()],
        None => vec![name.qualify("localhost"), name.qualify("docker.io")],
    };
    let found = own.iter().find(|own| candidates.iter().any(|c| c.canonical() == own.canonical()));
    found.cloned().ok_or_else(|| {
        let all: Vec<String> = own.iter().map(Reference::to_string).collect();
        let all = if all.is_empty() { "none".to_owned() } else { all.join(", ") };
        let name = candidates.first().unwrap_or(name);
        Error::new(Kind::NotFound, format!("{name}: tag not known")).hint(format!("Its names are: {all}"))
    })
}
