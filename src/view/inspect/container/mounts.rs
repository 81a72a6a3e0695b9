//! A container's mounts as `inspect` shows them.

use super::facts::shown_path;
use crate::spec::{MountSource, MountSpec};
use crate::storage::Store;
use serde::Serialize;
use serde_json::{Map, Value};

/// A mount in podman's list.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Mount {
    #[serde(rename = "Type")]
    pub(super) kind: &'static str,
    pub(super) name: String,
    pub(super) source: String,
    pub(super) destination: String,
    pub(super) driver: &'static str,
    mode: &'static str,
    options: Vec<&'static str>,
    #[serde(rename = "RW")]
    pub(super) writable: bool,
    pub(super) propagation: String,
    sub_path: String,
}

/// What podman lists: all but memory, which is in `HostConfig.Tmpfs` only.
pub(super) fn list(store: &Store, mounts: &[MountSpec]) -> Vec<Mount> {
    mounts.iter().filter_map(|mount| shown(store, mount)).collect()
}

fn shown(store: &Store, mount: &MountSpec) -> Option<Mount> {
    let mut shown = match &mount.source {
        MountSource::Bind { path, .. } => {
            Mount { kind: "bind", source: shown_path(Some(&mount.whole(path))), ..Mount::default() }
        }
        MountSource::Volume { name, .. } => Mount {
            kind: "volume",
            name: name.to_string(),
            source: shown_path(store.volumes().path(name).ok().as_deref()),
            driver: "local",
            sub_path: shown_path(mount.subpath.as_deref()),
            ..Mount::default()
        },
        MountSource::Image { reference, .. } => Mount {
            kind: "image",
            source: reference.clone(),
            sub_path: shown_path(mount.subpath.as_deref()),
            ..Mount::default()
        },
        MountSource::Tmpfs { .. } | MountSource::Ramfs { .. } | MountSource::Devpts { .. } => return None,
    };
    shown.destination = shown_path(Some(&mount.destination));
    shown.options = [flags(mount), vec![way(mount)]].concat();
    shown.writable = !mount.read_only;
    shown.propagation = mount.propagation.clone().unwrap_or_else(|| "rprivate".to_owned());
    Some(shown)
}

/// What restricts a mount.
fn flags(mount: &MountSpec) -> Vec<&'static str> {
    let all = [(!mount.suid, "nosuid"), (!mount.dev, "nodev"), (mount.no_exec, "noexec")];
    all.iter().filter_map(|(on, word)| on.then_some(*word)).collect()
}

/// Whether mounts below it come along.
fn way(mount: &MountSpec) -> &'static str {
    if matches!(mount.source, MountSource::Bind { recursive: false, .. }) { "bind" } else { "rbind" }
}

fn options(mount: &MountSpec) -> Vec<String> {
    let mut options = vec![if mount.read_only { "ro" } else { "rw" }.to_owned()];
    options.push(mount.propagation.clone().unwrap_or_else(|| "rprivate".to_owned()));
    options.extend(flags(mount).into_iter().map(str::to_owned));
    options
}

/// `HostConfig.Binds`, as podman resolves them.
pub(super) fn binds(mounts: &[MountSpec]) -> Vec<String> {
    let one = |mount: &MountSpec| {
        let source = match &mount.source {
            MountSource::Bind { path, .. } => shown_path(Some(&mount.whole(path))),
            MountSource::Volume { name, .. } => name.to_string(),
            _ => return None,
        };
        let options = [options(mount), vec![way(mount).to_owned()]].concat();
        Some(format!("{source}:{}:{}", mount.destination.display(), options.join(",")))
    };
    mounts.iter().filter_map(one).collect()
}

/// `HostConfig.Binds` in docker's short form, without what goes without saying; anonymous volumes are not there.
pub(super) fn docker_binds(mounts: &[MountSpec]) -> Vec<String> {
    let one = |mount: &MountSpec| {
        let source = match &mount.source {
            MountSource::Bind { path, .. } => shown_path(Some(&mount.whole(path))),
            MountSource::Volume { name, anonymous: false, .. } => name.to_string(),
            _ => return None,
        };
        let read_only = mount.read_only.then(|| "ro".to_owned());
        let words: Vec<String> = read_only.into_iter().chain(mount.propagation.clone()).collect();
        let words = if words.is_empty() { String::new() } else { format!(":{}", words.join(",")) };
        Some(format!("{source}:{}{words}", mount.destination.display()))
    };
    mounts.iter().filter_map(one).collect()
}

/// `HostConfig.Tmpfs`.
pub(super) fn tmpfs(mounts: &[MountSpec]) -> Map<String, Value> {
    let one = |mount: &MountSpec| {
        let MountSource::Tmpfs { size, mode, .. } = &mount.source else { return None };
        let mut options = options(mount);
        options.extend(size.map(|size| format!("size={size}")));
        options.extend(mode.map(|mode| format!("mode={mode:o}")));
        Some((shown_path(Some(&mount.destination)), options.join(",").into()))
    };
    mounts.iter().filter_map(one).collect()
}
