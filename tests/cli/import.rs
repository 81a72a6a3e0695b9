//! `import`.

use crate::common::{Layer, TestEnv, skip, which};
use serde_json::json;
use std::fs;

fn archive() -> Vec<u8> {
    Layer::new().dir("d", 0o755).owned_file("d/file", 0o640, (7, 8), "imported").finish().0
}

fn inspect(env: &TestEnv, image: &str) -> serde_json::Value {
    env.coracle(["image", "inspect", image]).ok().json()[0].clone()
}

#[test]
fn an_archive_becomes_an_image() {
    let env = TestEnv::new();
    fs::write(env.path().join("a.tar"), archive()).unwrap();
    let changes = [
        "CMD [\"cat\"]",
        "ENV=A=b",
        "LABEL x=y",
        "EXPOSE 80",
        "USER 7",
        "WORKDIR /d",
        "STOPSIGNAL SIGINT",
        "VOLUME /v",
        "ENTRYPOINT [\"/e\"]",
        "ONBUILD RUN x",
    ];
    let changes = changes.iter().flat_map(|change| ["--change", change]);
    let output =
        env.coracle(["import", "-m", "a remark", "--arch", "arm64", "--variant", "v8"]).args(changes);
    let id = output.args(["a.tar", "made:1"]).ok().text().to_owned();
    let seen = inspect(&env, "localhost/made:1");
    assert_eq!(seen["Id"], id.strip_prefix("sha256:").expect("as docker and podman print it"));
    assert_eq!(
        (&seen["Architecture"], &seen["Variant"], &seen["Os"]),
        (&json!("arm64"), &json!("v8"), &json!("linux"))
    );
    assert_eq!(seen["Comment"], "a remark");
    let config = &seen["Config"];
    assert_eq!(config["Cmd"], json!(["cat"]));
    assert_eq!(config["Entrypoint"], json!(["/e"]));
    assert_eq!(config["Env"], json!(["A=b"]));
    assert_eq!(config["ExposedPorts"], json!({"80/tcp": {}}));
    assert_eq!(
        (&config["User"], &config["WorkingDir"], &config["StopSignal"]),
        (&json!("7"), &json!("/d"), &json!("SIGINT"))
    );
    assert_eq!((&config["Labels"], &config["Volumes"]), (&json!({"x": "y"}), &json!({"/v": {}})));
    assert_eq!(config["OnBuild"], json!(["RUN x"]));
    assert_eq!(seen["RootFS"]["Layers"].as_array().unwrap().len(), 1);
    assert!(seen["History"][0]["created_by"].as_str().unwrap().contains("ADD file:"), "{seen}");
    // Without a name it has none; from standard input; compressed.
    let nameless = env.coracle(["import", "-q", "-"]).stdin(archive()).ok().text().to_owned();
    assert_eq!(inspect(&env, &nameless)["RepoTags"], json!([]));
    assert_eq!(inspect(&env, &nameless)["Comment"], "imported from tarball");
    for tool in ["gzip", "zstd", "xz", "bzip2"] {
        if which(tool).is_none() {
            skip(tool);
            continue;
        }
        let packed = env.program(tool).args(["-c", "a.tar"]).ok().bytes;
        env.coracle(["import", "-", "packed"]).stdin(packed).ok();
        assert_eq!(inspect(&env, "packed")["RootFS"]["Layers"], seen["RootFS"]["Layers"], "{tool}");
        env.coracle(["save", "-o", "packed.tar", "packed"]).ok();
        env.coracle(["rmi", "packed"]).ok();
        env.coracle(["load", "-q", "-i", "packed.tar"]).ok();
    }
    assert_eq!(fs::read_dir(env.root().join("tmp")).unwrap().count(), 0);
}

#[test]
fn an_imported_tree_runs() {
    let env = TestEnv::new();
    let tree = env.busybox_rootfs();
    env.program("tar").arg("-C").arg(&tree).args(["--owner=0", "--group=0", "-cf", "tree.tar", "."]).ok();
    env.coracle(["import", "-c", "CMD echo from the shell", "tree.tar", "busy"]).ok();
    let said = env.coracle(["run", "--rm", "--network=none", "busy"]).ok();
    assert_eq!(said.text(), "from the shell");
}

#[test]
fn import_refuses_what_it_cannot_take() {
    let env = TestEnv::new();
    env.coracle(["import", "-c", "FOO x", "-"]).fails(125).says("FOO is not known");
    env.coracle(["import", "-c", "STOPSIGNAL NOSUCH", "-"]).fails(125).says("NOSUCH");
    env.coracle(["import", "nosuch.tar"]).fails(125).says("nosuch.tar");
    env.coracle(["import", "."]).fails(125).says("is a directory").says("tar -C");
    env.coracle(["import", "-", "A B"]).fails(125);
    env.coracle(["import", "--arch", "a/b", "-"]).stdin(archive()).fails(125);
    env.coracle(["import", "-"]).stdin("no archive").fails(125);
    assert_eq!(env.coracle(["images", "-q"]).ok().text(), "");
}
