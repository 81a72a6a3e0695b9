//! `push`: layers that are compressed as options and the configuration ask for, in files and in a registry.

use crate::common::{Layer, TestEnv, Zip, busybox, sha256_hex, shared_registry, which};
use crate::push::{layer_types, parsed};
use serde_json::Value;
use std::fs;

/// The media types of the layers, by a manifest in a file.
fn types_in(env: &TestEnv, manifest: &str) -> Vec<String> {
    let manifest: Value = serde_json::from_slice(&fs::read(env.path().join(manifest)).unwrap()).unwrap();
    layer_types(&manifest).into_iter().map(str::to_owned).collect()
}

#[test]
fn files_get_layers_in_the_compression_that_is_asked_for() {
    let env = TestEnv::new();
    fs::create_dir(env.path().join("context")).unwrap();
    let (gzipped, _) =
        env.pulled(busybox().layer(Layer::new().zip(Zip::Gzip).file("a", 0o644, "a")), "push/forms");
    env.file("context/Containerfile", format!("FROM {gzipped}\nRUN echo built >/built\n"));
    env.coracle(["build", "-q", "--network=none", "-t", "built:1", "context"]).ok();
    let ends = |types: &[String], ends: &str| types.iter().all(|of| of.ends_with(ends));
    for (options, to, last, all) in [
        (&["--compression-format=zstd"][..], "oci:a", "+zstd", true),
        (&["--compression-level=9"], "oci:b", "+gzip", true),
        (&["--compression-format=zstd", "--force-compression=false"], "oci:c", "+zstd", false),
        (&["--compression-format=zstd"], "oci-archive:d.tar", "+zstd", true),
        (&["--compression-format=zstd"], "dir:e", "+zstd", true),
        (&["--compression-format=gzip", "--format=v2s2"], "dir:f", ".gzip", true),
    ] {
        let push = ["push", "-q", "--digestfile=digest"];
        env.coracle(push).args(options).args(["built:1", to]).ok();
        let digest = fs::read_to_string(env.path().join("digest")).unwrap();
        let (transport, path) = to.split_once(':').unwrap();
        let manifest = match transport {
            "dir" => format!("{path}/manifest.json"),
            "oci" => format!("{path}/blobs/sha256/{}", &digest[7..]),
            _ => {
                fs::create_dir(env.path().join("unpacked")).unwrap();
                env.program("tar").args(["-C", "unpacked", "-xf", path]).ok();
                format!("unpacked/blobs/sha256/{}", &digest[7..])
            }
        };
        assert_eq!(format!("sha256:{}", sha256_hex(&fs::read(env.path().join(&manifest)).unwrap())), digest);
        let types = types_in(&env, &manifest);
        assert!(types.last().unwrap().ends_with(last), "{to}: {types:?}");
        assert_eq!(ends(&types, last), all, "{to}: {types:?}");
        // What is there is the image, to us and to others.
        let other = TestEnv::new();
        let from = format!("{transport}:{}", env.path().join(path).display());
        other.coracle(["pull", "-q", &from]).ok();
        let id = other.coracle(["images", "-aq", "--no-trunc"]).ok().lines()[0].clone();
        assert_eq!(id, env.coracle(["images", "-q", "--no-trunc", "built:1"]).ok().text(), "{to}");
        let said = other.coracle(["run", "--rm", "--network=none", &id, "cat", "/built"]).ok();
        assert_eq!(said.text(), "built", "{to}");
        if which("skopeo").is_some() {
            let seen = env.program("skopeo").args(["inspect", &from]).ok().json();
            assert_eq!(seen["Digest"], digest.as_str());
        }
    }
    // The same once more adds nothing, and keeps what is there.
    let blobs = || fs::read_dir(env.path().join("a/blobs/sha256")).unwrap().count();
    let before = blobs();
    env.coracle(["push", "-q", "--compression-format=zstd", "built:1", "oci:a"]).ok();
    assert_eq!(blobs(), before);
}

#[test]
fn the_configuration_says_how_pushes_compress() {
    let (env, registry) = (TestEnv::new(), shared_registry());
    fs::create_dir(env.path().join("context")).unwrap();
    env.file("context/Containerfile", "FROM scratch\nCOPY f /f\n");
    env.file("context/f", "1");
    let name = registry.reference("push/configured", "1");
    env.coracle(["build", "-q", "-t", &name, "context"]).ok();
    let push = |options: &[&str]| {
        env.coracle(["push", "-q"]).args(options).arg(&name).ok();
        layer_types(&parsed(registry, "push/configured", "1"))[0].to_owned()
    };
    assert!(push(&[]).ends_with("+gzip"));
    env.file("home/.config/coracle/coracle.toml", "compression_format = \"zstd\"\ncompression_level = 9\n");
    assert!(push(&[]).ends_with("+zstd"));
    assert!(push(&["--compression-format=gzip"]).ends_with("+gzip"));
    assert!(push(&["--format=v2s2"]).ends_with(".gzip"));
    // Files get layers as they are all the same.
    env.coracle(["push", "-q", &name, "dir:plain"]).ok();
    assert!(types_in(&env, "plain/manifest.json")[0].ends_with(".tar"));
}
