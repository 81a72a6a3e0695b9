//! What is said of an image on its way, in podman's words: the same for pull, push, load and scp.

use crate::image::Digest;
use crate::storage::archive::Progress as Loading;
use crate::ui::progress::{Bar, Progress};
use crate::view::Dialect;

/// How a blob ends that is there already.
pub const PRESENT: &str = "skipped: already exists";

/// A blob on its way: a bar on a terminal, else a line at its end.
#[derive(Debug)]
pub struct Blob {
    digest: Digest,
    bar: Bar,
}

impl Blob {
    /// A blob of this size in bytes that is about to be copied.
    pub fn new(progress: &Progress, digest: &Digest, size: u64) -> Blob {
        let bar = progress.bar_only(&format!("Copying blob {}", digest.short()), Some(size));
        Blob { digest: digest.clone(), bar }
    }

    /// Its bar.
    pub fn bar(&self) -> &Bar {
        &self.bar
    }

    /// It is there; `how` says why it was not copied, if so.
    pub fn end(self, progress: &Progress, how: Option<&str>) {
        if !progress.has_bars() {
            blob(progress, &self.digest, how);
        }
        self.bar.finish(how.unwrap_or("done"));
    }
}

fn blob(progress: &Progress, digest: &Digest, how: Option<&str>) {
    progress.note(&match how {
        Some(how) => format!("Copying blob {digest} {how}"),
        None => format!("Copying blob {digest}"),
    });
}

/// The first line, before any blob.
pub fn begin(progress: &Progress) {
    progress.below("Getting image source signatures");
}

/// The configuration is copied.
pub fn config(progress: &Progress, digest: &Digest) {
    progress.below(&match progress.has_bars() {
        true => format!("Copying config {} done", digest.short()),
        false => format!("Copying config {digest}"),
    });
}

/// The last line: the image is there.
pub fn manifest(progress: &Progress) {
    progress.below("Writing manifest to image destination");
}

/// A step of an image that comes from an archive. Docker speaks of layers only, and only on a terminal.
pub fn loading(progress: &Progress, dialect: Dialect, step: &Loading) {
    match (dialect, step) {
        (Dialect::Podman, Loading::Layer(id)) => blob(progress, id, None),
        (Dialect::Podman, Loading::Present(id)) => blob(progress, id, Some(PRESENT)),
        (Dialect::Podman, Loading::Image(id)) => {
            config(progress, id);
            manifest(progress);
        }
        (Dialect::Docker, Loading::Layer(id)) if progress.has_bars() => {
            progress.below(&format!("{}: Loading layer", id.short()));
        }
        (Dialect::Docker, _) => {}
    }
}
