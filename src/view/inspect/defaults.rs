//! Fields that docker and podman show for every container and that have the same value for all of ours: scripts
//! read them without checking whether they exist.

use serde_json::{Map, Value, json};

/// Adds to a container as `inspect` shows it what is not set there.
pub(super) fn fill(container: &mut Value) {
    add(container, container_fields());
    for (part, fields) in
        [("HostConfig", host_fields()), ("State", state_fields()), ("Config", config_fields())]
    {
        if let Some(part) = container.get_mut(part) {
            add(part, fields);
        }
    }
}

fn add(to: &mut Value, fields: Value) {
    if let (Value::Object(to), Value::Object(fields)) = (to, fields) {
        for (name, value) in fields {
            to.entry(name).or_insert(value);
        }
    }
}

fn container_fields() -> Value {
    json!({
        "OCIConfigPath": "",
        "AppArmorProfile": "",
        "Platform": "linux",
        "IsService": false,
        "lockNumber": 0,
    })
}

fn config_fields() -> Value {
    json!({ "Healthcheck": null, "HealthcheckOnFailureAction": "none", "sdNotifyMode": "container" })
}

fn state_fields() -> Value {
    json!({
        "OciVersion": "1.0.2",
        "Checkpointed": false,
        "CheckpointedAt": "0001-01-01T00:00:00Z",
        "RestoredAt": "0001-01-01T00:00:00Z",
        "CgroupPath": "",
    })
}

fn host_fields() -> Value {
    let mut all = Map::new();
    for number in [
        "BlkioWeight",
        "CpuCount",
        "CpuPercent",
        "CpuPeriod",
        "CpuQuota",
        "CpuRealtimePeriod",
        "CpuRealtimeRuntime",
        "CpuShares",
        "DiskQuota",
        "IOMaximumBandwidth",
        "IOMaximumIOps",
        "KernelMemory",
        "Memory",
        "MemoryReservation",
        "MemorySwap",
        "MemorySwappiness",
        "NanoCpus",
        "PidsLimit",
    ] {
        all.insert(number.to_owned(), 0.into());
    }
    for list in [
        "BlkioDeviceReadBps",
        "BlkioDeviceReadIOps",
        "BlkioDeviceWriteBps",
        "BlkioDeviceWriteIOps",
        "BlkioWeightDevice",
        "CgroupConf",
        "DeviceCgroupRules",
        "DeviceRequests",
    ] {
        all.insert(list.to_owned(), Value::Null);
    }
    for text in ["CgroupManager", "CgroupParent", "CpusetCpus", "CpusetMems", "Isolation"] {
        all.insert(text.to_owned(), "".into());
    }
    all.insert("ConsoleSize".to_owned(), json!([0, 0]));
    all.insert("Devices".to_owned(), json!([]));
    all.insert("OomKillDisable".to_owned(), false.into());
    all.into()
}
