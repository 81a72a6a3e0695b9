//! Images of OCI image layouts: named contexts of the form `oci-layout://DIR[:TAG][@DIGEST]`.

use super::report::Progress;
use crate::engine::Engine;
use crate::error::{Error, Kind, Result, phrases};
use crate::image::Image;
use crate::storage::archive::{Progress as Step, Wanted};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open as open_path};
use nix::sys::stat::Mode;
use std::fs::File;
use std::path::Path;

/// Brings an image of the layout in a directory into the store, if the policy lets it; there it gets no name.
///
/// # Errors
/// `NotFound` when there is no such directory, or no such image in it; `Image` for a malformed layout
/// and for one that the policy rejects.
pub fn image(
    engine: &Engine<'_>,
    dir: &Path,
    wanted: &Wanted,
    report: &mut dyn FnMut(Progress),
) -> Result<Image> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let opened = open_path(dir, flags, Mode::empty()).map_err(|e| match e {
        Errno::ENOENT | Errno::ENOTDIR => phrases::no_context(&dir.display().to_string()),
        e => Error::new(Kind::Usage, format!("open {}", dir.display())).caused_by(e),
    })?;
    let mut told = |step| {
        let what = match step {
            Step::Layer(id) => format!("loading {id}"),
            Step::Present(_) | Step::Image(_) => return,
        };
        report(Progress::begins(what));
    };
    let loaded = engine
        .load_wanted(File::from(opened), dir, wanted, &mut told)
        .map_err(|e| Error::new(e.kind(), format!("load an image of {}", dir.display())).caused_by(e))?;
    let lost = || Error::new(Kind::Storage, format!("image {} has been removed again", loaded.short()));
    engine.store.images().find(loaded.as_str())?.ok_or_else(lost)
}
