//! Loading images from an archive or a directory.

use super::enter;
use crate::engine::Engine;
use crate::error::{Error, Kind, Result, phrases};
use crate::fork;
use crate::image::{Digest, FileForm, FileLocation, Image, Member, Platform};
use crate::registry::policy::PolicyFile;
use crate::storage::Store;
use crate::storage::archive::{self, Loaded, Progress, Source, Wanted};
use crate::storage::events::{Action, Event};
use crate::sys::fd::link_of;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

impl Engine<'_> {
    /// Loads the images of an archive or a directory, if the policy lets it; `name` is what events call it.
    ///
    /// # Errors
    /// A malformed or inconsistent archive, one that the policy rejects; then nothing of it is kept.
    pub fn load(&self, input: File, name: &str, report: &mut dyn FnMut(Progress)) -> Result<Vec<Loaded>> {
        self.load_by(archive::load, (input, name), report)
    }

    /// As [`Engine::load`], from somebody who has no say in what images are called here: they get no names. Those that
    /// are returned are what the archive calls them.
    ///
    /// # Errors
    /// As there.
    pub fn load_unnamed(
        &self,
        input: File,
        name: &str,
        report: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Loaded>> {
        self.load_by(archive::load_unnamed, (input, name), report)
    }

    fn load_by(
        &self,
        load_all: LoadAll,
        (input, name): (File, &str),
        report: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Loaded>> {
        let policy = PolicyFile::load(&self.places())?.policy;
        let real = path_of(&input);
        let admit = |source: &Source| {
            let form = archive::form_of(source)?;
            let place = FileLocation { form, path: name.into(), member: None };
            policy.admit_file(&place, &real)
        };
        load(self.store, load_all, (input, name), &admit, report)
    }

    /// Loads one image of an OCI image layout, open as `dir`, if the policy lets it, without giving it a name; returns
    /// its id. `path` is what the layout is called. It logs no event: it is a part of another operation.
    ///
    /// # Errors
    /// `NotFound` when the layout does not have it; one that the policy rejects; a malformed layout, of which nothing is
    /// kept then.
    pub fn load_wanted(
        &self,
        dir: File,
        path: &Path,
        wanted: &Wanted,
        report: &mut dyn FnMut(Progress),
    ) -> Result<Digest> {
        let member = wanted.tag.clone().filter(|_| wanted.digest.is_none()).map(Member::Name);
        self.admit_file(&dir, &FileLocation { form: FileForm::OciDir, path: path.to_owned(), member })?;
        load_wanted(self.store, dir, wanted, report)
    }

    /// Refuses an image, or what is kept like one, in an open file or directory that the policy does not accept.
    ///
    /// # Errors
    /// As [`crate::registry::policy::Policy::admit_file`], and a policy that cannot be read.
    pub fn admit_file(&self, input: &File, place: &FileLocation) -> Result<()> {
        PolicyFile::load(&self.places())?.policy.admit_file(place, &path_of(input))
    }

    /// Refuses to copy an image of the store that the policy does not accept from there.
    ///
    /// # Errors
    /// As [`crate::registry::policy::Policy::admit_stored`], and a policy that cannot be read.
    pub fn admit_stored(&self, image: &Image) -> Result<()> {
        let policy = PolicyFile::load(&self.places())?.policy;
        policy.admit_stored(&image.id, self.store.data(), self.store.runtime())
    }
}

/// Where an open file is, without links, whatever its path leads to by now: scopes of the policy are about what is
/// read. Empty for a pipe and for what has been removed, which are in no directory.
fn path_of(file: &File) -> PathBuf {
    let found = std::fs::read_link(link_of(file)).unwrap_or_default();
    let is_there = found.is_absolute() && std::fs::metadata(&found).is_ok_and(|there| same(file, &there));
    if is_there { found } else { PathBuf::new() }
}

fn same(file: &File, there: &std::fs::Metadata) -> bool {
    file.metadata().is_ok_and(|own| (own.dev(), own.ino()) == (there.dev(), there.ino()))
}

/// Brings the images of an archive in.
type LoadAll = fn(&Store, &Source, &dyn Fn(Progress), &dyn Fn() -> bool) -> Result<Vec<Loaded>>;

fn load(
    store: &Store,
    load_all: LoadAll,
    (input, name): (File, &str),
    admit: &dyn Fn(&Source) -> Result<()>,
    report: &mut dyn FnMut(Progress),
) -> Result<Vec<Loaded>> {
    let is_directory = input.metadata().is_ok_and(|found| found.is_dir());
    let refused = |error: Error| match (error.kind(), is_directory) {
        (Kind::Image, true) => phrases::no_image_directory(name).caused_by(error),
        (Kind::Image, false) => phrases::no_image_archive().caused_by(error),
        _ => error,
    };
    let loaded = fork::tidy_leaf(
        "load",
        &[input.as_raw_fd()],
        |reporter, stop| {
            let _member = enter(store)?;
            let stop = || stop.came();
            let source = archive::open(store, input, &stop).map_err(refused)?;
            admit(&source)?;
            let load = || load_all(store, &source, &|step| reporter.send(step), &stop);
            store.images().together(None, load).map_err(refused)
        },
        report,
    )?;
    for image in &loaded {
        store.events().emit(Event::image_named(Action::Load, image.id.as_str(), name));
    }
    Ok(loaded)
}

fn load_wanted(
    store: &Store,
    dir: File,
    wanted: &Wanted,
    report: &mut dyn FnMut(Progress),
) -> Result<Digest> {
    let loaded = fork::tidy_leaf(
        "load",
        &[dir.as_raw_fd()],
        |reporter, stop| {
            let _member = enter(store)?;
            let source = Source::directory(dir.into());
            let stop = || stop.came();
            archive::load_wanted(store, &source, wanted, &|step| reporter.send(step), &stop)
        },
        report,
    )?;
    Ok(loaded.id)
}

/// Loads the image of an archive or a directory that a location chooses. As [`Engine::load_wanted`] it logs no event; the image
/// gets the names that the location means.
///
/// # Errors
/// `NotFound` when it is not there, `Usage` when several are and none was chosen; a malformed archive, of which nothing
/// is kept then.
pub fn load_chosen(
    store: &Store,
    input: File,
    location: &FileLocation,
    platform: &Platform,
    report: &mut dyn FnMut(Progress),
) -> Result<Loaded> {
    fork::tidy_leaf(
        "load",
        &[input.as_raw_fd()],
        |reporter, stop| {
            let _member = enter(store)?;
            let stop = || stop.came();
            let source = archive::open(store, input, &stop)?;
            archive::load_chosen(store, &source, location, platform, &|step| reporter.send(step), &stop)
        },
        report,
    )
}
