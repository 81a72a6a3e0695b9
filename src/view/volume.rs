//! A volume in podman's format.

use crate::storage::Store;
use crate::storage::volumes::{Users, Volume};
use crate::text::time;
use chrono::SecondsFormat;
use serde_json::{Map, Value, json};

/// What `inspect` and `ls --format json` show.
pub fn record(store: &Store, volume: &Volume, users: &Users) -> Value {
    let backing = volume.backing().unwrap_or_default();
    let mut all = Map::new();
    let mut add = |key: &str, value: Value| all.insert(key.to_owned(), value);
    add("Name", volume.name.as_str().into());
    add("Driver", volume.driver.as_str().into());
    add("Mountpoint", store.volumes().path(&volume.name).unwrap_or_default().to_string_lossy().into());
    add("CreatedAt", volume.created.to_rfc3339_opts(SecondsFormat::AutoSi, true).into());
    add("Labels", json!(volume.labels));
    add("Scope", "local".into());
    add("Options", json!(volume.options));
    // As podman: what is zero is not there.
    for (key, id) in [("UID", backing.uid), ("GID", backing.gid)] {
        if let Some(id) = id.filter(|id| *id != 0) {
            add(key, id.into());
        }
    }
    if volume.anonymous {
        add("Anonymous", true.into());
    }
    add("MountCount", mounts(store, volume, users).into());
    if store.volumes().needs_copy_up(volume) {
        add("NeedsCopyUp", true.into());
        if !backing.has_owner() {
            add("NeedsChown", true.into());
        }
    }
    Value::Object(all)
}

/// The row of a table or template: every field is there.
pub fn row(store: &Store, volume: &Volume, users: &Users) -> Value {
    let mut row = record(store, volume, users);
    if let Value::Object(map) = &mut row {
        for (key, value) in [("UID", json!(0)), ("GID", json!(0))] {
            map.entry(key).or_insert(value);
        }
        for key in ["Anonymous", "NeedsCopyUp", "NeedsChown"] {
            map.entry(key).or_insert(false.into());
        }
        map.insert("CreatedAt".into(), time::go_utc_exact(volume.created).into());
        map.insert("Status".into(), json!({}));
        map.insert("Timeout".into(), 0.into());
    }
    row
}

/// How many containers have it mounted now; a plain directory is not mounted, only bound.
fn mounts(store: &Store, volume: &Volume, users: &Users) -> usize {
    if !volume.has_mount_of_its_own() {
        return 0;
    }
    let runs = |id| store.containers().open(id).is_ok_and(|dir| dir.status().is_live());
    users.of(&volume.name).iter().filter(|id| runs(id)).count()
}
