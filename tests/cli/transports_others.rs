//! Transports with other programs on the other side: skopeo, umoci and podman.

use crate::common::{Layer, Output, TestEnv, Zip, busybox, shared_registry, skip, which};
use std::fs;

fn inspect(env: &TestEnv, image: &str, format: &str) -> String {
    env.coracle(["image", "inspect", "-f", format, image]).ok().text().to_owned()
}

fn forget(env: &TestEnv) {
    env.coracle(["rmi", "-a", "-f"]).ok();
}

/// What skopeo reads has our digests, and what it writes has its own when it is here.
#[test]
fn skopeo_keeps_the_digests_of_each_transport() {
    if which("skopeo").is_none() {
        return skip("skopeo is not installed");
    }
    let env = TestEnv::new();
    let skopeo = |args: &[&str]| env.program("skopeo").arg("--insecure-policy").args(args).ok();
    let top = Layer::new().zip(Zip::Gzip).file("last", 0o644, "12");
    let (name, id) = env.pulled(busybox().layer(top), "others/skopeo");
    let digest = inspect(&env, &name, "{{.Digest}}");
    for place in ["oci:ours:v/a:1", "oci-archive:ours.tar:a", "dir:ours.d"] {
        env.coracle(["push", "-q", &name, place]).ok();
        assert_eq!(skopeo(&["inspect", "--format", "{{.Digest}}", place]).text(), digest, "{place}");
    }
    env.coracle(["push", "-q", &name, "docker-archive:ours-d.tar:a"]).ok();
    forget(&env);
    for (number, from) in ["oci:ours:v/a:1", "oci-archive:ours.tar:a", "dir:ours.d"].into_iter().enumerate() {
        for to in ["oci:theirs:", "oci-archive:theirs.tar:", "dir:theirs.d"] {
            let to = if to.starts_with("dir") { format!("{to}{number}") } else { format!("{to}n{number}") };
            skopeo(&["copy", "-q", "--preserve-digests", from, &to]);
            assert_eq!(env.coracle(["pull", "-q", &to]).ok().text(), id, "{from} {to}");
            assert_eq!(inspect(&env, &id, "{{.Digest}}"), digest, "{from} {to}");
            forget(&env);
            let _ = fs::remove_file(env.path().join("theirs.tar"));
        }
    }
    // Through docker's form, which has no manifest, the image is the same.
    skopeo(&["copy", "-q", "oci:ours:v/a:1", "docker-archive:theirs-d.tar:b/c:2"]);
    for place in ["docker-archive:theirs-d.tar", "docker-archive:ours-d.tar:a"] {
        assert_eq!(env.coracle(["pull", "-q", place]).ok().text(), id, "{place}");
    }
    assert_eq!(inspect(&env, "docker.io/b/c:2", "{{.Id}}"), id);
    forget(&env);
    env.coracle(["pull", "-q", "oci:ours:v/a:1"]).ok();
    // What skopeo adds to our layout leaves ours, and the other way round.
    skopeo(&["copy", "-q", "dir:ours.d", "oci:ours:theirs"]);
    env.coracle(["push", "-q", &id, "oci:ours:more"]).ok();
    for tag in ["v/a:1", "theirs", "more"] {
        let place = format!("oci:ours:{tag}");
        assert_eq!(skopeo(&["inspect", "--format", "{{.Digest}}", &place]).text(), digest, "{tag}");
        assert_eq!(env.coracle(["pull", "-q", &place]).ok().text(), id, "{tag}");
    }
}

/// umoci unpacks what we have written, and what it has packed again runs here.
#[test]
fn umoci_changes_an_image_on_its_way() {
    if which("umoci").is_none() {
        return skip("umoci is not installed");
    }
    let env = TestEnv::new();
    let umoci = |args: &[&str]| env.program("umoci").args(args).ok();
    let (name, id) = env.pulled(busybox(), "others/umoci");
    let digest = inspect(&env, &name, "{{.Digest}}");
    env.coracle(["push", "-q", &name, "oci:layout:old"]).ok();
    forget(&env);
    umoci(&["unpack", "--rootless", "--image", "layout:old", "bundle"]);
    assert!(env.path().join("bundle/rootfs/bin/busybox").exists());
    fs::write(env.path().join("bundle/rootfs/added"), "by umoci").unwrap();
    fs::remove_file(env.path().join("bundle/rootfs/etc/group")).unwrap();
    umoci(&["repack", "--image", "layout:new", "bundle"]);
    umoci(&["config", "--image", "layout:new", "--config.label", "from=umoci"]);
    env.coracle(["pull", "-q", "oci:layout:new"]).ok();
    let script = "cat /added; test ! -e /etc/group";
    let said = env.coracle(["run", "--rm", "--network=none", "localhost/new", "sh", "-ec", script]).ok();
    assert_eq!(said.text(), "by umoci");
    assert_eq!(inspect(&env, "new", "{{index .Labels \"from\"}}"), "umoci");
    // The old one is what it was, and umoci finds both in what we write.
    env.coracle(["pull", "-q", "oci:layout:old"]).ok();
    assert_eq!(inspect(&env, &id, "{{.Id}} {{.Digest}}"), format!("{id} {digest}"));
    env.coracle(["push", "-q", "new", "oci:layout:newer"]).ok();
    let mut tags = umoci(&["ls", "--layout", "layout"]).lines();
    tags.sort();
    assert_eq!(tags, ["new", "newer", "old"]);
    umoci(&["stat", "--image", "layout:newer"]);
}

/// Archives and directories of podman's come here with their ids and names, and ours go there.
#[test]
fn podman_takes_and_gives_images() {
    if which("podman").is_none() {
        return skip("podman is not installed");
    }
    let env = TestEnv::new();
    let podman = |args: &[&str]| podman(&env, args);
    let top = Layer::new().zip(Zip::Gzip).file("last", 0o644, "12");
    let (name, id) = env.pulled(busybox().layer(top), "others/podman");
    let digest = inspect(&env, &name, "{{.Digest}}");
    // Ours to podman, through `load` and through `pull`.
    env.coracle(["save", "-q", "-o", "save.tar", &name]).ok();
    env.coracle(["save", "-q", "--format=oci-archive", "-o", "save-oci.tar", &name]).ok();
    env.coracle(["push", "-q", &name, "oci:layout:a"]).ok();
    env.coracle(["push", "-q", &name, "dir:plain"]).ok();
    for load in [
        &["load", "-q", "-i", "save.tar"][..],
        &["load", "-q", "-i", "save-oci.tar"],
        &["pull", "-q", "oci:layout:a"],
        &["pull", "-q", "dir:plain"],
        &["pull", "-q", "docker-archive:save.tar"],
    ] {
        podman(load);
        let found = podman(&["images", "-q", "--no-trunc"]);
        assert!(found.lines().iter().all(|line| *line == format!("sha256:{id}")), "{load:?}: {found}");
        if load[3..].join(" ").contains("save") || load[2].contains("save") {
            assert_eq!(podman(&["image", "inspect", "-f", "{{.Id}}", &name]).text(), id, "{load:?}");
        }
        if !load.concat().contains("save.tar") {
            assert_eq!(podman(&["image", "inspect", "-f", "{{.Digest}}", &id]).text(), digest, "{load:?}");
        }
        if load[2] != "dir:plain" {
            podman(&["rmi", "-f", &id]);
        }
    }
    // Podman's to us.
    podman(&["load", "-q", "-i", "save-oci.tar"]);
    podman(&["save", "-q", "-o", "theirs.tar", &name]);
    podman(&["save", "-q", "--format=oci-archive", "-o", "theirs-oci.tar", &name]);
    podman(&["push", "-q", &name, "oci:theirs:a"]);
    podman(&["push", "-q", &name, "dir:theirs.d"]);
    for words in [
        &["load", "-q", "-i", "theirs.tar"][..],
        &["load", "-q", "-i", "theirs-oci.tar"],
        &["pull", "-q", "docker-archive:theirs.tar"],
        &["pull", "-q", "oci-archive:theirs-oci.tar"],
        &["pull", "-q", "oci:theirs:a"],
        &["pull", "-q", "dir:theirs.d"],
    ] {
        forget(&env);
        env.coracle(words).ok();
        assert_eq!(inspect(&env, &id, "{{.Id}}"), id, "{words:?}");
        let said = env.coracle(["run", "--rm", "--network=none", &id, "cat", "/last"]).ok();
        assert_eq!(said.text(), "12", "{words:?}");
        if words.concat().contains(".tar") {
            assert_eq!(inspect(&env, &name, "{{.Id}}"), id, "{words:?}");
        }
    }
    end_podman(&env);
}

/// Runs podman with a store of its own.
fn podman(env: &TestEnv, args: &[&str]) -> Output {
    let place = |name: &str| env.path().join(name).display().to_string();
    let roots = ["--root".to_owned(), place("podman"), "--runroot".to_owned(), place("podman.run")];
    let podman = env.program("podman").args(roots);
    podman.args(["--storage-driver=vfs", "--events-backend=none"]).args(args).ok()
}

fn end_podman(env: &TestEnv) {
    env.program("podman").args(["unshare", "rm", "-rf", "podman", "podman.run"]).ok();
    // It leaves a process that keeps its user namespace.
    let pause = fs::read_to_string(env.path().join("run/libpod/tmp/pause.pid")).unwrap();
    let pause = nix::unistd::Pid::from_raw(pause.trim().parse().unwrap());
    nix::sys::signal::kill(pause, nix::sys::signal::Signal::SIGKILL).unwrap();
}

#[test]
fn podman_reads_lists_and_archives_of_several_images() {
    if which("podman").is_none() {
        return skip("podman is not installed");
    }
    let (env, registry) = (TestEnv::new(), shared_registry());
    fs::create_dir(env.path().join("context")).unwrap();
    env.file("context/Containerfile", "FROM scratch\nARG TARGETARCH\nLABEL arch=$TARGETARCH\nCOPY f /f\n");
    env.file("context/f", "1");
    let list = registry.reference("others/list", "1");
    env.coracle(["build", "-q", "--platform=linux/s390x,linux/amd64", "-t", &list, "context"]).ok();
    env.coracle(["manifest", "push", "-q", &list]).ok();
    for (options, arch) in [(&["-q"][..], "amd64"), (&["-q", "--arch=s390x"], "s390x")] {
        let pull = [&["pull", "--tls-verify=false"], options, &[&list]].concat();
        let id = podman(&env, &pull).text().to_owned();
        let seen = podman(&env, &["image", "inspect", "-f", "{{.Architecture}} {{.Labels.arch}}", &id]);
        assert_eq!(seen.text(), format!("{arch} {arch}"));
    }
    podman(&env, &["rmi", "-af"]);
    // Two images in an archive, one of them with two names; layers that are not compressed.
    let (one, one_id) = env.pulled(busybox(), "others/one");
    let (two, two_id) = env.pulled(busybox().layer(Layer::new().file("2", 0o644, "2")), "others/two");
    env.coracle(["tag", &two, "localhost/again:2"]).ok();
    env.coracle(["save", "-q", "-m", "--uncompressed", "-o", "ours.tar", &one, &two, "localhost/again:2"])
        .ok();
    let ids = |said: Output| {
        let mut ids: Vec<String> =
            said.lines().iter().map(|id| id.trim_start_matches("sha256:").to_owned()).collect();
        ids.sort();
        ids.dedup();
        ids
    };
    let mut both = vec![one_id, two_id.clone()];
    both.sort();
    podman(&env, &["load", "-q", "-i", "ours.tar"]);
    assert_eq!(ids(podman(&env, &["images", "-q", "--no-trunc"])), both);
    assert_eq!(podman(&env, &["image", "inspect", "-f", "{{.Id}}", "localhost/again:2"]).text(), two_id);
    podman(
        &env,
        &["save", "-q", "-m", "--uncompressed", "-o", "theirs.tar", &one, &two, "localhost/again:2"],
    );
    forget(&env);
    env.coracle(["load", "-q", "-i", "theirs.tar"]).ok();
    assert_eq!(ids(env.coracle(["images", "-q", "--no-trunc"]).ok()), both);
    assert_eq!(inspect(&env, "localhost/again:2", "{{.Id}}"), two_id);
    end_podman(&env);
}
