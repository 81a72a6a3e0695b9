//! Checks before anything changes: names, files and directories that must or must not exist.

use super::find::holder;
use super::id_file::IdFile;
use super::removal::remove_ended;
use super::stop::stop_by_policy;
use crate::error::{Context, Error, Kind, Result, phrases};
use crate::host::Caller;
use crate::plan::Request;
use crate::plan::mount::SourceArg;
use crate::storage::Store;
use crate::storage::containers::{ContainerDir, name_in_use, pod_name_in_use};
use crate::text::{clean, quoted};
use std::path::{Path, PathBuf};

/// Refuses what would fail later.
///
/// # Errors
/// A name in use, an id file that exists, a bind source, a root directory or a directory for a file of ids
/// that does not.
pub(in crate::engine) fn check(
    store: &Store,
    request: &Request,
    caller: &Caller,
    cidfile: Option<&IdFile>,
    replace: bool,
) -> Result<()> {
    if let Some(file) = cidfile {
        file.check()?;
        directory_of("--cidfile", &file.path)?;
    }
    let lifecycle = &request.lifecycle;
    for (flag, file) in [("--pidfile", &lifecycle.pidfile), ("--conmon-pidfile", &lifecycle.monitor_pidfile)]
    {
        if let Some(file) = file {
            directory_of(flag, &caller.cwd.join(file))?;
        }
    }
    for mount in &request.mounts.list {
        if let SourceArg::Bind { path, .. } = &mount.source {
            let path = clean(&caller.cwd.join(path));
            if !mount.make_source || path.symlink_metadata().is_ok() {
                bind_source(&path)?;
            }
            if mount.no_dereference && path.is_symlink() {
                return Err(no_link(&path));
            }
            if mount.chown {
                not_home(&path, caller)?;
            }
        }
    }
    if let Some(rootfs) = &request.rootfs {
        let path = caller.cwd.join(&rootfs.path);
        if !path.is_dir() {
            return Err(Error::new(Kind::Usage, format!("--rootfs: {} is not a directory", path.display()))
                .hint("Name the directory that holds the root file system, for example coracle run --rootfs /:O sh."));
        }
    }
    if let Some(name) = &request.name
        && !replace
        && let Some(holder) = holder(store, name)
    {
        return Err(name_in_use(name, Some(holder.id())));
    }
    if let Some(name) = &request.name
        && let Some(holder) = holder(store, name).filter(|_| replace)
        && let Ok(plan) = holder.spec()
        && let Some(pod) = plan.pod.as_ref().filter(|pod| pod.infra)
    {
        return Err(phrases::infra_stays(holder.id().as_str(), pod.id.as_str())
            .hint(format!("Remove the pod with its containers: coracle pod rm -f {}", pod.id.short())));
    }
    // No container takes the place of a pod.
    if let Some(name) = &request.name
        && store.containers().is_name_of_pod(name)?
    {
        return Err(pod_name_in_use("", name));
    }
    Ok(())
}

/// Makes the sources that may be missing, empty directories (docker's way with `--volume`).
///
/// # Errors
/// A directory that cannot be made.
pub(super) fn make_sources(missing: &[PathBuf]) -> Result<()> {
    for path in missing {
        std::fs::create_dir_all(path)
            .context(Kind::Usage, || format!("bind source {} cannot be made", path.display()))?;
    }
    Ok(())
}

/// The sources of a request that are to be made if they are missing.
pub(super) fn sources_to_make(request: &Request, caller: &Caller) -> Vec<PathBuf> {
    let made = request.mounts.list.iter().filter(|mount| mount.make_source);
    let paths = made.filter_map(|mount| match &mount.source {
        SourceArg::Bind { path, .. } => Some(clean(&caller.cwd.join(path))),
        _ => None,
    });
    paths.filter(|path| path.symlink_metadata().is_err()).collect()
}

/// Refuses a file that cannot be written because there is no directory for it.
fn directory_of(flag: &str, file: &Path) -> Result<()> {
    let dir = file.parent().unwrap_or(file);
    if !dir.is_dir() {
        return Err(Error::new(Kind::Usage, format!("{flag}: {} is not a directory", dir.display()))
            .hint(format!("Make it first: mkdir -p {}", quoted(dir))));
    }
    Ok(())
}

fn bind_source(path: &Path) -> Result<()> {
    let shown = path.display();
    match path.metadata() {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            Err(phrases::no_bind_source(&shown.to_string())
                .hint(format!("Make it first: mkdir -p {}", quoted(path))))
        }
        Err(e) => Err(Error::new(Kind::Usage, format!("bind source {shown} cannot be used")).caused_by(e)),
    }
}

/// Why `no-dereference` is refused.
fn no_link(path: &Path) -> Error {
    let message = format!("no-dereference: {} is a symbolic link, and links are not copied", path.display());
    Error::new(Kind::Usage, message)
        .hint("Leave the option out to mount what the link leads to, or make the link inside: coracle exec CONTAINER ln -s")
}

/// Giving the home directory, or one above it, to another user would lock the caller out.
fn not_home(path: &Path, caller: &Caller) -> Result<()> {
    let home = caller.env.iter().find(|(name, _)| name == "HOME").map(|(_, home)| Path::new(home));
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    match home.map(real) {
        Some(home) if home.starts_with(real(path)) => Err(Error::new(
            Kind::Usage,
            format!(
                "mount option U would change the owner of {}, which holds your home directory",
                path.display()
            ),
        )
        .hint("Use it on a directory made for the container, or leave U out.")),
        _ => Ok(()),
    }
}

/// Stops the container whose place another one takes (`--replace`).
///
/// # Errors
/// When it cannot be stopped.
pub(super) fn stop_holder(store: &Store, holder: &ContainerDir) -> Result<()> {
    stop_by_policy(store, holder).map(drop)
}

/// Stops and removes it.
///
/// # Errors
/// When it cannot be stopped or removed.
pub(super) fn remove_holder(store: &Store, holder: &ContainerDir) -> Result<()> {
    stop_holder(store, holder)?;
    remove_ended(store, holder, true).map(drop)
}
