//! Operations on lists: what names the images of several platforms as one (podman-manifest(1)).

mod combine;
mod source;

pub mod inspect;
pub mod push;

pub use combine::{CombineRequest, Combined, InRegistry};
pub use source::{Entry, Lookup, Source};

use crate::engine::Engine;
use crate::engine::images::pull::Message;
use crate::engine::images::remove::{self, How};
use crate::error::{Error, Kind, Result, phrases};
use crate::image::{Digest, Index, IndexEntry, Reference};
use crate::registry::PullRequest;
use crate::storage::Store;
use crate::storage::events::{Action, Event};
use crate::storage::images::{Found, List, Part, Removed};
use std::collections::BTreeMap;

/// A list to be made.
#[derive(Debug)]
pub struct CreateRequest<'a> {
    /// Its name; without a registry it is under `localhost/`.
    pub name: &'a Reference,
    /// The images that it gets.
    pub images: &'a [Source],
    /// Of images that are lists, take all that they have.
    pub all: bool,
    /// A list that has the name gets the images; otherwise a name that is taken is refused.
    pub amend: bool,
    /// What it says about the whole.
    pub annotations: &'a BTreeMap<String, String>,
    /// Where names of images are looked up.
    pub lookup: Lookup,
    /// How to talk to registries.
    pub registry: &'a PullRequest,
}

/// What an entry of a list is to say; what is `None` or empty stays.
#[derive(Debug, Clone, Default)]
pub struct Annotation {
    /// Annotations of the entry.
    pub annotations: BTreeMap<String, String>,
    /// The architecture, in Go's naming.
    pub architecture: Option<String>,
    /// Features that the processor must have.
    pub features: Vec<String>,
    /// The operating system, in Go's naming.
    pub os: Option<String>,
    /// Features that the operating system must have.
    pub os_features: Vec<String>,
    /// The version of the operating system.
    pub os_version: Option<String>,
    /// The variant of the architecture.
    pub variant: Option<String>,
}

impl Annotation {
    /// Writes it into an entry.
    fn apply(&self, entry: &mut IndexEntry) {
        entry.annotations.extend(self.annotations.clone());
        let own =
            [&self.architecture, &self.os, &self.os_version, &self.variant].iter().any(|it| it.is_some());
        if !own && self.features.is_empty() && self.os_features.is_empty() {
            return;
        }
        let platform = entry.platform.get_or_insert_default();
        if let Some(architecture) = &self.architecture {
            platform.architecture.clone_from(architecture);
        }
        if let Some(os) = &self.os {
            platform.os.clone_from(os);
        }
        if self.os_version.is_some() {
            platform.os_version.clone_from(&self.os_version);
        }
        if self.variant.is_some() {
            platform.variant.clone_from(&self.variant);
        }
        if !self.features.is_empty() {
            platform.features.clone_from(&self.features);
        }
        if !self.os_features.is_empty() {
            platform.os_features.clone_from(&self.os_features);
        }
    }
}

/// Finds a list by name or id.
///
/// # Errors
/// `NotFound` when nothing is called so; `Usage` when it is an image.
pub fn find(store: &Store, text: &str) -> Result<List> {
    of_found(text, store.images().find_any(text)?)
}

/// As [`find`], also if its index cannot be read.
fn find_to_remove(store: &Store, text: &str) -> Result<List> {
    of_found(text, store.images().find_to_remove(text)?)
}

fn of_found(text: &str, found: Option<Found>) -> Result<List> {
    match found {
        Some(Found::List(list)) => Ok(*list),
        Some(Found::Image(image)) => Err(no_list(text, &image.reference)),
        None => {
            Err(phrases::no_list(text).hint(format!("Make a list: coracle manifest create {text} IMAGE")))
        }
    }
}

/// Whether there is a list of this name or id.
///
/// # Errors
/// `Usage` when it is an image.
pub fn exists(store: &Store, text: &str) -> Result<bool> {
    match find_to_remove(store, text) {
        Err(e) if e.kind() == Kind::NotFound => Ok(false),
        other => other.map(|_| true),
    }
}

/// Refuses a name that is an image's, where a list is to get images.
///
/// # Errors
/// `Usage` when it is an image.
pub fn may_be(store: &Store, name: &Reference) -> Result<()> {
    match store.images().find_any(&name.to_string())? {
        Some(Found::Image(image)) => Err(no_list(&name.to_string(), &image.reference)),
        _ => Ok(()),
    }
}

fn no_list(text: &str, name: &Option<Reference>) -> Error {
    let name = name.as_ref().map_or_else(|| text.to_owned(), ToString::to_string);
    Error::new(Kind::Usage, format!("{name}: image is not a manifest list"))
        .hint("See which names are lists: coracle images --filter manifest=true")
}

impl Engine<'_> {
    /// Makes a list; gives its full name too. All images are found first, so nothing is made if one of them is not
    /// there.
    ///
    /// # Errors
    /// A name that is taken, an image that is not there.
    pub fn create_list(
        &self,
        request: &CreateRequest<'_>,
        report: &mut dyn FnMut(Message),
    ) -> Result<(Digest, Reference)> {
        let name = request.name.as_new_name()?;
        let here = self.store.images().find_any(&name.to_string())?;
        match &here {
            Some(Found::Image(image)) if request.amend => {
                return Err(no_list(&name.to_string(), &image.reference));
            }
            Some(found) if !request.amend => return Err(taken_by(&name, found.id())),
            _ => {}
        }
        let entries =
            source::entries(self, request.images, request.all, request.lookup, request.registry, report)?;
        let id = put(self.store, &name, entries, request.annotations, request.amend)?;
        Ok((id, name))
    }

    /// Adds images to a list, and says this of each; gives its id.
    ///
    /// # Errors
    /// A list or an image that is not there; the list is what it was then.
    pub fn add_to_list(
        &self,
        list: &str,
        (images, all): (&[Source], bool),
        annotation: &Annotation,
        registry: &PullRequest,
        report: &mut dyn FnMut(Message),
    ) -> Result<Digest> {
        find(self.store, list)?;
        let mut entries = source::entries(self, images, all, Lookup::StoreFirst, registry, report)?;
        entries.iter_mut().for_each(|entry| annotation.apply(&mut entry.entry));
        let lock = self.store.shared()?;
        let list = find(self.store, list)?;
        entries.iter().try_for_each(|entry| entry.still_here(self.store))?;
        let (changed, old) = self.store.images().change_list(&lock, &list.id, |index, parts| {
            entries.into_iter().for_each(|entry| entry.join(index, parts));
            Ok(())
        })?;
        drop(lock);
        discard(self.store, old);
        Ok(changed.id)
    }
}

/// Records a list with these entries under a name. With `amend` a list that has the name gets the entries; otherwise a
/// name that is taken is refused.
///
/// # Errors
/// A name that is taken, or that is an image's; an image that has been removed meanwhile.
pub fn put(
    store: &Store,
    name: &Reference,
    entries: Vec<Entry>,
    annotations: &BTreeMap<String, String>,
    amend: bool,
) -> Result<Digest> {
    let lock = store.shared()?;
    entries.iter().try_for_each(|entry| entry.still_here(store))?;
    let known = match store.images().find_any(&name.to_string())? {
        Some(Found::List(list)) if amend => Some(list.id),
        Some(Found::Image(image)) if amend => return Err(no_list(&name.to_string(), &image.reference)),
        _ => None,
    };
    let add = |index: &mut Index, parts: &mut Vec<Part>| {
        entries.into_iter().for_each(|entry| entry.join(index, parts));
        index.annotations.extend(annotations.clone());
    };
    let (id, old) = match known {
        Some(id) => {
            let (list, old) = store.images().change_list(&lock, &id, |index, parts| {
                add(index, parts);
                Ok(())
            })?;
            (list.id, old)
        }
        None => {
            let (mut index, mut parts) = (Index::default(), Vec::new());
            add(&mut index, &mut parts);
            let names = [name.clone()];
            (store.images().create_list(&lock, &names, (&index, &parts), false)?.id, None)
        }
    };
    drop(lock);
    store.events().emit(Event::image_named(Action::Tag, id.as_str(), &name.to_string()));
    discard(store, old);
    Ok(id)
}

/// Records a list with these entries under these names, which move to it. One that has the first of them and is the same
/// stays. Gives its id and the digest of its index.
///
/// # Errors
/// An image that has been removed meanwhile; when the file system refuses.
pub fn replace(
    store: &Store,
    names: &[Reference],
    entries: Vec<Entry>,
    annotations: &BTreeMap<String, String>,
) -> Result<(Digest, Digest)> {
    let lock = store.shared()?;
    entries.iter().try_for_each(|entry| entry.still_here(store))?;
    let (mut index, mut parts) = (Index::default(), Vec::new());
    entries.into_iter().for_each(|entry| entry.join(&mut index, &mut parts));
    index.annotations.clone_from(annotations);
    let known = names.first().map(|name| store.images().find_any(&name.to_string())).transpose()?.flatten();
    let list = match known {
        Some(Found::List(list))
            if list.index == index && list.parts == parts && store.images().is_own(&list.id) =>
        {
            for name in names {
                store.images().tag_list(&lock, &list.id, name)?;
            }
            *list
        }
        _ => store.images().create_list(&lock, names, (&index, &parts), true)?,
    };
    drop(lock);
    for name in names {
        store.events().emit(Event::image_named(Action::Tag, list.id.as_str(), &name.to_string()));
    }
    Ok((list.id, list.digest))
}

/// Changes what a list says of an entry, or with `whole` of the list itself; gives its id.
///
/// # Errors
/// A list that is not there, an entry that it does not have; the list is what it was then.
pub fn annotate(store: &Store, list: &str, entry: Option<&str>, annotation: &Annotation) -> Result<Digest> {
    change(store, list, |list, index, _| {
        match entry {
            None => index.annotations.extend(annotation.annotations.clone()),
            Some(text) => {
                let digest = source::entry_of(store, list, text)?;
                let entry = index.manifests.iter_mut().find(|entry| entry.digest == digest);
                annotation.apply(entry.ok_or_else(|| source::no_entry(text))?);
            }
        }
        Ok(())
    })
}

/// The entry of a list that a text means: the digest of its manifest.
///
/// # Errors
/// A list that is not there, an entry that it does not have.
pub fn entry(store: &Store, list: &str, text: &str) -> Result<Digest> {
    source::entry_of(store, &find(store, list)?, text)
}

/// Takes entries out of a list; gives its id.
///
/// # Errors
/// A list that is not there, an entry that it does not have; the list is what it was then.
pub fn remove_entries(store: &Store, list: &str, entries: &[String]) -> Result<Digest> {
    change(store, list, |list, index, _| {
        for text in entries {
            let digest = source::entry_of(store, list, text)?;
            index.manifests.retain(|entry| entry.digest != digest);
        }
        Ok(())
    })
}

/// Removes a list, or one of its names where it has others. Its images stay.
///
/// # Errors
/// A list that is not there; an image.
pub fn delete(store: &Store, list: &str) -> Result<Vec<Removed>> {
    if store.images().find_to_remove(list)?.is_none() {
        return Err(phrases::no_list_to_remove(list)
            .hint("See which lists there are: coracle images --filter manifest=true"));
    }
    find_to_remove(store, list)?;
    remove::remove(store, list, How { list_alone: true, ..How::default() })
}

fn change(
    store: &Store,
    text: &str,
    change: impl FnOnce(&List, &mut Index, &mut Vec<Part>) -> Result<()>,
) -> Result<Digest> {
    let lock = store.shared()?;
    let list = find(store, text)?;
    let (changed, old) =
        store.images().change_list(&lock, &list.id, |index, parts| change(&list, index, parts))?;
    drop(lock);
    discard(store, old);
    Ok(changed.id)
}

/// Removes the blob of an index that a list was. If others keep the store, `image prune` does it later.
fn discard(store: &Store, old: Option<Digest>) {
    let Some(old) = old else { return };
    let gone = store.exclusive().and_then(|lock| store.images().discard_blobs(&lock, &[old]));
    if let Err(error) = gone {
        log::info!("the former index is left to `coracle image prune`: {}", error.in_one_line());
    }
}

/// The refusal of a new list under a name that something has.
fn taken_by(name: &Reference, holder: &Digest) -> Error {
    phrases::list_name_taken(&name.to_string(), holder.hex()).hint(format!(
        "Choose another name, or add to the list that has it: coracle manifest create --amend {name} IMAGE"
    ))
}
