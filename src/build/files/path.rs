//! Paths as words: bringing them to their plain form, without looking at a file system.

/// The shortest form of a path, as Go's `filepath.Clean` has it: no `.`, no doubled or trailing slash, and `..` only
/// where a relative path begins with it; `.` for an empty one.
pub(super) fn clean(path: &[u8]) -> Vec<u8> {
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

/// A path from a root on, plain and without the slash it begins with; the root itself is empty. `..` ends at the root.
pub(super) fn in_root(path: &[u8]) -> Vec<u8> {
    clean(&[b"/", path].concat())[1..].to_vec()
}

/// The last component of a plain path; empty for the root.
pub(super) fn base(path: &[u8]) -> &[u8] {
    path.rsplit(|b| *b == b'/').next().unwrap_or_default()
}

/// A path in the root of what is copied from or to, for messages.
pub(super) fn shown(path: &[u8]) -> String {
    let path = path.strip_prefix(b"/").unwrap_or(path);
    format!("/{}", String::from_utf8_lossy(path).escape_debug())
}

/// Joins a directory's path and a name.
pub(super) fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    if dir.is_empty() { name.to_vec() } else { [dir, b"/", name].concat() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_go_does() {
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
            assert_eq!(String::from_utf8(clean(path.as_bytes())).unwrap(), plain, "{path}");
        }
        for (path, plain) in [("", ""), (".", ""), ("../../a/", "a"), ("/a/../..", ""), ("a/.", "a")] {
            assert_eq!(String::from_utf8(in_root(path.as_bytes())).unwrap(), plain, "{path}");
        }
        assert_eq!((base(b"a/b"), base(b"a"), base(b"")), (&b"b"[..], &b"a"[..], &b""[..]));
        assert_eq!((shown(b"a\n"), shown(b"/a")), ("/a\\n".into(), "/a".into()));
    }
}
