//! Attack cases 1 to 10 through every way into the store, and out of it again.

use crate::attack_archive::{Pieces, Scene, bytes};
use crate::common::{FaultyRegistry, Layer, Output, Registry, TestEnv, which};
use serde_json::json;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use tar::EntryType;

/// A way for the layers of somebody else into the store.
struct Way {
    name: &'static str,
    /// Whether the archive of a layer alone goes this way, without a configuration that promises anything of it.
    is_bare: bool,
    go: fn(&TestEnv, &FaultyRegistry, &Pieces) -> Output,
}

fn docker_tar(pieces: &Pieces) -> Vec<u8> {
    bytes(pieces.docker(|_| {}))
}

fn oci_tar(pieces: &Pieces) -> Vec<u8> {
    bytes(pieces.oci_tar(|_, _| {}))
}

fn layout(env: &TestEnv, pieces: &Pieces) {
    let _ = fs::remove_dir_all(env.path().join("layout"));
    for (name, bytes) in pieces.oci(|_, _| {}) {
        env.file(&format!("layout/{name}"), bytes);
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn served(registry: &FaultyRegistry, bytes: &[u8]) -> String {
    let digest = registry.put_blob(bytes);
    format!("http://{}/v2/x/blobs/{digest}", registry.address())
}

const WAYS: [Way; 13] = [
    Way {
        name: "load, docker-archive",
        is_bare: false,
        go: |env, _, pieces| env.coracle(["load", "-q"]).stdin(docker_tar(pieces)).run(),
    },
    Way {
        name: "load, oci-archive",
        is_bare: false,
        go: |env, _, pieces| env.coracle(["load", "-q"]).stdin(oci_tar(pieces)).run(),
    },
    Way {
        name: "load, compressed file",
        is_bare: false,
        go: |env, _, pieces| {
            env.file("in.tar.gz", gzip(&docker_tar(pieces)));
            env.coracle(["load", "-q", "-i", "in.tar.gz"]).run()
        },
    },
    Way {
        name: "load, directory",
        is_bare: false,
        go: |env, _, pieces| {
            layout(env, pieces);
            env.coracle(["load", "-q", "-i", "layout"]).run()
        },
    },
    Way {
        name: "load, address",
        is_bare: false,
        go: |env, registry, pieces| {
            let url = served(registry, &docker_tar(pieces));
            env.coracle(["load", "-q", "-i", &url]).run()
        },
    },
    Way {
        name: "import",
        is_bare: true,
        go: |env, _, pieces| env.coracle(["import", "-q", "-", "evil:1"]).stdin(pieces.layer.clone()).run(),
    },
    Way {
        name: "import, address",
        is_bare: true,
        go: |env, registry, pieces| {
            let url = served(registry, &gzip(&pieces.layer));
            env.coracle(["import", "-q", &url, "evil:1"]).run()
        },
    },
    Way {
        name: "pull, docker-archive",
        is_bare: false,
        go: |env, _, pieces| {
            env.file("in.tar", docker_tar(pieces));
            env.coracle(["pull", "-q", "docker-archive:in.tar"]).run()
        },
    },
    Way {
        name: "pull, oci-archive",
        is_bare: false,
        go: |env, _, pieces| {
            env.file("in.tar", oci_tar(pieces));
            env.coracle(["pull", "-q", "oci-archive:in.tar"]).run()
        },
    },
    Way {
        name: "pull, oci",
        is_bare: false,
        go: |env, _, pieces| {
            layout(env, pieces);
            env.coracle(["pull", "-q", "oci:layout"]).run()
        },
    },
    Way {
        name: "pull, dir",
        is_bare: false,
        go: |env, _, pieces| {
            let _ = fs::remove_dir_all(env.path().join("parts"));
            for (name, bytes) in pieces.oci(|_, _| {}) {
                if let Some(hex) = name.strip_prefix("blobs/sha256/") {
                    env.file(&format!("parts/{hex}"), &bytes);
                    if bytes.windows(17).any(|window| window == b"\"schemaVersion\":2") {
                        env.file("parts/manifest.json", &bytes);
                    }
                }
            }
            env.file("parts/version", "Directory Transport Version: 1.1\n");
            env.coracle(["pull", "-q", "dir:parts"]).run()
        },
    },
    Way {
        name: "pull, registry",
        is_bare: false,
        go: |env, registry, pieces| {
            put(registry, pieces);
            env.coracle(["pull", "-q", &format!("{}/x", registry.address())]).run()
        },
    },
    Way {
        name: "build",
        is_bare: false,
        go: |env, registry, pieces| {
            put(registry, pieces);
            env.file("context/Containerfile", format!("FROM {}/x\nLABEL a=b\n", registry.address()));
            env.coracle(["build", "-q", "context"]).run()
        },
    },
];

fn put(registry: &FaultyRegistry, pieces: &Pieces) {
    for (name, bytes) in pieces.oci(|_, _| {}) {
        if name.starts_with("blobs/") {
            registry.put_blob(&bytes);
            if bytes.windows(17).any(|window| window == b"\"schemaVersion\":2") {
                registry.put_manifest("x", "latest", "application/vnd.oci.image.manifest.v1+json", &bytes);
            }
        }
    }
}

/// A layer, and what becomes of it: refused with these words, or taken without a trace outside.
type Attack = (&'static str, Layer, Option<&'static str>);

fn attacks(scene: &Scene) -> Vec<Attack> {
    let beside = scene.env.path().to_string_lossy().into_owned();
    let outside = scene.outside();
    let mut smuggling = tar::Header::new_gnu();
    smuggling.set_path("carrier").unwrap();
    smuggling.set_mode(0o644);
    smuggling.set_size(0);
    smuggling.set_cksum();
    let smuggled = Layer::new().file("smuggled", 0o644, "x").finish().0;
    let size = smuggled.len().to_string();
    let mut endless = tar::Header::new_gnu();
    endless.set_path("big").unwrap();
    endless.set_size(1 << 40);
    endless.set_entry_type(EntryType::Regular);
    endless.set_cksum();
    let deep = "d/".repeat(5000);
    vec![
        (
            "case 1: dots",
            Layer::new().file("../../../../outside", 0o644, "owned"),
            Some("leads out of the image"),
        ),
        ("case 1: an absolute name", Layer::new().file(&outside, 0o644, "owned"), None),
        ("case 1: NUL", Layer::new().pax(&[("path", b"a\0b")]).file("x", 0o644, "x"), Some("")),
        (
            "case 2: through a link",
            Layer::new().symlink("way", &beside).file("way/outside", 0o644, "owned"),
            None,
        ),
        ("case 2: over a link", Layer::new().symlink("last", &outside).file("last", 0o644, "owned"), None),
        (
            "case 2: through a link of links",
            Layer::new().symlink("a", "b").symlink("b", &beside).dir("a/c", 0o755).file(
                "a/outside",
                0o644,
                "owned",
            ),
            None,
        ),
        ("case 3: out", Layer::new().hard_link("link", "../../outside"), Some("leads out of the image")),
        (
            "case 3: through a link",
            Layer::new().symlink("way", &beside).hard_link("got", "way/outside"),
            Some(""),
        ),
        ("case 3: to a link", Layer::new().symlink("way", &outside).hard_link("got", "way"), None),
        ("case 4: the root is a link", Layer::new().symlink("./", "/etc"), Some("root is not a directory")),
        ("case 4: the root is a file", Layer::new().file(".", 0o644, "x"), Some("")),
        (
            "case 5: a directory over a link",
            Layer::new().symlink("d", &beside).dir("d", 0o711).file("d/e", 0o644, "x"),
            None,
        ),
        (
            "case 6: smuggled entries",
            Layer::new().pax(&[("size", size.as_bytes())]).raw(&smuggling, &smuggled),
            None,
        ),
        (
            "case 7: a whiteout without a name",
            Layer::new().file("a/.wh...", 0o644, ""),
            Some("whiteout without a name"),
        ),
        ("case 7: a whiteout of dots", Layer::new().file(".wh...", 0o644, ""), Some("")),
        (
            "case 7: a whiteout through a link",
            Layer::new().symlink("way", &beside).file("way/.wh.outside", 0o644, ""),
            None,
        ),
        (
            "case 7: opaque through a link",
            Layer::new().symlink("way", &beside).file("way/.wh..wh..opq", 0o644, ""),
            None,
        ),
        (
            "case 8: devices",
            Layer::new().entry(EntryType::Char, "dev", 0o666, (0, 0), "", b"").entry(
                EntryType::Block,
                "disk",
                0o666,
                (0, 0),
                "",
                b"",
            ),
            None,
        ),
        (
            "case 8: attributes of overlays",
            Layer::new()
                .pax(&[
                    ("SCHILY.xattr.user.overlay.redirect", b"/outside"),
                    ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
                ])
                .dir("marked", 0o755),
            None,
        ),
        ("case 9: a file that does not end", Layer::new().raw(&endless, b""), Some("ends inside a file")),
        ("case 9: too deep", Layer::new().pax(&[("path", deep.as_bytes())]).dir("x", 0o755), Some("")),
    ]
}

/// What nothing may touch is as it was.
#[track_caller]
fn is_untouched(scene: &Scene, mode: u32, what: &str) {
    let outside = fs::metadata(scene.outside()).unwrap();
    assert_eq!(fs::read_to_string(scene.outside()).unwrap(), "untouched", "{what}");
    assert_eq!((outside.nlink(), fs::metadata(scene.env.path()).unwrap().mode()), (1, mode), "{what}");
    assert!(!scene.env.path().join("c").exists() && !scene.env.path().join("e").exists(), "{what}");
}

/// No devices but whiteouts, and no smuggled file, anywhere below.
fn look_below(dir: &Path, what: &str) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let kind = entry.file_type().unwrap();
        assert_ne!(entry.file_name(), "smuggled", "{what}");
        if kind.is_char_device() || kind.is_block_device() {
            assert_eq!(entry.metadata().unwrap().rdev(), 0, "{what}: {:?}", entry.path());
        }
        if kind.is_dir() {
            look_below(&entry.path(), what);
        }
    }
}

#[test]
fn case_14_hostile_layers_do_the_same_whichever_way_they_come() {
    let scene = Scene::new();
    let registry = FaultyRegistry::start();
    let mode = fs::metadata(scene.env.path()).unwrap().mode();
    for (attack, layer, refused) in attacks(&scene) {
        let pieces = Pieces::new(layer);
        for way in &WAYS {
            let what = format!("{attack}, by {}", way.name);
            let output = (way.go)(&scene.env, &registry, &pieces);
            assert!(!output.stderr.contains("died"), "{what}: {output}");
            match refused {
                Some(says) => {
                    assert_eq!((output.code, output.text()), (125, ""), "{what}: {output}");
                    assert_eq!(output.stderr.matches("Error:").count(), 1, "{what}: {output}");
                    assert!(output.stderr.contains(says), "{what}: {output}");
                    scene.assert_nothing(&what);
                }
                None => {
                    assert_eq!(output.code, 0, "{what}: {output}");
                    look_below(&scene.env.root().join("layers"), &what);
                    scene.env.coracle(["system", "prune", "-af"]).ok();
                    scene.env.coracle(["rmi", "-af"]).ok();
                }
            }
            is_untouched(&scene, mode, &what);
        }
    }
}

/// Case 10: what a configuration promises of a layer has to be so.
#[test]
fn case_10_layers_are_what_was_promised_whichever_way_they_come() {
    let scene = Scene::new();
    let registry = FaultyRegistry::start();
    let honest = || Pieces::new(Layer::new().file("f", 0o644, "x"));
    let mut other_diff_id = honest();
    other_diff_id.config["rootfs"]["diff_ids"] = json!([format!("sha256:{}", "1".repeat(64))]);
    let mut too_many = honest();
    let id = too_many.config["rootfs"]["diff_ids"][0].clone();
    too_many.config["rootfs"]["diff_ids"] = json!([id.clone(), id]);
    let mut none = honest();
    none.config["rootfs"]["diff_ids"] = json!([]);
    let mut odd = honest();
    odd.config["rootfs"]["diff_ids"] = json!(["sha256:../../../outside"]);
    let mut cut = honest();
    cut.layer.truncate(700);
    cut.config["rootfs"]["diff_ids"] = json!([format!("sha256:{}", crate::common::sha256_hex(&cut.layer))]);
    for (attack, pieces) in [
        ("another diff id", other_diff_id),
        ("more diff ids than layers", too_many),
        ("fewer diff ids than layers", none),
        ("a diff id that is a path", odd),
        ("a layer that is cut", cut),
    ] {
        for way in WAYS.iter().filter(|way| !way.is_bare) {
            let what = format!("{attack}, by {}", way.name);
            let output = (way.go)(&scene.env, &registry, &pieces);
            assert_eq!((output.code, output.text()), (125, ""), "{what}: {output}");
            assert_eq!(output.stderr.matches("Error:").count(), 1, "{what}: {output}");
            scene.assert_nothing(&what);
        }
    }
}

/// What came in goes out by every way as it came, and writes nothing through its own links.
#[test]
fn case_14_hostile_images_go_out_as_they_came() {
    let scene = Scene::new();
    let (env, from, to) = (&scene.env, FaultyRegistry::start(), Registry::start());
    let mode = fs::metadata(env.path()).unwrap().mode();
    for (attack, layer, refused) in attacks(&scene) {
        if refused.is_some() {
            continue;
        }
        let pieces = Pieces::new(layer);
        put(&from, &pieces);
        let name = format!("{}/x", from.address());
        let id = env.coracle(["pull", "-q", &name]).ok().text().to_owned();
        let again = |source: &str, what: &str| {
            env.coracle(["rmi", "-af"]).ok();
            let back = env.coracle(["pull", "-q", source]).ok();
            assert_eq!(back.text(), id, "{attack} by {what}");
            look_below(&env.root().join("layers"), what);
        };
        for (destination, path) in [
            ("oci:out:x", "out"),
            ("oci-archive:out:x", "out"),
            ("docker-archive:out:x:1", "out"),
            ("dir:out", "out"),
        ] {
            let path = env.path().join(path);
            let _ = fs::remove_dir_all(&path);
            let _ = fs::remove_file(&path);
            env.coracle(["push", "-q", &name, destination]).ok();
            is_untouched(&scene, mode, attack);
            let source = destination.strip_suffix(":x:1").unwrap_or(destination);
            if which("skopeo").is_some() {
                let seen = env.program("skopeo").args(["inspect", "--config", "--raw", source]).ok();
                assert_eq!(crate::common::sha256_hex(seen.stdout.as_bytes()), id, "{attack} {destination}");
            }
            again(source, destination);
            // The names of a transport may be others.
            env.coracle(["tag", &id, &name]).ok();
        }
        for form in ["docker-archive", "oci-archive"] {
            env.coracle(["save", "-q", "--format", form, "-o", "saved", &name]).ok();
            again(&format!("{form}:saved"), form);
            env.coracle(["tag", &id, &name]).ok();
            fs::remove_file(env.path().join("saved")).unwrap();
        }
        let there = to.reference("hostile/x", "1");
        env.coracle(["push", "-q", &name, &there]).ok();
        again(&there, "registry");
        let stored = format!("containers-storage:{there}");
        assert_eq!(env.coracle(["pull", "-q", &stored]).ok().text(), id, "{attack}");
        is_untouched(&scene, mode, attack);
        env.coracle(["rmi", "-af"]).ok();
    }
}
