use super::*;
use crate::container::ids::Extent;
use crate::storage::testing::open_below;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

fn layers(paths: &[&Path], ids: IdMaps) -> Tree {
    let open = paths.iter().map(|path| fs::File::open(path).unwrap().into());
    Tree::new(open.collect(), ids, OPEN_MAX).unwrap()
}

fn walk(tree: &mut Tree, path: &[&str]) -> nix::Result<Found> {
    let mut number = ROOT;
    let mut found = None;
    for name in path {
        let next = tree.lookup(number, name.as_bytes())?;
        number = next.number;
        found = Some(next);
    }
    found.ok_or(Errno::ENOENT)
}

#[test]
fn files_are_found_and_read_by_number() {
    let place = tempfile::tempdir().unwrap();
    let (low, high) = (place.path().join("low"), place.path().join("high"));
    fs::create_dir_all(low.join("etc")).unwrap();
    fs::create_dir(&high).unwrap();
    fs::write(low.join("etc/one"), "0123456789").unwrap();
    fs::hard_link(low.join("etc/one"), low.join("two")).unwrap();
    symlink("/etc/passwd", low.join("link")).unwrap();
    let mut tree = layers(&[&low, &high], IdMaps::default());
    let one = walk(&mut tree, &["0", "etc", "one"]).unwrap();
    let two = walk(&mut tree, &["0", "two"]).unwrap();
    assert_eq!((one.number, one.status.st_nlink), (two.number, 2));
    assert_eq!(one.number, fs::metadata(low.join("two")).unwrap().ino());
    assert_eq!(tree.read(one.number, 3, 4).unwrap(), b"3456");
    assert_eq!(tree.read(two.number, 8, 100).unwrap(), b"89");
    assert_eq!(tree.read(two.number, 100, 1).unwrap(), b"");
    let link = walk(&mut tree, &["0", "link"]).unwrap();
    assert_eq!(tree.read_link(link.number).unwrap(), "/etc/passwd");
    let mut names = Vec::new();
    let top = walk(&mut tree, &["0"]).unwrap().number;
    let listed = tree.list(top, 0, 4096, |number, entry| {
        names.push((entry.name.to_str().unwrap().to_owned(), number));
        true
    });
    listed.unwrap();
    names.sort();
    let shown: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(shown, [".", "..", "etc", "link", "two"]);
    assert_eq!(names[4].1, two.number);
    assert!(walk(&mut tree, &["1", "etc"]).is_err() && walk(&mut tree, &["2"]).is_err());
}

/// Nothing that a request names leads out of the layer, and no symlink is followed on the way.
#[test]
fn nothing_leads_out_of_a_layer() {
    let place = tempfile::tempdir().unwrap();
    let layer = place.path().join("layer");
    fs::create_dir(&layer).unwrap();
    fs::write(place.path().join("outside"), "secret").unwrap();
    symlink("..", layer.join("up")).unwrap();
    symlink("../outside", layer.join("file")).unwrap();
    nix::unistd::mkfifo(&layer.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut tree = layers(&[&layer], IdMaps::default());
    for name in ["..", ".", "", "../outside", "up/outside", "/etc", "a\0b"] {
        assert_eq!(walk(&mut tree, &["0", name]).unwrap_err(), Errno::ENOENT, "{name:?}");
    }
    for name in ["..", "", "-1", "0/up", "99999999999999999999"] {
        assert_eq!(walk(&mut tree, &[name]).unwrap_err(), Errno::ENOENT, "{name:?}");
    }
    assert!(walk(&mut tree, &["0", "up", "outside"]).is_err());
    for name in ["up", "file", "fifo"] {
        let found = walk(&mut tree, &["0", name]).unwrap().number;
        assert!(tree.read(found, 0, 10).is_err(), "{name}");
        assert_eq!(tree.attribute(found, c"user.x").unwrap(), None, "{name}");
    }
    // Numbers that were never given away.
    for number in [2, COUNTED + 7, u64::MAX] {
        assert_eq!(tree.read(number, 0, 1).unwrap_err(), Errno::ESTALE);
        assert_eq!(tree.lookup(number, b"x").unwrap_err(), Errno::ESTALE);
    }
}

#[test]
fn owners_are_those_of_the_map() {
    let place = tempfile::tempdir().unwrap();
    let found = fs::metadata(place.path()).unwrap();
    let map = |inside, outside| vec![Extent { inside, outside, count: 1 }];
    let ids = IdMaps { uids: map(found.uid(), 77), gids: map(found.gid() + 1, 88) };
    let mut tree = layers(&[place.path()], ids);
    let top = walk(&mut tree, &["0"]).unwrap();
    assert_eq!((top.status.st_uid, top.status.st_gid), (77, u32::MAX));
}

#[test]
fn what_is_forgotten_takes_no_room() {
    let place = tempfile::tempdir().unwrap();
    fs::create_dir(place.path().join("d")).unwrap();
    for n in 0..500 {
        fs::write(place.path().join(format!("d/{n}")), "x").unwrap();
    }
    let mut tree = layers(&[place.path()], IdMaps::default());
    let directory = walk(&mut tree, &["0", "d"]).unwrap().number;
    let mut numbers = Vec::new();
    for n in 0..500 {
        let number = tree.lookup(directory, n.to_string().as_bytes()).unwrap().number;
        assert_eq!(tree.read(number, 0, 1).unwrap(), b"x");
        numbers.push(number);
    }
    // A file outlives the directory it was found in.
    tree.forget(directory, 1);
    assert_eq!(tree.read(numbers[499], 0, 1).unwrap(), b"x");
    let again = walk(&mut tree, &["0", "d", "499"]).unwrap().number;
    assert_eq!(again, numbers[499]);
    tree.forget(again, 1);
    assert!(tree.examine(again).is_ok(), "given twice, forgotten once");
    for number in numbers {
        tree.forget(number, 1);
    }
    assert!(tree.examine(again).is_err());
    assert!(tree.nodes.len() <= 2, "{}", tree.nodes.len());
    let open = open_below(place.path());
    assert!(open <= 2 * OPEN_MAX, "{open}");
}

/// Two disks may have the same inode numbers.
#[test]
fn numbers_are_of_one_file_each() {
    let one = tempfile::tempdir().unwrap();
    let mut tree = layers(&[one.path()], IdMaps::default());
    let disk = fs::metadata(one.path()).unwrap().dev();
    tree.disks.add(disk + 1);
    let numbers = [(disk, 9), (disk + 1, 9), (disk, 1 << 60), (disk + 2, 9), (disk, 1)];
    let mut given: Vec<u64> = numbers.iter().map(|identity| tree.number(*identity, true)).collect();
    assert_eq!(given, numbers.map(|identity| tree.number(identity, true)));
    given.sort_unstable();
    given.dedup();
    assert_eq!(given.len(), numbers.len());
    assert!(!given.contains(&ROOT));
}

#[test]
fn attributes_that_overlay_and_programs_need_are_shown() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("f");
    fs::write(&file, "x").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let open = fs::File::open(&file).unwrap();
    if xattr::set(open.as_fd(), c"user.overlay.opaque", b"y").is_err() {
        eprintln!("skipped: the temporary directory takes no user attributes");
        return;
    }
    let mut tree = layers(&[place.path()], IdMaps::default());
    let found = walk(&mut tree, &["0", "f"]).unwrap().number;
    assert_eq!(tree.attribute(found, c"user.overlay.opaque").unwrap().unwrap(), b"y");
    assert_eq!(tree.attribute(found, c"user.other").unwrap(), None);
    assert_eq!(tree.attribute(found, c"system.posix_acl_access").unwrap(), None);
    assert_eq!(tree.attributes(found).unwrap(), b"user.overlay.opaque\0");
}
