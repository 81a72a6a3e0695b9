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

/// The shortest form of a path, as Go's `filepath.Clean` has it: no `.`, no doubled or trailing slash, and `..` only
/// where a relative path begins with it; `.` for an empty one.
pub fn clean_bytes(path: &[u8]) -> Vec<u8> {
    let rooted = path.starts_with(b"/");
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." if parts.last().is_some_and(|last| *last != b"..") => drop(parts.pop()),
            b".." if rooted => {}
            _ => parts.push(part),
        }
    }
    let plain = parts.join(&b'/');
    match (rooted, plain.is_empty()) {
        (true, _) => [b"/", plain.as_slice()].concat(),
        (false, true) => b".".to_vec(),
        (false, false) => plain,
    }
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

    #[test]
    fn relative_ones_stay_relative() {
        let cases = [
            ("", "."),
            ("abc", "abc"),
            ("abc/", "abc"),
            ("./abc", "abc"),
            ("abc//def//", "abc/def"),
            ("abc/./def", "abc/def"),
            ("abc/def/..", "abc"),
            ("abc/..", "."),
            ("../abc", "../abc"),
            ("../../abc/../..", "../../.."),
            ("/", "/"),
            ("//a", "/a"),
            ("/../a", "/a"),
            ("/..", "/"),
        ];
        for (path, plain) in cases {
            assert_eq!(String::from_utf8(clean_bytes(path.as_bytes())).unwrap(), plain, "{path}");
        }
    }
}
