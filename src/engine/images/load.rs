//! Loading images from an archive or a directory.

use super::enter;
use crate::engine::Engine;
use crate::error::{Error, Kind, Result, phrases};
use crate::fork;
use crate::image::{Digest, FileLocation, Platform};
use crate::registry::policy::PolicyFile;
use crate::storage::Store;
use crate::storage::archive::{self, Loaded, Progress, Source, Wanted};
use crate::storage::events::{Action, Event};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

impl Engine<'_> {
    /// Loads the images of an archive or a directory, if the policy lets it; `name` is what events call it, `place` its
    /// path, if it has one.
    ///
    /// # Errors
    /// A malformed or inconsistent archive, one that the policy rejects; then nothing of it is kept.
    pub fn load(
        &self,
        input: File,
        name: &str,
        place: Option<&Path>,
        report: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Loaded>> {
        self.load_by(archive::load, (input, name, place), report)
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
        self.load_by(archive::load_unnamed, (input, name, None), report)
    }

    fn load_by(
        &self,
        load_all: LoadAll,
        (input, name, place): (File, &str, Option<&Path>),
        report: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Loaded>> {
        let policy = PolicyFile::load(&self.places())?.policy;
        let real = place.map(|path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()));
        let admit = |source: &Source| {
            let form = archive::form_of(source)?;
            let place = FileLocation { form, path: name.into(), member: None };
            policy.admit_file(&place, real.as_deref().unwrap_or(Path::new("")))
        };
        load(self.store, load_all, (input, name), &admit, report)
    }
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

/// Loads one image of an OCI image layout, open as `dir`, without giving it a name; returns its id. It logs no event:
/// it is a part of another operation.
///
/// # Errors
/// `NotFound` when the layout does not have it; a malformed layout, of which nothing is kept then.
pub fn load_wanted(
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

/// Loads the image of an archive or a directory that a location chooses. As [`load_wanted`] it logs no event; the image
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

/// What is wrong with an archive, below what programs look for.
fn refused(error: Error) -> Error {
    match error.kind() {
        Kind::Image => phrases::no_image_archive().caused_by(error),
        _ => error,
    }
}
