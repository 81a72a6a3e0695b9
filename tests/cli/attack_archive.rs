//! Attack case 14: hostile archives given to `load` and `import`.

use crate::common::{Layer, TestEnv, sha256_hex};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use tar::EntryType;

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// An image in pieces, honest until it is changed.
pub(crate) struct Pieces {
    pub(crate) layer: Vec<u8>,
    pub(crate) config: Value,
}

impl Pieces {
    pub(crate) fn new(layer: Layer) -> Pieces {
        let (layer, _) = layer.finish();
        let diff_id = format!("sha256:{}", sha256_hex(&layer));
        let config = json!({"architecture": "amd64", "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": [diff_id]}});
        Pieces { layer, config }
    }

    fn honest() -> Pieces {
        Pieces::new(Layer::new().file("file", 0o644, "honest"))
    }

    /// docker's archive; `change` may alter the list before it is written.
    pub(crate) fn docker(&self, change: impl Fn(&mut Value)) -> Layer {
        let config = self.config.to_string();
        let name = format!("{}.json", sha256_hex(config.as_bytes()));
        let mut list = json!([{"Config": name, "RepoTags": ["evil:1"], "Layers": ["layer.tar"]}]);
        change(&mut list);
        Layer::new().file("layer.tar", 0o644, &self.layer).file(&name, 0o644, config).file(
            "manifest.json",
            0o644,
            list.to_string(),
        )
    }

    /// An OCI layout as files by name; `change` may alter the manifest and the index.
    pub(crate) fn oci(&self, change: impl Fn(&mut Value, &mut Value)) -> Vec<(String, Vec<u8>)> {
        let config = self.config.to_string().into_bytes();
        let blob = |bytes: &[u8], media_type: &str| json!({"mediaType": media_type, "digest": format!("sha256:{}", sha256_hex(bytes)), "size": bytes.len()});
        let mut manifest = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "config": blob(&config, "application/vnd.oci.image.config.v1+json"),
            "layers": [blob(&self.layer, "application/vnd.oci.image.layer.v1.tar")]});
        change(&mut manifest, &mut Value::Null);
        let manifest = manifest.to_string().into_bytes();
        let mut index = json!({"schemaVersion": 2, "manifests": [blob(&manifest, OCI_MANIFEST)]});
        change(&mut Value::Null, &mut index);
        let mut files = vec![
            ("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
            ("index.json".to_owned(), index.to_string().into_bytes()),
        ];
        for bytes in [config, manifest, self.layer.clone()] {
            files.push((format!("blobs/sha256/{}", sha256_hex(&bytes)), bytes));
        }
        files
    }

    pub(crate) fn oci_tar(&self, change: impl Fn(&mut Value, &mut Value)) -> Layer {
        let files = self.oci(change);
        files.into_iter().fold(Layer::new(), |tar, (name, bytes)| tar.file(&name, 0o644, bytes))
    }
}

pub(crate) fn bytes(layer: Layer) -> Vec<u8> {
    layer.finish().0
}

/// A data root with a file beside it that nothing may touch.
pub(crate) struct Scene {
    pub(crate) env: TestEnv,
}

impl Scene {
    pub(crate) fn new() -> Scene {
        let env = TestEnv::new();
        env.file("outside", "untouched");
        Scene { env }
    }

    pub(crate) fn outside(&self) -> String {
        self.env.path().join("outside").to_string_lossy().into_owned()
    }

    /// Nothing came of it, and nothing was changed.
    #[track_caller]
    pub(crate) fn assert_nothing(&self, what: &str) {
        for dir in ["images", "refs", "layers", "tmp", "oci/blobs/sha256"] {
            let path = self.env.root().join(dir);
            assert_eq!(fs::read_dir(&path).map_or(0, Iterator::count), 0, "{what}: {dir}");
        }
        assert_eq!(fs::read_to_string(self.outside()).unwrap(), "untouched", "{what}");
    }

    #[track_caller]
    fn load_refused(&self, archive: Layer, says: &str) {
        let archive = bytes(archive);
        self.env.coracle(["load", "-q"]).stdin(archive.as_slice()).fails(125).says(says);
        self.assert_nothing(says);
        self.pull_refused(&archive, says);
    }

    /// The same by the transport of its form.
    #[track_caller]
    fn pull_refused(&self, archive: &[u8], says: &str) {
        let is_layout = archive.windows(10).any(|bytes| bytes == b"oci-layout");
        let form = if is_layout { "oci-archive" } else { "docker-archive" };
        self.env.coracle(["pull", "-q", &format!("{form}:/dev/stdin")]).stdin(archive).fails(125).says(says);
        self.assert_nothing(says);
    }
}

#[test]
fn case_14_the_honest_archives_of_these_tests_load() {
    let scene = Scene::new();
    let env = &scene.env;
    env.coracle(["load", "-q"]).stdin(bytes(Pieces::honest().docker(|_| {}))).ok();
    env.coracle(["rmi", "evil:1"]).ok();
    scene.assert_nothing("honest");
    env.coracle(["load", "-q"]).stdin(bytes(Pieces::honest().oci_tar(|_, _| {}))).ok();
}

#[test]
fn case_14_members_cannot_be_sought_outside_the_archive() {
    let scene = Scene::new();
    let outside = scene.outside();
    let honest = Pieces::honest();
    for (name, says) in [
        ("../../../outside", "leads out"),
        (outside.as_str(), "is missing"),
        ("", "without a name"),
        ("nosuch", "is missing"),
    ] {
        scene.load_refused(honest.docker(|list| list[0]["Layers"][0] = name.into()), says);
        scene.load_refused(honest.docker(|list| list[0]["Config"] = name.into()), says);
    }
    // Links lead to other members only.
    for target in [outside.as_str(), "../../outside", "loop", "../link"] {
        let archive = honest.docker(|list| list[0]["Layers"][0] = "link".into());
        let archive = archive.symlink("link", target).symlink("loop", "link");
        scene.env.coracle(["load", "-q"]).stdin(bytes(archive)).fails(125);
        scene.assert_nothing(target);
    }
    let device = honest.docker(|_| {}).entry(EntryType::Block, "disk", 0o644, (0, 0), "", b"");
    scene.load_refused(device, "no file, directory or link");
    let upwards = honest.docker(|_| {}).file("../x", 0o644, "x");
    scene.load_refused(upwards, "leads out");
}

#[test]
fn case_14_directories_are_not_left_through_links() {
    let scene = Scene::new();
    let env = &scene.env;
    let honest = Pieces::honest();
    let layer = format!("blobs/sha256/{}", sha256_hex(&honest.layer));
    let write = |name: &str| -> PathBuf {
        let dir = env.path().join(name);
        fs::create_dir_all(dir.join("blobs/sha256")).unwrap();
        for (file, bytes) in honest.oci(|_, _| {}) {
            fs::write(dir.join(file), bytes).unwrap();
        }
        dir
    };
    // Behind each link is exactly what is wanted, so that only the link itself can be the reason.
    let place = |name: &str| env.path().join(name).to_string_lossy().into_owned();
    write("good");
    for part in [layer.as_str(), "index.json", "blobs", "blobs/sha256"] {
        let dir = write("links");
        let there = dir.join(part);
        if there.is_dir() {
            fs::remove_dir_all(&there).unwrap()
        } else {
            fs::remove_file(&there).unwrap()
        }
        symlink(env.path().join("good").join(part), &there).unwrap();
        env.coracle(["load", "-q", "-i", &place("links")]).fails(125);
        env.coracle(["pull", "-q", &format!("oci:{}", place("links"))]).fails(125);
        scene.assert_nothing(part);
        fs::remove_dir_all(dir).unwrap();
    }
    // What would block for ever is no file.
    let dir = write("fifo");
    fs::remove_file(dir.join(&layer)).unwrap();
    nix::unistd::mkfifo(&dir.join(&layer), nix::sys::stat::Mode::S_IRWXU).unwrap();
    env.coracle(["load", "-q", "-i", &place("fifo")]).fails(125).says("is not a file");
    env.coracle(["pull", "-q", "oci:fifo"]).fails(125).says("is not a file");
    scene.assert_nothing("fifo");
    env.coracle(["load", "-q", "-i", &place("good")]).ok();
}

#[test]
fn case_14_manifests_that_lie_are_refused() {
    let scene = Scene::new();
    let honest = Pieces::honest();
    let other = format!("sha256:{}", "1".repeat(64));
    // The layer is not the one that the configuration promises.
    let mut lying = Pieces::honest();
    lying.config["rootfs"]["diff_ids"][0] = other.as_str().into();
    scene.load_refused(lying.docker(|_| {}), "its image promises");
    scene.load_refused(lying.oci_tar(|_, _| {}), "its image promises");
    // The configuration is not the one that its name promises.
    let renamed = format!("{}.json", "2".repeat(64));
    let archive = honest.docker(|list| list[0]["Config"] = renamed.as_str().into());
    scene.load_refused(archive.file(&renamed, 0o644, honest.config.to_string()), "not what was promised");
    // More or fewer layers than promised.
    scene.load_refused(
        honest.docker(|list| list[0]["Layers"] = json!(["layer.tar", "layer.tar"])),
        "promises 1",
    );
    scene.load_refused(honest.docker(|list| list[0]["Layers"] = Value::Null), "has 0 layers");
    // Digests and sizes in an index and in a manifest.
    let change = |what: &'static str, value: Value| {
        honest.oci_tar(move |manifest, index| {
            for document in [manifest, index] {
                if let Some(place) = document.pointer_mut(what) {
                    *place = value.clone();
                }
            }
        })
    };
    scene.load_refused(change("/layers/0/size", json!(3)), "not as long");
    scene.load_refused(change("/layers/0/digest", json!(other)), "is missing");
    scene.load_refused(change("/layers/0/digest", json!("sha256:../../../outside")), "malformed");
    scene.load_refused(change("/config/size", json!(3)), "not what was promised");
    scene.load_refused(change("/manifests/0/size", json!(3)), "not what was promised");
    scene.load_refused(change("/manifests/0/digest", json!(other)), "is missing");
    scene.load_refused(change("/schemaVersion", json!(1)), "version or media type");
    scene.load_refused(change("/layers/0/mediaType", json!("application/x-evil")), "unknown type");
    // A document that is two things at once.
    let two = honest.oci_tar(|manifest, index| {
        manifest["manifests"] = json!([]);
        if !index.is_null() {
            index["manifests"][0]["mediaType"] = OCI_MANIFEST.into();
        }
    });
    scene.load_refused(two, "an image and of an index");
    // A list that stands there twice: readers differ on which counts.
    let twice = honest.docker(|_| {}).file("./manifest.json", 0o644, "[]");
    scene.load_refused(twice, "twice");
    // A blob whose bytes are others of the same length.
    let files = honest.oci(|_, _| {}).into_iter().map(|(name, mut bytes)| {
        if bytes == honest.layer {
            bytes[600] ^= 1;
        }
        (name, bytes)
    });
    let swapped = files.fold(Layer::new(), |tar, (name, bytes)| tar.file(&name, 0o644, bytes));
    scene.load_refused(swapped, "has the digest");
}

#[test]
fn case_14_names_are_names() {
    let scene = Scene::new();
    let honest = Pieces::honest();
    let pinned = format!("a@sha256:{}", "0".repeat(64));
    for name in ["../../x", "a b", "", "/etc/passwd", "UPPER", "a:../x", pinned.as_str()] {
        scene
            .env
            .coracle(["load", "-q"])
            .stdin(bytes(honest.docker(|l| l[0]["RepoTags"] = json!([name]))))
            .fails(125);
        scene.assert_nothing(name);
        let annotated = honest.oci_tar(|_, index| {
            if !index.is_null() {
                index["manifests"][0]["annotations"] = json!({"org.opencontainers.image.ref.name": name});
            }
        });
        scene.env.coracle(["load", "-q"]).stdin(bytes(annotated)).fails(125);
        scene.assert_nothing(name);
    }
}

/// The layers of an archive and the archive of `import` go through the unpacker that pulls go through.
#[test]
fn case_14_hostile_layers_stay_inside() {
    let scene = Scene::new();
    let env = &scene.env;
    let refused: [(&str, Layer, &str); 4] = [
        ("dots", Layer::new().file("../../../../outside", 0o644, "owned"), "leads out of the image"),
        ("hard link", Layer::new().hard_link("link", "../../outside"), "leads out of the image"),
        ("root", Layer::new().symlink("./", "/etc"), "root is not a directory"),
        ("whiteout", Layer::new().file("a/.wh...", 0o644, ""), "whiteout without a name"),
    ];
    for (what, layer, says) in refused {
        let pieces = Pieces::new(layer);
        env.coracle(["load", "-q"]).stdin(bytes(pieces.docker(|_| {}))).fails(125).says(says);
        scene.assert_nothing(what);
        scene.pull_refused(&bytes(pieces.docker(|_| {})), says);
        scene.pull_refused(&bytes(pieces.oci_tar(|_, _| {})), says);
        env.coracle(["import", "-q", "-", "evil:1"]).stdin(pieces.layer.clone()).fails(125).says(says);
        scene.assert_nothing(what);
    }
    // A symlink to the outside, and a file through it: inside the layer it leads nowhere else.
    let outside = scene.outside();
    let through = |top: &str| {
        Layer::new()
            .symlink("way", top)
            .file("way/outside", 0o644, "owned")
            .symlink("last", &outside)
            .file("last", 0o644, "mine")
    };
    let pieces = Pieces::new(through(&env.path().to_string_lossy()));
    env.coracle(["load", "-q"]).stdin(bytes(pieces.docker(|_| {}))).ok();
    env.coracle(["import", "-", "evil:2"]).stdin(pieces.layer).ok();
    assert_eq!(fs::read_to_string(&outside).unwrap(), "untouched");
    // A bomb: more than an archive may hold.
    let zeros = Layer::new().entry(EntryType::Regular, "x", 0o644, (0, 0), "", b"");
    let mut header = tar::Header::new_gnu();
    header.set_path("big").unwrap();
    header.set_size(1 << 40);
    header.set_entry_type(EntryType::Regular);
    header.set_cksum();
    env.coracle(["import", "-"]).stdin(bytes(zeros.raw(&header, b""))).fails(125).says("ends inside a file");
}

/// The files of a `dir:` directory are neither links, nor what blocks, nor other than their names say.
#[test]
fn case_14_directories_of_parts_are_what_they_say() {
    let scene = Scene::new();
    let env = &scene.env;
    let honest = Pieces::honest();
    let config = honest.config.to_string();
    let layer = sha256_hex(&honest.layer);
    let write = |change: &dyn Fn(&mut Value)| -> PathBuf {
        let blob = |bytes: &[u8], kind: &str| json!({"mediaType": kind, "digest": format!("sha256:{}", sha256_hex(bytes)), "size": bytes.len()});
        let mut manifest = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "config": blob(config.as_bytes(), "application/vnd.oci.image.config.v1+json"),
            "layers": [blob(&honest.layer, "application/vnd.oci.image.layer.v1.tar")]});
        change(&mut manifest);
        let dir = env.path().join("parts");
        let _ = fs::remove_dir_all(&dir);
        env.file("parts/version", "Directory Transport Version: 1.1\n");
        env.file("parts/manifest.json", manifest.to_string());
        env.file(&format!("parts/{}", sha256_hex(config.as_bytes())), &config);
        env.file(&format!("parts/{layer}"), &honest.layer);
        dir
    };
    let refused = |says: &str| {
        env.coracle(["pull", "-q", "dir:parts"]).fails(125).says(says);
        scene.assert_nothing(says);
    };
    for part in ["manifest.json", layer.as_str()] {
        let path = write(&|_| {}).join(part);
        fs::rename(&path, env.path().join("behind")).unwrap();
        symlink(env.path().join("behind"), &path).unwrap();
        refused("too many levels of symbolic links");
        fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        refused("is not a file");
        fs::remove_file(&path).unwrap();
        symlink("/dev/zero", &path).unwrap();
        refused("symbolic links");
    }
    write(&|manifest| manifest["layers"][0]["digest"] = "sha256:../../outside".into());
    refused("malformed");
    write(&|manifest| manifest["layers"][0]["digest"] = format!("sha256:{}", "1".repeat(64)).into());
    refused("is missing");
    write(&|manifest| manifest["layers"][0]["size"] = json!(3));
    refused("not as long");
    let dir = write(&|_| {});
    let mut other = honest.layer.clone();
    other[600] ^= 1;
    fs::write(dir.join(&layer), other).unwrap();
    refused("has the digest");
    write(&|_| {});
    env.coracle(["pull", "-q", "dir:parts"]).ok();
}

#[test]
fn case_09_an_archive_cannot_name_one_member_without_end() {
    let scene = Scene::new();
    let honest = Pieces::honest();
    let again = |count| {
        move |list: &mut Value| {
            let one = list[0].clone();
            *list = Value::Array(vec![one; count]);
        }
    };
    scene.load_refused(honest.docker(again(1001)), "more than 1000 images");
    // Few images, each with a large configuration that is held in memory.
    let mut large = Pieces::honest();
    large.config["padding"] = "x".repeat(1 << 20).into();
    scene.load_refused(large.docker(again(40)), "configurations");
    // A thread, a file and a copy each.
    let mut layers = Pieces::honest();
    layers.config["rootfs"]["diff_ids"] =
        Value::Array(vec![layers.config["rootfs"]["diff_ids"][0].clone(); 501]);
    let all = |list: &mut Value| list[0]["Layers"] = json!(vec!["layer.tar"; 501]);
    scene.load_refused(layers.docker(all), "more than 500 layers");
}
