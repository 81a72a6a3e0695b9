//! `buildx imagetools` at the real registry.

use super::{INDEX, entries};
use crate::common::{Format, Registry, TestEnv, one_file, sha256_hex};
use serde_json::{Value, json};

const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// What the registry has under a tag.
fn at(registry: &Registry, repository: &str, tag: &str) -> (Value, String) {
    let accept = format!("{INDEX}, {DOCKER_LIST}");
    let path = format!("/v2/{repository}/manifests/{tag}");
    let answer = registry.request("GET", &path, &[("Accept", &accept)], b"");
    (serde_json::from_slice(&answer.body).unwrap(), format!("sha256:{}", sha256_hex(&answer.body)))
}

fn architectures(list: &Value) -> Vec<String> {
    entries(list).into_iter().map(|(_, of)| of).collect()
}

#[test]
fn lists_are_made_of_what_a_registry_has() {
    let (env, registry) = (TestEnv::new(), Registry::start());
    for (tag, arch) in [("a", "amd64"), ("s", "s390x"), ("p", "ppc64le")] {
        one_file(tag).platform(arch, None).push(&registry, "app", tag);
    }
    let name = |tag: &str| registry.reference("app", tag);
    let tools = |args: &[&str]| env.called("docker", [&["buildx", "imagetools"], args].concat());
    let both = ["create", "-t", &name("1"), &name("a"), &name("s")];
    let dry = tools(&[&both[..], &["--dry-run"]].concat()).ok().json();
    assert_eq!(architectures(&dry), ["amd64", "s390x"]);
    assert!(!registry.tags("app").contains(&"1".to_owned()));
    tools(&both).ok().says("pushed sha256:");
    let (list, digest) = at(&registry, "app", "1");
    assert_eq!((&list, &list["mediaType"]), (&dry, &json!(INDEX)));
    // What it says of it.
    let said = tools(&["inspect", &name("1")]).ok();
    let lines = said.lines();
    assert_eq!(lines[0], format!("Name:      {}", name("1")));
    assert_eq!(lines[2], format!("Digest:    {digest}"));
    assert_eq!(lines.iter().filter(|line| line.trim() == "Platform:  linux/s390x").count(), 1, "{said}");
    let format = |format: &str| tools(&["inspect", "--format", format, &name("1")]).ok().text().to_owned();
    assert_eq!(format("{{.Manifest.Digest}}"), digest);
    assert_eq!(format("{{(index .Image \"linux/s390x\").Architecture}}"), "s390x");
    assert_eq!(tools(&["inspect", "--raw", &name("1")]).ok().json(), list);
    assert_eq!(tools(&["inspect", &name("a")]).ok().lines().len(), 3);
    // One more, by digest; annotations; fewer.
    let third = entries(&tools(&["create", "--dry-run", &name("p")]).ok().json())[0].0.clone();
    tools(&["create", "--append", "-t", &name("1"), &third]).ok();
    assert_eq!(architectures(&at(&registry, "app", "1").0), ["amd64", "s390x", "ppc64le"]);
    let annotations = ["--annotation=index:a=b", "--annotation=manifest-descriptor[linux/s390x]:c=d"];
    tools(&[&["create"][..], &annotations, &["-t", &name("2"), &name("1")]].concat()).ok();
    let (list, _) = at(&registry, "app", "2");
    assert_eq!(
        (&list["annotations"]["a"], &list["manifests"][1]["annotations"]["c"]),
        (&json!("b"), &json!("d"))
    );
    assert!(list["manifests"][0]["annotations"].is_null());
    tools(&["create", "--platform=linux/s390x", "-t", &name("3"), &name("1")]).ok();
    assert_eq!(architectures(&at(&registry, "app", "3").0), ["s390x"]);
    // A copy has the bytes, also in another repository, to which the images go; nothing stays here.
    let copy = registry.reference("copy", "1");
    tools(&["create", "-t", &copy, &name("2")]).ok();
    assert_eq!(at(&registry, "copy", "1").1, at(&registry, "app", "2").1);
    let other = TestEnv::new();
    other.coracle(["pull", "-q", "--platform=linux/s390x", &copy]).ok();
    assert_eq!(env.coracle(["images", "-aq"]).ok().text(), "");
    // Docker's images make docker's list.
    one_file("d").format(Format::Docker).push(&registry, "app", "d");
    tools(&["create", "-t", &name("4"), &name("d")]).ok();
    assert_eq!(at(&registry, "app", "4").0["mediaType"], DOCKER_LIST);
}

#[test]
fn what_cannot_be_made_changes_nothing() {
    let (env, registry) = (TestEnv::new(), Registry::start());
    one_file("a").push(&registry, "app", "a");
    let name = |tag: &str| registry.reference("app", tag);
    let create = |args: &[&str]| env.coracle([&["buildx", "imagetools", "create"], args].concat());
    create(&["-t", &name("1"), &name("a"), &name("none")]).fails(125).says("manifest unknown");
    create(&["-t", &name("1"), "--platform=linux/arm64", &name("a")]).fails(125).says("no image is left");
    create(&["-t", &name("1"), "--annotation=a=b", &name("a")])
        .fails(125)
        .says("annotations are not supported");
    create(&[&name("a")]).fails(125).says("no name was given");
    create(&["-t", &name("1")]).fails(125).says("no sources were given");
    assert_eq!(registry.tags("app"), ["a"]);
}
