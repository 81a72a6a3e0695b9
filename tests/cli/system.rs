//! `system df`, `prune`, `reset` and `check`.

use super::ps::{IDLE, start};
use crate::common::{TestEnv, busybox, eventually, one_file, shared_registry, traces_of};
use serde_json::json;

/// A busybox image; gives its name.
fn busybox_image(env: &TestEnv, repository: &str) -> String {
    busybox().push(shared_registry(), repository, "1");
    let name = shared_registry().reference(repository, "1");
    env.coracle(["pull", "-q", &name]).ok();
    name
}

fn du(env: &TestEnv) -> u64 {
    let root = env.root();
    let shown = env.coracle(["unshare", "du", "-s", "-B1", root.to_str().unwrap()]).ok();
    shown.stdout.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn df_is_what_du_says() {
    let env = TestEnv::new();
    let name = busybox_image(&env, "system/df");
    env.pulled(one_file(&"x".repeat(300_000)), "system/df2");
    let script = "mkdir -m 0 /closed; dd if=/dev/zero of=/big bs=1k count=900 2>/dev/null; ln /big /again; \
                  dd if=/dev/zero of=/v/data bs=1k count=500 2>/dev/null; chown -R 7:7 /v; touch /done; sleep 1000";
    env.coracle([
        "run",
        "-d",
        "--name",
        "a",
        "--network",
        "none",
        "-v",
        "data:/v",
        &name,
        "sh",
        "-c",
        script,
    ])
    .ok();
    env.coracle(["exec", "a", "sh", "-c", "until test -e /done; do sleep 0.05; done"]).ok();
    env.coracle(["volume", "create", "idle"]).ok();
    let rows = env.coracle(["system", "df", "--format", "json"]).ok().json();
    let raw = |row: &serde_json::Value| row["RawSize"].as_u64().unwrap();
    let all: u64 = rows.as_array().unwrap().iter().map(raw).sum();
    let disk = du(&env);
    assert!(all.abs_diff(disk) * 100 <= disk, "df says {all}, du {disk}: {rows}");
    assert_eq!(rows[0]["Type"], "Images");
    assert_eq!((&rows[0]["Total"], &rows[0]["Active"]), (&json!(2), &json!(1)));
    assert_eq!((&rows[1]["Total"], &rows[1]["Active"]), (&json!(1), &json!(1)));
    assert_eq!((&rows[2]["Total"], &rows[2]["Active"]), (&json!(2), &json!(1)));
    assert!(rows[0]["RawReclaimable"].as_u64().unwrap() > 300_000, "the idle image: {rows}");
    assert!(raw(&rows[1]) > 900 << 10 && raw(&rows[1]) < 1500 << 10, "a hard link counts once: {rows}");
    let table = env.coracle(["system", "df"]).ok().stdout;
    let header: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(header, ["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"]);
    assert!(table.contains("\nLocal Volumes   2 "), "{table}");
    let shown = env.coracle(["system", "df", "--format", "{{.Type}}|{{.Total}}"]).ok().lines();
    assert_eq!(shown[..3], ["Images|2", "Containers|1", "Local Volumes|2"]);
    let details = env.coracle(["system", "df", "-v"]).ok().stdout;
    for part in
        ["Images space usage:", "SHARED SIZE", "CONTAINER ID", "LOCAL VOLUMES", "VOLUME NAME", "idle", "data"]
    {
        assert!(details.contains(part), "{part}: {details}");
    }
    env.coracle(["system", "df", "-v", "--format", "json"]).fails(125).says("cannot be set together");
    env.coracle(["rm", "-f", "-t", "0", "a"]).ok();
}

#[test]
fn prune_takes_what_nobody_uses_and_nothing_else() {
    let env = TestEnv::new();
    let name = busybox_image(&env, "system/prune");
    let (idle, _) = env.pulled(one_file("idle"), "system/prune2");
    let live = start(&env, "live", &["-v", "used:/v"], IDLE);
    let run = |name: &str, options: &[&str]| {
        let call = env.coracle(["run", "--name", name, "--network", "none"]).args(options);
        call.args([shared_registry().reference("system/prune", "1").as_str(), "true"]).ok();
    };
    run("ended", &["-v", "/anonymous"]);
    run("kept", &["--label", "keep=1"]);
    env.coracle(["volume", "create", "free"]).ok();
    // Nobody to ask, and a no.
    env.coracle(["system", "prune"]).fails(125).says("--force");
    let asked = env.coracle(["system", "prune", "--volumes", "-a"]).stdin("n\n").ok().stdout;
    assert!(asked.contains("all stopped containers") && asked.contains("all volumes"), "{asked}");
    env.coracle(["system", "prune", "-f", "--filter", "dangling=true"])
        .fails(125)
        .says("dangling is an invalid filter");
    env.coracle(["system", "prune", "-f", "--external", "-a"])
        .fails(125)
        .says("--external cannot be set together with --all");
    assert!(
        env.coracle(["system", "prune", "-f", "--external"])
            .ok()
            .stdout
            .starts_with("Total reclaimed space: ")
    );
    let old = env.coracle(["system", "prune", "-f", "--filter", "until=2020-01-01T00:00:00Z"]).ok();
    assert!(!old.stdout.contains("Deleted"), "{old}");
    assert_eq!(env.containers().len(), 3);

    let first = env.coracle(["system", "prune", "-f", "--filter", "label!=keep"]).ok().stdout;
    assert!(first.contains("Deleted Containers\n") && !first.contains("Deleted Images"), "{first}");
    let told = env
        .coracle(["events", "--stream=false", "-f", "event=remove", "--format", "{{.Type}} {{.Name}}"])
        .ok();
    assert_eq!(told.lines().iter().filter(|line| *line == "container ended").count(), 1, "{told}");
    let names = env.coracle(["ps", "-a", "--format", "{{.Names}}"]).ok().lines();
    assert!(names.contains(&"live".to_owned()) && names.contains(&"kept".to_owned()), "{names:?}");
    let named = ["volume", "ls", "-q", "--filter", "anonymous=false"];
    assert_eq!(env.coracle(named).ok().lines(), ["free", "used"]);

    let second = env.coracle(["system", "prune", "-a", "--volumes"]).stdin("y\n").ok().stdout;
    assert!(
        second.contains("Deleted Volumes\n")
            && second.contains("\nfree\n")
            && second.contains("Deleted Images\n"),
        "{second}"
    );
    assert!(!second.contains("reclaimed space: 0B"), "{second}");
    assert_eq!(env.coracle(["ps", "-aq", "--no-trunc"]).ok().lines(), [live]);
    assert_eq!(env.coracle(["volume", "ls", "-q"]).ok().lines(), ["used"]);
    assert!(env.coracle(["images", "-q"]).ok().lines().is_empty());
    for gone in [name, idle] {
        env.coracle(["inspect", &gone]).fails(125);
    }
    assert_eq!(env.coracle(["exec", "live", "echo", "alive"]).ok().stdout, "alive\n");
    env.coracle(["rm", "-f", "-t", "0", "live"]).ok();
}

#[test]
fn reset_leaves_nothing_of_ours_and_all_of_others() {
    let env = TestEnv::new();
    busybox_image(&env, "system/reset");
    start(&env, "live", &["-v", "used:/v"], IDLE);
    std::fs::write(env.root().join("mine"), "x").unwrap();
    env.coracle(["system", "reset"]).fails(125).says("--force");
    env.coracle(["system", "reset"]).stdin("n\n").ok();
    assert_eq!(env.containers().len(), 1);
    env.coracle(["system", "reset", "-f"]).ok();
    let left: Vec<_> = std::fs::read_dir(env.root()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["mine"]);
    std::fs::remove_file(env.root().join("mine")).unwrap();
    // The next command makes a new store.
    assert!(env.coracle(["images", "-q"]).ok().lines().is_empty());
    env.coracle(["system", "reset", "--force"]).ok();
    assert!(!env.root().exists());
}

/// A monitor may have looked whether its container is still there before the store goes.
#[test]
fn a_monitor_at_its_end_brings_no_part_of_a_store_back() {
    let env = TestEnv::new();
    let image = busybox_image(&env, "system/end");
    let run = ["run", "-d", "--name=c", "--network=none", "--stop-signal=KILL", &image, "sleep", "600"];
    env.coracle(run).env("CORACLE_FAILPOINT", "end.cleared=pause:1500").ok();
    env.coracle(["system", "reset", "-f"]).ok();
    eventually("the monitor has ended", || traces_of(env.path()).is_empty());
    assert!(!env.root().exists(), "{:?}", std::fs::read_dir(env.root()).map(Iterator::collect::<Vec<_>>));
}

#[test]
fn check_finds_damage_and_repairs_it() {
    let env = TestEnv::new();
    let (name, id) = env.pulled(one_file("one"), "system/check");
    let (_, other) = env.pulled(one_file("two"), "system/check2");
    assert_eq!(env.coracle(["system", "check"]).ok().stdout, "");
    // A blob that is not what its name says.
    let manifest = env.coracle(["image", "inspect", "-f", "{{.Digest}}", &name]).ok().text().to_owned();
    let blobs = env.root().join("oci/blobs/sha256");
    let text = std::fs::read_to_string(blobs.join(manifest.trim_start_matches("sha256:"))).unwrap();
    let text: serde_json::Value = serde_json::from_str(&text).unwrap();
    let layer = text["layers"][0]["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned();
    std::fs::write(blobs.join(&layer), "wrong").unwrap();
    env.coracle(["system", "check", "--quick"]).ok();
    let found = env.coracle(["system", "check"]).fails(125);
    assert!(found.stdout.contains("has other content"), "{found}");
    assert!(found.stderr.contains("coracle system check --repair"), "{found}");
    env.coracle(["system", "check", "--repair"]).ok();
    assert_eq!(env.coracle(["system", "check"]).ok().stdout, "");
    env.coracle(["inspect", &id]).fails(125);
    // A layer that is gone, with a container on it.
    env.coracle(["inspect", &other]).ok();
    let image = busybox_image(&env, "system/check3");
    env.coracle(["run", "--name", "c", "--network", "none", &image, "true"]).ok();
    for layer in std::fs::read_dir(env.root().join("layers")).unwrap() {
        let from = layer.unwrap().path();
        std::fs::rename(&from, env.root().join("trash").join(from.file_name().unwrap())).unwrap();
    }
    let found = env.coracle(["system", "check", "-q"]).fails(125);
    assert!(found.stdout.contains("Damaged container") && found.stdout.contains("is missing"), "{found}");
    env.coracle(["system", "check", "-q", "--repair"]).fails(125).says("--repair --force");
    assert_eq!(env.containers().len(), 1);
    env.coracle(["system", "check", "-q", "--repair", "--force"]).ok();
    assert_eq!(env.containers().len(), 0);
    assert_eq!(env.coracle(["system", "check"]).ok().stdout, "");
    env.coracle(["system", "check", "--max", "soon"]).fails(125).says("soon");
}

#[test]
fn unused_layers_are_kept_for_a_while() {
    let env = TestEnv::new();
    let (_, id) = env.pulled(one_file("one"), "system/layers");
    // As a pull leaves it that was killed between its layers and its image.
    std::fs::remove_file(env.root().join("images").join(id.trim_start_matches("sha256:"))).unwrap();
    for name in std::fs::read_dir(env.root().join("refs")).unwrap() {
        std::fs::remove_file(name.unwrap().path()).unwrap();
    }
    env.coracle(["system", "check"]).ok();
    let found = env.coracle(["system", "check", "--max", "0s"]).fails(125);
    assert!(found.stdout.contains("nothing uses it"), "{found}");
    env.coracle(["system", "check", "--max", "0s", "-r"]).ok();
    assert_eq!(std::fs::read_dir(env.root().join("layers")).unwrap().count(), 0);
}

/// Where nothing else can be written, volatile state is in the data root.
#[test]
fn reset_leaves_nothing_where_one_root_is_in_the_other() {
    let env = TestEnv::new();
    let places = env.path().join("places");
    for (data, runtime) in [("one", "one/run"), ("two/data", "two"), ("three/data", "three/run")] {
        let call = |args: &[&str]| {
            let call = env.program(crate::common::coracle_binary()).arg("--root").arg(places.join(data));
            call.arg("--runroot").arg(places.join(runtime)).args(args)
        };
        call(&["volume", "create", "v"]).ok();
        call(&["system", "reset", "-f"]).ok();
        assert!(!places.join(data).exists() && !places.join(runtime).exists(), "{data} {runtime}");
    }
}

/// A run that comes between the end of the last container and the store's lock is ended, too: without its
/// records its processes would live on unseen.
#[test]
fn reset_ends_what_is_started_meanwhile() {
    let env = TestEnv::new();
    start(&env, "before", &[], IDLE);
    // As a command holds it that is just making something.
    let lock = std::fs::File::open(env.root().join("lock")).unwrap();
    lock.lock_shared().unwrap();
    let reset = env.coracle(["system", "reset", "-f"]).start();
    while !env.containers().is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    start(&env, "meanwhile", &[], IDLE);
    drop(lock);
    let reset = reset.wait();
    assert_eq!(reset.code, 0, "{reset}");
    assert!(!env.root().exists());
}

/// With --repair only what is named goes: a layer that was made a moment ago may be a pull's that goes on.
#[test]
fn check_leaves_young_layers_beside_old_ones() {
    let env = TestEnv::new();
    let (old, _) = env.pulled(one_file("old"), "system/old");
    let before = layers(&env);
    let (young, _) = env.pulled(one_file("young"), "system/young");
    for name in [&old, &young] {
        let id = env.coracle(["inspect", "-f", "{{.Id}}", name]).ok().text().to_owned();
        std::fs::remove_file(env.root().join("images").join(id.trim_start_matches("sha256:"))).unwrap();
    }
    for name in std::fs::read_dir(env.root().join("refs")).unwrap() {
        std::fs::remove_file(name.unwrap().path()).unwrap();
    }
    for layer in &before {
        let dir = std::fs::File::open(env.root().join("layers").join(layer)).unwrap();
        dir.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(3600)).unwrap();
    }
    env.coracle(["system", "check", "--max", "30m", "-r"]).ok();
    let left = layers(&env);
    assert!(left.len() == 1 && !before.contains(&left[0]), "{before:?} {left:?}");
}

fn layers(env: &TestEnv) -> Vec<std::ffi::OsString> {
    let found = std::fs::read_dir(env.root().join("layers")).unwrap();
    found.map(|entry| entry.unwrap().file_name()).collect()
}
