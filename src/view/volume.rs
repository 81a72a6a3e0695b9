//! A volume in podman's and docker's format.

use super::Dialect;
use crate::storage::Store;
use crate::storage::volumes::{Users, Volume};
use crate::text::{Differs, Document};
use chrono::SecondsFormat;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Where templates see something else than podman's JSON shows.
const PODMAN: [(&str, Differs); 10] = [
    ("CreatedAt", Differs::Time),
    ("Status", Differs::Omitted),
    ("UID", Differs::Omitted),
    ("GID", Differs::Omitted),
    ("Anonymous", Differs::Omitted),
    ("NeedsCopyUp", Differs::Omitted),
    ("NeedsChown", Differs::Omitted),
    ("Timeout", Differs::Omitted),
    ("StorageID", Differs::Omitted),
    ("LockNumber", Differs::Omitted),
];

/// Where templates see something else than docker's JSON shows.
const DOCKER: [(&str, Differs); 5] = [
    ("ClusterVolume", Differs::Omitted),
    ("Status", Differs::Omitted),
    ("UsageData", Differs::Omitted),
    ("Labels", Differs::Nil),
    ("Options", Differs::Nil),
];

/// Podman's document (podman-volume-inspect(1)).
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Podman<'a> {
    name: &'a str,
    driver: &'a str,
    mountpoint: String,
    created_at: String,
    status: Map<String, Value>,
    labels: &'a BTreeMap<String, String>,
    scope: &'static str,
    options: &'a BTreeMap<String, String>,
    #[serde(rename = "UID")]
    uid: u32,
    #[serde(rename = "GID")]
    gid: u32,
    anonymous: bool,
    mount_count: usize,
    needs_copy_up: bool,
    needs_chown: bool,
    timeout: u32,
    #[serde(rename = "StorageID")]
    storage_id: &'static str,
    lock_number: u32,
}

/// Docker's document (`docker volume inspect`).
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Docker<'a> {
    cluster_volume: Option<Value>,
    created_at: String,
    driver: &'a str,
    labels: BTreeMap<String, String>,
    mountpoint: String,
    name: &'a str,
    options: &'a BTreeMap<String, String>,
    scope: &'static str,
    status: Map<String, Value>,
    usage_data: Option<Value>,
}

/// What `inspect` shows.
pub fn document(store: &Store, volume: &Volume, users: &Users, dialect: Dialect) -> Document {
    match dialect {
        Dialect::Podman => Document::new(podman(store, volume, users), &PODMAN),
        Dialect::Docker => Document::new(docker(store, volume), &DOCKER),
    }
}

/// The row of a table or template, and of docker's list in JSON.
pub fn row(store: &Store, volume: &Volume, users: &Users, dialect: Dialect) -> Document {
    let pairs = [("Labels", Differs::Pairs)];
    match dialect {
        Dialect::Podman => Document::new(podman(store, volume, users), &[&PODMAN[..], &pairs].concat()),
        Dialect::Docker => {
            let unknown = "N/A";
            let fields = json!({
                "Availability": unknown,
                "Driver": volume.driver,
                "Group": unknown,
                "Labels": volume.dockers_labels(),
                "Links": unknown,
                "Mountpoint": mountpoint(store, volume),
                "Name": volume.name,
                "Scope": "local",
                "Size": unknown,
                "Status": unknown,
            });
            Document::new(fields, &pairs)
        }
    }
}

fn podman(store: &Store, volume: &Volume, users: &Users) -> Value {
    let backing = volume.backing().unwrap_or_default();
    let needs_copy_up = store.volumes().needs_copy_up(volume);
    let shown = Podman {
        name: volume.name.as_str(),
        driver: &volume.driver,
        mountpoint: mountpoint(store, volume),
        created_at: volume.created.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        status: Map::new(),
        labels: &volume.labels,
        scope: "local",
        options: &volume.options,
        uid: backing.uid.unwrap_or_default(),
        gid: backing.gid.unwrap_or_default(),
        anonymous: volume.anonymous,
        mount_count: mounts(store, volume, users),
        needs_copy_up,
        needs_chown: needs_copy_up && !backing.has_owner(),
        timeout: 0,
        storage_id: "",
        lock_number: 0,
    };
    serde_json::to_value(&shown).unwrap_or_default()
}

fn docker(store: &Store, volume: &Volume) -> Value {
    let shown = Docker {
        cluster_volume: None,
        created_at: volume.created.to_rfc3339_opts(SecondsFormat::Secs, true),
        driver: &volume.driver,
        labels: volume.dockers_labels(),
        mountpoint: mountpoint(store, volume),
        name: volume.name.as_str(),
        options: &volume.options,
        scope: "local",
        status: Map::new(),
        usage_data: None,
    };
    serde_json::to_value(&shown).unwrap_or_default()
}

fn mountpoint(store: &Store, volume: &Volume) -> String {
    store.volumes().path(&volume.name).unwrap_or_default().to_string_lossy().into_owned()
}

/// How many containers have it mounted now; a plain directory is not mounted, only bound.
fn mounts(store: &Store, volume: &Volume, users: &Users) -> usize {
    if !volume.has_mount_of_its_own() {
        return 0;
    }
    let runs = |id| store.containers().open(id).is_ok_and(|dir| dir.status().is_live());
    users.of(&volume.name).iter().filter(|id| runs(id)).count()
}
