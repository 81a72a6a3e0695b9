//! The file systems that hold the data.

use super::check::{Check, State};
use crate::sys::volume;
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{AccessFlags, access};
use std::path::{Path, PathBuf};

/// The magic number of file systems that programs provide (magic(2)).
const FUSE: i64 = 0x6573_5546;

/// Free space below which pulls are likely to fail, and below which nothing works; bytes.
const LOW: u64 = 1 << 30;
const FULL: u64 = 16 << 20;

/// The check `data-root`.
pub(in crate::host) fn data_root(data: &Path) -> Check {
    let name = "data-root";
    let place = existing(data);
    if let Some(check) = full_or_read_only(data) {
        return check;
    }
    let elsewhere = elsewhere();
    if access(&place, AccessFlags::W_OK | AccessFlags::X_OK).is_err() {
        let detail = format!("{} cannot be written by this account", place.display());
        return Check::missing(name, detail, vec![elsewhere]);
    }
    let fuse = || (volume::magic(&place) == Ok(FUSE)).then_some("FUSE");
    if let Some(kind) = volume::unfit(&place).ok().flatten().or_else(fuse) {
        let detail =
            format!("{} is on {kind}, which does not keep the owners of a container's files", data.display());
        return Check::missing(name, detail, vec![elsewhere]);
    }
    match free(&place) {
        Some((bytes, _)) if bytes < LOW => Check::limited(
            name,
            format!("{} has {} MiB free", data.display(), bytes >> 20),
            vec!["Remove what is not used: coracle rm, coracle rmi".to_owned(), elsewhere],
        ),
        _ => Check::ok(name, data.display().to_string()),
    }
}

/// The check `data-root` if the file system takes no more data, else nothing.
pub(in crate::host) fn full_or_read_only(data: &Path) -> Option<Check> {
    let name = "data-root";
    let place = existing(data);
    let stat = statvfs(&place).ok()?;
    if stat.flags().contains(FsFlags::ST_RDONLY) {
        let detail = format!("{} is on a read-only file system", data.display());
        return Some(Check::missing(name, detail, vec![elsewhere()]));
    }
    let (bytes, files) = free(&place)?;
    if bytes >= FULL && files > 0 {
        return None;
    }
    let what = if files == 0 { "no free inode".to_owned() } else { format!("{} KiB free", bytes >> 10) };
    let detail = format!("{} is full: {what}", data.display());
    let cure = vec!["Remove what is not used: coracle rm, coracle rmi".to_owned(), elsewhere()];
    Some(Check { name, state: State::Missing, detail, cure })
}

/// The check `image-store` of one additional store.
pub(super) fn image_store(store: &Path) -> Check {
    let name = "image-store";
    if access(store, AccessFlags::R_OK | AccessFlags::X_OK).is_ok() {
        return Check::ok(name, store.display().to_string());
    }
    let detail = format!("{} cannot be read", store.display());
    Check::limited(name, detail, vec![format!("ls -ld {}", store.display())])
}

fn elsewhere() -> String {
    "Put the data elsewhere: coracle --root DIR ..., or root = \"DIR\" in ~/.config/coracle/coracle.toml"
        .to_owned()
}

/// Free bytes and inodes for this account; file systems that count none have many.
fn free(place: &Path) -> Option<(u64, u64)> {
    let stat = statvfs(place).ok()?;
    let inodes = if stat.files() == 0 { u64::MAX } else { stat.files_available() };
    let bytes = stat.blocks_available().saturating_mul(stat.fragment_size());
    Some((if stat.blocks() == 0 { u64::MAX } else { bytes }, inodes))
}

/// The directory, or the nearest one above it that exists.
fn existing(path: &Path) -> PathBuf {
    path.ancestors().find(|dir| dir.exists()).unwrap_or(Path::new("/")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_ones_own_is_fine_even_before_it_exists() {
        let dir = tempfile::tempdir().unwrap();
        assert_ne!(data_root(&dir.path().join("a/b/c")).state, State::Missing);
    }

    #[test]
    fn a_place_that_cannot_be_written_is_missing() {
        // sysfs is never writable as a directory for an ordinary user; root may.
        if nix::unistd::geteuid().is_root() {
            return;
        }
        let check = data_root(Path::new("/sys/coracle"));
        assert_eq!(check.state, State::Missing);
        assert!(check.cure[0].contains("--root"), "{check:?}");
    }
}
