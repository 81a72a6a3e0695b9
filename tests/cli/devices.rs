//! `run --device`, CDI and `--gpus`.

use crate::common::{Layer, Output, TestEnv, shared_registry};
use serde_json::json;

#[track_caller]
fn out(env: &TestEnv, options: &[&str], script: &str) -> String {
    let base = ["run", "--rm", "--network=none"];
    env.coracle(base).args(options).args(["busybox", "sh", "-c", script]).ok().text().to_owned()
}

/// A refusal that makes nothing.
#[track_caller]
fn refused(env: &TestEnv, options: &[&str], names: &str) -> Output {
    let output = env.coracle(["run", "--rm", "--network=none"]).args(options).args(["busybox", "true"]);
    let output = output.fails(125);
    assert!(
        output.stderr.lines().any(|line| line.starts_with("Error:") && line.contains(names)),
        "{names}: {output}"
    );
    assert!(env.containers().is_empty(), "{output}");
    output
}

#[test]
fn nodes_of_the_host_are_shown() {
    let env = TestEnv::with_images();
    let kind = "stat -c '%F %t:%T'";
    assert_eq!(
        out(
            &env,
            &["--device", "/dev/full"],
            &format!("{kind} /dev/full; echo x 2>/dev/null >/dev/full || echo no")
        ),
        "character special file 1:7\nno"
    );
    // Another name, in directories that are made, and outside of /dev.
    let others = ["--device", "/dev/null:/dev/a/b/c", "--device=/dev/zero:/srv/zero:rw"];
    let script = format!("{kind} /dev/a/b/c /srv/zero; echo gone >/dev/a/b/c; head -c2 /srv/zero | wc -c");
    assert_eq!(out(&env, &others, &script), "character special file 1:3\ncharacter special file 1:5\n2");
    // A directory gives what is in it.
    assert_eq!(out(&env, &["--device", "/dev/net"], "stat -c %F /dev/net/tun"), "character special file");
    // A link is followed on the host.
    std::os::unix::fs::symlink("/dev/null", env.path().join("link")).unwrap();
    let link = format!("{}:/dev/linked", env.path().join("link").display());
    assert_eq!(out(&env, &["--device", &link], "stat -c %t:%T /dev/linked"), "1:3");
    let base = ["run", "-d", "--name", "web", "--network=none", "--device", "/dev/null:/dev/x:r", "busybox"];
    env.coracle(base).args(["sleep", "1000"]).ok().says("cannot restrict access");
    let shown = env.coracle(["inspect", "web", "--format", "{{json .HostConfig.Devices}}"]).ok();
    let wanted =
        json!([{ "PathOnHost": "/dev/null", "PathInContainer": "/dev/x", "CgroupPermissions": "r" }]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(shown.text()).unwrap(), wanted);
    env.coracle(["rm", "-f", "-t0", "web"]).ok();

    // What everybody may open comes with --privileged; terminals and what is there already do not.
    let everybody = std::fs::metadata("/dev/fuse")
        .is_ok_and(|s| std::os::unix::fs::PermissionsExt::mode(&s.permissions()) & 6 == 6);
    let listed = out(&env, &["--privileged"], "ls /dev");
    assert_eq!(listed.lines().any(|name| name == "fuse"), everybody, "{listed}");
    assert!(!listed.lines().any(|name| name == "tty0"), "{listed}");
    assert!(!out(&env, &[], "ls /dev").contains("fuse"));
    refused(&env, &["--device", "/dev/nosuch"], "/dev/nosuch").says("Hint:");
    refused(&env, &["--device", "/etc/passwd"], "not a device").says("-v /etc/passwd");
    refused(&env, &["--device", "/etc/ssl"], "/etc/ssl");
    refused(&env, &["--device", "/dev/null:wat"], "permissions");
    refused(&env, &["--device", "null"], "absolute");
    refused(&env, &["--device-cgroup-rule", "c 1:3 r"], "device cgroup");
}

/// What an image puts where a device is to appear leads nowhere else.
#[test]
fn case_16_a_device_stays_inside() {
    let env = TestEnv::new();
    let outside = env.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    let absolute = outside.display().to_string();
    let up = format!("../../../../../../..{absolute}");
    let links = || Layer::new().symlink("srv/up", &up).symlink("srv/abs", &absolute);
    let image = |tag: &str, layer: Layer| {
        crate::common::busybox().layer(layer).push(shared_registry(), "devices/links", tag);
        shared_registry().reference("devices/links", tag)
    };
    let run = |image: &str, place: &str| {
        let device = format!("--device=/dev/null:{place}/node");
        let base = env.coracle(["run", "--rm", "--network=none", &device, image]);
        base.args(["stat", "-c", "%t:%T", &format!("{place}/node")]).run()
    };
    let plain = image("plain", links());
    for place in ["/srv/up", "/srv/abs"] {
        let output = run(&plain, place);
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0, "{output}");
        assert_eq!(output.stdout, "1:3\n", "{output}");
    }
    // A /dev that is a link is no place for devices at all.
    let output = run(&image("dev", links().symlink("dev", &absolute)), "/dev");
    assert_eq!((output.code, output.stdout.as_str()), (125, ""), "{output}");
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0, "{output}");
}

#[test]
fn specifications_say_what_a_device_needs() {
    let env = TestEnv::with_images();
    std::fs::create_dir(env.path().join("cdi")).unwrap();
    env.file("shared/lib", "library");
    let library = env.path().join("shared/lib").display().to_string();
    let spec = json!({
        "cdiVersion": "0.6.0",
        "kind": "vendor.com/net",
        "devices": [
            { "name": "one", "containerEdits": { "deviceNodes": [{ "path": "/dev/vendor1", "hostPath": "/dev/null" }] } },
            { "name": "two", "containerEdits": {
                "env": ["ONE=spec", "TWO=spec"],
                "mounts": [{ "hostPath": library, "containerPath": "/usr/lib/vendor", "options": ["ro", "nosuid", "bind"] }],
                "hooks": [{ "hookName": "createContainer", "path": "/usr/bin/vendor-hook", "args": ["vendor-hook", "ldcache"] }],
            } },
            { "name": "gone", "containerEdits": { "deviceNodes": [{ "path": "/dev/nosuch" }] } },
        ],
        "containerEdits": { "env": ["VENDOR=yes"] },
    });
    env.file("cdi/vendor.json", spec.to_string());
    env.file("cdi/gpu.yaml", "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices:\n- name: all\n  containerEdits:\n    deviceNodes:\n    - path: /dev/nvidia0\n      hostPath: /dev/zero\n- name: 0\n  containerEdits: {env: [GPU=0]}\n");
    env.file("cdi/broken.yaml", "cdiVersion: [");
    env.file("cdi/README", "not a specification");
    let dir = ["--cdi-spec-dir", "cdi"];
    let with =
        |options: &[&'static str]| -> Vec<&'static str> { dir.iter().chain(options).copied().collect() };
    assert_eq!(
        out(&env, &with(&["--device", "vendor.com/net=one"]), "stat -c %t:%T /dev/vendor1; echo $VENDOR"),
        "1:3\nyes"
    );
    let base =
        env.coracle(["run", "--rm", "--network=none", "--device=vendor.com/net=two", "-e", "TWO=user"]);
    let script =
        "echo $VENDOR $ONE $TWO; cat /usr/lib/vendor; echo; echo x 2>/dev/null >/usr/lib/vendor || echo ro";
    let output = base.args(dir).args(["busybox", "sh", "-c", script]).ok();
    assert_eq!(output.text(), "yes spec user\nlibrary\nro");
    // No program of the host is run, and the user learns it; a broken file is told of.
    output.says("vendor-hook").says("broken.yaml");
    assert_eq!(out(&env, &with(&["--gpus", "all"]), "stat -c %t:%T /dev/nvidia0"), "1:5");
    assert_eq!(out(&env, &with(&["--gpus", "device=0"]), "echo $GPU"), "0");
    assert_eq!(out(&env, &with(&["--gpus", "1"]), "echo $GPU"), "0");
    refused(&env, &with(&["--device", "vendor.com/net=wat"]), "vendor.com/net=wat")
        .says("vendor.com/net=one");
    refused(&env, &with(&["--device", "vendor.com/net=gone"]), "vendor.com/net=gone").says("/dev/nosuch");
    refused(&env, &["--cdi-spec-dir", "nowhere", "--gpus", "all"], "nvidia.com/gpu=all").says("nvidia-ctk");
    refused(&env, &["--gpus", "wat"], "--gpus");
}
