//! Hostile archives (attack cases 1 to 10 and 12) and valid ones.

use super::*;
use crate::error::Kind;
use crate::storage::testing::{Raw, Scene, Tar, gzip, hand_down, hands_down};
use crate::storage::whiteout;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

fn read(root: &Path, name: &str) -> String {
    fs::read_to_string(root.join(name)).unwrap()
}

fn is_whiteout(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_char_device() && m.rdev() == 0)
}

fn is_opaque(path: &Path) -> bool {
    whiteout::is_opaque(fs::File::open(path).unwrap().as_fd()).unwrap()
}

#[test]
fn case_1_names_cannot_leave_the_root() {
    for name in ["../x", "a/../../x", "/../x", "..", "a/b/../../../x"] {
        let scene = Scene::new();
        let message = scene.refused(&Tar::new().file(name, b"x").end());
        assert!(message.contains("leads out of the image"), "{name}: {message}");
    }
    let scene = Scene::new();
    let tar = Tar::new().pax(&[("path", b"a\0b")]).file("x", b"").end();
    assert!(scene.refused(&tar).contains("not one"));
    let tar = Tar::new().raw(&Raw::new(b'0', ""), b"").end();
    assert!(scene.refused(&tar).contains("without a name"));
    // Absolute names and harmless dots mean what they mean inside the root.
    let root = scene.layer(&Tar::new().file("/abs", b"1").file("./d/../dots", b"2").end()).unwrap();
    assert_eq!(read(&root, "abs") + &read(&root, "dots"), "12");
    scene.assert_outside();
}

#[test]
fn case_2_an_entry_cannot_write_through_a_symlink() {
    let scene = Scene::new();
    let outside = scene.dir.path().to_str().unwrap();
    let up = "../".repeat(12);
    let tar = Tar::new()
        .symlink("abs", outside)
        .file("abs/outside", b"owned")
        .symlink("rel", &format!("{up}{}", &outside[1..]))
        .file("rel/outside", b"owned")
        .symlink("last", &format!("{outside}/outside"))
        .file("last", b"mine")
        .end();
    let root = scene.layer(&tar).unwrap();
    // The last component is replaced; those on the way lead to places inside the root.
    assert_eq!(read(&root, "last"), "mine");
    assert_eq!(fs::read_to_string(root.join(&outside[1..]).join("outside")).unwrap(), "owned");
    scene.assert_outside();
}

#[test]
fn case_3_a_hard_link_stays_inside() {
    let scene = Scene::new();
    let outside = scene.dir.path().to_str().unwrap();
    for target in [format!("{outside}/outside"), "way/outside".to_owned()] {
        let tar = Tar::new().symlink("way", outside).hard_link("link", &target).end();
        let error = scene.stack(&[tar]).unwrap_err();
        assert!(error.message().contains("which no layer has"), "{error}");
    }
    let tar = Tar::new().hard_link("link", "../../outside").end();
    assert!(scene.refused(&tar).contains("leads out of the image"));
    // A link to a symlink is the symlink itself, not what it leads to.
    let tar = Tar::new().symlink("sym", &format!("{outside}/outside")).hard_link("hard", "sym").end();
    let root = scene.layer(&tar).unwrap();
    assert!(fs::symlink_metadata(root.join("hard")).unwrap().is_symlink());
    let tar = Tar::new().dir("d").hard_link("link", "d").end();
    assert!(scene.refused(&tar).contains("to a directory"));
    scene.assert_outside();
}

#[test]
fn case_4_the_root_entry_cannot_move_the_root() {
    for name in [".", "/", "./", "/.", "a/.."] {
        let scene = Scene::new();
        let outside = scene.dir.path().to_str().unwrap();
        let message = scene.refused(&Tar::new().symlink(name, outside).file("outside", b"owned").end());
        assert!(message.contains("root is not a directory"), "{name}: {message}");
    }
    let scene = Scene::new();
    let tar = Tar::new().raw(&Raw { mode: 0o711, ..Raw::new(b'5', "./") }, b"").end();
    let root = scene.layer(&tar).unwrap();
    assert_eq!(fs::metadata(root).unwrap().mode() & 0o7777, 0o711);
}

#[test]
fn case_5_a_directory_over_a_symlink_replaces_it() {
    let scene = Scene::new();
    let victim = scene.dir.path().join("outside");
    let before = fs::metadata(scene.dir.path()).unwrap().mode();
    let tar = Tar::new()
        .symlink("d", scene.dir.path().to_str().unwrap())
        .raw(&Raw { mode: 0o777, ..Raw::new(b'5', "d") }, b"")
        .symlink("f", victim.to_str().unwrap())
        .raw(&Raw { mode: 0o4777, ..Raw::new(b'0', "f") }, b"")
        .end();
    let root = scene.layer(&tar).unwrap();
    assert!(fs::symlink_metadata(root.join("d")).unwrap().is_dir());
    assert_eq!(fs::metadata(root.join("d")).unwrap().mode() & 0o7777, 0o777);
    assert_eq!(fs::symlink_metadata(root.join("f")).unwrap().mode() & 0o7777, 0o4777);
    assert_eq!(fs::metadata(scene.dir.path()).unwrap().mode(), before);
    scene.assert_outside();
}

#[test]
fn case_6_the_pax_size_decides_what_is_an_entry() {
    // The header says nothing is stored, PAX says 1024 bytes: the inner archive is data.
    let inner = Tar::new().file("smuggled", b"x").0;
    let scene = Scene::new();
    let tar =
        Tar::new().pax(&[("size", b"1024")]).raw(&Raw::new(b'0', "outer"), &inner).file("after", b"y").end();
    let root = scene.layer(&tar).unwrap();
    assert_eq!(fs::read(root.join("outer")).unwrap(), inner);
    assert!(!root.join("smuggled").exists() && root.join("after").exists());
    // Header-only types have no data, whatever they say.
    let sized = Raw { size: 1024, ..Raw::new(b'5', "dir") };
    let tar = Tar::new().raw(&sized, b"").file("first", b"1").end();
    let root = scene.layer(&tar).unwrap();
    assert!(root.join("first").exists());
}

#[test]
fn case_7_whiteouts_only_hide_names_of_lower_layers_in_their_directory() {
    for name in [".wh.", ".wh...", ".wh..", "a/.wh...", ".wh.x/y", "a/.wh.x/y"] {
        let scene = Scene::new();
        let message = scene.refused(&Tar::new().file(name, b"").end());
        assert!(message.contains("whiteout"), "{name}: {message}");
    }
    let scene = Scene::new();
    let tar = Tar::new()
        .symlink("way", scene.dir.path().to_str().unwrap())
        .file("way/.wh.outside", b"")
        .file(".wh.gone", b"")
        .dir("kept")
        .file("kept/own", b"own")
        .file("kept/.wh..wh..opq", b"")
        .dir("redone")
        .file("redone/new", b"new")
        .file(".wh.redone", b"")
        .file(".wh.again", b"")
        .file("again/inside", b"new")
        .file(".wh..wh.plnk/123", b"aufs")
        .end();
    let root = scene.layer(&tar).unwrap();
    scene.assert_outside();
    assert!(is_whiteout(&root.join("gone")));
    for (dir, file) in [("kept", "own"), ("redone", "new"), ("again", "inside")] {
        assert!(is_opaque(&root.join(dir)), "{dir}");
        assert!(root.join(dir).join(file).exists(), "{dir}");
    }
    assert!(!root.join(".wh..wh.plnk").exists());
}

#[test]
fn case_8_devices_are_not_made_and_overlay_attributes_are_stripped() {
    let scene = Scene::new();
    let xattr = |name: &str| format!("SCHILY.xattr.{name}");
    let tar = Tar::new()
        .raw(&Raw { device: (1, 3), ..Raw::new(b'3', "null") }, b"")
        .raw(&Raw { device: (8, 0), ..Raw::new(b'4', "disk") }, b"")
        // A whiteout in overlay's own form would hide a file from any scanner of archives.
        .raw(&Raw::new(b'3', "passwd"), b"")
        .pax(&[
            (&xattr("user.overlay.opaque"), b"y"),
            (&xattr("user.overlay.redirect"), b"/etc"),
            (&xattr("trusted.overlay.opaque"), b"y"),
            (&xattr("security.selinux"), b"label"),
            (&xattr("user.note"), b"kept\0binary"),
        ])
        .dir("d")
        .raw(&Raw { mode: 0o6755, ..Raw::new(b'0', "suid") }, b"")
        .end();
    let ids = scene.commit(&[tar]).unwrap();
    let root = scene.store.layers().path(&ids[0]).unwrap();
    let record = scene.store.layers().record(&ids[0]).unwrap();
    assert_eq!((record.devices, record.xattrs_dropped), (3, 4));
    for name in ["null", "disk", "passwd"] {
        assert!(fs::symlink_metadata(root.join(name)).is_err(), "{name}");
    }
    let dir = fs::File::open(root.join("d")).unwrap();
    let names = crate::sys::xattr::list(dir.as_fd()).unwrap();
    assert_eq!(names, b"user.note\0");
    assert_eq!(crate::sys::xattr::get(dir.as_fd(), c"user.note").unwrap().unwrap(), b"kept\0binary");
    assert_eq!(fs::metadata(root.join("suid")).unwrap().mode() & 0o7777, 0o6755);
}

#[test]
fn case_9_bombs_are_refused_and_leave_nothing() {
    let scene = Scene::new();
    let limits = Limits { bytes: 1 << 20, ..Limits::default() };
    let bomb = gzip(&vec![0u8; 8 << 20]);
    let job = scene.store.layers().begin_within(
        &DiffId(crate::image::Digest::sha256_of(b"")),
        "",
        std::io::Cursor::new(bomb),
        limits,
    );
    let error = job.unwrap().join().unwrap_err();
    assert!(
        error.causes().join(" ").contains("more than the 1048576 bytes"),
        "{error}: {:?}",
        error.causes()
    );
    let ratio = Limits { ratio: 100, ratio_from: 1 << 20, ..Limits::default() };
    let bomb = gzip(&Tar::new().file("zeros", &vec![0u8; 8 << 20]).end());
    let diff_id = DiffId(crate::image::Digest::sha256_of(b""));
    let job = scene.store.layers().begin_within(&diff_id, "", std::io::Cursor::new(bomb), ratio).unwrap();
    assert!(job.join().unwrap_err().causes().join(" ").contains("bomb"));

    let many = (0..200).fold(Tar::new(), |tar, i| tar.file(&format!("f{i}"), b"")).end();
    let limits = Limits { entries: 100, ..Limits::default() };
    assert!(scene.unpack_within(&many, limits).unwrap_err().causes().join(" ").contains("100 entries"));

    let deep = "d/".repeat(4096);
    let tar = Tar::new().pax(&[("path", deep.as_bytes())]).dir("x").end();
    assert!(scene.refused(&tar).contains("too long"));
    let deep = "d/".repeat(300);
    let tar = Tar::new().pax(&[("path", deep.as_bytes())]).dir("x").end();
    assert!(scene.refused(&tar).contains("300 directories"));
    // Depth cannot be gained by symlinks either.
    let mut tar = Tar::new().dir("a");
    for _ in 0..40 {
        tar = tar.dir("a/a/a/a/a/a/a/a").symlink("s", "a/a/a/a/a/a/a/a").file("s/../s/x", b"");
    }
    scene.layer(&tar.end()).unwrap();
    let long = "x".repeat(256);
    let tar = Tar::new().pax(&[("path", long.as_bytes())]).file("x", b"").end();
    assert!(scene.refused(&tar).contains("too long"));

    // A file larger than any disk's file system takes, all holes, stored as nothing.
    let giant = i64::MAX.to_string();
    let tar = Tar::new()
        .pax(&[
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", b"giant"),
            ("GNU.sparse.realsize", giant.as_bytes()),
        ])
        .raw(
            &Raw { size: 512, ..Raw::new(b'0', "x") },
            &b"0\n".iter().copied().chain([0; 510]).collect::<Vec<_>>(),
        )
        .end();
    let kind = nix::sys::statfs::statfs(scene.store.data()).unwrap().filesystem_type();
    if kind == nix::sys::statfs::TMPFS_MAGIC {
        scene.unpack(&tar).unwrap();
    } else {
        assert!(scene.refused(&tar).contains("write /giant"));
    }
    scene.assert_clean();
}

#[test]
fn case_9_a_deep_tree_is_taken_apart() {
    let dir = tempfile::tempdir().unwrap();
    let mut here = crate::storage::place::open_dir(dir.path()).unwrap();
    for _ in 0..3000 {
        nix::sys::stat::mkdirat(&here, "d", nix::sys::stat::Mode::S_IRWXU).unwrap();
        here = nix::fcntl::openat(&here, "d", DIRECTORY, nix::sys::stat::Mode::empty()).unwrap();
    }
    let top = crate::storage::place::open_dir(dir.path()).unwrap();
    crate::storage::tree::remove_tree(top.as_fd(), c"d").unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn case_10_truncated_and_wrong_layers_leave_nothing() {
    let scene = Scene::new();
    let tar = Tar::new().file("a", &[7u8; 5000]).end();
    let diff_id = DiffId(crate::image::Digest::sha256_of(&tar));
    let packed = gzip(&tar);
    let mut flipped = packed.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0xff;
    for broken in [
        packed[..packed.len() - 9].to_vec(),
        packed[..20].to_vec(),
        flipped,
        Vec::new(),
        tar[..3000].to_vec(),
    ] {
        let job = scene.store.layers().begin(&diff_id, "", std::io::Cursor::new(broken)).unwrap();
        assert_eq!(job.join().unwrap_err().kind(), Kind::Image);
        scene.assert_clean();
    }
}

#[test]
fn case_12_a_layer_with_another_diff_id_is_refused() {
    let scene = Scene::new();
    let tar = Tar::new().file("a", b"evil").end();
    let promised = DiffId(crate::image::Digest::sha256_of(b"the good one"));
    let job = scene.store.layers().begin(&promised, "", std::io::Cursor::new(gzip(&tar))).unwrap();
    let error = job.join().unwrap_err();
    assert!(error.causes().join(" ").contains("its image promises"), "{error}");
    assert!(!scene.store.layers().has(&crate::image::ChainId(promised.0)));
    scene.assert_clean();
}

#[test]
fn every_compression_gives_the_same_tree() {
    let scene = Scene::new();
    let tar = Tar::new().file("a", &vec![5u8; 300_000]).file("b", b"b").end();
    let (one, two) = tar.split_at(100_000);
    let members = [gzip(one), gzip(two)].concat();
    let frames = [zstd::encode_all(one, 3).unwrap(), zstd::encode_all(two, 3).unwrap()].concat();
    for packed in [tar.clone(), gzip(&tar), members, zstd::encode_all(tar.as_slice(), 3).unwrap(), frames] {
        let diff_id = DiffId(crate::image::Digest::sha256_of(&tar));
        let job = scene.store.layers().begin(&diff_id, "", std::io::Cursor::new(packed)).unwrap();
        assert_eq!(job.join().unwrap().notes_for_test().size, 300_001);
    }
    for (magic, name) in [(&b"BZh91AY"[..], "bzip2"), (b"\xfd7zXZ\0\0", "xz")] {
        assert!(scene.refused(magic).contains(name));
    }
}

#[test]
fn honest_entries_keep_their_attributes() {
    let scene = Scene::new();
    let tar = Tar::new()
        .raw(&Raw { mode: 0o500, mtime: 77, ..Raw::new(b'5', "closed/") }, b"")
        .file("closed/in", b"in")
        .pax(&[("mtime", b"1234567890.123456789")])
        .raw(&Raw { mode: 0o640, size: 3, ..Raw::new(b'0', "timed") }, b"abc")
        .hard_link("same", "timed")
        .symlink("sym", "timed")
        .raw(&Raw { mode: 0o622, ..Raw::new(b'6', "fifo") }, b"")
        .raw(&Raw { uid: 33, gid: 44, ..Raw::new(b'0', "www") }, b"")
        .file("twice", b"first")
        .file("twice", b"second")
        .dir("was-dir")
        .file("was-dir/x", b"")
        .file("was-dir", b"now a file")
        .end();
    let ids = scene.commit(&[tar]).unwrap();
    let layers = scene.store.layers();
    let root = layers.path(&ids[0]).unwrap();
    let meta = |name: &str| fs::symlink_metadata(root.join(name)).unwrap();
    assert_eq!((meta("closed").mode() & 0o7777, meta("closed").mtime()), (0o500, 77));
    assert_eq!((meta("timed").mtime(), meta("timed").mtime_nsec()), (1_234_567_890, 123_456_789));
    assert_eq!((meta("timed").mode() & 0o7777, meta("timed").nlink()), (0o640, 2));
    assert_eq!(meta("same").ino(), meta("timed").ino());
    assert_eq!(meta("sym").mtime(), 1_000_000_000);
    assert!(meta("fifo").file_type().is_fifo() && meta("fifo").mode() & 0o7777 == 0o622);
    assert_eq!(read(&root, "twice") + &read(&root, "was-dir"), "secondnow a file");
    // This process has one id only, so the intended owner stands beside the tree.
    let owners = owners::read(root.parent().unwrap());
    assert_eq!(owners[&b"www"[..]], (33, 44));
    assert!(layers.record(&ids[0]).unwrap().owners);
}

#[test]
fn what_a_directory_hands_down_does_not_reach_a_layer() {
    let scene = Scene::new();
    if !hand_down(&scene.store.data().join("tmp")) {
        return;
    }
    let special = Raw { mode: 0o2775, ..Raw::new(b'5', "special") };
    let tar = Tar::new().dir("d").file("d/f", b"").raw(&special, b"").dir("special/d").file("special/f", b"");
    let root = scene.layer(&tar.end()).unwrap();
    let mode = |name: &str| fs::symlink_metadata(root.join(name)).unwrap().mode() & 0o7777;
    assert_eq!(["", "d", "d/f"].map(mode), [0o755, 0o755, 0o644]);
    assert_eq!(["special", "special/d", "special/f"].map(mode), [0o2775, 0o755, 0o644]);
    assert!(!hands_down(&root) && !hands_down(&root.join("d")));
}

#[test]
fn sparse_files_of_every_format_are_read() {
    let scene = Scene::new();
    let mut old = Raw { size: 4, magic: *b"ustar  \0", ..Raw::new(b'S', "old") }.block();
    old[386..398].copy_from_slice(b"00000010000\0");
    old[398..410].copy_from_slice(b"00000000004\0");
    old[483..495].copy_from_slice(b"00000020000\0");
    let old = crate::storage::testing::seal(old);
    let mut tar = Tar::new();
    tar.0.extend_from_slice(&old);
    let in_data: Vec<u8> = {
        let mut map = b"1\n4096\n4\n".to_vec();
        map.resize(512, 0);
        map.extend_from_slice(b"data");
        map
    };
    let tar = tar
        .blocks(b"data")
        .pax(&[
            ("GNU.sparse.size", b"8192"),
            ("GNU.sparse.numblocks", b"1"),
            ("GNU.sparse.offset", b"4096"),
            ("GNU.sparse.numbytes", b"4"),
        ])
        .raw(&Raw { size: 4, ..Raw::new(b'0', "v00") }, b"data")
        .pax(&[("GNU.sparse.size", b"8192"), ("GNU.sparse.map", b"4096,4"), ("GNU.sparse.name", b"v01")])
        .raw(&Raw { size: 4, ..Raw::new(b'0', "other") }, b"data")
        .pax(&[
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", b"v10"),
            ("GNU.sparse.realsize", b"8192"),
        ])
        .raw(&Raw { size: 516, ..Raw::new(b'0', "other") }, &in_data)
        .file("after", b"!")
        .end();
    let root = scene.layer(&tar).unwrap();
    for name in ["old", "v00", "v01", "v10"] {
        let content = fs::read(root.join(name)).unwrap();
        assert_eq!(content.len(), 8192, "{name}");
        assert_eq!(&content[4096..4100], b"data", "{name}");
        assert!(content[..4096].iter().chain(&content[4100..]).all(|b| *b == 0), "{name}");
    }
    assert_eq!(read(&root, "after"), "!");
    let overlapping = Tar::new()
        .pax(&[("GNU.sparse.size", b"8192"), ("GNU.sparse.map", b"0,4,2,4")])
        .raw(&Raw { size: 8, ..Raw::new(b'0', "x") }, b"datadata")
        .end();
    assert!(scene.refused(&overlapping).contains("overlap"));
}

#[test]
fn implied_directories_look_like_those_below() {
    let scene = Scene::new();
    let lower = Tar::new()
        .raw(&Raw { mode: 0o711, mtime: 4, ..Raw::new(b'5', "./") }, b"")
        .raw(&Raw { mode: 0o1777, mtime: 5, uid: 9, gid: 8, ..Raw::new(b'5', "tmp") }, b"")
        .raw(&Raw { mode: 0o750, mtime: 6, ..Raw::new(b'5', "tmp/deep") }, b"")
        .end();
    let upper = Tar::new().file("tmp/deep/file", b"x").file("new/file", b"y").end();
    let ids = scene.commit(&[lower, upper]).unwrap();
    let layers = scene.store.layers();
    let root = layers.path(&ids[1]).unwrap();
    let meta = |name: &str| fs::metadata(root.join(name)).unwrap();
    assert_eq!((meta("tmp").mode() & 0o7777, meta("tmp").mtime()), (0o1777, 5));
    assert_eq!((meta("tmp/deep").mode() & 0o7777, meta("tmp/deep").mtime()), (0o750, 6));
    assert_eq!(meta("new").mode() & 0o7777, 0o755);
    assert_eq!((meta("").mode() & 0o7777, meta("").mtime()), (0o711, 4));
    assert_eq!(owners::read(root.parent().unwrap())[&b"tmp"[..]], (9, 8));
    assert_eq!(layers.record(&ids[1]).unwrap().parent.as_ref(), Some(&ids[0]));
}

#[test]
fn entries_below_a_lower_symlink_move_to_where_it_leads() {
    let scene = Scene::new();
    let lower = Tar::new()
        .dir("usr")
        .raw(&Raw { mode: 0o711, ..Raw::new(b'5', "usr/lib") }, b"")
        .file("usr/lib/base", b"base")
        .symlink("lib", "usr/lib")
        .symlink("loop", "loop")
        .end();
    let upper = Tar::new()
        .file("lib/x/y", b"moved")
        .file("lib/.wh.base", b"")
        .file("usr/lib/x/z", b"stayed")
        .file("loop/file", b"kept")
        .hard_link("lib/linked", "lib/x/y")
        .end();
    let trees = scene.stack(&[lower, upper]).unwrap();
    let root = &trees[1];
    assert!(fs::symlink_metadata(root.join("lib")).is_err());
    assert_eq!(read(root, "usr/lib/x/y") + &read(root, "usr/lib/x/z"), "movedstayed");
    assert!(is_whiteout(&root.join("usr/lib/base")));
    assert_eq!(fs::metadata(root.join("usr/lib")).unwrap().mode() & 0o7777, 0o711);
    assert_eq!(read(root, "usr/lib/linked"), "moved");
    assert_eq!(read(root, "loop/file"), "kept");
}

#[test]
fn a_hard_link_to_a_lower_file_copies_it_up() {
    let scene = Scene::new();
    let lower = Tar::new()
        .dir("bin")
        .raw(&Raw { mode: 0o4755, size: 4, mtime: 9, ..Raw::new(b'0', "bin/tool") }, b"tool")
        .symlink("sbin", "bin")
        .file("hidden", b"")
        .end();
    let upper = Tar::new().hard_link("usr/alias", "sbin/tool").end();
    let trees = scene.stack(&[lower.clone(), upper]).unwrap();
    let (alias, tool) =
        (fs::metadata(trees[1].join("usr/alias")).unwrap(), fs::metadata(trees[1].join("bin/tool")).unwrap());
    assert_eq!(alias.ino(), tool.ino());
    assert_eq!((alias.mode() & 0o7777, alias.mtime()), (0o4755, 9));
    assert_eq!(read(&trees[1], "usr/alias"), "tool");
    let hiding = Tar::new().file(".wh.hidden", b"").end();
    let upper = Tar::new().hard_link("link", "hidden").end();
    assert!(scene.stack(&[lower, hiding, upper]).unwrap_err().message().contains("which no layer has"));
}

#[test]
fn the_tallest_stack_that_overlay_takes_is_finished_with_few_descriptors() {
    let scene = Scene::new();
    let tars: Vec<Vec<u8>> = (0..127)
        .map(|i| {
            let tar = Tar::new().file(&format!("usr/lib/a/b/c/d/e/f{i}"), b"x");
            if i == 0 { tar.symlink("lib", "usr/lib") } else { tar.file(&format!("lib/a/l{i}"), b"x") }.end()
        })
        .collect();
    let trees = scene.stack(&tars).unwrap();
    assert!(trees[126].join("usr/lib/a/l126").exists() && !trees[126].join("lib").exists());
}

#[test]
fn what_is_hidden_below_lends_no_attributes() {
    let dir = |mode, name: &str| Raw { mode, ..Raw::new(b'5', name) };
    let base = Tar::new().raw(&dir(0o700, "d"), b"").raw(&dir(0o711, "d/sub"), b"").end();
    let top = Tar::new().file("d/sub/f", b"x").end();
    let mode = |root: &Path, name: &str| fs::metadata(root.join(name)).unwrap().mode() & 0o7777;
    for (between, expected) in [
        (Tar::new().file(".wh.d", b"").end(), (0o755, 0o755)),
        (Tar::new().file(".wh..wh..opq", b"").end(), (0o755, 0o755)),
        (Tar::new().file("d/.wh.sub", b"").end(), (0o700, 0o755)),
        (Tar::new().raw(&dir(0o750, "d"), b"").file("d/.wh..wh..opq", b"").end(), (0o750, 0o755)),
        (Tar::new().file("d", b"a file").end(), (0o755, 0o755)),
        (Tar::new().symlink("d", "elsewhere").end(), (0o755, 0o755)),
        (Tar::new().file("other", b"").end(), (0o700, 0o711)),
    ] {
        let scene = Scene::new();
        let trees = scene.stack(&[base.clone(), between, top.clone()]).unwrap();
        assert_eq!((mode(&trees[2], "d"), mode(&trees[2], "d/sub")), expected);
    }
}
