//! Results that leave for a registry: `--push`, and caches in registries.

use super::{context, run};
use crate::common::{Auth, FaultyRegistry, Registry, TestEnv, shared_registry};
use serde_json::Value;

/// A file of two stages; the result needs both.
const TWO: &str = "FROM busybox AS made\nRUN echo made >/made; date +%N >/when\n\
                   FROM busybox\nCOPY --from=made /made /when /copied/\nRUN cat /copied/when >/again\n";

fn manifest(registry: &Registry, repository: &str, tag: &str) -> Value {
    let types = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
                 application/vnd.docker.distribution.manifest.v2+json";
    let path = format!("/v2/{repository}/manifests/{tag}");
    let answer = registry.request("GET", &path, &[("Accept", types)], b"");
    assert_eq!(answer.status, 200, "{answer:?}");
    serde_json::from_slice(&answer.body).unwrap()
}

#[test]
fn what_is_built_is_pushed() {
    let (env, registry) = (TestEnv::with_images(), shared_registry());
    let (one, two) = (registry.reference("build/push", "1"), registry.reference("build/push", "2"));
    let metadata = env.path().join("metadata");
    let built = env
        .coracle(["build", "--network=none", "--push", "-t", &one, "-t", &two, "--metadata-file"])
        .arg(&metadata)
        .arg("-")
        .stdin("FROM busybox\nRUN echo pushed >/pushed\n")
        .ok();
    let digest: Value = serde_json::from_slice(&std::fs::read(metadata).unwrap()).unwrap();
    let digest = digest["containerimage.digest"].as_str().unwrap();
    let built = built.says(&format!("pushing manifest for {one}@{digest}"));
    let id = built.lines().last().unwrap().clone();
    let other = TestEnv::new();
    assert_eq!(other.coracle(["pull", "-q", &two]).ok().text(), id);
    let by_digest = format!("{}@{digest}", one.trim_end_matches(":1"));
    assert_eq!(other.coracle(["pull", "-q", &by_digest]).ok().text(), id);
    assert_eq!(run(&other, &one, "cat /pushed").trim(), "pushed");
}

#[test]
fn outputs_say_how_it_is_pushed() {
    let (env, registry) = (TestEnv::with_images(), shared_registry());
    let name = registry.reference("build/output", "zstd");
    let output = format!("type=image,name={name},push=true,compression=zstd");
    env.coracle(["build", "-q", "--network=none", "-o", &output, "-"])
        .stdin("FROM busybox\nRUN echo >/x\n")
        .ok();
    let found = manifest(registry, "build/output", "zstd");
    assert!(found["layers"][1]["mediaType"].as_str().unwrap().ends_with("+zstd"), "{found}");
    // Refused before anything is built.
    let refused =
        env.coracle(["build", "--push", "-t=nowhere", "-"]).stdin("FROM busybox\nRUN exit 3\n").fails(125);
    refused.says("names no registry to push to");
    let refused = env.coracle(["build", "--push", "-"]).stdin("FROM busybox\n").fails(125);
    refused.says("tag is needed when pushing to registry");
    let docker = registry.reference("build/output", "docker");
    env.called("docker", ["build", "-q", "--network=none", "--push", "-t", &docker, "-"])
        .stdin("FROM busybox\nRUN echo >/x\n")
        .ok();
    let found = manifest(registry, "build/output", "docker");
    assert_eq!(found["mediaType"], "application/vnd.docker.distribution.manifest.v2+json");
}

#[test]
fn several_platforms_are_pushed_as_an_index() {
    let (env, registry) = (TestEnv::with_images(), shared_registry());
    let name = registry.reference("build/platforms", "1");
    let dir = context(&env, "scratch", &[("Containerfile", "FROM scratch\nCOPY a /\n"), ("a", "a")]);
    env.coracle(["build", "-q", "--platform=linux/amd64,linux/arm64", "--push", "-t", &name]).arg(&dir).ok();
    let index = manifest(registry, "build/platforms", "1");
    let platforms: Vec<&str> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["platform"]["architecture"].as_str().unwrap())
        .collect();
    assert_eq!(platforms, ["amd64", "arm64"]);
    for arch in ["amd64", "arm64"] {
        let other = TestEnv::new();
        other.coracle(["pull", "-q", "--arch", arch, &name]).ok();
        let found = other.coracle(["image", "inspect", "-f", "{{.Architecture}}", &name]).ok();
        assert_eq!(found.text(), arch);
    }
}

/// Builds with these options in a store of its own; whether each RUN came from a cache, and what it came to.
fn build_with(options: &[&str]) -> (bool, String) {
    let env = TestEnv::with_images();
    let built = env.coracle(["build", "--network=none", "-t=made"]).args(options).arg("-").stdin(TWO).ok();
    let cached = built.stderr.matches("CACHED").count() + built.stderr.matches("Using cache").count();
    let when = run(&env, "made", "cat /copied/when /again");
    (cached >= 3, when)
}

#[test]
fn a_cache_in_a_registry_is_one_for_others() {
    let registry = shared_registry();
    for (to, from) in [
        ("type=registry,mode=max,ref=REGISTRY/cache/max:c", "type=registry,ref=REGISTRY/cache/max:c"),
        ("REGISTRY/cache/podman", "REGISTRY/cache/podman"),
    ] {
        let place = |text: &str| text.replace("REGISTRY", registry.address());
        let (cached, when) = build_with(&["--cache-to", &place(to)]);
        assert!(!cached);
        // A place that has none is passed over.
        let missing = format!("type=registry,ref={}/cache/none", registry.address());
        let (cached, same) = build_with(&["--cache-from", &missing, "--cache-from", &place(from)]);
        assert!(cached && same == when, "{from}: {same} {when}");
    }
    let found = manifest(registry, "cache/podman", "build-cache");
    assert_eq!(found["config"]["mediaType"], "application/vnd.coracle.build-cache.v1+json");
    // The least of it: the other stage is built again, and so is all that needs it.
    let least = format!("type=registry,ref={}/cache/min:c", registry.address());
    build_with(&["--cache-to", &least]);
    let (all, min) = (manifest(registry, "cache/max", "c"), manifest(registry, "cache/min", "c"));
    assert_eq!([&all, &min].map(|cache| cache["layers"].as_array().unwrap().len()), [3, 2]);
}

#[test]
fn a_cache_in_an_image_is_one_for_others() {
    let registry = shared_registry();
    let name = registry.reference("cache/inline", "1");
    let env = TestEnv::with_images();
    let text = "FROM busybox\nRUN date +%N >/when\nRUN cat /when >/again\n";
    let build = |env: &TestEnv, options: &[&str]| {
        let options = ["--network=none", "-t=made"].iter().chain(options).copied().collect::<Vec<_>>();
        env.coracle(["build"]).args(options).arg("-").stdin(text).ok()
    };
    build(&env, &["--cache-to=type=inline"]);
    let id = |env: &TestEnv, name: &str| {
        env.coracle(["image", "inspect", "-f", "{{.Id}}", name]).ok().text().to_owned()
    };
    let before = id(&env, "made");
    env.coracle(["push", "-q", "made", &name]).ok();
    let when = run(&env, "made", "cat /when /again");
    let other = TestEnv::with_images();
    build(&other, &["--cache-from", &name]);
    assert_eq!(run(&other, "made", "cat /when /again"), when);
    // The same image again, with the same id.
    build(&env, &["--cache-to=type=inline"]);
    assert_eq!(id(&env, "made"), before);
    // What is built on it does not say that these are its steps.
    let on_top = "FROM made\nRUN echo >/more\n";
    env.coracle(["build", "-q", "--network=none", "-t=top", "-"]).stdin(on_top).ok();
    let archive = env.path().join("top");
    env.coracle(["save", "--format=oci-dir", "-o"]).arg(&archive).arg("top").ok();
    let config = std::fs::read_to_string(
        archive.join("blobs/sha256").join(id(&env, "top").trim_start_matches("sha256:")),
    );
    assert!(!config.unwrap().contains("build-cache"));
}

#[test]
fn what_is_no_cache_is_passed_over() {
    let (env, registry) = (TestEnv::with_images(), shared_registry());
    for (name, says) in [
        (registry.reference("cache/nothing", "x"), "manifest unknown"),
        ("127.0.0.1:1/x:y".to_owned(), "connection refused"),
    ] {
        let built = env
            .coracle(["build", "--network=none", "--cache-from", &name, "-"])
            .stdin("FROM busybox\nRUN true\n")
            .ok();
        built.says(&format!("--cache-from {name}: it is not used")).says(says);
    }
    // Of a repository both tags are named.
    let name = format!("{}/cache/bare", registry.address());
    let built = env.coracle(["build", "--cache-from", &name, "-"]).stdin("FROM busybox\nENV a=b\n").ok();
    built.says("manifest build-cache").says("manifest latest");
    let to = format!("type=registry,ref={}/x", "127.0.0.1:1");
    let failed = env
        .coracle(["build", "--network=none", "--cache-to", &to, "-"])
        .stdin("FROM busybox\nRUN true\n")
        .run();
    assert_eq!(failed.code, 125, "{failed}");
}

/// A list of steps may be longer than a manifest.
#[test]
fn a_long_list_of_steps_is_written_and_read() {
    let long = "x".repeat(110_000);
    let runs = |stage: usize| -> String { (0..20).map(|n| format!("RUN : {stage}{n}{long}\n")).collect() };
    let text = format!(
        "FROM busybox AS first\n{}RUN echo >/x\nFROM busybox\n{}COPY --from=first /x /x\n",
        runs(1),
        runs(2)
    );
    let cache = format!("type=registry,ref={}/cache/long:c", shared_registry().address());
    let env = TestEnv::with_images();
    let to = format!("--cache-to={cache},mode=max");
    env.coracle(["build", "-q", "--network=none", &to, "-"]).stdin(&*text).ok();
    let env = TestEnv::with_images();
    let built =
        env.coracle(["build", "--network=none", &format!("--cache-from={cache}"), "-"]).stdin(&*text).ok();
    assert!(!built.stderr.contains("it is not used"), "{built}");
    assert!(built.stderr.matches("CACHED").count() + built.stderr.matches("Using cache").count() >= 40);
}

/// `--creds` are those of the registry that is pushed to.
#[test]
fn credentials_for_a_push_go_nowhere_else() {
    let env = TestEnv::with_images();
    let (to, other) = (FaultyRegistry::start(), FaultyRegistry::start());
    let basic = || Auth::Basic("alice".to_owned(), "secret".to_owned());
    to.require(basic(), None);
    other.require(basic(), None);
    let cache = |registry: &FaultyRegistry| format!("--cache-from={}/x", registry.address());
    let name = format!("{}/x:1", to.address());
    let build = |options: &[&str], text: &str| {
        let build = env.coracle(["build", "-q", "--network=none", "--creds=alice:secret"]);
        build.args(options).arg("-").stdin(text).run()
    };
    let sent =
        |registry: &FaultyRegistry| registry.seen().iter().any(|seen| seen.header("authorization").is_some());
    let built = build(&["--push", "-t", &name, &cache(&other)], "FROM busybox\nRUN echo >/x\n");
    assert!(built.code == 0 && sent(&to) && !other.seen().is_empty() && !sent(&other), "{built}");
    let base = format!("FROM {}/y\n", other.address());
    let built = build(&["--push", "-t", &name], &base);
    assert!(built.code == 125 && !sent(&other), "{built}");
    // Nothing is pushed: they are for the registries that are read.
    let built = build(&[&cache(&other)], "FROM busybox\nRUN echo >/x\n");
    assert!(built.code == 0 && sent(&other), "{built}");
}

#[test]
fn where_something_goes_is_checked_before_the_build() {
    let env = TestEnv::with_images();
    let to = "type=registry,ref=127.0.0.1:1/x";
    for options in [&["--cache-to", to][..], &["--push", "-t=127.0.0.1:1/x:1"]] {
        let refused = env
            .coracle(["build", "--network=none", "--cert-dir=/nonexistent"])
            .args(options)
            .arg("-")
            .stdin("FROM busybox\nRUN echo begun\n")
            .fails(125)
            .says("read certificates in /nonexistent");
        assert!(!refused.stderr.contains("RUN"), "{refused}");
    }
    // What was not sent is not called done.
    let failed = env
        .coracle(["build", "--push", "-t=127.0.0.1:1/x:1", "--progress=plain", "-"])
        .stdin("FROM busybox\nENV a=b\n")
        .fails(125)
        .says("pushing layers for 127.0.0.1:1/x:1");
    assert!(!failed.stderr.contains("1/x:1 done"), "{failed}");
}

#[test]
fn each_platform_takes_the_cache_of_its_own_image() {
    let registry = shared_registry();
    let name = registry.reference("cache/platforms", "1");
    let build = |env: &TestEnv, options: &[&str]| {
        let dir = context(
            env,
            "platforms",
            &[("Containerfile", "FROM scratch\nCOPY a /\nCOPY a /b\n"), ("a", "a")],
        );
        env.coracle(["build", "--progress=plain", "--platform=linux/amd64,linux/arm64"])
            .args(options)
            .arg(&dir)
            .ok()
    };
    build(&TestEnv::new(), &["--cache-to=type=inline", "--push", "-t", &name]);
    let again = build(&TestEnv::new(), &["--cache-from", &name, "-t=made"]);
    assert_eq!(again.stderr.matches("CACHED").count(), 4, "{again}");
}
