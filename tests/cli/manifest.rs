//! `manifest`, and what other verbs do with lists.

mod imagetools;
mod pushes;

use crate::common::{
    Format, ImageBuilder, Registry, TestEnv, busybox, one_file, sha256_hex, shared_registry,
};
use serde_json::{Value, json};
use std::fs;

pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const OCI: &str = "application/vnd.oci.image.manifest.v1+json";

fn foreign(content: &str) -> ImageBuilder {
    one_file(content).platform("s390x", None)
}

/// A store with an image for this machine, `own:1`, and one for another, `far:1`; their ids.
pub(crate) fn with_two(env: &TestEnv, repository: &str) -> (String, String) {
    let pulled = |image: ImageBuilder, name: &str, short: &str, options: &[&str]| {
        image.push(shared_registry(), &format!("{repository}/{name}"), "1");
        let full = shared_registry().reference(&format!("{repository}/{name}"), "1");
        let id = env.coracle(["pull", "-q"]).args(options).arg(&full).ok().text().to_owned();
        env.coracle(["tag", &full, short]).ok();
        env.coracle(["untag", &id, &full]).ok();
        id
    };
    let own = pulled(busybox(), "own", "own:1", &[]);
    (own, pulled(foreign(repository), "far", "far:1", &["--platform=linux/s390x"]))
}

fn shown(env: &TestEnv, list: &str) -> Value {
    env.coracle(["manifest", "inspect", list]).ok().json()
}

pub(crate) fn entries(list: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let entry = |entry: &Value| (text(&entry["digest"]), text(&entry["platform"]["architecture"]));
    list["manifests"].as_array().unwrap().iter().map(entry).collect()
}

fn digest(env: &TestEnv, image: &str) -> String {
    env.coracle(["image", "inspect", "-f", "{{.Digest}}", image]).ok().text().to_owned()
}

#[test]
fn a_list_is_created_changed_shown_and_removed() {
    let env = TestEnv::new();
    with_two(&env, "manifest/changed");
    let (own, far) = (digest(&env, "own:1"), digest(&env, "far:1"));
    env.coracle(["manifest", "exists", "list:1"]).fails(1);
    let id = env.coracle(["manifest", "create", "list:1", "own:1"]).ok().text().to_owned();
    assert_eq!(id.len(), 64);
    env.coracle(["manifest", "exists", "list:1"]).ok();
    let add = ["manifest", "add", "--annotation=a=b", "--variant=v1", "list:1", "containers-storage:far:1"];
    assert_eq!(env.coracle(add).ok().text(), id);
    let list = shown(&env, "list:1");
    assert_eq!(list["mediaType"], INDEX);
    assert_eq!(entries(&list), [(own.clone(), "amd64".into()), (far.clone(), "s390x".into())]);
    assert_eq!(list["manifests"][1]["platform"]["variant"], "v1");
    assert_eq!(list["manifests"][1]["annotations"], json!({"a": "b"}));
    // The same image again takes the place of its entry.
    env.coracle(["manifest", "add", &id, "far:1"]).ok();
    assert_eq!(shown(&env, "list:1")["manifests"][1].get("annotations"), None);
    let annotate = |words: &[&str]| env.coracle(["manifest", "annotate"]).args(words);
    let all = ["--arch=riscv64", "--os=plan9", "--os-version=3", "--features=f,g", "--os-features=h"];
    assert_eq!(annotate(&all).args(["--variant=x", "--annotation=k=v", "list:1", "far:1"]).ok().text(), id);
    let platform = json!({
        "architecture": "riscv64", "os": "plan9", "os.version": "3", "os.features": ["h"], "variant": "x",
        "features": ["f", "g"],
    });
    assert_eq!(shown(&env, "list:1")["manifests"][1]["platform"], platform);
    annotate(&["--arch=s390x", "list:1", &far]).ok();
    assert_eq!(shown(&env, "list:1")["manifests"][1]["platform"]["os"], "plan9", "the rest stays");
    annotate(&["--index", "--annotation=org.example=1", "list:1"]).ok();
    assert_eq!(shown(&env, "list:1")["annotations"], json!({"org.example": "1"}));
    annotate(&["--index", "--arch=arm", "list:1"]).fails(125).says("only --annotation");
    annotate(&["--arch=arm", "list:1", &format!("sha256:{}", "0".repeat(64))]).fails(125).says("no instance");
    assert_eq!(env.coracle(["manifest", "remove", "list:1", &own]).ok().text(), id);
    assert_eq!(entries(&shown(&env, "list:1")).len(), 1);
    env.coracle(["manifest", "remove", "list:1", "own:1"]).fails(125).says("no instance matching");
    // What the list was before is not left.
    let blobs = env.root().join("oci/blobs/sha256");
    let is_index = |name: &fs::DirEntry| {
        fs::read(name.path())
            .unwrap()
            .starts_with(b"{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index")
    };
    assert_eq!(fs::read_dir(&blobs).unwrap().flatten().filter(is_index).count(), 1);
    env.coracle(["tag", "list:1", "list:2"]).ok();
    assert_eq!(env.coracle(["manifest", "rm", "list:1"]).ok().text(), "Untagged: localhost/list:1");
    let gone = env.coracle(["manifest", "rm", "list:2"]).ok();
    assert_eq!(gone.lines(), ["Untagged: localhost/list:2".to_owned(), format!("Deleted: {id}")]);
    env.coracle(["manifest", "rm", "list:2"]).fails(125).says("list:2: image not known");
    env.coracle(["manifest", "rm", "--ignore", "list:2"]).ok();
    env.coracle(["image", "exists", "own:1"]).ok();
}

#[test]
fn names_of_lists_and_images_are_kept_apart() {
    let env = TestEnv::new();
    let (own, _) = with_two(&env, "manifest/names");
    let id = env.coracle(["manifest", "create", "--annotation=a=1", "list:1"]).ok().text().to_owned();
    env.coracle(["manifest", "create", "list:1"]).fails(125).says("that name is already in use");
    env.coracle(["manifest", "create", "own:1"]).fails(125).says("that name is already in use");
    env.coracle(["manifest", "create", "--amend", "own:1"]).fails(125).says("image is not a manifest list");
    assert_eq!(env.coracle(["manifest", "create", "-a", "list:1", "own:1"]).ok().text(), id);
    assert_eq!(shown(&env, "list:1")["annotations"], json!({"a": "1"}));
    for verb in ["exists", "rm"] {
        env.coracle(["manifest", verb, "own:1"])
            .fails(125)
            .says("localhost/own:1: image is not a manifest list");
    }
    env.coracle(["manifest", "add", "own:1", "far:1"]).fails(125).says("image is not a manifest list");
    // One image that is not there, and nothing is made.
    env.coracle(["manifest", "create", "new:1", "own:1", "containers-storage:nosuch"]).fails(125);
    env.coracle(["manifest", "exists", "new:1"]).fails(1);
    env.coracle(["manifest", "add", "list:1", "far:1", "containers-storage:nosuch"]).fails(125);
    assert_eq!(entries(&shown(&env, "list:1")).len(), 1);
    for (words, why) in [
        (&["add", "list:1", "oci:/tmp/x"][..], "images of the store and of registries"),
        (&["add", "--artifact", "list:1", "x"], "no artifacts"),
        (&["add", "--annotation=a", "list:1", "own:1"], "no value given for annotation"),
        (&["annotate", "--subject=x", "list:1"], "nothing but its images"),
        (&["push", "--add-compression=zstd", "list:1"], "each image once"),
        (&["push", "list:1"], "names no registry"),
        (&["push", "list:1", "docker-archive:/tmp/x"], "single images only"),
    ] {
        env.coracle(["manifest"]).args(words).fails(125).says(why);
    }
    // A name moves from one kind to the other and back.
    env.coracle(["tag", "own:1", "list:1"]).ok();
    env.coracle(["manifest", "exists", "list:1"]).fails(125);
    env.coracle(["tag", &id, "own:1"]).ok();
    env.coracle(["manifest", "exists", "own:1"]).ok();
    env.coracle(["untag", "own:1"]).ok();
    env.coracle(["image", "exists", &id]).ok();
    let dangling = env.coracle(["images", "-q", "--no-trunc", "-f", "dangling=true"]).ok();
    assert_eq!(dangling.text(), format!("sha256:{id}"));
    assert_eq!(env.coracle(["image", "prune", "-f"]).ok().lines()[0], id);
    assert_eq!(env.coracle(["image", "inspect", "-f", "{{.Id}}", "list:1"]).ok().text(), own);
}

#[test]
fn listings_tell_lists_from_images() {
    let env = TestEnv::new();
    with_two(&env, "manifest/listed");
    let id = env.coracle(["manifest", "create", "list:1", "own:1", "far:1"]).ok().text().to_owned();
    env.coracle(["untag", "far:1"]).ok();
    let row =
        ["images", "-n", "--format", "{{.Repository}}:{{.Tag}} {{.ID}} {{.IsManifestList}} {{.Dangling}}"];
    let all = env.coracle(row).ok().lines();
    assert!(all.contains(&format!("localhost/list:1 {} true false", &id[..12])), "{all:?}");
    assert!(all.iter().any(|line| line.starts_with("<none>:<none> ") && line.ends_with(" false false")));
    let filtered = |filter: &str| env.coracle(["images", "-q", "--no-trunc", "-f", filter]).ok().lines();
    assert_eq!(filtered("manifest=true"), [format!("sha256:{id}")]);
    assert_eq!(filtered("manifest=false").len(), 2);
    assert!(filtered("dangling=true").is_empty(), "the list has it");
    assert_eq!(filtered("reference=list*"), [format!("sha256:{id}")]);
    let json = env.coracle(["images", "--format=json", "-f", "manifest=true"]).ok().json();
    assert_eq!((&json[0]["Id"], &json[0]["IsManifestList"]), (&json!(id), &json!(true)));
    assert_eq!(json[0]["Names"], json!(["localhost/list:1"]));
    // All sizes together are what du says.
    let raw = env.coracle(["system", "df", "--format", "{{.RawSize}}"]).ok().lines();
    let sum: u64 = raw.iter().map(|size| size.parse::<u64>().unwrap()).sum();
    let du = env.program("du").args(["-s", "-B1"]).arg(env.root()).ok();
    assert_eq!(du.stdout.split_whitespace().next().unwrap(), sum.to_string());
    assert_eq!(env.coracle(["system", "check"]).ok().stdout, "");
}

#[test]
fn a_list_stands_for_the_image_of_each_platform() {
    let env = TestEnv::new();
    let (own, far) = with_two(&env, "manifest/instances");
    env.coracle(["manifest", "create", "list:1", "far:1", "own:1"]).ok();
    let run = ["run", "--rm", "--network=none", "list:1", "echo", "run"];
    assert_eq!(env.coracle(run).ok().text(), "run");
    let inspect = ["image", "inspect", "-f", "{{.Id}}", "list:1"];
    assert_eq!(env.coracle(inspect).ok().text(), own);
    env.coracle(["create", "--name=far", "--platform=linux/s390x", "list:1", "x"]).ok();
    assert_eq!(
        env.coracle(["inspect", "-f", "{{.Image}} {{.ImageName}}", "far"]).ok().text(),
        format!("{far} localhost/list:1")
    );
    let refused = env.coracle(["create", "--platform=linux/riscv64", "list:1", "x"]).fails(125);
    refused
        .says("no image found in image index for architecture \"riscv64\", variant \"\", OS \"linux\"")
        .says("It has images for linux/s390x, linux/amd64");
    for format in ["oci-archive", "docker-archive"] {
        let file = format!("{format}.tar");
        env.coracle(["save", "--format", format, "-o", &file, "list:1"]).ok();
        let other = TestEnv::new();
        other.coracle(["load", "-q", "-i"]).arg(env.path().join(&file)).ok();
        assert_eq!(other.coracle(inspect).ok().text(), own, "{format}");
        other.coracle(["manifest", "exists", "list:1"]).fails(125);
    }
    for words in [&["history", "-q", "list:1"][..], &["image", "tree", "list:1"], &["diff", "list:1"]] {
        env.coracle(words).ok();
    }
    env.coracle(["save", "-m", "-o", "both.tar", "list:1", "far:1"]).ok();
    env.coracle(["manifest", "remove", "list:1", "own:1"]).ok();
    env.coracle(run).fails(125).says("no image found in image index");
}

/// Nothing takes an image while a list has it, but force; with its list it goes if it has no name.
#[test]
fn the_images_of_a_list_are_kept_while_it_has_them() {
    let env = TestEnv::new();
    let (own, far) = with_two(&env, "manifest/kept");
    let create = ["manifest", "create", "list:1", "own:1", "far:1"];
    let id = env.coracle(create).ok().text().to_owned();
    assert_eq!(env.coracle(["rmi", "far:1"]).ok().text(), "Untagged: localhost/far:1");
    env.coracle(["image", "prune", "-f"]).ok();
    env.coracle(["image", "exists", &far]).ok();
    let refused = env.coracle(["rmi", &far]).fails(2);
    refused.says(&format!("image {} is in manifest list {}", &far[..12], &id[..12]));
    // Together with the list goes what has no name.
    let gone = env.coracle(["rmi", "list:1"]).ok().lines();
    assert_eq!(
        gone,
        ["Untagged: localhost/list:1".to_owned(), format!("Deleted: {id}"), format!("Deleted: {far}")]
    );
    env.coracle(["image", "exists", &own]).ok();
    with_two(&env, "manifest/kept");
    env.coracle(create).ok();
    env.coracle(["untag", "far:1"]).ok();
    env.coracle(["rmi", "-f", &far]).ok();
    let lacks = env.coracle(["create", "--platform=linux/s390x", "--pull=never", "list:1", "x"]);
    lacks.fails(125).says("image not known");
    assert_eq!(env.coracle(["system", "check"]).ok().stdout, "");
    // A container keeps its image, and the list goes.
    env.coracle(["create", "--name=c", "list:1", "true"]).ok();
    env.coracle(["untag", "own:1"]).ok();
    env.coracle(["image", "prune", "-a", "-f"]).ok();
    env.coracle(["manifest", "exists", "list:1"]).ok();
    env.coracle(["rmi", "list:1"]).ok();
    assert_eq!(env.coracle(["start", "-a", "c"]).ok().stdout, "");
    env.coracle(["rm", "c"]).ok();
    env.coracle(["manifest", "create", "list:2", &own]).ok();
    env.coracle(["untag", &own]).ok();
    env.coracle(["rmi", "-a"]).ok();
    env.removing_all_leaves_nothing();
}

/// Puts an index of two images and an attestation into a registry; gives its bytes.
fn remote_index(registry: &Registry, repository: &str) -> Vec<u8> {
    let mut manifests = Vec::new();
    for (image, architecture) in
        [(foreign("remote"), "s390x"), (busybox(), "amd64"), (one_file("sbom"), "unknown")]
    {
        let (media_type, bytes) = image.format(Format::Oci).upload(registry, repository);
        let digest = format!("sha256:{}", sha256_hex(&bytes));
        registry.put_manifest(repository, &digest, media_type, &bytes);
        let os = if architecture == "unknown" { "unknown" } else { "linux" };
        manifests.push(json!({
            "mediaType": OCI, "digest": digest, "size": bytes.len(),
            "platform": {"architecture": architecture, "os": os},
        }));
    }
    let index =
        json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests, "annotations": {"x": "y"}});
    let bytes = serde_json::to_vec_pretty(&index).unwrap();
    registry.put_manifest(repository, "1", INDEX, &bytes);
    bytes
}

#[test]
fn images_of_registries_are_referred_to_and_fetched_when_they_are_needed() {
    let env = TestEnv::new();
    let index = remote_index(shared_registry(), "manifest/remote");
    let name = shared_registry().reference("manifest/remote", "1");
    let index: Value = serde_json::from_slice(&index).unwrap();
    assert_eq!(shown(&env, &name), index);
    assert_eq!(shown(&env, &format!("docker://{name}")), index);
    env.coracle(["manifest", "create", "one:1", &format!("docker://{name}")]).ok();
    assert_eq!(entries(&shown(&env, "one:1"))[0].1, "amd64");
    env.coracle(["manifest", "create", "--all", "all:1", &name]).ok();
    assert_eq!(shown(&env, "all:1")["manifests"], index["manifests"]);
    assert!(
        env.coracle(["images", "-q", "-f", "manifest=false"]).ok().stdout.is_empty(),
        "nothing is fetched"
    );
    env.coracle(["run", "--rm", "--pull=never", "all:1", "true"]).fails(125).says("coracle pull 127.0.0.1");
    let run = ["run", "--rm", "--network=none", "all:1", "echo", "fetched"];
    assert_eq!(env.coracle(run).ok().text(), "fetched");
    assert_eq!(env.coracle(run).ok().stderr, "", "and is here then");
    env.coracle(["manifest", "exists", "all:1"]).ok();
    // A list in a list: what is for this machine, or all.
    env.coracle(["manifest", "add", "one:1", "all:1"]).ok();
    assert_eq!(entries(&shown(&env, "one:1")).len(), 1);
    env.coracle(["manifest", "add", "--all", "one:1", "all:1"]).ok();
    assert_eq!(entries(&shown(&env, "one:1")).len(), 3);
    // An attestation is neither pulled nor run.
    env.coracle(["pull", "-q", "--platform=unknown/unknown", &name]).run();
    let verbose = env.coracle(["manifest", "inspect", "-v", &name]).ok().json();
    assert_eq!(verbose[1]["Descriptor"]["platform"]["architecture"], "amd64");
    assert!(verbose[1]["OCIManifest"]["layers"].is_array() && verbose[1]["Raw"].is_string());
    // What was pulled may be one of several in its registry; a single image is shown with a warning.
    env.coracle(["pull", "-q", &name]).ok();
    assert_eq!(shown(&env, &name), index);
    let single = env.coracle(["manifest", "inspect", "all:1", &digest(&env, &name)]).ok();
    single.clone().says("not a manifest list but a single image");
    assert!(single.json()["layers"].is_array());
    env.coracle(["manifest", "inspect", &shared_registry().reference("manifest/nosuch", "1")]).fails(125);
}

#[test]
fn builds_for_several_platforms_make_a_list() {
    let env = TestEnv::new();
    fs::create_dir(env.path().join("context")).unwrap();
    env.file("context/Containerfile", "FROM scratch\nARG TARGETARCH\nLABEL arch=$TARGETARCH\nCOPY f /f\n");
    env.file("context/f", "1");
    let build = |words: &[&str]| env.coracle(["build", "-q"]).args(words).arg("context");
    let both = "--platform=linux/s390x,linux/amd64";
    let built = build(&[both, "-t", "app:1", "-t", "app:2", "--annotation=index:k=v"]).ok();
    assert_eq!(built.stderr, "");
    let list = shown(&env, "app:1");
    assert_eq!(list["annotations"], json!({"k": "v"}));
    let of =
        |list: &Value| entries(list).into_iter().map(|(_, architecture)| architecture).collect::<Vec<_>>();
    assert_eq!(of(&list), ["s390x", "amd64"]);
    let ids = |filter: &str| env.coracle(["images", "-q", "--no-trunc", "-f", filter]).ok().lines();
    assert_eq!(ids("manifest=true"), [format!("sha256:{}", built.text())]);
    // The same build comes to the same list.
    assert_eq!(
        build(&[both, "-t", "app:1", "-t", "app:2", "--annotation=index:k=v"]).ok().text(),
        built.text()
    );
    env.file("context/f", "2");
    assert_ne!(build(&[both, "-t", "app:1"]).ok().text(), built.text());
    assert_eq!(shown(&env, "app:2"), list);
    let label = ["image", "inspect", "-f", "{{.Config.Labels.arch}}", "app:1"];
    assert_eq!(env.coracle(label).ok().text(), "amd64");
    // --manifest adds to a list, one platform after the other.
    for platform in ["linux/arm64", "linux/amd64", "linux/arm64"] {
        build(&["--platform", platform, "--manifest", "list:1", "-t", "single:1", "--iidfile=id"]).ok();
    }
    assert_eq!(of(&shown(&env, "list:1")), ["arm64", "amd64"]);
    let lists = ids("reference=list:1");
    assert_eq!(
        lists,
        [format!(
            "sha256:{}",
            fs::read_to_string(env.path().join("id")).unwrap().trim_start_matches("sha256:")
        )]
    );
    build(&[both, "--manifest", "list:1"]).ok();
    assert_eq!(of(&shown(&env, "list:1")), ["arm64", "amd64", "s390x"]);
    build(&["--manifest", "single:1"]).fails(125).says("localhost/single:1: image is not a manifest list");
    env.coracle(["rmi", "-a"]).ok();
    env.removing_all_leaves_nothing();
}

#[test]
fn a_damaged_list_protects_what_it_may_have_and_is_repaired() {
    let env = TestEnv::new();
    let (_, far) = with_two(&env, "manifest/damaged");
    let id = env.coracle(["manifest", "create", "list:1", "far:1"]).ok().text().to_owned();
    env.coracle(["untag", "far:1"]).ok();
    let record = env.root().join("lists").join(&id);
    let good = fs::read(&record).unwrap();
    for bad in [&b""[..], &good[..20], b"{\"version\":99}"] {
        fs::write(&record, bad).unwrap();
        env.coracle(["image", "prune", "-f"]).ok();
        env.coracle(["rmi", &far]).fails(125).says("cannot be read");
        env.coracle(["image", "exists", &far]).ok();
        env.coracle(["run", "--rm", "--network=none", "own:1", "true"]).ok();
        env.coracle(["system", "check"]).fails(125).says("is damaged");
    }
    fs::write(&record, &good).unwrap();
    assert_eq!(entries(&shown(&env, "list:1")).len(), 1);
    // The index is gone.
    let index = env.coracle(["images", "--format={{.Digest}}", "-f", "manifest=true"]).ok().text().to_owned();
    fs::remove_file(env.root().join("oci/blobs/sha256").join(index.trim_start_matches("sha256:"))).unwrap();
    env.coracle(["run", "--rm", "list:1", "true"]).fails(125).says("system check --repair");
    env.coracle(["images"]).ok().says("is damaged and left out");
    env.coracle(["system", "check", "--repair"]).ok();
    env.coracle(["manifest", "exists", "list:1"]).fails(1);
    env.coracle(["image", "exists", &far]).ok();
    // The record is.
    env.coracle(["manifest", "create", "list:1", &far]).ok();
    let record = fs::read_dir(env.root().join("lists")).unwrap().next().unwrap().unwrap().path();
    fs::write(&record, "{").unwrap();
    env.coracle(["system", "check", "--repair"]).ok();
    assert_eq!(env.coracle(["system", "check"]).ok().stdout, "");
    env.coracle(["manifest", "exists", "list:1"]).fails(1);
    env.coracle(["image", "prune", "-f"]).ok();
    env.coracle(["image", "exists", &far]).fails(1);
}

/// What would get too large to be read is refused, and the list is what it was.
#[test]
fn a_list_does_not_get_larger_than_can_be_read() {
    let env = TestEnv::new();
    with_two(&env, "manifest/large");
    env.coracle(["manifest", "create", "list:1", "own:1"]).ok();
    let annotate = |round: usize| {
        let text = "x".repeat(120_000);
        let all: Vec<_> = (0..12).map(|n| format!("--annotation=a{round}.{n}={text}")).collect();
        env.coracle(["manifest", "annotate"]).args(all).args(["list:1", "own:1"])
    };
    annotate(0).ok();
    annotate(1).ok();
    let before = shown(&env, "list:1");
    annotate(2).fails(125).says("list would get too large").says("Set fewer or shorter annotations");
    assert_eq!(shown(&env, "list:1"), before);
    assert_eq!(env.coracle(["system", "check"]).ok().stdout, "");
    env.coracle(["manifest", "rm", "list:1"]).ok();
}

/// Who removes a list does not need what it says.
#[test]
fn a_list_whose_index_cannot_be_read_is_removed() {
    let env = TestEnv::new();
    let (own, _) = with_two(&env, "manifest/lost");
    let damaged = |name: &str| {
        env.coracle(["manifest", "create", name, "own:1"]).ok();
        env.coracle(["manifest", "annotate", "--index", &format!("--annotation=a={name}"), name]).ok();
        let filter = format!("reference={name}");
        let index = env.coracle(["images", "--format={{.Digest}}", "-f", &filter]).ok().text().to_owned();
        let blob = env.root().join("oci/blobs/sha256").join(index.trim_start_matches("sha256:"));
        fs::remove_file(&blob).unwrap();
        fs::write(blob, "no index").unwrap();
    };
    for removal in [&["manifest", "rm"][..], &["rmi"], &["rmi", "-f"]] {
        damaged("list:1");
        env.coracle(["manifest", "inspect", "list:1"]).fails(125).says("is damaged on disk");
        env.coracle(["manifest", "exists", "list:1"]).ok();
        env.coracle(["image", "exists", "list:1"]).ok();
        // What it may name stays.
        env.coracle(["image", "prune", "-a", "-f"]).ok();
        env.coracle(["image", "exists", &own]).ok();
        env.coracle(removal).arg("list:1").ok();
        env.coracle(["manifest", "exists", "list:1"]).fails(1);
        env.coracle(["image", "exists", "own:1"]).ok();
    }
    damaged("list:2");
    env.coracle(["untag", "list:2"]).ok();
    env.coracle(["manifest", "exists", "list:2"]).fails(1);
    env.coracle(["system", "check", "--repair"]).ok();
    assert_eq!(env.coracle(["system", "check"]).ok().stdout, "");
}

/// Whatever the order, what a list was given is there afterwards, or was refused.
#[test]
fn an_image_is_added_beside_removals() {
    let env = TestEnv::new();
    let (_, far) = with_two(&env, "manifest/race");
    env.coracle(["save", "-q", "-o", "far.tar", "far:1"]).ok();
    env.coracle(["manifest", "create", "list:1", "own:1"]).ok();
    for round in 0..8 {
        env.coracle(["load", "-q", "-i", "far.tar"]).ok();
        env.coracle(["untag", &far]).ok();
        let removal: &[&str] = if round % 2 == 0 { &["image", "prune", "-f"] } else { &["rmi", &far] };
        let adding = env.coracle(["manifest", "add", "list:1", &far]).start();
        let removing = env.coracle(removal).start();
        let (added, removed) = (adding.wait(), removing.wait());
        let here = env.coracle(["image", "exists", &far]).run().code == 0;
        assert_eq!(added.code == 0, here, "{added}\n{removed}");
        if added.code == 0 {
            env.coracle(["create", "--name=c", "--platform=linux/s390x", "--pull=never", "list:1", "x"]).ok();
            env.coracle(["rm", "c"]).ok();
            env.coracle(["manifest", "remove", "list:1", &far]).ok();
        } else {
            added.says("image not known");
        }
    }
    assert_eq!(env.coracle(["system", "check"]).ok().stdout, "");
}
