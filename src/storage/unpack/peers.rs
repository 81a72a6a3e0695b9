//! Compares the unpacker with others: GNU tar for valid archives, random data for hostile ones, SIGKILL in the
//! middle.

use crate::storage::testing::{Raw, Scene, Tar};
use crate::storage::{Store, trash};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

/// Everything that can be seen of a tree, except for owners and inode numbers: names with the same inode
/// are shown by the first of them.
fn portrait(root: &Path) -> BTreeMap<Vec<u8>, String> {
    fn look(
        dir: &Path,
        base: &Path,
        inodes: &mut BTreeMap<u64, Vec<u8>>,
        all: &mut BTreeMap<Vec<u8>, String>,
    ) {
        let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
        names.sort();
        for path in names {
            let meta = fs::symlink_metadata(&path).unwrap();
            let name = path.strip_prefix(base).unwrap().as_os_str().as_bytes().to_vec();
            let mut text = format!("{:o} {}.{:09}", meta.mode(), meta.mtime(), meta.mtime_nsec());
            if meta.is_symlink() {
                text.push_str(&format!(" -> {:?}", fs::read_link(&path).unwrap()));
            } else if meta.is_file() {
                let first = inodes.entry(meta.ino()).or_insert_with(|| name.clone());
                text.push_str(&format!(" {first:?} {:x?}", Sha256::digest(fs::read(&path).unwrap())));
            }
            all.insert(name, text);
            if meta.is_dir() {
                look(&path, base, inodes, all);
            }
        }
    }
    let mut all = BTreeMap::new();
    look(root, root, &mut BTreeMap::new(), &mut all);
    all
}

/// A tree with one of everything an archive can hold without privileges.
fn generate(root: &Path, long_names: bool) {
    let write = |name: &str, bytes: &[u8]| {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    for i in 0..200u32 {
        let content: Vec<u8> = (0..i * 97).map(|n| (n ^ i) as u8).collect();
        write(&format!("many/{}/f{i}", i % 7), &content);
    }
    write("odd/new\nline", b"1");
    write("odd/sp ace \u{e4}\u{1f600}", b"2");
    write("odd/-dash", b"3");
    write("odd/.wh", b"no whiteout");
    write("empty", b"");
    if long_names {
        write(&format!("long/{}", "n".repeat(255)), b"long name");
        write(&format!("{}/file", vec!["d".repeat(60); 20].join("/")), b"long path");
        symlink("t".repeat(300), root.join("long/link")).unwrap();
    }
    fs::hard_link(root.join("many/0/f7"), root.join("linked")).unwrap();
    symlink("many/0", root.join("link")).unwrap();
    symlink("nowhere", root.join("odd/dangling")).unwrap();
    nix::unistd::mkfifo(&root.join("fifo"), nix::sys::stat::Mode::from_bits_truncate(0o640)).unwrap();
    let sparse = File::create(root.join("sparse")).unwrap();
    sparse.write_all_at(b"middle", 3 << 20).unwrap();
    sparse.set_len(5 << 20).unwrap();
    for (name, mode) in [("many/1/f1", 0o4755), ("many/2/f2", 0o000), ("many/3", 0o555), ("many/4", 0o1777)] {
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
}

#[test]
fn every_format_of_gnu_tar_unpacks_as_gnu_tar_does() {
    let scene = Scene::new();
    for (format, long_names, more) in [
        ("gnu", true, &["--sparse"][..]),
        ("gnu", true, &[]),
        ("pax", true, &["--sparse"]),
        ("pax", true, &["--sparse", "--sparse-version=0.1"]),
        ("pax", true, &["--sparse", "--sparse-version=0.0"]),
        ("ustar", false, &[]),
        ("oldgnu", true, &["--sparse"]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (source, theirs) = (dir.path().join("source"), dir.path().join("theirs"));
        fs::create_dir(&source).unwrap();
        fs::create_dir(&theirs).unwrap();
        generate(&source, long_names);
        // A file that nobody may read cannot be archived by this user, so its mode is set by tar.
        fs::set_permissions(source.join("many/2/f2"), fs::Permissions::from_mode(0o400)).unwrap();
        let archive = dir.path().join("a.tar");
        let make = Command::new("tar")
            .arg(format!("--format={format}"))
            .args(more)
            .args(["-cf"])
            .arg(&archive)
            .arg("-C")
            .arg(&source)
            .arg(".")
            .status();
        assert!(make.unwrap().success(), "{format} {more:?}");
        let take = Command::new("tar").args(["-xpf"]).arg(&archive).arg("-C").arg(&theirs).status();
        assert!(take.unwrap().success(), "{format} {more:?}");
        let ours = scene.layer(&fs::read(&archive).unwrap()).unwrap();
        let (ours, theirs_seen) = (portrait(&ours), portrait(&theirs));
        for (name, seen) in &theirs_seen {
            assert_eq!(ours.get(name), Some(seen), "{format} {more:?} {:?}", String::from_utf8_lossy(name));
        }
        assert_eq!(ours.len(), theirs_seen.len());
        for tree in [&source, &theirs] {
            fs::set_permissions(tree.join("many/3"), fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
}

/// A component of a hostile name; `OUT` becomes the absolute path outside the root.
fn component() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        6 => Just("a"), 6 => Just("b"), 4 => Just("c"), 3 => Just(".."), 1 => Just("."), 1 => Just(""),
        2 => Just(".wh.a"), 1 => Just(".wh..wh..opq"), 1 => Just(".wh..."), 1 => Just(".wh."), 2 => Just("OUT"),
    ]
}

fn name() -> impl Strategy<Value = String> {
    proptest::collection::vec(component(), 1..5).prop_map(|parts| parts.join("/"))
}

/// Kind, name, target and mode of an entry.
fn entry() -> impl Strategy<Value = (u8, String, String, u32)> {
    let kind = prop_oneof![4 => Just(b'0'), 4 => Just(b'2'), 3 => Just(b'1'), 4 => Just(b'5'), 1 => Just(b'6'), 1 => Just(b'3')];
    (kind, name(), name(), prop_oneof![Just(0o755u32), Just(0o777), Just(0o6755), Just(0o000)])
}

fn archive(entries: &[(u8, String, String, u32)], outside: &str) -> Vec<u8> {
    let mut tar = Tar::new();
    for (flag, name, target, mode) in entries {
        let data: &[u8] = if *flag == b'0' { b"written" } else { b"" };
        let name = name.replace("OUT", outside);
        let target = target.replace("OUT", outside);
        let header = Raw {
            link: target.clone().into_bytes(),
            mode: *mode,
            size: data.len() as u64,
            ..Raw::new(*flag, "x")
        };
        tar = tar.pax(&[("path", name.as_bytes()), ("linkpath", target.as_bytes())]).raw(&header, data);
    }
    tar.end()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the archives hold: they unpack or are refused, and the world outside stays as it is.
    #[test]
    fn case_1_to_7_hostile_archives_change_nothing_outside(
        lower in proptest::collection::vec(entry(), 0..12),
        upper in proptest::collection::vec(entry(), 0..12),
    ) {
        let scene = Scene::new();
        let outside = scene.dir.path().to_str().unwrap().to_owned();
        let before = fs::metadata(scene.dir.path()).unwrap();
        // Refusal is as good as success here.
        if scene.stack(&[archive(&lower, &outside), archive(&upper, &outside)]).is_err() {
            scene.assert_clean();
        }
        scene.assert_outside();
        let after = fs::metadata(scene.dir.path()).unwrap();
        prop_assert_eq!((before.mode(), before.mtime(), before.uid()), (after.mode(), after.mtime(), after.uid()));
    }

    /// No bytes make the reader panic or hang.
    #[test]
    fn case_6_broken_headers_are_refused_or_read(
        position in 0usize..3072, value in any::<u8>(), cut in 0usize..4096,
    ) {
        let mut tar = Tar::new().pax(&[("size", b"5")]).file("a", b"hello").symlink("b", "a").end();
        let end = tar.len();
        tar[position % end] = value;
        tar.truncate(end - cut % 1024);
        let mut archive = super::tar::Archive::new(tar.as_slice());
        for _ in 0..100 {
            if !matches!(archive.next(), Ok(Some(_))) {
                break;
            }
        }
    }
}

/// Where the helper below finds its store.
const HELPER: &str = "CORACLE_TEST_UNPACK_STORE";

/// Supplies the first half of an archive, says so, and never supplies the rest.
struct Half {
    bytes: Vec<u8>,
    at: usize,
}

impl Read for Half {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let rest = &self.bytes[self.at..];
        if rest.is_empty() {
            std::io::stdout().write_all(b"half\n")?;
            std::io::stdout().flush()?;
            std::thread::sleep(std::time::Duration::from_secs(600));
        }
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}

fn large() -> Vec<u8> {
    (0..64).fold(Tar::new(), |tar, i| tar.file(&format!("d{i}/f"), &vec![i; 100_000])).end()
}

/// A process to be killed; does nothing when it is run as a test by itself.
#[test]
fn helper_unpacks_half_a_layer() {
    let Ok(data) = std::env::var(HELPER) else { return };
    let data = Path::new(&data);
    let store = Store::open(data, &data.with_file_name("run"), &[]).unwrap();
    let tar = large();
    let diff_id = crate::image::DiffId(crate::image::Digest::sha256_of(&tar));
    let half = Half { bytes: tar[..tar.len() / 2].to_vec(), at: 0 };
    let _ = store.layers().begin(&diff_id, "", half).unwrap().join();
}

#[test]
fn sigkill_in_the_middle_of_an_unpack_leaves_nothing_visible() {
    let scene = Scene::new();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "storage::unpack::peers::helper_unpacks_half_a_layer",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(HELPER, scene.store.data())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut seen = Vec::new();
    let mut stdout = child.stdout.take().unwrap();
    let mut byte = [0u8];
    while !seen.ends_with(b"half\n") && stdout.read(&mut byte).unwrap() == 1 {
        seen.push(byte[0]);
    }
    // While its maker lives, nobody takes it for a leftover.
    assert_eq!(trash::collect_leftovers(&scene.store).unwrap(), 0);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(fs::read_dir(scene.store.data().join("layers")).unwrap().count(), 0);
    assert_eq!(trash::collect_leftovers(&scene.store).unwrap(), 1);
    assert_eq!(trash::sweep(&scene.store, 10).unwrap(), trash::Swept::Deleted(1));
    // The same layer unpacks as if nothing had been.
    let root = scene.layer(&large()).unwrap();
    assert_eq!(fs::read(root.join("d63/f")).unwrap(), vec![63u8; 100_000]);
    scene.assert_clean();
}
