//! `commit`.

use crate::common::{TestEnv, busybox, shared_registry};
use serde_json::{Value, json};
use std::fs;

fn image(env: &TestEnv) -> String {
    busybox().config("Labels", json!({"of": "image"})).push(shared_registry(), "commit/base", "1");
    let name = shared_registry().reference("commit/base", "1");
    env.coracle(["pull", "-q", &name]).ok();
    name
}

fn inspect(env: &TestEnv, image: &str) -> Value {
    env.coracle(["image", "inspect", image]).ok().json()[0].clone()
}

fn run(env: &TestEnv, image: &str, script: &str) -> String {
    env.coracle(["run", "--rm", "--network=none", image, "sh", "-c", script]).ok().text().to_owned()
}

#[test]
fn what_a_container_wrote_becomes_a_layer() {
    let env = TestEnv::new();
    let base = image(&env);
    let script = "echo new >/new; rm /etc/group; rm -r /var; mkdir /var; echo v >/var/v; chmod 700 /home; chown 7:8 /home; \
                  ln /new /hard; ln -s new /soft; mkfifo /fifo; chmod 4755 /new; printf k%s ept >/v/secret";
    env.coracle([
        "run",
        "--name=c",
        "--network=none",
        "-v",
        "vol:/v",
        "-e",
        "A=b",
        "-l",
        "mine=1",
        "-w",
        "/tmp",
        "--expose=81",
        &base,
        "sh",
        "-c",
        script,
    ])
    .ok();
    let id = env.coracle(["commit", "-q", "-a", "me", "-m", "why", "c", "made"]).ok().text().to_owned();
    let seen = inspect(&env, "localhost/made:latest");
    assert_eq!(seen["Id"], id.as_str());
    assert_eq!(seen["ManifestType"], "application/vnd.oci.image.manifest.v1+json");
    assert_eq!((&seen["Author"], &seen["Comment"]), (&json!("me"), &json!("why")));
    assert_eq!(seen["RootFS"]["Layers"].as_array().unwrap().len(), 2);
    assert_eq!(seen["Labels"], json!({"of": "image", "mine": "1"}));
    let config = &seen["Config"];
    assert_eq!((&config["Cmd"][2], &config["WorkingDir"]), (&json!(script), &json!("/tmp")));
    assert_eq!(config["ExposedPorts"], json!({"81/tcp": {}}));
    let entries: Vec<&str> = config["Env"].as_array().unwrap().iter().map(|e| e.as_str().unwrap()).collect();
    assert!(entries.contains(&"A=b") && entries.iter().any(|e| e.starts_with("PATH=")), "{entries:?}");
    assert!(
        !entries.iter().any(|e| e.starts_with("HOSTNAME=") || e.starts_with("container=")),
        "{entries:?}"
    );
    assert_eq!(
        run(
            &env,
            "made",
            "cat /new /hard /soft /var/v; ls /var /etc/group 2>&1; stat -c '%a %u %g' /home /new; stat -c %h /new; test -p /fifo && echo fifo; ls -A /v"
        ),
        "new\nnew\nnew\nv\nls: /etc/group: No such file or directory\n/var:\nv\n700 7 8\n4755 0 0\n2\nfifo"
    );
    // The volume's content is not in it, nor is anything of a mount.
    env.coracle(["save", "-o", "made.tar", "made"]).ok();
    let saved = fs::read(env.path().join("made.tar")).unwrap();
    assert!(!saved.windows(4).any(|w| w == b"kept"));
    assert_eq!(fs::read_dir(env.root().join("tmp")).unwrap().count(), 0);
}

#[test]
fn running_containers_are_committed_too() {
    let env = TestEnv::new();
    let base = image(&env);
    let script = "echo one >/one; echo ready; sleep 600";
    env.coracle(["run", "-d", "--name=c", "--network=none", &base, "sh", "-c", script]).ok();
    while !env.coracle(["logs", "c"]).ok().stdout.contains("ready") {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    env.coracle(["container", "commit", "c", "live"]).ok();
    assert_eq!(run(&env, "live", "cat /one"), "one");
    env.coracle(["commit", "--squash", "-c", "CMD [\"cat\", \"/one\"]", "c", "flat"]).ok();
    let flat = inspect(&env, "flat");
    assert_eq!(flat["RootFS"]["Layers"].as_array().unwrap().len(), 1);
    assert_eq!(flat["History"].as_array().unwrap().len(), 1);
    // Without base layers, and nothing of proc or sys in it.
    assert_eq!(env.coracle(["run", "--rm", "--network=none", "flat"]).ok().text(), "one");
    assert_eq!(
        run(&env, "flat", "cat /etc/passwd | head -n1; ls /bin/busybox"),
        "root:x:0:0:root:/root:/bin/sh\n/bin/busybox"
    );
    // With --pause it stands still meanwhile, where this host lets it; else the reason is told.
    let can_pause = env.coracle(["pause", "c"]).run().code == 0;
    if can_pause {
        env.coracle(["unpause", "c"]).ok();
        env.coracle(["commit", "--pause", "c", "paused"]).ok();
    } else {
        env.coracle(["commit", "--pause", "c", "paused"]).fails(125).says("Hint:");
        env.coracle(["image", "exists", "paused"]).fails(1);
    }
    assert_eq!(env.coracle(["inspect", "-f", "{{.State.Status}}", "c"]).ok().text(), "running");
}

#[test]
fn options_of_commit() {
    let env = TestEnv::new();
    let base = image(&env);
    env.coracle(["run", "--name=c", "--network=none", "-v", "vol:/data", &base, "true"]).ok();
    let iid = env.path().join("iid");
    let output =
        env.coracle(["commit", "-f", "docker", "--include-volumes", "--pause", "--iidfile"]).arg(&iid);
    let changes = [
        "-c",
        "ENTRYPOINT=/bin/e",
        "-c",
        "LABEL a=b",
        "-c",
        "ONBUILD RUN x",
        "-c",
        "STOPSIGNAL 9",
        "-c",
        "USER u",
        "-c",
        "VOLUME /w",
        "-c",
        "EXPOSE 1/udp",
        "-c",
        "ENV X=y",
        "-c",
        "WORKDIR /q",
    ];
    let id = output.args(changes).args(["c", "quay.io/a/b:3"]).ok().text().to_owned();
    assert_eq!(fs::read_to_string(&iid).unwrap(), id);
    let seen = inspect(&env, "quay.io/a/b:3");
    assert_eq!(seen["ManifestType"], "application/vnd.docker.distribution.manifest.v2+json");
    let config = &seen["Config"];
    assert_eq!(config["Volumes"], json!({"/data": {}, "/w": {}}));
    assert_eq!(config["Entrypoint"], json!(["/bin/sh", "-c", "/bin/e"]));
    assert_eq!(
        (&config["User"], &config["StopSignal"], &config["WorkingDir"]),
        (&json!("u"), &json!("9"), &json!("/q"))
    );
    env.coracle(["commit", "nothing"]).fails(125).says("nothing");
    env.coracle(["commit", "-c", "FOO x", "c"]).fails(125).says("FOO is not known");
    env.coracle(["commit", "-f", "zip", "c"]).fails(125);
    env.coracle(["commit", "c", "Bad Name"]).fails(125);
    let tree = env.busybox_rootfs();
    env.coracle(["run", "--name=plain", "--network=none", "--rootfs"]).arg(&tree).arg("true").ok();
    env.coracle(["commit", "plain"]).fails(125).says("coracle export plain | coracle import -");
    // The new image and its base are removed without harm to each other.
    env.coracle(["rm", "c"]).ok();
    env.coracle(["rmi", &base]).ok();
    env.coracle(["save", "-o", "x.tar", "quay.io/a/b:3"]).ok();
}

/// An image may have layers without a history; they stay apart from the new step.
#[test]
fn layers_without_a_history_stay_without() {
    let env = TestEnv::new();
    busybox().untold().push(shared_registry(), "commit/untold", "1");
    let base = shared_registry().reference("commit/untold", "1");
    env.coracle(["run", "--name=c", "--network=none", &base, "sh", "-c", "echo four >/f"]).ok();
    env.coracle(["commit", "-q", "-m", "mine", "c", "made"]).ok();
    let lines = env.coracle(["history", "--format", "{{.Size}} {{.Comment}}", "made"]).ok().lines();
    assert_eq!(lines[0], "5 B mine", "{lines:?}");
    assert!(lines[1..].iter().all(|line| !line.contains("mine")), "{lines:?}");
}

/// What is mounted into a container stays out of images that are made of it, secrets before all.
#[test]
fn secrets_and_mounts_are_never_committed() {
    let env = TestEnv::new();
    let base = image(&env);
    env.coracle(["secret", "create", "token", "-"]).stdin("hush-hush").ok();
    env.file("host/file", "of-the-host");
    let bind = format!("{}:/bound", env.path().join("host").display());
    let script = "cat /run/secrets/token /bound/file; echo $TOKEN; echo ready; sleep 600";
    env.coracle([
        "run",
        "-d",
        "--name=c",
        "--network=none",
        "--secret=token",
        "--secret=token,type=env,target=TOKEN",
    ])
    .args(["--secret=token,target=/etc/token", "-v", &bind, "--tmpfs=/scratch", &base, "sh", "-c", script])
    .ok();
    while !env.coracle(["logs", "c"]).ok().stdout.contains("ready") {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(env.coracle(["logs", "c"]).ok().stdout.starts_with("hush-hushof-the-hosthush-hush"));
    env.coracle(["exec", "c", "sh", "-c", "echo in-memory >/scratch/file"]).ok();
    let assert_none = |name: &str| {
        let saved = env.coracle(["save", name]).ok().bytes;
        for secret in ["hush-hush", "of-the-host", "in-memory"] {
            assert!(!saved.windows(secret.len()).any(|w| w == secret.as_bytes()), "{name}: {secret}");
        }
    };
    env.coracle(["commit", "c", "running"]).ok();
    env.coracle(["commit", "--squash", "c", "running-flat"]).ok();
    env.coracle(["kill", "c"]).ok();
    env.coracle(["wait", "c"]).ok();
    env.coracle(["commit", "--include-volumes", "c", "ended"]).ok();
    env.coracle(["commit", "-s", "c", "ended-flat"]).ok();
    for name in ["running", "running-flat", "ended", "ended-flat"] {
        assert_none(name);
    }
}

#[test]
fn nothing_is_made_for_a_file_that_cannot_be_written() {
    let env = TestEnv::with_images();
    env.coracle(["run", "--name=c", "--network=none", "busybox", "true"]).ok();
    let missing = env.path().join("no/iid");
    env.coracle(["commit", "--iidfile"]).arg(&missing).args(["c", "made"]).fails(125).says("--iidfile");
    env.coracle(["image", "exists", "made"]).fails(1);
    let kept = env.file("iid", "of another one");
    let new = env.path().join("new");
    let link = env.path().join("link");
    std::os::unix::fs::symlink("nowhere", &link).unwrap();
    for file in [&kept, &new, &link] {
        env.coracle(["commit", "-c", "LABEL x", "--iidfile"]).arg(file).args(["nobody", "made"]).fails(125);
        env.coracle(["commit", "--iidfile"]).arg(file).args(["nobody", "made"]).fails(125).says("nobody");
    }
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), "of another one");
    assert!(!new.exists());
    assert!(link.is_symlink(), "the link is the caller's");
    let id = env.coracle(["commit", "--iidfile"]).arg(&kept).args(["c", "made"]).ok();
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), id.text());
}
