//! The id map that the layers of a store were created with.
//!
//! Owners on disk are the host's ids. If the account's ranges in /etc/subuid change, these map to different ids
//! inside. That is detected by comparing the process's map with the recorded one, before layers are created or
//! used.

use super::id_ranges::IdRanges;
use super::place::Place;
use super::record::Durability;
use super::roots::Roots;
use super::tree;
use super::version::{FORMAT, Version};
use crate::error::{Error, Kind, Result};
use crate::fork::{Failure, Step};
use nix::errno::Errno;
use std::os::fd::AsFd;

/// See [`Store::check_id_map`](super::Store::check_id_map).
pub(super) fn check(roots: &Roots, record: bool) -> Result<()> {
    let root = Place::open(&roots.data)?;
    let Some(version) = root.read::<Version>("version")? else { return Ok(()) };
    let now = IdRanges::current()?;
    match &version.id_map {
        Some(old) if *old == now => Ok(()),
        Some(old) if old.many() && !now.many() => Err(one_id_now(roots)),
        Some(old) if !now.extends(old) => Err(Error::new(
            Kind::Conflict,
            format!(
                "the ids of this account have changed since the layers in {} were made",
                roots.data.display()
            ),
        )
        .hint(change_back(old))),
        _ if record => root.replace("version", &Version { id_map: Some(now), ..version }, Durability::Synced),
        _ => Ok(()),
    }
}

/// The range or newuidmap was removed: the parent finds out which (`host::cures`).
fn one_id_now(roots: &Roots) -> Error {
    let detail = "they have files of many ids, and only one is available now";
    Failure::other(Step::UseLayers, roots.data.to_string_lossy(), detail).as_if(Errno::EPERM).into()
}

fn change_back(old: &IdRanges) -> String {
    let again = "remove all containers and images and pull again: coracle rm -fa && coracle rmi -fa";
    let ranges: Vec<String> =
        old.uid.iter().filter(|r| r[0] != 0).map(|r| format!("{}:{}", r[1], r[2])).collect();
    match ranges.as_slice() {
        [] => format!("They were made with one id. To use more, {again}"),
        ranges => {
            format!("Restore the ranges in /etc/subuid and /etc/subgid ({}), or {again}", ranges.join(", "))
        }
    }
}

pub(super) fn forget(roots: &Roots) -> Result<()> {
    // One that cannot be read may still use layers.
    let empty = match Place::find(&roots.data.join("containers")) {
        Ok(Some(containers)) => tree::names(containers.as_fd()).is_ok_and(|names| names.is_empty()),
        other => other?.is_none(),
    };
    if !empty {
        return Ok(());
    }
    let version = Version { format: FORMAT, id_map: None };
    Place::open(&roots.data)?.replace("version", &version, Durability::Synced)
}
