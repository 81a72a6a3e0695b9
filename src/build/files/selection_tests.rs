//! Selections of real directories, their keys and refusals.

use super::*;
use crate::build::files::remembered::Remembered;
use crate::build::files::tree::Owners;
use crate::image::Digest;
use nix::sys::stat::{Mode, SFlag as Sort, mknod};
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// A directory with these files; what ends with a slash is a directory, `a>b` a symlink.
fn place(files: &[&str]) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    for file in files {
        let path = place.path().join(file.split('>').next().unwrap());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match file.split_once('>') {
            Some((_, target)) => symlink(target, &path).unwrap(),
            None if file.ends_with('/') => fs::create_dir_all(&path).unwrap(),
            None => fs::write(&path, format!("contents of {file}")).unwrap(),
        }
    }
    place
}

fn tree(place: &Path, ignore: Option<&str>) -> Tree {
    Tree {
        root: File::open(place).unwrap().into(),
        ignore: ignore.map(|text| Ignore::parse(".dockerignore", text.as_bytes()).unwrap()),
        owners: Owners::Root,
    }
}

fn names(nodes: &[Node], above: &str, all: &mut Vec<String>) {
    for node in nodes {
        let name = format!("{above}{}", node.name.to_str().unwrap());
        match &node.kind {
            Kind::Directory(directory) => {
                all.push(format!("{name}/"));
                names(&directory.children, &format!("{name}/"), all);
            }
            Kind::Symlink(target) => all.push(format!("{name}>{}", String::from_utf8_lossy(target))),
            Kind::File(..) => all.push(name),
            Kind::Fifo => all.push(format!("{name}|")),
        }
    }
}

fn select(tree: &Tree, sources: &[&str], how: &Select) -> Result<Vec<String>> {
    let sources: Vec<String> = sources.iter().map(|s| (*s).to_owned()).collect();
    let selection = Selection::find(tree, &sources, how)?;
    let mut all = Vec::new();
    for item in &selection.items {
        match &item.what {
            What::Contents(nodes, _) => names(nodes, "", &mut all),
            What::File(node) => names(std::slice::from_ref(node), "=", &mut all),
        }
    }
    Ok(all)
}

fn plain() -> Select {
    Select::default()
}

fn excluding(patterns: &[&str]) -> Select {
    Select { exclude: patterns.iter().map(|p| (*p).to_owned()).collect(), ..plain() }
}

fn parents() -> Select {
    Select { parents: true, ..plain() }
}

#[test]
fn of_a_directory_the_contents_are_selected() {
    let place = place(&["dir/a", "dir/sub/b", "dir/empty/", "dir/link>../file", "file"]);
    let tree = tree(place.path(), None);
    let all = ["a", "empty/", "link>../file", "sub/", "sub/b"];
    for source in ["dir", "dir/", "/dir/.", "./x/../dir", "../dir", "d*"] {
        assert_eq!(select(&tree, &[source], &plain()).unwrap(), all, "{source}");
    }
    assert_eq!(select(&tree, &["file", "dir/sub"], &plain()).unwrap(), ["=file", "b"]);
    assert_eq!(select(&tree, &["."], &plain()).unwrap().len(), 7);
}

#[test]
fn symlinks_of_a_source_are_followed_inside() {
    let place = place(&[
        "bar",
        "foo>bar",
        "sub/file",
        "link>sub",
        "up>../../../../bar",
        "absolute>/sub",
        "sub/l0>l1",
        "sub/l1>file",
        "dangling>nothing",
        "loop>loop",
    ]);
    let tree = tree(place.path(), None);
    assert_eq!(select(&tree, &["foo"], &plain()).unwrap(), ["=foo"]);
    assert_eq!(select(&tree, &["up"], &plain()).unwrap(), ["=up"]);
    for source in ["link", "absolute"] {
        assert_eq!(select(&tree, &[source], &plain()).unwrap(), ["file", "l0>l1", "l1>file"], "{source}");
    }
    assert_eq!(select(&tree, &["link/file"], &plain()).unwrap(), ["=file"]);
    assert_eq!(select(&tree, &["sub/l*"], &plain()).unwrap(), ["=l0", "=l1"]);
    assert!(
        select(&tree, &["dangling"], &plain()).unwrap_err().message().contains("no such file or directory")
    );
    select(&tree, &["loop"], &plain()).unwrap_err();
    select(&tree, &["bar/x"], &plain()).unwrap_err();
}

#[test]
fn case_41_no_source_leads_out_of_the_root() {
    let outside = place(&["secret", "context/in"]);
    let context = outside.path().join("context");
    symlink(outside.path().join("secret"), context.join("out")).unwrap();
    symlink("../secret", context.join("up")).unwrap();
    symlink("..", context.join("above")).unwrap();
    symlink(outside.path(), context.join("dir")).unwrap();
    let tree = tree(&context, None);
    for source in ["above/secret", "dir/secret", "../secret", "in/../../secret", "*/secret"] {
        select(&tree, &[source], &plain()).unwrap_err();
        select(&tree, &[source], &parents()).unwrap_err();
    }
    for link in ["out", "up"] {
        select(&tree, &[link], &plain()).unwrap_err();
        // Here it is copied as a link.
        assert!(select(&tree, &[link], &parents()).unwrap()[0].starts_with(&format!("{link}>")));
    }
    // Above the root is the root.
    assert_eq!(select(&tree, &["above/in"], &plain()).unwrap(), ["=in"]);
}

#[test]
fn what_selects_nothing_is_refused() {
    let place = place(&["a", "data/big", "src/x"]);
    let tree = tree(place.path(), Some("data\n*.log\n"));
    fs::write(place.path().join("x.log"), "").unwrap();
    let refused = |source: &str| select(&tree, &[source], &plain()).unwrap_err();
    assert_eq!(refused("nothing").message(), "\"/nothing\": no such file or directory");
    assert!(refused("nothing").in_dockers_words().contains("\"/nothing\": not found"));
    assert_eq!(refused("no*").message(), "\"/no*\": no such file or directory");
    let out = "\"/data\" copied (1 filtered out using .dockerignore): no such file or directory";
    assert_eq!(refused("data").message(), format!("no items matching glob {out}"));
    assert!(refused("data/big").message().contains("filtered out using .dockerignore"));
    assert!(refused("*.log").message().contains("(1 filtered out using .dockerignore)"));
    assert_eq!(refused("").message(), "empty source location");
    assert!(refused("[").message().contains("syntax error in pattern"));
    let allowing = Select { allow_no_match: true, ..plain() };
    assert_eq!(select(&tree, &["a", "no*", "*.log"], &allowing).unwrap(), ["=a"]);
    select(&tree, &["a", "nothing"], &allowing).unwrap_err();
    assert!(select(&tree, &["a"], &excluding(&["["])).unwrap_err().message().contains("--exclude"));
}

#[test]
fn ignored_files_are_not_there() {
    let place =
        place(&["a", "link>data/big", "data/big", "data/keep", "data/sub/x", "src/a", "src/b.o", "d2/x"]);
    let tree = tree(place.path(), Some("data\n!data/keep\n**/*.o\nd2/*\n"));
    let all = ["a", "d2/", "data/", "data/keep", "link>data/big", "src/", "src/a"];
    assert_eq!(select(&tree, &["."], &plain()).unwrap(), all);
    assert_eq!(select(&tree, &["data"], &plain()).unwrap(), ["keep"]);
    assert_eq!(select(&tree, &["data/keep"], &plain()).unwrap(), ["=keep"]);
    assert_eq!(select(&tree, &["d2"], &plain()).unwrap(), [""; 0]);
    // A link to what is left out leads nowhere.
    select(&tree, &["link"], &plain()).unwrap_err();
}

#[test]
fn trees_that_are_left_out_are_not_opened() {
    let place = place(&["a", "closed/b/c", "src/x"]);
    let tree = tree(place.path(), Some("*\n!src\n!a"));
    fs::set_permissions(place.path().join("closed"), fs::Permissions::from_mode(0o0)).unwrap();
    let read_before = fs::metadata(place.path().join("closed")).unwrap().accessed().unwrap();
    assert_eq!(select(&tree, &["."], &plain()).unwrap(), ["a", "src/", "src/x"]);
    assert_eq!(fs::metadata(place.path().join("closed")).unwrap().accessed().unwrap(), read_before);
    fs::set_permissions(place.path().join("closed"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn excluded_files_are_left_out() {
    let place = place(&["d1/a.png", "d1/b.txt", "d2/c.png", "d2/deep/d.txt", "home.txt", "hom.md"]);
    let tree = tree(place.path(), None);
    let chosen = |sources: &[&str], patterns: &[&str]| select(&tree, sources, &excluding(patterns)).unwrap();
    assert_eq!(chosen(&["."], &["*/*.png", "hom*"]), ["d1/", "d1/b.txt", "d2/", "d2/deep/", "d2/deep/d.txt"]);
    assert_eq!(chosen(&["d*"], &["*.png"]), ["b.txt", "deep/", "deep/d.txt"]);
    assert_eq!(chosen(&["d*"], &["*"]), [""; 0]);
    assert_eq!(chosen(&["hom*"], &["*.txt"]), ["=hom.md"]);
    assert_eq!(chosen(&["hom*"], &["*.txt", "*.md"]), [""; 0]);
    assert_eq!(chosen(&["d2"], &["deep", "!deep/d.txt"]), ["c.png", "deep/", "deep/d.txt"]);
}

#[test]
fn directories_of_sources_are_kept_if_wanted() {
    let place = place(&[
        "test/a/b/c/d/foo",
        "test/a/b/c/d/e/bay",
        "test/a/b2/c/d/e/bar",
        "test/a/b/c2/d/e/baz",
        "test/a/b/c2/d/e2/baz",
        "test/link>a",
        "other/x",
    ]);
    let tree = tree(place.path(), None);
    let chosen = |source: &str| -> Vec<String> {
        let all = select(&tree, &[source], &parents()).unwrap();
        all.into_iter().filter(|name| !name.ends_with('/')).collect()
    };
    assert_eq!(chosen("/test/a/b/./c/d"), ["c/d/e/bay", "c/d/foo"]);
    assert_eq!(chosen("/test/a/b/c/d/."), ["test/a/b/c/d/e/bay", "test/a/b/c/d/foo"]);
    assert_eq!(chosen("./test/a/b/c/d/foo"), ["test/a/b/c/d/foo"]);
    assert_eq!(chosen("/test/a/./b/./c"), ["b/c/d/e/bay", "b/c/d/foo"]);
    assert_eq!(chosen("/test/a/./*/c"), ["b/c/d/e/bay", "b/c/d/foo", "b2/c/d/e/bar"]);
    assert_eq!(chosen("/test/a/b*/./c/**/e"), ["c/d/e/bay", "c/d/e/bar"]);
    assert_eq!(chosen("/test/a/b/c*/./d/**/baz"), ["d/e/baz", "d/e2/baz"]);
    assert_eq!(
        chosen("./test/**/ba?"),
        ["test/a/b/c/d/e/bay", "test/a/b/c2/d/e/baz", "test/a/b/c2/d/e2/baz", "test/a/b2/c/d/e/bar"]
    );
    assert_eq!(chosen("other/./."), ["x"]);
    assert_eq!(chosen("test/l*"), ["test/link>a"]);
    for missing in ["test/nonexistent", "test/link/b", "test/a/./nothing", "test/a/b3*/c", "nowhere/./x"] {
        select(&tree, &[missing], &parents()).unwrap_err();
    }
    let allowing = Select { allow_no_match: true, ..parents() };
    assert_eq!(select(&tree, &["test/a/b3*/c"], &allowing).unwrap(), [""; 0]);
    select(&tree, &["test/nonexistent"], &allowing).unwrap_err();
    // No more directories than lead to something.
    assert_eq!(
        select(&tree, &["test/a/b2"], &parents()).unwrap()[..4],
        ["test/", "test/a/", "test/a/b2/", "test/a/b2/c/"]
    );
}

#[test]
fn sockets_and_devices_are_left_out_and_fifos_are_not() {
    let place = place(&["a"]);
    let _socket = std::os::unix::net::UnixListener::bind(place.path().join("socket")).unwrap();
    mknod(&place.path().join("fifo"), Sort::S_IFIFO, Mode::S_IRUSR, 0).unwrap();
    let tree = tree(place.path(), None);
    assert_eq!(select(&tree, &["."], &plain()).unwrap(), ["a", "fifo|"]);
    assert!(select(&tree, &["socket"], &plain()).unwrap_err().message().contains("/socket cannot be copied"));
}

fn key(tree: &Tree, sources: &[&str], remembered: &mut Remembered) -> Digest {
    let sources: Vec<String> = sources.iter().map(|s| (*s).to_owned()).collect();
    Selection::find(tree, &sources, &plain()).unwrap().digest(remembered).unwrap()
}

#[test]
fn names_of_one_file_are_other_contents_than_two_files() {
    let place = place(&["one/a", "one/b", "two/a", "two/b"]);
    let tree = tree(place.path(), None);
    for file in ["one/a", "one/b", "two/a", "two/b"] {
        fs::write(place.path().join(file), "the same").unwrap();
    }
    let now = |source: &str| key(&tree, &[source], &mut Remembered::default());
    assert_eq!(now("one"), now("two"));
    let link = |from: &str, to: &str| {
        fs::remove_file(place.path().join(to)).unwrap();
        fs::hard_link(place.path().join(from), place.path().join(to)).unwrap();
    };
    link("two/a", "two/b");
    assert_ne!(now("one"), now("two"));
    link("one/b", "one/a");
    assert_eq!(now("one"), now("two"));
    // The other name is no part of what is copied.
    assert_eq!(now("one/a"), now("two/a"));
}

#[test]
fn the_key_is_about_contents() {
    let place = place(&["dir/a", "dir/sub/b", "dir/link>a", "copy/a", "copy/sub/b", "copy/link>a"]);
    let tree = tree(place.path(), None);
    let now = |source: &str| key(&tree, &[source], &mut Remembered::default());
    let set_mode =
        |file: &str, mode| fs::set_permissions(place.path().join(file), fs::Permissions::from_mode(mode));
    fs::write(place.path().join("copy/a"), "contents of dir/a").unwrap();
    fs::write(place.path().join("copy/sub/b"), "contents of dir/sub/b").unwrap();
    let before = now("dir");
    assert_eq!(now("copy"), before);
    // Times do not count, all else does.
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    File::open(place.path().join("copy/a")).unwrap().set_modified(old).unwrap();
    assert_eq!(now("copy"), before);
    set_mode("copy/a", 0o600).unwrap();
    assert_ne!(now("copy"), before);
    set_mode("copy/a", 0o644).unwrap();
    assert_eq!(now("copy"), before);
    set_mode("copy/sub", 0o700).unwrap();
    assert_ne!(now("copy"), before);
    set_mode("copy/sub", 0o755).unwrap();
    fs::remove_file(place.path().join("copy/link")).unwrap();
    symlink("b", place.path().join("copy/link")).unwrap();
    assert_ne!(now("copy"), before);
    fs::write(place.path().join("dir/a"), "contents of dir/A").unwrap();
    assert_ne!(now("dir"), before);
    fs::rename(place.path().join("copy/a"), place.path().join("copy/aa")).unwrap();
    assert_ne!(now("copy"), before);
    assert_ne!(now("dir/a"), now("dir/sub/b"));
    assert_ne!(key(&tree, &["dir/a", "dir/sub/b"], &mut Remembered::default()), now("dir/a"));
}

#[test]
fn owners_count_where_they_are_kept() {
    let place = place(&["a"]);
    let mut tree = tree(place.path(), None);
    let as_context = key(&tree, &["a"], &mut Remembered::default());
    tree.owners = Owners::Kept;
    assert_ne!(key(&tree, &["a"], &mut Remembered::default()), as_context);
}

#[test]
fn files_that_are_known_are_not_read_again() {
    let place = place(&["a", "b/c"]);
    let tree = tree(place.path(), None);
    let mut remembered = Remembered::default();
    let before = key(&tree, &["."], &mut remembered);
    let old = Remembered::read(&remembered.to_bytes());
    // Just made, so it is read again: times could not tell a change in this very moment.
    fs::write(place.path().join("a"), "contents of A").unwrap();
    let after = key(&tree, &["."], &mut old.clone());
    assert_ne!(after, before);
    std::thread::sleep(Duration::from_millis(2100));
    let mut settled = Remembered::default();
    assert_eq!(key(&tree, &["."], &mut settled), after);
    // Without the right to read, only what is remembered can answer; the change of mode is one of its times as well.
    let mut again = Remembered::read(&settled.to_bytes());
    let Kind::File(identity, _) = find_file(&tree, "a") else { panic!("a file") };
    assert!(again.look_up(b"a", &identity).is_some());
    assert_eq!(key(&tree, &["."], &mut again), after);
    // The same size and modification time, but not the same file.
    let time = fs::metadata(place.path().join("a")).unwrap().modified().unwrap();
    fs::write(place.path().join("a"), "contents of B").unwrap();
    File::open(place.path().join("a")).unwrap().set_modified(time).unwrap();
    assert_ne!(key(&tree, &["."], &mut again), after);
}

fn find_file(tree: &Tree, source: &str) -> Kind {
    let mut selection = Selection::find(tree, &[source.to_owned()], &plain()).unwrap();
    match selection.items.remove(0).what {
        What::File(node) => node.kind,
        What::Contents(..) => panic!("{source} is a directory"),
    }
}

#[test]
fn extended_attributes_count() {
    let place = place(&["a"]);
    let tree = tree(place.path(), None);
    let before = key(&tree, &["a"], &mut Remembered::default());
    let file = File::open(place.path().join("a")).unwrap();
    if let Err(e) = crate::sys::xattr::set(std::os::fd::AsFd::as_fd(&file), c"user.test", b"1") {
        println!("skipped: no extended attributes here: {e}");
        return;
    }
    assert_ne!(key(&tree, &["a"], &mut Remembered::default()), before);
}
