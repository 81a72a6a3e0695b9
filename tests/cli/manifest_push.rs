//! What lists become in registries, and what docker takes for them from there.

use crate::common::{Registry, TestEnv};
use crate::manifest::{INDEX, OCI, entries, with_two};

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
