//! The secrets of a container as `inspect` shows them.

use crate::spec::secrets::MODE;
use crate::spec::{ContainerSpec, SecretWay};
use crate::storage::Store;
use serde_json::{Value, json};

/// `Config.Secrets` in podman's format: secrets that are files. One that was removed since has no id.
pub(super) fn shown(store: &Store, plan: &ContainerSpec) -> Value {
    let mut all = Vec::new();
    // The owner is the payload's user, who is known by number here only when named so.
    let (user, group) = plan.process.user.user.split_once(':').unwrap_or((&plan.process.user.user, ""));
    let number = |text: &str| text.parse::<u32>().unwrap_or(0);
    for secret in &plan.secrets {
        if let SecretWay::Mount { uid, gid, mode, .. } = &secret.way {
            let id = store.secrets().get(&secret.name).ok().flatten().map(|secret| secret.id);
            all.push(json!({
                "Name": secret.name,
                "ID": id.unwrap_or_default(),
                "UID": uid.unwrap_or_else(|| number(user)),
                "GID": gid.unwrap_or_else(|| number(group)),
                "Mode": mode.unwrap_or(MODE),
            }));
        }
    }
    all.into()
}
