//! Image archives: docker archives, OCI layouts and the directories of containers/image, in and out.
//!
//! Theory of operation. A [`Source`] provides members by name, from an archive that is read in place or from a
//! directory; members are never unpacked to files. `load` first reads and checks all small members (indexes,
//! manifests, configurations), so that a malicious archive is refused before anything changes. Then each layer
//! goes through the same unpacker as a pulled one, and is checked against the digests in its configuration
//! (attack case 14). `save` writes the blobs as they are stored, so digests are preserved;
//! of layers that have none ([`LayerArchive`]) it packs them.
//!
//! Formats: OCI image spec, image-layout.md; docker's image specification v1.2, "Combined Image JSON +
//! Filesystem Changeset Format"; containers-transports(5), `dir:`.

#[cfg(test)]
mod arbitrary;
mod chosen;
mod deposit;
mod documents;
mod entry;
mod input;
mod layer;
mod layout;
mod load;
mod made;
#[cfg(test)]
mod made_tests;
mod manifest;
mod names;
mod outgoing;
mod output;
mod recompressed;
mod save;
mod several;
mod sink;
mod source;
mod steps;
mod upper;
mod whole_list;

pub use chosen::load_chosen;
pub use deposit::{add_to_layout, replace_directory};
pub use input::open;
pub use layer::LayerArchive;
pub use layout::{Wanted, load_wanted};
pub use load::{Loaded, Progress, form_of, load, load_unnamed};
pub use made::{LayerWriter, MakeImage, NewLayer, RecordImage, make_image, record_image};
pub use manifest::{Descriptor, Family, Manifest};
pub use outgoing::{LayerBytes, Outgoing, OutgoingForm, OutgoingLayer};
pub use output::to_file;
pub use save::{Item, SaveFormat, packs_layers, save_archive, save_directory, save_oci_archive};
pub use several::{MakeIndex, Several, index_of};
pub use source::Source;
pub use steps::{
    FoundCache, OutgoingCache, export_cache, import_layer, inline_cache, layout_cache, registry_cache,
};
pub use whole_list::WholeList;
