//! Fetching images from registries: names, hosts, credentials, transfers.
//!
//! Theory of operation. Work is split in two because of law 1. *Preparing* ([`Prepared::new`]) happens
//! in the ordinary process: configuration files are read and credential helpers run, and the result
//! needs neither again. *Fetching* ([`fetch`]) happens in a leaf: it starts an async runtime of one
//! thread, and a thread per layer that hashes and hands the bytes on.
//!
//! The split with `oci-client`: it supplies the media types, the manifest, index and descriptor types
//! and the error envelope of the distribution spec. Requests go out through `reqwest`, which it is built
//! on, because its client offers no client certificates, response headers (`Retry-After`), identity
//! tokens, renewal of a token in the middle of a pull, checks on the realm and on redirects, or bounded
//! manifests.

mod answer;
mod blob;
mod cause;
mod certs;
mod challenge;
mod conf;
mod credentials;
mod endpoint;
mod event;
mod fetch;
mod http;
mod manifest;
mod places;
mod platform;
mod prepare;
mod retry;
mod shown;
mod tags;
mod token;

pub use conf::Registries;
pub use credentials::Credentials;
pub use event::Event;
pub use fetch::{Fetched, LayerSink, LayerSource, Target, fetch};
pub use manifest::{Compression, ImageManifest, LayerDescriptor};
pub use places::Places;
pub use prepare::{Prepared, PullRequest};
pub use retry::RetryPolicy;
pub use tags::tags;
