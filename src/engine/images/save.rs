//! Saving images to an archive or a directory.

use crate::engine::Engine;
use crate::error::{Context, Error, Kind, Result};
use crate::fork;
use crate::image::{Digest, FileForm, FileLocation, Image, Platform, Reference};
use crate::storage::Store;
use crate::storage::archive::{self, Item, SaveFormat, Several, WholeList};
use crate::storage::events::{Action, Event};
use crate::userns;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::Path;

/// What is saved, and how.
#[derive(Debug)]
pub struct SaveRequest<'a> {
    /// An image, and names for it; with `each`, names of images.
    pub images: &'a [String],
    /// Every name is an image.
    pub each: bool,
    /// The form.
    pub format: SaveFormat,
    /// Compress layers that are not, in the form that allows it.
    pub compress: bool,
}

/// Where it goes.
#[derive(Debug)]
pub enum Target<'a> {
    /// A file, or the directory for a form that is one; that is made, or must be empty.
    Path(&'a Path),
    /// An open descriptor; for archives.
    Stream(BorrowedFd<'a>),
}

impl Engine<'_> {
    /// Saves images, if the policy lets it. An output that cannot be written completely leaves nothing at a path.
    ///
    /// # Errors
    /// An image that is not here or that the policy rejects, a name that is another image's, an output that cannot be
    /// written.
    pub fn save(&self, request: &SaveRequest<'_>, target: Target<'_>) -> Result<()> {
        let items = chosen(self.store, request)?;
        items.iter().try_for_each(|item| self.admit_stored(&item.image))?;
        save_chosen(self.store, request, &items, target)
    }
}

/// As [`Engine::save`], whatever the policy says: of images that were just made.
///
/// # Errors
/// As there.
pub fn save(store: &Store, request: &SaveRequest<'_>, target: Target<'_>) -> Result<()> {
    save_chosen(store, request, &chosen(store, request)?, target)
}

fn chosen(store: &Store, request: &SaveRequest<'_>) -> Result<Vec<Item>> {
    if request.each { several(store, request.images) } else { one(store, request.images) }
}

fn save_chosen(store: &Store, request: &SaveRequest<'_>, items: &[Item], target: Target<'_>) -> Result<()> {
    let name = match &target {
        Target::Path(path) => path.display().to_string(),
        Target::Stream(_) => "-".to_owned(),
    };
    put(store, request, items, target, &name)
}

fn put(
    store: &Store,
    request: &SaveRequest<'_>,
    items: &[Item],
    target: Target<'_>,
    name: &str,
) -> Result<()> {
    match archive::packs_layers(store, items)? {
        false => write(store, request, items, target)?,
        true => in_leaf(store, target, |target| write(store, request, items, target))?,
    }
    for item in items {
        store.events().emit(Event::image_named(Action::Save, item.image.id.as_str(), name));
    }
    Ok(())
}

/// Saves one image, under these names only, as an archive on an open descriptor.
///
/// # Errors
/// An output that cannot be written.
pub fn save_as(
    store: &Store,
    image: &Image,
    names: Vec<String>,
    format: SaveFormat,
    out: BorrowedFd<'_>,
) -> Result<()> {
    let request = SaveRequest { images: &[], each: false, format, compress: false };
    let items = [Item { image: image.clone(), names }];
    put(store, &request, &items, Target::Stream(out), "-")
}

/// Images of several platforms that are saved as one.
#[derive(Debug)]
pub struct IndexRequest<'a> {
    /// The images, by id, and what each is for.
    pub images: &'a [(Platform, Digest)],
    /// The names of the whole.
    pub names: &'a [Reference],
    /// What the index says about it.
    pub annotations: &'a BTreeMap<String, String>,
    /// A form of OCI.
    pub format: SaveFormat,
}

/// Saves images of several platforms as one OCI layout; gives the digest of their index.
///
/// # Errors
/// An image that is not here, an output that cannot be written.
pub fn save_index(store: &Store, request: &IndexRequest<'_>, target: Target<'_>) -> Result<Digest> {
    let mut images = Vec::new();
    for (platform, id) in request.images {
        images.push((platform.clone(), store.images().need(id.as_str())?));
    }
    in_leaf(store, target, |target| {
        let whole = Several { images: &images, names: request.names, annotations: request.annotations };
        match target {
            Target::Path(dir) if request.format == SaveFormat::OciDir => {
                let made = prepare(dir)?;
                whole.save_directory(store, dir).inspect_err(|_| empty(dir, made))
            }
            Target::Path(path) => {
                let mut digest = None;
                archive::to_file(path, |file| {
                    digest = Some(whole.save_archive(store, file)?);
                    Ok(())
                })?;
                digest.ok_or_else(|| Error::new(Kind::Storage, format!("{} was not written", path.display())))
            }
            Target::Stream(fd) => {
                let out = fd.try_clone_to_owned().context(Kind::Host, || "write an archive")?;
                whole.save_archive(store, &File::from(out))
            }
        }
    })
}

/// Writes a list with all its images to a file or a directory; gives the digest of its index.
///
/// # Errors
/// An output that cannot be written, which then has what it had before.
pub(in crate::engine) fn save_list(store: &Store, list: &WholeList<'_>, to: &FileLocation) -> Result<Digest> {
    let path = to.path.as_path();
    in_leaf(store, Target::Path(path), |_| match to.form {
        FileForm::OciDir => list.add_to_layout(store, path),
        FileForm::Dir => list.replace_directory(store, path),
        _ => {
            let mut digest = None;
            archive::to_file(path, |file| {
                digest = Some(list.save_archive(store, file)?);
                Ok(())
            })?;
            digest.ok_or_else(|| Error::new(Kind::Storage, format!("{} was not written", path.display())))
        }
    })
}

/// Does something that reads layers, in a leaf.
pub(super) fn in_leaf<T: Serialize + DeserializeOwned>(
    store: &Store,
    target: Target<'_>,
    work: impl FnOnce(Target<'_>) -> Result<T>,
) -> Result<T> {
    let kept = match &target {
        Target::Path(_) => Vec::new(),
        Target::Stream(fd) => vec![fd.as_raw_fd()],
    };
    fork::leaf::<(), T>(
        "save",
        &kept,
        |_| {
            let _member = userns::enter(store.runtime())?;
            store.verify_id_map()?;
            work(target)
        },
        |()| {},
    )
}

fn write(store: &Store, request: &SaveRequest<'_>, items: &[Item], target: Target<'_>) -> Result<()> {
    let SaveRequest { format, compress, .. } = *request;
    match target {
        Target::Path(dir) if matches!(format, SaveFormat::OciDir | SaveFormat::DockerDir) => {
            let made = prepare(dir)?;
            let saved =
                items.iter().try_for_each(|item| archive::save_directory(store, format, item, dir, compress));
            if saved.is_err() {
                empty(dir, made);
            }
            saved?;
        }
        Target::Path(path) => {
            archive::to_file(path, |file| archive::save_archive(store, format, items, file))?;
        }
        Target::Stream(fd) => {
            let out = fd.try_clone_to_owned().context(Kind::Host, || "write an archive")?;
            archive::save_archive(store, format, items, File::from(out))?;
        }
    }
    Ok(())
}

/// One image under the name it was called by, and those that follow. Names that other images have are
/// refused: the user wants those images saved.
fn one(store: &Store, texts: &[String]) -> Result<Vec<Item>> {
    let Some((first, more)) = texts.split_first() else { return Ok(Vec::new()) };
    let image = store.images().need(first)?;
    let mut names = tagged(&image);
    for text in more {
        let name = text.parse::<Reference>()?.as_new_name()?.to_string();
        if store.images().find(text)?.is_some_and(|found| found.id != image.id) {
            return Err(Error::new(
                Kind::Usage,
                format!("{text} is another image, not a new name for {first}"),
            )
            .hint(format!("Save each: coracle save -m -o FILE {}", texts.join(" "))));
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(vec![Item { image, names }])
}

fn several(store: &Store, texts: &[String]) -> Result<Vec<Item>> {
    let mut items: Vec<Item> = Vec::new();
    for text in texts {
        let image = store.images().need(text)?;
        let names = tagged(&image);
        match items.iter_mut().find(|item| item.image.id == image.id) {
            Some(item) => item.names.extend(names),
            None => items.push(Item { image, names }),
        }
    }
    for item in &mut items {
        item.names.sort();
        item.names.dedup();
    }
    Ok(items)
}

/// The name an image was found under, if it was not an id or a digest.
pub(super) fn tagged(image: &Image) -> Vec<String> {
    image.reference.iter().filter(|name| name.digest().is_none()).map(Reference::to_string).collect()
}

/// Makes the directory; one that is there must be empty. Returns whether it is new.
fn prepare(dir: &Path) -> Result<bool> {
    match fs::read_dir(dir).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(false),
        Ok(false) => Err(Error::new(Kind::Usage, format!("directory {} is not empty", dir.display()))
            .hint("Name another one: coracle save -o DIR ...")),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            fs::create_dir(dir).map(|()| true).map_err(|e| cannot(dir, e))
        }
        Err(e) => Err(cannot(dir, e)),
    }
}

fn cannot(dir: &Path, e: io::Error) -> Error {
    Error::new(Kind::Usage, format!("use directory {}", dir.display())).caused_by(e)
}

/// Takes back what was written into a directory that was empty.
fn empty(dir: &Path, made: bool) {
    // Only the failure that led here is reported.
    let _ = match made {
        true => fs::remove_dir_all(dir),
        false => fs::read_dir(dir).map(|entries| {
            for entry in entries.flatten() {
                let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
                let path = entry.path();
                let _ = if is_dir { fs::remove_dir_all(path) } else { fs::remove_file(path) };
            }
        }),
    };
}
