//! Selecting, hashing and copying files: COPY, ADD and what is in a context.
//!
//! ```text
//! Tree                     a context, a stage or an image: a root directory, an ignore file, whose files they are
//!   -> Selection::find     what the sources mean: a list of files, each looked at once
//!   -> Selection::digest   the content key; files that Remembered knows are not read again
//!   -> Selection::write    into a Destination below the root of a stage
//! ```
//!
//! Nothing here starts processes or threads, and nothing reaches a file by a path from the host's root: all begins
//! with the descriptor of a root, and symlinks are followed inside it only.

mod apart;
mod attributes;
mod destination;
mod digest;
mod directory;
mod glob;
mod ignore;
mod ignore_file;
mod list;
mod maker;
mod mode;
mod node;
mod owner;
mod path;
mod pattern;
mod remembered;
mod rules;
mod selection;
mod single;
mod tree;
mod unit;
mod unpacking;
mod within;
mod write;

pub use destination::Destination;
pub use directory::make_directory;
pub use ignore::Ignore;
pub use ignore_file::{IgnorePlaces, PathIn};
pub use maker::{Write, Written};
pub use mode::{ModeChange, ModeStep};
pub use owner::OwnerName;
pub use remembered::Remembered;
pub use selection::{Select, Selection};
pub use single::{unpack_archive, write_download, write_inline};
pub use tree::{Owners, Tree};
