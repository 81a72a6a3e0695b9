//! Fetching images from registries and pushing them: names, hosts, credentials, transfers.
//!
//! Theory of operation. The work is split in two because of rule 1. *Preparing* ([`Prepared::new`]) happens in
//! the ordinary process: it reads configuration files and runs credential helpers, and its result needs neither
//! again. *Fetching* ([`fetch`]) happens in a leaf: it starts a single-threaded async runtime, and a thread per
//! layer that hashes the data and passes it on. *Pushing* ([`Pusher`]) is the same the other way round.
//!
//! `oci-client` provides the media types, the manifest, index and descriptor types and the error envelope of
//! the distribution spec. Requests are sent with `reqwest`, on which it is built, because its client lacks
//! client certificates, response headers (`Retry-After`), identity tokens, token renewal in the middle of a
//! pull, checks on the realm and on redirects, and limits on the size of manifests.

mod aliases;
mod answer;
#[cfg(test)]
mod arbitrary;
mod blob;
mod cause;
mod certs;
mod challenge;
mod client;
mod conf;
mod credentials;
mod daemon;
mod documents;
mod download;
mod endpoint;
mod event;
mod fetch;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod login;
mod manifest;
mod places;
mod platform;
pub mod policy;
mod prepare;
mod push;
mod reader;
mod retry;
mod rewrite;
mod runner;
mod search;
mod shown;
mod signatures;
mod tags;
mod tls;
mod token;
mod upload;

pub use conf::Registries;
pub use credentials::{Credentials, Forgotten, Keeper, Kept, LoginKey};
pub use documents::{RemoteDocument, document};
pub use download::{Downloaded, Sink, Validator, WebCertificates, WebFile, WebTrust, download};
pub use event::{Event, PushEvent};
pub use fetch::{Fetched, LayerSink, LayerSource, Target, fetch};
pub use login::{LoginCheck, Verdict, check_login};
pub use manifest::{ImageManifest, LayerDescriptor};
pub use places::Places;
pub use prepare::{Choose, Prepared, PullRequest};
pub use push::{Blob, Pusher};
pub use reader::Reader;
pub use retry::RetryPolicy;
pub use search::{Found, Hit, Search, search};
pub use signatures::signatures;
pub use tags::tags;
pub use upload::BlobSource;
