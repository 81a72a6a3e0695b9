//! Heredocs, downloads and archives in real directories.

use super::*;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use tar::{Builder, EntryType, Header};

fn read(place: &Path, path: &str) -> String {
    fs::read_to_string(place.join(path)).unwrap()
}

fn mode(place: &Path, path: &str) -> u32 {
    fs::metadata(place.join(path)).unwrap().mode() & 0o7777
}

fn file(content: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    file
}

#[test]
fn inline_files_are_written() {
    let place = tempfile::tempdir().unwrap();
    let root = File::open(place.path()).unwrap();
    let to = |path: &str| Destination::new(root.as_fd(), "/usr/share", path);
    write_inline(&to("/index.html"), "EOF", b"<p>", &Write::default()).unwrap();
    write_inline(&to("dir/"), "robots.txt", b"Disallow", &Write::default()).unwrap();
    write_inline(&to("dir").of_several(), "humans.txt", b"", &Write::default()).unwrap();
    assert_eq!((read(place.path(), "index.html"), mode(place.path(), "index.html")), ("<p>".into(), 0o644));
    assert_eq!(read(place.path(), "usr/share/dir/robots.txt"), "Disallow");
    assert_eq!(read(place.path(), "usr/share/dir/humans.txt"), "");
    let how = Write { mode: Some("+x".parse().unwrap()), no_later_than: Some(9), ..Write::default() };
    write_inline(&to("/run"), "EOF", b"#!/bin/sh", &how).unwrap();
    assert_eq!(mode(place.path(), "run"), 0o755);
    assert_eq!(fs::metadata(place.path().join("run")).unwrap().mtime(), 9);
    for name in ["", ".", "..", "a/b", "a\0b"] {
        write_inline(&to("/none/"), name, b"", &Write::default()).unwrap_err();
    }
    assert!(!place.path().join("none").exists());
}

#[test]
fn downloads_are_their_owners_alone() {
    let place = tempfile::tempdir().unwrap();
    let root = File::open(place.path()).unwrap();
    let to = |path: &str| Destination::new(root.as_fd(), "/", path);
    let how = Write::default();
    write_download(&to("/bar"), file(b"foo"), Some("foo"), Some(1234), &how).unwrap();
    let status = fs::metadata(place.path().join("bar")).unwrap();
    assert_eq!(
        (status.mode() & 0o7777, status.mtime(), read(place.path(), "bar")),
        (0o600, 1234, "foo".into())
    );
    write_download(&to("/dir/"), file(b"foo"), Some("foobar"), None, &how).unwrap();
    assert_eq!(read(place.path(), "dir/foobar"), "foo");
    // An address without a path has no name for a file.
    let refused = write_download(&to("/dir"), file(b""), None, None, &how).unwrap_err();
    assert_eq!(refused.message(), "cannot determine filename from \"\"");
    write_download(&to("/named"), file(b"x"), None, None, &how).unwrap();
    assert_eq!(read(place.path(), "named"), "x");
}

/// An archive with one entry of this kind, and the file `inner`.
fn archive(name: &[u8], kind: EntryType, link: &str) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name);
    header.set_entry_type(kind);
    header.set_mode(0o4755);
    header.set_size(0);
    header.set_uid(7);
    header.set_gid(8);
    if !link.is_empty() {
        header.set_link_name(link).unwrap();
    }
    header.set_cksum();
    builder.append(&header, std::io::empty()).unwrap();
    let mut header = Header::new_gnu();
    header.set_size(5);
    header.set_mode(0o600);
    builder.append_data(&mut header, "lib/inner", &b"inner"[..]).unwrap();
    builder.into_inner().unwrap()
}

#[test]
fn archives_are_unpacked_over_what_is_there() {
    let place = tempfile::tempdir().unwrap();
    let root = File::open(place.path()).unwrap();
    let to = Destination::new(root.as_fd(), "/", "/opt/tool");
    fs::create_dir_all(place.path().join("opt/tool/lib/inner")).unwrap();
    let done =
        unpack_archive(&to, file_at_start(&archive(b".wh.lib", EntryType::Regular, "")), &Write::default());
    assert_eq!(done.unwrap().files, 2);
    // A name like a whiteout's is a name.
    assert!(place.path().join("opt/tool/.wh.lib").exists());
    assert_eq!(
        (read(place.path(), "opt/tool/lib/inner"), mode(place.path(), "opt/tool/.wh.lib")),
        ("inner".into(), 0o4755)
    );
    let done =
        unpack_archive(&to, file_at_start(&archive(b"dev", EntryType::Char, "")), &Write::default()).unwrap();
    assert_eq!((done.files, done.devices), (1, 1));
    let how = Write { unpack: true, ..Write::default() };
    let done = write_download(
        &Destination::new(root.as_fd(), "/", "/down"),
        file(&archive(b"x", EntryType::Regular, "")),
        None,
        None,
        &how,
    );
    assert_eq!(done.unwrap().files, 2);
    assert_eq!(read(place.path(), "down/lib/inner"), "inner");
    unpack_archive(&to, file_at_start(b"no archive"), &Write::default()).unwrap_err();
}

fn file_at_start(content: &[u8]) -> File {
    let mut file = file(content);
    file.seek(SeekFrom::Start(0)).unwrap();
    file
}

#[test]
fn case_47_and_48_no_archive_leads_out() {
    let scene = tempfile::tempdir().unwrap();
    let (root_path, outside) = (scene.path().join("root"), scene.path().join("outside"));
    fs::create_dir_all(root_path.join("to")).unwrap();
    fs::create_dir(&outside).unwrap();
    let root = File::open(&root_path).unwrap();
    let links = ["../../outside", outside.to_str().unwrap(), "/", "../../../../../.."];
    for link in links {
        fs::remove_dir_all(root_path.join("to")).unwrap();
        // The link is in the archive, and what comes after it would go through it.
        let to = Destination::new(root.as_fd(), "/", "/to");
        unpack_archive(&to, file_at_start(&archive(b"lib", EntryType::Symlink, link)), &Write::default())
            .ok();
        // The link is in the image already.
        let dir = root_path.join("linked");
        symlink(link, &dir).unwrap();
        let to = Destination::new(root.as_fd(), "/", "/linked");
        unpack_archive(&to, file_at_start(&archive(b"x", EntryType::Regular, "")), &Write::default())
            .unwrap();
        fs::remove_file(&dir).unwrap();
        assert!(
            !outside.join("inner").exists()
                && !outside.join("lib").exists()
                && !scene.path().join("lib").exists()
        );
    }
    for name in [&b"../escaped"[..], b"a/../../escaped"] {
        let to = Destination::new(root.as_fd(), "/", "/to");
        let bytes = archive(name, EntryType::Regular, "");
        unpack_archive(&to, file_at_start(&bytes), &Write::default()).unwrap_err();
        assert!(!root_path.join("escaped").exists() && !scene.path().join("escaped").exists());
    }
    let hard = archive(b"passwd", EntryType::Link, "../../../../../../../etc/passwd");
    let to = Destination::new(root.as_fd(), "/", "/to");
    unpack_archive(&to, file_at_start(&hard), &Write::default()).unwrap_err();
}
