//! The records of images, and the parts of other documents that are read for them.

use crate::image::{Digest, Reference};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The content of `refs/<hash>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RefRecord {
    pub(super) version: u32,
    pub(super) reference: Reference,
    pub(super) id: Digest,
    pub(super) manifest: ManifestRef,
}

/// The content of `images/<id>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ImageRecord {
    pub(super) version: u32,
    pub(super) id: Digest,
    /// The manifests it came with, newest first.
    pub(super) manifests: Vec<ManifestRef>,
    /// `repository@digest` of everything it was pulled as.
    pub(super) digests: Vec<String>,
    /// The names it has had, the latest first.
    #[serde(default)]
    pub(super) history: Vec<String>,
    pub(super) added: DateTime<Utc>,
}

impl ImageRecord {
    /// Remembers a name that the image has now.
    pub(super) fn note_name(&mut self, name: &Reference) {
        let name = name.to_string();
        self.history.retain(|known| *known != name);
        self.history.insert(0, name);
    }

    /// Remembers that the image is this digest in the name's repository.
    pub(super) fn note_digest(&mut self, name: &Reference, digest: &Digest) {
        let digest = format!("{}@{digest}", name.repository());
        if !self.digests.contains(&digest) {
            self.digests.push(digest);
        }
    }
}

/// The annotation that names an entry of an image layout's index (OCI image spec, annotations.md).
pub(super) const REF_NAME: &str = "org.opencontainers.image.ref.name";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Index {
    pub(super) schema_version: u32,
    pub(super) media_type: &'static str,
    pub(super) manifests: Vec<IndexEntry>,
}

#[derive(Serialize)]
pub(super) struct IndexEntry {
    #[serde(flatten)]
    pub(super) manifest: ManifestRef,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: BTreeMap<&'static str, String>,
}

/// The part of a manifest that names its configuration.
#[derive(Deserialize)]
pub(super) struct ConfigOf {
    pub(super) config: Named,
}

/// The part of a manifest that names its layers.
#[derive(Deserialize)]
pub(super) struct BlobsOf {
    #[serde(default)]
    pub(super) layers: Vec<Named>,
}

#[derive(Deserialize)]
pub(super) struct Named {
    pub(super) digest: Digest,
}

/// Names a manifest blob (OCI image spec, descriptor.md).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestRef {
    /// Its media type.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}
