//! What a signature signs: which manifest is the image of which name (containers-signature(5), "JSON data format").

use super::identity::SignedIdentity;
use crate::image::{Digest, Reference};
use serde::Deserialize;
use serde_json::Value;

/// What a payload calls itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Signed by GPG.
    Simple,
    /// Signed by cosign and its like.
    Sigstore,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Format::Simple => "atomic container signature",
            Format::Sigstore => "cosign container image signature",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    critical: Critical,
    #[serde(rename = "optional")]
    _optional: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Critical {
    #[serde(rename = "type")]
    kind: String,
    image: Image,
    identity: Identity,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {
    #[serde(rename = "docker-reference")]
    name: String,
}

/// Checks that a payload, whose signature is good, is about this manifest and this name.
///
/// # Errors
/// Why it is not, in words.
pub(super) fn check(
    payload: &[u8],
    format: Format,
    manifest: &Digest,
    image: &Reference,
    identity: &SignedIdentity,
) -> Result<(), String> {
    let Payload { critical, .. } = serde_json::from_slice(payload)
        .map_err(|_| "what it signs is not a statement on an image".to_owned())?;
    if critical.kind != format.name() {
        return Err(format!("it calls itself {:?}", critical.kind));
    }
    if critical.image.digest != manifest.as_str() {
        return Err(format!("it is for another manifest, {:?}", critical.image.digest));
    }
    if !identity.accepts(image, &critical.identity.name) {
        return Err(format!("it is for another name, {:?}", critical.identity.name));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn statements_are_strict() {
        let digest = Digest::sha256_of(b"manifest");
        let image: Reference = "r.io/a:1".parse().unwrap();
        let checked = |payload: Value| {
            let bytes = payload.to_string();
            check(bytes.as_bytes(), Format::Simple, &digest, &image, &SignedIdentity::default())
        };
        let good = json!({"critical": {"type": "atomic container signature",
            "image": {"docker-manifest-digest": digest.as_str()}, "identity": {"docker-reference": "r.io/a:1"}},
            "optional": {"creator": "x"}});
        assert_eq!(checked(good.clone()), Ok(()));
        for (path, value) in [
            ("/critical/type", json!("cosign container image signature")),
            ("/critical/image/docker-manifest-digest", json!(Digest::sha256_of(b"other").as_str())),
            ("/critical/identity/docker-reference", json!("r.io/a:2")),
            ("/critical/identity/docker-reference", json!("r.io/b:1")),
            ("/critical/identity", json!({"docker-reference": "r.io/a:1", "more": 1})),
            ("/critical", json!(null)),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(path).unwrap() = value;
            assert!(checked(bad).is_err(), "{path}");
        }
        let twice =
            good.to_string().replace("\"image\"", "\"type\":\"atomic container signature\",\"image\"");
        assert!(
            check(twice.as_bytes(), Format::Simple, &digest, &image, &SignedIdentity::default()).is_err()
        );
    }
}
