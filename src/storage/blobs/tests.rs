use super::*;
use crate::storage::Store;
use std::fs;

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("data"), &dir.path().join("run"), &[]).unwrap();
    (dir, store)
}

fn leftovers(store: &Store) -> usize {
    fs::read_dir(store.data().join("tmp")).unwrap().count()
}

#[test]
fn a_download_goes_on_where_the_last_one_ended() {
    let (_dir, store) = store();
    let digest = Digest::sha256_of(b"hello world");
    let mut first = store.blobs().resume(&digest, Some(11)).unwrap();
    first.write(b"hello ").unwrap();
    drop(first);
    assert_eq!(leftovers(&store), 1);

    let mut second = store.blobs().resume(&digest, Some(11)).unwrap();
    assert_eq!(second.written(), 6);
    // Somebody else fetching the same blob meanwhile has a file of their own.
    assert_eq!(store.blobs().resume(&digest, Some(11)).unwrap().written(), 0);
    let mut reader = second.reader();
    second.write(b"world").unwrap();
    second.finish().unwrap();
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello world");
    assert_eq!(leftovers(&store), 0);
}

#[test]
fn case_10_wrong_bytes_are_not_kept_for_the_next_download() {
    let (_dir, store) = store();
    let digest = Digest::sha256_of(b"hello world");
    let mut writer = store.blobs().resume(&digest, Some(11)).unwrap();
    writer.write(b"jello world").unwrap();
    let mut reader = writer.reader();
    assert_eq!(writer.finish().unwrap_err().kind(), Kind::Image);
    assert!(reader.read_to_end(&mut Vec::new()).is_err(), "a reader must not see a verified end");
    assert_eq!(leftovers(&store), 0);
    assert!(!store.blobs().has(&digest));

    // More than was promised, left by a version that promised otherwise.
    let mut writer = store.blobs().resume(&digest, None).unwrap();
    writer.write(b"hello world and more").unwrap();
    drop(writer);
    assert_eq!(store.blobs().resume(&digest, Some(11)).unwrap().written(), 0);
}
