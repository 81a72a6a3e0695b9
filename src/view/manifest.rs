//! Manifest lists and manifests, as `manifest inspect` shows them.

use super::Dialect;
use crate::engine::lists::inspect::Inspected;
use crate::error::{Context, Kind, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use serde_json::ser::PrettyFormatter;
use serde_json::{Map, Serializer, Value, json};

/// A document as it is, indented.
///
/// # Errors
/// One that is not JSON.
pub fn plain(found: &Inspected, dialect: Dialect) -> Result<String> {
    let indent: &[u8] = match (dialect, found.is_index()) {
        (Dialect::Podman, _) => b"    ",
        (Dialect::Docker, true) => b"   ",
        (Dialect::Docker, false) => b"\t",
    };
    indented(&value(found)?, indent)
}

/// An image's manifest with what is known about it (`docker manifest inspect --verbose`).
///
/// # Errors
/// One that is not JSON.
pub fn verbose(found: &Inspected) -> Result<String> {
    indented(&described(found)?, b"\t")
}

/// As [`verbose`], of all entries of a list.
///
/// # Errors
/// One that is not JSON.
pub fn verbose_list(entries: &[Inspected]) -> Result<String> {
    indented(&Value::Array(entries.iter().map(described).collect::<Result<_>>()?), b"\t")
}

fn described(found: &Inspected) -> Result<Value> {
    let mut descriptor = Map::new();
    descriptor.insert("mediaType".into(), found.media_type.as_str().into());
    descriptor.insert("digest".into(), found.digest.as_str().into());
    descriptor.insert("size".into(), found.text.len().into());
    if let Some(platform) = &found.platform {
        descriptor.insert("platform".into(), json!(platform));
    }
    let family = if found.media_type.contains("docker") { "SchemaV2Manifest" } else { "OCIManifest" };
    let mut all = Map::new();
    all.insert("Ref".into(), json!(found.reference.as_ref().map(ToString::to_string).unwrap_or_default()));
    all.insert("Descriptor".into(), descriptor.into());
    all.insert("Raw".into(), BASE64_STANDARD.encode(&found.text).into());
    all.insert(family.into(), value(found)?);
    Ok(all.into())
}

fn value(found: &Inspected) -> Result<Value> {
    serde_json::from_str(&found.text).context(Kind::Image, || format!("read manifest {}", found.digest))
}

fn indented(value: &Value, indent: &[u8]) -> Result<String> {
    let mut bytes = Vec::new();
    let context = || "write a manifest";
    value
        .serialize(&mut Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(indent)))
        .context(Kind::Image, context)?;
    bytes.push(b'\n');
    String::from_utf8(bytes).context(Kind::Image, context)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Digest;

    fn inspected(media_type: &str) -> Inspected {
        let text = r#"{"schemaVersion":2,"manifests":[]}"#.to_owned();
        let digest = Digest::sha256_of(text.as_bytes());
        Inspected { reference: None, digest, media_type: media_type.to_owned(), platform: None, text }
    }

    #[test]
    fn documents_keep_their_order_and_have_each_ones_indent() {
        let index = inspected("application/vnd.oci.image.index.v1+json");
        let podman = plain(&index, Dialect::Podman).unwrap();
        assert_eq!(podman, "{\n    \"schemaVersion\": 2,\n    \"manifests\": []\n}\n");
        assert!(plain(&index, Dialect::Docker).unwrap().contains("\n   \"manifests\""));
        let image = inspected("application/vnd.oci.image.manifest.v1+json");
        assert!(plain(&image, Dialect::Docker).unwrap().contains("\n\t\"manifests\""));
        assert!(verbose(&image).unwrap().contains("\n\t\"OCIManifest\": {"));
        let docker = inspected("application/vnd.docker.distribution.manifest.v2+json");
        assert!(verbose_list(&[docker]).unwrap().starts_with("[\n\t{\n\t\t\"Ref\": \"\""));
    }
}
