use super::*;
use crate::image::DiffId;
use crate::spec::RootSpec;
use crate::storage::Store;
use crate::storage::testing::{Scene, Tar, gzip, spec};
use serde_json::json;
use std::io::Cursor;
use std::process::Command;

pub(super) fn name(text: &str) -> Reference {
    text.parse().unwrap()
}

/// Records an image of one layer with one file; the file's content makes it another image.
pub(super) fn add(store: &Store, content: &str, names: &[&str]) -> Image {
    let tar = Tar::new().file("file", content.as_bytes()).end();
    let packed = gzip(&tar);
    let layer = store.blobs().put(&packed).unwrap();
    let diff_id = DiffId(Digest::sha256_of(&tar));
    let lock = store.shared().unwrap();
    let chain = ChainId(diff_id.0.clone());
    if !store.layers().has(&chain) {
        let job = store.layers().begin(&diff_id, "", Cursor::new(packed.clone())).unwrap();
        store
            .layers()
            .commit(&lock, vec![super::super::layers::StackLayer::New(job.join().unwrap())])
            .unwrap();
    }
    let config = json!({
        "architecture": "amd64", "os": "linux", "created": "2024-05-06T07:08:09Z",
        "config": {"Cmd": ["sh"], "Labels": {"content": content}},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    })
    .to_string();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json",
                   "digest": Digest::sha256_of(config.as_bytes()), "size": config.len()},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": layer, "size": packed.len()}],
    })
    .to_string();
    let names: Vec<Reference> = names.iter().map(|n| name(n)).collect();
    let new = NewImage {
        manifest: manifest.as_bytes(),
        media_type: "application/vnd.oci.image.manifest.v1+json",
        config: config.as_bytes(),
        names: &names,
        index: None,
        from_registry: false,
    };
    store.images().record(&lock, &new).unwrap()
}

pub(super) fn blob_count(store: &Store) -> usize {
    fs::read_dir(store.data().join("oci/blobs/sha256")).unwrap().count()
}

#[test]
fn an_image_is_found_by_everything_a_user_types() {
    let scene = Scene::new();
    let images = scene.store.images();
    let one = add(&scene.store, "one", &["docker.io/library/alpine:latest", "quay.io/team/app:1.2"]);
    let find = |text: &str| images.find(text).unwrap().map(|i| i.id);
    let by_digest = format!("quay.io/team/app@{}", one.manifest);
    let id = one.id.to_string();
    for text in [
        "alpine",
        "alpine:latest",
        "library/alpine",
        "docker.io/alpine",
        "docker.io/library/alpine:latest",
        "quay.io/team/app:1.2",
        "app:1.2",
        "team/app:1.2",
        &by_digest,
        &id,
        one.id.hex(),
        one.id.short(),
        &one.id.hex()[..3],
    ] {
        assert_eq!(find(text), Some(one.id.clone()), "{text}");
    }
    for text in ["alpine:3", "app", "quay.io/alpine", "pine", "ffffffffffff", &format!("alpine@{}", one.id)] {
        assert_eq!(find(text), None, "{text}");
    }
    assert!(images.find("Not A Name").is_err() && images.find("sha256:xyz").is_err());
    let image = images.find("alpine").unwrap().unwrap();
    assert_eq!(image.reference, Some(name("docker.io/library/alpine:latest")));
    assert_eq!(image.config.config.cmd, ["sh"]);
    assert_eq!(image.layers.len(), 1);
    // localhost/ comes first, and two images of one short name elsewhere are ambiguous.
    let own = add(&scene.store, "own", &["localhost/alpine:latest"]);
    assert_eq!(find("alpine"), Some(own.id.clone()));
    add(&scene.store, "two", &["ghcr.example/team/app:1.2"]);
    assert_eq!(images.find("app:1.2").unwrap_err().kind(), Kind::Conflict);
    let ids: Vec<String> = images.list().unwrap().iter().map(|l| l.image.id.hex().to_owned()).collect();
    let shared = (1..64).find(|n| ids.iter().filter(|i| i[..*n] == ids[0][..*n]).count() == 1).unwrap();
    if shared > 1 {
        let error = images.find(&format!("sha256:{}", &ids[0][..shared - 1])).unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict);
    }
}

#[test]
fn a_name_that_moves_leaves_the_old_image_dangling() {
    let scene = Scene::new();
    let images = scene.store.images();
    let old = add(&scene.store, "old", &["docker.io/library/app:latest"]);
    let new = add(&scene.store, "new", &["docker.io/library/app:latest"]);
    let listed = images.list().unwrap();
    let of = |id: &Digest| listed.iter().find(|l| l.image.id == *id).unwrap();
    assert!(of(&old.id).names.is_empty());
    assert_eq!(of(&new.id).names, [name("docker.io/library/app:latest")]);
    assert_eq!(of(&new.id).size, 3);
    let index: serde_json::Value =
        serde_json::from_slice(&fs::read(scene.store.data().join("oci/index.json")).unwrap()).unwrap();
    assert_eq!(index["manifests"].as_array().unwrap().len(), 2);
    images.tag(&scene.store.shared().unwrap(), &old, &name("localhost/kept:1")).unwrap();
    assert_eq!(images.find("kept:1").unwrap().unwrap().id, old.id);
    images.untag(&name("localhost/kept:1")).unwrap();
    assert_eq!(images.untag(&name("localhost/kept:1")).unwrap_err().kind(), Kind::NotFound);
}

#[test]
fn removing_an_image_takes_what_nothing_else_needs() {
    let scene = Scene::new();
    let (store, images) = (&scene.store, scene.store.images());
    let one = add(store, "one", &["docker.io/library/one:latest"]);
    // The same layer under another configuration: here the labels differ, the layer does not.
    let two = add(store, "two", &["docker.io/library/two:latest", "docker.io/library/too:latest"]);
    assert_eq!(blob_count(store), 6);
    let removed = images.remove(&store.exclusive().unwrap(), &one.id).unwrap();
    assert_eq!(removed.untagged, [name("docker.io/library/one:latest")]);
    assert_eq!(removed.layers, one.layers);
    assert_eq!(blob_count(store), 3);
    assert!(!store.layers().has(&one.layers[0]) && store.layers().has(&two.layers[0]));
    // A container keeps its image; without the image it would still keep its layers.
    let id = "c".repeat(64);
    let container = store.data().join("containers").join(&id);
    fs::create_dir(&container).unwrap();
    let mut plan = spec("c");
    plan.image.as_mut().unwrap().id = two.id.clone();
    plan.root = RootSpec::Layers(two.layers.clone());
    fs::write(container.join("plan.json"), serde_json::to_vec(&plan).unwrap()).unwrap();
    let refused = images.remove(&store.exclusive().unwrap(), &two.id).unwrap_err();
    assert_eq!(refused.kind(), Kind::Conflict);
    assert!(store.layers().has(&two.layers[0]) && images.find("two").unwrap().is_some());
    fs::remove_dir_all(&container).unwrap();
    let removed = images.remove(&store.exclusive().unwrap(), &two.id).unwrap();
    assert_eq!(removed.untagged.len(), 2);
    assert_eq!((blob_count(store), images.list().unwrap().len()), (0, 0));
    assert!(store.layers().list().unwrap().is_empty());
}

#[test]
fn an_additional_store_is_used_in_place_and_never_written() {
    let (theirs, dir) = (Scene::new(), tempfile::tempdir().unwrap());
    let image = add(&theirs.store, "shared", &["docker.io/library/shared:latest"]);
    let others = [theirs.store.data().to_owned()];
    let store = Store::open(&dir.path().join("data"), &dir.path().join("run"), &others).unwrap();
    let found = store.images().find("shared").unwrap().unwrap();
    assert_eq!(found.id, image.id);
    assert!(store.layers().path(&image.layers[0]).unwrap().starts_with(theirs.store.data()));
    assert!(store.images().list().unwrap()[0].read_only);
    assert!(store.images().remove(&store.exclusive().unwrap(), &image.id).is_err());
    // A name of our own for it is ours to take away.
    store.images().tag(&store.shared().unwrap(), &found, &name("localhost/mine:1")).unwrap();
    assert_eq!(store.images().find("mine:1").unwrap().unwrap().id, image.id);
    assert_eq!(theirs.store.images().list().unwrap()[0].names.len(), 1);
    store.images().untag(&name("localhost/mine:1")).unwrap();
    let missing = Store::open(&dir.path().join("data"), &dir.path().join("run"), &[dir.path().join("none")]);
    assert_eq!(missing.unwrap_err().kind(), Kind::Usage);
}

#[test]
fn a_manifest_and_a_configuration_must_be_a_pair() {
    let scene = Scene::new();
    let lock = scene.store.shared().unwrap();
    let config = br#"{"rootfs":{"type":"layers","diff_ids":[]}}"#;
    let other = json!({"config": {"digest": Digest::sha256_of(b"other")}, "layers": []}).to_string();
    for manifest in [other.as_bytes(), b"[]", b"{}"] {
        let new =
            NewImage { manifest, media_type: "x", config, names: &[], index: None, from_registry: false };
        assert_eq!(scene.store.images().record(&lock, &new).unwrap_err().kind(), Kind::Image);
    }
    let lost = Digest::sha256_of(b"no such layer");
    let config = json!({"rootfs": {"type": "layers", "diff_ids": [lost]}}).to_string();
    let manifest =
        json!({"config": {"digest": Digest::sha256_of(config.as_bytes())}, "layers": []}).to_string();
    let new = NewImage {
        manifest: manifest.as_bytes(),
        media_type: "x",
        config: config.as_bytes(),
        names: &[],
        index: None,
        from_registry: false,
    };
    assert_eq!(scene.store.images().record(&lock, &new).unwrap_err().kind(), Kind::NotFound);
    assert!(scene.store.images().list().unwrap().is_empty());
}

#[test]
fn a_damaged_configuration_is_noticed() {
    let scene = Scene::new();
    let image = add(&scene.store, "one", &["docker.io/library/one:latest"]);
    let path = scene.store.data().join("oci/blobs/sha256").join(image.id.hex());
    let text = fs::read_to_string(&path).unwrap().replace("sh", "ls");
    fs::write(&path, text).unwrap();
    let error = scene.store.images().find("one").unwrap_err();
    assert!(error.message().contains("damaged") && !error.hints().is_empty());
}

#[test]
fn other_programs_can_read_the_layout() {
    let scene = Scene::new();
    let image = add(&scene.store, "one", &["docker.io/library/one:latest"]);
    let layout = scene.store.data().join("oci");
    let target = format!("oci:{}:docker.io/library/one:latest", layout.display());
    let Ok(output) = Command::new("skopeo").args(["inspect", &target]).output() else {
        println!("skipped: skopeo is not installed");
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let seen: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(seen["Digest"], image.manifest.as_str());
    assert_eq!(seen["Labels"]["content"], "one");
}

/// Between the look and the lock a pull may have put things right.
#[test]
fn damage_that_was_mended_meanwhile_is_none() {
    let scene = Scene::new();
    let images = scene.store.images();
    let one = add(&scene.store, "one", &["localhost/one:1"]);
    let blob = scene.store.data().join("oci/blobs/sha256").join(one.id.hex());
    let good = fs::read(&blob).unwrap();
    fs::write(&blob, [good.as_slice(), b" "].concat()).unwrap();
    let found = images.damaged(true, &[]).unwrap();
    let found = found.iter().find(|damaged| damaged.id == one.id).unwrap();
    assert_eq!(found.wrong_blobs.as_slice(), std::slice::from_ref(&one.id));
    let lock = scene.store.exclusive().unwrap();
    assert!(images.is_still(&lock, found).unwrap());
    fs::write(&blob, good).unwrap();
    let rest = images.damaged(false, &[]).unwrap().iter().any(|damaged| damaged.id == one.id);
    assert_eq!(images.is_still(&lock, found).unwrap(), rest);
    assert!(!rest, "{found:?}");
}

#[test]
fn an_image_that_is_removed_while_it_is_looked_for_is_not_there() {
    let scene = Scene::new();
    let (store, images) = (&scene.store, scene.store.images());
    let id = add(store, "one", &["docker.io/library/one:latest"]).id;
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..40 {
                images.remove(&store.exclusive().unwrap(), &id).unwrap();
                add(store, "one", &["docker.io/library/one:latest"]);
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        for _ in 0..8 {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    images.find(id.as_str()).unwrap();
                    images.find("one").unwrap();
                }
            });
        }
    });
}

/// What an older coracle does that does not know what listings show of an image.
fn forget_shown(store: &Store, image: &Digest) {
    let path = store.data().join("images").join(image.hex());
    let mut record: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert!(record.as_object_mut().unwrap().remove("shown").is_some(), "{record}");
    assert_eq!(record["version"], 1);
    fs::write(path, record.to_string()).unwrap();
}

#[test]
fn an_image_is_listed_the_same_from_its_record_and_from_that_of_an_older_coracle() {
    let scene = Scene::new();
    let (store, images) = (&scene.store, scene.store.images());
    let one = add(store, "one", &["docker.io/library/one:latest", "localhost/again:1"]);
    let two = add(store, "two", &[]);
    let listed = images.list().unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!((listed[0].size, listed[0].image.labels.len()), (3, 1));
    assert_eq!(
        (listed[0].image.os.as_str(), listed[0].created.to_rfc3339().as_str()),
        ("linux", "2024-05-06T07:08:09+00:00")
    );
    [&one, &two].into_iter().for_each(|image| forget_shown(store, &image.id));
    assert_eq!(images.list().unwrap(), listed);
    for image in &listed {
        assert_eq!(images.listed(&image.image.id).unwrap().as_ref(), Some(image));
    }
    // The next one that records it notes it again.
    add(store, "one", &["docker.io/library/one:latest", "localhost/again:1"]);
    let path = store.data().join("images").join(one.id.hex());
    assert!(fs::read_to_string(path).unwrap().contains("\"shown\":"));
    assert_eq!(images.list().unwrap(), listed);
    assert_eq!(images.listed(&Digest::sha256_of(b"none")).unwrap(), None);
}

#[test]
fn a_listing_reads_no_configurations() {
    let scene = Scene::new();
    let (store, images) = (&scene.store, scene.store.images());
    let one = add(store, "one", &["docker.io/library/one:latest"]);
    let old = add(store, "old", &["docker.io/library/old:latest"]);
    forget_shown(store, &old.id);
    for image in [&one, &old] {
        fs::remove_file(store.data().join("oci/blobs/sha256").join(image.id.hex())).unwrap();
    }
    let listed = images.list().unwrap();
    assert_eq!(listed.iter().map(|listed| &listed.image.id).collect::<Vec<_>>(), [&one.id]);
    assert!(images.find("one").unwrap_err().message().contains("is missing"));
}

#[test]
fn digests_are_told_of_the_names_that_an_image_has() {
    let scene = Scene::new();
    let (store, images) = (&scene.store, scene.store.images());
    let one = add(store, "one", &["docker.io/library/one:latest", "quay.io/team/one:1"]);
    let told = || images.listed(&one.id).unwrap().unwrap().repo_digests();
    assert_eq!(told().len(), 2);
    images.untag(&name("quay.io/team/one:1")).unwrap();
    assert_eq!(told(), [format!("docker.io/library/one@{}", one.manifest)]);
    images.untag(&name("docker.io/library/one:latest")).unwrap();
    assert!(told().is_empty());
    // It is still found by what it was pulled as.
    assert_eq!(images.find(&format!("quay.io/team/one@{}", one.manifest)).unwrap().unwrap().id, one.id);
}
