//! Manifests in archives: parsed strictly by their media type, and generated.

use crate::error::{Context, Error, Kind, Result};
use crate::image::index::{DOCKER_LIST, OCI_INDEX, is_index};
use crate::image::media::{self, Compression};
use crate::image::{Digest, LAYERS_MAX, PlatformOf, document};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";

/// Whose media types a manifest uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// OCI's.
    Oci,
    /// Docker's (schema 2).
    Docker,
}

impl Family {
    /// The media type of its manifests.
    pub fn manifest(self) -> &'static str {
        if self == Family::Oci { OCI_MANIFEST } else { DOCKER_MANIFEST }
    }

    /// The media type of its configurations.
    pub fn config(self) -> &'static str {
        if self == Family::Oci { OCI_CONFIG } else { DOCKER_CONFIG }
    }

    /// The media type of a layer that is a plain tar stream, or compressed by gzip.
    pub fn layer(self, gzip: bool) -> String {
        match (self, gzip) {
            (Family::Oci, true) => format!("{OCI_LAYER}+gzip"),
            (Family::Oci, false) => OCI_LAYER.to_owned(),
            (Family::Docker, true) => format!("{DOCKER_LAYER}.gzip"),
            (Family::Docker, false) => DOCKER_LAYER.to_owned(),
        }
    }

    /// The media type of a layer in this compression; zstd's is OCI's, as docker has none.
    pub(super) fn compressed(self, compression: Compression) -> String {
        match compression {
            Compression::Zstd => format!("{OCI_LAYER}+zstd"),
            other => self.layer(other == Compression::Gzip),
        }
    }
}

/// Names a blob (OCI image spec, descriptor.md).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Its media type.
    #[serde(default)]
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// What an index says about it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Which machine an index entry is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<PlatformOf>,
}

impl Descriptor {
    /// A descriptor without annotations.
    pub fn new(media_type: impl Into<String>, digest: Digest, size: u64) -> Descriptor {
        Descriptor {
            media_type: media_type.into(),
            digest,
            size,
            annotations: BTreeMap::new(),
            platform: None,
        }
    }

    /// A descriptor of a document of an OCI layout: an index or a manifest, as its members say.
    pub(super) fn of_document(bytes: &[u8], digest: Digest) -> Result<Descriptor> {
        let members: Strange = document::parse(bytes).context(Kind::Image, || format!("read {digest}"))?;
        let media_type = if members.manifests.is_some() { OCI_INDEX } else { OCI_MANIFEST };
        Ok(Descriptor::new(media_type, digest, bytes.len() as u64))
    }

    /// Whether it is an index of further manifests.
    pub(super) fn is_index(&self) -> bool {
        is_index(&self.media_type)
    }

    /// Whether it is the manifest of one image.
    pub(super) fn is_image(&self) -> bool {
        matches!(self.media_type.as_str(), OCI_MANIFEST | DOCKER_MANIFEST)
    }
}

/// An image's manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    schema_version: u32,
    /// Its own media type; OCI's may leave it out.
    #[serde(default)]
    pub media_type: String,
    /// The configuration, whose digest is the image's id.
    pub config: Descriptor,
    /// The layers' archives, bottom first.
    pub layers: Vec<Descriptor>,
    /// What it says about the image; OCI's only.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "strings")]
    pub annotations: BTreeMap<String, String>,
}

/// The entries of a map that are strings; the others mean nothing.
fn strings<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<BTreeMap<String, String>, D::Error> {
    let map = Option::<BTreeMap<String, serde_json::Value>>::deserialize(from)?.unwrap_or_default();
    let text = |(key, value): (String, serde_json::Value)| Some((key, value.as_str()?.to_owned()));
    Ok(map.into_iter().filter_map(text).collect())
}

/// What must not stand beside an image's own members (attack case 10).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Strange {
    manifests: Option<serde::de::IgnoredAny>,
    fs_layers: Option<serde::de::IgnoredAny>,
}

/// An index of manifests.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Index {
    schema_version: u32,
    #[serde(default)]
    media_type: String,
    pub(super) manifests: Vec<Descriptor>,
    /// What it says about the whole.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "strings")]
    annotations: BTreeMap<String, String>,
}

impl Index {
    pub(super) fn new(manifests: Vec<Descriptor>) -> Index {
        Index { schema_version: 2, media_type: OCI_INDEX.to_owned(), manifests, annotations: BTreeMap::new() }
    }

    /// The same, saying this about the whole.
    pub(super) fn annotated(self, annotations: &BTreeMap<String, String>) -> Index {
        Index { annotations: annotations.clone(), ..self }
    }

    pub(super) fn parse(name: &str, bytes: &[u8]) -> Result<Index> {
        #[derive(Deserialize)]
        struct Image {
            config: Option<serde::de::IgnoredAny>,
            layers: Option<serde::de::IgnoredAny>,
        }
        let refuse = |why: &str| refused(name, "an index", why);
        let index: Index = document::parse(bytes).map_err(|e| refuse("it is malformed").caused_by(e))?;
        let image: Image = document::parse(bytes).context(Kind::Image, || "read an index")?;
        if image.config.is_some() || image.layers.is_some() {
            return Err(refuse("it has the members of an image, too"));
        }
        if index.schema_version != 2 || !matches!(index.media_type.as_str(), "" | OCI_INDEX | DOCKER_LIST) {
            return Err(refuse("its version or media type is another"));
        }
        Ok(index)
    }
}

fn refused(name: &str, what: &str, why: &str) -> Error {
    Error::new(Kind::Image, format!("{name} is not {what}: {why}"))
}

impl Manifest {
    /// A manifest of this family.
    pub fn new(family: Family, config: (Digest, u64), layers: Vec<Descriptor>) -> Manifest {
        Manifest {
            schema_version: 2,
            media_type: family.manifest().to_owned(),
            config: Descriptor::new(family.config(), config.0, config.1),
            layers,
            annotations: BTreeMap::new(),
        }
    }

    /// Reads a manifest; `name` is for messages.
    ///
    /// # Errors
    /// Anything but one image with layers of known types.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Manifest> {
        let refuse = |why: &str| refused(name, "an image manifest", why);
        let manifest: Manifest =
            document::parse(bytes).map_err(|e| refuse("it is malformed").caused_by(e))?;
        let strange: Strange = document::parse(bytes).context(Kind::Image, || "read a manifest")?;
        if strange.manifests.is_some() || strange.fs_layers.is_some() {
            return Err(refuse("it has the members of an image and of an index"));
        }
        if manifest.schema_version != 2 || manifest.family().is_none() {
            return Err(refuse("its version or media type is another"));
        }
        if !media::may_be_config(&manifest.config.media_type) {
            return Err(refuse("it is not a container image"));
        }
        if manifest.layers.len() > LAYERS_MAX {
            return Err(refuse(&format!("it has more than {LAYERS_MAX} layers")));
        }
        match manifest.layers.iter().find(|layer| media::compression(&layer.media_type).is_none()) {
            Some(_) => Err(refuse("it has a layer of an unknown type")),
            None => Ok(manifest),
        }
    }

    /// Whose media types it uses.
    pub fn family(&self) -> Option<Family> {
        match self.media_type.as_str() {
            "" | OCI_MANIFEST => Some(Family::Oci),
            DOCKER_MANIFEST => Some(Family::Docker),
            _ => None,
        }
    }

    /// The media type it is recorded under.
    pub fn recorded_type(&self) -> &'static str {
        self.family().unwrap_or(Family::Oci).manifest()
    }

    /// The same image with another family's media types.
    ///
    /// # Errors
    /// A zstd layer, for which docker has no type.
    pub fn converted(&self, family: Family) -> Result<Manifest> {
        let layers = self.layers.iter().map(|layer| {
            let media_type = match (media::compression(&layer.media_type), family) {
                (Some(Compression::Zstd), Family::Docker) => {
                    return Err(Error::new(
                        Kind::Image,
                        format!(
                            "layer {} is compressed with zstd, which docker's format does not have",
                            layer.digest.short()
                        ),
                    )
                    .hint(
                        "Choose a format of OCI: --format oci-archive or oci-dir; for commit and push --format oci",
                    ));
                }
                (Some(Compression::Zstd), Family::Oci) => format!("{OCI_LAYER}+zstd"),
                (packed, _) => family.layer(packed == Some(Compression::Gzip)),
            };
            Ok(Descriptor::new(media_type, layer.digest.clone(), layer.size))
        });
        let config = (self.config.digest.clone(), self.config.size);
        let converted = Manifest::new(family, config, layers.collect::<Result<_>>()?);
        Ok(Manifest { annotations: self.annotations.clone(), ..converted }.fitting())
    }

    /// Without what its family does not have.
    pub(super) fn fitting(mut self) -> Manifest {
        if self.family() == Some(Family::Docker) {
            self.annotations.clear();
        }
        self
    }

    /// Its bytes.
    ///
    /// # Errors
    /// None in practice.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).context(Kind::Image, || "write a manifest")
    }
}
