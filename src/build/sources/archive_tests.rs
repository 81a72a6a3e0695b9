//! Streams as contexts, without the leaf.

use super::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{Seek, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

fn header(kind: tar::EntryType, name: &[u8], link: &str, size: u64, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.as_mut_bytes()[..name.len()].copy_from_slice(name);
    if !link.is_empty() {
        header.set_link_name_literal(link).unwrap();
    }
    header.set_size(size);
    header.set_mode(mode);
    header.set_uid(12);
    header.set_mtime(7);
    header.set_cksum();
    header
}

/// An entry: its type, name, link target, content and mode.
type Packed<'a> = (tar::EntryType, &'a [u8], &'a str, &'a [u8], u32);

fn packed(entries: &[Packed<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (kind, name, link, data, mode) in entries {
        builder.append(&header(*kind, name, link, data.len() as u64, *mode), *data).unwrap();
    }
    builder.into_inner().unwrap()
}

fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

fn unpacked(bytes: &[u8], into: &Path) -> Result<(Digest, u64)> {
    let dir = File::open(into).unwrap();
    let (start, rest) = bytes.split_at(bytes.len().min(ARCHIVE_START));
    extracted(start.to_vec(), file(rest), dir.as_fd(), into, &|_| {})
}

#[test]
fn an_archive_is_told_from_a_text() {
    let plain = packed(&[(tar::EntryType::Regular, b"a", "", b"x", 0o644)]);
    let mut zipped = GzEncoder::new(Vec::new(), Compression::fast());
    zipped.write_all(&plain).unwrap();
    for archive in
        [&plain[..], &zipped.finish().unwrap(), &[0; 1024], b"BZh9", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"]
    {
        assert!(is_archive(archive));
    }
    for text in ["FROM busybox\n".repeat(100), "FROM x".to_owned(), String::new(), "# syntax=1\n".repeat(47)]
    {
        assert!(!is_archive(text.as_bytes()), "{text:.20}");
    }
    // A header whose sum is wrong is none.
    let mut broken = plain;
    broken[0] = b'F';
    assert!(!is_archive(&broken));
}

#[test]
fn a_text_has_a_limit() {
    assert_eq!(text(&b"FROM x"[..], "it").unwrap(), b"FROM x");
    let long = text(io::repeat(b'x'), "it").unwrap_err();
    assert_eq!(long.message(), "it has more than 10 MiB");
}

#[test]
fn files_belong_to_the_caller() {
    let place = tempfile::tempdir().unwrap();
    let bytes = packed(&[
        (tar::EntryType::Directory, b"d/", "", b"", 0o555),
        (tar::EntryType::Regular, b"d/a", "", b"content", 0o4755),
        (tar::EntryType::Symlink, b"link", "/etc/passwd", b"", 0o777),
        (tar::EntryType::Char, b"null", "", b"", 0o666),
        (tar::EntryType::Regular, b"link", "", b"", 0o600),
    ]);
    let bytes = [&bytes[..], b"trailing"].concat();
    let (digest, devices) = unpacked(&bytes, place.path()).unwrap();
    assert_eq!((digest, devices), (Digest::sha256_of(&bytes), 1));
    let made = place.path().join("d/a").metadata().unwrap();
    assert_eq!(made.uid(), nix::unistd::getuid().as_raw());
    assert_eq!((made.permissions().mode() & 0o7777, made.mtime(), made.len()), (0o4755, 7, 7));
    let dir = place.path().join("d");
    assert_eq!(dir.metadata().unwrap().permissions().mode() & 0o777, 0o555);
    // Later entries win.
    assert!(place.path().join("link").symlink_metadata().unwrap().is_file());
    assert!(!place.path().join("null").exists());
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn case_47_a_hostile_archive_makes_nothing_outside() {
    let scene = tempfile::tempdir().unwrap();
    let into = scene.path().join("into");
    std::fs::create_dir(&into).unwrap();
    std::fs::write(scene.path().join("victim"), "untouched").unwrap();
    use tar::EntryType as E;
    for (entries, refused) in [
        (vec![(E::Regular, &b"../victim"[..], "", &b"x"[..], 0o644)], true),
        (vec![(E::Symlink, b"up", "..", b"", 0o777), (E::Regular, b"up/victim", "", b"x", 0o644)], false),
        (vec![(E::Symlink, b"l", "../victim", b"", 0o777), (E::Regular, b"l", "", b"x", 0o644)], false),
        (vec![(E::Link, b"hard", "../victim", b"", 0o644)], true),
        (vec![(E::Symlink, b"a", "/", b"", 0o777), (E::Directory, b"a/etc", "", b"", 0o755)], false),
    ] {
        assert_eq!(unpacked(&packed(&entries), &into).is_err(), refused, "{entries:?}");
        assert_eq!(std::fs::read(scene.path().join("victim")).unwrap(), b"untouched");
        assert_eq!(std::fs::read_dir(scene.path()).unwrap().count(), 2, "{entries:?}");
    }
    // Cut off, it is no archive.
    let whole = packed(&[(E::Regular, b"a", "", &[b'x'; 2000], 0o644)]);
    assert_eq!(unpacked(&whole[..1500], &into).unwrap_err().kind(), Kind::Image);
}
