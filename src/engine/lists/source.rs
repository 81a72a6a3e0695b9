//! The images that lists get: from the store, or by reference from a registry, where their layers stay.

use crate::engine::Engine;
use crate::engine::images::pull::Message;
use crate::error::{Error, Kind, Result, phrases};
use crate::fork;
use crate::image::index::is_index;
use crate::image::{
    Digest, Image, ImageConfig, Index, IndexEntry, Platform, PlatformOf, Reference, document,
};
use crate::registry::{self, PullRequest, RemoteDocument};
use crate::storage::Store;
use crate::storage::archive::Manifest;
use crate::storage::images::{Found, List, Part};
use std::str::FromStr;

/// An image to be put into a list, as users write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A name or an id: one of the store, or else a name in a registry.
    Any(String),
    /// `containers-storage:NAME`: one of the store.
    Store(String),
    /// `docker://NAME`: a name in a registry.
    Registry(Reference),
}

/// Forms of names that mean files or other programs.
const OTHERS: [&str; 8] =
    ["dir:", "docker-archive:", "docker-daemon:", "oci:", "oci-archive:", "ostree:", "sif:", "tarball:"];

impl FromStr for Source {
    type Err = Error;

    fn from_str(text: &str) -> Result<Source> {
        if let Some(name) = text.strip_prefix("docker://") {
            return name.parse().map(Source::Registry);
        }
        if let Some(name) = text.strip_prefix("containers-storage:") {
            return Ok(Source::Store(name.to_owned()));
        }
        if OTHERS.iter().any(|transport| text.starts_with(transport)) {
            let error =
                Error::new(Kind::Usage, format!("{text}: a list gets images of the store and of registries"));
            return Err(error.hint("Put the image into the store first: coracle load -i FILE"));
        }
        Ok(Source::Any(text.to_owned()))
    }
}

/// A new entry of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// What the index says.
    pub entry: IndexEntry,
    part: Part,
}

impl Entry {
    /// The entry for an image of the store.
    ///
    /// # Errors
    /// When its manifest is lost.
    pub fn of(store: &Store, image: &Image) -> Result<Entry> {
        let lost = || {
            Error::new(Kind::NotFound, format!("the manifest of image {} is missing", image.id.short()))
                .hint("Fetch the image again: coracle pull IMAGE")
        };
        let bytes = store.blobs().read(&image.manifest)?.ok_or_else(lost)?;
        let media_type = Manifest::parse(image.manifest.as_str(), &bytes)?.recorded_type();
        let mut entry = IndexEntry::new(media_type, image.manifest.clone(), bytes.len() as u64);
        entry.platform = Some(platform(&image.config));
        let part = Part { digest: image.manifest.clone(), image: Some(image.id.clone()), source: None };
        Ok(Entry { entry, part })
    }

    /// The same, for this platform.
    #[must_use]
    pub fn platform(mut self, platform: &Platform) -> Entry {
        self.entry.platform = Some(platform.into());
        self
    }

    /// Checks that the image is in the store still, if it was. Under the lock it stays there.
    pub(super) fn still_here(&self, store: &Store) -> Result<()> {
        match &self.part.image {
            Some(image) if self.part.source.is_none() => store.images().need(image.as_str()).map(drop),
            _ => Ok(()),
        }
    }

    /// Puts it into a list.
    pub(super) fn join(self, index: &mut Index, parts: &mut Vec<Part>) {
        let Entry { entry, part } = self;
        index.put(entry);
        match parts.iter_mut().find(|known| known.digest == part.digest) {
            // What is known already is no less true.
            Some(known) => {
                *known = Part {
                    image: part.image.or(known.image.take()),
                    source: part.source.or(known.source.take()),
                    ..part
                };
            }
            None => parts.push(part),
        }
    }
}

fn platform(config: &ImageConfig) -> PlatformOf {
    let variant = config.variant.clone().filter(|variant| !variant.is_empty());
    PlatformOf {
        architecture: config.architecture.clone(),
        os: config.os.clone(),
        variant,
        ..PlatformOf::default()
    }
}

/// Where names of images are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// In the store, then in a registry.
    StoreFirst,
    /// In a registry, then in the store; what is a list there is refused, as docker does.
    RegistryFirst,
}

/// The entry for an image that a registry has under a name; `None` when it is the store that knows more: the name is of
/// no registry, an id, or one that the registry does not have and the store does.
fn in_registry(
    engine: &Engine<'_>,
    text: &str,
    request: &PullRequest,
    report: &mut dyn FnMut(Message),
) -> Result<Option<Entry>> {
    let here = engine.store.images().find_any(text)?;
    let name = match &here {
        Some(Found::Image(image)) => image.reference.clone(),
        Some(Found::List(list)) => return Err(phrases::is_list(text, &list.called())),
        None => text.parse::<Reference>().ok().filter(|_| !is_id(text)),
    };
    let Some(name) = name.filter(|name| name.registry() != Some("localhost")) else { return Ok(None) };
    let found = match document(engine, (&name, true), request, report) {
        Ok(found) => found,
        Err(_) if here.is_some() => return Ok(None),
        Err(error) if error.kind() == Kind::NotFound => {
            return Err(phrases::no_list(text).hint("Check the name and the tag."));
        }
        Err(error) => return Err(error),
    };
    match is_index(&found.media_type) {
        true => Err(phrases::is_list(text, &found.reference.to_string())),
        false => entries_of(engine, found, false, request).map(|entries| entries.into_iter().next()),
    }
}

/// The entries for images; of one that is a list, with `all` everything that it has.
///
/// # Errors
/// One that is not there.
pub(super) fn entries(
    engine: &Engine<'_>,
    images: &[Source],
    all: bool,
    first: Lookup,
    request: &PullRequest,
    report: &mut dyn FnMut(Message),
) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for image in images {
        if let (Source::Any(text), Lookup::RegistryFirst) = (image, first)
            && let Some(entry) = in_registry(engine, text, request, report)?
        {
            entries.push(entry);
            continue;
        }
        let (text, found) = match image {
            Source::Any(text) | Source::Store(text) => (text, engine.store.images().find_any(text)?),
            Source::Registry(name) => {
                entries.extend(remote(engine, name, all, request, report)?);
                continue;
            }
        };
        match (found, image) {
            (Some(Found::Image(image)), _) => entries.push(Entry::of(engine.store, &image)?),
            (Some(Found::List(list)), _) => entries.extend(of_list(&list, all)?),
            // An id is nothing to registries.
            (None, source) if matches!(source, Source::Store(_)) || is_id(text) => {
                return Err(phrases::no_image(text).hint("List the images: coracle images"));
            }
            (None, _) => entries.extend(remote(engine, &text.parse()?, all, request, report)?),
        }
    }
    Ok(entries)
}

/// Whether a text is an id in full.
fn is_id(text: &str) -> bool {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    format!("sha256:{digits}").parse::<Digest>().is_ok()
}

/// What a list of the store has: all of it, or what is for this machine.
fn of_list(list: &List, all: bool) -> Result<Vec<Entry>> {
    let with_part = |entry: &IndexEntry| {
        let unknown = || Part { digest: entry.digest.clone(), image: None, source: None };
        Entry { entry: entry.clone(), part: list.part(&entry.digest).cloned().unwrap_or_else(unknown) }
    };
    match all {
        true => Ok(list.index.manifests.iter().map(with_part).collect()),
        false => list.index.choose(None).map(|entry| vec![with_part(entry)]),
    }
}

/// What a name in a registry means.
pub(super) fn remote(
    engine: &Engine<'_>,
    name: &Reference,
    all: bool,
    request: &PullRequest,
    report: &mut dyn FnMut(Message),
) -> Result<Vec<Entry>> {
    let found = document(engine, (name, true), request, report)?;
    entries_of(engine, found, all, request)
}

fn entries_of(
    engine: &Engine<'_>,
    found: RemoteDocument,
    all: bool,
    request: &PullRequest,
) -> Result<Vec<Entry>> {
    let name = found.reference.to_string();
    let part = |digest: &Digest| {
        let here = engine.store.images().find(&found.reference.with_digest(digest.clone()).to_string());
        let image = here.ok().flatten().filter(|image| image.manifest == *digest).map(|image| image.id);
        Part { digest: digest.clone(), image, source: Some(found.reference.clone()) }
    };
    if is_index(&found.media_type) {
        let index = Index::parse(&name, found.text.as_bytes())?;
        let chosen: Vec<IndexEntry> = match all {
            true => index.manifests,
            false => vec![index.choose(Some(&request.platform))?.clone()],
        };
        return Ok(chosen
            .into_iter()
            .map(|entry| {
                let part = part(&entry.digest);
                Entry { entry, part }
            })
            .collect());
    }
    let bytes = found.config.as_deref().unwrap_or_default().as_bytes();
    let config: ImageConfig = document::parse(bytes).map_err(|e| {
        Error::new(Kind::Image, format!("the configuration of {name} is malformed"))
            .caused_by(e)
            .naming_image()
    })?;
    let mut entry = IndexEntry::new(found.media_type.clone(), found.digest.clone(), found.text.len() as u64);
    entry.platform = Some(platform(&config));
    Ok(vec![Entry { entry, part: part(&found.digest) }])
}

/// What a registry has under a name; with the configuration if that is wanted and it is an image.
///
/// # Errors
/// When no registry has it.
pub(super) fn document(
    engine: &Engine<'_>,
    (name, with_config): (&Reference, bool),
    request: &PullRequest,
    report: &mut dyn FnMut(Message),
) -> Result<RemoteDocument> {
    let prepared = engine.prepare(name, request)?;
    fork::tidy_leaf(
        "manifest",
        &[],
        |reporter, stop| {
            let report = |event| reporter.send(Message::Event(event));
            registry::document(&prepared, with_config, &report, &|| stop.came())
        },
        report,
    )
}

/// The entry of a list that a text means: the digest of a manifest, or the name or id of an image.
///
/// # Errors
/// When the list has no such entry, or several.
pub(super) fn entry_of(store: &Store, list: &List, text: &str) -> Result<Digest> {
    if let Ok(digest) = text.parse::<Digest>() {
        let has = list.index.manifests.iter().any(|entry| entry.digest == digest);
        return if has { Ok(digest) } else { Err(no_entry(text)) };
    }
    let name = match text.parse::<Source>()? {
        Source::Any(name) | Source::Store(name) => name,
        Source::Registry(name) => name.to_string(),
    };
    let image = store.images().find(&name).ok().flatten();
    let reference = name.parse::<Reference>().ok();
    let means = |part: &&Part| {
        let by_image = image.as_ref().is_some_and(|image| part.image.as_ref() == Some(&image.id));
        let by_name = reference.as_ref().is_some_and(|wanted| {
            part.source.as_ref().is_some_and(|source| {
                let registry = wanted.registry().unwrap_or("docker.io");
                wanted.qualify(registry).canonical() == source.canonical()
            })
        });
        by_image || by_name
    };
    let found: Vec<&Part> = list.parts.iter().filter(means).collect();
    match found.as_slice() {
        [part] => Ok(part.digest.clone()),
        [] => Err(no_entry(text)),
        _ => Err(Error::new(Kind::Usage, format!("the list has several entries of {text}"))
            .hint("Name one by its digest: coracle manifest inspect LIST")),
    }
}

/// The refusal of an entry that a list does not have.
pub(super) fn no_entry(text: &str) -> Error {
    Error::new(Kind::NotFound, format!("no instance matching {text:?} found in manifest list"))
        .hint("See what it has: coracle manifest inspect LIST")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_named_with_and_without_a_transport() {
        let read = |text: &str| text.parse::<Source>();
        assert_eq!(read("alpine").unwrap(), Source::Any("alpine".into()));
        assert_eq!(read("containers-storage:a/b:1").unwrap(), Source::Store("a/b:1".into()));
        assert_eq!(read("docker://quay.io/a:1").unwrap(), Source::Registry("quay.io/a:1".parse().unwrap()));
        for refused in ["dir:/tmp/x", "oci-archive:/tmp/x.tar", "docker-daemon:a:1", "docker://A"] {
            assert_eq!(read(refused).unwrap_err().kind(), Kind::Usage, "{refused}");
        }
    }
}
