//! Assembling a root file system of any kind.

use super::host_tree;
use super::{Places, attach, cwd, overlay, resolved, show_as};
use crate::fork::{Doing, Failure};
use crate::spec::RootSpec;
use crate::sys::mount::{self, Tree};
use std::path::PathBuf;

/// Mounts the root file system on `places.merged`.
///
/// # Errors
/// The failed step.
pub fn assemble(plan: &RootSpec, places: &Places) -> Result<(), Failure> {
    let over = |lowers: &[PathBuf]| {
        overlay(lowers, &places.upper, &places.work, &places.merged, places.volatile, places.overlay)
    };
    match plan {
        RootSpec::Layers(_) => {
            if places.fresh {
                show_as(&places.upper, &places.lowers)?;
            }
            over(&places.lowers)
        }
        RootSpec::Directory { path, overlay: true } => over(&[resolved(path)?]),
        RootSpec::Directory { path, overlay: false } => {
            let tree = mount::open_tree(cwd(), path, Tree::CloneRecursive).doing("open", path)?;
            attach(tree, &places.merged)
        }
        RootSpec::HostTree => host_tree::assemble(places),
    }
}
