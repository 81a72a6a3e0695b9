//! Paths that stand for a descriptor of this process, as shells make them of `<(...)` and `/dev/stdin`.

use crate::error::{Context, Kind, Result};
use crate::sys::fd::duplicate;
use std::fs::File;
use std::os::fd::RawFd;
use std::path::Path;

/// The number in such a path.
pub(super) fn number(path: &Path) -> Option<RawFd> {
    let text = path.to_str()?;
    if text == "/dev/stdin" {
        return Some(0);
    }
    let digits = ["/dev/fd/", "/proc/self/fd/"].iter().find_map(|below| text.strip_prefix(below))?;
    digits.parse().ok().filter(|n| *n >= 0)
}

/// What a path stands for, if it stands for a descriptor: opened again, a pipe or a socket would be another one, or
/// none.
///
/// # Errors
/// Nothing is open under that number.
pub(super) fn open(path: &Path) -> Result<Option<File>> {
    let Some(number) = number(path) else { return Ok(None) };
    let copy = duplicate(number).context(Kind::Usage, || format!("open {}", path.display()))?;
    Ok(Some(File::from(copy)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_known_by_their_paths() {
        for (path, wanted) in [
            ("/dev/stdin", Some(0)),
            ("/dev/fd/63", Some(63)),
            ("/proc/self/fd/3", Some(3)),
            ("/proc/1/fd/3", None),
            ("/dev/fd/x", None),
            ("/dev/fd/-1", None),
            ("dev/fd/1", None),
        ] {
            assert_eq!(number(Path::new(path)), wanted, "{path}");
        }
        assert!(open(Path::new("/dev/fd/1000000")).is_err());
        assert!(open(Path::new("/dev/null")).unwrap().is_none());
    }
}
