//! What the `prune` verbs print.

use crate::engine::disk_usage;
use crate::error::Result;
use crate::image::Digest;
use crate::storage::Store;
use crate::text::units;
use crate::ui;

/// What was removed of one kind, under a heading; nothing if there was nothing.
pub(super) fn list(kind: &str, names: &[String]) -> String {
    let names = names.join("\n");
    match (names.is_empty(), ui::docker()) {
        (true, _) => String::new(),
        (false, true) => format!("Deleted {kind}:\n{names}\n\n"),
        (false, false) => format!("Deleted {kind}\n{names}\n"),
    }
}

/// The line for an image.
pub(super) fn image(id: &Digest) -> String {
    if ui::docker() { format!("deleted: {id}") } else { id.hex().to_owned() }
}

/// The last line; `freed` in bytes.
pub(super) fn total(freed: u64) -> String {
    format!("Total reclaimed space: {}\n", units::decimal_size(freed))
}

/// Does what a verb for one kind does, and prints what it says was removed: podman the names alone, docker under a
/// heading and with the space that was freed.
///
/// # Errors
/// Those of `remove`; output that cannot be written.
pub(super) fn one_kind(
    store: &Store,
    kind: &str,
    remove: impl FnOnce() -> Result<Vec<String>>,
) -> Result<()> {
    if ui::docker() {
        let (names, freed) = disk_usage::measured(store, |_| remove())?;
        return ui::out(&(list(kind, &names) + &total(freed)));
    }
    ui::out(&remove()?.iter().map(|name| format!("{name}\n")).collect::<String>())
}
