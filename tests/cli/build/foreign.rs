//! Caches that say more, or something else, than this tool would write.

use super::cache::worked;
use super::{context, run};
use crate::common::{Layer, TestEnv, Zip, sha256_hex};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// A cache in a directory, to be changed.
struct Cache {
    /// The context that it was written for.
    context: PathBuf,
    dir: PathBuf,
    /// The steps, and their layers.
    list: Value,
}

impl Cache {
    /// That of a build, in a store of its own.
    fn of(env: &TestEnv, name: &str, containerfile: &str) -> Cache {
        let maker = TestEnv::with_images();
        let context = context(env, name, &[("Containerfile", containerfile)]);
        let dir = env.path().join(format!("{name}.cache"));
        worked(&maker, &context, &[&format!("--cache-to=type=local,dest={},mode=max", dir.display())]);
        let mut cache = Cache { context, dir, list: Value::Null };
        let manifest = cache.read(cache.read("index.json")["manifests"][0].clone());
        cache.list = cache.read(manifest["config"].clone());
        cache
    }

    fn read(&self, what: impl Into<Value>) -> Value {
        let what = what.into();
        let path = match what["digest"].as_str() {
            Some(digest) => format!("blobs/{}", digest.replace(':', "/")),
            None => what.as_str().unwrap().to_owned(),
        };
        serde_json::from_slice(&fs::read(self.dir.join(path)).unwrap()).unwrap()
    }

    fn put(&self, bytes: &[u8]) -> (String, usize) {
        let hex = sha256_hex(bytes);
        fs::write(self.dir.join("blobs/sha256").join(&hex), bytes).unwrap();
        (format!("sha256:{hex}"), bytes.len())
    }

    /// A layer of this archive on top of those of the first step, as the list says it.
    fn layer(&self, archive: &[u8]) -> Value {
        let parent = self.list["steps"][0]["parent"].clone();
        let (diff_id, size) = self.put(archive);
        let chain = sha256_hex(format!("{} {diff_id}", parent.as_str().unwrap()).as_bytes());
        json!({"chain": format!("sha256:{chain}"), "parent": parent, "diff_id": diff_id, "size": size})
    }

    /// Writes what has become of the list; gives the option that names it.
    fn write(&self) -> String {
        let mut index = self.read("index.json");
        let mut manifest = self.read(index["manifests"][0].clone());
        let blob = |layer: &Value| {
            let media_type = "application/vnd.oci.image.layer.v1.tar";
            json!({"mediaType": media_type, "digest": layer["diff_id"], "size": layer["size"]})
        };
        manifest["layers"] = self.list["layers"].as_array().unwrap().iter().map(blob).collect();
        let name = |at: &mut Value, document: &Value| {
            let (digest, size) = self.put(document.to_string().as_bytes());
            at["digest"] = digest.into();
            at["size"] = size.into();
        };
        name(&mut manifest["config"], &self.list);
        name(&mut index["manifests"][0], &manifest);
        fs::write(self.dir.join("index.json"), index.to_string()).unwrap();
        format!("--cache-from=type=local,src={}", self.dir.display())
    }
}

/// A layer that was packed by another tool is not taken for one that can be packed again: an image that has it, too,
/// would be called damaged, and be deleted.
#[test]
fn a_layer_of_another_tool_makes_nothing_damaged() {
    let env = TestEnv::with_images();
    let mut cache = Cache::of(&env, "one", "FROM busybox\nRUN echo x >/x\n");
    let (archive, _) = Layer::new().zip(Zip::Plain).file("x", 0o644, "of another tool").finish();
    let layer = cache.layer(&archive);
    cache.list["steps"][0]["chain"] = layer["chain"].clone();
    cache.list["steps"][0]["archive"] = layer["size"].clone();
    cache.list["layers"][0] = layer;
    let from = cache.write();
    assert_eq!(worked(&env, &cache.context, &[&from]), ["2/2"]);
    assert_eq!(run(&env, "made", "cat /x"), "x");
    assert_eq!(env.coracle(["system", "check"]).ok().stdout, "");
}
