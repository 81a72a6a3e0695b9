//! Writing selections into real directories.

use super::*;
use crate::build::files::mode::ModeChange;
use crate::build::files::remembered::Remembered;
use crate::build::files::selection::Select;
use crate::sys::xattr;
use std::fs::{self, Permissions};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

struct Scene {
    dir: tempfile::TempDir,
    tree: Tree,
    root: File,
}

impl Scene {
    fn new() -> Scene {
        let dir = tempfile::tempdir().unwrap();
        for name in ["context", "root", "outside"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let open = |name: &str| File::open(dir.path().join(name)).unwrap();
        let tree = Tree { root: open("context").into(), ignore: None, owners: Owners::Root };
        Scene { root: open("root"), tree, dir }
    }

    fn from(&self, path: &str) -> PathBuf {
        self.dir.path().join("context").join(path)
    }

    fn to(&self, path: &str) -> PathBuf {
        self.dir.path().join("root").join(path)
    }

    fn file(&self, path: &str, content: &str) {
        fs::create_dir_all(self.from(path).parent().unwrap()).unwrap();
        fs::write(self.from(path), content).unwrap();
    }

    fn write(&self, sources: &[&str], to: &str, how: &Write) -> Result<Written> {
        let sources: Vec<String> = sources.iter().map(|s| (*s).to_owned()).collect();
        let selection = Selection::find(&self.tree, &sources, &Select::default())?;
        selection.write(&Destination::new(self.root.as_fd(), "/work", to), how)
    }

    fn copy(&self, sources: &[&str], to: &str) -> Result<Written> {
        self.write(sources, to, &Write::default())
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.to(path)).unwrap()
    }
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn files_go_where_the_reference_says() {
    let scene = Scene::new();
    scene.file("a", "A");
    scene.file("b", "B");
    scene.copy(&["a"], "rel/x").unwrap();
    assert_eq!(scene.read("work/rel/x"), "A");
    assert_eq!((mode(&scene.to("work")), mode(&scene.to("work/rel"))), (0o755, 0o755));
    scene.copy(&["a"], "/abs").unwrap();
    assert_eq!(scene.read("abs"), "A");
    scene.copy(&["a"], "/dir/").unwrap();
    assert_eq!(scene.read("dir/a"), "A");
    scene.copy(&["b"], "/dir").unwrap();
    assert_eq!(scene.read("dir/b"), "B");
    scene.copy(&["b"], "/dir/a").unwrap();
    assert_eq!(scene.read("dir/a"), "B");
    scene.copy(&["a", "b"], "/several").unwrap();
    assert_eq!((scene.read("several/a"), scene.read("several/b")), ("A".into(), "B".into()));
    scene.copy(&["?"], "/matched").unwrap();
    assert_eq!((scene.read("matched/a"), scene.read("matched/b")), ("A".into(), "B".into()));
    scene.copy(&["a"], "").unwrap();
    assert_eq!(scene.read("work/a"), "A");
    scene.copy(&["a"], "/").unwrap();
    assert_eq!(scene.read("a"), "A");
}

#[test]
fn directories_are_merged() {
    let scene = Scene::new();
    scene.file("dir/sub/new", "new");
    scene.file("dir/sub/both", "from the context");
    scene.file("dir/top", "top");
    fs::create_dir(scene.from("dir/empty")).unwrap();
    symlink("../top", scene.from("dir/sub/link")).unwrap();
    fs::set_permissions(scene.from("dir/sub"), Permissions::from_mode(0o711)).unwrap();
    fs::set_permissions(scene.from("dir/empty"), Permissions::from_mode(0o500)).unwrap();
    fs::create_dir_all(scene.to("out/sub")).unwrap();
    fs::set_permissions(scene.to("out"), Permissions::from_mode(0o701)).unwrap();
    fs::write(scene.to("out/sub/both"), "from the image").unwrap();
    fs::write(scene.to("out/sub/old"), "old").unwrap();
    let time = UNIX_EPOCH + Duration::new(1_000_000, 123_456_789);
    for path in ["dir/sub/new", "dir/sub", "dir"] {
        File::open(scene.from(path)).unwrap().set_modified(time).unwrap();
    }
    let done = scene.copy(&["dir"], "/out").unwrap();
    assert_eq!((done.files, done.bytes, done.changed), (4, 22, false));
    assert_eq!(scene.read("out/sub/new"), "new");
    assert_eq!(scene.read("out/sub/both"), "from the context");
    assert_eq!(scene.read("out/sub/old"), "old");
    assert_eq!(fs::read_link(scene.to("out/sub/link")).unwrap(), Path::new("../top"));
    assert_eq!((mode(&scene.to("out/sub")), mode(&scene.to("out/empty"))), (0o711, 0o500));
    // The destination keeps its mode.
    assert_eq!(mode(&scene.to("out")), 0o701);
    for path in ["out/sub/new", "out/sub", "out"] {
        assert_eq!(fs::metadata(scene.to(path)).unwrap().modified().unwrap(), time, "{path}");
    }
    // Again, over what is there now.
    scene.copy(&["dir/."], "/out/").unwrap();
    assert_eq!(scene.read("out/sub/both"), "from the context");
    // A new one gets the usual mode, not that of the source.
    scene.copy(&["dir/empty"], "/made").unwrap();
    assert_eq!(mode(&scene.to("made")), 0o755);
}

#[test]
fn kinds_that_do_not_fit_are_refused() {
    let scene = Scene::new();
    scene.file("dir/name/x", "x");
    scene.file("file", "x");
    scene.file("odd/name", "x");
    fs::create_dir_all(scene.to("has/file")).unwrap();
    fs::write(scene.to("plain"), "").unwrap();
    fs::create_dir(scene.to("with")).unwrap();
    fs::write(scene.to("with/name"), "").unwrap();
    fs::create_dir_all(scene.to("linked")).unwrap();
    symlink("../has", scene.to("linked/name")).unwrap();
    let refused = |source: &str, to: &str| scene.copy(&[source], to).unwrap_err().in_one_line();
    assert_eq!(refused("dir", "/plain"), "cannot copy to non-directory: /plain");
    assert_eq!(refused("dir", "/plain/below"), "cannot copy to non-directory: /plain/below");
    assert_eq!(refused("file", "/plain/"), "cannot copy to non-directory: /plain");
    assert_eq!(refused("dir", "/with"), "cannot copy to non-directory: /with/name");
    assert_eq!(refused("dir", "/linked"), "cannot copy to non-directory: /linked/name");
    assert_eq!(refused("file", "/has"), "cannot replace to directory /has/file with file");
    fs::create_dir(scene.to("dirs")).unwrap();
    fs::create_dir(scene.to("dirs/name")).unwrap();
    assert_eq!(refused("odd", "/dirs"), "cannot replace to directory /dirs/name with file");
}

#[test]
fn case_41_destinations_stay_inside() {
    let scene = Scene::new();
    scene.file("a", "A");
    let outside = scene.dir.path().join("outside");
    symlink(&outside, scene.to("absolute")).unwrap();
    symlink("../outside", scene.to("up")).unwrap();
    symlink("../../../../outside/file", scene.to("file")).unwrap();
    symlink("loop", scene.to("loop")).unwrap();
    for to in ["/absolute/x", "/absolute/", "/up/x", "/up/", "/file", "/../../outside/y", "/absolute/../up/z"]
    {
        scene.copy(&["a"], to).unwrap();
    }
    scene.copy(&["a"], "/loop").unwrap_err();
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    // As in a container, all of them have led into the root.
    assert_eq!(scene.read("outside/x"), "A");
    assert_eq!(scene.read("outside/file"), "A");
    assert_eq!(scene.read(&format!("{}/x", &outside.to_str().unwrap()[1..])), "A");
}

#[test]
fn symlinks_of_a_destination_are_followed_and_those_in_it_replaced() {
    let scene = Scene::new();
    scene.file("a", "A");
    fs::create_dir_all(scene.to("real")).unwrap();
    symlink("real", scene.to("link")).unwrap();
    fs::write(scene.to("kept"), "kept").unwrap();
    symlink("../kept", scene.to("real/a")).unwrap();
    symlink("/new/dir/target", scene.to("dangling")).unwrap();
    scene.copy(&["a"], "/link/").unwrap();
    assert!(fs::symlink_metadata(scene.to("real/a")).unwrap().is_file());
    assert_eq!(scene.read("kept"), "kept");
    symlink("../kept", scene.to("real/exact")).unwrap();
    scene.copy(&["a"], "/link/exact").unwrap();
    assert_eq!(scene.read("kept"), "A");
    scene.copy(&["a"], "/dangling").unwrap();
    assert_eq!(scene.read("new/dir/target"), "A");
    assert!(fs::symlink_metadata(scene.to("dangling")).unwrap().is_symlink());
}

#[test]
fn hard_links_stay_hard_links() {
    let scene = Scene::new();
    scene.file("d/a", "A");
    fs::create_dir(scene.from("d/sub")).unwrap();
    fs::hard_link(scene.from("d/a"), scene.from("d/sub/b")).unwrap();
    fs::hard_link(scene.from("d/a"), scene.from("outside")).unwrap();
    scene.copy(&["d"], "/out").unwrap();
    let inode = |path: &str| fs::metadata(scene.to(path)).unwrap().ino();
    assert_eq!(inode("out/a"), inode("out/sub/b"));
    assert_eq!(fs::metadata(scene.to("out/a")).unwrap().nlink(), 2);
    // Over the old ones, which are one file too.
    scene.copy(&["d"], "/out").unwrap();
    assert_eq!((inode("out/a"), scene.read("out/sub/b")), (inode("out/sub/b"), "A".into()));
    // Another source takes the first one's place in between.
    scene.file("e/a", "other");
    scene.copy(&["d/a", "e", "outside"], "/three").unwrap();
    assert_eq!((scene.read("three/a"), scene.read("three/outside")), ("other".into(), "A".into()));
}

#[test]
fn holes_stay_holes_and_contents_whole() {
    let scene = Scene::new();
    let sparse = File::create(scene.from("sparse")).unwrap();
    sparse.set_len(1 << 30).unwrap();
    sparse.write_all_at(b"data", 1 << 29).unwrap();
    let large: Vec<u8> = (0..1_000_000u32).flat_map(u32::to_le_bytes).collect();
    fs::write(scene.from("large"), &large).unwrap();
    fs::write(scene.from("edge"), &large[..SMALL as usize]).unwrap();
    fs::write(scene.from("empty"), "").unwrap();
    scene.copy(&["."], "/out").unwrap();
    let copied = fs::metadata(scene.to("out/sparse")).unwrap();
    assert_eq!(copied.len(), 1 << 30);
    assert!(copied.blocks() < 1 << 16, "{} blocks", copied.blocks());
    let mut found = [0; 6];
    File::open(scene.to("out/sparse")).unwrap().read_exact_at(&mut found, (1 << 29) - 1).unwrap();
    assert_eq!(&found, b"\0data\0");
    assert_eq!(fs::read(scene.to("out/large")).unwrap(), large);
    assert_eq!(fs::read(scene.to("out/edge")).unwrap(), large[..SMALL as usize]);
    assert_eq!(fs::read(scene.to("out/empty")).unwrap(), b"");
}

#[test]
fn modes_and_times_are_kept_or_changed() {
    let scene = Scene::new();
    scene.file("d/tool", "x");
    scene.file("d/text", "x");
    fs::set_permissions(scene.from("d/tool"), Permissions::from_mode(0o4751)).unwrap();
    fs::set_permissions(scene.from("d/text"), Permissions::from_mode(0o600)).unwrap();
    fs::create_dir(scene.from("d/s")).unwrap();
    symlink("text", scene.from("d/link")).unwrap();
    fs::set_permissions(scene.from("d/s"), Permissions::from_mode(0o1700)).unwrap();
    nix::unistd::mkfifo(&scene.from("d/fifo"), Mode::from_bits_truncate(0o640)).unwrap();
    let modes = |below: &str| ["tool", "text", "s", "fifo"].map(|name| mode(&scene.to(below).join(name)));
    scene.copy(&["d"], "/kept").unwrap();
    assert_eq!(modes("kept"), [0o4751, 0o600, 0o1700, 0o640]);
    assert!(fs::symlink_metadata(scene.to("kept/fifo")).unwrap().file_type().is_fifo());
    let with = |text: &str| Write { mode: Some(text.parse::<ModeChange>().unwrap()), ..Write::default() };
    scene.write(&["d"], "/octal/x", &with("750")).unwrap();
    assert_eq!(modes("octal/x"), [0o750; 4]);
    assert_eq!((mode(&scene.to("octal")), mode(&scene.to("octal/x"))), (0o755, 0o755));
    scene.write(&["d"], "/symbolic", &with("u=rwX,go=rX")).unwrap();
    assert_eq!(modes("symbolic"), [0o755, 0o644, 0o1755, 0o644]);
    let early = Write { no_later_than: Some(1_000_000), ..Write::default() };
    let old = UNIX_EPOCH + Duration::from_secs(7);
    File::open(scene.from("d/text")).unwrap().set_modified(old).unwrap();
    scene.write(&["d"], "/early/x/y", &early).unwrap();
    let time = |path: &str| fs::symlink_metadata(scene.to(path)).unwrap().modified().unwrap();
    for path in
        ["early", "early/x", "early/x/y", "early/x/y/s", "early/x/y/tool", "early/x/y/link", "early/x/y/fifo"]
    {
        assert_eq!(time(path), UNIX_EPOCH + Duration::from_secs(1_000_000), "{path}");
    }
    assert_eq!(time("early/x/y/text"), old);
}

#[test]
fn directories_that_only_lead_to_a_source_do_not_change_others() {
    let scene = Scene::new();
    scene.file("a/b/c", "C");
    fs::set_permissions(scene.from("a"), Permissions::from_mode(0o711)).unwrap();
    fs::create_dir_all(scene.to("out/a")).unwrap();
    fs::set_permissions(scene.to("out/a"), Permissions::from_mode(0o750)).unwrap();
    let how = Select { parents: true, ..Select::default() };
    let selection = Selection::find(&scene.tree, &["a/b/c".into()], &how).unwrap();
    selection.write(&Destination::new(scene.root.as_fd(), "/", "/out/"), &Write::default()).unwrap();
    assert_eq!((scene.read("out/a/b/c"), mode(&scene.to("out/a"))), ("C".into(), 0o750));
    selection.write(&Destination::new(scene.root.as_fd(), "/", "/new/"), &Write::default()).unwrap();
    assert_eq!(mode(&scene.to("new/a")), 0o711);
}

#[test]
fn a_change_since_the_selection_is_told() {
    let scene = Scene::new();
    scene.file("a", "before");
    let selection = Selection::find(&scene.tree, &["a".into()], &Select::default()).unwrap();
    selection.digest(&mut Remembered::default()).unwrap();
    let to = Destination::new(scene.root.as_fd(), "/", "/a");
    assert!(!selection.write(&to, &Write::default()).unwrap().changed);
    fs::write(scene.from("a"), "afterwards").unwrap();
    assert!(selection.write(&to, &Write::default()).unwrap().changed);
    assert_eq!(scene.read("a"), "afterwards");
    // Something else has taken its place.
    fs::remove_file(scene.from("a")).unwrap();
    symlink("/etc/passwd", scene.from("a")).unwrap();
    selection.write(&to, &Write::default()).unwrap_err();
}

#[test]
fn extended_attributes_are_kept() {
    let scene = Scene::new();
    scene.file("d/a", "A");
    for path in ["d", "d/a"] {
        let file = File::open(scene.from(path)).unwrap();
        if let Err(e) = xattr::set(file.as_fd(), c"user.test", path.as_bytes()) {
            println!("skipped: no extended attributes here: {e}");
            return;
        }
    }
    scene.copy(&["."], "/out").unwrap();
    for path in ["d", "d/a"] {
        let copied = File::open(scene.to("out").join(path)).unwrap();
        assert_eq!(xattr::get(copied.as_fd(), c"user.test").unwrap().unwrap(), path.as_bytes());
    }
}

#[test]
fn archives_are_unpacked_if_wanted() {
    let scene = Scene::new();
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(2);
    header.set_mode(0o644);
    archive.append_data(&mut header, "in/side", &b"in"[..]).unwrap();
    let bytes = archive.into_inner().unwrap();
    fs::write(scene.from("archive.tar"), &bytes).unwrap();
    let packed = zstd::encode_all(bytes.as_slice(), 1).unwrap();
    fs::write(scene.from("packed"), &packed).unwrap();
    scene.file("no.tar.gz", "text");
    fs::write(scene.from("empty.tar.gz"), "").unwrap();
    let add = Write { unpack: true, ..Write::default() };
    let sources = ["archive.tar", "no.tar.gz", "empty.tar.gz"];
    scene.write(&sources, "/out/", &add).unwrap();
    assert_eq!((scene.read("out/in/side"), scene.read("out/no.tar.gz")), ("in".into(), "text".into()));
    assert_eq!(scene.read("out/empty.tar.gz"), "");
    scene.write(&["packed"], "/packed", &add).unwrap();
    assert_eq!(scene.read("packed/in/side"), "in");
    scene.copy(&["archive.tar"], "/copied").unwrap();
    assert_eq!(fs::read(scene.to("copied")).unwrap(), bytes);
    // An archive in a directory is a file like others.
    scene.write(&["."], "/all", &add).unwrap();
    assert_eq!(fs::read(scene.to("all/packed")).unwrap(), packed);
}

#[test]
fn times_before_1970_and_now_are_kept() {
    let scene = Scene::new();
    scene.file("a", "A");
    for time in [UNIX_EPOCH - Duration::from_secs(5), SystemTime::now()] {
        File::open(scene.from("a")).unwrap().set_modified(time).unwrap();
        scene.copy(&["a"], "/a").unwrap();
        assert_eq!(fs::metadata(scene.to("a")).unwrap().modified().unwrap(), time);
    }
}
