//! Paths, worked out on their text alone.

use std::path::{Component, Path, PathBuf};

/// An absolute path without `.`, `..`, doubled and trailing slashes, as Go's `filepath.Clean` has it: `..` takes away
/// the name before it, also where that is a symbolic link or does not exist. A relative path begins at `/`.
pub fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            _ => {}
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_go_cleans_them() {
        for (text, wanted) in [
            ("/a/../b", "/b"),
            ("/a//./b/", "/a/b"),
            ("/../..", "/"),
            ("a/b", "/a/b"),
            ("", "/"),
            ("/a/b/../../../c", "/c"),
        ] {
            assert_eq!(clean(Path::new(text)), Path::new(wanted), "{text:?}");
        }
    }
}
