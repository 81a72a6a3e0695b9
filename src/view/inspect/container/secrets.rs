//! The secrets of a container as `inspect` shows them.

use crate::spec::secrets::MODE;
use crate::spec::{ContainerSpec, SecretWay};
use crate::storage::Store;
use serde::Serialize;

/// A secret that is a file.
#[derive(Debug, Serialize)]
pub(super) struct Secret {
    #[serde(rename = "Name")]
    name: String,
    /// Empty when it was removed since.
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "UID")]
    uid: u32,
    #[serde(rename = "GID")]
    gid: u32,
    #[serde(rename = "Mode")]
    mode: u32,
}

/// `Config.Secrets` in podman's format: secrets that are files.
pub(super) fn shown(store: &Store, plan: &ContainerSpec) -> Vec<Secret> {
    // The owner is the payload's user, who is known by number here only when named so.
    let (user, group) = plan.process.user.user.split_once(':').unwrap_or((&plan.process.user.user, ""));
    let number = |text: &str| text.parse::<u32>().unwrap_or(0);
    let files = plan.secrets.iter().filter_map(|secret| {
        let SecretWay::Mount { uid, gid, mode, .. } = &secret.way else { return None };
        let id = store.secrets().get(&secret.name).ok().flatten().map(|secret| secret.id);
        Some(Secret {
            name: secret.name.to_string(),
            id: id.map(|id| id.to_string()).unwrap_or_default(),
            uid: uid.unwrap_or_else(|| number(user)),
            gid: gid.unwrap_or_else(|| number(group)),
            mode: mode.unwrap_or(MODE),
        })
    });
    files.collect()
}
