//! `save` and `load`, with skopeo and podman's formats as the other side.

use crate::common::{
    Format, ImageBuilder, Layer, TestEnv, Zip, busybox, many_layers, sha256_hex, skip, which,
};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

fn inspect(env: &TestEnv, image: &str, format: &str) -> String {
    env.coracle(["image", "inspect", "-f", format, image]).ok().text().to_owned()
}

fn assert_clean(env: &TestEnv) {
    assert_eq!(fs::read_dir(env.root().join("tmp")).unwrap().count(), 0);
}

#[test]
fn every_format_comes_back_with_its_ids_and_digests() {
    let env = TestEnv::new();
    let (name, id) = env.pulled(many_layers(14), "save/oci");
    let digest = inspect(&env, &name, "{{.Digest}}");
    let layers = inspect(&env, &name, "{{json .RootFS.Layers}}");
    let formats = ["docker-archive", "oci-archive", "oci-dir"];
    for format in formats {
        env.coracle(["save", "-q", "--format", format, "-o", format, &name]).ok();
    }
    for format in formats {
        let path = env.path().join(format);
        env.coracle(["rmi", &name]).ok();
        let loaded = env.coracle(["load", "-q", "-i"]).arg(&path).ok();
        assert_eq!(loaded.text(), format!("Loaded image: {name}"), "{format}");
        assert_eq!(inspect(&env, &name, "{{.Id}}"), id, "{format}");
        assert_eq!(inspect(&env, &name, "{{json .RootFS.Layers}}"), layers, "{format}");
        // docker's archive has no manifest to keep.
        if format != "docker-archive" {
            assert_eq!(inspect(&env, &name, "{{.Digest}}"), digest, "{format}");
        }
        let last = env.coracle(["run", "--rm", "--network=none", &name, "cat", "/many/last", "/d/kept"]).ok();
        assert_eq!(last.text(), "13kept", "{format}");
        assert_clean(&env);
    }
    // The second archive is byte for byte the first.
    let again = env.path().join("again");
    env.coracle(["save", "--format", "oci-archive", "-o"]).arg(&again).arg(&name).ok();
    assert!(fs::read(&again).unwrap() == fs::read(env.path().join("oci-archive")).unwrap());
    // docker has no word for zstd.
    env.coracle(["save", "--format", "docker-dir", "-o", "d", &name]).fails(125).says("zstd");
    assert!(!env.path().join("d").exists());
}

#[test]
fn docker_directories_keep_dockers_digests() {
    let env = TestEnv::new();
    let layer = || Layer::new().file("file", 0o644, "docker");
    let image = ImageBuilder::new().format(Format::Docker);
    let (name, id) =
        env.pulled(image.layer(layer()).layer(Layer::new().zip(Zip::Plain).dir("d", 0o755)), "save/docker");
    let digest = inspect(&env, &name, "{{.Digest}}");
    env.coracle(["save", "--format", "docker-dir", "-o", "plain", &name]).ok();
    assert_eq!(sha256_hex(&fs::read(env.path().join("plain/manifest.json")).unwrap()), digest[7..]);
    env.coracle(["save", "--format=docker-dir", "--compress", "-o", "packed", &name]).ok();
    let packed: Value =
        serde_json::from_slice(&fs::read(env.path().join("packed/manifest.json")).unwrap()).unwrap();
    for layer in packed["layers"].as_array().unwrap() {
        assert_eq!(layer["mediaType"], "application/vnd.docker.image.rootfs.diff.tar.gzip");
        let bytes =
            fs::read(env.path().join("packed").join(&layer["digest"].as_str().unwrap()[7..])).unwrap();
        assert_eq!(format!("sha256:{}", sha256_hex(&bytes)), layer["digest"]);
    }
    env.coracle(["rmi", &name]).ok();
    // A `dir:` directory gives no name.
    for dir in ["plain", "packed"] {
        assert_eq!(env.coracle(["load", "-q", "-i", dir]).ok().text(), format!("Loaded image: sha256:{id}"));
    }
    // As OCI the manifest is another, the image the same.
    env.coracle(["save", "--format", "oci-dir", "-o", "oci", &id]).ok();
    let index: Value = serde_json::from_slice(&fs::read(env.path().join("oci/index.json")).unwrap()).unwrap();
    assert_eq!(index["manifests"][0]["mediaType"], "application/vnd.oci.image.manifest.v1+json");
    assert_eq!(env.coracle(["load", "-q", "-i", "oci"]).ok().text(), format!("Loaded image: sha256:{id}"));
}

/// What skopeo reads, writes and copies has the same digests on both sides.
#[test]
fn digests_survive_a_round_trip_through_skopeo() {
    if which("skopeo").is_none() {
        return skip("skopeo is not installed");
    }
    let env = TestEnv::new();
    let skopeo = |args: &[&str]| env.program("skopeo").args(["--insecure-policy"]).args(args).ok();
    let (name, id) = env.pulled(many_layers(13), "save/skopeo");
    let digest = inspect(&env, &name, "{{.Digest}}");
    env.coracle(["save", "--format", "oci-archive", "-o", "ours.tar", &name]).ok();
    assert_eq!(skopeo(&["inspect", "--format", "{{.Digest}}", "oci-archive:ours.tar"]).text(), digest);
    skopeo(&[
        "copy",
        "--preserve-digests",
        "oci-archive:ours.tar",
        "oci-archive:theirs.tar:localhost/back:1",
    ]);
    skopeo(&["copy", "--preserve-digests", "oci-archive:ours.tar", "dir:theirs"]);
    env.coracle(["save", "-o", "ours-docker.tar", &name]).ok();
    let seen = skopeo(&["inspect", "--config", "--raw", "docker-archive:ours-docker.tar"]);
    assert_eq!(sha256_hex(&seen.bytes), id);
    env.coracle(["rmi", &name]).ok();
    assert_eq!(env.coracle(["load", "-q", "-i", "theirs.tar"]).ok().text(), "Loaded image: localhost/back:1");
    assert_eq!(inspect(&env, "localhost/back:1", "{{.Id}} {{.Digest}}"), format!("{id} {digest}"));
    env.coracle(["rmi", "back:1"]).ok();
    assert_eq!(env.coracle(["load", "-q", "-i", "theirs"]).ok().text(), format!("Loaded image: sha256:{id}"));
    assert_eq!(inspect(&env, &id, "{{.Digest}}"), digest);
    env.coracle(["rmi", &id]).ok();
    // skopeo has no zstd for docker, either.
    let top = Layer::new().file("last", 0o644, "12");
    let (plain, _) = env.pulled(busybox().layer(top), "save/skopeo2");
    env.coracle(["save", "--format", "oci-archive", "-o", "plain.tar", &plain]).ok();
    skopeo(&["copy", "oci-archive:plain.tar", "docker-archive:theirs-docker.tar:localhost/docker:1"]);
    assert_eq!(
        env.coracle(["load", "-q", "-i", "theirs-docker.tar"]).ok().text(),
        "Loaded image: localhost/docker:1"
    );
    let last = env.coracle(["run", "--rm", "--network=none", "docker:1", "cat", "/last"]).ok();
    assert_eq!(last.text(), "12");
}

#[test]
fn archives_come_through_pipes_and_compressed() {
    let env = TestEnv::new();
    let (name, id) = env.pulled(busybox(), "save/pipe");
    let archive = env.coracle(["save", &name]).ok().bytes;
    env.coracle(["rmi", &name]).ok();
    let loaded = env.coracle(["load"]).stdin(archive.clone()).ok();
    assert_eq!(loaded.text(), format!("Loaded image: {name}"));
    assert!(loaded.stderr.contains("Copying blob"), "{loaded}");
    env.coracle(["rmi", &name]).ok();
    fs::write(env.path().join("a.tar"), &archive).unwrap();
    for (tool, more, name_of) in [
        ("gzip", "-k", "a.tar.gz"),
        ("zstd", "-q", "a.tar.zst"),
        ("bzip2", "-k", "a.tar.bz2"),
        ("xz", "-k", "a.tar.xz"),
    ] {
        if which(tool).is_none() {
            skip(tool);
            continue;
        }
        env.program(tool).args([more, "a.tar"]).ok();
        env.coracle(["load", "--quiet", "--input", name_of]).ok();
        assert_eq!(inspect(&env, &name, "{{.Id}}"), id);
        env.coracle(["rmi", &name]).ok();
    }
    assert_clean(&env);
    // What is here already is not made up anew: the digest it was pulled by stays.
    let again = env.coracle(["pull", "-q", &name]).ok().text().to_owned();
    let digest = inspect(&env, &again, "{{.Digest}}");
    env.coracle(["load", "-q", "-i", "a.tar"]).ok();
    assert_eq!(inspect(&env, &name, "{{.Digest}}"), digest);
}

#[test]
fn several_images_and_names_go_into_one_archive() {
    let env = TestEnv::new();
    let one = || ImageBuilder::new().layer(Layer::new().file("file", 0o644, "one"));
    let (first, first_id) = env.pulled(one(), "save/first");
    let (second, _) = env.pulled(one().layer(Layer::new().file("more", 0o644, "two")), "save/second");
    // Names that follow are the same image's, unless -m says otherwise.
    env.coracle(["save", "-o", "named.tar", &first, "extra", "quay.io/x/y:2"]).ok();
    env.coracle(["save", "-m", "-o", "both.tar", &first, &second, &first_id]).ok();
    env.coracle(["save", "-m", "--format", "oci-archive", "-o", "no.tar", &first, &second])
        .fails(125)
        .says("docker-archive only");
    env.coracle(["save", "-o", "no.tar", &first, "nothing", "A B"]).fails(125);
    env.coracle(["save", "-m", "-o", "no.tar", &first, "nothing"])
        .fails(125)
        .says("nothing: image not known");
    // A name of another image is not given to this one: both were meant.
    env.coracle(["save", "-o", "no.tar", &first, &second])
        .fails(125)
        .says("is another image")
        .says("coracle save -m");
    assert!(!env.path().join("no.tar").exists());
    env.coracle(["save", "-o", "same.tar", &first, &first]).ok();
    env.coracle(["rmi", "--all"]).ok();
    let loaded = env.coracle(["load", "-q", "-i", "named.tar"]).ok();
    assert_eq!(
        loaded.text(),
        format!("Loaded image: {first}\nLoaded image: localhost/extra:latest\nLoaded image: quay.io/x/y:2")
    );
    env.coracle(["rmi", "--all"]).ok();
    let loaded = env.coracle(["image", "load", "-q", "-i", "both.tar"]).ok();
    assert_eq!(loaded.text(), format!("Loaded image: {first}\nLoaded image: {second}"));
    // The shared layer is in the archive once.
    let listed = env.program("tar").args(["-tf", "both.tar"]).ok().lines();
    assert_eq!(listed.iter().filter(|name| name.ends_with(".tar")).count(), 2, "{listed:?}");
    assert_eq!(listed.iter().filter(|name| name.ends_with(".json")).count(), 3, "{listed:?}");
}

/// More names than fit into one message between two processes.
#[test]
fn an_image_may_have_thousands_of_names() {
    let env = TestEnv::new();
    let (tar, _) = Layer::new().file("file", 0o644, "named").finish();
    let config = json!({"architecture": Architecture::host(), "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", sha256_hex(&tar))]}});
    let names: Vec<String> = (0..3000).map(|n| format!("docker.io/library/many:{n}")).collect();
    let list = json!([{"Config": "config.json", "RepoTags": names, "Layers": ["layer.tar"]}]);
    let archive = Layer::new().file("layer.tar", 0o644, &tar);
    let archive = archive.file("config.json", 0o644, config.to_string());
    let archive = archive.file("manifest.json", 0o644, list.to_string()).finish().0;
    let loaded = env.coracle(["load", "-q"]).stdin(archive).ok().lines();
    let told: Vec<String> = names.iter().map(|name| format!("Loaded image: {name}")).collect();
    assert!(loaded == told, "{} lines, the last {:?}", loaded.len(), loaded.last());
    assert_eq!(env.coracle(["images", "--format", "{{.Tag}}"]).ok().lines().len(), 3000);
}

#[test]
fn save_refuses_what_does_not_go_together() {
    let env = TestEnv::new();
    let (name, _) = env.pulled(busybox(), "save/refuse");
    env.coracle(["save", "--format", "oci-dir", &name]).fails(125).says("Name the directory");
    env.coracle(["save", "--compress", "-o", "x", &name]).fails(125).says("docker-dir only");
    env.coracle(["save", "--format", "zip", &name]).fails(125).says("docker-archive");
    env.coracle(["save", "-o", "x/y/z", &name]).fails(125).says("x/y/z");
    env.coracle(["save"]).fails(125);
    env.file("full/file", "there");
    env.coracle(["save", "--format", "oci-dir", "-o", "full", &name]).fails(125).says("is not empty");
    // An old file stands until the new one is whole.
    let old = env.file("old.tar", "old");
    env.coracle(["save", "-o", "old.tar", "nothing"]).fails(125);
    assert_eq!(fs::read(&old).unwrap(), b"old");
    env.coracle(["save", "--uncompressed", "-o", "old.tar", &name]).ok();
    assert!(fs::metadata(&old).unwrap().len() > 10_000);
    assert_eq!(
        fs::read_dir(env.path())
            .unwrap()
            .filter(|e| { e.as_ref().unwrap().file_name().to_string_lossy().starts_with(".coracle-") })
            .count(),
        0
    );
    // A reader that goes away is not an error to be told.
    let broken = env.program("sh").args(["-c", "\"$@\" | head -c 10 | wc -c", "sh"]);
    let call = env.coracle(["save", &name]).into_command();
    let mut broken = broken.arg(call.get_program());
    for arg in call.get_args() {
        broken = broken.arg(arg);
    }
    let output = broken.ok();
    assert_eq!((output.text(), output.stderr.as_str()), ("10", ""));
    let mut session = env.coracle(["save", &name]).pty();
    expectrl::Expect::expect(&mut session, "cannot write to terminal").unwrap();
    let mut session = env.coracle(["load"]).pty();
    expectrl::Expect::expect(&mut session, "cannot read from terminal").unwrap();
    env.coracle(["load", "-i", "nosuch.tar"]).fails(125).says("nosuch.tar");
    env.coracle(["load"]).stdin("not an archive").fails(125);
}

/// The layout that docker has written since version 25: OCI's with docker's list beside it.
#[test]
fn dockers_new_archives_are_read() {
    let env = TestEnv::new();
    let dir = env.path().join("layout");
    let (tar, _) = Layer::new().file("file", 0o644, "new").finish();
    let put = |bytes: &[u8]| {
        let digest = sha256_hex(bytes);
        let path = dir.join("blobs/sha256").join(&digest);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        json!({"digest": format!("sha256:{digest}"), "size": bytes.len()})
    };
    let described = |mut blob: Value, media_type: &str| {
        blob["mediaType"] = media_type.into();
        blob
    };
    let layer = described(put(&tar), "application/vnd.oci.image.layer.v1.tar");
    let arch = Architecture::host();
    let config = json!({"architecture": arch, "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}});
    let config = described(put(config.to_string().as_bytes()), "application/vnd.oci.image.config.v1+json");
    let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": [layer]});
    let mut image =
        described(put(manifest.to_string().as_bytes()), "application/vnd.oci.image.manifest.v1+json");
    image["platform"] = json!({"architecture": arch, "os": "linux"});
    // Other platforms are listed and not there.
    let other = json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 3,
        "digest": format!("sha256:{}", "0".repeat(64)), "platform": {"architecture": "unknown", "os": "unknown"}});
    let inner = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [other, image]});
    let mut inner = described(put(inner.to_string().as_bytes()), "application/vnd.oci.image.index.v1+json");
    inner["annotations"] = json!({"io.containerd.image.name": "docker.io/library/new:1", "org.opencontainers.image.ref.name": "1"});
    let index = json!({"schemaVersion": 2, "manifests": [inner]});
    fs::write(dir.join("index.json"), index.to_string()).unwrap();
    fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    let list = json!([{"Config": format!("blobs/sha256/{}", &config["digest"].as_str().unwrap()[7..]), "RepoTags": ["new:1"],
        "Layers": [format!("blobs/sha256/{}", sha256_hex(&tar))]}]);
    fs::write(dir.join("manifest.json"), list.to_string()).unwrap();
    env.program("tar").args(["-C", "layout", "-cf", "new.tar", "."]).ok();
    assert_eq!(
        env.coracle(["load", "-q", "-i", "new.tar"]).ok().text(),
        "Loaded image: docker.io/library/new:1"
    );
    assert_eq!(
        inspect(&env, "new:1", "{{.Digest}}"),
        format!("sha256:{}", sha256_hex(manifest.to_string().as_bytes()))
    );
    env.coracle(["rmi", "new:1"]).ok();
    // The same without the layout's own files is docker's old form.
    fs::remove_file(dir.join("oci-layout")).unwrap();
    env.program("tar").args(["-C", "layout", "-cf", "old.tar", "."]).ok();
    assert_eq!(
        env.coracle(["load", "-q", "-i", "old.tar"]).ok().text(),
        "Loaded image: docker.io/library/new:1"
    );
    assert!(Path::new(&dir).exists());
}

/// What other readers take: general types of configurations, foreign layers, `null` for what is not there, an
/// index for each platform.
#[test]
fn images_are_taken_as_other_readers_take_them() {
    let env = TestEnv::new();
    let (tar, _) = Layer::new().file("file", 0o644, "odd").finish();
    let described = |bytes: &[u8], media_type: Value| {
        let digest = format!("sha256:{}", sha256_hex(bytes));
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    };
    let arch = Architecture::host();
    let ids = [format!("sha256:{}", sha256_hex(&tar))];
    let config = |number: u32| {
        json!({"architecture": arch, "os": null, "created": null, "author": format!("{number}"),
            "history": [{"created_by": "x", "empty_layer": null}], "container_config": null,
            "config": {"Cmd": ["sh"], "Env": null, "Labels": {"a": null}, "Healthcheck": null},
            "rootfs": {"type": "layers", "diff_ids": ids}})
        .to_string()
    };
    let types = [json!("application/octet-stream"), json!("application/json"), json!("text/html"), json!("")];
    for (number, kind) in (0..).zip(types) {
        let config = config(number);
        let dir = format!("dir{number}");
        let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": described(config.as_bytes(), kind.clone()),
            "layers": [described(&tar, json!("application/vnd.docker.image.rootfs.foreign.diff.tar"))]});
        env.file(&format!("{dir}/version"), "Directory Transport Version: 1.1\n");
        env.file(&format!("{dir}/manifest.json"), manifest.to_string());
        env.file(&format!("{dir}/{}", sha256_hex(config.as_bytes())), &config);
        env.file(&format!("{dir}/{}", sha256_hex(&tar)), &tar);
        let id = sha256_hex(config.as_bytes());
        let loaded = env.coracle(["load", "-q", "-i", &dir]).ok();
        assert_eq!(loaded.text(), format!("Loaded image: sha256:{id}"), "{kind}");
        // What came so goes so, and the record of it is read again.
        env.coracle(["save", "-q", "--format", "docker-dir", "-o", &format!("{dir}-again"), &id]).ok();
    }
    let (index, image) =
        ("application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json");
    let put = |bytes: &[u8], media_type: &str| {
        env.file(&format!("layout/blobs/sha256/{}", sha256_hex(bytes)), bytes);
        described(bytes, media_type.into())
    };
    let manifest = json!({"schemaVersion": 2, "mediaType": null, "annotations": null,
        "config": put(config(9).as_bytes(), "application/vnd.oci.image.config.v1+json"),
        "layers": [put(&tar, "application/vnd.oci.image.layer.v1.tar")]});
    let mut entry = put(manifest.to_string().as_bytes(), image);
    for depth in 0..4 {
        entry["platform"] =
            if depth == 1 { json!(null) } else { json!({"architecture": arch, "os": "linux"}) };
        entry["annotations"] = json!(null);
        let inner = json!({"schemaVersion": 2, "mediaType": index, "manifests": [entry]});
        entry = put(inner.to_string().as_bytes(), index);
        entry["annotations"] = json!({"org.opencontainers.image.ref.name": "localhost/nested:1"});
        env.file("layout/index.json", json!({"schemaVersion": 2, "manifests": [entry]}).to_string());
        env.file("layout/oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
        let load = env.coracle(["load", "-q", "-i", "layout"]);
        match depth {
            0..2 => assert_eq!(load.ok().text(), "Loaded image: localhost/nested:1", "{depth}"),
            _ => drop(load.fails(125).says("index of indexes")),
        }
        env.coracle(["rmi", "-f", "localhost/nested:1"]).ok();
    }
}

/// Every verb that changes images tells of it.
#[test]
fn images_have_events() {
    let env = TestEnv::new();
    let image = ImageBuilder::new().layer(Layer::new().file("file", 0o644, "events"));
    let (name, _) = env.pulled(image, "save/events");
    env.coracle(["tag", &name, "extra"]).ok();
    env.coracle(["untag", &name, "extra"]).ok();
    env.coracle(["save", "-o", "a.tar", &name]).ok();
    env.coracle(["rmi", &name]).ok();
    env.coracle(["load", "-q", "-i", "a.tar"]).ok();
    env.coracle(["untag", &name]).ok();
    env.coracle(["image", "prune", "-f"]).ok();
    env.coracle(["import", "a.tar", "again"]).ok();
    let told =
        env.coracle(["events", "--stream=false", "--filter", "type=image", "--format", "{{.Status}}"]).ok();
    let told = told.lines();
    let expected =
        ["tag", "untag", "save", "untag", "remove", "loadfromarchive", "untag", "remove", "import"];
    let told: Vec<&str> = told.iter().map(String::as_str).filter(|word| *word != "pull").collect();
    assert_eq!(told, expected);
    // An archive is called by its path.
    for event in ["event=save", "event=load"] {
        let events = ["events", "--stream=false", "--filter", event, "--format", "{{.Name}}"];
        assert_eq!(env.coracle(events).ok().text(), "a.tar", "{event}");
    }
}

/// Killed at any moment, `load` leaves only what the next `image prune` removes.
#[test]
fn a_killed_load_leaves_nothing_that_stays() {
    let env = TestEnv::new();
    let big: Vec<u8> = (0..4_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let image = busybox().layer(Layer::new().zip(Zip::Plain).file("big", 0o644, big));
    let (name, id) = env.pulled(image, "save/kill");
    env.coracle(["save", "-o", "a.tar", &name]).ok();
    env.coracle(["rmi", &name]).ok();
    for round in 0..16u64 {
        let mut load = env.coracle(["load", "-q", "-i", "a.tar"]).start();
        std::thread::sleep(std::time::Duration::from_millis(round * 7));
        let pid = load.pid();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        if round % 2 == 0 {
            load.signal(nix::sys::signal::Signal::SIGKILL);
        }
        for child in children.split_whitespace() {
            let child = nix::unistd::Pid::from_raw(child.parse().unwrap());
            let _ = nix::sys::signal::kill(child, nix::sys::signal::Signal::SIGKILL);
        }
        while !load.has_ended() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        // Whatever is listed is whole, though it may lack its name.
        if env.coracle(["images", "-q", "--no-trunc"]).ok().text() != "" {
            assert_eq!(inspect(&env, &id, "{{.Id}}"), id);
            env.coracle(["run", "--rm", "--network=none", &id, "true"]).ok();
            env.coracle(["rmi", "--force", &id]).ok();
        }
    }
    // What is left where it was killed while it wrote a record.
    fs::write(env.root().join("refs/.new-1"), "{").unwrap();
    // A day later.
    for dir in ["tmp", "oci/blobs/sha256"] {
        for left in fs::read_dir(env.root().join(dir)).unwrap().flatten() {
            let file = fs::File::open(left.path()).unwrap();
            file.set_modified(std::time::UNIX_EPOCH).unwrap();
        }
    }
    env.coracle(["image", "prune", "-f"]).ok();
    for dir in ["images", "refs", "layers", "tmp", "trash", "oci/blobs/sha256"] {
        assert_eq!(fs::read_dir(env.root().join(dir)).unwrap().count(), 0, "{dir}");
    }
    env.coracle(["load", "-q", "-i", "a.tar"]).ok();
    assert_eq!(inspect(&env, &name, "{{.Id}}"), id);
}

struct Architecture;

impl Architecture {
    fn host() -> &'static str {
        match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        }
    }
}

#[test]
fn what_others_prune_meanwhile_is_loaded_again() {
    let env = TestEnv::new();
    let (name, _) = env.pulled(busybox(), "load/pruned");
    env.coracle(["save", "-q", "-o", "image.tar", &name]).ok();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(3);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while std::time::Instant::now() < until {
                env.coracle(["image", "prune", "-af"]).ok();
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                while std::time::Instant::now() < until {
                    env.coracle(["load", "-q", "-i", "image.tar"]).ok();
                }
            });
        }
    });
}
