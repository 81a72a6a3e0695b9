//! Manifests and indexes, parsed strictly by media type.
//!
//! The media type determines what a document is, never its structure: a document that could be parsed as both
//! an image and an index is refused (CVE-2021-41190). Sizes are limited before anything is read, and every
//! digest is parsed into a [`Digest`] here, or the document is refused.

use super::platform;
use super::shown::shown;
use crate::error::{Error, Kind, Result};
use crate::image::media::{self, Compression};
use crate::image::{Digest, LAYERS_MAX, Platform, document};
use oci_client::manifest as types;
use serde::Deserialize;

/// Largest manifest or index, in bytes (the distribution spec's recommended limit).
pub(super) const MANIFEST_MAX: u64 = 4 << 20;
/// Largest image configuration, in bytes.
pub(super) const CONFIG_MAX: u64 = 4 << 20;

/// The `Accept` header: everything we can read.
pub(super) fn accept() -> String {
    [
        types::OCI_IMAGE_INDEX_MEDIA_TYPE,
        types::OCI_IMAGE_MEDIA_TYPE,
        types::IMAGE_MANIFEST_LIST_MEDIA_TYPE,
        types::IMAGE_MANIFEST_MEDIA_TYPE,
    ]
    .join(", ")
}

/// A layer as its manifest describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerDescriptor {
    /// The digest of the blob.
    pub digest: Digest,
    /// The blob's size in bytes.
    pub size: u64,
    /// Its media type as written.
    pub media_type: String,
    /// How it is compressed.
    pub compression: Compression,
}

/// An image manifest, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageManifest {
    /// The digest of the configuration blob, which is the image's id.
    pub config: Digest,
    /// The configuration's size in bytes.
    pub config_size: u64,
    /// Bottom first.
    pub layers: Vec<LayerDescriptor>,
}

/// A manifest's document, by media type.
#[derive(Debug)]
pub(super) enum Document {
    /// One image.
    Image(ImageManifest),
    /// Several images, for several platforms.
    Index(types::OciImageIndex),
}

/// What is looked at before a document is taken for anything.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    schema_version: Option<i64>,
    media_type: Option<String>,
    manifests: Option<serde::de::IgnoredAny>,
    config: Option<serde::de::IgnoredAny>,
    layers: Option<serde::de::IgnoredAny>,
    fs_layers: Option<serde::de::IgnoredAny>,
}

fn refuse(name: &str, why: &str) -> Error {
    Error::new(Kind::Image, format!("{name} is not an image manifest: {why}")).naming_image()
}

/// Reads a document. `content_type` is the `Content-Type` it came with, `name` is for messages.
///
/// # Errors
/// Anything but a well-formed image or index of a known media type.
pub(super) fn parse(name: &str, content_type: Option<&str>, bytes: &[u8]) -> Result<Document> {
    let header = header_type(content_type);
    if bytes.iter().find(|b| !b.is_ascii_whitespace()) != Some(&b'{') {
        return Err(no_object(name, header.as_deref()));
    }
    let shape: Shape = document::parse(bytes).map_err(|e| refuse(name, "it is malformed").caused_by(e))?;
    // Servers without a notion of manifests say application/json or text/plain: then the document decides.
    let media_type = match (header.as_deref().filter(|t| is_known(t)), shape.media_type.as_deref()) {
        (Some(header), Some(own)) if header != own => {
            return Err(refuse(name, &format!("it was sent as {header} and calls itself {}", shown(own))));
        }
        (Some(header), _) => header.to_owned(),
        (None, Some(own)) => own.to_owned(),
        (None, None) if shape.fs_layers.is_some() => {
            "application/vnd.docker.distribution.manifest.v1+json".to_owned()
        }
        (None, None) => {
            let sent = header.as_deref().unwrap_or("nothing");
            return Err(refuse(name, &format!("it has no media type (it was sent as {})", shown(sent))));
        }
    };
    if is_schema1(&media_type) {
        return Err(refuse(name, "it is of docker's schema 1, which has been retired")
            .hint("Push the image again with a current version of docker, podman or skopeo."));
    }
    if shape.schema_version != Some(2) {
        return Err(refuse(name, "its schemaVersion is not 2"));
    }
    let both = shape.manifests.is_some() && (shape.config.is_some() || shape.layers.is_some());
    if both || shape.fs_layers.is_some() {
        return Err(refuse(name, "it has the members of an image and of an index"));
    }
    if is_index(&media_type) {
        let index =
            document::parse(bytes).map_err(|e| refuse(name, "as an index it is malformed").caused_by(e))?;
        Ok(Document::Index(index))
    } else if is_image(&media_type) {
        let image: Image =
            document::parse(bytes).map_err(|e| refuse(name, "it is malformed").caused_by(e))?;
        check_image(name, &image).map(Document::Image)
    } else {
        Err(refuse(name, &format!("its media type is {}", shown(&media_type))))
    }
}

/// The refusal of what cannot be a manifest: most often the page of a proxy or of a network's login.
fn no_object(name: &str, header: Option<&str>) -> Error {
    match header {
        Some(sent) if !is_known(sent) => refuse(name, &format!("it was sent as {}", shown(sent)))
            .hint("Something else may have answered in the registry's place: look at the address in a browser, and at HTTPS_PROXY if there is a proxy."),
        _ => refuse(name, "it is not a JSON object"),
    }
}

fn header_type(content_type: Option<&str>) -> Option<String> {
    content_type.map(|c| c.split(';').next().unwrap_or(c).trim().to_ascii_lowercase())
}

/// The media type a document that [`parse`] has taken is recorded under.
pub(super) fn media_type(content_type: Option<&str>, bytes: &[u8]) -> String {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Own {
        media_type: Option<String>,
    }
    let own = || document::parse::<Own>(bytes).ok()?.media_type;
    let sent = header_type(content_type).filter(|t| is_known(t));
    sent.or_else(own).unwrap_or_else(|| types::OCI_IMAGE_MEDIA_TYPE.to_owned())
}

fn is_known(media_type: &str) -> bool {
    is_image(media_type) || is_index(media_type) || is_schema1(media_type)
}

fn is_image(media_type: &str) -> bool {
    matches!(media_type, types::OCI_IMAGE_MEDIA_TYPE | types::IMAGE_MANIFEST_MEDIA_TYPE)
}

fn is_index(media_type: &str) -> bool {
    matches!(media_type, types::OCI_IMAGE_INDEX_MEDIA_TYPE | types::IMAGE_MANIFEST_LIST_MEDIA_TYPE)
}

/// Whether a document came as an index.
pub(super) fn is_sent_as_index(content_type: Option<&str>) -> bool {
    header_type(content_type).is_some_and(|sent| is_index(&sent))
}

fn is_schema1(media_type: &str) -> bool {
    matches!(
        media_type,
        "application/vnd.docker.distribution.manifest.v1+json"
            | "application/vnd.docker.distribution.manifest.v1+prettyjws"
    )
}

/// An image's manifest as it is written.
#[derive(Deserialize)]
struct Image {
    config: Blob,
    layers: Vec<Blob>,
}

/// A descriptor as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Blob {
    #[serde(default)]
    media_type: String,
    digest: String,
    size: i64,
}

fn check_image(name: &str, image: &Image) -> Result<ImageManifest> {
    let config_type = image.config.media_type.as_str();
    if !media::may_be_config(config_type) {
        return Err(Error::new(
            Kind::Image,
            format!("{name} is not a container image but {}", shown(config_type)),
        )
        .naming_image());
    }
    let digest = |text: &str, what: &str| {
        text.parse::<Digest>().map_err(|e| refuse(name, &format!("the digest of {what} is bad")).caused_by(e))
    };
    let size = |n: i64, what: &str| {
        u64::try_from(n).map_err(|_| refuse(name, &format!("the size of {what} is negative")))
    };
    let config_size = size(image.config.size, "the configuration")?;
    if config_size > CONFIG_MAX {
        return Err(refuse(name, &format!("its configuration is larger than {CONFIG_MAX} bytes")));
    }
    if image.layers.len() > LAYERS_MAX {
        return Err(refuse(name, &format!("it has more than {LAYERS_MAX} layers")));
    }
    let mut layers = Vec::with_capacity(image.layers.len());
    for layer in &image.layers {
        layers.push(LayerDescriptor {
            digest: digest(&layer.digest, "a layer")?,
            size: size(layer.size, "a layer")?,
            compression: compression(name, &layer.media_type)?,
            media_type: layer.media_type.clone(),
        });
    }
    Ok(ImageManifest { config: digest(&image.config.digest, "the configuration")?, config_size, layers })
}

/// The compression of a layer.
fn compression(name: &str, media_type: &str) -> Result<Compression> {
    media::compression(media_type).ok_or_else(|| {
        let why = match media_type.contains("encrypted") {
            true => "an encrypted layer, which cannot be read".to_owned(),
            false => format!("a layer of unknown type {}", shown(media_type)),
        };
        Error::new(Kind::Image, format!("{name} has {why}")).naming_image()
    })
}

/// The digest of the index entry to fetch for a platform; `asked` is the platform in the user's words.
///
/// # Errors
/// No entry fits; the message lists what there is.
pub(super) fn select(
    name: &str,
    index: &types::OciImageIndex,
    wanted: &Platform,
    asked: &Platform,
) -> Result<Digest> {
    let entry = platform::choose(&index.manifests, wanted).ok_or_else(|| {
        let offered = platform::offered(&index.manifests);
        let error = Error::new(Kind::NotFound, format!("{name} has no image for {asked}"));
        if offered.is_empty() {
            error
        } else {
            error.hint(format!("It has images for {offered}: choose one with --platform."))
        }
    })?;
    platform::digest_of(entry)
        .map_err(|e| refuse(name, "an entry of the index has a bad digest").caused_by(e))
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
