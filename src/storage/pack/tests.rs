//! Checks packing against GNU tar and against our own unpacker.

use super::*;
use crate::storage::testing::Scene;
use crate::sys::xattr;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

fn open(path: &Path) -> OwnedFd {
    openat(AT_FDCWD, path, DIRECTORY, Mode::empty()).unwrap()
}

fn pack(path: &Path, options: Options<'_>) -> (Vec<u8>, Packed) {
    let mut packer = Packer::new(Vec::new(), options);
    packer.tree(open(path).as_fd(), b"").unwrap();
    packer.finish().unwrap()
}

/// What GNU tar sees in an archive.
fn listed(tar: &[u8], more: &[&str]) -> String {
    let mut child = Command::new("tar")
        .args(["-tf", "-"])
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(tar).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn tree() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir_all(at("b/deep")).unwrap();
    fs::write(at("b/deep/file"), "content").unwrap();
    fs::write(at("a"), vec![7u8; 1000]).unwrap();
    fs::hard_link(at("a"), at("z-link")).unwrap();
    symlink("b/deep/file", at("c-sym")).unwrap();
    symlink("t".repeat(300), at("c-sym-long")).unwrap();
    let long = format!("b/{}", "n".repeat(200));
    fs::write(at(&long), "long").unwrap();
    nix::unistd::mkfifo(&at("fifo"), Mode::from_bits_truncate(0o640)).unwrap();
    std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    fs::set_permissions(at("a"), fs::Permissions::from_mode(0o4755)).unwrap();
    for name in ["a", "b/deep/file", "b/deep", "b"] {
        let file = File::open(at(name)).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, 500_000_000))
            .unwrap();
    }
    dir
}

/// What the kernel generates says nothing of its size.
#[test]
fn a_small_file_is_as_long_as_it_reads() {
    for (path, least) in [("/proc/self/mountinfo", 10), ("/proc/cpuinfo", 10), ("/proc/self/smaps", 1000)] {
        let held = openat(AT_FDCWD, path, OFlag::O_PATH, Mode::empty()).unwrap();
        let mut packer = Packer::new(Vec::new(), Options::default());
        packer.object(held, b"file").unwrap();
        let (tar, packed) = packer.finish().unwrap();
        assert!(packed.bytes > least, "{path}: {packed:?}");
        let size = listed(&tar, &["-v"]).split_whitespace().nth(2).unwrap().to_owned();
        assert_eq!(size, packed.bytes.to_string(), "{path}");
    }
    // Around the size of the buffer.
    let dir = tempfile::tempdir().unwrap();
    for size in [BUFFER - 1, BUFFER, BUFFER + 1, 2 * BUFFER] {
        fs::write(dir.path().join("f"), vec![7; size]).unwrap();
        let (tar, packed) = pack(dir.path(), Options::default());
        assert_eq!(packed.bytes, size as u64);
        assert_eq!(tar.len() % BLOCK, 0);
        assert!(tar[BLOCK..BLOCK + size].iter().all(|b| *b == 7) && listed(&tar, &[]) == "f\n");
    }
}

#[test]
fn a_tree_is_packed_in_order_and_reads_as_it_was() {
    let dir = tree();
    let (tar, packed) = pack(dir.path(), Options { nanoseconds: true, ..Options::default() });
    let long = "n".repeat(200);
    assert_eq!(
        listed(&tar, &[]),
        format!("a\nb/\nb/deep/\nb/deep/file\nb/{long}\nc-sym\nc-sym-long\nfifo\nz-link\n")
    );
    assert_eq!((packed.entries, packed.bytes, packed.sockets), (9, 1011, 1));
    // The same bytes again, whatever the order on the disk.
    assert_eq!(pack(dir.path(), Options { nanoseconds: true, ..Options::default() }).0, tar);
    let scene = Scene::new();
    let root = scene.layer(&tar).unwrap();
    assert_eq!(fs::read(root.join("a")).unwrap(), vec![7u8; 1000]);
    let (a, link) = (fs::metadata(root.join("a")).unwrap(), fs::metadata(root.join("z-link")).unwrap());
    assert_eq!(
        (a.ino(), a.mode() & 0o7777, a.mtime(), a.mtime_nsec()),
        (link.ino(), 0o4755, 1_000_000_000, 500_000_000)
    );
    assert_eq!(fs::read_link(root.join("c-sym-long")).unwrap().as_os_str().len(), 300);
    assert_eq!(fs::read_to_string(root.join("b").join(long)).unwrap(), "long");
    assert_eq!(fs::metadata(root.join("b")).unwrap().mtime(), 1_000_000_000);
}

/// Attack case 9: a giant that is nothing but holes takes no more than its data.
#[test]
fn case_09_holes_stay_holes() {
    use std::os::unix::fs::FileExt;
    let dir = tempfile::tempdir().unwrap();
    let name = format!("{}-giant", "n".repeat(120));
    let sizes = [("empty", 1 << 40), (&*name, 1 << 40), ("small", 1 << 19)];
    for (name, size) in sizes {
        File::create(dir.path().join(name)).unwrap().set_len(size).unwrap();
    }
    let giant = File::options().write(true).open(dir.path().join(&name)).unwrap();
    for (bytes, at) in [(&b"first"[..], 0), (b"middle", 1 << 39), (b"last", (1 << 40) - 4)] {
        giant.write_all_at(bytes, at).unwrap();
    }
    let (tar, packed) = pack(dir.path(), Options::default());
    assert!(tar.len() < 2 << 20 && packed.bytes < 2 << 20, "{} bytes, {packed:?}", tar.len());
    assert_eq!(listed(&tar, &[]), format!("empty\n{name}\nsmall\n"));

    let theirs = tempfile::tempdir().unwrap();
    let to = format!("--directory={}", theirs.path().display());
    let mut child = Command::new("tar").args(["-xf", "-", &to]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&tar).unwrap();
    assert!(child.wait().unwrap().success());
    let scene = Scene::new();
    for root in [theirs.path(), scene.layer(&tar).unwrap().as_path()] {
        for (name, size) in sizes {
            let found = fs::metadata(root.join(name)).unwrap();
            assert!(found.len() == size && found.blocks() < 4096, "{name}: {found:?}");
        }
        let giant = File::open(root.join(&name)).unwrap();
        for (bytes, at) in [(&b"first\0"[..], 0), (b"\0middle\0", (1 << 39) - 1), (b"last", (1 << 40) - 4)] {
            let mut read = vec![1; bytes.len()];
            giant.read_exact_at(&mut read, at).unwrap();
            assert_eq!(read, bytes);
        }
    }
}

#[test]
fn times_are_whole_seconds_unless_asked_for() {
    let dir = tree();
    let (plain, _) = pack(dir.path(), Options::default());
    let (fine, _) = pack(dir.path(), Options { nanoseconds: true, ..Options::default() });
    assert!(plain.len() < fine.len());
    assert!(!plain.windows(6).any(|w| w == b"mtime="));
}

#[test]
fn overlays_marks_become_names() {
    let dir = tempfile::tempdir().unwrap();
    let top = open(dir.path());
    for name in ["gone", "new", "old"] {
        fs::create_dir(dir.path().join(name)).unwrap();
    }
    whiteout::make(open(&dir.path().join("gone")).as_fd(), c"file").unwrap();
    whiteout::make(top.as_fd(), c"away").unwrap();
    for name in ["new", "old"] {
        whiteout::set_opaque(open(&dir.path().join(name)).as_fd()).unwrap();
    }
    fs::write(dir.path().join(".wh.trick"), "").unwrap();
    let below = |path: &[u8]| path == b"old";
    let (tar, _) = pack(dir.path(), Options { whiteouts: Whiteouts::Names(&below), ..Options::default() });
    assert_eq!(listed(&tar, &[]), ".wh.away\ngone/\ngone/.wh.file\nnew/\nold/\nold/.wh..wh..opq\n");
    // And back again: the unpacker makes of it what overlay had.
    let scene = Scene::new();
    let root = scene.layer(&tar).unwrap();
    let is_whiteout = |name: &str| {
        let meta = fs::symlink_metadata(root.join(name)).unwrap();
        std::os::unix::fs::FileTypeExt::is_char_device(&meta.file_type()) && meta.rdev() == 0
    };
    assert!(is_whiteout("away") && is_whiteout("gone/file"));
    assert!(whiteout::is_opaque(open(&root.join("old")).as_fd()).unwrap());
    assert!(!whiteout::is_opaque(open(&root.join("new")).as_fd()).unwrap());
}

#[test]
fn attributes_go_along_but_overlays_own_do_not() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let file = File::open(dir.path().join("file")).unwrap();
    xattr::set(file.as_fd(), c"user.mine", b"a\nb\0c").unwrap();
    xattr::set(file.as_fd(), c"user.overlay.origin", b"x").unwrap();
    let (tar, _) = pack(dir.path(), Options::default());
    assert!(!tar.windows(12).any(|w| w == b"user.overlay"));
    let scene = Scene::new();
    let root = scene.layer(&tar).unwrap();
    let made = File::open(root.join("file")).unwrap();
    assert_eq!(xattr::get(made.as_fd(), c"user.mine").unwrap().unwrap(), b"a\nb\0c");
}

#[test]
fn one_object_gets_another_name_and_owner() {
    let dir = tree();
    let options = Options { owner: Some((3_000_000, 7)), ..Options::default() };
    let mut packer = Packer::new(Vec::new(), options);
    let top = open(dir.path());
    packer.object(hold(top.as_fd(), c"b").unwrap(), b"renamed").unwrap();
    packer.object(hold(top.as_fd(), c"a").unwrap(), b"x/y").unwrap();
    packer.file(b"made.json", 0o644, b"{}").unwrap();
    packer.directory(b"made", 0o755).unwrap();
    let (tar, _) = packer.finish().unwrap();
    let seen = listed(&tar, &["-v", "--numeric-owner"]);
    let long = "n".repeat(200);
    for name in [
        "renamed/",
        "renamed/deep/",
        "renamed/deep/file",
        &format!("renamed/{long}"),
        "x/y",
        "made.json",
        "made/",
    ] {
        assert!(seen.lines().any(|line| line.ends_with(&format!(" {name}"))), "{name}: {seen}");
    }
    assert!(seen.lines().next().unwrap().contains(" 3000000/7 "), "{seen}");
}

#[test]
fn skipped_paths_are_left_out_with_what_is_below() {
    let dir = tree();
    let skip = |path: &[u8]| path == b"b" || path == b"fifo";
    let (tar, _) = pack(dir.path(), Options { skip: Some(&skip), ..Options::default() });
    assert_eq!(listed(&tar, &[]), "a\nc-sym\nc-sym-long\nz-link\n");
}

#[test]
fn headers_hold_what_does_not_fit() {
    let entry = Entry {
        flag: b'0',
        name: b"big",
        size: 9 << 30,
        mtime: (-2, 250_000_000),
        uid: u32::MAX - 1,
        ..Entry::default()
    };
    let blocks = entry.blocks();
    let text = String::from_utf8_lossy(&blocks);
    for record in ["19 size=9663676416\n", "18 uid=4294967294\n", "15 mtime=-1.75\n"] {
        assert!(text.contains(record), "{record}: {text}");
    }
    assert_eq!(blocks.len(), 3 * BLOCK);
}

/// Attack case 31, one piece of it: what is swapped for a device or FIFO is never opened.
#[test]
fn case_31_pack_never_blocks_on_a_swapped_fifo() {
    let dir = tempfile::tempdir().unwrap();
    let (file, fifo) = (dir.path().join("f"), dir.path().join("g"));
    fs::write(&file, "x").unwrap();
    nix::unistd::mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let swapper = std::thread::spawn({
        let (stop, top) = (stop.clone(), open(dir.path()));
        move || {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let flags = nix::fcntl::RenameFlags::RENAME_EXCHANGE;
                nix::fcntl::renameat2(&top, "f", &top, "g", flags).unwrap();
            }
        }
    });
    for _ in 0..3000 {
        assert_eq!(pack(dir.path(), Options::default()).1.entries, 2);
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    swapper.join().unwrap();
}

#[test]
fn case_39_long_paths_of_files_with_several_names_are_held_once() {
    let dir = tempfile::tempdir().unwrap();
    let long = dir.path().join("d".repeat(200)).join("e".repeat(200));
    fs::create_dir_all(&long).unwrap();
    for number in 0..50 {
        fs::write(long.join(format!("a{number}")), "").unwrap();
        fs::hard_link(long.join(format!("a{number}")), long.join(format!("b{number}"))).unwrap();
    }
    let mut packer = Packer::new(Vec::new(), Options::default());
    packer.tree(open(dir.path()).as_fd(), b"").unwrap();
    assert_eq!(packer.links.len(), 50);
    assert!(packer.links.values().all(|linked| Rc::ptr_eq(&linked.dir, &packer.last)));
    assert!(packer.links.values().all(|linked| linked.base.len() <= 3));
    let (tar, _) = packer.finish().unwrap();
    let first = format!("{}/{}/a7", "d".repeat(200), "e".repeat(200));
    assert!(listed(&tar, &["-v"]).contains(&format!("/b7 link to {first}\n")));
}
