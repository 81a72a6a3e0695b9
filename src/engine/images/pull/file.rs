//! Images from files and directories, named by their transport.

use super::message::Message;
use crate::engine::Engine;
use crate::engine::images::load;
use crate::error::{Error, Kind, Result};
use crate::image::{FileLocation, Image, Platform};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::fs::File;
use std::path::Path;

/// Loads the image of a place; `text` is how the user names it. What is here already is not read again.
///
/// # Errors
/// `NotFound` when nothing is there; those of the loading.
pub(super) fn pull(
    engine: &Engine<'_>,
    location: &FileLocation,
    platform: &Platform,
    report: &mut dyn FnMut(Message),
) -> Result<Image> {
    let input = opened(location)?;
    engine.admit_file(&input, location)?;
    let loaded = load::load_chosen(engine.store, input, location, platform, &mut |step| {
        report(Message::Loading(step));
    });
    let loaded = loaded.map_err(|error| {
        Error::new(error.kind(), format!("initializing source {location}")).caused_by(error)
    })?;
    let named =
        loaded.names.first().map(|name| engine.store.images().find_reference(name)).transpose()?.flatten();
    match named.filter(|image| image.id == loaded.id) {
        Some(image) => Ok(image),
        None => engine.store.images().find(loaded.id.as_str())?.ok_or_else(|| {
            Error::new(Kind::Storage, format!("image {} has been removed again", loaded.id.short()))
        }),
    }
}

fn opened(location: &FileLocation) -> Result<File> {
    let directory = if location.form.is_directory() { OFlag::O_DIRECTORY } else { OFlag::empty() };
    let found = open(&location.path, OFlag::O_RDONLY | OFlag::O_CLOEXEC | directory, Mode::empty());
    found.map(File::from).map_err(|e| {
        let kind = if e == Errno::ENOENT { Kind::NotFound } else { Kind::Usage };
        let dir = location.path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let below = Error::new(kind, format!("open {}", location.path.display())).caused_by(e);
        let error = Error::new(kind, format!("initializing source {location}")).caused_by(below);
        error.hint(format!("See what is there: ls -l {}", dir.display()))
    })
}
