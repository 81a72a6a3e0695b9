//! Extended attributes that are copied: file capabilities and the user's own, and access lists where owners are kept.

use super::tree::Owners;
use crate::storage::pack;
use sha2::{Digest as _, Sha256};
use std::os::fd::BorrowedFd;

/// Names and values, sorted.
pub(super) type Attributes = Vec<(Vec<u8>, Vec<u8>)>;

/// The attributes of an open file or directory that are copied. An access list names ids, which in a context are the
/// host's and mean nothing in an image.
///
/// # Errors
/// Those of flistxattr(2) and fgetxattr(2).
pub(super) fn read(file: BorrowedFd<'_>, owners: Owners) -> nix::Result<Attributes> {
    let mut all = pack::attributes(file, None)?;
    all.retain(|(name, _)| owners == Owners::Kept || !name.starts_with(b"system."));
    Ok(all)
}

/// A digest of them; `None` for none.
pub(super) fn digest(all: &Attributes) -> Option<[u8; 32]> {
    if all.is_empty() {
        return None;
    }
    let mut hash = Sha256::new();
    for part in all.iter().flat_map(|(name, value)| [name, value]) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    Some(hash.finalize().into())
}
