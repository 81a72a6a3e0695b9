//! Images named by a transport: `oci:`, `oci-archive:`, `docker-archive:`, `dir:` and `containers-storage:`, on each verb
//! that takes them.

use crate::common::{Format, ImageBuilder, Layer, TestEnv, Zip, busybox, one_file, sha256_hex};
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn inspect(env: &TestEnv, image: &str, format: &str) -> String {
    env.coracle(["image", "inspect", "-f", format, image]).ok().text().to_owned()
}

/// The names of all images, sorted; `<none>` for one without.
fn names(env: &TestEnv) -> Vec<String> {
    let mut all = env.coracle(["images", "--format", "{{.Repository}}:{{.Tag}}"]).ok().lines();
    all.sort();
    all
}

fn forget(env: &TestEnv) {
    env.coracle(["rmi", "-a", "-f"]).ok();
}

fn index_of(dir: &Path) -> Value {
    serde_json::from_slice(&fs::read(dir.join("index.json")).unwrap()).unwrap()
}

#[test]
fn an_image_comes_back_from_each_transport() {
    let env = TestEnv::new();
    let top = Layer::new().zip(Zip::Gzip).file("mark", 0o644, "marked");
    let (name, id) = env.pulled(busybox().layer(top), "transports/each");
    let digest = inspect(&env, &name, "{{.Digest}}");
    for to in
        ["oci:layout:one", "oci-archive:o.tar:r.example/two:2", "docker-archive:d.tar:three", "dir:plain"]
    {
        env.coracle(["push", "-q", &name, to]).ok();
    }
    for (to, wanted) in [("oci:digests", true), ("oci-archive:digests.tar", true), ("dir:digests.d", true)] {
        env.coracle(["push", "-q", "--digestfile", "file", &name, to]).ok();
        assert_eq!(fs::read_to_string(env.path().join("file")).unwrap() == digest, wanted, "{to}");
    }
    for (from, keeps, got) in [
        ("oci:layout:one", true, vec!["localhost/one:latest"]),
        ("oci:digests", true, vec!["<none>:<none>"]),
        ("oci:layout:@0", true, vec!["<none>:<none>"]),
        ("oci-archive:o.tar", true, vec!["r.example/two:2"]),
        ("oci-archive:o.tar:r.example/two:2", true, vec!["r.example/two:2"]),
        ("docker-archive:d.tar", false, vec!["docker.io/library/three:latest", name.as_str()]),
        ("docker-archive:d.tar:three", false, vec!["docker.io/library/three:latest"]),
        ("docker-archive:d.tar:@0", false, vec!["docker.io/library/three:latest", name.as_str()]),
        ("dir:plain", true, vec!["<none>:<none>"]),
    ] {
        forget(&env);
        let pulled = env.coracle(["pull", from]).ok();
        assert_eq!(pulled.text(), id, "{from}");
        pulled.says("Copying blob");
        let mut got: Vec<String> = got.into_iter().map(str::to_owned).collect();
        got.sort();
        assert_eq!(names(&env), got, "{from}");
        // docker's archives have no manifest to keep.
        assert_eq!(inspect(&env, &id, "{{.Digest}}") == digest, keeps, "{from}");
        // Policies are about registries, as podman has it; what is here is not copied again.
        let run = ["run", "--rm", "--network=none", "--pull=never", from, "cat", "/mark"];
        assert_eq!(env.coracle(run).ok().text(), "marked", "{from}");
    }
    // Absolute paths, several at once, and a container that keeps its image.
    forget(&env);
    let layout = format!("oci:{}:one", env.path().join("layout").display());
    env.coracle(["create", "--name=c", "--network=none", &layout, "true"]).ok();
    assert_eq!(env.coracle(["inspect", "-f", "{{.ImageName}}", "c"]).ok().text(), "localhost/one:latest");
    assert_eq!(env.coracle(["pull", "-q", &layout, "dir:plain"]).ok().lines(), [id.as_str(), &id]);
    // What events say of it.
    let told = ["events", "--stream=false", "--filter=event=pull", "--format={{.Name}}"];
    assert!(env.coracle(told).ok().lines().contains(&layout));
}

#[test]
fn a_build_takes_its_base_from_a_transport() {
    let env = TestEnv::new();
    let (name, _) = env.pulled(busybox(), "transports/base");
    env.coracle(["push", "-q", &name, "oci:layout:base"]).ok();
    env.coracle(["push", "-q", &name, "docker-archive:d.tar"]).ok();
    forget(&env);
    let text = "FROM oci:layout:base AS one\nRUN echo made >/made\nFROM docker-archive:d.tar\nCOPY --from=one /made /made\n";
    env.file("context/Containerfile", text);
    let built = env.coracle(["build", "--network=none", "-t", "built", "context"]).ok();
    assert!(!built.stderr.contains("InvalidDefaultArgInFrom"), "{built}");
    let said = env.coracle(["run", "--rm", "--network=none", "built", "cat", "/made"]).ok();
    assert_eq!(said.text(), "made");
    // A layer of a build has no blob: it is packed on its way out, and is the same when it comes back.
    let id = inspect(&env, "built", "{{.Id}}");
    for to in ["oci:out:built", "oci-archive:out.tar", "docker-archive:out-d.tar", "dir:out.d"] {
        env.coracle(["push", "-q", "built", to]).ok();
    }
    forget(&env);
    for from in ["oci:out:built", "oci-archive:out.tar", "docker-archive:out-d.tar", "dir:out.d"] {
        assert_eq!(env.coracle(["pull", "-q", from]).ok().text(), id, "{from}");
        forget(&env);
    }
}

#[test]
fn a_layout_keeps_what_it_has() {
    let env = TestEnv::new();
    let (one, first) = env.pulled(one_file("one"), "transports/one");
    let (two, second) = env.pulled(one_file("two"), "transports/two");
    let dir = env.path().join("layout");
    env.coracle(["push", "-q", &one, "oci:layout:a"]).ok();
    env.coracle(["push", "-q", &two, "oci:layout:b"]).ok();
    // What others have written of it stays.
    let mut index = index_of(&dir);
    index["annotations"] = json!({"made.by": "somebody"});
    fs::write(dir.join("index.json"), index.to_string()).unwrap();
    env.coracle(["push", "-q", &one, "oci:layout:more/c:1"]).ok();
    assert_eq!(index_of(&dir)["annotations"], json!({"made.by": "somebody"}));
    forget(&env);
    for (from, id) in [("a", &first), ("b", &second), ("more/c:1", &first), ("@1", &second)] {
        assert_eq!(env.coracle(["pull", "-q", &format!("oci:layout:{from}")]).ok().text(), id);
    }
    // Which of them is meant has to be said, and has to be there.
    env.coracle(["pull", "oci:layout"])
        .fails(125)
        .says("it holds 3 images")
        .says("coracle pull oci:layout:a or");
    env.coracle(["pull", "oci:layout:d"]).fails(125).says("no image has the name d").says("oci:layout:b");
    env.coracle(["pull", "oci:layout:@3"]).fails(125).says("there is no image @3, only 3");
    // A name moves; the image that had it stays.
    env.coracle(["push", "-q", &second, "oci:layout:a"]).ok();
    forget(&env);
    assert_eq!(env.coracle(["pull", "-q", "oci:layout:a"]).ok().text(), second);
    assert_eq!(env.coracle(["pull", "-q", "oci:layout:@0"]).ok().text(), first);
    // A blob that is damaged there is written anew.
    let (manifest, _) = (index_of(&dir)["manifests"][1]["digest"].clone(), ());
    let manifest = fs::read(dir.join("blobs/sha256").join(&manifest.as_str().unwrap()[7..])).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let layer = &manifest["layers"][0];
    let layer_file = dir.join("blobs/sha256").join(&layer["digest"].as_str().unwrap()[7..]);
    fs::write(&layer_file, vec![0; usize::try_from(layer["size"].as_u64().unwrap()).unwrap()]).unwrap();
    env.coracle(["pull", "-q", "oci:layout:b"]).ok();
    env.coracle(["push", "-q", &second, "oci:layout:b"]).ok();
    assert_eq!(format!("sha256:{}", sha256_hex(&fs::read(&layer_file).unwrap())), layer["digest"]);
    // What is something else is not written to.
    env.file("else/file", "there");
    for to in ["oci:else:x", "dir:else", "dir:layout"] {
        env.coracle(["push", "-q", &second, to]).fails(125).says("is not empty");
    }
    assert_eq!(fs::read_dir(env.path().join("else")).unwrap().count(), 1);
    env.file("broken/oci-layout", "{}");
    env.file("broken/index.json", "[]");
    env.coracle(["push", "-q", &second, "oci:broken"]).fails(125).says("index.json");
    assert!(!env.path().join("broken/blobs").exists());
}

/// Below a directory that may come from a stranger no link is followed.
#[test]
fn case_02_pushing_leaves_no_layout_through_links() {
    let env = TestEnv::new();
    let (name, _) = env.pulled(one_file("one"), "transports/links");
    fs::create_dir(env.path().join("outside")).unwrap();
    for link in ["blobs", "blobs/sha256"] {
        let dir = env.path().join("evil");
        fs::create_dir_all(dir.join(link).parent().unwrap()).unwrap();
        fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        std::os::unix::fs::symlink(env.path().join("outside"), dir.join(link)).unwrap();
        env.coracle(["push", "-q", &name, "oci:evil:a"]).fails(125);
        assert_eq!(fs::read_dir(env.path().join("outside")).unwrap().count(), 0, "{link}");
        fs::remove_dir_all(dir).unwrap();
    }
    // A link in the place of a file is replaced, and not written through.
    let victim = env.file("victim", "untouched");
    env.coracle(["push", "-q", &name, "oci:evil:a"]).ok();
    let index = env.path().join("evil/index.json");
    fs::rename(&index, env.path().join("evil/real")).unwrap();
    std::os::unix::fs::symlink(&victim, &index).unwrap();
    env.coracle(["push", "-q", &name, "oci:evil:b"]).fails(125);
    assert_eq!(fs::read(&victim).unwrap(), b"untouched");
    env.coracle(["push", "-q", &name, "dir:plain"]).ok();
    let version = env.path().join("plain/manifest.json");
    fs::remove_file(&version).unwrap();
    std::os::unix::fs::symlink(&victim, &version).unwrap();
    env.coracle(["push", "-q", &name, "dir:plain"]).ok();
    assert_eq!(fs::read(&victim).unwrap(), b"untouched");
}

#[test]
fn a_killed_push_leaves_what_was_there() {
    let env = TestEnv::new();
    let (one, first) = env.pulled(one_file("one"), "transports/killed1");
    let (two, second) = env.pulled(busybox(), "transports/killed2");
    for (to, steps) in [
        ("oci:layout:a", &["push.file", "push.file#2", "push.file#3", "push.placed"][..]),
        ("dir:plain", &["push.file", "push.file#2", "push.file#3"]),
    ] {
        for step in steps {
            // What the last round has written is not written again.
            let _ = fs::remove_dir_all(env.path().join("layout"));
            env.coracle(["push", "-q", &one, to]).ok();
            env.coracle(["push", "-q", &two, to]).env("CORACLE_FAILPOINT", format!("{step}=kill")).fails(137);
            assert_eq!(env.coracle(["pull", "-q", to]).ok().text(), first, "{to} {step}");
            env.coracle(["push", "-q", &two, to]).ok();
            assert_eq!(env.coracle(["pull", "-q", to]).ok().text(), second, "{to} {step}");
        }
    }
    // One that was killed before it had come to anything is begun again.
    for (to, step) in [("oci:new:a", "push.file#2"), ("dir:new.d", "push.file#2")] {
        env.coracle(["push", "-q", &one, to]).env("CORACLE_FAILPOINT", format!("{step}=kill")).fails(137);
        env.coracle(["push", "-q", &one, to]).ok();
        assert_eq!(env.coracle(["pull", "-q", to]).ok().text(), first, "{to}");
    }
    // An archive appears when it is whole; the old one stands until then.
    let old = env.file("old.tar", "old");
    env.coracle(["push", "-q", "nothing", "oci-archive:old.tar"]).fails(125);
    assert_eq!(fs::read(old).unwrap(), b"old");
    // Of an image that was there before, nothing stays.
    env.coracle(["push", "-q", &one, "dir:plain"]).ok();
    assert_eq!(fs::read_dir(env.path().join("plain")).unwrap().count(), 4);
}

#[test]
fn a_directory_has_the_manifest_that_is_asked_for() {
    let env = TestEnv::new();
    let layer = Layer::new().zip(Zip::Plain).file("file", 0o644, "plain");
    let (name, id) = env.pulled(ImageBuilder::new().format(Format::Docker).layer(layer), "transports/dir");
    let read = || -> Value {
        serde_json::from_slice(&fs::read(env.path().join("plain/manifest.json")).unwrap()).unwrap()
    };
    env.coracle(["push", "-q", &name, "dir:plain"]).ok();
    let digest = inspect(&env, &name, "{{.Digest}}");
    assert_eq!(sha256_hex(&fs::read(env.path().join("plain/manifest.json")).unwrap()), digest[7..]);
    for (options, kind, layer) in [
        (&["--format=oci"][..], MANIFEST, "application/vnd.oci.image.layer.v1.tar"),
        (&["--format=oci", "--compress"], MANIFEST, "application/vnd.oci.image.layer.v1.tar+gzip"),
        (
            &["--format=v2s2", "--compress"],
            "application/vnd.docker.distribution.manifest.v2+json",
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
        ),
    ] {
        env.coracle(["push", "-q", &name, "dir:plain"]).args(options).ok();
        assert_eq!((&read()["mediaType"], &read()["layers"][0]["mediaType"]), (&json!(kind), &json!(layer)));
        assert_eq!(env.coracle(["pull", "-q", "dir:plain"]).ok().text(), id);
    }
    for (options, to) in [
        (&["--format=oci"][..], "oci:x"),
        (&["--compress"], "oci-archive:x"),
        (&["--compression-format=zstd"], "docker-archive:x"),
        (&["--digestfile=x"], "docker-archive:x"),
    ] {
        env.coracle(["push", "-q", &name, to]).args(options).fails(125);
        assert!(!env.path().join("x").exists(), "{options:?}");
    }
}

#[test]
fn what_leads_nowhere_is_refused_with_another_way() {
    let env = TestEnv::new();
    let (name, id) = env.pulled(one_file("one"), "transports/nowhere");
    for (text, says) in [
        ("docker-daemon:app:1", "docker save app:1 | coracle load"),
        ("sif:x.sif", "skopeo copy sif:x.sif oci-archive:FILE"),
        ("tarball:x.tar", "coracle import x.tar NAME"),
        ("containers-storage:[vfs@/x]a", "podman save IMAGE | coracle load"),
        ("oci:", "the path is missing"),
    ] {
        env.coracle(["pull", text]).fails(125).says(says);
        env.coracle(["run", "--rm", text]).fails(125).says(says);
        env.coracle(["create", "--replace", "--name=c", text]).fails(125).says(says);
    }
    env.coracle(["push", &name, "docker-daemon:x:1"]).fails(125).says("coracle save IMAGE | docker load");
    env.coracle(["push", &name, "oci:x:@1"]).fails(125).says("is no name");
    env.coracle(["push", &name, "docker-archive:x:A"]).fails(125).says("lowercase");
    for (text, says) in [("oci:nosuch", "ls -l ."), ("oci-archive:no/such.tar", "ls -l no")] {
        env.coracle(["pull", text]).fails(125).says("no such file or directory").says(says);
    }
    env.coracle(["pull", "oci:/dev/null"]).fails(125).says("not a directory");
    env.coracle(["pull", "--all-tags", "oci:x"]).fails(125).says("not supported for oci transport");
    env.coracle(["image", "inspect", "oci:x/y"]).fails(125);
    env.coracle(["tag", "oci:/x/y", "z"])
        .fails(125)
        .says("unsupported transport \"oci\"")
        .says("coracle pull oci:/x/y");
    // Archives that are of another form say so.
    env.coracle(["push", "-q", &name, "oci-archive:o.tar"]).ok();
    env.coracle(["push", "-q", &name, "docker-archive:d.tar"]).ok();
    env.coracle(["pull", "oci-archive:d.tar"]).fails(125).says("docker-archive:d.tar");
    env.coracle(["pull", "docker-archive:o.tar"]).fails(125).says("oci-archive:o.tar");
    // Our own store is no other place.
    let stored = format!("containers-storage:{name}");
    assert_eq!(env.coracle(["pull", "-q", &stored]).ok().text(), id);
    assert_eq!(inspect(&env, &stored, "{{.Id}}"), id);
    env.coracle(["push", &stored, "containers-storage:again:2"]).ok();
    assert_eq!(inspect(&env, "localhost/again:2", "{{.Id}}"), id);
    env.coracle(["pull", "containers-storage:nosuch"]).fails(125).says("nosuch: image not known");
}

/// A policy counts for files as for registries: there is no way around it.
#[test]
fn the_policy_counts_for_transports() {
    let env = TestEnv::new();
    let (name, id) = env.pulled(one_file("one"), "transports/policy");
    let places = ["oci:good/layout:a", "oci:bad:a", "oci-archive:o.tar", "docker-archive:d.tar", "dir:plain"];
    for to in places {
        env.coracle(["push", "-q", &name, to]).ok();
    }
    forget(&env);
    std::os::unix::fs::symlink("bad", env.path().join("alias")).unwrap();
    let accept = json!([{"type": "insecureAcceptAnything"}]);
    let good = env.path().join("good").canonicalize().unwrap();
    let policy = json!({"default": [{"type": "reject"}],
        "transports": {"oci": {good.to_str().unwrap(): accept}, "dir": {"": accept}}});
    env.file("home/.config/containers/policy.json", policy.to_string());
    for from in places.into_iter().chain(["oci:alias:a", "oci:good/../bad:a"]) {
        let pull = env.coracle(["pull", "-q", from]);
        if from.starts_with("oci:good/layout") || from.starts_with("dir:") {
            assert_eq!(pull.ok().text(), id, "{from}");
            forget(&env);
        } else {
            pull.fails(125)
                .says(&format!("Source image rejected: Running image {from} is rejected by policy."));
            assert_eq!(names(&env), Vec::<String>::new(), "{from}");
        }
    }
}

/// An OCI layout that a test writes blob by blob.
struct Written<'a>(&'a TestEnv);

impl Written<'_> {
    fn blob(&self, bytes: impl AsRef<[u8]>, media_type: &str) -> Value {
        let hex = sha256_hex(bytes.as_ref());
        self.0.file(&format!("layout/blobs/sha256/{hex}"), bytes.as_ref());
        json!({"mediaType": media_type, "digest": format!("sha256:{hex}"), "size": bytes.as_ref().len()})
    }

    /// An image for an architecture; gives its entry and its id.
    fn image(&self, architecture: &str) -> (Value, String) {
        let (tar, _) = Layer::new().file("file", 0o644, architecture).finish();
        let layer = self.blob(&tar, "application/vnd.oci.image.layer.v1.tar");
        let config = json!({"architecture": architecture, "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}});
        let config = self.blob(config.to_string(), "application/vnd.oci.image.config.v1+json");
        let id = config["digest"].as_str().unwrap()[7..].to_owned();
        let manifest =
            json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]});
        (self.blob(manifest.to_string(), MANIFEST), id)
    }

    fn index(&self, entries: &[Value]) -> Value {
        self.blob(json!({"schemaVersion": 2, "manifests": entries}).to_string(), INDEX)
    }

    fn ends(&self, entries: &[Value]) {
        self.0.file("layout/oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
        self.0.file("layout/index.json", json!({"schemaVersion": 2, "manifests": entries}).to_string());
    }
}

#[test]
fn the_platform_is_chosen_in_layouts_and_no_attestation() {
    let env = TestEnv::new();
    let written = Written(&env);
    let (mut arm, arm_id) = written.image("arm64");
    arm["platform"] = json!({"os": "linux", "architecture": "arm64", "variant": "v8"});
    let (mut ours, our_id) = written.image("amd64");
    ours["platform"] = json!({"os": "linux", "architecture": "amd64"});
    let (mut attestation, _) = written.image("unknown");
    attestation["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    attestation["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest"});
    let mut silent = attestation.clone();
    silent.as_object_mut().unwrap().remove("platform");
    let entries = [silent, attestation.clone(), arm, ours];
    written.ends(&[written.index(&entries)]);
    let pull = |options: &[&str]| env.coracle(["pull", "-q", "oci:layout"]).args(options);
    for (platform, id) in [("linux/arm64", &arm_id), ("linux/amd64", &our_id)] {
        assert_eq!(pull(&["--platform", platform]).ok().text(), id, "{platform}");
    }
    pull(&["--platform=linux/s390x"]).fails(125).says("no image for linux/s390x");
    pull(&["--platform=unknown/unknown"]).fails(125);
    // The same in skopeo's directories, where an index has its manifests beside it.
    let all = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries});
    env.file("plain/version", "Directory Transport Version: 1.1\n");
    env.file("plain/manifest.json", all.to_string());
    for blob in fs::read_dir(env.path().join("layout/blobs/sha256")).unwrap().flatten() {
        let name = blob.file_name().into_string().unwrap();
        let bytes = fs::read(blob.path()).unwrap();
        env.file(&format!("plain/{name}"), &bytes);
        env.file(&format!("plain/{name}.manifest.json"), &bytes);
    }
    let plain = ["pull", "-q", "--platform=linux/arm64", "dir:plain"];
    assert_eq!(env.coracle(plain).ok().text(), arm_id);
    // A single image is taken whatever it is for; podman warns of that, too.
    let (only, id) = written.image("s390x");
    written.ends(&[only]);
    let pulled = env.coracle(["pull", "--platform=linux/arm64", "oci:layout"]).ok();
    assert_eq!(pulled.text(), id);
    pulled.says("image platform (linux/s390x) does not match the expected platform (linux/arm64)");
}

#[test]
fn case_09_layouts_cannot_exhaust_what_reads_them() {
    let env = TestEnv::new();
    let written = Written(&env);
    let (image, _) = written.image("amd64");
    let refused = |says: &str| {
        env.coracle(["pull", "-q", "oci:layout"]).fails(125).says(says);
        assert_eq!(names(&env), Vec::<String>::new(), "{says}");
    };
    // Indexes within indexes.
    let mut nested = image.clone();
    for _ in 0..5 {
        nested = written.index(&[nested]);
    }
    written.ends(&[nested]);
    refused("an index of indexes of indexes");
    // 10,000 layers.
    let layer = json!({"mediaType": "application/vnd.oci.image.layer.v1.tar", "size": 1, "digest": format!("sha256:{}", "1".repeat(64))});
    let config = written.blob("{}", "application/vnd.oci.image.config.v1+json");
    let many =
        json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": vec![layer; 10_000]});
    written.ends(&[written.blob(many.to_string(), MANIFEST)]);
    refused("more than 500 layers");
    // A manifest of many bytes.
    written.ends(&[written.blob(" ".repeat(9 << 20), MANIFEST)]);
    refused("too large");
    // More entries than anybody has images.
    written.ends(&vec![image.clone(); 1001]);
    refused("more than 1000 images");
    // What a digest may not be.
    for digest in ["sha256:../../../../etc/passwd", "sha256:", "../x", "sha256:ABC"] {
        let mut entry = image.clone();
        entry["digest"] = digest.into();
        written.ends(&[entry]);
        refused("index.json");
    }
}

/// A web server of one file, for one request.
fn serve(bytes: Vec<u8>, status: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let head =
                format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", bytes.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&bytes));
        }
    });
    format!("http://127.0.0.1:{port}/a.tar?token=secret")
}

#[test]
fn archives_come_from_web_servers() {
    let env = TestEnv::new();
    let (name, id) = env.pulled(one_file("web"), "transports/web");
    let archive = env.coracle(["save", &name]).ok().bytes;
    forget(&env);
    let url = serve(archive, "200 OK");
    let loaded = env.coracle(["load", "-i", &url]).ok();
    assert_eq!(loaded.text(), format!("Loaded image: {name}"));
    assert!(!loaded.stderr.contains("secret"), "{loaded}");
    assert_eq!(inspect(&env, &name, "{{.Id}}"), id);
    assert_eq!(fs::read_dir(env.root().join("tmp")).unwrap().count(), 0);
    let told = ["events", "--stream=false", "--filter=event=load", "--format={{.Name}}"];
    let told = env.coracle(told).ok();
    assert!(told.text().ends_with("/a.tar"), "{told}");
    let (files, _) = Layer::new().file("hello", 0o644, "from afar").finish();
    env.coracle(["import", "-q", &serve(files, "200 OK"), "imported"]).ok();
    let (_, id) = env.pulled(busybox(), "transports/reader");
    let mount = ["run", "--rm", "--network=none", "--mount=type=image,source=imported,destination=/i", &id];
    assert_eq!(env.coracle(mount).args(["cat", "/i/hello"]).ok().text(), "from afar");
    env.coracle(["load", "-i", &serve(Vec::new(), "404 Not Found")]).fails(125).says("404");
    env.coracle(["import", &serve(b"<html>".to_vec(), "200 OK")]).fails(125);
    env.coracle(["load", "-i", "http://"]).fails(125);
    assert_eq!(fs::read_dir(env.root().join("tmp")).unwrap().count(), 0);
}

#[test]
fn archives_go_to_pipes_and_to_no_terminal() {
    let env = TestEnv::new();
    let (name, id) = env.pulled(one_file("pipe"), "transports/pipe");
    let fifo = env.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for words in [&["save", "-q", "-o", "fifo", &name][..], &["push", "-q", &name, "docker-archive:fifo"]] {
        let writer = env.coracle(words).start();
        let pulled = env.coracle(["pull", "-q", "docker-archive:fifo"]).ok();
        assert_eq!((pulled.text(), writer.wait().code), (id.as_str(), 0));
    }
    let archive = env.coracle(["save", "-o", "/dev/stdout", &name]).ok().bytes;
    assert_eq!(env.coracle(["pull", "-q", "docker-archive:/dev/stdin"]).stdin(archive).ok().text(), id);
    let mut session = env.coracle(["save", "-o", "/dev/stdout", &name]).pty();
    expectrl::Expect::expect(&mut session, "cannot write to terminal").unwrap();
}
