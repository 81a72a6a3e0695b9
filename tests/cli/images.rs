//! `images` and `rmi`.

use crate::common::{ImageBuilder, Layer, TestEnv, busybox, one_file, shared_registry};
use serde_json::json;

/// The entry `./` of the topmost layer that has one is what `/` of a container begins as.
#[test]
fn the_root_directory_is_as_the_image_has_it() {
    let env = TestEnv::new();
    let root = || Layer::new().entry(tar::EntryType::Directory, "./", 0o711, (12, 34), "", b"");
    let more = Layer::new().file("more", 0o644, "x");
    let (name, _) = env.pulled(busybox().layer(root()).layer(more), "images/root");
    let run = |options: &[&str], script: &str| {
        let call = env.coracle(["run", "--network=none"]).args(options).arg(&name);
        call.args(["sh", "-c", script]).ok().text().to_owned()
    };
    let look = "stat -c '%a %u:%g' /";
    assert_eq!(run(&["--rm"], look), "711 12:34");
    if std::path::Path::new("/dev/fuse").exists() {
        assert_eq!(run(&["--rm", "--userns=nomap"], look), "711 12:34");
    }
    // It is the container's then, from run to run and in its image.
    let script = "stat -c '%a %u:%g' /; chmod 755 /; chown 0:0 /";
    assert_eq!(run(&["--name", "c"], script), "711 12:34");
    assert_eq!(env.coracle(["start", "-a", "c"]).ok().text(), "755 0:0");
    env.coracle(["commit", "-q", "c", "changed"]).ok();
    let seen = env.coracle(["run", "--rm", "--network=none", "changed", "sh", "-c", look]).ok();
    assert_eq!(seen.text(), "755 0:0");
    let id = env.coracle(["create", "--name", "idle", &name, "true"]).ok().text().to_owned();
    env.coracle(["cp", "idle:/more", "-"]).ok();
    assert_eq!(env.coracle(["diff", &id]).ok().text(), "");
    env.coracle(["commit", "-q", "idle", "unchanged"]).ok();
    let layers = |image: &str| env.coracle(["image", "inspect", "-f", "{{len .RootFS.Layers}}", image]).ok();
    assert_eq!(layers("unchanged").stdout, layers(&name).stdout);
}

#[test]
fn an_entrypoint_of_one_empty_word_is_none() {
    let env = TestEnv::new();
    let odd = busybox().config("Entrypoint", json!([""])).config("Cmd", json!(["echo", "hi"]));
    let (name, _) = env.pulled(odd, "images/entrypoint");
    let run = |words: &[&str]| env.coracle(["run", "--rm", "--network=none", &name]).args(words).ok();
    assert_eq!(run(&[]).text(), "hi");
    assert_eq!(run(&["echo", "own"]).text(), "own");
}

/// A name with a digest is a row of its own only where nothing else says which repository it is.
#[test]
fn what_is_pulled_by_tag_and_digest_is_listed_once() {
    let env = TestEnv::new();
    let (name, id) = env.pulled(one_file("digest"), "images/digest");
    let digest = env.coracle(["image", "inspect", "-f", "{{.Digest}}", &name]).ok().text().to_owned();
    let by_digest = format!("{}@{digest}", name.rsplit_once(':').unwrap().0);
    assert_eq!(env.coracle(["pull", "-q", &by_digest]).ok().text(), id);
    assert_eq!(env.coracle(["images", "-n"]).ok().lines().len(), 1);
    env.coracle(["untag", &name, &by_digest]).ok();
    assert_eq!(env.coracle(["images", "-n", "--format", "{{.Tag}}"]).ok().lines().len(), 1);
    env.coracle(["pull", "-q", &by_digest]).ok();
    env.coracle(["untag", &by_digest, &name]).ok();
    assert_eq!(env.coracle(["images", "-n", "--format", "{{.Tag}}"]).ok().text(), "<none>");
    // What is not there needs no force to be gone.
    assert_eq!(env.coracle(["rmi", "-f", "nosuch"]).ok().stdout, "");
    env.coracle(["rmi", "nosuch"]).fails(1);
}

#[test]
fn images_are_listed_as_table_ids_template_and_json() {
    let env = TestEnv::new();
    assert_eq!(env.coracle(["images"]).ok().lines().len(), 1);
    let (name, id) = env.pulled(one_file("one"), "images/one:1.0");
    let table = env.coracle(["images"]).ok();
    let header: Vec<&str> = table.stdout.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(header, ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]);
    let row: Vec<&str> = table.stdout.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row[..3], [name.trim_end_matches(":1.0"), "1.0", &id[..12]]);
    assert_eq!(row[row.len() - 2..], ["3", "B"]);
    assert_eq!(env.coracle(["images", "-q"]).ok().text(), &id[..12]);
    assert_eq!(env.coracle(["images", "-q", "--no-trunc"]).ok().text(), format!("sha256:{id}"));
    assert_eq!(env.coracle(["images", "-n"]).ok().lines().len(), 1);
    let digests = env.coracle(["images", "--digests", "-n"]).ok();
    let digest = env.coracle(["images", "--format", "{{.Digest}}"]).ok().text().to_owned();
    assert!(digest.starts_with("sha256:") && digests.stdout.contains(&digest), "{digests}");
    let custom = env.coracle(["images", "--format", "table {{.ID}}\t{{.Repository}}"]).ok();
    assert!(custom.stdout.starts_with("IMAGE ID") && custom.stdout.contains(&id[..12]), "{custom}");
    let seen = env.coracle(["images", "--format", "json"]).ok().json();
    assert_eq!(seen[0]["Id"], id.as_str());
    assert_eq!(seen[0]["Names"], json!([name]));
    assert_eq!(seen[0]["Labels"], json!({"content": "one"}));
    // What two images stand on counts as shared by both.
    let base = || ImageBuilder::new().layer(Layer::new().file("file", 0o644, "one"));
    base().layer(Layer::new().file("more", 0o644, "more")).push(shared_registry(), "images/more", "1");
    let more = shared_registry().reference("images/more", "1");
    env.coracle(["pull", "-q", &more]).ok();
    let sizes = "{{.Repository}} {{.Size}} {{.SharedSize}} {{.UniqueSize}} {{.Containers}}";
    let sizes = env.coracle(["images", "--sort", "size", "--format", sizes]).ok().lines();
    assert!(sizes[0].ends_with("/one 3 B 3 0B 0") && sizes[1].ends_with("/more 7 B 3 4B 0"), "{sizes:?}");
    let docker = super::docker::docker(&env, &["images", "--format", "{{.Size}}"]).ok();
    assert!(docker.stdout.contains("7B\n") && docker.stdout.contains("3B\n"), "{docker}");
    env.coracle(["images", "--format", "{{.Nope"]).fails(125);
    env.coracle(["images", "--filter", "colour=red"]).fails(125).says("colour").says("Write key=value");
}

#[test]
fn a_name_by_digest_is_no_tag() {
    let env = TestEnv::new();
    let (name, id) = env.pulled(one_file("pinned"), "images/pinned");
    let digest = env.coracle(["images", "--format", "{{.Digest}}"]).ok().text().to_owned();
    let pinned = format!("{}@{digest}", name.trim_end_matches(":1"));
    env.coracle(["pull", "-q", &pinned]).ok();
    let shown = &env.coracle(["inspect", &id]).ok().json()[0];
    assert_eq!((&shown["RepoTags"], &shown["RepoDigests"]), (&json!([name]), &json!([pinned])));
    let listed = &env.coracle(["images", "--format", "json"]).ok().json()[0];
    assert_eq!((&listed["RepoTags"], &listed["Names"]), (&json!([name]), &json!([pinned, name])));
    env.coracle(["untag", &id, &name]).ok();
    assert_eq!(env.coracle(["inspect", "-f", "{{.RepoTags}}", &id]).ok().text(), "[]");
    assert_eq!(env.coracle(["images", "--format", "json"]).ok().json()[0]["RepoTags"], json!(null));
}

#[test]
fn filters_choose_and_keys_sort() {
    let env = TestEnv::new();
    let (_, one) = env.pulled(one_file("one"), "filters/one:1.0");
    let (two_name, two) = env.pulled(one_file("two and more"), "filters/two:2.0");
    let ids = |args: &[&str]| {
        let mut lines = env.coracle(["images", "-q", "--no-trunc"]).args(args).ok().lines();
        lines.sort();
        lines.iter().map(|l| l.trim_start_matches("sha256:").to_owned()).collect::<Vec<_>>()
    };
    let only = |id: &String| vec![id.clone()];
    assert_eq!(ids(&["one"]), only(&one));
    assert_eq!(ids(&["t*:2.?"]), only(&two));
    assert_eq!(ids(&["--filter", "reference=*/*/two"]), only(&two));
    assert_eq!(ids(&["--filter", "reference!=two:2.0"]), only(&one));
    assert_eq!(ids(&["--filter", "label=content=one"]), only(&one));
    assert_eq!(ids(&["--filter", "label!=content=one"]), only(&two));
    assert_eq!(ids(&["--filter", &format!("id={}", &two[..8])]), only(&two));
    assert_eq!(ids(&["--filter", "dangling=false"]).len(), 2);
    assert!(ids(&["--filter", "dangling=true"]).is_empty());
    assert!(ids(&["--filter", "containers=true"]).is_empty());
    assert!(ids(&["--filter", "readonly=true"]).is_empty());
    assert!(ids(&["--filter", "until=2020-01-01T00:00:00Z"]).is_empty());
    env.coracle(["images", "--filter", "before=nothing"]).fails(125).says("nothing");
    let sorted = env.coracle(["images", "--sort", "size", "--format", "{{.Repository}}"]).ok().lines();
    assert!(sorted[0].ends_with("/one") && sorted[1].ends_with("/two"), "{sorted:?}");
    // A name that moves leaves the image that had it.
    let image = ImageBuilder::new().layer(Layer::new().file("file", 0o644, "third"));
    image.push(shared_registry(), "filters/two", "2.0");
    env.coracle(["pull", "-q", &two_name]).ok();
    assert_eq!(ids(&["--filter", "dangling=true"]), only(&two));
    let table = env.coracle(["images", "--filter", "dangling=true", "-n"]).ok();
    assert!(table.stdout.starts_with("<none>") && table.stdout.matches("<none>").count() == 2, "{table}");
}

#[test]
fn rmi_takes_names_away_and_then_the_image() {
    let env = TestEnv::new();
    let (first, id) = env.pulled(one_file("same"), "rmi/first");
    let (second, same) = env.pulled(one_file("same"), "rmi/second");
    assert_eq!(id, same);
    env.coracle(["rmi", &id[..12]])
        .fails(125)
        .says("by ID with more than one tag")
        .says("please force removal");
    assert_eq!(env.coracle(["rmi", &first]).ok().text(), format!("Untagged: {first}"));
    assert_eq!(env.coracle(["rmi", "second:1"]).ok().text(), format!("Untagged: {second}\nDeleted: {id}"));
    for dir in ["images", "refs", "layers", "trash", "tmp", "oci/blobs/sha256"] {
        assert_eq!(std::fs::read_dir(env.root().join(dir)).unwrap().count(), 0, "{dir}");
    }
    env.coracle(["rmi", "second:1"]).fails(1).says("second:1: image not known");
    env.coracle(["rmi", "--ignore", "second:1"]).ok();
    let (_, third) = env.pulled(one_file("third"), "rmi/third");
    // One failure does not stop the others.
    let output = env.coracle(["rmi", "nothing", &third[..12]]).fails(1);
    assert!(output.stdout.contains(&format!("Deleted: {third}")), "{output}");
    env.coracle(["rmi"]).fails(125);
    env.pulled(one_file("same"), "rmi/first");
    env.pulled(one_file("same"), "rmi/second");
    let all = env.coracle(["rmi", "--all"]).ok();
    assert_eq!(all.stdout.matches("Untagged: ").count(), 2, "{all}");
    assert_eq!(env.coracle(["images", "-q"]).ok().text(), "");
}

#[test]
fn an_image_with_a_container_is_removed_by_force_only() {
    let env = TestEnv::new();
    busybox().push(shared_registry(), "rmi/used", "1");
    let image = shared_registry().reference("rmi/used", "1");
    let id = env.coracle(["run", "-d", "--network=none", &image, "sleep", "600"]).ok().text().to_owned();
    env.coracle(["rmi", &image]).fails(2).says(&id[..12]).says("--force");
    assert_eq!(env.coracle(["images", "-q"]).ok().lines().len(), 1);
    assert_eq!(env.coracle(["images", "-q", "--filter", "containers=true"]).ok().lines().len(), 1);
    env.coracle(["rmi", "--force", &image]).ok();
    assert_eq!(env.coracle(["images", "-q"]).ok().text(), "");
    assert!(env.containers().is_empty());
    assert_eq!(std::fs::read_dir(env.root().join("layers")).unwrap().count(), 0);
}

/// A digest says which image is meant, and not which of its names.
#[test]
fn an_image_with_several_names_is_not_removed_by_its_digest() {
    let env = TestEnv::new();
    let (name, id) = env.pulled(one_file("digest"), "rmi/digest");
    env.coracle(["tag", &name, "other:1", "localhost/same:1", "localhost/same:2"]).ok();
    let digest = env.coracle(["images", "--format", "{{.Digest}}", &name]).ok().text().to_owned();
    for repository in [name.trim_end_matches(":1"), "localhost/same"] {
        let said = env.coracle(["rmi", &format!("{repository}@{digest}")]).fails(125);
        said.says("with more than one tag").says("localhost/other:1 localhost/same:1");
    }
    assert_eq!(env.coracle(["images", "-n"]).ok().lines().len(), 4);
    assert_eq!(
        env.coracle(["images", "-q", "--filter", &format!("digest={}", &digest[..20])]).ok().text(),
        &id[..12]
    );
    assert_eq!(env.coracle(["images", "-q", "--filter", "digest=sha256:00"]).ok().stdout, "");
    env.coracle(["untag", &id, "other:1", "localhost/same:1", "localhost/same:2"]).ok();
    let removed = env.coracle(["rmi", &format!("{}@{digest}", name.trim_end_matches(":1"))]).ok();
    assert_eq!(removed.text(), format!("Untagged: {name}\nDeleted: {id}"));
}

/// As podman has it, an image that another one was made of is not dangling, and goes with that.
#[test]
fn what_an_image_was_made_of_stays_and_goes_with_it() {
    let env = TestEnv::new();
    let commit = |from: &str, to: &str, file: &str| {
        env.coracle(["create", "--name=c", "--network=none", from, "true"]).ok();
        let host = env.file(file, file);
        env.coracle(["cp", host.to_str().unwrap(), "c:/"]).ok();
        let id = env.coracle(["commit", "-q", "c", to]).ok().text().to_owned();
        env.coracle(["rm", "c"]).ok();
        id
    };
    let (name, base) = env.pulled(busybox(), "rmi/family");
    let make = || {
        let middle = commit(&name, "middle", "m");
        (middle, commit("middle", "child", "c"))
    };
    let (middle, child) = make();
    env.coracle(["untag", "middle"]).ok();
    let dangling =
        || env.coracle(["images", "-q", "--no-trunc", "-f", "dangling=true"]).ok().text().to_owned();
    assert_eq!(dangling(), "");
    assert_eq!(env.coracle(["image", "prune", "-f"]).ok().stdout, "");
    assert_eq!(
        env.coracle(["rmi", "child"]).ok().text(),
        format!("Untagged: localhost/child:latest\nDeleted: {child}\nDeleted: {middle}")
    );
    let (middle, child) = make();
    env.coracle(["untag", "middle"]).ok();
    assert_eq!(env.coracle(["rmi", "--no-prune", "child"]).ok().lines()[1..], [format!("Deleted: {child}")]);
    assert_eq!(dangling(), format!("sha256:{middle}"));
    assert_eq!(env.coracle(["image", "prune", "-f"]).ok().text(), middle);
    let (middle, child) = make();
    env.coracle(["untag", "middle"]).ok();
    env.coracle(["untag", "child"]).ok();
    let mut gone = env.coracle(["image", "prune", "-f"]).ok().lines();
    assert_eq!(gone.remove(0), child);
    assert_eq!(gone, [middle]);
    assert_eq!(env.coracle(["images", "-q", "--no-trunc"]).ok().text(), format!("sha256:{base}"));
}

#[test]
fn wrong_input_is_answered_with_what_helps() {
    let env = TestEnv::new();
    std::fs::create_dir(env.path().join("plain")).unwrap();
    env.coracle(["load", "-i", "plain"])
        .fails(125)
        .says("not a directory of images")
        .says("tar -C DIRECTORY");
    env.coracle(["load"]).stdin("").fails(125).says("the input is empty");
    env.coracle(["load", "-i", "/dev/null"]).fails(125).says("the input is empty");
    let error = env.coracle(["tag", "x", "UPPER"]).fails(125);
    assert!(error.stderr.starts_with("Error: \"UPPER\""), "{error}");
    env.coracle(["image", "inspect"]).fails(125).says("no image was named");
    env.coracle(["image", "search", "--help"]).ok();
    let asked = env.coracle(["image", "prune", "-a"]).stdin("n\n").ok();
    assert!(asked.stdout.contains("at least one container associated to them."), "{asked}");
}
