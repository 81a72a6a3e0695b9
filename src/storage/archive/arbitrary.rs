//! Whatever an archive says that it has, reading it ends without a panic.

use super::manifest::{Index, Manifest};
use crate::image::broken::{JSON, files};
use proptest::prelude::*;

const SEEDS: [&str; 3] = [
    r#"{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":
    "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef","size":7,"annotations":
    {"org.opencontainers.image.ref.name":"x"}}]}"#,
    r#"{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{"mediaType":
    "application/vnd.docker.container.image.v1+json","digest":
    "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef","size":7},"layers":[{"mediaType":
    "application/vnd.docker.image.rootfs.diff.tar.gzip","digest":
    "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef","size":9}]}"#,
    r#"[{"Config":"a.json","RepoTags":["a:1"],"Layers":["l/layer.tar"]}]"#,
];

proptest! {
    #[test]
    fn indexes_and_manifests(bytes in files(&SEEDS, &JSON)) {
        let _ = Index::parse("x", &bytes);
        let _ = Manifest::parse("x", &bytes);
    }
}
