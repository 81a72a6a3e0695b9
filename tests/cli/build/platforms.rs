//! `--platform`: foreign ones, and several.

use super::context;
use crate::common::TestEnv;
use serde_json::Value;
use std::fs;
use std::path::Path;

const BOTH: &str = "--platform=linux/arm64,linux/amd64";

/// A stage of this machine makes something for each platform.
const CROSS: &str = "\
FROM --platform=$BUILDPLATFORM busybox AS made
ARG TARGETARCH
RUN echo $TARGETARCH >/t
FROM scratch
COPY --from=made /t /t
";

/// Whether the kernel has no emulator for this architecture.
fn lacks_emulator() -> bool {
    let handlers = fs::read_dir("/proc/sys/fs/binfmt_misc").map_or(0, |found| found.count());
    if handlers > 2 {
        crate::common::skip("emulators are registered here");
    }
    handlers <= 2
}

fn inspect(env: &TestEnv, image: &str, field: &str) -> String {
    env.coracle(["image", "inspect", "-f", &format!("{{{{.{field}}}}}"), image]).ok().text().to_owned()
}

#[test]
fn foreign_images_are_built_and_run_nothing_without_an_emulator() {
    let env = TestEnv::with_images();
    let dir = context(&env, "context", &[("Containerfile", "FROM scratch\nCOPY a /a\n"), ("a", "1")]);
    env.coracle(["build", "--platform=linux/s390x", "-t", "base"]).arg(&dir).ok();
    assert_eq!(inspect(&env, "base", "Architecture"), "s390x");
    fs::write(dir.join("Containerfile"), "FROM base\nCOPY a /b\n").unwrap();
    env.coracle(["build", "--platform=linux/s390x", "--pull=never", "-t", "above"]).arg(&dir).ok();
    assert_eq!(inspect(&env, "above", "Architecture"), "s390x");
    if lacks_emulator() {
        let text = "FROM busybox AS first\nRUN touch /a\nFROM base\nCOPY --from=first /a /x\nRUN true\n";
        fs::write(dir.join("Containerfile"), text).unwrap();
        let failed = env.coracle(["build", "--network=none"]).arg(&dir).fails(125);
        failed
            .clone()
            .says("linux/s390x cannot be executed here")
            .says(">>> RUN true")
            .says("qemu-user-static");
        assert!(!failed.stderr.contains("RUN touch /a\n#"), "{}", failed.stderr);
    }
}

#[test]
fn several_platforms_have_a_directory_each() {
    let env = TestEnv::with_images();
    let dir = context(&env, "context", &[("Containerfile", CROSS)]);
    let out = env.path().join("out");
    let local = format!("type=local,dest={}", out.display());
    let built =
        env.coracle(["build", "--network=none", "--progress=plain", BOTH, "-o", &local]).arg(&dir).ok();
    for arch in ["arm64", "amd64"] {
        assert_eq!(fs::read_to_string(out.join(format!("linux_{arch}/t"))).unwrap(), format!("{arch}\n"));
        assert!(built.stderr.contains(&format!("[linux/{arch} made 2/2] RUN")), "{}", built.stderr);
    }
    let tar = env.coracle(["build", "--network=none", "-q", BOTH, "-o", "-"]).arg(&dir).ok();
    let mut archive = tar::Archive::new(tar.bytes.as_slice());
    let names = archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string());
    let names: Vec<String> = names.collect();
    for name in ["linux_arm64/t", "linux_amd64/t"] {
        assert!(names.iter().any(|found| found.trim_start_matches("./") == name), "{names:?}");
    }
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// An index of both, which is loaded as the one for this machine, and of which nothing stays in the store.
#[test]
fn an_oci_layout_has_an_index() {
    let env = TestEnv::with_images();
    let dir = context(&env, "context", &[("Containerfile", CROSS)]);
    let before = env.coracle(["images", "-aq"]).ok().stdout;
    let out = env.path().join("out");
    let to = format!("type=oci,tar=false,dest={}", out.display());
    let options = ["--annotation=index:a=b", "-t", "app", "-o", &to];
    env.coracle(["build", "--network=none", BOTH]).args(options).arg(&dir).ok();
    let entry = json(&out.join("index.json"))["manifests"][0].clone();
    assert_eq!(entry["annotations"]["org.opencontainers.image.ref.name"], "localhost/app:latest");
    let blob = |digest: &Value| json(&out.join("blobs").join(digest.as_str().unwrap().replace(':', "/")));
    let index = blob(&entry["digest"]);
    assert_eq!(index["annotations"]["a"], "b");
    let platforms: Vec<&Value> =
        index["manifests"].as_array().unwrap().iter().map(|one| &one["platform"]["architecture"]).collect();
    assert_eq!(platforms, ["arm64", "amd64"]);
    for one in index["manifests"].as_array().unwrap() {
        let config = blob(&blob(&one["digest"])["config"]["digest"]);
        assert_eq!(config["architecture"], one["platform"]["architecture"]);
    }
    assert_eq!(env.coracle(["images", "-aq"]).ok().stdout, before);
    let archive = env.path().join("app.tar");
    let to = format!("type=oci,dest={}", archive.display());
    env.coracle(["build", "--network=none", BOTH, "-t", "app", "-o", &to]).arg(&dir).ok();
    let other = TestEnv::new();
    other.coracle(["load", "-i"]).arg(&archive).ok();
    assert_eq!(inspect(&other, "app", "Architecture"), "amd64");
}

/// In the store a list has the names; for this machine it means this machine's image.
#[test]
fn in_the_store_they_are_a_list() {
    let env = TestEnv::with_images();
    let dir = context(&env, "context", &[("Containerfile", CROSS)]);
    let count = || env.coracle(["images", "-aq", "--no-trunc"]).ok().lines().len();
    let before = count();
    let built = env.coracle(["build", "--network=none", BOTH, "-t", "app"]).arg(&dir).ok();
    assert_eq!((inspect(&env, "app", "Architecture").as_str(), count()), ("amd64", before + 3));
    let lists = env.coracle(["images", "-q", "--no-trunc", "-f", "manifest=true"]).ok();
    assert_eq!(lists.text(), format!("sha256:{}", built.lines().last().unwrap()));
    assert_eq!(inspect(&env, "busybox", "Architecture"), "amd64");
    let call = env.coracle(["build", BOTH, "-o", "type=docker,dest=x"]).arg(&dir);
    call.fails(125).says("no index of several platforms");
}
