//! Extended attributes as archives have them.

use crate::container::ids::IdMaps;
use crate::sys::xattr;
use std::ffi::CStr;
use std::os::fd::BorrowedFd;

/// File capabilities.
const CAPABILITY: &[u8] = b"security.capability";

/// The extended attributes that belong into an archive, sorted: file capabilities, access lists and the
/// user's own, but not overlay's nor this machine's labels. `ids` are those of the container they are of.
pub(super) fn read(file: BorrowedFd<'_>, ids: Option<&IdMaps>) -> nix::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut all = Vec::new();
    for name in xattr::list(file)?.split_inclusive(|b| *b == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else { continue };
        let text = name.to_bytes();
        let wanted = text == CAPABILITY
            || text.starts_with(b"system.posix_acl_")
            || (text.starts_with(b"user.") && !text.starts_with(b"user.overlay.") && !text.contains(&b'='));
        if wanted && let Some(value) = xattr::get(file, name)? {
            let value = match ids {
                Some(ids) if text == CAPABILITY => of_root(value, ids),
                _ => value,
            };
            all.push((text.to_vec(), value));
        }
    }
    all.sort_unstable();
    Ok(all)
}

/// File capabilities that a container's root has set are those of that id outside, which the kernel says in
/// a longer form (`struct vfs_ns_cap_data` of linux/capability.h); in an archive they are simply root's.
fn of_root(value: Vec<u8>, ids: &IdMaps) -> Vec<u8> {
    const REVISION_2: u8 = 2;
    const REVISION_3: u8 = 3;
    const ROOT_AT: usize = 20;
    let root = value.get(ROOT_AT..ROOT_AT + 4).and_then(|bytes| bytes.try_into().ok());
    let root = root.map(u32::from_le_bytes).filter(|_| value.get(3) == Some(&REVISION_3));
    if root != Some(ids.root().0) {
        return value;
    }
    let mut short = value;
    short.truncate(ROOT_AT);
    short[3] = REVISION_2;
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_of_the_containers_root_are_roots() {
        let ids = IdMaps::without_user((100, 100)).unwrap();
        let long = |root: u8| {
            let mut value = vec![1, 0, 0, 3];
            value.extend([7; 16]);
            value.extend([root, 0, 0, 0]);
            value
        };
        let short = [&[1, 0, 0, 2][..], &[7; 16]].concat();
        assert_eq!(of_root(long(1), &ids), short);
        assert_eq!(of_root(long(2), &ids), long(2));
        assert_eq!(of_root(short.clone(), &ids), short);
        assert_eq!(of_root(vec![3], &ids), [3]);
    }
}
