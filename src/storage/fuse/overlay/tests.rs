use super::attributes::{Changes, kind_to_make};
use super::change::New;
use super::opened::Opened;
use super::tree::{OPEN_MAX, Tree};
use crate::storage::fuse::name_of;
use crate::storage::fuse::numbers::{Found, ROOT};
use crate::storage::testing::open_below;
use crate::storage::{tree, whiteout};
use crate::sys::xattr;
use nix::errno::Errno;
use nix::fcntl::RenameFlags;
use nix::sys::stat::SFlag;
use std::ffi::{CStr, CString};
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    /// Two lower directories, the second one on top.
    fn new() -> Place {
        let place = Place { dir: tempfile::tempdir().unwrap() };
        for name in ["upper", "work", "low/d/sub", "high/d"] {
            fs::create_dir_all(place.at(name)).unwrap();
        }
        for (name, text) in [("low/d/f", "low"), ("low/d/sub/x", "x"), ("low/g", "g"), ("high/d/h", "high")] {
            fs::write(place.at(name), text).unwrap();
        }
        fs::hard_link(place.at("low/g"), place.at("low/g2")).unwrap();
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn tree(&self) -> Tree {
        let open = |name: &str| File::open(self.at(name)).unwrap().into();
        let layers = ["upper", "high", "low"].map(open).into();
        Tree::new(Opened { layers, work: open("work"), volatile: true }, OPEN_MAX).unwrap()
    }
}

fn name(text: &str) -> CString {
    CString::new(text).unwrap()
}

fn walk(tree: &mut Tree, path: &str) -> nix::Result<Found> {
    let mut found = tree.examine(ROOT)?;
    for part in path.split('/') {
        found = tree.lookup(found.number, &name_of(part.as_bytes())?)?;
    }
    Ok(found)
}

fn make(tree: &mut Tree, parent: u64, text: &str, new: New<'_>) -> nix::Result<Found> {
    let me = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    tree.make((parent, &name(text)), new, 0o755, me)
}

const FILE: New<'static> = New::File(SFlag::S_IFREG);

fn names(tree: &mut Tree, number: u64) -> Vec<String> {
    let listing = tree.list(number).unwrap();
    let (mut all, mut place) = (Vec::new(), 0);
    while let Some(entry) = listing.at(place) {
        all.push(String::from_utf8(entry.name.to_vec()).unwrap());
        place = entry.next;
    }
    all.sort();
    all
}

#[test]
fn layers_are_one_tree_and_changes_go_to_the_upper_one() {
    let place = Place::new();
    let mut tree = place.tree();
    let d = walk(&mut tree, "d").unwrap();
    assert_eq!(names(&mut tree, d.number), [".", "..", "f", "h", "sub"]);
    let before = walk(&mut tree, "d/f").unwrap();
    let reader = tree.open(before.number, false).unwrap();
    let writer = tree.open(before.number, true).unwrap();
    writer.write(b"new", 0).unwrap();
    // Who had it open sees it, and its number is the same.
    let mut buffer = [0; 8];
    assert_eq!(reader.read(&mut buffer, 0).unwrap(), 3);
    assert_eq!(&buffer[..3], b"new");
    let after = walk(&mut tree, "d/f").unwrap();
    assert_eq!((after.number, after.status.st_ino), (before.number, before.status.st_ino));
    assert_eq!(fs::read_to_string(place.at("low/d/f")).unwrap(), "low");
    assert_eq!(fs::read_to_string(place.at("upper/d/f")).unwrap(), "new");
    assert_eq!(walk(&mut tree, "d").unwrap().number, d.number);
    tree.unlink(d.number, &name("f")).unwrap();
    assert_eq!(names(&mut tree, d.number), [".", "..", "h", "sub"]);
    let covered = fs::symlink_metadata(place.at("upper/d/f")).unwrap();
    assert!(covered.file_type().is_char_device() && covered.rdev() == 0);
    assert_eq!(walk(&mut tree, "d/f").unwrap_err(), Errno::ENOENT);
    assert_eq!(tree.remove_directory(d.number, &name("sub")).unwrap_err(), Errno::ENOTEMPTY);
    assert_eq!(fs::read_dir(place.at("work")).unwrap().count(), 0);
}

/// The numbers in a listing are those that stat(2) gives, whether the files are known yet or not.
#[test]
fn listings_give_the_numbers_that_files_show() {
    let place = Place::new();
    for known in [false, true] {
        let mut tree = place.tree();
        let d = walk(&mut tree, "d").unwrap();
        if known {
            make(&mut tree, d.number, "made", FILE).unwrap();
            let copied = walk(&mut tree, "d/h").unwrap();
            tree.open(copied.number, true).unwrap();
            let linked = walk(&mut tree, "g").unwrap();
            tree.link(linked.number, d.number, &name("linked")).unwrap();
        }
        for (number, path) in [(ROOT, ""), (d.number, "d/")] {
            let listing = tree.list(number).unwrap();
            let mut at = 0;
            while let Some(entry) = listing.at(at) {
                at = entry.next;
                let entry_name = std::str::from_utf8(entry.name).unwrap();
                if !matches!(entry_name, "." | "..") {
                    let shown = walk(&mut tree, &format!("{path}{entry_name}")).unwrap();
                    assert_eq!(entry.number, shown.status.st_ino, "{path}{entry_name}, known: {known}");
                }
            }
        }
    }
}

/// One name of several is a file of its own; as long as they are one, they show one inode number.
#[test]
fn names_of_one_file_in_an_image_part_when_one_is_changed() {
    let place = Place::new();
    let mut tree = place.tree();
    let (one, two) = (walk(&mut tree, "g").unwrap(), walk(&mut tree, "g2").unwrap());
    assert_ne!(one.number, two.number);
    assert_eq!((one.status.st_ino, one.status.st_nlink), (two.status.st_ino, 2));
    tree.open(one.number, true).unwrap().write(b"!", 0).unwrap();
    let (one, two) = (tree.examine(one.number).unwrap(), tree.examine(two.number).unwrap());
    assert_ne!(one.status.st_ino, two.status.st_ino);
    assert_eq!(fs::read_to_string(place.at("low/g2")).unwrap(), "g");
}

#[test]
fn nothing_leads_out_of_the_layers() {
    let place = Place::new();
    fs::write(place.at("outside"), "secret").unwrap();
    symlink("../..", place.at("low/d/up")).unwrap();
    symlink(place.at("outside"), place.at("low/d/file")).unwrap();
    nix::unistd::mkfifo(&place.at("low/d/fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut tree = place.tree();
    for wrong in ["..", ".", "", "../outside", "/etc", "a\0b", "up/outside"] {
        assert_eq!(name_of(wrong.as_bytes()).unwrap_err(), Errno::ENOENT, "{wrong:?}");
    }
    assert!(walk(&mut tree, "d/up/outside").is_err() && walk(&mut tree, "d/file/x").is_err());
    for special in ["up", "file", "fifo"] {
        let found = walk(&mut tree, &format!("d/{special}")).unwrap().number;
        assert!(tree.open(found, false).is_err(), "{special}");
        assert!(tree.attributes(found).unwrap().is_empty(), "{special}");
        let grow = Changes { size: Some(0), ..Changes::default() };
        assert!(tree.change(found, grow).is_err(), "{special}");
    }
    assert_eq!(fs::read_to_string(place.at("outside")).unwrap(), "secret");
    // A directory that is one no more, while its descriptor is not open: the path is not followed.
    let mut tree = place.tree();
    let d = walk(&mut tree, "d/sub").unwrap().number;
    let mut fresh = place.tree();
    let parent = walk(&mut fresh, "d/sub").unwrap().number;
    fresh.forget_directory(parent);
    fs::rename(place.at("low/d/sub"), place.at("low/d/was")).unwrap();
    symlink("../..", place.at("low/d/sub")).unwrap();
    assert!(fresh.lookup(parent, &name("outside")).is_err());
    assert!(tree.lookup(d, &name("outside")).is_err());
    for number in [2, 1 << 63, u64::MAX] {
        assert_eq!(tree.lookup(number, &name("x")).unwrap_err(), Errno::ESTALE);
    }
}

#[test]
fn marks_of_overlay_cannot_be_made_or_seen() {
    let place = Place::new();
    let mut tree = place.tree();
    let d = make(&mut tree, ROOT, "own", New::Directory).unwrap().number;
    for mark in [c"user.overlay.opaque", c"user.overlay.whiteout", c"user.overlay.redirect"] {
        assert_eq!(tree.set_attribute(d, mark, b"y", 0).unwrap_err(), Errno::EPERM);
        assert_eq!(tree.remove_attribute(d, mark).unwrap_err(), Errno::EPERM);
    }
    let own = File::open(place.at("upper/own")).unwrap();
    xattr::set(own.as_fd(), c"user.overlay.opaque", b"y").unwrap();
    xattr::set(own.as_fd(), c"user.mine", b"1").unwrap();
    assert_eq!(tree.attributes(d).unwrap(), b"user.mine\0");
    assert_eq!(tree.attribute(d, c"user.overlay.opaque").unwrap(), None);
    for kind in [SFlag::S_IFCHR, SFlag::S_IFBLK, SFlag::S_IFDIR] {
        assert_eq!(kind_to_make(kind.bits() | 0o600).unwrap_err(), Errno::EPERM);
    }
}

#[test]
fn a_directory_in_the_place_of_another_does_not_show_what_is_below() {
    let place = Place::new();
    let mut tree = place.tree();
    let d = walk(&mut tree, "d").unwrap().number;
    for gone in ["f", "h"] {
        tree.unlink(d, &name(gone)).unwrap();
    }
    let sub = walk(&mut tree, "d/sub").unwrap().number;
    tree.unlink(sub, &name("x")).unwrap();
    tree.remove_directory(d, &name("sub")).unwrap();
    tree.remove_directory(ROOT, &name("d")).unwrap();
    let new = make(&mut tree, ROOT, "d", New::Directory).unwrap().number;
    assert_eq!(names(&mut tree, new), [".", ".."]);
    // And one that is renamed there, over it and over a whiteout.
    for over in [true, false] {
        let other = make(&mut tree, ROOT, "other", New::Directory).unwrap().number;
        make(&mut tree, other, "mine", FILE).unwrap();
        if !over {
            let d = walk(&mut tree, "d").unwrap().number;
            tree.unlink(d, &name("mine")).unwrap();
            tree.remove_directory(ROOT, &name("d")).unwrap();
        }
        tree.rename((ROOT, &name("other")), (ROOT, &name("d")), RenameFlags::empty()).unwrap();
        assert_eq!(names(&mut tree, other), [".", "..", "mine"]);
        let mut fresh = place.tree();
        let d = walk(&mut fresh, "d").unwrap().number;
        assert_eq!(names(&mut fresh, d), [".", "..", "mine"]);
        assert!(walk(&mut fresh, "other").is_err());
    }
    // What came from lower layers stays where it is.
    let mut fresh = place.tree();
    fs::create_dir(place.at("low/stays")).unwrap();
    let moved = fresh.rename((ROOT, &name("stays")), (ROOT, &name("away")), RenameFlags::empty());
    assert_eq!(moved.unwrap_err(), Errno::EXDEV);
}

#[test]
fn what_is_forgotten_takes_no_room_and_numbers_stay_apart() {
    let place = Place::new();
    let mut tree = place.tree();
    let descriptors = || open_below(place.dir.path());
    let d = walk(&mut tree, "d").unwrap().number;
    let (nodes, open) = (tree.nodes.len(), descriptors());
    let mut held = Vec::new();
    for _ in 0..300 {
        // The disk gives the same inode again; who has the old file open must not meet the new one.
        let made = make(&mut tree, d, "t", FILE).unwrap();
        assert!(!held.contains(&made.number));
        tree.unlink(d, &name("t")).unwrap();
        assert_eq!(tree.examine(made.number).unwrap().status.st_nlink, 0);
        held.push(made.number);
        if held.len() > 5 {
            tree.forget(held.remove(0), 1);
        }
    }
    held.drain(..).for_each(|number| tree.forget(number, 1));
    assert_eq!((tree.nodes.len(), tree.uppers.len()), (nodes, 0));
    assert!(descriptors() <= open + 2, "{}", descriptors());
    // A file keeps its directories, and lets them go.
    let deep = walk(&mut tree, "d/sub/x").unwrap().number;
    let sub = walk(&mut tree, "d/sub").unwrap().number;
    tree.forget(sub, 2);
    tree.forget(d, 100);
    assert!(tree.examine(deep).is_ok());
    tree.forget(deep, 1);
    assert_eq!((tree.nodes.len(), tree.names.len()), (1, 0));
}

/// Where a user may make no whiteout that is a device (an overlay): the other form is one to all readers.
#[test]
fn whiteouts_have_two_forms() {
    let place = Place::new();
    fs::create_dir_all(place.at("upper/d")).unwrap();
    let directory = File::open(place.at("upper/d")).unwrap();
    whiteout::make_marked(directory.as_fd(), c"f").unwrap();
    let mut tree = place.tree();
    let d = walk(&mut tree, "d").unwrap().number;
    assert_eq!(names(&mut tree, d), [".", "..", "h", "sub"]);
    assert_eq!(walk(&mut tree, "d/f").unwrap_err(), Errno::ENOENT);
    let again = make(&mut tree, d, "f", New::Directory).unwrap().number;
    assert_eq!(names(&mut tree, again), [".", ".."]);
    let is = |dir: &Path, name: &CStr| {
        let open = File::open(dir).unwrap();
        let status = crate::storage::unpack::lstat(open.as_fd(), name).unwrap().unwrap();
        whiteout::is_at(open.as_fd(), name, &status).unwrap()
    };
    whiteout::make_marked(directory.as_fd(), c"sub").unwrap();
    fs::write(place.at("upper/d/empty"), "").unwrap();
    assert!(is(&place.at("upper/d"), c"sub") && !is(&place.at("upper/d"), c"empty"));
    tree::empty_tree(directory.as_fd()).unwrap();
}
