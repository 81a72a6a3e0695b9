use super::Store;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

fn places() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let (data, runtime) = (dir.path().join("data"), dir.path().join("run"));
    (dir, data, runtime)
}

#[test]
fn a_new_store_is_private_and_opens_again() {
    let (_dir, data, runtime) = places();
    for _ in 0..2 {
        Store::open(&data, &runtime, &[]).unwrap();
    }
    for path in [data.clone(), runtime, data.join("layers"), data.join("oci/blobs/sha256")] {
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o700, "{path:?}");
    }
}

#[test]
fn a_newer_format_is_refused_politely() {
    let (_dir, data, runtime) = places();
    Store::open(&data, &runtime, &[]).unwrap();
    fs::write(data.join("version"), br#"{"format":2,"something":"new"}"#).unwrap();
    let refused = Store::open(&data, &runtime, &[]).unwrap_err();
    assert!(refused.message().contains("format 2"), "{refused}");
    assert!(!refused.hints().is_empty());
}
