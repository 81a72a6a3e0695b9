//! Sources with wildcards, in real directories.

use super::*;
use crate::build::files::ignore::Ignore;
use crate::build::files::tree::Owners;
use proptest::prelude::*;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

fn tree(place: &std::path::Path, ignore: Option<&str>) -> Tree {
    Tree {
        root: fs::File::open(place).unwrap().into(),
        ignore: ignore.map(|text| Ignore::parse(".dockerignore", text.as_bytes()).unwrap()),
        owners: Owners::Root,
    }
}

fn paths(tree: &Tree, source: &str) -> Vec<String> {
    let found = expand(tree, source.as_bytes()).unwrap();
    found.paths.into_iter().map(|path| String::from_utf8(path).unwrap()).collect()
}

#[test]
fn wildcards_match_component_by_component() {
    let place = tempfile::tempdir().unwrap();
    for dir in ["sub/dir1/dir2", "sub/dir3/dir2", "real/in"] {
        fs::create_dir_all(place.path().join(dir)).unwrap();
    }
    for file in
        ["a.go", "b.go", ".hidden.go", "arr[0].txt", "sub/dir1/dir2/foo", "sub/dir3/dir2/foo", "real/in/x"]
    {
        fs::write(place.path().join(file), "").unwrap();
    }
    symlink("real", place.path().join("link")).unwrap();
    let tree = tree(place.path(), None);
    assert_eq!(paths(&tree, "*.go"), [".hidden.go", "a.go", "b.go"]);
    assert_eq!(paths(&tree, "/../[ab].go"), ["a.go", "b.go"]);
    assert_eq!(paths(&tree, "arr[[]0].txt"), ["arr[0].txt"]);
    assert_eq!(paths(&tree, r"arr\[0\].txt"), ["arr[0].txt"]);
    assert_eq!(paths(&tree, "sub/*/dir2/foo"), ["sub/dir1/dir2/foo", "sub/dir3/dir2/foo"]);
    assert_eq!(paths(&tree, "sub/*/nothing"), [""; 0]);
    assert_eq!(paths(&tree, "nowhere/*"), [""; 0]);
    assert_eq!(paths(&tree, "a.go/*"), [""; 0]);
    // Links are followed before the first wildcard, and not after it.
    assert_eq!(paths(&tree, "link/i*"), ["real/in"]);
    assert_eq!(paths(&tree, "l*/in"), [""; 0]);
    assert_eq!(paths(&tree, "l*"), ["link"]);
    // What has no wildcard need not be there.
    let plain = expand(&tree, b"./nowhere/../x\\*").unwrap();
    assert_eq!(plain, Matches { paths: vec![b"x*".to_vec()], left_out: 0, wild: false });
    assert!(expand(&tree, b"sub/[").unwrap_err().to_string().contains("syntax error in pattern"));
}

#[test]
fn only_directories_with_a_wildcard_are_listed() {
    let place = tempfile::tempdir().unwrap();
    fs::create_dir_all(place.path().join("closed/a")).unwrap();
    fs::create_dir_all(place.path().join("open/b")).unwrap();
    fs::write(place.path().join("closed/a/x"), "").unwrap();
    // It can be passed through, but not be read.
    fs::set_permissions(place.path().join("closed"), fs::Permissions::from_mode(0o311)).unwrap();
    let plain = tree(place.path(), None);
    assert_eq!(paths(&plain, "closed/a/*"), ["closed/a/x"]);
    assert_eq!(paths(&plain, "c*/a/x"), ["closed/a/x"]);
    if !nix::unistd::geteuid().is_root() {
        expand(&plain, b"*/*").unwrap_err();
    }
    let found = expand(&tree(place.path(), Some("closed")), b"*/*").unwrap();
    assert_eq!((found.paths, found.left_out), (vec![b"open/b".to_vec()], 0));
    let found = expand(&tree(place.path(), Some("closed")), b"c*").unwrap();
    assert_eq!((found.paths, found.left_out), (Vec::new(), 1));
    fs::set_permissions(place.path().join("closed"), fs::Permissions::from_mode(0o755)).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_matches_is_what_a_walk_would_find(
        pattern in r"(\*|\?|a|b|\[ab\]){1,3}(/(\*|\?|a|b){1,2}){0,2}",
        files in prop::collection::vec("[ab]{1,2}(/[ab]{1,2}){0,2}", 0..8),
    ) {
        let place = tempfile::tempdir().unwrap();
        for file in &files {
            let path = place.path().join(file);
            // Where a file stands already there is none.
            if fs::create_dir_all(path.parent().unwrap()).is_ok() && !path.exists() {
                fs::write(path, "").unwrap();
            }
        }
        let whole = Pattern::parse(pattern.as_bytes(), Stars::One).unwrap();
        let mut all = Vec::new();
        let mut todo = vec![place.path().to_owned()];
        while let Some(dir) = todo.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                all.push(path.strip_prefix(place.path()).unwrap().to_str().unwrap().to_owned());
                todo.extend(path.is_dir().then_some(path));
            }
        }
        all.retain(|path| whole.matches(path.as_bytes()));
        all.sort_by(|a, b| a.split('/').cmp(b.split('/')));
        let exists = whole.literal().is_none();
        if exists {
            prop_assert_eq!(paths(&tree(place.path(), None), &pattern), all);
        }
    }
}
