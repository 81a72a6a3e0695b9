//! Loads one image of what a transport names: `oci:`, `oci-archive:`, `docker-archive:` and `dir:`
//! (containers-transports(5)).
//!
//! The parts are those of [`super::load`], so everything is checked that is checked there. The names that the image
//! gets are those that podman gives it: from `docker-archive:` those of the archive, or the one that was asked for; from
//! `oci-archive:` what the index says; from `oci:` that too, if the image was asked for by its name; else none. Where a
//! layout's name of an image is no name here, as `V1` is none, the image gets none.

use super::entry::{blob, blob_path, image_entry, resolved};
use super::load::{Candidate, Loaded, Progress, bring, candidate, check_count, docker_list, names_of};
use super::manifest::{Descriptor, Index};
use super::names::{CONTAINERD_NAME, INDEX, LAYOUT, MANIFEST, REF_NAME};
use super::source::{Source, bad};
use crate::error::{Error, Kind, Result};
use crate::image::{Digest, FileForm, FileLocation, Member, Platform, Reference, docker_name};
use crate::storage::Store;

/// Names of images that a message lists.
const LISTED_MAX: usize = 5;

/// Loads an image. As [`super::load`], to be called in a leaf, inside the user namespace.
///
/// # Errors
/// `NotFound` when it is not there, `Usage` when several are and none was chosen; else as [`super::load`].
pub fn load_chosen(
    store: &Store,
    source: &Source,
    location: &FileLocation,
    platform: &Platform,
    report: &dyn Fn(Progress),
    stop: &dyn Fn() -> bool,
) -> Result<Loaded> {
    let found = match location.form {
        FileForm::OciDir | FileForm::OciArchive => of_layout(source, location, platform)?,
        FileForm::DockerArchive => of_docker_archive(source, location)?,
        FileForm::Dir => of_directory(source, platform)?,
    };
    bring(store, source, &found, report, stop)
}

/// An image of an OCI layout.
fn of_layout(source: &Source, location: &FileLocation, platform: &Platform) -> Result<Candidate> {
    let other = FileLocation { form: FileForm::DockerArchive, ..location.clone() };
    if source.read(LAYOUT)?.is_none() {
        let error = bad("it is not an OCI image layout: oci-layout is missing");
        return Err(match location.form {
            FileForm::OciArchive if source.read(MANIFEST)?.is_some() => {
                error.hint(format!("It is an archive of docker's form. Name it as one: {other}"))
            }
            _ => error,
        });
    }
    let index = source.read(INDEX)?.ok_or_else(|| bad("index.json is missing"))?;
    let entries = Index::parse(INDEX, &index)?.manifests;
    check_count(entries.len())?;
    let called = |entry: &Descriptor, name: &str| {
        [REF_NAME, CONTAINERD_NAME].iter().any(|key| entry.annotations.get(*key).is_some_and(|n| n == name))
    };
    let at = match &location.member {
        Some(Member::Name(name)) => entries.iter().position(|entry| called(entry, name)),
        member => place(member.as_ref(), entries.len()),
    };
    let Some(entry) = at.and_then(|at| entries.get(at)) else {
        let name = |entry: &Descriptor| entry.annotations.get(REF_NAME).cloned();
        return Err(not_one(location, entries.iter().map(name).collect()));
    };
    let image = image_entry(source, entry, platform)?;
    let image = image.ok_or_else(|| bad(&format!("{} is no image", entry.digest)))?;
    let is_named = location.form == FileForm::OciArchive || matches!(location.member, Some(Member::Name(_)));
    let names = match is_named {
        true => names_of(&entry.annotations).unwrap_or_default(),
        false => Vec::new(),
    };
    candidate(source, blob(source, &image)?, names, blob_path)
}

/// An image of an archive that has docker's list.
fn of_docker_archive(source: &Source, location: &FileLocation) -> Result<Candidate> {
    let Some(list) = source.read(MANIFEST)? else {
        let error = bad("it is not an archive of docker's form: manifest.json is missing");
        return Err(match source.read(LAYOUT)? {
            Some(_) => {
                let other = FileLocation { form: FileForm::OciArchive, ..location.clone() };
                error.hint(format!("It is an OCI image layout. Name it as one: {other}"))
            }
            None => error,
        });
    };
    let mut images = docker_list(source, &list)?;
    let wanted: Option<Reference> = match &location.member {
        Some(Member::Name(name)) => Some(docker_name(name)?),
        _ => None,
    };
    let at = match &wanted {
        Some(name) => images.iter().position(|image| image.names.contains(name)),
        None => place(location.member.as_ref(), images.len()),
    };
    let Some(at) = at.filter(|at| *at < images.len()) else {
        let name = |image: &Candidate| image.names.first().map(ToString::to_string);
        return Err(not_one(location, images.iter().map(name).collect()));
    };
    let mut image = images.swap_remove(at);
    if let Some(name) = wanted {
        image.names = vec![name];
    }
    Ok(image)
}

/// The image of a `dir:` directory, or what its index has for this platform.
fn of_directory(source: &Source, platform: &Platform) -> Result<Candidate> {
    let list = source.read(MANIFEST)?.ok_or_else(|| bad("manifest.json is missing"))?;
    let whole = Descriptor::of_document(&list, Digest::sha256_of(&list))?;
    let manifest = |entry: &Descriptor| -> Result<Vec<u8>> {
        if entry.digest == whole.digest {
            return Ok(list.clone());
        }
        let name = format!("{}.manifest.json", entry.digest.hex());
        let bytes = source.read(&name)?.ok_or_else(|| bad(&format!("{name} is missing")))?;
        match bytes.len() as u64 == entry.size && entry.digest.of_same_kind(&bytes) == entry.digest {
            true => Ok(bytes),
            false => Err(bad(&format!("{name} is not what was promised"))),
        }
    };
    let image = resolved(whole.clone(), platform, manifest)?.ok_or_else(|| bad("it is no image"))?;
    candidate(source, manifest(&image)?, Vec::new(), |digest| digest.hex().to_owned())
}

/// The place that is meant among so many; without a word the only one.
fn place(member: Option<&Member>, count: usize) -> Option<usize> {
    match member {
        Some(Member::At(at)) => Some(*at),
        _ => (count == 1).then_some(0),
    }
}

/// What to say of a location that does not lead to one image, where there are images of these names.
fn not_one(location: &FileLocation, names: Vec<Option<String>>) -> Error {
    let error = match &location.member {
        Some(Member::Name(name)) => {
            Error::new(Kind::NotFound, format!("{}: no image has the name {name}", location.path.display()))
        }
        Some(Member::At(at)) => Error::new(
            Kind::NotFound,
            format!("{}: there is no image @{at}, only {}", location.path.display(), names.len()),
        ),
        None if names.is_empty() => return bad("it holds no images"),
        None => Error::new(
            Kind::Usage,
            format!("{}: it holds {} images, and none was chosen", location.path.display(), names.len()),
        ),
    };
    let known = |(at, name): (usize, Option<String>)| {
        let member = name.map_or(Member::At(at), Member::Name);
        location.with(member).to_string()
    };
    let known: Vec<String> = names.into_iter().enumerate().take(LISTED_MAX).map(known).collect();
    match known.is_empty() {
        true => error,
        false => error.hint(format!("Name an image that is there: coracle pull {}", known.join(" or "))),
    }
}
