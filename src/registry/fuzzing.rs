//! What holds of every file of the user's and every answer of a registry, for property tests and fuzz targets (fuzz/).

use super::challenge;
use super::conf::Registries;
use super::credentials;
use super::manifest::{self, Document};
use super::policy::{Policy, owners};
use super::tags;
use crate::image::{LAYERS_MAX, Reference};

/// Reads a registries.conf, and looks names up in it.
pub fn registries(bytes: &[u8], names: &[Reference]) {
    let text = String::from_utf8_lossy(bytes);
    for is_main in [true, false] {
        let Ok(registries) = Registries::of_text(&text, is_main) else { continue };
        for name in names {
            let Ok(resolved) = registries.resolve(name) else { continue };
            assert!(!resolved.names.is_empty() && (resolved.choice || !resolved.enforced));
            for full in resolved.names {
                assert!(full.registry().is_some());
                let sources = registries.sources(&full).unwrap_or_default();
                assert!(sources.iter().all(|source| source.reference.registry().is_some()));
            }
        }
    }
}

/// Reads an auth.json.
pub fn credentials(bytes: &[u8]) {
    credentials::read_all(bytes);
}

/// Reads a policy.json, and asks it about names; and a key ring.
pub fn policy(bytes: &[u8], names: &[Reference]) {
    let _ = owners(bytes);
    let Ok(policy) = Policy::parse(bytes) else { return };
    for name in names {
        let _ = policy.of(name);
    }
    let written = serde_json::to_vec(&policy).unwrap_or_default();
    assert_eq!(Policy::parse(&written).ok(), Some(policy));
}

/// Reads a manifest or an index, with a media type in its header and without.
pub fn manifest(bytes: &[u8]) {
    for kind in [None, Some("application/vnd.oci.image.manifest.v1+json")] {
        if let Ok(Document::Image(image)) = manifest::parse("x", kind, bytes) {
            assert!(image.layers.len() <= LAYERS_MAX);
        }
    }
}

/// Reads a `WWW-Authenticate` and a `Link` header.
pub fn headers(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    assert!(challenge::parse(text.lines()).len() <= text.len());
    let _ = tags::next_page(&text);
}
