//! Extended attributes in archives.

use crate::container::ids::IdMaps;
use crate::storage::access_list;
use crate::sys::xattr;
use std::ffi::CStr;
use std::os::fd::BorrowedFd;

/// File capabilities.
const CAPABILITY: &[u8] = b"security.capability";

/// The extended attributes that belong into an archive, sorted: file capabilities, ACLs and the
/// user's own, but not overlay's nor this machine's labels. `ids` are those of the container they are of.
pub fn read(file: BorrowedFd<'_>, ids: Option<&IdMaps>) -> nix::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let same = IdMaps::default();
    let ids = ids.unwrap_or(&same);
    let mut all = Vec::new();
    for name in xattr::list(file)?.split_inclusive(|b| *b == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else { continue };
        let text = name.to_bytes();
        let own = text.starts_with(b"user.") && !text.starts_with(b"user.overlay.") && !text.contains(&b'=');
        let inside: fn(Vec<u8>, &IdMaps) -> Option<Vec<u8>> = match text {
            CAPABILITY => capabilities,
            _ if access_list::is(text) => {
                |value, ids| access_list::with_owners(value, |owner| ids.inside(owner))
            }
            _ if own => |value, _| Some(value),
            _ => continue,
        };
        if let Some(value) = xattr::get(file, name)?.and_then(|value| inside(value, ids)) {
            all.push((text.to_vec(), value));
        }
    }
    all.sort_unstable();
    Ok(all)
}

/// File capabilities in the form that names no root, as in an archive they are simply root's. Those of the
/// container's root are, which the kernel shows in a longer form (`struct vfs_ns_cap_data` of
/// linux/capability.h). Any user inside may be the root of a namespace below and give such a file
/// capabilities that count there alone: they are left out, or the image would make them root's.
fn capabilities(value: Vec<u8>, ids: &IdMaps) -> Option<Vec<u8>> {
    const REVISION_2: u8 = 2;
    const REVISION_3: u8 = 3;
    const ROOT_AT: usize = 20;
    if value.get(3) != Some(&REVISION_3) {
        return Some(value);
    }
    let root = value.get(ROOT_AT..ROOT_AT + 4)?.try_into().ok().map(u32::from_le_bytes)?;
    let mut short = value;
    short.truncate(ROOT_AT);
    short[3] = REVISION_2;
    (root == ids.root().0).then_some(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_those_of_the_containers_root() {
        let long = |root: u8| {
            let mut value = vec![1, 0, 0, 3];
            value.extend([7; 16]);
            value.extend([root, 0, 0, 0]);
            value
        };
        let short = [&[1, 0, 0, 2][..], &[7; 16]].concat();
        let shifted = IdMaps::without_user((100, 100)).unwrap();
        for (ids, root) in [(IdMaps::default(), 0), (shifted, 1)] {
            assert_eq!(capabilities(long(root), &ids).unwrap(), short);
            // A user's own namespace inside.
            assert_eq!(capabilities(long(7), &ids), None);
            assert_eq!(capabilities(short.clone(), &ids).unwrap(), short);
            assert_eq!(capabilities(vec![0, 0, 0, 3], &ids), None);
        }
    }
}
