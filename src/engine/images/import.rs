//! Creating an image from an archive of files.

use super::enter;
use crate::container::Signal;
use crate::engine::Engine;
use crate::error::Result;
use crate::fork;
use crate::image::change::Change;
use crate::image::{Digest, ImageConfig, Reference};
use crate::registry::policy::PolicyFile;
use crate::storage::Store;
use crate::storage::archive::{Family, MakeImage, NewLayer, make_image};
use crate::storage::events::{Action, Event};
use std::fs::File;
use std::os::fd::AsRawFd;

impl Engine<'_> {
    /// Makes an image of an archive of files, if the policy lets it; returns its id. `origin` is what the archive is called.
    ///
    /// # Errors
    /// An archive that the unpacker or the policy refuses; nothing is kept then.
    pub fn import(
        &self,
        input: File,
        origin: &str,
        config: ImageConfig,
        names: &[Reference],
    ) -> Result<Digest> {
        PolicyFile::load(&self.places())?.policy.admit_tarball(origin)?;
        import(self.store, input, config, names)
    }
}

fn import(store: &Store, input: File, config: ImageConfig, names: &[Reference]) -> Result<Digest> {
    let id: Digest = fork::tidy_leaf::<(), _>(
        "import",
        &[input.as_raw_fd()],
        |_, stop| {
            let _member = enter(store)?;
            let layer = NewLayer::read(store, input, &|| stop.came())?;
            let mut config = config;
            if let Some(step) = config.history.first_mut() {
                let file = layer.diff_id().0.hex();
                step.created_by = Some(format!("/bin/sh -c #(nop) ADD file:{file} in /"));
            }
            let make = MakeImage { base: None, layer: Some(layer), config, family: Family::Oci, names };
            Ok(make_image(store, make)?.id)
        },
        |()| {},
    )?;
    let name = names.first().map_or_else(|| id.hex().to_owned(), ToString::to_string);
    store.events().emit(Event::image_named(Action::Import, id.as_str(), &name));
    Ok(id)
}

/// Refuses changes of a configuration that mean nothing.
///
/// # Errors
/// `Usage` for an invalid stop signal.
pub fn check_changes(changes: &[Change]) -> Result<()> {
    for change in changes {
        if let Change::StopSignal(signal) = change {
            signal.parse::<Signal>()?;
        }
    }
    Ok(())
}
