use super::*;
use crate::storage::testing::Scene;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

fn open(path: &Path) -> std::fs::File {
    std::fs::File::open(path).unwrap()
}

fn fill(source: &Path, path: &str, target: &Path) -> bool {
    copy_up(open(source).as_fd(), Path::new(path), open(target).as_fd()).unwrap()
}

#[test]
fn a_volume_is_made_once_listed_and_removed() {
    let scene = Scene::new();
    let volumes = scene.store.volumes();
    let name: Name = "data-1".parse().unwrap();
    let labels = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
    let labelled = Volume { labels: labels.clone(), ..Volume::new(name.clone(), false) };
    volumes.create(labelled.clone()).unwrap();
    assert_eq!(volumes.create(labelled).unwrap_err().kind(), Kind::Conflict);
    assert_eq!(volumes.ensure(&name, false).unwrap().labels, labels);
    assert_eq!(volumes.find("data").unwrap().name, name);
    assert_eq!(volumes.find("ata").unwrap_err().kind(), Kind::NotFound);
    let path = volumes.path(&name).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o755);
    assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
    let anonymous = volumes.ensure(&Volumes::unused_name().unwrap(), true).unwrap();
    assert!(anonymous.anonymous && volumes.find(anonymous.name.as_str()).unwrap().anonymous);
    assert_eq!(volumes.list().unwrap().len(), 2);
    volumes.remove(&anonymous.name).unwrap();
    volumes.remove(&name).unwrap();
    assert_eq!(volumes.remove(&name).unwrap_err().kind(), Kind::NotFound);
    assert!(volumes.list().unwrap().is_empty());
    assert_eq!(trash::sweep(&scene.store, 10).unwrap(), trash::Swept::Deleted(2));
    scene.assert_clean();
}

#[test]
fn case_34_copy_up_only_fills_an_empty_volume_and_stays_in_the_image() {
    let dir = tempfile::tempdir().unwrap();
    let (image, volume) = (dir.path().join("image"), dir.path().join("volume"));
    fs::create_dir_all(image.join("data/sub")).unwrap();
    fs::create_dir_all(dir.path().join("host")).unwrap();
    fs::create_dir(&volume).unwrap();
    fs::write(dir.path().join("host/secret"), "secret").unwrap();
    fs::write(image.join("data/file"), "content").unwrap();
    fs::hard_link(image.join("data/file"), image.join("data/sub/same")).unwrap();
    fs::set_permissions(image.join("data"), fs::Permissions::from_mode(0o750)).unwrap();
    symlink("/../../../etc/passwd", image.join("data/link")).unwrap();
    // A way out by symlink, absolute and relative, is resolved inside the image: there is nothing.
    symlink(dir.path().join("host"), image.join("absolute")).unwrap();
    symlink("../../host", image.join("relative")).unwrap();
    symlink("data", image.join("inside")).unwrap();
    for escape in ["absolute", "relative", "../host", "/../host", "data/file", "missing"] {
        assert!(!fill(&image, escape, &volume), "{escape}");
        assert_eq!(fs::read_dir(&volume).unwrap().count(), 0, "{escape}");
    }
    assert!(fill(&image, "inside", &volume));
    assert_eq!(fs::read_to_string(volume.join("file")).unwrap(), "content");
    assert_eq!(fs::read_link(volume.join("link")).unwrap(), Path::new("/../../../etc/passwd"));
    assert_eq!(
        fs::metadata(volume.join("sub/same")).unwrap().ino(),
        fs::metadata(volume.join("file")).unwrap().ino()
    );
    assert_eq!(fs::metadata(&volume).unwrap().mode() & 0o777, 0o750);
    // The second time it has something in it, and stays as it is.
    fs::write(volume.join("file"), "changed").unwrap();
    assert!(!fill(&image, "data", &volume));
    assert_eq!(fs::read_to_string(volume.join("file")).unwrap(), "changed");
}

#[test]
fn a_filling_that_was_cut_short_is_done_again() {
    let dir = tempfile::tempdir().unwrap();
    let (image, volume) = (dir.path().join("image"), dir.path().join("volume"));
    fs::create_dir_all(&image).unwrap();
    fs::create_dir(&volume).unwrap();
    fs::write(image.join("a"), "whole").unwrap();
    fs::write(volume.join("a"), "ha").unwrap();
    if xattr::set(open(&volume).as_fd(), FILLING, b"y").is_err() {
        println!("skipped: no user attributes in {}", dir.path().display());
        return;
    }
    assert!(fill(&image, "/", &volume));
    assert_eq!(fs::read_to_string(volume.join("a")).unwrap(), "whole");
    assert_eq!(xattr::get(open(&volume).as_fd(), FILLING).unwrap(), None);
}

#[test]
fn thousands_of_hard_links_are_copied_up_with_few_descriptors() {
    let dir = tempfile::tempdir().unwrap();
    let (image, volume) = (dir.path().join("image"), dir.path().join("volume"));
    fs::create_dir_all(image.join("a/b")).unwrap();
    fs::create_dir(&volume).unwrap();
    for i in 0..1500 {
        fs::write(image.join(format!("a/{i}")), i.to_string()).unwrap();
        fs::hard_link(image.join(format!("a/{i}")), image.join(format!("a/b/{i}"))).unwrap();
    }
    assert!(fill(&image, "/", &volume));
    for i in [0, 700, 1499] {
        let meta = |path: String| fs::metadata(volume.join(path)).unwrap();
        assert_eq!(meta(format!("a/{i}")).ino(), meta(format!("a/b/{i}")).ino());
    }
}

#[test]
fn records_of_earlier_versions_are_read() {
    let old = r#"{"version":1,"name":"data","created":"2026-01-02T03:04:05Z","anonymous":false}"#;
    let volume: Volume = serde_json::from_str(old).unwrap();
    assert_eq!((volume.driver.as_str(), volume.shared, volume.labels.len()), ("local", false, 0));
}
