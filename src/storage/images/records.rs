//! The records of images, and the parts of other documents that are read for them.

use crate::image::{ChainId, Digest, ImageConfig, Reference};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The content of `refs/<hash>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RefRecord {
    pub(super) version: u32,
    pub(super) reference: Reference,
    #[serde(flatten)]
    pub(super) target: Target,
}

/// What a name means. A coracle that knows no lists cannot read the record of a list's name, and so keeps everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Target {
    /// An image, as which of its manifests.
    Image { id: Digest, manifest: ManifestRef },
    /// A list of images.
    List { list: Digest },
}

impl Target {
    /// The id of the image or list.
    pub(super) fn id(&self) -> &Digest {
        match self {
            Target::Image { id, .. } => id,
            Target::List { list } => list,
        }
    }
}

/// The content of `lists/<id>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ListRecord {
    pub(super) version: u32,
    /// Chosen when the list is made; it stays while the index changes.
    pub(super) id: Digest,
    /// The index's bytes, a blob.
    pub(super) index: ManifestRef,
    /// What is known of each of its entries.
    pub(super) parts: Vec<Part>,
    /// `repository@digest` of everything it was named and pushed as.
    pub(super) digests: Vec<String>,
    /// As [`ImageRecord::remote`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) remote: Option<Vec<String>>,
    /// The names it has had, the latest first.
    pub(super) history: Vec<String>,
    pub(super) created: DateTime<Utc>,
}

impl ListRecord {
    /// Remembers a name that the list has now.
    pub(super) fn note_name(&mut self, name: &Reference) {
        note_name(&mut self.history, name);
    }

    /// Remembers that a registry has the index as this digest in the name's repository.
    pub(super) fn note_remote(&mut self, name: &Reference, digest: &Digest) {
        note_remote(&mut self.remote, &self.digests, name, digest);
        note_digest(&mut self.digests, name, digest);
    }
}

/// Where an entry of a list comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The digest of its manifest.
    pub digest: Digest,
    /// The image of the store that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Digest>,
    /// The name in a registry that it was added by, if it came from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Reference>,
}

fn note_name(history: &mut Vec<String>, name: &Reference) {
    let name = name.to_string();
    history.retain(|known| *known != name);
    history.insert(0, name);
}

/// The latest comes first.
fn note_remote(remote: &mut Option<Vec<String>>, digests: &[String], name: &Reference, digest: &Digest) {
    let digest = format!("{}@{digest}", name.repository());
    // What an older coracle has noted may be in a registry.
    let remote = remote.get_or_insert_with(|| digests.to_vec());
    remote.retain(|known| *known != digest);
    remote.insert(0, digest);
}

fn note_digest(digests: &mut Vec<String>, name: &Reference, digest: &Digest) {
    let digest = format!("{}@{digest}", name.repository());
    if !digests.contains(&digest) {
        digests.push(digest);
    }
}

/// The content of `images/<id>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ImageRecord {
    pub(super) version: u32,
    pub(super) id: Digest,
    /// The manifests it came with, newest first.
    pub(super) manifests: Vec<ManifestRef>,
    /// `repository@digest` of everything it was named, pulled and pushed as.
    pub(super) digests: Vec<String>,
    /// Those of them that a registry has or had, as it was pulled or pushed so; the latest first. Records of older
    /// coracles do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) remote: Option<Vec<String>>,
    /// The names it has had, the latest first.
    #[serde(default)]
    pub(super) history: Vec<String>,
    pub(super) added: DateTime<Utc>,
    /// What listings show of it. Records of older coracles lack it, and lose it when an older one changes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) shown: Option<Shown>,
}

/// What listings show of an image, so that they need neither its configuration nor the records of its layers. An image
/// is named by the digest of its configuration and that names its layers, so none of this ever changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shown {
    /// When it was made, if its configuration says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) created: Option<DateTime<Utc>>,
    pub(super) os: String,
    pub(super) architecture: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) labels: BTreeMap<String, String>,
    /// How many steps its history has.
    pub(super) steps: usize,
    /// Its layers, bottom first, with the bytes of file content in each.
    pub(super) layers: Vec<(ChainId, u64)>,
}

impl Shown {
    /// What is shown of an image with this configuration; `size` gives the bytes of a layer.
    pub(super) fn of(
        config: &ImageConfig,
        layers: &[ChainId],
        mut size: impl FnMut(&ChainId) -> u64,
    ) -> Shown {
        let created = config.created.as_deref().and_then(|text| DateTime::parse_from_rfc3339(text).ok());
        Shown {
            created: created.map(|moment| moment.with_timezone(&Utc)),
            os: config.os.clone(),
            architecture: config.architecture.clone(),
            labels: config.config.labels.clone(),
            steps: config.history.len(),
            layers: layers.iter().map(|layer| (layer.clone(), size(layer))).collect(),
        }
    }
}

impl ImageRecord {
    /// Remembers a name that the image has now.
    pub(super) fn note_name(&mut self, name: &Reference) {
        note_name(&mut self.history, name);
    }

    /// Remembers that the image is this digest in the name's repository.
    pub(super) fn note_digest(&mut self, name: &Reference, digest: &Digest) {
        note_digest(&mut self.digests, name, digest);
    }

    /// Remembers that a registry has the image as this digest in the name's repository.
    pub(super) fn note_remote(&mut self, name: &Reference, digest: &Digest) {
        note_remote(&mut self.remote, &self.digests, name, digest);
        self.note_digest(name, digest);
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
