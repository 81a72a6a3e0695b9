use super::tests::{add, blob_count, name};
use super::{Found, Instance, List, Part};
use crate::error::Kind;
use crate::image::{Image, Index, IndexEntry, Platform};
use crate::storage::Store;
use crate::storage::testing::Scene;
use std::fs;

const OCI: &str = "application/vnd.oci.image.manifest.v1+json";

/// A list of these images, each for a platform.
fn list(store: &Store, names: &[&str], images: &[(&Image, &str)]) -> List {
    let (index, parts) = content(images);
    let names: Vec<_> = names.iter().map(|text| name(text)).collect();
    store.images().create_list(&store.shared().unwrap(), &names, (&index, &parts), false).unwrap()
}

fn content(images: &[(&Image, &str)]) -> (Index, Vec<Part>) {
    let (mut index, mut parts) = (Index::default(), Vec::new());
    for (image, platform) in images {
        let mut entry = IndexEntry::new(OCI, image.manifest.clone(), 1);
        entry.platform = Some((&platform.parse::<Platform>().unwrap()).into());
        index.put(entry);
        parts.push(Part { digest: image.manifest.clone(), image: Some(image.id.clone()), source: None });
    }
    (index, parts)
}

#[test]
fn a_list_is_found_as_an_image_is_and_means_one_for_each_platform() {
    let scene = Scene::new();
    let (store, images) = (&scene.store, scene.store.images());
    let (one, two) = (add(store, "one", &[]), add(store, "two", &[]));
    let made = list(store, &["quay.io/team/app:1"], &[(&one, "linux/amd64"), (&two, "linux/s390x")]);
    for text in ["quay.io/team/app:1", "app:1", made.id.hex(), &made.id.hex()[..12], made.id.as_str()] {
        let found = images.find_any(text).unwrap().unwrap();
        assert_eq!(found.id(), &made.id, "{text}");
        assert!(matches!(found, Found::List(_)));
    }
    let for_platform = |text: &str| images.instance(&made, Some(&text.parse().unwrap()));
    let Instance::Here(found) = for_platform("linux/s390x").unwrap() else { panic!("it is here") };
    assert_eq!(found.id, two.id);
    assert_eq!(for_platform("linux/riscv64").unwrap_err().kind(), Kind::Image);
    if Platform::host().architecture == "amd64" {
        let found = images.find("app:1").unwrap().unwrap();
        assert_eq!((found.id, found.reference), (one.id.clone(), Some(name("quay.io/team/app:1"))));
    }
    // The same name is not given twice, but it moves.
    let (index, parts) = content(&[(&one, "linux/amd64")]);
    let again = |moving| {
        let names = [name("quay.io/team/app:1")];
        images.create_list(&store.shared().unwrap(), &names, (&index, &parts), moving)
    };
    assert_eq!(again(false).unwrap_err().kind(), Kind::Conflict);
    let other = again(true).unwrap();
    assert_eq!(images.find_any("app:1").unwrap().unwrap().id(), &other.id);
    images.tag(&store.shared().unwrap(), &two, &name("quay.io/team/app:1")).unwrap();
    assert_eq!(images.find_any("app:1").unwrap().unwrap().id(), &two.id);
    images.tag_list(&store.shared().unwrap(), &made.id, &name("quay.io/team/app:1")).unwrap();
    assert_eq!(images.find_any("app:1").unwrap().unwrap().id(), &made.id);
    assert!(images.lists().unwrap().iter().any(|(list, listed)| list.id == other.id && listed.is_dangling()));
}

#[test]
fn a_change_keeps_the_id_and_takes_the_former_index_away() {
    let scene = Scene::new();
    let (store, images) = (&scene.store, scene.store.images());
    let one = add(store, "one", &["localhost/one:1"]);
    let made = list(store, &["localhost/list:1"], &[(&one, "linux/amd64")]);
    let change = |key: &str| {
        let lock = store.shared().unwrap();
        let changed = images.change_list(&lock, &made.id, |index, _| {
            index.annotations.insert(key.to_owned(), "1".to_owned());
            Ok(())
        });
        changed.unwrap()
    };
    let before = blob_count(store);
    let (changed, old) = change("a");
    assert_eq!((&changed.id, old.as_ref()), (&made.id, Some(&made.digest)));
    assert_eq!(blob_count(store), before + 1);
    images.discard_blobs(&store.exclusive().unwrap(), &[old.unwrap()]).unwrap();
    assert_eq!(blob_count(store), before);
    // What it is now is not taken, and a change that changes nothing leaves nothing.
    images.discard_blobs(&store.exclusive().unwrap(), std::slice::from_ref(&changed.digest)).unwrap();
    assert_eq!((change("a").1, blob_count(store)), (None, before));
    // Changes of several at once are all there.
    std::thread::scope(|scope| {
        for at in 0..8 {
            scope.spawn(move || change(&format!("key{at}")));
        }
    });
    let Some(Found::List(now)) = images.find_any("list:1").unwrap() else { panic!("it is a list") };
    assert_eq!(now.index.annotations.len(), 9);
    images.prune(&store.exclusive().unwrap(), false, |_| true).unwrap();
    assert_eq!(blob_count(store), before);
}

#[test]
fn what_a_list_has_is_kept_while_it_has_it() {
    let scene = Scene::new();
    let (store, images) = (&scene.store, scene.store.images());
    let one = add(store, "one", &[]);
    let made = list(store, &["localhost/list:1"], &[(&one, "linux/amd64")]);
    assert_eq!(images.lists_with(&one.id).unwrap(), std::slice::from_ref(&made.id));
    assert!(!images.list().unwrap()[0].is_dangling());
    assert!(images.prune(&store.exclusive().unwrap(), false, |_| true).unwrap().is_empty());
    assert!(store.layers().has(&one.layers[0]) && images.find("list:1").is_ok());
    // Neither is what it may have while it cannot be read.
    let record = store.data().join("lists").join(made.id.hex());
    let good = fs::read(&record).unwrap();
    fs::write(&record, &good[..good.len() / 2]).unwrap();
    let count = blob_count(store);
    assert!(images.prune(&store.exclusive().unwrap(), true, |_| true).unwrap().is_empty());
    assert!(images.lists_with(&one.id).is_err());
    assert_eq!((blob_count(store), images.lost_records().unwrap().len()), (count, 1));
    fs::write(&record, good).unwrap();
    // Without a name it goes, and then nothing keeps the image.
    images.untag(&name("localhost/list:1")).unwrap();
    let gone = images.prune(&store.exclusive().unwrap(), false, |_| true).unwrap();
    assert_eq!(gone, [made.id, one.id]);
    assert_eq!((blob_count(store), store.layers().list().unwrap().len()), (0, 0));
}

#[test]
fn a_list_that_is_removed_leaves_its_images() {
    let scene = Scene::new();
    let (store, images) = (&scene.store, scene.store.images());
    let one = add(store, "one", &["localhost/one:1"]);
    let count = blob_count(store);
    let made = list(store, &["localhost/list:1", "localhost/list:2"], &[(&one, "linux/amd64")]);
    let layout = || fs::read_to_string(store.data().join("oci/index.json")).unwrap();
    assert!(layout().contains("localhost/list:2"), "other programs see it too");
    let removed = images.remove_list(&store.exclusive().unwrap(), &made.id).unwrap();
    assert_eq!(removed.untagged, [name("localhost/list:1"), name("localhost/list:2")]);
    assert_eq!((removed.deleted, blob_count(store)), (Some(made.id.clone()), count));
    assert!(!layout().contains("localhost/list") && images.find("one:1").unwrap().is_some());
    assert!(images.find_any("list:1").unwrap().is_none() && images.dangling_names().unwrap().is_empty());
    assert!(images.remove_list(&store.exclusive().unwrap(), &made.id).is_err());
}

#[test]
fn a_list_of_an_additional_store_is_used_in_place() {
    let (theirs, dir) = (Scene::new(), tempfile::tempdir().unwrap());
    let one = add(&theirs.store, "one", &[]);
    let made = list(&theirs.store, &["localhost/list:1"], &[(&one, "linux/amd64")]);
    let others = [theirs.store.data().to_owned()];
    let store = Store::open(&dir.path().join("data"), &dir.path().join("run"), &others).unwrap();
    let images = store.images();
    assert_eq!(images.find_any("list:1").unwrap().unwrap().id(), &made.id);
    assert!(images.lists().unwrap()[0].1.read_only && !images.is_own(&made.id));
    let lock = store.shared().unwrap();
    for refused in [
        images.change_list(&lock, &made.id, |_, _| Ok(())).map(drop),
        images.tag_list(&lock, &made.id, &name("localhost/mine:1")),
    ] {
        assert!(refused.unwrap_err().message().contains("read-only"));
    }
    drop(lock);
    assert!(images.remove_list(&store.exclusive().unwrap(), &made.id).is_err());
    // A list of our own may have an image of theirs.
    let own = list(&store, &["localhost/own:1"], &[(&one, "linux/amd64")]);
    let found = images.instance(&own, Some(&"linux/amd64".parse().unwrap())).unwrap();
    assert!(matches!(found, Instance::Here(image) if image.id == one.id));
}

#[test]
fn an_index_that_is_lost_is_damage() {
    let scene = Scene::new();
    let (store, images) = (&scene.store, scene.store.images());
    let one = add(store, "one", &["localhost/one:1"]);
    let made = list(store, &["localhost/list:1"], &[(&one, "linux/amd64")]);
    assert!(images.damaged_lists().unwrap().is_empty());
    fs::remove_file(store.data().join("oci/blobs/sha256").join(made.digest.hex())).unwrap();
    assert!(images.find("list:1").is_err() && images.lists().unwrap().is_empty());
    let found = images.damaged_lists().unwrap();
    assert_eq!((found.len(), &found[0].0), (1, &made.id));
    images.remove_list(&store.exclusive().unwrap(), &made.id).unwrap();
    assert!(images.damaged_lists().unwrap().is_empty() && images.find("list:1").unwrap().is_none());
}
