//! `inspect`.

use super::ps::{IDLE, start};
use crate::common::TestEnv;

#[test]
fn a_container_is_shown_in_dockers_shape() {
    let env = TestEnv::new();
    let options = [
        "-e",
        "A=b",
        "-l",
        "tier=x",
        "-w",
        "/tmp",
        "--hostname",
        "box",
        "-v",
        "vol:/data:ro",
        "--tmpfs",
        "/scratch:size=1m",
        "--annotation",
        "who=me",
        "--cidfile",
        "web.id",
    ];
    let id = start(&env, "web", &options, IDLE);
    let shown = env.coracle(["inspect", "web"]).ok().json();
    let web = &shown[0];
    assert_eq!((&web["Id"], &web["Name"]), (&id.as_str().into(), &"web".into()));
    assert_eq!((&web["Path"], &web["Args"][0]), (&"sh".into(), &"-c".into()));
    let state = &web["State"];
    assert_eq!(
        (&state["Status"], &state["Running"], &state["Paused"]),
        (&"running".into(), &true.into(), &false.into())
    );
    assert!(state["Pid"].as_i64().unwrap() > 1 && state["ConmonPid"].as_i64().unwrap() > 1);
    assert_eq!(state["FinishedAt"], "0001-01-01T00:00:00Z");
    assert!(chrono::DateTime::parse_from_rfc3339(state["StartedAt"].as_str().unwrap()).is_ok());
    let config = &web["Config"];
    assert_eq!((&config["Hostname"], &config["WorkingDir"]), (&"box".into(), &"/tmp".into()));
    assert_eq!((&config["Labels"]["tier"], &config["StopSignal"]), (&"x".into(), &"SIGTERM".into()));
    assert!(config["Env"].as_array().unwrap().contains(&"A=b".into()));
    assert_eq!(config["Annotations"]["who"], "me");
    let host = &web["HostConfig"];
    assert_eq!((&host["NetworkMode"], &host["AutoRemove"]), (&"none".into(), &false.into()));
    assert_eq!(host["ContainerIDFile"], env.path().join("web.id").to_str().unwrap());
    assert!(host["Tmpfs"]["/scratch"].as_str().unwrap().contains("size=1048576"));
    let mount = &web["Mounts"][0];
    assert_eq!(
        (&mount["Type"], &mount["Name"], &mount["Destination"]),
        (&"volume".into(), &"vol".into(), &"/data".into())
    );
    assert_eq!(mount["RW"], false);
    env.coracle(["stop", "web"]).ok();
    let state = env
        .coracle([
            "container",
            "inspect",
            "-f",
            "{{.State.Status}} {{.State.Pid}} {{.State.ExitCode}}",
            &id[..7],
        ])
        .ok();
    assert_eq!(state.text(), "exited 0 0");
}

#[test]
fn formats_sizes_and_the_latest() {
    let env = TestEnv::new();
    start(&env, "a", &[], "exit 0");
    start(&env, "b", &[], "exit 0");
    env.coracle(["wait", "a", "b"]).ok();
    let names = env.coracle(["inspect", "--format", "{{.Name}}", "b", "a"]).ok();
    assert_eq!(names.lines(), ["b", "a"]);
    assert_eq!(env.coracle(["inspect", "-l", "-f", "{{.Name}}"]).ok().text(), "b");
    let json = env.coracle(["inspect", "--format", "json", "-s", "a"]).ok().json();
    assert!(json[0]["SizeRw"].is_u64());
    assert!(env.coracle(["inspect", "a"]).ok().json()[0].get("SizeRw").is_none());
    env.coracle(["inspect", "-f", "{{.Nam}}", "a"]).fails(125).says(".Nam");
    env.coracle(["inspect", "-f", "{{.Name", "a"]).fails(125);
}

#[test]
fn an_image_is_shown() {
    let env = TestEnv::with_images();
    let shown = env.coracle(["inspect", "busybox"]).ok().json();
    let image = &shown[0];
    assert_eq!(image["Id"].as_str().unwrap().len(), 64);
    assert!(image["Digest"].as_str().unwrap().starts_with("sha256:"));
    assert_eq!(image["RepoTags"][0], "docker.io/library/busybox:latest");
    assert!(image["RepoDigests"][0].as_str().unwrap().contains("busybox@sha256:"));
    assert_eq!((&image["Os"], &image["RootFS"]["Type"]), (&"linux".into(), &"layers".into()));
    assert!(image["Size"].as_u64().unwrap() > 0);
    assert_eq!(image["RootFS"]["Layers"].as_array().unwrap().len(), 1);
    let by_id = image["Id"].as_str().unwrap();
    assert_eq!(env.coracle(["image", "inspect", by_id]).ok().json(), shown);
    env.coracle(["container", "inspect", "busybox"]).fails(125);
    assert_eq!(env.coracle(["image", "ls"]).ok().stdout, env.coracle(["images"]).ok().stdout);
    env.coracle(["image", "rm", "nothing"]).fails(1).says("nothing");
    // A container of the same name comes first; --type chooses.
    start(&env, "busybox", &[], "exit 0");
    assert_eq!(env.coracle(["inspect", "-f", "{{.Name}}", "busybox"]).ok().text(), "busybox");
    assert_eq!(env.coracle(["inspect", "-t", "image", "busybox"]).ok().json(), shown);
}

#[test]
fn published_ports_are_shown() {
    let env = TestEnv::new();
    let rootfs = env.busybox_rootfs();
    let call =
        env.coracle(["run", "-d", "--name", "web", "-p", "127.0.0.1::80", "--expose", "90", "--rootfs"]);
    call.arg(rootfs).args(["sh", "-c", IDLE]).ok();
    let shown = env.coracle(["inspect", "web"]).ok().json();
    let ports = &shown[0]["NetworkSettings"]["Ports"];
    let port: u16 = ports["80/tcp"][0]["HostPort"].as_str().unwrap().parse().unwrap();
    assert!(port > 1023);
    assert_eq!(
        (&ports["80/tcp"][0]["HostIp"], &ports["90/tcp"]),
        (&"127.0.0.1".into(), &serde_json::Value::Null)
    );
    let listed = env.coracle(["ps", "--format", "{{.Ports}}"]).ok();
    assert_eq!(listed.text(), format!("127.0.0.1:{port}->80/tcp, 90/tcp"));
}

#[test]
fn what_does_not_exist_is_an_empty_list_and_an_error() {
    let env = TestEnv::new();
    for args in [
        ["inspect", "nobody"].as_slice(),
        &["container", "inspect", "nobody"],
        &["image", "inspect", "nobody"],
    ] {
        let output = env.coracle(args).fails(125).says("nobody");
        assert_eq!(output.text(), "[]");
    }
    start(&env, "a", &[], "exit 0");
    let output = env.coracle(["inspect", "nobody", "a"]).fails(125).says("nobody");
    assert_eq!(output.json()[0]["Name"], "a");
    assert_eq!(env.coracle(["inspect", "-f", "{{.Name}}", "nobody"]).fails(125).stdout, "");
    env.coracle(["inspect"]).fails(125);
}

#[test]
fn scripts_find_the_fields_they_read() {
    let env = TestEnv::new();
    start(&env, "web", &[], "true");
    env.coracle(["wait", "web"]).ok();
    let shown = env.coracle(["inspect", "web"]).ok().json();
    for (part, fields) in [
        ("State", &["OciVersion", "CheckpointedAt"][..]),
        ("HostConfig", &["Memory", "NanoCpus", "PidsLimit", "CgroupParent", "Devices", "BlkioWeightDevice"]),
        ("Config", &["sdNotifyMode"]),
    ] {
        for field in fields {
            assert!(shown[0][part].get(field).is_some(), "{part}.{field}");
        }
    }
    let format =
        "{{.Created.Year}} {{.State.StartedAt.IsZero}} {{len .HostConfig.Devices}} {{.State.Checkpointed}}";
    let text = env.coracle(["inspect", "-f", format, "web"]).ok();
    assert!(text.text().ends_with(" false 0 false"), "{text}");
}

#[test]
fn volumes_are_found_after_containers_and_images() {
    let env = TestEnv::new();
    env.coracle(["volume", "create", "data"]).ok();
    assert_eq!(env.coracle(["inspect", "-f", "{{.Driver}}", "data"]).ok().text(), "local");
    assert_eq!(env.coracle(["inspect", "-t", "volume", "data"]).ok().json()[0]["Name"], "data");
    env.coracle(["inspect", "-t", "volume", "nothing"]).fails(125).says("nothing");
    env.coracle(["inspect", "-t", "image", "data"]).fails(125);
    env.coracle(["inspect", "nothing"]).fails(125).says("no such object: \"nothing\"");
}
