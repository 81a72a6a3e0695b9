//! The mounts of a plan.

use super::facts::Facts;
use super::payload::INIT_PLACE;
use super::refusal::{no_nul, refuse};
use crate::container::{ContainerId, Name};
use crate::error::{Error, Kind, Result, phrases};
use crate::image::RunConfig;
use crate::plan::mount::inherit::ImageVolumes;
use crate::plan::mount::{ImageArg, MemorySize, MountArg, SourceArg, clean_destination};
use crate::plan::{Request, systemd};
use crate::spec::{MountSource, MountSpec, OverlaySpec};
use crate::text::clean;
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};

/// All mounts, parents before what is mounted below them. What was asked for comes first; the image's
/// volumes and our own additions fill places that are still free.
pub(super) fn mounts(
    request: &Request,
    config: Option<&RunConfig>,
    facts: &Facts,
    systemd: bool,
) -> Result<Vec<MountSpec>> {
    let mut plans: Vec<MountSpec> = Vec::new();
    for asked in &request.mounts.list {
        let plan = mount(asked, facts)?;
        // The same once more is no mistake.
        if plans.contains(&plan) {
            continue;
        }
        if plans.iter().any(|p| p.destination == plan.destination) {
            let place = plan.destination.display().to_string();
            return Err(
                phrases::duplicate_mount(&place).hint("Keep one of them, or choose another destination.")
            );
        }
        plans.push(plan);
    }
    let mut fill = |plan: MountSpec| {
        if !plans.iter().any(|p| p.destination == plan.destination) {
            plans.push(plan);
        }
    };
    request.mounts.inherited.iter().cloned().for_each(&mut fill);
    let volumes = request.mounts.image_volumes;
    if let Some(config) = config.filter(|_| volumes != ImageVolumes::Ignore) {
        no_nul("volume list", config.volumes.keys())?;
        for path in config.volumes.keys() {
            let destination = clean_destination(&format!("/{path}")).map_err(|e| {
                Error::new(Kind::Image, format!("the image's volume {path:?} cannot be mounted")).caused_by(e)
            })?;
            let source = match volumes {
                ImageVolumes::Tmpfs => memory(),
                _ => volume(None, &destination, true, facts),
            };
            fill(MountSpec::new(source, destination));
        }
    }
    if systemd {
        systemd::mounts(request.process.systemd_size).for_each(&mut fill);
    }
    if let Some(path) = &request.process.init_path {
        let source = MountSource::Bind { path: path.clone(), recursive: false };
        fill(MountSpec { read_only: true, ..MountSpec::new(source, PathBuf::from(INIT_PLACE)) });
    }
    if request.security.readonly_root && request.mounts.read_only_tmpfs {
        for place in ["/run", "/tmp", "/var/tmp"] {
            fill(MountSpec::new(memory(), PathBuf::from(place)));
        }
    }
    if let Some(zone) = &request.mounts.zone {
        let source = MountSource::Bind { path: zone.clone(), recursive: false };
        fill(MountSpec { read_only: true, ..MountSpec::new(source, PathBuf::from("/etc/localtime")) });
    }
    plans.sort_by_key(|p| p.destination.components().count());
    Ok(plans)
}

/// The text of what was asked to be mounted from the host or from volumes.
pub(super) fn binds(list: Vec<MountArg>) -> Vec<String> {
    let kept = |m: &MountArg| matches!(m.source, SourceArg::Bind { .. } | SourceArg::Volume { .. });
    list.into_iter().filter(kept).map(|m| m.asked).collect()
}

fn memory() -> MountSource {
    MountSource::Tmpfs { size: None, mode: None, copy_up: true, inodes: None, uid: None, gid: None }
}

/// A volume; without a name it gets one made from the container's id and the destination.
fn volume(name: Option<Name>, destination: &Path, copy_up: bool, facts: &Facts) -> MountSource {
    let anonymous = name.is_none();
    let seed = format!("{} {}", facts.id, destination.display());
    let made = || Name::from(ContainerId::from_random(Sha256::digest(seed).into()));
    MountSource::Volume { name: name.unwrap_or_else(made), anonymous, copy_up }
}

fn mount(asked: &MountArg, facts: &Facts) -> Result<MountSpec> {
    let host = |path: PathBuf| clean(&facts.caller.cwd.join(path));
    let source = match asked.source.clone() {
        SourceArg::Bind { path, recursive } => MountSource::Bind { path: host(path), recursive },
        SourceArg::Volume { name, copy_up } => volume(name, &asked.destination, copy_up, facts),
        SourceArg::Tmpfs { size, mode, copy_up, inodes, uid, gid } => {
            let size = match size {
                Some(MemorySize::Share(_)) => {
                    return Err(refuse("the size of a tmpfs was not looked up", "Report this as a bug."));
                }
                Some(MemorySize::Bytes(bytes)) => Some(bytes),
                None => None,
            };
            MountSource::Tmpfs { size, mode, copy_up, inodes, uid, gid }
        }
        SourceArg::Ramfs { mode, copy_up } => MountSource::Ramfs { mode, copy_up },
        SourceArg::Devpts { uid, gid, mode, max } => MountSource::Devpts { uid, gid, mode, max },
        SourceArg::Image(ImageArg::Found(reference, id, layers)) => {
            MountSource::Image { reference, id, layers }
        }
        SourceArg::Image(ImageArg::Named(name)) | SourceArg::Glob(name) => {
            return Err(refuse(format!("mount source {name:?} was not looked up"), "Report this as a bug."));
        }
    };
    Ok(MountSpec {
        destination: asked.destination.clone(),
        source,
        read_only: asked.read_only,
        no_exec: asked.no_exec,
        suid: asked.suid,
        dev: asked.dev,
        propagation: asked.propagation.clone(),
        chown: asked.chown,
        overlay: asked
            .overlay
            .clone()
            .map(|kept| OverlaySpec { kept: kept.map(|(upper, work)| (host(upper), host(work))) }),
        subpath: asked.subpath.clone(),
    })
}
