//! `tag`, `untag`, `history` and the verbs of `image` that look at what is here.

use crate::common::{ImageBuilder, Layer, TestEnv, busybox, one_file, shared_registry};
use serde_json::json;

fn names(env: &TestEnv, image: &str) -> Vec<String> {
    let seen = env.coracle(["image", "inspect", image]).ok().json();
    seen[0]["RepoTags"].as_array().unwrap().iter().map(|n| n.as_str().unwrap().to_owned()).collect()
}

#[test]
fn tag_gives_names_and_untag_takes_them() {
    let env = TestEnv::new();
    let (name, id) = env.pulled(one_file("one"), "names/tag");
    assert_eq!(env.coracle(["tag", &name, "app", "quay.io/team/app:2"]).ok().text(), "");
    assert_eq!(names(&env, &id), [name.as_str(), "localhost/app:latest", "quay.io/team/app:2"]);
    let digests = env.coracle(["image", "inspect", "-f", "{{json .RepoDigests}}", "app"]).ok();
    assert!(digests.stdout.contains("localhost/app@sha256:"), "{digests}");
    // Nothing is named when one of the names cannot be.
    let digest = format!("other@sha256:{}", "a".repeat(64));
    env.coracle(["tag", "app", "third", &digest]).fails(125).says("digest");
    env.coracle(["tag", "nothing", "third"]).fails(125).says("nothing: image not known");
    env.coracle(["tag", "app", "Upper"]).fails(125).says("must be lowercase");
    env.coracle(["tag", "app"]).fails(125);
    env.coracle(["untag", "app", "app", "third"]).fails(125).says("third:latest: tag not known");
    assert_eq!(names(&env, &id).len(), 3);
    env.coracle(["untag", &id[..12], "app"]).ok();
    assert_eq!(names(&env, &id), [name.as_str(), "quay.io/team/app:2"]);
    // A name moves to the image that gets it.
    let (_, two) = env.pulled(one_file("two"), "names/tag2");
    env.coracle(["image", "tag", &two, "quay.io/team/app:2"]).ok();
    assert_eq!(names(&env, &id), [name]);
    env.coracle(["image", "untag", &id]).ok();
    assert!(names(&env, &id).is_empty());
    let history =
        env.coracle(["images", "--history", "--format", "{{.History}}", "-f", &format!("id={id}")]).ok();
    assert!(history.stdout.starts_with("quay.io/team/app:2, localhost/app:latest, "), "{history}");
    // The image layout for other programs keeps up.
    let index = std::fs::read_to_string(env.root().join("oci/index.json")).unwrap();
    assert!(index.contains("quay.io/team/app:2") && !index.contains("localhost/app"), "{index}");
}

#[test]
fn history_shows_every_step_with_its_size() {
    let env = TestEnv::new();
    let (name, id) = env.pulled(one_file("12345"), "names/history");
    let table = env.coracle(["history", &name]).ok();
    let header: Vec<&str> = table.stdout.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(header, ["ID", "CREATED", "CREATED", "BY", "SIZE", "COMMENT"]);
    assert!(table.stdout.lines().nth(1).unwrap().starts_with(&id[..12]), "{table}");
    let seen = env.coracle(["image", "history", "--format", "json", &name]).ok().json();
    let last = &seen[0];
    assert_eq!((last["id"].as_str(), last["size"].as_u64()), (Some(id.as_str()), Some(5)));
    assert_eq!(last["tags"], json!([name]));
    let bytes = env.coracle(["history", "-H=false", "--format", "{{.Size}}", &name]).ok();
    assert_eq!(bytes.lines()[0], "5");
    assert_eq!(env.coracle(["history", "-q", &name]).ok().lines()[0], id[..12]);
    assert_eq!(env.coracle(["history", "-q", "--no-trunc", &name]).ok().lines()[0], id);
    env.coracle(["history", "nothing"]).fails(125).says("nothing: image not known");
    env.coracle(["history", "--format", "{{.Nope}}", &name]).fails(125).says("Nope");
}

#[test]
fn image_exists_answers_by_its_exit_code() {
    let env = TestEnv::new();
    let (name, id) = env.pulled(one_file("one"), "names/exists");
    for text in [&name, &id[..12]] {
        assert_eq!(env.coracle(["image", "exists", text]).ok().text(), "");
    }
    env.coracle(["image", "exists", "nothing"]).fails(1);
    env.coracle(["image", "exists", "Not A Name"]).fails(125);
}

#[test]
fn image_prune_takes_what_nobody_needs() {
    let env = TestEnv::new();
    let (name, id) = env.pulled(one_file("one"), "names/prune");
    let (_, named) = env.pulled(one_file("two"), "names/prune2");
    busybox().push(shared_registry(), "names/used", "1");
    let used = shared_registry().reference("names/used", "1");
    let used_id = env.coracle(["run", "--network=none", &used, "true"]).ok();
    drop(used_id);
    env.coracle(["untag", &name]).ok();
    env.coracle(["untag", &used]).ok();
    // Without an answer nothing goes.
    assert!(env.coracle(["image", "prune"]).fails(125).stdout.contains("Are you sure"));
    env.coracle(["image", "prune"]).stdin("n\n").ok();
    env.coracle(["image", "prune", "-f", "--filter", "label=content=two"]).ok();
    env.coracle(["image", "prune", "-f", "--filter", "label!=content"]).ok();
    env.coracle(["image", "prune", "-f", "--filter", "until=2020-01-01T00:00:00Z"]).ok();
    assert_eq!(env.coracle(["images", "-q"]).ok().lines().len(), 3);
    env.coracle(["image", "prune", "-f", "--filter", "dangling=maybe"])
        .fails(125)
        .says("neither true nor false");
    env.coracle(["image", "prune", "-f", "--filter", "colour=red"])
        .fails(125)
        .says("colour is an invalid filter");
    assert!(env.coracle(["image", "prune"]).stdin("y\n").ok().text().ends_with(&id));
    assert_eq!(
        env.coracle(["image", "prune", "--filter", "dangling=false", "--external", "--force"]).ok().text(),
        named
    );
    // The one with a container stays, and its layers with it.
    assert_eq!(env.coracle(["images", "-q"]).ok().lines().len(), 1);
    assert_eq!(std::fs::read_dir(env.root().join("trash")).unwrap().count(), 0);
}

#[test]
fn image_tree_shows_layers_and_what_stands_on_them() {
    let env = TestEnv::new();
    let base = || ImageBuilder::new().layer(Layer::new().file("base", 0o644, "base"));
    base().push(shared_registry(), "names/base", "1");
    base().layer(Layer::new().file("top", 0o644, "top")).push(shared_registry(), "names/top", "1");
    let [base, top] = ["names/base", "names/top"].map(|r| shared_registry().reference(r, "1"));
    env.coracle(["pull", "-q", &base, &top]).ok();
    let tree = env.coracle(["image", "tree", &top]).ok();
    let lines = tree.lines();
    assert!(lines[1].contains(&top) && lines[3] == "Image Layers", "{tree}");
    assert!(
        lines[4].starts_with("├── ID: ") && lines[4].ends_with(&format!("Top Layer of: [{base}]")),
        "{tree}"
    );
    assert!(lines[5].starts_with("└── ID: ") && lines[5].contains(&format!("[{top}]")), "{tree}");
    let above = env.coracle(["image", "tree", "--whatrequires", &base]).ok();
    assert!(above.lines()[5].starts_with("    └── ID: ") && above.lines()[5].contains(&top), "{above}");
}
