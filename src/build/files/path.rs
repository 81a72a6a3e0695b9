//! Paths as words: bringing them to their plain form, without looking at a file system.

pub(super) use crate::text::clean_bytes as clean;

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
    fn paths_begin_at_a_root() {
        for (path, plain) in [("", ""), (".", ""), ("../../a/", "a"), ("/a/../..", ""), ("a/.", "a")] {
            assert_eq!(String::from_utf8(in_root(path.as_bytes())).unwrap(), plain, "{path}");
        }
        assert_eq!((base(b"a/b"), base(b"a"), base(b"")), (&b"b"[..], &b"a"[..], &b""[..]));
        assert_eq!((shown(b"a\n"), shown(b"/a")), ("/a\\n".into(), "/a".into()));
    }
}
