//! POSIX ACLs of files: extended attributes that contain ids (acl(5), linux/posix_acl_xattr.h).

use super::place::Place;
use super::record::failed;
use crate::error::Result;
use crate::sys::xattr;
use nix::errno::Errno;
use nix::sys::stat::{Mode, fchmod, mkdirat};
use std::os::fd::{AsFd, BorrowedFd};

/// Whether this attribute is one: of a file, or of what is made in a directory.
pub(super) fn is(attribute: &[u8]) -> bool {
    attribute.starts_with(b"system.posix_acl_")
}

/// Gives a directory mode 0755, whatever the file mode creation mask it was made with, and nothing of the default
/// access list of the one above it, neither for itself nor for what is made in it.
///
/// # Errors
/// Those of fremovexattr(2), except for lists that are not there, and of fchmod(2).
pub(super) fn open_to_all(dir: BorrowedFd<'_>) -> nix::Result<()> {
    for list in [c"system.posix_acl_default", c"system.posix_acl_access"] {
        match xattr::remove(dir, list) {
            Ok(()) | Err(Errno::ENODATA | Errno::EOPNOTSUPP) => {}
            Err(e) => return Err(e),
        }
    }
    fchmod(dir, Mode::from_bits_truncate(0o755))
}

/// The list with other ids in its entries, user's and group's as `translate` has them for an owner; `None`
/// when it names somebody who has none there.
pub(super) fn with_owners(
    mut list: Vec<u8>,
    translate: impl Fn((u32, u32)) -> (Option<u32>, Option<u32>),
) -> Option<Vec<u8>> {
    const HEADER: usize = 4;
    const ENTRY: usize = 8;
    const USER: [u8; 2] = [0x02, 0];
    const GROUP: [u8; 2] = [0x08, 0];
    for entry in list.get_mut(HEADER..)?.chunks_exact_mut(ENTRY) {
        let (tag, id) = ([entry[0], entry[1]], u32::from_le_bytes(entry[4..].try_into().ok()?));
        let found = match tag {
            USER => translate((id, 0)).0?,
            GROUP => translate((0, id)).1?,
            _ => continue,
        };
        entry[4..].copy_from_slice(&found.to_le_bytes());
    }
    Some(list)
}

/// Makes a directory that is [open to all](open_to_all); returns it.
pub(super) fn make_open_dir(parent: &Place, name: &str) -> Result<Place> {
    let fail = |e: Errno| failed("create", &parent.path().join(name), e.into());
    mkdirat(parent, name, Mode::from_bits_truncate(0o755)).map_err(fail)?;
    let made = parent.below(name)?.ok_or_else(|| fail(Errno::ENOENT))?;
    open_to_all(made.as_fd()).map_err(fail)?;
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::ids::IdMaps;

    #[test]
    fn the_ids_of_others_change() {
        let list = |user: u8, group: u8| {
            let entry = |tag, id: [u8; 4]| [&[tag, 0, 6, 0][..], &id].concat();
            let none = [0xff; 4];
            let entries = [
                entry(0x01, none),
                entry(0x02, [user, 0, 0, 0]),
                entry(0x04, none),
                entry(0x08, [group, 0, 0, 0]),
                entry(0x10, none),
                entry(0x20, none),
            ];
            [&[2, 0, 0, 0][..], &entries.concat()].concat()
        };
        let ids = IdMaps::without_user((100, 50)).unwrap();
        let inside = |list| with_owners(list, |owner| ids.inside(owner));
        assert_eq!(inside(list(8, 9)).unwrap(), list(7, 8));
        assert_eq!(with_owners(list(7, 8), |owner| ids.outside(owner)).unwrap(), list(8, 9));
        assert_eq!(inside(list(0, 9)), None);
        assert_eq!(inside(list(8, 60)), None);
        assert_eq!(inside(vec![2]), None);
    }
}
