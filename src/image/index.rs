//! Indexes: what names the images of several platforms as one (OCI image spec, image-index.md; docker's manifest list).
//!
//! Everything that a document says is kept when it is changed and written again, also what is unknown here.

use super::choice::{self, Offer};
use super::{Digest, Platform, document};
use crate::error::{Context, Error, Kind, Result};
use crate::text::printable;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The media type of OCI's index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The media type of docker's manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// An index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    schema_version: u32,
    /// Its own media type; OCI's may leave it out.
    #[serde(default)]
    pub media_type: String,
    /// Its entries, in their order.
    #[serde(default)]
    pub manifests: Vec<IndexEntry>,
    /// What it says about the whole.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "strings")]
    pub annotations: BTreeMap<String, String>,
    /// Whatever else it says.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// An entry of an index: a manifest, or an index again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IndexEntry {
    /// The media type of what it names.
    #[serde(default)]
    pub media_type: String,
    /// The size of that in bytes.
    pub size: u64,
    /// The digest of that.
    pub digest: Digest,
    /// Which machine it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<PlatformOf>,
    /// What the index says about it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "strings")]
    pub annotations: BTreeMap<String, String>,
    /// Whatever else it says.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// The machine that an entry is for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformOf {
    /// Architecture in Go's naming.
    #[serde(default)]
    pub architecture: String,
    /// Operating system in Go's naming.
    #[serde(default)]
    pub os: String,
    /// Version of the operating system.
    #[serde(default, rename = "os.version", skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Features that the operating system must have.
    #[serde(default, rename = "os.features", skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    /// Architecture variant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Features that the processor must have; docker's only, reserved by OCI.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
}

impl From<&Platform> for PlatformOf {
    fn from(platform: &Platform) -> PlatformOf {
        let Platform { os, architecture, variant } = platform.clone();
        PlatformOf { architecture, os, variant, ..PlatformOf::default() }
    }
}

impl PlatformOf {
    fn offer(&self) -> Offer<'_> {
        Offer { os: &self.os, architecture: &self.architecture, variant: self.variant.as_deref() }
    }
}

/// The entries of a map that are strings; the others mean nothing.
fn strings<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<BTreeMap<String, String>, D::Error> {
    let map = Option::<BTreeMap<String, Value>>::deserialize(from)?.unwrap_or_default();
    let text = |(key, value): (String, Value)| Some((key, value.as_str()?.to_owned()));
    Ok(map.into_iter().filter_map(text).collect())
}

impl IndexEntry {
    /// An entry that says nothing but what it names.
    pub fn new(media_type: impl Into<String>, digest: Digest, size: u64) -> IndexEntry {
        IndexEntry {
            media_type: media_type.into(),
            size,
            digest,
            platform: None,
            annotations: BTreeMap::new(),
            rest: Map::new(),
        }
    }

    /// Whether it names an index again.
    pub fn is_index(&self) -> bool {
        is_index(&self.media_type)
    }
}

impl Default for Index {
    /// OCI's, without entries.
    fn default() -> Index {
        Index {
            schema_version: 2,
            media_type: OCI_INDEX.to_owned(),
            manifests: Vec::new(),
            annotations: BTreeMap::new(),
            rest: Map::new(),
        }
    }
}

impl Index {
    /// Reads an index; `name` is for messages.
    ///
    /// # Errors
    /// Anything but an index of a known type.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Index> {
        let refuse = |why: &str| Error::new(Kind::Image, format!("{name} is not an index: {why}"));
        let index: Index = document::parse(bytes).map_err(|e| refuse("it is malformed").caused_by(e))?;
        if index.rest.contains_key("config") || index.rest.contains_key("layers") {
            return Err(refuse("it has the members of an image, too"));
        }
        let known = index.media_type.is_empty() || is_index(&index.media_type);
        if index.schema_version != 2 || !known {
            return Err(refuse("its version or media type is another"));
        }
        Ok(index)
    }

    /// Its bytes.
    ///
    /// # Errors
    /// None in practice.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).context(Kind::Image, || "write an index")
    }

    /// Its media type, also where it leaves it out.
    pub fn own_type(&self) -> &'static str {
        if self.media_type == DOCKER_LIST { DOCKER_LIST } else { OCI_INDEX }
    }

    /// The same in docker's form, which has no annotations.
    #[must_use]
    pub fn for_docker(&self) -> Index {
        let mut index = Index { media_type: DOCKER_LIST.to_owned(), ..self.clone() };
        index.annotations.clear();
        index.manifests.iter_mut().for_each(|entry| entry.annotations.clear());
        index
    }

    /// The same in OCI's form.
    #[must_use]
    pub fn for_oci(&self) -> Index {
        Index { media_type: OCI_INDEX.to_owned(), ..self.clone() }
    }

    /// Puts an entry in the place of one for the same manifest, or at the end.
    pub fn put(&mut self, entry: IndexEntry) {
        match self.manifests.iter_mut().find(|known| known.digest == entry.digest) {
            Some(known) => *known = entry,
            None => self.manifests.push(entry),
        }
    }

    /// The entry for a platform, which is this machine's for `None`.
    ///
    /// # Errors
    /// [`Kind::Image`] when none fits; the hint lists what there is.
    pub fn choose(&self, wanted: Option<&Platform>) -> Result<&IndexEntry> {
        let wanted = choice::refined(&wanted.cloned().unwrap_or_else(Platform::host));
        let offers: Vec<Option<Offer<'_>>> =
            self.manifests.iter().map(|entry| entry.platform.as_ref().map(PlatformOf::offer)).collect();
        let found = choice::choose(&offers, &wanted).and_then(|at| self.manifests.get(at));
        found.ok_or_else(|| {
            let what = if self.media_type == DOCKER_LIST { "manifest list" } else { "image index" };
            let message = format!(
                "no image found in {what} for architecture {:?}, variant {:?}, OS {:?}",
                wanted.architecture,
                wanted.variant.unwrap_or_default(),
                wanted.os
            );
            let error = Error::new(Kind::Image, message);
            let offered = choice::offered(offers.into_iter().flatten()).join(", ");
            if offered.is_empty() {
                return error.hint("Add one to it: coracle manifest add LIST IMAGE");
            }
            let offered = printable(&offered);
            error.hint(format!("It has images for {offered}: choose one with --platform."))
        })
    }
}

/// Whether a media type is that of an index.
pub fn is_index(media_type: &str) -> bool {
    matches!(media_type, OCI_INDEX | DOCKER_LIST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_is_kept() {
        let digest = Digest::sha256_of(b"x");
        let text = format!(
            r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{{"mediaType":"a/b","size":3,"digest":"{digest}","platform":{{"architecture":"arm","os":"linux","os.version":"1","os.features":["f"],"variant":"v7"}},"annotations":{{"k":"v"}},"data":"eA=="}}],"annotations":{{"a":"b"}},"subject":{{"size":1,"long":5.655555555555155e+20}}}}"#
        );
        let index = Index::parse("x", text.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(index.bytes().unwrap()).unwrap(), text);
        let docker = String::from_utf8(index.for_docker().bytes().unwrap()).unwrap();
        assert!(docker.contains(DOCKER_LIST) && !docker.contains("annotations"), "{docker}");
    }

    #[test]
    fn an_image_is_no_index() {
        for text in [
            r#"{"schemaVersion":2,"manifests":[],"config":{}}"#,
            r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#,
            r#"{"schemaVersion":1,"manifests":[]}"#,
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}"#,
            "[]",
        ] {
            assert_eq!(Index::parse("x", text.as_bytes()).unwrap_err().kind(), Kind::Image, "{text}");
        }
        // podman writes null where there are no entries.
        let empty = Index::parse("x", br#"{"schemaVersion":2,"manifests":null}"#).unwrap();
        assert!(empty.manifests.is_empty());
    }

    #[test]
    fn what_does_not_fit_is_said_with_what_there_is() {
        let mut index = Index::default();
        let platform: Platform = "linux/s390x".parse().unwrap();
        assert!(index.choose(Some(&platform)).unwrap_err().hints()[0].contains("manifest add"));
        for (at, text) in ["linux/arm64", "unknown/unknown"].iter().enumerate() {
            let mut entry = IndexEntry::new("a/b", Digest::sha256_of(&[at as u8]), 1);
            entry.platform = Some((&text.parse::<Platform>().unwrap()).into());
            index.put(entry);
        }
        let error = index.choose(Some(&platform)).unwrap_err();
        assert_eq!(
            error.message(),
            "no image found in image index for architecture \"s390x\", variant \"\", OS \"linux\""
        );
        assert_eq!(error.hints(), ["It has images for linux/arm64: choose one with --platform."]);
        let unknown = Platform { os: "linux".into(), architecture: "unknown".into(), variant: None };
        assert!(index.choose(Some(&unknown)).is_err());
        assert_eq!(index.choose(Some(&"linux/arm64/v8".parse().unwrap())).unwrap(), &index.manifests[0]);
    }
}
