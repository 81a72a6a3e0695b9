//! `auto-update`: which containers are updated, what they keep, and how a failing image is taken back.

use crate::common::{Layer, Registry, TestEnv, busybox, eventually, shared_registry};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

const LOCAL: &str = "--label=io.containers.autoupdate=local";
const REGISTRY: &str = "--label=io.containers.autoupdate=registry";

/// busybox with a file of its own and this configuration, pushed as `repository:1`.
fn pushed(registry: &Registry, repository: &str, version: &str, config: Value) -> String {
    let mut image = busybox().layer(Layer::new().file("version", 0o644, version));
    for (field, value) in config.as_object().unwrap() {
        image = image.config(field, value.clone());
    }
    image.push(registry, repository, "1");
    registry.reference(repository, "1")
}

fn get(env: &TestEnv, container: &str, format: &str) -> String {
    env.coracle(["inspect", "--type=container", "-f", format, container]).ok().text().to_owned()
}

fn version(env: &TestEnv) -> String {
    env.coracle(["exec", "web", "cat", "/version"]).ok().text().to_owned()
}

fn rows(env: &TestEnv, args: &[&str]) -> Vec<String> {
    let format = "{{.ContainerName}} {{.Policy}} {{.Updated}}";
    env.coracle(["auto-update", "--format", format]).args(args).ok().lines()
}

#[test]
fn a_container_gets_the_newer_image_and_keeps_what_is_its_own() {
    let env = TestEnv::new();
    let registry = shared_registry();
    let old = json!({ "Env": ["A=1", "B=1", "GONE=1"], "Cmd": ["sleep", "1000"], "Labels": { "of": "old" } });
    let name = pushed(registry, "update/web", "old", old);
    let run = ["run", "-d", "--name=web", "-eB=mine", "-v=data:/data", "-v=/own", "-w=/tmp", REGISTRY];
    env.coracle(run).args(["--network=none", "--stop-timeout=0", "--label=mine=1", &name]).ok();
    env.coracle([
        "exec",
        "web",
        "sh",
        "-c",
        "echo kept >/data/file; echo kept >/own/file; echo lost >/written",
    ])
    .ok();
    let before = get(&env, "web", "{{.Id}}");
    assert_eq!(rows(&env, &[]), ["web registry false"]);

    let new = json!({ "Env": ["A=2", "B=2", "NEW=2"], "Cmd": ["sleep", "2000"], "Labels": { "of": "new" } });
    pushed(registry, "update/web", "new", new);
    assert_eq!(rows(&env, &["--dry-run"]), ["web registry pending"]);
    assert_eq!((version(&env).as_str(), get(&env, "web", "{{.Id}}")), ("old", before.clone()));
    assert_eq!(rows(&env, &[]), ["web registry true"]);
    assert_eq!(version(&env), "new");
    assert_ne!(get(&env, "web", "{{.Id}}"), before);
    assert_eq!(env.containers().len(), 1);
    let said = env.coracle([
        "exec",
        "web",
        "sh",
        "-c",
        "cat /data/file /own/file; ls /written; pwd; echo $A $B $NEW ${GONE-none}",
    ]);
    assert_eq!(said.ok().lines(), ["kept", "kept", "/tmp", "2 mine 2 none"]);
    assert_eq!(
        get(&env, "web", "{{.Config.Cmd}} {{.Config.Labels.of}} {{.Config.Labels.mine}}"),
        "[sleep 2000] new 1"
    );
    assert_eq!(get(&env, "web", "{{.State.Status}} {{.Name}} {{.ImageName}}"), format!("running web {name}"));
    // Once more there is nothing to do, in the table and as JSON.
    let table = env.coracle(["auto-update"]).ok();
    let lines = table.lines();
    assert_eq!(
        lines[0].split_whitespace().collect::<Vec<_>>(),
        ["UNIT", "CONTAINER", "IMAGE", "POLICY", "UPDATED"]
    );
    assert!(lines[1].contains("(web)") && lines[1].ends_with("false"), "{table}");
    let all: Value =
        serde_json::from_str(&env.coracle(["auto-update", "--format=json"]).ok().stdout).unwrap();
    assert_eq!((&all[0]["Updated"], &all[0]["Policy"]), (&json!("false"), &json!("registry")));
    assert_eq!(all[0]["ContainerID"], get(&env, "web", "{{.Id}}"));
    // Its anonymous volume goes with it.
    env.coracle(["rm", "-f", "-v", "web"]).ok();
    assert_eq!(env.coracle(["volume", "ls", "-q"]).ok().lines(), ["data"]);
}

#[test]
fn the_local_policy_looks_in_the_store_only() {
    let env = TestEnv::new();
    let (old, _) =
        env.pulled(busybox().layer(Layer::new().file("version", 0o644, "old")), "update/local-old");
    let (new, _) =
        env.pulled(busybox().layer(Layer::new().file("version", 0o644, "new")), "update/local-new");
    env.coracle(["tag", &old, "app:1"]).ok();
    let run =
        ["run", "-d", "--name=web", "--network=none", "--stop-timeout=0", LOCAL, "app:1", "sleep", "1000"];
    env.coracle(run).ok();
    assert_eq!(rows(&env, &[]), ["web local false"]);
    env.coracle(["tag", &new, "app:1"]).ok();
    assert_eq!(rows(&env, &[]), ["web local true"]);
    assert_eq!(version(&env), "new");
    // One that does not run is left alone.
    env.coracle(["stop", "web"]).ok();
    env.coracle(["tag", &old, "app:1"]).ok();
    assert_eq!(env.coracle(["auto-update"]).ok().stdout, "");
}

#[test]
fn an_image_that_fails_is_taken_back() {
    let env = TestEnv::new();
    let registry = shared_registry();
    let works = || json!({ "Cmd": ["sleep", "1000"] });
    let name = pushed(registry, "update/fails", "old", works());
    let run = ["run", "-d", "--name=web", "--network=none", "--stop-timeout=0", "-v=/own", REGISTRY];
    env.coracle(run).args(["--restart=always", &name]).ok();
    env.coracle(["exec", "web", "sh", "-c", "echo kept >/own/file; echo kept >/written"]).ok();
    let id = get(&env, "web", "{{.Id}}");
    let is_old = || {
        assert_eq!(get(&env, "web", "{{.State.Status}} {{.Id}}"), format!("running {id}"));
        assert_eq!(version(&env), "old");
        assert_eq!(
            env.coracle(["exec", "web", "cat", "/own/file", "/written"]).ok().lines(),
            ["kept", "kept"]
        );
        assert_eq!(env.containers().len(), 1);
    };
    let health = json!({ "Test": ["CMD", "false"], "Interval": 100_000_000, "Retries": 1 });
    for (fault, says) in [
        (json!({ "Cmd": ["sh", "-c", "exit 7"] }), "ended with exit code 7"),
        (json!({ "Cmd": ["/nosuch"] }), "nosuch"),
        (json!({ "Cmd": ["sleep", "1000"], "Healthcheck": health }), "the new container is unhealthy"),
    ] {
        pushed(registry, "update/fails", "new", fault);
        let updated = env.coracle(["auto-update", "--format={{.Updated}}"]).fails(125);
        assert_eq!(updated.text(), "rolled back", "{updated}");
        updated.says("auto-updating container web").says(says);
        is_old();
    }
    // Without a way back the old one is there, and stopped.
    let updated = env.coracle(["auto-update", "--rollback=false", "--format={{.Updated}}"]).fails(125);
    assert_eq!(updated.text(), "failed");
    assert_eq!(get(&env, "web", "{{.State.Status}} {{.Id}}"), format!("exited {id}"));
    env.coracle(["start", "web"]).ok();
    is_old();
    // A check that succeeds is waited for.
    let health = json!({ "Test": ["CMD", "true"], "Interval": 100_000_000, "Retries": 1 });
    pushed(registry, "update/fails", "well", json!({ "Cmd": ["sleep", "1000"], "Healthcheck": health }));
    assert_eq!(rows(&env, &[]), ["web registry true"]);
    assert_eq!(
        (version(&env).as_str(), get(&env, "web", "{{.State.Health.Status}}").as_str()),
        ("well", "healthy")
    );
    assert_eq!(get(&env, "web", "{{.HostConfig.RestartPolicy.Name}}"), "always");
}

#[test]
fn case_15_labels_of_an_image_ask_for_nothing() {
    let env = TestEnv::new();
    let registry = shared_registry();
    let labels = json!({
        "io.containers.autoupdate": "registry",
        "io.containers.autoupdate.authfile": "/etc/passwd",
        "PODMAN_SYSTEMD_UNIT": "dbus.service",
    });
    let config = |labels: &Value| json!({ "Cmd": ["sleep", "1000"], "Labels": labels });
    let name = pushed(registry, "update/hostile", "old", config(&labels));
    env.coracle(["run", "-d", "--name=web", "--network=none", "--stop-timeout=0", &name]).ok();
    pushed(registry, "update/hostile", "new", config(&labels));
    assert_eq!(env.coracle(["auto-update"]).ok().stdout, "");
    assert_eq!(version(&env), "old");
    env.coracle(["rm", "-f", "web"]).ok();
    // Nor does one of them have a say where the creator asks for updates.
    pushed(registry, "update/hostile", "old", config(&labels));
    env.coracle(["pull", "-q", &name]).ok();
    env.coracle(["run", "-d", "--name=web", "--network=none", "--stop-timeout=0", REGISTRY, &name]).ok();
    pushed(registry, "update/hostile", "new", config(&labels));
    let updated = env.coracle(["auto-update", "--format=[{{.Unit}}] {{.Updated}}"]).ok();
    assert_eq!(updated.text(), "[] true");
}

#[test]
fn what_cannot_be_updated_is_said_and_left_alone() {
    let env = TestEnv::new();
    let (old, old_id) =
        env.pulled(busybox().layer(Layer::new().file("version", 0o644, "old")), "update/left-old");
    let (new, _) = env.pulled(busybox().layer(Layer::new().file("version", 0o644, "new")), "update/left-new");
    let sleep = ["sleep", "1000"];
    let run = |args: &[&str], image: &str| {
        let run = ["run", "-d", "--network=none", "--stop-timeout=0"];
        env.coracle(run).args(args).arg(image).args(sleep).ok().text().to_owned()
    };
    for name in ["rm:1", "unit:1", "needed:1"] {
        env.coracle(["tag", &old, name]).ok();
    }
    run(&["--name=rm", "--rm", LOCAL], "rm:1");
    run(&["--name=needed", LOCAL], "needed:1");
    run(&["--name=needs", "--uts=container:needed"], "needed:1");
    run(&["--name=by-id", LOCAL], &old_id);
    run(&["--name=wrong", "--label=io.containers.autoupdate=always"], "rm:1");
    run(&["--name=local", REGISTRY], "rm:1");
    run(&["--name=off", "--label=io.containers.autoupdate=disabled"], "rm:1");
    let unit =
        env.coracle(["run", "-d", "--name=unit", "--network=none", "--stop-timeout=0", LOCAL, "unit:1"]);
    unit.args(sleep).env("PODMAN_SYSTEMD_UNIT", "no-such-unit.service").ok();
    for name in ["rm:1", "unit:1", "needed:1"] {
        env.coracle(["tag", &new, name]).ok();
    }
    let before = env.containers();
    let would =
        env.coracle(["auto-update", "--dry-run", "--format={{.ContainerName}} {{.Updated}}"]).fails(125);
    let failed =
        ["by-id failed", "local failed", "needed failed", "rm failed", "unit pending", "wrong failed"];
    assert_eq!(would.lines(), failed);
    would.says("it is removed when it stops (--rm)");
    let updated =
        env.coracle(["auto-update", "--format={{.ContainerName}} {{.Unit}} {{.Updated}}"]).fails(125);
    let lines = updated.lines();
    assert_eq!(
        lines,
        [
            "by-id  failed",
            "local  failed",
            "needed  failed",
            "rm  failed",
            "unit no-such-unit.service failed",
            "wrong  failed"
        ]
    );
    for said in [
        "it is removed when it stops (--rm)",
        "container needs depends on it",
        "auto updates require fully-qualified image references",
        "invalid auto-update policy",
        "image localhost/rm:1 is in no registry",
        "io.containers.autoupdate=local",
        "restarting systemd unit \"no-such-unit.service\" failed",
    ] {
        assert!(updated.stderr.contains(said), "{said}: {updated}");
    }
    assert_eq!(env.containers(), before);
    // Without a service manager nothing is taken back either.
    let id = |name: &str| env.coracle(["image", "inspect", "-f", "{{.Id}}", name]).ok().text().to_owned();
    assert_eq!(id("unit:1"), id(&new));
    assert_eq!(env.coracle(["ps", "-q"]).ok().lines().len(), 8);
    // Bad formats are refused before anything is asked.
    env.coracle(["auto-update", "--format={{.Nothing"]).fails(125);
}

/// An exchange of `web` that waits at this point for so long, and its id.
fn waiting(env: &TestEnv, at: &str) -> (crate::common::Running, String) {
    let (old, _) = env.pulled(busybox().layer(Layer::new().file("version", 0o644, "old")), "update/way-old");
    let (new, _) = env.pulled(busybox().layer(Layer::new().file("version", 0o644, "new")), "update/way-new");
    env.coracle(["tag", &old, "app:1"]).ok();
    let id_file = env.path().join("web.id");
    let run = ["run", "-d", "--name=web", "--network=none", "--stop-timeout=0", LOCAL];
    env.coracle(run).arg("--cidfile").arg(&id_file).args(["app:1", "sleep", "1000"]).ok();
    let id = get(env, "web", "{{.Id}}");
    assert_eq!(std::fs::read_to_string(&id_file).unwrap(), id);
    env.coracle(["tag", &new, "app:1"]).ok();
    let log = env.path().join("points");
    let call = env.coracle(["auto-update"]).env("CORACLE_FAILPOINT_LOG", &log);
    let running = call.env("CORACLE_FAILPOINT", format!("{at}=pause:3000")).start();
    let reached = || std::fs::read_to_string(&log).unwrap_or_default().contains(&format!("{at}#"));
    eventually(at, reached);
    (running, id)
}

fn ended(updating: crate::common::Running, code: i32) -> crate::common::Output {
    let output = updating.wait();
    assert_eq!(output.code, code, "{output}");
    output
}

#[test]
fn what_users_do_during_an_exchange_is_respected() {
    // Removed: nothing is brought back.
    let env = TestEnv::new();
    let (updating, _) = waiting(&env, "auto-update.started");
    env.coracle(["container", "prune", "-f"]).ok();
    assert_eq!(env.containers().len(), 2, "both are spared");
    env.coracle(["rm", "web"]).ok();
    ended(updating, 125).says("it was removed during its update");
    assert_eq!(env.containers().len(), 0);
    // Stopped: it stays so.
    let env = TestEnv::new();
    let (updating, id) = waiting(&env, "auto-update.started");
    env.coracle(["stop", "web"]).ok();
    ended(updating, 125).says("it was stopped during its update");
    assert_eq!(get(&env, "web", "{{.State.Status}} {{.Id}}"), format!("exited {id}"));
    assert_eq!(env.containers().len(), 1);
    // Started, when the new one was accepted already: both are there.
    let env = TestEnv::new();
    let (updating, id) = waiting(&env, "auto-update.named");
    env.coracle(["start", &id]).ok();
    ended(updating, 0).says("somebody has started the old one");
    assert_eq!(version(&env), "new");
    assert_eq!(get(&env, &id, "{{.State.Status}}"), "running");
    assert_eq!(rows(&env, &[]).len(), 2);
    assert_eq!(get(&env, "web", "{{.State.Status}}"), "running");
    assert_eq!(std::fs::read_to_string(env.path().join("web.id")).unwrap(), get(&env, "web", "{{.Id}}"));
}

#[test]
fn a_signal_takes_an_exchange_back_before_it_ends_the_command() {
    let env = TestEnv::new();
    let (updating, id) = waiting(&env, "auto-update.started");
    updating.signal(Signal::SIGTERM);
    ended(updating, 128 + Signal::SIGTERM as i32);
    assert_eq!(get(&env, "web", "{{.State.Status}} {{.Id}}"), format!("running {id}"));
    assert_eq!(env.containers().len(), 1);
}

#[test]
fn the_name_is_not_lost_when_the_old_container_is_removed_after_a_kill() {
    let env = TestEnv::new();
    let (updating, id) = waiting(&env, "auto-update.freed");
    updating.signal(Signal::SIGKILL);
    updating.wait();
    env.coracle(["rm", "-f", &id]).ok();
    env.coracle(["auto-update"]).ok();
    assert_eq!(version(&env), "new");
}
