//! Images of layers that were made in place.

use super::*;
use crate::image::{ChainId, Digest, Image, ImageConfig, Reference};
use crate::storage::Store;
use crate::storage::layers::Adopted;
use crate::storage::testing::{Scene, Tar};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

fn record(
    store: &Store,
    base: Option<&Image>,
    layers: &[Adopted],
    family: Family,
    annotations: &BTreeMap<String, String>,
    names: &[&str],
) -> crate::error::Result<Image> {
    let names: Vec<Reference> = names.iter().map(|name| name.parse().unwrap()).collect();
    let config = ImageConfig { architecture: "amd64".into(), os: "linux".into(), ..ImageConfig::default() };
    let image = RecordImage { base, layers, config, family, annotations, names: &names };
    record_image(store, &store.shared().unwrap(), image)
}

/// The inode of every file below a directory, by its path.
fn inodes(dir: &Path, into: &mut BTreeMap<PathBuf, u64>) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => inodes(&entry.path(), into),
            false => drop(into.insert(entry.path(), entry.metadata().unwrap().ino())),
        }
    }
}

fn manifest(store: &Store, image: &Image) -> serde_json::Value {
    serde_json::from_slice(&store.blobs().read(&image.manifest).unwrap().unwrap()).unwrap()
}

/// An image as a pull records it: its layer has a blob.
fn pulled(scene: &Scene) -> Image {
    let tar = Tar::new().dir("./").file("base", b"content").end();
    let store = &scene.store;
    let layer = NewLayer::read(store, &*tar, &|| false).unwrap();
    let config = ImageConfig { architecture: "amd64".into(), os: "linux".into(), ..ImageConfig::default() };
    let names = ["docker.io/library/base:latest".parse().unwrap()];
    let make = MakeImage { base: None, layer: Some(layer), config, family: Family::Docker, names: &names };
    make_image(store, make).unwrap()
}

#[test]
fn an_image_of_layers_that_are_here_gets_no_blobs_for_them_and_is_synced() {
    let scene = Scene::new();
    let store = &scene.store;
    let base = pulled(&scene);
    let one = scene.step(&base.layers, "one");
    let under = [&base.layers[..], std::slice::from_ref(&one.chain)].concat();
    let two = scene.step(&under, "two");
    let layers = [one.clone(), two.clone()];
    let notes = BTreeMap::from([("key".to_owned(), "value".to_owned())]);
    let image = record(store, Some(&base), &layers, Family::Oci, &notes, &["localhost/app:1"]).unwrap();
    assert_eq!(image.layers, [&base.layers[..], &[one.chain.clone(), two.chain.clone()]].concat());
    assert_eq!(store.images().find("app:1").unwrap().unwrap().id, image.id);
    let manifest = manifest(store, &image);
    assert_eq!(manifest["annotations"]["key"], "value");
    let types: Vec<&str> =
        manifest["layers"].as_array().unwrap().iter().map(|l| l["mediaType"].as_str().unwrap()).collect();
    assert_eq!(types, [Family::Oci.layer(false), Family::Oci.layer(false), Family::Oci.layer(false)]);
    assert_eq!(manifest["layers"][1]["digest"], one.diff_id.0.as_str());
    assert_eq!(manifest["layers"][1]["size"], one.archive);
    assert!(!store.blobs().has(&one.diff_id.0));
    for layer in &layers {
        let home = store.data().join("layers").join(layer.chain.0.hex());
        assert!(!home.join("unsynced").exists());
    }
    let docker = record(store, Some(&base), &layers, Family::Docker, &notes, &[]).unwrap();
    let manifest = self::manifest(store, &docker);
    assert_eq!(manifest.get("annotations"), None);
    assert_eq!(manifest["layers"][2]["mediaType"], Family::Docker.layer(false));
}

#[test]
fn an_image_that_is_here_under_its_names_is_not_written_again() {
    let scene = Scene::new();
    let store = &scene.store;
    let one = scene.step(&[], "one");
    let write = |names: &[&str]| {
        record(store, None, std::slice::from_ref(&one), Family::Oci, &BTreeMap::new(), names).unwrap()
    };
    let state = || {
        let mut all = BTreeMap::new();
        inodes(store.data(), &mut all);
        all
    };
    let image = write(&["localhost/app:1", "localhost/app:2"]);
    let before = state();
    assert_eq!(write(&["localhost/app:1", "localhost/app:2"]).id, image.id);
    assert_eq!(state(), before);
    write(&["localhost/app:1", "localhost/app:3"]);
    assert_ne!(state(), before);
    assert_eq!(store.images().names(&image.id).unwrap().len(), 3);
}

/// The members of an archive, by name.
fn members(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
        all.insert(name, content);
    }
    all
}

#[test]
fn layers_without_blobs_are_packed_when_they_are_saved() {
    let scene = Scene::new();
    let store = &scene.store;
    let base = pulled(&scene);
    let one = scene.step(&base.layers, "one");
    let layers = std::slice::from_ref(&one);
    let image = record(store, Some(&base), layers, Family::Oci, &BTreeMap::new(), &[]).unwrap();
    let item = |image: &Image| Item { image: image.clone(), names: Vec::new() };
    assert!(packs_layers(store, &[item(&image)]).unwrap() && !packs_layers(store, &[item(&base)]).unwrap());
    let saved = |format| {
        let mut out = Vec::new();
        save_archive(store, format, &[item(&image)], &mut out).map(|()| members(&out))
    };
    let hex = one.diff_id.0.hex();
    for (format, name) in [
        (SaveFormat::DockerArchive, format!("{hex}.tar")),
        (SaveFormat::OciArchive, format!("blobs/sha256/{hex}")),
    ] {
        let all = saved(format).unwrap();
        assert_eq!(Digest::sha256_of(&all[&name]), one.diff_id.0);
        assert!(members(&all[&name])["one"] == b"one");
    }
    let dir = tempfile::tempdir().unwrap();
    for (compress, name) in [(false, "plain"), (true, "packed")] {
        let to = dir.path().join(name);
        fs::create_dir(&to).unwrap();
        save_directory(store, SaveFormat::DockerDir, &item(&image), &to, compress).unwrap();
        assert_eq!(to.join(hex).exists(), !compress);
    }
    // A reader that has had enough.
    let archive = LayerArchive::open(store, &one.diff_id.0, Some(&one.chain)).unwrap().unwrap();
    assert_eq!(archive.size(), one.archive);
    drop(archive);
    // Nothing else has it.
    assert!(LayerArchive::open(store, &one.diff_id.0, None).unwrap().is_none());
    fs::write(store.layers().path(&one.chain).unwrap().join("one"), "two").unwrap();
    for format in [SaveFormat::DockerArchive, SaveFormat::OciArchive] {
        assert!(saved(format).unwrap_err().in_one_line().contains("were changed since it was made"));
    }
}

#[test]
fn the_layout_has_only_images_that_other_programs_can_read() {
    let scene = Scene::new();
    let store = &scene.store;
    let base = pulled(&scene);
    let one = scene.step(&base.layers, "one");
    let names = ["localhost/app:1"];
    record(store, Some(&base), std::slice::from_ref(&one), Family::Oci, &BTreeMap::new(), &names).unwrap();
    let listed = || {
        let text = fs::read(store.data().join("oci/index.json")).unwrap();
        let index: serde_json::Value = serde_json::from_slice(&text).unwrap();
        index["manifests"].as_array().unwrap().len()
    };
    assert_eq!((store.images().list().unwrap().len(), listed()), (2, 1));
    // With the blob it can be read.
    let mut archive = Vec::new();
    store.layers().pack(&one.chain, &mut archive).unwrap();
    store.blobs().put(&archive).unwrap();
    store.images().untag(&"docker.io/library/base:latest".parse().unwrap()).unwrap();
    assert_eq!(listed(), 2);
}

#[test]
fn files_of_a_layer_that_were_changed_are_found_where_nothing_else_has_them() {
    let scene = Scene::new();
    let (store, images) = (&scene.store, scene.store.images());
    let base = pulled(&scene);
    let one = scene.step(&base.layers, "one");
    let layers = std::slice::from_ref(&one);
    let image = record(store, Some(&base), layers, Family::Oci, &BTreeMap::new(), &[]).unwrap();
    assert_eq!(images.layers_without_blobs().unwrap(), std::slice::from_ref(&one.chain));
    assert!(store.layers().is_true(&one.chain).unwrap() && images.damaged(true, &[]).unwrap().is_empty());
    fs::write(store.layers().path(&one.chain).unwrap().join("new"), "").unwrap();
    assert!(!store.layers().is_true(&one.chain).unwrap());
    let wrong = [one.chain.clone()];
    let damaged = images.damaged(false, &wrong).unwrap();
    assert_eq!((damaged.len(), &damaged[0].id, &damaged[0].wrong_layers[..]), (1, &image.id, &wrong[..]));
    assert!(images.is_still(&store.exclusive().unwrap(), &damaged[0]).unwrap());
}

#[test]
fn an_image_is_not_recorded_without_its_layers() {
    let scene = Scene::new();
    let store = &scene.store;
    let one = scene.step(&[], "one");
    let lost = Adopted { chain: ChainId(Digest::sha256_of(b"lost")), ..one.clone() };
    let lost = Adopted { diff_id: crate::image::DiffId(lost.chain.0.clone()), ..lost };
    let torn = store.data().join("layers").join(one.chain.0.hex()).join("unsynced");
    let refused = |layer: &Adopted| {
        record(store, None, std::slice::from_ref(layer), Family::Oci, &BTreeMap::new(), &["localhost/a:1"])
            .unwrap_err()
            .kind()
    };
    assert_eq!(refused(&lost), crate::error::Kind::NotFound);
    fs::write(torn, "another boot").unwrap();
    assert_eq!(refused(&one), crate::error::Kind::NotFound);
    assert!(store.images().list().unwrap().is_empty());
}
