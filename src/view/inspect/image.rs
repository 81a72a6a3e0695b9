//! An image as `inspect` shows it: docker's structure with podman's additions.

use crate::error::{Context, Kind, Result};
use crate::image::Image;
use crate::storage::Store;
use crate::storage::images::Listed;
use serde_json::{Map, Value, json};

pub(super) fn show(store: &Store, image: &Image) -> Result<Value> {
    let listed = store.images().list()?.into_iter().find(|listed| listed.image.id == image.id);
    let config = &image.config;
    // The configuration as it is: what docker added beyond our own fields is shown too.
    let run = serde_json::to_value(&config.config).context(Kind::Image, || "show the configuration")?;
    let history = serde_json::to_value(&config.history).context(Kind::Image, || "show the history")?;
    let size = listed.as_ref().map_or(0, |listed| listed.size);
    let manifest = manifest(store, image);
    Ok(json!({
        "Id": image.id.hex(),
        "Digest": image.manifest,
        "RepoTags": listed.as_ref().map(Listed::tags).unwrap_or_default(),
        "RepoDigests": listed.as_ref().map(|listed| listed.digests.clone()).unwrap_or_default(),
        "Parent": "",
        "Comment": config.history.last().and_then(|step| step.comment.as_deref()).unwrap_or_default(),
        "Created": config.created,
        "Config": run,
        "Version": "",
        "Author": config.author.as_deref().unwrap_or_default(),
        "Architecture": config.architecture,
        "Variant": config.variant.as_deref().unwrap_or_default(),
        "Os": config.os,
        "Size": size,
        "VirtualSize": size,
        "GraphDriver": graph_driver(store, image),
        "RootFS": { "Type": "layers", "Layers": config.rootfs.diff_ids },
        "Labels": config.config.labels,
        "Annotations": manifest.get("annotations").cloned().unwrap_or_else(|| json!({})),
        "ManifestType": manifest_type(&manifest),
        "User": config.config.user,
        "Healthcheck": config.config.healthcheck,
        "History": history,
        "NamesHistory": listed.as_ref().map(|listed| listed.history.clone()).unwrap_or_default(),
    }))
}

fn graph_driver(store: &Store, image: &Image) -> Value {
    let path = |layer| Some(store.layers().path(layer).ok()?.to_string_lossy().into_owned());
    let mut layers = image.layers.iter().rev();
    let mut data = Map::new();
    if let Some(top) = layers.next().and_then(path) {
        data.insert("UpperDir".into(), top.into());
    }
    let lower: Vec<String> = layers.filter_map(path).collect();
    if !lower.is_empty() {
        data.insert("LowerDir".into(), lower.join(":").into());
    }
    json!({ "Name": "overlay", "Data": data })
}

/// The manifest, if it can be read.
fn manifest(store: &Store, image: &Image) -> Value {
    let bytes = store.blobs().read(&image.manifest).ok().flatten();
    bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// The manifest's media type: as it says itself, or else OCI's.
fn manifest_type(manifest: &Value) -> &str {
    let said = manifest.get("mediaType").and_then(Value::as_str);
    said.unwrap_or(if manifest.is_null() { "" } else { "application/vnd.oci.image.manifest.v1+json" })
}
