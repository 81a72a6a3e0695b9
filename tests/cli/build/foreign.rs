//! Caches that say more, or something else, than this tool would write.

use super::cache::worked;
use super::{context, run};
use crate::common::{Layer, TestEnv, Zip, sha256_hex};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

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

/// Steps of other builds that a cache has are not taken along: what they come to, nobody has asked for.
#[test]
fn a_cache_says_nothing_about_other_builds() {
    let env = TestEnv::with_images();
    let text = |command: &str| format!("FROM busybox\nRUN {command}\n");
    let mut asked = Cache::of(&env, "asked", &text("echo asked >/a"));
    let other = Cache::of(&env, "other", &text("echo secure >/b"));
    let evil = Cache::of(&env, "evil", &text("echo evil >/b"));
    let mut step = other.list["steps"][0].clone();
    for member in ["chain", "archive"] {
        step[member] = evil.list["steps"][0][member].clone();
    }
    let layer = evil.list["layers"][0].clone();
    let blob = format!("blobs/{}", layer["diff_id"].as_str().unwrap().replace(':', "/"));
    fs::copy(evil.dir.join(&blob), asked.dir.join(&blob)).unwrap();
    asked.list["steps"].as_array_mut().unwrap().insert(0, step);
    asked.list["layers"].as_array_mut().unwrap().insert(0, layer);
    let from = asked.write();
    assert!(worked(&env, &asked.context, &[&from]).is_empty());
    assert_eq!(run(&env, "made", "cat /a"), "asked");
    assert_eq!(worked(&env, &other.context, &[]), ["2/2"]);
    assert_eq!(run(&env, "made", "cat /b"), "secure");
    // It is one of ours from now on, without the other place.
    assert!(worked(&env, &asked.context, &[]).is_empty());
}

/// What a list calls its steps, and when it says that they were made, is a stranger's.
#[test]
fn what_a_list_says_of_a_step_does_no_harm() {
    let env = TestEnv::with_images();
    let mut cache = Cache::of(&env, "one", "FROM busybox\nRUN echo x >/x\n");
    let step = &mut cache.list["steps"][0];
    step["description"] = "RUN \u{1b}[31m red\nsecond\u{9b} line".into();
    step["created"] = "2999-01-01T00:00:00Z".into();
    step["used"] = "2999-01-01T00:00:00Z".into();
    let chain = step["chain"].as_str().unwrap().trim_start_matches("sha256:").to_owned();
    let from = cache.write();
    assert!(worked(&env, &cache.context, &[&from]).is_empty());
    let created = env.coracle(["image", "inspect", "-f", "{{.Created.Year}}", "made"]).ok();
    assert_ne!(created.text(), "2999");
    fs::write(env.root().join("layers").join(chain).join("fs/x"), "changed").unwrap();
    let checked = env.coracle(["system", "check"]).fails(125);
    assert!(checked.stdout.contains("RUN \\x1b[31m red\\nsecond\\x9b line"), "{checked}");
    assert!(!checked.stdout.contains('\u{1b}') && !checked.stderr.contains('\u{1b}'), "{checked}");
}

/// What others have put into the directory of a cache leads nowhere and keeps nobody.
#[test]
fn a_cache_is_written_over_links_and_not_through_them() {
    let env = TestEnv::with_images();
    let cache = Cache::of(&env, "one", "FROM busybox\nRUN echo x >/x\n");
    let precious = env.file("precious", "of the user's");
    let option = |dir: &str| format!("--cache-to=type=local,dest={}", env.path().join(dir).display());
    let layer = cache.list["layers"][0]["diff_id"].as_str().unwrap().replace(':', "/");
    let layer = cache.dir.join("blobs").join(layer);
    fs::remove_file(&layer).unwrap();
    symlink(&precious, &layer).unwrap();
    let to = option("one.cache");
    worked(&env, &cache.context, &[&to]);
    assert_eq!(fs::read_to_string(&precious).unwrap(), "of the user's");
    assert!(fs::symlink_metadata(&layer).unwrap().is_file());
    for name in [layer, cache.dir.join("index.json")] {
        fs::remove_file(&name).unwrap();
        mkfifo(&name, Mode::S_IRWXU).unwrap();
        worked(&env, &cache.context, &[&to]);
        assert!(fs::symlink_metadata(&name).unwrap().is_file());
    }
    for (dir, link) in [("a", "blobs"), ("b", "blobs/sha256")] {
        let (elsewhere, link) =
            (env.path().join(format!("{dir}.elsewhere")), env.path().join(dir).join(link));
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        fs::create_dir(&elsewhere).unwrap();
        symlink(&elsewhere, link).unwrap();
        let build = env.coracle(["build", "-q", "--network=none", &option(dir)]).arg(&cache.context);
        assert_eq!(build.run().code, 125);
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    }
}
