//! Whatever is in a name or a document, reading it ends without a panic, and what was read is written as it was.

use super::broken::{JSON, files};
use super::*;
use proptest::prelude::*;

/// Parts of names.
const PARTS: [&str; 28] = [
    "a",
    "library",
    "/",
    "//",
    ":",
    "::",
    "@",
    "@sha256:",
    "sha512:",
    ".",
    "..",
    "-",
    "_",
    "__",
    "___",
    "localhost",
    "docker.io",
    "index.docker.io/",
    "127.0.0.1:5000",
    "[::1]:5",
    "*.",
    "docker://",
    "oci:",
    "containers-storage:[",
    "A",
    "\u{e9}",
    "\u{202e}",
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
];

const NAMES: [&str; 6] = [
    "alpine:3.20",
    "quay.io/team/app:1.0-rc.1",
    "localhost:5000/a_b/c__d/e-f@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "[fd00::1]:5000/x",
    "docker-archive:/tmp/a.tar:name:1",
    "oci:layout:@0",
];

const CONFIGS: [&str; 2] = [
    r#"{"architecture":"amd64","os":"linux","created":"2026-01-01T00:00:00Z","config":{"User":"1:2","Env":["A=b"],"Cmd":
    ["sh"],"Labels":{"a":"b"},"ExposedPorts":{"80/tcp":{}},"Volumes":{"/v":{}},"WorkingDir":"/w","StopSignal":"TERM",
    "Healthcheck":{"Test":["CMD","x"],"Interval":1000000000,"Retries":3}},"rootfs":{"type":"layers","diff_ids":
    ["sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"]},"history":[{"created_by":"x",
    "empty_layer":true}]}"#,
    r#"{"os":"linux","architecture":"arm","variant":"v7","rootfs":{"type":"layers","diff_ids":[]}}"#,
];

const INDEXES: [&str; 2] = [
    r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":
    "application/vnd.oci.image.manifest.v1+json","digest":
    "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef","size":7,"platform":{"os":"linux",
    "architecture":"amd64","os.features":["a"]},"annotations":{"x":"y"}}],"annotations":{"a":"b"},"extra":[1]}"#,
    r#"{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":[]}"#,
];

proptest! {
    #[test]
    fn names(parts in prop::collection::vec(prop::sample::select(&PARTS[..]), 0..8), any in ".{0,40}") {
        for text in [parts.concat(), any] {
            fuzzing::name(&text);
        }
    }

    #[test]
    fn names_with_changes(bytes in files(&NAMES, &PARTS)) {
        fuzzing::name(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn configurations(bytes in files(&CONFIGS, &JSON)) {
        if let Ok(config) = document::parse::<ImageConfig>(&bytes) {
            let written = serde_json::to_vec(&config).unwrap();
            prop_assert_eq!(document::parse::<ImageConfig>(&written).unwrap(), config);
        }
    }

    #[test]
    fn indexes(bytes in files(&INDEXES, &JSON)) {
        if let Ok(index) = Index::parse("x", &bytes) {
            let written = serde_json::to_vec(&index).unwrap();
            prop_assert_eq!(Index::parse("x", &written).unwrap(), index);
        }
    }
}
