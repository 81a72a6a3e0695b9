//! Lists that leave for registries, and how docker speaks of lists.

use super::{INDEX, OCI, entries, foreign, remote_index, shown, with_two};
use crate::common::{Registry, TestEnv, busybox, sha256_hex, shared_registry, skip, which};
use serde_json::{Value, json};
use std::fs;

#[test]
fn a_pushed_list_is_one_to_others() {
    let env = TestEnv::new();
    let registry = Registry::start();
    fs::create_dir(env.path().join("context")).unwrap();
    env.file("context/Containerfile", "FROM scratch\nARG TARGETARCH\nLABEL arch=$TARGETARCH\nCOPY f /f\n");
    env.file("context/f", "1");
    let name = registry.reference("team/app", "1");
    let both = "--platform=linux/s390x,linux/amd64";
    env.coracle(["build", "-q", both, "-t", &name, "context"]).ok();
    env.coracle(["manifest", "push", "-q", "--digestfile=digest", &name]).ok();
    let digest = fs::read_to_string(env.path().join("digest")).unwrap();
    let seen = |accept: &str, what: &str| {
        registry.request("GET", &format!("/v2/team/app/manifests/{what}"), &[("Accept", accept)], b"")
    };
    let answer = seen(INDEX, "1");
    assert_eq!(answer.header("docker-content-digest"), Some(digest.as_str()));
    let index: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(entries(&index).iter().map(|(_, of)| of.as_str()).collect::<Vec<_>>(), ["s390x", "amd64"]);
    let digests = env.coracle(["images", "--format={{.RepoDigests}}", "-f", "manifest=true"]).ok();
    assert!(digests.stdout.contains(&digest), "{digests}");
    // Each machine gets its own from there.
    let other = TestEnv::new();
    let label = |image: &str| {
        other.coracle(["image", "inspect", "-f", "{{.Config.Labels.arch}}", image]).ok().text().to_owned()
    };
    other.coracle(["pull", "-q", &name]).ok();
    assert_eq!(label(&name), "amd64");
    other.coracle(["pull", "-q", "--platform=linux/s390x", &name]).ok();
    assert_eq!(label(&name), "s390x");
    if which("skopeo").is_none() {
        skip("skopeo is not installed");
        return;
    }
    let skopeo = |words: &[&str]| env.program("skopeo").args(words).arg(format!("docker://{name}")).ok();
    assert_eq!(skopeo(&["inspect", "--raw", "--tls-verify=false"]).json(), index);
    let chosen = skopeo(&["--override-arch=s390x", "inspect", "--tls-verify=false"]).json();
    assert_eq!((&chosen["Architecture"], &chosen["Labels"]["arch"]), (&json!("s390x"), &json!("s390x")));
    // As docker's list, under another name, and it is gone here.
    let v2 = registry.reference("team/app", "v2");
    env.coracle(["manifest", "push", "--format=v2s2", "--rm", &name, &format!("docker://{v2}")]).ok();
    let list = "application/vnd.docker.distribution.manifest.list.v2+json";
    let index: Value = serde_json::from_slice(&seen(list, "v2").body).unwrap();
    assert_eq!(index["mediaType"], list);
    assert_eq!(index["manifests"][0]["mediaType"], "application/vnd.docker.distribution.manifest.v2+json");
    env.coracle(["manifest", "exists", &name]).fails(1);
}

/// What a list has in other repositories goes along, and does not stay here.
#[test]
fn a_list_of_references_is_pushed_with_what_it_refers_to() {
    let env = TestEnv::new();
    let registry = Registry::start();
    let digest = busybox().push(&registry, "from/one", "1");
    let far = foreign("pushed").push(&registry, "to/list", "far");
    let images = [registry.reference("from/one", "1"), registry.reference("to/list", "far")];
    let name = registry.reference("to/list", "1");
    env.coracle(["manifest", "create", &name]).args(&images).ok();
    env.coracle(["manifest", "push", "-q", &name]).ok();
    let answer = registry.request("GET", "/v2/to/list/manifests/1", &[("Accept", INDEX)], b"");
    let index: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(entries(&index), [(digest.clone(), "amd64".into()), (far, "s390x".into())]);
    let there = registry.request("HEAD", &format!("/v2/to/list/manifests/{digest}"), &[("Accept", OCI)], b"");
    assert_eq!(there.status, 200);
    assert!(env.coracle(["images", "-q", "-f", "manifest=false"]).ok().stdout.is_empty());
    // Without its images only the list goes.
    let alone = registry.reference("to/list", "alone");
    env.coracle(["manifest", "push", "-q", "--all=false", &name, &alone]).ok();
    let refused =
        env.coracle(["manifest", "push", "-q", "--all=false", &name, &registry.reference("no/where", "1")]);
    refused.fails(125);
}

/// A list in a list is not taken for one of its images.
#[test]
fn a_list_in_a_list_is_not_pushed_elsewhere() {
    let env = TestEnv::new();
    let registry = shared_registry();
    let inner = remote_index(registry, "manifest/nested");
    let digest = format!("sha256:{}", sha256_hex(&inner));
    let entry = json!({"mediaType": INDEX, "digest": digest, "size": inner.len()});
    let outer = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}).to_string();
    registry.put_manifest("manifest/nested", "outer", INDEX, outer.as_bytes());
    let outer = format!("docker://{}", registry.reference("manifest/nested", "outer"));
    env.coracle(["manifest", "create", "--all", "list:1", &outer]).ok();
    let elsewhere = registry.reference("manifest/nested-elsewhere", "1");
    env.coracle(["manifest", "push", "--all", "list:1", &elsewhere]).fails(125).says("which is not copied");
    let beside = registry.reference("manifest/nested", "beside");
    env.coracle(["manifest", "push", "--all", "list:1", &beside]).ok();
    assert_eq!(shown(&env, &format!("docker://{beside}"))["manifests"][0]["digest"], digest);
}

/// A list in a registry is not replaced by one of its images without a word.
#[test]
fn push_says_what_it_pushes_of_a_list() {
    let env = TestEnv::new();
    with_two(&env, "manifest/push");
    let registry = Registry::start();
    let name = registry.reference("team/app", "1");
    env.coracle(["manifest", "create", &name, "own:1", "far:1"]).ok();
    let kind = |tag: &str| {
        let accept = format!("{INDEX}, {OCI}");
        let path = format!("/v2/team/app/manifests/{tag}");
        let answer = registry.request("GET", &path, &[("Accept", &accept)], b"");
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.header("content-type").unwrap().to_owned()
    };
    env.coracle(["push", "--all", &name]).ok();
    assert_eq!(kind("1"), INDEX);
    let one = registry.reference("team/app", "one");
    env.coracle(["push", &name, &one]).ok().says("is a manifest list").says("push --all");
    assert_eq!(kind("one"), OCI);
    let far = registry.reference("team/app", "far");
    env.coracle(["push", "-q", "--platform=linux/s390x", &name, &far]).ok();
    assert_eq!(kind("far"), OCI);
    let two = registry.reference("team/app", "2");
    env.coracle(["tag", &name, &two]).ok();
    let pushed = env.called("docker", ["push", &two]).ok();
    assert_eq!(kind("2"), INDEX);
    let head = registry.request("HEAD", "/v2/team/app/manifests/2", &[("Accept", INDEX)], b"");
    let digest = head.header("docker-content-digest").unwrap();
    assert!(pushed.stdout.contains(&format!("\n2: digest: {digest} size: ")), "{pushed}");
    // All tags, lists too.
    let repository = format!("{}/team/app", registry.address());
    env.called("docker", ["push", "-q", "-a", &repository]).ok();
    assert_eq!((kind("1"), kind("2")), (INDEX.to_owned(), INDEX.to_owned()));
    // What this machine has nothing of goes whole.
    env.coracle(["manifest", "create", "far", "far:1"]).ok();
    env.coracle(["push", "-q", "far", &registry.reference("team/app", "whole")]).ok();
    assert_eq!(kind("whole"), INDEX);
    // Built here, its digests are others there.
    let text = "FROM scratch\nCOPY Containerfile /\n";
    env.file("context/Containerfile", text);
    let made = registry.reference("team/made", "1");
    let platforms = "--platform=linux/amd64,linux/s390x";
    env.coracle(["build", "-q", platforms, "-t", &made, "context"]).cwd(env.path()).ok();
    let before = env.called("docker", ["manifest", "inspect", &made]).ok().json();
    env.called("docker", ["push", "-q", &made]).ok();
    let after = env.called("docker", ["manifest", "inspect", &made]).ok().json();
    assert_ne!(before, after);
    for (digest, _) in entries(&after) {
        let path = format!("/v2/team/made/manifests/{digest}");
        assert_eq!(registry.request("HEAD", &path, &[("Accept", OCI)], b"").status, 200);
    }
}

#[test]
fn docker_takes_images_for_lists_from_their_registry() {
    let env = TestEnv::with_images();
    let registry = Registry::start();
    let (name, made) = (registry.reference("d/list", "1"), registry.reference("d/made", "1"));
    env.coracle(["build", "-q", "--network=none", "-t", &made, "-"])
        .stdin("FROM busybox\nRUN echo >/x\n")
        .ok();
    env.coracle(["push", "-q", &made]).ok();
    let docker = |words: &[&str]| env.called("docker", ["manifest"]).args(words);
    docker(&["create", &name, &made]).ok();
    let head = registry.request("HEAD", "/v2/d/made/manifests/1", &[("Accept", OCI)], b"");
    let digest = head.header("docker-content-digest").unwrap().to_owned();
    assert_eq!(entries(&docker(&["inspect", &name]).ok().json())[0].0, digest);
    docker(&["push", &name]).ok();
    docker(&["rm", &name]).ok();
    let other = registry.reference("d/list", "2");
    docker(&["create", &other, &name]).fails(1).says(&format!("{name} is a manifest list"));
    let missing = registry.reference("d/made", "none");
    for words in [&["create", &other, &missing][..], &["inspect", &missing]] {
        docker(words).fails(1).says(&format!("no such manifest: {missing}"));
    }
    docker(&["rm", &other])
        .fails(1)
        .says(&format!("No such manifest: {other}"))
        .says("See which lists there are");
    // What is in no registry yet goes along with the list.
    let unpushed = registry.reference("d/unpushed", "1");
    env.coracle(["tag", "busybox", &unpushed]).ok();
    docker(&["create", &other, &unpushed]).ok();
    docker(&["push", &other]).ok();
}

#[test]
fn docker_has_its_own_words_for_lists() {
    let env = TestEnv::new();
    let registry = Registry::start();
    busybox().push(&registry, "d/app", "amd64");
    foreign("docker").push(&registry, "d/app", "s390x");
    let (name, own, far) = (
        registry.reference("d/app", "1"),
        registry.reference("d/app", "amd64"),
        registry.reference("d/app", "s390x"),
    );
    let docker = |words: &[&str]| env.called("docker", ["manifest"]).args(words);
    docker(&["create", &name]).fails(1).says("requires at least 2 arguments");
    assert_eq!(
        docker(&["create", "--insecure", &name, &own]).ok().text(),
        format!("Created manifest list {name}")
    );
    docker(&["create", &name, &far])
        .fails(1)
        .says("refusing to amend an existing manifest list with no --amend flag");
    docker(&["create", "-a", &name, &far]).ok();
    assert_eq!(
        docker(&["annotate", &name, &far, "--variant", "z15", "--os-features", "a,b"]).ok().stdout,
        ""
    );
    let shown = docker(&["inspect", &name]).ok();
    assert!(shown.stdout.starts_with("{\n   \"schemaVersion\": 2,"), "{shown}");
    assert_eq!(shown.json()["manifests"][1]["platform"]["variant"], "z15");
    let entry = docker(&["inspect", &name, &far]).ok();
    assert!(entry.stdout.starts_with("{\n\t\"schemaVersion\": 2,"), "{entry}");
    let pushed = docker(&["push", "--insecure", "-p", &name]).ok().text().to_owned();
    let there = registry.request("GET", "/v2/d/app/manifests/1", &[("Accept", INDEX)], b"");
    assert_eq!(there.header("docker-content-digest"), Some(pushed.as_str()));
    docker(&["rm", &name]).fails(1).says(&format!("No such manifest: {name}"));
    docker(&["create", &name, &own, &far]).ok();
    assert_eq!(docker(&["rm", &name]).ok().stdout, "");
}

/// A list in a file is the list: with all of its images, for others and back again.
#[test]
fn a_list_is_written_to_files_whole() {
    let env = TestEnv::new();
    with_two(&env, "manifest/files");
    env.coracle(["manifest", "create", "list:1", "own:1", "far:1"]).ok();
    let wanted = entries(&shown(&env, "list:1"));
    let pushes: [&[&str]; 2] = [&["push", "-q", "--all"], &["manifest", "push", "-q"]];
    for (at, push) in pushes.into_iter().enumerate() {
        for (form, place) in [("oci", "dir"), ("oci-archive", "file.tar")] {
            let place = format!("{place}{at}");
            env.coracle(push)
                .args(["--digestfile=digest", "list:1", &format!("{form}:{place}:q.io/a/b:1")])
                .ok();
            let digest = fs::read_to_string(env.path().join("digest")).unwrap();
            if which("skopeo").is_none() {
                skip("skopeo is not installed");
                continue;
            }
            let source = format!("{form}:{place}:q.io/a/b:1");
            let skopeo = |words: &[&str]| env.program("skopeo").args(words).ok();
            let raw = skopeo(&["inspect", "--raw", &source]);
            assert_eq!(format!("sha256:{}", sha256_hex(&raw.bytes)), digest);
            assert_eq!(entries(&raw.json()), wanted, "{source}");
            // All of it, byte for byte, in a registry.
            let name = shared_registry().reference("manifest/files-copied", "1");
            let to = format!("docker://{name}");
            skopeo(&["copy", "-q", "--all", "--dest-tls-verify=false", &source, &to]);
            let copied = skopeo(&["inspect", "--raw", "--tls-verify=false", &to]);
            assert_eq!(format!("sha256:{}", sha256_hex(&copied.bytes)), digest);
            let other = TestEnv::new();
            other.coracle(["pull", "-q", "--platform=linux/s390x", &name]).ok();
        }
    }
    // The name is what was written, as `push` has it.
    for place in ["oci:named", "oci-archive:named.tar"] {
        env.coracle(["manifest", "push", "-q", "list:1", &format!("{place}:x")]).ok();
    }
    let index = std::fs::read_to_string(env.path().join("named/index.json")).unwrap();
    assert!(index.contains(r#""org.opencontainers.image.ref.name":"x""#), "{index}");
    env.coracle(["pull", "-q", "oci-archive:named.tar:x"]).ok();
    for push in pushes {
        env.coracle(push).args(["list:1", "docker-archive:single.tar"]).fails(125).says("single images only");
        assert!(!env.path().join("single.tar").exists());
    }
}

/// A layout keeps what it has; in a `dir:` directory the list takes the place of what was there.
#[test]
fn a_list_is_added_to_a_layout_and_replaces_a_directory() {
    let env = TestEnv::new();
    with_two(&env, "manifest/added");
    env.coracle(["manifest", "create", "list:1", "own:1", "far:1"]).ok();
    let index = |dir: &str| -> Value {
        serde_json::from_slice(&fs::read(env.path().join(dir).join("index.json")).unwrap()).unwrap()
    };
    let names = |dir: &str| -> Vec<String> {
        let name = |entry: &Value| entry["annotations"]["org.opencontainers.image.ref.name"].to_string();
        let mut all: Vec<String> = index(dir)["manifests"].as_array().unwrap().iter().map(name).collect();
        all.sort();
        all
    };
    env.coracle(["push", "-q", "own:1", "oci:there:single"]).ok();
    for _ in 0..2 {
        env.coracle(["push", "-q", "--all", "list:1", "oci:there:whole"]).ok();
        assert_eq!(names("there"), ["\"single\"", "\"whole\""]);
    }
    // The name moves to the list, and the image stays without one.
    env.coracle(["manifest", "push", "-q", "list:1", "oci:there:single"]).ok();
    assert_eq!(names("there"), ["\"single\"", "\"whole\"", "null"]);
    env.coracle(["pull", "-q", "oci:there:whole"]).ok();
    env.file("others/file", "x");
    env.coracle(["push", "-q", "--all", "list:1", "oci:others"]).fails(125).says("is not empty");
    env.coracle(["push", "-q", "far:1", "dir:plain"]).ok();
    let wanted = entries(&shown(&env, "list:1"));
    let call = ["push", "-q", "--all", "--digestfile=digest", "list:1", "dir:plain"];
    env.coracle(call).ok();
    let manifest = fs::read(env.path().join("plain/manifest.json")).unwrap();
    let digest = fs::read_to_string(env.path().join("digest")).unwrap();
    assert_eq!(format!("sha256:{}", sha256_hex(&manifest)), digest);
    assert_eq!(entries(&serde_json::from_slice(&manifest).unwrap()), wanted);
    if which("skopeo").is_none() {
        return skip("skopeo is not installed");
    }
    let skopeo = |words: &[&str]| env.program("skopeo").args(words).ok();
    let to = format!("docker://{}", shared_registry().reference("manifest/added-copied", "1"));
    skopeo(&["copy", "-q", "--all", "--dest-tls-verify=false", "dir:plain", &to]);
    let copied = skopeo(&["inspect", "--raw", "--tls-verify=false", &to]);
    assert_eq!(format!("sha256:{}", sha256_hex(&copied.bytes)), digest);
    skopeo(&["copy", "-q", "--all", "oci:there:whole", "oci-archive:copied.tar:x"]);
}

/// The layers of a list are compressed on their way into files as on that to a registry.
#[test]
fn a_list_is_compressed_on_its_way_into_files() {
    let env = TestEnv::new();
    with_two(&env, "manifest/packed");
    env.coracle(["manifest", "create", "list:1", "own:1", "far:1"]).ok();
    let pushes: [&[&str]; 2] = [&["push", "-q", "--all"], &["manifest", "push", "-q"]];
    for (at, push) in pushes.into_iter().enumerate() {
        for form in ["oci:packed", "oci-archive:packed.tar", "dir:packed-dir"] {
            let place = format!("{form}{at}");
            let zstd = ["--compression-format=zstd", "--force-compression", "list:1", &place];
            env.coracle(push).args(zstd).ok();
            if which("skopeo").is_none() {
                skip("skopeo is not installed");
                continue;
            }
            let name = shared_registry().reference("manifest/packed-copied", &format!("{at}"));
            let (copy, to) = (["copy", "-q", "--all", "--dest-tls-verify=false"], format!("docker://{name}"));
            env.program("skopeo").args(copy).args([&place, &to]).ok();
            for platform in ["linux/amd64", "linux/s390x"] {
                let (os, arch) = platform.split_once('/').unwrap();
                let inspect = ["inspect", "--raw", "--tls-verify=false"];
                let list = env.program("skopeo").args(inspect).arg(&to).ok().json();
                let entries = list["manifests"].as_array().unwrap();
                let of = |entry: &&Value| {
                    entry["platform"]["os"] == os && entry["platform"]["architecture"] == arch
                };
                let digest = entries.iter().find(of).unwrap()["digest"].as_str().unwrap();
                let image = format!("docker://{}@{digest}", name.rsplit_once(':').unwrap().0);
                let manifest = env.program("skopeo").args(inspect).arg(&image).ok().json();
                let layers = manifest["layers"].as_array().unwrap();
                let is_packed = |layer: &Value| layer["mediaType"].as_str().unwrap().ends_with("+zstd");
                assert!(!layers.is_empty() && layers.iter().all(is_packed), "{place}: {manifest}");
            }
            let other = TestEnv::new();
            other.coracle(["pull", "-q", &name]).ok();
        }
    }
}
