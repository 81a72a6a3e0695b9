//! Whatever is in a file of the user's or in a registry's answer, reading it ends without a panic.

use super::policy::owners;
use super::{challenge, fuzzing};
use crate::image::broken::{JSON, files};
use proptest::prelude::*;

const CONFS: [&str; 2] = [
    "unqualified-search-registries = ['a.io', 'b.io:5000']\nshort-name-mode = 'enforcing'\ncredential-helpers = ['x']\n\
     [[registry]]\nprefix = 'a.io/foo'\nlocation = 'b.io/bar'\ninsecure = true\n[[registry.mirror]]\n\
     location = 'm.io'\npull-from-mirror = 'digest-only'\n[[registry]]\nprefix = '*.c.io'\nblocked = true\n\
     [aliases]\n'x' = 'd.io/x'\n",
    "[registries.search]\nregistries = ['a.io']\n[registries.insecure]\nregistries = ['b.io']\n[registries.block]\n\
     registries = ['a.io/x']\n",
];

const CONF_PARTS: [&str; 22] = [
    "[[registry]]\n",
    "[[registry.mirror]]\n",
    "[aliases]\n",
    "prefix = ",
    "location = ",
    "'*.'",
    "'a.io/'",
    "'/'",
    "':'",
    "'@'",
    "'a.io:5000/x@sha256:'",
    "blocked = true\n",
    "insecure = true\n",
    "mirror-by-digest-only = true\n",
    "pull-from-mirror = 'tag-only'\n",
    "short-name-mode = 'disabled'\n",
    "''",
    "[]",
    "=",
    "\n",
    "\u{e9}",
    "\"\\u0000\"",
];

const NAMES: [&str; 7] =
    ["x", "x:1", "a.io/foo/x:2", "a.io/foo", "z.c.io/x", "docker.io/library/x", "a.io:5000/x"];

const AUTHS: [&str; 2] = [
    r#"{"auths":{"a.io":{"auth":"YTpi"},"a.io/x":{"identitytoken":"t"},"https://index.docker.io/v1/":{"username":"u",
    "password":"p"}},"credHelpers":{"b.io":"x"},"credsStore":"y"}"#,
    r#"{"auths":{"a.io":{"auth":"YTpiAAAA","registrytoken":"r"}}}"#,
];

const POLICIES: [&str; 1] = [
    r#"{"default":[{"type":"reject"}],"transports":{"docker":{"a.io":[{"type":"signedBy","keyType":"GPGKeys","keyPath":
    "/k","signedIdentity":{"type":"remapIdentity","prefix":"a.io","signedPrefix":"b.io"}}],"":[{"type":"sigstoreSigned",
    "keyData":"YTpi"}]},"dir":{"/x":[{"type":"insecureAcceptAnything"}]}}}"#,
];

const MANIFESTS: [&str; 2] = [
    r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":
    "application/vnd.oci.image.config.v1+json","digest":
    "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef","size":7},"layers":[{"mediaType":
    "application/vnd.oci.image.layer.v1.tar+gzip","digest":
    "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef","size":9,"urls":["http://x"]}]}"#,
    r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":
    "application/vnd.oci.image.manifest.v1+json","digest":
    "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef","size":7,"platform":{"os":"linux",
    "architecture":"amd64"}}]}"#,
];

const CHALLENGES: [&str; 1] = [
    r#"Basic realm="x", Bearer realm="https://a.io/token",service="s",scope="repository:x:pull", Negotiate abc=="#,
];

const CHALLENGE_PARTS: [&str; 10] = ["Bearer ", "realm=", "\"", "\\", ",", "=", " ", "\t", "\u{e9}", "basic"];

proptest! {
    #[test]
    fn configurations(bytes in files(&CONFS, &CONF_PARTS)) {
        fuzzing::registries(&bytes, &NAMES.map(|name| name.parse().unwrap()));
    }

    #[test]
    fn credentials_files(bytes in files(&AUTHS, &JSON)) {
        fuzzing::credentials(&bytes);
    }

    #[test]
    fn policies(bytes in files(&POLICIES, &JSON)) {
        fuzzing::policy(&bytes, &NAMES.map(|name| name.parse().unwrap()));
    }

    #[test]
    fn manifests(bytes in files(&MANIFESTS, &JSON)) {
        fuzzing::manifest(&bytes);
    }

    #[test]
    fn challenges(bytes in files(&CHALLENGES, &CHALLENGE_PARTS)) {
        fuzzing::headers(&bytes);
        let text = String::from_utf8_lossy(&bytes);
        let found = challenge::parse([&*text].into_iter());
        prop_assert!(found.len() <= text.len());
    }

    #[test]
    fn key_rings(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = owners(&bytes);
        let _ = owners(&[&[0x99, 1, 0][..], &bytes].concat());
    }
}
