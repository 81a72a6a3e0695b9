//! Build contexts and sources of ADD that come from elsewhere.
//!
//! ```text
//! an address or a path
//!   -> remote         which of these it is
//!   -> git            a repository, fetched with the host's git
//!   -> http           a file of a web server
//!   -> archive        a stream: unpacked, or the text of a Containerfile
//!   -> layout         an image of an OCI image layout
//!   -> context        a directory's descriptor, and what identifies its content
//!   -> containerfile  the texts to build
//! ```
//!
//! What comes from elsewhere is in a directory of the store's `tmp/` that goes with the value that owns it, and is
//! reached from that directory's descriptor only.

mod address;
pub mod archive;
pub mod containerfile;
pub mod context;
mod descriptor;
pub mod git;
pub mod http;
pub mod layout;
pub mod remote;
mod report;
mod tree;

pub use address::Secret;
pub use report::Progress;
