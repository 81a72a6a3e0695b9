//! Layers to be looked at: an overlay that nothing can be written to.

use super::{Overlay, directory, is_refusal, overlay_of_descriptors, show_as};
use crate::fork::{Doing, Failure};
use crate::storage::{fuse, place};
use crate::sys::mount::{self, attr};
use nix::libc;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// Mounts layers (bottom first) on `target`, read-only. `scratch` is an empty directory of ours: overlay wants at least
/// two layers, so what lies below all of them is empty, and what lies above where a process of ours combines them.
///
/// # Errors
/// The failed step.
pub fn show(lowers: &[PathBuf], scratch: &Path, target: &Path, driver: Overlay) -> Result<(), Failure> {
    let below = part(scratch, "below")?;
    if driver != Overlay::Fuse {
        let all = lowers.iter().rev().chain([&below]);
        let all = all.map(|lower| directory(lower)).collect::<Result<Vec<_>, _>>()?;
        let both =
            if all.len() < 2 { vec![directory(&below)?, directory(&part(scratch, "bottom")?)?] } else { all };
        match overlay_of_descriptors(&both, None, target, false) {
            Err(failure) if driver == Overlay::Auto && is_refusal(&failure, scratch) => {}
            other => return other,
        }
    }
    let (upper, work) = (part(scratch, "upper")?, part(scratch, "work")?);
    show_as(&upper, lowers)?;
    let below = [below];
    let lowers = if lowers.is_empty() { &below } else { lowers };
    fuse::overlay::mount(
        &fuse::overlay::Parts { lowers, upper: &upper, work: &work, volatile: true },
        target,
    )?;
    let mounted = place::held(target).doing("open directory", target)?;
    mount::set_attributes(mounted.as_fd(), attr::RDONLY, 0, libc::MS_PRIVATE, false)
        .doing("set flags of", target)
}

fn part(scratch: &Path, name: &str) -> Result<PathBuf, Failure> {
    let part = scratch.join(name);
    match std::fs::create_dir(&part) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => Err(e).doing("make directory", &part),
        _ => Ok(part),
    }
}
