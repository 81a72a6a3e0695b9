//! OCI image layouts as sources.

use super::Scene;
use crate::common::{Layer, sha256_hex};
use coracle::build::sources::layout;
use coracle::engine::Engine;
use coracle::error::{Error, Kind};
use coracle::image::{Image, Platform};
use coracle::storage::archive::Wanted;
use serde_json::{Value, json};
use std::path::Path;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Puts a blob into a layout and describes it.
fn put(dir: &Path, media_type: &str, bytes: &[u8]) -> Value {
    let hex = sha256_hex(bytes);
    let blobs = dir.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    std::fs::write(blobs.join(&hex), bytes).unwrap();
    json!({"mediaType": media_type, "digest": format!("sha256:{hex}"), "size": bytes.len()})
}

/// Puts an image with one file for an architecture into a layout; returns its id and its descriptor.
fn image(dir: &Path, content: &str, architecture: &str) -> (String, Value) {
    let (plain, packed) = Layer::new().file("which", 0o644, content).finish();
    let layer = put(dir, "application/vnd.oci.image.layer.v1.tar+gzip", &packed);
    let diff_id = format!("sha256:{}", sha256_hex(&plain));
    let config = json!({
        "architecture": architecture, "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    });
    let config = put(dir, "application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
    let id = config["digest"].as_str().unwrap().to_owned();
    let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]});
    (id, put(dir, MANIFEST, manifest.to_string().as_bytes()))
}

fn named(mut descriptor: Value, tag: &str) -> Value {
    descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": tag});
    descriptor
}

fn write_index(dir: &Path, manifests: &[Value]) {
    std::fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
    std::fs::write(dir.join("index.json"), index.to_string()).unwrap();
}

pub(crate) fn an_image_of_a_layout_is_loaded() {
    let scene = Scene::new();
    let dir = scene.env.path().join("layout");
    let (one, first) = image(&dir, "one", "amd64");
    let (two, second) = image(&dir, "two", "amd64");
    let (arm, third) = image(&dir, "three", "arm64");
    let platform = |mut of: Value, architecture: &str| {
        of["platform"] = json!({"os": "linux", "architecture": architecture});
        of
    };
    let both = [platform(second.clone(), "amd64"), platform(third, "arm64")];
    let both = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": both});
    let both = put(&dir, INDEX, both.to_string().as_bytes());
    let config = scene.env.path().join("config");
    let engine = Engine {
        store: &scene.store,
        config: &config,
        docker: None,
        daemon: None,
        network: None,
        accelerate: false,
        choose: None,
    };
    let load = |tag: Option<&str>, digest: Option<&Value>, platform: &str| -> Result<Image, Error> {
        let wanted = Wanted {
            tag: tag.map(str::to_owned),
            digest: digest.map(|of| of["digest"].as_str().unwrap().parse().unwrap()),
            platform: platform.parse::<Platform>().unwrap(),
        };
        layout::image(&engine, &dir, &wanted, &mut |_| {})
    };
    let id = |tag, digest, platform| {
        let image = load(tag, digest, platform).unwrap_or_else(|e| panic!("{}", e.in_one_line()));
        image.id.to_string()
    };
    write_index(&dir, &[named(first.clone(), "latest"), named(both.clone(), "multi")]);
    assert_eq!(id(None, None, "linux/amd64"), one);
    assert_eq!(id(Some("multi"), None, "linux/amd64"), two);
    assert_eq!(id(Some("multi"), None, "linux/arm64"), arm);
    assert_eq!(id(None, Some(&both), "linux/amd64"), two);
    // A digest decides alone, also where no index names it.
    assert_eq!(id(Some("latest"), Some(&second), "linux/amd64"), two);
    assert_eq!(load(Some("none"), None, "linux/amd64").unwrap_err().kind(), Kind::NotFound);
    assert_eq!(load(Some("multi"), None, "linux/s390x").unwrap_err().kind(), Kind::Image);
    let other = json!({"digest": format!("sha256:{}", "0".repeat(64))});
    assert_eq!(load(None, Some(&other), "linux/amd64").unwrap_err().kind(), Kind::NotFound);
    // The only one is meant by any tag.
    write_index(&dir, &[named(first, "v1")]);
    assert_eq!(id(Some("x"), None, "linux/amd64"), one);
    // No image has got a name by all this.
    let refs = std::fs::read_dir(scene.env.root().join("refs")).unwrap().count();
    assert_eq!(refs, 0);
    let missing = layout::image(
        &engine,
        &scene.env.path().join("nowhere"),
        &Wanted { tag: None, digest: None, platform: Platform::host() },
        &mut |_| {},
    );
    assert_eq!(missing.unwrap_err().kind(), Kind::NotFound);
    std::fs::remove_file(dir.join("oci-layout")).unwrap();
    assert_eq!(load(None, None, "linux/amd64").unwrap_err().kind(), Kind::Image);
}
