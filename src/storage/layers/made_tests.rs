//! Layers that are made in place.

use super::*;
use crate::storage::Store;
use crate::storage::pack::{Options, Packer};
use crate::storage::testing::{Scene, Tar};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

/// Makes a layer on top of others, whose tree is what this does to an empty directory.
fn made(scene: &Scene, below: &[ChainId], how: &Adopt<'_>, step: impl FnOnce(&Path)) -> Option<Adopted> {
    let layers = scene.store.layers();
    let workshop = layers.workshop(below).unwrap();
    let tree = workshop.path().join("fs");
    step(&tree);
    layers.adopt(workshop, below, how, |_, _| Ok(())).unwrap()
}

fn base(scene: &Scene) -> Vec<ChainId> {
    scene.commit(&[Tar::new().dir("./").dir("etc/").file("etc/passwd", b"root").dir("run/").end()]).unwrap()
}

fn tree(store: &Store, layer: &Adopted) -> std::path::PathBuf {
    store.layers().path(&layer.chain).unwrap()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn set_time(path: &Path, seconds: i64) {
    let time = nix::sys::time::TimeSpec::new(seconds, 5);
    let flag = nix::sys::stat::UtimensatFlags::NoFollowSymlink;
    nix::sys::stat::utimensat(nix::fcntl::AT_FDCWD, path, &time, &time, flag).unwrap();
}

/// Has the layer be of another boot.
fn after_a_power_cut(store: &Store, chain: &ChainId) {
    let marker = store.data().join("layers").join(chain.0.hex()).join("unsynced");
    assert_eq!(fs::read_to_string(&marker).unwrap(), crate::storage::boot::boot_id());
    fs::write(marker, "another").unwrap();
}

#[test]
fn a_directory_becomes_a_layer_whose_archive_is_packed_again_with_the_same_bytes() {
    let scene = Scene::new();
    let below = base(&scene);
    let step = |tree: &Path| {
        fs::create_dir(tree.join("new")).unwrap();
        fs::write(tree.join("new/file"), "content").unwrap();
        set_time(&tree.join("new/file"), 1_000_000_000);
        set_time(&tree.join("new"), 1_000_000_000);
    };
    let layer = made(&scene, &below, &Adopt::default(), step).unwrap();
    assert_eq!(layer.chain, ChainId::above(below.last(), &layer.diff_id));
    let record = scene.store.layers().record(&layer.chain).unwrap();
    assert_eq!((record.parent.as_ref(), record.size, record.entries), (below.last(), 7, 2));
    assert_eq!(record.archive, Some(layer.archive));
    assert_eq!(scene.store.layers().adopted(&layer.chain).unwrap(), Some(layer.clone()));
    assert_eq!(fs::read_to_string(tree(&scene.store, &layer).join("new/file")).unwrap(), "content");
    let mut packer = Packer::new(Vec::new(), Options::default());
    packer.tree(open_dir(&tree(&scene.store, &layer)).unwrap().as_fd(), b"").unwrap();
    let archive = packer.finish().unwrap().0;
    assert_eq!(Digest::sha256_of(&archive), layer.diff_id.0);
    assert_eq!(archive.len() as u64, layer.archive);
    // Another build that comes to the same.
    assert_eq!(made(&scene, &below, &Adopt::default(), step).unwrap(), layer);
    scene.assert_clean();
}

#[test]
fn a_step_that_changes_nothing_makes_no_layer() {
    let scene = Scene::new();
    let below = base(&scene);
    assert_eq!(made(&scene, &below, &Adopt::default(), |_| {}), None);
    let socket = |tree: &Path| drop(std::os::unix::net::UnixListener::bind(tree.join("s")).unwrap());
    assert_eq!(made(&scene, &below, &Adopt::default(), socket), None);
    let opened = |tree: &Path| fs::set_permissions(tree, fs::Permissions::from_mode(0o711)).unwrap();
    let layer = made(&scene, &below, &Adopt::default(), opened).unwrap();
    assert_eq!(fs::metadata(tree(&scene.store, &layer)).unwrap().mode() & 0o777, 0o711);
    scene.assert_clean();
}

#[test]
fn a_layer_of_a_pull_that_is_made_again_is_known_to_be_packable() {
    let scene = Scene::new();
    let below = base(&scene);
    let step = |tree: &Path| fs::write(tree.join("file"), "content").unwrap();
    let time = Adopt { all: Some(1), ..Adopt::default() };
    let layer = made(&scene, &below, &time, step).unwrap();
    let home = scene.store.data().join("layers").join(layer.chain.0.hex());
    let record = LayerRecord { archive: None, ..scene.store.layers().record(&layer.chain).unwrap() };
    fs::write(home.join("layer.json"), serde_json::to_vec(&record).unwrap()).unwrap();
    assert_eq!(scene.store.layers().adopted(&layer.chain).unwrap(), None);
    made(&scene, &below, &time, step).unwrap();
    assert_eq!(scene.store.layers().adopted(&layer.chain).unwrap(), Some(layer));
}

#[test]
fn what_was_made_to_be_mounted_on_is_not_in_the_layer() {
    let scene = Scene::new();
    let below = base(&scene);
    let step = |tree: &Path| {
        for dir in ["etc", "run/secrets", "cache/deep/er", "kept", "usr/lib"] {
            fs::create_dir_all(tree.join(dir)).unwrap();
        }
        for stub in ["etc/hosts", "etc/resolv.conf", "run/secrets/id", "kept/stub", "usr/lib/stub"] {
            fs::write(tree.join(stub), "").unwrap();
        }
        symlink("usr/lib", tree.join("lib")).unwrap();
        fs::write(tree.join("kept/file"), "content").unwrap();
        fs::write(tree.join("kept/filled"), "by the step").unwrap();
        set_time(&tree.join("kept"), 1_000_000_000);
    };
    let paths = [
        "/run/secrets/id",
        "cache/deep/er",
        "cache",
        "kept/stub",
        "kept/filled",
        "lib/stub",
        "missing/one",
        "etc/passwd",
    ];
    let list: Vec<Vec<u8>> = paths.iter().map(|path| path.as_bytes().to_vec()).collect();
    let layer = made(&scene, &below, &Adopt { made: &list, ran: true, ..Adopt::default() }, step).unwrap();
    let tree = tree(&scene.store, &layer);
    // What is above a mount point and nowhere below was made for it, also where a link leads.
    assert_eq!(names(&tree), ["kept", "lib"]);
    assert_eq!(names(&tree.join("kept")), ["file", "filled"]);
    assert_eq!(fs::metadata(tree.join("kept")).unwrap().mtime(), 1_000_000_000);
    // Without a container, an empty file is one that somebody has copied.
    let copied = |tree: &Path| {
        fs::create_dir(tree.join("etc")).unwrap();
        fs::write(tree.join("etc/hosts"), "").unwrap();
    };
    let layer = made(&scene, &below, &Adopt::default(), copied).unwrap();
    // As is one that the layers below have.
    let under = [&below[..], &[layer.chain]].concat();
    let layer = made(&scene, &under, &Adopt { ran: true, ..Adopt::default() }, copied).unwrap();
    assert!(self::tree(&scene.store, &layer).join("etc/hosts").exists());
}

#[test]
fn case_45_removing_mount_stubs_does_not_leave_the_tree() {
    let scene = Scene::new();
    let below = base(&scene);
    let (outside, empty) = (scene.dir.path().join("run/empty"), scene.dir.path().join("run/dir"));
    fs::write(&outside, "").unwrap();
    fs::create_dir(&empty).unwrap();
    let step = |tree: &Path| {
        symlink(scene.dir.path().join("run"), tree.join("link")).unwrap();
        symlink(&outside, tree.join("file")).unwrap();
        symlink("../../../../../../../../..", tree.join("up")).unwrap();
        fs::write(tree.join("content"), "x").unwrap();
    };
    let up = format!("up{}", outside.display());
    let list: Vec<Vec<u8>> =
        ["link/empty", "link/dir", "file", "up", &up].iter().map(|path| path.as_bytes().to_vec()).collect();
    let layer = made(&scene, &below, &Adopt { made: &list, ran: true, ..Adopt::default() }, step).unwrap();
    assert!(outside.exists() && empty.exists());
    assert_eq!(names(&tree(&scene.store, &layer)), ["content", "file", "link", "up"]);
    let workshop = scene.store.layers().workshop(&below).unwrap();
    let wrong = Adopt { made: &[b"../../outside".to_vec()], ..Adopt::default() };
    scene.store.layers().adopt(workshop, &below, &wrong, |_, _| Ok(())).unwrap_err();
    scene.assert_clean();
}

#[test]
fn what_an_archive_cannot_hold_is_not_in_the_layer_either() {
    let scene = Scene::new();
    let below = base(&scene);
    let step = |tree: &Path| {
        fs::create_dir_all(tree.join("dir/.wh.deep/er")).unwrap();
        fs::write(tree.join("dir/.wh.passwd"), "").unwrap();
        fs::write(tree.join("dir/file"), "").unwrap();
        drop(std::os::unix::net::UnixListener::bind(tree.join("dir/socket")).unwrap());
        set_time(&tree.join("dir"), 1_000_000_000);
    };
    let layer = made(&scene, &below, &Adopt::default(), step).unwrap();
    let dir = tree(&scene.store, &layer).join("dir");
    assert_eq!(names(&dir), ["file"]);
    assert_eq!(fs::metadata(&dir).unwrap().mtime(), 1_000_000_000);
}

#[test]
fn times_are_set_in_the_tree_and_make_the_layer_the_same_again() {
    let scene = Scene::new();
    let below = base(&scene);
    let step = |tree: &Path| {
        fs::create_dir(tree.join("dir")).unwrap();
        fs::write(tree.join("dir/old"), "").unwrap();
        fs::write(tree.join("dir/new"), "").unwrap();
        symlink("new", tree.join("dir/link")).unwrap();
        set_time(&tree.join("dir/old"), 5);
    };
    let time = |layer: &Adopted, name: &str| {
        fs::symlink_metadata(tree(&scene.store, layer).join(name)).unwrap().mtime()
    };
    let all = Adopt { all: Some(1000), latest: Some(7), ..Adopt::default() };
    let layer = made(&scene, &below, &all, step).unwrap();
    assert!(["dir", "dir/old", "dir/new", "dir/link"].iter().all(|name| time(&layer, name) == 1000));
    let latest = Adopt { latest: Some(1000), ..Adopt::default() };
    let layer = made(&scene, &below, &latest, step).unwrap();
    assert_eq!((time(&layer, "dir/old"), time(&layer, "dir/new"), time(&layer, "dir/link")), (5, 1000, 1000));
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(made(&scene, &below, &latest, step).unwrap(), layer);
}

#[test]
fn a_layer_that_was_not_synced_before_a_power_cut_is_absent_and_made_anew() {
    let scene = Scene::new();
    let (store, layers) = (&scene.store, scene.store.layers());
    let below = base(&scene);
    let step = |tree: &Path| fs::write(tree.join("file"), "content").unwrap();
    let time = Adopt { all: Some(1), ..Adopt::default() };
    let layer = made(&scene, &below, &time, step).unwrap();
    assert!(layers.has(&layer.chain));
    after_a_power_cut(store, &layer.chain);
    assert!(!layers.has(&layer.chain));
    assert_eq!(layers.path(&layer.chain).unwrap_err().kind(), Kind::NotFound);
    assert_eq!(layers.record(&layer.chain).unwrap_err().kind(), Kind::NotFound);
    assert_eq!(layers.settle(std::slice::from_ref(&layer.chain)).unwrap_err().kind(), Kind::NotFound);
    let workshop = layers.workshop(&below).unwrap();
    let above = layers.adopt(workshop, &[below[0].clone(), layer.chain.clone()], &time, |_, _| Ok(()));
    assert_eq!(above.unwrap_err().kind(), Kind::NotFound);
    // By the same step, and by a pull of the same layer.
    let torn = fs::metadata(store.data().join("layers").join(layer.chain.0.hex())).unwrap().ino();
    made(&scene, &below, &time, step).unwrap();
    assert!(layers.has(&layer.chain));
    assert_ne!(fs::metadata(layers.path(&layer.chain).unwrap().parent().unwrap()).unwrap().ino(), torn);
    fs::write(store.data().join("layers").join(layer.chain.0.hex()).join("unsynced"), "").unwrap();
    assert!(!layers.has(&layer.chain));
    let mut packer = Packer::new(Vec::new(), Options::default());
    packer
        .tree(
            open_dir(&store.data().join("layers").join(layer.chain.0.hex()).join("fs")).unwrap().as_fd(),
            b"",
        )
        .unwrap();
    let unpacked = scene.unpack(&packer.finish().unwrap().0).unwrap();
    let stack = vec![StackLayer::Present(below[0].clone()), StackLayer::New(unpacked)];
    let chain = layers.commit(&store.shared().unwrap(), stack).unwrap();
    assert_eq!(chain.last(), Some(&layer.chain));
    assert_eq!(layers.record(&layer.chain).unwrap().archive, None);
    layers.settle(&chain).unwrap();
    scene.assert_clean();
}

#[test]
fn settling_takes_the_marks_away_and_prune_what_is_torn() {
    let scene = Scene::new();
    let (store, layers) = (&scene.store, scene.store.layers());
    let below = base(&scene);
    let one = made(&scene, &below, &Adopt::default(), |tree| fs::write(tree.join("1"), "").unwrap()).unwrap();
    let under = [below[0].clone(), one.chain.clone()];
    let two = made(&scene, &under, &Adopt::default(), |tree| fs::write(tree.join("2"), "").unwrap()).unwrap();
    let marker = |layer: &Adopted| store.data().join("layers").join(layer.chain.0.hex()).join("unsynced");
    assert!(marker(&one).exists() && marker(&two).exists());
    layers.settle(&[below[0].clone(), one.chain.clone(), two.chain.clone()]).unwrap();
    assert!(!marker(&one).exists() && !marker(&two).exists());
    let three =
        made(&scene, &under, &Adopt::default(), |tree| fs::write(tree.join("3"), "").unwrap()).unwrap();
    after_a_power_cut(store, &three.chain);
    let used = [below[0].clone(), one.chain.clone(), three.chain.clone()].into_iter().collect();
    let lock = store.exclusive().unwrap();
    let mut gone = layers.discard_unused(&used, |layer, _| *layer == two.chain).unwrap();
    gone.sort();
    let mut wanted = vec![two.chain, three.chain];
    wanted.sort();
    assert_eq!(gone, wanted);
    assert!(layers.has(&one.chain));
    drop(lock);
}

/// The store of somebody else, whose builds are at work: it is not for us to sync.
#[test]
fn an_unsynced_layer_of_another_store_is_absent() {
    let scene = Scene::new();
    let below = base(&scene);
    let layer =
        made(&scene, &below, &Adopt::default(), |tree| fs::write(tree.join("1"), "").unwrap()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let open = || {
        let stores = [scene.store.data().to_owned()];
        Store::open(&dir.path().join("data"), &dir.path().join("run"), &stores).unwrap()
    };
    assert!(open().layers().has(&below[0]) && !open().layers().has(&layer.chain));
    scene.store.layers().settle(std::slice::from_ref(&layer.chain)).unwrap();
    assert!(open().layers().has(&layer.chain));
}

#[test]
fn the_upper_directory_of_a_container_is_brought_into_the_workshop() {
    let scene = Scene::new();
    let (store, layers) = (&scene.store, scene.store.layers());
    let below = base(&scene);
    let upper = store.data().join("containers/c/upper");
    fs::create_dir_all(&upper).unwrap();
    fs::set_permissions(&upper, fs::metadata(layers.path(&below[0]).unwrap()).unwrap().permissions())
        .unwrap();
    fs::write(upper.join("file"), "content").unwrap();
    let workshop = layers.workshop(&below).unwrap();
    layers.bring(&workshop, &upper).unwrap();
    assert!(!upper.exists());
    let layer = layers.adopt(workshop, &below, &Adopt::default(), |_, _| Ok(())).unwrap().unwrap();
    assert_eq!(names(&tree(store, &layer)), ["file"]);
    let workshop = layers.workshop(&below).unwrap();
    layers.bring(&workshop, &upper).unwrap_err();
}
